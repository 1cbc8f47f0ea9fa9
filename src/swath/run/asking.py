"""How many proposals a search should be asked for now: a pure function of how long things take.

Theory of operation
-------------------
A proposal that waits behind running points was made without knowing what these will bring; a slot without a proposal
has nothing to do. Which is worse depends on the time that a slot would lose: what the optimiser takes for a proposal, and
the journey of the results and of the next batch. Where that is little against a point, no proposal waits. Otherwise as
many are out as are on their way at any moment, by Little's law (J. D. C. Little 1961, doi:10.1287/opre.9.3.383): points begin
at a rate that the slots or the optimiser limit, and each is away for its duration and what is lost. Some more are out because
durations differ, at most one for each slot. (With eight slots, eight that wait cost a search by TPE more than it gains.)
While the optimiser starts up, its proposals depend on nothing
that is known, so that they can be had long before.

Proposals that take long are asked for one by one, so that the first of them runs while the next is made, and each
knows what was heard meanwhile.
"""

from __future__ import annotations

from math import ceil, inf

JOURNEY = 0.010
"""Seconds from the end of a point until the slot has the next, the optimiser left out."""

BEARABLE = 0.02
"""Part of a point's duration for which its slot may be idle, so that the next proposal knows its result."""

SPARE = 4
"""One proposal more is out for so many slots."""

FREELY = 64
"""Proposals that are asked for together where they depend on nothing: few enough to be there soon."""


DEAR = 0.05
"""Seconds that a proposal takes which is asked for by itself."""


def proposals_to_ask(
    *,
    slots: int,
    pending: int,
    replicates: int = 1,
    cost: float | None,
    duration: float | None,
    independent: int = 0,
) -> int:
    """Tell how many proposals to ask for now.

    Parameters
    ----------
    slots : int
        Room for batches, over all workers.
    pending : int
        Positions that are open and have no row yet.
    replicates : int
        Positions of each proposal.
    cost : float or None
        Seconds that the optimiser takes for a proposal; None: not known yet.
    duration : float or None
        Median of the seconds that a point took; None: not known yet.
    independent : int
        So many of the next proposals depend on no result.
    """
    if not slots:
        return 0
    if independent > 0:
        return min(independent, FREELY)
    missing = _wanted(slots, (cost or 0.0) / replicates, duration) - pending
    count = ceil(max(0, missing) / replicates)
    return min(count, 1) if cost is not None and cost > DEAR else count


def _wanted(slots: int, cost: float, duration: float | None) -> int:
    """Return how many positions should be open; ``cost`` is in seconds a position."""
    if duration is None:
        return 2 * slots
    lost = cost + JOURNEY
    if lost < BEARABLE * duration:
        return slots
    away = duration + lost
    underway = min(slots * away / duration if duration else inf, away / cost if cost else inf)
    return int(min(2 * slots, underway + 1 + max(1, slots // SPARE)))
