"""A run in front of a person: signals, progress, and the last words.

The sweep runs in a thread of its own; this thread draws and listens. The first signal lets the points that
are running finish, the second waits for the disk only, the third leaves at once, which loses no saved row
either. After SIGTERM or SIGHUP running points get `GRACE`: whoever sends these does not wait for ever. A handler
may interrupt this thread anywhere, even while it writes to a terminal that does not answer, so it does nothing
but pass the wish on; the words follow from the loop.
"""

from __future__ import annotations

import gc
import json
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from swath.messages import Urgency
from swath.run import Options, prepare
from swath.views.ansi import is_terminal
from swath.views.live.address import tunnel
from swath.views.phrases import best, complaint, pruned, setting
from swath.views.terminal import Silence, progress
from swath.views.text import cells, count, cut, duration, listed, plain, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType, TracebackType
    from typing import TextIO

    from swath.definition import Definition
    from swath.run import Handle, Outcome
    from swath.snapshot import Snapshot
    from swath.views.terminal import Mode, View

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BY: dict[int, str] = {signal.SIGINT: "by Ctrl-C", signal.SIGTERM: "by SIGTERM", signal.SIGHUP: "by SIGHUP"}
WIDEST = 200  # columns of a failure that is shown
MOST = 90  # columns of the best point, and of the commonest failure, in the last words
LONG = 20.0
"""Seconds of a sweep after which its terminal shows a picture of what was found."""

PICTURE = 16  # lines of it

GRACE = 20.0
"""Seconds that a machine which wants us gone leaves to running points; a person has Ctrl-C for that."""


