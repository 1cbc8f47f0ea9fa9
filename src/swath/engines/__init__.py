"""Engines carry batches to slots; the loop never asks which one it holds.

An engine reports through `wait`, and only there, so the loop has one place to listen. Whatever else
happens while it listens (the disk has caught up, a user wants to stop) is posted to the engine and comes
out of `wait` as well.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from swath.messages import Stepped

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from distributed import Client, Scheduler

    from swath.messages import Batch, Event, Step
    from swath.objective import Signature
    from swath.task import Task


class Page(Protocol):
    """A page about the sweep, which an engine may have a place for; none of these may hold up or harm what calls it."""

    def announce(self, host: str, port: int, path: str) -> None:
        """Take in where the page will be, on a server of this process."""

    def prepare(self) -> None:
        """Import what the page needs; in any thread."""

    def open(self, scheduler: Scheduler) -> None:
        """Put the page on the dashboard of a Dask scheduler in this process; on its loop."""

    def travel(self, client: Callable[[], Client]) -> Coroutine[Any, Any, None]:
        """Put the page on the scheduler of a client and keep it there until the sweep ends.

        ``client`` gives the one of now: it may be another one after the scheduler was lost.
        """


class Engine(Protocol):
    """What moves batches. Every method but `post` is called from the loop's thread only."""

    dashboard: str
    """Address of a page that shows the engine at work; empty where there is none."""

    def open(self, task: Task) -> Signature:
        """Make slots ready for a task; return how the objective may be called, as a slot found it.

        Raises
        ------
        ObjectiveError
            If the objective cannot be imported or is no function.
        ClusterLostError
            If no worker can be had.
        """

    def publish(self, page: Page) -> None:
        """Put a page about the sweep where there is a place for it, as long as the sweep lasts; after `open`."""

    def submit(self, batches: Sequence[Batch]) -> None:
        """Send batches, all to one worker; each ends in `Finished` or `Lost`, or its worker in `Left`."""

    def recall(self, batch: Batch) -> None:
        """Ask for what has not begun; answered by `Returned`."""

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step; nothing happens if it is not running any more."""

    def wait(self, timeout: float | None) -> list[Event]:
        """Return what happened, at the latest after ``timeout`` seconds; the list may be empty."""

    def post(self, event: Event) -> None:
        """Let an event come out of `wait`; from any thread."""

    def now(self) -> float:
        """Seconds on the clock that the engine's events bear."""

    def close(self) -> None:
        """End every slot and forget what was under way; a second call does nothing."""


class Inbox:
    """Events from many threads for one reader, on the monotonic clock of this process.

    Steps of a batch that come before the reader has looked are one event, so however many come, they are no flood of events.
    """

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._heard: dict[int, list[Step]] = {}
        self.now = time.monotonic
        self.post = self._events.put

    def hear(self, batch_id: int, steps: Sequence[Step]) -> None:
        """Let `Stepped` come out of `wait`; from any thread."""
        with self._lock:
            waiting = self._heard.setdefault(batch_id, [])
            waiting += steps
            first = len(waiting) == len(steps)
        if first:
            self.post(Stepped(self.now(), batch_id, ()))  # holds their place

    def wait(self, timeout: float | None) -> list[Event]:
        """Return all there is, or the first that comes within ``timeout`` seconds."""
        try:
            events = [self._events.get(timeout=timeout)]
        except queue.Empty:
            return []
        while True:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                return [self._filled(event) if isinstance(event, Stepped) else event for event in events]

    def _filled(self, event: Stepped) -> Stepped:
        """Put the steps in whose place was held; what was posted as a whole stays as it is."""
        if event.steps:
            return event
        with self._lock:
            return replace(event, steps=tuple(self._heard.pop(event.batch_id, ())))
