"""The journal: what happened to a run besides its points, for people, in ``events.jsonl``.

One JSON object a line: a time (UTC), an event, and what belongs to it. Sessions follow each other. Nothing
depends on it: it is flushed and not synced, and if it cannot be written the run goes on without.

It stays small. What may come often (batches lost, points that killed their child) is noted `OFTEN` times a session,
and a file that has grown past `MOST` bytes loses its older half when the next session begins.
"""

from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from swath.messages import Conclude, Exclude, Joined, Left, Lost, Noted, StopAsked, Write

if TYPE_CHECKING:
    from pathlib import Path

    from swath.messages import Command, Event

NAME = "events.jsonl"

OFTEN = 1000
"""Lines a session about each of the things that may happen with every batch."""

MOST = 1 << 20
"""Bytes of earlier sessions that are kept; a session adds at most four times as much."""

LONGEST = 500
"""Characters of a text; the whole of it is elsewhere."""

KILLERS = ("crash", "timeout", "oom")
"""Statuses of points that cost a child its life."""


class Journal:
    """Writes what happens into a run folder, and never raises.

    Parameters
    ----------
    folder : Path
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._file = -1
        with suppress(OSError):
            _cut(self.path)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o666)

    def note(self, event: str, **about: Any) -> None:
        """Write one line."""
        if self._file < 0 or self._bytes > 4 * MOST:
            return
        fields = {key: value[:LONGEST] if isinstance(value, str) else value for key, value in about.items()}
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            line = json.dumps({"time": now, "event": event, **fields}, default=str).encode() + b"\n"
            os.write(self._file, line)
        except (OSError, ValueError, TypeError):
            self.close()
        else:
            self._bytes += len(line)

    def often(self, event: str, **about: Any) -> None:
        """Write one line about what may happen with every batch, unless there are enough of them."""
        self._counts[event] += 1
        if self._counts[event] < OFTEN:
            self.note(event, **about)
        elif self._counts[event] == OFTEN:
            self.note(event, more="the rest of this session is not noted")

    def trouble(self, where: str, error: BaseException) -> None:
        """Note a mistake of ours that was got over."""
        trail = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-3:]]
        self.often("trouble", where=where, error=repr(error), trail=trail)

    def take(self, message: Event | Command) -> None:
        """Note a message if people might ask about it."""
        match message:
            case Write():
                deaths = {s: sum(b - a for a, b in r) for s, r in message.reply.failed if s in KILLERS}
                if deaths:
                    self.often("deaths", worker=message.batch.worker, slot=message.reply.slot, **deaths)
            case Joined():
                self.often("joined", worker=message.worker, slots=message.slots)
            case Left():
                self.often("left", worker=message.worker, reason=message.reason)
            case Lost():
                self.often("lost", batch=message.batch_id, reason=message.reason)
            case Noted():
                self.often("noted", text=message.text)
            case Exclude():
                spell = round(message.seconds, 1) if message.seconds < float("inf") else None
                self.often("excluded", worker=message.worker, seconds=spell, reason=message.reason)
            case StopAsked():
                self.often("stop", urgency=message.urgency.value, reason=message.reason)
            case Conclude():
                self.note("end", ending=message.ending.value, reason=message.reason)

    def tail(self, lines: int = 50) -> list[str]:
        """Return the last lines, as far as they can be read."""
        try:
            return self.path.read_bytes()[-64 * 1024 :].decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return []

    def close(self) -> None:
        """Write nothing any more; again, it does nothing."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1


def _cut(path: Path) -> None:
    """Keep the younger half of a journal that has grown too long."""
    if not path.is_symlink() and path.is_file() and path.stat().st_size > MOST:
        kept = path.read_bytes()[-MOST // 2 :].partition(b"\n")[2]
        beside = path.with_name(f"{NAME}.tmp")
        beside.write_bytes(kept)
        beside.replace(path)
