"""From an optimiser's proposals to open positions, and from rows back to what the optimiser is told.

Theory of operation
-------------------
A proposal is a row of the search's axis: its number, times the replicates of each, is its index. It goes into the book
of the space, from which batches are filled, then it opens; the loop hands it to the store before it hears of the
opening, so that no row can be durable before its proposal.

An optimiser is told what the store would accept, in the order of arrival, which segments keep. On resuming it is
told the same again: all proposals by number, then all rows. What is proposed without a row is open at once and
counts as running.
"""

from __future__ import annotations

import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from swath.errors import ObjectiveError
from swath.messages import STATUSES, Joined, Left, Promote, Write
from swath.ranges import RangeSet
from swath.run.asking import proposals_to_ask
from swath.run.endings import EXCLUDED, Endings, read
from swath.search import Outcome
from swath.snapshot import Sampler
from swath.store.segments import RejectedError, accepted, numpy_column
from swath.store.winners import winners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.messages import Command, Event, Ranges, Step
    from swath.search import Proposer
    from swath.space import Space
    from swath.space.values import Value

    Saved = Iterable[tuple[NDArray[np.int64], pa.Table]]

VAIN = 20
"""Points that may be of no use to the optimiser before one is: as many as may fail alike before a sweep ends."""

LATELY = 64
"""Points whose durations, and proposals whose costs, are remembered."""


