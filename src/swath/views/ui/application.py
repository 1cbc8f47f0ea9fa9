"""The pages of ``swath ui``, put together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from swath.views.ui.handlers import Compare, Download, List, Point, Rows
from swath.views.ui.overview import fill
from swath.views.ui.server import Server

if TYPE_CHECKING:
    from swath.commands.shelf import Shelf
    from swath.views.ui.guard import Guard


def application(shelf: Shelf, guard: Guard, start: str) -> Server:
    """Return a server of pages about the runs of a shelf.

    Parameters
    ----------
    shelf : Shelf
        The runs.
    guard : Guard
        Decides who sees them.
    start : str
        Relative address of the page that a new browser sees first.
    """
    routes = {"/": List, "/rows": Rows, "/point": Point, "/download": Download, "/compare": Compare}
    return Server(
        {"/run": partial(fill, shelf)},
        [(path, handler, {"shelf": shelf}) for path, handler in routes.items()],
        guard,
        start,
    )
