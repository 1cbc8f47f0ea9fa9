"""ASHA: asynchronous successive halving, which asks at a few rungs whether a point belongs to the best.

Theory of operation
-------------------
Rungs lie at r, r eta, r eta^2, ... steps, below R. At each rung a point has one value: that of the first step at or
beyond the rung. A point that reaches a rung goes on if it is among the best 1/eta of all values there so far, else it is
stopped; the best one always goes on, so the first points are no victims of coming first. Later, as others arrive, a
stopped point may turn out to be among the best 1/eta. If it has kept a checkpoint, it goes on from there: that is the
promotion of the paper, where every point pauses at every rung. Without checkpoints it is stopped for good, as in Optuna.

Of equal values the lower position is the better one, so that a plateau does not let everybody through.

References
----------
L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht, A. Talwalkar: A system for massively
parallel hyperparameter tuning. Proceedings of Machine Learning and Systems 2 (2020), 230-246; arXiv:1810.05934.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field
from math import inf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Rung:
    """Who has come to a rung, and who was stopped there.

    Attributes
    ----------
    step : int
        Its resource: r eta^k.
    seen : dict of int to (float, int)
        Loss and step by position.
    ranks : list of (float, int)
        Losses and positions, best first.
    paused : list of (float, int)
        A heap of those that were stopped here and could go on.
    """

    step: int
    seen: dict[int, tuple[float, int]] = field(default_factory=dict)
    ranks: list[tuple[float, int]] = field(default_factory=list)
    paused: list[tuple[float, int]] = field(default_factory=list)

    def admit(self, position: int, loss: float, step: int) -> None:
        """Take in the first value of a point at or beyond this rung."""
        if position not in self.seen:
            self.seen[position] = loss, step
            insort(self.ranks, (loss, position))

    def places(self, eta: int) -> int:
        """Count those who may go on: floor(n / eta), and at least one."""
        return max(1, len(self.ranks) // eta)

    def is_among_best(self, position: int, eta: int) -> bool:
        """Tell whether a point belongs to the best 1/eta here, now."""
        loss, _ = self.seen[position]
        return loss < inf and bisect_left(self.ranks, (loss, position)) < self.places(eta)

    def pause(self, position: int) -> None:
        """Remember a point that could go on from here."""
        heapq.heappush(self.paused, (self.seen[position][0], position))

    def resume(self, eta: int) -> int | None:
        """Take out the best point that was stopped here, if it is among the best by now."""
        if self.paused and self.is_among_best(self.paused[0][1], eta):
            return heapq.heappop(self.paused)[1]
        return None


class Asha:
    """Asynchronous successive halving.

    Parameters
    ----------
    metric : str
        What is judged.
    sign : int
        1 if less is better, -1 if more is.
    min_steps : int
        r, the minimum resource: the first rung. The paper's early-stopping rate s is part of it: r eta^s.
    max_steps : int or None
        R, the maximum resource: there is no rung at or beyond it. None: rungs without end.
    reduction : int
        eta, the reduction factor: one in so many goes on.
    """

    def __init__(
        self, metric: str, sign: int, *, min_steps: int = 1, max_steps: int | None = None, reduction: int = 4
    ) -> None:
        self._metric, self._sign = metric, sign
        self._r, self._limit, self._eta = min_steps, max_steps or inf, reduction
        self._rungs: list[Rung] = []
        self._passed: Counter[int] = Counter()  # how many rungs a position has behind it
        self._told: set[int] = set()  # positions that were told to end, and have not ended yet

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; return why the point should end, or an empty text."""
        value = metrics.get(self._metric)
        if value is None:
            return ""
        reached = self._reached(step)
        for rung in reached:
            rung.admit(position, inf if isnan(value) else self._sign * value, step)
        for rung in reached[self._passed[position] :]:
            if position in self._told or not rung.is_among_best(position, self._eta):
                self._told.add(position)
                return self._said(rung, position, "not among")
            self._passed[position] += 1
        return ""

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Take in that a point has ended, and whether it has a checkpoint."""
        self._told.discard(position)
        rung = self._next(position)
        if status == "pruned" and resumable and rung is not None:
            rung.pause(position)

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return the stopped positions that are among the best of their rung by now, with reasons."""
        found = []
        for k, rung in enumerate(self._rungs):
            while (position := rung.resume(self._eta)) is not None:
                if self._passed[position] != k:  # it has gone on already
                    continue
                self._passed[position] = k + 1
                if (above := self._next(position)) is not None:  # it was there before its end reached it
                    above.pause(position)
                else:
                    found.append((position, self._said(rung, position, "by now among")))
        return tuple(found)

    def _reached(self, step: int) -> list[Rung]:
        """Return the rungs at or below a step, and make those that nobody has reached before."""
        while (height := self._r * self._eta ** len(self._rungs)) <= step and height < self._limit:
            self._rungs.append(Rung(height))
        return [rung for rung in self._rungs if rung.step <= step]

    def _next(self, position: int) -> Rung | None:
        """Return the rung that a point has reached and not passed, if there is one."""
        rungs = self._rungs[self._passed[position] :]
        return rungs[0] if rungs and position in rungs[0].seen else None

    def _said(self, rung: Rung, position: int, how: str) -> str:
        loss, step = rung.seen[position]
        value = f"{self._sign * loss:.6g}" if loss < inf else "NaN or infinite"
        return (
            f"{self._metric} {value} at step {step} is {how} the best {rung.places(self._eta):,} "
            f"of {len(rung.seen):,} at rung {rung.step:,}"
        )
