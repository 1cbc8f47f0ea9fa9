"""Drivers of sweeps, started in a fiftieth of the time: a process that has imported everything forks one per attempt.

Theory of operation. ``python drivers.py FOLDER`` reads a line for each attempt (its arguments, as JSON), forks, and the
child runs ``swath`` with them, exactly as the command does: with an engine, slots and their children. The parent
says ``begun PID`` and ``ended CODE``. It has no threads, so a fork is a fresh start.

What a driver reports as saved goes to the file ``acknowledged``, positions as pairs of 64-bit integers, at the instant
at which the store says so; the byte in ``phase`` tells what its store is at. Both are written by plain system calls
and shared memory, which outlive a ``kill -9``. Budgets and commits are a tenth of the usual ones, so that a sweep of
seconds sees as many of them as one of a minute.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PHASES = ("starting", "evaluating", "committing", "merging", "exporting")


PATIENCE = 300.0
"""Seconds after which a driver that does not end, or a process that does not fork one, counts as hanging."""


class Drivers:
    """Starts drivers one after the other, in a folder; a context manager.

    Parameters
    ----------
    folder : Path
        Where they run, and where what they report is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged = folder / "acknowledged"
        self.pid = 0
        self._phase = folder / "phase"
        self._phase.write_bytes(bytes(mmap.PAGESIZE))
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            bufsize=0,  # so that a look at the pipe tells whether a word is there
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.lives():
            os.kill(self.pid, signal.SIGKILL)
        self._process.communicate(timeout=60)

    def start(self, *arguments: object) -> None:
        """Start a driver; returns when it is there."""
        self.acknowledged.write_bytes(b"")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]).encode() + b"\n")
        self.pid = self._said("begun")

    def kill(self) -> int:
        """Kill the driver as ``kill -9`` does; return its exit code, which may be 0 if it had ended already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def lives(self) -> bool:
        """Whether the driver has not ended."""
        return self.pid > 0 and Path(f"/proc/{self.pid}").exists()

    def wait(self) -> int:
        """Wait for the driver's end; return its exit code, -9 if it was killed."""
        return self._said("ended")

    def saved(self) -> list[tuple[int, int]]:
        """Ranges of positions that the driver has reported as saved."""
        told = self.acknowledged.read_bytes()
        return list(struct.iter_unpack("qq", told[: len(told) // 16 * 16]))

    def phase(self) -> str:
        """What its store was at last."""
        return PHASES[self._phase.read_bytes()[0]]

    def _said(self, word: str) -> int:
        assert self._process.stdout is not None
        there, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        assert there, f"a driver does not say {word!r} within {PATIENCE:g} s"
        said, _, number = self._process.stdout.readline().decode().partition(" ")
        assert said == word, f"expected {word!r} of the process that forks drivers, got {said!r}"
        if word == "ended":
            self.pid = 0
        return int(number)


def main(folder: Path) -> None:
    """Fork a driver for every line that comes."""
    import distributed  # noqa: F401
    import pandas  # noqa: F401, ICN001

    import swath.cli
    import swath.engines.dask
    import swath.inside.rows
    import swath.results
    import swath.run
    import swath.views.terminal  # noqa: F401

    _hasten()
    with (folder / "phase").open("r+b") as file:
        phase = mmap.mmap(file.fileno(), mmap.PAGESIZE)
    _observe(folder / "acknowledged", phase)
    assert threading.active_count() == 1, "what was imported started a thread, which a fork would lack"
    for line in sys.stdin:
        phase[0] = 0
        pid = os.fork()
        if not pid:
            _drive(json.loads(line), folder / "said")
        print("begun", pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


def _drive(arguments: Sequence[str], said: Path) -> None:
    """Be a driver."""
    import swath.cli

    nothing, words = (
        os.open(os.devnull, os.O_RDWR),
        os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666),
    )
    for there, here in ((nothing, 0), (words, 1), (words, 2)):
        os.dup2(there, here)
    code = 70
    try:
        sys.argv = ["swath", *arguments]
        swath.cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _hasten() -> None:
    """Make budgets and commits a tenth of the usual ones, and merge a quarter as many files."""
    import swath.batching
    import swath.store.commits
    import swath.store.merging

    for module, name, factor in (
        (swath.batching, "BUDGET", 0.1),
        (swath.batching, "FLOOR", 0.2),
        (swath.store.commits, "PAUSE", 0.1),
    ):
        setattr(module, name, getattr(module, name) * factor)
    for name in ("MANY", "LEAST"):
        setattr(swath.store.merging, name, getattr(swath.store.merging, name) // 4)


def _observe(acknowledged: Path, phase: mmap.mmap) -> None:
    """Have the store's words written down, and what it is at."""
    from swath.messages import Write
    from swath.store import Store
    from swath.store.writer import Writer

    begin, append = Store.begin, Store.append
    accepted: dict[int, Any] = {}

    def began(self: Store, *given: Any, durable: Callable[[tuple[int, ...]], None], **named: Any) -> Any:
        log = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

        def told(ids: tuple[int, ...]) -> None:
            ranges = [pair for batch in ids for pair in accepted.pop(batch)]
            os.write(log, b"".join(struct.pack("qq", *pair) for pair in ranges))
            durable(ids)

        past = begin(self, *given, durable=told, **named)
        phase[0] = PHASES.index("evaluating")
        return past

    def appended(self: Store, item: Any) -> None:
        if isinstance(item, Write):
            accepted[item.batch.id] = list(item.accepted)
        append(self, item)

    Store.begin, Store.append = began, appended  # type: ignore[method-assign]
    for owner, name, what in ((Writer, "commit", 2), (Writer, "merge", 3), (Store, "export", 4)):
        setattr(owner, name, _marked(getattr(owner, name), phase, what))


def _marked(method: Callable[..., Any], phase: mmap.mmap, what: int) -> Callable[..., Any]:
    def marked(*given: Any, **named: Any) -> Any:
        before, phase[0] = phase[0], what
        try:
            return method(*given, **named)
        finally:
            phase[0] = before

    return marked


if __name__ == "__main__":
    main(Path(sys.argv[1]))
