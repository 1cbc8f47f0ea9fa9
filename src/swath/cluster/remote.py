"""A Dask cluster that somebody else started: what is said to it, and how to reach it again.

Theory of operation
-------------------
One coroutine looks at the scheduler's list of workers every second; `swath.cluster.members` makes of it who has come and gone,
and who can be used. The words to a worker that are not batches, such as the one that ends a point, are calls beside the tasks.

A scheduler that is gone takes every worker with it, at once. A client of ours is then made anew until one
gets through: Dask's own gives up after a while and lets its attempts grow apart. How long to wait for workers is the
driver's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from swath.cluster import calls
from swath.cluster.background import Background
from swath.cluster.connection import end, reach
from swath.cluster.members import Members
from swath.errors import ClusterLostError, UsageError
from swath.messages import Noted

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

ANSWER = 30.0
"""Seconds after which a scheduler that does not say who is there counts as gone."""

RETRY = 3.0
"""Seconds for one attempt to reach a scheduler that has gone."""

JOIN_TIMEOUT = 60.0
"""Seconds to wait for the first worker to be ready, unless told otherwise."""


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
        Takes `Joined`, `Left`, `Measured` and `Noted`.
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
        self._mine = isinstance(where, str)
        if not isinstance(where, str) and where.asynchronous:
            raise UsageError(
                "client= must be a synchronous Client; make it with Client(..., asynchronous=False)"
            )
        self.address: str = where if isinstance(where, str) else where.scheduler.address
        self._run, self._post = run, post
        self._members = Members(
            self.address,
            task,
            run,
            client=lambda: self.client,
            spawn=self.spawn,
            post=post,
            hear=hear,
            release=release,
        )
        if isinstance(where, str):
            self._background = Background()
            self.client: Client = self._connect()
        else:
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
        self.spawn(self._follow())
        return self._members.first(JOIN_TIMEOUT if wait is None else wait)

    def address_of(self, worker: str) -> str | None:
        """Return the address of a worker that has joined."""
        return self._members.address_of(worker)

    def lose(self, worker: str, reason: str) -> None:
        """Forget a worker that has forgotten the run; it will be greeted again."""
        self._members.lose(worker, reason)

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
            address = self._members.known[batch.worker].address
            start, stop = json.loads(
                await calls.ask(self.client, "recall", address, self._run, json.dumps(asdict(batch)))
            )
            part = start, stop
        answer(*part)

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step."""
        self.spawn(self._prune(batch, position))

    async def _prune(self, batch: Batch, position: int) -> None:
        member, fields = self._members.known.get(batch.worker), json.dumps(asdict(batch))
        while member is not None and self._members.known.get(batch.worker) is member:
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
        addresses = [member.address for member in self._members.known.values() if member.state == state]
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
                    self._post(
                        Noted(time.monotonic(), f"the scheduler at {self.address} is gone; waiting for it")
                    )
                    self._members.lose_all("the scheduler is gone")
                await self._reconnect()
            else:
                if gone:
                    self._post(Noted(time.monotonic(), f"the scheduler at {self.address} is back"))
                try:
                    self._members.compare(there)
                except Exception as error:  # noqa: BLE001  # one odd answer must not end the following
                    self._post(Noted(time.monotonic(), f"the scheduler's list of workers is odd: {error!r}"))
                self._members.give_up()
            gone = there is None
            await asyncio.sleep(POLL * max(1.0, len(self._members.known) / MANY))

    async def _look(self) -> dict[str, Any] | None:
        """Return the scheduler's workers by address; None if it is gone."""
        if self.client.status != "running":
            return None
        with contextlib.suppress(Exception):
            answer = await asyncio.wait_for(self.client.scheduler.identity(n_workers=-1), ANSWER)
            workers: dict[str, Any] = answer["workers"]
            return workers
        return None

    async def _reconnect(self) -> None:
        """Try once to reach a scheduler again; a client of the user's tries by itself."""
        if self._mine:
            await end(self.client)
            with contextlib.suppress(Exception):  # whatever it is, the next attempt may do
                self.client = await reach(self.address, RETRY)
