"""Median: a point ends when its best value is worse than the median of the running averages of finished points.

Theory of operation
-------------------
At step s, the best value of the point so far is compared with the median of the averages of all values up to s of each
point that came to its end. There are no curves to be fitted and no parameters to be tuned; averages forgive noise.

References
----------
D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro, D. Sculley: Google Vizier: a service for black-box
optimization. KDD (2017), 1487-1495, Section 3.2.2, doi:10.1145/3097983.3098043.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from swath.stopping.curves import Curve, Curves

if TYPE_CHECKING:
    from collections.abc import Mapping


class Median:
    """The median stopping rule.

    Parameters
    ----------
    metric : str
        What is judged.
    sign : int
        1 if less is better, -1 if more is.
    startup : int
        Points that must have come to their end before any is stopped.
    min_steps : int
        Nothing is judged before this step.
    """

    def __init__(self, metric: str, sign: int, *, startup: int = 5, min_steps: int = 1) -> None:
        self._metric, self._sign = metric, sign
        self._startup, self._min_steps = startup, min_steps
        self._curves = Curves(Curve.average)

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; return why the point should end, or an empty text."""
        value = metrics.get(self._metric)
        if value is None:
            return ""
        curve = self._curves.running[position]
        if not curve.add(step, self._sign * value) or step < self._min_steps:
            return ""
        averages = self._curves.levels(step)
        if len(averages) < max(1, self._startup) or not curve.is_behind(middle := median(averages)):
            return ""
        return (
            f"the best {self._metric} up to step {step} is {self._sign * curve.bests[-1]:.6g}, worse than "
            f"{self._sign * middle:.6g}, the median of the running averages of {len(averages):,} finished points"
        )

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Take in that a point has ended."""
        del resumable
        self._curves.end(position, status)

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return nobody: the rule knows no promotions."""
        return ()
