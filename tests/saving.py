"""Words for tests of the store: a study, what a slot answers, and a session that saves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from swath.definition import Definition, define
from swath.messages import STATUSES, Batch, Reply, Write
from swath.ranges import RangeSet
from swath.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swath.store.disk import Disk
    from swath.store.history import Past

STUDY = {
    "name": "study",
    "objective": "model:simulate",
    "parameters": {"a": [1, 2, 3, 4], "b": [10, 20, 30], "seed": [7, 8]},
    "minimize": "error",
}
SIZE = 24
STARTED = 1_700_000_000_000_000  # microseconds


def study(**changes: Any) -> Definition:
    """The study, with some keys changed."""
    return define({**STUDY, **changes})


def column(values: Sequence[Any] | pa.Array, kind: pa.DataType | None = None) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(list(values), kind)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def rows(points: Sequence[int], statuses: Sequence[str] | str = "ok", **metrics: Any) -> pa.Table:
    """What a slot says about some points; failed ones get a text."""
    n = len(points)
    statuses = [statuses] * n if isinstance(statuses, str) else list(statuses)
    columns = {
        "point": column(points, pa.int64()),
        "status": column(map(STATUSES.index, statuses), pa.uint8()),
        "seconds": column([0.25] * n, pa.float64()),
        "started": column([STARTED + int(point) for point in points], pa.timestamp("us", tz="UTC")),
    }
    if any(status != "ok" for status in statuses):
        texts = [
            None if status == "ok" else f"{status} at {point}"
            for point, status in zip(points, statuses, strict=True)
        ]
        columns["failure"] = column(texts, pa.string())
    columns |= {name: column(values) for name, values in metrics.items()}
    return pa.table(columns)


def error_of(definition: Definition, points: Sequence[int]) -> list[float]:
    """The study's metric: it follows from the content of a point, not from its index."""
    found = definition.space.take(np.asarray(points, np.int64))
    names = [name for name in definition.space.names if name in STUDY["parameters"]]
    return sum(
        float(f"1e-{3 * i}") * found.column(name).values.astype(float) for i, name in enumerate(names)
    ).tolist()


class Session:
    """A store at work, and what it reported."""

    def __init__(
        self,
        folder: Path,
        definition: Definition,
        *,
        code: str = "code",
        disk: Disk | None = None,
        fresh: bool = False,
        noted: Any = lambda _: None,
    ) -> None:
        self.definition = definition
        self.durable: list[int] = []
        self.rejected: list[tuple[int, str]] = []
        self.failed: list[Exception] = []
        self.writes: dict[int, Write] = {}
        self.store = Store.open(folder, disk=disk, fresh=fresh)
        try:
            self.past: Past = self.store.begin(
                definition,
                fingerprint=code,
                receives=definition.space.names,
                durable=self.durable.extend,
                rejected=lambda batch, reason: self.rejected.append((batch, reason)),
                failed=self.failed.append,
                noted=noted,
            )
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def reply(
        self, start: int, stop: int, *, excluded: Sequence[int] = (), statuses: Any = "ok", **metrics: Any
    ) -> Reply:
        """What a slot answers for [start, stop), with the study's metric unless others are given."""
        positions = np.array([i for i in range(start, stop) if i not in excluded], np.int64)
        points = self.definition.space.take(self._indices(positions)).indices.tolist()
        metrics = metrics or {"error": error_of(self.definition, points)}
        payload = (stream(rows(points, statuses, **metrics)),) if points else ()
        return Reply(((start, stop),), len(points), payload=payload)

    def _indices(self, positions: np.ndarray) -> np.ndarray:
        space = self.definition.space
        return np.concatenate([space.indices(i, i + 1) for i in positions.tolist()] or [positions])

    def save(
        self,
        start: int,
        stop: int,
        *,
        attempt: int = 1,
        worker: str = "w0",
        reply: Reply | None = None,
        **more: Any,
    ) -> int:
        """Have a batch written, and wait for it; return its id."""
        reply = reply or self.reply(start, stop, **more)
        return self.hand_over(Batch(len(self.writes), worker, start, stop, attempt, 1.0), reply)

    def hand_over(self, batch: Batch, reply: Reply, accepted: RangeSet | None = None) -> int:
        """Give a write to the store and wait until it is done with it."""
        whole = accepted is None
        write = Write(batch, reply, RangeSet(reply.done) if accepted is None else accepted, whole)
        self.writes[batch.id] = write
        self.store.append(write)
        self.store._commits.drain()
        return batch.id
