"""A block in a notebook's cell that follows a sweep, and ends as what the saved file shows.

Theory of operation. A display of Jupyter has an id, and any later message with that id replaces what it shows, in the page
and in the file; no widget and no script has to be alive for it. `show` makes such a display and lets the handle's viewer
replace it as long as something changes. The last message is sent before whoever waits for the sweep goes on, so it
belongs to the cell that waits and is saved with it. Only a kernel has such displays: in a terminal nothing is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swath.views.notebook.progress import progress

if TYPE_CHECKING:
    from swath.run import Handle
    from swath.views.notebook import Block


def block(handle: Handle) -> Block:
    """Make the block of a handle as it is now."""
    error = "" if handle.error is None else str(handle.error)
    return progress(handle.snapshot, handle.folder, error)


def show(handle: Handle) -> bool:
    """Show a handle below the cell that is running, and keep it up to date; tell whether there is such a cell.

    A handle that this cell shows already is not shown again.
    """
    cell = _cell()
    if not cell:
        return False
    if handle.shown_in != cell:
        handle.shown_in = cell
        _follow(handle)
    return True


def present(handle: Handle) -> None:
    """Show a handle as IPython has values shown: alive in a notebook, as text in a terminal."""
    if not show(handle):
        from IPython.display import display  # noqa: PLC0415  # it is IPython that asks

        display(block(handle).bundle, raw=True)


def _follow(handle: Handle) -> None:
    from IPython.display import display  # noqa: PLC0415  # there is one if there is a cell

    shown = block(handle).bundle
    place = display(shown, raw=True, display_id=True)

    def redraw() -> None:
        nonlocal shown
        now = block(handle).bundle
        if now != shown:
            shown = now
            place.update(now, raw=True)

    if not handle.snapshot.over:
        handle.follow(redraw)


def _cell() -> str:
    """Name the cell that this kernel is running; empty in a terminal."""
    from IPython import get_ipython  # noqa: PLC0415  # whoever asks has imported it

    shell: Any = get_ipython()
    if getattr(shell, "kernel", None) is None:
        return ""
    header: dict[str, Any] = shell.get_parent().get("header", {})
    return str(header.get("msg_id", ""))
