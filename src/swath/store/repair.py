"""What is wrong with a run folder, file by file; and how to leave only what is right.

Theory of operation. `examine` reads everything as a reader does, and checks all of it. `repair` holds the lock of a
writer. It keeps what cannot be read under another name (``<name>.damaged``), deletes nothing, and publishes a manifest
without it. The points that were decided there count as missing from then on, so the command that made the run
runs them again. A definition is needed to know what its rows are of and cannot be made out of anything else: its
rows stay where they are, and the same definition, when it is run again, brings them back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from swath.errors import CannotWriteError, DamageError, UsageError
from swath.store.disk import Disk, publish
from swath.store.entries import LARGEST, MANIFEST, Damage, ProposalsEntry, SegmentEntry, StepsEntry
from swath.store.folders import enter, resume
from swath.store.history import Archive
from swath.store.manifest import (
    BEFORE,
    RUN,
    Manifest,
    parse_manifest,
    read_manifest,
    read_run,
)
from swath.store.recovery import sound
from swath.store.sealing import ROWS_ONLY, sealed
from swath.store.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path


FATES: Final = {
    SegmentEntry.what: "its points will run again",
    StepsEntry.what: "its points keep their rows",
    ProposalsEntry.what: "new points will be proposed",
}
TRIES: Final = 5  # more looks at a run that is being written to and shows damage each time


@dataclass(frozen=True, slots=True)
class Examined:
    """A run folder, read from end to end.

    Attributes
    ----------
    manifest : Manifest
        The newest that can be read.
    files : int
        Files that it answers for: segments and definitions.
    damage : tuple of Damage
        What is wrong; empty is good news.
    """

    manifest: Manifest
    files: int
    damage: tuple[Damage, ...]

    @property
    def sound(self) -> int:
        """Files that are as they should be."""
        return self.files - sum("/" in item.file for item in self.damage)


def examine(folder: Path, disk: Disk | None = None) -> Examined:
    """Check every file of a run, whoever may be writing there.

    Raises
    ------
    UsageError
        There is no run in the folder.
    DamageError
        No manifest can be read, or a newer swath wrote it.
    """
    disk = disk or Disk()
    manifest = read_manifest(disk, folder)
    found = _examine(disk, folder, manifest)
    for _ in range(TRIES):
        newer = read_manifest(disk, folder)
        if not found.damage or newer == manifest:
            break
        manifest, found = newer, _examine(disk, folder, newer)  # what was missing may have been merged
    return found


def _examine(disk: Disk, folder: Path, manifest: Manifest) -> Examined:
    return _look(Archive(disk, folder, manifest, forgiving=True))


def _look(archive: Archive) -> Examined:
    """Read all that the manifest lists, and what stands beside it."""
    disk, folder, manifest = archive.disk, archive.folder, archive.manifest
    for segment in manifest.segments:
        archive.table(segment, keep=False)
    for recorded in manifest.steps:
        archive.steps(recorded)
    for proposed in manifest.proposals:
        archive.proposed(proposed)
    for definition in manifest.definitions:
        archive.definition(definition.number)
    others = filter(None, (_spare(disk, folder, manifest), _about(disk, folder, manifest)))
    files = len(manifest.files) + len(manifest.definitions)
    return Examined(manifest, files, (*archive.damage.values(), *others))


def _spare(disk: Disk, folder: Path, manifest: Manifest) -> Damage | None:
    """Look at the manifest before."""
    try:
        before = parse_manifest(disk.read_file(folder, BEFORE, LARGEST), BEFORE)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Damage(BEFORE, f"cannot be read ({error.strerror})")
    except DamageError as error:
        return Damage(BEFORE, str(error))
    if before.run != manifest.run:
        return Damage(BEFORE, f"is of run {before.run}, not of {manifest.run}")
    return None


def _about(disk: Disk, folder: Path, manifest: Manifest) -> Damage | None:
    try:
        run = read_run(disk, folder).get("run")
    except DamageError as error:
        return Damage(RUN, str(error))
    return None if run == manifest.run else Damage(RUN, f"is of run {run}, not of {manifest.run}")


def repair(folder: Path, disk: Disk | None = None) -> tuple[Damage, ...]:
    """Put aside what is damaged, so that its points run again; return what was wrong and what became of it.

    Raises
    ------
    RunInUseError
        A run writes to the folder.
    UsageError
        There is no run in it.
    DamageError
        Neither manifest can be read: nothing tells which files are right.
    CannotWriteError
        The folder cannot be written.
    """
    disk = disk or Disk()
    lock = enter(folder, disk)
    try:
        manifest = resume(disk, folder)
        if not manifest.run:
            raise UsageError(f"there is no run in {folder}: no {MANIFEST} in it")
        return _repair(disk, folder, manifest)
    except OSError as error:
        place = error.filename or folder
        raise CannotWriteError(f"cannot repair {folder}: {place}: {error.strerror or error}") from error
    finally:
        lock.release()


def _repair(disk: Disk, folder: Path, manifest: Manifest) -> tuple[Damage, ...]:
    writer = Writer(disk, folder, manifest)
    writer.damaged()  # raises what is no damage, such as a want of open files
    archive = Archive(disk, folder, manifest, forgiving=True)
    damage = _look(archive).damage
    if not damage:
        return ()
    if any(item.file == RUN for item in damage):
        _describe(disk, folder, manifest)
    writer.remove_left()
    left = sound(writer, archive)
    writer.publish(state=manifest.state if left["segments"] == manifest.segments else "stopped", **left)
    aside = writer.set_aside(manifest.names - writer.manifest.names)
    return tuple(replace(item, text=f"{item.text}; {_fate(item, aside)}") for item in damage)


def _fate(item: Damage, aside: list[str]) -> str:
    name = item.file.rpartition("/")[2]
    if item.file == RUN:
        return f"written anew, the old one kept as {RUN}.damaged"
    if item.file in (MANIFEST, BEFORE):
        return "written anew"
    if item.file.startswith("segments"):
        kept = f"kept as {name}.damaged, " if name in aside else ""
        return kept + FATES[item.what]
    return "running the definition that it held mends it"


def _describe(disk: Disk, folder: Path, manifest: Manifest) -> None:
    """Write ``run.json`` as far as the manifest knows what it said; nothing needs the rest."""
    if RUN in disk.names(folder):
        disk.rename(folder / RUN, folder / f"{RUN}.damaged")
    newest = manifest.definition(manifest.current)
    about = {
        "format": ROWS_ONLY,
        "run": manifest.run,
        "created": manifest.sessions[0].started if manifest.sessions else "",
        "name": newest.name,
        "objective": newest.objective,
        "repaired": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    publish(disk, folder / RUN, [sealed(about)])
