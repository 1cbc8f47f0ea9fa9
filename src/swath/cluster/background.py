"""Coroutines beside the caller's thread: on a loop of our own, or on one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

TRIES, PAUSE = 6, 0.5
"""How often a coroutine is cancelled, and the seconds between: Python 3.11's ``wait_for`` may swallow a cancellation."""


class Background:
    """A loop, and the coroutines that we have running on it.

    Parameters
    ----------
    loop : asyncio loop or None
        Somebody else's that is running; without one, ours is started in a thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._thread: threading.Thread | None = None
        if loop is not None:
            self._loop = loop
            return
        begun = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(begun)), name="swath-cluster", daemon=True
        )
        self._thread.start()
        begun.wait()

    async def _live(self, begun: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        begun.set()
        await self._over.wait()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine, until `close` at the latest; from any thread."""
        if self._closed:
            coroutine.close()
        else:
            self._loop.call_soon_threadsafe(self._keep, coroutine)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ask(self, coroutine: Coroutine[Any, Any, Any], patience: float | None = None) -> Any:
        """Run a coroutine and wait for what it gives, at most ``patience`` seconds."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(patience)

    def close(self, last: Coroutine[Any, Any, None] | None = None, patience: float = 10.0) -> None:
        """Cancel what runs, run one last coroutine, and end the loop if it is ours; a second call does nothing."""
        if self._closed:
            if last is not None:
                last.close()
            return
        self._closed = True
        with contextlib.suppress(Exception):  # whatever keeps the last words from being said, we leave
            self.ask(self._finish(last), patience)
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(patience)
        if last is not None:
            with contextlib.suppress(RuntimeError, ValueError):  # it was said, or is being said still
                last.close()

    async def _finish(self, last: Coroutine[Any, Any, None] | None) -> None:
        for _ in range(TRIES):
            if not (tasks := list(self._tasks)):
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=PAUSE)
        if last is not None:
            await last
