"""The embedded cluster: a LocalCluster inside this process, a worker for each slot.

All that computes is in the slots' children, so no further processes are needed, and nothing listens outside
the loopback device. The children start before Dask is imported.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from swath.cluster.background import Background
from swath.cluster.clock import keep_steady
from swath.cluster.handshake import shortfall
from swath.cluster.worker import LOOK, POOLS, admit
from swath.errors import UsageError
from swath.messages import Measured, Noted
from swath.slot.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from distributed import LocalCluster, Scheduler, Worker
    from distributed.utils import LoopRunner

    from swath.engines import Page
    from swath.messages import Batch, Event, Step
    from swath.objective import Signature
    from swath.task import Task

QUIET = {
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.allowed-failures": 10,  # a death is the slot's business; Dask shall blame nobody
    "distributed.scheduler.work-stealing": False,  # the driver balances
    "distributed.scheduler.worker-saturation": float("inf"),  # the driver bounds what is in flight
    "distributed.scheduler.worker-ttl": None,  # measured by the wall clock; these cannot fall silent without us
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.profile.enabled": False,
}
"""Dask at rest costs a two-core machine up to a tenth of a core; with these about a hundredth."""

HOST = "127.0.0.1"
"""Where the pages are: they show parameters, so nobody at another machine gets to see them."""

THREADS = 2
"""Of an embedded worker: one batch runs, the next is already at the slot's door when it ends."""


ROUTES = "distributed.scheduler.http.routes"

PROXY = "distributed.http.proxy"
"""Pages of Dask that fetch others from workers. Ours have none, and this imports jupyter-server-proxy where that is installed."""


class Embedded:
    """A cluster of our own.

    Parameters
    ----------
    task : Task
        What to evaluate.
    run : str
        A name for this start of it that no other has.
    size : int
        Slots.
    hear : callable
        Is told what points have recorded: a batch's number and steps.

    Raises
    ------
    UsageError
        If this machine lacks what a point may use.
    """

    def __init__(
        self, task: Task, run: str, size: int, hear: Callable[[int, tuple[Step, ...]], object]
    ) -> None:
        if lacking := shortfall(task):
            raise UsageError(f"{lacking}; ask for less, or use a cluster that has it")
        self._run, self._size = run, size
        self.pools: dict[str, Pool] = {}
        self._workers: dict[str, Worker] = {}
        self._background: Background | None = None
        self._cluster: LocalCluster | None = None
        self._runner: LoopRunner | None = None
        self.client: Any = None  # a Client, once there is one
        self._closed = False
        self._over = threading.Event()
        self._follower: threading.Thread | None = None
        try:
            for number in range(size):
                self.pools[f"worker-{number}"] = Pool(task, f"worker-{number}", 1, hear)
            cluster = self._start()
            for (name, pool), worker in zip(self.pools.items(), cluster.workers.values(), strict=True):
                self._workers[name] = worker
                admit(worker, run, pool)
        except BaseException:
            self.close()
            raise

    def _start(self) -> LocalCluster:
        import dask  # noqa: PLC0415  # imported while the children start
        from distributed import Client, LocalCluster, Worker  # noqa: PLC0415
        from distributed.utils import LoopRunner  # noqa: PLC0415

        class Quiet(Worker):  # type: ignore[misc]  # distributed is not typed
            """A worker whose own pages are not loaded: LocalCluster asks for them as soon as it is told where."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **{**options, "dashboard": False})

        # Not what the environment or a file says: it could have modules loaded, or strangers let in.
        settings = {**dask.config.merge(*dask.config.defaults), **QUIET}
        routes = dask.config.get(ROUTES, config=settings)
        with dask.config.set({**settings, ROUTES: [route for route in routes if route != PROXY]}):
            self._runner = LoopRunner()
            self._runner.start()
            # Before anything runs on it: an hour that was noted by another clock may never come.
            keep_steady(self._runner.loop)
            self._cluster = LocalCluster(
                loop=self._runner.loop,
                n_workers=self._size,
                threads_per_worker=THREADS,
                processes=False,
                protocol="inproc://",
                worker_class=Quiet,
                dashboard_address=f"{HOST}:0",
                worker_dashboard_address=f"{HOST}:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                memory_limit=0,
            )
            self.client = Client(self._cluster, set_as_default=False)
        logging.getLogger("distributed.batched").addFilter(_is_news)
        self._background = Background(self.client.loop.asyncio_loop)
        return self._cluster

    def publish(self, page: Page) -> None:
        """Let Dask's dashboard be there, with a page of ours, for whoever asks for it."""
        assert self._cluster is not None  # noqa: S101
        scheduler = self._cluster.scheduler
        page.announce(HOST, scheduler.http_server.port, "/sweep")
        self.spawn(_show(scheduler, page))

    def open(self) -> Signature:
        """Wait until every slot has imported the objective, so that they begin together."""
        signatures = [pool.open() for pool in self.pools.values()]
        return signatures[0]

    def follow(self, post: Callable[[Event], None]) -> None:
        """Look at the slots from time to time, in a thread of its own, and tell what they take up."""
        self._follower = threading.Thread(target=self._look, args=(post,), name="swath-gauge", daemon=True)
        self._follower.start()

    def _look(self, post: Callable[[Event], None]) -> None:
        while not self._over.wait(LOOK):
            for name, pool in self.pools.items():
                try:
                    post(Measured(time.monotonic(), name, pool.measure()))
                except Exception as error:  # noqa: BLE001  # it is for people: nothing depends on it
                    post(Noted(time.monotonic(), f"{name}: what it takes up cannot be found out: {error!r}"))

    def address_of(self, worker: str) -> str | None:
        """Return a worker's address."""
        address: str = self._workers[worker].address
        return address

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on Dask's loop, until `close` at the latest."""
        assert self._background is not None  # noqa: S101
        self._background.spawn(coroutine)

    async def fetch(self, worker: str, future: Any) -> bytes:
        """Get a finished answer, from where the worker holds it: it is in this process."""
        answer: bytes = self._workers[worker].data[future.key]
        return answer

    def recall(self, batch: Batch, answer: Callable[[int, int], None]) -> None:
        """Take back what a slot has not begun of a batch."""
        answer(*self.pools[batch.worker].recall(batch))

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step."""
        self.pools[batch.worker].prune(batch, position)

    def severed(self, future: Any) -> bool:
        """Tell whether a future is none because the scheduler was lost; ours is in this process."""
        del future
        return False

    def lose(self, worker: str, reason: str) -> None:
        """Do nothing: a worker in this process forgets no run."""

    def close(self, futures: list[Any] | None = None) -> None:
        """End the slots and the cluster."""
        del futures  # they go with it
        if self._closed:
            return
        self._closed = True
        self._over.set()
        if self._follower is not None:
            self._follower.join(LOOK)
        if self._background is not None:
            self._background.close()
        for worker in self._workers.values():
            POOLS.pop((self._run, worker.address), None)
        for pool in self.pools.values():
            pool.close()
        for part in filter(None, (self.client, self._cluster)):
            with contextlib.suppress(Exception):
                part.close(timeout=5)
        if self._runner is not None:
            self._runner.stop()


async def _show(scheduler: Scheduler, page: Page) -> None:
    """Have the pages of a scheduler on its loop."""
    from swath.cluster.pages import Pages  # noqa: PLC0415  # Dask is imported while the children start

    Pages(scheduler, page.prepare, page.open)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of Dask's log is more than that a connection within this process has been closed: by us."""
    return "InProc" not in record.getMessage()
