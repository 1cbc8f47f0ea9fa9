"""Does today's code, on this machine, give what is saved? `swath.verification` finds out; this is how it is asked and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from swath.commands.again import file_of
from swath.results import Results
from swath.verification import Verification, verify


class Changed(TypedDict):
    """A point that gave something else; ``metrics`` are those that differ, each with ``old`` and ``new``."""

    point: int
    parameters: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    failure: str


class Verified(TypedDict):
    """What running points again has shown."""

    name: str
    points: int
    of: int
    equal: int
    rtol: float
    code_changed: bool
    changed: list[Changed]


def compare(folder: Path, points: int, rtol: float) -> Verified:
    """Run finished points of a run again; the code is looked for beside the definition's file, or else here.

    Parameters
    ----------
    folder : Path
        The run folder.
    points : int
        At most so many.
    rtol : float
        Relative difference up to which floats count as equal.
    """
    results = Results(folder)
    file = file_of(results.name)
    beside = (file.parent if file else Path()).absolute()
    return _told(
        results.name, verify(results, replace(results.definition, folder=beside), points=points, rtol=rtol)
    )


def _told(name: str, found: Verification) -> Verified:
    changed = [
        Changed(
            point=change.point,
            parameters=dict(change.parameters),
            metrics={metric: {"old": old, "new": new} for metric, (old, new) in change.metrics.items()},
            failure=change.failure,
        )
        for change in found.changes
    ]
    return Verified(
        name=name,
        points=found.points,
        of=found.of,
        equal=found.equal,
        rtol=found.rtol,
        code_changed=found.code_changed,
        changed=changed,
    )
