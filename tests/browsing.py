"""A browser for tests: Debian's Chromium without a window, and viewers that complain.

Theory of operation. `Chromium` is started once, when the first test asks for it, and driven by playwright's package;
browsers of playwright's own are never downloaded. Each `Viewer` is a fresh profile with no cookies: two of them are
two people. A viewer notes everything that a page should not do: errors and warnings in the console, exceptions,
requests that fail or are answered with 400 or more, dialogs, and requests that leave this machine (which also
cannot arrive, because no name but loopback's is resolved). What is left of these notes, after what the test said that it
expects, fails the test.

Playwright's synchronous interface marks its event loop as running in the thread of the tests, where `asyncio.run` would
then refuse to work. `Chromium.attended` sets the mark for as long as somebody looks, and takes it away after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Locator, Page, Request, Response

PROGRAM = shutil.which("chromium")
NEAR = {"127.0.0.1", "localhost", "[::1]", ""}
"""Hosts that are this machine; files and data have none."""
WIDTHS = {"small": (1280, 800), "large": (1920, 1080)}
"""The windows in which pages must look well, in CSS pixels."""


def missing() -> str:
    """Say what a machine lacks for tests with a browser; empty if nothing."""
    if PROGRAM is None:
        return "needs the program chromium: apt-get install chromium"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "needs playwright: pip install --group test"
    return ""


class Chromium:
    """One browser process, and the loop through which playwright talks to it."""

    def __init__(self) -> None:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=PROGRAM,
            chromium_sandbox=os.getuid() != 0,  # root's Chromium cannot have one
            args=[
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE [::1]"
            ],
        )
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)

    @contextlib.contextmanager
    def attended(self) -> Iterator[None]:
        """Let playwright's loop count as running, and only here."""
        asyncio._set_running_loop(self._loop)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def profile(self, **options: Any) -> BrowserContext:
        """Make a profile with nothing in it, in a window that is small if no other is asked for."""
        width, height = WIDTHS["small"]
        context = self._browser.new_context(
            **{
                "viewport": {"width": width, "height": height},
                "locale": "en-GB",
                "timezone_id": "UTC",
                "reduced_motion": "reduce",
                **options,
            }
        )
        context.set_default_timeout(1000 * PATIENCE)
        return context

    def close(self) -> None:
        with self.attended():
            self._browser.close()
            self._playwright.stop()


class Viewer:
    """Somebody with a browser, who tells of everything that a page should not do."""

    def __init__(self, chromium: Chromium, shots: Path, **options: Any) -> None:
        self.shots = shots
        self.notes: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        self.context = chromium.profile(**options)
        self.context.on("console", lambda message: self._hear(message.type, message.text))
        self.context.on("weberror", lambda error: self.notes.append(f"exception: {error.error.stack}"))
        self.context.on("request", self._meet)
        self.context.on("requestfailed", self._miss)
        self.context.on("response", self._read)
        self.context.on("page", self._attend)

    def open(self, address: str) -> Page:
        """Look at an address in a tab of its own."""
        page = self.context.new_page()
        page.goto(address, wait_until="domcontentloaded")
        return page

    def expect(self, pattern: str) -> None:
        """Do not complain about what matches a regular expression."""
        self._expected.append(re.compile(pattern))

    def until(self, found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until a function gives something true, and return that; the browser is heard meanwhile."""
        deadline = time.monotonic() + seconds
        while not (value := found()):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {found}; heard: {self.notes}"
            self.context.pages[0].wait_for_timeout(10)
        return value

    def complaints(self) -> list[str]:
        """What was noted and not expected."""
        return [note for note in self.notes if not any(known.search(note) for known in self._expected)]

    def shot(self, shown: Page | Locator, name: str, **options: Any) -> Path:
        """Take a picture, into the folder for pictures."""
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f"{name}.png"
        shown.screenshot(path=path, **options)
        return path

    def leave(self) -> None:
        self.context.close()

    def _attend(self, page: Page) -> None:
        page.on("dialog", lambda dialog: (self.notes.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("websocket", lambda socket: self._locate("websocket", socket.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(
            "Failed to load resource"
        ):  # noted with address
            self.notes.append(f"console {kind}: {text}")

    def _meet(self, request: Request) -> None:
        self._locate("request", request.url)

    def _locate(self, kind: str, address: str) -> None:
        host = urlsplit(address).netloc.rpartition("@")[2]
        if re.sub(r":\d+$", "", host) not in NEAR:
            self.notes.append(f"{kind} that leaves this machine: {address}")

    def _miss(self, request: Request) -> None:
        if not request.url.endswith("/favicon.ico"):  # the browser's own idea
            self.notes.append(f"request failed: {request.method} {request.url}: {request.failure}")

    def _read(self, response: Response) -> None:
        if response.status >= 400 and not response.url.endswith("/favicon.ico"):
            self.notes.append(f"answer {response.status}: {response.request.method} {response.url}")
