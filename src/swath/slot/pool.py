"""The slots of one worker process, shared by the batches that come to it.

A batch waits here until a slot is free, in the order in which they came. Until then it can be taken back whole, afterwards
what its slot has not begun: `recall` decides, at one place and under one lock, so nothing is given back and begun.

A slot that has evaluated a batch asks for the one that waits before it reads its reply, so that its child is not idle meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from swath.inside.crumb import ENDING, HERE, LIMIT, blank, end
from swath.inside.steps import steps_of
from swath.messages import Load
from swath.rates import History
from swath.slot import Slot, SlotBrokenError, cut_short, nothing
from swath.slot.meter import Stay
from swath.snapshot import GOOD, RECENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from swath.inside.steps import Said
    from swath.messages import Batch, Reply, Step
    from swath.objective import Signature
    from swath.space.ordering import Permutation
    from swath.task import Task

REMEMBERED = 1_000
"""Batches answered, for each slot, of which a pool still knows it: nobody takes so many seconds to recall one."""


class Evaluates(Protocol):
    """What a pool needs of a slot."""

    name: str
    hear: Callable[[int, tuple[Step, ...]], object]

    def open(self) -> Signature:
        """Return how the objective may be called."""

    def evaluate(self, batch: Batch, following: Callable[[], Batch | None]) -> Reply:
        """Evaluate a batch; ``following`` tells which comes next, once nothing of this one is left."""

    def take_back(self, batch: Batch) -> int:
        """Begin no further point of a running batch; return the first of those."""

    def prune(self, position: int) -> None:
        """Let a position of the running batch end at its next step."""

    def measure(self) -> Load:
        """Tell what it takes up, and where it is."""

    def close(self) -> None:
        """End."""


class Bare:
    """A slot without a child: points run in this process, for those who prefer speed to safety."""

    def __init__(self, task: Task, name: str) -> None:
        from swath.inside.evaluate import Evaluator  # noqa: PLC0415  # only where points run in this process

        self.name = name
        self.hear: Callable[[int, tuple[Step, ...]], object] = lambda *_: None
        self._crumb = blank()
        self._stay = Stay()
        self._evaluator = Evaluator(task, self._crumb)
        self._evaluator.between = lambda: self._closed
        self._closed = False

    def open(self) -> Signature:
        """Return how the objective may be called."""
        return self._evaluator.signature

    def evaluate(self, batch: Batch, following: Callable[[], Batch | None] = nothing) -> Reply:
        """Evaluate a batch; the next one comes when it is called with it."""
        del following
        if self._closed:
            raise SlotBrokenError(f"slot {self.name} is closed")
        self._evaluator.learn(batch.points)
        self._crumb[ENDING] = 0
        self._evaluator.recorder.sink = _Ear(partial(self.hear, batch.id))
        reply = self._evaluator.evaluate(batch.start, batch.stop, batch.budget, batch.limit)
        return replace(reply, slot=self.name)

    def take_back(self, batch: Batch) -> int:
        """Begin no further point of a running batch; return the first of those."""
        return cut_short(self._crumb, batch)

    def prune(self, position: int) -> None:
        """Let a position of the running batch end at its next step."""
        end(self._crumb, position)

    def measure(self) -> Load:
        """Tell where it is; what this process takes up is not its slots' alone."""
        return Load(self.name, None, None, *self._stay.look(self._crumb))

    def close(self) -> None:
        """Begin nothing more, and let what runs end at its next step; there is no child to be killed."""
        self._closed = True
        self._crumb[LIMIT] = 0
        end(self._crumb, self._crumb[HERE])


class _Ear:
    """Passes steps on, one by one."""

    def __init__(self, hear: Callable[[tuple[Step, ...]], object]) -> None:
        self._hear = hear

    def begin(self) -> None:
        """Do nothing."""

    def put(self, said: Said) -> None:
        """Pass on what is a step."""
        if steps := steps_of((said,)):
            self._hear(steps)


@dataclass(frozen=True, slots=True)
class _Door:
    """Where a batch waits: for a slot, or for None if it is given back."""

    batch: Batch
    opens: SimpleQueue[Evaluates | None]


