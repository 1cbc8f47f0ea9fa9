"""What is left of a run when its damage is left out: nothing that is listed then is wrong, or says what it does not mean.

Theory of operation. A damaged file of rows or of steps is left out, and that is all. A damaged file of proposals takes
with it whatever follows in that search: new points will be proposed in the places of those that are lost, and rows and steps
of the old ones must not be taken for theirs. So the proposals after it are left out as well, and files of rows and steps
that reach beyond are written anew without these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from swath.store.segments import numpy_column, take

if TYPE_CHECKING:
    from collections.abc import Collection

    from swath.store.entries import ProposalsEntry, SegmentEntry, StepsEntry
    from swath.store.history import Archive
    from swath.store.manifest import Manifest
    from swath.store.writer import Writer


class Sound(TypedDict):
    """What a manifest lists without damage."""

    segments: tuple[SegmentEntry, ...]
    steps: tuple[StepsEntry, ...]
    proposals: tuple[ProposalsEntry, ...]


def listed(manifest: Manifest, spoilt: Collection[str]) -> Sound:
    """Leave out the files with these paths, and proposals that follow others which are missing."""
    proposals = [entry for entry in manifest.proposals if entry.path not in spoilt]
    known: dict[int, int] = {}
    for entry in sorted(proposals, key=lambda item: item.first):
        if entry.first <= known.get(entry.definition, 0):
            known[entry.definition] = max(entry.first + entry.rows, known.get(entry.definition, 0))
    return Sound(
        segments=tuple(entry for entry in manifest.segments if entry.path not in spoilt),
        steps=tuple(entry for entry in manifest.steps if entry.path not in spoilt),
        proposals=tuple(e for e in proposals if e.first + e.rows <= known.get(e.definition, 0)),
    )


def sound(writer: Writer, archive: Archive) -> Sound:
    """Return the files that are left when what an archive found to be damaged is left out; some may be new.

    Parameters
    ----------
    writer : Writer
        Of the folder; its manifest still lists the damaged files.
    archive : Archive
        Has looked at them.
    """
    found = listed(writer.manifest, archive.damage.keys())
    lost = {entry.definition for entry in {*writer.manifest.proposals} - {*found["proposals"]}}
    if not lost:
        return found
    known = {number: _known(archive, number) for number in lost}
    rows = (_rows(writer, archive, entry, known.get(entry.definition)) for entry in found["segments"])
    steps = (_steps(writer, archive, entry, known.get(entry.definition)) for entry in found["steps"])
    return Sound(
        segments=tuple(entry for entry in rows if entry),
        steps=tuple(entry for entry in steps if entry),
        proposals=found["proposals"],
    )


def _known(archive: Archive, number: int) -> int:
    """Return how many points of a definition can be decoded; nobody may take its rows for others when it comes back."""
    definition = archive.definition(number)
    return definition.space.known if definition else 0


def _rows(writer: Writer, archive: Archive, entry: SegmentEntry, known: int | None) -> SegmentEntry | None:
    """Return a file of the rows that can be decoded; the same one if these are all, None if there is none."""
    if known is None:
        return entry
    done = entry.positions.intersection(0, known)
    if len(done) == len(entry.positions):
        return entry
    table = archive.table(entry, keep=False) if done else None
    if table is None:
        return None
    points = numpy_column(table, "point")
    table = take(table, np.flatnonzero(points < known))
    attempts = numpy_column(table, "attempts")
    return writer.write_rows(
        table,
        entry.definition,
        entry.code,
        done,
        excluded=len(done) - len(np.unique(points[points < known])),
        attempts_max=int(attempts.max(initial=0)),
    )


def _steps(writer: Writer, archive: Archive, entry: StepsEntry, known: int | None) -> StepsEntry | None:
    """Do the same for a file of steps."""
    if known is None:
        return entry
    table = archive.steps(entry)
    if table is None:
        return None
    kept = np.flatnonzero(numpy_column(table, "point") < known)
    if len(kept) == table.num_rows:
        return entry
    return writer.write_steps(take(table, kept), entry.definition) if len(kept) else None
