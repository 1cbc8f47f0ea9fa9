"""A run from its first check to its last commit: definition, objective, store, driver and engine tied together.

Theory of operation
-------------------
`start` does in this order what can fail, so that a mistake leaves nothing behind: it finds the objective as
text and compares its arguments, takes the lock, compares the code with that of the saved rows, lets a slot
import the objective, and only then writes. A run that has nothing left to do starts no engine.

Three threads then share the work: the loop (`swath.loop.drive`), the store's commit thread, and whoever
called, who may look at `Handle.snapshot` or ask to stop. A fourth looks every half second for the request
that ``swath stop`` leaves in the folder.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from swath.agreement import check_arguments, find_objective
from swath.driver import Driver, Policy
from swath.driver.policy import PATIENCE
from swath.errors import (
    ClusterLostError,
    CodeChangedError,
    ObjectiveError,
    SwathError,
    UsageError,
)
from swath.loop import drive
from swath.messages import Conclude, Durable, Ending, Event, Lost, StopAsked, Tick, Urgency, Write
from swath.ranges import RangeSet
from swath.snapshot import Progress
from swath.store import Store
from swath.task import Task

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from swath.definition import Definition
    from swath.engines import Engine
    from swath.messages import Command, Example
    from swath.objective import Code, Signature
    from swath.results import Results
    from swath.snapshot import Snapshot
    from swath.store import Previous
    from swath.store.history import Past

STOP_POLL = 0.5
"""Seconds between two looks for a request to stop."""

LOGS = "logs"

EXIT_CODES = {Ending.COMPLETE: 0, Ending.LIMIT: 4, Ending.ASKED: 130, Ending.LOST: 75, Ending.FATAL: 2}
SOME_FAILED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run a definition; what is None is up to the definition, or has no limit.

    Attributes
    ----------
    engine : str
        ``dask`` or ``inline``.
    workers : int or None
        Slots on this machine.
    scheduler : str or None
        Address of a Dask scheduler to use instead.
    client : distributed.Client or None
        A client to use instead.
    insecure : bool
        Allow a scheduler off this machine without TLS.
    out : Path
        The folder of run folders.
    limit : int or None
        Run at most so many more points.
    time_limit : float or None
        Stop after so many seconds.
    wait : float or None
        End as lost after so many seconds without a worker.
    max_failures : int or None
        Stop after so many failed points.
    retry : tuple of str
        Statuses of finished points that are to run again.
    accept_code_change : bool
        Keep rows that older code made.
    fresh : bool
        Put the old run aside and begin anew.
    """

    engine: str = "dask"
    workers: int | None = None
    scheduler: str | None = None
    client: Any = None
    insecure: bool = False
    out: Path = Path("results")
    limit: int | None = None
    time_limit: float | None = None
    wait: float | None = None
    max_failures: int | None = None
    retry: tuple[str, ...] = ()
    accept_code_change: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sweep ended; ``reason`` is empty if it is complete.

    Attributes
    ----------
    reason : str
        For people.
    exit_code : int
        Of the command line.
    example : Example or None
        A failure like those that ended it.
    point : int
        The index of its point.
    """

    reason: str
    exit_code: int
    example: Example | None = None
    point: int = -1


def start(definition: Definition, options: Options | None = None, *, code: Code | None = None) -> Handle:
    """Start a sweep, or go on with it, and return at once.

    Parameters
    ----------
    definition : Definition
        What to run.
    options : Options, optional
        How to run it.
    code : Code, optional
        The objective, if it is not to be found by its name.

    Raises
    ------
    SwathError
        Whatever keeps it from starting; the kind of error says what, and nothing was changed.
    """
    options = options or Options()
    code = find_objective(definition, code)
    engine = _engine(definition, options)
    store = Store.open(options.out / definition.name, fresh=options.fresh)
    begun = store.previous() is not None
    try:
        previous = None if options.fresh else store.previous()
        _check_code(definition, code, previous, options)
        return Handle(definition, options, code, engine, store, previous)
    except BaseException:
        engine.close()
        if not begun and store.previous() is None:
            shutil.rmtree(store.folder / LOGS, ignore_errors=True)
        store.close()
        raise


class Handle:
    """A sweep under way; made by `start`.

    Attributes
    ----------
    folder : Path
        The run folder.
    error : SwathError or None
        What stopped the sweep, if it was an error; known once `wait` returns True.
    """

    def __init__(
        self,
        definition: Definition,
        options: Options,
        code: Code,
        engine: Engine,
        store: Store,
        previous: Previous | None,
    ) -> None:
        self.folder = store.folder
        self.error: SwathError | None = None
        self._definition, self._engine, self._store = definition, engine, store
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._broken: SwathError | None = None
        self._conclusion = Conclude(Ending.COMPLETE)
        task = make_task(definition, code, logs=self.folder / LOGS)
        signature = _known_signature(code, previous)
        # An import that fails must leave nothing behind, so only a run that is there already begins before it.
        opened = signature is None or store.previous() is None
        if signature is None or opened:
            signature = self._open(task)
        past = store.begin(
            definition,
            fingerprint=code.fingerprint,
            receives=signature.receives((*definition.space.names, *definition.space.derived)),
            durable=lambda ids: engine.post(Durable(engine.now(), ids)),
            rejected=lambda batch, reason: engine.post(Lost(engine.now(), batch, reason)),
            failed=self._fail,
        )
        again = _again(past, options.retry)
        todo = definition.space.size - len(past.done) + sum(map(len, again.values()))
        if todo and not opened:
            self._open(task)
        policy = _policy(definition, options, engine.now())
        self._driver = Driver(
            definition.space.size, done=past.done, policy=policy, again=again, now=engine.now()
        )
        self._progress = _progress(definition, past, again, engine.now())
        self._thread = threading.Thread(target=self._work, name="swath-loop", daemon=True)
        self._thread.start()
        threading.Thread(target=self._mind_requests, name="swath-minder", daemon=True).start()

    def _open(self, task: Task) -> Signature:
        signature = self._engine.open(task)
        check_arguments(self._definition, signature)
        return signature

    # For whoever holds it.

    @property
    def snapshot(self) -> Snapshot:
        """How it goes, now."""
        with self._lock:
            self._progress.dashboard = self._engine.dashboard
            return self._progress.snapshot(self._engine.now())

    @property
    def results(self) -> Results:
        """The rows that are on disk, now."""
        from swath.results import Results  # noqa: PLC0415  # a sweep that nobody reads needs no frame

        return Results(self.folder)

    @property
    def outcome(self) -> Outcome:
        """How it ended; call it once `wait` has returned True."""
        ending = self._conclusion.ending
        code = EXIT_CODES[ending]
        if ending is Ending.COMPLETE and self.snapshot.failed:
            code = SOME_FAILED
        example, point = self._conclusion.example, -1
        if example is not None:
            (point,) = self._definition.space.indices(example.position, example.position + 1).tolist()
        return Outcome(self._conclusion.reason, code, example, point)

    def stop(self, urgency: Urgency = Urgency.DRAIN, grace: float | None = None) -> None:
        """Ask it to stop, and to wait for running points no longer than ``grace`` seconds; it can be resumed."""
        self._engine.post(StopAsked(self._engine.now(), urgency, "as asked", grace))

    def interrupt(self, times: int) -> None:
        """Do what Ctrl-C asks for: finish what is running, and from the second time on wait for the disk only."""
        self.stop(Urgency.DRAIN if times == 1 else Urgency.NOW)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most ``timeout`` seconds; tell whether it has."""
        return self._ended.wait(timeout)

    def __await__(self) -> Generator[Any, None, Results]:
        """Wait without blocking the event loop; gives the results, raises what stopped the sweep."""
        import asyncio  # noqa: PLC0415  # only who awaits needs it

        yield from asyncio.get_running_loop().run_in_executor(None, self.wait).__await__()
        return self.finished()

    def finished(self) -> Results:
        """Return the results of a sweep that has ended, or raise what stopped it."""
        if self.error is not None:
            raise self.error
        return self.results

    # The loop's thread.

    def _work(self) -> None:
        try:
            self._conclusion = drive(self._driver, self._engine, self._append, self._watch)
            if self._conclusion.ending is Ending.FATAL:
                self.error = ObjectiveError(self._conclusion.reason)
            elif self._conclusion.ending is Ending.LOST:
                self.error = ClusterLostError(f"{self._conclusion.reason}; the same command goes on")
            elif self._conclusion.ending is Ending.COMPLETE:
                self._engine.close()
                self._store.export()
        except SwathError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  # the thread must not die in silence
            self.error = SwathError(
                f"the driver failed: {type(error).__name__}: {error}; saved rows are safe"
            )
            self.error.__cause__ = error
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._engine.close()
            self._store.close()
        except SwathError as error:
            self.error = self.error or error
        finally:
            self._ended.set()

    def _append(self, write: Write) -> None:
        self._store.append(write)
        if not self._driver.flights:
            self._store.flush()  # nothing else will come that could share the commit

    def _watch(self, message: Event | Command) -> None:
        if self._broken is not None:
            raise self._broken
        with self._lock:
            self._progress.feed(message)

    # Other threads.

    def _recall_best(self) -> None:
        """Let the snapshot know what earlier sessions found; reading their rows must not keep the first point."""
        definition = self._definition
        metric = definition.minimize or definition.maximize
        if metric and self._store.rows:
            best = self._store.best(metric, 1 if definition.minimize else -1)
            with self._lock:
                self._progress.improve(best)

    def _fail(self, error: SwathError) -> None:
        """Take in that nothing can be written any more; wakes the loop."""
        self._broken = error
        self._engine.post(Tick(self._engine.now()))

    def _mind_requests(self) -> None:
        self._recall_best()
        asked = ""
        while not self._ended.wait(STOP_POLL):
            request = self._store.stop_request()
            if request and request != asked:
                asked = request
                self.stop(Urgency.NOW if request == "now" else Urgency.DRAIN)