class Pool:
    """Slots, and the batches that wait for them.

    Parameters
    ----------
    task : Task
        What to evaluate.
    worker : str
        The worker's name, for people.
    count : int
        Number of slots. Their children start at once, side by side.
    hear : callable, optional
        Is told, in any thread, what the points of a batch have recorded: its number and steps.

    Attributes
    ----------
    loads : tuple of Load
        What the slots took up when they were last looked at.
    at : tuple of (int, float) or None
        Of the points at which they were then, the index of the one that ran for longest, and for how many seconds.
    done, failed : int
        Points that were evaluated, and those of them that failed.
    steps : int
        Steps that were heard of, about.
    """

    def __init__(
        self,
        task: Task,
        worker: str,
        count: int,
        hear: Callable[[int, tuple[Step, ...]], object] = lambda *_: None,
    ) -> None:
        self.task = task
        self._lock = threading.Lock()
        self._waiting: dict[int, _Door] = {}  # by batch, in order
        self._running: dict[int, Evaluates] = {}
        self._given_back: set[int] = set()  # before they came
        self._answered: deque[int] = deque(maxlen=REMEMBERED * count)
        self._last = time.monotonic()
        self.loads: tuple[Load, ...] = ()
        self.at: tuple[int, float] | None = None
        self._order: Permutation | None = None
        self.done = self.failed = self.steps = 0
        self._hear = hear
        self._history = History(self._last, span=RECENT, gap=1.0)
        make = Slot if task.isolated else Bare
        self.slots: list[Evaluates] = []
        for number in range(count):
            self.slots.append(make(task, f"{worker}/{number}" if count > 1 else worker))
            self.slots[-1].hear = self._pass_on
        self._free = deque(self.slots)
        self._ahead: dict[Evaluates, _Door] = {}  # what slots have begun that nobody waits for yet

    def open(self) -> Signature:
        """Wait until the objective is imported; see `Slot.open` for what it raises."""
        return self.slots[0].open()

    def evaluate(self, batch: Batch) -> Reply | None:
        """Evaluate a batch once a slot is free; None if it was given back before it began."""
        slot = self._enter(batch)
        if slot is None:
            return None
        reply = None
        try:
            reply = slot.evaluate(batch, partial(self._following, slot))
        finally:
            with self._lock:
                del self._running[batch.id]
                self._answered.append(batch.id)
                self._last = time.monotonic()
                if reply is not None:
                    self._count(reply)
                door = self._ahead.pop(slot, None) or self._next(slot)
                if door is None:
                    self._free.append(slot)
            if door is not None:
                door.opens.put(slot)
        return reply

    def _enter(self, batch: Batch) -> Evaluates | None:
        """Wait for a slot; None if the batch is given back first."""
        with self._lock:
            if batch.id in self._given_back:
                self._given_back.discard(batch.id)
                return None
            if self._free:
                slot = self._running[batch.id] = self._free.popleft()
                return slot
            door = self._waiting[batch.id] = _Door(batch, SimpleQueue())
        return door.opens.get()

    def _next(self, slot: Evaluates) -> _Door | None:
        """Let a slot run what has waited for longest, if anything does; the lock must be held."""
        for door in self._waiting.values():
            del self._waiting[door.batch.id]
            self._running[door.batch.id] = slot
            return door
        return None

    def _following(self, slot: Evaluates) -> Batch | None:
        """Give a slot its next batch before whoever waits with it is told."""
        with self._lock:
            door = self._next(slot)
            if door is None:
                return None
            self._ahead[slot] = door
        return door.batch

    def _pass_on(self, batch_id: int, steps: tuple[Step, ...]) -> None:
        self.steps += len(steps)
        self._hear(batch_id, steps)

    def _count(self, reply: Reply) -> None:
        self.done += reply.rows
        self.failed += sum(b - a for status, ranges in reply.failed if status not in GOOD for a, b in ranges)
        self._history.add(self._last, 1, reply.rows, reply.rows)

    @property
    def rate(self) -> float | None:
        """Points per second, lately; None before the first batch."""
        with self._lock:
            slope = self._history.slope(time.monotonic(), RECENT)
        return slope and slope[1]

    def recall(self, batch: Batch) -> tuple[int, int]:
        """Give back the part [start, stop) of a batch that has not begun, and never begin it; it may be empty."""
        with self._lock:
            slot = self._running.get(batch.id)
            if slot is None and batch.id not in self._answered:
                if door := self._waiting.pop(batch.id, None):
                    door.opens.put(None)
                else:
                    self._given_back.add(batch.id)
                return batch.start, batch.stop
            # Under the lock, so that its slot does not go on to another batch.
            return slot.take_back(batch) if slot else batch.stop, batch.stop

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step; nothing happens if the batch is not running."""
        with self._lock:  # so that its slot has not begun another batch
            if slot := self._running.get(batch.id):
                slot.prune(position)

    def idle_seconds(self) -> float:
        """Tell how long there has been nothing to evaluate, in seconds."""
        with self._lock:
            return 0.0 if self._running or self._waiting else time.monotonic() - self._last

    def measure(self) -> tuple[Load, ...]:
        """Look at every slot, and remember it in `loads` and `at`; from one thread only."""
        self.loads = loads = tuple(slot.measure() for slot in self.slots)
        ages = [
            (load.age, load.position) for load in loads if load.position is not None and load.age is not None
        ]
        self.at = None
        if ages:
            age, position = max(ages)
            self.at = self._index(position), age
        return loads

    def _index(self, position: int) -> int:
        """Return the index of the point at a position."""
        space = self.task.space
        if self._order is None and space["order"] == "shuffle":
            from swath.space.ordering import arrangement  # noqa: PLC0415  # not before there is something to tell

            self._order = arrangement(space["order"], self.task.size, space["root"])
        if self._order is None:
            return position
        import numpy as np  # noqa: PLC0415  # a supervisor does without, where positions are indices

        return int(self._order.forward(np.array(position)))

    def close(self) -> None:
        """End every slot."""
        for slot in self.slots:
            slot.close()
