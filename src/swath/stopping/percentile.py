"""Percentile: a point ends when its best value is worse than a percentile of what finished points had at that step.

Theory of operation
-------------------
With ``percentile: 25`` a point goes on while its best value so far is among the best quarter of the values at the same
step of the points that came to their end; a point whose steps have other numbers counts with its last one before. The
percentile lies between two values where it falls between them (linear, as numpy's).

References
----------
T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama: Optuna: a next-generation hyperparameter optimization framework. KDD
(2019), 2623-2631, doi:10.1145/3292500.3330701; its ``PercentilePruner``.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from swath.stopping.curves import Curve, Curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Percentile:
    """The best so many per cent go on.

    Parameters
    ----------
    metric : str
        What is judged.
    sign : int
        1 if less is better, -1 if more is.
    percentile : float
        From 0 to 100: this part of the finished points, the best ones, sets the mark.
    startup : int
        Points that must have come to their end before any is stopped.
    min_steps : int
        Nothing is judged before this step.
    """

    def __init__(
        self, metric: str, sign: int, *, percentile: float = 25.0, startup: int = 5, min_steps: int = 1
    ) -> None:
        self._metric, self._sign = metric, sign
        self._percentile, self._startup, self._min_steps = percentile, startup, min_steps
        self._curves = Curves(Curve.latest)

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; return why the point should end, or an empty text."""
        value = metrics.get(self._metric)
        if value is None:
            return ""
        curve = self._curves.running[position]
        if not curve.add(step, self._sign * value) or step < self._min_steps:
            return ""
        losses = self._curves.levels(step)
        if len(losses) < max(1, self._startup) or not curve.is_behind(
            mark := quantile(losses, self._percentile)
        ):
            return ""
        return (
            f"the best {self._metric} up to step {step} is {self._sign * curve.bests[-1]:.6g}, worse than "
            f"{self._sign * mark:.6g}, the mark of the best {self._percentile:g} % of {len(losses):,} finished points"
        )

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Take in that a point has ended."""
        del resumable
        self._curves.end(position, status)

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return nobody: the rule knows no promotions."""
        return ()


def quantile(ascending: Sequence[float], percentile: float) -> float:
    """Return a percentile of sorted numbers, linear between neighbours."""
    place = (len(ascending) - 1) * percentile / 100
    below = int(place)
    low, high = ascending[below], ascending[min(below + 1, len(ascending) - 1)]
    return (
        low
        if place == below or low == high
        else high
        if high == inf
        else low + (place - below) * (high - low)
    )
