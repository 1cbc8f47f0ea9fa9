"""The engine for looking closely: every point runs here, in this thread, one after the other.

Debuggers, profilers and ``print`` work as in a plain loop; nothing protects this process from a point.

Where steps decide whether points go on, the points run in a second thread, in lock step with this one: at each step a point
waits until the loop has heard of it and has done what follows. So whoever decides sees every step in time, and the
same sweep is ended at the same steps every time.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING

from swath.engines import Inbox
from swath.messages import Finished, Joined, Returned, Stepped, Tick
from swath.slot.pool import Bare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.engines import Page
    from swath.messages import Batch, Event, Step
    from swath.objective import Signature
    from swath.task import Task

WORKER = "inline"

PATIENCE = 5.0
"""Seconds that a point gets to come to its next step when the engine is closed."""


class Inline:
    """One slot, in the thread that runs the loop, or beside it where steps decide."""

    dashboard = ""

    def __init__(self) -> None:
        self._inbox = Inbox()
        self.post = self._inbox.post
        self.now = self._inbox.now
        self._batches: deque[Batch] = deque()
        self._companion: _Companion | None = None

    def open(self, task: Task) -> Signature:
        """Import the objective into this process."""
        self._slot = Bare(task, WORKER)
        if task.stepped:
            self._companion = _Companion(self._slot, self._inbox)
        self.post(Joined(self.now(), WORKER, 1))
        return self._slot.open()

    def publish(self, page: Page) -> None:
        """Do nothing: there is no server here."""
        del page

    def submit(self, batches: Sequence[Batch]) -> None:
        """Remember batches for `wait`."""
        self._batches += batches

    def recall(self, batch: Batch) -> None:
        """Give back what has not begun."""
        start = batch.stop
        if batch in self._batches:
            self._batches.remove(batch)
            start = batch.start
        elif self._companion and self._companion.running == batch:
            start = self._slot.take_back(batch)
        self.post(Returned(self.now(), batch.id, start, batch.stop))

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of the batch that is running end at its step; nothing happens if it is another one."""
        if self._companion and self._companion.running == batch:
            self._slot.prune(position)

    def wait(self, timeout: float | None) -> list[Event]:
        """Return what was posted; if nothing was, evaluate the next batch."""
        if self._companion:
            return self._companion.wait(timeout, self._batches)
        events = self._inbox.wait(0 if self._batches else timeout)
        if events or not self._batches:
            return events
        batch = self._batches.popleft()
        reply = self._slot.evaluate(batch)
        return [Finished(self.now(), batch.id, reply)]

    def close(self) -> None:
        """Forget what waits, and let a point that is at a step end there."""
        self._batches.clear()
        if self._companion:
            self._companion.close()


class _Companion:
    """A thread that evaluates, and goes on from a step only when it is told so.

    Parameters
    ----------
    slot : Bare
        Evaluates.
    inbox : Inbox
        Gets to know of steps and of what has finished.

    Attributes
    ----------
    running : Batch or None
        What is being evaluated, as far as the loop knows.
    """

    def __init__(self, slot: Bare, inbox: Inbox) -> None:
        self._slot, self._inbox = slot, inbox
        self._work: SimpleQueue[Batch | None] = SimpleQueue()
        self._go = threading.Semaphore(0)
        self._at_step = self._closed = False  # as far as the loop knows
        self._error: BaseException | None = None
        self.running: Batch | None = None
        slot.hear = self._hear
        self._thread = threading.Thread(target=self._live, name="swath-points", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None, batches: deque[Batch]) -> list[Event]:
        """Let it go on, or begin the next batch, and return what happens, at the latest after ``timeout`` seconds."""
        if self._at_step:
            self._at_step = False
            self._go.release()
        elif self.running is None and batches:
            self.running = batches.popleft()
            self._work.put(self.running)
        events = self._inbox.wait(timeout)
        if self._error is not None:
            raise self._error
        for event in events:
            self._at_step = self._at_step or isinstance(event, Stepped)
            if isinstance(event, Finished):
                self.running = None
        return events

    def close(self) -> None:
        """Let the point that is running end at its step, and the thread with it."""
        self._closed = True
        self._slot.close()
        self._go.release()
        self._work.put(None)
        self._thread.join(PATIENCE)

    def _hear(self, batch_id: int, steps: tuple[Step, ...]) -> None:
        if not self._closed:
            self._inbox.post(Stepped(self._inbox.now(), batch_id, steps))
            self._go.acquire()

    def _live(self) -> None:
        try:
            while (batch := self._work.get()) is not None:
                reply = self._slot.evaluate(batch)
                self._inbox.post(Finished(self._inbox.now(), batch.id, reply))
        except BaseException as error:  # noqa: BLE001  # a mistake of ours; the loop's thread reports it
            self._error = error
            self._inbox.post(Tick(self._inbox.now()))
