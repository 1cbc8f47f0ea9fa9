"""Rows as Arrow tables: what slots send is checked and joined, what segments hold is checked and read.

Theory of operation. A segment is one Arrow IPC file with the columns of `CORE`, ``failure`` where something
failed, and then the metrics. Rows keep the types they came with: a metric has one field for each type, all of one
name, and a row has a value in at most one of them, null in the others. Nothing is decided here about which type is
right, so nothing depends on the order of arrival; the reader decides when it sees all rows. NaN stays NaN.

A slot's bytes are as little trusted as a file's: every buffer is validated in full before it is written and after
it is read, types are limited to plain data, and the points of a reply must lie within the batch that was offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from swath.messages import STATUSES
from swath.ranges import RangeSet
from swath.store import files, merging
from swath.store.ipc import WRONG, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from swath.messages import Write
    from swath.store.disk import Disk
    from swath.store.entries import SegmentEntry
    from swath.store.manifest import Manifest

CORE: Final[dict[str, pa.DataType]] = {
    "point": pa.int64(),
    "attempts": pa.uint16(),
    "status": pa.uint8(),
    "seconds": pa.float64(),
    "started": pa.timestamp("us", tz="UTC"),
    "worker": pa.int32(),
}
"""What a segment always has; ``point`` is an index in the definition that the segment names."""

DTYPES: Final = dict(
    zip(CORE, map(np.dtype, ("int64", "uint16", "uint8", "float64", "int64", "int32")), strict=True)
) | dict.fromkeys(("step", "row"), np.dtype("int64"))
FAILURE: Final = "failure"
OURS: Final = frozenset({*CORE, FAILURE})
WIRE: Final = tuple(name for name in CORE if name not in ("attempts", "worker"))


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one reply that are to be written.

    Attributes
    ----------
    table : pa.Table
        `CORE`, ``failure`` and metrics, as in a segment.
    done : RangeSet
        Positions that are decided by it.
    attempt : int
        Of all its rows.
    """

    batch_id: int
    table: pa.Table
    done: RangeSet
    attempt: int


class RejectedError(Exception):
    """A reply is not an answer to its batch; the text says why."""


