"""The candidates of a space: a union of blocks, from index to columns of points and back.

Theory of operation
-------------------
Blocks stand one after the other, so an index is an offset plus an index in a block; the block's tree turns
that into codes, and a value is looked up by its code. `Points` holds codes block by block and makes columns
when they are asked for. A parameter has one type in all blocks, so that what an expression makes of a point
does not depend on the points beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import ExpressionError, UsageError
from swath.space.axes import Axis, Series
from swath.space.blocks import Block
from swath.space.expressions import Column, Expression
from swath.space.lookup import rows_of
from swath.space.points import Part, Points
from swath.space.tree import LARGEST
from swath.space.values import Value, canonical

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
    names : sequence of str
        Parameters that come first in ``names``, in this order.

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

    def __init__(
        self, blocks: Sequence[Sequence[Axis]], derive: Mapping[str, Expression], names: Sequence[str] = ()
    ) -> None:
        self.derive = dict(derive)
        found = (name for axes in blocks for axis in axes for name in axis.names)
        self.names = tuple(dict.fromkeys((*names, *found)))
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
        self._kinds: dict[str, np.dtype[Any]] = {}

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

    def values(self, part: Part, name: str) -> NDArray[Any]:
        """Return a parameter's values at the points of a part, in the one type that it has in all blocks.

        Returns
        -------
        ndarray, shape (n,)
            Where the parameter is inactive, without meaning.
        """
        series, code = part.block.series(name), part.code(name)
        if series.computed is not None:
            return series.at(code).astype(self.kind(name), copy=False)
        found = self._typed.get((part.number, name))
        if found is None:
            kind = self.kind(name)
            found = (
                series.objects if kind.kind == "O" else np.append(series.array, series.array[:1]).astype(kind)
            )
            self._typed[part.number, name] = found
        return found[code]

    def kind(self, name: str) -> np.dtype[Any]:
        """Return the type that a parameter has in all blocks."""
        found = self._kinds.get(name)
        if found is None:
            found = self._kinds[name] = self._kind(name)
        return found

    def _kind(self, name: str) -> np.dtype[Any]:
        series = [block.series(name) for block in self.blocks if name in block.place]
        kinds = {each.kind for each in series}
        if len(kinds) == 1:
            return kinds.pop()
        mixed = kinds == {np.dtype(np.int64), np.dtype(np.float64)}
        return np.dtype(np.float64 if mixed and all(map(_are_exact, series)) else object)

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
                found = int(block.tree.encode(_codes(block, given), 1)[0])
                if found >= 0:
                    return offset + found
        raise KeyError(f"no point is {canonical(dict(point))}")


def _are_exact(series: Series) -> bool:
    """Tell whether values are floats without loss."""
    if series.kind == np.float64:
        return True
    return series.computed is None and bool((np.abs(series.array) <= 2**53).all())


def _codes(block: Block, given: Mapping[str, Series]) -> list[Integers]:
    """Return the codes of one point on the axes of a block; -1 where an axis has no such value."""
    codes = {
        i: axis.find([_place(axis, name, given) for name in axis.names])
        for i, axis in enumerate(block.axes)
        if not axis.lazy
    }
    asked = {name: Column(series.array, None) for name, series in given.items()}
    codes |= {i: rows_of(block, i, codes, asked, 1) for i, axis in enumerate(block.axes) if axis.lazy}
    return [codes[i] for i in range(len(block.axes))]


def _place(axis: Axis, name: str, given: Mapping[str, Series]) -> Integers:
    if name not in given:
        return np.array([len(axis)])
    return axis.series[axis.names.index(name)].places_of(given[name])
