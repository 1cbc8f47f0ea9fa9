"""A sweep under way: three threads that share the work, and what their owner may do."""

from __future__ import annotations

import atexit
import os
import socket
import threading
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from swath.agreement import check_arguments
from swath.bulletin import Bulletin
from swath.driver import Driver
from swath.errors import ClusterLostError, ObjectiveError, SwathError
from swath.inside.trail import last_step
from swath.loop import drive
from swath.messages import Conclude, Crowded, Durable, Ending, Lost, Noted, StopAsked, Tick, Urgency, Write
from swath.run.beginning import known_signature, make_task, policy_of, progress_of, still_wanted, tried_again
from swath.run.journal import Journal
from swath.run.openings import filler, make_planner, take_over
from swath.run.options import EXIT_CODES, SOME_FAILED, Outcome
from swath.run.report import reported
from swath.run.stopping import pruned_of, remember, rule_of
from swath.run.viewing import Viewer
from swath.run.waiting import End
from swath.store.folders import CHECKPOINTS
from swath.store.logbook import FOLDER, Logbook, Naming

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from swath.definition import Definition
    from swath.engines import Engine
    from swath.messages import Command, Event, Record
    from swath.objective import Code, Signature
    from swath.results import Results
    from swath.run.options import Options
    from swath.snapshot import Snapshot
    from swath.store import Previous, Store
    from swath.store.history import Past
    from swath.task import Task
    from swath.views.live.publishing import Publication

LEAVING = 5.0
"""Seconds for which an interpreter that ends waits for the disk."""

STOP_POLL = 0.5
"""Seconds between two looks for a request to stop."""

INTERRUPTED = "interrupted"
"""The reason for which a sweep stops whose caller was interrupted."""


