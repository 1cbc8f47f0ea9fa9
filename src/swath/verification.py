"""Finished points, run again, to see whether today's code, on this machine, gives what is saved.

Theory of operation
-------------------
A sample of the ``ok`` rows of a run is evaluated again, each alone and isolated in the child of a slot of this
process, and what comes back is compared, metric by metric, with what is saved. Nothing is kept and nothing in the run
folder is touched, so this may be done while the run goes on. A saved column is one of unified types (see
`swath.store.assembly`); what is compared is the value, so the integer 1 equals the float 1.0, and a number equals its text
where the column became text. True is no 1. NaN equals NaN.

Equal rows are the evidence for accepting a change of code; they prove nothing about the points that were not drawn.
"""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swath.agreement import check_arguments, find_objective
from swath.cluster.handshake import cores
from swath.errors import UsageError
from swath.inside.rows import COLUMNS
from swath.messages import STATUSES, Batch
from swath.run import make_task
from swath.run.openings import filler
from swath.slot.pool import Pool
from swath.space import Opaque

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swath.definition import Definition
    from swath.objective import Code
    from swath.results import Results


@dataclass(frozen=True, slots=True)
class Change:
    """A point whose result is not what is saved.

    Attributes
    ----------
    point : int
        Its index.
    parameters : mapping of str to object
        Its values.
    metrics : mapping of str to (object, object)
        What was and what is, of the metrics that differ; None where there is none.
    failure : str
        Why it failed, if it did.
    """

    point: int
    parameters: Mapping[str, Any]
    metrics: Mapping[str, tuple[Any, Any]]
    failure: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What running points again has shown.

    Attributes
    ----------
    points : int
        How many were run again.
    of : int
        How many ``ok`` rows there are.
    changes : tuple of Change
        Those that gave something else, in the order of the points.
    code_changed : bool
        Whether the code differs from that which made the rows, or some of them.
    rtol : float
        Relative difference up to which floats count as equal.
    """

    points: int
    of: int
    changes: tuple[Change, ...]
    code_changed: bool
    rtol: float

    @property
    def equal(self) -> int:
        """How many points gave what is saved."""
        return self.points - len(self.changes)

    def __repr__(self) -> str:
        code = ", of changed code" if self.code_changed else ""
        return f"<Verification: {self.points} points run again{code}: {self.equal} equal, {len(self.changes)} changed>"


def verify(
    results: Results, definition: Definition, code: Code | None = None, *, points: int = 50, rtol: float = 0.0
) -> Verification:
    """Run some finished points again and compare.

    Parameters
    ----------
    results : Results
        The rows.
    definition : Definition
        For the place where the objective is looked for, and for constants that only Python can hold.
    code : Code, optional
        The objective, if it is not to be found by its name.
    points : int
        At most so many, drawn at random.
    rtol : float
        Relative difference up to which floats count as equal.

    Raises
    ------
    ObjectiveError, DefinitionError
        The objective cannot be found, imported, or called with these parameters.
    UsageError
        There is no row to compare with, or an object that only the original program has is needed.
    """
    was = replace(results.definition, folder=definition.folder, constants=definition.constants)
    if any(isinstance(value, Opaque) and value.digest not in was.constants for value in _values(was)):
        raise UsageError(
            f"{was.name} has constants that only Python can hold; verify it there: Sweep(...).verify()"
        )
    if code is None and was.objective.startswith("__main__:"):
        raise UsageError(
            f"the objective of {was.name} is a function of a program; verify it there: Sweep(...).verify()"
        )
    rows = results.arrow
    sound = np.flatnonzero(rows.column("status").combine_chunks().indices.to_numpy() == STATUSES.index("ok"))
    if not len(sound):
        raise UsageError(f"{was.name} has no row of status ok to compare with")
    drawn = sorted(random.SystemRandom().sample(sound.tolist(), min(points, len(sound))))
    code = find_objective(was, code)
    found = _evaluated(was, code, [rows.column("point")[row].as_py() for row in drawn])
    changes = []
    for row, (point, status, new, failure) in zip(drawn, found, strict=True):
        old = {name: rows.column(name)[row].as_py() for name in results.metrics}
        differing = _differing(old, new, rtol) if status == "ok" else {}
        if differing or status != "ok":
            text = f"{status}: {failure}" if status != "ok" else ""
            changes.append(Change(point, dict(was.space[point]), differing, text))
    return Verification(
        len(drawn), len(sound), tuple(changes), results.fingerprints != {code.fingerprint}, rtol
    )


def _values(definition: Definition) -> list[Any]:
    return [
        value
        for block in definition.space.blocks
        for axis in block
        if not axis.lazy  # what is drawn is plain
        for values in axis.values
        for value in values
    ]


def _evaluated(
    definition: Definition, code: Code, points: list[int]
) -> list[tuple[int, str, dict[str, Any], str]]:
    """Evaluate points, as many at a time as there are cores; return point, status, metrics and failure of each."""
    count = min(len(points), cores())
    positions = definition.space.positions(np.array(points, np.int64)).tolist()
    pool = Pool(replace(make_task(definition, code), isolated=True), "verify", count)
    threads = ThreadPoolExecutor(count)
    try:
        check_arguments(definition, pool.open())
        fill = filler(definition.space)
        batches = [fill(Batch(i, "verify", start, start + 1, 1, 0.0)) for i, start in enumerate(positions)]
        replies = list(threads.map(pool.evaluate, batches))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.close()
    found: list[tuple[int, str, dict[str, Any], str]] = []
    for point, reply in zip(points, replies, strict=True):
        assert reply is not None  # noqa: S101  nobody recalls it
        if reply.fatal:
            found.append((point, "invalid", {}, reply.fatal))
            continue
        row = pa.ipc.open_stream(reply.payload[0]).read_all().to_pylist()[0]
        metrics = {name: value for name, value in row.items() if name not in COLUMNS}
        found.append((point, STATUSES[row["status"]], metrics, (row.get("failure") or "").partition("\n")[0]))
    return found


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], rtol: float) -> dict[str, tuple[Any, Any]]:
    pairs = {
        name: (old.get(name), new.get(name)) for name in (*old, *(name for name in new if name not in old))
    }
    return {name: pair for name, pair in pairs.items() if not is_equal(*pair, rtol)}


def is_equal(old: Any, new: Any, rtol: float) -> bool:
    """Tell whether a value is the saved one; floats may differ by a part of ``rtol`` of the larger."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(is_equal(*pair, rtol) for pair in zip(old, new, strict=True))
    if isinstance(old, str) and new is not None and not isinstance(new, str):
        return old == str(new)  # the column became text
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, float) or isinstance(new, float):
        if not (isinstance(old, int | float) and isinstance(new, int | float)):
            return False
        return (
            old == new
            or (math.isnan(old) and math.isnan(new))
            or (rtol > 0 and math.isclose(old, new, rel_tol=rtol))
        )
    return bool(old == new)
