"""Early stopping, taken up: the rule of a definition, and what it knew when the run was left.

Theory of operation
-------------------
A rule is a fold of steps and ends, and both are on disk; nothing else of it is kept. When a run is opened, the rule is told
the steps that count, in the order in which they came, and then how each of those points ended. What it would have decided
meanwhile is passed over: that has happened, or it will be asked again. A point that was stopped can go on if it has left a
folder for checkpoints; who deserves that by now waits again before anything is offered, as does whoever is to be retried. So
does a point that was going on when the driver was killed: beside its checkpoint are steps (`swath.inside.trail`) that come
after those which are saved, or the last one that is saved is of a later attempt than its row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.messages import Promote
from swath.ranges import RangeSet
from swath.stopping import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from swath.definition import Stop
    from swath.messages import Step
    from swath.stopping import Rule
    from swath.store.history import Past

PRUNED = "pruned"


def rule_of(stop: Stop | None) -> Rule | None:
    """Make the rule that a definition asks for, if it does."""
    return METHODS[stop.method](stop.metric, stop.sign, **stop.settings) if stop else None


def pruned_of(past: Past, again: Mapping[int, RangeSet]) -> dict[int, int]:
    """Return the positions that were ended early and are not to be retried, with the attempts of their rows."""
    return {
        position: attempt
        for attempt, positions in past.failed.get(PRUNED, {}).items()
        for start, stop in positions
        for position in range(start, stop)
        if not any(position in retried for retried in again.values())
    }


def remember(
    rule: Rule,
    steps: Iterable[Step],
    recorded: Mapping[int, int],
    past: Past,
    again: dict[int, RangeSet],
    kept: Callable[[int], int | None],
) -> tuple[Promote, ...]:
    """Tell a rule what has happened; have the points that should go on by now tried again, and return them.

    Parameters
    ----------
    rule : Rule
        As it was made.
    steps : iterable of Step
        Those that count, in the order in which they came.
    recorded : mapping of int to int
        The attempts in which points have recorded their last steps, by position.
    past : Past
        What became of points.
    again : dict of int to RangeSet
        Points that will be tried again, by their next attempts; gets those that should go on.
    kept : callable
        Takes a position, gives the last step beside the checkpoint of its point; None if there is no checkpoint.
    """
    seen: dict[int, int] = {}
    for step in steps:
        seen[step.position] = step.step
        rule.see(step.position, step.step, step.metrics)
    pruned = pruned_of(past, again)
    failed = [positions for attempts in past.failed.values() for positions in attempts.values()]
    going_on: list[tuple[int, str]] = []
    for position, last in seen.items():
        if position in pruned:
            reached = kept(position)
            later = recorded.get(position, 0) > pruned[position]
            if reached is not None and (later or reached > last):
                going_on.append((position, f"it was going on, and had come to step {reached}"))
            else:
                rule.ended(position, PRUNED, resumable=reached is not None)
        elif any(position in retried for retried in again.values()):
            rule.ended(position, "", resumable=False)  # it begins anew
        elif position in past.done and not any(position in positions for positions in failed):
            rule.ended(position, "ok", resumable=False)
    promotions = tuple(
        Promote(position, pruned[position] + 1, reason)
        for position, reason in (*going_on, *rule.promoted())
        if position in pruned
    )
    for promotion in promotions:
        again.setdefault(promotion.attempt, RangeSet()).add(promotion.position, promotion.position + 1)
    return promotions
