"""The Dask engine: batches are delayed nodes, workers of any Dask cluster hold the slots.

Theory of operation
-------------------
There are two kinds of cluster, behind the same few words: `swath.cluster.embedded` in this process, where no scheduler
is named, and `swath.cluster.remote`, which greets the workers of another. What comes here from them are workers that
joined or left; what goes to them are batches.

The driver decides which worker takes a batch, so every node is pinned to one, and a recall asks that
worker: Dask could drop a node that waits but cannot know whether it has begun. What crosses Dask is bytes
in both directions, never an exception and never an object of ours, so that a scheduler needs nothing
installed and cannot hang on what an objective raises.

A lost scheduler cancels every future at once. None of these is a lost batch: their workers are reported as gone.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from swath.cluster import calls
from swath.cluster.embedded import Embedded
from swath.cluster.handshake import cores, memory_of
from swath.cluster.remote import Remote
from swath.cluster.worker import BACK, UNKNOWN, key
from swath.engines import Inbox
from swath.messages import Batch, Finished, Joined, Lost, Returned
from swath.task import REPLY, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Client

    from swath.engines import Page
    from swath.messages import Event
    from swath.objective import Signature
    from swath.task import Task


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
    wait : float or None
        Seconds to wait for the first worker of a running scheduler.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        scheduler: str | None = None,
        client: Client | None = None,
        wait: float | None = None,
    ) -> None:
        self.dashboard = ""
        self._inbox = Inbox()
        self.post, self.now, self.wait = self._inbox.post, self._inbox.now, self._inbox.wait
        self._size = workers or cores()
        self._where = scheduler if client is None else client
        self._patience = wait
        self._cluster: Embedded | Remote | None = None
        self._futures: dict[int, tuple[str, Any]] = {}  # with the worker that holds the batch
        self._fetched: list[Any] = []  # futures that Dask may forget
        self._closed = False

    # The engine's verbs.

    def open(self, task: Task) -> Signature:
        """Make slots ready; see `Engine.open`."""
        # Dask remembers keys: a second start must not meet those of the first.
        self._run = f"{task.run}-{uuid4().hex[:8]}"
        if self._where is None:
            self._cluster = embedded = Embedded(task, self._run, self._size, self._inbox.hear)
            signature = embedded.open()
            host, memory = socket.gethostname(), memory_of(task, 1, None, self._size)
            for name in embedded.pools:
                self.post(Joined(self.now(), name, 1, host, memory))
            embedded.follow(self.post)
            return signature
        self._cluster = remote = Remote(
            self._where, task, self._run, post=self.post, hear=self._inbox.hear, release=self._release
        )
        self.dashboard = remote.client.dashboard_link or ""
        return remote.open(self._patience)

    def publish(self, page: Page) -> None:
        """Put a page on the scheduler's dashboard."""
        assert self._cluster is not None  # noqa: S101
        self._cluster.publish(page)

    def submit(self, batches: Sequence[Batch]) -> None:
        """Send batches, all to one worker, as one delayed graph."""
        import dask  # noqa: PLC0415  # imported while the children start

        cluster = self._cluster
        assert cluster is not None  # noqa: S101
        address = cluster.address_of(batches[0].worker)
        if address is None:
            return  # the worker has just gone: its Left is on the way and ends these too
        call = dask.delayed(calls.task("serve"), pure=False)
        nodes = []
        for batch in batches:
            with dask.annotate(priority=-batch.id):  # else Dask takes them in an order of its own
                nodes.append(call(self._run, json.dumps(asdict(batch)), dask_key_name=key(self._run, batch)))
        with dask.annotate(workers=[address], allow_other_workers=False, retries=0):
            futures = cluster.client.compute(nodes, optimize_graph=False)
        for batch, future in zip(batches, futures, strict=True):
            self._futures[batch.id] = batch.worker, future
            cluster.spawn(self._collect(batch, future))
        while (
            self._fetched
        ):  # not sooner: Dask's client sends something once in 10 ms, and batches are urgent
            self._fetched.pop().release()

    def recall(self, batch: Batch) -> None:
        """Ask the worker for what has not begun."""
        assert self._cluster is not None  # noqa: S101
        self._cluster.recall(
            batch, lambda start, stop: self.post(Returned(self.now(), batch.id, start, stop))
        )

    def prune(self, batch: Batch, position: int) -> None:
        """Let a point of a running batch end at its next step."""
        assert self._cluster is not None  # noqa: S101
        self._cluster.prune(batch, position)

    def close(self) -> None:
        """End the slots, and the cluster if it is ours."""
        if self._closed:
            return
        self._closed = True
        if self._cluster is not None:
            futures = [*self._fetched, *(future for _, future in self._futures.values())]
            self._futures.clear()
            self._cluster.close(futures)

    # What comes back.

    async def _collect(self, batch: Batch, future: Any) -> None:
        """Fetch an answer as soon as it is there; Dask may forget it then."""
        cluster = self._cluster
        assert cluster is not None  # noqa: S101
        while future.status == "pending":
            await future._state.wait()  # noqa: SLF001  # the public callback takes the way through a thread
        event: Event | None = Lost(self.now(), batch.id, f"Dask reports {future.status}")
        if future.status == "finished":
            try:
                event = self._event(batch, await cluster.fetch(batch.worker, future))
            except Exception as error:  # noqa: BLE001  # whatever it is, the batch is lost and no point to blame
                event = Lost(self.now(), batch.id, f"its answer did not come: {error!r}")
        forgotten = self._futures.pop(batch.id, None) is None
        self._fetched.append(future)
        if isinstance(event, Finished) or not (forgotten or cluster.severed(future)):
            if event is None:
                cluster.lose(batch.worker, "it had forgotten the sweep")
            else:
                self.post(event)

    def _event(self, batch: Batch, data: bytes) -> Event | None:
        """Put an answer into an event; None if the worker does not know the run."""
        kind = data[:1]
        if kind == REPLY:
            return Finished(self.now(), batch.id, unpack(data))
        if kind == UNKNOWN:
            return None
        if kind == BACK:
            return Returned(self.now(), batch.id, batch.start, batch.stop)
        return Lost(self.now(), batch.id, data[1:].decode())

    def _release(self, worker: str) -> None:
        """Let Dask forget what a worker held that is gone."""
        for batch_id, (holder, future) in list(self._futures.items()):
            if holder == worker:
                self._futures.pop(batch_id, None)
                future.release()
