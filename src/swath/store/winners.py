"""One row a point, in the order of the points: which, and how to get it out of many without comparing all of them.

Theory of operation. Where a point has several rows, the highest attempt counts, and the first among equals. Rows come in
whole runs of ascending points, so most often these are put into order; else rows that fill a good part of a range are
put in their places; only what is left is sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from swath.store.segments import ascending, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

SPREAD: Final = 8  # a table of all indices up to this many times the rows is cheaper than sorting
FEW_RUNS: Final = 4096  # slices; beyond, copying row by row is cheaper than run by run


@dataclass(frozen=True, slots=True)
class Order:
    """A selection of rows, in a new order.

    Attributes
    ----------
    places : NDArray[int64] or None
        Row i of the result is row ``places[i]``; None: all, as they are.
    runs : list of (int, int) or None
        The same as half-open slices, where there are few: a copy of slices is several times faster.
    """

    places: Integers | None = None
    runs: Sequence[tuple[int, int]] | None = None

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """Select and order values."""
        if self.runs is not None:
            return np.concatenate([values[a:b] for a, b in self.runs])
        return values if self.places is None else values[self.places]

    def table(self, table: pa.Table) -> pa.Table:
        """Select and order the rows of a table."""
        if self.runs is not None:
            return pa.concat_tables([table.slice(a, b - a) for a, b in self.runs])
        return table if self.places is None else take(table.combine_chunks(), self.places)


def winners(points: Integers, attempts: NDArray[np.uint16]) -> Order:
    """Order rows by point and keep one of each: the highest attempt, the first among equals.

    Parameters
    ----------
    points : NDArray[int64], shape (n,)
        Not negative.
    attempts : NDArray[uint16], shape (n,)
        Of the same rows.
    """
    if ascending(points):
        return Order()
    steps = np.diff(points)
    return (
        _runs(points, steps <= 0)
        or _runs(points, steps != 1)
        or _scatter(points)
        or _sorted(points, attempts)
    )


def _runs(points: Integers, ends: NDArray[np.bool_]) -> Order | None:
    """Try to put whole runs into order, for that is how replies come.

    Parameters
    ----------
    ends : NDArray[bool], shape (n - 1,)
        Where a run ends; within one, points ascend.
    """
    starts = np.concatenate(([0], np.flatnonzero(ends) + 1))
    if len(starts) > FEW_RUNS:
        return None
    stops = np.concatenate((starts[1:], [len(points)]))
    order = np.argsort(points[starts])
    starts, stops = starts[order], stops[order]
    if (points[starts[1:]] <= points[stops[:-1] - 1]).any():
        return None
    return Order(runs=list(zip(starts.tolist(), stops.tolist(), strict=True)))


def _scatter(points: Integers) -> Order | None:
    """Try to order points, all different, that fill a good part of a range: put each at its place."""
    low = int(points.min())
    span = int(points.max()) - low + 1
    if span > SPREAD * len(points):
        return None
    table = np.full(span, -1, np.int64)
    table[points - low] = np.arange(len(points))
    places = table[table >= 0]
    return Order(places) if len(places) == len(points) else None


def _sorted(points: Integers, attempts: NDArray[np.uint16]) -> Order:
    order = np.lexsort((-attempts.astype(np.int32), points))
    ordered = points[order]
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    return Order(order[first])