class Handle:
    """A sweep under way; made by `start`.

    ``await handle`` and `wait` wait for its end; whoever is interrupted or cancelled while waiting leaves it running. In
    a notebook it shows itself, and follows the sweep.

    Attributes
    ----------
    folder : Path
        The run folder.
    error : SwathError or None
        What stopped the sweep, if it was an error; known once `wait` returns True.
    shown_in : str
        The cell of a notebook that shows it last; for views.
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
        self.shown_in = ""
        self._definition, self._engine, self._store = definition, engine, store
        self._ending, self._ended = threading.Event(), End()
        self._minder = threading.Thread(target=self._mind_requests, name="swath-minder", daemon=True)
        self._lock = threading.Lock()
        self._viewers: list[Viewer] = []
        self._broken: SwathError | None = None
        self._conclusion = Conclude(Ending.ASKED)  # until it is known better
        task = make_task(definition, code, self.folder)
        past, opened = self._take_up(task, code, previous)
        again = tried_again(past, options.retry)
        rule = rule_of(definition.stop)
        promotions = remember(rule, *store.saved.recorded(), past, again, self._kept) if rule else ()
        self._planner = make_planner(definition, options, store, past, again, engine)
        todo = definition.space.size - len(past.done) + sum(map(len, again.values()))
        todo = self._planner.todo if self._planner else todo
        if todo and not opened:
            self._open(task)
        now = engine.now()
        self._driver = Driver(
            definition.space.size,
            done=past.done,
            policy=policy_of(definition, options, now),
            again=again,
            opened=self._planner.opened if self._planner else None,
            rule=rule,
            pruned=pruned_of(past, again),
            wanted=still_wanted(task.wanted, store.saved.rows()),
            now=now,
        )
        total = len(self._planner.opened) if self._planner and definition.until else None
        self._progress = progress_of(definition, past, again, now, total)
        self._seen = self._progress.snapshot(now)
        self._failed_before = self._seen.failed
        self._journal = Journal(self.folder, self._naming)
        self._bulletin = Bulletin(self.folder, lambda error: self._journal.trouble("bulletin", error))
        self._page = self._publication(options, past)
        if todo:
            engine.publish(self._page)
        self._journal.note(
            "start",
            pid=os.getpid(),
            host=socket.gethostname(),
            done=len(past.done),
            to_do=todo,
            engine=options.engine,
        )
        for promotion in promotions:
            self._journal.take(promotion)

    def _kept(self, position: int) -> int | None:
        """Return the last step beside the checkpoint of a point; None if it has left no folder."""
        folder = self.folder / CHECKPOINTS / self._naming.content_id(position)
        return last_step(folder) if folder.is_dir() else None

    def _take_up(self, task: Task, code: Code, previous: Previous | None) -> tuple[Past, bool]:
        """Begin to write, with what is there already; tell whether slots were opened for that."""
        definition, engine, store = self._definition, self._engine, self._store
        signature = known_signature(code, previous)
        # An import that fails must leave nothing behind, so only a run that is there already begins before it.
        opened = signature is None or store.previous() is None
        if signature is None or opened:
            signature = self._open(task)
        receives = signature.receives((*definition.space.names, *definition.space.derived))
        past = store.begin(
            definition,
            fingerprint=code.fingerprint,
            receives=receives,
            durable=lambda ids: engine.post(Durable(engine.now(), ids)),
            rejected=lambda batch, reason: engine.post(Lost(engine.now(), batch, reason)),
            failed=self._fail,
            crowded=lambda full: engine.post(Crowded(engine.now(), full)),
            noted=lambda text: engine.post(Noted(engine.now(), text)),
        )
        self._naming = Naming(store.manifest.current, definition.space, receives)
        past = take_over(definition, store, past)
        self._logbook = Logbook(self.folder, self._naming)
        return past, opened

    def _publication(self, options: Options, past: Past) -> Publication:
        """Make the live page, for an engine that has a place for it."""
        from swath.views.live.feed import Earlier  # noqa: PLC0415  # views come last
        from swath.views.live.publishing import Publication  # noqa: PLC0415  # as above

        store, saved = self._store, self._store.saved
        earlier = Earlier(past, options.retry, saved.rows, saved.newest_steps, saved.best)
        return Publication(
            self._definition,
            lambda: self.snapshot,
            {"folder": str(self.folder), "host": socket.gethostname()},
            self._journal.trouble,
            earlier if past.statuses or store.manifest.steps else None,
        )

    def go(self) -> None:
        """Begin; to be called once."""
        atexit.register(self._leave)
        self._page.begin()
        if self._planner:
            self._planner.begin()
        self._minder.start()  # first: the loop waits for its end, and may be over at once
        threading.Thread(target=self._work, name="swath-loop", daemon=True).start()

    def _open(self, task: Task) -> Signature:
        signature = self._engine.open(task)
        check_arguments(self._definition, signature)
        return signature

    # For whoever holds it.

    @property
    def snapshot(self) -> Snapshot:
        """How it goes, now; a mistake in the counting of it must not harm what is counted."""
        with self._lock:
            try:
                self._progress.dashboard = self._page.link or self._engine.dashboard
                self._progress.plan = self._planner.seen() if self._planner else None
                self._seen = self._progress.snapshot(self._engine.now())
            except Exception as error:  # noqa: BLE001
                self._journal.trouble("snapshot", error)
                if self._ended.is_set():
                    self._seen = replace(self._seen, state="complete" if self.complete else "stopped")
            return self._seen

    @property
    def complete(self) -> bool:
        """Whether every point is done."""
        return self._conclusion.ending is Ending.COMPLETE

    @property
    def results(self) -> Results:
        """The rows that are on disk, now."""
        from swath.results import Results  # noqa: PLC0415  # a sweep that nobody reads needs no frame

        return Results(self.folder)

    @property
    def outcome(self) -> Outcome:
        """How it ended; call it once `wait` has returned True."""
        code = EXIT_CODES[self._conclusion.ending]
        if self.complete and self._failed_before + self._driver.failures:
            code = SOME_FAILED
        example, point = self._conclusion.example, -1
        if example is not None:
            (point,) = self._definition.space.indices(example.position, example.position + 1).tolist()
        return Outcome(self._conclusion.reason, code, example, point)

    def stop(self, urgency: Urgency = Urgency.DRAIN, grace: float | None = None) -> None:
        """Ask it to stop, and to wait for running points no longer than ``grace`` seconds; it can be resumed."""
        self._ask(urgency, "as asked", grace)

    def interrupt(self, times: int) -> None:
        """Do what Ctrl-C asks for: finish what is running, and from the second time on wait for the disk only."""
        self._ask(Urgency.DRAIN if times == 1 else Urgency.NOW, INTERRUPTED, None)

    def _ask(self, urgency: Urgency, reason: str, grace: float | None) -> None:
        self._engine.post(StopAsked(self._engine.now(), urgency, reason, grace))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most ``timeout`` seconds; tell whether it has."""
        return self._ended.wait(timeout)

    def __await__(self) -> Generator[Any, None, Results]:
        """Wait without blocking the event loop; gives the results, raises what stopped the sweep.

        Who is cancelled while waiting leaves the sweep running.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> Results:
        await self._ended.reached()
        return self.finished()

    def follow(self, show: Callable[[], None]) -> None:
        """Call a function twice a second while it runs, in a thread of its own, and once when it has ended.

        Whoever waits for the end goes on after the last call. If it raises, it is not called again.
        """
        viewer = Viewer(show, lambda error: self._journal.trouble("view", error))
        self._viewers.append(viewer)
        threading.Thread(target=viewer.follow, args=(self._ended,), name="swath-view", daemon=True).start()

    def finished(self) -> Results:
        """Return the results of a sweep that has ended, or raise what stopped it."""
        if self.error is not None:
            raise self.error
        return self.results

    def __repr__(self) -> str:
        from swath.views.phrases import pruned  # noqa: PLC0415  # only who looks at it needs it

        seen = self.snapshot
        stopped = f", {early}" if (early := pruned(seen.statuses)) else ""
        failed = f", {seen.failed:,} failed" if seen.failed else ""
        done = f"{seen.saved:,} of {seen.total:,} done{stopped}{failed}"
        return f"<Handle {seen.name}: {seen.state}, {done}; in {self.folder}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from swath.views.notebook.cell import block  # noqa: PLC0415  # only who looks at it needs it

        return block(self).bundle

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def _ipython_display_(self) -> None:
        """Show it, and keep it up to date while it runs, unless this cell does so already."""
        from swath.views.notebook.cell import present  # noqa: PLC0415  # only who looks at it needs it

        present(self)

    # The loop's thread.

    def _work(self) -> None:
        try:
            fill = filler(self._definition.space)
            self._conclusion = drive(self._driver, self._engine, self._append, self._watch, fill)
            self._page.end()
            if self._planner and self._planner.error:
                self.error = self._planner.error
                self._journal.trouble("search", self.error.__cause__ or self.error)
            elif self._conclusion.ending is Ending.FATAL:
                self.error = ObjectiveError(self._conclusion.reason)
            elif self._conclusion.ending is Ending.LOST:
                self.error = ClusterLostError(f"{self._conclusion.reason}; the same command goes on")
            elif self.complete:
                if self._planner:
                    self._store.settle(complete=True)  # it may have opened fewer positions than there are
                self._engine.close()
                self._store.export()
        except BaseException as error:  # noqa: BLE001  # the thread must not die in silence
            self.error = self._told(error)
        finally:
            self._end()

    def _end(self) -> None:
        self._ending.set()
        self._minder.join(LEAVING)  # an interpreter that ends while Arrow is at work in another thread aborts
        try:
            self._page.end()
            if self._planner:
                self._planner.end()
                self._journal.note("plan", **asdict(self._planner.seen()))
            self._engine.close()
        except BaseException as error:  # noqa: BLE001  # the store must be closed whatever happens
            self.error = self.error or self._told(error)
        self._bulletin.close()
        try:
            self._logbook.close()
            self._store.close()
        except BaseException as error:  # noqa: BLE001  # somebody waits
            self.error = self.error or self._told(error)
        finally:
            self.error = self.error or self._broken  # an error of the disk after the loop had ended
            if self.error is not None:
                self._journal.note("error", kind=type(self.error).__name__, text=str(self.error))
            for viewer in self._viewers:
                viewer.finish()
            self._journal.close()
            atexit.unregister(self._leave)
            self._ended.set()

    def _told(self, error: BaseException) -> SwathError:
        """Return an error for the user; a mistake of ours comes with a report."""
        if isinstance(error, SwathError) and type(error) is not SwathError:
            return error
        self._journal.trouble("loop", error)
        return reported(error, self.folder / FOLDER, self._driver, self._store.rows, self._journal.tail())

    def _leave(self) -> None:
        """Save what is finished, and end the slots, before the interpreter ends."""
        self.stop(Urgency.NOW)
        self.wait(LEAVING)

    def _append(self, made: Write | Record) -> None:
        if isinstance(made, Write):
            self._logbook.note(made.batch, made.reply)
        self._store.append(made)
        if not self._driver.places.flights:
            self._store.flush()  # nothing else will come that could share the commit

    def _watch(self, message: Event | Command) -> None:
        if self._broken is not None:
            raise self._broken
        if self._planner:
            self._planner.hear(message)
        with self._lock:
            try:
                self._progress.feed(message)
            except Exception as error:  # noqa: BLE001  # counting must not harm what is counted
                self._journal.trouble("progress", error)
        self._journal.take(message)
        self._page.see(message)

    # Other threads.

    def _recall_best(self) -> None:
        """Let the snapshot know what earlier sessions found; reading their rows must not keep the first point."""
        goal = self._definition.goal
        if goal and self._store.rows:
            best = self._store.saved.best(*goal)
            with self._lock:
                self._progress.improve(best)

    def _fail(self, error: SwathError) -> None:
        """Take in that nothing can be written any more; wakes the loop."""
        self._broken = error
        self._engine.post(Tick(self._engine.now()))

    def _mind_requests(self) -> None:
        self._recall_best()
        asked = ""
        while not self._ending.wait(STOP_POLL):
            self._bulletin.offer(lambda: self.snapshot)
            request = self._store.stop_request()
            if request and request != asked:
                asked = request
                self.stop(Urgency.NOW if request == "now" else Urgency.DRAIN)
