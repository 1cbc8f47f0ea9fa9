"""A slot: a supervised child process that evaluates, and the verdict when it dies.

Theory of operation
-------------------
The child is executed afresh (a fork of a process with threads would inherit their locks), leads a session
of its own and gets one message for every batch. Its parent is a keeper (see `swath.inside.keeper`), so neither it nor
anything that it starts outlives its slot, or the process that the slot is in.

Parent and child share some words of memory, the *crumb* (see `swath.inside.crumb`). The parent looks at it to
enforce the time a point may take, to know who was running when the child died, and to take the untouched
rest of a batch back.

A death is no verdict. The suspect runs again, alone in a fresh child; only a second death makes its row.
Points that were finished before it in the same batch were lost with the child and run again: at most one
budget of work. Guilt is plain, and no second death needed, where *we* killed the child and nobody else can have been
the cause: for time, if no earlier point had left a thread or a process; for memory, if there was no earlier point.

A child in which points leave something behind is replaced between batches (see `swath.inside.wear`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swath.errors import ObjectiveError
from swath.inside.crumb import AFTER, HERE, LIMIT, end
from swath.messages import Reply, merge
from swath.slot.child import Child, Death
from swath.slot.meter import Meter
from swath.slot.place import Place, SlotBrokenError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from swath.messages import Batch, Load, Step
    from swath.objective import Signature
    from swath.task import Task

__all__ = ["Slot", "SlotBrokenError", "cut_short", "nothing"]

TRIES = 3
"""How often a child is started that does not come to import what an earlier one could."""


def nothing() -> None:
    """Know of no batch that follows."""


class Slot:
    """Room for one batch at a time; owns a child.

    Parameters
    ----------
    task : Task
        What to evaluate.
    name : str
        For people: ``worker/number``.

    Attributes
    ----------
    hear : callable
        Is told, in the thread that evaluates, what points have recorded: a batch's number and steps.

    Notes
    -----
    `evaluate` belongs to one thread at a time, `measure` to another; `take_back`, `prune` and `close` may be called from any.
    """

    def __init__(self, task: Task, name: str) -> None:
        self.task = task
        self.name = name
        self.hear: Callable[[int, tuple[Step, ...]], object] = lambda *_: None
        self._place = Place()
        self._closed = self._imported = self._decided = False
        self._running: Batch | None = None
        self._child = self._fresh()
        self._meter = Meter(name)

    def _fresh(self) -> Child:
        return Child(self.task, self.name, self._place, self._pass_on)

    def _must_be_open(self) -> None:
        """Raise if `close` was called; asked after there is something new that it may not have seen."""
        if self._closed:
            raise SlotBrokenError(f"slot {self.name} is closed")

    def _pass_on(self, steps: tuple[Step, ...]) -> None:
        if self._running is not None:
            self.hear(self._running.id, steps)

    def open(self) -> Signature:
        """Wait until the child has imported the objective.

        Raises
        ------
        ObjectiveError
            If it cannot be imported, ends its process, or takes longer than `IMPORT_TIMEOUT`.
        """
        signature = self._child.hello()
        self._imported = True
        return signature

    def evaluate(self, batch: Batch, following: Callable[[], Batch | None] = nothing) -> Reply:
        """Evaluate a batch; every death becomes rows.

        Parameters
        ----------
        batch : Batch
            The one that ``following`` gave in the call before, if it gave one.
        following : callable
            Asked at most once, when all points are evaluated, for the batch of the next call: its evaluation begins
            while this one's reply is still being read.

        Raises
        ------
        SlotBrokenError
            If no child can be kept alive although no point is to blame.
        """
        self._decided = False
        self._running = batch

        def go_on() -> Batch | None:
            if (later := following()) is not None:
                self._running = later
            return later

        try:
            self._must_be_open()
            outcome = self._run(batch, go_on)
            reply = self._inquire(batch, outcome) if isinstance(outcome, Death) else outcome
        finally:
            if self._running is batch:
                self._running = None
            if self._closed and self._running is None:  # so nobody else will end the newest child
                self._child.end()
        return replace(reply, slot=self.name)

    def take_back(self, batch: Batch) -> int:
        """Keep the child from beginning any further point of a running batch; return the first of those.

        Not while `evaluate` may go on to another batch: its caller sees to that.
        """
        running = self._running
        if running is None or running.id != batch.id:
            return batch.stop
        first = cut_short(self._child.crumb, batch)
        # Behind a part that runs again lies what is decided; the reply, which comes the sooner now, leaves out the rest.
        return batch.stop if self._decided else first

    def prune(self, position: int) -> None:
        """Let a position of the batch that is running end at its next step, if it still is the one being evaluated then."""
        end(self._child.crumb, position)

    def measure(self) -> Load:
        """Tell what the child and all that it has started take up, and where it is; from one thread only."""
        child = self._child
        return self._meter.read(child.process.pid, child.crumb)

    def close(self) -> None:
        """End the child, whatever it is doing; a thread in `evaluate` meets `SlotBrokenError`."""
        self._closed = True
        self._child.kill()
        if self._running is None:
            self._child.end()
        self._place.release()

    def _run(self, batch: Batch, following: Callable[[], Batch | None] = nothing) -> Reply | Death:
        """Let the child evaluate; replace it if it dies or is worn."""
        self._wait_for_child()
        outcome = self._child.evaluate(batch, following)
        if not self._child.is_ahead and (isinstance(outcome, Death) or self._child.is_worn()):
            self._replace_child()
        return outcome

    def _wait_for_child(self) -> None:
        """Wait until there is a child that has imported the objective; if one could, the next can."""
        for _ in range(TRIES):
            try:
                self._child.hello()
            except ObjectiveError as error:
                if not self._imported:
                    raise
                failure = str(error)
                self._replace_child()
            else:
                self._imported = True
                return
        raise SlotBrokenError(f"slot {self.name}: {failure}")

    def _replace_child(self) -> None:
        self._must_be_open()
        self._meter.change(self._child.process.pid)
        self._child.end()
        self._child = self._fresh()
        self._must_be_open()

    def _inquire(self, batch: Batch, death: Death) -> Reply:
        """Find out who is guilty of a death, and keep what the others did.

        The part of the batch before a suspect is evaluated again, without it. If the child dies between points,
        nobody is suspected; when that happens again, half of the points are given back to the driver, until one
        that is alone can be judged. What was taken back from a child that died is not evaluated again.
        """
        replies: list[Reply] = []
        start, stop, strays = batch.start, batch.stop, 0
        outcome: Reply | Death = death
        while isinstance(outcome, Death):
            stop = min(stop, outcome.limit)
            if is_suspect := start <= outcome.position < stop:
                replies.append(self._judge(batch, outcome))
                stop = outcome.position
            elif strays and stop - start == 1:
                replies.append(self._sentence(start, outcome))
                stop = start
            elif strays:
                stop = start + (stop - start) // 2
            strays += not is_suspect
            if stop == start:
                return merge(replies, self.task.goal)
            self._decided = bool(replies)
            outcome = self._run(replace(batch, start=start, stop=stop, budget=4 * batch.budget))
        return merge([*replies, outcome], self.task.goal)

    def _judge(self, batch: Batch, death: Death) -> Reply:
        """Let the suspect of a death run again, alone in a fresh child, unless its guilt is plain."""
        suspect = death.position
        if not death.plain:
            again = self._run(replace(batch, start=suspect, stop=suspect + 1, budget=0.0, limit=None))
            if isinstance(again, Reply):
                return again
            death = again
        return self._sentence(suspect, death)

    def _sentence(self, position: int, death: Death) -> Reply:
        """Make the row of a point whose child died while nobody else was there."""
        if death.position not in (position, AFTER):
            raise SlotBrokenError(f"slot {self.name}: {death.text}, before any point began")
        from swath.inside.rows import verdict  # noqa: PLC0415  # pyarrow, which a supervisor may do without

        reply = verdict(self.task, position, death.status, death.text, death.started, death.seconds)
        if death.steps and death.position == position:
            from swath.inside.steps import with_steps  # noqa: PLC0415

            reply = with_steps(reply, death.steps)
        return replace(reply, logs=tuple(log for log in death.logs if log.first <= position <= log.last))


def cut_short(crumb: MutableSequence[int], batch: Batch) -> int:
    """Let whoever evaluates a batch end after the point it is at; return the first it will not begin.

    Both say where they are before they look where the other is (Dekker's way), so no point is both begun and given back.
    """
    here = crumb[HERE]
    if not batch.start <= here < batch.stop:
        return batch.stop
    crumb[LIMIT] = here + 1
    now = crumb[HERE]  # it may have gone on meanwhile
    if now < here:
        return batch.stop  # it is through with all that it will do
    crumb[LIMIT] = now + 1
    return min(now + 1, batch.stop)
