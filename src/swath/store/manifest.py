"""What a run folder holds: ``run.json``, written once, and ``manifest.json``, the truth about everything else.

Theory of operation. The manifest lists the accepted definitions and the segments, each by a bare file name with
its length and checksum; a file that it does not list does not exist for swath. It is replaced by rename after
whatever it lists is durable, so every reader at every instant finds one whole, earlier or later, state. ``serial``
grows by one each time. It carries a checksum of itself, over its content in canonical JSON. The manifest before is
kept as ``manifest.json.1``, for the day when a disk spoils the newer one: then the rows of the last commit are
missing, which is said, and run again.

Files of steps and of proposals have lists of their own. A manifest that has none of them is what format 1 always was,
so an older swath goes on reading such a run; one that has some says format 2, and is refused there instead of
losing them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from swath.errors import DamageError, UsageError
from swath.store.disk import checksum, publish
from swath.store.entries import (
    LARGEST,
    MANIFEST,
    Damage,
    DefinitionEntry,
    Entry,
    ProposalsEntry,
    SegmentEntry,
    Session,
    StepsEntry,
    definition_entry,
    proposals_entry,
    read_count,
    read_field,
    read_texts,
    segment_entry,
    session_entry,
    steps_entry,
)
from swath.store.sealing import FORMAT, ROWS_ONLY, NewerFormatError, sealed, unsealed

if TYPE_CHECKING:
    from pathlib import Path

    from swath.store.disk import Disk

BEFORE = "manifest.json.1"
RUN = "run.json"
DEFINITIONS = "definitions"
LATER = ("steps", "proposals")  # lists that format 1 does not have
STATES = ("running", "complete", "stopped")


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
    steps : tuple of StepsEntry
        In the order in which they came.
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
    steps: tuple[StepsEntry, ...] = ()
    proposals: tuple[ProposalsEntry, ...] = ()
    damage: tuple[Damage, ...] = field(default=(), compare=False)

    @property
    def rows(self) -> int:
        """Rows in all segments."""
        return sum(entry.rows for entry in self.segments)

    @property
    def format(self) -> int:
        """The oldest format that can say this."""
        return FORMAT if self.steps or self.proposals else ROWS_ONLY

    @property
    def files(self) -> tuple[Entry, ...]:
        """All that is listed of `SEGMENTS`: rows, steps and proposals."""
        return (*self.segments, *self.steps, *self.proposals)

    @property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(entry.file for entry in self.files)

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
    for key in ("definitions", "sessions", "segments", *LATER):
        plain[key] = [_as_entry(entry) for entry in plain[key]]
    plain["workers"] = list(manifest.workers)
    for key in LATER:
        if not plain[key]:
            del plain[key]
    return {"format": manifest.format, **plain}


def _as_entry(entry: DefinitionEntry | Session | Entry) -> dict[str, Any]:
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
            run=read_field(found, "run", str),
            serial=read_count(found, "serial"),
            updated=read_field(found, "updated", str),
            state=read_field(found, "state", str),
            current=read_count(found, "current"),
            definitions=tuple(definition_entry(entry) for entry in read_field(found, "definitions", list)),
            workers=read_texts(found, "workers"),
            sessions=tuple(session_entry(entry) for entry in read_field(found, "sessions", list)),
            segments=tuple(segment_entry(entry) for entry in read_field(found, "segments", list)),
            steps=tuple(steps_entry(entry) for entry in _later(found, "steps")),
            proposals=tuple(proposals_entry(entry) for entry in _later(found, "proposals")),
        )
        _check(manifest)
    except (ValueError, OverflowError) as error:
        raise DamageError(f"{file} is not a manifest: {error}") from error
    return manifest


def _later(found: dict[str, Any], key: str) -> list[Any]:
    """Return a list that is left out where it is empty."""
    return read_field(found, key, list) if key in found else []


def _check(manifest: Manifest) -> None:
    numbers = {entry.number for entry in manifest.definitions}
    files = {entry.file for entry in manifest.files}
    if len(numbers) < len(manifest.definitions) or len(files) < len(manifest.files):
        raise ValueError("a definition or a segment is listed twice")
    unknown = {entry.definition for entry in manifest.files} | {manifest.current} - {0}
    if unknown := unknown - numbers:
        raise ValueError(f"definition {min(unknown)} is used but not listed")
    if manifest.state not in STATES:
        raise ValueError(f"state is {manifest.state!r}")
