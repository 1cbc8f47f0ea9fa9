"""A sweep's live page, from the driver's side: made where the scheduler is, told how it goes, taken away at the end.

Theory of operation
-------------------
The engine says where a page can be put (`swath.engines.Page`). On a scheduler in this process the page reads the feed's
record itself, and nothing is made of it before somebody asks for it. To a scheduler elsewhere a plugin is sent as
text, and then, once a second, what is new; the answer says where the page is. An answer that is none means that the scheduler
has forgotten the plugin, because it was restarted, say, and it is sent again.

A page that cannot be shown is one line in the journal, whatever the reason.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from swath.views.live.feed import PERIOD, Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from distributed import Client, Scheduler

    from swath.definition import Definition
    from swath.messages import Command, Event
    from swath.snapshot import Snapshot
    from swath.views.live.feed import Earlier

PATIENCE = 10.0
"""Seconds for one answer of a scheduler."""

FAREWELL = 2.0
"""Seconds that the end of a sweep waits for a scheduler to take the page away."""

AWAY = 3.0
"""Seconds between two attempts to reach a scheduler that does not answer."""

SHARE, SELDOM = 10, 15.0
"""A scheduler is busy with a page for one part of its time out of so many, but told how it goes after so many seconds at most."""

LAST = 0.3
"""Seconds for the last state to reach a browser."""

AFTER = 0.3
"""Seconds after which a page is sent: a sweep that is over by then needs none."""


class Publication:
    """The page of one sweep.

    Parameters
    ----------
    definition : Definition
        What is run.
    snapshot : callable
        Gives the newest snapshot.
    about : mapping
        What people should know of the run: its folder and host.
    trouble : callable
        Takes a place in the code and what went wrong there.
    earlier : Earlier or None
        What was there before this session; None if nothing was.

    Attributes
    ----------
    link : str
        Of the page; empty where there is none, or not yet.
    """

    def __init__(
        self,
        definition: Definition,
        snapshot: Callable[[], Snapshot],
        about: Mapping[str, str],
        trouble: Callable[[str, BaseException], None],
        earlier: Earlier | None = None,
    ) -> None:
        self.link = ""
        self._trouble = trouble
        self._feed = Feed(definition, snapshot, about, trouble, earlier)
        self._announced: tuple[Any, ...] = ()
        self._begun = False
        self._travelling = False
        self._back = threading.Event()
        self._stage: Any = None
        self._due = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # The driver.

    def begin(self) -> None:
        """Begin to gather what is shown, if there is a place to show it."""
        if self.link or self._travelling:
            self._begun = True
            self._feed.begin()

    def see(self, message: Event | Command) -> None:
        """Look at what passes; takes next to no time."""
        if self._begun:
            self._feed.see(message)

    def end(self) -> None:
        """Show how it ended, and take the page away; waits a moment for a scheduler elsewhere."""
        if not self._begun:
            return
        self._begun = False
        self._feed.end()
        if self._travelling:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._due.set)
            self._back.wait(FAREWELL)
        elif self._stage is not None and self._loop is not None:
            done = threading.Event()
            self._loop.call_soon_threadsafe(self._close_stage, done)
            done.wait(FAREWELL)

    # A scheduler in this process; see `swath.engines.Page`.

    def announce(self, host: str, port: int, path: str) -> None:
        """Take in where the page will be."""
        from swath.views.live.address import link  # noqa: PLC0415  # needs Dask

        try:
            self.link = link(host, port, path)
        except (KeyError, ValueError, IndexError) as error:  # a template that cannot be filled
            self._trouble("link", error)
            self.link = f"http://{host}:{port}{path}"

    def prepare(self) -> None:
        """Import what the page needs; it takes a moment."""
        import swath.views.live.page  # noqa: F401, PLC0415  # a sweep that nobody watches needs none of it

    def open(self, scheduler: Scheduler) -> None:
        """Put the page on the dashboard of a scheduler in this process."""
        from swath.views.live.stage import Stage  # noqa: PLC0415  # as above

        self._loop = asyncio.get_running_loop()
        self._stage = Stage(scheduler, self._feed.record)
        self._stage.open()

    def _close_stage(self, done: threading.Event) -> None:
        try:
            self._stage.close()
        except Exception as error:  # noqa: BLE001  # watching must not harm what is watched
            self._trouble("page", error)
        # Who looks shall see how it ended, before the scheduler ends as well.
        asyncio.get_running_loop().call_later(LAST if self._stage.watched else 0, done.set)

    # A scheduler elsewhere.

    def travel(self, client: Callable[[], Client]) -> Coroutine[Any, Any, None]:
        """Put the page on the scheduler of a client, and keep it there until the sweep ends.

        Parameters
        ----------
        client : callable
            Gives the client of now; another one after the scheduler was lost.
        """
        self._travelling = True
        return self._travel(client)

    async def _travel(self, client: Callable[[], Client]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._pause(AFTER)
            await self._keep(client)
        except Exception as error:  # noqa: BLE001  # watching must not harm what is watched
            self._trouble("page", error)
        finally:
            self._back.set()

    async def _keep(self, client: Callable[[], Client]) -> None:
        name = f"swath-page-{uuid4().hex[:12]}"
        known = False  # to the scheduler
        while True:
            begun, over = time.monotonic(), self._feed.over
            try:
                if not known and not over:
                    await asyncio.wait_for(self._send(client(), name), PATIENCE)
                    self._feed.forget()
                answer = await asyncio.wait_for(self._tell(client(), name, over=over), PATIENCE)
            except Exception as error:
                gone = client().status != "running"  # then anything may be raised
                if not gone and not isinstance(error, OSError | TimeoutError):
                    raise
                answer = None  # it is gone, or has no time for us
            if over:
                return
            known = answer is not None
            if known:
                self._place(client(), answer)
            await self._pause(rest(time.monotonic() - begun) if known else AWAY)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the sweep."""
        self._due.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._due.wait(), seconds)

    async def _send(self, client: Client, name: str) -> None:
        """Send the plugin."""
        from swath.views.live.shipping import parcel  # noqa: PLC0415  # only for a scheduler elsewhere

        plugin = await asyncio.to_thread(parcel, name=name, client=client.id)
        await client.scheduler.register_scheduler_plugin(plugin=plugin, name=name, idempotent=True)

    async def _tell(self, client: Client, name: str, *, over: bool) -> Any:
        """Pass on what is new; None if the scheduler knows nothing of us."""
        words = await asyncio.to_thread(self._feed.fetch)
        return await getattr(client.scheduler, name)(words=words, over=over)

    def _place(self, client: Client, answer: Mapping[str, Any]) -> None:
        """Take in where the page is."""
        from swath.views.live.address import host_of  # noqa: PLC0415  # needs Dask

        if trouble := answer.get("trouble"):
            raise RuntimeError(trouble)
        place = host_of(answer["host"], client.scheduler.address), answer["port"], answer["path"]
        if answer["path"] and place != self._announced:
            self._announced = place
            self.announce(*place)


def rest(took: float) -> float:
    """Return for how many seconds a scheduler is left alone whose answer took so many: a page that stands still looks dead."""
    return min(max(PERIOD, SHARE * took), SELDOM)
