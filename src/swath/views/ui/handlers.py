"""Answers that need no Bokeh: the list of runs, what became of a point, rows to keep.

Whatever cannot be read, damaged or gone, is a sentence. Reading happens in threads by the shelf, and a download
is written to a file without a name before it is sent, so that neither a large one nor a slow browser holds the server up.
"""

from __future__ import annotations

import io
import tempfile
from typing import IO, TYPE_CHECKING, Any

from tornado.web import RequestHandler

from swath.errors import SwathError, UsageError
from swath.views import export
from swath.views.notebook.comparison import comparison
from swath.views.ui.choice import Choice
from swath.views.ui.pages import page

if TYPE_CHECKING:
    import pandas as pd

    from swath.commands.shelf import Shelf

PART = 1 << 18  # bytes that are sent at once
FORMS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class Reading(RequestHandler):
    """Base: answers from the shelf, or says in a sentence why not."""

    def initialize(self, shelf: Shelf) -> None:
        """Remember where to read."""
        self.shelf = shelf

    async def get(self) -> None:
        """Answer."""
        try:
            await self.answer()
        except (SwathError, OSError) as error:
            self.sorry(str(error))

    async def answer(self) -> None:
        """Write the answer."""
        raise NotImplementedError

    def sorry(self, text: str) -> None:
        """Answer with a page that has a sentence."""
        self.set_status(404)
        self.finish(page("sentence.html", title="Not found", text=text, home="./"))

    def word(self, name: str, default: str = "") -> str:
        """Return an argument of the address."""
        return self.get_query_argument(name, default)

    def write_error(self, status_code: int, **details: Any) -> None:
        """Answer what went wrong by our mistake; the traceback is on the terminal."""
        del details
        text = "swath failed by a mistake of its own; the terminal where swath ui runs says more."
        self.finish(page("sentence.html", title=f"Error {status_code}", text=text, home="./"))


class List(Reading):
    """The list of runs, as a page."""

    NAME = "list.html"

    async def answer(self) -> None:
        """Write it."""
        entries = await self.shelf.entries()
        self.finish(page(self.NAME, title="Runs", folder=self.shelf.out, runs=entries))


class Rows(List):
    """The list of runs, as the part of the page that changes."""

    NAME = "rows.html"


class Point(Reading):
    """What became of one point, as a part of a page."""

    async def answer(self) -> None:
        """Write it."""
        shown = await self.shelf.point(self.word("name"), self.word("point"))
        self.finish(page("point.html", point=shown))

    def sorry(self, text: str) -> None:
        """Answer with a part of a page that has a sentence."""
        self.finish(page("sorry.html", text=text))


class Compare(Reading):
    """What two runs have in common and what not; with one run only, a choice of others."""

    async def answer(self) -> None:
        """Write it."""
        name, other = self.word("name"), self.word("other")
        self.shelf.reader(name)  # there must be such a run
        others = [entry["name"] for entry in await self.shelf.entries() if entry["name"] != name]
        told = ""
        if other:
            found = await self.shelf.compare(name, other)
            told = str((await self.shelf.ask(comparison, found)).html)
        self.finish(
            page("compare.html", title=f"{name} compared", name=name, other=other, others=others, told=told)
        )


class Download(Reading):
    """The rows of a selection, all columns of them, as a file."""

    async def answer(self) -> None:
        """Send it."""
        form = self.word("format", "csv")
        if form not in FORMS:
            raise UsageError(f"format is {form!r:.40}, one of {', '.join(FORMS)} is needed")
        name, choice = self.word("name"), Choice.parse(self.request.query_arguments)
        frame = await self.shelf.rows(name, choice)
        with await self.shelf.ask(_written, frame, form) as file:
            self.set_header("Content-Type", FORMS[form])
            self.set_header("Content-Disposition", f'attachment; filename="{_safe(name)}.{form}"')
            while part := await self.shelf.ask(file.read, PART):
                self.write(part)
                await self.flush()
        await self.finish()


def _written(frame: pd.DataFrame, form: str) -> IO[bytes]:
    """Write rows to a file that nobody else can open, and return it, at its beginning."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # whoever sends it closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    export.write(frame, form, text)
    text.flush()
    text.detach()
    file.seek(0)
    return file


def _safe(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
