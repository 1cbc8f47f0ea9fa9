"""Learning curves as plain columns: which of them are drawn, and with how many of their steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.views.figures.axes import Axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from swath.views.figures.axes import Kind

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

LINES: Final = 200
"""Curves that are drawn at most."""
VERTICES: Final = 12_000
"""Steps of all of them together, about."""
FEWEST: Final = 30
"""Steps of one curve that are drawn in any case."""
LONG, EARLY = 16, 8
"""An axis of steps is logarithmic where its end is so many times its beginning, and half of the curves end within that part of it."""


@dataclass(frozen=True, eq=False)
class Curves:
    """What points have recorded on their way, in columns of k, by point and ascending step.

    Attributes
    ----------
    points : ndarray of int, shape (k,)
        Index of each step's point.
    steps : ndarray of int, shape (k,)
        Its number.
    metrics : mapping of str to ndarray of float, shape (k,)
        What was recorded; NaN where a step has none.
    """

    points: Integers
    steps: Integers
    metrics: Mapping[str, Floats]

    @cached_property
    def _starts(self) -> Integers:
        new = np.ones(len(self.points), bool)
        new[1:] = self.points[1:] != self.points[:-1]
        return np.append(np.flatnonzero(new), len(self.points)).astype(np.int64)

    def __len__(self) -> int:
        """Count the curves."""
        return len(self._starts) - 1

    @cached_property
    def owners(self) -> Integers:
        """The point of each curve, shape (curves,)."""
        return self.points[self._starts[:-1]]

    @cached_property
    def lasts(self) -> Integers:
        """The last step of each curve, shape (curves,)."""
        return self.steps[self._starts[1:] - 1]

    def reached(self, points: Integers) -> Floats:
        """Return the last step of each of some points, NaN where it has none."""
        if not len(self):
            return np.full(len(points), np.nan)
        places = np.minimum(np.searchsorted(self.owners, points), len(self) - 1)
        return np.where(self.owners[places] == points, self.lasts[places], np.nan)

    def part(self, curve: int, metric: str) -> tuple[Integers, Floats]:
        """Return the steps of a curve, and the values of a metric."""
        own = slice(self._starts[curve], self._starts[curve + 1])
        return self.steps[own], self.metrics[metric][own]

    def metric(self, wanted: str) -> str:
        """Return the metric to draw: the one that matters, or the first that was recorded; empty if none was."""
        return wanted if wanted in self.metrics else next(iter(self.metrics), "")

    def axes(self, metric: str) -> tuple[Axis, Axis]:
        """Return the axes of the steps and of a metric."""
        return _along(self.steps, self.lasts), Axis.numeric(metric, self.metrics[metric])

    def chosen(self, first: Integers, most: int = LINES) -> Integers:
        """Choose curves to draw: all, or a sample with some of those that matter.

        Parameters
        ----------
        first : ndarray of int
            Curves that matter, the most important first; a quarter of the room is theirs.
        most : int
            How many.

        Returns
        -------
        ndarray of int, shape (at most ``most``,)
            Ascending; the same every time.
        """
        if len(self) <= most:
            return np.arange(len(self))
        taken = first[: most // 4]
        others = np.setdiff1d(np.arange(len(self)), taken)
        drawn = np.random.default_rng(0).choice(others, min(len(others), most - len(taken)), replace=False)
        return np.sort(np.concatenate((taken, drawn)))


def axes_of(metric: str, steps: Sequence[Any], values: Sequence[Any]) -> tuple[Axis, Axis]:
    """Return the axes of curves that are lists, at least one, none of them empty; None is a missing value."""
    along = _along(np.concatenate(steps), np.array([line[-1] for line in steps]))
    return along, Axis.numeric(metric, np.concatenate([np.asarray(line, float) for line in values]))


def _along(steps: Integers, lasts: Integers) -> Axis:
    low, high = (float(steps.min()), float(steps.max())) if len(steps) else (1.0, 1.0)
    early = low > 0 and high >= LONG * low and float(np.median(lasts)) <= high / EARLY
    kind: Kind = "log" if early else "linear"
    return Axis("step", kind, (), low, high, whole=True)


def thinned(steps: Integers, values: Floats, most: int) -> tuple[Integers, Floats]:
    """Leave out steps of a long curve, evenly, but none of the first few and not the last."""
    if len(steps) <= most:
        return steps, values
    kept = np.unique(
        np.concatenate(
            (np.arange(most // 4), np.linspace(0, len(steps) - 1, most - most // 4).round().astype(int))
        )
    )
    return steps[kept], values[kept]
