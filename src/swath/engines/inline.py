"""The engine for looking closely: every point runs here, in this thread, one after the other.

Debuggers, profilers and ``print`` work as in a plain loop; nothing protects this process from a point.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from swath.engines import Inbox
from swath.messages import Finished, Joined, Returned
from swath.slot.pool import Bare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.engines import Page
    from swath.messages import Batch, Event
    from swath.objective import Signature
    from swath.task import Task

WORKER = "inline"


class Inline:
    """One slot, in the thread that runs the loop."""

    dashboard = ""

    def __init__(self) -> None:
        self._inbox = Inbox()
        self.post = self._inbox.post
        self.now = self._inbox.now
        self._batches: deque[Batch] = deque()

    def open(self, task: Task) -> Signature:
        """Import the objective into this process."""
        self._slot = Bare(task, WORKER)
        self.post(Joined(self.now(), WORKER, 1))
        return self._slot.open()

    def publish(self, page: Page) -> None:
        """Do nothing: there is no server here."""
        del page

    def submit(self, batches: Sequence[Batch]) -> None:
        """Remember batches for `wait`."""
        self._batches += batches

    def recall(self, batch: Batch) -> None:
        """Give a batch back; whoever asks, none is running."""
        start = batch.stop
        if batch in self._batches:
            self._batches.remove(batch)
            start = batch.start
        self.post(Returned(self.now(), batch.id, start, batch.stop))

    def prune(self, batch: Batch, position: int) -> None:
        """Do nothing: whoever asks, none is running."""
        del batch, position

    def wait(self, timeout: float | None) -> list[Event]:
        """Return what was posted; if nothing was, evaluate the next batch."""
        events = self._inbox.wait(0 if self._batches else timeout)
        if events or not self._batches:
            return events
        batch = self._batches.popleft()
        reply = self._slot.evaluate(batch)
        return [Finished(self.now(), batch.id, reply)]

    def close(self) -> None:
        """Forget what waits."""
        self._batches.clear()
