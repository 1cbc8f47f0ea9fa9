"""What the points that came to their end had recorded, for rules that compare others with them.

Theory of operation
-------------------
A curve is a list of steps, ascending, each with a loss. For a question such as "what was the median at step 40?", every
finished curve contributes one number: what a function makes of its part up to that step. These numbers are kept sorted
for each step that was asked about, and completed when it is asked about again, so each curve is looked at once a step.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field
from math import inf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Curve:
    """Losses of one point by step, with what they come to so far.

    Attributes
    ----------
    steps : list of int
        Ascending.
    losses : list of float
        One for each; infinite for NaN.
    sums, bests : list of float
        The sum, and the smallest, of the losses up to each step.
    """

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    bests: list[float] = field(default_factory=list)

    def add(self, step: int, loss: float) -> bool:
        """Take in a step; tell whether it was new: steps that were told already change nothing."""
        if self.steps and step <= self.steps[-1]:
            return False
        loss = inf if isnan(loss) else loss
        self.sums.append(loss + (self.sums[-1] if self.sums else 0.0))
        self.bests.append(min(loss, self.bests[-1]) if self.bests else loss)
        self.steps.append(step)
        self.losses.append(loss)
        return True

    def is_behind(self, mark: float) -> bool:
        """Tell whether even the best loss so far is worse than a mark; NaN alone always is."""
        return self.bests[-1] > mark or self.bests[-1] == inf

    def average(self, step: int) -> float | None:
        """Average the losses up to a step; None if there are none."""
        count = bisect_right(self.steps, step)
        return self.sums[count - 1] / count if count else None

    def latest(self, step: int) -> float | None:
        """Return the last loss up to a step; None if there is none."""
        count = bisect_right(self.steps, step)
        return self.losses[count - 1] if count else None


@dataclass(slots=True)
class Curves:
    """Curves of points that run, and one number for each that came to its end.

    Attributes
    ----------
    summary : callable
        Makes a number of a curve and a step, or None.
    running : mapping of int to Curve
        By position.
    finished : list of Curve
        In the order of their ends.
    """

    summary: Callable[[Curve, int], float | None]
    running: dict[int, Curve] = field(default_factory=lambda: defaultdict(Curve))
    finished: list[Curve] = field(default_factory=list)
    _known: dict[int, tuple[int, list[float]]] = field(default_factory=dict)

    def end(self, position: int, status: str) -> None:
        """Take in that a point has ended; only those that came to their end are compared with."""
        curve = self.running.pop(position, None)
        if status == "ok" and curve is not None:
            self.finished.append(curve)

    def levels(self, step: int) -> list[float]:
        """Return the numbers of all finished curves at a step, sorted."""
        looked, levels = self._known.get(step, (0, []))
        for curve in self.finished[looked:]:
            if (level := self.summary(curve, step)) is not None:
                insort(levels, level)
        self._known[step] = len(self.finished), levels
        return levels
