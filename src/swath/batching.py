"""How many points, and how many seconds, should the next offer hold.

An offer is cut by its time budget, so its size need not be right; it must only not starve the other
slots. Half of an even share (Polychronopoulos and Kuck, "Guided self-scheduling", IEEE Trans.
Computers C-36, 1987, doi:10.1109/TC.1987.5009495, with a factor for uneven points) leaves enough for
everybody while little is known; once a slot's pace is known, twice what the budget admits is plenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

BUDGET = 1.0
"""Seconds of work in an offer: a batch costs the driver some 5 ms, so this keeps it near half a percent."""

FLOOR = 0.05
"""Seconds of work below which an offer is not worth its journey: the driver spends some 0.01 on each."""

BATCHES_PER_SECOND = 90.0
"""What a scheduler carries while it is half busy (190 were measured at full load)."""

MOST = 2**18
"""Points in an offer; what a reply weighs in the driver's memory, some copies on its way included, is bounded."""

SHARE = 2
"""Offers are at most this part of an even share."""


@dataclass(slots=True)
class Pace:
    """Points per second that one slot decides; recent batches count more.

    Attributes
    ----------
    points, seconds : float
        Decaying sums over the batches so far.
    """

    points: float = 0.0
    seconds: float = 0.0

    def observe(self, points: int, seconds: float) -> None:
        """Take in what one batch took; a long batch replaces what was known faster than a short one."""
        keep = 0.5 ** (seconds / (4 * BUDGET)) * 0.9
        self.points = self.points * keep + points
        self.seconds = self.seconds * keep + max(seconds, 1e-6)

    @property
    def rate(self) -> float | None:
        """Points per second of one slot, or None before the first batch."""
        return self.points / self.seconds if self.points else None


@dataclass(frozen=True, slots=True)
class Offer:
    """How much to offer: at most ``size`` points, ``budget`` seconds."""

    size: int
    budget: float


def next_offer(waiting: int, slots: int, rate: float | None) -> Offer:
    """Choose the next offer.

    Parameters
    ----------
    waiting : int
        Points nobody holds, at least 1.
    slots : int
        Slots in all, at least 1.
    rate : float or None
        Points per second of one slot; None while unknown.
    """
    budget = max(BUDGET, slots / BATCHES_PER_SECOND)
    size = ceil(waiting / (SHARE * slots))
    if rate is not None:
        remaining = waiting / (rate * slots)  # seconds, if all slots share it evenly
        budget = min(budget, max(remaining / 2, 2 * FLOOR))
        size = max(min(size, ceil(2 * rate * budget)), ceil(rate * FLOOR))
    return Offer(max(1, min(size, waiting, MOST)), budget)
