"""What points have recorded on their way, and what follows from it: which are to end, and which go on after all.

A step counts once: those of a batch that is in flight, beyond what was recorded of the same evaluation before. What
comes live is recorded at once; the reply brings all of it again, so that nothing depends on what was lost on the
way: where something was, the whole course of that point is recorded once more, which takes back what was. A pruned point can only be promoted once its row is durable: until then it is in the hands of the store.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.messages import Promote, Prune, Record
from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.driver.flights import Flight
    from swath.messages import Batch, Reply, Step
    from swath.stopping import Rule

PRUNED = "pruned"
"""The status of points that were ended early."""


@dataclass(slots=True)
class Courses:
    """The courses of all points.

    Attributes
    ----------
    rule : Rule or None
        Decides; None: nothing is ended early.
    pruned : dict of int to int
        Attempt of the pruned row of each position whose row is durable.
    promoted : Counter of int
        How often a position went on after all.
    """

    rule: Rule | None = None
    pruned: dict[int, int] = field(default_factory=dict)
    promoted: Counter[int] = field(default_factory=Counter)
    _deserving: dict[int, str] = field(default_factory=dict)  # to be promoted once durable

    def follow(self, flight: Flight, steps: Sequence[Step]) -> list[Record | Prune]:
        """Take in what running points have recorded."""
        fresh = self._fresh(flight, steps, flight.batch.start, flight.stop)
        if not fresh:
            return []
        commands: list[Record | Prune] = [Record(flight.batch, fresh)]
        for step in fresh:
            reason = self.rule.see(step.position, step.step, step.metrics) if self.rule else ""
            if reason and step.position not in flight.pruned:
                flight.pruned.add(step.position)
                commands.append(Prune(flight.batch, step.position, reason, step))
        return commands

    def finish(self, flight: Flight, reply: Reply) -> list[Record]:
        """Take in all that the points of a batch have recorded, now that it is over."""
        self._forget_gaps(flight, reply.steps)
        fresh = self._fresh(flight, reply.steps, flight.batch.start, flight.stop)
        for step in fresh if self.rule else ():
            self.rule.see(step.position, step.step, step.metrics)  # type: ignore[union-attr]  # asked above
        return [Record(flight.batch, fresh)] if fresh else []

    @staticmethod
    def _forget_gaps(flight: Flight, steps: Sequence[Step]) -> None:
        """Forget what was recorded of points of which a step was not heard that lies before others that were."""
        known = Counter(
            step.position for step in steps if step.step <= flight.recorded.get(step.position, -1)
        )
        for position, count in known.items():
            if count > flight.heard[position]:
                del flight.recorded[position]

    def end(self, reply: Reply, accepted: RangeSet) -> None:
        """Tell the rule which points have ended for good, and how."""
        if self.rule is None:
            return
        status = {
            position: name
            for name, ranges in reply.failed
            for start, stop in ranges
            for position in range(start, stop)
        }
        kept = RangeSet(reply.kept)
        for start, stop in accepted:
            for position in range(start, stop):
                self.rule.ended(position, status.get(position, "ok"), resumable=position in kept)

    def promotions(self) -> list[Promote]:
        """Return the pruned points that are to go on, and forget that they were pruned."""
        if self.rule is None:
            return []
        self._deserving.update(self.rule.promoted())
        ready = [position for position in self._deserving if position in self.pruned]
        self.promoted.update(ready)
        return [
            Promote(position, self.pruned.pop(position) + 1, self._deserving.pop(position))
            for position in ready
        ]

    def with_attempts(self, positions: RangeSet, more: int) -> RangeSet:
        """Return the positions of which so many attempts, or more, were promotions: those are no retries."""
        if more <= 0:
            return positions.copy()
        found = [position for position, count in self.promoted.items() if count >= more]
        return RangeSet((position, position + 1) for position in found if position in positions)

    @staticmethod
    def _fresh(flight: Flight, steps: Sequence[Step], start: int, stop: int) -> tuple[Step, ...]:
        fresh = []
        for step in steps:
            if start <= step.position < stop and step.step > flight.recorded.get(step.position, -1):
                flight.recorded[step.position] = step.step
                flight.heard[step.position] += 1
                fresh.append(step)
        return tuple(fresh)


def pruned_of(batch: Batch, reply: Reply, accepted: RangeSet) -> Mapping[int, int]:
    """Return the accepted positions that were pruned, with the attempt of their row."""
    ranges = [piece for status, pieces in reply.failed if status == PRUNED for piece in pieces]
    return {
        position: batch.attempt
        for start, stop in ranges
        for piece in accepted.intersection(start, stop)
        for position in range(*piece)
    }
