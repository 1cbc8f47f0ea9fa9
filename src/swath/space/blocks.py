"""A block of axes: their product, without what is inactive or in an earlier block.

Theory of operation
-------------------
A block turns its conditions into truth tables over the codes of the few axes that they read, and leaves
the rest to `swath.space.tree`. A point of this block is in an earlier block if, for each axis there in turn,
the values are a combination of that axis where its ``when`` holds, and all absent where it does not;
asked in order, each axis may trust the ones before it, so each is a condition of its own.

A lazy axis has no truth tables. No other axis may depend on it, and two blocks share points only if they draw the same
rows: then its code is the same, and says nothing. Which of its names a point has is found point by point (`presence`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from swath.errors import ExpressionError, UsageError
from swath.space.computed import Computed
from swath.space.expressions import Column
from swath.space.tree import MOST_BRANCHES, Condition, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.space.axes import Axis, Series
    from swath.space.lookup import Lookup

    Integers = NDArray[np.int64]
    Mask = NDArray[np.bool_]


class Block:
    """A product of axes.

    Parameters
    ----------
    axes : sequence of Axis
        In order, the last fastest.
    earlier : sequence of Block
        Blocks of the union before this one: a point that one of them contains is left out here.

    Attributes
    ----------
    axes : tuple of Axis
        As given.
    place : dict of str to (int, int)
        For every parameter its axis, and its place among the names there.
    tree : Tree
        From index to codes and back.
    size : int
        Number of points.

    Raises
    ------
    ExpressionError
        A condition reads what it cannot, or depends on too much.
    UsageError
        A name stands twice, an axis has no values, or there are too many points.
    """

    def __init__(self, axes: Sequence[Axis], earlier: Sequence[Block] = ()) -> None:
        self.axes = tuple(axes)
        self.place: dict[str, tuple[int, int]] = {}
        for i, axis in enumerate(self.axes):
            self._add(i, axis)
        for i in range(len(self.axes)):
            self._check_reads(i)
        active = {i: self._active(i) for i, axis in enumerate(self.axes) if all(axis.conditions)}
        contained = [conditions for block in earlier if (conditions := self._in(block)) is not None]
        self.tree = Tree([len(axis) for axis in self.axes], active, contained)
        self.size = self.tree.size
        self.lookups: dict[str, Lookup] = {}
        """What `swath.space.lookup` has made for this block."""
        self.plain = not (active or contained)
        """Whether it is just the product, so that axes do not influence each other."""

    def _add(self, i: int, axis: Axis) -> None:
        for place, name in enumerate(axis.names):
            if name in self.place:
                raise UsageError(f"parameter {name!r} stands twice in one block; leave one out")
            if not len(axis.values[place]):
                raise UsageError(f"parameter {name!r} has no values; give it one, or leave it out")
            self.place[name] = i, place

    def series(self, name: str) -> Series:
        """Return the values of a parameter of this block."""
        axis, place = self.place[name]
        return self.axes[axis].series[place]

    def conditional(self, name: str) -> bool:
        """Tell whether a parameter of this block can be inactive."""
        axis, place = self.place[name]
        return self.axes[axis].conditions[place] is not None

    def _active(self, i: int) -> Condition:
        """Say when a point has a name of an axis: those on a lazy axis count as absent until one of them is there."""
        axis = self.axes[i]

        def holds(codes: Mapping[int, Integers], n: int) -> Mask:
            columns = {**dict.fromkeys(axis.names, _nothing(n)), **self.columns(codes, axis.reads)}
            some: Mask = np.logical_or.reduce([when.holds(columns, n) for when in axis.conditions if when])
            return some

        return self._table(axis.reads, holds)

    def _check_reads(self, i: int) -> None:
        """Refuse conditions that read what is not before them, or what is computed for each row."""
        axis = self.axes[i]
        optional = all(axis.conditions)
        for place, when in enumerate(axis.conditions):
            for name in sorted(when.names if when else ()):
                other, there = self.place.get(name, (len(self.axes), 0))
                if axis.lazy and other == i:
                    fits = there < place
                else:
                    fits = other < i if optional else other < len(self.axes)
                if not fits:
                    raise ExpressionError(
                        f"`when` of {axis.names[place]!r} reads {name!r}, which is no earlier parameter"
                    )
                if other != i and self.axes[other].lazy:
                    raise ExpressionError(
                        f"`when` of {axis.names[place]!r} reads {name!r}, whose values are drawn one by one; "
                        f"draw {axis.names[place]!r} too"
                    )

    def _table(
        self, names: frozenset[str], holds: Callable[[Mapping[int, Integers], int], Mask]
    ) -> Condition:
        """Ask what holds for all codes of the axes that have one of these names."""
        axes = tuple(sorted({self.place[name][0] for name in names if name in self.place}))
        cells = math.prod(len(self.axes[axis]) for axis in axes)
        if cells > MOST_BRANCHES:
            read = ", ".join(sorted(names))
            raise ExpressionError(
                f"too many combinations of conditions: {cells:,} values of {read} decide, at most {MOST_BRANCHES:,} can; "
                "use `where` in place of `when`, or fewer values"
            )
        shape = tuple(len(self.axes[axis]) + 1 for axis in axes)
        n = math.prod(shape)
        grid = np.indices(shape, dtype=np.int64).reshape(len(axes), n)
        return Condition(axes, holds(dict(zip(axes, grid, strict=True)), n).reshape(shape))

    def columns(self, codes: Mapping[int, Integers], names: frozenset[str]) -> dict[str, Column]:
        """Return columns for expressions.

        Parameters
        ----------
        codes : mapping of int to ndarray of int, shape (n,)
            Codes of, at least, the axes that have these names.
        names : frozenset of str
            Parameters of this block; others are left out.
        """
        made = {}
        for name in names & self.place.keys():
            code, series = codes[self.place[name][0]], self.series(name)
            made[name] = Column(series.at(code), code < len(series))
        return made

    def presence(self, i: int, codes: Mapping[int, Integers]) -> tuple[Mask | None, ...]:
        """Tell row by row which names of a lazy axis a point has, where that axis is active.

        Parameters
        ----------
        i : int
            Which axis.
        codes : mapping of int to ndarray of int, shape (n,)
            Codes of, at least, this axis and those that its conditions read.

        Returns
        -------
        tuple of (ndarray of bool, shape (n,), or None)
            For each name; None: everywhere.
        """
        axis = self.axes[i]
        made: list[Mask | None] = []
        rows = np.minimum(codes[i], len(axis) - 1)
        for values, when in zip(axis.values, axis.conditions, strict=True):
            there = values.present(rows) if when and isinstance(values, Computed) else None
            if when and there is None:
                columns = self.columns(codes, when.names - set(axis.names))
                for place, name in enumerate(axis.names[: len(made)]):
                    if name in when.names:
                        columns[name] = Column(axis.series[place].at(rows), made[place])
                there = when.holds(columns, len(rows))
            made.append(there)
        return tuple(made)

    def _in(self, earlier: Block) -> list[Condition] | None:
        """Return what all holds of the points that an earlier block contains; None if it contains none."""
        if not _same_draws(self.axes, earlier.axes):
            return None
        foreign = [name for name in self.place if name not in earlier.place]
        if any(not self.conditional(name) for name in foreign):
            return None
        absent = [self._table(frozenset({name}), self._lacks(name)) for name in foreign]
        return [*absent, *(self._agrees(axis) for axis in earlier.axes if not axis.lazy)]

    def _lacks(self, name: str) -> Callable[[Mapping[int, Integers], int], Mask]:
        axis = self.place[name][0]
        return lambda codes, _n: codes[axis] == len(self.axes[axis])

    def _agrees(self, theirs: Axis) -> Condition:
        """Say for which codes an axis of another block has the values, or is inactive where they are absent."""
        names = frozenset(theirs.names)
        read = theirs.when.names if theirs.when else frozenset()

        def holds(codes: Mapping[int, Integers], n: int) -> NDArray[np.bool_]:
            code = theirs.find([self._places(theirs, name, codes, n) for name in theirs.names])
            has = (code >= 0) & (code < len(theirs))
            if theirs.when is None:
                return has
            columns = {**dict.fromkeys(read, _nothing(n)), **self.columns(codes, read)}
            return np.where(theirs.when.holds(columns, n), has, code == len(theirs))

        return self._table(names | read, holds)

    def _places(self, theirs: Axis, name: str, codes: Mapping[int, Integers], n: int) -> Integers:
        if name not in self.place:
            return np.full(n, len(theirs))
        return theirs_places(theirs, name, self.series(name))[codes[self.place[name][0]]]


def _nothing(n: int) -> Column:
    """Return a column that no row has."""
    return Column(np.zeros(n), np.zeros(n, np.bool_))


def _same_draws(ours: Sequence[Axis], theirs: Sequence[Axis]) -> bool:
    """Tell whether two blocks have the same lazy axes; what is drawn is not compared value by value."""
    left, right = ({(axis.design, len(axis)) for axis in axes if axis.lazy} for axes in (ours, theirs))
    return left == right and (None, 0) not in {(design, 0) for design, _ in left}


def theirs_places(axis: Axis, name: str, series: Series) -> Integers:
    """Return for every code of a series, the inactive one too, the place among an axis' values of that name.

    Returns
    -------
    ndarray of int, shape (len(series) + 1,)
        As `Axis.find` takes them.
    """
    return np.append(axis.series[axis.names.index(name)].places_of(series), len(axis))
