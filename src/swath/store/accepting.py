"""What is written once: ``run.json``, and a file for each accepted definition; what the newest of them was."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from swath.errors import DamageError
from swath.store.disk import checksum, publish
from swath.store.entries import DefinitionEntry
from swath.store.manifest import DEFINITIONS, RUN
from swath.store.provenance import git_commit, versions
from swath.store.sealing import ROWS_ONLY, layout, sealed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swath.definition import Definition
    from swath.store.disk import Disk
    from swath.store.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Previous:
    """The newest definition of a run, to be compared with the one that goes on.

    Attributes
    ----------
    fingerprint : str
        Of the objective's code, as it was used last.
    receives : tuple of str
        What the objective took.
    rows : int
        Saved so far, by all definitions.
    """

    name: str
    objective: str
    fingerprint: str
    receives: tuple[str, ...]
    rows: int


def newest(manifest: Manifest) -> Previous | None:
    """Tell what the newest definition was; None for a new run."""
    if not manifest.current:
        return None
    entry = manifest.definition(manifest.current)
    return Previous(entry.name, entry.objective, entry.code, entry.receives, manifest.rows)


def create(disk: Disk, folder: Path, definition: Definition) -> str:
    """Write ``run.json``; return the id of the new run."""
    run = uuid.uuid4().hex
    about = {
        "format": ROWS_ONLY,
        "run": run,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": definition.name,
        "objective": definition.objective,
        "seed": definition.seed,
        "versions": versions(),
        "git": git_commit(definition.folder),
    }
    publish(disk, folder / RUN, [sealed(about)])
    return run


def admit(
    disk: Disk,
    folder: Path,
    manifest: Manifest,
    definition: Definition,
    *,
    fingerprint: str,
    receives: Sequence[str],
) -> DefinitionEntry:
    """Find a definition among those accepted before, by its content, or write its file; return its entry."""
    raw = layout(definition.source).encode()
    size, crc = len(raw), checksum([raw])
    known = manifest.definitions
    number = next((item.number for item in known if _holds(disk, folder, item, raw)), 0)
    number = number or max((item.number for item in known), default=0) + 1
    name = f"{number:04d}.yaml"
    if _read(disk, folder, name, size) != raw:  # new, or spoilt: then this mends it
        publish(disk, folder / DEFINITIONS / name, [raw])
    return DefinitionEntry(
        number=number,
        file=name,
        bytes=size,
        crc=crc,
        name=definition.name,
        objective=definition.objective,
        receives=tuple(receives),
        code=fingerprint,
    )


def with_entry(entries: Sequence[DefinitionEntry], entry: DefinitionEntry) -> tuple[DefinitionEntry, ...]:
    """Add an entry, or put it in the place of the one of its number."""
    others = (item for item in entries if item.number != entry.number)
    return tuple(sorted((*others, entry), key=lambda item: item.number))


def _holds(disk: Disk, folder: Path, entry: DefinitionEntry, raw: bytes) -> bool:
    """Tell whether an accepted definition is this one; what is in its file counts, unless that is spoilt."""
    if (entry.bytes, entry.crc) != (len(raw), checksum([raw])):
        return False
    there = _read(disk, folder, entry.file, entry.bytes)
    return there == raw or checksum([there]) != entry.crc


def _read(disk: Disk, folder: Path, name: str, limit: int) -> bytes:
    """Read the file of a definition; empty if that cannot be done."""
    try:
        return disk.read_file(folder, f"{DEFINITIONS}/{name}", limit)
    except (OSError, DamageError):
        return b""
