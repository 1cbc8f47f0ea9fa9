"""What points record, as it comes out of a child while they run; `swath.inside.steps` is the other end.

Theory of operation
-------------------
The child writes a line for every step into a pipe. Its slot looks at the pipe no sooner than `PAUSE` after it has read
something: so the first step after a pause is heard at once, many quick ones cost one look, and none is held back. Of what
has come, only the last point's is told: those before it have ended, and their steps come with the reply. So what is told of a
point is always the beginning of its steps, without a gap.

What was heard of the last point is kept, for the verdict if the child dies in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from swath.inside.steps import read_lines, steps_of

if TYPE_CHECKING:
    from swath.inside.steps import Said
    from swath.messages import Step

PAUSE = 0.002
"""Seconds between two looks."""

ROOM = 2**18
"""Bytes that the pipe holds, if the system lets us choose, and that are read at a time."""

MOST_READS = 16
"""Reads after the end of a child."""


class Heard:
    """The slot's end of a child's pipe for steps.

    Attributes
    ----------
    reader, writer : int
        Descriptors; the writer is for the child only, and closed here once it has it.
    again : float
        When to look again, in seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(self.reader, False)
        with contextlib.suppress(AttributeError, OSError):  # only Linux, and only up to a limit
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, ROOM)
        self.again = 0.0
        self._rest = b""
        self._last: list[Said] = []

    def begin(self) -> None:
        """Prepare for a batch: what is left of the one before came with its reply."""
        self._drain()
        self._rest, self._last = b"", []

    def read(self) -> tuple[Step, ...]:
        """Return what the point that was running last has recorded since the last look."""
        piece = os.read(self.reader, ROOM)
        self.again = (
            time.monotonic() + PAUSE if piece else float("inf")
        )  # nobody holds its other end any more
        return steps_of(self._feed(piece))

    def last_words(self, position: int) -> list[Said]:
        """Return all that was heard of a position, once the child is dead."""
        self._feed(self._drain())
        return [said for said in self._last if said[0] == position]

    def close(self) -> None:
        """Close the reader; what was read can still be asked for."""
        self._feed(self._drain())
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def _drain(self) -> bytes:
        """Read to the end, or as far as is reasonable."""
        pieces = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(MOST_READS if self.reader >= 0 else 0):
                if not (piece := os.read(self.reader, ROOM)):
                    break
                pieces.append(piece)
        return b"".join(pieces)

    def _feed(self, piece: bytes) -> list[Said]:
        """Take in what was read; return what is new of the last point."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        fresh = read_lines(_of_last(lines))
        for said in fresh:
            if self._last and _begins_anew(self._last, said):
                self._last = []
            self._last.append(said)
        return fresh


def _of_last(lines: list[bytes]) -> list[bytes]:
    """Leave out the lines of all points but the last one."""
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return []
    begin = lines[-1].partition(b",")[0] + b","
    first = len(lines)
    while first and (lines[first - 1].startswith(begin) or not lines[first - 1]):
        first -= 1
    return lines[first:]


def _begins_anew(before: list[Said], said: Said) -> bool:
    """Tell whether a step is not of the same evaluation as those before it."""
    if before[-1][0] != said[0]:
        return True
    last = next((step for _, step, *_ in reversed(before) if step is not None), None)
    return said[1] is not None and last is not None and said[1] <= last
