"""What the live page is told, gathered beside the sweep: one increment a second, from a thread of its own.

Theory of operation
-------------------
The loop's thread only puts what was written into a list (`Feed.see`), and drops the rows if so much waits already. A
thread looks at the list once a second, reads some rows (`swath.views.live.points`), asks for a snapshot and makes an
increment of both. The record of this process takes it; for a scheduler elsewhere it becomes JSON and waits to be fetched.
If nobody fetches it for a while, what waits is dropped, and the next is the whole record.

Whatever goes wrong here is a line in the journal: a sweep must not suffer from being watched.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from swath import messages
from swath.cluster.clock import steady
from swath.messages import Write
from swath.snapshot import GOOD, WorkerLoad
from swath.views.live.record import Record, Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.definition import Definition
    from swath.messages import Command, Event
    from swath.snapshot import Snapshot
    from swath.store.history import Past

PERIOD = 1.0
"""Seconds between two increments; with thousands of workers they come more rarely."""

MANY = 500
"""Workers beyond which that is so."""

WAITING = 2000
"""Writes that may wait for the thread; what comes on top is only counted."""

HEAVY = 8 << 20
"""Bytes of rows that may wait with them; what comes on top is seen without its rows."""

STEPS = 10_000
"""Steps of points that may wait; what comes on top is not shown."""

SAVED = 16 << 20
"""Bytes of steps of earlier sessions that are read: the newest half a million, say."""

LAST = 5.0
"""Seconds for which the end of a sweep waits at most for an increment that is being made, before the last one is."""

UNFETCHED = 10
"""Increments that may wait to be fetched."""

WORKER = tuple(field.name for field in fields(WorkerLoad) if field.name != "batch")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier sessions have left.

    Attributes
    ----------
    past : Past
        What became of their points.
    again : sequence of str
        Points with these statuses are to be tried again.
    rows, steps, best : callable
        Read what is saved; `rows`, `newest_steps` and `best` of `swath.store.saved.Saved`.
    """

    past: Past
    again: Sequence[str]
    rows: Callable[[], Iterable[tuple[NDArray[np.int64], pa.Table]]]
    steps: Callable[[int], pa.Table]
    best: Callable[[str, int], tuple[float, int] | None]


