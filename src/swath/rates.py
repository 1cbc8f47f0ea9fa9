"""How fast something goes: slopes of running totals, over the recent past.

A batch brings many points at once, so a rate is a slope between two marks of a running total: from a mark at
least so many seconds ago, with at least `ENOUGH` batches since then, to now. A sweep of slow points therefore
looks back further than it was asked to, and a sweep in which nothing finishes any more slows down on the
screen. Marks are thinned out, so that a history stays small however long a sweep runs.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

ENOUGH = 8  # batches; a slope over fewer is mostly chance


class Mark(NamedTuple):
    """Running totals at one time (monotonic seconds)."""

    time: float
    batches: int
    positions: int
    rows: int


class History:
    """Running totals over time.

    Parameters
    ----------
    start : float
        Monotonic time from which on something could have happened, in seconds.
    span : float
        The longest time back that `slope` will be asked for, in seconds.
    gap : float
        Marks are kept no closer than this, in seconds.
    """

    def __init__(self, start: float, *, span: float = 60.0, gap: float = 0.25) -> None:
        self.first = self.last = Mark(start, 0, 0, 0)
        self._marks = deque([self.first])
        self._span, self._gap = span, gap

    def add(self, now: float, batches: int, positions: int, rows: int) -> None:
        """Raise the totals at ``now``."""
        last = self.last
        self.last = Mark(now, last.batches + batches, last.positions + positions, last.rows + rows)
        if len(self._marks) > 1 and now - self._marks[-2].time < self._gap:
            self._marks.pop()  # the one before is near enough
        self._marks.append(self.last)
        while len(self._marks) > 2 and self._reaches(self._marks[1], now, self._span):
            self._marks.popleft()

    def slope(self, now: float, span: float) -> tuple[float, float] | None:
        """Positions and rows per second, over the last ``span`` seconds or more; None if nothing came."""
        base = self._marks[0]
        for mark in self._marks:  # seldom more than one: those that are too old are gone
            if not self._reaches(mark, now, span):
                break
            base = mark
        return self._since(base, now)

    def overall(self, now: float) -> tuple[float, float] | None:
        """Give the same since the start."""
        return self._since(self.first, now)

    def _reaches(self, mark: Mark, now: float, span: float) -> bool:
        return mark.time <= now - span and self.last.batches - mark.batches >= ENOUGH

    def _since(self, base: Mark, now: float) -> tuple[float, float] | None:
        seconds = now - base.time
        if seconds <= 0 or self.last.batches <= base.batches:
            return None
        return (self.last.positions - base.positions) / seconds, (self.last.rows - base.rows) / seconds
