"""The learning curves that a live page knows: of points that run, and of some that have ended.

Theory of operation. A curve is thinned out as it grows, and there are at most `CURVES` of them: where there is no room, one of a
point that has ended makes way, any but the best one. So all points that run can be seen, and a sample of what was before.

Nothing but the standard library is imported, as in `swath.views.live.record`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CURVES = 100
"""Curves that are kept."""

VERTICES = 60
"""Steps that are kept of each; when there are so many, every other one is dropped, but not the first and the last."""


@dataclass(slots=True)
class Curve:
    """What one point has recorded.

    Attributes
    ----------
    status : str
        How it ended; empty until it has.
    steps : list of int
        Ascending.
    values : list of float or None
        Of the metric; None where it is no finite number.
    """

    status: str = ""
    steps: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)

    def add(self, step: int, value: float | None) -> None:
        """Take a step; all from its number on that were there are taken back."""
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()
        self.steps.append(step)
        self.values.append(value if value is not None and isfinite(value) else None)
        if len(self.steps) > VERTICES:
            last = len(self.steps) - 1
            kept = [i for i in range(last + 1) if i % 2 == 0 or i == last]
            self.steps, self.values = [self.steps[i] for i in kept], [self.values[i] for i in kept]

    @property
    def last(self) -> float | None:
        """The newest value."""
        return self.values[-1] if self.values else None


class Curves:
    """Curves by the index of their point.

    Attributes
    ----------
    lines : dict of int to Curve
    seen, stopped : int
        How many points ever had one, and how many of all were stopped early.
    version : int
        Changes with what is there.
    """

    def __init__(self) -> None:
        self.lines: dict[int, Curve] = {}
        self.seen = self.stopped = self.version = 0
        self._random = random.Random(3)  # noqa: S311  # no secret hangs on it

    def take(self, increment: Mapping[str, Any], sign: int) -> None:
        """Take what is new.

        Parameters
        ----------
        increment : mapping
            ``curves``: rows of a point, its new steps and their values; ``ended``: rows of a point and its status; ``traced``: the
            numbers ``seen`` and ``stopped`` of now. All may be missing.
        sign : int
            1 where less of the metric is better, -1 where more is.
        """
        for point, steps, values in increment.get("curves", ()):
            if point not in self.lines:
                if len(self.lines) >= CURVES and not self._make_room(sign):
                    continue
                self.lines[point] = Curve()
            curve = self.lines[point]
            curve.status = ""  # it may go on after all
            for step, value in zip(steps, values, strict=True):
                curve.add(step, value)
        for point, status in increment.get("ended", ()):
            if point in self.lines:
                self.lines[point].status = status
        self.seen, self.stopped = increment.get("traced", (self.seen, self.stopped))
        self.version += bool(increment.get("curves") or increment.get("ended"))

    def best(self, sign: int) -> int | None:
        """Return the point that ended with the best value, if one did."""
        ended = ((curve.last, point) for point, curve in self.lines.items() if curve.status == "ok")
        known = [(sign * value, point) for value, point in ended if value is not None]
        return min(known)[1] if known else None

    def _make_room(self, sign: int) -> bool:
        best = self.best(sign)
        ended = [point for point, curve in self.lines.items() if curve.status and point != best]
        if ended:
            del self.lines[self._random.choice(ended)]
        return bool(ended)

    def whole(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        rows = [[point, curve.status, curve.steps[:], curve.values[:]] for point, curve in self.lines.items()]
        return {"seen": self.seen, "stopped": self.stopped, "rows": rows}

    @classmethod
    def rebuilt(cls, values: Mapping[str, Any]) -> Curves:
        """Rebuild it from `whole`."""
        self = cls()
        self.seen, self.stopped = values["seen"], values["stopped"]
        self.lines = {
            point: Curve(status, list(steps), list(of)) for point, status, steps, of in values["rows"]
        }
        self.version = 1 if self.lines else 0
        return self


def gathered(steps: Iterable[tuple[int, int, float | None]], most: int) -> list[list[Any]]:
    """Put steps together by point, in their order: rows for ``curves`` of an increment.

    Parameters
    ----------
    steps : iterable of (int, int, float or None)
        Point, number and value.
    most : int
        Steps that are told of one point; of more, the first ones are left out.
    """
    found: dict[int, tuple[list[int], list[float | None]]] = {}
    for point, step, value in steps:
        numbers, values = found.setdefault(point, ([], []))
        numbers.append(step)
        values.append(value)
    return [[point, numbers[-most:], values[-most:]] for point, (numbers, values) in found.items()]
