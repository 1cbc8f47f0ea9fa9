"""What sketches are drawn on and with: how much room there is, which characters can be shown, and words that fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from swath.views.ansi import XTERM
from swath.views.text import cells, cut, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swath.views.ansi import Piece

    Line = list[Piece]

LABELS: Final = 12
"""Columns of the words at an axis."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where to draw.

    Attributes
    ----------
    columns, rows : int
        Characters, with titles and legends.
    unicode : bool
        Whether more than ASCII can be shown.
    depth : int
        Colours, as `swath.views.ansi.Pen` has them.
    """

    columns: int = 80
    rows: int = 20
    unicode: bool = True
    depth: int = XTERM

    @property
    def coloured(self) -> bool:
        """Whether there are enough colours for a scale."""
        return self.depth >= XTERM


class Marks(NamedTuple):
    """What stands for what in a heat map and in a plot of points."""

    failed: str
    missing: str
    best: str
    point: str
    mean: str
    more: str


UNICODE: Final = Marks("×", "·", "◆", "•", "━", "…")  # noqa: RUF001  the sign of a multiplication
ASCII: Final = Marks("x", "?", "o", ".", "#", "~")


def marks_of(room: Room) -> Marks:
    """Return what can be shown there."""
    return UNICODE if room.unicode else ASCII


def spoken(text: str, room: Room, most: int = LABELS) -> str:
    """Return text that can be shown, in so many columns."""
    text = plain(text)
    if not room.unicode:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    return cut(text, most, marks_of(room).more)


def joined(line: Line) -> Line:
    """Put neighbours of one style together."""
    made: Line = []
    for text, style in line:
        if made and made[-1][1] == style:
            made[-1] = (made[-1][0] + text, style)
        else:
            made.append((text, style))
    return made


def fitted(lines: Iterable[Line], room: Room) -> list[Line]:
    """Cut lines where the room ends."""
    made = []
    for line in lines:
        left = room.columns
        short: Line = []
        for text, style in line:
            shown = cut(text, left, marks_of(room).more)
            left -= cells(shown)
            short.append((shown, style))
        made.append(short)
    return made
