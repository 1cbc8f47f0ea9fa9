"""The logs of a run: what its points have printed, in files of lines, for people.

Theory of operation
-------------------
Nothing depends on these files: they are not synced, not checked, and whatever goes wrong with them is kept from the sweep.
A thread of its own writes them, so that a slow disk holds up nobody; what does not fit into `ROOM` meanwhile is
dropped. ``logs/0001.jsonl`` and so on hold one log a line, as JSON, in which every control character is
escaped. The newest `MOST_FILES` files of `LARGEST` are kept.

A log is filed under the content ids of the points that may have printed it, which outlive a change of the definition; where
these are many, under their positions in the definition of that time. A reader takes nothing on trust: a line that is no
log is passed over.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from swath.messages import Batch, Log, Reply
    from swath.space import Space

FOLDER: Final = "logs"
LARGEST: Final = 4 << 20  # bytes of a file, give or take a line
MOST_FILES: Final = 64
ROOM: Final = 32 << 20  # bytes of text that may wait for the disk
MOST_IDS: Final = (
    1000  # logs of one reply, or points of one log, whose content ids are computed, 30 microseconds each
)
LONGEST: Final = 4 << 20  # bytes of a line that are read
PATIENCE: Final = 5.0  # seconds for writing what waits at the end


class Line(TypedDict):
    """One log, as it is written."""

    definition: int
    positions: tuple[int, int]
    points: list[int]
    ids: list[str]
    attempt: int
    worker: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class Naming:
    """How positions of one definition become points and content ids."""

    definition: int
    space: Space
    receives: Collection[str]

    def points(self, log: Log) -> list[int]:
        """Return the points that may have printed a log; none if they are too many, or it was no point."""
        if log.first < 0 or log.last - log.first >= MOST_IDS:
            return []
        found: list[int] = self.space.indices(log.first, log.last + 1).tolist()
        return found

    def point(self, position: int) -> int:
        """Return the point at a position."""
        (point,) = self.space.indices(position, position + 1).tolist()
        return int(point)

    def content_id(self, position: int) -> str:
        """Return what names the point at a position in every definition."""
        return self.space.content_id(self.point(position), self.receives)


class Logbook:
    """Writes logs into a run folder, in a thread that begins with the first.

    Parameters
    ----------
    folder : Path
        The run folder.
    naming : Naming
        Of the current definition.
    """

    def __init__(self, folder: Path, naming: Naming) -> None:
        self._folder = folder / FOLDER
        self._naming = naming
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Batch, str, tuple[Log, ...]]] = deque()
        self._bytes = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._file: int | None = None
        self._size = 0

    def note(self, batch: Batch, reply: Reply) -> None:
        """Have the logs of a reply written; returns at once."""
        if not reply.logs:
            return
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="swath-logs", daemon=True)
                self._thread.start()
            size = sum(len(log.text) for log in reply.logs)
            if self._bytes + size <= ROOM:
                self._bytes += size
                self._waiting.append((batch, reply.slot, reply.logs))
                self._changed.notify()

    def close(self) -> None:
        """Write what waits, but wait no longer than `PATIENCE`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            while noted := self._next():
                self._write(*noted)
        except Exception:  # noqa: BLE001, S110  # a full disk, a folder that is gone: it must not harm the sweep
            pass
        finally:
            with self._changed:
                self._bytes = ROOM + 1  # nothing more is taken
                self._waiting.clear()
            if self._file is not None:
                os.close(self._file)

    def _next(self) -> tuple[Batch, str, tuple[Log, ...]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            noted = self._waiting.popleft()
            self._bytes -= sum(len(log.text) for log in noted[2])
            return noted

    def _write(self, batch: Batch, slot: str, logs: tuple[Log, ...]) -> None:
        named = MOST_IDS
        for log in logs:
            points = self._naming.points(log)
            named -= len(points)
            ids = (
                [self._naming.space.content_id(point, self._naming.receives) for point in points]
                if named >= 0
                else []
            )
            line = Line(
                definition=self._naming.definition,
                positions=(log.first, log.last),
                points=points if len(points) == 1 else [],
                ids=ids,
                attempt=batch.attempt,
                worker=slot or batch.worker,
                size=log.size,
                text=log.text,
            )
            self._append(json.dumps(line).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        if self._file is None or self._size > LARGEST:
            self._turn()
        assert self._file is not None  # noqa: S101  _turn has opened it
        self._size += os.write(self._file, line)

    def _turn(self) -> None:
        """Begin a new file, and remove the oldest if there are too many."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._folder.mkdir(exist_ok=True)
        there = _files(self._folder)
        number = int(there[-1].stem) + 1 if there else 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file, self._size = os.open(self._folder / f"{number:04}.jsonl", flags, 0o666), 0
        for old in there[: max(0, len(there) - MOST_FILES + 1)]:
            old.unlink(missing_ok=True)


def logs_of(folder: Path, content_id: str, position: int, definition: int) -> list[Line]:
    """Find the logs of one point, the oldest first.

    Parameters
    ----------
    folder : Path
        The run folder.
    content_id : str
        The point's.
    position, definition : int
        Where the point is, in which definition; for logs that may be of many points.
    """
    return [
        line
        for line in _lines(folder / FOLDER)
        if content_id in line["ids"]
        or (
            not line["ids"]
            and line["definition"] == definition
            and line["positions"][0] <= position <= line["positions"][1]
        )
    ]


def _files(folder: Path) -> list[Path]:
    """List the files of logs, the oldest first; links and pipes are none."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    found = [
        file
        for file in folder.glob("*.jsonl")
        if file.stem.isdecimal() and file.is_file() and not file.is_symlink()
    ]
    return sorted(found, key=lambda file: int(file.stem))


def _lines(folder: Path) -> Iterator[Line]:
    for path in _files(folder):
        try:
            with path.open("rb") as file:
                while raw := file.readline(LONGEST):
                    if (line := _line(raw)) is not None:
                        yield line
        except OSError:  # removed meanwhile
            continue


def _line(raw: bytes) -> Line | None:
    """Read one line; None if it is no log, or was cut."""
    try:
        said: Any = json.loads(raw)
        first, last = map(int, said["positions"])
        return Line(
            definition=int(said["definition"]),
            positions=(first, last),
            points=list(map(int, said["points"])),
            ids=list(map(str, said["ids"])),
            attempt=int(said["attempt"]),
            worker=str(said["worker"]),
            size=int(said["size"]),
            text=str(said["text"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
