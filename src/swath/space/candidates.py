"""The candidates of a space: a union of blocks, from index to columns of points and back.

Theory of operation
-------------------
Blocks stand one after the other, so an index is an offset plus an index in a block; the block's tree turns
that into codes, and a value is looked up by its code. `Points` holds codes block by block and makes columns
when they are asked for. A parameter has one type in all blocks, so that what an expression makes of a point
does not depend on the points beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from swath.errors import ExpressionError, UsageError
from swath.space.blocks import Axis, Block, Series
from swath.space.expressions import Column, Expression
from swath.space.tree import LARGEST
from swath.space.values import ABSENT, Value, canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


class Candidates:
    """A union of blocks of axes, with derived columns.

    Parameters
    ----------
    blocks : sequence of sequences of Axis
        In order. A point that an earlier block contains is left out.
    derive : mapping of str to Expression
        More columns; each may read parameters and the derived columns before it.

    Attributes
    ----------
    blocks : tuple of Block
        As compiled.
    offsets : list of int
        The index at which each block begins, and at last the size.
    size : int
        Number of points.
    names : tuple of str
        All parameters, in order of first appearance.

    Raises
    ------
    ExpressionError
        An expression reads what there is not, or conditions combine in too many ways.
    UsageError
        There are more than 2^63 - 1 points, or a name stands twice.
    """

    def __init__(self, blocks: Sequence[Sequence[Axis]], derive: Mapping[str, Expression]) -> None:
        self.derive = dict(derive)
        self.names = tuple(dict.fromkeys(name for axes in blocks for axis in axes for name in axis.names))
        self._check_derived()
        self.blocks: list[Block] = []
        self.offsets = [0]
        for axes in blocks:
            block = Block(axes, self.blocks)
            self.blocks.append(block)
            self.offsets.append(self.offsets[-1] + block.size)
        self.size = self.offsets[-1]
        if self.size > LARGEST:
            raise UsageError(
                f"{self.size:,} points are more than an index can count ({LARGEST:,}); leave out values"
            )
        self._typed: dict[tuple[int, str], NDArray[Any]] = {}

    def _check_derived(self) -> None:
        known = set(self.names)
        for name, expression in self.derive.items():
            if name in known:
                raise UsageError(f"derived column {name!r} has the name of a parameter; choose another")
            self._check(f"derived column {name!r}", expression, known)
            known.add(name)

    @staticmethod
    def _check(reader: str, expression: Expression, known: set[str]) -> None:
        unknown = expression.names - known
        if unknown:
            raise ExpressionError(
                f"{reader} reads {min(unknown)!r}, which is no parameter, nor derived before it"
            )

    def check(self, reader: str, expression: Expression) -> None:
        """Raise ExpressionError if an expression reads what is neither parameter nor derived column."""
        self._check(reader, expression, {*self.names, *self.derive})

    def columns(self, start: int, stop: int) -> Points:
        """Return the points with the indices [start, stop).

        Raises
        ------
        IndexError
            The range leaves [0, size).
        """
        return self.take(np.arange(start, stop, dtype=np.int64))

    def take(self, indices: Integers) -> Points:
        """Return the points with these indices, shape (n,), in any order.

        Raises
        ------
        IndexError
            An index is outside [0, size).
        """
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and not (indices.min() >= 0 and indices.max() < self.size):
            raise IndexError(
                f"the space has points 0 to {self.size - 1:,}, not {indices.min():,} to {indices.max():,}"
            )
        return Points(self, indices, tuple(self._parts(indices)))

    def _parts(self, indices: Integers) -> Iterator[Part]:
        if len(self.blocks) == 1:
            yield Part(0, self.blocks[0], None, indices, len(indices))
            return
        number = np.searchsorted(self.offsets[1:], indices, side="right")
        for i, block in enumerate(self.blocks):
            rows = np.flatnonzero(number == i)
            if len(rows):
                yield Part(i, block, rows, indices[rows] - self.offsets[i], len(rows))

    def typed(self, number: int, name: str) -> NDArray[Any]:
        """Return what a code in a block stands for, in the one type that this parameter has in all blocks.

        Returns
        -------
        ndarray, shape (values + 1,)
            The last place is for "inactive", and has no meaning.
        """
        found = self._typed.get((number, name))
        if found is None:
            series = self.blocks[number].series(name)
            kind = self._kind(name)
            found = (
                series.objects if kind.kind == "O" else np.append(series.array, series.array[:1]).astype(kind)
            )
            self._typed[number, name] = found
        return found

    def _kind(self, name: str) -> np.dtype[Any]:
        arrays = [block.series(name).array for block in self.blocks if name in block.place]
        kinds = {array.dtype for array in arrays}
        if len(kinds) == 1:
            return kinds.pop()
        mixed = kinds == {np.dtype(np.int64), np.dtype(np.float64)}
        exact = mixed and all((np.abs(array) <= 2**53).all() for array in arrays if array.dtype == np.int64)
        return np.dtype(np.float64 if exact else object)

    def index(self, point: Mapping[str, Value]) -> int:
        """Return the index of the candidate with exactly these active parameters, by content.

        Raises
        ------
        KeyError
            There is none.
        """
        given = {name: Series([value]) for name, value in point.items()}
        for offset, block in zip(self.offsets, self.blocks, strict=False):
            if given.keys() <= block.place.keys():
                codes = [axis.find([_place(axis, name, given) for name in axis.names]) for axis in block.axes]
                found = int(block.tree.encode(codes, 1)[0])
                if found >= 0:
                    return offset + found
        raise KeyError(f"no point is {canonical(dict(point))}")


_MOST_SHOWN = 5
"""Values of a point that a message repeats."""


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _place(axis: Axis, name: str, given: Mapping[str, Series]) -> Integers:
    if name not in given:
        return np.array([len(axis)])
    return axis.series[axis.names.index(name)].places_of(given[name])


@dataclass(eq=False)
class Part:
    """The points of one block among some points.

    Attributes
    ----------
    number, block : int, Block
        The block.
    rows : ndarray of int, shape (n,), or None
        Their rows; None: all rows.
    local : ndarray of int, shape (n,)
        Their indices in the block.
    n : int
        How many.
    """

    number: int
    block: Block
    rows: Integers | None
    local: Integers
    n: int

    @cached_property
    def codes(self) -> list[Integers]:
        """For each axis the codes, shape (n,); one past the last value: inactive."""
        return self.block.tree.decode(self.local)

    def code(self, name: str) -> Integers:
        """Return the codes of a parameter of this block."""
        return self.codes[self.block.place[name][0]]

    def present(self, name: str) -> NDArray[np.bool_] | None:
        """Return where a parameter of this block is active; None: everywhere."""
        if not self.block.conditional(name):
            return None
        present = self.code(name) < len(self.block.series(name))
        return None if present.all() else present


class Points:
    """Columns of n points; made by `Candidates.take`.

    Attributes
    ----------
    indices : ndarray of int, shape (n,)
        Which points, in this order.
    n : int
        How many.
    parts : tuple of Part
        The same by block.
    """

    def __init__(self, candidates: Candidates, indices: Integers, parts: tuple[Part, ...]) -> None:
        self.indices = indices
        self.n = len(indices)
        self.parts = parts
        self._candidates = candidates
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        """Return a parameter or derived column as expressions read it; it is not to be changed.

        Raises
        ------
        KeyError
            The space has neither.
        ExpressionError
            A derived column cannot be evaluated.
        """
        found = self._columns.get(name)
        if found is None:
            expression = self._candidates.derive.get(name)
            found = self._parameter(name) if expression is None else self.evaluate(expression)
            self._columns[name] = found
        return found

    def evaluate(self, expression: Expression) -> Column:
        """Evaluate an expression over parameters and derived columns.

        Raises
        ------
        ExpressionError
            It cannot be evaluated; the text names the first of these points for which that is so.
        """
        columns = {name: self.column(name) for name in expression.names}
        try:
            return expression.evaluate(columns, self.n)
        except ExpressionError as error:
            raise ExpressionError(f"{error}, at {self._blame(expression)}") from error

    def _blame(self, expression: Expression) -> str:
        """Find the first point for which an expression cannot be evaluated, by halves: no row depends on another."""
        first, last = 0, self.n
        while last - first > 1:
            middle = (first + last) // 2
            half = self._candidates.take(self.indices[first:middle])
            try:
                expression.evaluate({name: half.column(name) for name in expression.names}, half.n)
            except ExpressionError:
                last = middle
            else:
                first = middle
        index = self.indices[first : first + 1]
        read = sorted(expression.names)[:_MOST_SHOWN]
        values = self._candidates.take(index).arguments(read)
        shown = ", ".join(f"{name}={_shown(value)}" for name, (value,) in zip(read, values, strict=True))
        return f"point {index[0]:,}" + (f" ({shown})" if shown else "")

    def _parameter(self, name: str) -> Column:
        pieces = [
            (part, self._candidates.typed(part.number, name)[part.code(name)])
            for part in self.parts
            if name in part.block.place
        ]
        if len(pieces) == 1 and pieces[0][0].rows is None:
            return Column(pieces[0][1], pieces[0][0].present(name))
        values = np.zeros(self.n, pieces[0][1].dtype if pieces else self._nothing(name))
        present = np.zeros(self.n, np.bool_)
        for part, piece in pieces:
            there = part.present(name)
            values[part.rows] = piece
            present[part.rows] = True if there is None else there
        return Column(values, None if present.all() else present)

    def _nothing(self, name: str) -> np.dtype[Any]:
        """Return the type of a parameter that none of the points has."""
        number = next((i for i, block in enumerate(self._candidates.blocks) if name in block.place), None)
        if number is None:
            raise KeyError(f"the space has no parameter or derived column {name!r}")
        return self._candidates.typed(number, name).dtype

    def arguments(self, names: Sequence[str]) -> list[list[Any]]:
        """Return Python values, one list of n for each name; `ABSENT` where a parameter is inactive.

        Lists and mappings are those of the axis, the same for many points: copy them before they can be changed.
        Raises as `column` does.
        """
        return [
            self._derived(name) if name in self._candidates.derive else self._values(name) for name in names
        ]

    def _derived(self, name: str) -> list[Any]:
        found = self.column(name)
        values = cast("list[Any]", found.values.tolist())
        if found.present is None:
            return values
        return [
            value if there else ABSENT for value, there in zip(values, found.present.tolist(), strict=True)
        ]

    def _values(self, name: str) -> list[Any]:
        whole = [part for part in self.parts if part.rows is None and name in part.block.place]
        if whole:
            return cast("list[Any]", self._objects(whole[0], name).tolist())
        self._nothing(name)
        values = np.full(self.n, ABSENT, dtype=object)
        for part in self.parts:
            if name in part.block.place:
                values[part.rows] = self._objects(part, name)
        return values.tolist()

    @staticmethod
    def _objects(part: Part, name: str) -> NDArray[Any]:
        series, code = part.block.series(name), part.code(name)
        if isinstance(series.items, range) and part.present(name) is None:  # stays lazy: a million integers
            return series.array[code]
        return series.objects[code]
