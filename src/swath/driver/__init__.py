"""The driver: a pure state machine that decides what happens next in a sweep.

Theory of operation
-------------------
The driver knows positions, workers and batches; it knows no clock, no file and no Dask. It is told what
happened (`handle`), with the time, and answers with commands; `wake` says when it wants to hear of the
time even if nothing happens.

Every position that is open is in exactly one of four places, and `check` proves it:

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
Lost, Left      in flight      waiting; Lost also from awaiting durability, if the store refused the rows
exclude         in flight      waiting
Durable         awaiting       done
Opened          (closed)       waiting
promote         done           waiting, as the next attempt
==============  =============  ======================================================================

A worker is offered at most one batch for each of its slots, and one more for each to wait behind them.
When a slot idles and nothing waits, an offer that waits elsewhere is recalled, then the untouched rest
of a running one. So the first microsecond point and the first one-hour point obey the same rule.

Rows may come late, twice, or for positions that were given back: only positions that are in flight in
that very batch are accepted; the rest is dropped and counted as ``duplicates``. A reply that cannot be an answer
to its batch is refused (`swath.driver.replies`; the store looks closer), and its positions wait again. Workers that
keep failing are left out (`swath.driver.crew`, `swath.driver.quarantine`); points that all fail alike stop the sweep (`swath.driver.brake`).

A sweep may begin with some of its positions closed: a search opens them as it proposes points, in `Opened`. While there are too
few of them for every slot, they are kept for whoever is free first. What
points record on their way may end them early, and bring them back (`swath.driver.courses`).

A sweep that goes by metrics ends if no point returns one of them (`swath.wanted`): that is judged by the first point that ends well
and those that ran beside it, wherever they ran, so that it matters neither which slot was faster nor how often children are replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.batching import FLOOR, Pace, next_offer
from swath.driver.brake import Brake
from swath.driver.courses import PRUNED, Courses, pruned_of
from swath.driver.crew import Crew
from swath.driver.flights import Flight, Worker, Writing
from swath.driver.policy import Policy
from swath.driver.replies import fault
from swath.messages import (
    Batch,
    Command,
    Conclude,
    Crowded,
    Durable,
    Ending,
    Event,
    Example,
    Exclude,
    Finished,
    Joined,
    Left,
    Lost,
    Measured,
    Noted,
    Opened,
    Recall,
    Reply,
    Returned,
    Stepped,
    StopAsked,
    Submit,
    Tick,
    Urgency,
    Write,
)
from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swath.stopping import Rule
    from swath.wanted import Wanted

__all__ = ["Driver", "Policy"]

LOSSES = 20
"""Falls and refusals in a row, with nothing saved between them, after which a sweep ends as lost."""


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
    opened : RangeSet or None
        The positions that may be offered, if others are to be opened later; None: all, for good.
    rule : Rule or None
        Decides from recorded steps which points end early.
    pruned : mapping of int to int
        Positions among ``done`` that the rule ended, with the attempt of their row: these it may promote.
    wanted : Wanted or None
        Metrics of which some point must return each, or the sweep ends.
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
        opened: RangeSet | None = None,
        rule: Rule | None = None,
        pruned: Mapping[int, int] | None = None,
        wanted: Wanted | None = None,
        now: float = 0.0,
    ) -> None:
        self.total = total
        self.opened = RangeSet([(0, total)]) if opened is None else opened.copy()
        self._closing = opened is None  # nothing more will be opened
        self.courses = Courses(rule, dict(pruned or {}))
        self.policy = policy or Policy()
        self.wanted = wanted
        self.done = done.copy() if done else RangeSet()
        self.waiting: dict[int, RangeSet] = {  # by the number of the next attempt
            attempt: positions.copy() for attempt, positions in (again or {}).items()
        }
        for positions in self.waiting.values():
            self.done.difference_update(positions)
        first = self.waiting.setdefault(1, RangeSet())
        first.update(self.opened)
        first.difference_update(self.done)
        for attempt, positions in self.waiting.items():
            if attempt != 1:
                first.difference_update(positions)
        self.flights: dict[int, Flight] = {}
        self.writing: dict[int, Writing] = {}  # by batch
        self.crew = Crew()
        self.workers = self.crew.workers
        self.pace = Pace()
        self.brake = Brake(on=self.policy.max_failures is None)
        self.rows = 0
        self.failures = 0
        self.duplicates = 0
        self.concluded: Conclude | None = None
        self._losses = 0
        self._events = 0
        self._lost_at = -1  # the event of the last loss
        self._next_id = 0
        self._crowded = False  # the disk is behind
        self._grace_ends: float | None = None
        self._ending: Conclude | None = None
        self._now = now

    # What happened.

    def handle(self, event: Event) -> list[Command]:
        """Take in one event and return what is to be done, in order.

        Raises
        ------
        AssertionError
            If the event is of no known kind; never for its content.
        """
        if isinstance(event, Measured):  # for people; there may be hundreds a second
            return []
        self._pass_time(event.now)
        commands = self._take(event)
        return commands + self._proceed()

    def _take(self, event: Event) -> list[Command]:
        match event:
            case Left():
                return self._leave(event)
            case Finished():
                return self._finish(event.batch_id, event.reply)
            case Lost():
                return self._lose(event.batch_id, event.reason)
            case Stepped():
                flight = self.flights.get(event.batch_id)
                return [*self.courses.follow(flight, event.steps)] if flight else []
            case _:
                self._note(event)
                return []

    def _note(self, event: Event) -> None:
        """Take in what needs no answer of its own."""
        match event:
            case Joined():
                self.crew.join(event.worker, event.slots, self._events, self._now)
            case Returned():
                self._give_back(event)
            case Durable():
                self._settle(event.batch_ids)
            case StopAsked():
                self._stop(event)
            case Opened():
                self._open(event)
            case Crowded():
                self._crowded = event.full
            case Tick() | Noted():
                pass
            case _:
                raise AssertionError(event)

    def _pass_time(self, now: float) -> None:
        self._events += 1
        self.crew.pass_time(max(0.0, now - self._now))
        self._now = max(self._now, now)

    def _leave(self, event: Left) -> list[Command]:
        worker = self.workers.get(event.worker)
        if worker is None:
            return []
        for batch_id in list(worker.queue):
            self._to_waiting(self._land(batch_id))
        self.crew.leave(event.worker)
        return self._fall(event.worker, worker.joined, event.reason or "it left")

    def _finish(self, batch_id: int, reply: Reply) -> list[Command]:
        flight = self._land(batch_id)
        if flight is None:
            self.duplicates += reply.rows
            return []
        batch = flight.batch
        if wrong := fault(batch, reply):
            self._to_waiting(flight)
            return self._refuse(batch.worker, wrong)
        decided = sum(stop - start for start, stop in reply.done)
        self.pace.observe(decided, reply.seconds)
        commands: list[Command] = list(self.courses.finish(flight, reply))
        accepted = RangeSet(
            (start, min(stop, flight.stop)) for start, stop in reply.done if start < min(stop, flight.stop)
        )
        untouched = RangeSet([(batch.start, flight.stop)])
        untouched.difference_update(accepted)
        self._wait(batch.attempt, untouched)
        whole = len(accepted) == decided
        again, failed = self._sort_failures(batch, reply, accepted)
        if reply.fatal:
            self._end(Ending.FATAL, reply.fatal)
            self._abandon()
        if self.wanted:
            self.wanted.observe(reply, self._now)
        if not accepted:
            return commands
        self.courses.end(reply, accepted)
        rows = max(0, reply.rows - again)
        self.rows += rows
        self.failures += failed
        self._mind_failures(batch, reply, ok=reply.rows - again - failed, failed=failed)
        pruned = pruned_of(batch, reply, accepted)
        self.writing[batch_id] = Writing(batch.worker, batch.attempt, accepted, rows, failed, pruned)
        return [*commands, Write(batch, reply, accepted.copy(), whole and not again)]

    def _sort_failures(self, batch: Batch, reply: Reply, accepted: RangeSet) -> tuple[int, int]:
        """Send failures that deserve another attempt back; count these, and the others."""
        again, failed = RangeSet(), 0
        for status, ranges in reply.failed:
            positions = RangeSet(
                piece for start, stop in ranges for piece in accepted.intersection(start, stop)
            )
            if status in self.policy.retry_on:
                retried = self.courses.with_attempts(positions, batch.attempt - self.policy.retries)
                again.update(retried)
                positions.difference_update(retried)
            failed += len(positions) if status != PRUNED else 0
        accepted.difference_update(again)
        self._wait(batch.attempt + 1, again)
        return len(again), failed

    def _mind_failures(self, batch: Batch, reply: Reply, *, ok: int, failed: int) -> None:
        """Stop when there are as many failures as were allowed, or nothing but the same failure."""
        alike = self.brake.observe(ok, failed, reply.complaint)
        most = self.policy.max_failures
        if alike and self._unfinished():
            reason = f"the first {self.brake.failed:,} points all failed alike"
            self._end(Ending.LIMIT, reason, _example(batch, reply))
        elif most is not None and failed and self.failures >= most and self._unfinished():
            self._end(Ending.LIMIT, f"{self.failures:,} points failed", _example(batch, reply))

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

    def _lose(self, batch_id: int, reason: str) -> list[Command]:
        flight = self._land(batch_id)
        if flight is not None:
            self._to_waiting(flight)
            if flight.offered >= self._lost_at:  # else it may share the cause of the loss before
                self._set_back(reason)
            return self._fall(flight.batch.worker, flight.offered, reason)
        refused = self.writing.pop(batch_id, None)
        if refused is None:
            return []
        self._wait(refused.attempt, refused.positions)
        self.rows -= refused.rows
        self.failures -= refused.failures
        self.brake.failed -= refused.failures
        return self._refuse(refused.worker, reason)

    def _fall(self, name: str, begun: int, why: str) -> list[Command]:
        """Take in that what had begun with an event came to nothing."""
        fell = self.crew.quarantine.fell(name, begun, self._events, self._now, why)
        return self._exclude(name) if fell else []

    def _refuse(self, name: str, why: str) -> list[Command]:
        """Take in that a worker's reply is no answer."""
        self._set_back(why)
        return self._exclude(name) if self.crew.quarantine.refused(name, why) else []

    def _set_back(self, why: str) -> None:
        self._lost_at = self._events
        self._losses += 1
        if self._losses >= LOSSES:
            self._end(Ending.LOST, f"{self._losses} times in a row a batch was lost; the last time: {why}")

    def _exclude(self, name: str) -> list[Command]:
        """Give a worker nothing more, take back what it holds, and wait for nothing of it."""
        self.crew.leave_out(name)
        commands: list[Command] = []
        for batch_id in list(self.workers[name].queue) if name in self.workers else ():
            commands.append(Recall(self.flights[batch_id].batch))
            self._to_waiting(self._land(batch_id))
        quarantine = self.crew.quarantine
        if self.crew.hopeless(self._now):
            self._end(Ending.LOST, f"no worker is of use any more; {name}: {quarantine.reason(name)}")
        return [Exclude(name, quarantine.reason(name), quarantine.until(name) - self._now), *commands]

    def _settle(self, batch_ids: tuple[int, ...]) -> None:
        self._losses = 0
        for batch_id in batch_ids:
            written = self.writing.pop(batch_id, None)
            if written is not None:
                self.done.update(written.positions)
                self.courses.pruned.update(written.pruned)

    def _open(self, event: Opened) -> None:
        fresh = RangeSet(event.ranges)
        fresh.difference_update(self.opened)
        self.opened.update(fresh)
        fresh.difference_update(self.done)
        self._wait(1, fresh)
        self._closing = self._closing or event.last

    def _promote(self) -> list[Command]:
        """Let those go on that deserve it by now."""
        promotions = self.courses.promotions()
        for promotion in promotions:
            here = RangeSet([(promotion.position, promotion.position + 1)])
            self.done.difference_update(here)
            self._wait(promotion.attempt, here)
        return list(promotions)

    def _stop(self, event: StopAsked) -> None:
        self._end(Ending.ASKED, event.reason)
        if event.urgency is Urgency.NOW:
            self._abandon()
        elif event.grace is not None:
            self._grace_ends = min(self._now + event.grace, self._grace_ends or float("inf"))

    def _abandon(self) -> None:
        """Wait for no batch any more; what they hold is to be done another time."""
        for batch_id in list(self.flights):
            self._to_waiting(self._land(batch_id))

    # What follows from it.

    def _proceed(self) -> list[Command]:
        if self.concluded:
            return []
        self._mind_limits()
        commands: list[Command] = self._promote() if self._ending is None else []
        if self._ending is None and not self._crowded:
            commands += self._offers()
        commands += self._recalls()
        if not self.flights and not self.writing and (self._ending or self._exhausted()):
            self.concluded = self._conclusion()
            commands.append(self.concluded)
        return commands

    def _exhausted(self) -> bool:
        return self._closing and not self._waiting_count()

    def _conclusion(self) -> Conclude:
        if self._ending is None:
            return Conclude(Ending.COMPLETE)
        if self._ending.example is None:
            return self._ending
        left = f"{self._waiting_count():,} not started"
        return Conclude(self._ending.ending, f"{self._ending.reason}; {left}", self._ending.example)

    def _mind_limits(self) -> None:
        policy = self.policy
        if self.wanted and self._ending is None:
            self._mind_wanted(self.wanted)
        if self._grace_ends is not None and self._now >= self._grace_ends:
            self._abandon()
        if policy.deadline is not None and self._now >= policy.deadline and self._unfinished():
            self._end(Ending.LIMIT, "the time limit is reached")
        if policy.limit is not None and self.rows >= policy.limit and self._unfinished():
            self._end(Ending.LIMIT, f"{self.rows} points were run, as asked")
        if self._now >= self.crew.next_release:
            self.crew.readmit(self._now)
        if self.crew.has_been_alone(policy.patience):
            self._end(Ending.LOST, f"there was no worker for {policy.patience:g} s")

    def _mind_wanted(self, wanted: Wanted) -> None:
        """End if a metric is missing, and whoever ran when that was found has been heard."""
        if not wanted.missing:
            self.wanted = None
        elif (since := wanted.since) is not None and not any(
            flight.started is not None and flight.started < since for flight in self.flights.values()
        ):
            self._end(Ending.FATAL, wanted.complaint)
            self._abandon()

    def _offers(self) -> list[Command]:
        """Fill idle slots first, then let one offer wait behind each running one."""
        made: dict[str, list[Batch]] = {}
        usable = self.crew.usable
        slots = sum(worker.slots for worker in usable.values())
        for depth in (1, 2):
            for name, worker in usable.items():
                if depth > 1 and self._is_scarce(slots):
                    break
                while len(worker.queue) < depth * worker.slots and (batch := self._offer(name, slots)):
                    made.setdefault(name, []).append(batch)
        return [Submit(tuple(batches)) for batches in made.values()]

    def _is_scarce(self, slots: int) -> bool:
        """Tell whether what opens one by one is better kept for whoever is free first than put behind somebody."""
        if self._closing:
            return False
        behind = sum(max(0, len(worker.queue) - worker.slots) for worker in self.workers.values())
        return self._waiting_count() + behind < slots

    def _offer(self, name: str, slots: int) -> Batch | None:
        """Take the next offer out of what waits, if anything does and the limit allows it."""
        rows = self._rows_left()
        attempts = [attempt for attempt, positions in self.waiting.items() if positions]
        if not attempts or rows == 0:
            return None
        attempt = max(attempts) if self.brake.on or self.courses.rule else min(attempts)
        positions = self.waiting[attempt]
        offer = next_offer(len(positions), slots, self.pace.rate)
        start, stop = positions.first(offer.size)
        positions.discard(start, stop)
        limit = None if rows is None else min(rows, stop - start)
        batch = Batch(self._next_id, name, start, stop, attempt, offer.budget, limit)
        self._next_id += 1
        self.flights[batch.id] = Flight(batch, stop, self._events)
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
        if self._waiting_count() or self._crowded:
            return 0
        return max(0, self.crew.idle_slots - sum(flight.open_recall for flight in self.flights.values()))

    @property
    def wake(self) -> float | None:
        """When to send a `Tick` if nothing happens before, in seconds of the events' clock."""
        times = [self.policy.deadline] if self.policy.deadline is not None and self._ending is None else []
        if self._ending is None:
            times += self.crew.wakes(self._now, self.policy.patience)
        if self._grace_ends is not None and self.flights:
            times.append(self._grace_ends)
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

    def _end(self, ending: Ending, reason: str, example: Example | None = None) -> None:
        self._ending = self._ending or Conclude(ending, reason, example)

    def _waiting_count(self) -> int:
        return sum(map(len, self.waiting.values()))

    def _unfinished(self) -> bool:
        return bool(self.flights) or not self._exhausted()

    def check(self) -> None:
        """Prove that the four places partition the positions; for tests.

        Raises
        ------
        AssertionError
            If an open position is in two places, or in none; or a closed one in any.
        """
        places = [
            *self.waiting.values(),
            *(written.positions for written in self.writing.values()),
            self.done,
        ]
        places += [RangeSet([(flight.batch.start, flight.stop)]) for flight in self.flights.values()]
        union = RangeSet()
        for place in places:
            union.update(place)
        assert sum(map(len, places)) == len(union)  # noqa: S101  # this is the proof
        assert union == self.opened  # noqa: S101
        held = sorted(batch_id for worker in self.workers.values() for batch_id in worker.queue)
        assert held == sorted(self.flights)  # noqa: S101


def _example(batch: Batch, reply: Reply) -> Example:
    """Pick the first failure of a reply that has one."""
    position, status = min((ranges[0][0], status) for status, ranges in reply.failed if ranges)
    return Example(position, status, reply.complaint, batch.worker)
