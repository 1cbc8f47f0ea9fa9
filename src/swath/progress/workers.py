"""A worker, as far as a snapshot tells of it.

It is at a point when somebody has seen it there (`Measured`), until a batch with that point comes back. It straggles if it
has been there for `FAR` times as long as a point usually takes, and for `LONG` seconds. What is usual is for whoever knows
all workers to say; the fold takes the median of the time per point in their last batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from swath.progress.effort import Effort
from swath.rates import History
from swath.snapshot import GOOD, RECENT, WorkerLoad

if TYPE_CHECKING:
    from swath.messages import Joined, Measured, Ranges
    from swath.progress.tally import Tally

FAR, LONG = 3.0, 5.0  # a straggler has taken so many times as long as others take, and so many seconds


class Worker:
    """What a worker has done, does, and takes up."""

    def __init__(self, event: Joined) -> None:
        self.name, self.host, self.limit = event.worker, event.host, event.memory
        self.effort = Effort(event.now, event.slots, RECENT)
        self.done = self.failed = 0
        self.batch: tuple[int, float] | None = None
        self.history = History(event.now, span=RECENT, gap=1.0)
        self.forget()

    def forget(self) -> None:
        """Know no longer what its slots take up."""
        self.cpu: float | None = None
        self.memory: int | None = None
        self.at: tuple[float, int] | None = None  # since when it is at which position

    def drop(self, now: float) -> None:
        """Take in that nothing is expected of what it was given."""
        self.effort.drop(now)
        self.forget()

    def count(self, now: float, tally: Tally, sign: Literal[1, -1]) -> None:
        """Take in what a write has added, or take it back."""
        rows = sign * tally.rows
        self.done += rows
        self.failed += sign * sum(n for status, n in tally.failed.items() if status not in GOOD)
        self.history.add(now, sign, sign * tally.positions, rows)

    def measured(self, event: Measured) -> None:
        """Take in what its slots take up."""
        cpus = [load.cpu for load in event.loads if load.cpu is not None]
        memories = [load.memory for load in event.loads if load.memory is not None]
        self.cpu = sum(cpus) if cpus else None
        self.memory = sum(memories) if memories else None
        places = (
            (event.now - (load.age or 0.0), load.position)
            for load in event.loads
            if load.position is not None
        )
        self.at = min(places, default=None)
        self.effort.look(event.now)

    def left(self, done: Ranges) -> None:
        """Take in that it is not at any of these positions any more."""
        if self.at is not None and any(start <= self.at[1] < stop for start, stop in done):
            self.at = None

    def usual(self) -> float | None:
        """Seconds that a point took in its last batch."""
        return self.batch[1] / self.batch[0] if self.batch and self.batch[0] and self.effort.slots else None

    def load(self, now: float, point: int | None, usual: float) -> WorkerLoad:
        """Put together what there is to know; ``usual`` is how long a point usually takes."""
        slope = self.history.slope(now, RECENT)
        effort = self.effort
        age = None if self.at is None else max(0.0, now - self.at[0])
        return WorkerLoad(
            name=self.name,
            slots=effort.slots,
            busy=min(effort.slots, effort.held),
            done=self.done,
            failed=self.failed,
            rate=slope and slope[1],
            batch=self.batch,
            cpu=self.cpu,
            memory=self.memory,
            memory_limit=self.limit,
            point=point,
            age=age,
            straggler=age is not None and age > max(LONG, FAR * usual),
            utilisation=effort.lately(now) if effort.slots else None,
            host=self.host,
        )
