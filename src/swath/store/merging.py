"""Which small files to join: pure, from what the manifest says of them.

Theory of operation. Many small commits make many small files, so those that belong together are merged as in a
log-structured tree: when there are more than `MANY`, the newest `LEAST` become one, together with older ones no
larger than what is merged already. A row is therefore copied at most once per doubling of its file, and the number
of small files stays below `MANY`. None exceeds `LIMIT`.

Files of rows belong together if they are of one definition and one code. Steps must stay in the order in which they
came, so of them, and of proposals, only neighbours of one definition are joined.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

from swath.store.entries import ProposalsEntry, SegmentEntry, StepsEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

LIMIT: Final = 16 << 20  # bytes of a file that was merged; merging holds them a few times over in memory
MANY: Final = 32  # small files that belong together and may lie about
LEAST: Final = 16  # of them merged at a time
TINY: Final = (
    1 << 20
)  # bytes; what is left below this when a run ends is joined, for it costs next to nothing
LEFT: Final = 8  # tiny files of each kind that a run may leave behind

E = TypeVar("E", SegmentEntry, StepsEntry, ProposalsEntry)


def rows_to_join(
    files: Sequence[SegmentEntry], apart: Collection[str], *, ending: bool
) -> Iterator[list[SegmentEntry]]:
    """Yield lists of files of rows, each of which is to become one file.

    Parameters
    ----------
    files : sequence of SegmentEntry
        In the order of the manifest.
    apart : collection of str
        Names of files that must stay as they are.
    ending : bool
        Nothing more will come: join the tiny ones too.
    """
    for key in dict.fromkeys((entry.definition, entry.code) for entry in files):
        alike = [e for e in files if (e.definition, e.code) == key and e.file not in apart]
        chosen = _many(alike) if not ending else _tiny(alike)
        if chosen:
            yield chosen


def neighbours_to_join(files: Sequence[E], apart: Collection[str], *, ending: bool) -> Iterator[list[E]]:
    """Yield lists of files of steps, or of proposals, that stand side by side; otherwise as `rows_to_join`."""
    limit = TINY if ending else LIMIT // 2
    if ending and len([entry for entry in files if entry.bytes < TINY]) <= LEFT:
        return
    for (_, small), run in groupby(files, lambda e: (e.definition, e.bytes < limit and e.file not in apart)):
        alike = list(run)
        chosen = alike if ending else _many(alike)
        if small and len(chosen) > 1:
            yield chosen


def _many(alike: Sequence[E]) -> list[E]:
    """Choose what to merge while more keeps coming."""
    small = [entry for entry in alike if entry.bytes < LIMIT // 2]
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


def _tiny(alike: Sequence[E]) -> list[E]:
    tiny = [entry for entry in alike if entry.bytes < TINY]
    return tiny if len(tiny) > LEFT else []
