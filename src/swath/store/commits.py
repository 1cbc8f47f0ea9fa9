"""Group commit: a thread that takes whatever is waiting and writes it in one go.

Theory of operation. The disk is slow and does not mind how much it is given; the loop must not wait for it. Replies
queue here, and one thread commits all that wait: at once when it has not written for `PAUSE`, otherwise when
that has passed, or `PLENTY` waits, or somebody is in a hurry. If the disk is slower than the sweep, `append` waits
once `ROOM` is taken, so memory stays bounded. The first error ends it; what waits then is dropped, for nothing may
be called durable after it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swath.messages import Write

PAUSE: Final = 0.5  # seconds between commits while little is waiting
PLENTY: Final = 8 << 20  # bytes waiting that are worth a commit at once
ROOM: Final = 64 << 20  # bytes that may wait for the disk before `append` does too


class Commits:
    """A queue of replies, and the thread that empties it.

    Parameters
    ----------
    commit : callable
        Makes replies durable and says so; called from the thread.
    failed : callable
        Is told what ``commit`` raised; it is not called again.
    """

    def __init__(
        self, commit: Callable[[Sequence[Write]], None], failed: Callable[[Exception], None]
    ) -> None:
        self._commit, self._failed = commit, failed
        self._changed = threading.Condition()
        self._waiting: deque[Write] = deque()
        self._bytes = 0  # that wait or are being written
        self._busy = 0  # replies, likewise
        self._due = 0.0  # monotonic seconds
        self._hurry = self._closing = self._ended = False
        self._thread = threading.Thread(target=self._run, name="swath-store", daemon=True)
        self._thread.start()

    def append(self, write: Write) -> None:
        """Queue a reply; waits while `ROOM` is taken."""
        size = _size(write)
        with self._changed:
            if self._closing:
                raise RuntimeError("the store takes rows between begin and close")
            self._changed.wait_for(lambda: not self._bytes or self._bytes + size <= ROOM or self._ended)
            if not self._ended:
                self._waiting.append(write)
                self._bytes += size
                self._busy += 1
                self._changed.notify_all()

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

    def _next(self) -> list[Write]:
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

    def _account(self, writes: Sequence[Write]) -> None:
        with self._changed:
            self._bytes -= sum(map(_size, writes))
            self._busy -= len(writes)
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()


def _size(write: Write) -> int:
    return sum(map(len, write.reply.payload))
