"""Who is in another's cluster, and who of them can be used.

Theory of operation
-------------------
A worker that comes is greeted: its versions are compared, it gets the task, and a child of its imports the objective. Then it
has *joined* (`swath.cluster.greeting`). What does not fit is *excluded*, by name and with the reason, and the sweep goes on with the others; if
nobody is left at the beginning, it ends. A worker that restarts has another address and is greeted anew.

A worker that is there but silent or paused for half a minute counts as gone, because nothing says when it will go on:
what it held runs elsewhere, and its late answers are dropped and counted. When it is heard again, it is greeted
again.

What running points record is asked for in a call beside the tasks (`swath.cluster.mailbox`), once a worker's heartbeat tells that
there is something, or from the beginning where steps decide.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from swath.cluster import calls
from swath.cluster.greeting import Answer, Greeter
from swath.cluster.heartbeat import has_steps, loads_in
from swath.cluster.mailbox import Listener
from swath.errors import ClusterLostError, ObjectiveError, SwathError
from swath.messages import Joined, Left, Measured, Noted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from distributed import Client

    from swath.messages import Event, Step
    from swath.objective import Signature
    from swath.task import Task

SETTLE = 1.0
"""Seconds for which every worker must have been excluded before a sweep gives up: others may be about to come."""

SILENT = 30.0
"""Seconds without a sign of life, or paused, after which a worker counts as gone."""

GREETINGS = 3
"""Greetings that may remain without an answer before a worker is excluded."""


@dataclass(slots=True)
class Member:
    """A worker of the cluster.

    Attributes
    ----------
    state : str
        ``greeted``: asked, not ready yet; ``joined``; ``excluded``: of no use; ``away``: there, but silent or paused.
    seen : float
        When the scheduler last heard of it, by the scheduler's clock: only a change of it means something.
    heard : float
        When we saw that change, in seconds of our monotonic clock.
    is_asked : bool
        Whether we listen to what its points record.
    """

    name: str
    address: str
    slots: int
    seen: float
    heard: float
    state: Literal["greeted", "joined", "excluded", "away"] = "greeted"
    reason: str = ""
    guilty: bool = False
    is_asked: bool = False


class Members:
    """The workers of a scheduler, as far as they were met; all but `first` happens on the loop.

    Parameters
    ----------
    scheduler : str
        Its address, for people.
    task : Task
        What to evaluate.
    run : str
        A name for this start of it that no other has.
    client : callable
        Gives the client through which workers are reached now.
    spawn : callable
        Runs a coroutine beside.
    post : callable
        Takes `Joined`, `Left`, `Measured` and `Noted`.
    hear : callable
        Is told what points have recorded: a batch's number and steps.
    release : callable
        Is told of a worker whose answers will not come any more.

    Attributes
    ----------
    known : dict of str to Member
        Those that are there, by name.

    Raises
    ------
    UsageError
        If the task is too heavy.
    """

    def __init__(
        self,
        scheduler: str,
        task: Task,
        run: str,
        *,
        client: Callable[[], Client],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        post: Callable[[Event], None],
        hear: Callable[[int, tuple[Step, ...]], None],
        release: Callable[[str], None],
    ) -> None:
        self._scheduler, self._run = scheduler, run
        self._isolated, self._stepwise = task.isolated, bool(task.stepped)
        self._greeter = Greeter(task, run)
        self._client, self._spawn, self._post, self._release = client, spawn, post, release
        self._listener = Listener(self._ask_for_steps, hear)
        self.known: dict[str, Member] = {}
        self._unanswered: dict[str, int] = {}  # greetings, by address
        self._changed = time.monotonic()
        self._first = threading.Event()
        self._hello: Signature | SwathError | None = None

    def first(self, patience: float) -> Signature:
        """Wait until a worker is ready, at most so many seconds; return what it says of the objective.

        Raises
        ------
        ObjectiveError
            If no worker can import the objective.
        ClusterLostError
            If no worker can be used.
        """
        if not self._first.wait(patience):
            raise ClusterLostError(
                f"no worker of {self._scheduler} was ready within {patience:g} s{self._troubles()}"
            )
        if isinstance(self._hello, SwathError):
            raise self._hello
        assert self._hello is not None  # noqa: S101
        return self._hello

    def address_of(self, worker: str) -> str | None:
        """Return the address of a worker that has joined."""
        member = self.known.get(worker)
        return member.address if member is not None and member.state == "joined" else None

    def compare(self, there: dict[str, Any]) -> None:
        """Greet workers that come, and report those that go; ``there`` is what the scheduler says of each, by address."""
        now = time.monotonic()
        for member in list(self.known.values()):
            if member.address not in there:
                self._drop(member)
            else:
                self._listen(member, there[member.address], now)
        known = {member.address for member in self.known.values()}
        for address, info in there.items():
            name = str(info["name"])
            if address not in known and name not in self.known and info["status"] == "running":
                self._greet(Member(name, address, info["nthreads"], info["last_seen"], now))

    def _listen(self, member: Member, info: dict[str, Any], now: float) -> None:
        """Take in a sign of life, or that there was none."""
        status = info["status"]
        if info["last_seen"] != member.seen and status == "running":
            member.seen, member.heard = info["last_seen"], now
            if member.state == "joined" and has_steps(info["metrics"], self._run):
                self._attend(member)
            if member.state == "joined" and (loads := loads_in(info["metrics"], self._run)):
                self._post(Measured(now, member.name, loads))
        silent = now - member.heard > SILENT and self._isolated  # else the objective may hold its loop
        if member.state == "joined" and (silent or status.startswith("clos")):
            reason = "it is being retired" if not silent else f"it was {_quiet(status)} for {SILENT:g} s"
            member.state = "away"
            if silent:
                self._note(member, f"{reason}; what it held runs elsewhere")
            self._post(Left(now, member.name, reason))  # its answers may still come: they are duplicates then
        elif member.state == "away" and status == "running" and not silent:
            self._greet(member)

    def _attend(self, member: Member) -> None:
        """Listen to what a worker's points record, from now on."""
        if not member.is_asked:
            member.is_asked = True
            self._spawn(self._listener.follow(member.address, lambda: self._is_there(member)))

    def _is_there(self, member: Member) -> bool:
        member.is_asked = self.known.get(member.name) is member and member.state == "joined"
        return member.is_asked

    async def _ask_for_steps(self, address: str, arrived: int, patience: float) -> str:
        return await calls.ask(self._client(), "listen", address, self._run, arrived, patience)

    def _drop(self, member: Member, reason: str = "") -> None:
        """Forget a worker that is gone."""
        del self.known[member.name]
        self._changed = time.monotonic()
        if member.state in ("joined", "away"):
            self._release(member.name)
            self._post(Left(time.monotonic(), member.name, reason))

    def lose(self, worker: str, reason: str) -> None:
        """Forget a worker that has forgotten the run; it will be greeted again."""
        if member := self.known.get(worker):
            self._drop(member, reason)

    def lose_all(self, reason: str) -> None:
        """Report every worker as gone."""
        for member in list(self.known.values()):
            self._drop(member, reason)

    def _greet(self, member: Member) -> None:
        member.state = "greeted"
        self.known[member.name] = member
        self._changed = time.monotonic()
        self._spawn(self._introduce(member))

    async def _introduce(self, member: Member) -> None:
        """Give a worker the task; it joins once a child of its has imported the objective."""
        try:
            answer = await self._greeter.greet(self._client(), member.name, member.address, member.slots)
        except Exception as error:  # noqa: BLE001  # no answer: if the worker is still there, it is greeted again
            count = self._unanswered[member.address] = self._unanswered.get(member.address, 0) + 1
            member.reason = f"it does not answer: {error!r}"
            if self.known.get(member.name) is member and count < GREETINGS:
                self._drop(member)
                return
            answer = Answer(reason=member.reason)
        if self.known.get(member.name) is not member:
            return  # it has gone meanwhile
        self._changed = time.monotonic()
        if answer.reason:
            member.state, member.reason, member.guilty = "excluded", answer.reason, answer.guilty
            self._note(member, f"not used: {answer.reason}")
            self._post(Left(time.monotonic(), member.name, answer.reason))
        else:
            member.state = "joined"
            self._hello = self._hello or answer.signature
            self._post(Joined(time.monotonic(), member.name, member.slots, answer.host, answer.memory))
            if self._stepwise:
                self._attend(member)
            self._first.set()

    def give_up(self) -> None:
        """End the wait for a first worker once none of those that are there is of any use."""
        members = list(self.known.values())
        if self._first.is_set() or not members or any(member.state != "excluded" for member in members):
            return
        if time.monotonic() - self._changed < SETTLE:
            return
        shown = "\n".join(f"worker {member.name}: {member.reason}" for member in members[:3])
        more = f"\nand {len(members) - 3} more" if len(members) > 3 else ""
        if all(member.guilty for member in members):
            self._hello = ObjectiveError(shown + more)
        else:
            self._hello = ClusterLostError(f"no worker of {self._scheduler} can be used\n{shown}{more}")
        self._first.set()

    def _note(self, member: Member, text: str) -> None:
        self._post(Noted(time.monotonic(), f"worker {member.name}: {text}"))

    def _troubles(self) -> str:
        return "".join(
            f"\nworker {member.name}: {member.reason or 'it has not answered yet'}"
            for member in list(self.known.values())[:3]
        )


def _quiet(status: str) -> str:
    return "paused, having too little memory," if status == "paused" else "silent"
