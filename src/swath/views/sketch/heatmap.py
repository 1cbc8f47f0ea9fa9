"""The mean of a metric over two parameters, a cell for each pair of values.

Cells are painted by colour where the terminal has 256 of them, by shades otherwise, by letters where only ASCII can be shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from swath.views.figures.axes import Axis, number
from swath.views.palette import FAILED, sequential
from swath.views.sketch.paper import LABELS, Room, fitted, joined, marks_of, spoken
from swath.views.text import cells, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swath.views.ansi import Piece
    from swath.views.sketch.paper import Line, Marks

    Floats = NDArray[np.float64]
    Grid = NDArray[np.bool_]

COLOURS: Final = sequential(64)
SHADES: Final = "░▒▓█"
LETTERS: Final = ".:-=+*#@"
WIDEST: Final = 6  # columns of a cell
LEGEND: Final = 16  # columns of a scale of colours


@dataclass(frozen=True, slots=True)
class _Cells:
    """Rows of a sweep in the cells of a heat map, shape (rows, columns), the first row at the bottom."""

    means: Floats
    failed: Grid
    x_ticks: list[str]
    y_ticks: list[str]


def heatmap(
    x: Axis, y: Axis, rows: tuple[Floats, Floats, Floats], room: Room, *, title: str, direction: str = ""
) -> list[Line]:
    """Draw the mean of a metric over two parameters.

    Parameters
    ----------
    x, y : Axis
        The parameters.
    rows : tuple of three arrays, shape (n,)
        Coordinates on x, on y, and the metric; NaN for a point that has failed or has none.
    room : Room
        Where to draw; the map is as large as its cells allow, and cells are put together where it would be larger.
    title : str
        Said above.
    direction : str
        ``minimize`` or ``maximize`` marks the best cell.
    """
    labels = min(LABELS, max([cells(plain(tick)) for tick in y.cells().ticks], default=1))
    found = _celled(x, y, rows, (max(1, room.columns - labels - 2), max(1, room.rows - 6)))
    wide = max(1, min(WIDEST, (room.columns - labels - 2) // max(1, len(found.x_ticks))))
    scale = Axis.numeric("", found.means[np.isfinite(found.means)])
    best = _best_cell(found.means, direction)
    lines: list[Line] = [
        [(spoken(title, room, room.columns), "bold")],
        [(spoken(y.name, room).rjust(labels), "dim")],
    ]
    for i in reversed(range(len(found.y_ticks))):
        label = spoken(found.y_ticks[i], room, labels)
        line: Line = [(" " * (labels - cells(label)) + label + " ", "dim")]
        line += [
            _cell(found, (i, j), scale, wide, room, best=best == (i, j)) for j in range(len(found.x_ticks))
        ]
        lines.append(joined(line))
    lines.append([(" " * (labels + 1) + _ticks(found.x_ticks, wide, room), "dim")])
    name = spoken(x.name, room, room.columns - labels - 2)
    lines.append(
        [(" " * (labels + 1 + max(0, (wide * len(found.x_ticks) - cells(name)) // 2)) + name, "dim")]
    )
    return fitted([*lines, *_legend(scale, found, room, labels, marked=best is not None)], room)


def _celled(x: Axis, y: Axis, rows: tuple[Floats, Floats, Floats], most: tuple[int, int]) -> _Cells:
    xs, ys, values = rows
    (column, x_ticks), (row, y_ticks) = _grouped(x, xs, most[0]), _grouped(y, ys, most[1])
    shape = len(y_ticks), len(x_ticks)
    there = (column >= 0) & (row >= 0)
    code = row * shape[1] + column
    ok = there & np.isfinite(values)
    size = shape[0] * shape[1]
    counts = np.bincount(code[ok], minlength=size)
    sums = np.bincount(code[ok], weights=values[ok], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    failed = (np.bincount(code[there & ~ok], minlength=size) > 0) & (counts == 0)
    return _Cells(means.reshape(shape), failed.reshape(shape), x_ticks, y_ticks)


def _grouped(axis: Axis, coordinates: Floats, most: int) -> tuple[NDArray[np.int64], list[str]]:
    """Return the cell of each coordinate, -1 where it is missing, and a word for each of at most so many cells."""
    divided = axis.cells()
    size = max(1, -(-len(divided) // most))
    codes = divided.codes(coordinates)
    return np.where(codes < 0, -1, codes // size), list(divided.ticks[::size])


def _best_cell(means: Floats, direction: str) -> tuple[int, int] | None:
    if not direction or not np.isfinite(means).any():
        return None
    place = np.nanargmax(means) if direction == "maximize" else np.nanargmin(means)
    i, j = np.unravel_index(place, means.shape)
    return int(i), int(j)


def _cell(found: _Cells, place: tuple[int, int], scale: Axis, wide: int, room: Room, *, best: bool) -> Piece:
    marks, mean = marks_of(room), found.means[place]
    if math.isnan(mean):
        failed = bool(found.failed[place])
        return (marks.failed if failed else marks.missing).center(wide), FAILED if failed else "dim"
    part = float(scale.unit(np.array([mean]))[0])
    text, style = shade(part, room)
    if room.coloured:
        return (marks.best if best else " ").center(
            wide
        ), f"{'#000000' if part > 0.5 else '#ffffff'} on{style}"
    return (marks.best.center(wide, text) if best else text * wide), ""


def shade(part: float, room: Room) -> tuple[str, str]:
    """Return a character and a colour for a part of a scale, from 0 to 1."""
    ramp = SHADES if room.unicode else LETTERS
    return ramp[min(len(ramp) - 1, int(part * len(ramp)))], COLOURS[round(part * (len(COLOURS) - 1))]


def _ticks(labels: Sequence[str], wide: int, room: Room) -> str:
    """Write words below their cells: below each, or each second, ... so that all have room."""
    said = [spoken(label, room) for label in labels]
    stride = max(1, -(-(max(map(cells, said), default=0) + 1) // wide))
    line = ""
    for i in range(0, len(said), stride):
        line += " " * (i * wide - cells(line)) + said[i]
    return line


def _legend(scale: Axis, found: _Cells, room: Room, labels: int, *, marked: bool) -> list[Line]:
    """Say which numbers colours mean, and what marks mean; on a line each where they do not fit on one."""
    margin: Piece = (" " * (labels + 1), "")
    ramp, said = _ramp(scale, room), _meanings(found, marks_of(room), marked=marked)
    width = sum(cells(text) for text, _ in [margin, *ramp]) + cells(said)
    if not ramp or not said or width + 3 > room.columns:
        return [[margin, *part] for part in (ramp, [(said, "dim")]) if part and part[0][0]]
    return [[margin, *ramp, (f"   {said}", "dim")]]


def _ramp(scale: Axis, room: Room) -> Line:
    if math.isnan(scale.low):
        return []
    if not scale.varies:
        return [(f"all are {number(scale.low)}", "dim")]
    steps = LEGEND if room.coloured else len(SHADES if room.unicode else LETTERS)
    shades = [shade(i / (steps - 1), room) for i in range(steps)]
    ramp = [(" ", f"on{style}") if room.coloured else (text * 2, "") for text, style in shades]
    told = " (logarithmic)" if scale.kind == "log" else ""
    return [(f"{number(scale.low)} ", "dim"), *ramp, (f" {number(scale.high)}{told}", "dim")]


def _meanings(found: _Cells, marks: Marks, *, marked: bool) -> str:
    there = {
        f"{marks.best} best": marked,
        f"{marks.failed} failed": bool(found.failed.any()),
        f"{marks.missing} nothing": bool((np.isnan(found.means) & ~found.failed).any()),
    }
    return "   ".join(said for said, holds in there.items() if holds)
