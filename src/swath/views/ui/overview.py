"""The page of one run: figures that share a selection, a filter, and the point that was picked.

Theory of operation. A browser that opens the page gets an empty document at once; an `Overview` then reads the run in a
thread, fills the document, and looks again every few seconds as long as somebody has the page open. The figures are made
anew when rows have come or the filter has changed, and keep what was brushed; somebody who is just brushing is not disturbed.

What stands around the figures is HTML of ours, which the page's script changes. It hears from here through the text of a
model that nobody sees, ``wire`` (JSON), and tells the filter through another, ``where``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bokeh.models import Column, Div, TextInput

from swath.errors import SwathError
from swath.views.palette import GAP
from swath.views.phrases import machines, pace, straggler
from swath.views.ui.board import Board, told
from swath.views.ui.choice import Choice
from swath.views.ui.pages import page, query, template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bokeh.document import Document

    from swath.commands.runs import Looked
    from swath.commands.shelf import Seen, Shelf
    from swath.views.ui.choice import Between, Map

LOOK = 2.0  # seconds between looks at a run that is being written
SHARE = 3  # a look that takes long is taken at most this part of the time
LONGEST = 20.0  # seconds between looks
SETTLED = 4.0  # seconds without a change of the brush, after which figures may be replaced
OURS = "swath failed by a mistake of its own; the terminal where swath ui runs says more."

log = logging.getLogger(__name__)


def fill(shelf: Shelf, document: Document) -> None:
    """Make the page of a run, for one browser."""
    context: Any = document.session_context  # a server's, which has a request
    arguments: dict[str, list[bytes]] = context.request.arguments
    name = b"".join(arguments.get("name", [])).decode("utf-8", "replace")
    document.template = template("run.html")
    document.title = f"{name} - swath"
    document.template_variables["name"] = name
    overview = Overview(shelf, document, name, arguments)
    following = asyncio.get_running_loop().create_task(overview.follow())

    def leave(_context: object) -> None:
        following.cancel()

    document.on_session_destroyed(leave)


class Overview:
    """The page of one run, for one browser.

    Parameters
    ----------
    shelf : Shelf
        Where the run is.
    document : Document
        To be filled.
    name : str
        The run's.
    arguments : mapping of str to list of bytes
        The query of the address.
    """

    def __init__(
        self, shelf: Shelf, document: Document, name: str, arguments: Mapping[str, list[bytes]]
    ) -> None:
        self._shelf, self._document, self._name = shelf, document, name
        self._seen: Seen | None = None
        self._board: Board | None = None
        self._broken = ""  # what is to be said because figures could not be drawn
        self._touched = 0.0  # when the brush was last changed
        self._told: dict[str, Any] = {}
        try:
            self._choice = Choice.parse(arguments)
        except SwathError as error:
            self._choice = Choice()
            self._told["wrong"] = str(error)
        self._asked = self._choice.where  # a filter, which is chosen once it has turned out to be one
        self._choice = replace(self._choice, where="")
        self._wire = Div(name="wire", visible=False, render_as_text=True, text="{}")
        self._where = TextInput(name="where", visible=False, value=self._asked)
        self._where.on_change("value", lambda _attr, _old, new: self._filter(new))
        self._figures = Column(name="figures", sizing_mode="stretch_width", spacing=GAP)
        self._wish = asyncio.Event()
        for root in (self._wire, self._where, self._figures):
            document.add_root(root)

    async def follow(self) -> None:
        """Show the run, and how it changes, until this is cancelled."""
        while True:
            begun = time.monotonic()
            await self._look()
            running = self._seen is None or self._seen.running
            pause = max(LOOK if running else 3 * LOOK, SHARE * (time.monotonic() - begun))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wish.wait(), min(pause, LONGEST))
            self._wish.clear()

    async def _look(self) -> None:
        try:
            if self._seen is None:  # reading a million rows takes seconds; there is an answer before that
                self._later(partial(self._head, await self._shelf.glance(self._name), (), ()))
            seen = await self._shelf.look(self._name, self._asked, self._seen)
            self._later(partial(self._show, seen))
        except (SwathError, OSError) as error:
            self._later(partial(self._tell, sorry=str(error)))
        except Exception:
            log.exception("the page of %r", self._name)
            self._later(partial(self._tell, sorry=OURS))

    def _later(self, change: Callable[[], None]) -> None:
        """Change the document when it is free."""

        def guarded() -> None:
            try:
                change()
            except Exception:
                log.exception("the page of %r", self._name)
                self._broken = OURS
                self._tell(sorry=OURS)

        self._document.add_next_tick_callback(guarded)

    def _show(self, seen: Seen) -> None:
        """Show what was seen; the figures only if they would differ, and nobody is just brushing."""
        self._head(seen.looked, seen.words, seen.damage)
        self._tell(sorry=self._broken)
        asked = seen.where != self._choice.where
        if asked:
            self._tell(wrong=seen.wrong)
        if seen.wrong:
            self._asked = self._choice.where if self._asked == seen.where else self._asked
        elif asked:
            self._choice = replace(self._choice, where=seen.where)
        stale = self._seen is None or (seen.version != self._seen.version and not seen.wrong)
        if stale and (asked or time.monotonic() > self._touched + SETTLED):
            self._draw(seen)

    def _head(self, looked: Looked, words: Sequence[str], damage: Sequence[str]) -> None:
        told = {"live": _live(looked), "words": words, "damage": dict.fromkeys((*looked["damage"], *damage))}
        self._tell(head=page("head.html", run=looked, **told))

    def _draw(self, seen: Seen) -> None:
        self._seen = seen  # and whatever happens now, not again
        board = self._board = Board(seen.study, seen.shares, seen.measure, self._choice.map)
        board.on_brush(self._brush)
        board.on_map(self._map)
        self._figures.children = list(board.models)
        self._broken = ""
        self._later(partial(board.brush, self._choice.between))
        self._count()

    def _map(self, shown: Map) -> None:
        self._choice = replace(self._choice, map=shown)
        if self._seen is not None:
            self._draw(self._seen)

    def _brush(self, between: tuple[Between, ...]) -> None:
        if between != self._choice.between:
            self._touched = time.monotonic()
            self._choice = replace(self._choice, between=between, points=None)
            self._count()

    def _count(self) -> None:
        """Say how many rows are chosen; the page's address and those of downloads say which."""
        words = [("name", self._name), *self._choice.query]
        self._tell(query=query(words))
        if self._board is not None:
            counting = asyncio.get_running_loop().create_task(self._tell_count(self._board, self._choice))
            self._counting = counting  # the loop alone would forget it

    async def _tell_count(self, board: Board, choice: Choice) -> None:
        with suppress(SwathError):  # an axis of the address that the run does not have
            chosen = await self._shelf.ask(choice.within, board.study)
            if choice == self._choice:
                text = told(board.study, int(chosen.sum()), board.note)
                self._later(partial(self._tell, count=text))

    def _filter(self, where: str) -> None:
        self._asked = where.strip()
        self._wish.set()

    def _tell(self, **told: Any) -> None:
        self._told |= told
        self._wire.text = json.dumps(self._told)


def _live(looked: Looked) -> list[str]:
    """Say what a run in progress tells of itself, in the words of a terminal."""
    snapshot = looked["live"]
    if snapshot is None:
        return []
    return [text for text in (*pace(snapshot), *machines(snapshot), straggler(snapshot)) if text]
