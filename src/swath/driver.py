"""The driver: a pure state machine that decides what happens next in a sweep.

Theory of operation
-------------------
The driver knows positions, workers and batches; it knows no clock, no file and no Dask. It is told what
happened (`handle`), with the time, and answers with commands; `wake` says when it wants to hear of the
time even if nothing happens.

Every position is in exactly one of four places, and `check` proves it:

==================  ==========================================================================
waiting             nobody holds it; kept by the number of its next attempt
in flight           a worker was offered it
awaiting durability its row (or its exclusion) is on the way to the disk
done                its row (or its exclusion) is on the disk
==================  ==========================================================================

==============  =============  ======================================================================
what            from           to
==============  =============  ======================================================================
offer           waiting        in flight
Finished        in flight      awaiting durability (decided); waiting (untouched, or to be retried)
Returned        in flight      waiting
Lost, Left      in flight      waiting; Lost also from awaiting durability, if the disk refused the rows
Durable         awaiting       done
==============  =============  ======================================================================

A worker is offered at most one batch for each of its slots, and one more for each to wait behind them.
When a slot idles and nothing waits, an offer that waits elsewhere is recalled, then the untouched rest
of a running one. So the first microsecond point and the first one-hour point obey the same rule.

Rows may come late, twice, or for positions that were given back: only positions that are in flight in
that very batch are accepted; the rest is dropped and counted as ``duplicates``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.batching import FLOOR, Pace, next_offer
from swath.messages import (
    Batch,
    Command,
    Conclude,
    Durable,
    Ending,
    Event,
    Finished,
    Joined,
    Left,
    Lost,
    Recall,
    Reply,
    Returned,
    StopAsked,
    Submit,
    Tick,
    Urgency,
    Write,
)
from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 300.0
"""Seconds without any worker after which a sweep ends as lost."""

LOSSES = 20
"""Batches lost or refused in a row, with none saved between them, after which a sweep ends as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user asked of a sweep.

    Attributes
    ----------
    retries : int
        How often a point that ended in one of ``retry_on`` is tried again.
    retry_on : frozenset of str
        Statuses worth another attempt.
    limit : int or None
        Rows after which to stop.
    deadline : float or None
        Time (of the events' clock) at which to stop.
    max_failures : int or None
        Failed rows after which to stop.
    patience : float
        Seconds to wait for a worker while there is none.
    """

    retries: int = 0
    retry_on: frozenset[str] = frozenset({"error", "crash", "timeout", "oom"})
    limit: int | None = None
    deadline: float | None = None
    max_failures: int | None = None
    patience: float = PATIENCE


@dataclass(slots=True)
class Flight:
    """A batch that a worker holds: what is left of its range, and since when."""

    batch: Batch
    stop: int
    started: float | None = None
    recalled: bool = False
    answered: bool = False

    @property
    def open_recall(self) -> bool:
        """Whether an answer to a recall is still to come."""
        return self.recalled and not self.answered

    def untouched(self, now: float, rate: float | None) -> float:
        """Seconds of work in the part that is probably not begun; infinite behind a straggler."""
        points = self.stop - self.batch.start - (self.started is not None)
        if points < 1:
            return 0.0
        if self.started is None:
            return self.batch.budget if rate is None else min(points / rate, self.batch.budget)
        age = now - self.started
        if age > self.batch.budget + 2 * FLOOR:
            return float("inf")
        if rate is None:
            return 0.0
        return min(points / rate, self.batch.budget) - age


@dataclass(slots=True)
class Worker:
    """A worker's room, and the batches it holds in the order in which it will take them."""

    slots: int
    queue: list[int] = field(default_factory=list)


class Driver:
    """Decides who evaluates what; see the module's theory of operation.

    Parameters
    ----------
    total : int
        Number of positions.
    done : RangeSet
        Positions that need nothing any more.
    policy : Policy
        Limits and retries.
    again : mapping of int to RangeSet
        Positions that count as waiting although they were done, by the number of their next attempt.
    now : float
        The time at which the sweep begins, in seconds.
    """

    def __init__(
        self,
        total: int,
        *,
        done: RangeSet | None = None,
        policy: Policy | None = None,
        again: Mapping[int, RangeSet] | None = None,
        now: float = 0.0,
    ) -> None:
        self.total = total
        self.policy = policy or Policy()
        self.done = done.copy() if done else RangeSet()
        self.waiting: dict[int, RangeSet] = {  # by the number of the next attempt
            attempt: positions.copy() for attempt, positions in (again or {}).items()
        }
        for positions in self.waiting.values():
            self.done.difference_update(positions)
        first = self.waiting.setdefault(1, RangeSet())
        first.add(0, total)
        first.difference_update(self.done)
        for attempt, positions in self.waiting.items():
            if attempt != 1:
                first.difference_update(positions)
        self.flights: dict[int, Flight] = {}
        self.writing: dict[int, tuple[int, RangeSet]] = {}  # by batch: its attempt, positions
        self.workers: dict[str, Worker] = {}
        self.pace = Pace()
        self.rows = 0
        self.failures = 0
        self.duplicates = 0
        self.concluded: Conclude | None = None
        self._losses = 0
        self._next_id = 0
        self._alone_since: float | None = now
        self._ending: tuple[Ending, str] | None = None
        self._now = now

    # What happened.

    def handle(self, event: Event) -> list[Command]:
        """Take in one event and return what is to be done, in order.

        Raises
        ------
        AssertionError
            If the event is of no known kind; never for its content.
        """
        self._now = max(self._now, event.now)
        commands: list[Command] = []
        match event:
            case Joined():
                self._join(event)
            case Left():
                self._leave(event.worker)
            case Finished():
                commands += self._finish(event.batch_id, event.reply)
            case Returned():
                self._give_back(event)
            case Lost():
                self._lose(event.batch_id, event.reason)
            case Durable():
                self._settle(event.batch_ids)
            case StopAsked():
                self._stop(event)
            case Tick():
                pass
            case _:
                raise AssertionError(event)
        return commands + self._proceed()

    def _join(self, event: Joined) -> None:
        worker = self.workers.setdefault(event.worker, Worker(event.slots))
        worker.slots = event.slots
        self._alone_since = None

    def _leave(self, name: str) -> None:
        worker = self.workers.pop(name, None)
        for batch_id in worker.queue if worker else ():
            self._to_waiting(self.flights.pop(batch_id))
        if not self.workers and self._alone_since is None:
            self._alone_since = self._now

    def _finish(self, batch_id: int, reply: Reply) -> list[Command]:
        flight = self._land(batch_id)
        if flight is None:
            self.duplicates += reply.rows
            return []
        batch = flight.batch
        decided = sum(stop - start for start, stop in reply.done)
        self.pace.observe(decided, reply.seconds)
        accepted = RangeSet(
            (max(start, batch.start), min(stop, flight.stop))
            for start, stop in reply.done
            if start < flight.stop and stop > batch.start
        )
        untouched = RangeSet([(batch.start, flight.stop)])
        untouched.difference_update(accepted)
        self._wait(batch.attempt, untouched)
        whole = len(accepted) == decided
        failed = self._sort_failures(batch, reply, accepted)
        whole = whole and not failed
        if reply.fatal:
            self._end(Ending.FATAL, reply.fatal)
            self._abandon()
        if not accepted:
            return []
        self.writing[batch_id] = (batch.attempt, accepted)
        return [Write(batch, reply, accepted.copy(), whole)]

    def _sort_failures(self, batch: Batch, reply: Reply, accepted: RangeSet) -> int:
        """Send failures that deserve another attempt back, count the rest; return how many went back."""
        again = RangeSet()
        for status, ranges in reply.failed:
            positions = RangeSet(
                piece for start, stop in ranges for piece in accepted.intersection(start, stop)
            )
            if status in self.policy.retry_on and batch.attempt <= self.policy.retries:
                again.update(positions)
            else:
                self.failures += len(positions)
        accepted.difference_update(again)
        self._wait(batch.attempt + 1, again)
        self.rows += max(0, reply.rows - len(again))
        if self.policy.max_failures is not None and self.failures >= self.policy.max_failures:
            self._end(Ending.LIMIT, f"{self.failures} points failed")
        return len(again)

    def _give_back(self, event: Returned) -> None:
        flight = self.flights.get(event.batch_id)
        if flight is None:
            return
        flight.answered = True
        if not flight.batch.start <= event.start < event.stop == flight.stop:
            return
        self._wait(flight.batch.attempt, RangeSet([(event.start, event.stop)]))
        flight.stop = event.start
        if flight.stop == flight.batch.start:
            self._land(event.batch_id)

    def _lose(self, batch_id: int, reason: str) -> None:
        flight = self._land(batch_id)
        refused = self.writing.pop(batch_id, None)
        if flight is None and refused is None:
            return
        self._to_waiting(flight)
        if refused is not None:
            self._wait(*refused)
        self._losses += 1
        if self._losses >= LOSSES:
            self._end(Ending.LOST, f"{self._losses} batches in a row were lost; the last one: {reason}")

    def _settle(self, batch_ids: tuple[int, ...]) -> None:
        self._losses = 0
        for batch_id in batch_ids:
            _, positions = self.writing.pop(batch_id, (0, RangeSet()))
            self.done.update(positions)

    def _stop(self, event: StopAsked) -> None:
        self._end(Ending.ASKED, event.reason)
        if event.urgency is Urgency.NOW:
            self._abandon()

    def _abandon(self) -> None:
        """Wait for no batch any more; what they hold is to be done another time."""
        for batch_id in list(self.flights):
            self._to_waiting(self._land(batch_id))

    # What follows from it.

    def _proceed(self) -> list[Command]:
        if self.concluded:
            return []
        self._mind_limits()
        commands: list[Command] = []
        if self._ending is None:
            commands += self._offers()
        commands += self._recalls()
        if not self.flights and not self.writing and (self._ending or not self._waiting_count()):
            self.concluded = Conclude(*self._ending) if self._ending else Conclude(Ending.COMPLETE)
            commands.append(self.concluded)
        return commands

    def _mind_limits(self) -> None:
        policy = self.policy
        if policy.deadline is not None and self._now >= policy.deadline and self._unfinished():
            self._end(Ending.LIMIT, "the time limit is reached")
        if policy.limit is not None and self.rows >= policy.limit and self._unfinished():
            self._end(Ending.LIMIT, f"{self.rows} points were run, as asked")
        if self._alone_since is not None and self._now - self._alone_since >= policy.patience:
            self._end(Ending.LOST, f"there was no worker for {policy.patience:g} s")

    def _offers(self) -> list[Command]:
        """Fill idle slots first, then let one offer wait behind each running one."""
        made: dict[str, list[Batch]] = {}
        slots = sum(worker.slots for worker in self.workers.values())
        for depth in (1, 2):
            for name, worker in self.workers.items():
                while len(worker.queue) < depth * worker.slots and (batch := self._offer(name, slots)):
                    made.setdefault(name, []).append(batch)
        return [Submit(tuple(batches)) for batches in made.values()]

    def _offer(self, name: str, slots: int) -> Batch | None:
        """Take the next offer out of what waits, if anything does and the limit allows it."""
        rows = self._rows_left()
        attempt = next((attempt for attempt, positions in sorted(self.waiting.items()) if positions), None)
        if attempt is None or rows == 0:
            return None
        positions = self.waiting[attempt]
        offer = next_offer(len(positions), slots, self.pace.rate)
        start, stop = positions.first(offer.size)
        positions.discard(start, stop)
        limit = None if rows is None else min(rows, stop - start)
        batch = Batch(self._next_id, name, start, stop, attempt, offer.budget, limit)
        self._next_id += 1
        self.flights[batch.id] = Flight(batch, stop)
        self.workers[name].queue.append(batch.id)
        self._mark_started(self.workers[name])
        return batch

    def _rows_left(self) -> int | None:
        if self.policy.limit is None:
            return None
        promised = sum(flight.batch.limit or 0 for flight in self.flights.values())
        return max(0, self.policy.limit - self.rows - promised)

    def _recalls(self) -> list[Command]:
        """Ask for what has not begun: everywhere when the sweep is to end, else where slots idle."""
        fresh = [flight for flight in self.flights.values() if not flight.recalled]
        if self._ending is None:
            fresh = [flight for flight in fresh if flight.untouched(self._now, self.pace.rate) > FLOOR]
            fresh.sort(key=lambda flight: flight.started is not None)  # an offer that waits is given up whole
            fresh = fresh[: self._hungry_slots()]
        for flight in fresh:
            flight.recalled = True
        return [Recall(flight.batch) for flight in fresh]

    def _hungry_slots(self) -> int:
        """Count the idle slots for which there is no work, neither here nor on its way back."""
        if self._waiting_count():
            return 0
        idle = sum(max(0, worker.slots - len(worker.queue)) for worker in self.workers.values())
        return max(0, idle - sum(flight.open_recall for flight in self.flights.values()))

    @property
    def wake(self) -> float | None:
        """When to send a `Tick` if nothing happens before, in seconds of the events' clock."""
        times = [self.policy.deadline] if self.policy.deadline is not None and self._ending is None else []
        if self._alone_since is not None and self._ending is None:
            times.append(self._alone_since + self.policy.patience)
        if self._ending is None and self._hungry_slots():
            times += [
                flight.started + flight.batch.budget + 3 * FLOOR
                for flight in self.flights.values()
                if flight.started is not None and not flight.recalled and flight.stop - flight.batch.start > 1
            ]
        return min(times, default=None)

    # Moving positions.

    def _land(self, batch_id: int) -> Flight | None:
        flight = self.flights.pop(batch_id, None)
        if flight is not None:
            worker = self.workers[flight.batch.worker]
            worker.queue.remove(batch_id)
            self._mark_started(worker)
        return flight

    def _mark_started(self, worker: Worker) -> None:
        """Slots take their batches in order, so the first ones in the queue are running."""
        for batch_id in worker.queue[: worker.slots]:
            flight = self.flights[batch_id]
            if flight.started is None:
                flight.started = self._now

    def _to_waiting(self, flight: Flight | None) -> None:
        if flight is not None:
            self._wait(flight.batch.attempt, RangeSet([(flight.batch.start, flight.stop)]))

    def _wait(self, attempt: int, positions: RangeSet) -> None:
        if positions:
            self.waiting.setdefault(attempt, RangeSet()).update(positions)

    def _end(self, ending: Ending, reason: str) -> None:
        self._ending = self._ending or (ending, reason)

    def _waiting_count(self) -> int:
        return sum(map(len, self.waiting.values()))

    def _unfinished(self) -> bool:
        return bool(self.flights) or self._waiting_count() > 0

    def check(self) -> None:
        """Prove that the four places partition the positions; for tests.

        Raises
        ------
        AssertionError
            If a position is in two places, or in none.
        """
        places = [*self.waiting.values(), *(positions for _, positions in self.writing.values()), self.done]
        places += [RangeSet([(flight.batch.start, flight.stop)]) for flight in self.flights.values()]
        union = RangeSet()
        for place in places:
            union.update(place)
        assert sum(map(len, places)) == len(union) == self.total  # noqa: S101  # this is the proof
        held = sorted(batch_id for worker in self.workers.values() for batch_id in worker.queue)
        assert held == sorted(self.flights)  # noqa: S101
