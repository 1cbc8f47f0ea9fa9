"""The Dask engine: batches are delayed nodes, workers of any Dask cluster hold the slots.

Theory of operation
-------------------
*Embedded* (no scheduler named): a LocalCluster inside this process, one worker for each slot. All that
computes is in the slots' children, so no further processes are needed, and nothing listens outside the
loopback device. The children start before Dask is imported.

*Remote*: each worker that joins gets the task with a first call (`_greet`), makes a pool of as many slots
as it has threads, and is used once that call has answered. A worker that restarts under the same address
does not know the run any more, says so, and is greeted again.

The driver decides which worker takes a batch, so every node is pinned to one, and a recall asks that
worker: Dask could drop a node that waits but cannot know whether it has begun. What crosses Dask is bytes
in both directions, never an exception and never an object of ours, so that a scheduler needs nothing
installed and cannot hang on what an objective raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from swath.engines import Inbox
from swath.errors import ClusterLostError, ObjectiveError, SwathError, UsageError
from swath.messages import Batch, Finished, Joined, Left, Lost, Returned
from swath.objective import Signature
from swath.remote import BACK, POOLS, UNKNOWN
from swath.slot.pool import Pool
from swath.task import REPLY, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from distributed import Client, LocalCluster

    from swath.messages import Event
    from swath.task import Task

QUIET = {
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.allowed-failures": 10,  # a death is the slot's business; Dask shall blame nobody
    "distributed.scheduler.work-stealing": False,  # the driver balances
    "distributed.scheduler.worker-saturation": float("inf"),  # the driver bounds what is in flight
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.profile.enabled": False,
}
"""Dask at rest costs a two-core machine up to a tenth of a core; with these about a hundredth."""

THREADS = 2
"""Of an embedded worker: one batch runs, the next is already at the slot's door when it ends."""

DASHBOARD_AFTER = 60.0
"""Seconds before Dask's dashboard is loaded: its import takes a core for over a second, here a hundredth."""

POLL = 1.0
"""Seconds between two looks at which workers a remote scheduler has."""

CONNECT_TIMEOUT = 20.0
"""Seconds to wait for a scheduler to answer."""

JOIN_TIMEOUT = 60.0
"""Seconds to wait for the first worker of a remote scheduler to be ready."""


