"""The scheduler's end of the live page: puts it on Dask's dashboard, and takes it away again.

Theory of operation
-------------------
A scheduler's web server asks a list of applications for each path; Dask's pages are one of them, and a `Stage` adds
another, with the page under a path of one segment, because all links of Dask's navigation bar are relative. The list of
tabs is shared by all of Dask's pages, so one entry more is a tab on each. A second sweep on the same scheduler finds the
name taken and gets ``sweep-2``: two drivers may have different versions of swath, so they share nothing.

JupyterLab's extension lists the pages of the first application only; that one route is wrapped, and asks all of them.

When the sweep ends, path and tab go at once; whoever looks at the page keeps its last state, and the application lives on
until the last of them has left. A driver that was killed says nothing: its client is gone, or nothing is heard for
`SILENT` seconds, and then the stage closes as well.

This module runs in the scheduler's process, where nothing of ours need be installed: see `swath.views.live.shipping`.
"""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from distributed import SchedulerPlugin

from swath.views.live.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Scheduler

TAB = "sweep"
"""Path and name of the tab; with a number behind if it is taken."""

SILENT = 30.0
"""Seconds without a word from the driver after which it counts as gone."""

LOOK = 2.0
"""Seconds between two looks whether the driver is there, or a viewer of a page that has ended."""

LINGER = 3600.0
"""Seconds for which a page that has ended stays with whoever has it open."""


class Stage:
    """The pages of one sweep on one scheduler; to be used on the scheduler's loop.

    Parameters
    ----------
    scheduler : Scheduler
        Whose dashboard.
    record : Record
        What to show.

    Attributes
    ----------
    path : str
        Of the page, from the server's root; empty while it is not there.
    ended : bool
        Whether the sweep is over, so that nothing will change any more.
    """

    def __init__(self, scheduler: Scheduler, record: Record) -> None:
        self.scheduler, self.record = scheduler, record
        self.path = ""
        self.ended = False
        self._app: Any = None
        self._tab = ""
        self._rules: list[Any] = []
        self._views: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # by document

    def prepare(self) -> None:
        """Import what the page needs; in any thread.

        Raises
        ------
        ImportError
            There is no Bokeh.
        """
        import distributed.dashboard.scheduler  # noqa: F401, PLC0415  # not before somebody may look

        import swath.views.live.page  # noqa: F401, PLC0415  # as above

    def open(self) -> None:
        """Put the page there; after `prepare`.

        Raises
        ------
        LookupError
            The scheduler has no dashboard.
        """
        from distributed.dashboard.core import BokehApplication  # noqa: PLC0415  # not before somebody may look
        from distributed.dashboard.scheduler import template_variables  # noqa: PLC0415
        from tornado.ioloop import IOLoop  # noqa: PLC0415

        from swath.views.live.page import PANELS, document  # noqa: PLC0415

        first = next(iter(_applications(self.scheduler)), None)
        if first is None:
            raise LookupError("it has no dashboard")
        variables = template_variables(self.scheduler)  # the same lists for all pages
        number = 1
        while (tab := TAB if number == 1 else f"{TAB}-{number}") in variables["pages"]:
            number += 1
        pages: dict[str, Callable[..., None]] = {f"/{tab}": partial(document, self, ())}
        for panel in ("", *PANELS):
            name = f"/individual-{tab}-{panel}".rstrip("-")
            pages[name] = partial(document, self, (panel,) if panel else tuple(PANELS))
        self._app = BokehApplication(pages, self.scheduler, prefix=first.prefix, template_variables=variables)
        self.scheduler.http_application.add_application(self._app)
        self._app.initialize(IOLoop.current())
        self._app.start()
        self._tab = tab
        variables["pages"].insert(0, tab)
        self.path = f"{first.prefix.rstrip('/')}/{tab}"
        self._list_pages(first.prefix)

    def _list_pages(self, prefix: str) -> None:
        """Let the list of single pages name those of all applications."""
        from distributed.http.scheduler.info import IndividualPlots  # noqa: PLC0415  # as above

        class Every(IndividualPlots):  # type: ignore[misc]  # distributed is not typed
            """Dask's list, and what other applications have."""

            def write(self, chunk: Any) -> None:
                ours = {
                    path.strip("/").replace("-", " ").title(): path
                    for app in _applications(self.server)
                    for path in sorted(app.app_paths)
                    if path.startswith("/individual-")
                }
                super().write({**chunk, **ours} if isinstance(chunk, dict) else chunk)

        application = self.scheduler.http_application
        before = list(application.default_router.rules)
        route = f"{prefix.rstrip('/')}/individual-plots.json"
        application.add_handlers(r".*", [(route, Every, {"dask_server": self.scheduler})])
        self._rules = [rule for rule in application.default_router.rules if rule not in before]

    @property
    def watched(self) -> bool:
        """Whether somebody has a page open."""
        return self._app is not None and bool(self._app._clients)  # noqa: SLF001  # there is no other way to tell

    def join(self, document: Any, view: Any) -> None:
        """Remember a viewer, who is to see how it ended."""
        self._views[document] = view

    def close(self) -> None:
        """Take path and tab away; who has the page open keeps it."""
        from distributed.dashboard.scheduler import template_variables  # noqa: PLC0415  # as above

        self.ended = True
        if not self.path:
            return
        self.path = ""
        application = self.scheduler.http_application
        application.applications.remove(self._app)
        for rule in self._rules:
            application.default_router.rules.remove(rule)
        for document, view in list(self._views.items()):
            document.add_next_tick_callback(view.update)
        pages = template_variables(self.scheduler)["pages"]
        if self._tab in pages:
            pages.remove(self._tab)

    def stop(self) -> None:
        """Let go of whoever still looks."""
        self.close()
        if self._app is not None:
            self._app.stop()
            self._app = None


