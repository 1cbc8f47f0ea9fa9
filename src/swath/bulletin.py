"""The bulletin: how a run goes, told to other processes through ``status.json`` in its folder.

Theory of operation. The manifest says what is saved, and only that. Rates, load, the best so far and whatever else a
`Snapshot` knows live in the driver's memory, so the driver leaves a copy beside the manifest about once a second,
and `swath ls`, `swath status` and others read it. Nothing depends on it: it is replaced whole by a rename, never
synced, removed when the run ends, and a disk that refuses it harms nothing.

It is believed only if it is by the process that holds the folder's lock at this moment, and if that process has told
something lately. So what a killed run left, and the copy of a folder, are not taken for a run in progress, and a
suspended driver is told from one that works. A machine tells the age of its own bulletins by the monotonic clock, which
no setting of the clock disturbs; those of another machine go by the time of day.

A bulletin is data from anybody: what comes out of it is a snapshot of exactly the types that `Snapshot` declares, or none.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swath.errors import DamageError
from swath.store.disk import Disk, publish
from swath.store.folders import STATUS as NAME
from swath.store.lock import holder
from swath.transcript import decode, mapping_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from swath.snapshot import Snapshot

PERIOD = 1.0
"""Seconds between two bulletins; who reads them is a person."""

SHARE = 200
"""A bulletin that takes long, of thousands of workers or on a slow disk, is written at most this part of the time."""

LATE = 20.0
"""Seconds after which a bulletin is not believed; its writer is suspended, or the disk refuses it."""

MOST = 1 << 24
"""Bytes of a bulletin; 10,000 workers need a quarter of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a run in progress has told.

    Attributes
    ----------
    snapshot : Snapshot
        How it went then.
    age : float
        Seconds since.
    """

    snapshot: Snapshot
    age: float

    @property
    def late(self) -> bool:
        """Whether its writer is silent for too long to go by it."""
        return self.age > LATE


class Bulletin:
    """Writes the bulletin of one run; may be called from several threads, and never raises.

    Parameters
    ----------
    folder : Path
        The run folder, whose lock this process holds.
    trouble : callable
        Takes the first error; there is no second.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self, folder: Path, trouble: Callable[[Exception], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._trouble, self._clock = folder, trouble, clock
        self._lock = threading.Lock()
        self._due = clock() + PERIOD
        self._well = True
        self._closed = False

    def offer(self, look: Callable[[], Snapshot]) -> None:
        """Write what ``look`` returns, if it is time."""
        with self._lock:
            begun = self._clock()
            if self._closed or begun < self._due:
                return
            try:
                self._write(look())
            except Exception as error:  # noqa: BLE001  # whatever it is, it must not harm what is told of
                self._fail(error)
            took = self._clock() - begun
            self._due = begun + max(PERIOD, SHARE * took)

    def _write(self, snapshot: Snapshot) -> None:
        about = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "time": time.time(),
            "clock": self._clock(),
        }
        text = json.dumps({**about, "snapshot": mapping_of(snapshot)}, default=str)
        publish(Disk(), self._folder / NAME, [text.encode()], sync=False)

    def _fail(self, error: Exception) -> None:
        if self._well:
            self._well = False
            self._trouble(error)

    def close(self) -> None:
        """Remove the bulletin: from now on the manifest says all; again, it does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for name in (NAME, f"{NAME}.tmp"):
                    with suppress(OSError):
                        Disk().remove(self._folder / name)


def read(folder: Path) -> Told | None:
    """Return what the run in a folder has told; None if nobody writes to it, or nothing sound was told.

    Parameters
    ----------
    folder : Path
        A run folder.
    """
    writer = holder(folder)
    if writer is None:
        return None
    try:
        found = json.loads(Disk().read_file(folder, NAME, MOST))
        if (found["pid"], found["host"]) != (writer.pid, writer.host):
            return None
        here = writer.host == socket.gethostname()
        since = time.monotonic() - found["clock"] if here else time.time() - found["time"]
        return Told(decode(found["snapshot"]), max(0.0, float(since)))
    except (OSError, DamageError, ValueError, TypeError, KeyError, RecursionError):
        return None
