"""``results.parquet``: the current definition's rows for others, in little memory.

Theory of operation. A small run is assembled whole, in the order of its points. A large one is written segment by
segment, a slice at a time, provided that nothing has to be compared across segments: all rows are of the current
definition, one a point, and every metric came in one type. Then rows are in order within a segment, and segments in the
order of their first points. A large run that is not so simple is assembled whole as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from swath.store.assembly import Assembly, Rows
from swath.store.files import Sink
from swath.store.history import one_each
from swath.store.segments import OURS, decode, numpy_column
from swath.store.winners import winners

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swath.store.disk import Piece
    from swath.store.entries import SegmentEntry
    from swath.store.history import Archive

WHOLE: Final = 2**20  # rows that are assembled at once; some 200 bytes each
SLICE: Final = 2**16  # rows that are written at a time


def parquet(archive: Archive) -> Iterator[Piece]:
    """Yield the content of a Parquet file with the rows of a run's current definition."""
    import pyarrow.parquet as pq  # noqa: PLC0415  start-up: only an export needs it

    metrics = _metrics(archive)
    tables = _whole(archive) if metrics is None else _slices(archive, metrics)
    first = next(tables)
    texts = [
        item.name
        for item in first.schema
        if pa.types.is_string(item.type) or pa.types.is_dictionary(item.type)
    ]
    sink = Sink()
    with (
        pa.PythonFile(sink, mode="w") as file,
        pq.ParquetWriter(file, first.schema, compression="zstd", use_dictionary=texts) as writer,
    ):
        writer.write_table(first)
        del first
        for table in tables:
            yield from sink.drained()
            writer.write_table(table)
    yield from sink.drained()


def _whole(archive: Archive) -> Iterator[pa.Table]:
    yield Assembly(archive).arrow


def _metrics(archive: Archive) -> dict[str, pa.DataType] | None:
    """Return the type of each metric of a large, simple run; None for any other."""
    entries = _entries(archive)
    target = archive.target(archive.manifest.current)
    if target is None or sum(entry.rows for entry in entries) <= WHOLE:
        return None
    if not one_each(entries) or not all(archive.is_like(entry.definition, target) for entry in entries):
        return None
    types: dict[str, pa.DataType] = {}
    for entry in entries:
        for field in decode(archive.disk, archive.folder, archive.manifest, entry).schema:
            known = field.name in OURS or pa.types.is_null(field.type)
            if not known and types.setdefault(field.name, field.type) != field.type:
                return None
    return types


def _slices(archive: Archive, metrics: dict[str, pa.DataType]) -> Iterator[pa.Table]:
    for entry in _entries(archive):
        table = decode(archive.disk, archive.folder, archive.manifest, entry)
        points = numpy_column(table, "point")
        order = winners(points, numpy_column(table, "attempts"))
        points, table = order.array(points), order.table(table.drop_columns("point"))
        for start in range(0, len(points), SLICE):
            part = Rows(archive.manifest.current, points[start : start + SLICE], table.slice(start, SLICE))
            yield _aligned(Assembly(archive, part).arrow, metrics, len(part.points))


def _aligned(table: pa.Table, metrics: dict[str, pa.DataType], rows: int) -> pa.Table:
    """Give a slice every metric of the run, in one order and of one type."""
    others = [name for name in table.column_names if name not in metrics]
    place = others.index("status")
    names = [*others[:place], *metrics, *others[place:]]
    columns = []
    for name in names:
        there = name in table.column_names and not (
            name in metrics and pa.types.is_null(table.column(name).type)
        )
        columns.append(table.column(name) if there else pa.nulls(rows, metrics[name]))
    return pa.Table.from_arrays(columns, names=names)


def _entries(archive: Archive) -> Sequence[SegmentEntry]:
    filled = [entry for entry in archive.manifest.segments if entry.rows]
    return sorted(filled, key=lambda entry: entry.positions.first(1))
