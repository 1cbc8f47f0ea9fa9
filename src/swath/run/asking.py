"""How many proposals a search should be asked for now: a pure function of how long things take.

Theory of operation
-------------------
A proposal that waits behind running points was made without knowing what these will bring; a slot without a proposal
has nothing to do. Which is worse depends on the time that a slot would lose: what the optimiser takes for a proposal, and
the journey of the results and of the next batch. Where that is little against a point, no proposal waits; otherwise one
waits for each slot, so that a slot has its next point at once. While the optimiser starts up, its proposals depend on nothing
that is known, so that they can be had long before.

Proposals that take long are asked for one by one, so that the first of them runs while the next is made, and each
knows what was heard meanwhile.
"""

from __future__ import annotations

from math import ceil

JOURNEY = 0.010
"""Seconds from the end of a point until the slot has the next, the optimiser left out."""

BEARABLE = 0.02
"""Part of a point's duration for which its slot may be idle, so that the next proposal knows its result."""

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
    lost = (cost or 0.0) + JOURNEY
    waits = duration is not None and lost < BEARABLE * duration
    missing = (slots if waits else 2 * slots) - pending
    count = ceil(max(0, missing) / replicates)
    return min(count, 1) if cost is not None and cost > DEAR else count
