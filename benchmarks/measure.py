"""Run a command as a process of its own and say how long it took, or how much memory its process tree had.

Never both at once: asking for proportional memory (PSS) stops a process for a millisecond or more.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLING = 0.02  # seconds between two looks at the memory
MIB = 1 << 20


class FailedError(Exception):
    """The command did not end well; the text says how."""


class Run:
    """``python ARGUMENTS`` as a process, with some variables of its environment changed.

    What it says on stderr goes to a file: nobody would empty a pipe while the memory is watched.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (it lives as long as the run)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def finish(self, limit: float, ok: Sequence[int] = (0,)) -> str:
        """Wait for the end, at most `limit` seconds, and give what it printed."""
        try:
            output, _ = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            kill_tree(self.process.pid)
            self.process.communicate()
            raise FailedError(f"stopped after {limit:g} s") from None
        if self.process.returncode not in ok:
            raise FailedError(f"exit {self.process.returncode}: {self.last_line()}")
        return output

    def last_line(self) -> str:
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["no message"])[-1]


def printed(
    *arguments: str, limit: float = 600, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Run ``python ARGUMENTS --started NOW`` and read the JSON that it prints."""
    run = Run(*arguments, "--started", str(time.monotonic()), environment=environment)
    return json.loads(run.finish(limit).splitlines()[-1])


def seconds(
    *arguments: str,
    limit: float = 600,
    ok: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
) -> float:
    """Seconds that ``python ARGUMENTS`` takes as a whole process."""
    started = time.monotonic()
    Run(*arguments, environment=environment).finish(limit, ok)
    return time.monotonic() - started


def peak(*arguments: str, limit: float = 600, environment: Mapping[str, str] | None = None) -> float:
    """Most memory that ``python ARGUMENTS`` and all its descendants had at one time, in MiB (PSS, summed)."""
    run = Run(*arguments, environment=environment)
    highest, deadline = 0, time.monotonic() + limit
    while run.process.poll() is None and time.monotonic() < deadline:
        highest = max(highest, tree_memory(run.process.pid))
        time.sleep(SAMPLING)
    run.finish(1)
    return highest / MIB


def tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def tree_memory(pid: int) -> int:
    total = 0
    for process in tree(pid):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def kill_tree(pid: int) -> None:
    for process in tree(pid):
        with suppress(psutil.Error):
            process.kill()


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and quartiles: ``1.43 (1.38-1.50)``."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 3:
        return middle
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle} ({low:.{digits}f}-{high:.{digits}f})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
