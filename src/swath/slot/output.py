"""What points print, as it comes out of a child: kept up to a size, counted beyond, and told apart by point.

Theory of operation
-------------------
The slot waits for its child in one place, and empties the child's pipe there whenever something is in it. So a point that
prints without end is slowed down, but fills neither memory nor a disk, and never waits for good, even if it
holds Python's lock. Of every point the first and the last half of `MOST_KEPT` are kept, and all its bytes are counted.

Marks in the pipe say which points have ended (see `swath.inside.output`). What comes after the last mark of
a child that has died belongs to the point that it was at, or to one since the last look.

A batch may have many points: once `MOST_LOGS` are kept, the rest of its output is one log of a range, and once
`MOST_BYTES` are, each further log keeps `LITTLE`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from swath.inside.crumb import HEARD, MARKED, NONCE, READING, TALKS
from swath.inside.output import MARK
from swath.messages import Log

if TYPE_CHECKING:
    from collections.abc import MutableSequence

MOST_KEPT = 65_536
"""Bytes kept of what a point prints."""

MOST_LOGS, MOST_BYTES, LITTLE = 10_000, 4 * 2**20, 1_024
"""Logs of a batch; bytes that they keep; bytes that each keeps beyond these."""

ROOM = 2**18
"""Bytes that a pipe holds, if the system lets us choose, and that are read at a time."""

LAST_WORDS = 16
"""Reads after the end of a batch or a child; somebody whom it has left may go on printing."""

BETWEEN = (-1, -1)
"""Instead of positions, for what is printed while no point runs: when the objective is imported, or by what it left."""


class Output:
    """The slot's end of a child's pipe, and what has come out of it.

    Parameters
    ----------
    crumb : mutable sequence of int
        Shared with the child.

    Attributes
    ----------
    reader, writer : int
        Descriptors; the writer is for the child only, and closed here once it has it.
    """

    def __init__(self, crumb: MutableSequence[int]) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(self.reader, False)
        with contextlib.suppress(AttributeError, OSError):  # only Linux, and only up to a limit
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, ROOM)
        self._crumb = crumb
        crumb[NONCE], crumb[NONCE + 1] = (int.from_bytes(os.urandom(7)) for _ in range(2))
        self._nonce = MARK.pack(crumb[NONCE], crumb[NONCE + 1], 0, 0)[:16]
        self._rest = b""  # may be the beginning of a mark
        self._now = _Kept(MOST_KEPT)
        self._range: tuple[int, int] | None = None
        self._logs: list[Log] = []
        self._bytes = 0

    def begin(self) -> None:
        """Prepare for a batch; what was printed while no point ran is put aside."""
        talked = any(log.first >= 0 for log in self._logs)
        self._logs, self._bytes = [], 0
        self._read_rest()
        self._end_all(*BETWEEN)
        self._crumb[TALKS] = int(talked)
        self._crumb[HEARD] = 0

    def read(self) -> bool:
        """Read what is in the pipe; tell whether there may ever be more."""
        self._crumb[HEARD] = READING  # before it is taken out: the child looks at both
        piece = os.read(self.reader, ROOM)
        self._feed(piece)
        self._crumb[HEARD] = 1
        return bool(piece)

    def logs(self) -> tuple[Log, ...]:
        """Return what the points of the batch have printed, once it has ended."""
        self._read_rest()
        if self._range is not None:
            self._keep(*self._range)
        return tuple(self._logs)

    def last_words(self, first: int, last: int) -> tuple[Log, ...]:
        """Return what the points of the batch have printed, once the child is dead; all without a mark is of a range."""
        self._read_rest()
        self._end_all(first, last)
        return tuple(self._logs)

    def close(self) -> None:
        """Read to the end; what was read can still be asked for."""
        self._read_rest()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def _read_rest(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(LAST_WORDS if self.reader >= 0 else 0):
                piece = os.read(self.reader, ROOM)
                if not piece:
                    return
                self._feed(piece)

    def _feed(self, piece: bytes) -> None:
        """Take in what was read, up to what may be the beginning of a mark."""
        data = memoryview(raw := self._rest + piece)
        begin = 0
        while (mark := raw.find(self._nonce, begin)) >= 0 and mark + MARK.size <= len(raw):
            self._now.add(data[begin:mark])
            self._end(*MARK.unpack_from(raw, mark)[2:])
            begin = mark + MARK.size
        end = mark if mark >= 0 else max(begin, len(raw) - len(self._nonce) + 1)
        self._now.add(data[begin:end])
        self._rest = raw[end:]
        if self._now.size:
            self._crumb[TALKS] = 1

    def _end(self, first: int, last: int) -> None:
        """End the log of some points, if they have printed."""
        self._crumb[MARKED] += 1
        if self._now.size:
            self._crumb[TALKS] = 1
            self._range = first if self._range is None else self._range[0], last
            if len(self._logs) < MOST_LOGS - 1:
                self._keep(*self._range)

    def _end_all(self, first: int, last: int) -> None:
        """End a log with all that has come."""
        self._now.add(memoryview(self._rest))
        self._rest = b""
        if self._now.size:
            self._keep(first if self._range is None else min(first, self._range[0]), last)

    def _keep(self, first: int, last: int) -> None:
        text = self._now.text()
        self._logs.append(Log(first, last, text, self._now.size))
        self._bytes += len(text)
        self._now = _Kept(MOST_KEPT if self._bytes < MOST_BYTES else LITTLE)
        self._range = None


class _Kept:
    """The beginning and the end of something long.

    Parameters
    ----------
    room : int
        Bytes kept at most.
    """

    def __init__(self, room: int) -> None:
        self.size = 0
        self._half = room // 2
        self._head = bytearray()
        self._tail = b""

    def add(self, piece: memoryview) -> None:
        """Go on with a piece."""
        self.size += len(piece)
        free = self._half - len(self._head)
        if free > 0:
            self._head += piece[:free]
            piece = piece[free:]
        if piece:
            self._tail = (self._tail + bytes(piece[-self._half :]))[-self._half :]

    def text(self) -> str:
        """Return what was kept, and say how much was not; bytes that are no UTF-8 are spelt out."""
        left_out = self.size - len(self._head) - len(self._tail)
        if not left_out:
            return (bytes(self._head) + self._tail).decode(errors="backslashreplace")
        head, tail = (part.decode(errors="backslashreplace") for part in (self._head, self._tail))
        return f"{head}\n[... {left_out:,} bytes left out ...]\n{tail}"
