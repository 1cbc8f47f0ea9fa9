"""How steps get from a worker of another's cluster to the driver: a question that waits for its answer.

Theory of operation
-------------------
The driver asks a worker for what its points have recorded, with a call beside its tasks; the worker answers once there is
something, or after a while that there was nothing, and is asked again. So a step is on its way at once, and a worker at rest
costs a message every few seconds. Workers are only asked once a point of theirs has recorded something, which
their heartbeats tell, or from the beginning where steps decide.

Every answer has a number, and the next question says which answer has arrived. One that was lost on its way is given again,
so what is told of a point is always the beginning of its steps, without a gap. What a batch has recorded is
dropped when the batch ends, for its reply brings all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING

from swath.task import pack_steps, unpack_steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swath.messages import Step

PATIENCE = 10.0
"""Seconds after which a worker answers that there was nothing."""

HURRY = 1.0
"""The same, where more workers are to be asked than may be at a time."""

TOGETHER = 200
"""Workers that are asked at a time: every question holds a connection of the scheduler, of which there are 512."""

PAUSE = 1.0
"""Seconds before a worker is asked again that gave no answer."""


class Mailbox:
    """Steps of a worker's points, until the driver has them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: dict[int, list[Step]] = {}  # by batch
        self._sent: dict[int, list[Step]] = {}
        self._number = 0
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def hear(self, batch_id: int, steps: tuple[Step, ...]) -> None:
        """Take steps; from any thread."""
        with self._lock:
            self._fresh.setdefault(batch_id, []).extend(steps)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            loop, come = waiting
            with contextlib.suppress(RuntimeError):  # the worker ends
                loop.call_soon_threadsafe(come.set)

    def end(self, batch_id: int) -> None:
        """Drop what a batch has recorded; from any thread."""
        with self._lock:
            self._fresh.pop(batch_id, None)
            self._sent.pop(batch_id, None)

    async def take(self, arrived: int, patience: float) -> str:
        """Wait for steps, at most ``patience`` seconds; ``arrived`` is the number of the last answer that has."""
        come = asyncio.Event()
        with self._lock:
            if arrived == self._number:
                self._sent = {}
            if not (self._sent or self._fresh):
                self._waiting = asyncio.get_running_loop(), come
            else:
                come.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(come.wait(), patience)
        with self._lock:
            if not self._sent and self._fresh:
                self._sent, self._fresh = self._fresh, {}
                self._number += 1
            told = [(batch_id, pack_steps(steps)) for batch_id, steps in self._sent.items()]
            return json.dumps([self._number, told])


class Listener:
    """Asks workers for steps, on the driver's side.

    Parameters
    ----------
    ask : callable
        Puts a question to a worker: its address, the number of the last answer, and how long it may take, in seconds.
    hear : callable
        Is told a batch's number and steps.
    """

    def __init__(
        self,
        ask: Callable[[str, int, float], Awaitable[str]],
        hear: Callable[[int, tuple[Step, ...]], object],
    ) -> None:
        self._ask, self._hear = ask, hear
        self._together = asyncio.Semaphore(TOGETHER)
        self._asked = 0

    async def follow(self, address: str, is_there: Callable[[], bool]) -> None:
        """Listen to a worker as long as it is there."""
        number = 0
        self._asked += 1
        try:
            while is_there():
                try:
                    number = await self._listen(address, number)
                except Exception:  # noqa: BLE001  # whatever it is, the worker is gone or will answer again
                    await asyncio.sleep(PAUSE)
        finally:
            self._asked -= 1

    async def _listen(self, address: str, number: int) -> int:
        patience = PATIENCE if self._asked <= TOGETHER else HURRY
        async with self._together:
            said = await asyncio.wait_for(self._ask(address, number, patience), 3 * PATIENCE)
        number, told = json.loads(said)
        for batch_id, packed in told:
            self._hear(batch_id, unpack_steps(packed))
        return number
