"""Progress for a person at a terminal, or for a log that one will read later.

Four views with the same three verbs: ``show`` takes a snapshot, as often as it likes, ``note`` says one
thing without tearing what is on the screen, ``close`` leaves the terminal as it was.

What is said is in `swath.views.phrases`, how the live block is laid out in `swath.views.block`.

A view only ever draws in the thread that calls it, which is not the one that runs the sweep: a terminal
that was stopped with Ctrl-S, or a pager that nobody scrolls, holds up the drawing and nothing else. A pipe
that was closed, or a terminal that went away, silences the view for good.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from swath.transcript import mapping_of
from swath.views.ansi import is_terminal, pen, size_of, speaks
from swath.views.block import ASCII, UNICODE, block
from swath.views.phrases import pieces
from swath.views.text import cells, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TextIO

    from swath.snapshot import Snapshot

Mode = Literal["auto", "bar", "log", "json", "none"]

PERIOD = 30.0  # seconds between plain lines
SHARE = 0.05  # of all points between plain lines
STEP = 1.0  # seconds between lines for machines


class View(Protocol):
    """Shows how a sweep goes."""

    interval: float
    """Seconds between two calls of `show` that make sense."""

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot, or leave it out if the one before was recent."""

    def note(self, text: str) -> None:
        """Say something to the user, once."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""


def progress(mode: Mode, stream: TextIO) -> View:
    """Make the view for a mode and a place to write to, which is usually the standard error.

    ``auto`` is a live block on a terminal that can move its cursor and plain lines elsewhere; so is
    ``bar``, because control characters have no business in a file.
    """
    if mode in ("auto", "bar"):
        return Block(stream) if is_terminal(stream) else Lines(stream)
    kinds: dict[str, type[Silence]] = {"log": Lines, "json": Objects, "none": Silence}
    return kinds[mode](stream)


class _Outlet:
    """A stream that falls silent when nobody listens any more; as a pipe or a terminal may."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.gone = False

    def write(self, text: str) -> int:
        if not self.gone:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # a closed pipe, a terminal that is gone, a closed file
                self.gone = True
        return len(text)

    def flush(self) -> None:
        if not self.gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self.gone = True

    def line(self, text: str) -> None:
        self.send(text + "\n")

    def send(self, text: str) -> None:
        """Write something at once."""
        self.write(text)
        self.flush()


class Silence:
    """Shows nothing, but passes on what must be said."""

    interval = 0.5

    def __init__(self, stream: TextIO) -> None:
        self._outlet = _Outlet(stream)

    def show(self, snapshot: Snapshot) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Say something to the user, once."""
        self._outlet.line(plain(text, lines=True))

    def close(self) -> None:
        """Do nothing."""


class Lines(Silence):
    """Plain lines: at the start, every 30 s or 5 % of the points, at the end.

    Parameters
    ----------
    stream : text file
        Where to write.
    clock : callable
        Gives the time of day as text; for tests.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")) -> None:
        super().__init__(stream)
        self._clock = clock
        self._last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Write a line if one is due."""
        if self._due(snapshot):
            self._last = snapshot
            self._outlet.line(f"[{self._clock()}] {', '.join(pieces(snapshot))}")

    def _due(self, snapshot: Snapshot) -> bool:
        last = self._last
        return (
            last is None
            or snapshot.state != last.state
            or (
                not snapshot.over
                and (
                    snapshot.elapsed - last.elapsed >= PERIOD
                    or snapshot.saved - last.saved >= max(1.0, SHARE * snapshot.total)
                )
            )
        )


class Objects(Silence):
    """Lines for machines: each the whole snapshot as a JSON object, at most one a second."""

    interval = STEP

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._last: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Write an object if one is due."""
        last = self._last
        if last is None or snapshot.state != last.state or snapshot.elapsed - last.elapsed >= STEP:
            self._last = snapshot
            self._outlet.line(json.dumps(mapping_of(snapshot), default=str))

    def note(self, text: str) -> None:
        """Say something to the user, once."""
        self._outlet.line(json.dumps({"note": text}))


class Block(Silence):
    """One live block on a terminal, redrawn in place and removed at the end.

    A frame goes out in one piece: up to where the block begins, over what was there, each line cleared behind its end; so nothing
    is ever blank in between. The cursor rests below the block and is never hidden: whatever ends this process, the terminal is as a
    shell expects it. While the process is in the background the terminal is somebody else's, and after it was suspended the block is
    drawn anew below what the shell has said.

    Parameters
    ----------
    stream : text file
        A terminal.
    """

    interval = 0.25  # seconds; faster cannot be read, and drawing costs a millisecond

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._stream = stream
        self._pen = pen(stream)
        self._glyphs = UNICODE if speaks(stream, "".join(UNICODE)) else ASCII
        self._frame = ""
        self._drawn: list[int] = []  # columns of the lines that are on the screen
        self._before: Any = None  # what was done at SIGCONT
        self._resumed = False

    def show(self, snapshot: Snapshot) -> None:
        """Redraw."""
        if self._outlet.gone or not self._may_draw():
            return
        columns, lines = size_of(self._stream)
        laid = block(snapshot, columns, lines - 1, self._glyphs)
        frame = "".join(f"{self._pen.line(line)}\x1b[K\n" for line in laid)
        if frame != self._frame or not self._drawn:
            self._outlet.send(f"{self._up(columns)}{frame}\x1b[J")
            self._frame = frame
            self._drawn = [sum(cells(text) for text, _ in line) for line in laid]

    def note(self, text: str) -> None:
        """Say something above the block."""
        up = f"{self._up(size_of(self._stream)[0])}\x1b[J" if self._drawn and self._may_draw() else ""
        below = self._frame if up else ""
        self._outlet.send(f"{up}{plain(text, lines=True)}\n{below}")

    def close(self) -> None:
        """Remove the block."""
        if self._drawn and self._may_draw():
            self._outlet.send(f"{self._up(size_of(self._stream)[0])}\x1b[J")
        self._drawn = []
        if self._before is not None:
            signal.signal(signal.SIGCONT, self._before)
            self._before = None

    def _up(self, columns: int) -> str:
        """Go to where the block begins; a terminal that was made narrower has wrapped its lines."""
        rows = sum(max(1, -(-width // columns)) for width in self._drawn)
        return f"\r\x1b[{rows}A" if rows else ""

    def _may_draw(self) -> bool:
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGCONT, self._went_on)
        mine = _is_in_front(self._stream)
        if self._resumed or not mine:
            self._resumed = False
            self._drawn = []  # others have written since
        return mine

    def _went_on(self, number: int, frame: FrameType | None) -> None:
        self._resumed = True
        if callable(self._before):
            self._before(number, frame)


def _is_in_front(stream: TextIO) -> bool:
    """Tell whether this process is in the foreground of its terminal; a terminal that is not ours to control counts as that."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return True
