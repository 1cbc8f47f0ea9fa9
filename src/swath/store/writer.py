"""What changes a run folder: segments, then the manifest that lists them, in an order that survives any crash.

Theory of operation. A commit writes new segments, each durable before the next step, then the manifest that lists
them; only after that has anything been saved. A crash before the manifest leaves files that nobody lists, and the
next writer removes them. Merging is the same: the merged file is durable before the manifest that lists it
instead of its sources, so that at every instant each row is listed once.

Many small commits make many small files, so those of one definition and one code are merged as in a
log-structured tree: when there are more than `MANY`, the newest `LEAST` become one, together with older ones no
larger than what is merged already. A row is therefore copied at most once per doubling of its file, and the number
of small files stays below `MANY`. None exceeds `LIMIT`. What left the manifest is removed after the manifest
after, because a reader may be between the manifest and the files; one that is slower still reads the newer manifest.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.errors import CannotWriteError, DamageError, RunInUseError
from swath.messages import STATUSES
from swath.ranges import RangeSet
from swath.store.disk import PASSING, checksum, publish
from swath.store.folders import PARQUET
from swath.store.manifest import (
    DEFINITION_NAME,
    DEFINITIONS,
    LARGEST,
    MANIFEST,
    SEGMENT_NAME,
    SEGMENTS,
    Damage,
    Manifest,
    SegmentEntry,
    parse_manifest,
    write_manifest,
)
from swath.store.segments import Part, decode, encode, numpy_column, unify

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.store.disk import Disk

LIMIT: Final = 16 << 20  # bytes of a segment that was merged; merging holds them a few times over in memory
MANY: Final = 32  # small segments of one definition and code that may lie about
LEAST: Final = 16  # of them merged at a time
TINY: Final = (
    1 << 20
)  # bytes; what is left below this when a run ends is joined, for it costs next to nothing
LEFT: Final = 8  # tiny segments that a run may leave behind


class Writer:
    """The state of a run folder that is being written; for one thread at a time.

    Parameters
    ----------
    disk, folder
        Where.
    manifest : Manifest
        As it is.
    """

    def __init__(self, disk: Disk, folder: Path, manifest: Manifest) -> None:
        self.disk, self.folder, self.manifest = disk, folder, manifest
        self._keep = manifest.serial > 0 and not manifest.damage
        self._left: list[str] = []  # segments that the last manifest no longer lists
        self._damaged: set[str] = set()
        self._mark = disk.checksum(folder, MANIFEST) if self._keep else None
        numbers = [
            int(name.partition(".")[0]) for name in disk.names(folder / SEGMENTS) if name[:1].isdigit()
        ]
        self._next = max(numbers, default=0) + 1

    def publish(self, **changes: Any) -> None:
        """Replace the manifest; what it lists must be durable already."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._check_manifest()
        manifest = replace(self.manifest, serial=self.manifest.serial + 1, updated=now, damage=(), **changes)
        self._mark = write_manifest(self.disk, self.folder, manifest, keep=self._keep)
        self._keep = True
        gone = {entry.file for entry in self.manifest.segments} - {entry.file for entry in manifest.segments}
        removed, self._left = self._left, sorted(gone - self._damaged)
        self.manifest = manifest
        for name in removed:
            self.disk.remove(self.folder / SEGMENTS / name)

    def commit(
        self,
        parts: Sequence[Part],
        positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
        code: str,
        **changes: Any,
    ) -> None:
        """Save the rows of replies: when this returns they are durable.

        Parameters
        ----------
        parts : sequence of Part
            Checked rows of the manifest's current definition.
        positions_of : callable
            Turns indices of points into positions.
        code : str
            Fingerprint of the code that made the rows.
        **changes
            More that changes in the manifest.
        """
        self.check()
        new = tuple(self._segment(group, code) for group in _groups(parts, positions_of))
        self.remove_export()
        self.publish(segments=(*self.manifest.segments, *new), **changes)

    def check(self) -> None:
        """Make sure that the folder is as this writer left it, before anything is written into it.

        Raises
        ------
        RunInUseError
            Another writer was here, which locks should have prevented.
        CannotWriteError
            The folder was moved or removed, or something in it.
        """
        self._check_manifest()
        there = set(self.disk.names(self.folder / SEGMENTS)) | self._damaged
        for entry in self.manifest.segments:
            if entry.file not in there:
                raise CannotWriteError(
                    f"{self.folder / entry.path} was removed while the run was writing to its folder; "
                    f"its {entry.rows:,} rows are missing, and the same command runs them again"
                )

    def _check_manifest(self) -> None:
        if self._mark is None:
            return
        try:
            if self.disk.checksum(self.folder, MANIFEST) == self._mark:
                return
            other = parse_manifest(self.disk.read_file(self.folder, MANIFEST, LARGEST), MANIFEST)
        except FileNotFoundError:
            raise CannotWriteError(
                f"{self.folder / MANIFEST} is gone: the folder was moved or removed while the run was writing to it; "
                f"put it back, with the {self.manifest.rows:,} rows saved so far, and the same command goes on"
            ) from None
        except DamageError as error:
            raise CannotWriteError(
                f"{self.folder} was spoilt while the run was writing to it: {error}; see swath doctor {self.folder}"
            ) from error
        last = other.sessions[-1:] or self.manifest.sessions[-1:]
        who = "".join(f" (process {item.pid} on {item.host}, since {item.started})" for item in last)
        raise RunInUseError(
            f"{self.folder} was written to by another run{who}, although this one holds the lock: do locks work there? "
            "What it saved is left alone; stop one of the two"
        )

    def remove_export(self) -> None:
        """Remove ``results.parquet``, which lacks the rows to come; durably, before they are there."""
        if PARQUET in self.disk.names(self.folder):
            self.disk.remove(self.folder / PARQUET)
            self.disk.sync_folder(self.folder)

    def damaged(self) -> list[Damage]:
        """Check length and checksum of every segment; the files that fail are never merged."""
        found = [damage for entry in self.manifest.segments if (damage := self._examine(entry))]
        self._damaged |= {item.file.rpartition("/")[2] for item in found}
        return found

    def _examine(self, entry: SegmentEntry) -> Damage | None:
        try:
            size, crc = self.disk.checksum(self.folder, entry.path)
        except FileNotFoundError:
            text = "is missing"
        except OSError as error:
            if error.errno in PASSING:
                raise
            text = f"cannot be read ({error.strerror})"
        except DamageError as error:
            text = str(error)
        else:
            if (size, crc) == (entry.bytes, entry.crc):
                return None
            text = (
                f"has {size} bytes of {entry.bytes}" if size != entry.bytes else "its checksum does not match"
            )
        return Damage(entry.path, text, entry.rows)

    def set_aside(self, files: Iterable[str]) -> list[str]:
        """Keep segments that the manifest no longer lists because they are damaged, under another name."""
        there = sorted(set(self.disk.names(self.folder / SEGMENTS)).intersection(files))
        for name in there:
            path = self.folder / SEGMENTS / name
            self.disk.rename(path, path.with_name(f"{name}.damaged"))
        return there

    def _segment(self, parts: Sequence[Part], code: str) -> SegmentEntry:
        done = RangeSet()
        for part in parts:
            done.update(part.done)
        table = unify([part.table for part in parts])
        attempts = max((part.attempt for part in parts if part.table.num_rows), default=0)
        excluded = len(done) - table.num_rows
        return self._write(table, self.manifest.current, code, done, excluded=excluded, attempts_max=attempts)

    def _write(
        self, table: pa.Table, definition: int, code: str, done: RangeSet, *, excluded: int, attempts_max: int
    ) -> SegmentEntry:
        """Write a segment, durably, and describe it."""
        sink = encode(table, run=self.manifest.run, definition=definition, code=code)
        name = f"{self._next:06d}.arrow"
        self._next += 1  # also when it fails: after an error, the same file is never tried again
        publish(self.disk, self.folder / SEGMENTS / name, sink.pieces)
        return SegmentEntry(
            file=name,
            bytes=sink.size,
            crc=checksum(sink.pieces),
            definition=definition,
            code=code,
            rows=table.num_rows,
            excluded=excluded,
            done=str(done),
            statuses=_statuses(table),
            attempts_max=attempts_max,
        )

    def merge(self, *, ending: bool = False) -> bool:
        """Join small segments where there are many; return whether anything changed.

        Parameters
        ----------
        ending : bool
            Nothing more will come: join the tiny ones too.
        """
        segments = list(self.manifest.segments)
        for key in dict.fromkeys((entry.definition, entry.code) for entry in segments):
            alike = [entry for entry in segments if (entry.definition, entry.code) == key]
            chosen = self._tiny(alike) if ending else self._many(alike)
            if chosen and (merged := self._merged(chosen)):
                segments[segments.index(chosen[0])] = merged
                segments = [entry for entry in segments if entry not in chosen]
        changed = len(segments) < len(self.manifest.segments)
        if changed:
            self.publish(segments=tuple(segments))
        return changed

    def _many(self, alike: Sequence[SegmentEntry]) -> list[SegmentEntry]:
        """Choose what to merge while rows keep coming."""
        small = [entry for entry in alike if entry.bytes < LIMIT // 2 and entry.file not in self._damaged]
        if len(small) <= MANY:
            return []
        chosen = small[-LEAST:]
        while sum(entry.bytes for entry in chosen) > LIMIT:
            chosen.pop()
        for entry in reversed(small[:-LEAST]):
            total = sum(entry.bytes for entry in chosen)
            if entry.bytes > total or entry.bytes + total > LIMIT:
                break
            chosen.insert(0, entry)
        return chosen

    def _tiny(self, alike: Sequence[SegmentEntry]) -> list[SegmentEntry]:
        tiny = [entry for entry in alike if entry.bytes < TINY and entry.file not in self._damaged]
        return tiny if len(tiny) > LEFT else []

    def _merged(self, chosen: Sequence[SegmentEntry]) -> SegmentEntry | None:
        """Write segments as one; None where one of them turns out to be damaged."""
        tables, done = [], RangeSet()
        for entry in chosen:
            try:
                tables.append(decode(self.disk, self.folder, self.manifest, entry))
            except (DamageError, FileNotFoundError):
                self._damaged.add(entry.file)
                return None
            done.update(entry.positions)
        excluded = sum(entry.excluded for entry in chosen)
        attempts = max(entry.attempts_max for entry in chosen)
        first = chosen[0]
        return self._write(
            unify(tables).combine_chunks(),
            first.definition,
            first.code,
            done,
            excluded=excluded,
            attempts_max=attempts,
        )

    def remove_left(self) -> None:
        """Remove what the manifest does not list: the rest of a crash, or of merging.

        Where the newest manifest was damaged and the one before is used, segments that only the newest listed are
        kept under another name.
        """
        listed = {entry.file for entry in self.manifest.segments}
        known = {entry.file for entry in self.manifest.definitions}
        lost = self._unlisted(SEGMENTS, SEGMENT_NAME, listed)
        if self.manifest.damage:
            self.set_aside(lost)
            lost = []
        for name in lost:
            self.disk.remove(self.folder / SEGMENTS / name)
        for name in self._unlisted(DEFINITIONS, DEFINITION_NAME, known):
            self.disk.remove(self.folder / DEFINITIONS / name)
        for folder in (self.folder, self.folder / SEGMENTS, self.folder / DEFINITIONS):
            for name in self.disk.names(folder):
                if name.endswith(".tmp"):
                    self.disk.remove(folder / name)
        self._left = []

    def _unlisted(self, folder: str, pattern: re.Pattern[str], listed: Collection[str]) -> list[str]:
        """List the files that we must have written, and that nothing needs."""
        return [
            name
            for name in self.disk.names(self.folder / folder)
            if pattern.fullmatch(name) and name not in listed
        ]


def _statuses(table: pa.Table) -> dict[str, int]:
    """Count rows by status; statuses that do not occur are left out."""
    counts = np.bincount(numpy_column(table, "status"), minlength=len(STATUSES)).tolist()
    return {status: count for status, count in zip(STATUSES, counts, strict=True) if count}


def _groups(
    parts: Sequence[Part], positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> Iterator[list[Part]]:
    """Gather parts for segments that stay below the limit."""
    room = LIMIT * 3 // 4  # columns of nulls, and heads, come on top
    group: list[Part] = []
    size = 0
    for part in parts:
        for piece in _split(part, room, positions_of):
            if group and size + piece.table.nbytes > room:
                yield group
                group, size = [], 0
            group.append(piece)
            size += piece.table.nbytes
    if group:
        yield group


def _split(
    part: Part, room: int, positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> Iterator[Part]:
    """Cut the rows of a very large reply; the last piece also tells what was excluded."""
    rows = max(1, part.table.num_rows * room // max(1, part.table.nbytes))
    rest = part.done.copy()
    start = 0
    while part.table.num_rows - start > rows:
        table = part.table.slice(start, rows)
        done = RangeSet.of(positions_of(numpy_column(table, "point")))
        rest.difference_update(done)
        yield Part(part.batch_id, table, done, part.attempt)
        start += rows
    yield Part(part.batch_id, part.table.slice(start), rest, part.attempt)
