"""A slot: a supervised child process that evaluates, and the verdict when it dies.

Theory of operation
-------------------
The child is executed afresh (a fork of a process with threads would inherit their locks), leads a session
of its own and gets one message for every batch. Its parent is a keeper (see `swath.inside.keeper`), so neither it nor
anything that it starts outlives its slot, or the process that the slot is in.

Parent and child share two words of memory, the *crumb* (see `swath.inside.evaluate`). The parent looks at it to
enforce the time a point may take, to know who was running when the child died, and to take the untouched
rest of a batch back.

A death is no verdict. The suspect runs again, alone in a fresh child; only a second death makes its row.
Points that were finished before it in the same batch were lost with the child and run again: at most one
budget of work. A child that *we* killed, for time or memory, needs no second death.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swath.messages import Reply
from swath.slot.child import Child, Death
from swath.slot.place import Place, SlotBrokenError
from swath.slot.watch import HERE, LIMIT

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from swath.messages import Batch
    from swath.objective import Signature
    from swath.task import Task

__all__ = ["Slot", "SlotBrokenError", "cut_short"]


class Slot:
    """Room for one batch at a time; owns a child.

    Parameters
    ----------
    task : Task
        What to evaluate.
    name : str
        For people: ``worker/number``.

    Notes
    -----
    `evaluate` belongs to one thread at a time; `take_back` and `close` may be called from any other.
    """

    def __init__(self, task: Task, name: str) -> None:
        self.task = task
        self.name = name
        self._place = Place()
        self._closed = False
        self._running: Batch | None = None
        self._child = self._fresh()

    def _fresh(self) -> Child:
        if self._closed:
            raise SlotBrokenError(f"slot {self.name} is closed")
        return Child(self.task, self.name, self._place)

    def open(self) -> Signature:
        """Wait until the child has imported the objective.

        Raises
        ------
        ObjectiveError
            If it cannot be imported, ends its process, or takes longer than `IMPORT_TIMEOUT`.
        """
        return self._child.hello()

    def evaluate(self, batch: Batch) -> Reply:
        """Evaluate a batch; every death becomes rows.

        Raises
        ------
        SlotBrokenError
            If no child can be kept alive although no point is to blame.
        """
        self._running = batch
        try:
            reply = self._run(batch.start, batch.stop, batch.budget, batch.limit)
            if isinstance(reply, Death):
                reply = self._inquire(batch, reply)
        finally:
            self._running = None
            if self._closed:  # meanwhile, so that nobody else will end the newest child
                self._child.end()
        return replace(reply, slot=self.name)

    def take_back(self, batch: Batch) -> int:
        """Keep the child from beginning any further point of a running batch; return the first of those."""
        running = self._running
        if running is None or running.id != batch.id:
            return batch.stop
        return cut_short(self._child.crumb, batch)

    def close(self) -> None:
        """End the child, whatever it is doing; a thread in `evaluate` meets `SlotBrokenError`."""
        self._closed = True
        self._child.kill()
        if self._running is None:
            self._child.end()
        self._place.release()

    def _run(self, start: int, stop: int, budget: float, limit: int | None = None) -> Reply | Death:
        """Let the child evaluate; replace it if it dies."""
        self._child.hello()
        outcome = self._child.evaluate(start, stop, budget, limit)
        if isinstance(outcome, Death):
            self._child = self._fresh()
        return outcome

    def _inquire(self, batch: Batch, death: Death) -> Reply:
        """Find out who is guilty of a death, and keep what the others did."""
        replies: list[Reply] = []
        stop, blameless = batch.stop, 0
        outcome: Reply | Death = death
        while isinstance(outcome, Death):
            suspect = outcome.position
            if not batch.start <= suspect < stop:
                blameless += 1  # it died between points: nobody can be blamed
                if blameless > 2:  # twice may be bad luck
                    raise SlotBrokenError(f"slot {self.name}: {outcome.text}, outside any point")
                outcome = self._run(batch.start, stop, batch.budget, batch.limit)
                continue
            replies.append(self._judge(suspect, outcome))
            stop = suspect
            if stop == batch.start:
                break
            outcome = self._run(batch.start, stop, 4 * batch.budget)
        if isinstance(outcome, Reply):
            replies.append(outcome)
        return _merged(replies)

    def _judge(self, suspect: int, death: Death) -> Reply:
        if death.status == "crash":
            again = self._run(suspect, suspect + 1, 0.0)
            if isinstance(again, Reply):
                return again
            death = again if again.position == suspect else death
        from swath.inside.rows import verdict  # noqa: PLC0415  # pyarrow, which a supervisor may do without

        return verdict(self.task, suspect, death.status, death.text, death.started, death.seconds)


def cut_short(crumb: MutableSequence[int], batch: Batch) -> int:
    """Let whoever evaluates a batch end after the point it is at; return the first it will not begin."""
    here = crumb[HERE]
    if not batch.start <= here < batch.stop:
        return batch.stop
    crumb[LIMIT] = here + 1
    here = max(here, crumb[HERE])  # it may have gone on between our two looks
    crumb[LIMIT] = here + 1
    return min(here + 1, batch.stop)


def _merged(replies: list[Reply]) -> Reply:
    """Put the parts of a batch together, in the order of their positions."""
    parts = sorted(replies, key=lambda reply: reply.done)
    bests = [part.best for part in parts if part.best]
    complaints = {part.complaint for part in parts if part.failed}
    return Reply(
        done=tuple(piece for part in parts for piece in part.done),
        rows=sum(part.rows for part in parts),
        failed=tuple(item for part in parts for item in part.failed),
        seconds=sum(part.seconds for part in parts),
        payload=tuple(piece for part in parts for piece in part.payload),
        best=bests[0] if len(bests) == 1 else None,
        fatal=next((part.fatal for part in parts if part.fatal), ""),
        complaint=complaints.pop() if len(complaints) == 1 else "",
    )