def make_task(definition: Definition, code: Code, logs: Path | None = None) -> Task:
    """Put together what slots need to know."""
    goal = None
    if metric := definition.minimize or definition.maximize:
        goal = (metric, 1 if definition.minimize else -1)
    if logs is not None and definition.isolation == "process":
        logs.mkdir(parents=True, exist_ok=True)
    constants: dict[str, bytes] = {}
    if definition.constants:
        import cloudpickle  # noqa: PLC0415  # few sweeps have constants that only Python can hold

        constants = {digest: cloudpickle.dumps(value) for digest, value in definition.constants.items()}
    return Task(
        run=uuid4().hex[:12],
        space=definition.space.spec(),
        code=code,
        constants=constants,
        timeout=definition.point.timeout,
        memory=definition.point.memory,
        cores=definition.point.cores,
        isolated=definition.isolation == "process",
        folder=str(Path.cwd()),
        goal=goal,
        logs=str(logs.resolve()) if logs else "",
    )


def _engine(definition: Definition, options: Options) -> Engine:
    if options.engine == "inline":
        from swath.engines.inline import Inline  # noqa: PLC0415  # only the engine that is used

        if definition.point.timeout is not None or definition.point.memory is not None:
            raise UsageError(
                "the inline engine cannot end a point: it runs in this process; leave out its timeout and memory, or use --engine dask"
            )
        return Inline()
    if options.engine != "dask":
        raise UsageError(f"there is no engine {options.engine!r}; there are dask and inline")
    from swath.engines.dask import Dask  # noqa: PLC0415  # only the engine that is used

    scheduler = options.scheduler or (None if options.workers else definition.cluster.scheduler)
    if scheduler is not None:
        _check_address(scheduler, insecure=options.insecure or definition.cluster.insecure)
    return Dask(
        workers=options.workers or definition.cluster.workers,
        scheduler=scheduler,
        client=options.client,
        wait=options.wait,
    )


