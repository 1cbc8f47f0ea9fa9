"""What points print, on its way out of a child: which point it was.

Theory of operation
-------------------
Descriptors 1 and 2 of a child, and of whatever it starts, are one pipe, which its slot empties
(`swath.slot.output`); so it does not matter whether Python or C prints, and nothing that is printed can fill memory
or a disk. A *mark* in the pipe says which point has ended there: 16 bytes that the slot chose at random, then the first and
the last position since the mark before.

Silence costs nothing: the loop around the points asks for marks when it looks at the clock anyway, after every long
point and every few milliseconds among short ones, and a mark is written only if something was printed since, as a look into
the pipe or a word from the slot tells. So the first output among short points may have come from any of a
few milliseconds. From then on every point gets a mark, also in the next batch, until `SILENT` of them have printed
nothing. What a long point prints is always known to be its own.

Nothing stays behind in a buffer, where it would be lost in a crash: Python writes through, C line by line and whenever the
loop looks.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import struct
import sys
import termios
from typing import TYPE_CHECKING

from swath.inside.crumb import HEARD, HERE, MARKED, NONCE, READING, SINCE, TALKS

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

MARK = struct.Struct("=qqqq")
"""The two words, first position, last position. Shorter than what the system writes to a pipe in one piece."""

SILENT = 64
"""Points with marks, none of which prints, after which no more are written; a mark costs as much as ten short points."""

NOTHING = bytes(4)
"""What the system answers if nothing is in the pipe."""

HIGH = (256, 64, 3)
"""Our own descriptor of the pipe is at least this, if so many may be open: out of the way of points that close the small ones."""


class Output:
    """The child's end of the pipe; takes the place of the process's standard streams.

    Parameters
    ----------
    crumb : mutable sequence of int
        Shared with the slot.
    """

    def __init__(self, crumb: MutableSequence[int]) -> None:
        self._crumb = crumb
        self._pipe = moved(1)
        self._left = 0  # points that get a mark in any case
        self._marks = 0  # written so far
        self._doubt = False  # what there is to hear may be our marks
        self._streams = [_stream(1), _stream(2)]
        sys.stdout, sys.stderr = self._streams
        self._flush = _flusher()

    def begin(self, start: int) -> None:
        """Prepare for a batch that begins at a position; put the streams back that points may have closed."""
        with contextlib.suppress(OSError):
            for descriptor in (1, 2):
                os.dup2(self._pipe, descriptor)
        for i, stream in enumerate(self._streams):
            if stream.closed:
                self._streams[i] = _stream(i + 1)
        sys.stdout, sys.stderr = self._streams
        self._left = SILENT if self._crumb[TALKS] else 0
        self._doubt = False
        self._crumb[TALKS] = 0
        self._crumb[SINCE] = start

    def look(self) -> bool:
        """Mark the end of a point if it, or one since the last look, has printed; tell whether to look after every point."""
        crumb = self._crumb
        position = crumb[HERE]
        self._flush()
        if not self._left and self._hears():
            self._left = SILENT
        if self._left:
            with contextlib.suppress(OSError):
                first = min(crumb[SINCE], position)  # a copy of this process may have marked it too
                os.write(self._pipe, MARK.pack(crumb[NONCE], crumb[NONCE + 1], first, position))
                self._marks += 1
            self._left -= 1
            behind = self._marks - crumb[MARKED] > SILENT // 2  # the slot knows too little yet
            if not self._left and (crumb[TALKS] or behind):
                self._left, crumb[TALKS] = SILENT, 0
            self._doubt = not self._left
        crumb[SINCE] = position + 1
        return self._left > 0

    def _hears(self) -> bool:
        """Tell whether something was printed since the last look; in doubt it was."""
        crumb = self._crumb
        if self._unread():  # first, for the slot tells that it reads before it does
            return True
        if self._doubt:
            self._doubt = crumb[HEARD] == READING or crumb[MARKED] < self._marks or crumb[TALKS] != 0
            if not self._doubt:
                crumb[HEARD] = 0
            return self._doubt
        return crumb[HEARD] != 0

    def _unread(self) -> bool:
        try:
            return fcntl.ioctl(self._pipe, termios.FIONREAD, NOTHING) != NOTHING
        except OSError:  # a point has closed it
            return False


def moved(descriptor: int) -> int:
    """Return a second descriptor of the same file, as high as may be."""
    for least in HIGH:
        with contextlib.suppress(OSError):  # beyond the limit of open files
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    return descriptor


def _stream(descriptor: int) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        raw, encoding="utf-8", errors="backslashreplace", write_through=True
    )  # as python -u does it


def _flusher() -> Callable[[], object]:
    """Let C print line by line; return what empties its buffer."""
    import ctypes  # noqa: PLC0415  # loaded already, by the keeper that this process comes from

    try:
        library = ctypes.PyDLL(None)  # which keeps the lock of the interpreter: giving it away may cost 5 ms
        stdout = ctypes.c_void_p.in_dll(library, "stdout" if sys.platform == "linux" else "__stdoutp")
        library.setvbuf(stdout, None, 1, 0)  # _IOLBF
    except (OSError, ValueError, AttributeError):
        return lambda: None
    flush = library.fflush
    return lambda: flush(stdout)
