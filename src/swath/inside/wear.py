"""Wear: what points leave behind in a child, and when it is time for another child.

A process or a thread that outlives its point may disturb, slow down or kill the points after it, and takes part in
their memory. So a batch in which one is left is the child's last. What the module of the objective started while it was
imported is its own affair, and so are the helpers of Python's ``multiprocessing``, which end with their process. A
process that ``multiprocessing`` keeps (a pool that is used again, say) may stay until the batch ends; any other ends the batch
after the point that left it, so that it is gone within moments.

Leaks of a smaller kind (memory, descriptors, threads of C libraries, zombies, temporary files) wear a child down slowly. They are
measured against the state after the first points, because first uses fill caches.

Whether there is any process at all is one system call, since the child, like its keeper, inherits orphans. Only if there is
one, ``/proc`` is read to see whose, and never for more than a small part of the time.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from _thread import _count as count_threads
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swath.inside.keeper import descendants

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 0.05
"""Seconds that what a point has started may take to end by itself, once the batch is over."""

SHARE = 50
"""Looks at all processes may take this part of the time, one out of so many."""

EVERY = 0.1
"""Seconds between two measurements of leaks."""

HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver", b".backend.resource_tracker")
"""What stands in the command lines of processes that end with the one that they help."""

HARMLESS = ("tqdm._monitor",)
"""Modules whose threads only look after progress bars."""

MOST_FILES = 100_000
"""Temporary files that are looked at; more are too many."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a process holds: bytes, descriptors, threads, unreaped children, and bytes of temporary files."""

    memory: int
    descriptors: int
    threads: int
    zombies: int
    files: int


ALLOWANCE = Load(memory=512 * 2**20, descriptors=256, threads=256, zombies=256, files=2**30)
"""How much more than after the first points is too much."""


class Wear:
    """Watches over what points leave in this process.

    Attributes
    ----------
    spared : frozenset of int
        Processes that were there from the beginning.

    Parameters
    ----------
    scratch : str
        The folder for temporary files.
    memory : int or None
        Bytes that a point may hold; half of what is left of it after the first points may leak.
    """

    def __init__(self, scratch: str, memory: int | None) -> None:
        self._scratch = scratch
        self._cap = memory
        self.spared = frozenset(descendants(os.getpid())) if has_children() else frozenset()
        self._threads = count_threads()
        self._first: Load | None = None
        self._leaks = False
        self._measure_at = self._search_at = 0.0

    def must_end(self) -> bool:
        """Tell, between two points, whether the first has left so much that the batch must end."""
        return self._left_process() or self.leaks()

    def _left_process(self) -> bool:
        """Tell whether there is a process that nothing in this one keeps, as far as it is time to look."""
        if not has_children() or (begun := time.perf_counter()) < self._search_at:
            return False
        found = bool(self._left(_kept_processes()))
        now = time.perf_counter()
        self._search_at = now + SHARE * (now - begun)
        return found

    def is_worn(self) -> bool:
        """Tell, after a batch, whether this process should be replaced."""
        deadline = time.monotonic() + PATIENCE
        while self._left_threads() or (has_children() and self._left()):
            if time.monotonic() > deadline:
                return True
            time.sleep(0.005)
        return self.leaks()

    def leaks(self) -> bool:
        """Tell whether points have leaked too much, as far as it was time to measure."""
        if not self._leaks and (begun := time.monotonic()) > self._measure_at:
            load = _load(self._scratch)
            now = time.monotonic()
            self._measure_at = now + max(EVERY, SHARE * (now - begun))
            self._first = self._first or load
            self._leaks = self._exceeds(load, self._first)
        return self._leaks

    def _left_threads(self) -> bool:
        extra = count_threads() - self._threads
        if extra > 0:
            extra -= sum(type(thread).__module__ in HARMLESS for thread in threading.enumerate())
        return extra > 0

    def _left(self, kept: Iterable[int] = ()) -> list[int]:
        spared = self.spared.union(kept)
        return [process for process in descendants(os.getpid(), spared) if not _is_helper(process)]

    def _exceeds(self, load: Load, first: Load) -> bool:
        memory = max(ALLOWANCE.memory, first.memory)
        if self._cap is not None:
            memory = min(memory, max(self._cap - first.memory, 0) // 2)
        return (
            load.memory > first.memory + memory
            or load.descriptors > first.descriptors + ALLOWANCE.descriptors
            or load.threads > first.threads + ALLOWANCE.threads
            or load.zombies > first.zombies + ALLOWANCE.zombies
            or load.files > first.files + ALLOWANCE.files
        )


def has_children() -> bool:
    """Tell whether this process has any child, zombies included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _kept_processes() -> list[int]:
    """Process ids of those that `multiprocessing` in this process knows."""
    if "multiprocessing.process" not in sys.modules:
        return []
    from multiprocessing import active_children  # noqa: PLC0415  # loaded already

    return [process.pid for process in active_children() if process.pid is not None]


def _is_helper(process: int) -> bool:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return True  # it has ended meanwhile
    return any(helper in words for helper in HELPERS)


def _load(scratch: str) -> Load:
    """Measure this process; where there is no ``/proc``, all is nothing."""
    try:
        memory = int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a batch pays for it
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    except OSError:
        return Load(0, 0, 0, 0, 0)
    zombies = len(descendants(os.getpid(), zombies=True)) if has_children() else 0
    return Load(memory, descriptors, threads, zombies, _size(scratch))


def _size(folder: str) -> int:
    """Add up the bytes of the files below a folder; as if they were endless if there are too many."""
    total = seen = 0
    folders = [folder]
    for place in folders:  # it grows while we go through it
        try:
            for entry in os.scandir(place):
                seen += 1
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
        if seen > MOST_FILES:
            return sys.maxsize
    return total
