"""What a run folder holds: ``run.json``, written once, and ``manifest.json``, the truth about everything else.

Theory of operation. The manifest lists the accepted definitions and the segments, each by a bare file name with
its length and checksum; a file that it does not list does not exist for swath. It is replaced by rename after
whatever it lists is durable, so every reader at every instant finds one whole, earlier or later, state. ``serial``
grows by one each time. It carries a checksum of itself, over its content in canonical JSON. The manifest before is
kept as ``manifest.json.1``, for the day when a disk spoils the newer one: then the rows of the last commit are
missing, which is said, and run again.

Everything here is data from a folder that anybody may have written. Each field is checked as it is read, and
names of files must match a pattern without a separator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from swath.errors import DamageError, UsageError
from swath.messages import STATUSES
from swath.ranges import RangeSet
from swath.store.disk import checksum, publish
from swath.store.sealing import FORMAT, NewerFormatError, sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from swath.store.disk import Disk

MANIFEST = "manifest.json"
BEFORE = "manifest.json.1"
RUN = "run.json"
SEGMENTS = "segments"
DEFINITIONS = "definitions"
LARGEST = 1 << 28  # bytes; a file of a run beyond this is not ours
MAX_ATTEMPTS = 65535  # of a point; segments keep it in 16 bits
SEGMENT_NAME = re.compile(r"[0-9]{6,9}\.arrow", re.ASCII)
DEFINITION_NAME = re.compile(r"[0-9]{4,9}\.yaml", re.ASCII)
STATES = ("running", "complete", "stopped")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a run folder that cannot be read.

    Attributes
    ----------
    file : str
        Relative to the run folder.
    text : str
        What is wrong with it.
    rows : int
        How many rows are missing because of it; 0 where that is not known.
    """

    file: str
    text: str
    rows: int = 0

    def __str__(self) -> str:
        return f"{self.file}: {self.text}" + (f"; {self.rows:,} rows are missing" if self.rows else "")


@dataclass(frozen=True, slots=True)
class DefinitionEntry:
    """An accepted definition: its file, and what to compare with when the run goes on.

    Attributes
    ----------
    receives : tuple of str
        What the objective took of parameters and derived values.
    code : str
        Fingerprint of the objective's code when the definition was used last.
    """

    number: int
    file: str
    bytes: int
    crc: str
    name: str
    objective: str
    receives: tuple[str, ...]
    code: str


@dataclass(frozen=True, slots=True)
class Session:
    """One start of the driver on this run."""

    started: str
    rows_before: int
    pid: int
    host: str


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A file of rows.

    Attributes
    ----------
    file, bytes, crc
        A bare name, its length, and its CRC-32 in hex.
    definition : int
        The number of the definition that decodes its points.
    code : str
        Fingerprint of the code that made the rows.
    rows : int
        Rows in it. A point that was tried again may have several.
    excluded : int
        Positions in ``done`` that ``where`` left out.
    done : str
        Positions decided, as text of a RangeSet.
    statuses : mapping of str to int
        Rows by status; adds up to ``rows``.
    attempts_max : int
        The highest attempt of a row; 0 without rows.
    """

    file: str
    bytes: int
    crc: str
    definition: int
    code: str
    rows: int
    excluded: int
    done: str
    statuses: Mapping[str, int]
    attempts_max: int

    @property
    def positions(self) -> RangeSet:
        """Positions decided, in the order of the definition; DamageError where the text is none."""
        try:
            return RangeSet.parse(self.done)
        except (ValueError, OverflowError) as error:
            raise DamageError(f"{MANIFEST}: done of {self.file} is {self.done!r:.60}") from error

    @property
    def path(self) -> str:
        """Relative to the run folder."""
        return f"{SEGMENTS}/{self.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The state of a run folder at one instant.

    Attributes
    ----------
    run : str
        The run's id; every segment bears it. Empty before the first `begin`.
    serial : int
        Counts the manifests of this run.
    updated : str
        ISO time, UTC.
    state : str
        One of `STATES`; "running" also when the driver was killed.
    current : int
        Number of the newest definition; 0 before the first.
    workers : tuple of str
        What ``worker`` in the segments points into.
    damage : tuple of Damage
        Not stored: what was wrong when this was read.
    """

    run: str = ""
    serial: int = 0
    updated: str = ""
    state: str = "stopped"
    current: int = 0
    definitions: tuple[DefinitionEntry, ...] = ()
    workers: tuple[str, ...] = ()
    sessions: tuple[Session, ...] = ()
    segments: tuple[SegmentEntry, ...] = ()
    damage: tuple[Damage, ...] = field(default=(), compare=False)

    @property
    def rows(self) -> int:
        """Rows in all segments."""
        return sum(entry.rows for entry in self.segments)

    def definition(self, number: int) -> DefinitionEntry:
        """Return the entry of an accepted definition."""
        return next(entry for entry in self.definitions if entry.number == number)


