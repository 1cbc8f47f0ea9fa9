"""How many replicates a combination needs until its averages are precise enough.

Theory of operation
-------------------
A combination of parameters begins with a few replicates. Once all that are open for it have ended, its condition is
asked, such as ``se(peak) < 0.01``. Where it does not hold, so many more are opened as it would take if the mean and the
standard deviation stayed as they are and the standard error fell with the root of n, but at most as many again as
there are: an early estimate of a standard deviation is rough. What is opened follows from the rows of that combination
in the order of their replicates, never from the order in which they came, so every engine opens the same.

A standard error needs two values. A combination none of whose replicates ended well has nothing that could become
precise, and gets no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from swath.errors import ExpressionError
from swath.space.expressions import Column, Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_CALL: Final = re.compile(r"\b(se|mean)\(\s*(?:`([^`]+)`|([^\W\d]\w*))\s*\)")
"""What a condition may ask of a metric."""

_READ: Final = re.compile(r"(se|mean)\((.*)\)", re.DOTALL)


class Condition:
    """What must hold of the averages of a combination.

    Parameters
    ----------
    text : str
        A comparison of ``se(metric)`` (the standard error of the mean) and ``mean(metric)``, such as
        ``se(peak) < 0.01 * abs(mean(peak))``; otherwise as in ``where``.

    Attributes
    ----------
    text : str
        As given.
    metrics : tuple of str
        Those that it asks about, sorted.

    Raises
    ------
    ExpressionError
        The text is no such condition.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._expression = Expression(_CALL.sub(lambda call: f"`{call[1]}({call[2] or call[3]})`", text))
        asked = {name: _READ.fullmatch(name) for name in self._expression.names}
        if foreign := sorted(name for name, call in asked.items() if call is None):
            raise ExpressionError(
                f"expression {text!r}: {foreign[0]!r} is neither se(metric) nor mean(metric)"
            )
        self._asked = {name: (call[1], call[2]) for name, call in asked.items() if call}
        if not any(what == "se" for what, _ in self._asked.values()):
            raise ExpressionError(f"expression {text!r}: no se(metric) in it, so replicates do not change it")
        self.metrics = tuple(sorted({metric for _, metric in self._asked.values()}))

    def holds(
        self, means: Mapping[str, float], errors: Mapping[str, float], factors: Floats
    ) -> NDArray[np.bool_]:
        """Tell for which factors it would hold if every standard error were multiplied by them.

        Raises
        ------
        ExpressionError
            It cannot be evaluated.
        """
        n = len(factors)
        values = {
            name: factors * errors[metric] if what == "se" else np.full(n, means[metric])
            for name, (what, metric) in self._asked.items()
        }
        return self._expression.holds({name: Column(found) for name, found in values.items()}, n)


def needed(condition: Condition, values: Mapping[str, Floats], n: int, most: int) -> tuple[int, bool]:
    """Tell how many replicates a combination should have.

    Parameters
    ----------
    condition : Condition
        What must hold.
    values : mapping of str to ndarray
        The values of each metric that it asks about, of replicates that ended well; NaN do not count.
    n : int
        Replicates so far, those included that did not end well.
    most : int
        There can be no more.

    Returns
    -------
    count : int
        ``n`` if it needs no more, or cannot have them; else from n + 1 to 2 n.
    holds : bool
        Whether the condition does, by now.
    """
    sound = {metric: found[~np.isnan(found)] for metric, found in values.items()}
    least = min(map(len, sound.values()))
    limit = min(2 * n, most)
    if least < 2:  # no standard deviation
        return (limit if least else n), False
    means = {metric: float(found.mean()) for metric, found in sound.items()}
    errors = {metric: float(found.std(ddof=1)) / len(found) ** 0.5 for metric, found in sound.items()}
    candidates = np.arange(n, max(n, limit) + 1)
    good = condition.holds(means, errors, np.sqrt(n / candidates))
    return int(candidates[good.argmax()] if good.any() else candidates[-1]), bool(good[0])


@dataclass(slots=True)
class _Combination:
    """What is known of one: open replicates, and what came of them, until that is decided."""

    opened: int
    rows: dict[int, Mapping[str, float]] = field(default_factory=dict)
    decided: bool = False


class Precision:
    """Follows the replicates of every combination.

    Parameters
    ----------
    condition : Condition
        What must hold of each.
    first, most : int
        Replicates to begin with, at least 1, and at most.

    Attributes
    ----------
    precise, imprecise : int
        Combinations that are decided: the condition holds; or it does not, with as many replicates as there may be, or
        none that ended well.
    """

    def __init__(self, condition: Condition, first: int, most: int) -> None:
        self._condition, self._first, self._most = condition, first, most
        self._known: dict[int, _Combination] = {}
        self.precise = self.imprecise = 0

    def take(self, rows: Iterable[tuple[int, int, Mapping[str, float]]]) -> list[tuple[int, int, int]]:
        """Take in rows; return the replicates that are to be opened now.

        Parameters
        ----------
        rows : iterable of (int, int, mapping of str to float)
            Combination, replicate, and the metrics of a point that ended well; empty for one that did not.

        Returns
        -------
        list of (int, int, int)
            Combination, and the half-open range of its replicates; rows of these may be known already.
        """
        touched: dict[int, _Combination] = {}
        for number, replicate, metrics in rows:
            combination = self._known.setdefault(number, _Combination(self._first))
            if not combination.decided:
                combination.rows[replicate] = metrics
                touched[number] = combination
        opened = []
        for number, combination in touched.items():
            before = combination.opened
            while self._grow(combination):
                pass  # on resuming, rows of what is opened now are there already
            if combination.opened > before:
                opened.append((number, before, combination.opened))
        return opened

    def _grow(self, combination: _Combination) -> bool:
        """Open more replicates, if the open ones have ended and are not enough; tell whether any were opened."""
        n = combination.opened
        if len(combination.rows) < n or any(replicate not in combination.rows for replicate in range(n)):
            return False
        ordered = [combination.rows[replicate] for replicate in range(n)]
        values = {
            metric: np.array([row.get(metric, np.nan) for row in ordered])
            for metric in self._condition.metrics
        }
        combination.opened, holds = needed(self._condition, values, n, self._most)
        if combination.opened > n:
            return True
        combination.decided = True
        combination.rows = {}
        self.precise += holds
        self.imprecise += not holds
        return False
