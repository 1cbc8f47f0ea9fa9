"""The journal: what happened to a run besides its points, for people, in ``events.jsonl``.

One JSON object a line: a time (UTC), an event, and what belongs to it. Sessions follow each other. Nothing
depends on it: it is flushed and not synced, and if it cannot be written the run goes on without.

It stays small. What may come often (batches lost, points that killed their child) is noted `OFTEN` times a session,
and a file that has grown past `MOST` bytes loses its older half when the next session begins. Only why points ended early,
or went on after all, is noted each time and kept, up to `DECISIONS` bytes, under the content id of the point.
"""

from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from swath.messages import (
    Conclude,
    Exclude,
    Joined,
    Left,
    Lost,
    Noted,
    Promote,
    Prune,
    Returned,
    StopAsked,
    Write,
)
from swath.store.decisions import DECIDED, NAME

if TYPE_CHECKING:
    from pathlib import Path

    from swath.messages import Command, Event
    from swath.store.logbook import Naming

OFTEN = 1000
"""Lines a session about each of the things that may happen with every batch."""

MOST = 1 << 20
"""Bytes of earlier sessions that are kept; a session adds at most four times as much."""

DECISIONS = 32 << 20
"""Bytes that a session may add about points that ended early, and that are kept of earlier ones."""

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
    naming : Naming, optional
        Names the points that something is decided about.
    """

    def __init__(self, folder: Path, naming: Naming | None = None) -> None:
        self.path = folder / NAME
        self._naming = naming
        self._counts: Counter[str] = Counter()
        self._bytes = {True: 0, False: 0}  # of decisions, and of everything else
        self._file = -1
        with suppress(OSError):
            _cut(self.path)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o666)

    def note(self, event: str, **about: Any) -> None:
        """Write one line."""
        decided = event in DECIDED
        if self._file < 0 or self._bytes[decided] > (DECISIONS if decided else 4 * MOST):
            return
        fields = {key: value[:LONGEST] if isinstance(value, str) else value for key, value in about.items()}
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            line = json.dumps({"time": now, "event": event, **fields}, default=str).encode() + b"\n"
            os.write(self._file, line)
        except (OSError, ValueError, TypeError):
            self.close()
        else:
            self._bytes[decided] += len(line)

    def often(self, event: str, **about: Any) -> None:
        """Write one line about what may happen with every batch, unless there are enough of them."""
        self._counts[event] += 1
        if self._counts[event] < OFTEN:
            self.note(event, **about)
        elif self._counts[event] == OFTEN:
            self.note(event, more="the rest of this session is not noted")

    def _named(self, position: int) -> dict[str, object]:
        """Return what names a point in this definition and in others."""
        if self._naming is None:
            return {"position": position}
        return {"point": self._naming.point(position), "id": self._naming.content_id(position)}

    def trouble(self, where: str, error: BaseException) -> None:
        """Note a mistake of ours that was got over."""
        trail = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-3:]]
        self.often("trouble", where=where, error=repr(error), trail=trail)

    def take(self, message: Event | Command) -> None:
        """Note a message if people might ask about it."""
        match message:
            case Write():
                self._take_deaths(message)
            case Prune() | Promote():
                self._take_decision(message)
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
            case StopAsked() | Returned():
                self._take_stop(message)
            case Conclude():
                self.note("end", ending=message.ending.value, reason=message.reason)

    def _take_stop(self, event: StopAsked | Returned) -> None:
        if isinstance(event, StopAsked):
            self.often("stop", urgency=event.urgency.value, reason=event.reason)
        elif self._counts["stop"]:  # what has not been given back by then is what is waited for
            self.often("returned", batch=event.batch_id, points=event.stop - event.start)

    def _take_deaths(self, write: Write) -> None:
        deaths = {s: sum(b - a for a, b in r) for s, r in write.reply.failed if s in KILLERS}
        if deaths:
            self.often("deaths", worker=write.batch.worker, slot=write.reply.slot, **deaths)

    def _take_decision(self, message: Prune | Promote) -> None:
        about: dict[str, Any] = {"reason": message.reason}
        if isinstance(message, Promote):
            about["attempt"] = message.attempt
        elif message.at is not None:
            about["step"] = message.at.step
            about["metrics"] = {
                name: value if isfinite(value) else str(value) for name, value in message.at.metrics.items()
            }
        self.note(
            "promote" if isinstance(message, Promote) else "prune", **self._named(message.position), **about
        )

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
    """Keep the younger half of a journal that has grown too long, and of the older one what was decided about points."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size <= MOST:
        return
    whole = path.read_bytes()
    border = whole.find(b"\n", len(whole) - MOST // 2) + 1
    lines = whole[:border].split(b"\n")
    kept = b"".join(line + b"\n" for line in lines if _is_decision(line))[-DECISIONS:]
    beside = path.with_name(f"{NAME}.tmp")
    beside.write_bytes(kept + whole[border:])
    beside.replace(path)


def _is_decision(line: bytes) -> bool:
    return any(f'"event": "{event}"'.encode() in line[:80] for event in DECIDED)