def write_manifest(disk: Disk, folder: Path, manifest: Manifest, *, keep: bool) -> tuple[int, str]:
    """Replace the manifest; return the length in bytes and the checksum of the file.

    Parameters
    ----------
    disk : Disk
        Does it.
    folder : Path
        The run folder.
    manifest : Manifest
        The new truth; what it lists must be durable already.
    keep : bool
        Whether there is one before, and sound, to be kept.
    """
    if keep:
        _keep(disk, folder)
    raw = sealed(_as_mapping(manifest))
    publish(disk, folder / MANIFEST, [raw])
    return len(raw), checksum([raw])


def _keep(disk: Disk, folder: Path) -> None:
    """Let the manifest be known by its other name too, under which it stays when it is replaced."""
    beside = folder / f"{BEFORE}.tmp"
    try:
        disk.link(folder / MANIFEST, beside)
    except OSError:  # left over by a crash, or a file system without links: then a copy
        disk.remove(beside)  # it may be a second name of a file that is to stay as it is
        publish(disk, folder / BEFORE, [disk.read_file(folder, MANIFEST, LARGEST)])
    else:
        disk.rename(beside, folder / BEFORE)


def _as_mapping(manifest: Manifest) -> dict[str, Any]:
    plain = {item.name: getattr(manifest, item.name) for item in fields(manifest) if item.name != "damage"}
    for key in ("definitions", "sessions", "segments"):
        plain[key] = [_as_entry(entry) for entry in plain[key]]
    plain["workers"] = list(manifest.workers)
    return {"format": FORMAT, **plain}