def _check_address(address: str, *, insecure: bool) -> None:
    """Refuse to send code over a network that anybody may listen to."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    host = parts.hostname or ""
    local = host in ("localhost", "::1") or host.startswith("127.")
    if parts.scheme in ("tcp", "ws") and not local and not insecure:
        raise UsageError(
            f"{address} is off this machine and not encrypted: whoever reaches it can run code as you. "
            "Use tls://, or say --insecure (cluster: {insecure: true}) if the network is yours alone"
        )


def _check_code(definition: Definition, code: Code, previous: Previous | None, options: Options) -> None:
    if previous is None or not previous.rows or options.accept_code_change:
        return
    if (previous.objective, previous.fingerprint) == (definition.objective, code.fingerprint):
        return
    place = f" ({code.signature.place})" if code.signature and code.signature.place else ""
    what = f"{definition.objective}{place} changed"
    if previous.objective != definition.objective:
        what = f"the objective was {previous.objective} and is {definition.objective}{place}"
    folder = options.out / definition.name
    command = f"swath run {definition.file}" if definition.file else "run(...)"
    keep, anew = (
        ("--accept-code-change", "--fresh") if definition.file else ("accept_code_change=True", "fresh=True")
    )
    raise CodeChangedError(
        f"{folder}: {what} since {previous.rows:,} rows were saved. Nothing was run.\n"
        f"  keep them, run what is missing:  {command} {keep}\n"
        f"  run all again (old run kept as {definition.name}.1):  {command} {anew}"
    )


def _known_signature(code: Code, previous: Previous | None) -> Signature | None:
    """Return how the objective is called if that is known without importing it."""
    if code.signature is None and previous is not None and previous.fingerprint == code.fingerprint:
        from swath.objective import Signature  # noqa: PLC0415

        return Signature((), previous.receives, anything=False, place="")
    return code.signature


def _again(past: Past, retry: Sequence[str]) -> dict[int, RangeSet]:
    """Gather the failed positions that are to run again, by their next attempt."""
    again: dict[int, RangeSet] = {}
    for status in retry:
        for attempt, positions in past.failed.get(status, {}).items():
            again.setdefault(attempt + 1, RangeSet()).update(positions)
    return again


def _policy(definition: Definition, options: Options, now: float) -> Policy:
    return Policy(
        retries=definition.point.retries,
        limit=options.limit,
        deadline=None if options.time_limit is None else now + options.time_limit,
        max_failures=options.max_failures,
        patience=PATIENCE if options.wait is None else options.wait,
    )


def _progress(definition: Definition, past: Past, again: Mapping[int, RangeSet], now: float) -> Progress:
    statuses = dict(past.statuses)
    for positions in again.values():
        for status, attempts in past.failed.items():
            for failed in attempts.values():
                common = sum(len(failed.intersection(start, stop)) for start, stop in positions)
                statuses[status] = statuses.get(status, 0) - common
    return Progress(
        definition.name,
        definition.space.size,
        now=now,
        done=len(past.done) - sum(map(len, again.values())),
        excluded=past.excluded,
        statuses={status: count for status, count in statuses.items() if count > 0},
        metric=definition.minimize or definition.maximize or "",
        direction="minimize" if definition.minimize else "maximize" if definition.maximize else "",
    )
