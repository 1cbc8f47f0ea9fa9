"""What passes between the driver's process and a worker before it joins.

Theory of operation
-------------------
First the versions, with Dask's own question: nothing of ours is unpickled on a worker that may not understand it. Then
the task. A small one comes with the greeting; a heavy one before it, in pieces, to few workers at a time, because the
scheduler holds every message for a moment. The worker answers how its objective may be called, or what is wrong.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swath.cluster import calls
from swath.cluster.handshake import PACKAGES, misfit
from swath.errors import UsageError
from swath.objective import Signature

if TYPE_CHECKING:
    from distributed import Client

    from swath.task import Task

SMALL = 1 << 18
"""Bytes of a task that travel with the greeting."""

PIECE = 8 << 20
"""Bytes of a heavier one that travel in one message."""

HEAVIEST = 2 << 30
"""Bytes that a task may weigh."""

TOGETHER = 2
"""Workers to which pieces are on their way at a time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker said: how the objective may be called there, or why the worker cannot be used.

    ``guilty`` tells whether the reason is the objective rather than the worker; ``host`` is the name of its machine, and
    ``memory`` how many bytes its slots may hold together.
    """

    signature: Signature | None = None
    reason: str = ""
    guilty: bool = False
    host: str = ""
    memory: int | None = None


class Greeter:
    """Tells workers what is to be evaluated.

    Parameters
    ----------
    task : Task
        What to evaluate.
    run : str
        A name for this start of it that no other has.

    Raises
    ------
    UsageError
        If the task is too heavy.
    """

    def __init__(self, task: Task, run: str) -> None:
        self._objective, self._run, self._data = task.code.objective, run, task.encode()
        self._first: Signature | None = None
        self._together = asyncio.Semaphore(TOGETHER)
        if len(self._data) > HEAVIEST:
            raise UsageError(
                f"the code and constants of this sweep weigh {len(self._data):,} bytes, more than the {HEAVIEST:,} "
                "that are sent to a worker; keep large data in a file that workers can read, and pass its name"
            )

    async def greet(self, client: Client, name: str, address: str, slots: int) -> Answer:
        """Greet a worker; whatever keeps it from answering comes out as an exception."""
        if reason := await self._misfit(client, address):
            return Answer(reason=reason)
        data = self._data
        if len(data) > SMALL:
            async with self._together:
                for start in range(0, len(data), PIECE):
                    piece = data[start : start + PIECE]
                    if said := await calls.ask(client, "receive", address, self._run, piece, start):
                        return Answer(reason=json.loads(said)["error"])
            data = b""
        fields = json.loads(await calls.ask(client, "greet", address, self._run, data, name, slots))
        if "error" in fields:
            return Answer(reason=fields["error"], guilty=fields.get("objective", False))
        return self._recognise(fields)

    async def _misfit(self, client: Client, address: str) -> str:
        from distributed.versions import get_versions  # noqa: PLC0415  # Dask is here by now

        names = [name for name in PACKAGES if name != "python"]  # of which Dask tells unasked
        question = {"op": "versions", "packages": names}
        answers = await client.scheduler.broadcast(msg=question, workers=[address])
        return misfit(answers[address]["packages"], get_versions(names)["packages"])

    def _recognise(self, fields: dict[str, Any]) -> Answer:
        """Keep the first signature, and refuse another."""
        required, optional = tuple(fields["required"]), tuple(fields["optional"])
        signature = Signature(required, optional, fields["anything"], fields["place"])
        first = self._first = self._first or signature
        if (first.required, first.optional, first.anything) != (required, optional, signature.anything):
            return Answer(reason=f"its {self._objective} takes other arguments", guilty=True)
        return Answer(signature, host=fields["host"], memory=fields["memory"])
