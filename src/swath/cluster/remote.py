"""A Dask cluster that somebody else started: who is in it, who can be used, and how to reach it again.

Theory of operation
-------------------
One coroutine looks at the scheduler's list of workers every second. A worker that comes is greeted: its versions
are compared, it gets the task, and a child of its imports the objective. Then it
has *joined* (`swath.cluster.greeting`). What does not fit is *excluded*, by name and with the reason, and the sweep goes on with the others; if
nobody is left at the beginning, it ends. A worker that restarts has another address and is greeted anew.

A worker that is there but silent or paused for half a minute counts as gone, because nothing says when it will go on:
what it held runs elsewhere, and its late answers are dropped and counted. When it is heard again, it is greeted
again.

What running points record is asked for in a call beside the tasks (`swath.cluster.mailbox`), once a worker's heartbeat tells that
there is something, or from the beginning where steps decide; the word that ends a point goes the same way.

A scheduler that is gone takes every worker with it, at once. A client of ours is then made anew until one
gets through: Dask's own gives up after a while and lets its attempts grow apart. How long to wait for workers is the
driver's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from swath.cluster import calls
from swath.cluster.background import Background
from swath.cluster.connection import end, reach
from swath.cluster.greeting import Answer, Greeter
from swath.cluster.heartbeat import has_steps, loads_in
from swath.cluster.mailbox import Listener
from swath.errors import ClusterLostError, ObjectiveError, SwathError, UsageError
from swath.messages import Joined, Left, Measured, Noted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from distributed import Client

    from swath.engines import Page
    from swath.messages import Batch, Event, Step
    from swath.objective import Signature
    from swath.task import Task

POLL = 1.0
"""Seconds between two looks at which workers there are."""

MANY = 200
"""Workers beyond which these looks become rarer, as each costs the scheduler some microseconds for every worker."""

CONNECT_TIMEOUT = 20.0
"""Seconds to wait for a scheduler to answer."""

RETRY = 3.0
"""Seconds for one attempt to reach a scheduler that has gone."""

JOIN_TIMEOUT = 60.0
"""Seconds to wait for the first worker to be ready, unless told otherwise."""

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


class Remote:
    """The workers of a running scheduler.

    Parameters
    ----------
    where : str or distributed.Client
        The scheduler's address, or a client of the user's own, which is left as it was.
    task : Task
        What to evaluate.
    run : str
        A name for this start of it that no other has.
    post : callable
        Takes `Joined`, `Left` and `Noted`.
    hear : callable
        Is told what points have recorded: a batch's number and steps.
    release : callable
        Is told of a worker whose answers will not come any more.

    Raises
    ------
    ClusterLostError
        If no scheduler answers.
    UsageError
        If the address is none, or the task too heavy.
    """

    def __init__(
        self,
        where: str | Client,
        task: Task,
        run: str,
        *,
        post: Callable[[Event], None],
        hear: Callable[[int, tuple[Step, ...]], None],
        release: Callable[[str], None],
    ) -> None:
        self._isolated, self._run, self._stepwise = task.isolated, run, bool(task.stepped)
        self._greeter = Greeter(task, run)
        self._post, self._release = post, release
        self._listener = Listener(self._ask_for_steps, hear)
        self.members: dict[str, Member] = {}
        self._unanswered: dict[str, int] = {}  # greetings, by address
        self._changed = time.monotonic()
        self._first = threading.Event()
        self._hello: Signature | SwathError | None = None
        if isinstance(where, str):
            self.address, self._mine = where, True
            self._background = Background()
            self.client: Client = self._connect()
        elif where.asynchronous:
            raise UsageError(
                "client= must be a synchronous Client; make it with Client(..., asynchronous=False)"
            )
        else:
            self.address, self._mine = where.scheduler.address, False
            self._background = Background(where.loop.asyncio_loop)
            self.client = where

    def _connect(self) -> Client:
        try:
            return self._background.ask(reach(self.address, CONNECT_TIMEOUT))
        except (OSError, TimeoutError) as error:
            self._background.close()
            raise ClusterLostError(f"no Dask scheduler answers at {self.address}: {error}") from error
        except ValueError as error:
            self._background.close()
            raise UsageError(
                f"{self.address!r} is no scheduler's address; it looks like tcp://host:8786 ({error})"
            ) from error

    # For the engine; from any thread.

    def open(self, wait: float | None) -> Signature:
        """Wait until a worker is ready, at most ``wait`` seconds; return what it says of the objective.

        Raises
        ------
        ObjectiveError
            If no worker can import the objective.
        ClusterLostError
            If no worker can be used.
        """
        patience = JOIN_TIMEOUT if wait is None else wait
        self.spawn(self._follow())
        if not self._first.wait(patience):
            raise ClusterLostError(
                f"no worker of {self.address} was ready within {patience:g} s{self._troubles()}"
            )
        if isinstance(self._hello, SwathError):
            raise self._hello
        assert self._hello is not None  # noqa: S101
        return self._hello

    def address_of(self, worker: str) -> str | None:
        """Return the address of a worker that has joined."""
        member = self.members.get(worker)
        return member.address if member is not None and member.state == "joined" else None

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside, until `close` at the latest."""
        self._background.spawn(coroutine)

    def publish(self, page: Page) -> None:
        """Put a page on the scheduler's dashboard, and keep it there."""
        self.spawn(page.travel(lambda: self.client))

    def recall(self, batch: Batch, answer: Callable[[int, int], None]) -> None:
        """Ask a worker for what it has not begun of a batch."""
        self.spawn(self._recall(batch, answer))

    async def _recall(self, batch: Batch, answer: Callable[[int, int], None]) -> None:
        part = (batch.stop, batch.stop)
        with contextlib.suppress(Exception):  # no answer means that nothing can be had back
            address = self.members[batch.worker].address
            start, stop = json.loads(
                await calls.ask(self.client, "recall", address, self._run, json.dumps(asdict(batch)))
            )
            part = start, stop
        answer(*part)

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step."""
        self.spawn(self._prune(batch, position))

    async def _prune(self, batch: Batch, position: int) -> None:
        member, fields = self.members.get(batch.worker), json.dumps(asdict(batch))
        while member is not None and self.members.get(batch.worker) is member:
            with contextlib.suppress(
                Exception
            ):  # no answer: as long as the worker is there, it is told again
                await calls.ask(self.client, "prune", member.address, self._run, fields, position)
                return
            await asyncio.sleep(POLL)

    async def fetch(self, worker: str, future: Any) -> bytes:
        """Get a finished answer, alone: gathered with others it would wait for the slowest of their workers.

        Raises
        ------
        LookupError
            If Dask has it no more.
        """
        del worker  # the scheduler knows who has it
        answer = await future.client.scheduler.gather(keys=[future.key])
        if answer["status"] != "OK":
            raise LookupError("its worker is gone")
        data = answer["data"][future.key]
        return data if isinstance(data, bytes) else bytes(data)

    def severed(self, future: Any) -> bool:
        """Tell whether a future is none because the scheduler was lost, and with it whoever held the batch."""
        return future.client is not self.client or self.client.status != "running"

    def close(self, futures: list[Any]) -> None:
        """Let Dask forget what is under way and the workers end their slots; end what is ours."""
        self._background.close(self._farewell(futures))

    async def _farewell(self, futures: list[Any]) -> None:
        if self.client.status == "running":
            for future in futures:
                future.release()
            # One that is being greeted may not answer; one that is away does not listen, and its slots end by themselves.
            await asyncio.gather(self._dismiss("joined", 5.0), self._dismiss("greeted", 1.0))
        if self._mine:
            await end(self.client)

    async def _dismiss(self, state: str, patience: float) -> None:
        """Let the workers in a state end their slots, and wait so many seconds for their answers."""
        addresses = [member.address for member in self.members.values() if member.state == state]
        words = (calls.ask(self.client, "forget", address, self._run) for address in addresses)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*words, return_exceptions=True), patience)

    # Who is there; on the loop.

    async def _follow(self) -> None:
        """Greet workers that come, and report those that go, as long as the sweep lasts."""
        gone = False
        while True:
            there = await self._look()
            if there is None:
                if not gone:
                    self._lose_scheduler()
                await self._reconnect()
            else:
                if gone:
                    self._post(Noted(time.monotonic(), f"the scheduler at {self.address} is back"))
                try:
                    self._compare(there)
                except Exception as error:  # noqa: BLE001  # one odd answer must not end the following
                    self._post(Noted(time.monotonic(), f"the scheduler's list of workers is odd: {error!r}"))
                self._give_up()
            gone = there is None
            await asyncio.sleep(POLL * max(1.0, len(self.members) / MANY))

    async def _look(self) -> dict[str, Any] | None:
        """Return the scheduler's workers by address; None if it is gone."""
        if self.client.status != "running":
            return None
        with contextlib.suppress(Exception):
            answer = await asyncio.wait_for(self.client.scheduler.identity(n_workers=-1), SILENT)
            workers: dict[str, Any] = answer["workers"]
            return workers
        return None

    def _compare(self, there: dict[str, Any]) -> None:
        now = time.monotonic()
        for member in list(self.members.values()):
            if member.address not in there:
                self._drop(member)
            else:
                self._listen(member, there[member.address], now)
        known = {member.address for member in self.members.values()}
        for address, info in there.items():
            name = str(info["name"])
            if address not in known and name not in self.members and info["status"] == "running":
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
            self.spawn(self._listener.follow(member.address, lambda: self._is_there(member)))

    def _is_there(self, member: Member) -> bool:
        member.is_asked = self.members.get(member.name) is member and member.state == "joined"
        return member.is_asked

    async def _ask_for_steps(self, address: str, arrived: int, patience: float) -> str:
        return await calls.ask(self.client, "listen", address, self._run, arrived, patience)

    def _drop(self, member: Member, reason: str = "") -> None:
        """Forget a worker that is gone."""
        del self.members[member.name]
        self._changed = time.monotonic()
        if member.state in ("joined", "away"):
            self._release(member.name)
            self._post(Left(time.monotonic(), member.name, reason))

    def lose(self, worker: str, reason: str) -> None:
        """Forget a worker that has forgotten the run; it will be greeted again."""
        if member := self.members.get(worker):
            self._drop(member, reason)

    def _lose_scheduler(self) -> None:
        """Report every worker as gone."""
        self._post(Noted(time.monotonic(), f"the scheduler at {self.address} is gone; waiting for it"))
        for member in list(self.members.values()):
            self._drop(member, "the scheduler is gone")

    async def _reconnect(self) -> None:
        """Try once to reach a scheduler again; a client of the user's tries by itself."""
        if self._mine:
            await end(self.client)
            with contextlib.suppress(Exception):  # whatever it is, the next attempt may do
                self.client = await reach(self.address, RETRY)

    # Greetings; on the loop.

    def _greet(self, member: Member) -> None:
        member.state = "greeted"
        self.members[member.name] = member
        self._changed = time.monotonic()
        self.spawn(self._introduce(member))

    async def _introduce(self, member: Member) -> None:
        """Give a worker the task; it joins once a child of its has imported the objective."""
        try:
            answer = await self._greeter.greet(self.client, member.name, member.address, member.slots)
        except Exception as error:  # noqa: BLE001  # no answer: if the worker is still there, it is greeted again
            count = self._unanswered[member.address] = self._unanswered.get(member.address, 0) + 1
            member.reason = f"it does not answer: {error!r}"
            if self.members.get(member.name) is member and count < GREETINGS:
                self._drop(member)
                return
            answer = Answer(reason=member.reason)
        if self.members.get(member.name) is not member:
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

    def _give_up(self) -> None:
        """End the wait for a first worker once none of those that are there is of any use."""
        members = list(self.members.values())
        if self._first.is_set() or not members or any(member.state != "excluded" for member in members):
            return
        if time.monotonic() - self._changed < SETTLE:
            return
        shown = "\n".join(f"worker {member.name}: {member.reason}" for member in members[:3])
        more = f"\nand {len(members) - 3} more" if len(members) > 3 else ""
        if all(member.guilty for member in members):
            self._hello = ObjectiveError(shown + more)
        else:
            self._hello = ClusterLostError(f"no worker of {self.address} can be used\n{shown}{more}")
        self._first.set()

    def _note(self, member: Member, text: str) -> None:
        self._post(Noted(time.monotonic(), f"worker {member.name}: {text}"))

    def _troubles(self) -> str:
        return "".join(
            f"\nworker {member.name}: {member.reason or 'it has not answered yet'}"
            for member in list(self.members.values())[:3]
        )


def _quiet(status: str) -> str:
    return "paused, having too little memory," if status == "paused" else "silent"
