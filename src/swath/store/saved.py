"""What a run has saved, read a segment at a time and while others are written.

Who needs the whole makes a table of it (`swath.store.assembly`), which takes as much memory as there are rows. These
questions are put to runs under way, whose driver must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from swath.messages import STATUSES
from swath.store.assembly import gathered
from swath.store.curves import curves_of
from swath.store.segments import floats, numpy_column

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from swath.messages import Step
    from swath.space import Space
    from swath.store.history import Archive


class Saved:
    """The rows and steps of a run under way that are on the disk, as its newest definition sees them.

    Parameters
    ----------
    archive : callable
        Gives the run folder as it is now.
    writing : threading.Lock
        Held by whoever changes the folder: files that are merged go away.
    """

    def __init__(self, archive: Callable[[], Archive], writing: threading.Lock) -> None:
        self._archive, self._writing = archive, writing

    def rows(self) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
        """Read the rows, as `rows_of` gives them."""
        return rows_of(self._archive())

    def best(self, metric: str, sign: int) -> tuple[float, int] | None:
        """Return the best value of a metric, and its point; of equal ones the first point.

        Parameters
        ----------
        metric : str
            A number; other values do not count.
        sign : int
            1 if less is better, -1 if more is.
        """
        found: tuple[float, int] | None = None
        for points, table in self.rows():
            sound = (points >= 0) & (numpy_column(table, "status") == STATUSES.index("ok"))
            for name, column in zip(table.column_names, table.columns, strict=True):
                if name != metric or not (
                    pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
                ):
                    continue
                values = floats(column) * sign
                values[~sound] = np.nan
                if np.isnan(values).all():
                    continue
                best = values == np.nanmin(values)
                candidate = (float(values[best][0]), int(points[best].min()))
                found = candidate if found is None else min(found, candidate)
        return found and (found[0] * sign, found[1])

    def steps(self) -> Iterator[Step]:
        """Read the steps, in the order in which they came; those that were taken back are left out."""
        return self.recorded()[0]

    def newest_steps(self, most: int) -> pa.Table:
        """Read what `steps` reads, of files of so many bytes at most, the newest, or of the newest one.

        Returns
        -------
        pa.Table
            The steps in the order of points and of steps; ``point`` is an index in the newest definition.
        """
        return curves_of(self._archive(), most).table

    def recorded(self) -> tuple[Iterator[Step], dict[int, int]]:
        """Read what `steps` reads, and with it in which attempt each point has recorded its last step, by position."""
        with self._writing:
            archive = self._archive()
            made = curves_of(archive)
        target = archive.target(archive.manifest.current)
        return (iter(()), {}) if target is None else (made.steps(target), made.attempts(target))

    def earlier(self) -> list[tuple[Space, NDArray[np.int64]]]:
        """Tell which points have rows in other definitions of this run.

        Returns
        -------
        list of (Space, ndarray of int)
            The space of each of them, the newest first, with what its search has proposed; its points that have a
            row, ascending.
        """
        with self._writing:
            archive = self._archive()
            found = []
            for number in sorted((entry.number for entry in archive.manifest.definitions), reverse=True):
                target = archive.target(number) if number != archive.manifest.current else None
                if target is not None:
                    own = [entry for entry in archive.manifest.segments if entry.definition == number]
                    found.append((target.space, gathered(archive, target, own).points))
            return found


def rows_of(archive: Archive) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
    """Read rows that are saved, a segment at a time.

    Yields
    ------
    points : ndarray of int
        Indices in the newest definition; -1 where it has no such point.
    table : pa.Table
        The rows, as in a segment.
    """
    target = archive.target(archive.manifest.current)
    if target is None:
        return
    for entry in archive.manifest.segments:
        table = archive.table(entry, keep=False)
        if table is not None and table.num_rows:
            yield archive.indices(entry.definition, numpy_column(table, "point"), target), table
