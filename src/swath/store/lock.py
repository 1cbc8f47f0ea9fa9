"""One writer a run folder: a lock that ends with its owner, whatever ends the owner.

Theory of operation. The lock is ``flock`` on the file ``lock``, whose descriptor is closed on exec, so that no
program that we start can keep it; the kernel frees it when the owner ends, by ``kill -9`` too. The file's content
(JSON: pid, host, started) is only for the message to whoever comes second. The file stays when the lock is given
back, since removing it would let two writers hold locks on two files of one name; where a folder was moved or
removed while we waited, the name no longer leads to what we locked, and we try again.

A file system may accept ``flock`` and do nothing. So a second descriptor asks for the same lock, which must be
refused; a folder where it is not cannot be written safely.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swath.errors import CannotWriteError, RunInUseError

NAME = "lock"
_PATIENCE = 5  # a look by `holder` takes the lock for microseconds; a writer that meets one tries again
_PAUSE = 0.01  # seconds


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes to a run folder.

    Attributes
    ----------
    pid : int
        Its process, 0 where unknown.
    host : str
        Its machine, empty where unknown.
    started : str
        ISO time, UTC.
    """

    pid: int = 0
    host: str = ""
    started: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {self.started})" if self.pid else "another process"


class Lock:
    """The right to write to a run folder, from construction to `release`.

    Parameters
    ----------
    folder : Path
        Must exist.

    Raises
    ------
    RunInUseError
        Somebody else has it.
    CannotWriteError
        The lock file cannot be written, or locks do not work there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._handle = _take(self.path)
        try:
            _probe(self.path)
            _sign(self._handle)
        except OSError as error:
            self.release()
            raise CannotWriteError(f"cannot write {self.path}: {error.strerror}") from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back; calling it again does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def holder(folder: Path) -> Holder | None:
    """Tell who writes to a run folder at this instant; None if nobody does."""
    try:
        handle = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _signature(handle)
    else:
        return None
    finally:
        os.close(handle)


def held_here(folder: Path) -> bool:
    """Tell whether this very process writes to a run folder."""
    who = holder(folder)
    return who is not None and (who.pid, who.host) == (os.getpid(), socket.gethostname())


def _take(path: Path) -> int:
    """Lock the file of this name, which may be replaced or moved meanwhile; return the open descriptor."""
    tries = 0
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _leads_to(path, handle):
                return handle
        except BlockingIOError:
            who = _signature(handle)
            tries += 1
            if tries >= _PATIENCE:
                heirs = _heirs(handle, who)
                os.close(handle)
                raise RunInUseError(_in_use(path.parent, who, heirs)) from None
            time.sleep(_PAUSE)
        except OSError as error:
            os.close(handle)
            raise _useless(path, error.strerror or "flock fails") from error
        os.close(handle)


def _in_use(folder: Path, who: Holder, heirs: list[int]) -> str:
    if not heirs:
        return f"{folder} is in use by {who}; wait for it, or stop it: swath stop {folder}"
    pids = " ".join(map(str, heirs))
    return (
        f"{folder} is in use: {who} has ended, but what it left behind still holds the lock: process {pids}; "
        f"end that: kill {pids}"
    )


def _heirs(handle: int, who: Holder) -> list[int]:
    """Find the processes that keep the lock of an owner that has ended: forked by it, without an exec."""
    if who.host != socket.gethostname() or not who.pid or Path(f"/proc/{who.pid}").exists():
        return []
    locked = os.fstat(handle)
    return [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdecimal() and int(process.name) != os.getpid() and _has_open(process, locked)
    ]


def _has_open(process: Path, file: os.stat_result) -> bool:
    with suppress(OSError):  # it has ended, or is somebody else's
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                found = entry.stat()
                if (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino):
                    return True
    return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise CannotWriteError(f"cannot write {path}: {error.strerror}") from error


def _leads_to(path: Path, handle: int) -> bool:
    """Tell whether the name still leads to the file that we hold."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _probe(path: Path) -> None:
    """Check that a second taker is refused."""
    second = _open(path)
    try:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return
        raise
    finally:
        os.close(second)
    raise _useless(path, "a lock was given twice")


def _useless(path: Path, why: str) -> CannotWriteError:
    return CannotWriteError(
        f"{path.parent} is on a file system without working locks ({why}), so two runs could spoil each other; "
        "put the results on another one: --out FOLDER"
    )


def _sign(handle: int) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": now})
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _signature(handle: int) -> Holder:
    """Read who signed; a lock taken this instant is not signed yet, and its file is data like any other."""
    try:
        found = json.loads(os.pread(handle, 4096, 0))
        return Holder(int(found["pid"]), str(found["host"]), str(found["started"]))
    except (ValueError, TypeError, KeyError, OSError):
        return Holder()
