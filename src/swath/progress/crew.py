"""The crew, as far as a snapshot tells of it: workers, what each of them has been given, and the time of their slots.

A worker that has left is still told about if it has done something, as long as there are not too many of these. Of the
others what counts stays: the time that their slots spent, and that for which there were slots.
"""

from __future__ import annotations

from math import inf
from statistics import median
from typing import TYPE_CHECKING

from swath.progress.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.messages import Batch, Joined, Measured
    from swath.snapshot import WorkerLoad

GONE = (
    500  # workers that left and are still told about; a cluster whose nodes are taken away may lose thousands
)


class Crew:
    """Workers by name, and the batches that are out; all times in seconds of the events' clock.

    Attributes
    ----------
    workers : dict of str to Worker
        Those that are there, and those that left and are still told about.
    """

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self._held: dict[int, tuple[str, int]] = {}  # batch id -> worker, first position
        self._gone = (0.0, 0.0)  # seconds spent, and of slots, of workers that are forgotten

    @property
    def slots(self) -> int:
        """Slots of all workers."""
        return sum(worker.effort.slots for worker in self.workers.values())

    @property
    def held(self) -> int:
        """Batches that are out."""
        return len(self._held)

    def join(self, now: float, event: Joined) -> None:
        """Take in a worker; one that is there already may have other room."""
        worker = self.workers.setdefault(event.worker, Worker(event))
        worker.host, worker.limit = event.host, event.memory
        worker.effort.resize(now, event.slots)

    def leave(self, now: float, name: str) -> None:
        """Take in that a worker is gone."""
        self.drop(now, name)
        worker = self.workers.get(name)
        if worker is None:
            return
        worker.effort.resize(now, 0)
        gone = [each for each in self.workers.values() if not each.effort.slots]
        if not worker.done:
            self._forget(now, worker)  # nothing to tell about it
        elif len(gone) > GONE:
            self._forget(now, gone[0])

    def _forget(self, now: float, worker: Worker) -> None:
        """Keep of a worker that is gone only the time of its slots."""
        spent, room = worker.effort.totals(now)
        self._gone = self._gone[0] + spent, self._gone[1] + room
        del self.workers[worker.name]

    def drop(self, now: float, name: str) -> None:
        """Expect nothing any more of what a worker was given."""
        self._held = {batch_id: held for batch_id, held in self._held.items() if held[0] != name}
        if name in self.workers:
            self.workers[name].drop(now)

    def drop_all(self, now: float) -> None:
        """Wait for no batch any more."""
        self._held.clear()
        for worker in self.workers.values():
            worker.drop(now)

    def give(self, now: float, batches: Sequence[Batch]) -> None:
        """Take in that batches were sent."""
        for batch in batches:
            self._held[batch.id] = batch.worker, batch.start
            if batch.worker in self.workers:
                self.workers[batch.worker].effort.add(now, batch.id)

    def begins(self, batch_id: int) -> int:
        """Return the first position of a batch that is out; -1 if it is not."""
        return self._held.get(batch_id, ("", -1))[1]

    def land(self, now: float, batch_id: int, seconds: float | None = None) -> Worker | None:
        """Take in that a batch is not out any more, after so many ``seconds``; return the worker that had it."""
        name, _ = self._held.pop(batch_id, ("", -1))
        worker = self.workers.get(name)
        if worker is not None:
            worker.effort.end(now, batch_id, seconds)
        return worker

    def measure(self, event: Measured) -> None:
        """Take in what the slots of a worker take up."""
        worker = self.workers.get(event.worker)
        if worker is not None and worker.effort.slots:
            worker.measured(event)

    def totals(self, now: float) -> tuple[float, float]:
        """Seconds that slots have spent on points, and seconds for which there were slots."""
        spent, room = self._gone
        for worker in self.workers.values():
            its_spent, its_room = worker.effort.totals(now)
            spent, room = spent + its_spent, room + its_room
        return spent, room

    @property
    def positions(self) -> list[int]:
        """Where workers were seen."""
        return [worker.at[1] for worker in self.workers.values() if worker.at]

    def loads(self, now: float, points: Mapping[int, int]) -> tuple[WorkerLoad, ...]:
        """Put together what there is to know of each worker; ``points`` are the points of `positions`."""
        workers = self.workers.values()
        usual = [seconds for worker in workers if (seconds := worker.usual()) is not None]
        middle = median(usual) if usual else inf
        return tuple(
            worker.load(now, points.get(worker.at[1]) if worker.at else None, middle) for worker in workers
        )
