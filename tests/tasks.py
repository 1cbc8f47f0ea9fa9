"""Words for tests of what evaluates: an objective as text, the task made of it, and the rows of a reply."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import swath
from swath.messages import STATUSES, Batch, Reply
from swath.objective import locate
from swath.space import Axis, Space
from swath.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swath.slot import Slot


SOURCE = str(Path(swath.__file__).parents[1])
"""Where a program that a test starts finds swath."""


def written(folder: Path, **modules: str) -> Path:
    """Write modules, given by path without suffix, into a folder."""
    for name, text in modules.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def task(
    beside: Path,
    /,
    source: str,
    parameters: Mapping[str, Sequence[Any]] | Space,
    *,
    function: str = "f",
    module: str = "objective",
    **more: Any,
) -> Task:
    """A task whose objective is a function of a module that is written into a folder."""
    written(beside, **{module: source})
    space = parameters
    if not isinstance(space, Space):
        space = Space([[Axis((name,), (list(values),)) for name, values in parameters.items()]])
    code = locate(f"{module}:{function}", beside)
    return Task(**{"run": "test", "space": space.spec(), "code": code, "constants": {}, **more})


def batch(start: int, stop: int, *, number: int = 1, budget: float = 30.0, limit: int | None = None) -> Batch:
    return Batch(number, "w", start, stop, 1, budget, limit)


def table(reply: Reply) -> list[dict[str, Any]]:
    """The rows of a reply, each with its own columns only."""
    rows = []
    for part in reply.payload:
        stream = pa.ipc.open_stream(part).read_all()
        stream.validate(full=True)
        columns = list(
            zip(stream.schema.names, (column.to_pylist() for column in stream.columns), strict=True)
        )
        for i in range(stream.num_rows):
            row: dict[str, Any] = {}
            for name, values in columns:
                if values[i] is not None or name not in row:
                    row[name] = values[i]
            row["status"] = STATUSES[row["status"]]
            rows.append(row)
    assert len(rows) == reply.rows
    return rows


def statuses(reply: Reply) -> dict[int, str]:
    """The status of each point, checked against what the reply says besides."""
    found = {row["point"]: row["status"] for row in table(reply)}
    assert len(found) == reply.rows, "a point has two rows"
    told = {point: status for status, ranges in reply.failed for a, b in ranges for point in range(a, b)}
    assert told == {point: status for point, status in found.items() if status != "ok"}
    return found


def done(reply: Reply) -> list[int]:
    return [position for start, stop in reply.done for position in range(start, stop)]


def becomes_true(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Look again and again until a condition holds, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def evaluated(made: Slot, **more: Any) -> Reply:
    """Let a slot evaluate all its points in one batch."""
    return made.evaluate(batch(0, len(made.task.space["blocks"][0][0]["values"][0]), **more))


def failures(reply: Reply) -> dict[int, str]:
    """The first line of what is said about each point that failed."""
    return {row["point"]: row["failure"].splitlines()[0] for row in table(reply) if row["status"] != "ok"}