class Signals:
    """While entered, signals stop the sweep that was attached; before one is, they end this process.

    A signal that was ignored stays ignored: ``nohup`` and background jobs of a shell rely on it. After one that came, all are: the
    process is leaving, and another could only change what it leaves with.

    Attributes
    ----------
    first : int
        Number of the first signal; 0 before it.
    count : int
        How many have come.
    """

    def __init__(self) -> None:
        self.first = self.count = 0
        self._stop: Callable[[Urgency, float | None], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for (
            number,
            handler,
        ) in self._before.items():  # after one, this process is leaving: others change nothing
            signal.signal(number, signal.SIG_IGN if self.count else handler)

    def attach(self, stop: Callable[[Urgency, float | None], None]) -> None:
        """Let signals call ``stop`` from now on."""
        self._stop = stop
        if self.count:  # one came while Python could not end for it
            stop(Urgency.DRAIN, GRACE)

    def _came(self, number: int, _frame: FrameType | None) -> None:
        self.first = self.first or number
        self.count += 1
        if self._stop is None:
            raise SystemExit(128 + number)
        if self.count > 2:
            os._exit(128 + self.first)
        grace = None if self.first == signal.SIGINT else GRACE
        self._stop(Urgency.DRAIN if self.count == 1 else Urgency.NOW, grace)


def run(
    definition: Definition,
    options: Mapping[str, Any],
    mode: Mode,
    stream: TextIO,
    arguments: Sequence[str],
    *,
    as_json: bool,
) -> int:
    """Run a sweep until it is over, with progress on ``stream``; return the exit code.

    Parameters
    ----------
    definition : Definition
        What to run.
    options : mapping
        Fields of `swath.run.Options`.
    mode : Mode
        How to show progress.
    stream : text file
        Where to.
    arguments : sequence of str
        What followed ``swath run`` on the command line.
    as_json : bool
        Whether to print a summary to the standard output.

    Raises
    ------
    SwathError
        What kept the sweep from starting, or stopped it; what is saved and how to go on is in its notes.
    """
    with Signals() as signals:
        handle = prepare(definition, Options(**options))
        words = Words(handle.folder, arguments, filtered=definition.space.where is not None)
        view = Careful(progress(mode, stream), stream)
        view.note(words.beginning(handle.snapshot))  # before it moves
        signals.attach(handle.stop)
        gc.freeze()  # what is there now stays; a look at all of it would hold up the loop for 50 ms
        gc.enable()
        handle.go()
        code = _attend(handle, signals, view, words, as_json=as_json, pages=mode not in ("json", "none"))
        if mode in ("auto", "bar") and is_terminal(stream):
            _draw(handle, stream)
        return code


def _draw(handle: Handle, stream: TextIO) -> None:
    """Draw what a sweep has found, if it took so long that a second more is not felt."""
    last = handle.snapshot
    if not handle.complete or last.best is None or last.elapsed < LONG:
        return
    with suppress(Exception):  # whatever it is: the rows are saved, and all that had to be said was said
        from swath.commands.picture import AUTO, write  # noqa: PLC0415  # pandas, for this alone

        stream.write("\n")
        write(handle.folder, AUTO, stream, PICTURE)


class Careful:
    """A view that falls silent if it fails: how a sweep is shown must not harm the sweep.

    Parameters
    ----------
    view : View
        What shows it.
    stream : text file
        Where to say things once that has failed.
    """

    def __init__(self, view: View, stream: TextIO) -> None:
        self._view, self._stream = view, stream
        self.interval = view.interval

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        self._try(lambda view: view.show(snapshot))

    def note(self, text: str) -> None:
        """Say something to the user, once."""
        self._try(lambda view: view.note(text))

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._try(lambda view: view.close())

    def _try(self, what: Callable[[View], None]) -> None:
        try:
            what(self._view)
        except Exception as error:  # noqa: BLE001  # whatever it is
            self._view = Silence(self._stream)
            self._view.note(f"(progress is shown no more: {type(error).__name__}: {error})")
            what(self._view)


def _attend(handle: Handle, signals: Signals, view: View, words: Words, *, as_json: bool, pages: bool) -> int:
    said = noticed = 0
    page = ""
    over = False
    while not over:
        over = handle.wait(view.interval)
        if signals.count > said and not over:
            said = signals.count
            view.note(words.stopping(said))
        last = handle.snapshot
        if pages and last.dashboard.rpartition("/")[2].startswith("sweep") and last.dashboard != page:
            page = last.dashboard
            view.note(words.page(page))
        for notice in last.notices[noticed:]:
            view.note(plain(notice))
        noticed = len(last.notices)
        view.show(last)
    view.close()
    if handle.error is not None:
        handle.error.add_note(words.left(last))
        raise handle.error
    interrupted = signals.first if not handle.complete else 0
    code = 128 + interrupted if interrupted else handle.outcome.exit_code
    reason = BY[interrupted] if interrupted else handle.outcome.reason
    view.note(words.end(last, reason, handle.outcome if not interrupted else None))
    if as_json:
        sys.stdout.write(json.dumps(_summary(handle, last, reason, code)) + "\n")
    return code


def _summary(handle: Handle, last: Snapshot, reason: str, code: int) -> dict[str, Any]:
    return {
        "name": last.name,
        "folder": str(handle.folder),
        "state": last.state,
        "reason": reason,
        "exit_code": code,
        "total": last.total - last.excluded,
        "done": last.saved - last.excluded,
        "statuses": dict(last.statuses),
        "seconds": round(last.elapsed, 3),
    }


class Words:
    """What is said at the beginning and at the end of a run.

    Parameters
    ----------
    folder : Path
        The run's folder.
    arguments : sequence of str
        What followed ``swath run`` on the command line.
    filtered : bool
        Whether a ``where`` will exclude some of what is to do.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], *, filtered: bool = False) -> None:
        self._folder = folder
        self._at_most = "up to " if filtered else ""
        self._run = shlex.quote(run_name(folder))
        self._arguments = [argument for argument in arguments if argument != "--fresh"]  # not twice

    @property
    def go_on(self) -> str:
        """The command that goes on where this one stopped."""
        return plain(f"swath run {shlex.join(self._arguments)}")

    @property
    def retry(self) -> str:
        """The command that runs the failed points again."""
        again = [part for part in self._arguments if not part.startswith("--retry")]
        return plain(f"swath run {shlex.join(again)} --retry")

    def beginning(self, snapshot: Snapshot) -> str:
        """Say what is there already and what is to be done."""
        name, to_do = plain(snapshot.name), snapshot.total - snapshot.saved
        if not snapshot.saved:
            return f"{name}: {self._at_most}{plural(to_do, 'point')} to do, results in {plain(self._folder)}"
        whole = snapshot.rows_before - snapshot.failed - snapshot.statuses.get("pruned", 0)
        said = [f"{count(whole)} done"]
        said += [early] if (early := pruned(snapshot.statuses)) else []
        said += [f"{count(snapshot.failed)} failed"] if snapshot.failed else []
        said.append(f"{self._at_most if to_do else ''}{count(to_do)} to do")
        return f"{name}: {', '.join(said)}"

    def page(self, link: str) -> str:
        """Say where it can be watched, also from where this person sits."""
        way = tunnel(link)
        return f"live page: {plain(link)}" + (f" (from your own machine: {plain(way)})" if way else "")

    def stopping(self, signals: int) -> str:
        """Say what a signal brought about."""
        if signals == 1:
            return (
                "Stopping: the points that are running finish first (Ctrl-C again to stop at once).\n"
                f"  go on later:  {self.go_on}"
            )
        return "Stopping at once; what is finished is being saved (Ctrl-C again to leave)."

    def end(self, snapshot: Snapshot, reason: str, outcome: Outcome | None = None) -> str:
        """Say how it went, where the results are, and what to do next."""
        if snapshot.state != "complete":
            colon = "" if reason in BY.values() else ":"
            example = self._example(outcome) if outcome is not None else ""
            return f"Stopped{colon} {plain(reason, lines=True)}.\n{example}{self.left(snapshot)}"
        ran = sum(snapshot.statuses.values()) > snapshot.rows_before
        seconds = f" in {duration(snapshot.elapsed)}" if ran else "; nothing was left to do"
        return "\n".join([f"{plain(snapshot.name)}: {_counts(snapshot)}{seconds}", *self._ways(snapshot)])

    def _example(self, outcome: Outcome) -> str:
        """Show one of the failures that stopped it, and say what to do about them."""
        if outcome.example is None:
            return ""
        met = f"(point {outcome.point}, {outcome.example.status}, on {plain(outcome.example.worker)})"
        said = cut(plain(outcome.example.text), WIDEST, "...")
        again = [part for part in self._arguments if not part.startswith("--retry")]
        mended = plain(f"swath run {shlex.join(again)} --retry {outcome.example.status}")
        return (
            f"  {said + '   ' if said else ''}{met}\n"
            f"See: swath show {plain(self._run)} {outcome.point}     After the fix: {mended}\n"
        )

    def left(self, snapshot: Snapshot) -> str:
        """Say what is saved of a sweep that stopped, and how to go on."""
        to_do = f"{self._at_most}{count(snapshot.total - snapshot.saved)} to do"
        lines = [
            f"{plain(snapshot.name)}: {_counts(snapshot)}, all saved; {to_do}",
            f"  go on:    {self.go_on}",
        ]
        return "\n".join([*lines, *self._ways(snapshot)])

    def _ways(self, snapshot: Snapshot) -> list[str]:
        ended = snapshot.sampler.ended if snapshot.sampler else ""
        ways = [f"  search:   {plain(ended)}"] if ended else []
        ways += [f"  best:     {said}"] if (said := _best(snapshot)) else []
        ways += [f"  results:  swath results {plain(self._run)}"] if snapshot.statuses else []
        if snapshot.failed:
            ways.append(f"  failed:   swath results {plain(self._run)} --failures")
            ways += [f"            {line}" for line in self._complaint(snapshot)]
            ways.append(f"  retry:    {self.retry}")
        return ways

    def _complaint(self, snapshot: Snapshot) -> list[str]:
        """Say what failed most often in this session, and how to see one of these points."""
        if not snapshot.complaints or not snapshot.complaints[0].text:
            return []
        most = snapshot.complaints[0]
        see = "" if most.point is None else f"  (swath show {plain(self._run)} {most.point})"
        earlier = sum(found.count for found in snapshot.complaints) < snapshot.failed
        said = ("this time " if earlier else "") + " ".join(complaint(most))
        return [cut(said, MOST, "...") + see]


def _best(snapshot: Snapshot) -> str:
    """Say what is best, with as many of its parameters as a line has room for; or why nothing is."""
    if snapshot.metric and snapshot.ok and snapshot.best is None:
        return f"none: no point returned a number as {plain(snapshot.metric)}, which is to be {snapshot.direction}d"
    said = best(snapshot)
    for i, part in enumerate(setting(snapshot.parameters)):
        if cells(said) + cells(part) > MOST:
            return f"{said}, ..."
        said += (": " if i == 0 else ", ") + part
    return said


def _counts(snapshot: Snapshot) -> str:
    stopped = f", {early}" if (early := pruned(snapshot.statuses)) else ""
    return f"{plural(snapshot.ok, 'point')} ok{stopped}{_failed(snapshot)}"


def _failed(snapshot: Snapshot) -> str:
    if not snapshot.failed:
        return ""
    return f", {count(snapshot.failed)} failed ({listed(snapshot.failures.items())})"


def run_name(folder: Path) -> str:
    """Name a run as briefly as the command line understands it."""
    short = folder.name
    plainly = folder.parent == Path("results") and not Path(short).exists()
    return short if plainly else str(folder)
