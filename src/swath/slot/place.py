"""The place of a slot on its host: its number, and folders in which its children may leave files.

The lowest number that no other slot of this user holds is kept by a lock, which the kernel releases with its
process. Whoever holds a number owns the folders whose names begin with it, so what a killed machine has left there is
removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from swath.errors import SwathError
from swath.inside.keeper import empty


class SlotBrokenError(SwathError):
    """A child cannot be started, or dies without evaluating anything."""


class Place:
    """A number that no other slot of this user on this host has until `release`."""

    def __init__(self) -> None:
        self._home = _home()
        self.number = 0
        while True:
            self._lock = os.open(
                self._home / f"slot-{self.number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._lock)
                self.number += 1
            else:
                break
        self._empty()

    def scratch(self) -> str:
        """Make an empty folder for the temporary files of one child."""
        return tempfile.mkdtemp(prefix=f"{self.number}-", dir=self._home)

    def release(self) -> None:
        """Let somebody else have it; a second call does nothing."""
        if self._lock >= 0:
            self._empty()
            os.close(self._lock)
            self._lock = -1

    def _empty(self) -> None:
        for folder in self._home.glob(f"{self.number}-*"):
            empty(str(folder))


def _home() -> Path:
    """Find the folder for numbers, which must be ours: a name in a shared folder can be taken by anybody."""
    try:
        home = Path(tempfile.gettempdir()) / f"swath-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        mine = not home.is_symlink() and home.stat().st_uid == os.getuid()
    except OSError as error:
        raise SlotBrokenError(f"no folder for temporary files: {error}; set TMPDIR to one") from error
    if not mine:
        raise SlotBrokenError(f"{home} belongs to somebody else; set TMPDIR to a folder of your own")
    return home
