"""Axes, and a block of them: the product of its axes, without what is inactive or in an earlier block.

Theory of operation
-------------------
A block turns its conditions into truth tables over the codes of the few axes that they read, and leaves
the rest to `swath.space.tree`. A point of this block is in an earlier block if, for each axis there in turn,
the values are a combination of that axis where its ``when`` holds, and all absent where it does not;
asked in order, each axis may trust the ones before it, so each is a condition of its own.

Values of two blocks are compared by *place*: every value of one axis has a place among the values of the
other, or none. Where values vary together, places are put together name by name into the place of a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import ExpressionError, UsageError
from swath.space.expressions import Column, Expression, column
from swath.space.ordering import seeds
from swath.space.tree import MOST_BRANCHES, Condition, Tree
from swath.space.values import ABSENT, Opaque, Value, arange, geomspace, key, linspace, logspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_EXACT = 2**53
"""Integers up to here are floats without loss."""

_FORMS: dict[str, Callable[..., Sequence[Value]]] = {
    "linspace": linspace,
    "geomspace": geomspace,
    "logspace": logspace,
    "range": arange,
    "seeds": seeds,
}


class Series:
    """The values of one name on an axis, in the forms in which they are needed, each made at first use.

    Parameters
    ----------
    items : sequence
        n values.
    """

    def __init__(self, items: Sequence[Value]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def array(self) -> NDArray[Any]:
        """The values as expressions read them, shape (n,)."""
        return column(self.items)

    @cached_property
    def objects(self) -> NDArray[Any]:
        """The values themselves and `ABSENT` after them, shape (n + 1,), so that every code is a place."""
        return np.fromiter((*self.items, ABSENT), dtype=object, count=len(self.items) + 1)

    @cached_property
    def _first(self) -> dict[Any, int]:
        """The first place of each content."""
        found: dict[Any, int] = {}
        for place, value in enumerate(self.items):
            found.setdefault(key(value), place)
        return found

    @cached_property
    def _sorted(self) -> tuple[NDArray[Any], Integers]:
        """The distinct values, ascending, and the first place of each; for numbers only."""
        return np.unique(self.array, return_index=True)

    def places_of(self, other: Series) -> Integers:
        """Return for every value of another series the place of its equal here, -1 where there is none."""
        if not _comparable(self.array, other.array):
            return np.fromiter((self._first.get(key(v), -1) for v in other.items), np.int64, len(other))
        distinct, first = self._sorted
        place = _search(distinct, other.array)
        return np.where(place >= 0, first[place], -1)

    def own_places(self) -> Integers:
        """Return for every value the place of its first equal."""
        return self.places_of(self)


def _comparable(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Tell whether two arrays are numbers that numpy compares as content does."""
    if not (len(left) and left.dtype.kind in "if" and right.dtype.kind in "if"):
        return False
    whole = [array for array in (left, right) if array.dtype.kind == "i"]
    if len(whole) == 1 and not (np.abs(whole[0]) <= _EXACT).all():
        return False
    return not any(np.isnan(array).any() for array in (left, right))


def _search(ascending: NDArray[Any], wanted: NDArray[Any]) -> Integers:
    """Return the places of numbers in an ascending array that is not empty, -1 for those not in it."""
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[place] == wanted, place, -1)


