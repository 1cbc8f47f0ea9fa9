"""A space of points: lazy, addressed by index, vectorised both ways.

Theory of operation
-------------------
A space is a union of blocks; a block is a product of axes, some of them active only under a condition. Each
block is compiled into a tree (`swath.tree`) that turns indices into codes and back; a point's values are
looked up by code, so 10^12 points cost what their axes cost. Later blocks leave out what earlier ones contain.

``len`` and indices count *candidates*: ``where`` is applied to columns of points by whoever holds them, so
nobody scans a product beforehand. Positions are indices in the order of the sweep.

Two points are the same if they have the same parameters with the same content (see `swath.values.key`); that is how
`match` finds the rows of an earlier definition in this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from swath import ordering
from swath.errors import ExpressionError
from swath.expressions import Column, Expression, column
from swath.ordering import Permutation
from swath.tree import Builder, Condition, decode, encode
from swath.values import (
    ABSENT,
    Opaque,
    Value,
    arange,
    canonical,
    content_id,
    from_json,
    geomspace,
    key,
    linspace,
    logspace,
    to_json,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swath.tree import Node

__all__ = ["ABSENT", "Axis", "Opaque", "Points", "Space", "arange", "canonical", "geomspace", "linspace", "logspace"]

MOST_CELLS = 10**6
"""Cells of a condition's truth table."""

SAMPLE = 10**6
"""Candidates that an estimate looks at."""

_FORMS: dict[str, Callable[..., Sequence[Value]]] = {
    "linspace": linspace,
    "geomspace": geomspace,
    "logspace": logspace,
    "range": arange,
    "seeds": ordering.seeds,
}


