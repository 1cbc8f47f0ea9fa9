"""Rows of a lazy axis, found by their content.

Theory of operation
-------------------
What a point has of a lazy axis depends on its row and on the values that the axis' conditions read elsewhere, the
*context*. For each context that is met, every known row is computed once, some thousand at a time, and of its content
a hash of 64 bits is kept, sorted. A row that is found by its hash is computed again and compared, so hashes decide
nothing but where to look; of two rows that differed and had the same one, the second would count as new.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.errors import UsageError
from swath.space.axes import Series
from swath.space.computed import MOST_LISTED
from swath.space.expressions import Column
from swath.space.ordering import mixed
from swath.space.values import canonical, key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swath.space.blocks import Block

    Integers = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Mask = NDArray[np.bool_]

_CHUNK: Final = 2**16
_ABSENT: Final = np.uint64(1)
_NUMBER: Final = np.uint64(2)


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
            f"{axis.known:,} rows of {', '.join(axis.names)} are too many to be compared by value, {MOST_LISTED:,} are "
            "possible: keep to the same design with more or fewer draws, or give the run another name"
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
        found[rows] = lookup.find(asked, rows)
    return np.where(found < 0, nothing, found)


def _present(column: Column | None, n: int) -> Mask:
    if column is None:
        return np.zeros(n, np.bool_)
    return np.ones(n, np.bool_) if column.present is None else column.present


def _lookup(block: Block, i: int, context: Mapping[int, int], were: Mapping[str, Series]) -> Lookup:
    what = canonical(
        [i, block.axes[i].known, list(context.items()), {n: s.items[0] for n, s in were.items()}]
    )
    found = block.lookups.get(what)
    if found is None:
        known = block.axes[i].known
        outdated = any(each.known != known for each in block.lookups.values())
        if outdated or (len(block.lookups) + 1) * known > 2 * MOST_LISTED:
            block.lookups.clear()
        found = block.lookups[what] = Lookup(block, i, context, were)
    return found


class Lookup:
    """The known rows of a lazy axis in one context; see `rows_of`."""

    def __init__(self, block: Block, i: int, context: Mapping[int, int], were: Mapping[str, Series]) -> None:
        self._block, self._i, self._context, self._were = block, i, context, were
        hashes, rows = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        self.known = known = block.axes[i].known
        for start in range(0, known, _CHUNK):
            chunk = np.arange(start, min(start + _CHUNK, known), dtype=np.int64)
            columns = self._columns(chunk)
            sound = self._sound(columns, len(chunk))
            hashes.append(self._hashes(columns, len(chunk))[sound])
            rows.append(chunk[sound])
        found = np.concatenate(hashes)
        order = np.argsort(found, kind="stable")
        self._sorted, self._rows = found[order], np.concatenate(rows)[order]

    def find(self, asked: Mapping[str, Column], rows: Integers) -> Integers:
        """Return the rows that have what is asked for at some places; as `rows_of` does."""
        n = len(rows)
        wanted = {name: _taken(column, rows) for name, column in asked.items()}
        hashes = self._hashes(wanted, n)
        place = np.minimum(np.searchsorted(self._sorted, hashes), max(len(self._sorted) - 1, 0))
        hits = np.flatnonzero(self._sorted[place] == hashes) if len(self._sorted) else place[:0]
        found, there = np.full(n, -1), self._rows[place[hits]]
        columns = self._columns(there)
        alike = np.ones(len(hits), np.bool_)
        for name in self._block.axes[self._i].names:
            if name not in self._were:
                column = wanted.get(name)
                alike &= same(_nothing(len(hits)) if column is None else _taken(column, hits), columns[name])
        found[hits[alike]] = there[alike]
        return found

    def _columns(self, rows: Integers) -> dict[str, Column]:
        """Return what some rows have."""
        axis = self._block.axes[self._i]
        codes = {self._i: rows, **{i: np.full(len(rows), code) for i, code in self._context.items()}}
        parts = zip(axis.names, axis.series, self._block.presence(self._i, codes), strict=True)
        return {name: Column(series.at(rows), there) for name, series, there in parts}

    def _sound(self, columns: Mapping[str, Column], n: int) -> Mask:
        """Tell which rows have anything at all, and what they must have had."""
        some, sound = np.zeros(n, np.bool_), np.ones(n, np.bool_)
        for name, column in columns.items():
            there = _present(column, n)
            some |= there
            if name in self._were:
                sound &= ~there | (self._were[name].places_of(Series.of(column.values)) == 0)
        return sound & some

    def _hashes(self, columns: Mapping[str, Column], n: int) -> Words:
        found = np.zeros(n, np.uint64)
        for name in self._block.axes[self._i].names:
            part = np.full(n, _ABSENT)
            if name in columns and name not in self._were:
                there = _present(columns[name], n)
                part[there] = _contents(columns[name].values[there])
            found = mixed(found ^ part, _NUMBER)
        return found


def _nothing(n: int) -> Column:
    return Column(np.zeros(n), np.zeros(n, np.bool_))


def _taken(column: Column, rows: Integers) -> Column:
    return Column(column.values[rows], None if column.present is None else column.present[rows])


def _contents(values: NDArray[Any]) -> Words:
    """Return hashes that are equal for equal content."""
    if values.dtype.kind in "if":
        return mixed((values.astype(np.float64) + 0.0).view(np.uint64), _NUMBER)  # -0.0 is 0.0
    items = values.tolist()
    keys = list(map(key, items))
    known = {name: _content(item) for name, item in dict(zip(keys, items, strict=True)).items()}
    return np.fromiter((known[name] for name in keys), np.uint64, len(items))


def _content(value: Any) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1000:
        return int(_contents(np.array([value], np.float64))[0])
    return int.from_bytes(blake2b(canonical(value).encode(), digest_size=8).digest(), "little")


def same(left: Column, right: Column) -> Mask:
    """Tell row by row whether two columns have equal content, or are both absent."""
    n = len(left.values)
    here, there = _present(left, n), _present(right, n)
    found: Mask = (here == there) & (_alike(left.values, right.values) | ~here)
    return found


def _alike(left: NDArray[Any], right: NDArray[Any]) -> Mask:
    if left.dtype == right.dtype and left.dtype.kind == "f" and not (np.isnan(left) & np.isnan(right)).any():
        found: Mask = left == right
        return found
    pairs = zip(map(key, left.tolist()), map(key, right.tolist()), strict=True)
    return np.fromiter((a == b for a, b in pairs), np.bool_, len(left))
