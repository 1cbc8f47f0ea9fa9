"""A child process that evaluates, as its parent holds it; `swath.inside.main` is what it does itself.

The parent starts it, sends it the task and one message for every batch, and watches over each with a look at the
crumb from time to time.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from swath.errors import ObjectiveError, SwathError
from swath.objective import Signature
from swath.task import Task, unpack

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from swath.messages import Reply

HERE, LIMIT = 0, 1
"""Words of the crumb; see `swath.inside.evaluate`."""

IMPORT_TIMEOUT = 60.0
"""Seconds that importing the objective may take."""

GRACE = 2.0
"""Seconds between asking a child to end and killing it."""

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
"""Numerical libraries whose threads would compete with the other slots."""


START = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); import swath.inside.main as m; m.main()"
"""What a child executes; it finds the swath that its parent is, installed or not."""


class SlotBrokenError(SwathError):
    """A child cannot be started, or dies without evaluating anything."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a child ended: where, why, and whether we did it."""

    position: int
    status: str
    text: str
    started: float
    seconds: float


class Child:
    """A process that evaluates, seen from its parent."""

    def __init__(self, task: Task, name: str, number: int) -> None:
        self.task = task
        self._signature: Signature | None = None
        self._end = threading.Lock()
        ours, theirs = socket.socketpair()
        memory = _shared_memory()
        self.crumb: MutableSequence[int] = _words(memory)
        output = _output(task, name)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(theirs.fileno()), str(memory)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(theirs.fileno(), memory),
                start_new_session=True,
                env=_environment(task, number),
                cwd=task.folder if Path(task.folder or "/nowhere").is_dir() else None,
            )
        except OSError as error:
            ours.close()
            raise SlotBrokenError(f"slot {name}: no child process can be started: {error}") from error
        finally:
            theirs.close()
            for descriptor in filter(None, (memory, output)):
                os.close(descriptor)
        self.channel = Connection(ours.detach())
        self._poller = select.poll()
        self._poller.register(self.channel.fileno(), select.POLLIN)
        self._exit = _exit_descriptor(self.process.pid)
        if self._exit is not None:
            self._poller.register(self._exit, select.POLLIN)
        with contextlib.suppress(OSError):  # a child that is dead already is found out by hello
            self.channel.send_bytes(task.encode())

    def hello(self) -> Signature:
        """Return the objective's signature, waiting for the import if need be."""
        if self._signature is None:
            fields = json.loads(self._greeting())
            if "error" in fields:
                raise ObjectiveError(fields["error"])
            required, optional = tuple(fields["required"]), tuple(fields["optional"])
            self._signature = Signature(required, optional, fields["anything"], fields["place"])
        return self._signature

    def _greeting(self) -> bytes:
        objective, deadline = self.task.code.objective, time.monotonic() + IMPORT_TIMEOUT
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(OSError):  # the channel is closed: it is about to exit
                if (message := self._receive(left)) is not None:
                    return message
            if self._exited():
                raise ObjectiveError(f"importing {objective} ended its process: {self.end()}")
        self.end()
        raise ObjectiveError(f"importing {objective} took more than {IMPORT_TIMEOUT:g} s")

    def evaluate(self, start: int, stop: int, budget: float, limit: int | None) -> Reply | Death:
        """Send a batch and watch over it."""
        self.crumb[HERE] = -1
        watch = _Watch(self.task, self.process.pid, self.crumb)
        status = text = ""
        try:
            self.channel.send_bytes(json.dumps([start, stop, budget, limit]).encode())
            while not status and not self._exited():
                if (message := self._receive(watch.interval)) is not None:
                    return unpack(message)
                status, text = watch.look()
        except OSError:
            pass  # the other end is gone, and so is the child
        position = self.crumb[HERE]
        started, seconds = watch.begun(position)
        cause = self.end()
        return Death(position, status or "crash", text or cause, started, seconds)

    def _receive(self, seconds: float) -> bytes | None:
        """Return the next message, or None if none comes in time or the child has ended."""
        patience = seconds if self._exit is not None else min(seconds, 0.05)
        ready = [descriptor for descriptor, _ in self._poller.poll(patience * 1000)]
        if self.channel.fileno() not in ready:
            return None
        try:
            return self.channel.recv_bytes()
        except EOFError as error:
            raise OSError("the channel is closed") from error

    def _exited(self) -> bool:
        """Tell whether the child has ended, leaving its process id taken until `end`."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self.process.returncode is not None or os.waitid(os.P_PID, self.process.pid, flags) is not None

    def kill(self) -> None:
        """Kill the child and everything in its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> str:
        """Kill the child if it has not ended, forget it, and put into words how it ended."""
        with self._end:
            self.kill()
            self.process.wait()
            self.channel.close()
            if self._exit is not None:
                os.close(self._exit)
                self._exit = None
        return _cause(self.process.returncode)


class _Watch:
    """Looks at the crumb from time to time, for a point that takes too long or too much memory."""

    def __init__(self, task: Task, pid: int, crumb: MutableSequence[int]) -> None:
        self._task = task
        self._pid = pid
        self._crumb = crumb
        self._seen = -1
        self._since = time.monotonic()
        self.interval = 1.0
        if task.timeout is not None:
            self.interval = min(0.25, max(0.01, task.timeout / 8))
        if task.memory is not None:
            self.interval = min(self.interval, 0.05)

    def look(self) -> tuple[str, str]:
        """Return a status and its text if the point is to be ended, else two empty texts."""
        here, now = self._crumb[HERE], time.monotonic()
        if here != self._seen:
            self._seen, self._since = here, now
        timeout, memory = self._task.timeout, self._task.memory
        if timeout is not None and here >= 0 and now - self._since > timeout:
            return "timeout", f"the point ran longer than {timeout:g} s"
        if memory is not None and here >= 0 and (held := _held_memory(self._pid)) > memory:
            return "oom", f"the point held {held:,} bytes, more than the {memory:,} it may"
        return "", ""

    def begun(self, position: int) -> tuple[float, float]:
        """Return about when a point began (seconds since 1970), and how long it ran."""
        seconds = time.monotonic() - self._since if position == self._seen else 0.0
        return time.time() - seconds, seconds


def _held_memory(pid: int) -> int:
    """Add up the resident memory of a process and all its descendants, in bytes."""
    import psutil  # noqa: PLC0415  # 25 ms that only a memory cap needs

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in family:
        with contextlib.suppress(psutil.Error):
            total += member.memory_info().rss
    return total


def _cause(code: int) -> str:
    """Put an exit code into words."""
    if code >= 0:
        return f"the process ended with exit status {code}"
    try:
        return f"the process was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"the process was killed by signal {-code}"


def _environment(task: Task, number: int) -> dict[str, str]:
    threads = {f"{library}_NUM_THREADS": str(task.cores) for library in LIBRARIES}
    return {**threads, **os.environ, "SWATH_SLOT": str(number)}


def _output(task: Task, name: str) -> int | None:
    """Open a child's log; None if it is to print where the worker prints."""
    folder = Path(task.logs or "/nowhere")
    if not folder.is_dir():
        return None
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
    return os.open(folder / f"{safe}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)


def _shared_memory() -> int:
    """Make a few bytes that two processes can map; return the descriptor."""
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("swath")
    else:
        with tempfile.TemporaryFile() as file:
            memory = os.dup(file.fileno())
    os.ftruncate(memory, mmap.PAGESIZE)
    return memory


def _words(memory: int) -> MutableSequence[int]:
    return memoryview(mmap.mmap(memory, mmap.PAGESIZE)).cast("q")  # type: ignore[return-value]


def _exit_descriptor(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, where the system has such."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
