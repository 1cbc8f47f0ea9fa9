"""What runs on a Dask worker: pools of slots, by run, and the calls that reach them.

Only bytes and text go in and come out, and nothing is raised: see `swath.engines.dask`. A pool ends with its run, or
once nothing has come for a while.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import asdict

from swath.messages import Batch
from swath.slot.pool import Pool
from swath.task import Task, pack

IDLE = 60.0
"""Seconds without a batch after which a worker ends its slots: the driver may be gone."""

BACK, LOST, UNKNOWN = b"B", b"L", b"U"
"""First byte of what a worker answers unless it is a reply: given back; lost, with the reason; never heard of this run."""

POOLS: dict[tuple[str, str], Pool] = {}
"""The pools of this process by run and worker address: an embedded cluster has many workers in it."""


def serve(address: str, run: str, fields: str) -> bytes:
    """Evaluate a batch on the worker that calls; never raises."""
    try:
        pool = POOLS.get((run, address))
        if pool is None:
            return UNKNOWN
        reply = pool.evaluate(Batch(**json.loads(fields)))
    except BaseException as error:  # noqa: BLE001  # nothing may cross Dask but bytes
        return LOST + f"{type(error).__name__}: {error}".encode(errors="replace")
    return BACK if reply is None else pack(reply)


async def greet(address: str, run: str, task: bytes, name: str, slots: int) -> str:
    """Make a pool for a run on the worker that calls; answer with the objective's signature, or an error."""
    known = (run, address)
    try:
        if known not in POOLS:
            POOLS[known] = await asyncio.to_thread(Pool, Task.decode(task), name, slots)
            threading.Thread(target=_end_when_idle, args=known, daemon=True).start()
        signature = await asyncio.to_thread(POOLS[known].open)
    except BaseException as error:  # noqa: BLE001  # nothing may cross Dask but text
        _forget(known)
        return json.dumps({"error": str(error) or repr(error)})
    return json.dumps(asdict(signature))


def recall(address: str, run: str, fields: str) -> str:
    """Give back what has not begun of a batch."""
    batch = Batch(**json.loads(fields))
    pool = POOLS.get((run, address))
    return json.dumps(pool.recall(batch) if pool else (batch.stop, batch.stop))


def forget(address: str, run: str) -> None:
    """End the pool of a run, in the background."""
    threading.Thread(target=_forget, args=((run, address),), daemon=True).start()


def _forget(known: tuple[str, str]) -> None:
    pool = POOLS.pop(known, None)
    if pool is not None:
        pool.close()


def _end_when_idle(run: str, address: str) -> None:
    """Watch a pool from a thread of its own; a driver that was killed says no farewell."""
    while (pool := POOLS.get((run, address))) is not None:
        if pool.idle_seconds() > IDLE:
            _forget((run, address))
        time.sleep(IDLE / 6)
