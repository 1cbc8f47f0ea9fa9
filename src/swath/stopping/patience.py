"""Patience: a point ends when its best value has not improved for a number of steps.

References
----------
L. Prechelt: Early stopping - but when? In: Neural networks: tricks of the trade. Springer (1998), 55-69,
doi:10.1007/3-540-49430-8_3. Names and meaning of the parameters are those of Keras: an improvement is one by more than
``min_delta``, and steps are counted by their numbers, not by reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class _Course:
    """The last step of a point, and its best loss with the step of it."""

    last: int
    best: float
    at: int


class Patience:
    """No improvement for a while.

    Parameters
    ----------
    metric : str
        What is judged.
    sign : int
        1 if less is better, -1 if more is.
    patience : int
        Steps without an improvement after which a point ends.
    min_delta : float
        An improvement is larger than this.
    min_steps : int
        Nothing is judged before this step.
    """

    def __init__(
        self, metric: str, sign: int, *, patience: int = 10, min_delta: float = 0.0, min_steps: int = 1
    ) -> None:
        self._metric, self._sign = metric, sign
        self._patience, self._min_delta, self._min_steps = patience, min_delta, min_steps
        self._courses: dict[int, _Course] = {}

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; return why the point should end, or an empty text."""
        value = metrics.get(self._metric)
        if value is None:
            return ""
        course = self._courses.setdefault(position, _Course(step - 1, inf, step))
        if step <= course.last:  # it was told already, or is being repeated after a loss
            return ""
        course.last = step
        if self._improves(course, value):
            course.best, course.at = self._sign * value, step
        if step < self._min_steps or step - course.at < self._patience:
            return ""
        return (
            f"{self._metric} at step {step} is {value:.6g}, and none of the last {step - course.at} steps "
            f"was better than step {course.at}{self._margin()}"
        )

    def _improves(self, course: _Course, value: float) -> bool:
        return not isnan(value) and (self._sign * value < course.best - self._min_delta)

    def _margin(self) -> str:
        return f" by more than {self._min_delta:g}" if self._min_delta else ""

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Forget a point; should it begin again, it is judged anew."""
        del status, resumable
        self._courses.pop(position, None)

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return nobody: a point is judged by itself, and its past does not change."""
        return ()
