"""One tidy table from a run: for each point a row with parameters, metrics, and how it went.

Theory of operation. The rows that count are gathered over all segments (`swath.store.history`) and put in the order of
their points. Parameters are not stored; they are computed from the points, column by column. Only here, where all
rows are seen, the types of a metric are unified: numbers become floats where every integer among them is exact
as one, otherwise the column becomes text and a note says so. So neither types nor the order of columns depend on
which row was saved first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from swath.errors import DamageError
from swath.messages import STATUSES
from swath.space import canonical
from swath.store.segments import OURS, array, first_there, numpy_column, strings, take, unify
from swath.store.winners import winners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.definition import Definition
    from swath.space import Space
    from swath.space.expressions import Column
    from swath.store.entries import SegmentEntry
    from swath.store.history import Archive, Target

LAST: Final = ("status", "seconds", "attempts", "worker", "started", "failure")
"""The columns after the metrics."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One row for each of some points of one definition.

    Attributes
    ----------
    definition : int
        Its number.
    points : NDArray[int64], shape (n,)
        Indices, ascending.
    table : pa.Table
        n rows, with the columns of a segment but for ``point``.
    """

    definition: int
    points: NDArray[np.int64]
    table: pa.Table


class Assembly:
    """The rows of a run, and its columns.

    Parameters
    ----------
    archive : Archive
        The run at one instant.
    rows : Rows, optional
        Which; default: those of the current definition.

    Attributes
    ----------
    definition : Definition
        What the points are indices of.
    parameters : dict of str to Column
        Parameters and derived values, n each.
    metrics : dict of str to pa.ChunkedArray
        n each; null where a row does not have it.
    notes : tuple of str
        What had to be changed to make columns.
    """

    def __init__(self, archive: Archive, rows: Rows | None = None) -> None:
        self.rows = current(archive) if rows is None else rows
        self.definition = _sure(archive, self.rows.definition)
        self.workers = archive.manifest.workers
        self.parameters = _parameters(self.definition.space, self.rows.points)
        self.metrics, self.notes = _metrics(self.rows.table, self.parameters)

    @property
    def arrow(self) -> pa.Table:
        """All columns, with NaN and missing kept apart."""
        n = len(self.rows.points)
        columns: dict[str, Any] = {"point": array(self.rows.points, pa.int64())}
        columns |= {name: to_arrow(column) for name, column in self.parameters.items()}
        columns |= self.metrics
        columns["status"] = coded(numpy_column(self.rows.table, "status").view(np.int8), pa.int8(), STATUSES)
        columns |= {name: self.rows.table.column(name) for name in ("seconds", "attempts", "started")}
        columns["worker"] = coded(numpy_column(self.rows.table, "worker"), pa.int32(), self.workers)
        columns["failure"] = self.failure
        assert all(len(column) == n for column in columns.values())  # noqa: S101  our own arithmetic
        order = ["point", *self.parameters, *self.metrics, *LAST]
        return pa.Table.from_arrays([columns[name] for name in order], names=order)

    @property
    def failure(self) -> pa.ChunkedArray:
        """Why points failed; null where they did not."""
        if "failure" in self.rows.table.column_names:
            return self.rows.table.column("failure")
        return pa.chunked_array([pa.nulls(len(self.rows.points), pa.string())])


def _sure(archive: Archive, number: int) -> Definition:
    found = archive.definition(number) if number else None
    if found is None:
        damage = "; ".join(str(item) for item in archive.damage.values()) or "no definition was accepted yet"
        raise DamageError(f"{archive.folder}: without its definition the rows cannot be read: {damage}")
    return found


def current(archive: Archive) -> Rows:
    """Gather the rows of the current definition."""
    number = archive.manifest.current
    _sure(archive, number)
    target = archive.target(number)
    assert target is not None  # noqa: S101  _sure raised otherwise
    return gathered(archive, target, archive.manifest.segments)


def gathered(archive: Archive, target: Target, entries: Iterable[SegmentEntry]) -> Rows:
    """Gather the rows of a definition that some segments hold."""
    tables: list[pa.Table] = []
    points: list[NDArray[np.int64]] = []
    for entry in entries:
        table = archive.table(entry)
        if table is not None:
            indices = archive.indices(entry.definition, numpy_column(table, "point"), target)
            _add(tables, points, table, indices, indices >= 0)
    return _rows(target.number, tables, points)


def gone(archive: Archive) -> Iterator[Rows]:
    """Gather the rows of points that the current definition lacks, each in the newest definition that has it."""
    numbers = [
        entry.number for entry in archive.manifest.definitions if entry.number != archive.manifest.current
    ]
    targets = [
        archive.target(number) for number in (archive.manifest.current, *sorted(numbers, reverse=True))
    ]
    read = [
        (entry, table) for entry in archive.manifest.segments if (table := archive.table(entry)) is not None
    ]
    free = [np.ones(table.num_rows, dtype=bool) for _, table in read]
    for target in filter(None, targets):
        tables: list[pa.Table] = []
        points: list[NDArray[np.int64]] = []
        for (entry, table), waiting in zip(read, free, strict=True):
            indices = _indices(archive, entry.definition, table, target)
            _add(tables, points, table, indices, (indices >= 0) & waiting)
            waiting[indices >= 0] = False
        if target.number != archive.manifest.current and tables:
            yield _rows(target.number, tables, points)


def _indices(archive: Archive, definition: int, table: pa.Table, target: Target) -> NDArray[np.int64]:
    return archive.indices(definition, numpy_column(table, "point"), target)


def _add(
    tables: list[pa.Table],
    points: list[NDArray[np.int64]],
    table: pa.Table,
    indices: NDArray[np.int64],
    chosen: NDArray[np.bool_],
) -> None:
    """Add the chosen rows of a segment."""
    if chosen.all():
        tables.append(table)
        points.append(indices)
    elif chosen.any():
        places = np.flatnonzero(chosen)
        tables.append(take(table, places))
        points.append(indices[places])


def _rows(number: int, tables: Sequence[pa.Table], points: Sequence[NDArray[np.int64]]) -> Rows:
    """Join rows, keep those that count, in the order of their points."""
    table = unify(tables)
    if not table.num_rows:
        return Rows(number, np.empty(0, np.int64), table.drop_columns("point"))
    indices = np.concatenate(points)
    order = winners(indices, numpy_column(table, "attempts"))
    return Rows(number, order.array(indices), order.table(table.drop_columns("point")))


def _parameters(space: Space, points: NDArray[np.int64]) -> dict[str, Column]:
    whole = len(points) and points[-1] - points[0] + 1 == len(points)
    found = space.columns(int(points[0]), int(points[-1]) + 1) if whole else space.take(points)
    return {name: found.column(name) for name in (*space.names, *space.derived)}


def _metrics(
    table: pa.Table, parameters: Mapping[str, Column]
) -> tuple[dict[str, pa.ChunkedArray], tuple[str, ...]]:
    """Unify the fields of each metric; return the columns and what is to be said about them."""
    fields: dict[str, list[pa.ChunkedArray]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name not in OURS:
            fields.setdefault(name, []).append(column)
    notes = [
        f"metric {name} is left out: the definition has a parameter of that name"
        for name in fields
        if name in parameters
    ]
    columns: dict[str, pa.ChunkedArray] = {}
    for name in sorted(fields.keys() - parameters.keys(), key=_by_appearance(fields)):
        columns[name], note = unified(name, fields[name])
        notes += [note] if note else []
    return columns, tuple(notes)


def _by_appearance(fields: Mapping[str, Sequence[pa.ChunkedArray]]) -> Any:
    """Order metrics by the first point that has them; in doubt, as the objective returned them."""
    places = {name: place for place, name in enumerate(fields)}
    first = {name: min(first_there(column) for column in columns) for name, columns in fields.items()}
    return lambda name: (first[name], places[name])


def unified(name: str, fields: Sequence[pa.ChunkedArray]) -> tuple[pa.ChunkedArray, str]:
    """Make one column of a metric's fields.

    Parameters
    ----------
    name : str
        The metric, for the note.
    fields : sequence of pa.ChunkedArray
        Of different types; a row has a value in at most one of them.

    Returns
    -------
    column : pa.ChunkedArray
        Numbers where all are exact in one type, otherwise text.
    note : str
        Not empty where it became text.
    """
    fields = [field for field in fields if not pa.types.is_null(field.type)] or fields[:1]
    if len(fields) == 1:
        return fields[0], ""
    import pyarrow.compute as pc  # noqa: PLC0415  # start-up: few runs have such a metric

    for kind in _candidates([field.type for field in fields]):
        try:
            return pc.coalesce(*(field.cast(kind) for field in fields)), ""
        except pa.ArrowInvalid:  # a value is not exact in that type
            continue
    kinds = " and ".join(sorted(str(field.type) for field in fields))
    text = pc.coalesce(*(_text(field) for field in fields))
    return text, f"metric {name} is text: it came as {kinds}, which no number type holds exactly"


def _candidates(kinds: Sequence[pa.DataType]) -> list[pa.DataType]:
    """Return the types that may hold values of all of these exactly, the best first."""
    if all(pa.types.is_integer(kind) for kind in kinds):
        return [pa.int64(), pa.uint64()]
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return [pa.float64()]
    if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in kinds):
        return [pa.large_string()]
    if all(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        for kind in kinds
    ):
        return [pa.list_(kind) for kind in _candidates([kind.value_type for kind in kinds])]
    return []


def _text(field: pa.ChunkedArray) -> pa.Array:
    return strings([None if value is None else str(value) for value in field.to_pylist()])


def coded(codes: NDArray[Any], kind: pa.DataType, texts: Sequence[str]) -> pa.Array:
    """Make a column of texts that are given by their places in a list."""
    return pa.DictionaryArray.from_arrays(array(codes, kind), strings(texts))


def to_arrow(column: Column) -> pa.Array:
    """Make an Arrow column of a parameter; values of mixed types become text, others than text as JSON."""
    values, present = column.values, column.present
    if values.dtype == object:
        return _mixed(values, present)
    mask = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    if values.dtype == bool:
        data, kind = pa.py_buffer(np.packbits(values, bitorder="little")), pa.bool_()
    else:
        data, kind = pa.py_buffer(np.ascontiguousarray(values)), pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [mask, data])


def _mixed(values: NDArray[Any], present: NDArray[np.bool_] | None) -> pa.Array:
    """Make a column of texts of values of any type; of an object that stands in many rows, as those of axes do, only once."""
    there = np.arange(len(values)) if present is None else np.flatnonzero(present)
    same = np.fromiter(map(id, values[there]), np.int64, len(there))
    _, first, codes = np.unique(same, return_index=True, return_inverse=True)
    texts = [_as_text(value) for value in values[there[first]]]
    places = np.full(len(values), len(texts), np.int64)
    places[there] = codes
    made = strings([*texts, None])
    if (
        max(map(len, filter(None, texts)), default=0) * 4 * len(values) >= 1 << 31
    ):  # bytes of a letter, at most
        made = made.cast(pa.large_string())
    return made.take(array(places, pa.int64()))


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else canonical(value)