def accept(write: Write, worker: int, positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Part:
    """Check a reply against its batch and make the rows that were accepted what a segment holds.

    Parameters
    ----------
    write, positions_of
        See `accepted`.
    worker : int
        The worker's place in the manifest's list.

    Raises
    ------
    RejectedError
        See `accepted`.
    """
    batch = write.batch
    table = _complete(accepted(write, positions_of), batch.attempt, worker)
    return Part(batch.id, table, write.accepted, batch.attempt)


def accepted(write: Write, positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> pa.Table:
    """Check a reply against its batch and return the rows that were accepted, as the slot sent them.

    Parameters
    ----------
    write : Write
        The reply and the batch.
    positions_of : callable
        Turns indices of points into positions.

    Raises
    ------
    RejectedError
        The payload is not valid Arrow, not the columns agreed on, or not rows of this batch.
    """
    try:
        table = unify([_decode(payload) for payload in write.reply.payload])
        points = numpy_column(table, "point")
        statuses = numpy_column(table, "status")
    except WRONG as error:
        raise RejectedError(f"its rows cannot be read: {error}") from error
    if len(points) != write.reply.rows:
        raise RejectedError(f"it holds {len(points)} rows and announces {write.reply.rows}")
    if len(statuses) and statuses.max() >= len(STATUSES):
        raise RejectedError(f"it holds status {statuses.max()}, which does not exist")
    return _select(write, table, points, positions_of)


def _select(
    write: Write,
    table: pa.Table,
    points: NDArray[np.int64],
    positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> pa.Table:
    """Check that every row is of its batch, and keep those accepted."""
    if any(start < write.batch.start or stop > write.batch.stop for start, stop in write.accepted):
        raise RejectedError(
            f"positions {write.accepted} are outside [{write.batch.start}, {write.batch.stop})"
        )
    if not len(points):
        return table
    if points.min() < 0:
        raise RejectedError(f"it holds point {points.min()}")
    try:
        positions = positions_of(points)
    except (IndexError, ValueError) as error:
        raise RejectedError(f"it holds points that do not exist: {error}") from error
    low, high = int(positions.min()), int(positions.max())
    if low < write.batch.start or high >= write.batch.stop:
        raise RejectedError(
            f"it holds positions {low} to {high} of [{write.batch.start}, {write.batch.stop})"
        )
    if not ascending(positions) and not ascending(np.sort(positions)):
        raise RejectedError("it holds a point twice")
    accepted = write.accepted.contains_array(positions)
    if not accepted.all():
        if write.whole:
            raise RejectedError("it holds rows of points that it does not call done")
        table = take(table, np.flatnonzero(accepted))
    return table


def ascending(values: NDArray[Any]) -> bool:
    """Tell whether each value is greater than the one before."""
    return bool((values[1:] > values[:-1]).all())


def take(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Select rows by their places."""
    return table.take(pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)]))


def array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Wrap numbers without copying (and without the pandas that ``pa.array`` imports where it is installed)."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def strings(texts: Sequence[str | None]) -> pa.Array:
    """Make a column of texts; ``pa.array`` would import pandas."""
    raw = [b"" if text is None else text.encode() for text in texts]
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, raw), np.int64, len(raw)), out=offsets[1:])
    there = np.fromiter((text is not None for text in texts), bool, len(raw))
    kind, wide = (pa.string(), np.int32) if offsets[-1] < 1 << 31 else (pa.large_string(), np.int64)
    bits = np.packbits(there, bitorder="little")
    buffers = [pa.py_buffer(bits), pa.py_buffer(offsets.astype(wide)), pa.py_buffer(b"".join(raw))]
    return pa.Array.from_buffers(kind, len(raw), buffers)


def _decode(payload: bytes | memoryview) -> pa.Table:
    """Read a slot's Arrow stream; whatever is wrong with it raises one of `WRONG`."""
    table = read_stream(pa.py_buffer(payload))
    _check(table, WIRE)
    if taken := {"attempts", "worker"}.intersection(table.column_names):
        raise ValueError(f"a metric is named {min(taken)!r}")
    return table


def _check(table: pa.Table, core: Iterable[str]) -> None:
    """Check columns and types: those agreed on, without nulls."""
    for name in core:
        column = table.column(name)  # raises KeyError where there is none or several
        if column.type != CORE[name] or column.null_count:
            raise TypeError(
                f"column {name} is {column.type} with {column.null_count} nulls, not {CORE[name]}"
            )
    if FAILURE in table.column_names and table.column(FAILURE).type != pa.string():
        raise TypeError(f"column {FAILURE} is {table.column(FAILURE).type}, not string")
    metrics = [(item.name, item.type) for item in table.schema if item.name not in OURS]
    if len(set(metrics)) < len(metrics):
        raise ValueError("a metric has two columns of one type")


def _complete(table: pa.Table, attempt: int, worker: int) -> pa.Table:
    """Add the columns that the store knows, and bring all into the order of a segment."""
    n = table.num_rows
    known = {
        "attempts": array(np.full(n, attempt, np.uint16), CORE["attempts"]),
        "worker": array(np.full(n, worker, np.int32), CORE["worker"]),
    }
    core = {name: known[name] if name in known else table.column(name) for name in CORE}
    rest = [i for i, name in enumerate(table.column_names) if name not in CORE]
    rest.sort(key=lambda i: table.column_names[i] != FAILURE)
    names = [*core, *(table.column_names[i] for i in rest)]
    return pa.Table.from_arrays([*core.values(), *(table.column(i) for i in rest)], names=names)


def unify(tables: Sequence[pa.Table]) -> pa.Table:
    """Join tables that have different metrics: each gets a column of nulls for what it lacks.

    Parameters
    ----------
    tables : sequence of pa.Table
        In the order that the rows are to have. The order of the metrics follows the tables' lowest points
        instead, so that it does not depend on which reply came first.

    Returns
    -------
    pa.Table
        One field for each name and type.
    """
    if not tables:
        return pa.table({name: array(np.empty(0, DTYPES[name]), kind) for name, kind in CORE.items()})
    if all(table.schema.equals(tables[0].schema) for table in tables[1:]):
        return pa.concat_tables([table.replace_schema_metadata() for table in tables])
    keys = dict.fromkeys(key for table in sorted(tables, key=_lowest) for key in _keys(table))
    ordered = sorted(keys, key=lambda key: key[0] not in CORE)
    columns = [pa.chunked_array(_chunks(tables, key), type=key[1]) for key in ordered]
    return pa.Table.from_arrays(columns, schema=pa.schema(ordered))


def _lowest(table: pa.Table) -> int:
    points = numpy_column(table, "point")
    return int(points.min()) if len(points) else 1 << 62


def _keys(table: pa.Table) -> list[tuple[str, pa.DataType]]:
    return [(item.name, item.type) for item in table.schema]


def _chunks(tables: Sequence[pa.Table], key: tuple[str, pa.DataType]) -> list[pa.Array]:
    """Gather the chunks of one column over all tables."""
    chunks: list[pa.Array] = []
    for table in tables:
        keys = _keys(table)
        if key in keys:
            chunks += table.column(keys.index(key)).chunks
        else:
            chunks.append(pa.nulls(table.num_rows, key[1]))
    return chunks


def numpy_column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column that has no nulls, of those that files of a run always have, as an array; times are int64 microseconds.

    Not with ``to_numpy``, which imports pandas where it is installed. A single chunk is not copied.
    """
    chunks = [_buffer(chunk, DTYPES[name]) for chunk in table.column(name).chunks]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(chunks) if chunks else np.empty(0, DTYPES[name])


def _buffer(chunk: pa.Array, kind: np.dtype[Any]) -> NDArray[Any]:
    if not len(chunk):
        return np.empty(0, kind)
    return np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * kind.itemsize)


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return integers or floats as floats, NaN for null; without pandas, and without the ``pyarrow.compute`` of a cast."""
    kind, whole = np.dtype(column.type.to_pandas_dtype()), [np.empty(0)]
    for chunk in column.chunks:
        values = _buffer(chunk, kind).astype(np.float64, copy=False)
        whole.append(np.where(_there(chunk), values, np.nan) if chunk.null_count else values)
    return np.concatenate(whole)


def first_there(column: pa.ChunkedArray) -> int:
    """Return the place of the first value that is not null, or the length; ``pyarrow.compute`` takes long to import."""
    begin = 0
    for chunk in column.chunks:
        if chunk.null_count < len(chunk):
            return begin + (int(_there(chunk).argmax()) if chunk.null_count else 0)
        begin += len(chunk)
    return begin


def _there(chunk: pa.Array) -> NDArray[np.uint8]:
    """Tell, of a chunk that has nulls and others, which are the others."""
    bits = np.unpackbits(np.frombuffer(chunk.buffers()[0], np.uint8), bitorder="little")
    return bits[chunk.offset : chunk.offset + len(chunk)]


def statuses(table: pa.Table) -> dict[str, int]:
    """Count rows by status; statuses that do not occur are left out."""
    counts = np.bincount(numpy_column(table, "status"), minlength=len(STATUSES)).tolist()
    return {status: count for status, count in zip(STATUSES, counts, strict=True) if count}


def groups(
    parts: Sequence[Part], positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> Iterator[list[Part]]:
    """Gather parts for segments that stay below the limit."""
    room = merging.LIMIT * 3 // 4  # columns of nulls, and heads, come on top
    group: list[Part] = []
    size = 0
    for part in parts:
        for piece in _split(part, room, positions_of):
            if group and size + piece.table.nbytes > room:
                yield group
                group, size = [], 0
            group.append(piece)
            size += piece.table.nbytes
    if group:
        yield group


def _split(
    part: Part, room: int, positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> Iterator[Part]:
    """Cut the rows of a very large reply; the last piece also tells what was excluded."""
    rows = max(1, part.table.num_rows * room // max(1, part.table.nbytes))
    rest = part.done.copy()
    start = 0
    while part.table.num_rows - start > rows:
        table = part.table.slice(start, rows)
        done = RangeSet.of(positions_of(numpy_column(table, "point")))
        rest.difference_update(done)
        yield Part(part.batch_id, table, done, part.attempt)
        start += rows
    yield Part(part.batch_id, part.table.slice(start), rest, part.attempt)


def decode(disk: Disk, folder: Path, manifest: Manifest, entry: SegmentEntry) -> pa.Table:
    """Read a segment and check all of it, as `swath.store.files.decode`; its numbers must point into the manifest."""

    def check(table: pa.Table) -> None:
        _check(table, CORE)
        if table.num_rows:
            workers, statuses = numpy_column(table, "worker"), numpy_column(table, "status")
            if workers.min() < 0 or workers.max() >= len(manifest.workers):
                raise ValueError("a row's worker is not in the manifest")
            if statuses.max() >= len(STATUSES) or numpy_column(table, "point").min() < 0:
                raise ValueError("a row's status or point does not exist")

    return files.decode(disk, folder, manifest, entry, check)
