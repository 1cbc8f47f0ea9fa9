"""The keeper: the process between a slot and its child, which sees to it that nothing outlives the child.

Theory of operation
-------------------
The process that a slot starts forks before it has loaded anything. One half becomes the child, which imports and
evaluates. The other half stays, as small as Python can be, and waits for three things: the child's end, a word from
the slot over a socket (the *leash*), and the end of the slot's process, which closes the leash.

It asks the kernel to be given every orphan below it (a *subreaper*). So whatever a point starts, in however many
sessions, is below the keeper for good, and is killed once the child has ended, for whatever reason. A keeper with no
process left below it knows this from one system call; only otherwise it reads ``/proc`` to find whom to kill.

At last it ends as its child ended, by the same signal or with the same status, so that the slot sees its child's end.
Before that it says so over the leash: a keeper that ends without a word was killed, by a point that kills its parent,
and the slot must clean up itself. The child dies with its keeper; the kernel is asked for that.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

HUNG = b"h"
"""What a slot sends for a child that is to show where it hangs before it ends; a closed leash: end it now."""

ENDED = b"."
"""What a keeper sends when nothing of its child is left."""

STUCK = b"!"
"""What it sends when the kernel does not let a process go."""

SHOW = signal.SIGRTMAX - 2 if sys.platform == "linux" else signal.SIGUSR2
"""The signal at which a child writes down where it is."""

SHOW_TIME, TERM_TIME, KILL_TIME = 0.4, 0.25, 2.0
"""Seconds for writing that down, for ending when asked by SIGTERM, and for dying when killed, at most."""

WRITTEN = 0.02
"""Seconds without another word after which it counts as written down."""

TRACKER_TIME = 0.5
"""Seconds for cleaning up behind processes that are dead."""

SUBREAPER, DEATH_SIGNAL = 36, 1
"""Options of prctl(2) on Linux."""


def become_child() -> list[int]:
    """Fork into the keeper, which stays in here, and the child, which returns with the descriptors meant for it.

    The arguments of the process are the leash, the channel, the crumb, the pipe for steps, the evidence and the folder for
    temporary files.
    """
    leash, *rest = (int(argument) for argument in sys.argv[1:6])
    scratch = sys.argv[6]
    del sys.argv[1:]
    keeper = os.getpid()
    control(SUBREAPER, 1)
    try:
        child = os.fork()
    except OSError as error:  # too many processes
        os.write(rest[-1], f"no process can be started: {error}".encode())
        os._exit(1)
    if child:
        *others, evidence = rest
        for descriptor in others:
            os.close(descriptor)
        keep(child, leash, evidence, scratch)
    os.close(leash)
    os.setsid()
    control(SUBREAPER, 1)
    control(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)
    return rest


def control(option: int, value: int) -> None:
    """Call prctl(2); where that does not exist, nothing happens."""
    import ctypes  # noqa: PLC0415  # loaded once, before the fork

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value)


def keep(child: int, leash: int, evidence: int, scratch: str) -> NoReturn:
    """Wait until the child or the slot ends, leave nothing of the child behind, and end as it ended."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)  # whatever a point sends to its parent
    order = _wait(child, leash)
    if order == HUNG:
        _ask_to_end(child, evidence)
    status = _kill(child)
    kill_rest(frozenset([child] if status is None else []))
    empty(scratch)
    with contextlib.suppress(OSError):
        os.write(leash, STUCK if status is None else ENDED)
    _end_alike(1 if status is None else os.waitstatus_to_exitcode(status))


def _wait(child: int, leash: int) -> bytes:
    """Return what the slot orders; nothing if it or the child has ended."""
    poller = select.poll()
    poller.register(leash, select.POLLIN)
    with contextlib.suppress(AttributeError, OSError):
        for process in (child, os.getppid()):
            poller.register(os.pidfd_open(process), select.POLLIN)
    patience = None if sys.platform == "linux" else 100  # milliseconds
    while not (ready := poller.poll(patience)) and not _ended(child):
        pass
    return os.read(leash, 1) if leash in dict(ready) else b""


def _ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ask_to_end(child: int, evidence: int) -> None:
    """Let a child that hangs write down where, then end it as politely as it lets us."""
    with contextlib.suppress(OSError):
        before = last = os.fstat(evidence).st_size
        deadline = time.monotonic() + SHOW_TIME
        os.kill(child, SHOW)
        while not _within(WRITTEN, child) and time.monotonic() < deadline:
            size = os.fstat(evidence).st_size
            if before < size == last:
                break
            last = size
        os.killpg(child, signal.SIGTERM)
        os.killpg(child, signal.SIGCONT)
        _within(TERM_TIME, child)


def _within(seconds: float, child: int) -> bool:
    deadline = time.monotonic() + seconds
    while not (ended := _ended(child)) and time.monotonic() < deadline:
        time.sleep(0.005)
    return ended


def _kill(child: int) -> int | None:
    """Kill the child; return its status, or None if it does not end."""
    with contextlib.suppress(OSError):
        if not os.path.isdir("/proc"):  # noqa: PTH112  # who else is there cannot be found out
            os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] if _within(KILL_TIME, child) else None


def kill_rest(spared: frozenset[int] = frozenset()) -> None:
    """Kill all below this process but the spared; what one of them starts meanwhile is met in the next round.

    Trackers are left some time: once those whose semaphores and shared memory they know have ended, they remove
    these, and end too.
    """
    begun = time.monotonic()
    while reap() and (passed := time.monotonic() - begun) < KILL_TIME:
        left = descendants(os.getpid(), spared)
        if spared and not left:
            return
        for process in left:
            with contextlib.suppress(OSError):
                if passed > TRACKER_TIME or not _is_tracker(process):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def _is_tracker(process: int) -> bool:
    """Tell whether a process cleans up behind others, as Python's `multiprocessing` and joblib start them."""
    with open(f"/proc/{process}/cmdline", "rb") as file:  # noqa: PTH123  # pathlib is not loaded here
        return b"resource_tracker" in file.read()


def reap() -> bool:
    """Let every ended child of this process go; tell whether it has others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def descendants(ancestor: int, spared: frozenset[int] = frozenset(), *, zombies: bool = False) -> list[int]:
    """Process ids of all that descend from a process; none where there is no ``/proc``.

    Whoever is spared is left out, with all below it. Zombies are left out too, or else everybody but them.
    """
    children: dict[int, list[int]] = {}
    dead = set()
    for process, state, parent in _processes():
        if process not in spared:
            children.setdefault(parent, []).append(process)
            if state == "Z":
                dead.add(process)
    found = list(children.get(ancestor, ()))
    for process in found:  # it grows while we go through it
        found += children.get(process, ())
    return [process for process in found if (process in dead) == zombies]


def _processes() -> Iterator[tuple[int, str, int]]:
    """Process id, state and parent of every process that can be seen."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208  # pathlib is not loaded here
            if not name.isdecimal():
                continue
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                state, parent = file.read().rpartition(b")")[2].split()[:2]  # a name may hold anything
                yield int(name), state.decode(), int(parent)


def empty(folder: str) -> None:
    """Remove a folder and all that is in it, as far as that is possible."""
    try:
        os.rmdir(folder)  # noqa: PTH106
    except OSError:
        import shutil  # noqa: PLC0415  # only where something is left

        shutil.rmtree(folder, ignore_errors=True)


def _end_alike(code: int) -> NoReturn:
    """End with an exit status, or by the signal whose negative number is given."""
    if code < 0:
        import resource  # noqa: PLC0415  # one core dump is enough

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 1)
