"""Colours on a terminal: as many as it has, the nearest ones where it has few, none where nobody wants them.

A style is a few words: ``bold``, ``dim``, a colour as ``#rrggbb``, and one of the background as ``on#rrggbb``. What the palette says in 24 bits is shown in 24 bits, in the
256 colours of xterm, or in the eight that every terminal has. ``NO_COLOR`` (https://no-color.org) leaves bold and dim; a stream
that is no terminal gets plain text.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    Piece = tuple[str, str]
    """Text and its style."""

PLAIN, COLOURLESS, EIGHT, XTERM, TRUE = -1, 0, 8, 256, 1 << 24
"""Depths: no escape sequence at all; bold and dim; numbers of colours."""

_DUMB = ("", "dumb", "unknown")
_MEANS = {"bold": "1", "dim": "2"}
_STEPS = (0, 95, 135, 175, 215, 255)  # of each channel in xterm's cube of colours
_BASIC = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0)),
    *((0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
)


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes text in styles, as far as a terminal shows them.

    Attributes
    ----------
    depth : int
        One of `PLAIN`, `COLOURLESS`, `EIGHT`, `XTERM`, `TRUE`.
    """

    depth: int

    def line(self, pieces: Iterable[Piece]) -> str:
        """Return a line with its styles."""
        return "".join(self.paint(text, style) for text, style in pieces)

    def paint(self, text: str, style: str) -> str:
        """Return text in a style."""
        codes = [code for word in style.split() if (code := self._code(word))]
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes and text else text

    def _code(self, word: str) -> str:
        if self.depth == PLAIN:
            return ""
        if word in _MEANS:
            return _MEANS[word]
        if not self.depth:
            return ""
        return _colour(word.removeprefix("on"), 4 if word.startswith("on") else 3, self.depth)


def pen(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Pen:
    """Return the pen for a stream."""
    return Pen(_depth(environment) if is_terminal(stream, environment) else PLAIN)


def is_terminal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a stream is a terminal that can move its cursor."""
    try:
        return stream.isatty() and environment.get("TERM", "") not in _DUMB
    except ValueError:  # closed
        return False


def size_of(stream: TextIO) -> tuple[int, int]:
    """Return the columns and lines of a terminal; what ``COLUMNS`` and ``LINES`` say, or 80 and 24, if it does not."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):  # no descriptor, or no terminal
        columns = lines = 0
    if columns and lines:
        return columns, lines
    return shutil.get_terminal_size()


def speaks(stream: TextIO, text: str) -> bool:
    """Tell whether text can be written in a stream's encoding."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _depth(environment: Mapping[str, str]) -> int:
    if environment.get("NO_COLOR"):
        return COLOURLESS
    kind = environment.get("TERM", "")
    if environment.get("COLORTERM") in ("truecolor", "24bit") or kind.endswith("-direct"):
        return TRUE
    return XTERM if "256" in kind or environment.get("COLORTERM") else EIGHT


@cache
def _colour(colour: str, ground: int, depth: int) -> str:
    rgb = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    if depth == TRUE:
        return f"{ground}8;2;{rgb[0]};{rgb[1]};{rgb[2]}"
    if depth == XTERM:
        return f"{ground}8;5;{_xterm(rgb)}"
    return f"{ground}{_basic(rgb)}"


def _xterm(rgb: tuple[int, int, int]) -> int:
    """Return the nearest of the cube of 216 colours and the 24 greys."""
    cube = [min(range(6), key=lambda i, channel=channel: abs(_STEPS[i] - channel)) for channel in rgb]  # type: ignore[misc]  # bound at once
    grey = max(0, min(23, round((sum(rgb) / 3 - 8) / 10)))
    in_cube = tuple(_STEPS[i] for i in cube)
    if _apart(rgb, (8 + 10 * grey,) * 3) < _apart(rgb, in_cube):
        return 232 + grey
    return 16 + 36 * cube[0] + 6 * cube[1] + cube[2]


def _basic(rgb: tuple[int, int, int]) -> int:
    """Return the colour of the eight whose hue is nearest; brightness is left to the terminal."""
    top = max(*rgb, 1)
    if top - min(rgb) < 0.2 * top:  # a grey
        return 7 if top > 100 else 0
    scaled = tuple(channel * 255 / top for channel in rgb)
    return min(range(1, 7), key=lambda i: _apart(scaled, tuple(min(255, 1.25 * c) for c in _BASIC[i])))


def _apart(one: Iterable[float], other: Iterable[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
