"""A cluster that exists only as a plan: virtual time, planned durations, and every misfortune on demand.

Nothing is evaluated and nobody waits: `wait` moves the clock to the next event. A year of cluster
failures passes in a second, and the same plan gives the same year again.

Misfortunes end at a planned time, so that a sweep which does not end after it has stalled for no reason.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from swath.messages import (
    STATUSES,
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
    StopAsked,
    Urgency,
)
from swath.objective import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swath.engines import Page
    from swath.task import Task

MINUTE = 60.0

NONSENSE = b"nonsense"
"""Rows of a reply that are none."""

GRACE = 1e-9
"""Seconds; a recall that comes at the very end of a point finds the next one begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen; all chances are per batch, all times in seconds.

    Attributes
    ----------
    seed : int
        Decides every chance.
    workers : int
        They join within the first second, each with one to three slots.
    duration : float
        Median of a point's duration; durations are log-normal with shape ``spread``.
    spread : float
        Shape of the durations; 0 makes them equal.
    failing, excluded : float
        Chance that an attempt fails, or that a position is excluded.
    alike : bool
        Whether all failures say the same.
    deaths : float
        Rate of worker deaths per second; a dead worker is replaced after up to a second.
    preempted : float
        Part of the workers that is taken away at every full minute; each is replaced after up to five seconds.
    blackout : float or None
        When all workers leave at once; new ones come within a minute and a half.
    flapping : int
        Workers that leave and join again, under the same name, every 0.3 s.
    sick : int
        How many of the first workers answer nonsense, half of the time.
    lost, twice, late : float
        Chance that an answer is lost, comes twice, or comes up to ten seconds late.
    suspended : float
        Rate per second at which the driver itself is stopped, for up to an hour.
    stops : tuple of (float, Urgency, float or None)
        When somebody asks to stop, how, and with what grace.
    calm : float
        From when on no misfortune happens any more.
    measured : float
        Chance that somebody looks at a worker when a batch of its ends.
    """

    seed: int
    workers: int = 2
    duration: float = 0.1
    spread: float = 1.0
    failing: float = 0.0
    excluded: float = 0.0
    alike: bool = False
    deaths: float = 0.0
    preempted: float = 0.0
    blackout: float | None = None
    flapping: int = 0
    sick: int = 0
    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    suspended: float = 0.0
    stops: tuple[tuple[float, Urgency, float | None], ...] = ()
    calm: float = float("inf")
    measured: float = 0.1


@dataclass(slots=True)
class _Work:
    """A batch on a simulated worker; ``begun`` is None while it waits for a slot."""

    batch: Batch
    stop: int
    begun: float | None = None


@dataclass(slots=True)
class _Host:
    slots: int
    joins: float
    works: list[_Work] = field(default_factory=list)


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
    """

    dashboard = ""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.log: list[str] = []
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
                host.works.append(_Work(batch, batch.stop))
                self._start(batch.worker, host)

    def recall(self, batch: Batch) -> None:
        """Give back what has not begun."""
        host = self._hosts.get(batch.worker)
        work = next((work for work in host.works if work.batch.id == batch.id), None) if host else None
        if host is None or work is None:
            return
        start = batch.start if work.begun is None else min(self._reached(work) + 1, work.stop)
        self._post_soon(Returned(self._now, batch.id, start, work.stop))
        work.stop = start
        if work.begun is None:
            host.works.remove(work)
        else:
            self._schedule_end(work)

    def prune(self, batch: Batch, position: int) -> None:
        """Do nothing: simulated points record no steps."""
        del batch, position

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
                work.begun = self._now
                self._schedule_end(work, name)

    # Points.

    def _length(self, position: int, attempt: int) -> float:
        chance = Random(f"{self.plan.seed} {position} {attempt} length")
        return self.plan.duration * chance.lognormvariate(0.0, self.plan.spread)

    def excluded(self, position: int) -> bool:
        """Tell whether ``where`` excludes a position."""
        return Random(f"{self.plan.seed} {position} where").random() < self.plan.excluded

    def status(self, position: int, attempt: int) -> str:
        """Tell how an attempt ends."""
        chance = Random(f"{self.plan.seed} {position} {attempt} status")
        return chance.choice(STATUSES[1:5]) if chance.random() < self.plan.failing else "ok"

    def _walk(self, work: _Work) -> list[tuple[int, float]]:
        """Positions that a batch will decide, with the time at which each is decided."""
        assert work.begun is not None  # noqa: S101
        time, rows, steps = work.begun, 0, []
        for position in range(work.batch.start, work.stop):
            if not self.excluded(position):
                time += self._length(position, work.batch.attempt)
                rows += 1
            steps.append((position, time))
            if time - work.begun > work.batch.budget or rows == work.batch.limit:
                break
        return steps

    def _reached(self, work: _Work) -> int:
        """Return the position that is being evaluated now."""
        steps = self._walk(work)
        return next((position for position, time in steps if time > self._now - GRACE), steps[-1][0])

    def _schedule_end(self, work: _Work, name: str | None = None) -> None:
        serial = self._serials[work.batch.id] = next(self._serial)
        ends = max(self._now, self._walk(work)[-1][1])
        self._at(ends, _Ready(name or work.batch.worker, work.batch.id, serial))

    def _answer(self, ready: _Ready) -> None:
        host = self._hosts.get(ready.worker)
        if host is None or self._serials.get(ready.batch_id) != ready.serial:
            return
        work = next(work for work in host.works if work.batch.id == ready.batch_id)
        host.works.remove(work)
        self._start(ready.worker, host)
        reply = self._reply(work)
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
                loads.append(Load(f"{name}/{slot}", 1.0, 80_000_000, self._reached(work), age))
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

    def _reply(self, work: _Work) -> Reply:
        steps = self._walk(work)
        stop = steps[-1][0] + 1
        rows = [position for position, _ in steps if not self.excluded(position)]
        failed: dict[str, list[tuple[int, int]]] = {}
        for position in rows:
            status = self.status(position, work.batch.attempt)
            if status != "ok":
                failed.setdefault(status, []).append((position, position + 1))
        assert work.begun is not None  # noqa: S101
        return Reply(
            done=((work.batch.start, stop),),
            rows=len(rows),
            failed=tuple((status, tuple(ranges)) for status, ranges in failed.items()),
            seconds=steps[-1][1] - work.begun,
            slot=work.batch.worker,
            complaint="alike" if self.plan.alike and failed else "",
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
