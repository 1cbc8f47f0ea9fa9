"""A metric against one parameter, and in the order in which points finished.

Points and lines are dots of Braille characters, eight in each cell of the terminal, or one letter a cell where only ASCII can be
shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from swath.views.figures.axes import Axis, number
from swath.views.palette import ACCENT
from swath.views.sketch.paper import LABELS, Room, fitted, joined, marks_of, spoken
from swath.views.text import cells, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swath.views.ansi import Piece
    from swath.views.sketch.paper import Line

    Floats = NDArray[np.float64]
    Grid = NDArray[np.bool_]
    Trace = tuple[NDArray[np.int64], Floats]

BRAILLE: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
TICKS: Final = 3
FEW: Final = 20


@dataclass(frozen=True, slots=True)
class _Layer:
    """Dots of one kind, shape (4 rows, 2 columns), the first row at the top."""

    dots: Grid
    style: str
    letter: str


def slices(x: Axis, metric: Axis, rows: tuple[Floats, Floats], room: Room, *, title: str) -> list[Line]:
    """Draw a metric against one parameter: all points, and the mean at each value, or of each step where any number may come.

    Parameters
    ----------
    x, metric : Axis
        The parameter, and the metric.
    rows : tuple of two arrays, shape (n,)
        Coordinates on both; rows without are left out.
    room, title : Room, str
        As for `heatmap`.
    """
    xs, ys = rows
    there = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[there], ys[there]
    frame = _Frame.of(x, metric, room)
    cells = x.cells()
    values, group = np.unique(cells.codes(xs) if cells.marks else xs, return_inverse=True)
    layers = [frame.points(xs, ys, "dim", marks_of(room).point)]
    if 1 < len(values) <= frame.columns and len(values) < len(xs):
        n = np.bincount(group)
        at = (
            np.bincount(group, weights=x.unit(xs)) / n
        )  # the middle of the points of a step, or the value itself
        layers.append(frame.dashes(at, np.bincount(group, weights=ys) / n, ACCENT, marks_of(room).mean))
    said = [("points", "dim"), ("mean", ACCENT)] if len(layers) > 1 else []
    return frame.drawn(layers, title, said)


def history(metric: Axis, values: Floats, room: Room, *, title: str, direction: str) -> list[Line]:
    """Draw a metric in the order in which points finished, and the best so far.

    Parameters
    ----------
    metric : Axis
        The metric.
    values : array, shape (n,)
        In that order; NaN for a point that has failed or has none.
    room, title : Room, str
        As for `heatmap`.
    direction : str
        ``minimize``, ``maximize``, or empty: nothing is best.
    """
    order = np.arange(1.0, len(values) + 1)
    x = Axis("points finished", "linear", (), 1.0, float(max(1, len(values))), whole=True)
    frame = _Frame.of(x, metric, room)
    there = np.isfinite(values)
    layers = [frame.points(order[there], values[there], "dim", marks_of(room).point)]
    said = []
    if direction and there.any():
        sign = -1.0 if direction == "maximize" else 1.0
        best = sign * np.minimum.accumulate(np.where(there, sign * values, np.inf))
        layers.append(frame.line(order, best, ACCENT, marks_of(room).mean))
        said = [("points", "dim"), ("best so far", ACCENT)]
    return frame.drawn(layers, title, said)


def front(
    axes: tuple[Axis, Axis], rows: tuple[Floats, Floats], on: Grid, room: Room, *, title: str
) -> list[Line]:
    """Draw one goal against another, and the points that no other one beats.

    Parameters
    ----------
    axes : tuple of two Axis
        The goals.
    rows : tuple of two arrays, shape (n,)
        Coordinates on both; rows without are left out.
    on : array of bool, shape (n,)
        Which rows are on the front.
    room, title : Room, str
        As for `heatmap`.
    """
    xs, ys = rows
    there = np.isfinite(xs) & np.isfinite(ys)
    frame = _Frame.of(*axes, room)
    layers = [
        frame.points(xs[there], ys[there], "dim", marks_of(room).point),
        frame.dashes(axes[0].unit(xs[there & on]), ys[there & on], ACCENT, marks_of(room).mean),
    ]
    return frame.drawn(layers, title, [("points", "dim"), ("front", ACCENT)])


def traces(
    axes: tuple[Axis, Axis],
    lines: Sequence[Trace],
    best: Trace | None,
    room: Room,
    *,
    title: str,
) -> list[Line]:
    """Draw learning curves: a metric from step to step.

    Parameters
    ----------
    axes : tuple of two Axis
        The steps, and the metric.
    lines : sequence of two arrays each
        Steps, ascending, and values; NaN is left out.
    best : tuple of two arrays, optional
        The one that stands out.
    room, title : Room, str
        As for `heatmap`.
    """
    frame = _Frame.of(*axes, room)
    layers = [frame.traces(lines, "dim", marks_of(room).point)] if lines else []
    if best is not None:
        layers.append(frame.traces([best], ACCENT, marks_of(room).mean))
    return frame.drawn(layers, title, [("points", "dim"), ("best", ACCENT)] if lines and best else [])


@dataclass(frozen=True, slots=True)
class _Frame:
    """Two axes with words at them, and room for dots between."""

    x: Axis
    y: Axis
    columns: int
    rows: int
    labels: int
    room: Room

    @classmethod
    def of(cls, x: Axis, y: Axis, room: Room) -> _Frame:
        labels = max(cells(said) for said in _scale(y, TICKS))
        return cls(x, y, max(8, room.columns - labels - 3), max(3, room.rows - 4), labels, room)

    def _places(self, axis: Axis, coordinates: Floats, steps: int) -> NDArray[np.int64]:
        return np.round(axis.unit(coordinates) * (steps - 1)).astype(np.int64)

    def _blank(self) -> Grid:
        return np.zeros((4 * self.rows, 2 * self.columns), dtype=bool)

    def points(self, xs: Floats, ys: Floats, style: str, letter: str) -> _Layer:
        """Set a dot for each point."""
        dots = self._blank()
        height, width = dots.shape
        dots[height - 1 - self._places(self.y, ys, height), self._places(self.x, xs, width)] = True
        return _Layer(dots, style, letter)

    def dashes(self, units: Floats, ys: Floats, style: str, letter: str) -> _Layer:
        """Set a short line for each point, which lies at a place in [0, 1] of the axis across."""
        dots = self._blank()
        height, width = dots.shape
        rows = height - 1 - self._places(self.y, ys, height)
        columns = np.round(units * (width - 1)).astype(np.int64)
        for shift in (-1, 0, 1):
            dots[rows, np.clip(columns + shift, 0, width - 1)] = True
        return _Layer(dots, style, letter)

    def line(self, xs: Floats, ys: Floats, style: str, letter: str) -> _Layer:
        """Draw a line that goes on at its height and then up or down, from the first finite value on."""
        dots = self._blank()
        height, width = dots.shape
        last = np.searchsorted(self._places(self.x, xs, width), np.arange(width), side="right") - 1
        known = np.flatnonzero((last >= 0) & np.isfinite(ys[np.maximum(last, 0)]))
        rows = height - 1 - self._places(self.y, ys[last[known]], height)
        for column, row, before in zip(known, rows, np.concatenate((rows[:1], rows[:-1])), strict=True):
            dots[min(row, before) : max(row, before) + 1, column] = True
        return _Layer(dots, style, letter)

    def traces(self, lines: Sequence[Trace], style: str, letter: str) -> _Layer:
        """Draw lines from point to point."""
        dots = self._blank()
        height, width = dots.shape
        for xs, ys in lines:
            there = np.isfinite(ys)
            if not there.any():
                continue
            across = self.x.unit(xs[there].astype(float)) * (width - 1)
            columns = np.arange(round(across[0]), round(across[-1]) + 1)
            up = np.interp(columns, across, self.y.unit(ys[there]))
            rows = height - 1 - np.round(up * (height - 1)).astype(np.int64)
            for column, row, before in zip(columns, rows, np.concatenate((rows[:1], rows[:-1])), strict=True):
                dots[min(row, before) : max(row, before) + 1, column] = True
        return _Layer(dots, style, letter)

    def drawn(self, layers: Sequence[_Layer], title: str, legend: Sequence[Piece]) -> list[Line]:
        """Put layers over each other, the last at the top, between the axes."""
        stroke, corner, floor = ("│", "└", "─") if self.room.unicode else ("|", "+", "-")
        head: Line = [(spoken(title, self.room, max(8, self.room.columns - 26)), "bold")]
        head += [(f"   {self._sample(style)} {said}", style) for said, style in legend]
        lines = [head]
        told = dict(
            zip(
                np.linspace(self.rows - 1, 0, TICKS).round().astype(int).tolist(),
                _scale(self.y, TICKS),
                strict=True,
            )
        )
        for i, line in enumerate(self._composed(layers)):
            lines.append([(told.get(i, "").rjust(self.labels) + f" {stroke}", "dim"), *line])
        lines.append([(" " * self.labels + f" {corner}" + floor * self.columns, "dim")])
        low, middle, high = _scale(self.x, TICKS)
        name = spoken(self.x.name, self.room, self.columns)
        lines.append([(" " * (self.labels + 2) + _spread((low, middle, high), self.columns), "dim")])
        lines.append([(" " * (self.labels + 2) + name.center(self.columns).rstrip(), "dim")])
        return fitted(lines, self.room)

    def _sample(self, style: str) -> str:
        marks = marks_of(self.room)
        return marks.mean if style == ACCENT else marks.point

    def _composed(self, layers: Sequence[_Layer]) -> list[Line]:
        shape = (self.rows, 4, self.columns, 2)
        bits = [np.einsum("rdcs,ds->rc", layer.dots.reshape(shape), BRAILLE) for layer in layers]
        lines = []
        for i in range(self.rows):
            line: Line = []
            for j in range(self.columns):
                every = [int(found[i, j]) for found in bits]
                top = max((k for k, dots in enumerate(every) if dots), default=-1)
                if top < 0:
                    line.append((" ", ""))
                elif self.room.unicode:
                    line.append((chr(0x2800 + int(np.bitwise_or.reduce(every))), layers[top].style))
                else:
                    line.append((layers[top].letter, layers[top].style))
            lines.append(joined(line))
        return lines


def _scale(axis: Axis, steps: int) -> list[str]:
    """Write what is at the low end, between, and at the high end of an axis."""
    if math.isnan(axis.low):
        return [""] * steps
    if not axis.is_numeric:
        return [_category(axis, i / (steps - 1)) for i in range(steps)]
    if not axis.varies:
        return ["", axis.label(axis.low), ""]
    parts = np.linspace(0, 1, steps)
    if axis.kind == "log":
        places = np.exp(math.log(axis.low) + parts * (math.log(axis.high) - math.log(axis.low)))
    else:
        places = axis.low + parts * (axis.high - axis.low)
    few = (
        axis.whole and axis.high - axis.low < FEW
    )  # then what is between two of them must not be called one of them
    return [
        "" if few and place != round(place) else number(place, whole=axis.whole) for place in places.tolist()
    ]


def _category(axis: Axis, part: float) -> str:
    return cut(axis.label(round(axis.low + part * (axis.high - axis.low))), LABELS)


def _spread(words: tuple[str, str, str], columns: int) -> str:
    """Put three words at the left, in the middle and at the right of a line."""
    low, middle, high = words
    if cells(low) + cells(middle) + cells(high) + 4 > columns:
        middle = ""
    left = max(1, (columns - cells(middle)) // 2 - cells(low))
    right = max(1, columns - cells(low) - left - cells(middle) - cells(high))
    return f"{low}{' ' * left}{middle}{' ' * right}{high}"
