"""Words for tests that run sweeps: files of a study, commands, a cluster started by hand, and patience."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
from pandas.testing import assert_frame_equal

import swath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

PATIENCE = 60.0
"""Seconds after which what should have happened counts as never going to happen."""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(swath.__file__).parents[1])}
"""Of the processes that tests start: whatever folder they run in, they find the swath under test."""

HOLD = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def note(x):
    with open(HERE / "ran", "a") as file:
        file.write(f"{x}\\n")

def hold(x):
    note(x)
    while not (HERE / "go").exists():
        time.sleep(0.005)
    return x * x

def nap(x):
    note(x)
    time.sleep(0.02)
    return x * x
"""
"""A module whose function waits until a file named ``go`` lies beside it; ``ran`` tells what has begun."""


def until(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until a function gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {found}"
        time.sleep(0.01)
    return value


def ran(folder: Path) -> list[str]:
    """What the functions of `HOLD` have noted."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / "ran").read_text().split()
    return []


def taken_back(folder: Path) -> None:
    """Wait until a run named ``study`` that was asked to stop has taken back what has not begun.

    That it stops is said before. All is taken back in one breath, so the first word of it is enough.
    """
    until(lambda: '"event": "returned"' in (folder / "results/study/events.jsonl").read_text())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "swath", *map(str, arguments)]


def ask(*arguments: object, folder: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run ``swath`` to its end, in a folder; its exit code must be the one expected."""
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def begun(*words: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a folder, and make sure that it has ended."""
    with subprocess.Popen(
        words, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def received(terminal: int) -> bytes:
    """Everything that arrives at the leading end of a pseudo-terminal, which is closed then."""
    arrived = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
        while chunk := os.read(terminal, 65536):
            arrived += chunk
    os.close(terminal)
    return arrived


def family(process: psutil.Process | None = None) -> set[int]:
    """Process ids of all descendants, zombies left out."""
    found = set()
    for child in (process or psutil.Process()).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add(child.pid)
    return found


def outcome(results: swath.Results) -> pd.DataFrame:
    """What must not depend on how a sweep was run: parameters, metrics and statuses."""
    frame = results.frame
    return frame.loc[:, :"status"].astype({"status": str})


def assert_same(results: swath.Results, expected: swath.Results) -> None:
    assert_frame_equal(outcome(results), outcome(expected))


class Cluster:
    """A scheduler that cannot import swath, and workers, all started by hand in folders of their own.

    Dask's pages are loaded where it is told so, with options such as ``--dashboard-prefix /pre``.
    """

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        before: Sequence[str] = (),
        pages: Sequence[str] = ("--no-dashboard",),
    ) -> None:
        self.folder, self.host, self.before = folder, host, before
        self._pages = pages
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._file = folder / "scheduler.json"
        block = folder / "block"
        block.mkdir()
        (block / "sitecustomize.py").write_text("import sys\nsys.modules['swath'] = None\n")
        self._block = str(block)
        self.start()

    def start(self, port: str = "0") -> None:
        """Start the scheduler, on a port of its own choice or where one was before."""
        self._file.unlink(missing_ok=True)
        options = ["--port", port, *self._pages]
        self.scheduler = self._start("dask_scheduler", "scheduler", options, PYTHONPATH=self._block)
        identity = until(self._identity)
        self.address: str = identity["address"]
        self.pages = f"http://127.0.0.1:{identity['services'].get('dashboard')}"

    def stop(self) -> None:
        """Kill the scheduler as ``kill -9`` does."""
        self.scheduler.kill()
        self.scheduler.wait()

    def _identity(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self._file.read_text())
        return {}

    def _start(
        self, program: str, name: str, options: Sequence[str], before: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [
                    *self.before,
                    *before,
                    *(
                        sys.executable,
                        "-m",
                        f"distributed.cli.{program}",
                        "--scheduler-file",
                        str(self._file),
                    ),
                    *("--host", self.host, "--dashboard-address", "127.0.0.1:0"),
                    *options,
                ],
                cwd=folder,
                env={**ENVIRONMENT, "TMPDIR": str(folder), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def hire(
        self,
        *names: str,
        options: Sequence[str] = ("--no-nanny",),
        before: Sequence[str] = (),
        **environment: str,
    ) -> Self:
        """Start workers, each with a command ``before`` its own, as ``ip netns exec``."""
        for name in names:
            words = ["--nthreads", "1", "--name", name, "--no-dashboard", *options]
            self.workers[name] = self._start("dask_worker", name, words, before, **environment)
        return self

    def kill(self, name: str) -> None:
        """Kill a worker as ``kill -9`` does."""
        self.workers[name].kill()
        self.workers[name].wait()

    def dismiss(self) -> None:
        """Kill all workers, with what they have started; the scheduler stays."""
        for process in self.workers.values():
            below = self.below(process)
            process.kill()
            process.wait()
            for pid in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
        self.workers.clear()

    @staticmethod
    def below(process: subprocess.Popen[bytes]) -> list[int]:
        """Process ids of what a worker has started: a nanny's worker, and the children of slots."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        return []

    def close(self) -> None:
        self.dismiss()
        self.scheduler.kill()
        self.scheduler.wait()