class Feed:
    """Makes increments for live pages.

    Parameters
    ----------
    definition : Definition
        What is run.
    snapshot : callable
        Gives the newest snapshot.
    about : mapping
        What people should know of the run: its folder and host.
    trouble : callable
        Takes what went wrong.
    earlier : Earlier or None
        What was there before this session; None if nothing was.

    Attributes
    ----------
    record : Record
        What was made of all of them.
    """

    def __init__(
        self,
        definition: Definition,
        snapshot: Callable[[], Snapshot],
        about: Mapping[str, str],
        trouble: Callable[[str, BaseException], None],
        earlier: Earlier | None = None,
    ) -> None:
        self._earlier = earlier
        self.record = Record()
        self._definition, self._snapshot, self._trouble = definition, snapshot, trouble
        self._about: dict[str, Any] = {**about, "started": steady()}
        self._seen: deque[tuple[float, Write | messages.Record]] = deque()
        self._heavy = self._steps_waiting = 0
        self._missed = Counter[str]()
        self._reader: Any = None  # a Reader, from the first increment on
        self._tracer: Any = None  # a Tracer, as soon as there are steps
        self._best: tuple[float, int] | None = None
        self._parameters: Mapping[str, Any] = {}
        self._told: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._fetched: list[bytes] = []
        self._wanted = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="swath-page", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def see(self, message: Event | Command) -> None:
        """Look at what passes; in the loop's thread, so it takes next to no time."""
        if type(message) is messages.Record:
            if self._steps_waiting < STEPS:
                self._steps_waiting += len(message.steps)
                self._seen.append((steady(), message))
            return
        if type(message) is not Write:
            return
        if len(self._seen) >= WAITING:
            self._missed["rows"] += message.reply.rows
            return
        if self._heavy < HEAVY:
            self._heavy += sum(memoryview(piece).nbytes for piece in message.reply.payload)
        else:
            message = Write(message.batch, _without_rows(message), message.accepted, message.whole)
        self._seen.append((steady(), message))

    def end(self) -> None:
        """Make the last increment, which tells how it ended."""
        if not self._over.is_set():
            self._over.set()
            if self._thread.is_alive():
                self._thread.join(LAST)
            if not self._thread.is_alive():  # two at a time would tell things in the wrong order
                self._try()

    # The thread.

    def _work(self) -> None:
        self._try()
        while not self._over.wait(PERIOD * max(1.0, len(self.record.workers.get("name", ())) / MANY)):
            self._try()

    def _try(self) -> None:
        try:
            self.tick()
        except Exception as error:  # noqa: BLE001  # watching must not harm what is watched
            self._trouble("page", error)

    def tick(self) -> None:
        """Make one increment."""
        passed = [self._seen.popleft() for _ in range(len(self._seen))]
        self._heavy = self._steps_waiting = 0
        increment = self._increment([(at, each) for at, each in passed if isinstance(each, Write)])
        self._trace(increment, [each for _, each in passed])
        self.record.take(increment)
        with self._lock:
            if self._wanted:
                self._fetched.append(_encoded(increment))
                if len(self._fetched) > UNFETCHED:
                    self._fetched.clear()
                    self._wanted = False  # the next fetch begins anew

    def _increment(self, seen: list[tuple[float, Write]]) -> dict[str, Any]:
        snapshot = self._snapshot()
        told = asdict(replace(snapshot, workers=(), parameters=self._best_parameters(snapshot)))
        about = self._begin_reading() if self._reader is None else None
        increment: dict[str, Any] = {
            "now": steady(),
            "snapshot": told,
            "workers": {name: [getattr(each, name) for each in snapshot.workers] for name in WORKER},
            "batches": [_stretch(at, write) for at, write in seen],
            "steps": self._steps(seen),
        }
        if about is not None:
            increment["about"] = about
        missed, self._missed = self._missed, Counter()
        if seen or missed:
            rows = missed["rows"] + sum(write.reply.rows for _, write in seen)
            increment.update(self._reader.read([_with_rows(write) for _, write in seen], rows))
            if self._reader.metric != self.record.about.get("metric"):
                increment.setdefault("about", {})["metric"] = self._reader.metric
        self._told = told  # from now on there is something to fetch
        return increment

    def _begin_reading(self) -> dict[str, Any]:
        from swath.views.live.points import Reader, design, varying  # noqa: PLC0415  # not before the first point runs
        from swath.views.origins import scales  # noqa: PLC0415  # as above

        definition = self._definition
        parameters = varying(definition.space)
        metric = self._metric
        self._reader = reader = Reader(definition.space, metric, parameters)
        about = {
            **self._about,
            "parameters": parameters,
            "scales": scales(definition, list(parameters)),
            "replicates": list(definition.space.replicates),
            "metric": metric,
            "design": design(definition.space, list(parameters)),
        }
        self.record.take({"now": steady(), "about": about})
        if self._earlier is not None:
            rows = reader.saved(self._earlier.rows(), self._earlier.again)
            self.record.take({"now": steady(), **rows})
            self._recall(self._earlier)
        return about

    def _recall(self, earlier: Earlier) -> None:
        """Begin with the best value and the curves that are saved."""
        goal = self._definition.goal
        if goal and (best := earlier.best(*goal)):
            self.record.take({"now": steady(), "steps": [[self._about["started"], *best]]})
        steps = earlier.steps(SAVED)
        if steps.num_rows:
            from swath.views.live.tracing import Tracer  # noqa: PLC0415  # few sweeps have steps

            tracer = Tracer(self._definition.space, self._metric)
            told = tracer.saved(steps, earlier.past, earlier.again, self._sign)
            self.record.take({"now": steady(), "about": {"traced": tracer.metric}, **told})
            self._tracer = tracer

    def _trace(self, increment: dict[str, Any], passed: Sequence[Write | messages.Record]) -> None:
        """Tell what points recorded on their way."""
        if self._tracer is None:
            if all(isinstance(each, Write) for each in passed):
                return
            from swath.views.live.tracing import Tracer  # noqa: PLC0415  # few sweeps have steps

            self._tracer = Tracer(self._definition.space, self._metric)
        increment.update(self._tracer.read(passed))
        if self._tracer.metric != self.record.about.get("traced", ""):
            increment.setdefault("about", {})["traced"] = self._tracer.metric

    @property
    def _metric(self) -> str:
        """The metric that matters: the goal, or the first of several."""
        return next((name for name, _ in self._definition.goals), "")

    @property
    def _sign(self) -> int:
        """1 where less of it is better, -1 where more is."""
        return -1 if self._definition.maximize else 1

    def _best_parameters(self, snapshot: Snapshot) -> Mapping[str, Any]:
        if snapshot.best is not None and snapshot.best != self._best:
            from swath.views.live.points import parameters_of  # noqa: PLC0415  # as above

            self._parameters = parameters_of(self._definition.space, snapshot.best[1])
        self._best = snapshot.best
        return self._parameters

    def _steps(self, seen: list[tuple[float, Write]]) -> list[list[Any]]:
        """Return by what, of what was seen, the best value was improved."""
        sign = self._sign
        steps: list[list[Any]] = []
        known = self.record.steps
        best = sign * known[-1][1] if known else float("inf")
        for at, write in seen:
            found = write.reply.best
            if found is not None and sign * found[0] < best:
                best = sign * found[0]
                steps.append([at, *found])
        return steps

    # Whoever sends it on; from any thread.

    def fetch(self) -> list[bytes]:
        """Return what is new since the last call, as JSON; the first call returns all."""
        with self._lock:
            if self._wanted:
                new, self._fetched = self._fetched, []
                return new
            self._wanted = bool(self._told)
        return [self.all()] if self._told else []

    def forget(self) -> None:
        """Begin anew with the next `fetch`: what was fetched has been lost."""
        with self._lock:
            self._wanted = False
            self._fetched.clear()

    def all(self) -> bytes:
        """Return the whole record as JSON."""
        return _encoded(self.record.whole(self._told))

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._over.is_set() and not self._fetched


def _encoded(increment: Mapping[str, Any]) -> bytes:
    return json.dumps(increment, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Return what JSON can hold of what it cannot, such as numbers of numpy."""
    return value.item() if hasattr(value, "item") else str(value)


def _without_rows(write: Write) -> Any:
    return replace(write.reply, payload=(), logs=())


def _with_rows(write: Write) -> Write | None:
    return write if write.reply.payload else None


def _stretch(stop: float, write: Write) -> Stretch:
    """Describe a batch."""
    reply = write.reply
    counts = Counter(
        {status: sum(b - a for a, b in ranges) for status, ranges in reply.failed if status not in GOOD}
    )
    failed = sum(counts.values())
    status = counts.most_common(1)[0][0] if failed else "ok"
    if failed and not write.whole and _put_off(write):
        status = "retried"
    slot = reply.slot or write.batch.worker
    return Stretch(slot, write.batch.worker, stop - reply.seconds, stop, status, reply.rows, failed)


def _put_off(write: Write) -> bool:
    """Tell whether points that failed are not accepted: they are to be tried again."""
    return any(
        status not in GOOD
        and sum(len(write.accepted.intersection(a, b)) for a, b in ranges) < sum(b - a for a, b in ranges)
        for status, ranges in write.reply.failed
    )