class Dask:
    """Carries batches to the workers of a Dask cluster.

    Parameters
    ----------
    workers : int or None
        Slots of the embedded cluster; as many as there are cores by default.
    scheduler : str or None
        Address of a running scheduler.
    client : distributed.Client or None
        A client of the user's own; it is left as it was.
    """

    def __init__(
        self, *, workers: int | None = None, scheduler: str | None = None, client: Client | None = None
    ) -> None:
        self.dashboard = ""
        self._inbox = Inbox()
        self.post, self.now, self.wait = self._inbox.post, self._inbox.now, self._inbox.wait
        self._size = workers or _cores()
        self._address = scheduler
        self._client: Client | None = client
        self._mine = client is None
        self._cluster: LocalCluster | None = None
        self._pools: dict[str, Pool] = {}  # of an embedded cluster, by worker
        self._futures: dict[int, tuple[str, Any]] = {}  # with the worker that holds the batch
        self._addresses: dict[str, str] = {}  # by worker; whatever leaves here is reported by Left
        self._trouble = ""
        self._background: list[Future[Any]] = []
        self._first: threading.Event = threading.Event()
        self._hello: Signature | SwathError | None = None
        self._closed = False

    # The engine's verbs.

    def open(self, task: Task) -> Signature:
        """Make slots ready; see `Engine.open`."""
        self._task = task
        self._run = (
            f"{task.run}-{uuid4().hex[:8]}"  # Dask remembers keys: a second start must not meet the first's
        )
        if self._client is None and self._address is None:
            return self._open_embedded(task)
        return self._open_remote(task)

    def submit(self, batches: Sequence[Batch]) -> None:
        """Send batches, all to one worker, as one delayed graph."""
        import dask  # noqa: PLC0415  # imported while the children start

        assert self._client is not None  # noqa: S101
        address = self._addresses.get(batches[0].worker)
        if address is None:
            return  # the worker has just gone: its Left is on the way and ends these too
        call = dask.delayed(_remote("serve"), pure=False)
        nodes = []
        for batch in batches:
            key = f"swath-{self._run}-{batch.id}-{batch.attempt}"
            with dask.annotate(priority=-batch.id):  # else Dask takes them in an order of its own
                nodes.append(call(self._run, json.dumps(asdict(batch)), dask_key_name=key))
        with dask.annotate(workers=[address], allow_other_workers=False, retries=0):
            futures = self._client.compute(nodes, optimize_graph=False)
        for batch, future in zip(batches, futures, strict=True):
            self._futures[batch.id] = batch.worker, future
            future.add_done_callback(lambda done, batch=batch: self._spawn(self._collect(batch, done)))

    def recall(self, batch: Batch) -> None:
        """Ask the worker for what has not begun."""
        if pool := self._pools.get(batch.worker):
            self._returned(batch, pool.recall(batch))
        else:
            self._spawn(self._recall(batch))

    def close(self) -> None:
        """End the slots, and the cluster if it is ours."""
        if self._closed:
            return
        self._closed = True
        for future in self._background:
            future.cancel()
        for name, pool in self._pools.items():
            POOLS.pop((self._run, self._addresses[name]), None)
            pool.close()
        client = self._client
        if client is not None and client.status == "running" and not self._pools:
            with contextlib.suppress(Exception):  # a cluster that is gone needs no farewell
                client.cancel([future for _, future in self._futures.values()])
                client.sync(self._farewell, callback_timeout=5)
        self._futures.clear()
        with contextlib.suppress(Exception):
            if client is not None and self._mine:
                client.close(timeout=5)
            if self._cluster is not None:
                self._cluster.close(timeout=5)

    # Embedded.

    def _open_embedded(self, task: Task) -> Signature:
        pools = [Pool(task, _name(number), 1) for number in range(self._size)]
        try:
            self._start_cluster()
            assert self._cluster is not None  # noqa: S101
            for number, worker in enumerate(self._cluster.workers.values()):
                self._addresses[_name(number)] = worker.address
                self._pools[_name(number)] = POOLS[self._run, worker.address] = pools[number]
            signatures = [pool.open() for pool in pools]  # all, so that they begin together
        except BaseException:
            for pool in pools:
                pool.close()
            raise
        for name in self._pools:
            self.post(Joined(self.now(), name, 1))
        return signatures[0]

    def _start_cluster(self) -> None:
        import dask  # noqa: PLC0415  # imported while the children start
        from distributed import Client, LocalCluster, Worker  # noqa: PLC0415

        class Quiet(Worker):  # type: ignore[misc]  # distributed is not typed
            """A worker whose own pages are not loaded: LocalCluster asks for them as soon as it is told where."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **{**options, "dashboard": False})

        with dask.config.set(QUIET):
            self._cluster = LocalCluster(
                n_workers=self._size,
                threads_per_worker=THREADS,
                processes=False,
                worker_class=Quiet,
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                memory_limit=0,
            )
            self._client = Client(self._cluster, set_as_default=False)
        self._spawn(self._load_dashboard())

    async def _load_dashboard(self) -> None:
        """Add Dask's pages to the scheduler's server, which listens already."""
        await asyncio.sleep(DASHBOARD_AFTER)
        assert self._cluster is not None  # noqa: S101
        scheduler = self._cluster.scheduler
        with contextlib.suppress(ImportError):
            pages = await asyncio.to_thread(
                __import__, "distributed.dashboard.scheduler", fromlist=["connect"]
            )
            pages.connect(scheduler.http_application, scheduler.http_server, scheduler, prefix="")
            self.dashboard = f"http://127.0.0.1:{scheduler.http_server.port}/status"

    # Remote.

    def _open_remote(self, task: Task) -> Signature:
        if self._client is None:
            self._client = _connect(str(self._address))
        elif self._client.asynchronous:
            raise UsageError(
                "client= must be a synchronous Client; make it with Client(..., asynchronous=False)"
            )
        self.dashboard = self._client.dashboard_link or ""
        self._spawn(self._follow_workers(task.encode()))
        if not self._first.wait(JOIN_TIMEOUT):
            raise ClusterLostError(
                f"no worker of {self._client.scheduler.address} was ready within {JOIN_TIMEOUT:g} s{self._trouble}"
            )
        if isinstance(self._hello, SwathError):
            raise self._hello
        assert self._hello is not None  # noqa: S101
        return self._hello

    async def _follow_workers(self, task: bytes) -> None:
        """Greet workers that come, and report those that go, as long as the sweep lasts."""
        assert self._client is not None  # noqa: S101
        while not self._closed:
            there: dict[str, Any] = {}
            with contextlib.suppress(Exception):  # a scheduler that is gone has no workers
                there = (await self._client.scheduler.identity(n_workers=-1))["workers"]
            for name, address in list(self._addresses.items()):
                if address not in there:
                    self._leave(name)
            for address in set(there) - set(self._addresses.values()):
                name = str(there[address]["name"])
                self._addresses[name] = address
                self._spawn(self._greet(name, address, there[address]["nthreads"], task))
            await asyncio.sleep(POLL)

    async def _greet(self, name: str, address: str, slots: int, task: bytes) -> None:
        """Give a worker the task; it joins once a child of its has imported the objective."""
        try:
            fields = json.loads(await self._call("greet", address, self._run, task, name, slots))
        except Exception as error:  # noqa: BLE001  # no answer: if the worker is still there, it is greeted again
            self._trouble = f"; worker {name}: {error!r}"
            if self._addresses.get(name) == address:
                self._leave(name)
            return
        if self._addresses.get(name) != address:
            return  # it has gone, and Left was posted
        if "error" in fields:
            self._hello = self._hello or ObjectiveError(f"worker {name}: {fields['error']}")
            self._first.set()
            return
        if not self._first.is_set():
            required, optional = tuple(fields["required"]), tuple(fields["optional"])
            self._hello = Signature(required, optional, fields["anything"], fields["place"])
        self.post(Joined(self.now(), name, slots))
        self._first.set()

    def _leave(self, name: str) -> None:
        """Report that a worker is gone, and let Dask forget what it held."""
        self._addresses.pop(name, None)
        for worker, future in list(self._futures.values()):
            if worker == name:
                future.release()
        self.post(Left(self.now(), name))

    async def _recall(self, batch: Batch) -> None:
        part = (batch.stop, batch.stop)
        with contextlib.suppress(Exception):  # no answer means that nothing can be had back
            address = self._addresses[batch.worker]
            start, stop = json.loads(
                await self._call("recall", address, self._run, json.dumps(asdict(batch)))
            )
            part = (start, stop)
        self._returned(batch, part)

    def _returned(self, batch: Batch, part: tuple[int, int]) -> None:
        self.post(Returned(self.now(), batch.id, *part))

    async def _call(self, name: str, address: str, *arguments: object) -> Any:
        """Call a function of `swath.remote` on a worker, beside whatever its threads are doing."""
        assert self._client is not None  # noqa: S101
        call = _beside(name)
        answers = await self._client._run(call, *arguments, workers=[address])  # noqa: SLF001  # the public one blocks the loop it runs on
        return answers[address]

    async def _farewell(self) -> None:
        """Let the workers end their slots."""
        for address in list(self._addresses.values()):
            with contextlib.suppress(Exception):  # a worker that is gone needs none
                await self._call("forget", address, self._run)

    # Answers.

    async def _collect(self, batch: Batch, future: Any) -> None:
        """Fetch an answer as soon as it is there, and let Dask forget it."""
        event: Event = Lost(self.now(), batch.id, f"Dask reports {future.status}")
        if future.status == "finished":
            with contextlib.suppress(Exception):
                assert self._client is not None  # noqa: S101
                (data,) = await self._client._gather([future], errors="raise", direct=bool(self._pools))  # noqa: SLF001
                event = self._event(batch, data if isinstance(data, bytes) else bytes(data))
        self._futures.pop(batch.id, None)
        future.release()
        if isinstance(event, Left):
            self._leave(batch.worker)  # it will be greeted again
        else:
            self.post(event)

    def _event(self, batch: Batch, data: bytes) -> Event:
        kind = data[:1]
        if kind == REPLY:
            return Finished(self.now(), batch.id, unpack(data))
        if kind == UNKNOWN:
            return Left(self.now(), batch.worker)
        if kind == BACK:
            return Returned(self.now(), batch.id, batch.start, batch.stop)
        return Lost(self.now(), batch.id, data[1:].decode())

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on Dask's loop."""
        if self._client is None or self._closed:
            coroutine.close()
            return
        future = asyncio.run_coroutine_threadsafe(coroutine, self._client.loop.asyncio_loop)
        self._background = [other for other in self._background if not other.done()]
        self._background.append(future)


