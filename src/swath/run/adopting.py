"""What a search takes over from points that somebody else proposed: earlier definitions of its run, and another run.

Theory of operation
-------------------
A search is asked for points, so a run whose definition has changed has no proposals yet. What earlier definitions
evaluated, or proposed and did not come to, become the first of them, as far as they are points of the new definition:
those with rows first, so that lowering ``points`` loses as few rows as it can. Their rows count, since rows are found by content.
Grids count like searches. The order depends on what is on disk and nothing else.

Another run (``from``) only teaches: its finished points are told, not proposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import SwathError, UsageError
from swath.run.endings import read, together
from swath.space import ABSENT
from swath.space.values import canonical
from swath.store.disk import Disk
from swath.store.history import latest
from swath.store.saved import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from swath.definition import Definition
    from swath.search import Outcome, Proposer
    from swath.space import Space
    from swath.store.history import Archive

    Integers = NDArray[np.int64]
    Row = dict[str, Any]

MOST = 100_000
"""Points of a definition that are looked at: more than a search could make use of, in some seconds."""

CHUNK = 1024
"""Points whose parameters are made together."""


def adopted(
    earlier: Sequence[tuple[Space, Integers]], definition: Definition, proposer: Proposer
) -> list[Row]:
    """Return the rows that become the first proposals of a definition that has none.

    Parameters
    ----------
    earlier : sequence of (Space, ndarray of int)
        Spaces of other definitions, and their points that have a row.
    definition : Definition
        The new one.
    proposer : Proposer
        Of the new definition; it is only asked what fits.
    """
    assert definition.search is not None  # noqa: S101  # whoever asks has looked
    found: dict[str, Row] = {}
    for point in _candidates(earlier, definition.was):
        row = proposer.fitting(point)
        if row is not None:
            found.setdefault(canonical(row), row)
        if len(found) == definition.search.points:
            break
    return list(found.values())


def _candidates(earlier: Sequence[tuple[Space, Integers]], was: Mapping[str, object]) -> Iterator[Row]:
    """Give the points that have rows, then what was proposed only."""
    for space, points in earlier:
        yield from _parameters(space, points[:MOST], was)
    for space, _ in earlier:
        book = space.proposals
        if book is not None:
            yield from _parameters(space, np.arange(book.known) * (space.size // book.points), was)


def _parameters(space: Space, points: Integers, was: Mapping[str, object] | None = None) -> Iterator[Row]:
    """Give the active parameters of points, without seeds, and what they count as having had."""
    names = [name for name in space.names if name not in space.seeds]
    had = {name: value for name, value in (was or {}).items() if name not in space.names}
    for start in range(0, len(points), CHUNK):
        for values in zip(*space.take(points[start : start + CHUNK]).arguments(names), strict=True):
            row = {name: value for name, value in zip(names, values, strict=True) if value is not ABSENT}
            yield {**had, **row}


def check_earlier(folder: Path) -> None:
    """Make sure that there is a run from whose points a search can learn.

    Raises
    ------
    UsageError
        There is none, or it cannot be read.
    """
    try:
        latest(Disk(), folder, lambda archive: archive.manifest)
    except (SwathError, OSError) as error:
        raise UsageError(f"search.from: there is no run to learn from in {folder}: {error}") from error


def finished(folder: Path, definition: Definition, proposer: Proposer) -> Iterable[tuple[Row, Outcome]]:
    """Return the points of another run that would be points of this search, and what became of them."""
    return latest(Disk(), folder, lambda archive: _finished(archive, definition, proposer))


def _finished(archive: Archive, definition: Definition, proposer: Proposer) -> list[tuple[Row, Outcome]]:
    assert definition.search is not None  # noqa: S101  # whoever asks has looked
    old = archive.definition(archive.manifest.current)
    gathered: dict[str, tuple[Row, dict[int, Outcome]]] = {}
    if old is None:
        return []
    for points, table in rows_of(archive):
        known = np.flatnonzero(points >= 0)
        ends = dict(zip(known.tolist(), _parameters(old.space, points[known], definition.was), strict=True))
        outcomes = read(points.tolist(), table, definition.search.metrics, {})
        for place, (point, outcome) in enumerate(outcomes):
            row = proposer.fitting(ends[place]) if place in ends else None
            if row is not None:
                gathered.setdefault(canonical(row), (row, {}))[1][point] = outcome  # a later attempt counts
    return [(row, together(list(outcomes.values()))) for row, outcomes in gathered.values()]
