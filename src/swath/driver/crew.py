"""The crew: who is there to work, who is left out, and for how long there has been nobody.

What nobody saw does not count as waiting: a process that was stopped for an hour has not waited for a worker for an
hour. So the driver looks at least every `STRIDE` seconds while there is none, and no gap counts for more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from swath.driver.quarantine import Quarantine

if TYPE_CHECKING:
    from swath.driver.flights import Flight

STRIDE = 10.0
"""Seconds between two looks while there is no worker; a longer gap means that we were suspended."""

ROUNDING = 1e-6
"""Seconds; a wait that is shorter may not move a clock that counts from long ago."""


@dataclass(slots=True)
class Worker:
    """A worker's room, with which event it joined, and what it holds in the order in which it takes it."""

    slots: int
    joined: int
    queue: list[Flight] = field(default_factory=list)
    held: bool = False  # in quarantine

    def take(self, flight: Flight, now: float) -> None:
        """Put a flight behind the others."""
        self.queue.append(flight)
        self._begin(now)

    def drop(self, flight: Flight, now: float) -> None:
        """Forget a flight that has landed."""
        self.queue.remove(flight)
        self._begin(now)

    def _begin(self, now: float) -> None:
        """Slots take their batches in order, so the first ones in the queue are running."""
        for flight in self.queue[: self.slots]:
            if flight.started is None:
                flight.started = now


class Crew:
    """Workers by name.

    Attributes
    ----------
    workers : dict of str to Worker
        Those that are there, the ones left out included.
    quarantine : Quarantine
        Remembers who is left out.
    alone : float or None
        Seconds seen without anybody to work; None while somebody is.
    next_release : float
        When the next one that is left out may work again.
    """

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self.quarantine = Quarantine()
        self.alone: float | None = 0.0
        self.next_release = inf
        self._known: set[str] = set()  # whoever joined, ever

    @property
    def usable(self) -> dict[str, Worker]:
        """Those that may be given something."""
        return {name: worker for name, worker in self.workers.items() if not worker.held}

    @property
    def idle_slots(self) -> int:
        """Slots that hold nothing, of those that may be given something."""
        return sum(max(0, worker.slots - len(worker.queue)) for worker in self.usable.values())

    def pass_time(self, seconds: float) -> None:
        """Take in that so much time has passed."""
        if self.alone is not None:
            self.alone += min(seconds, STRIDE)

    def join(self, name: str, slots: int, event: int, now: float) -> None:
        """Take in a worker; one that is there already may have other room."""
        worker = self.workers.setdefault(name, Worker(slots, event))
        worker.slots = slots
        worker.held = self.quarantine.holds(name, now)
        self._known.add(name)
        self._look_around()

    def leave(self, name: str) -> None:
        """Forget a worker that is gone."""
        del self.workers[name]
        self._look_around()

    def leave_out(self, name: str) -> None:
        """Give a worker nothing more, if it is there."""
        if name in self.workers:
            self.workers[name].held = True
        self._look_around()

    def readmit(self, now: float) -> None:
        """Let workers back in whose time in quarantine is over."""
        for name, worker in self.workers.items():
            worker.held = worker.held and self.quarantine.holds(name, now)
        self._look_around()

    def hopeless(self, now: float) -> bool:
        """Tell whether everybody that ever joined is left out."""
        return all(self.quarantine.holds(name, now) for name in self._known)

    def has_been_alone(self, patience: float) -> bool:
        """Tell whether nobody of use has been there for so many seconds, of which sums of floats may lack a little."""
        return self.alone is not None and self.alone > patience - ROUNDING

    def wakes(self, now: float, patience: float) -> list[float]:
        """Say when to look at it again."""
        times = [] if self.alone is None else [now + min(STRIDE, patience - self.alone)]
        return times if self.next_release == inf else [*times, self.next_release]

    def _look_around(self) -> None:
        held = (self.quarantine.until(name) for name, worker in self.workers.items() if worker.held)
        self.next_release = min(held, default=inf)
        if self.usable:
            self.alone = None
        elif self.alone is None:
            self.alone = 0.0
