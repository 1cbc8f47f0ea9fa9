"""The server of the pages: one door, Bokeh's pages and ours behind it.

Theory of operation. Bokeh's server is a Tornado application; ours is Bokeh's with a door. Whatever is asked, a websocket
included, comes through `Server.find_handler`, where the guard decides, and where only the paths of `PATHS` lead on; whatever
is answered gets the same headers. So nothing depends on each handler's remembering it.

All addresses in the pages are relative and one segment long, so that they work below any prefix of a proxy. The token of a
link is exchanged on a page that goes on by itself to the list of runs: a redirect by status would be part of a journey that
began on another site, if that is where the link was clicked, and a strict cookie would not be sent along. The cookie is given
for the folder that the browser asked, without a word about it from us, who do not know the prefix.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import OutputTransform, RequestHandler

from swath.errors import UsageError
from swath.views.ui.guard import AGAIN, Asked, Guard, Refusal
from swath.views.ui.pages import ASSETS, page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tornado.httputil import HTTPHeaders, HTTPServerRequest

    Route = tuple[str, type[RequestHandler], dict[str, Any]]

HOST = "127.0.0.1"
PATHS = re.compile(
    r"/(|rows|point|download|compare|run|run/ws|assets/[a-z.]+|static/js/[a-z.-]+\.js)", re.ASCII
)
"""What there is; of what Bokeh brings along, only what the pages use."""

HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Bokeh makes functions of text (eval) and style elements (unsafe-inline); scripts come from here only.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
BODY = 1 << 16  # bytes of a request; those that we answer have none
MESSAGE = 1 << 22  # bytes of a message from a browser; a selection of thousands of rows has tens of kilobytes


class Server(BokehTornado):  # type: ignore[misc]  # Bokeh's types are not followed
    """Answers whom the guard lets in.

    Parameters
    ----------
    pages : mapping of str to callable
        Bokeh's pages: by path, what fills a document.
    routes : sequence of (str, handler, arguments)
        Other pages.
    guard : Guard
        At the door.
    start : str
        Relative address of the page that a new browser sees first.
    """

    def __init__(self, pages: Mapping[str, Any], routes: Sequence[Route], guard: Guard, start: str) -> None:
        self.guard, self.start_page, self.port = guard, start, 0
        super().__init__(
            pages,
            extra_patterns=[*routes, (r"/assets/(.*)", Asset, {})],
            absolute_url="",
            use_index=False,
            extra_websocket_origins=["*"],  # the door has looked at it
            secret_key=secrets.token_bytes(32),
            sign_sessions=True,
            include_headers=[],  # Bokeh would write them, and the cookie, into the page
            include_cookies=[],
            websocket_max_message_size_bytes=MESSAGE,
            mem_log_frequency_milliseconds=0,
            transforms=[Headers],
            log_function=lambda _: None,  # Tornado would log addresses, and there is a token in one
        )

    def open(self, port: int) -> None:
        """Listen on loopback, within a running event loop; ``port`` 0 takes a free one.

        Raises
        ------
        UsageError
            The port cannot be had.
        """
        try:
            sockets = bind_sockets(port, HOST)
        except OSError as error:
            raise UsageError(
                f"port {port} on {HOST} cannot be used: {error.strerror}; give another one, or leave --port out for a free one"
            ) from error
        logging.getLogger("bokeh").setLevel(logging.ERROR)  # a layout that is empty for now is worth no words
        self.port = sockets[0].getsockname()[1]
        self._http = HTTPServer(self, max_body_size=BODY, idle_connection_timeout=600)
        self._http.add_sockets(sockets)
        self.initialize(IOLoop.current())
        self.start()

    async def close(self) -> None:
        """Answer nobody any more."""
        self._http.stop()
        self.stop()
        await self._http.close_all_connections()

    @property
    def cookie(self) -> str:
        """The cookie's name."""
        return f"swath-{self.port}"

    def link(self) -> str:
        """Return an address that lets one browser in."""
        return f"http://{HOST}:{self.port}/?token={self.guard.token()}"

    def find_handler(self, request: HTTPServerRequest, **_: Any) -> Any:
        """Choose who answers; the only place where that is decided."""
        asked = self._asked(request)
        if request.path == "/" and "token" in request.arguments:
            refusal = self.guard.stranger(asked)
            handler: type[RequestHandler] = Exchange
        else:
            refusal = self.guard.refusal(asked)
            handler = Missing
        if refusal is not None:
            return self.get_handler_delegate(request, Refused, {"refusal": refusal})
        if handler is Missing and PATHS.fullmatch(request.path):
            return super().find_handler(request)
        return self.get_handler_delegate(request, handler)

    def _asked(self, request: HTTPServerRequest) -> Asked:
        headers, morsel = request.headers, request.cookies.get(self.cookie)
        return Asked(
            method=request.method or "",
            host=headers.get("Host"),
            origin=headers.get("Origin", headers.get("Sec-Websocket-Origin")),
            cookie=morsel.value if morsel else None,
            websocket="Upgrade" in headers or request.path.endswith("/ws"),
        )


class Headers(OutputTransform):
    """Adds what every answer says."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._static = request.path.startswith("/static/")

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add them."""
        del finishing
        for name, value in HEADERS.items():
            headers[name] = value
        if not (self._static and status_code < 400):
            headers["Cache-Control"] = "no-store"
        if "Server" in headers:
            del headers["Server"]
        return status_code, headers, chunk


class Refused(RequestHandler):
    """Says why a request is not answered."""

    def initialize(self, refusal: Refusal) -> None:
        """Remember why."""
        self._refusal = refusal

    def prepare(self) -> None:
        """Answer whatever the method."""
        self.set_status(self._refusal.status)
        self.finish(page("sentence.html", title="Refused", text=self._refusal.text))


class Missing(RequestHandler):
    """Says that there is no such page."""

    def prepare(self) -> None:
        """Answer whatever the method."""
        self.set_status(404)
        self.finish(page("sentence.html", title="No such page", text="There is no such page.", home="./"))


class Exchange(RequestHandler):
    """Takes a token and gives a cookie."""

    application: Server

    def get(self) -> None:
        """Give a cookie, and go on to the first page."""
        server = self.application
        cookie = server.guard.exchange(self.get_query_argument("token", ""))
        morsel = self.request.cookies.get(server.cookie)
        if cookie is not None:
            self.set_cookie(server.cookie, cookie, path="", httponly=True, samesite="Strict")
        elif not server.guard.knows(morsel.value if morsel else None):
            self.set_status(403)
            self.finish(page("sentence.html", title="Refused", text=f"This link is wrong or spent. {AGAIN}"))
            return
        self.finish(page("enter.html", start=server.start_page))


class Asset(RequestHandler):
    """Our style sheets and scripts."""

    TYPES: ClassVar[dict[str, str]] = {"css": "text/css", "js": "text/javascript"}

    def get(self, name: str) -> None:
        """Send one of a fixed few."""
        content = ASSETS.get(name)
        if content is None:
            self.send_error(404)
            return
        self.set_header("Content-Type", f"{self.TYPES[name.rpartition('.')[2]]}; charset=utf-8")
        self.finish(content)
