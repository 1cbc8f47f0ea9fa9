"""Whether a worker can be used for a sweep, decided before it gets a point.

Theory of operation
-------------------
Rows must be the same wherever a point runs, and bytes of ours must be understood at both ends. So a worker must
have our Python up to the minor version, our swath, and our releases of what evaluates and carries. The versions of
packages are asked for with Dask's own question: nothing of ours is unpickled on a worker that may not understand it.
What a point may use must be there: a sweep that wants eight cores for a point is no sweep for four.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swath.task import Task

PACKAGES = {"python": 2, "distributed": 2, "numpy": 1, "pyarrow": 1}
"""What must agree, and how many parts of its version."""


def misfit(there: Mapping[str, str | None], here: Mapping[str, str | None]) -> str:
    """Compare versions by package; return in words what does not fit, empty if all does."""
    wrong = []
    for name, parts in PACKAGES.items():
        theirs, ours = there.get(name) or "", here.get(name) or ""
        if theirs.split(".")[:parts] != ours.split(".")[:parts]:
            shown = (_short(theirs), _short(ours))
            wrong.append(
                f"{name} {shown[0]} there, {shown[1]} here" if theirs else f"{name} is missing there"
            )
    return "; ".join(wrong)


def _short(version: str) -> str:
    return ".".join(version.split(".")[:3])


def shortfall(task: Task) -> str:
    """Say what this machine lacks of what a point may use; empty if nothing."""
    there = cores()
    if task.cores > there:
        return f"point.cores is {task.cores}, but this machine has {there}"
    if task.memory is not None:
        import psutil  # noqa: PLC0415  # 25 ms that only a memory cap needs

        total = psutil.virtual_memory().total
        if task.memory > total:
            return f"point.memory is {task.memory:,} bytes, but this machine has {total:,}"
    return ""


def memory_of(task: Task, slots: int, limit: int | None, share: int = 1) -> int:
    """Say how many bytes the slots of a worker may hold together.

    That is what points are held to, no more than the worker's own limit, and else than its share of this machine's.
    """
    from distributed.system import MEMORY_LIMIT  # noqa: PLC0415  # Dask knows what a container may use

    most = limit or int(MEMORY_LIMIT) // share
    return most if task.memory is None else min(most, slots * task.memory)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
