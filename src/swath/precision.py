"""How many replicates a combination needs until its averages are precise enough.

Theory of operation
-------------------
A combination of parameters begins with a few replicates. Once all that are open for it have ended, its condition is
asked, such as ``se(peak) < 0.01``. Where it does not hold, so many more are opened as it would take if the mean and the
standard deviation stayed as they are and the standard error fell with the root of n, but at most as many again as
there are: an early estimate of a standard deviation is rough. What is opened follows from the rows of that combination
in the order of their replicates, never from the order in which they came, so every engine opens the same.

Combinations that have as many replicates are judged together, whatever their number: 10^5 of ten replicates take about a
second and some 30 MB. A standard error needs two values. A combination none of whose replicates ended well has nothing that could become
precise, and gets no more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from swath.errors import ExpressionError
from swath.space.expressions import Column, Expression

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_CALL: Final = re.compile(r"\b(se|mean)\(\s*(?:`([^`]+)`|([^\W\d]\w*))\s*\)")
"""What a condition may ask of a metric."""

_READ: Final = re.compile(r"(se|mean)\((.*)\)", re.DOTALL)

_NEW, _DECIDED = -1, -2

_TOGETHER: Final = 1 << 18
"""Values for which a condition is evaluated together."""


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
        self, means: Mapping[str, Floats], errors: Mapping[str, Floats], factors: Floats
    ) -> NDArray[np.bool_]:
        """Tell for which factors it would hold if every standard error were multiplied by them.

        Parameters
        ----------
        means, errors : mapping of str to ndarray, shape (m,)
            Of the metrics of m combinations.
        factors : ndarray, shape (k,)
            The factors.

        Returns
        -------
        ndarray of bool, shape (m, k)
            For each combination and factor.

        Raises
        ------
        ExpressionError
            It cannot be evaluated.
        """
        shape = len(next(iter(errors.values()))), len(factors)
        values = {
            name: np.broadcast_to(means[metric][:, None], shape)
            if what == "mean"
            else errors[metric][:, None] * factors
            for name, (what, metric) in self._asked.items()
        }
        columns = {name: Column(np.ravel(found)) for name, found in values.items()}
        return self._expression.holds(columns, shape[0] * shape[1]).reshape(shape)


def needed(
    condition: Condition, values: Mapping[str, Floats], n: int, most: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """Tell how many replicates combinations should have.

    Parameters
    ----------
    condition : Condition
        What must hold.
    values : mapping of str to ndarray, shape (m, n)
        The values of each metric that it asks about, of the replicates of m combinations; NaN do not count.
    n : int
        Replicates so far, those included that did not end well.
    most : int
        There can be no more.

    Returns
    -------
    counts : ndarray of int, shape (m,)
        ``n`` if a combination needs no more, or cannot have them; else from n + 1 to 2 n.
    holds : ndarray of bool, shape (m,)
        Whether the condition does, by now.
    """
    sound = {metric: ~np.isnan(found) for metric, found in values.items()}
    sizes = {metric: there.sum(axis=1) for metric, there in sound.items()}
    least = np.minimum.reduce(list(sizes.values()))
    counts = np.where(least == 1, min(2 * n, most), n)  # one value has no standard deviation, none never will
    holds = np.zeros(len(counts), np.bool_)
    candidates = np.arange(n, max(n, min(2 * n, most)) + 1)
    judged = np.flatnonzero(least > 1)
    for rows in np.array_split(judged, 1 + judged.size * candidates.size // _TOGETHER):
        means, errors = {}, {}
        for metric, found in values.items():
            there, size = sound[metric][rows], sizes[metric][rows]
            means[metric] = np.where(there, found[rows], 0.0).sum(axis=1) / size
            apart = np.where(there, found[rows] - means[metric][:, None], 0.0)
            errors[metric] = np.sqrt((apart * apart).sum(axis=1) / (size - 1) / size)
        good = condition.holds(means, errors, np.sqrt(n / candidates))
        counts[rows] = np.where(good.any(axis=1), candidates[good.argmax(axis=1)], candidates[-1])
        holds[rows] = good[:, 0]
    return counts, holds


class Precision:
    """Follows the replicates of every combination.

    Values are kept of combinations only that are begun and not decided: eight bytes for each replicate and metric.

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
        self._rows = np.empty(
            0, np.int32
        )  # of each combination: its row in what follows, `_NEW` or `_DECIDED`
        self._used = 0  # rows
        self._numbers = np.empty(0, np.int64)  # combination of each row
        self._opened = np.empty(0, np.int64)
        self._came = np.empty((0, first), np.bool_)
        self._values = np.empty((len(condition.metrics), 0, first))
        self.precise = self.imprecise = 0

    def take(
        self, combinations: Integers, replicates: Integers, values: Mapping[str, Floats]
    ) -> list[tuple[int, int, int]]:
        """Take in what became of points; return the replicates that are to be opened now.

        Parameters
        ----------
        combinations, replicates : ndarray of int, shape (n,)
            Which they are. Of one that comes twice, the last counts.
        values : mapping of str to ndarray, shape (n,)
            Those metrics that the condition asks about; NaN where a point did not end well.

        Returns
        -------
        list of (int, int, int)
            Combination, and the half-open range of its replicates; those of which it was told already are left out
            only if others follow them.
        """
        if not len(combinations):
            return []
        rows = self._rows_of(combinations, int(replicates.max()) + 1)
        asked = rows >= 0  # what is decided is decided
        rows, replicates = rows[asked], replicates[asked]
        self._came[rows, replicates] = True
        for metric, name in enumerate(self._condition.metrics):
            self._values[metric, rows, replicates] = values[name][asked]
        touched = np.unique(rows)
        before = self._opened[touched]
        pending = touched
        while len(pending):  # on resuming, rows of what is opened now are there already
            pending = self._grow(pending)
        after = self._opened[touched]
        grown = np.flatnonzero(after > before)
        ranges = zip(
            self._numbers[touched[grown]].tolist(), before[grown].tolist(), after[grown].tolist(), strict=True
        )
        return list(ranges)

    def _rows_of(self, combinations: Integers, width: int) -> Integers:
        """Return the rows of combinations, `_DECIDED` where there is none any more; make room for so many replicates."""
        most = int(combinations.max()) + 1
        if most > len(self._rows):
            more = np.full(max(most, 2 * len(self._rows)) - len(self._rows), _NEW, np.int32)
            self._rows = np.concatenate([self._rows, more])
        new = np.unique(combinations[self._rows[combinations] == _NEW])
        if self._used + len(new) > len(self._came) or width > self._came.shape[1]:
            self._make_room(len(new), width)
        added = np.arange(self._used, self._used + len(new), dtype=np.int32)
        self._rows[new], self._numbers[added], self._opened[added] = added, new, self._first
        self._came[added] = False
        self._used += len(new)
        return self._rows[combinations].astype(np.int64)

    def _make_room(self, more: int, width: int) -> None:
        """Let go of what is decided, and make room for more rows, and replicates."""
        kept = np.flatnonzero(self._rows[self._numbers[: self._used]] >= 0)
        places = self._came.shape[1]
        size = max(len(kept) + more, 2 * len(kept))
        shape = size, places if width <= places else max(width, min(2 * places, self._most))
        came, values = np.zeros(shape, np.bool_), np.empty((len(self._values), *shape))
        came[: len(kept), :places] = self._came[kept]
        values[:, : len(kept), :places] = self._values[:, kept]
        numbers, opened = np.empty(size, np.int64), np.empty(size, np.int64)
        numbers[: len(kept)], opened[: len(kept)] = self._numbers[kept], self._opened[kept]
        self._came, self._values, self._numbers, self._opened = came, values, numbers, opened
        self._used = len(kept)
        self._rows[numbers[: len(kept)]] = np.arange(len(kept), dtype=np.int32)

    def _grow(self, rows: Integers) -> Integers:
        """Open more replicates where the open ones have ended and are not enough; return the rows where that was so."""
        grown = []
        for n in np.unique(self._opened[rows]).tolist():
            alike = rows[self._opened[rows] == n]
            whole = alike[self._came[alike, :n].all(axis=1)] if n <= self._came.shape[1] else alike[:0]
            values = {name: self._values[i][whole, :n] for i, name in enumerate(self._condition.metrics)}
            counts, holds = needed(self._condition, values, n, self._most)
            self._opened[whole] = counts
            decided = counts == n
            self._rows[self._numbers[whole[decided]]] = _DECIDED
            self.precise += int(holds[decided].sum())
            self.imprecise += int((~holds[decided]).sum())
            grown.append(whole[~decided])
        return np.concatenate(grown)
