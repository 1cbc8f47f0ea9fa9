"""How a sweep goes: a pure fold of what passes between driver and engine.

`Progress` is fed every event and every command, in the order in which they happened, and has no clock:
time is the ``now`` of the events. `Progress.snapshot` changes nothing; it gives a frozen `Snapshot`, the
only thing that views get to see.

What is counted when. A position counts as *done* when the driver accepted it (a `Write`), and as *saved*
when the store reported it (`Durable`). Rates and workers go by the first; what people are told has been
achieved, rows by status and what failures say included, goes by the second. A `Write` that is followed by `Lost` (the store refused
the payload) is taken back, and so is what was saved of a point that ended early and goes on after all (`Promote`).

The remaining time is a range: the extremes of what the last quarter of a minute, the last minute and the whole
session would predict, and at the beginning what all slots together could do, widened by the relative error
1/sqrt(n) of a count of n batches.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan, sqrt
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

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
    Measured,
    Noted,
    Opened,
    Promote,
    Returned,
    StopAsked,
    Submit,
    Urgency,
    Write,
)
from swath.progress.complaints import Complaints, share_of
from swath.progress.crew import Crew
from swath.progress.effort import share
from swath.progress.tally import Tally
from swath.rates import History
from swath.snapshot import (
    RECENT,
    Complaint,
    Direction,
    Replicates,
    Sampler,
    Slow,
    Snapshot,
    State,
    WorkerLoad,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swath.progress.complaints import Share

MINUTE = 60.0  # seconds
WARM = 16  # batches; before, work that no batch has brought back yet weighs, so what the slots could do counts too
NOTICES = 100  # texts; a cluster of thousands may have thousands of sick workers
SLOWEST = 5  # points that are remembered


class _Written(NamedTuple):
    """What a write has added."""

    worker: str
    tally: Tally
    said: Share
    retries: int


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
    cores : int
        That a slot may use.
    growing : bool
        Whether ``total`` grows with the positions that are opened.
    points : callable
        Takes positions, gives the indices of their points.
    parameters : callable
        Takes the index of a point, gives its parameters.
    """

    dashboard: str = ""
    """Address of a page that shows more; to be set when it is known."""
    plan: Sampler | Replicates | None = None
    """What opens points, as it is now; to be set before a snapshot is asked for."""

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
        cores: int = 1,
        growing: bool = False,
        points: Callable[[Sequence[int]], Sequence[int]] = list,
        parameters: Callable[[int], Mapping[str, object]] = lambda _: {},
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
        self._growing = growing
        self._crew = Crew()
        self._writing: dict[int, _Written] = {}  # by batch
        self._history = History(now)
        self._notices: dict[str, None] = {}  # in order, without repetitions
        self._seconds = 0.0  # that slots spent on what is done
        self._cores, self._points, self._parameters = cores, points, parameters
        self._described: tuple[int, Mapping[str, object]] = (-1, {})  # a point and its parameters
        self._retried = 0
        self._going_on: dict[int, int] = {}  # promoted positions, and their next attempts
        self._complaints = Complaints()
        self._slowest: list[tuple[float, int]] = []  # descending
        self._takes: dict[type, Callable[[Any], None]] = {
            Joined: self._joined,
            Left: lambda event: self._crew.leave(self._now, event.worker),
            Noted: self._noted,
            Measured: self._crew.measure,
            Submit: lambda command: self._crew.give(self._now, command.batches),
            Finished: self._finished,
            Returned: self._returned,
            Lost: self._lost,
            Write: self._wrote,
            Durable: self._settled,
            Opened: self._opened,
            Promote: self._promoted,
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

    def _finished(self, event: Finished) -> None:
        worker = self._crew.land(self._now, event.batch_id, event.reply.seconds)
        if worker is not None:
            worker.left(event.reply.done)

    def _returned(self, event: Returned) -> None:
        if self._crew.begins(event.batch_id) == event.start:
            self._crew.land(self._now, event.batch_id, 0.0)  # none of it had begun

    def _settled(self, event: Durable) -> None:
        for batch_id in event.batch_ids:
            if batch_id in self._writing:
                written = self._writing.pop(batch_id)
                self._save(written.tally)
                self._complaints.add(written.said)

    def _opened(self, event: Opened) -> None:
        if self._growing:
            self._total += sum(stop - start for start, stop in event.ranges)

    def _concluded(self, command: Conclude) -> None:
        complete = command.ending is Ending.COMPLETE
        self._state, self._reason = ("complete" if complete else "stopped"), command.reason
        self._crew.drop_all(self._now)
        self._ended = self._now

    def _joined(self, event: Joined) -> None:
        if self._state == "starting":
            self._state = "running"
            self._history = History(event.now)  # before, nothing could be done
        self._crew.join(self._now, event)

    def _excluded_worker(self, command: Exclude) -> None:
        spell = f" for {command.seconds:.0f} s" if command.seconds < inf else " any more"
        self._notice(f"{command.worker} is not used{spell}: {command.reason}")
        self._crew.drop(self._now, command.worker)

    def _notice(self, text: str) -> None:
        if len(self._notices) < NOTICES:
            self._notices[text] = None

    def _noted(self, event: Noted) -> None:
        self._notice(event.text)

    def _stopping(self, event: StopAsked) -> None:
        self._reason = self._reason or event.reason
        self._state = "draining"
        if event.urgency is Urgency.NOW:
            self._crew.drop_all(self._now)

    def _wrote(self, command: Write) -> None:
        reply, batch = command.reply, command.batch
        tally = Tally.of(reply, command.accepted, whole=command.whole)
        retries = tally.rows - self._promotions(command) if batch.attempt > 1 else 0
        written = _Written(batch.worker, tally, share_of(reply, tally), retries)
        self._writing[batch.id] = written
        self._count(written, +1)
        self.improve(reply.best)
        self._seconds += reply.seconds
        if batch.worker in self._crew.workers:
            self._crew.workers[batch.worker].batch = (reply.rows, reply.seconds)
        if reply.slowest and (len(self._slowest) < SLOWEST or reply.slowest > self._slowest[-1]):
            self._slowest = sorted({*self._slowest, reply.slowest}, reverse=True)[:SLOWEST]

    def _lost(self, event: Lost) -> None:
        self._crew.land(self._now, event.batch_id)
        if event.batch_id in self._writing:
            self._count(self._writing.pop(event.batch_id), -1)

    def _count(self, written: _Written, sign: Literal[1, -1]) -> None:
        tally = written.tally
        positions, rows = sign * tally.positions, sign * tally.rows
        self._done += positions
        self._history.add(self._now, sign, positions, rows)
        self._retried += sign * written.retries
        if written.worker in self._crew.workers:
            self._crew.workers[written.worker].count(self._now, tally, sign)

    def _save(self, count: Tally) -> None:
        self._saved += count.positions
        self._excluded += count.positions - count.rows
        for status, n in count.statuses.items():
            self._statuses[status] = self._statuses.get(status, 0) + n

    def _promoted(self, command: Promote) -> None:
        """Take in that a point whose row was saved is not done after all."""
        self._going_on[command.position] = command.attempt
        self._done -= 1
        self._saved -= 1
        self._statuses["pruned"] = self._statuses.get("pruned", 0) - 1
        self._history.add(self._now, 0, -1, 0)

    def _promotions(self, command: Write) -> int:
        """Count the rows of points that went on after all: these attempts are no retries."""
        attempt, accepted = command.batch.attempt, command.accepted
        return sum(known == attempt and position in accepted for position, known in self._going_on.items())

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
        now = max(now, self._now) if self._ended is None else self._ended
        slope, overall = self._history.slope(now, RECENT), self._history.overall(now)
        spent, room = self._crew.totals(now)
        loads, complaints = self._placed(now)
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
            running=self._crew.held,
            slots=self._crew.slots,
            workers=loads,
            rate=slope and slope[1],
            overall=overall and overall[1],
            eta=self._eta(now),
            elapsed=now - self._begun,
            utilisation=share(spent, room),
            cost=room * self._cores / 3600,
            retried=self._retried,
            complaints=complaints,
            slowest=tuple(Slow(seconds, point) for seconds, point in self._slowest),
            best=self._best,
            metric=self._metric,
            direction=self._direction,
            parameters=self._of_the_best(),
            dashboard=self.dashboard,
            notices=tuple(self._notices),
            sampler=self.plan if isinstance(self.plan, Sampler) else None,
            replicates=self.plan if isinstance(self.plan, Replicates) else None,
        )

    def _placed(self, now: float) -> tuple[tuple[WorkerLoad, ...], tuple[Complaint, ...]]:
        """Put together what names points of which only positions are known, which are looked up together."""
        complaints = self._complaints.most()
        positions = [*self._crew.positions, *(position for _, position in complaints)]
        known = [position for position in positions if position >= 0]
        points = dict(zip(known, map(int, self._points(known)), strict=True)) if known else {}
        named = (replace(complaint, point=points.get(position)) for complaint, position in complaints)
        return self._crew.loads(now, points), tuple(named)

    def _of_the_best(self) -> Mapping[str, object]:
        """Parameters of the best point, looked up once."""
        if self._best is None:
            return {}
        point = self._best[1]
        if self._described[0] != point:
            self._described = point, self._parameters(point)
        return self._described[1]

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
            rates.append(self._history.last.positions / self._seconds * max(1, self._crew.slots))
        error = min(0.5, 1 / sqrt(batches))
        left = self._total - self._done
        return left / (max(rates) * (1 + error)), left / (min(rates) * (1 - error))
