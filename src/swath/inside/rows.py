"""Rows as they travel: Arrow IPC streams made of plain buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swath.inside.metrics import to_columns
from swath.messages import STATUSES, Reply, most_frequent
from swath.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.task import Task

COLUMNS = ("point", "status", "seconds", "started", "failure", "attempts", "worker", "definition")
"""Names that rows, and frames of them, use themselves."""


def encode(
    indices: NDArray[np.int64],
    statuses: NDArray[np.uint8],
    seconds: NDArray[np.float64],
    started: NDArray[np.int64],
    failures: Mapping[int, tuple[str, str]],
    fields: Sequence[tuple[str, pa.Array]] = (),
) -> bytes:
    """Write n rows as an Arrow IPC stream; see `swath.messages.Reply` for its columns.

    Parameters
    ----------
    indices, statuses, seconds, started : ndarray[n]
        Point, place in `STATUSES`, duration in seconds, start in microseconds since 1970 (UTC).
    failures : mapping of int to (str, str)
        Status and text of the rows that failed.
    fields : sequence of (str, pyarrow.Array of length n)
        The metrics.
    """
    columns: list[tuple[str, pa.Array]] = [
        ("point", _buffer(pa.int64(), indices)),
        ("status", _buffer(pa.uint8(), statuses)),
        ("seconds", _buffer(pa.float64(), seconds)),
        ("started", _buffer(pa.timestamp("us", "UTC"), started)),
    ]
    if failures:
        texts = [failures[row][1] if row in failures else None for row in range(len(indices))]
        columns += [("failure", field.cast(pa.string())) for _, field in to_columns(texts)[0]]
    columns += fields
    schema = pa.schema([pa.field(name, column.type) for name, column in columns])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.RecordBatch.from_arrays([column for _, column in columns], schema=schema))
    written: bytes = sink.getvalue().to_pybytes()
    return written


def verdict(task: Task, position: int, status: str, text: str, started: float, seconds: float) -> Reply:
    """Make the row of a point that cannot speak for itself any more; times are in seconds."""
    indices = Space.from_spec(task.space).indices(position, position + 1)
    failures = {0: (status, text)}
    payload = encode(
        indices,
        np.array([STATUSES.index(status)], dtype=np.uint8),
        np.array([seconds]),
        np.array([int(started * 1e6)]),
        failures,
    )
    here = ((position, position + 1),)
    return Reply(
        done=here,
        rows=1,
        failed=((status, here),),
        seconds=seconds,
        payload=(payload,),
        complaint=shared_line([text]),
        complaints=first_lines(failures, [position]),
        slowest=(seconds, int(indices[0])),
    )


def shared_line(texts: Iterable[str]) -> str:
    """Return the first line of some texts if it is the same in all of them, else the empty text."""
    lines = {text.partition("\n")[0] for text in texts}
    return lines.pop() if len(lines) == 1 else ""


def first_lines(
    failures: Mapping[int, tuple[str, str]], positions: Sequence[int] | NDArray[np.int64]
) -> tuple[tuple[str, str, int, int], ...]:
    """Count failures (status and text, by row) by what they say first; see `Reply.complaints`."""
    return most_frequent(
        (status, text.partition("\n")[0], 1, int(positions[row])) for row, (status, text) in failures.items()
    )


def _buffer(kind: pa.DataType, values: NDArray[Any]) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
