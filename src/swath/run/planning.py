"""Which positions open next, decided in a thread of its own: the loop never waits for who thinks about it.

Theory of operation
-------------------
A `Plan` looks at what became of points and says what is to be opened. It may take its time: an optimiser needs
milliseconds, a Gaussian process seconds. So the loop only drops what it hears into a queue, and counts (`Waiting`); the
thread `swath-search` takes it from there, opens what the plan wants, and posts it to the loop as `Opened`, in order.

A plan that fails ends the sweep as a request to stop does: points that are running are waited for and saved. The thread
ends with the sweep. If the plan is thinking then, it is left behind: what it finds is not used.
"""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from swath.errors import SwathError
from swath.messages import Durable, Joined, Left, Lost, Opened, Promote, StopAsked, Urgency, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from swath.messages import Command, Event, Ranges
    from swath.ranges import RangeSet
    from swath.snapshot import Replicates, Sampler

LEAVING = 2.0
"""Seconds for which the end of a sweep waits for a plan that is thinking."""


LAST = 30.0
"""Seconds for which an interpreter that ends waits for it."""


class Plan(Protocol):
    """Decides what opens; all of it in one thread, but `record` and `seen`."""

    def begin(self) -> None:
        """Take in what earlier sessions did."""

    def take(self, message: Event | Command) -> None:
        """Take in what happened."""

    def open(self) -> tuple[Ranges, bool] | None:
        """Return positions that open now, and whether they are the last; None: nothing, until more has happened."""

    def record(self) -> None:
        """Have made durable what must be so before any row of what has opened; called in the loop's thread."""

    def seen(self, waited: float | None) -> Sampler | Replicates:
        """Say how it goes, from any thread; ``waited`` is the share of time for which slots waited for it."""


@dataclass(slots=True)
class Waiting:
    """For how long slots have had nothing to do because nothing was open; times are in seconds.

    Attributes
    ----------
    pending : int
        Positions that are open and have no row yet.
    """

    pending: int
    over: bool = False  # nothing more will be opened, so nobody waits for it
    _slots: dict[str, int] = field(default_factory=dict)
    _now: float | None = None
    _idle: float = 0.0
    _room: float = 0.0

    def take(self, message: Event | Command, now: float) -> None:
        """Take in what happened at ``now``."""
        slots = sum(self._slots.values())
        if self._now is not None and not self.over:
            lasted = max(0.0, now - self._now)
            self._idle += lasted * max(0, slots - self.pending)
            self._room += lasted * slots
        self._now = now
        match message:
            case Joined():
                self._slots[message.worker] = message.slots
            case Left():
                self._slots.pop(message.worker, None)
            case Write():
                self.pending -= len(message.accepted)
            case Promote():
                self.pending += 1
            case Opened():
                self.pending += sum(stop - start for start, stop in message.ranges)
                self.over = self.over or message.last

    @property
    def share(self) -> float | None:
        """Share of the slots' time, from 0 to 1; None before there were slots."""
        return self._idle / self._room if self._room else None


class Planner:
    """Lets a plan open positions while a sweep runs.

    Parameters
    ----------
    plan : Plan
        Decides.
    opened : RangeSet
        Positions that are open when the sweep begins.
    pending : int
        How many of them have no row.
    todo : int
        How many positions have no row, as far as that is known: those included that are opened later.
    post : callable
        Takes events for the loop.
    now : callable
        The events' clock, in seconds.

    Attributes
    ----------
    opened, todo
        As given.
    error : SwathError or None
        Why the plan could not go on.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        opened: RangeSet,
        pending: int,
        todo: int,
        post: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self.opened, self.todo = opened, todo
        self.error: SwathError | None = None
        self._plan, self._post, self._now = plan, post, now
        self._waiting = Waiting(pending)
        self._heard: SimpleQueue[Event | Command | None] = SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="swath-search", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._plan.record()
        self._thread.start()

    def hear(self, message: Event | Command) -> None:
        """Take in what the loop was told, or does, in its thread; returns at once."""
        if isinstance(message, Joined | Left | Write | Lost | Durable | Promote | Opened):
            self._waiting.take(message, self._now())
            self._heard.put(message)
            if isinstance(message, Opened):
                self._plan.record()

    def seen(self) -> Sampler | Replicates:
        """Say how it goes."""
        return self._plan.seen(self._waiting.share)

    def end(self) -> None:
        """Open nothing more; again, it does nothing."""
        self._ended = True
        self._heard.put(None)
        if self._thread.is_alive():
            self._thread.join(LEAVING)
        if self._thread.is_alive():
            atexit.register(
                self._thread.join, LAST
            )  # an interpreter that ends under a library at work aborts

    def _work(self) -> None:
        try:
            self._plan.begin()
            while not self._open() and self._listen():
                pass
        except Exception as error:  # noqa: BLE001  # whoever waits for proposals must hear of it
            self.error = error if isinstance(error, SwathError) else _told(error)
            self._post(StopAsked(self._now(), Urgency.DRAIN, "the search cannot go on"))

    def _listen(self) -> bool:
        """Hand on what was heard, waiting for the first of it; tell whether the sweep goes on."""
        message = self._heard.get()
        while message is not None:
            self._plan.take(message)
            try:
                message = self._heard.get_nowait()
            except Empty:
                return not self._ended
        return False

    def _open(self) -> bool:
        """Open what is to be opened now; tell whether it was the last."""
        opening = self._plan.open()
        while opening is not None and not self._ended:
            ranges, last = opening
            self._post(Opened(self._now(), ranges, last))
            if last or not self._heard.empty():
                return last
            opening = self._plan.open()
        return False


def _told(error: Exception) -> SwathError:
    told = SwathError(
        f"the search failed: {type(error).__name__}: {error}; all rows so far are saved, and the same command goes on"
    )
    told.__cause__ = error
    return told
