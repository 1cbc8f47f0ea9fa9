"""HTML that is safe to put anywhere: everything is escaped unless it was made here.

Theory of operation. `tag` makes an element of its children and returns `Html`; a child that is not `Html` is
text, whatever it looks like, and is spelt out (`swath.views.text.plain`) and escaped. So nothing has to be remembered where
a page is put together. Styles are written at each element: an output of a notebook has no head for a style sheet, and
sites that show notebooks remove what they do not know. For the same reason only old, plain properties are used.
"""

from __future__ import annotations

from html import escape
from math import floor
from typing import TYPE_CHECKING

from swath.views.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

FAINT = "rgba(128,128,128,0.18)"
"""Behind a bar: seen on white and on black."""

LINE = "1px solid rgba(128,128,128,0.35)"
"""A border."""

LEAST = 0.4  # percent of a bar that can be seen

SMALL = "font-size:11px;opacity:0.7"


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def tag(name: str, *children: str, style: str = "", **attributes: str) -> Html:
    """Make an element; children that are not `Html` are text.

    Parameters
    ----------
    name : str
        Of the element.
    *children : str
        What it contains.
    style : str
        CSS declarations.
    **attributes : str
        Others; they are escaped.
    """
    if style:
        attributes["style"] = style
    written = "".join(f' {key}="{escape(plain(value))}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{''.join(map(_safe, children))}</{name}>")


def _safe(child: str) -> str:
    return child if isinstance(child, Html) else escape(plain(child))


def join(parts: Sequence[str], between: str = "") -> Html:
    """Put parts one after the other."""
    return Html(_safe(between).join(map(_safe, parts)))


def row(*children: str, style: str = "") -> Html:
    """Make a division."""
    return tag("div", *children, style=style)


def bar(parts: Sequence[tuple[float, str]], height: int = 10) -> Html:
    """Make a bar, as wide as its place, of shares of it and their colours; the rest is empty.

    A share that is not nothing can be seen, however small it is.
    """
    seen = [(max(LEAST, 100 * share), colour) for share, colour in parts if share > 0]
    excess = max(0.0, sum(width for width, _ in seen) - 100)
    widest = max((width for width, _ in seen), default=0.0)
    filled = []
    for width, colour in seen:
        given = excess if width == widest else 0.0  # the others are too narrow to give any of theirs
        excess -= given
        cut = (
            floor(100 * (width - given)) / 100
        )  # together never wider than the bar, or the last would vanish
        filled.append(row(style=f"float:left;width:{cut:.2f}%;height:{height}px;background:{colour}"))
    return row(
        *filled,
        style=f"height:{height}px;width:100%;background:{FAINT};border-radius:{height // 2}px;overflow:hidden",
    )


def link(text: str, address: str) -> Html:
    """Make a link to a web page; anything but the address of one stays text."""
    if not address.startswith(("http://", "https://")):
        return tag("span", text)
    style = "color:inherit;text-decoration:underline"
    return tag("a", text, style=style, href=address, target="_blank", rel="noopener")


def dot(colour: str) -> Html:
    """Make the mark of a legend."""
    return tag(
        "span",
        style=f"display:inline-block;width:9px;height:9px;border-radius:5px;background:{colour};margin-right:5px",
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], sides: str = "") -> Html:
    """Make a table.

    Parameters
    ----------
    heads : sequence of str, shape (m,)
        Column titles.
    rows : sequence of sequences of str, shape (n, m)
        Cells; text, or `Html`.
    sides : str
        ``<`` or ``>`` for each column, left or right; left where it is too short.
    """
    turned = ["right" if side == ">" else "left" for side in sides.ljust(len(heads), "<")]
    head = [
        tag("th", text, style=f"{_CELL}{SMALL};font-weight:normal;text-align:{side}")
        for text, side in zip(heads, turned, strict=True)
    ]
    body = [
        tag(
            "tr",
            *(
                tag("td", cell, style=f"{_CELL}text-align:{side}")
                for cell, side in zip(cells, turned, strict=True)
            ),
            style=_ROW,
        )
        for cells in rows
    ]
    return tag(
        "table",
        tag("thead", tag("tr", *head, style=_ROW)),
        tag("tbody", *body),
        style="border-collapse:collapse;margin:0;border:none;font-size:12px;table-layout:auto",
    )


_CELL = "padding:2px 18px 2px 0;border:none;white-space:nowrap;vertical-align:middle;background:none;"
_ROW = "background:none;border:none"
