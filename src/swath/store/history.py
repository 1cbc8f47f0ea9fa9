"""Which rows count: for each point of a definition one row, out of all that were ever saved.

Theory of operation. A segment's points are indices in the definition that made it. Rows of another definition are
matched to the one asked for by content, vectorised; those without a partner are not of this definition. Where a
point has several rows, the highest attempt counts, and the first among equals.

Whoever only wants to know what is left to do (`survey`) needs little of this. As long as all rows are ``ok``,
decoded by the same definition, and no position is decided twice, the manifest has the answer. Segments are
read where a failure must be located, where older definitions are matched, and where such rows may be superseded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from swath.errors import DamageError, SwathError
from swath.messages import STATUSES
from swath.ranges import RangeSet
from swath.store import proposals, steps
from swath.store.disk import checksum
from swath.store.entries import Damage, damaged
from swath.store.manifest import DEFINITIONS, read_manifest
from swath.store.segments import decode, numpy_column
from swath.store.winners import winners

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.definition import Definition
    from swath.space import Space
    from swath.store.disk import Disk
    from swath.store.entries import DefinitionEntry, ProposalsEntry, SegmentEntry, StepsEntry
    from swath.store.manifest import Manifest
    from swath.store.merging import E

    Integers = NDArray[np.int64]
    Definitions = dict[tuple[str, ...], Definition]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier sessions did for a definition.

    Attributes
    ----------
    done : RangeSet
        Positions decided: those that have a row, and those that ``where`` left out.
    statuses : mapping of str to int
        Rows of this definition by status, one row a point.
    failed : mapping of str to mapping of int to RangeSet
        Positions whose row is not ``ok``, by status and attempt.
    excluded : int
        How many of ``done`` were left out by ``where``.
    damage : tuple of Damage
        What could not be read; its points are not in ``done``.
    proposals : int
        How many points the search has proposed; they are in the book of its space.
    """

    done: RangeSet
    statuses: Mapping[str, int]
    failed: Mapping[str, Mapping[int, RangeSet]]
    excluded: int
    damage: tuple[Damage, ...] = ()
    proposals: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A definition that rows are looked up for.

    Attributes
    ----------
    number : int
        In the manifest.
    receives : collection of str
        What its objective takes; derived values among them are part of a point's content.
    """

    number: int
    space: Space
    was: Mapping[str, Any]
    receives: Collection[str]


class Archive:
    """The definitions and segments that one manifest lists, read when asked for.

    Parameters
    ----------
    disk, folder, manifest
        Where and what.
    forgiving : bool
        A file that is gone is damage. Otherwise FileNotFoundError leaves, for a newer manifest may not list it.
    tables : dict
        Segments read before, by file and checksum.
    definitions : dict
        Definitions read before, by file and checksum; those of a search with its proposals by theirs.
    """

    def __init__(
        self,
        disk: Disk,
        folder: Path,
        manifest: Manifest,
        *,
        forgiving: bool,
        tables: dict[tuple[str, str], pa.Table] | None = None,
        definitions: Definitions | None = None,
    ) -> None:
        self.disk, self.folder, self.manifest = disk, folder, manifest
        self.damage: dict[str, Damage] = {item.file: item for item in manifest.damage}
        self._forgiving = forgiving
        self._tables = {} if tables is None else tables
        self._definitions = {} if definitions is None else definitions
        self._alike: dict[tuple[int, int], bool] = {}
        self._found: dict[int, Definition] = {}

    def table(self, entry: SegmentEntry, *, keep: bool = True) -> pa.Table | None:
        """Read a segment, to ``keep`` it for the next time; None, and an entry in ``damage``, where that fails."""
        key = entry.file, entry.crc
        if key in self._tables:
            return self._tables[key]
        table = self._read(entry, decode)
        if keep and table is not None:
            self._tables[key] = table
        return table

    def steps(self, entry: StepsEntry) -> pa.Table | None:
        """Read a file of steps; None, and an entry in ``damage``, where that fails."""
        return self._read(entry, steps.decode)

    def proposed(self, entry: ProposalsEntry) -> pa.Table | None:
        """Read a file of proposals; None, and an entry in ``damage``, where that fails."""
        return self._read(entry, proposals.decode)

    def _read(self, entry: E, read: Callable[[Disk, Path, Manifest, E], pa.Table]) -> pa.Table | None:
        try:
            return read(self.disk, self.folder, self.manifest, entry)
        except FileNotFoundError:
            if not self._forgiving:
                raise
            self.damage[entry.path] = damaged(entry, "is missing")
        except DamageError as error:
            self.damage[entry.path] = damaged(entry, str(error))
        return None

    def definition(self, number: int) -> Definition | None:
        """Read an accepted definition, and what its search has proposed.

        None, and an entry in ``damage``, where it cannot be read. Where proposals cannot be read, that is in ``damage``
        too, and the space knows those before them.
        """
        if number not in self._found:
            entry = self.manifest.definition(number)
            key = entry.file, entry.crc, *(item.file + item.crc for item in self._proposals(number))
            found = self._definitions.get(key) or self._defined(entry)
            if found is None:
                return None
            if self.fill(found.space, number):
                self._definitions[key] = found
            self._found[number] = found
        return self._found[number]

    def _proposals(self, number: int) -> list[ProposalsEntry]:
        own = (entry for entry in self.manifest.proposals if entry.definition == number)
        return sorted(own, key=lambda entry: entry.first)

    def fill(self, space: Space, number: int) -> bool:
        """Put what the search of a definition has proposed into the book of its space; tell whether all could be read."""
        book = space.proposals
        if book is None:
            return True
        for entry in self._proposals(number):
            if entry.first > book.known:
                self.damage[entry.path] = damaged(entry, "follows proposals that are missing")
                return False
            table = self.proposed(entry)
            if table is None:
                return False
            try:
                proposals.put(space, entry.first, table)
            except (SwathError, TypeError, ValueError, OverflowError) as error:
                self.damage[entry.path] = damaged(entry, f"does not fit its definition: {error}")
                return False
        return True

    def _defined(self, entry: DefinitionEntry) -> Definition | None:
        try:
            return self._define(entry)
        except (OSError, SwathError, ValueError, RecursionError) as error:
            text = "is missing" if isinstance(error, FileNotFoundError) else str(error)
            rows = sum(item.rows for item in self.manifest.segments if item.definition == entry.number)
            name = f"{DEFINITIONS}/{entry.file}"
            self.damage[name] = Damage(name, text, rows)
            return None

    def _define(self, entry: DefinitionEntry) -> Definition:
        from swath.definition import define  # noqa: PLC0415  start-up: a run of one definition never needs it

        raw = self.disk.read_file(self.folder, f"{DEFINITIONS}/{entry.file}", entry.bytes)
        if len(raw) != entry.bytes or checksum([raw]) != entry.crc:
            raise DamageError("its checksum does not match")
        mapping = json.loads(raw)
        if not isinstance(mapping, dict) or isinstance(mapping.get("table"), str):
            raise DamageError("it is not as swath writes it")  # a table is embedded: nothing outside is read
        return define(mapping, folder=self.folder)

    def is_like(self, number: int, target: Target) -> bool:
        """Tell whether a definition has the very points of the target: what differs is how they are run.

        Proposals are those of one definition, so no other is like one that has a search.
        """
        key = number, target.number
        if number != target.number and key not in self._alike:
            found = self.definition(number)
            self._alike[key] = (
                found is not None
                and target.space.proposals is None
                and found.space.spec() == target.space.spec()
            )
        return number == target.number or self._alike[key]

    def target(self, number: int) -> Target | None:
        """Return an accepted definition as something to look rows up for."""
        found = self.definition(number)
        if found is None:
            return None
        return Target(number, found.space, found.was, self.manifest.definition(number).receives)

    def indices(self, definition: int, points: Integers, target: Target) -> Integers:
        """Tell which point of the target each point of another definition is; -1 where it is none of them."""
        if self.is_like(definition, target):
            return np.where(points < target.space.known, points, -1)
        matched = np.full(len(points), -1)
        old = self.definition(definition)
        if old is not None and len(points):
            known = points < old.space.known
            matched[known] = target.space.match(
                old.space, points[known], was=target.was, receives=target.receives
            )
        return matched


def latest(
    disk: Disk, folder: Path, work: Callable[[Archive], T], definitions: Definitions | None = None
) -> T:
    """Do something with the newest state of a run folder, which may be written at this moment.

    Parameters
    ----------
    work : callable
        Called again, with a newer manifest, when a file that its manifest lists was merged and removed meanwhile.
    definitions : dict
        As for `Archive`.
    """
    kept: dict[str, Any] = {"tables": {}, "definitions": {} if definitions is None else definitions}
    manifest = read_manifest(disk, folder)
    while True:
        try:
            return work(Archive(disk, folder, manifest, forgiving=False, **kept))
        except FileNotFoundError:
            newer = read_manifest(disk, folder)
            if newer == manifest:
                return work(Archive(disk, folder, manifest, forgiving=True, **kept))
            manifest = newer


def survey(archive: Archive, target: Target) -> Past:
    """Tell what has been done for a definition.

    Parameters
    ----------
    archive : Archive
        The run.
    target : Target
        The definition; need not be the manifest's current one.
    """
    own = [entry for entry in archive.manifest.segments if archive.is_like(entry.definition, target)]
    known = target.space.known
    ranges = {entry.file: entry.positions for entry in own}
    if known < target.space.size:
        ranges = {file: positions.intersection(0, known) for file, positions in ranges.items()}
    quiet = [entry for entry in own if _is_quiet(entry, len(ranges[entry.file]))]
    if _overlap([ranges[entry.file] for entry in quiet]):
        quiet = []
    skipped = {entry.file for entry in quiet}
    read = _Reading(archive, target)
    read.add([entry for entry in archive.manifest.segments if entry.file not in skipped])
    touched = {entry.file for entry in quiet if ranges[entry.file].contains_array(read.positions).any()}
    read.add([entry for entry in quiet if entry.file in touched])
    read.reduce()
    sound = [entry for entry in own if entry.path not in archive.damage]
    done = RangeSet.of(read.positions)
    for entry in sound:
        done.update(ranges[entry.file])
    return Past(
        done=done,
        statuses=_count(read, sum(entry.rows for entry in quiet if entry.file not in touched)),
        failed=_failed(read),
        excluded=sum(entry.excluded for entry in sound),
        damage=tuple(archive.damage.values()),
        proposals=target.space.proposals.known if target.space.proposals else 0,
    )


def _is_quiet(entry: SegmentEntry, decided: int) -> bool:
    """Tell whether the manifest says all about a segment: only ``ok`` rows, one a point."""
    return entry.statuses.get("ok", 0) == entry.rows and entry.rows + entry.excluded == decided


def one_each(entries: Sequence[SegmentEntry]) -> bool:
    """Tell whether segments of one definition hold one row a point, none of them twice."""
    sets = [entry.positions for entry in entries]
    pairs = zip(entries, sets, strict=True)
    return all(entry.rows + entry.excluded == len(own) for entry, own in pairs) and not _overlap(sets)


def _overlap(sets: Sequence[RangeSet]) -> bool:
    union = RangeSet()
    for item in sets:
        union.update(item)
    return len(union) < sum(map(len, sets))


class _Reading:
    """Rows of this definition that had to be read: position, attempt and status of each."""

    def __init__(self, archive: Archive, target: Target) -> None:
        self._archive, self._target = archive, target
        self.positions = np.empty(0, np.int64)
        self.attempts = np.empty(0, np.uint16)
        self.statuses = np.empty(0, np.uint8)

    def add(self, entries: Sequence[SegmentEntry]) -> None:
        """Read more, in the order in which they count."""
        parts = [part for entry in entries if (part := self._part(entry)) is not None]
        self.positions = np.concatenate([self.positions, *(part[0] for part in parts)])
        self.attempts = np.concatenate([self.attempts, *(part[1] for part in parts)])
        self.statuses = np.concatenate([self.statuses, *(part[2] for part in parts)])

    def _part(self, entry: SegmentEntry) -> tuple[NDArray[Any], ...] | None:
        table = self._archive.table(entry)
        if table is None or not table.num_rows:
            return None
        indices = self._archive.indices(entry.definition, numpy_column(table, "point"), self._target)
        here = indices >= 0
        attempts, statuses = numpy_column(table, "attempts")[here], numpy_column(table, "status")[here]
        return self._target.space.positions(indices[here]), attempts, statuses

    def reduce(self) -> None:
        """Keep one row a point."""
        order = winners(self.positions, self.attempts)
        self.positions = order.array(self.positions)
        self.attempts = order.array(self.attempts)
        self.statuses = order.array(self.statuses)


def _count(read: _Reading, ok: int) -> dict[str, int]:
    """Count rows by status; ``ok`` rows of segments that were not read come on top."""
    counts = np.bincount(read.statuses, minlength=len(STATUSES)).tolist()
    counts[STATUSES.index("ok")] += ok
    return {status: count for status, count in zip(STATUSES, counts, strict=True) if count}


def _failed(read: _Reading) -> dict[str, dict[int, RangeSet]]:
    """Locate the rows that are not ``ok``."""
    failed: dict[str, dict[int, RangeSet]] = {}
    bad = read.statuses != STATUSES.index("ok")
    positions, attempts, statuses = read.positions[bad], read.attempts[bad], read.statuses[bad]
    for code in np.flatnonzero(np.bincount(statuses)).tolist():
        of_status = statuses == code
        tries = np.flatnonzero(np.bincount(attempts[of_status])).tolist()
        failed[STATUSES[code]] = {n: RangeSet.of(positions[of_status & (attempts == n)]) for n in tries}
    return failed