@dataclass(frozen=True, eq=False)
class Axis:
    """Values that are tried one after the other; of several names if these vary together.

    Attributes
    ----------
    names : tuple of str
        Parameters.
    values : tuple of sequences
        For each name its values, all of one length.
    when : Expression or None
        When the axis is active; reads parameters before it.
    form : tuple or None
        How the values of a single name were made, as ``("linspace", 0, 1, 5)``.
    """

    names: tuple[str, ...]
    values: tuple[Sequence[Value], ...]
    when: Expression | None = None
    form: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return len(self.values[0])

    @cached_property
    def codes(self) -> dict[tuple[Any, ...], int]:
        """Code of each combination of values, by content; of equal ones the first."""
        found: dict[tuple[Any, ...], int] = {}
        for code, row in enumerate(zip(*self.values, strict=True)):
            found.setdefault(tuple(map(key, row)), code)
        return found

    def repeated(self) -> tuple[int, int] | None:
        """Return the places of the first combination that occurs twice, if one does."""
        if len(self.codes) == len(self):
            return None
        return next(
            (self.codes[content], code)
            for code, row in enumerate(zip(*self.values, strict=True))
            if self.codes[content := tuple(map(key, row))] != code
        )

    @cached_property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Values of each name, as expressions read them."""
        return tuple(map(column, self.values))

    @cached_property
    def objects(self) -> tuple[NDArray[Any], ...]:
        """Values of each name, each of the type it has, with `ABSENT` behind the last: code -1 finds it."""
        return tuple(column([*values, ABSENT]) for values in self.values)

    def spec(self) -> dict[str, Any]:
        """Describe the axis in JSON, briefly."""
        made: dict[str, Any] = {"names": list(self.names)}
        if self.form is not None:
            made["form"] = list(self.form)
        else:
            made["values"] = [[to_json(value) for value in values] for values in self.values]
        if self.when is not None:
            made["when"] = self.when.text
        return made

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Axis:
        """Undo `spec`."""
        when = Expression(spec["when"]) if "when" in spec else None
        if "form" in spec:
            name, *arguments = spec["form"]
            return cls(tuple(spec["names"]), (_FORMS[name](*arguments),), when, (name, *arguments))
        values = tuple([from_json(value) for value in column_] for column_ in spec["values"])
        return cls(tuple(spec["names"]), values, when)


class Space:
    """A union of blocks of axes.

    Parameters
    ----------
    blocks : sequence of sequences of Axis
        In order; a name occurs once in a block.
    where : Expression, optional
        What points must satisfy.
    derive : mapping of str to Expression
        More columns; each may read parameters and those before it.
    order : str
        ``grid``: as written, last fastest; ``shuffle``: a permutation that ``root`` chooses.
    root : int
        The root of all randomness.

    Raises
    ------
    ExpressionError
        If points cannot be counted in 63 bits, or conditions combine in too many ways.
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[Axis]],
        *,
        where: Expression | None = None,
        derive: Mapping[str, Expression] | None = None,
        order: str = "grid",
        root: int = 0,
    ) -> None:
        self.blocks = tuple(tuple(block) for block in blocks)
        self.where = where
        self.derive = dict(derive or {})
        self.order = order
        self.root = root
        self.names = tuple(dict.fromkeys(name for block in self.blocks for axis in block for name in axis.names))
        self.derived = tuple(self.derive)
        self._trees = [_tree(self.blocks, number) for number in range(len(self.blocks))]
        self._offsets = [0]
        for tree in self._trees:
            self._offsets.append(self._offsets[-1] + tree.size)
        self.size = self._offsets[-1]
        if self.size > 2**63 - 1:
            raise ExpressionError(f"{self.size:,} points; an index goes up to {2**63 - 1:,}")
        self._places = [{name: (a, i) for a, axis in enumerate(block) for i, name in enumerate(axis.names)} for block in self.blocks]

    def __len__(self) -> int:
        return self.size

    @cached_property
    def _permutation(self) -> Permutation:
        return Permutation(self.size, self.root)

    def indices(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the indices at positions [start, stop)."""
        positions = np.arange(start, stop, dtype=np.int64)
        return self._permutation.forward(positions) if self.order == "shuffle" else positions

    def positions(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of indices."""
        indices = np.asarray(indices, dtype=np.int64)
        return self._permutation.inverse(indices) if self.order == "shuffle" else indices

    def columns(self, start: int, stop: int) -> Points:
        """Return the points with indices [start, stop)."""
        return self.take(np.arange(start, stop, dtype=np.int64))

    def take(self, indices: NDArray[np.int64]) -> Points:
        """Return the points with the given indices, each in [0, size)."""
        parts: list[_Part] = []
        number = np.searchsorted(self._offsets, indices, side="right") - 1 if len(self.blocks) > 1 else None
        for block, (tree, offset) in enumerate(zip(self._trees, self._offsets, strict=False)):
            rows: Any = slice(None)
            if number is not None:
                rows = np.flatnonzero(number == block)
                if not len(rows):
                    continue
            codes = decode(tree, indices[rows] - offset if offset else indices[rows], len(self.blocks[block]))
            parts.append(_Part(self.blocks[block], self._places[block], rows, codes))
        return Points(self, indices, parts)

    def __getitem__(self, index: int) -> dict[str, Value]:
        place = index + self.size if index < 0 else index
        if not 0 <= place < self.size:
            raise IndexError(f"point {index} of {self.size}")
        arguments = self.take(np.array([place])).arguments(self.names)
        return {name: values[0] for name, values in zip(self.names, arguments, strict=True) if values[0] is not ABSENT}

    def index(self, point: Mapping[str, Value]) -> int:
        """Return the index of a point, found by content.

        Raises
        ------
        KeyError
            If the space has no such point.
        """
        contents = {name: key(value) for name, value in point.items()}
        for block, places in enumerate(self._places):
            if not contents.keys() <= places.keys():
                continue
            codes = np.full((len(self.blocks[block]), 1), -1, dtype=np.int64)
            for a, axis in enumerate(self.blocks[block]):
                given = [name in contents for name in axis.names]
                if any(given):
                    codes[a] = axis.codes.get(tuple(contents.get(name, ABSENT) for name in axis.names), -2)
            found = int(encode(self._trees[block], codes)[0])
            if found >= 0:
                return found + self._offsets[block]
        raise KeyError(f"no point {dict(point)!r}")

    def __contains__(self, point: Mapping[str, Value]) -> bool:
        try:
            self.index(point)
        except KeyError:
            return False
        return True

    def keep(self, points: Points) -> NDArray[np.bool_]:
        """Tell which points satisfy ``where``."""
        if self.where is None:
            return np.ones(points.n, dtype=bool)
        return self.where.holds(points, points.n)

    def content_id(self, index: int, receives: Collection[str]) -> str:
        """Return the content id of a point: of its parameters, and of the derived values among ``receives``."""
        point = self[index]
        wanted = [name for name in self.derived if name in receives]
        values = self.take(np.array([index])).arguments(wanted)
        point |= {name: value for name, (value,) in zip(wanted, values, strict=True) if value is not ABSENT}
        return content_id(point)

    def count(self, limit: int = 10**8) -> tuple[int, bool]:
        """Count the points that satisfy ``where``.

        Returns
        -------
        points : int
            How many.
        exact : bool
            False if more than ``limit`` candidates had to be looked at, and a sample of them was.
        """
        if self.where is None:
            return self.size, True
        read = self._read_by_where()
        plain = all(axis.when is None for block in self.blocks for axis in block)
        if plain and len(self.blocks) == 1:
            axes = [axis for axis in self.blocks[0] if read & set(axis.names)]
            part = Space([axes], derive=self.derive)
            found, exact = part._scan(self.where, limit)  # noqa: SLF001  # a space of our own
            return found * (self.size // max(1, part.size)), exact
        return self._scan(self.where, limit)

    def _read_by_where(self) -> set[str]:
        pending, read = list(self.where.names) if self.where else [], set()
        while pending:
            name = pending.pop()
            read.add(name)
            if name in self.derive:
                pending += self.derive[name].names
        return read

    def _scan(self, where: Expression, limit: int) -> tuple[int, bool]:
        if self.size > limit:
            drawn = np.random.default_rng(0).integers(0, self.size, SAMPLE)
            return round(float(where.holds(self.take(drawn), SAMPLE).mean()) * self.size), False
        found, chunk = 0, 2**16
        for start in range(0, self.size, chunk):
            points = self.columns(start, min(start + chunk, self.size))
            found += int(where.holds(points, points.n).sum())
        return found, True

    def match(
        self,
        old: Space,
        indices: NDArray[np.int64],
        *,
        was: Mapping[str, Value],
        receives: Collection[str],
    ) -> NDArray[np.int64]:
        """Find points of an earlier space here, by content.

        Parameters
        ----------
        old : Space
            The earlier space.
        indices : ndarray[n]
            Points of it.
        was : mapping of str to value
            What its points count as having had, for parameters that it does not have at all.
        receives : collection of str
            Derived values among these are part of a point's content.

        Returns
        -------
        ndarray[n]
            Their indices here, -1 where there is none or ``where`` excludes it.
        """
        indices = np.asarray(indices, dtype=np.int64)
        found = np.full(len(indices), -1, dtype=np.int64)
        before = {name: value for name, value in was.items() if name not in old.names}
        for part in old.take(indices).parts:
            rows = np.arange(len(indices))[part.rows]
            for block, tree in enumerate(self._trees):
                open_rows = found[rows] < 0
                located = encode(tree, self._codes_here(part, block, before))
                here = open_rows & (located >= 0)
                found[rows[here]] = located[here] + self._offsets[block]
        hits = np.flatnonzero(found >= 0)
        if self.where is not None and len(hits):
            found[hits[~self.keep(self.take(found[hits]))]] = -1
        self._drop_other_derived(old, indices, found, receives)
        return found

    def _codes_here(self, part: _Part, block: int, before: Mapping[str, Value]) -> NDArray[np.int64]:
        """Translate codes of another space's block into codes of a block of this one; -2 where there is none."""
        axes = self.blocks[block]
        n = part.codes.shape[1]
        codes = np.full((len(axes), n), -1, dtype=np.int64)
        known = {name for axis in axes for name in axis.names}
        for a, axis in enumerate(axes):
            codes[a] = _translated(part, axis, before, n)
        for name, (theirs, _) in part.places.items():
            if name not in known:
                codes[0, part.codes[theirs] >= 0] = -2  # it has a parameter that is unknown here
        return codes

    def _drop_other_derived(
        self, old: Space, indices: NDArray[np.int64], found: NDArray[np.int64], receives: Collection[str]
    ) -> None:
        names = [name for name in {*self.derived, *old.derived} if name in receives]
        if {n: old.derive.get(n) for n in old.derived} == {n: self.derive.get(n) for n in self.derived} or not names:
            return
        hits = np.flatnonzero(found >= 0)
        theirs, ours = old.take(indices[hits]), self.take(found[hits])
        same = np.ones(len(hits), dtype=bool)
        for name in names:
            if name not in old.derive or name not in self.derive:
                same[:] = False
                continue
            pairs = zip(theirs.arguments([name])[0], ours.arguments([name])[0], strict=True)
            same &= np.fromiter((_same(a, b) for a, b in pairs), dtype=bool, count=len(hits))
        found[hits[~same]] = -1

    def spec(self) -> dict[str, Any]:
        """Describe the space in JSON, briefly; `from_spec` makes it again."""
        return {
            "blocks": [[axis.spec() for axis in block] for block in self.blocks],
            "where": self.where.text if self.where else None,
            "derive": {name: expression.text for name, expression in self.derive.items()},
            "order": self.order,
            "root": self.root,
        }

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Space:
        """Undo `spec`."""
        return cls(
            [[Axis.from_spec(axis) for axis in block] for block in spec["blocks"]],
            where=Expression(spec["where"]) if spec["where"] else None,
            derive={name: Expression(text) for name, text in spec["derive"].items()},
            order=spec["order"],
            root=spec["root"],
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """The points of one block among some points."""

    axes: tuple[Axis, ...]
    places: Mapping[str, tuple[int, int]]
    rows: Any
    codes: NDArray[np.int64]

    def conditional(self, axis: int) -> bool:
        return self.axes[axis].when is not None


@dataclass(slots=True)
class Points(Mapping[str, Column]):
    """Columns of n points; a mapping of every parameter and derived name to its column."""

    space: Space
    indices: NDArray[np.int64]
    parts: list[_Part]
    _derived: dict[str, Column] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.indices)

    def __getitem__(self, name: str) -> Column:
        return self.column(name)

    def __iter__(self) -> Any:
        return iter((*self.space.names, *self.space.derived))

    def __len__(self) -> int:
        return len(self.space.names) + len(self.space.derived)

    def column(self, name: str) -> Column:
        """Return a column as expressions read it.

        Raises
        ------
        KeyError
            If the space has no such name.
        """
        if name in self.space.derive:
            if name not in self._derived:
                self._derived[name] = self.space.derive[name].evaluate(self, self.n)
            return self._derived[name]
        if name not in self.space.names:
            raise KeyError(name)
        columns = [self._of_part(part, name) for part in self.parts]
        if len(columns) == 1 and isinstance(self.parts[0].rows, slice) and columns[0] is not None:
            return columns[0]
        return self._assembled(columns)

    @staticmethod
    def _of_part(part: _Part, name: str) -> Column | None:
        if name not in part.places:
            return None
        axis, place = part.places[name]
        codes = part.codes[axis]
        present = codes >= 0 if part.conditional(axis) else None
        return Column(part.axes[axis].arrays[place][codes], None if present is None or present.all() else present)

    def _assembled(self, columns: Sequence[Column | None]) -> Column:
        kinds = {found.values.dtype for found in columns if found is not None}
        present = np.zeros(self.n, dtype=bool)
        if len(kinds) == 1:
            values = np.zeros(self.n, dtype=kinds.pop())
        else:
            values = np.empty(self.n, dtype=object)
        for part, found in zip(self.parts, columns, strict=True):
            if found is not None:
                values[part.rows] = found.values
                present[part.rows] = True if found.present is None else found.present
        return Column(values, None if present.all() else present)

    def arguments(self, names: Sequence[str]) -> list[list[Value]]:
        """Return, for each name, the values of all points as Python objects; `ABSENT` where there is none."""
        return [self._objects(name) for name in names]

    def _objects(self, name: str) -> list[Value]:
        if name in self.space.derive:
            found = self.column(name)
            values = found.values.tolist()
            if found.present is not None:
                values = [value if there else ABSENT for value, there in zip(values, found.present.tolist(), strict=True)]
            return values
        made: list[Value] = []
        for part in self.parts:
            objects = [ABSENT] * part.codes.shape[1]
            if name in part.places:
                axis, place = part.places[name]
                always = not part.conditional(axis)
                values = part.axes[axis].values[place]
                kinds = part.axes[axis].arrays[place].dtype.kind
                if always and (kinds in "bi" or (kinds == "f" and all_floats(values))):
                    objects = part.axes[axis].arrays[place][part.codes[axis]].tolist()
                else:
                    objects = part.axes[axis].objects[place][part.codes[axis]].tolist()
            if isinstance(part.rows, slice):
                return objects
            made = made or [ABSENT] * self.n
            for row, value in zip(part.rows.tolist(), objects, strict=True):
                made[row] = value
        return made


def all_floats(values: Sequence[Value]) -> bool:
    """Tell whether values are floats throughout, and not integers among floats."""
    return set(map(type, values)) == {float}


# Compiling blocks.


def _tree(blocks: Sequence[Sequence[Axis]], number: int) -> Node:
    axes = blocks[number]
    active = {a: _when(axes, axis.when) for a, axis in enumerate(axes) if axis.when is not None}
    earlier = [_contained(axes, other) for other in blocks[:number]]
    return Builder([len(axis) for axis in axes], active, [found for found in earlier if found is not None]).build()


def _table(axes: Sequence[Axis], which: Sequence[int], holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Condition:
    """Fill a truth table over axes; ``holds`` is asked once, with codes of shape [len(which), cells]."""
    chosen = tuple(sorted(which))
    shape = tuple(len(axes[a]) + 1 for a in chosen)
    cells = int(np.prod(shape, dtype=object)) if shape else 1
    if cells > MOST_CELLS:
        raise ExpressionError(f"a condition over {cells:,} combinations of values; at most {MOST_CELLS:,} are looked at, use where")
    codes = np.indices(shape).reshape(len(shape), -1) if shape else np.zeros((0, 1), dtype=np.int64)
    for row, a in enumerate(chosen):
        codes[row][codes[row] == len(axes[a])] = -1
    return Condition(chosen, holds(codes).reshape(shape))


def _columns_of(axes: Sequence[Axis], chosen: Sequence[int], codes: NDArray[np.int64]) -> dict[str, Column]:
    return {
        name: Column(axes[a].arrays[place][codes[row]], codes[row] >= 0)
        for row, a in enumerate(chosen)
        for place, name in enumerate(axes[a].names)
    }


def _axes_of(axes: Sequence[Axis], names: Collection[str]) -> list[int]:
    return [a for a, axis in enumerate(axes) if set(axis.names) & set(names)]


def _when(axes: Sequence[Axis], when: Expression) -> Condition:
    which = sorted(_axes_of(axes, when.names))
    return _table(axes, which, lambda codes: when.holds(_columns_of(axes, which, codes), codes.shape[1]))


def _contained(axes: Sequence[Axis], other: Sequence[Axis]) -> list[Condition] | None:
    """Say when a point of ``axes`` is in the block ``other`` too: conditions that must all hold; None: never."""
    mine = {name: axis for axis in axes for name in axis.names}
    theirs = {name for axis in other for name in axis.names}
    conditions: list[Condition] = []
    for name, axis in mine.items():
        if name not in theirs:
            if axis.when is None:
                return None
            (place,) = _axes_of(axes, [name])
            conditions.append(_table(axes, [place], lambda codes: codes[0] < 0))
    for axis in other:
        if axis.when is None and not set(axis.names) <= mine.keys():
            return None
        conditions.append(_on_axis(axes, axis))
    return conditions


def _on_axis(axes: Sequence[Axis], theirs: Axis) -> Condition:
    """Say when a point of ``axes`` has, for the names of an axis of another block, what that axis allows."""
    read = theirs.when.names if theirs.when else frozenset()
    which = sorted(_axes_of(axes, {*theirs.names, *read}))

    def holds(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        n = codes.shape[1]
        columns = _columns_of(axes, which, codes)
        missing = np.zeros(n, dtype=bool)
        active = np.ones(n, dtype=bool)
        if theirs.when is not None:
            known = {name: columns.get(name, Column(np.zeros(n), missing)) for name in read}
            active = theirs.when.holds(known, n)
        contents = [_contents(axes, which, codes, name) for name in theirs.names]
        has = np.fromiter((row in theirs.codes for row in zip(*contents, strict=True)), dtype=bool, count=n)
        lacks = np.fromiter((all(v is ABSENT for v in row) for row in zip(*contents, strict=True)), dtype=bool, count=n)
        return np.where(active, has, lacks)

    return _table(axes, which, holds)


def _contents(axes: Sequence[Axis], which: Sequence[int], codes: NDArray[np.int64], name: str) -> list[Any]:
    for row, a in enumerate(which):
        if name in axes[a].names:
            values = axes[a].values[axes[a].names.index(name)]
            return [ABSENT if code < 0 else key(values[code]) for code in codes[row].tolist()]
    return [ABSENT] * codes.shape[1]


# Matching.


def _translated(part: _Part, axis: Axis, before: Mapping[str, Value], n: int) -> NDArray[np.int64]:
    """Give each row its code on an axis of another space: -1 inactive, -2 a value that the axis lacks."""
    sources = sorted({part.places[name][0] for name in axis.names if name in part.places})
    if not sources:
        return np.full(n, _code(axis, part, (), (), before), dtype=np.int64)
    if len(sources) == 1:
        (a,) = sources
        length = len(part.axes[a])
        table = np.array([_code(axis, part, sources, (code,), before) for code in [*range(length), -1]], dtype=np.int64)
        return table[part.codes[a]]  # type: ignore[no-any-return]
    combinations, place = np.unique(part.codes[sources], axis=1, return_inverse=True)
    table = np.array([_code(axis, part, sources, codes, before) for codes in combinations.T.tolist()], dtype=np.int64)
    return table[place.reshape(-1)]  # type: ignore[no-any-return]


def _code(axis: Axis, part: _Part, sources: Sequence[int], codes: Sequence[int], before: Mapping[str, Value]) -> int:
    contents: list[Any] = []
    for name in axis.names:
        if name in part.places:
            a, place = part.places[name]
            code = codes[sources.index(a)]
            contents.append(ABSENT if code < 0 else key(part.axes[a].values[place][code]))
        else:
            contents.append(key(before[name]) if name in before else ABSENT)
    if all(content is ABSENT for content in contents):
        return -1
    return axis.codes.get(tuple(contents), -2)


def _same(left: Value, right: Value) -> bool:
    return left is right or (ABSENT not in (left, right) and key(left) == key(right))
