"""Showing a sweep while it runs, without being able to harm it.

A `Viewer` calls a function in a thread of its own, and for the last time before anybody who waits for the end hears
of it: so what is shown last is how it ended, also where the place for it, such as the cell of a notebook, closes with
the wait. A function that raises is not called again; one that never returns is left behind.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 0.5  # seconds; twice a second looks alive, and costs nothing that could be felt
PATIENCE = 2.0  # seconds for which the end waits for a function that is still showing what was before


class Viewer:
    """Shows a sweep now and then, and its end.

    Parameters
    ----------
    show : callable
        Draws what is the case.
    trouble : callable
        Takes what ``show`` raises.
    """

    def __init__(self, show: Callable[[], None], trouble: Callable[[Exception], None]) -> None:
        self._show, self._trouble = show, trouble
        self._turn = threading.Lock()
        self._done = False

    def follow(self, ended: threading.Event) -> None:
        """Show until it has ended."""
        while not self._done and not ended.wait(INTERVAL):
            with self._turn:
                self._draw()
        self.finish()

    def finish(self) -> None:
        """Show for the last time."""
        if self._turn.acquire(timeout=PATIENCE):
            try:
                self._draw()
                self._done = True
            finally:
                self._turn.release()

    def _draw(self) -> None:
        if self._done:
            return
        try:
            self._show()
        except Exception as error:  # noqa: BLE001  # a view must not harm what it shows
            self._done = True
            self._trouble(error)
