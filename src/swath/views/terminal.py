"""Progress for a person at a terminal, or for a log that one will read later.

Four views with the same three verbs: ``show`` takes a snapshot, as often as it likes, ``note`` says one
thing without tearing what is on the screen, ``close`` leaves the terminal as it was.

A view only ever draws in the thread that calls it, which is not the one that runs the sweep: a terminal
that was stopped with Ctrl-S, or a pager that nobody scrolls, holds up the drawing and nothing else. A pipe
that was closed, or a terminal that went away, silences the view for good.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast

from swath.transcript import mapping_of
from swath.views.text import cells, count, cut, duration, guess, listed, plain, plural, rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rich.live import Live
    from rich.text import Text

    from swath.snapshot import Snapshot

Mode = Literal["auto", "bar", "log", "json", "none"]

PERIOD = 30.0  # seconds between plain lines
SHARE = 0.05  # of all points between plain lines
BAR = 40  # columns; a longer bar says no more
STEP = 1.0  # seconds between lines for machines

Piece = tuple[str, str]  # text, style


class Glyphs(NamedTuple):
    """What a block is drawn with."""

    full: str
    empty: str
    between: str
    more: str

    def speak(self, text: str) -> str:
        """Spell out what cannot be shown."""
        return text if self is UNICODE else text.encode("ascii", "backslashreplace").decode("ascii")


UNICODE = Glyphs("█", "░", " · ", "…")
ASCII = Glyphs("#", "-", ", ", "~")


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
        return Block(stream) if _can_draw(stream) else Lines(stream)
    kinds: dict[str, type[Silence]] = {"log": Lines, "json": Objects, "none": Silence}
    return kinds[mode](stream)


def _can_draw(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    except ValueError:  # closed
        return False


# What there is to say.


def pieces(snapshot: Snapshot) -> list[str]:
    """Say how a sweep goes, in pieces of a few words, the most important first."""
    said = [f"{count(snapshot.saved)}/{count(snapshot.total)} done"]
    if snapshot.failed:
        said.append(f"{count(snapshot.failed)} failed")
    if snapshot.excluded:
        said.append(f"{count(snapshot.excluded)} excluded")
    said += pace(snapshot)
    if snapshot.best:
        said.append(best(snapshot))
    return said


def pace(snapshot: Snapshot) -> list[str]:
    """Say how fast it goes and how long it will take, or how it ended."""
    if snapshot.over:
        return [f"{snapshot.state} after {duration(snapshot.elapsed)}"]
    said = [rate(snapshot.rate)] if snapshot.rate else []
    if snapshot.eta and snapshot.saved < snapshot.total:
        said.append(f"ETA {guess(*snapshot.eta)}")
    if snapshot.state != "running":
        said.append("stopping" if snapshot.state == "draining" else snapshot.state)
    return said


def best(snapshot: Snapshot) -> str:
    """Say what is best so far."""
    number, point = snapshot.best or (0.0, 0)
    return f"best {plain(snapshot.metric)} {number:.4g} (point {point})"


def machines(snapshot: Snapshot) -> str:
    """Say how busy the slots are; empty if there is none."""
    if not snapshot.slots:
        return ""
    workers = sum(1 for worker in snapshot.workers if worker.slots)
    slots = f"{snapshot.busy}/{plural(snapshot.slots, 'slot')} busy"
    return slots + (f" on {plural(workers, 'worker')}" if workers > 1 else "")


class _Outlet:
    """A stream that falls silent when nobody listens any more; enough of a text file for rich."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "ascii"
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
        self.write(text + "\n")
        self.flush()

    @property
    def speaks_unicode(self) -> bool:
        try:
            "".join(UNICODE).encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True


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

    Parameters
    ----------
    stream : text file
        A terminal.
    """

    interval = 0.25  # seconds; faster cannot be read, and drawing costs a millisecond or two

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._live: Live | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Redraw."""
        if not self._outlet.gone:
            live = self._live or self._start()
            live.update(self._text(snapshot, live.console.width), refresh=True)

    def _start(self) -> Live:
        from rich.console import Console  # noqa: PLC0415  # 70 ms that only a terminal should pay
        from rich.live import Live  # noqa: PLC0415

        # Through the outlet, because rich ends the whole process when a pipe is closed.
        file = cast("TextIO", self._outlet)
        console = Console(file=file, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()
        return self._live

    def _text(self, snapshot: Snapshot, width: int) -> Text:
        from rich.text import Text  # noqa: PLC0415

        made = Text(no_wrap=True, overflow="crop", end="")
        for i, line in enumerate(block(snapshot, width, rich=self._outlet.speaks_unicode)):
            made.append("\n" if i else "")
            for text, style in line:
                made.append(text, style=style)
        return made

    def note(self, text: str) -> None:
        """Say something above the block."""
        if self._live is None:
            super().note(text)
        else:
            self._live.console.print(plain(text, lines=True), soft_wrap=True)

    def close(self) -> None:
        """Remove the block and show the cursor again."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


def block(snapshot: Snapshot, width: int, *, rich: bool = True) -> list[list[Piece]]:
    """Lay the block out in lines of at most ``width`` columns, each a list of (text, style).

    Parameters
    ----------
    snapshot : Snapshot
        What to show.
    width : int
        Columns of the terminal.
    rich : bool
        Whether block elements and the middle dot can be shown; ASCII otherwise.
    """
    room = max(1, width - 1)  # some terminals wrap after a full line
    glyphs = UNICODE if rich else ASCII
    lines = [_bar_line(snapshot, room, glyphs)]
    lines += _wrapped(_facts(snapshot), room, glyphs)
    lines += _wrapped(_machines(snapshot), room, glyphs)
    return lines


def _bar_line(snapshot: Snapshot, room: int, glyphs: Glyphs) -> list[Piece]:
    share = snapshot.saved / snapshot.total if snapshot.total else 1.0
    percent = int(100 * share)  # 100 % only when it is true
    tail = f" {percent:3d}% {count(snapshot.saved)}/{count(snapshot.total)}"
    name = cut(glyphs.speak(plain(snapshot.name)), max(8, room // 4), glyphs.more) + " "
    length = min(BAR, room - cells(name) - cells(tail))
    if length < 5:
        return [(cut(tail.strip(), room, glyphs.more), "")]
    filled = int(length * share)
    return [
        (name, "bold"),
        (glyphs.full * filled, "green"),
        (glyphs.empty * (length - filled), "dim"),
        (tail, ""),
    ]


def _facts(snapshot: Snapshot) -> list[Piece]:
    facts: list[Piece] = []
    if snapshot.failed:
        by_status = f" ({listed(snapshot.failures.items())})"
        facts.append((f"{count(snapshot.failed)} failed{by_status}", "red"))
    if snapshot.excluded:
        facts.append((f"{count(snapshot.excluded)} excluded", "dim"))
    facts += [(text, "") for text in pace(snapshot)]
    if snapshot.best:
        facts.append((best(snapshot), "cyan"))
    return facts


def _machines(snapshot: Snapshot) -> list[Piece]:
    facts = [(machines(snapshot), "dim"), (plain(snapshot.dashboard), "dim")]
    return [fact for fact in facts if fact[0]]


def _wrapped(facts: list[Piece], room: int, glyphs: Glyphs) -> list[list[Piece]]:
    """Distribute pieces over lines; one that is longer than a line is cut."""
    lines: list[list[Piece]] = []
    used = 0
    for text, style in facts:
        shown = cut(glyphs.speak(text), room, glyphs.more)
        if lines and used + len(glyphs.between) + cells(shown) <= room:
            lines[-1] += [(glyphs.between, "dim"), (shown, style)]
            used += len(glyphs.between) + cells(shown)
        else:
            lines.append([(shown, style)])
            used = cells(shown)
    return lines
