"""Finding the points of an earlier definition in a later one, by content, a column at a time.

Theory of operation
-------------------
For every pair of an old and a new block, each axis of the new one gets its code from the codes of the old:
name by name an old code becomes a place among the new axis' values (a table, made once), places become a
code (`Axis.find`), and the new block's tree turns codes into an index, or says that there is no such point.
Rows of a design are the same rows in an extended one, by number; of other lazy axes they are looked up by their content.
What a point was before it had a parameter (``was``) is a constant place, where that parameter is active. Then those go whose derived values
differ, as far as the objective receives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swath.space.axes import Series
from swath.space.blocks import theirs_places
from swath.space.lookup import rows_of, same
from swath.space.values import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from swath.space.axes import Axis
    from swath.space.blocks import Block
    from swath.space.candidates import Candidates
    from swath.space.points import Part
    from swath.space.values import Value

    Integers = NDArray[np.int64]


class Matching:
    """From indices of old candidates to indices of new ones.

    Parameters
    ----------
    new, old : Candidates
        Where to look, and for whose points.
    was : mapping of str to value
        What old points count as having had, for parameters that they do not have at all.
    receives : collection of str
        What the objective receives; derived values among it belong to the content.
    """

    def __init__(
        self, new: Candidates, old: Candidates, was: Mapping[str, Value], receives: Collection[str]
    ) -> None:
        self._new, self._old = new, old
        self._was = {name: Series([value]) for name, value in was.items() if name not in old.names}
        self._asked = canonical(dict(was)), frozenset(receives)
        self._places: dict[tuple[int, int, str], Integers] = {}
        received = [name for name in dict.fromkeys((*new.derive, *old.derive)) if name in receives]
        self._hopeless = any((name in new.derive) != (name in old.derive) for name in received)
        self._unequal = [name for name in received if _meaning(new, name) != _meaning(old, name)]

    def serves(self, old: Candidates, was: Mapping[str, Value], receives: Collection[str]) -> bool:
        """Tell whether this matching was made for the same question."""
        return old is self._old and self._asked == (canonical(dict(was)), frozenset(receives))

    def __call__(self, indices: Integers) -> Integers:
        """Return the new indices, shape (n,); -1 where there is none."""
        found = np.full(len(indices), -1)
        if self._hopeless:
            return found
        for part in self._old.take(indices).parts:
            rows = slice(None) if part.rows is None else part.rows
            found[rows] = self._located(part)
        for name in self._unequal:
            hits = np.flatnonzero(found >= 0)
            alike = same(self._old.take(indices[hits]).column(name), self._new.take(found[hits]).column(name))
            found[hits[~alike]] = -1
        return found

    def _located(self, part: Part) -> Integers:
        found = np.full(part.n, -1)
        for number, block in enumerate(self._new.blocks):
            if self._foreign(part.block, block):
                continue
            index = block.tree.encode(self._codes(part, number), part.n)
            for name in part.block.place.keys() - block.place.keys():  # unknown there, so it must be inactive
                there = part.present(name)
                index = np.where(True if there is None else there, -1, index)
            found = np.where((found < 0) & (index >= 0), index + self._new.offsets[number], found)
        return found

    @staticmethod
    def _foreign(theirs: Block, ours: Block) -> bool:
        """Tell whether every point of a block has a parameter that another block does not know."""
        return any(not theirs.conditional(name) for name in theirs.place.keys() - ours.place.keys())

    def _codes(self, part: Part, number: int) -> list[Integers]:
        block = self._new.blocks[number]
        codes = {i: self._code(part, number, axis) for i, axis in enumerate(block.axes) if not axis.lazy}
        active = {i: _as_active(code, len(block.axes[i])) for i, code in codes.items()}
        codes |= {i: self._row(part, block, i, active) for i, axis in enumerate(block.axes) if axis.lazy}
        return [codes[i] for i in range(len(block.axes))]

    def _row(self, part: Part, block: Block, i: int, codes: Mapping[int, Integers]) -> Integers:
        axis = block.axes[i]
        for theirs, code in zip(part.block.axes, part.codes, strict=True):
            if axis.design and axis.design == theirs.design:
                return np.where(code == len(theirs), len(axis), np.where(code < len(axis), code, -1))
        asked = {name: part.column(name) for name in axis.names if name in part.block.place}
        were = {name: self._was[name] for name in axis.names if name not in asked and name in self._was}
        return rows_of(block, i, codes, asked, part.n, were)

    def _code(self, part: Part, number: int, axis: Axis) -> Integers:
        code = axis.find([self._place(part, number, axis, name) for name in axis.names])
        if axis.when is not None and self._was.keys() >= set(axis.names):
            return code + len(axis) + 1  # where it is inactive, old points are right to lack it
        return code

    def _place(self, part: Part, number: int, axis: Axis, name: str) -> Integers:
        if name not in part.block.place:
            constant = self._was.get(name)
            place = len(axis) if constant is None else int(theirs_places(axis, name, constant)[0])
            return np.full(part.n, place)
        series = part.block.series(name)
        if series.computed is not None:
            column = part.column(name)
            found = axis.series[axis.names.index(name)].places_of(Series.of(column.values))
            return found if column.present is None else np.where(column.present, found, len(axis))
        table = self._places.get((part.number, number, name))
        if table is None:
            table = theirs_places(axis, name, series)
            self._places[part.number, number, name] = table
        return table[part.code(name)]


def _as_active(code: Integers, width: int) -> Integers:
    """Return codes without those that stand for "if the axis is active"; see `Tree.encode`."""
    return np.where(code > width, code - width - 1, code)


def _meaning(space: Candidates, name: str) -> Any:
    """Return what a name stands for, down to parameters: equal meanings give equal values."""
    if name not in space.derive:
        return name
    expression = space.derive[name]
    return expression.text, tuple(_meaning(space, read) for read in sorted(expression.names))
