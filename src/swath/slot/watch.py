"""The watch over a child: does its point take more time or memory than it may.

The watch looks from time to time, never at every point: at the position that the child has noted (the *crumb*), at the
clock, and, under a cap, at the memory of the child and of all that it has started.

Memory is looked at the more often the less is left: no earlier than a process that touches `RUSH` bytes a second
could be through. The quick look counts every resident page; only when that passes the cap, pages that
processes share are divided among them, and pages of files, which the kernel can drop, are left out.

A point that takes too long may be held up by what an earlier point of its batch has started. Such threads and processes
are known by their age: they began with the batch, but not with the point.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from swath.inside.crumb import HERE, NOWHERE, TURN
from swath.inside.keeper import descendants
from swath.slot.meter import TICK, owned, resident

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableSequence

    from swath.task import Task

RUSH = 4 * 2**30
"""Bytes that a process may touch in a second (one core reaches 2 to 4 GiB)."""

OFTEN, SELDOM = 0.01, 0.25
"""Seconds between two looks, at least and at most, if there is something to look for."""

SOON = 0.05
"""Seconds between two searches for the child's descendants, at least."""

SHARE = 100
"""Looking for the child's descendants may take this part of the time, one out of so many."""


class Watch:
    """Looks at a child from time to time, for a point that takes too long or too much memory.

    Parameters
    ----------
    task : Task
        For the time and memory that a point may take.
    keeper : int
        Process id of the child's parent.
    crumb : mutable sequence of int
        Where the child notes the position it is at.
    """

    def __init__(self, task: Task, keeper: int, crumb: MutableSequence[int]) -> None:
        self._task = task
        self._keeper = keeper
        self._crumb = crumb
        self._family: list[int] = []
        self._search_at = 0.0
        self._slowest = 1.0
        if task.timeout is not None:
            self._slowest = min(SELDOM, max(OFTEN, task.timeout / 8))
        self.begin()

    def begin(self) -> None:
        """Prepare for a batch."""
        self._seen = (NOWHERE, 0)
        self._began = self._since = self._looked = time.monotonic()
        self.interval = self._slowest if self._task.memory is None else OFTEN

    def look(self) -> tuple[str, str]:
        """Return a status and its text if the point is to be ended, else two empty texts."""
        here, now = self._crumb[HERE], time.monotonic()
        if (
            now - self._looked > self.interval + 1.0
        ):  # this process was stopped, and perhaps the child with it
            self._since += now - self._looked - self.interval
        self._looked = now
        if (seen := (here, self._crumb[TURN])) != self._seen:
            self._seen, self._since = seen, now
        timeout, memory = self._task.timeout, self._task.memory
        if timeout is not None and here >= 0 and now - self._since > timeout:
            return "timeout", f"the point ran longer than {timeout:g} s"
        if memory is not None and (held := self._held(memory)) > memory and here >= 0:
            return "oom", f"the point held {held:,} bytes, more than the {memory:,} it may"
        return "", ""

    def is_disturbed(self) -> bool:
        """Tell whether there is a thread or process that an earlier point of the batch has, or may have, started."""
        if not Path("/proc/self/stat").exists():
            return True
        offset = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        first, last = ((moment + offset) * TICK for moment in (self._began, self._since))
        ages = [age for process in descendants(self._keeper) for age in _thread_starts(process)]
        return any(first - 1 <= age < last - 1 for age in ages)

    def begun(self, position: int) -> tuple[float, float]:
        """Return about when a point began (seconds since 1970), and how long it ran."""
        seconds = time.monotonic() - self._since if position == self._seen[0] else 0.0
        return time.time() - seconds, seconds

    def _held(self, cap: int) -> int:
        """Add up the memory of the child and of its descendants, in bytes; choose when to look again."""
        if (now := time.monotonic()) >= self._search_at:
            self._family = descendants(self._keeper)
            self._search_at = now + max(SOON, SHARE * (time.monotonic() - now))
        held = sum(map(resident, self._family))
        if held > cap:
            # If one of them ends between two readings, its share is counted with it and again with the others.
            held = min(sum(map(owned, self._family)) for _ in range(2))
        self.interval = min(self._slowest, SELDOM, max(OFTEN, (cap - held) / RUSH))
        return held


def _thread_starts(process: int) -> Iterator[int]:
    """When the threads of a process began, in ticks since the machine did."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208
            stat = Path(f"/proc/{process}/task/{thread}/stat").read_bytes()
            yield int(stat.rpartition(b")")[2].split()[19])