def _applications(scheduler: Scheduler) -> list[Any]:
    """Return the applications that have pages of Bokeh."""
    return [app for app in scheduler.http_application.applications if hasattr(app, "app_paths")]


class Visitor(SchedulerPlugin):  # type: ignore[misc]  # distributed is not typed
    """The page of a sweep whose driver is another process; answers to what the driver calls.

    Parameters
    ----------
    name : str
        Of the plugin and of the call by which the driver reaches it; no other sweep has it.
    client : str
        Dask's name of the driver's client.
    silent : float
        Seconds without a word after which the driver counts as gone.
    """

    def __init__(self, name: str, client: str, silent: float = SILENT) -> None:
        self.name = name
        self._client, self._silent = client, silent
        self._heard = time.monotonic()
        self._check: Any = None
        self._ended = 0.0
        self.stage: Stage | None = None

    async def start(self, scheduler: Scheduler) -> None:
        """Listen; the page comes with the first word."""
        from tornado.ioloop import PeriodicCallback  # noqa: PLC0415  # only here

        self.stage = Stage(scheduler, Record())
        scheduler.handlers[self.name] = self.hear
        self._check = PeriodicCallback(self._look, LOOK * 1000)
        self._check.start()

    async def hear(self, words: list[bytes] | None = None, over: bool = False) -> dict[str, Any]:
        """Take increments; answer where the page is, or why it is not.

        Parameters
        ----------
        words : list of bytes
            Increments in JSON.
        over : bool
            There will be no more.
        """
        stage = cast("Stage", self.stage)
        self._heard = time.monotonic()
        try:
            for each in words or ():
                stage.record.take(json.loads(each))
            if over:
                self._end()
            elif not stage.path and not stage.ended:
                await asyncio.to_thread(stage.prepare)
                stage.open()
        except (ImportError, LookupError) as error:
            return {"trouble": f"the scheduler cannot show it: {error}"}
        except Exception as error:  # noqa: BLE001  # the driver tells its journal
            return {"trouble": f"{type(error).__name__}: {error}"}
        server = stage.scheduler.http_server
        return {"path": stage.path, "host": server.address, "port": server.port}

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Go with the driver's client."""
        del scheduler
        if client == self._client:
            self._end()

    def _look(self) -> None:
        """Go if the driver is silent; let go of the page once nobody looks at it any more."""
        now = time.monotonic()
        stage = cast("Stage", self.stage)
        if not stage.ended and now - self._heard > self._silent:
            self._end()
        if stage.ended and (not stage.watched or now - self._ended > LINGER):
            self._check.stop()
            stage.stop()

    def _end(self) -> None:
        """Take the page away and forget the sweep; Dask does not close a plugin that it forgets."""
        stage = cast("Stage", self.stage)
        if stage.ended:
            return
        self._ended = time.monotonic()
        stage.close()
        stage.scheduler.handlers.pop(self.name, None)
        stage.scheduler.plugins.pop(self.name, None)

    async def close(self) -> None:
        """End with the scheduler."""
        self._end()
        self._check.stop()
        cast("Stage", self.stage).stop()


def visitor(arguments: Mapping[str, Any]) -> Visitor:
    """Make the plugin, of what its driver sent."""
    return Visitor(**arguments)
