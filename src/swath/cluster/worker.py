"""What runs on a Dask worker: pools of slots, by run, and the calls that reach them.

Theory of operation
-------------------
Only bytes and text go in and come out, and nothing is raised: see `swath.engines.dask`.

A pool ends with its run. A driver that was killed says no farewell, but the scheduler notices that its client is gone
and cancels what it had asked for; a batch that nobody waits for any more therefore ends the pool, within a
second. A pool without any batch ends after a while.

A large task comes in pieces, once for each worker, before the greeting.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from swath.cluster.handshake import memory_of, shortfall
from swath.cluster.heartbeat import OURS, metrics_of
from swath.cluster.mailbox import Mailbox
from swath.errors import ObjectiveError
from swath.messages import Batch
from swath.slot.pool import Pool
from swath.task import Task, pack

if TYPE_CHECKING:
    from distributed import Worker

IDLE = 60.0
"""Seconds without a batch after which a worker ends its slots: the driver may be gone."""

LOOK = 1.0
"""Seconds between two looks at whether somebody still waits for what runs."""

BACK, LOST, UNKNOWN = b"B", b"L", b"U"
"""First byte of what a worker answers unless it is a reply: given back; lost, with the reason; never heard of this run."""

Known = tuple[str, str]
"""A run and a worker's address: an embedded cluster has many workers in one process."""

POOLS: dict[Known, Pool] = {}
"""The pools of this process."""

BOXES: dict[Known, Mailbox] = {}
"""What the points of these have recorded, on its way to the driver."""

PIECES: dict[Known, list[bytes]] = {}
"""What has come of tasks that come in pieces."""


def key(run: str, batch: Batch) -> str:
    """Name a batch for Dask, which remembers names: none may come twice."""
    return f"swath-{run}-{batch.id}-{batch.attempt}"


def serve(worker: Worker, run: str, fields: str) -> bytes:
    """Evaluate a batch on the worker that calls; never raises."""
    try:
        pool = POOLS.get((run, worker.address))
        if pool is None:
            return UNKNOWN
        batch = Batch(**json.loads(fields))
        reply = pool.evaluate(batch)
        if box := BOXES.get((run, worker.address)):
            box.end(batch.id)
    except BaseException as error:  # noqa: BLE001  # nothing may cross Dask but bytes
        return LOST + f"{type(error).__name__}: {error}".encode(errors="replace")
    return BACK if reply is None else pack(reply)


def receive(worker: Worker, run: str, piece: bytes, start: int) -> str:
    """Take a piece of a heavy task; the first one begins it anew."""
    pieces = PIECES.setdefault((run, worker.address), [])
    if start == 0:
        pieces.clear()
    pieces.append(piece)
    return ""


async def greet(worker: Worker, run: str, task: bytes, name: str, slots: int) -> str:
    """Make a pool for a run on the worker that calls; answer with the objective's signature, or why it cannot be used."""
    known = (run, worker.address)
    sent = b"".join((*PIECES.pop(known, ()), task))
    try:
        if known not in POOLS:
            decoded = Task.decode(sent)
            if lacking := shortfall(decoded):
                return json.dumps({"error": lacking})
            box = BOXES[known] = Mailbox()
            await asyncio.to_thread(decoded.code.verify)
            admit(worker, run, await asyncio.to_thread(Pool, decoded, name, slots, box.hear))
            if known not in BOXES:
                _forget(known, worker)
                return json.dumps({"error": "the run has ended meanwhile"})
            threading.Thread(target=_mind, args=(worker, *known), daemon=True).start()
        signature = await asyncio.to_thread(POOLS[known].open)
    except BaseException as error:  # noqa: BLE001  # nothing may cross Dask but text
        _forget(known, worker)
        guilty = isinstance(error, ObjectiveError)
        return json.dumps({"error": str(error) or repr(error), "objective": guilty})
    memory = memory_of(POOLS[known].task, slots, getattr(worker.memory_manager, "memory_limit", None))
    return json.dumps({**asdict(signature), "host": socket.gethostname(), "memory": memory})


def admit(worker: Worker, run: str, pool: Pool) -> None:
    """Remember a pool, and let the worker's heartbeats tell of it."""
    address = worker.address
    POOLS[run, address] = pool

    def pools() -> dict[str, Pool]:
        return {run: pool for (run, where), pool in list(POOLS.items()) if where == address}

    worker.metrics.update(metrics_of(pools))


def recall(worker: Worker, run: str, fields: str) -> str:
    """Give back what has not begun of a batch."""
    batch = Batch(**json.loads(fields))
    pool = POOLS.get((run, worker.address))
    return json.dumps(pool.recall(batch) if pool else (batch.stop, batch.stop))


async def listen(worker: Worker, run: str, arrived: int, patience: float) -> str:
    """Give what points have recorded once there is something, at the latest after ``patience`` seconds."""
    box = BOXES.get((run, worker.address))
    return await box.take(arrived, patience) if box else ""


def prune(worker: Worker, run: str, fields: str, position: int) -> str:
    """Let a point of a running batch end at its next step."""
    if pool := POOLS.get((run, worker.address)):
        pool.prune(Batch(**json.loads(fields)), position)
    return ""


def forget(worker: Worker, run: str) -> None:
    """End the pool of a run, in the background, also one that is only being made."""
    PIECES.pop((run, worker.address), None)
    threading.Thread(target=_forget, args=((run, worker.address), worker), daemon=True).start()


def _forget(known: Known, worker: Worker | None = None) -> None:
    BOXES.pop(known, None)  # first: whoever makes a pool puts it there, and then looks for its box
    pool = POOLS.pop(known, None)
    if pool is not None:
        pool.close()
    if worker is not None and known[1] not in {address for _, address in POOLS}:
        for name in [name for name in worker.metrics if name.startswith(OURS)]:
            worker.metrics.pop(name, None)


def _mind(worker: Worker, run: str, address: str) -> None:
    """Watch a pool from a thread of its own, and end it when nobody wants it any more."""
    while (pool := POOLS.get((run, address))) is not None:
        if pool.idle_seconds() > IDLE or _abandoned(worker, f"swath-{run}-"):
            _forget((run, address), worker)
        with contextlib.suppress(Exception):  # for people; the rest of this thread's work is not
            pool.measure()
        time.sleep(LOOK)


def _abandoned(worker: Worker, prefix: str) -> bool:
    """Tell whether a task of a run is running although it was cancelled."""
    states = [task.state for name, task in list(worker.state.tasks.items()) if str(name).startswith(prefix)]
    return "cancelled" in states
