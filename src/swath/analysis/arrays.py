# ruff: noqa: PD011 - the values are those of levels and axes, not of frames
"""Rows as a labelled array: an xarray Dataset with a dimension for each parameter that varies, or one for the points.

Theory of operation
-------------------
Parameters that vary span a grid; names that the definition lets vary together (``zip``, ``table``) share one dimension. Each row
has a cell of it, found through codes, so a column becomes a variable by one assignment. Where parameters are absent from some
rows (``when``, unions of different names), or fewer than one cell in twenty would be filled (random designs), there is no grid to
speak of, and the points themselves are the dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from swath.analysis.levels import floats, free, groups, is_list, is_nan, labels, levels, utc
from swath.errors import UsageError
from swath.space import Opaque, canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.analysis.levels import Levels
    from swath.analysis.tables import Table
    from swath.space import Space

    Array = NDArray[Any]
    Variable = tuple[tuple[str, ...], Array]
    """Names of the dimensions, and the values."""

FILLED: Final = 20
"""Cells for each row, at most, for a grid that is chosen unasked."""
CELLS: Final = 10**8
"""Cells of a grid that was asked for, at most; 800 MB for each metric."""
JOINED: Final = 3
"""Names, at most, that a dimension of theirs is called by."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a Dataset is made of."""

    variables: dict[str, Variable]
    coordinates: dict[str, Variable]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """Cells, and which of them each row has.

    Attributes
    ----------
    dimensions : mapping of str to int
        Their names and lengths.
    codes : tuple of NDArray[int64], shape (rows,)
        For each dimension the place of each row.
    members : tuple of tuple of str
        For each dimension the parameters that vary along it.
    coordinates : mapping of str to Variable
        Their values.
    """

    dimensions: Mapping[str, int]
    codes: tuple[NDArray[np.int64], ...]
    members: tuple[tuple[str, ...], ...]
    coordinates: Mapping[str, Variable]

    @property
    def cells(self) -> int:
        """How many there are."""
        return math.prod(self.dimensions.values())

    @cached_property
    def cell(self) -> NDArray[np.int64]:
        """The cell of each row."""
        found = np.zeros(len(self.codes[0]), np.int64) if self.codes else np.empty(0, np.int64)
        for codes, length in zip(self.codes, self.dimensions.values(), strict=True):
            found = found * length + codes
        return found

    @cached_property
    def _straight(self) -> bool:
        """Whether row i has cell i."""
        return len(self.cell) == self.cells and bool((self.cell == np.arange(self.cells)).all())

    def _cell(self, n: int, rows: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the cells of n rows; without dimensions there is only one."""
        if not self.codes:
            return np.zeros(n, np.int64)
        return self.cell if rows is None else self.cell[rows]

    def along(self, names: Collection[str]) -> Grid:
        """Return the grid of some parameters only."""
        kept = [i for i, members in enumerate(self.members) if set(members) & set(names)]
        dimensions = list(self.dimensions.items())
        return Grid(
            dict(dimensions[i] for i in kept),
            tuple(self.codes[i] for i in kept),
            tuple(self.members[i] for i in kept),
            {},
        )

    def variable(
        self, values: Array, rows: NDArray[np.int64] | None = None, inner: Sequence[str] = ()
    ) -> Variable:
        """Put values of rows, shape (rows, ...), in their cells; cells without one are NaN or NaT."""
        shape = (*self.dimensions.values(), *values.shape[1:])
        names = (*self.dimensions, *inner)
        if self._straight and len(values) == self.cells:
            return names, values.reshape(shape)
        cell = self._cell(len(values), rows)
        filled = np.zeros(self.cells, bool)
        filled[cell] = True
        kind = values.dtype if filled.all() else _with_missing(values.dtype)
        made = np.full((self.cells, *values.shape[1:]), _missing(kind), kind)
        made[cell] = values
        return names, made.reshape(shape)


def _with_missing(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that holds values of a type beside missing ones."""
    return np.dtype(float) if kind.kind in "biu" else kind


def _missing(kind: np.dtype[Any]) -> Any:
    match kind.kind:
        case "f" | "O":
            return np.nan
        case "M" | "m":
            return np.array("NaT", kind)
    return 0


def parts(table: Table, metrics: Sequence[str], layout: str | None) -> Parts:
    """Lay rows out; see `Analysis.to_xarray`.

    Parameters
    ----------
    table : Table
        The rows.
    metrics : sequence of str
        Those to be variables.
    layout : {"grid", "points"} or None
        None: whichever fits.

    Raises
    ------
    UsageError
        There is no grid, or it would be too large; or arrays of a metric differ in length.
    """
    frame, definition, space = table.frame, table.definition, table.definition.space
    known = {name: levels(frame, name, space) for name in space.names}
    grid = _layout(frame, space, {name: item for name, item in known.items() if _varies(item)}, layout)
    variables = {name: _metric(name, table, grid) for name in metrics}
    for name in space.derived:
        part = grid if grid.members == ((),) else grid.along(_reads(space, name))
        variables[name] = part.variable(_values(frame[name]))
    for name in ("status", "seconds"):
        variables[name] = grid.variable(_values(frame[name]))
    attributes: dict[str, Any] = {"sweep": definition.name, **definition.directions}
    for name, item in known.items():
        if len(item) == 1 and not _varies(item):
            attributes[name] = _attribute(item.values.iloc[0])
    return Parts(variables, dict(grid.coordinates), attributes)


def _varies(known: Levels) -> bool:
    """Tell whether a parameter has several values, or is absent from some rows only."""
    return len(known) > 1 or bool(len(known) and (known.codes < 0).any())


def _layout(frame: pd.DataFrame, space: Space, known: Mapping[str, Levels], layout: str | None) -> Grid:
    """Return the grid of the rows, or the list of them as one."""
    if layout not in (None, "grid", "points"):
        raise UsageError(f"layout is 'grid' or 'points', not {layout!r}")
    absent = [name for name, there in known.items() if (there.codes < 0).any()]
    if layout == "points" or (layout is None and (absent or not len(frame))):
        return _points(frame, known)
    if absent:
        raise UsageError(
            f"{absent[0]} is absent from some of the rows, so they span no grid; choose rows with where, or let "
            "layout be 'points'"
        )
    grid = _grid(known, space, frame.columns)
    if layout is None:
        return grid if grid.cells <= FILLED * len(frame) else _points(frame, known)
    if grid.cells > CELLS:
        raise UsageError(
            f"the grid would have {grid.cells:,} cells for {len(frame):,} rows; choose some with where, or let "
            "layout be 'points'"
        )
    return grid


def _grid(known: Mapping[str, Levels], space: Space, taken: Iterable[str]) -> Grid:
    """Make a grid of parameters; those that vary together share a dimension."""
    dimensions: dict[str, int] = {}
    codes: list[NDArray[np.int64]] = []
    coordinates: dict[str, Variable] = {}
    members = _together(list(known), space)
    for names in members:
        found = [known[name] for name in names]
        if len(names) == 1:
            label, place, row = names[0], found[0].codes, np.arange(len(found[0]))
            picked = [row]
        else:
            label = free("_".join(names) if len(names) <= JOINED else "case", [*taken, *dimensions])
            place, first = groups(pd.DataFrame({name: known[name].codes for name in names}), names)
            picked = [there.codes[first] for there in found]
        dimensions[label] = len(picked[0])
        codes.append(place)
        for name, there, rows in zip(names, found, picked, strict=True):
            coordinates[name] = ((label,), _labels(there.values.iloc[rows]))
    return Grid(dimensions, tuple(codes), tuple(members), coordinates)


def _together(varying: Sequence[str], space: Space) -> list[tuple[str, ...]]:
    """Group names that share an axis, the same one in every block, in the order of the first of each."""
    axes = {
        name: {axis.names for block in space.blocks for axis in block if name in axis.names}
        for name in varying
    }
    found: dict[Any, list[str]] = {}
    for name in varying:
        shared = next(iter(axes[name])) if len(axes[name]) == 1 else name
        found.setdefault(shared, []).append(name)
    return [tuple(names) for names in found.values()]


def _points(frame: pd.DataFrame, known: Mapping[str, Levels]) -> Grid:
    """Make a grid of one dimension, which is the list of points."""
    dimension = free("point", frame.columns)
    coordinates: dict[str, Variable] = {dimension: ((dimension,), frame.index.to_numpy())}
    coordinates |= {name: ((dimension,), _values(frame[name])) for name in known}
    return Grid({dimension: len(frame)}, (np.arange(len(frame)),), ((),), coordinates)


def _reads(space: Space, name: str) -> set[str]:
    """Return the parameters that a derived value follows from."""
    pending, read = set(space.derive[name].names), set()
    while pending:
        reading = pending.pop()
        read.add(reading)
        pending |= set(space.derive[reading].names) if reading in space.derive else set()
    return read


def _values(series: pd.Series[Any]) -> Array:
    """Return a column as an array that xarray understands: NaN is what is missing, times are UTC without a zone."""
    kind = series.dtype
    if isinstance(kind, pd.DatetimeTZDtype):
        return utc(series)
    if isinstance(kind, np.dtype) and kind.kind != "O":
        return series.to_numpy()
    if getattr(kind, "kind", "O") in "biuf":
        return floats(series)
    if isinstance(kind, pd.CategoricalDtype):
        return np.array(series.cat.categories, object)[series.cat.codes.to_numpy()]
    return series.astype(object).to_numpy()


def _labels(values: pd.Series[Any]) -> Array:
    """Return values as coordinates: texts as numpy has them, lists and mappings as JSON."""
    found = _values(labels(values))
    if found.dtype != object:
        return found
    items = [None if is_nan(item) else item for item in found]
    return np.array(items, str if all(isinstance(item, str) for item in items) else object)


def _attribute(value: Any) -> Any:
    """Return a constant as an attribute: what is no text or number becomes text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str | int | float):
        return value
    return str(value) if isinstance(value, Opaque) else canonical(value)


def _metric(name: str, table: Table, grid: Grid) -> Variable:
    """Make a variable of a metric; arrays of one shape get dimensions of their own."""
    series = table.frame[name]
    column = table.arrow.column(name) if series.dtype == object else None
    if column is None or not is_list(column.type):
        return grid.variable(_values(series))
    rows = np.flatnonzero(column.is_valid().to_numpy())
    values = _dense(name, column.drop_null().combine_chunks())
    inner = tuple(
        free(f"{name}_{i}", [*grid.dimensions, *table.frame.columns]) for i in range(values.ndim - 1)
    )
    return grid.variable(values, rows, inner)


def _dense(name: str, array: pa.Array) -> Array:
    """Make an array of lists of one shape, itself of shape (rows, ...).

    Raises
    ------
    UsageError
        They differ in length.
    """
    shape = [len(array)]
    while is_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist() or [0]
        if len(lengths) > 1:
            shortest, longest = min(length or 0 for length in lengths), max(length or 0 for length in lengths)
            raise UsageError(
                f"metric {name} has arrays of {shortest} to {longest} values, which have no dimension in common; "
                "leave it out by metrics=[...], or choose rows with where"
            )
        shape.append(lengths[0] or 0)
        array = array.flatten()
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(shape)
