"""A cluster that exists only as a plan: virtual time, planned durations, and every misfortune on demand.

Nothing is evaluated and nobody waits: `wait` moves the clock to the next event. A year of cluster
failures passes in a second, and the same plan gives the same year again.

Misfortunes end at a planned time, so that a sweep which does not end after it has stalled for no reason.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from swath.engines.plans import Plan
from swath.engines.work import Work
from swath.messages import (
    Batch,
    Event,
    Finished,
    Joined,
    Left,
    Load,
    Lost,
    Measured,
    Reply,
    Returned,
    Stepped,
    StopAsked,
)
from swath.objective import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swath.engines import Page
    from swath.task import Task

__all__ = ["NONSENSE", "Plan", "Simulated"]

MINUTE = 60.0

NONSENSE = b"nonsense"
"""Rows of a reply that are none."""


@dataclass(slots=True)
class _Host:
    slots: int
    joins: float
    works: list[Work] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Turn:
    """Internal: something happens to the cluster."""

    what: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Ready:
    """Internal: a slot has come to the end of a batch."""

    worker: str
    batch_id: int
    serial: int


class Simulated:
    """An engine made of a plan.

    Parameters
    ----------
    plan : Plan
        Durations and misfortunes.

    Attributes
    ----------
    log : list of str
        Everything that happened, a line each, to be read beside a failing seed.
    done : Counter of (int, int)
        How often each step of each position was done.
    """

    dashboard = ""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.log: list[str] = []
        self.done: Counter[tuple[int, int]] = Counter()
        self._random = Random(plan.seed)
        self._now = 0.0
        self._serial = count()
        self._names = count()
        self._agenda: list[tuple[float, int, Event | _Ready | _Turn]] = []
        self._hosts: dict[str, _Host] = {}
        self._serials: dict[int, int] = {}
        self._sick: set[str] = set()
        self._replaced_within = 1.0
        self._looks = Random(f"{plan.seed} looks")  # of its own: whoever looks changes nothing
        self._ways = Random(f"{plan.seed} steps")
        self._heard: dict[int, float] = {}  # when the last step of a batch is heard of
        self._kept: dict[int, int] = {}  # the last step of which there is a checkpoint, by position

    def open(self, task: Task | None = None) -> Signature:  # noqa: ARG002  # nothing is evaluated
        """Let the workers join."""
        plan = self.plan
        for _ in range(plan.workers):
            self._hire()
        self._sick = {f"w{number}" for number in range(plan.sick)}
        for number in range(plan.flapping):
            self._turn(self._random.random(), partial(self._flap, f"flapping-{number}"))
        if plan.preempted:
            self._turn(MINUTE, self._preempt)
        if plan.blackout is not None:
            self._turn(plan.blackout, self._black_out)
        if plan.suspended:
            self._turn(self._random.expovariate(plan.suspended), self._suspend)
        for time, urgency, grace in plan.stops:
            self._at(time, StopAsked(time, urgency, "planned", grace))
        return Signature(required=(), optional=(), anything=True, place="")

    def publish(self, page: Page) -> None:
        """Do nothing: there is no server here."""
        del page

    def submit(self, batches: Sequence[Batch]) -> None:
        """Queue batches on their worker; a dead worker's batches vanish."""
        for batch in batches:
            self.log.append(f"{self._now:.3f} {batch}")
            host = self._hosts.get(batch.worker)
            if host is not None:
                host.works.append(Work(self.plan, batch, batch.stop))
                self._start(batch.worker, host)

    def recall(self, batch: Batch) -> None:
        """Give back what has not begun."""
        host = self._hosts.get(batch.worker)
        work = next((work for work in host.works if work.batch.id == batch.id), None) if host else None
        if host is None or work is None:
            return
        start = batch.start if work.begun is None else min(work.reached(self._now) + 1, work.stop)
        self._post_soon(Returned(self._now, batch.id, start, work.stop))
        work.stop = start
        if work.begun is None:
            host.works.remove(work)
        else:
            self._schedule_end(work)

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step."""
        host = self._hosts.get(batch.worker)
        work = next((work for work in host.works if work.batch.id == batch.id), None) if host else None
        if work is None or work.begun is None or work.reached(self._now) != position:
            return
        coming = (step for time, place, step, _ in work.steps() if place == position and time > self._now)
        if position not in work.ended and (last := next(coming, 0)):
            work.ended[position] = last
            self.log.append(f"{self._now:.3f} position {position} ends at step {last}")
            self._schedule_end(work)

    def wait(self, timeout: float | None) -> list[Event]:
        """Move the clock to the next event, or by ``timeout``."""
        until = None if timeout is None else self._now + timeout
        while self._agenda and (until is None or self._agenda[0][0] <= until):
            time, _, event = heapq.heappop(self._agenda)
            self._now = max(self._now, time)
            if isinstance(event, _Ready):
                self._answer(event)
            elif isinstance(event, _Turn):
                event.what()
            else:
                return [self._told(event)]
        assert until is not None, "the simulation has nothing left to happen"  # noqa: S101
        self._now = max(self._now, until)
        return []

    def _told(self, event: Event) -> Event:
        """Let an event happen, now, and return it."""
        event = replace(event, now=self._now)
        if isinstance(event, Left):
            self._bury(event.worker)
        self.log.append(f"{self._now:.3f} {event}")
        return event

    def post(self, event: Event) -> None:
        """Deliver an event after a short, planned delay."""
        self._post_soon(event)

    def now(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def close(self) -> None:
        """Forget everything."""
        self._agenda.clear()
        self._hosts.clear()

    # Workers.

    def _hire(self, within: float = 1.0) -> None:
        joins = self._now + within * self._random.random()
        name = f"w{next(self._names)}"
        self._join(name, joins)
        if self.plan.deaths:
            dies = joins + self._random.expovariate(self.plan.deaths)
            if dies < self.plan.calm:
                self._at(dies, Left(dies, name))

    def _join(self, name: str, time: float) -> None:
        slots = self._random.randint(1, 3)
        self._at(time, Joined(time, name, slots))
        self._hosts[name] = _Host(slots, time)

    def _bury(self, name: str) -> None:
        host = self._hosts.pop(name, None)
        if host is None:
            return
        for work in host.works:
            self._serials.pop(work.batch.id, None)
        if not name.startswith("flapping"):
            self._hire(self._replaced_within)

    def _flap(self, name: str) -> None:
        if self._now < min(self.plan.calm, MINUTE):
            self._join(name, self._now)
            self._at(self._now + 0.3, Left(self._now + 0.3, name))
            self._turn(self._now + 0.3, partial(self._flap, name))

    def _preempt(self) -> None:
        if self._now < self.plan.calm:
            names = self._there()
            self._replaced_within = 5.0
            for name in self._random.sample(names, round(self.plan.preempted * len(names))):
                self._at(self._now, Left(self._now, name))
            self._turn(self._now + MINUTE, self._preempt)

    def _black_out(self) -> None:
        self._replaced_within = 90.0
        for name in self._there():
            self._at(self._now, Left(self._now, name))

    def _there(self) -> list[str]:
        return [name for name, host in self._hosts.items() if host.joins <= self._now]

    def _suspend(self) -> None:
        """Stop the driver's process: whatever happens meanwhile is told when it wakes up."""
        if self._now < self.plan.calm:
            self._now += 10 ** self._random.uniform(0, 3.6)
            self.log.append(f"{self._now:.3f} (woke up)")
            self._turn(self._now + self._random.expovariate(self.plan.suspended), self._suspend)

    def _start(self, name: str, host: _Host) -> None:
        for work in host.works[: host.slots]:
            if work.begun is None:
                work.begin(self._now, self._kept)
                self._schedule_end(work, name)

    # Batches.

    def _schedule_end(self, work: Work, name: str | None = None) -> None:
        serial = self._serials[work.batch.id] = next(self._serial)
        ends = max(self._now, work.walk()[-1][1])
        self._at(ends, _Ready(name or work.batch.worker, work.batch.id, serial))
        self._schedule_step(work.batch.id, serial, work.steps())

    def _schedule_step(
        self, batch_id: int, serial: int, coming: Iterator[tuple[float, int, int, float]]
    ) -> None:
        for time, *step in coming:
            if time > self._now:
                self._turn(time, partial(self._tell, batch_id, serial, step, coming))
                return

    def _tell(
        self, batch_id: int, serial: int, step: list[Any], coming: Iterator[tuple[float, int, int, float]]
    ) -> None:
        """Let a step be heard of, after those before it, unless the batch has gone another way or the message is lost."""
        plan, chance = self.plan, self._ways
        if self._serials.get(batch_id) != serial:
            return
        self.done[step[0], step[1]] += 1
        lost, twice, late = (
            self._now < plan.calm and chance.random() < each
            for each in (plan.steps_lost, plan.steps_twice, plan.steps_late)
        )
        when = self._now + chance.uniform(0.001, 0.02) + (chance.uniform(0, 10) if late else 0.0)
        when = self._heard[batch_id] = max(when, self._heard.get(batch_id, 0.0))
        for _ in range(0 if lost else 1 + twice):
            self._at(when, Stepped(when, batch_id, (plan.step(*step),)))
        self._schedule_step(batch_id, serial, coming)

    def _answer(self, ready: _Ready) -> None:
        host = self._hosts.get(ready.worker)
        if host is None or self._serials.get(ready.batch_id) != ready.serial:
            return
        work = next(work for work in host.works if work.batch.id == ready.batch_id)
        host.works.remove(work)
        self._start(ready.worker, host)
        reply = work.reply()
        self._kept |= {position: work.last(position) for position, _ in reply.kept}
        if ready.worker in self._sick and self._chance(0.5):
            reply = self._garbled(work.batch, reply)
        event: Event = Finished(self._now, work.batch.id, reply)
        if self._chance(self.plan.lost):
            event = Lost(self._now, work.batch.id, "planned")
        self._post_soon(event)
        if self._chance(self.plan.twice):
            self._post_soon(event)
        if self._looks.random() < self.plan.measured:
            self._at(self._now, self._measure(ready.worker, host))

    def _measure(self, name: str, host: _Host) -> Measured:
        loads = []
        for slot in range(host.slots):
            work = host.works[slot] if slot < len(host.works) else None
            if work is None or work.begun is None:
                loads.append(Load(f"{name}/{slot}", 0.0, 50_000_000))
            else:
                age = self._now - work.begun
                loads.append(Load(f"{name}/{slot}", 1.0, 80_000_000, work.reached(self._now), age))
        return Measured(self._now, name, tuple(loads))

    def _chance(self, chance: float) -> bool:
        return self._now < self.plan.calm and self._random.random() < chance

    def _garbled(self, batch: Batch, reply: Reply) -> Reply:
        """Return nonsense; what is wrong with the last kind only a store can see."""
        return self._random.choice(
            [
                replace(reply, done=((batch.start, batch.stop + 1),)),
                replace(reply, done=(*reply.done, *reply.done)),
                replace(reply, rows=reply.rows + batch.stop - batch.start + 1),
                replace(reply, failed=(("fine", reply.done),)),
                replace(reply, payload=(NONSENSE,)),
            ]
        )

    # The agenda.

    def _post_soon(self, event: Event) -> None:
        delay = self._random.uniform(0.001, 0.02)
        if self._chance(self.plan.late):
            delay += self._random.uniform(0, 10)
        self._at(self._now + delay, event)

    def _turn(self, time: float, what: Callable[[], None]) -> None:
        self._at(time, _Turn(what))

    def _at(self, time: float, event: Event | _Ready | _Turn) -> None:
        heapq.heappush(self._agenda, (time, next(self._serial), event))
