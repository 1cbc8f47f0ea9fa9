"""Text for people: escaped, measured in terminal cells, with numbers and durations of a few digits.

Everything that a definition, an objective or another machine could have written passes through `plain`
before it is shown, so that a name or a message can neither move the cursor nor reorder a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NUMERIC = ">"
TEXT = "<"
DECIMAL = "."


_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What Unicode asks to show as nothing at all, besides the control and format characters that Python knows not to print."""


def plain(text: object, *, lines: bool = False) -> str:
    r"""Return text in which everything that does not print, or prints as nothing, is spelt out, as in ``\x1b[2J``.

    Parameters
    ----------
    text : object
        Anything; ``str`` of it is taken.
    lines : bool
        Keep line breaks, and turn tabs into blanks.
    """
    text = str(text)
    if text.isprintable() and (text.isascii() or not _UNSEEN.search(text)):
        return text
    if lines:
        return "\n".join(plain(line.expandtabs()) for line in text.splitlines())
    return "".join(char if char.isprintable() and not _UNSEEN.match(char) else _spelt(char) for char in text)


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def cells(text: str) -> int:
    """Count the columns that printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in text)


def cut(text: str, room: int, more: str = "…") -> str:
    """Shorten printable text to at most ``room`` columns, marking that there was more."""
    if cells(text) <= room:
        return text
    kept = ""
    for char in text:
        if cells(kept + char) > room - len(more):
            break
        kept += char
    return (kept + more)[: max(0, room)]


def count(number: int) -> str:
    """Write a count; commas from five digits on."""
    return f"{number:,}" if number >= 10_000 else str(number)


def plural(number: int, noun: str) -> str:
    """Write a count with its noun, ``1 point`` or ``2 points``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """Write named counts: ``2 error, 1 timeout``."""
    return ", ".join(f"{count(number)} {plain(name)}" for name, number in counts)


def duration(seconds: float) -> str:
    """Write seconds with two units at most: ``0.4s``, ``9m10s``, ``3h05m``, ``2d04h``."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return _units(whole, 60, "m", "s")
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return _units(minutes, 60, "h", "m")
    return _units(round(seconds / 3600), 24, "d", "h")


def spent(seconds: float) -> str:
    """Write seconds that may be few: ``17 µs``, ``2.1 ms``, ``9m10s``."""
    if seconds >= 1:
        return duration(seconds)
    return f"{1000 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def _units(amount: int, size: int, large: str, small: str) -> str:
    rest = amount % size
    return f"{amount // size}{large}" + (f"{rest:02d}{small}" if rest else "")


STEPS = ((10, 1), (60, 5), (600, 10), (3600, 60), (36_000, 300), (172_800, 3600), (float("inf"), 43_200))
"""Below so many seconds, a guess is rounded to a multiple of so many."""


def guess(low: float, high: float) -> str:
    """Write a range of seconds as a person would say it: ``9m10s``, or ``8m-11m`` where it is wide."""
    ends = _round(low), _round(high)
    if high <= 1.2 * low or ends[0] == ends[1]:
        return _whole(_round((low + high) / 2))
    return f"{_whole(ends[0])}-{_whole(ends[1])}"


def _round(seconds: float) -> int:
    step = next(step for below, step in STEPS if seconds < below or below == float("inf"))
    return max(1, step * round(min(seconds, 1e9) / step))


def _whole(seconds: int) -> str:
    return f"{seconds}s" if seconds < 60 else duration(seconds)


def rate(per_second: float) -> str:
    """Write a rate with the unit that makes it readable: ``1.07/s``, ``2.5/min``, ``3.1/h``."""
    if per_second >= 1000:
        return f"{per_second:,.0f}/s"
    for factor, unit in ((1, "s"), (60, "min")):
        if per_second * factor >= 0.5:
            return f"{per_second * factor:.3g}/{unit}"
    return f"{per_second * 3600:.2g}/h"


def size(octets: int) -> str:
    """Write a size: ``812 B``, ``1.4 MiB``."""
    amount = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def value(content: object) -> str:
    """Write a value of a parameter or metric: floats with six digits, text as it is."""
    if content is None:
        return ""
    if isinstance(content, bool):
        return str(content).lower()
    if isinstance(content, float):
        return f"{content:.6g}"
    return plain(content)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], sides: str = "", *, limit: int = 48
) -> list[str]:
    """Lay out a table as lines of text.

    Parameters
    ----------
    heads : sequence of str, shape (m,)
        Column titles; may be hostile, like the cells.
    rows : sequence of sequences of str, shape (n, m)
        Cells.
    sides : str
        For each column ``<`` or ``>``, left or right, or ``.``, numbers with their points below each other; left where it
        is too short.
    limit : int
        Columns of a cell beyond which it is cut.

    Returns
    -------
    list of str
        ``n + 1`` lines without line breaks or trailing blanks.
    """
    sides = sides.ljust(len(heads), TEXT)
    below = [[cut(plain(cell), limit) for cell in row] for row in rows]
    columns = [
        at_points(c) if side == DECIMAL else c
        for c, side in zip(zip(*below, strict=True), sides, strict=False)
    ]
    shown = [[cut(plain(head), limit) for head in heads], *map(list, zip(*columns, strict=True))]
    widths = [max(map(cells, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(map(_pad, row, widths, sides)).rstrip() for row in shown]


def _pad(cell: str, room: int, side: str) -> str:
    blanks = " " * (room - cells(cell))
    return cell + blanks if side == TEXT else blanks + cell


def at_points(column: Sequence[str]) -> list[str]:
    """Fill numbers up at the right so that their decimal points stand below each other."""
    tails = [len(cell) - len(_whole_part(cell)) for cell in column]
    longest = max(tails, default=0)
    return [cell + " " * (longest - tail) if cell else "" for cell, tail in zip(column, tails, strict=True)]


def _whole_part(number: str) -> str:
    return number.partition("e")[0].partition(".")[0]
