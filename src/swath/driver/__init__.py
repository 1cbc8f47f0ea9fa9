"""The driver: a pure state machine that decides what happens next in a sweep.

Theory of operation
-------------------
The driver knows positions, workers and batches; it knows no clock, no file and no Dask. It is told what
happened (`handle`), with the time, and answers with commands; `wake` says when it wants to hear of the
time even if nothing happens.

Every position that is open is in exactly one of four places (`swath.driver.places`): it waits, is in flight
with a worker, awaits durability, or is done. This is how it moves:

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

After every event the driver asks whether the sweep is to end (`swath.driver.stop`), which points go on after all, what
is offered to whom, and what is recalled so that no slot idles (`swath.driver.offers`).

Rows may come late, twice, or for positions that were given back: only positions that are in flight in
that very batch are accepted; the rest is dropped and counted as ``duplicates``. A reply that cannot be an answer
to its batch is refused (`swath.driver.replies`; the store looks closer), and its positions wait again. Workers that
keep failing are left out (`swath.driver.crew`, `swath.driver.quarantine`); points that all fail alike stop the sweep (`swath.driver.brake`).

A sweep may begin with some of its positions closed: a search opens them as it proposes points, in `Opened`. What
points record on their way may end them early, and bring them back (`swath.driver.courses`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.driver.courses import PRUNED, Courses, pruned_of
from swath.driver.crew import Crew
from swath.driver.flights import Writing
from swath.driver.offers import Offers
from swath.driver.places import Places
from swath.driver.policy import Policy
from swath.driver.replies import fault
from swath.driver.stop import Stop
from swath.messages import (
    Batch,
    Command,
    Conclude,
    Crowded,
    Durable,
    Ending,
    Event,
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
    Tick,
    Urgency,
    Write,
)
from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swath.driver.flights import Flight
    from swath.stopping import Rule
    from swath.wanted import Wanted

__all__ = ["Driver", "Policy"]


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
        self.policy = policy or Policy()
        self.places = Places(total, done=done, again=again, opened=opened)
        self.courses = Courses(rule, dict(pruned or {}))
        self.crew = Crew()
        self.workers = self.crew.workers
        self.offers = Offers(self.places, self.crew)
        self.stop = Stop(self.policy, self.places, self.crew, wanted)
        self.rows = 0
        self.failures = 0
        self.duplicates = 0
        self.concluded: Conclude | None = None
        self._events = 0
        self._crowded = False  # the disk is behind
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
                flight = self.places.flights.get(event.batch_id)
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
                self._wind_down(event)
            case Opened():
                self.places.open(event.ranges, last=event.last)
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
        for flight in list(worker.queue):
            self._take_back(flight.batch.id)
        self.crew.leave(event.worker)
        return self._fall(event.worker, worker.joined, event.reason or "it left")

    def _finish(self, batch_id: int, reply: Reply) -> list[Command]:
        flight = self._land(batch_id)
        if flight is None:
            self.duplicates += reply.rows
            return []
        if wrong := fault(flight.batch, reply):
            self.places.wait(flight.batch.attempt, flight.positions)
            return self._refuse(flight.batch.worker, wrong)
        return [*self.courses.finish(flight, reply), *self._accept(flight, reply)]

    def _accept(self, flight: Flight, reply: Reply) -> list[Write]:
        """Sort what a batch has decided from what is to wait again, and count it."""
        batch = flight.batch
        decided = sum(stop - start for start, stop in reply.done)
        self.offers.pace.observe(decided, reply.seconds)
        accepted = RangeSet(
            (start, min(stop, flight.stop)) for start, stop in reply.done if start < min(stop, flight.stop)
        )
        untouched = flight.positions
        untouched.difference_update(accepted)
        self.places.wait(batch.attempt, untouched)
        whole = len(accepted) == decided
        again, failed = self._sort_failures(batch, reply, accepted)
        if reply.fatal:
            self.stop.because(Ending.FATAL, reply.fatal)
            self._abandon()
        self.stop.mind_metrics(reply, self._now)
        if not accepted:
            return []
        self.courses.end(reply, accepted)
        rows = max(0, reply.rows - again)
        self.rows += rows
        self.failures += failed
        ok = reply.rows - again - failed
        self.stop.mind_failures(batch, reply, ok=ok, failed=failed, failures=self.failures)
        pruned = pruned_of(batch, reply, accepted)
        self.places.write(batch.id, Writing(batch.worker, batch.attempt, accepted, rows, failed, pruned))
        return [Write(batch, reply, accepted.copy(), whole and not again)]

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
        self.places.wait(batch.attempt + 1, again)
        return len(again), failed

    def _give_back(self, event: Returned) -> None:
        flight = self.places.flights.get(event.batch_id)
        if flight is None:
            return
        flight.answered = True
        if not flight.batch.start <= event.start < event.stop == flight.stop:
            return
        self.places.shorten(flight, event.start)
        if flight.stop == flight.batch.start:
            self._land(event.batch_id)

    def _lose(self, batch_id: int, reason: str) -> list[Command]:
        flight = self._land(batch_id)
        if flight is not None:
            self.places.wait(flight.batch.attempt, flight.positions)
            self.stop.set_back(flight.offered, self._events, reason)
            return self._fall(flight.batch.worker, flight.offered, reason)
        refused = self.places.refuse(batch_id)
        if refused is None:
            return []
        self.rows -= refused.rows
        self.failures -= refused.failures
        self.stop.brake.failed -= refused.failures
        return self._refuse(refused.worker, reason)

    def _fall(self, name: str, begun: int, why: str) -> list[Command]:
        """Take in that what had begun with an event came to nothing."""
        fell = self.crew.quarantine.fell(name, begun, self._events, self._now, why)
        return self._exclude(name) if fell else []

    def _refuse(self, name: str, why: str) -> list[Command]:
        """Take in that a worker's reply is no answer."""
        self.stop.set_back(self._events, self._events, why)
        return self._exclude(name) if self.crew.quarantine.refused(name, why) else []

    def _exclude(self, name: str) -> list[Command]:
        """Give a worker nothing more, take back what it holds, and wait for nothing of it."""
        self.crew.leave_out(name)
        commands: list[Command] = []
        for flight in list(self.workers[name].queue) if name in self.workers else ():
            commands.append(Recall(flight.batch))
            self._take_back(flight.batch.id)
        quarantine = self.crew.quarantine
        if self.crew.hopeless(self._now):
            self.stop.because(Ending.LOST, f"no worker is of use any more; {name}: {quarantine.reason(name)}")
        return [Exclude(name, quarantine.reason(name), quarantine.until(name) - self._now), *commands]

    def _settle(self, batch_ids: tuple[int, ...]) -> None:
        self.stop.saved()
        for batch_id in batch_ids:
            written = self.places.settle(batch_id)
            if written is not None:
                self.courses.pruned.update(written.pruned)

    def _promote(self) -> list[Command]:
        """Let those go on that deserve it by now."""
        promotions = self.courses.promotions()
        for promotion in promotions:
            self.places.promote(promotion.position, promotion.attempt)
        return list(promotions)

    def _wind_down(self, event: StopAsked) -> None:
        self.stop.ask(event, self._now)
        if event.urgency is Urgency.NOW:
            self._abandon()

    def _abandon(self) -> None:
        """Wait for no batch any more; what they hold is to be done another time."""
        for batch_id in list(self.places.flights):
            self._take_back(batch_id)

    # What follows from it.

    def _proceed(self) -> list[Command]:
        if self.concluded:
            return []
        if self.stop.lacks_metrics() or self.stop.grace_is_over(self._now):
            self._abandon()
        if self._now >= self.crew.next_release:
            self.crew.readmit(self._now)
        self.stop.mind_limits(self._now, self.rows)
        commands: list[Command] = [*self.offers.recall_all()] if self.stop.ending else self._go_on()
        places = self.places
        if not places.flights and not places.writing and (self.stop.ending or places.exhausted):
            self.concluded = self.stop.conclusion()
            commands.append(self.concluded)
        return commands

    def _go_on(self) -> list[Command]:
        """Let slots have work, unless the disk is behind."""
        promotions = self._promote()
        if self._crowded:
            return [*promotions]
        rows = None if self.policy.limit is None else self.policy.limit - self.rows
        again_first = self.stop.brake.on or self.courses.rule is not None
        offers = self.offers.make(self._now, self._events, rows=rows, again_first=again_first)
        return [*promotions, *offers, *self.offers.recall_for_idle(self._now)]

    @property
    def wake(self) -> float | None:
        """When to send a `Tick` if nothing happens before, in seconds of the events' clock."""
        times = self.stop.wakes()
        if self.stop.ending is None:
            times += self.crew.wakes(self._now, self.policy.patience)
            if not self._crowded:
                times += self.offers.wakes()
        return min(times, default=None)

    def _land(self, batch_id: int) -> Flight | None:
        flight = self.places.land(batch_id)
        if flight is not None:
            self.workers[flight.batch.worker].drop(flight, self._now)
        return flight

    def _take_back(self, batch_id: int) -> None:
        """Let what a worker holds wait again."""
        flight = self._land(batch_id)
        if flight is not None:
            self.places.wait(flight.batch.attempt, flight.positions)

    def check(self) -> None:
        """Prove that the places partition the positions, and that workers hold what is in flight; for tests.

        Raises
        ------
        AssertionError
            If they do not.
        """
        self.places.check()
        held = sorted(flight.batch.id for worker in self.workers.values() for flight in worker.queue)
        assert held == sorted(self.places.flights)  # noqa: S101
