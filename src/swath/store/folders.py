"""Whose folder is this: what a run folder may hold, and how one is entered and left."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from swath.errors import CannotWriteError, DamageError, UsageError
from swath.store.decisions import NAME as JOURNAL
from swath.store.entries import MANIFEST, SEGMENT_NAME, SEGMENTS
from swath.store.lock import NAME as LOCK
from swath.store.lock import Lock
from swath.store.manifest import (
    BEFORE,
    DEFINITIONS,
    RUN,
    Manifest,
    read_manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from swath.store.disk import Disk

PARQUET: Final = "results.parquet"
STOP: Final = "stop"
STATUS: Final = "status.json"
CHECKPOINTS: Final = "checkpoints"
"""Folders that points keep, by content id: theirs alone, never read nor removed. It may be a link to a larger disk."""
OURS: Final = frozenset(
    {
        LOCK,
        RUN,
        MANIFEST,
        BEFORE,
        DEFINITIONS,
        SEGMENTS,
        PARQUET,
        STOP,
        STATUS,
        CHECKPOINTS,
        JOURNAL,
        "logs",
    }
)


def enter(folder: Path, disk: Disk) -> Lock:
    """Make sure that a folder is there and is ours, and lock it."""
    try:
        disk.make_folder(folder)
        names = set(disk.names(folder))
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"{_file_on_the_way(folder)} is a file; a run needs a folder there: choose another --out"
        ) from error
    except OSError as error:
        raise CannotWriteError(f"cannot write {folder}: {error.strerror}") from error
    _refuse_links(folder, disk)
    strangers = sorted(name for name in names - OURS if not name.endswith(".tmp"))
    if strangers and not names & {RUN, MANIFEST, BEFORE}:
        raise UsageError(
            f"{folder} holds no run but other files ({strangers[0]!r}, ...); give the sweep another name, or --out"
        )
    return Lock(folder)


def _refuse_links(folder: Path, disk: Disk) -> None:
    """Refuse a folder that leads elsewhere: we would write, and remove, there."""
    for name in (DEFINITIONS, SEGMENTS, "logs"):
        if disk.is_link(folder / name):
            raise DamageError(f"{folder / name} is a link; a run keeps its files in its own folder")


def resume(disk: Disk, folder: Path) -> Manifest:
    """Read the state of the folder that we hold; an empty one where no run was ever begun."""
    names = disk.names(folder)
    if MANIFEST in names or BEFORE in names:
        return read_manifest(disk, folder)
    if any(SEGMENT_NAME.fullmatch(name) for name in disk.names(folder / SEGMENTS)):
        raise DamageError(
            f"{folder} has segments but no {MANIFEST}; restore it from a copy, or run again with --fresh, "
            "which keeps the folder beside the new one"
        )
    return Manifest()


def move_aside(folder: Path, disk: Disk) -> None:
    """Let a folder have the first name that is free, ``<name>.1`` or the next, and an empty one stand in its place."""
    taken = set(disk.names(folder.parent))
    free = next(name for n in count(1) if (name := f"{folder.name}.{n}") not in taken)
    disk.rename(folder, folder.with_name(free))
    disk.sync_folder(folder.parent)  # before the name is taken again: nothing orders the two but this
    disk.make_folder(folder)


def furnish(folder: Path, disk: Disk) -> None:
    """Make sure that the folders are there into which a run writes."""
    for name in (DEFINITIONS, SEGMENTS):
        if not disk.is_folder(folder / name):
            disk.add_folder(folder / name)
    disk.sync_folder(folder)  # whoever made them may have been killed before this


def leave_nothing(folder: Path, disk: Disk) -> None:
    """Remove a folder in which nothing was begun, if it holds nothing but the lock."""
    with suppress(OSError):
        if disk.names(folder) == [LOCK]:
            disk.remove(folder / LOCK)
            disk.remove_folder(folder)


def _file_on_the_way(folder: Path) -> Path:
    """Return the outermost part of a path that exists and is no folder; the whole path if there is none."""
    return next(
        (part for part in [*reversed(folder.parents), folder] if part.exists() and not part.is_dir()), folder
    )
