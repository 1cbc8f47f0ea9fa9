"""A cluster that exists only as a plan: virtual time, planned durations, and every misfortune on demand.

Nothing is evaluated and nobody waits: `wait` moves the clock to the next event. A year of cluster
failures passes in a second, and the same plan gives the same year again.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
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
    Lost,
    Reply,
    Returned,
    StopAsked,
    Urgency,
)
from swath.objective import Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.task import Task

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
    deaths : float
        Rate of worker deaths per second; a dead worker is replaced after up to a second.
    lost, twice, late : float
        Chance that an answer is lost, comes twice, or comes up to ten seconds late.
    stop_after : float or None
        When somebody asks to stop, if at all.
    """

    seed: int
    workers: int = 2
    duration: float = 0.1
    spread: float = 1.0
    failing: float = 0.0
    excluded: float = 0.0
    deaths: float = 0.0
    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    stop_after: float | None = None


@dataclass(slots=True)
class _Work:
    """A batch on a simulated worker; ``begun`` is None while it waits for a slot."""

    batch: Batch
    stop: int
    begun: float | None = None


@dataclass(slots=True)
class _Host:
    slots: int
    works: list[_Work] = field(default_factory=list)


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
        self._agenda: list[tuple[float, int, Event | _Ready]] = []
        self._hosts: dict[str, _Host] = {}
        self._serials: dict[int, int] = {}

    def open(self, task: Task | None = None) -> Signature:  # noqa: ARG002  # nothing is evaluated
        """Let the workers join."""
        for _ in range(self.plan.workers):
            self._hire()
        if self.plan.stop_after is not None:
            self._at(self.plan.stop_after, StopAsked(self.plan.stop_after, Urgency.DRAIN, "planned"))
        return Signature(required=(), optional=(), anything=True, place="")

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

    def wait(self, timeout: float | None) -> list[Event]:
        """Move the clock to the next event, or by ``timeout``."""
        until = None if timeout is None else self._now + timeout
        while self._agenda and (until is None or self._agenda[0][0] <= until):
            self._now, _, event = heapq.heappop(self._agenda)
            if isinstance(event, _Ready):
                self._answer(event)
                continue
            if isinstance(event, Left):
                self._bury(event.worker)
            self.log.append(f"{self._now:.3f} {event}")
            return [event]
        assert until is not None, "the simulation has nothing left to happen"  # noqa: S101
        self._now = until
        return []

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

    def _hire(self) -> None:
        name, slots = f"w{next(self._names)}", self._random.randint(1, 3)
        joins = self._now + self._random.random()
        self._at(joins, Joined(joins, name, slots))
        self._hosts[name] = _Host(slots)
        if self.plan.deaths:
            dies = joins + self._random.expovariate(self.plan.deaths)
            self._at(dies, Left(dies, name))

    def _bury(self, name: str) -> None:
        if self._hosts.pop(name, None) is not None:
            self._hire()

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
        event: Event = Finished(self._now, work.batch.id, self._reply(work))
        if self._random.random() < self.plan.lost:
            event = Lost(self._now, work.batch.id, "planned")
        self._post_soon(event)
        if self._random.random() < self.plan.twice:
            self._post_soon(event)

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
        )

    # The agenda.

    def _post_soon(self, event: Event) -> None:
        delay = self._random.uniform(0.001, 0.02)
        if self._random.random() < self.plan.late:
            delay += self._random.uniform(0, 10)
        self._at(self._now + delay, event)

    def _at(self, time: float, event: Event | _Ready) -> None:
        heapq.heappush(self._agenda, (time, next(self._serial), event))
