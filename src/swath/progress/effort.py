"""How busy slots are: the time that they spent on points, out of the time for which they were there.

A batch counts as running from the moment at which it is one of the first of its worker's queue, as many as the worker has
slots: slots take batches in order. While it runs, its time so far is counted; once it is answered, the seconds that
the slot says it took. The difference is the journey, which nobody worked.
"""

from __future__ import annotations

from collections import deque

GAP = 1.0
"""Marks are kept no closer than this, in seconds."""


class Effort:
    """The time of one worker's slots, up to any moment; all times in seconds of the events' clock.

    Parameters
    ----------
    now : float
        When the worker joined.
    slots : int
        Room for batches.
    span : float
        How far "lately" reaches back.
    """

    def __init__(self, now: float, slots: int, span: float) -> None:
        self.slots = 0
        self._span = span
        self._queue: dict[int, float | None] = {}  # batch id -> when it began
        self._waiting = 0  # of these
        self._began = 0.0  # sum over those that run
        self._spent = self._room = 0.0  # seconds that are over
        self._since = now  # from here on, there is this much room
        self._marks = deque([(now, 0.0, 0.0)])
        self.resize(now, slots)

    def resize(self, now: float, slots: int) -> None:
        """Take in that there are so many slots from now on; with none, nothing runs any more."""
        self._room += self.slots * (now - self._since)
        self._since, self.slots = now, slots
        if slots == 0:
            self.drop(now)
        self._begin(now)

    @property
    def held(self) -> int:
        """Batches that run or wait."""
        return len(self._queue)

    def add(self, now: float, batch: int) -> None:
        """Take in a batch that was sent."""
        self._queue[batch] = None
        self._waiting += 1
        self._begin(now)

    def end(self, now: float, batch: int, seconds: float | None = None) -> None:
        """Take in that a batch is over, after so many ``seconds``, else after the time that it ran."""
        if batch not in self._queue:
            return
        began = self._queue.pop(batch)
        if began is None:
            self._waiting -= 1
        else:
            self._began -= began
            self._spent += now - began if seconds is None else seconds
        self._begin(now)
        self.look(now)

    def drop(self, now: float) -> None:
        """Take in that nothing is expected of what was sent."""
        self._spent += self._running * now - self._began
        self._queue.clear()
        self._waiting, self._began = 0, 0.0

    def totals(self, now: float) -> tuple[float, float]:
        """Seconds spent on points, and seconds for which there were slots, up to now."""
        spent = self._spent + max(0.0, self._running * now - self._began)
        return spent, self._room + self.slots * (now - self._since)

    def lately(self, now: float) -> float | None:
        """Share of the slots' time that was spent on points; None if there was no time."""
        base = self._marks[0]
        for mark in self._marks:
            if mark[0] > now - self._span:
                break
            base = mark
        _, spent, room = base
        total_spent, total_room = self.totals(now)
        return share(total_spent - spent, total_room - room)

    def look(self, now: float) -> None:
        """Remember how it is now, so that `lately` can look back to it; to be called about once a second."""
        if now - self._marks[-1][0] >= GAP:
            self._marks.append((now, *self.totals(now)))
            while len(self._marks) > 2 and self._marks[1][0] <= now - self._span:
                self._marks.popleft()

    @property
    def _running(self) -> int:
        return len(self._queue) - self._waiting

    def _begin(self, now: float) -> None:
        """Let the first that wait run, as far as there is room."""
        if not self._waiting or self._running >= self.slots:
            return
        for batch, began in self._queue.items():
            if began is None:
                self._queue[batch] = now
                self._began += now
                self._waiting -= 1
                if not self._waiting or self._running >= self.slots:
                    return


def share(part: float, whole: float) -> float | None:
    """Return a share between 0 and 1; None of nothing."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else None
