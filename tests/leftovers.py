"""What a test left behind: processes, listening ports, locks and scratch files.

Theory of operation. `Traces` is looked at when a test begins, after the fixtures that outlive it were made, and again
when it is over; only what is new counts. All tests work in a folder for temporary files of their own and mark their
environment, which whatever they start inherits: so a process is known as ours also after its parents are gone, and
a file that somebody else drops into the system's folder is nobody's fault. Ports and locks are those that the test
process itself holds open; those of others end with the process that is named here. Something that is just ending
gets `PATIENCE`. In the good case a look costs a millisecond: process ids and descriptors are compared before
anything is read about them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MARK = "SWATH_TESTS"
"""The environment variable that the processes of one test run share."""

PATIENCE = 30.0
"""Seconds that something which is ending may take; a loaded machine is no fault of a test."""

_CARETAKERS = re.compile(rb"resource_tracker|multiprocessing\.forkserver|dask_spec")
"""Processes that Python's multiprocessing keeps for all of a process's life."""

_KEPT = re.compile(r"swath-\d+|dask-scratch-space|pytest-of-.*|\.?matplotlib.*")
"""Names in the folder for temporary files that are meant to stay: slot numbers and shipped code, for one."""


def settle() -> Path:
    """Give all tests a folder for temporary files of their own, and mark the environment; return the folder."""
    os.environ.setdefault(
        "PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir()
    )  # what pytest keeps stays where it was
    for comfort in (
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    ):  # users have neither, and they hide mistakes
        os.environ.pop(comfort, None)
    folder = Path(tempfile.mkdtemp(prefix="swath-tests-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    os.environ[MARK] = folder.name
    return folder


def leave(folder: Path) -> None:
    """Remove the folder for temporary files."""
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Traces:
    """What there is at one instant."""

    processes: set[int] = field(default_factory=lambda: set(_processes()))
    descriptors: set[str] = field(default_factory=lambda: set(_descriptors()))
    files: set[str] = field(default_factory=lambda: set(_scratch()))

    def forgive(self, later: Traces) -> None:
        """Count what there was at another instant too as having been there."""
        self.processes.update(later.processes)
        self.descriptors.update(later.descriptors)
        self.files.update(later.files)

    def leftovers(self, patience: float = PATIENCE) -> list[str]:
        """Tell what is there now that was not then, in words; empty if nothing is, at the latest after a while."""
        deadline, pause = time.monotonic() + patience, 0.005
        while (found := self._new()) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 0.2)
        return found

    def _new(self) -> list[str]:
        opened = set(_descriptors()) - self.descriptors
        return [
            *(f"process {pid}: {_command(pid)}" for pid in self.strays()),
            *_ports(opened),
            *(f"lock {path} is held" for path in sorted(opened) if _is_lock(path)),
            *(f"file {name} in {tempfile.gettempdir()}" for name in sorted(set(_scratch()) - self.files)),
        ]

    def strays(self) -> list[int]:
        """Processes that a test started and that live; one whose parent was there before belongs to that one."""
        return [pid for pid in sorted(set(_processes()) - self.processes) if self._is_stray(pid)]

    def _is_stray(self, pid: int) -> bool:
        state, parent = _status(pid)
        if state in "ZX" or _CARETAKERS.search(_read(pid, "cmdline")):
            return False
        while parent > 1 and parent != os.getpid() and parent not in self.processes:
            parent = _status(parent)[1]
        return parent == os.getpid() or (_is_marked(pid) and not _is_marked(parent))

    def end(self) -> None:
        """Kill the processes that were left, so that the next test begins in peace."""
        for pid in self.strays():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def _status(pid: int) -> tuple[str, int]:
    """State and parent of a process; one that is gone is dead (X)."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return (fields[0].decode(), int(fields[1])) if fields else ("X", 0)


def _is_marked(pid: int) -> bool:
    return f"{MARK}={os.environ.get(MARK)}".encode() in _read(pid, "environ").split(b"\0")


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()[:200]


def _descriptors() -> list[str]:
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(path.readlink()))
    return found


def _ports(opened: set[str]) -> list[str]:
    """Name the ports on which one of these descriptors listens."""
    inodes = {target[8:-1] for target in opened if target.startswith("socket:[")}
    if not inodes:
        return []
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # 0A: it listens
                found.append(f"{family.name} port {int(fields[1].rpartition(':')[2], 16)} listens")
    return found


def _is_lock(path: str) -> bool:
    scratch = Path(tempfile.gettempdir(), f"swath-{os.getuid()}")
    return Path(path.removesuffix(" (deleted)")).name == "lock" or Path(path).parent == scratch


def _scratch() -> list[str]:
    """Names in the folder for temporary files, and what is half made in swath's own."""
    folder = Path(tempfile.gettempdir())
    found = [path.name for path in folder.iterdir() if not _KEPT.fullmatch(path.name)]
    with contextlib.suppress(FileNotFoundError):
        ours = f"swath-{os.getuid()}"
        made = re.compile(r"slot-\d+|[0-9a-f]{32}")  # numbers, and code filed under its hash
        found += [
            f"{ours}/{path.name}" for path in (folder / ours).iterdir() if not made.fullmatch(path.name)
        ]
    return found