class Searching:
    """The plan of a search; see `swath.run.planning`.

    Parameters
    ----------
    space : Space
        Has the book of proposals, and in it those of earlier sessions.
    method : str
        For people.
    metrics : sequence of str
        Those that the optimiser learns from.
    make : callable
        Makes the optimiser, which takes a second to import.
    saved : callable
        Reads the rows of earlier sessions, in the order of arrival.
    steps : callable
        Reads what these points have recorded.
    propose : callable
        Makes proposals durable: the number of the first, and the rows.
    stored : int
        So many proposals are durable.
    done : RangeSet
        Positions that need nothing any more.
    startup : int
        So many proposals depend on no result.
    limit : int or None
        Rows after which the sweep ends.
    """

    def __init__(
        self,
        space: Space,
        *,
        method: str,
        metrics: Sequence[str],
        make: Callable[[], Proposer],
        saved: Callable[[], Saved],
        steps: Callable[[], Iterable[Step]],
        propose: Callable[[int, Sequence[Mapping[str, Value]]], None],
        stored: int,
        done: RangeSet,
        startup: int = 0,
        limit: int | None = None,
    ) -> None:
        assert space.proposals is not None  # noqa: S101
        self._space, self._book = space, space.proposals
        self._method, self._metrics = method, tuple(metrics)
        self._make, self._saved, self._steps, self._done = make, saved, steps, done
        self._propose, self._stored = propose, stored
        self._startup, self._limit = startup, limit
        self._replicates = space.size // self._book.points
        self._endings = Endings(self._replicates)
        self._opened = self._book.known
        self.opened = RangeSet(self._ranges(0, self._opened))
        self.pending = RangeSet(self._ranges(0, self._opened))
        self.pending.difference_update(done)
        self._slots: dict[str, int] = {}
        self._rows = 0
        self._ended = ""
        self._durations: deque[float] = deque(maxlen=LATELY)
        self._costs: deque[float] = deque(maxlen=LATELY)
        self._spent = 0.0  # since the last proposal
        self._vain: int | None = (
            0  # points of this session, the first ones, of which it could not use the metrics
        )

    # The plan.

    def begin(self) -> None:
        """Build the optimiser again from proposals and rows."""
        self._proposer = self._make()
        self._proposer.adopt(self._book.rows(0, self._opened))
        for number, outcome in self._endings.take(self._earlier()):
            self._proposer.tell(number, outcome)

    def take(self, message: Event | Command) -> None:
        """Take in what happened."""
        match message:
            case Joined():
                self._slots[message.worker] = message.slots
            case Left():
                self._slots.pop(message.worker, None)
            case Promote():
                self.pending.update([(message.position, message.position + 1)])
            case Write():
                self._learn(message)

    def open(self) -> tuple[Ranges, bool] | None:
        """Ask the optimiser for as many proposals as slots want, and open these."""
        count = self._count()
        if count <= 0:
            return None
        began = time.perf_counter()
        rows = self._proposer.ask(count)
        self._spent += time.perf_counter() - began
        if rows:
            self._costs.append(self._spent / len(rows))
            self._spent = 0.0
        first, self._opened = self._opened, self._opened + len(rows)
        self._book.put(first, rows)
        ranges = self._ranges(first, self._opened)
        self.pending.update(ranges)
        self._ended = self._proposer.exhausted
        return ranges, self._opened == self._book.points or len(rows) < count

    def record(self) -> None:
        """Hand proposals to the store."""
        known = self._book.known
        if known > self._stored:
            self._propose(self._stored, self._book.rows(self._stored, known))
            self._stored = known

    def seen(self, waited: float | None) -> Sampler:
        """Say how it goes."""
        costs = list(self._costs)
        return Sampler(
            method=self._method,
            proposed=self._book.known,
            points=self._book.points,
            cost=sum(costs) / len(costs) if costs else None,
            waited=waited,
            ended=self._ended,
        )

    # Its parts.

    def _count(self) -> int:
        count = proposals_to_ask(
            slots=sum(self._slots.values()),
            pending=len(self.pending),
            replicates=self._replicates,
            cost=sum(self._costs) / len(self._costs) if self._costs else None,
            duration=median(self._durations) if self._durations else None,
            independent=self._startup - self._opened,
        )
        count = min(count, self._book.points - self._opened)
        if self._limit is None:
            return count
        missing = self._limit - self._rows - len(self.pending)
        return min(count, -(-missing // self._replicates))

    def _ranges(self, first: int, stop: int) -> Ranges:
        """Return the positions of proposals [first, stop)."""
        if first == stop:
            return ()
        indices = np.arange(first * self._replicates, stop * self._replicates, dtype=np.int64)
        return tuple(RangeSet.of(self._space.positions(indices)))

    def _learn(self, write: Write) -> None:
        """Tell the optimiser what became of points, if the store will have it."""
        try:
            table = accepted(write, self._space.positions)
        except RejectedError:
            return  # these positions come again
        self.pending.difference_update(write.accepted)
        self._rows += table.num_rows
        self._durations.extend(numpy_column(table, "seconds").tolist())
        began = time.perf_counter()
        for number, outcome in self._endings.take(self._ends(write, table)):
            self._tell(number, outcome)
        self._spent += time.perf_counter() - began

    def _tell(self, number: int, outcome: Outcome) -> None:
        """Tell the optimiser of a proposal. Raises `ObjectiveError` if it could not use the first ones, all of them."""
        useless = self._proposer.tell(number, outcome)
        if outcome.status != "ok" or self._vain is None:
            return
        self._vain = self._vain + 1 if useless else None
        if self._vain == VAIN:
            raise ObjectiveError(
                f"the search cannot learn from the first {VAIN} points: {useless} at all of them; "
                "their rows are saved; correct the objective, or minimize another metric"
            )

    def _ends(self, write: Write, table: pa.Table) -> Iterable[tuple[int, Outcome]]:
        """Give what became of points, those included that ``where`` left out."""
        points = numpy_column(table, "point").tolist()
        yield from read(points, table, self._metrics, self._last(write.reply.steps))
        yield from self._excluded(write.accepted, set(points))

    def _last(self, steps: Iterable[Step]) -> dict[int, int]:
        """Return the last step of points, by index."""
        last = {step.position: step.step for step in steps}
        points = self._space.at(np.array(list(last), np.int64)).tolist()
        return dict(zip(points, last.values(), strict=True))

    def _excluded(self, decided: RangeSet, points: set[int]) -> Iterable[tuple[int, Outcome]]:
        """Give the decided points that have no row."""
        for start, stop in decided:
            for index in self._space.indices(start, stop).tolist():
                if index not in points:
                    yield index, Outcome(EXCLUDED)

    def _earlier(self) -> Iterable[tuple[int, Outcome]]:
        """Give what became of points in earlier sessions, one row of each that needs nothing any more."""
        parts = list(self._saved())
        points = np.concatenate([np.empty(0, np.int64), *(points for points, _ in parts)])
        attempts = np.concatenate(
            [np.empty(0, np.uint16), *(numpy_column(table, "attempts") for _, table in parts)]
        )
        known = np.flatnonzero(points >= 0)
        known = known[self._done.contains_array(self._space.positions(points[known]))]
        winning = np.zeros(len(points), np.bool_)
        statuses = np.concatenate(
            [np.empty(0, np.uint8), *(numpy_column(table, "status") for _, table in parts)]
        )
        winning[winners(points[known], attempts[known]).array(known)] = True
        pruned = (statuses[winning] == STATUSES.index("pruned")).any()
        last = self._last(self._steps()) if pruned else {}
        start = 0
        for indices, table in parts:
            mask = winning[start : start + len(indices)].tolist()
            rows = read(indices.tolist(), table, self._metrics, last)
            self._durations.extend(numpy_column(table, "seconds").tolist())
            yield from (row for row, counts in zip(rows, mask, strict=True) if counts)
            start += len(indices)
        opened = RangeSet(self._ranges(0, self._opened))
        decided = RangeSet(piece for start, stop in opened for piece in self._done.intersection(start, stop))
        yield from self._excluded(decided, set(points[winning].tolist()))
