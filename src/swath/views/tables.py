"""Tables that fit a terminal: what is least important is left out, and said.

Columns have a rank. Where a table is too wide, long texts are shortened first; then columns go, those of the highest rank first and
of equal rank the last one first, until the rest fits. Where a table is too long, its middle goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swath.views.text import DECIMAL, TEXT, at_points, cells, count, cut, plain, table

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST = 16  # columns to which a text is shortened before any column is left out
GAP = 2  # blanks between columns


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Its title.
    cells : sequence of str, shape (rows,)
        What it holds.
    side : str
        As `swath.views.text.table` has them.
    rank : int
        0 for one that stays; the others go, the highest first.
    """

    name: str
    cells: Sequence[str]
    side: str = TEXT
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Laid:
    """A table that fits.

    Attributes
    ----------
    lines : list of str
        The title and the rows.
    left_out : list of str
        Names of columns that are not shown, in their order.
    """

    lines: list[str]
    left_out: list[str]


def fitting(
    columns: Sequence[Column], width: int, *, limit: int = 48, hidden: int = 0, more: str = "…"
) -> Laid:
    """Lay a table out in at most ``width`` columns of text.

    Parameters
    ----------
    columns : sequence of Column
        Of equally many rows.
    width : int
        Columns of text.
    limit : int
        Columns of a cell beyond which it is always cut.
    hidden : int
        Rows that are missing in the middle; a line says so.
    more : str
        Marks what was cut.
    """
    kept = [
        replace(column, cells=[cut(plain(cell), limit, more) for cell in column.cells]) for column in columns
    ]
    kept = _shortened(kept, width, more)
    while len(kept) > 1 and _width(kept) > width and (leaving := _least(kept)) is not None:
        kept.pop(leaving)
    rows = list(zip(*(column.cells for column in kept), strict=True))
    lines = table(
        [column.name for column in kept], rows, "".join(column.side for column in kept), limit=limit
    )
    if hidden:
        lines.insert(1 + (len(rows) + 1) // 2, f"... {count(hidden)} more rows")
    names = {column.name for column in kept}
    left_out = [column.name for column in columns if column.name not in names]
    return Laid([cut(line, width, more) for line in lines], left_out)


def _written(column: Column, limit: int, more: str) -> list[str]:
    shown = [cut(plain(cell), limit, more) for cell in column.cells]
    return at_points(shown) if column.side == DECIMAL else shown


def _width(columns: Sequence[Column]) -> int:
    return sum(map(_wide, columns)) + GAP * (len(columns) - 1)


def _wide(column: Column) -> int:
    return max(map(cells, [plain(column.name), *column.cells]))


def _shortened(columns: list[Column], width: int, more: str) -> list[Column]:
    """Shorten texts, the longest first, as far as that is needed and goes."""
    made = list(columns)
    while (over := _width(made) - width) > 0:
        texts = [i for i, column in enumerate(made) if column.side == TEXT and _wide(column) > SHORTEST]
        texts = [i for i in texts if cells(plain(made[i].name)) < _wide(made[i])]
        if not texts:
            break
        longest = max(texts, key=lambda i: _wide(made[i]))
        room = max(SHORTEST, cells(plain(made[longest].name)), _wide(made[longest]) - over)
        made[longest] = replace(made[longest], cells=[cut(cell, room, more) for cell in made[longest].cells])
    return made


def _least(columns: Sequence[Column]) -> int | None:
    """Return the place of the column that goes next; None if all are to stay."""
    last = max(range(len(columns)), key=lambda i: (columns[i].rank, i))
    return last if columns[last].rank else None
