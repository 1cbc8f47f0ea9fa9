"""One point, run here and now: for whoever wants to see what happens, with ``print``, a debugger or a profiler.

The objective runs in this process and is neither limited nor protected; nothing is kept. What comes back has the
form in which `swath.commands.lookup.show` describes a saved point.
"""

from __future__ import annotations

from datetime import UTC
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swath.agreement import find_objective
from swath.commands.lookup import Shown, derived_values
from swath.commands.naming import range_of
from swath.errors import ObjectiveError, UsageError
from swath.inside.crumb import blank
from swath.inside.evaluate import Evaluator
from swath.inside.rows import COLUMNS
from swath.messages import STATUSES
from swath.run import make_task
from swath.store.disk import Disk
from swath.store.entries import MANIFEST
from swath.store.history import latest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swath.definition import Definition
    from swath.messages import Step
    from swath.space import Space
    from swath.store.history import Archive


def _curve(steps: Sequence[Step]) -> dict[str, list[Any]]:
    """Return what was recorded, in columns."""
    if not steps:
        return {}
    names = dict.fromkeys(name for step in steps for name in step.metrics)
    made: dict[str, list[Any]] = {
        "step": [step.step for step in steps],
        "seconds": [step.seconds for step in steps],
    }
    return made | {name: [step.metrics.get(name) for step in steps] for name in names}


def evaluate(definition: Definition, point: int, folder: Path | None = None) -> Shown:
    """Evaluate one point of a definition in this process.

    Parameters
    ----------
    definition : Definition
        What the point is of.
    point : int
        Its index.
    folder : Path, optional
        Of its run: what a search has proposed there are its points.

    Raises
    ------
    UsageError
        There is no such point, or ``where`` excludes it.
    ObjectiveError
        The objective cannot be imported or called, or its result cannot be kept.
    """
    space = definition.space
    if space.proposals is not None and folder is not None and (folder / MANIFEST).exists():
        latest(Disk(), folder, lambda archive: _fill(space, archive))
    if not 0 <= point < space.known:
        raise UsageError(f"there is no point {point}: {range_of(space)}")
    evaluator = Evaluator(make_task(definition, find_objective(definition)), blank())
    position = int(space.positions(np.array([point], np.int64))[0])
    if space.proposals is not None:
        evaluator.learn(space.proposals.encode(space.proposed(position, position + 1)))
    reply = evaluator.evaluate(position, position + 1, inf)
    if reply.fatal:
        raise ObjectiveError(reply.fatal)
    if not reply.rows:
        raise UsageError(f"point {point} is excluded by where: {space.where.text if space.where else ''}")
    row: dict[str, Any] = pa.ipc.open_stream(reply.payload[0]).read_all().to_pylist()[0]
    receives = evaluator.signature.receives((*space.names, *space.derived))
    return Shown(
        point=point,
        content_id=space.content_id(point, receives),
        parameters=dict(space[point]),
        derived=derived_values(space, point),
        metrics={name: item for name, item in row.items() if name not in COLUMNS and item is not None},
        status=STATUSES[row["status"]],
        failure=row.get("failure") or "",
        seconds=row["seconds"],
        attempts=None,
        worker=None,
        started=row["started"].astimezone(UTC).isoformat(),
        curve=_curve(reply.steps),
        decisions=[],
        logs=[],
        again="",
    )


def _fill(space: Space, archive: Archive) -> None:
    """Take in what the newest definition of a run has proposed, if it is this one."""
    current = archive.definition(archive.manifest.current)
    if current is not None and current.space.spec() == space.spec():
        archive.fill(space, archive.manifest.current)
