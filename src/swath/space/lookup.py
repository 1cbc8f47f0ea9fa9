"""Rows of a lazy axis, found by their content.

Theory of operation
-------------------
What a point has of a lazy axis depends on its row and on the values that the axis' conditions read elsewhere, the
*context*. For each context that is met the known rows are computed once, and each name gets a place for every
value, and one for absent. From then on rows are found as on any axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from swath.errors import UsageError
from swath.space.axes import Rows, Series
from swath.space.computed import MOST_LISTED
from swath.space.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from swath.space.blocks import Block
    from swath.space.expressions import Column

    Integers = NDArray[np.int64]


def rows_of(
    block: Block,
    i: int,
    codes: Mapping[int, Integers],
    asked: Mapping[str, Column],
    n: int,
    were: Mapping[str, Series] | None = None,
) -> Integers:
    """Find the rows of a lazy axis that have some content.

    Parameters
    ----------
    block : Block
        What has the axis.
    i : int
        Which axis it is.
    codes : mapping of int to ndarray of int, shape (n,)
        Codes of, at least, the axes that its conditions read.
    asked : mapping of str to Column
        What is looked for, by name; a name that is missing is absent everywhere.
    n : int
        How many points are looked for.
    were : mapping of str to Series of one value, optional
        Values of names that are not asked for: rows must have them, or lack the name.

    Returns
    -------
    ndarray of int, shape (n,)
        The first row of equal ones; -1: none of those that are known, ``len(axis)``: the point has none of the names.

    Raises
    ------
    UsageError
        The axis has too many rows to look through.
    """
    axis, were = block.axes[i], were or {}
    if axis.known > MOST_LISTED:
        raise UsageError(
            f"{axis.known:,} rows of {', '.join(axis.names)} are too many to look through for values, "
            f"{MOST_LISTED:,} are possible; name points by their number"
        )
    present = [_present(asked.get(name), n) for name in axis.names]
    nothing = np.where(np.logical_or.reduce(present), -1, len(axis))
    found = np.full(n, -1)
    context = sorted({block.place[name][0] for name in axis.reads})
    keys = np.stack([np.zeros(n, np.int64), *(codes[other] for other in context)], axis=1)
    some = np.flatnonzero(((nothing < 0) | bool(were)) & (keys >= 0).all(axis=1) & bool(axis.known))
    distinct, number = np.unique(keys[some], axis=0, return_inverse=True)
    for place, values in enumerate(distinct):
        rows = some[number.reshape(-1) == place]
        lookup = _lookup(block, i, dict(zip(context, values[1:].tolist(), strict=True)), were)
        found[rows] = lookup.find(asked, present, rows)
    return np.where(found < 0, nothing, found)


def _present(column: Column | None, n: int) -> NDArray[np.bool_]:
    if column is None:
        return np.zeros(n, np.bool_)
    return np.ones(n, np.bool_) if column.present is None else column.present


def _lookup(block: Block, i: int, context: Mapping[int, int], were: Mapping[str, Series]) -> Lookup:
    what = canonical(
        [i, block.axes[i].known, list(context.items()), {n: s.items[0] for n, s in were.items()}]
    )
    found = block.lookups.get(what)
    if found is None:
        block.lookups.clear()  # one at a time: it may be large
        found = block.lookups[what] = Lookup(block, i, context, were)
    return found


class Lookup:
    """The known rows of a lazy axis in one context; see `rows_of`."""

    def __init__(self, block: Block, i: int, context: Mapping[int, int], were: Mapping[str, Series]) -> None:
        axis = block.axes[i]
        n = axis.known
        codes = {i: np.arange(n, dtype=np.int64)}
        codes |= {other: np.full(n, code) for other, code in context.items()}
        self._absent = n
        self._series: dict[str, Series] = {}
        places, some = [], np.zeros(n, np.bool_)
        for name, series, there in zip(axis.names, axis.series, block.presence(i, codes), strict=True):
            values = Series.of(series.at(codes[i]))
            if name in were:
                place = -were[name].places_of(values)  # 0: equal, 1: another
            else:
                place = values.own_places()
                self._series[name] = values
            places.append(place if there is None else np.where(there, place, 0 if name in were else n))
            some |= True if there is None else there
        self._names = axis.names
        places[0] = np.where(some, places[0], n + 1)  # nothing is no row
        self._rows = Rows(places, n + 2)

    def find(
        self, asked: Mapping[str, Column], present: Sequence[NDArray[np.bool_]], rows: Integers
    ) -> Integers:
        """Return the rows that have what is asked for at some places; as `rows_of` does."""
        places = []
        for name, there in zip(self._names, present, strict=True):
            if name not in self._series:
                places.append(np.zeros(len(rows), np.int64))
            elif name not in asked:
                places.append(np.full(len(rows), self._absent))
            else:
                place = self._series[name].places_of(Series.of(asked[name].values[rows]))
                places.append(np.where(there[rows], place, self._absent))
        return self._rows.find(places)
