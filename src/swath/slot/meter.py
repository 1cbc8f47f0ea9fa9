"""The meter of a slot: what its child, and all that this has started, take up.

Theory of operation
-------------------
Whoever watches over a slot reads its meter about once a second, from a thread of its own; the child knows nothing of it, and
nothing is added to the path of a point. The processes are found from the keeper down, through the kernel's lists of
children, so that a look costs some 50 microseconds however many other processes the machine has. A look that takes longer, at
hundreds of processes, is repeated the less often: at most one part in `SHARE` of the time is spent here.

Time: what the processes have used, and what those had used that ended and were waited for, which the kernel hands up to
whoever waited. So the sum only grows, and its slope is the number of cores in use. When a child is replaced, what it
used is kept.

Memory: the resident pages of a process that is alone; of several, their own and their part of what they share, because
copies of a process share most of it. The kernel has to go through all of their pages to tell; between two such
questions the part of the resident pages that it was the last time stands for it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from swath.inside.crumb import HERE, NOWHERE, TURN
from swath.inside.keeper import descendants
from swath.messages import Load

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

TICK = os.sysconf("SC_CLK_TCK")
"""Ticks in a second, in which the kernel tells times."""

PAGE = os.sysconf("SC_PAGE_SIZE")
"""Bytes of a page of memory."""

SHARE = 1000
"""Looking takes at most this part of the time, one out of so many; and so does asking for what processes share."""


class Stay:
    """How long a slot has been at its point; known to the second, from looks at the crumb."""

    def __init__(self) -> None:
        self._seen = (NOWHERE, 0)
        self._since = 0.0

    def look(self, crumb: MutableSequence[int]) -> tuple[int | None, float | None]:
        """Return the position that is being evaluated, and for how many seconds it has been."""
        here, now = crumb[HERE], time.monotonic()
        if (seen := (here, crumb[TURN])) != self._seen:
            self._seen, self._since = seen, now
        return (here, now - self._since) if here >= 0 else (None, None)


class Meter:
    """Measures one slot; `read` is for one thread, `change` for another.

    Parameters
    ----------
    slot : str
        The slot's name, for people.
    """

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self._lock = threading.Lock()
        self._stay = Stay()
        self._before = 0.0  # seconds that earlier children used
        self._used = 0.0  # that the present one has used
        self._resident = 0
        self._memory: int | None = None
        self._shown = 0.0, time.monotonic()  # seconds used by the last reading, and its time
        self._cpu: float | None = None
        self._next = self._next_sum = 0.0
        self._own = 1.0  # part of the resident pages of several processes, each counted once

    def read(self, keeper: int, crumb: MutableSequence[int]) -> Load:
        """Look at the child of a keeper, unless that was costly and not long ago."""
        now = time.monotonic()
        if now >= self._next:
            family: list[int] = []
            with self._lock:
                self._next = now + SHARE * _cost(lambda: family.extend(self._look(keeper)))
                used, since = self._shown
                total = self._before + self._used
                self._shown = total, now
            self._cpu = (total - used) / (now - since) if family and now > since else None
            self._memory = self._resident if family else None
            if len(family) > 1:
                self._memory = self._share_out(family, now)
        return Load(self._slot, self._cpu, self._memory, *self._stay.look(crumb))

    def change(self, keeper: int) -> None:
        """Keep what the child of a keeper has used, because another one is about to follow it."""
        with self._lock:
            self._look(keeper)
            self._before += self._used
            self._used = 0.0

    def _look(self, keeper: int) -> list[int]:
        """Find out what the child of a keeper has used and holds; return it and what it has started."""
        family = _family(keeper)
        found = [stat for process in family if (stat := _stat(process)) is not None]
        self._used = max(self._used, sum(ticks for ticks, _ in found) / TICK)
        self._resident = sum(pages for _, pages in found) * PAGE
        return family if found else []

    def _share_out(self, family: list[int], now: float) -> int:
        """Return the memory of several processes, with what they share counted once."""
        if now >= self._next_sum and self._resident:
            sums: list[int] = []
            self._next_sum = now + SHARE * _cost(lambda: sums.extend(map(owned, family)))
            self._own = min(1.0, sum(sums) / self._resident)
        return round(self._own * self._resident)


def _cost(work: Callable[[], None]) -> float:
    """Do something; return the seconds of a core that it took."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def _family(keeper: int) -> list[int]:
    """Process ids of all below a keeper."""
    if not os.path.exists(f"/proc/{keeper}/task/{keeper}/children"):  # noqa: PTH110  # often, quickly
        return descendants(keeper)
    found = _children(keeper)
    for process in found:  # it grows while we go through it
        found += _children(process)
    return found


def _children(process: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208
            with open(f"/proc/{process}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


def _stat(process: int) -> tuple[int, int] | None:
    """Return the ticks that a process and those it has waited for have used, and its resident pages."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()  # a name may hold anything
        return sum(map(int, fields[11:15])), int(fields[21])
    except (OSError, IndexError, ValueError):
        return None


def resident(process: int) -> int:
    """Return the bytes of a process that are in memory, whoever shares them."""
    try:
        with open(f"/proc/{process}/statm", "rb") as file:  # noqa: PTH123  # often, quickly
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def owned(process: int) -> int:
    """Return the bytes that only this process keeps in memory, and its part of those it shares; files left out."""
    held = 0
    with contextlib.suppress(OSError), open(f"/proc/{process}/smaps_rollup", "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")):
                held += int(line.split()[1]) * 1024
        return held
    return resident(process)
