"""What is out of the driver's hands for a while: batches that workers hold, and replies on their way to the disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.batching import FLOOR
from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swath.messages import Batch


@dataclass(slots=True, eq=False)
class Flight:
    """A batch that a worker holds: what is left of its range, with which event it was offered, since when it runs.

    ``recorded`` is the last step of each position that has recorded any, ``heard`` how many of its steps were, ``pruned``
    the positions that were asked to end.
    """

    batch: Batch
    stop: int
    offered: int
    started: float | None = None
    recalled: bool = False
    answered: bool = False
    recorded: dict[int, int] = field(default_factory=dict)
    heard: Counter[int] = field(default_factory=Counter)
    pruned: set[int] = field(default_factory=set)

    @property
    def positions(self) -> RangeSet:
        """What is left of its range."""
        return RangeSet([(self.batch.start, self.stop)])

    @property
    def open_recall(self) -> bool:
        """Whether an answer to a recall is still to come."""
        return self.recalled and not self.answered

    def untouched(self, now: float, rate: float | None) -> float:
        """Seconds of work in the part that is probably not begun; infinite behind a straggler."""
        points = self.stop - self.batch.start - (self.started is not None)
        if points < 1:
            return 0.0
        if self.started is None:
            return self.batch.budget if rate is None else min(points / rate, self.batch.budget)
        age = now - self.started
        if age > self.batch.budget + 2 * FLOOR:
            return float("inf")
        if rate is None:
            return 0.0
        return min(points / rate, self.batch.budget) - age


@dataclass(frozen=True, slots=True)
class Writing:
    """A reply that is to become durable: whose, which positions, what it added to the counts, which it pruned."""

    worker: str
    attempt: int
    positions: RangeSet
    rows: int
    failures: int
    pruned: Mapping[int, int] = field(default_factory=dict)