@dataclass(frozen=True)
class Axis:
    """Values that are tried one after the other; of several names where these vary together.

    Attributes
    ----------
    names : tuple of str
        Parameters, at least one.
    values : tuple of sequences
        For each name its values, all of one length. A constant is an axis of length 1.
    when : Expression or None
        When the axis is active; it reads parameters of axes before it.
    form : tuple or None
        How the values of the only name were made: ``("linspace", 0.1, 1.0, 50)``, ``("seeds", 10, root)``.
    """

    names: tuple[str, ...]
    values: tuple[Sequence[Value], ...]
    when: Expression | None = None
    form: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return len(self.values[0])

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The values of each name."""
        return tuple(map(Series, self.values))

    def repeated(self) -> tuple[int, int] | None:
        """Return the two places of the first combination that occurs again, if one does."""
        rows = self.find([series.own_places() for series in self.series])
        again = np.flatnonzero(rows != np.arange(len(self)))
        return (int(rows[again[0]]), int(again[0])) if len(again) else None

    @cached_property
    def _combined(self) -> list[NDArray[np.int64]]:
        """For each name after the first, the distinct (row so far, place of this name), each as one number."""
        steps = []
        row = self.series[0].own_places()
        for series in self.series[1:]:
            pairs, row = np.unique(row * len(self) + series.own_places(), return_inverse=True)
            steps.append(pairs)
        return steps

    @cached_property
    def _first_rows(self) -> Integers:
        """The first code of each distinct row, in the numbering that `_combined` leads to."""
        return np.unique(self._fold([series.own_places() for series in self.series]), return_index=True)[1]

    def _fold(self, places: Sequence[Integers]) -> Integers:
        row = places[0]
        for pairs, place in zip(self._combined, places[1:], strict=True):
            found = _search(pairs, row * len(self) + place)
            row = np.where((row >= 0) & (place >= 0), found, -1)
        return row

    def find(self, places: Sequence[Integers]) -> Integers:
        """Return the codes of combinations, the first of equal ones; -1 for what is no combination of this axis.

        Parameters
        ----------
        places : sequence of ndarray of int, shape (n,)
            For each name, places among its values; -1: none of them, ``len(axis)``: absent.
        """
        absent = np.logical_and.reduce([place == len(self) for place in places])
        row = self._fold([np.where(place == len(self), -1, place) for place in places])
        if len(places) > 1:
            row = np.where(row >= 0, self._first_rows[row], -1)
        return np.where(absent, len(self), row)

    def spec(self) -> dict[str, Any]:
        """Describe the axis in JSON, by its form if it has one."""
        made: dict[str, Any] = {"names": list(self.names)}
        if self.form is None:
            made["values"] = [[_to_json(value) for value in column_] for column_ in self.values]
        else:
            made["form"] = list(self.form)
        return made if self.when is None else {**made, "when": self.when.text}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Axis:
        """Make the axis that `spec` described."""
        names, when = tuple(spec["names"]), Expression(spec["when"]) if "when" in spec else None
        if "form" in spec:
            kind, *arguments = spec["form"]
            return cls(names, (_FORMS[kind](*arguments),), when, tuple(spec["form"]))
        return cls(names, tuple([_from_json(value) for value in column_] for column_ in spec["values"]), when)


def _to_json(value: Value) -> Any:
    """Write an opaque constant as a mapping of one key, and a mapping that looks like that inside another."""
    if isinstance(value, Opaque):
        return {"$opaque": [value.digest, value.type_name]}
    if isinstance(value, Mapping) and value.keys() & {"$opaque", "$mapping"}:
        return {"$mapping": value}
    return value


def _from_json(value: Any) -> Value:
    if isinstance(value, Mapping) and "$mapping" in value:
        return value["$mapping"]
    return Opaque(*value["$opaque"]) if isinstance(value, Mapping) and "$opaque" in value else value


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
        active = {i: self._when(i) for i, axis in enumerate(self.axes) if axis.when is not None}
        contained = [conditions for block in earlier if (conditions := self._in(block)) is not None]
        self.tree = Tree([len(axis) for axis in self.axes], active, contained)
        self.size = self.tree.size
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
        return self.axes[self.place[name][0]].when is not None

    def _when(self, i: int) -> Condition:
        when = self.axes[i].when
        assert when is not None  # noqa: S101  # for the type checker
        for name in sorted(when.names):
            if self.place.get(name, (i,))[0] >= i:
                raise ExpressionError(
                    f"`when` of {self.axes[i].names[0]!r} reads {name!r}, which is no earlier parameter"
                )
        return self._table(when.names, lambda codes, n: when.holds(self.columns(codes, when.names), n))

    def _table(
        self, names: frozenset[str], holds: Callable[[Mapping[int, Integers], int], NDArray[np.bool_]]
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
            code, array = codes[self.place[name][0]], self.series(name).array
            made[name] = Column(array[np.minimum(code, len(array) - 1)], code < len(array))
        return made

    def _in(self, earlier: Block) -> list[Condition] | None:
        """Return what all holds of the points that an earlier block contains; None if it contains none."""
        foreign = [name for name in self.place if name not in earlier.place]
        if any(not self.conditional(name) for name in foreign):
            return None
        absent = [self._table(frozenset({name}), self._lacks(name)) for name in foreign]
        return [*absent, *(self._agrees(axis) for axis in earlier.axes)]

    def _lacks(self, name: str) -> Callable[[Mapping[int, Integers], int], NDArray[np.bool_]]:
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
            nothing = Column(np.zeros(n), np.zeros(n, np.bool_))
            columns = {**dict.fromkeys(read, nothing), **self.columns(codes, read)}
            return np.where(theirs.when.holds(columns, n), has, code == len(theirs))

        return self._table(names | read, holds)

    def _places(self, theirs: Axis, name: str, codes: Mapping[int, Integers], n: int) -> Integers:
        if name not in self.place:
            return np.full(n, len(theirs))
        return theirs_places(theirs, name, self.series(name))[codes[self.place[name][0]]]


def theirs_places(axis: Axis, name: str, series: Series) -> Integers:
    """Return for every code of a series, the inactive one too, the place among an axis' values of that name.

    Returns
    -------
    ndarray of int, shape (len(series) + 1,)
        As `Axis.find` takes them.
    """
    return np.append(axis.series[axis.names.index(name)].places_of(series), len(axis))
