"""Waiting for the end of a sweep: in a thread, or in an event loop, which goes on with everything else meanwhile."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WAKE = 0.5
"""Seconds between two looks of an event loop that waits."""


class End(threading.Event):
    """An end, which comes once; also for coroutines."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def set(self) -> None:
        """Let it come."""
        with self._lock:  # whoever asks from now on finds that it has come
            super().set()
        for call in self._waiting:
            with suppress(RuntimeError):  # an event loop that is closed waits for nothing
                call()

    async def reached(self) -> None:
        """Wait for it without blocking the event loop."""
        import asyncio  # noqa: PLC0415  # only who awaits needs it

        loop = asyncio.get_running_loop()
        come = asyncio.Event()
        # Not in a thread of the loop's executor: an interpreter that ends would wait for that thread.
        self._once_come(lambda: loop.call_soon_threadsafe(come.set))
        while not come.is_set():
            # The loop of a notebook's kernel sees that a cell was interrupted only when something wakes it.
            with suppress(TimeoutError):
                await asyncio.wait_for(come.wait(), WAKE)

    def _once_come(self, call: Callable[[], object]) -> None:
        with self._lock:
            if not self.is_set():
                self._waiting.append(call)
                return
        call()
