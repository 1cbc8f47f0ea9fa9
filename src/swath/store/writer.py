"""What changes a run folder: segments, then the manifest that lists them, in an order that survives any crash.

Theory of operation. A commit writes new segments, each durable before the next step, then the manifest that lists
them; only after that has anything been saved. A crash before the manifest leaves files that nobody lists, and the
next writer removes them. Merging is the same: the merged file is durable before the manifest that lists it
instead of its sources, so that at every instant each row is listed once.

What left the manifest is removed after the manifest after, because a reader may be between the manifest and the
files; one that is slower still reads the newer manifest.

Rows, steps and proposals go the same way. Whatever a commit writes is listed by one manifest, so no row is ever there
without its proposal, or before its steps.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from swath.errors import CannotWriteError, DamageError, RunInUseError
from swath.ranges import RangeSet
from swath.store import merging, proposals, steps
from swath.store.disk import PASSING, checksum, publish
from swath.store.entries import (
    DEFINITION_NAME,
    LARGEST,
    MANIFEST,
    SEGMENT_NAME,
    SEGMENTS,
    Damage,
    Entry,
    ProposalsEntry,
    SegmentEntry,
    StepsEntry,
    damaged,
)
from swath.store.files import Sink, encode
from swath.store.folders import PARQUET
from swath.store.manifest import DEFINITIONS, Manifest, parse_manifest, write_manifest
from swath.store.merging import E, neighbours_to_join, rows_to_join
from swath.store.sealing import FORMAT, ROWS_ONLY
from swath.store.segments import Part, decode, groups, statuses, unify

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.store.disk import Disk
    from swath.store.intake import Taken


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
        self._wide: set[str] = set()  # files of steps whose metrics have too little in common to be merged
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
        gone = self.manifest.names - manifest.names
        removed, self._left = self._left, sorted(gone - self._damaged)
        self.manifest = manifest
        for name in removed:
            self.disk.remove(self.folder / SEGMENTS / name)

    def commit(
        self,
        taken: Taken,
        positions_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
        code: str,
        *,
        state: str,
    ) -> None:
        """Save rows, steps and proposals: when this returns they are durable.

        Parameters
        ----------
        taken : Taken
            All of the manifest's current definition, and checked.
        positions_of : callable
            Turns indices of points into positions.
        code : str
            Fingerprint of the code that made the rows.
        state : str
            Of the run from now on.
        """
        self.check()
        now = self.manifest
        proposed = [self._write_proposals(table, now.current) for table in taken.proposed]
        recorded = [self.write_steps(table, now.current) for table in taken.recorded]
        rows = [self._segment(group, code) for group in groups(taken.parts, positions_of)]
        if rows:
            self.remove_export()
        self.publish(
            segments=(*now.segments, *rows),
            steps=(*now.steps, *recorded),
            proposals=(*now.proposals, *proposed),
            workers=taken.workers,
            state=state,
        )

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
        for entry in self.manifest.files:
            if entry.file not in there:
                raise CannotWriteError(
                    f"{self.folder / entry.path} was removed while the run was writing to its folder; "
                    f"its {entry.rows:,} {entry.what} are missing, and the same command runs them again"
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
        """Check length and checksum of every file of rows, steps and proposals; the files that fail are never merged."""
        found = [damage for entry in self.manifest.files if (damage := self._examine(entry))]
        self._damaged |= {item.file.rpartition("/")[2] for item in found}
        return found

    def _examine(self, entry: Entry) -> Damage | None:
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
        return damaged(entry, text)

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
        return self.write_rows(
            table, self.manifest.current, code, done, excluded=excluded, attempts_max=attempts
        )

    def write_rows(
        self, table: pa.Table, definition: int, code: str, done: RangeSet, *, excluded: int, attempts_max: int
    ) -> SegmentEntry:
        """Write a file of rows, durably, and describe it."""
        sink = encode(table, format=ROWS_ONLY, run=self.manifest.run, definition=definition, code=code)
        return SegmentEntry(
            **self._write(sink, SegmentEntry.suffix),
            definition=definition,
            code=code,
            rows=table.num_rows,
            excluded=excluded,
            done=str(done),
            statuses=statuses(table),
            attempts_max=attempts_max,
        )

    def write_steps(self, table: pa.Table, definition: int) -> StepsEntry:
        """Write a file of steps, durably, and describe it."""
        about = self._write(self._encode(table, definition, StepsEntry.what), StepsEntry.suffix)
        return StepsEntry(**about, definition=definition, rows=table.num_rows)

    def _write_proposals(self, table: pa.Table, definition: int) -> ProposalsEntry:
        """Write a file of proposals, durably, and describe it."""
        about = self._write(self._encode(table, definition, ProposalsEntry.what), ProposalsEntry.suffix)
        first = proposals.first_of(table)
        return ProposalsEntry(**about, definition=definition, first=first, rows=table.num_rows)

    def _encode(self, table: pa.Table, definition: int, kind: str) -> Sink:
        return encode(table, format=FORMAT, kind=kind, run=self.manifest.run, definition=definition)

    def _write(self, sink: Sink, suffix: str) -> dict[str, Any]:
        name = f"{self._next:06d}{suffix}"
        self._next += 1  # also when it fails: after an error, the same file is never tried again
        publish(self.disk, self.folder / SEGMENTS / name, sink.pieces)
        return {"file": name, "bytes": sink.size, "crc": checksum(sink.pieces)}

    def merge(self, *, ending: bool = False) -> bool:
        """Join small files where there are many; return whether anything changed.

        Parameters
        ----------
        ending : bool
            Nothing more will come: join the tiny ones too.
        """
        now, apart = self.manifest, self._damaged | self._wide
        rows = rows_to_join(now.segments, apart, ending=ending)
        recorded = neighbours_to_join(now.steps, apart, ending=ending)
        proposed = neighbours_to_join(now.proposals, apart, ending=ending)
        changes: dict[str, Any] = {
            "segments": _replaced(now.segments, [(each, self._join_rows(each)) for each in rows]),
            "steps": _replaced(now.steps, [(each, self._join_steps(each)) for each in recorded]),
            "proposals": _replaced(now.proposals, [(each, self._join_proposals(each)) for each in proposed]),
        }
        changed = any(len(files) < len(getattr(now, key)) for key, files in changes.items())
        if changed:
            self.publish(**changes)
        return changed

    def _tables(self, chosen: Sequence[E], read: Callable[..., pa.Table]) -> list[pa.Table]:
        """Read files; none where one of them turns out to be damaged."""
        tables = []
        for entry in chosen:
            try:
                tables.append(read(self.disk, self.folder, self.manifest, entry))
            except (DamageError, FileNotFoundError):
                self._damaged.add(entry.file)
                return []
        return tables

    def _join_rows(self, chosen: Sequence[SegmentEntry]) -> SegmentEntry | None:
        if not (tables := self._tables(chosen, decode)):
            return None
        done = RangeSet()
        for entry in chosen:
            done.update(entry.positions)
        return self.write_rows(
            unify(tables).combine_chunks(),
            chosen[0].definition,
            chosen[0].code,
            done,
            excluded=sum(entry.excluded for entry in chosen),
            attempts_max=max(entry.attempts_max for entry in chosen),
        )

    def _join_steps(self, chosen: Sequence[StepsEntry]) -> StepsEntry | None:
        if not (tables := self._tables(chosen, steps.decode)):
            return None
        names = {name for table in tables for name in table.column_names}
        if (
            8 * len(names) * sum(table.num_rows for table in tables) > merging.LIMIT
        ):  # each has metrics of its own
            self._wide.update(entry.file for entry in chosen)
            return None
        return self.write_steps(steps.join(tables).combine_chunks(), chosen[0].definition)

    def _join_proposals(self, chosen: Sequence[ProposalsEntry]) -> ProposalsEntry | None:
        follow = all(a.first + a.rows == b.first for a, b in pairwise(chosen))
        if not follow or not (tables := self._tables(chosen, proposals.decode)):
            return None
        return self._write_proposals(proposals.join(tables).combine_chunks(), chosen[0].definition)

    def remove_left(self) -> None:
        """Remove what the manifest does not list: the rest of a crash, or of merging.

        Where the newest manifest was damaged and the one before is used, segments that only the newest listed are
        kept under another name.
        """
        listed = self.manifest.names
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


def _replaced(files: Sequence[E], joined: Iterable[tuple[list[E], E | None]]) -> tuple[E, ...]:
    """Put what was joined in the place of the first of its sources."""
    now = list(files)
    for sources, merged in joined:
        if merged is not None:
            now[now.index(sources[0])] = merged
            now = [entry for entry in now if entry not in sources]
    return tuple(now)
