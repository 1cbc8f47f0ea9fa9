"""The quarantine: workers that keep failing get nothing more to do.

Theory of operation
-------------------
Two things are counted for every worker, by name, so that it cannot come back innocent by joining again:

*Falls*: it left, or a batch that it held was lost. `FALLS` of them within `WINDOW` seconds mean that it flaps.
It is left out for `SPELL` seconds, twice as long every further time, `LONGEST` at most. One cause may
fell many batches, and the worker with them; so a fall counts only if what fell had begun after the one before.

*Refusals*: a reply that is no answer to its batch. After `REFUSALS` of them nothing of it can be trusted,
and it is left out for good.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

FALLS = 5
WINDOW = 60.0
"""Seconds within which so many falls mean that a worker flaps."""

SPELL = 60.0
"""Seconds for which a worker is left out the first time."""

LONGEST = 3600.0
"""Seconds for which it is left out at most, if it only flaps."""

REFUSALS = 3
"""Replies refused after which a worker is left out for good."""


@dataclass(slots=True)
class _Record:
    falls: deque[float] = field(default_factory=lambda: deque(maxlen=FALLS))  # their times
    fell: int = -1  # the event of the last one
    refusals: int = 0
    spells: int = 0
    until: float = 0.0
    reason: str = ""


class Quarantine:
    """Remembers what workers did, and who is left out until when; times are seconds of the events' clock."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def holds(self, worker: str, now: float) -> bool:
        """Tell whether a worker gets nothing at this time."""
        return now < self.until(worker)

    def until(self, worker: str) -> float:
        """Say when a worker may work again; a time in the past if it may, infinite if it never will."""
        record = self._records.get(worker)
        return record.until if record else 0.0

    def reason(self, worker: str) -> str:
        """Say why a worker was left out last; empty if it never was."""
        record = self._records.get(worker)
        return record.reason if record else ""

    def fell(self, worker: str, begun: int, event: int, now: float, why: str) -> bool:
        """Count a fall; tell whether the worker is left out from now on.

        Parameters
        ----------
        worker : str
            Its name.
        begun, event : int
            Numbers of the events with which that which fell had begun, and with which it fell.
        now : float
            When it fell.
        why : str
            For people.
        """
        record = self._records.setdefault(worker, _Record())
        if begun < record.fell:
            return False
        record.fell = event
        record.falls.append(now)
        seconds = now - record.falls[0]
        if len(record.falls) < FALLS or seconds > WINDOW or now < record.until:
            return False
        record.falls.clear()
        record.reason = f"it failed {FALLS} times within {max(1.0, seconds):.0f} s; the last time: {why}"
        record.until = now + min(LONGEST, SPELL * 2**record.spells)
        record.spells += 1
        return True

    def refused(self, worker: str, why: str) -> bool:
        """Count a refused reply; tell whether the worker is left out from now on."""
        record = self._records.setdefault(worker, _Record())
        record.refusals += 1
        if record.refusals < REFUSALS or record.until == inf:
            return False
        record.until = inf
        record.reason = f"{REFUSALS} of its replies were refused; the last one: {why}"
        return True
