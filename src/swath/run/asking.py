"""How many proposals a search should be asked for now: a pure function of how long things take.

Theory of operation
-------------------
A proposal that waits behind running points was made without knowing what these will bring; a slot without a proposal
has nothing to do. Which is worse depends on the time that a slot would lose: what the optimiser takes for a proposal, and
the journey of the results and of the next batch. Where that is little against a point, no proposal waits. Otherwise one
waits for each of one or two slots, and one for every eight where there are more: eight that wait behind eight slots cost a
search by TPE more than the time that they save (`benchmarks/quality.py`). Where points are so quick that the optimiser is what limits,
no more are out than it makes while one is away (J. D. C. Little 1961, doi:10.1287/opre.9.3.383).
While the optimiser starts up, its proposals depend on nothing that is known, so that they can be had long before.

Proposals that take long are asked for one by one, so that the first of them runs while the next is made, and each
knows what was heard meanwhile.
"""

from __future__ import annotations

from math import ceil, inf

JOURNEY = 0.010
"""Seconds from the end of a point until the slot has the next, the optimiser left out."""

BEARABLE = 0.02
"""Part of a point's duration for which its slot may be idle, so that the next proposal knows its result."""

FEW, MANY = 2, 8
"""Slots of which each may have a proposal that waits; and slots that share one, where there are more."""

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
    wanted = slots + (slots if slots <= FEW else max(1, slots // MANY))
    made_meanwhile = (duration + lost) / cost if cost else inf
    return min(wanted, ceil(made_meanwhile) + 1) if made_meanwhile < slots else wanted
