"""Replicates until precise: which positions a sweep opens as the rows of its combinations come in.

Theory of operation
-------------------
The axis of replicates varies slowest, so in every block the index of a point is its replicate times the number of
combinations, plus the number of its combination. What is needed is decided by `swath.precision`, from rows that are
durable: so on resuming, the same rows lead to the same decisions.

The last position is opened when every one that is open is decided and none of the combinations asks for more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from swath.messages import STATUSES, Durable, Lost, Write
from swath.precision import Precision
from swath.ranges import RangeSet
from swath.run.endings import numbers
from swath.snapshot import Replicates
from swath.store.segments import RejectedError, accepted, numpy_column

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.definition.replicates import Until
    from swath.messages import Command, Event, Ranges
    from swath.space import Space

    Integers = NDArray[np.int64]


class Layout:
    """Where combinations and their replicates are among the indices of a space.

    Parameters
    ----------
    sizes : sequence of int
        Points of each block.
    most : int
        Replicates of every combination.

    Attributes
    ----------
    combinations : int
        How many there are.
    """

    def __init__(self, sizes: Iterable[int], most: int) -> None:
        sizes = list(sizes)
        self._offsets = np.cumsum([0, *sizes])
        self._inner = np.array([size // most for size in sizes])
        self._before = np.cumsum([0, *self._inner])
        self.combinations = int(self._before[-1])

    def places(self, indices: Integers) -> tuple[Integers, Integers]:
        """Return combination and replicate of points, shape (n,) each."""
        block = np.searchsorted(self._offsets[1:], indices, side="right")
        replicate, combination = np.divmod(indices - self._offsets[block], self._inner[block])
        return self._before[block] + combination, replicate

    def indices(self, combination: int, first: int, stop: int) -> Integers:
        """Return the points that are replicates [first, stop) of a combination."""
        block = int(np.searchsorted(self._before[1:], combination, side="right"))
        start = self._offsets[block] + combination - self._before[block]
        found: Integers = np.arange(first, stop, dtype=np.int64) * self._inner[block] + start
        return found

    def beginning(self, first: int) -> RangeSet:
        """Return the points that are among the first few replicates of any combination."""
        pairs = zip(self._offsets[:-1].tolist(), self._inner.tolist(), strict=True)
        return RangeSet((offset, offset + first * inner) for offset, inner in pairs if inner)


class Replicating:
    """The plan of a sweep whose replicates are added until precise; see `swath.run.planning`.

    Parameters
    ----------
    space : Space
        Its axis of replicates comes first.
    until : Until
        When there are enough.
    saved : iterable of (ndarray, pa.Table)
        Points and rows of earlier sessions, in the order of arrival.
    done : RangeSet
        Positions that need nothing any more.

    Attributes
    ----------
    opened : RangeSet
        Positions that are open at the beginning.
    pending : RangeSet
        Those of them that are not decided.
    """

    def __init__(
        self, space: Space, until: Until, *, saved: Iterable[tuple[Integers, pa.Table]], done: RangeSet
    ) -> None:
        self._space, self._until = space, until
        self._layout = Layout((block.size for block in space.candidates.blocks), until.most)
        self._precision = Precision(until.condition, until.first, until.most)
        self.opened = self._positions(self._layout.beginning(until.first))
        self.opened.update(self._earlier(saved, done))
        self.opened.update(done)
        self.pending = self.opened.copy()
        self.pending.difference_update(done)
        self._open = self.opened.copy()
        self._wanting: list[Ranges] = []
        self._written: dict[int, Write] = {}
        self._over = False

    # The plan.

    def begin(self) -> None:
        """Do nothing: what earlier sessions did was needed to tell what is open."""

    def take(self, message: Event | Command) -> None:
        """Take in what happened; what is not durable may yet be refused."""
        match message:
            case Write():
                self._written[message.batch.id] = message
            case Lost():
                self._written.pop(message.batch_id, None)
            case Durable():
                for batch in message.batch_ids:
                    if batch in self._written:
                        self._learn(self._written.pop(batch))

    def open(self) -> tuple[Ranges, bool] | None:
        """Return the positions that combinations have asked for."""
        ranges = RangeSet(piece for pieces in self._wanting for piece in pieces)
        self._wanting = []
        if (ranges or not self.pending) and not self._over:
            self._over = not self.pending
            return tuple(ranges), self._over
        return None

    def record(self) -> None:
        """Do nothing: what opens is known from the rows."""

    def seen(self, waited: float | None) -> Replicates:
        """Say how it goes."""
        del waited
        return Replicates(
            until=self._until.condition.text,
            most=self._until.most,
            combinations=self._layout.combinations,
            precise=self._precision.precise,
            imprecise=self._precision.imprecise,
        )

    # Its parts.

    def _learn(self, write: Write) -> None:
        try:
            table = accepted(write, self._space.positions)
        except RejectedError:
            return  # the store has found the same
        self.pending.difference_update(write.accepted)
        fresh = self._wanted(numpy_column(table, "point"), table)
        fresh.difference_update(self._open)
        if fresh:
            self._open.update(fresh)
            self.pending.update(fresh)
            self._wanting.append(tuple(fresh))

    def _wanted(self, points: Integers, table: pa.Table) -> RangeSet:
        """Return the positions that combinations want in view of more rows, those of these points."""
        known = np.flatnonzero(points >= 0)
        combinations, replicates = self._layout.places(points[known])
        good = (numpy_column(table, "status") == STATUSES.index("ok"))[known]
        found = {
            name: np.where(good, numbers(table, name)[known], np.nan)
            for name in self._until.condition.metrics
        }
        wanted = [
            self._layout.indices(*opened) for opened in self._precision.take(combinations, replicates, found)
        ]
        if not wanted:
            return RangeSet()
        return RangeSet.of(self._space.positions(np.concatenate(wanted)))

    def _earlier(self, saved: Iterable[tuple[Integers, pa.Table]], done: RangeSet) -> RangeSet:
        """Return what combinations want in view of the rows of points that need nothing any more."""
        wanted = RangeSet()
        for points, table in saved:
            known = np.flatnonzero(points >= 0)
            counted = np.full(len(points), -1)
            counted[known] = np.where(
                done.contains_array(self._space.positions(points[known])), points[known], -1
            )
            wanted.update(self._wanted(counted, table))  # of several rows of one the last comes last
        return wanted

    def _positions(self, indices: RangeSet) -> RangeSet:
        if self._space.order == "grid":
            return indices
        listed = np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in indices])
        return RangeSet.of(self._space.positions(listed))
