"""Threshold: a point ends when a value is beyond a bound, or NaN."""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Threshold:
    """Bounds for a value.

    Parameters
    ----------
    metric : str
        What is judged.
    sign : int
        Not needed: bounds are bounds.
    lower, upper : float
        The smallest and the largest value with which a point goes on.
    min_steps : int
        Nothing is judged before this step.
    """

    def __init__(
        self, metric: str, sign: int = 1, *, lower: float = -inf, upper: float = inf, min_steps: int = 1
    ) -> None:
        del sign
        self._metric, self._lower, self._upper, self._min_steps = metric, lower, upper, min_steps

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; return why the point should end, or an empty text."""
        del position  # nothing is remembered
        value = metrics.get(self._metric)
        if value is None or step < self._min_steps:
            return ""
        if isnan(value):
            return f"{self._metric} at step {step} is NaN"
        if value < self._lower:
            return f"{self._metric} at step {step} is {value:.6g}, below {self._lower:g}"
        if value > self._upper:
            return f"{self._metric} at step {step} is {value:.6g}, above {self._upper:g}"
        return ""

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Do nothing: every value is judged alone."""

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return nobody: what was out of bounds stays so."""
        return ()
