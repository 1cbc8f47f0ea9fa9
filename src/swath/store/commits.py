"""Group commit: a thread that takes whatever is waiting and writes it in one go.

Theory of operation. The disk is slow and does not mind how much it is given; the loop must not wait for it. Replies
queue here, and one thread commits all that wait: at once when it has not written for `PAUSE`, otherwise when
that has passed, or `PLENTY` waits, or somebody is in a hurry. If the disk is slower than the sweep, whoever appends is
told to hold back once `ROOM` is taken, and to go on when half of it is free, so memory stays bounded; nobody is made
to wait here, for a loop that waits for a disk hears no Ctrl-C. The first error ends it; what waits then is dropped, for nothing may
be called durable after it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from swath.messages import Write
from swath.store.proposals import Proposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swath.store.intake import Item

PAUSE: Final = 0.5  # seconds between commits while little is waiting
PLENTY: Final = 8 << 20  # bytes waiting that are worth a commit at once
ROOM: Final = 64 << 20  # bytes that may wait for the disk before the sweep is held back
STEP: Final = 64  # bytes that a step is counted for, and each of its metrics


class Commits:
    """A queue of replies, and the thread that empties it.

    Parameters
    ----------
    commit : callable
        Makes replies durable and says so; called from the thread.
    failed : callable
        Is told what ``commit`` raised; it is not called again.
    crowded : callable
        Is told True when too much waits, and False when that is over.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], None],
        failed: Callable[[Exception], None],
        crowded: Callable[[bool], None],
    ) -> None:
        self._commit, self._failed, self._crowded = commit, failed, crowded
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._bytes = 0  # that wait or are being written
        self._busy = 0  # replies, likewise
        self._due = 0.0  # monotonic seconds
        self._hurry = self._full = self._closing = self._ended = False
        self._thread = threading.Thread(target=self._run, name="swath-store", daemon=True)
        self._thread.start()

    def append(self, item: Item) -> None:
        """Queue a reply, steps or proposals."""
        with self._changed:
            if self._closing:
                raise RuntimeError("the store takes rows between begin and close")
            if not self._ended:
                self._waiting.append(item)
                self._busy += 1
                self._weigh(_size(item))
                self._changed.notify_all()

    def _weigh(self, size: int) -> None:
        """Count bytes that wait, and say when there are too many."""
        self._bytes += size
        full = self._bytes > (ROOM // 2 if self._full else ROOM)
        if full != self._full:
            self._full = full
            self._crowded(full)

    def flush(self) -> None:
        """Have what is waiting written at once."""
        with self._changed:
            self._hurry = bool(self._waiting)
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until everything is written, or nothing can be."""
        self.flush()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy or self._ended)

    def close(self) -> None:
        """Write what is waiting and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while writes := self._next():
                self._commit(writes)
                self._account(writes)
        except Exception as error:  # noqa: BLE001  the thread must not end in silence
            self._failed(error)
        finally:
            self._end()

    def _next(self) -> list[Item]:
        """Wait for a reason to commit and take everything that waits; nothing when it is time to end."""
        with self._changed:
            while not self._is_time():
                self._changed.wait(max(0.0, self._due - time.monotonic()) if self._waiting else None)
            self._due = time.monotonic() + PAUSE
            self._hurry = False
            writes = list(self._waiting)
            self._waiting.clear()
            return writes

    def _is_time(self) -> bool:
        urgent = self._hurry or self._bytes >= PLENTY or time.monotonic() >= self._due
        return self._closing or (urgent and bool(self._waiting))

    def _account(self, writes: Sequence[Item]) -> None:
        with self._changed:
            self._busy -= len(writes)
            self._weigh(-sum(map(_size, writes)))
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()


def _size(item: Item) -> int:
    if isinstance(item, Write):
        return sum(map(len, item.reply.payload))
    if isinstance(item, Proposed):
        return sum(map(len, item.texts))
    return STEP * (len(item.steps) + sum(len(step.metrics) for step in item.steps))
