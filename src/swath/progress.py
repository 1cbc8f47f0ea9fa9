"""How a sweep goes: a pure fold of what passes between driver and engine.

`Progress` is fed every event and every command, in the order in which they happened, and has no clock:
time is the ``now`` of the events. `Progress.snapshot` changes nothing; it gives a frozen `Snapshot`, the
only thing that views get to see.

What is counted when. A position counts as *done* when the driver accepted it (a `Write`), and as *saved*
when the store reported it (`Durable`). Rates and workers go by the first; what people are told has been
achieved, rows by status included, goes by the second. A `Write` that is followed by `Lost` (the store refused
the payload) is taken back.

The remaining time is a range: the extremes of what the last quarter of a minute, the last minute and the whole
session would predict, and at the beginning what all slots together could do, widened by the relative error
1/sqrt(n) of a count of n batches.
"""

from __future__ import annotations

from math import inf, isnan, sqrt
from typing import TYPE_CHECKING, Any, Literal

from swath.messages import (
    Command,
    Conclude,
    Durable,
    Ending,
    Event,
    Exclude,
    Finished,
    Joined,
    Left,
    Lost,
    Noted,
    Returned,
    StopAsked,
    Submit,
    Urgency,
    Write,
)
from swath.rates import History
from swath.snapshot import GOOD, RECENT, Direction, Snapshot, State, WorkerLoad
from swath.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MINUTE = 60.0  # seconds
WARM = 16  # batches; before, work that no batch has brought back yet weighs, so what the slots could do counts too
NOTICES = 100  # texts; a cluster of thousands may have thousands of sick workers


class _Worker:
    """Counts of one worker."""

    def __init__(self, name: str, slots: int, now: float) -> None:
        self.name, self.slots = name, slots
        self.done = self.failed = 0
        self.batch: tuple[int, float] | None = None
        self.history = History(now, span=RECENT, gap=1.0)

    def load(self, now: float, held: int) -> WorkerLoad:
        slope = self.history.slope(now, RECENT)
        return WorkerLoad(
            name=self.name,
            slots=self.slots,
            busy=min(self.slots, held),
            done=self.done,
            failed=self.failed,
            rate=slope and slope[1],
            batch=self.batch,
        )


