"""Dask's dashboard in a process of ours: there at once, imported when somebody first asks for a page.

Theory of operation
-------------------
The import takes a core for over a second, which a short sweep would feel, and most sweeps are watched by nobody. So the
scheduler's web server, which listens anyway, gets an application that knows every path: it is asked last, imports the pages
in a thread when it is asked first, takes their place, and sends the browser to the same path again. That is said relative to the
path, so that a proxy that rewrites paths does no harm.

A page in a browser may open a websocket to any address, also one of the loopback device, and Dask asks nobody where it
comes from. Here only a page of the same host and port may: what its ``Origin`` says must be what its ``Host`` says, or
what a proxy says that it was. Whoever set Dask's ``allow_websocket_origin`` is obeyed instead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dask
from distributed.http.utils import RequestHandler
from tornado.routing import Matcher, Rule
from tornado.web import Application

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Scheduler
    from tornado.httputil import HTTPServerRequest

ORIGINS = "distributed.scheduler.dashboard.bokeh-application.allow_websocket_origin"


class Pages:
    """The dashboard of a scheduler in this process; to be made and used on its loop.

    Parameters
    ----------
    scheduler : Scheduler
        It was made without a dashboard.
    prepare : callable
        Imports what else will be needed; called in another thread.
    opened : callable
        Is called once Dask's pages are there.
    """

    def __init__(
        self, scheduler: Scheduler, prepare: Callable[[], None], opened: Callable[[Scheduler], None]
    ) -> None:
        self._scheduler, self._prepare, self._opened = scheduler, prepare, opened
        self._loading: asyncio.Task[None] | None = None
        application = scheduler.http_application
        self._waiting = Application([(r".*", Waiting, {"load": self.load})])
        application.add_application(self._waiting)
        if list(dask.config.get(ORIGINS, ["*"])) == ["*"]:
            application.default_router.rules.insert(0, Rule(Foreign(), Refused))

    async def load(self) -> None:
        """Put the pages there, once.

        Raises
        ------
        ImportError
            There is no Bokeh.
        """
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        scheduler = self._scheduler
        connect = await asyncio.to_thread(self._import)
        scheduler.http_application.applications.remove(self._waiting)
        connect(scheduler.http_application, scheduler.http_server, scheduler, prefix="")
        self._opened(scheduler)

    def _import(self) -> Callable[..., None]:
        from distributed.dashboard.scheduler import connect  # noqa: PLC0415  # the point of all this

        self._prepare()
        found: Callable[..., None] = connect
        return found


class Waiting(RequestHandler):  # type: ignore[misc]  # distributed is not typed
    """Answers until the pages are there."""

    def initialize(self, load: Callable[[], Any]) -> None:
        """Take what loads them."""
        self._load = load

    async def get(self) -> None:
        """Load the pages, and let the browser ask again."""
        try:
            await self._load()
        except ImportError as error:
            self.set_status(501)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"There are no pages without Bokeh: {error}\n")
            return
        parts = urlsplit(self.request.uri or "")
        last = parts.path.rpartition("/")[2] or "status"
        self.redirect(f"{last}?{parts.query}" if parts.query else last)


class Foreign(Matcher):
    """Finds websockets that a page of another host or port wants to open."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return arguments for the handler if the request is such a one."""
        headers = request.headers
        if headers.get("Upgrade", "").lower() != "websocket":
            return None
        origin = urlsplit(headers.get("Origin", "")).netloc.lower()
        hosts = (headers.get("Host", ""), headers.get("X-Forwarded-Host", "").partition(",")[0].strip())
        return None if origin and origin in map(str.lower, hosts) else {}


class Refused(RequestHandler):  # type: ignore[misc]  # distributed is not typed
    """Says no."""

    def get(self) -> None:
        """Say no."""
        self.set_status(403)
        self.finish("This page was opened from elsewhere.\n")
