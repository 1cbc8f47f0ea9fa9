"""Rows as Arrow tables: what slots send is checked and joined, what segments hold is checked and read.

Theory of operation. A segment is one Arrow IPC file with the columns of `CORE`, ``failure`` where something
failed, and then the metrics. Rows keep the types they came with: a metric has one field for each type, all of one
name, and a row has a value in at most one of them, null in the others. Nothing is decided here about which type is
right, so nothing depends on the order of arrival; the reader decides when it sees all rows. NaN stays NaN.

A slot's bytes are as little trusted as a file's: every buffer is validated in full before it is written and after
it is read, types are limited to plain data, and the points of a reply must lie within the batch that was offered.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from swath.errors import DamageError
from swath.messages import STATUSES
from swath.store.disk import checksum
from swath.store.ipc import WRONG, read_file, read_stream
from swath.store.sealing import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from swath.messages import Write
    from swath.ranges import RangeSet
    from swath.store.disk import Disk, Piece
    from swath.store.manifest import Manifest, SegmentEntry

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
)
FAILURE: Final = "failure"
OURS: Final = frozenset({*CORE, FAILURE})
WIRE: Final = tuple(name for name in CORE if name not in ("attempts", "worker"))
SMALL_CHUNK: Final = (
    4096  # rows; chunks smaller than this on average are joined, for each costs a kilobyte of head
)


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
    """Check a reply against its batch and keep the rows that were accepted.

    Parameters
    ----------
    write : Write
        The reply and the batch.
    worker : int
        The worker's place in the manifest's list.
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
    table = _select(write, table, points, positions_of)
    return Part(
        write.batch.id, _complete(table, write.batch.attempt, worker), write.accepted, write.batch.attempt
    )


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
    """Return a column of `CORE`, which has no nulls, as an array; times are int64 microseconds.

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


class Sink(io.RawIOBase):
    """Collects what Arrow writes, without copying columns."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Piece] = []
        self.size = 0

    def writable(self) -> bool:
        """Tell Arrow that it may write."""
        return True

    def write(self, piece: Any) -> int:
        """Keep a piece; Arrow gives up the buffers that it passes."""
        view = memoryview(piece)
        self.pieces.append(view)
        self.size += view.nbytes
        return view.nbytes

    def drained(self) -> list[Piece]:
        """Hand over what was written so far."""
        pieces, self.pieces = self.pieces, []
        return pieces


def encode(table: pa.Table, *, run: str, definition: int, code: str) -> Sink:
    """Write a table as the content of a segment.

    Parameters
    ----------
    table : pa.Table
        `CORE`, then the rest.
    run, definition, code
        What the segment says of itself, so that a file from elsewhere is recognised.
    """
    about = json.dumps({"format": FORMAT, "run": run, "definition": definition, "code": code})
    if table.num_rows and table.column(0).num_chunks * SMALL_CHUNK > table.num_rows:
        table = table.combine_chunks()
    table = table.replace_schema_metadata({"swath": about})
    sink = Sink()
    with pa.PythonFile(sink, mode="w") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return sink


def decode(disk: Disk, folder: Path, manifest: Manifest, entry: SegmentEntry) -> pa.Table:
    """Read a segment and check all of it.

    Raises
    ------
    FileNotFoundError
        The file is gone; a newer manifest may not list it.
    DamageError
        The file is not what the manifest says.
    """
    try:
        raw = disk.read_file(folder, entry.path, entry.bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamageError(f"cannot be read ({error.strerror})") from error
    if len(raw) != entry.bytes:
        raise DamageError(f"has {len(raw)} bytes of {entry.bytes}")
    if checksum([raw]) != entry.crc:
        raise DamageError("its checksum does not match")
    try:
        table = read_file(raw)
        _check(table, CORE)
        _check_against(table, manifest, entry)
    except WRONG as error:
        raise DamageError(f"is not a segment of this run: {error}") from error
    return table.replace_schema_metadata()


def _check_against(table: pa.Table, manifest: Manifest, entry: SegmentEntry) -> None:
    """Check that a segment is the one that the manifest means, and that its numbers point into the manifest."""
    about = json.loads((table.schema.metadata or {}).get(b"swath", b"{}"))
    if about.get("format") != FORMAT:
        raise ValueError(f"it has format {about.get('format')!r}, this swath reads format {FORMAT}")
    if (about.get("run"), about.get("definition")) != (manifest.run, entry.definition):
        raise ValueError(f"it says run {about.get('run')!r}, definition {about.get('definition')!r}")
    if table.num_rows != entry.rows:
        raise ValueError(f"it has {table.num_rows} rows, not {entry.rows}")
    if table.num_rows:
        workers, statuses = numpy_column(table, "worker"), numpy_column(table, "status")
        if workers.min() < 0 or workers.max() >= len(manifest.workers):
            raise ValueError("a row's worker is not in the manifest")
        if statuses.max() >= len(STATUSES) or numpy_column(table, "point").min() < 0:
            raise ValueError("a row's status or point does not exist")
