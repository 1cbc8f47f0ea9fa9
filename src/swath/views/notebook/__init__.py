"""What a notebook shows of a sweep, of its progress and of its results: HTML for eyes, text for everything else.

Theory of operation. Each of the siblings makes a `Block` of plain values: HTML without scripts, style sheets or anything that
is fetched, in the colour of the text around it, so that it is legible in light and dark notebooks, in a saved file that
nobody trusts, and on sites that show notebooks; and text that says the same. `cell` keeps a block up to date while a sweep
runs. Nothing here is imported before something is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from swath.views.notebook.markup import FAINT, LINE, SMALL, Html, row, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 860
"""Pixels; wider, a line of text is hard to follow."""


class Block(NamedTuple):
    """One thing to show, twice."""

    html: Html
    text: str

    @property
    def bundle(self) -> dict[str, str]:
        """By media type, as notebooks want it."""
        return {"text/html": str(self.html), "text/plain": self.text}


def framed(*parts: Html) -> Html:
    """Put parts below each other, with a border around all."""
    return row(
        *(row(part, style=f"margin:{0 if i == 0 else 8}px 0 0 0") for i, part in enumerate(parts) if part),
        style=f"border:{LINE};border-radius:6px;padding:10px 14px;margin:4px 0;max-width:{WIDTH}px;"
        "font-size:13px;line-height:1.45;overflow-x:auto",
    )


def titled(name: str, said: str, right: str = "") -> Html:
    """Make the first line of a block: a name, a few words, and something at the right."""
    return row(
        tag("span", right, style="float:right"),
        tag("b", name, style="font-size:14px"),
        tag("span", said, style="margin-left:10px;opacity:0.8"),
    )


def headed(title: str, body: Html) -> Html:
    """Put a small title above something."""
    return row(row(title, style=f"{SMALL};margin:0 0 2px 0"), body)


def figures(facts: Sequence[tuple[str, str]]) -> Html:
    """Make a strip of numbers, each below what it is the number of."""
    cells = [
        row(
            row(label, style=SMALL),
            row(value, style="font-size:15px;white-space:nowrap"),
            style="display:inline-block;margin:0 26px 2px 0;vertical-align:top",
        )
        for label, value in facts
    ]
    return row(*cells)


def code(text: str) -> Html:
    """Make a piece of code."""
    return tag(
        "code",
        text,
        style=f"background:{FAINT};padding:1px 4px;border-radius:3px;font-size:12px;color:inherit",
    )
