"""A child process that evaluates, as its slot holds it; `swath.inside.main` is what it does itself.

The slot starts it under a keeper (see `swath.inside.keeper`), sends it the task and one message for every batch,
and watches over each with a look at the crumb from time to time. The keeper ends as the child ended, and then nothing of it
is left; so the process that is waited for here is the keeper.
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
import threading
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from swath.errors import ObjectiveError
from swath.inside.crumb import ENDING, EVERYTHING, HERE, LIMIT, NOWHERE, SINCE, WORN
from swath.inside.ends import cause, nameless_file, written
from swath.inside.keeper import ENDED, HUNG, STUCK, empty
from swath.objective import Signature
from swath.slot.output import BETWEEN, Output
from swath.slot.place import Place, SlotBrokenError
from swath.slot.steps import Heard
from swath.slot.watch import Watch
from swath.task import Task, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from swath.inside.steps import Said
    from swath.messages import Batch, Log, Reply, Step

IMPORT_TIMEOUT = 60.0
"""Seconds that importing the objective may take."""

MOST_AHEAD = 4_096
"""Characters of points in an offer that is sent ahead: it must fit into the channel, even if the child does not come to read it."""

PATIENCE = 8.0
"""Seconds that a keeper may take to end its child, before it is killed itself."""

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
"""Numerical libraries whose threads would compete with the other slots."""

START = f"""
import sys; sys.path.append({str(Path(__file__).parents[2])!r})
from swath.inside.keeper import become_child; descriptors = become_child()
from swath.inside.main import live; live(*descriptors)
"""
"""What a child's keeper executes; it finds the swath that its parent is, installed or not."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a child ended.

    Attributes
    ----------
    position : int
        Where it was, as the crumb has it.
    status : str
        Of the point that is to blame for it.
    text : str
        What is known about it.
    started, seconds : float
        When that point began (seconds since 1970), and how long it ran.
    plain : bool
        Whether nothing else can have been the cause: no second death is needed.
    limit : int
        The first position that was taken back meanwhile, as the crumb has it.
    logs : tuple of Log
        What the points of the batch have printed.
    steps : list of Said
        What that point has recorded.
    """

    position: int
    status: str
    text: str
    started: float
    seconds: float
    plain: bool
    limit: int
    logs: tuple[Log, ...] = ()
    steps: list[Said] = field(default_factory=list)


class Child:
    """A process that evaluates, seen from its slot, which hears what its points record.

    Attributes
    ----------
    is_ahead : bool
        Whether it has been sent a batch that nobody waits for yet.
    """

    def __init__(self, task: Task, name: str, place: Place, hear: Callable[[tuple[Step, ...]], None]) -> None:
        self.task = task
        self._hear = hear
        self._name = name
        self._signature: Signature | None = None
        self._batches = 0
        self._kernel_kills = _kernel_kills()
        self._end = threading.Lock()
        self._ended = self.evidence = ""
        self.is_stuck = self.is_ahead = False
        self._scratch = place.scratch()
        channel, its_channel = socket.socketpair()
        self._leash, its_leash = socket.socketpair()
        memory, self._evidence = nameless_file(mmap.PAGESIZE), nameless_file()
        self.crumb: MutableSequence[int] = _words(memory)
        self.crumb[HERE] = NOWHERE
        self._output = Output(self.crumb)
        self._heard = Heard()
        passed = (its_leash.fileno(), its_channel.fileno(), memory, self._heard.writer, self._evidence)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, *map(str, passed), self._scratch],
                stdin=subprocess.DEVNULL,
                stdout=self._output.writer,
                stderr=self._output.writer,
                pass_fds=passed,
                start_new_session=True,
                env=_environment(task, place.number, self._scratch),
                cwd=task.folder if Path(task.folder or "/nowhere").is_dir() else None,
            )
        except OSError as error:
            channel.close()
            self._leash.close()
            self._output.close()
            self._heard.close()
            os.close(self._evidence)
            empty(self._scratch)
            raise SlotBrokenError(f"slot {name}: no child process can be started: {error}") from error
        finally:
            its_channel.close()
            its_leash.close()
            os.close(memory)
            os.close(self._output.writer)
            os.close(self._heard.writer)
        self._watch = Watch(task, self.process.pid, self.crumb)
        self.channel = Connection(channel.detach())
        self._poller = select.poll()
        self._poller.register(self.channel.fileno(), select.POLLIN)
        self._poller.register(self._output.reader, select.POLLIN)
        self._poller.register(self._heard.reader, select.POLLIN)
        self._listens = True
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
                raise ObjectiveError(f"importing {objective} ended its process: {self.end()}{self.evidence}")
        self.end(hung=True)
        raise ObjectiveError(f"importing {objective} took more than {IMPORT_TIMEOUT:g} s{self.evidence}")

    def evaluate(self, batch: Batch, following: Callable[[], Batch | None]) -> Reply | Death:
        """Send a batch, if it is not begun already, and watch over it; begin the following one as soon as its reply is there."""
        status = text = ""
        try:
            if not self.is_ahead:
                self._begin(batch)
            self.is_ahead = False
            while not status:
                if (message := self._receive(self._watch.interval)) is not None:
                    logs = self._output.logs()
                    self._begin_ahead(following)
                    reply = unpack(message)
                    return replace(reply, logs=logs) if logs else reply
                if self._exited():  # asked last: whoever has answered may end
                    break
                status, text = self._watch.look()
        except OSError:
            pass  # the other end is gone, and so is the child
        position = self.crumb[HERE]
        plain = {
            "timeout": not self._watch.is_disturbed(),
            "oom": self._batches == 1 and position == batch.start,
        }.get(status, False)
        began, seconds = self._watch.begun(position)
        ended = self.end(hung=status == "timeout")
        if not status:
            status = "crash"
            if self.process.returncode == -signal.SIGKILL and _kernel_kills() > self._kernel_kills:
                status, ended = "oom", f"the machine had no memory left: {ended}, by the kernel"
        elif self.is_stuck:
            text = f"{text}; {ended}"
        logs = self._output.last_words(*((self.crumb[SINCE], position) if position >= 0 else BETWEEN))
        steps = self._heard.last_words(position)
        text = (text or ended) + self.evidence
        return Death(position, status, text, began, seconds, plain, self.crumb[LIMIT], logs, steps)

    def _begin(self, batch: Batch) -> None:
        self.crumb[HERE], self.crumb[LIMIT] = NOWHERE, EVERYTHING  # even if the child does not live to do so
        self.crumb[ENDING] = 0
        self._batches += 1
        self._watch.begin()
        self._output.begin()
        self._heard.begin()
        offer = [batch.start, batch.stop, batch.budget, batch.limit, batch.points]
        self.channel.send_bytes(json.dumps(offer).encode())

    def _begin_ahead(self, following: Callable[[], Batch | None]) -> None:
        if self.is_worn() or (batch := following()) is None or len(batch.points) > MOST_AHEAD:
            return
        self.is_ahead = True
        with contextlib.suppress(OSError):  # whoever evaluates it will find out
            self._begin(batch)

    def is_worn(self) -> bool:
        """Tell whether points have left so much behind that the next batch needs another child."""
        return bool(self.crumb[WORN])

    def _receive(self, seconds: float) -> bytes | None:
        """Return the next message, or None if none comes in time or the child has ended."""
        patience = seconds if self._exit is not None else min(seconds, 0.05)
        deadline = time.monotonic() + patience
        while True:
            ready = self._ready(patience)
            if self._output.reader in ready and not self._output.read():
                self._poller.unregister(self._output.reader)  # nobody holds its other end any more
            if self._heard.reader in ready and (steps := self._heard.read()):
                self._hear(steps)
            if self.channel.fileno() in ready:
                break
            patience = deadline - time.monotonic()
            if self._exit in ready or patience < 0:
                return None
        try:
            return self.channel.recv_bytes()
        except EOFError as error:
            raise OSError("the channel is closed") from error

    def _ready(self, patience: float) -> list[int]:
        """Wait until there is something to read; to steps, nobody listens for a moment after some have come."""
        pause = self._heard.again - time.monotonic()
        if self._listens != (pause <= 0):
            self._listens = not self._listens
            if self._listens:
                self._poller.register(self._heard.reader, select.POLLIN)
            else:
                self._poller.unregister(self._heard.reader)
        if not self._listens:
            patience = min(patience, pause)
        return [descriptor for descriptor, _ in self._poller.poll(patience * 1000)]

    def _exited(self) -> bool:
        """Tell whether the child has ended, leaving its process id taken until `end`."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self.process.returncode is not None or os.waitid(os.P_PID, self.process.pid, flags) is not None

    def kill(self, *, hung: bool = False) -> None:
        """Let the keeper kill the child and all that it has started; if it hangs, it shall show where."""
        with contextlib.suppress(OSError):
            if hung:
                self._leash.send(HUNG)
            else:
                self._leash.shutdown(socket.SHUT_WR)

    def end(self, *, hung: bool = False) -> str:
        """Kill the child if it has not ended, forget it, and put into words how it ended."""
        with self._end:
            if not self._ended:
                self.kill(hung=hung)
                self._ended = self._await_end()
                self.evidence = written(self._evidence)
                os.close(self._evidence)
                self.channel.close()
                self._output.close()
                self._heard.close()
                self._leash.close()
                if self._exit is not None:
                    os.close(self._exit)
                    self._exit = None
        return self._ended

    def _await_end(self) -> str:
        """Wait for the keeper; do its work if it does not, because a point has killed or stopped it."""
        self.process.send_signal(signal.SIGCONT)
        code = self._wait(PATIENCE)
        if code is None:
            self.process.kill()
            code = self._wait(PATIENCE)
        with contextlib.suppress(OSError):
            word = self._leash.recv(1, socket.MSG_DONTWAIT)
            if word == ENDED and code is not None:
                return cause(code)
            if word == STUCK:
                code = None
        if code is None:
            self.is_stuck = True
            return "the process does not end, even by SIGKILL; its slot goes on without it"
        self._clean_up()
        return cause(code)

    def _wait(self, seconds: float) -> int | None:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _clean_up(self) -> None:
        """Kill whoever has inherited the folder for temporary files: these are the child's."""
        mark = f"TMPDIR={self._scratch}".encode()
        deadline = time.monotonic() + PATIENCE
        while (left := list(_having(mark))) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.005)
        empty(self._scratch)


def _having(mark: bytes) -> list[int]:
    """Process ids of those in whose environment, as they were started, something stands."""
    found = []
    with contextlib.suppress(OSError):
        for folder in os.scandir("/proc"):
            if folder.name.isdecimal() and int(folder.name) != os.getpid():
                with contextlib.suppress(OSError), open(f"/proc/{folder.name}/environ", "rb") as file:  # noqa: PTH123  # many, quickly
                    if mark in file.read().split(b"\0"):
                        found.append(int(folder.name))
    return found


def _kernel_kills() -> int:
    """Return how many processes the kernel has killed on this machine because there was no memory left."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def _environment(task: Task, number: int, scratch: str) -> dict[str, str]:
    threads = {f"{library}_NUM_THREADS": str(task.cores) for library in LIBRARIES}
    return {**threads, **os.environ, "SWATH_SLOT": str(number), "TMPDIR": scratch}


def _words(memory: int) -> MutableSequence[int]:
    return memoryview(mmap.mmap(memory, mmap.PAGESIZE)).cast("q")  # type: ignore[return-value]


def _exit_descriptor(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, where the system has such."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
