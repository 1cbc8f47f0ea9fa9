"""Words for tests of ``swath ui``: a server in a process of its own, and requests with exactly the headers that a test wants."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from running import ENVIRONMENT, PATIENCE, command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Site:
    """A running ``swath ui``, and one browser's cookie for it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.address = process.stdout.readline().strip()
        assert self.address, process.communicate()
        split = urlsplit(self.address)
        self.port, self.query = split.port or 0, split.query
        self.cookie = ""

    def ask(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Make a request with these headers, ``Host`` included; an empty one is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            told = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie, **headers}
            for name, text in told.items():
                if text:
                    connection.putheader(name.replace("_", "-"), text)
            connection.endheaders()
            answer = connection.getresponse()
            upgraded = answer.status == http.client.SWITCHING_PROTOCOLS
            return Answer(answer.status, answer.headers, b"" if upgraded else answer.read())

    def enter(self) -> Answer:
        """Exchange the token of the printed address for a cookie."""
        answer = self.ask(f"/?{self.query}")
        self.cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
        return answer

    def get(self, page: str = "", **words: object) -> Answer:
        """Ask for a page as a browser that was let in."""
        return self.ask(f"/{page}?{urlencode(words)}")

    def socket(self, name: str, **headers: str) -> Answer:
        """Open the websocket of a run's page, as that page would, but for the headers given."""
        own = f"http://127.0.0.1:{self.port}"
        token = self.token(name)
        words = {"Origin": own, **HANDSHAKE, "Sec-WebSocket-Protocol": f"bokeh, {token}", **headers}
        return self.ask("/run/ws", **words)

    def token(self, name: str) -> str:
        """Bokeh's token of a session with a run's page."""
        found = re.search(
            r'<script type="application/json" id="items">(.*?)</script>', self.get("run", name=name).text
        )
        assert found
        return str(json.loads(found[1])[0]["token"])


@contextlib.contextmanager
def serving(*arguments: object, folder: Path, **environment: str) -> Iterator[Site]:
    """Run ``swath ui`` in a folder; afterwards end it as Ctrl-C would."""
    with subprocess.Popen(
        command("ui", "--no-browser", *arguments),
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Site(process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(PATIENCE)
                finally:
                    process.kill()