def _connect(address: str) -> Client:
    from distributed import Client  # noqa: PLC0415  # imported only where a sweep runs on Dask

    try:
        return Client(address, set_as_default=False, timeout=CONNECT_TIMEOUT, name="swath")
    except (OSError, TimeoutError) as error:
        raise ClusterLostError(f"no Dask scheduler answers at {address}: {error}") from error
    except ValueError as error:
        raise UsageError(
            f"{address!r} is no scheduler's address; it looks like tcp://host:8786 ({error})"
        ) from error


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(number: int) -> str:
    return f"worker-{number}"


def _remote(name: str) -> Callable[..., Any]:
    """Name a function of `swath.remote` without naming it to Dask.

    A closure travels by value, so a scheduler that unpickles the graph needs no swath.
    """

    def call(*arguments: Any) -> Any:
        try:
            import importlib  # noqa: PLC0415  # this runs on the worker

            from distributed import get_worker  # noqa: PLC0415

            return getattr(importlib.import_module("swath.remote"), name)(get_worker().address, *arguments)
        except ImportError as error:
            return b"L" + f"swath cannot be imported on this worker: {error}".encode()

    return call


def _beside(name: str) -> Callable[..., Any]:
    """Name a function of `swath.remote` for a call that runs on a worker's loop, beside its threads; as `_remote`."""

    async def call(*arguments: Any, dask_worker: Any) -> Any:
        try:
            import importlib  # noqa: PLC0415  # this runs on the worker

            answer = getattr(importlib.import_module("swath.remote"), name)(dask_worker.address, *arguments)
            return await answer if hasattr(answer, "__await__") else answer
        except ImportError as error:
            return json.dumps({"error": f"swath cannot be imported there: {error}"})

    return call