class Progress:
    """The fold: feed it what happens, ask it for a snapshot.

    Parameters
    ----------
    name : str
        The sweep's name.
    total : int
        Positions of the space.
    now : float
        Monotonic time at which this session began, in seconds.
    done, excluded : int
        Positions that earlier sessions decided and that will not be tried again, and how many of these
        ``where`` excluded.
    statuses : mapping of str to int, optional
        Rows of earlier sessions by status, without those that are to be tried again.
    metric, direction : str
        What the definition optimises, and whether less or more is better.
    best : tuple of (float, int), optional
        Best value of earlier sessions, and its point.
    """

    dashboard: str = ""
    """Address of a page that shows more; to be set when it is known."""

    def __init__(
        self,
        name: str,
        total: int,
        *,
        now: float,
        done: int = 0,
        excluded: int = 0,
        statuses: Mapping[str, int] | None = None,
        metric: str = "",
        direction: Direction = "",
        best: tuple[float, int] | None = None,
    ) -> None:
        self._name, self._total, self._begun, self._now = name, total, now, now
        self._done = self._saved = done
        self._excluded = excluded
        self._statuses = dict(statuses or {})
        self._rows_before = sum(self._statuses.values())
        self._metric, self._direction, self._best = metric, direction, best
        self._state: State = "starting"
        self._reason = ""
        self._ended: float | None = None
        self._workers: dict[str, _Worker] = {}
        self._held: dict[int, tuple[str, int]] = {}  # batch id -> worker, first position
        self._writing: dict[int, tuple[str, Tally]] = {}  # batch id -> worker, what it added
        self._history = History(now)
        self._notices: dict[str, None] = {}  # in order, without repetitions
        self._seconds = 0.0  # that slots spent on what is done
        self._takes: dict[type, Callable[[Any], None]] = {
            Joined: self._joined,
            Left: self._left,
            Noted: self._noted,
            Submit: self._submitted,
            Finished: self._finished,
            Returned: self._returned,
            Lost: self._lost,
            Write: self._wrote,
            Durable: self._settled,
            StopAsked: self._stopping,
            Exclude: self._excluded_worker,
            Conclude: self._concluded,
        }

    def feed(self, message: Event | Command) -> None:
        """Take one event or command into account; commands happen at the time of the event before them."""
        self._now = max(self._now, getattr(message, "now", self._now))
        take = self._takes.get(type(message))
        if take:
            take(message)

    def _submitted(self, command: Submit) -> None:
        self._held.update((batch.id, (batch.worker, batch.start)) for batch in command.batches)

    def _finished(self, event: Finished) -> None:
        self._held.pop(event.batch_id, None)

    def _returned(self, event: Returned) -> None:
        if self._held.get(event.batch_id, ("", -1))[1] == event.start:
            del self._held[event.batch_id]  # none of it had begun

    def _settled(self, event: Durable) -> None:
        for batch_id in event.batch_ids:
            if batch_id in self._writing:
                self._save(self._writing.pop(batch_id)[1])

    def _concluded(self, command: Conclude) -> None:
        complete = command.ending is Ending.COMPLETE
        self._state, self._reason = ("complete" if complete else "stopped"), command.reason
        self._held.clear()
        self._ended = self._now

    def _joined(self, event: Joined) -> None:
        if self._state == "starting":
            self._state = "running"
            self._history = History(event.now)  # before, nothing could be done
        worker = self._workers.setdefault(event.worker, _Worker(event.worker, event.slots, event.now))
        worker.slots = event.slots

    def _left(self, event: Left) -> None:
        name = event.worker
        self._let_go(name)
        worker = self._workers.get(name)
        if worker is None:
            return
        worker.slots = 0
        if not worker.done:
            del self._workers[name]  # nothing to tell about it

    def _excluded_worker(self, command: Exclude) -> None:
        spell = f" for {command.seconds:.0f} s" if command.seconds < inf else " any more"
        self._notice(f"{command.worker} is not used{spell}: {command.reason}")
        self._let_go(command.worker)

    def _notice(self, text: str) -> None:
        if len(self._notices) < NOTICES:
            self._notices[text] = None

    def _let_go(self, name: str) -> None:
        """Forget the batches of a worker of which nothing is expected."""
        self._held = {batch_id: held for batch_id, held in self._held.items() if held[0] != name}

    def _noted(self, event: Noted) -> None:
        self._notice(event.text)

    def _stopping(self, event: StopAsked) -> None:
        self._reason = self._reason or event.reason
        self._state = "draining"
        if event.urgency is Urgency.NOW:
            self._held.clear()  # nobody waits for them any more

    def _wrote(self, command: Write) -> None:
        count = Tally.of(command.reply, command.accepted, whole=command.whole)
        worker = command.batch.worker
        self._writing[command.batch.id] = (worker, count)
        self._count(worker, count, +1)
        self.improve(command.reply.best)
        self._seconds += command.reply.seconds
        if worker in self._workers:
            self._workers[worker].batch = (command.reply.rows, command.reply.seconds)

    def _lost(self, event: Lost) -> None:
        self._held.pop(event.batch_id, None)
        if event.batch_id in self._writing:
            self._count(*self._writing.pop(event.batch_id), -1)

    def _count(self, name: str, count: Tally, sign: Literal[1, -1]) -> None:
        positions, rows = sign * count.positions, sign * count.rows
        self._done += positions
        self._history.add(self._now, sign, positions, rows)
        if name in self._workers:
            worker = self._workers[name]
            worker.done += rows
            worker.failed += sign * sum(n for status, n in count.failed.items() if status not in GOOD)
            worker.history.add(self._now, sign, positions, rows)

    def _save(self, count: Tally) -> None:
        self._saved += count.positions
        self._excluded += count.positions - count.rows
        for status, n in count.statuses.items():
            self._statuses[status] = self._statuses.get(status, 0) + n

    def improve(self, best: tuple[float, int] | None) -> None:
        """Take in a value and its point that may be the best so far."""
        if best is None or isnan(best[0]) or not self._direction:
            return
        sign = -1 if self._direction == "maximize" else 1
        # Of equal values the first point, whichever came first: the same answer however many workers.
        rank = (sign * best[0], best[1])
        if self._best is None or rank < (sign * self._best[0], self._best[1]):
            self._best = best

    def snapshot(self, now: float) -> Snapshot:
        """Say how it goes at ``now`` (monotonic seconds, not before the last event); changes nothing."""
        now = max(now, self._now)
        slope = self._history.slope(now, RECENT)
        return Snapshot(
            name=self._name,
            state=self._state,
            reason=self._reason,
            total=self._total,
            done=self._done,
            saved=self._saved,
            excluded=self._excluded,
            statuses=dict(self._statuses),
            rows_before=self._rows_before,
            running=len(self._held),
            slots=sum(worker.slots for worker in self._workers.values()),
            workers=self._loads(now),
            rate=slope and slope[1],
            eta=self._eta(now),
            elapsed=(now if self._ended is None else self._ended) - self._begun,
            best=self._best,
            metric=self._metric,
            direction=self._direction,
            dashboard=self.dashboard,
            notices=tuple(self._notices),
        )

    def _loads(self, now: float) -> tuple[WorkerLoad, ...]:
        held: dict[str, int] = {}
        for name, _ in self._held.values():
            held[name] = held.get(name, 0) + 1
        return tuple(worker.load(now, held.get(worker.name, 0)) for worker in self._workers.values())

    def _eta(self, now: float) -> tuple[float, float] | None:
        slopes = (
            self._history.slope(now, RECENT),
            self._history.slope(now, MINUTE),
            self._history.overall(now),
        )
        rates = [slope[0] for slope in slopes if slope and slope[0] > 0]
        if self._state != "running" or not rates:
            return None
        batches = max(1, self._history.last.batches)
        if batches < WARM and self._seconds > 0:
            rates.append(self._history.last.positions / self._seconds * self._slots)
        error = min(0.5, 1 / sqrt(batches))
        left = self._total - self._done
        return left / (max(rates) * (1 + error)), left / (min(rates) * (1 - error))

    @property
    def _slots(self) -> int:
        return max(1, sum(worker.slots for worker in self._workers.values()))