def _as_entry(entry: DefinitionEntry | Session | SegmentEntry) -> dict[str, Any]:
    found = {item.name: getattr(entry, item.name) for item in fields(entry)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def read_manifest(disk: Disk, folder: Path) -> Manifest:
    """Read the state of a run folder.

    Returns
    -------
    Manifest
        With ``damage`` where only the manifest before could be read.

    Raises
    ------
    UsageError
        There is no run in the folder.
    DamageError
        Neither manifest can be read, or a newer swath wrote them.
    """
    try:
        return parse_manifest(_read(disk, folder, MANIFEST), MANIFEST)
    except FileNotFoundError as error:
        if BEFORE not in disk.names(folder):
            raise UsageError(f"there is no run in {folder}: no {MANIFEST} in it") from error
        return _read_before(disk, folder, f"{MANIFEST} is missing")
    except NewerFormatError as error:
        raise DamageError(f"{folder}: {error}") from error
    except DamageError as error:
        return _read_before(disk, folder, str(error))


def _read_before(disk: Disk, folder: Path, text: str) -> Manifest:
    way_out = "restore the folder from a copy, or run again with --fresh, which keeps it beside the new one"
    try:
        before = parse_manifest(_read(disk, folder, BEFORE), BEFORE)
    except FileNotFoundError as error:
        raise DamageError(f"{folder}: {text}; {way_out}") from error
    except DamageError as error:
        raise DamageError(f"{folder}: {text}, and {error}; {way_out}") from error
    told = Damage(MANIFEST, f"{text}; the state before it, with {before.rows:,} rows, is used")
    return replace(before, damage=(told,))


def _read(disk: Disk, folder: Path, name: str) -> bytes:
    try:
        return disk.read_file(folder, name, LARGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(name) from error
    except OSError as error:
        raise DamageError(f"{name} cannot be read ({error.strerror})") from error


def read_run(disk: Disk, folder: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises
    ------
    DamageError
        It is missing, or cannot be read.
    """
    try:
        return unsealed(_read(disk, folder, RUN), RUN)
    except FileNotFoundError as error:
        raise DamageError(f"{RUN} is missing") from error


def parse_manifest(raw: bytes, file: str) -> Manifest:
    """Check and read a manifest file.

    Raises
    ------
    DamageError
        Anything in it is not as it should be; the text names the file and the field.
    """
    found = unsealed(raw, file)
    try:
        manifest = Manifest(
            run=_field(found, "run", str),
            serial=_count(found, "serial"),
            updated=_field(found, "updated", str),
            state=_field(found, "state", str),
            current=_count(found, "current"),
            definitions=tuple(_definition(entry) for entry in _field(found, "definitions", list)),
            workers=_texts(found, "workers"),
            sessions=tuple(_session(entry) for entry in _field(found, "sessions", list)),
            segments=tuple(_segment(entry) for entry in _field(found, "segments", list)),
        )
        _check(manifest)
    except (ValueError, OverflowError) as error:
        raise DamageError(f"{file} is not a manifest: {error}") from error
    return manifest


def _check(manifest: Manifest) -> None:
    numbers = {entry.number for entry in manifest.definitions}
    files = {entry.file for entry in manifest.segments}
    if len(numbers) < len(manifest.definitions) or len(files) < len(manifest.segments):
        raise ValueError("a definition or a segment is listed twice")
    unknown = {entry.definition for entry in manifest.segments} | {manifest.current} - {0}
    if unknown := unknown - numbers:
        raise ValueError(f"definition {min(unknown)} is used but not listed")
    if manifest.state not in STATES:
        raise ValueError(f"state is {manifest.state!r}")


def _definition(entry: Any) -> DefinitionEntry:
    if _count(entry, "bytes") > LARGEST:
        raise ValueError(f"bytes is {entry['bytes']} of a definition, more than swath writes")
    return DefinitionEntry(
        number=_count(entry, "number"),
        file=_named(entry, DEFINITION_NAME),
        bytes=_count(entry, "bytes"),
        crc=_field(entry, "crc", str),
        name=_field(entry, "name", str),
        objective=_field(entry, "objective", str),
        receives=_texts(entry, "receives"),
        code=_field(entry, "code", str),
    )


def _session(entry: Any) -> Session:
    return Session(
        started=_field(entry, "started", str),
        rows_before=_count(entry, "rows_before"),
        pid=_count(entry, "pid"),
        host=_field(entry, "host", str),
    )


def _segment(entry: Any) -> SegmentEntry:
    made = SegmentEntry(
        file=_named(entry, SEGMENT_NAME),
        bytes=_count(entry, "bytes"),
        crc=_field(entry, "crc", str),
        definition=_count(entry, "definition"),
        code=_field(entry, "code", str),
        rows=_count(entry, "rows"),
        excluded=_count(entry, "excluded"),
        done=_field(entry, "done", str),
        statuses={status: _count(entry["statuses"], status) for status in _field(entry, "statuses", dict)},
        attempts_max=_count(entry, "attempts_max"),
    )
    if set(made.statuses) - set(STATUSES) or sum(made.statuses.values()) != made.rows:
        raise ValueError(f"statuses {dict(made.statuses)} do not add up to {made.rows} rows in {made.file}")
    if made.bytes > LARGEST:
        raise ValueError(f"bytes is {made.bytes} of {made.file}, more than swath writes")
    if made.attempts_max > MAX_ATTEMPTS:
        raise ValueError(f"attempts_max is {made.attempts_max} in {made.file}")
    return made


def _field(mapping: Any, key: str, kind: type[T]) -> T:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{key} is {value!r:.60}, not {kind.__name__}")  # noqa: TRY004  one kind for the caller
    return value


def _count(mapping: Any, key: str) -> int:
    value = _field(mapping, key, int)
    if not 0 <= value < 1 << 63:
        raise ValueError(f"{key} is {value}")
    return value


def _named(mapping: Any, pattern: re.Pattern[str]) -> str:
    value = _field(mapping, "file", str)
    if not pattern.fullmatch(value):
        raise ValueError(f"file is {value!r:.60}, which is no name that swath gives")
    return value


def _texts(mapping: Any, key: str) -> tuple[str, ...]:
    values: Sequence[Any] = _field(mapping, key, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} is {values!r:.60}, not a list of texts")
    return tuple(values)
