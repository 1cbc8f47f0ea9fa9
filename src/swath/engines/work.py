"""A batch at a simulated worker: which of its points are evaluated when, what they record, and how they end.

All of it follows from the plan, and from what has been said to the batch: how far it goes, and which points are to end early.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.messages import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swath.engines.plans import Plan
    from swath.messages import Batch, Step

GRACE = 1e-9
"""Seconds; a recall that comes at the very end of a point finds the next one begun."""


@dataclass(slots=True)
class Work:
    """A batch, and how far it has come; all times in virtual seconds.

    Attributes
    ----------
    stop : int
        Where it ends; less than the batch's own after a recall.
    begun : float or None
        Since when it is evaluated; None while it waits for a slot.
    before : dict of int to int
        The step after which points go on that do not begin anew.
    ended : dict of int to int
        The last step of points that were told to end.
    """

    plan: Plan
    batch: Batch
    stop: int
    begun: float | None = None
    before: dict[int, int] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)

    def begin(self, now: float, kept: dict[int, int]) -> None:
        """Let it begin; ``kept`` is the last step of which there is a checkpoint, by position."""
        self.begun = now
        self.before = {p: kept[p] for p in range(self.batch.start, self.stop) if p in kept}

    def walk(self) -> list[tuple[int, float]]:
        """Return the positions that it will decide, with the time at which each is decided."""
        assert self.begun is not None  # noqa: S101
        time, rows, decided = self.begun, 0, []
        for position in range(self.batch.start, self.stop):
            if not self.plan.excluded_at(position):
                time += self.plan.length(position, self.batch.attempt) * self._part(position)
                rows += 1
            decided.append((position, time))
            if time - self.begun > self.batch.budget or rows == self.batch.limit:
                break
        return decided

    def _part(self, position: int) -> float:
        """Return which part of a point it has to evaluate, and will."""
        total = self.plan.steps
        return (self.last(position) - self.before.get(position, 0)) / total if total else 1.0

    def last(self, position: int) -> int:
        """Return the last step of a point."""
        return self.ended.get(position, self.plan.steps)

    def reached(self, now: float) -> int:
        """Return the position that is being evaluated now."""
        decided = self.walk()
        return next((position for position, time in decided if time > now - GRACE), decided[-1][0])

    def steps(self) -> Iterator[tuple[float, int, int, float]]:
        """Give the steps that its points record: time, position, number, and seconds since the point began."""
        assert self.begun is not None  # noqa: S101
        begun = self.begun
        for position, time in self.walk() if self.plan.steps else ():
            first, last = self.before.get(position, 0), self.last(position)
            for step in range(first + 1, last + 1) if not self.plan.excluded_at(position) else ():
                since = (time - begun) * (step - first) / (last - first)
                yield begun + since, position, step, since
            begun = time

    def reply(self) -> Reply:
        """Answer, at the end."""
        assert self.begun is not None  # noqa: S101
        decided = self.walk()
        rows = [position for position, _ in decided if not self.plan.excluded_at(position)]
        failed: dict[str, list[tuple[int, int]]] = {}
        for position in rows:
            status = "pruned" if position in self.ended else self.plan.status(position, self.batch.attempt)
            if status != "ok":
                failed.setdefault(status, []).append((position, position + 1))
        return Reply(
            done=((self.batch.start, decided[-1][0] + 1),),
            rows=len(rows),
            failed=tuple((status, tuple(ranges)) for status, ranges in failed.items()),
            seconds=decided[-1][1] - self.begun,
            slot=self.batch.worker,
            complaint="alike" if self.plan.alike and failed.keys() - {"pruned"} else "",
            steps=tuple(self._said(rows)),
            kept=tuple((position, position + 1) for position in rows) if self.plan.keeping else (),
            returned=self.plan.returned,
        )

    def _said(self, rows: list[int]) -> Iterator[Step]:
        """Give the steps of points as they tell them; who goes on from a checkpoint tells first what was before."""
        for position in rows if self.plan.steps else ():
            for step in range(self.before.get(position, 0)):
                yield self.plan.step(position, step + 1, 0.0)
        for _, position, step, since in self.steps():
            yield self.plan.step(position, step, since)
