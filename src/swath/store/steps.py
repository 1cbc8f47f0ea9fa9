"""Steps as Arrow tables: what slots say their points recorded is checked and gathered, what files hold is checked.

Theory of operation. A file of steps holds them in the order in which they came: `CORE`, then a column of floats for
each metric, null where a step does not have it; NaN stays NaN. Nothing is ever taken out again: a step number that
comes again for a point takes back all from there on, and the reader sees to that (`swath.store.curves`). So retries, kills
and checkpoints need no bookkeeping here.

Steps are as little trusted as rows, but they are never worth a row: one that cannot be kept is dropped, and counted. A
metric has a column over all steps of a file, so there is a limit to their number, and files are closed
early where there are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from swath.store import files
from swath.store.segments import array, numpy_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from swath.messages import Batch, Record, Step
    from swath.store.disk import Disk
    from swath.store.entries import StepsEntry
    from swath.store.manifest import Manifest

CORE: Final[dict[str, pa.DataType]] = {
    "point": pa.int64(),
    "attempts": pa.uint16(),
    "step": pa.int64(),
    "seconds": pa.float64(),
}
"""What a file of steps always has; ``point`` is an index in the definition that its entry names."""

METRICS: Final = 10_000
"""Names of metrics that a session may record; a column is kept for each."""

LARGEST: Final = (1 << 63) - 1
ROOM: Final = 12 << 20  # bytes of a table; a file that was merged has a third more at most
BIT: Final = "little"


class Recording:
    """Takes in what one session records.

    Attributes
    ----------
    dropped : int
        Steps that could not be kept.
    reason : str
        Why the first of them could not; empty as long as there is none.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self.dropped = 0
        self.reason = ""

    def tables(
        self, records: Sequence[Record], at: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ) -> Iterator[pa.Table]:
        """Make tables of steps, in their order.

        Parameters
        ----------
        records : sequence of Record
            Steps that have come.
        at : callable
            Turns positions into indices of points.
        """
        columns = _Columns()
        for record in records:
            for step in record.steps:
                if reason := self._wrong(record.batch, step):
                    self.dropped += 1
                    self.reason = self.reason or f"batch {record.batch.id}: {reason}"
                    continue
                if columns.steps and columns.size(step) > ROOM:
                    yield columns.table(at)
                    columns = _Columns()
                columns.add(record.batch.attempt, step)
        if columns.steps:
            yield columns.table(at)

    def _wrong(self, batch: Batch, step: Step) -> str:
        """Say why a step cannot be kept; if it can, the names of its metrics are known from now on."""
        if not (_is_whole(step.position) and batch.start <= step.position < batch.stop):
            return f"position {step.position!r:.40} is outside [{batch.start}, {batch.stop})"
        if not (_is_whole(step.step) and 0 <= step.step <= LARGEST):
            return f"{step.step!r:.40} is no number of a step"
        values = step.seconds, *step.metrics.values()
        if wrong := [value for value in values if not _is_float(value)]:
            return f"{wrong[0]!r:.40} is no float"
        return self._wrong_names(step)

    def _wrong_names(self, step: Step) -> str:
        new = step.metrics.keys() - self._names
        if wrong := [name for name in new if not _is_name(name)]:
            return f"a metric cannot be named {wrong[0]!r:.40}"
        if len(self._names) + len(new) > METRICS:
            return f"more than {METRICS:,} metrics are recorded"
        self._names |= new
        return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float(value: object) -> bool:
    """Tell whether a value is a number that can be kept as a float."""
    try:
        return isinstance(value, float | int) and isinstance(float(value), float)
    except OverflowError:
        return False


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or name in CORE:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Columns:
    """Steps that become one table."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._attempts: list[int] = []
        self._metrics: dict[str, tuple[list[int], list[float]]] = {}

    def size(self, step: Step) -> int:
        """Return the bytes of the table if a step is added."""
        columns = len(CORE) + len(self._metrics.keys() | step.metrics.keys())
        return 8 * columns * (len(self.steps) + 1)

    def add(self, attempt: int, step: Step) -> None:
        place = len(self.steps)
        self.steps.append(step)
        self._attempts.append(attempt)
        for name, value in step.metrics.items():
            places, values = self._metrics.setdefault(name, ([], []))
            places.append(place)
            values.append(float(value))

    def table(self, at: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> pa.Table:
        n = len(self.steps)
        positions = np.fromiter((step.position for step in self.steps), np.int64, n)
        numbers = np.fromiter((step.step for step in self.steps), np.int64, n)
        seconds = np.fromiter((step.seconds for step in self.steps), np.float64, n)
        attempts = np.array(self._attempts, np.uint16)
        values: list[NDArray[Any]] = [at(positions), attempts, numbers, seconds]
        columns = [array(column, kind) for column, kind in zip(values, CORE.values(), strict=True)]
        columns += [_sparse(n, places, found) for places, found in self._metrics.values()]
        return pa.Table.from_arrays(columns, names=[*CORE, *self._metrics])


def _sparse(n: int, places: Sequence[int], values: Sequence[float]) -> pa.Array:
    """Make a column of floats that is null but in some places."""
    data = np.zeros(n)
    data[places] = values
    bits = None
    if len(places) < n:
        there = np.zeros(n, dtype=bool)
        there[places] = True
        bits = pa.py_buffer(np.packbits(there, bitorder=BIT))
    return pa.Array.from_buffers(pa.float64(), n, [bits, pa.py_buffer(data)])


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables of steps one after the other; each gets nulls for the metrics that it lacks."""
    return pa.concat_tables(tables, promote_options="default")


def check(table: pa.Table) -> None:
    """Raise TypeError or ValueError if a table is none of steps."""
    if table.column_names[: len(CORE)] != list(CORE):
        raise TypeError(f"its columns are {table.column_names[: len(CORE)]}, not {list(CORE)}")
    if len(set(table.column_names)) < table.num_columns:
        raise ValueError("two columns have one name")
    for item, column in zip(table.schema, table.columns, strict=True):
        wanted = CORE.get(item.name, pa.float64())
        if item.type != wanted or (item.name in CORE and column.null_count):
            raise TypeError(f"column {item.name} is {item.type} with {column.null_count} nulls, not {wanted}")
    if table.num_rows and min(numpy_column(table, "point").min(), numpy_column(table, "step").min()) < 0:
        raise ValueError("a point or a step does not exist")


def decode(disk: Disk, folder: Path, manifest: Manifest, entry: StepsEntry) -> pa.Table:
    """Read a file and check all of it, as `swath.store.files.decode`."""
    return files.decode(disk, folder, manifest, entry, check)
