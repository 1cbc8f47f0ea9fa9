"""A heat map of a sweep that goes on: the mean of a metric over two parameters that its viewer chooses.

Cells are computed as everywhere (`swath.views.figures.counting`), but the models stay and get new colours, so that a page can
be brought up to date every few seconds. A cell is grey until one of its points has a row, hatched where all that has a row failed,
dotted where all was stopped early, and has a speck where some failed; it is blank where ``where`` leaves no point.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import ColorBar, ColumnDataSource, HoverTool, LinearColorMapper, PlainText, Range1d, Select

from swath.views.figures.axes import Axis, coded
from swath.views.figures.canvas import canvas, label, said, sheet, style, ticks
from swath.views.figures.counting import cell_of
from swath.views.figures.counting import count as counted
from swath.views.figures.heatmap import SPECKS, stepwise
from swath.views.figures.study import Study
from swath.views.palette import FAILED, LIGHT, STATUS, Look, sequential
from swath.views.text import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.snapshot import Direction
    from swath.views.figures.axes import Cells

HATCH, DOTS = "right_diagonal_line", "dot"

ONE = Axis.categories("", [""])
"""Where there is no second parameter."""

NONE = "(none)"


class Grid:
    """The heat map, and what its axes are.

    Parameters
    ----------
    changed : callable
        Is called when the viewer has chosen other axes; `update` has to follow.

    Attributes
    ----------
    root : Column
    """

    def __init__(self, changed: Callable[[], None], look: Look = LIGHT, *, height: int = 320) -> None:
        self._look, self._changed = look, changed
        self._parameters: Mapping[str, Sequence[Any]] = {}
        self._design: Mapping[str, Sequence[Sequence[Any]]] = {}
        self._scales: Mapping[str, tuple[float | None, float | None, bool]] = {}
        self._axes: dict[str, Axis] = {}
        self._drawn: tuple[Any, ...] = ()
        self._offering = False
        self._source = ColumnDataSource(_blank(0, 0, look))
        self._mapper = LinearColorMapper(palette=["#000000"], low=0, high=1)
        self._choice = [
            Select(title=title, options=[NONE], value=NONE, width=150, stylesheets=[sheet(look)])
            for title in ("across", "up")
        ]
        for select in self._choice:
            select.on_change("value", self._chosen)
        self._figure = self._plot(height)
        self.root = column(
            self._figure,
            row(*self._choice, spacing=12, margin=(0, 0, 8, 50)),
            sizing_mode="stretch_width",
            styles={"background": look.surface},
        )

    def _plot(self, height: int) -> Any:
        look = self._look
        plot = canvas("", look, height=height, x_range=Range1d(0, 1), y_range=Range1d(0, 1))
        plot.grid.visible = False
        cells = plot.quad(
            left="left",
            right="right",
            bottom="bottom",
            top="top",
            source=self._source,
            fill_color="colour",
            line_color=look.surface,
            hatch_pattern="hatch",
            hatch_color="ink",
            hatch_alpha=0.8,
            hatch_scale=8,
            hatch_weight=1.5,
        )
        plot.scatter(
            "spot", "up", source=self._source, size="speck", fill_color=FAILED, line_color=look.surface
        )
        told = [
            ("", "@x"),
            ("", "@y"),
            ("mean", "@value"),
            ("rows", "@rows"),
            ("failed", "@failed"),
            ("stopped early", "@stopped"),
        ]
        plot.add_tools(HoverTool(tooltips=told, renderers=[cells], limit=1))
        self._bar = ColorBar(
            color_mapper=self._mapper,
            width=10,
            padding=6,
            background_fill_color=None,
            title=PlainText(text=""),
            bar_line_color=None,
            major_tick_line_color=None,
        )
        style(self._bar, look)
        plot.add_layout(self._bar, "right")
        return plot

    def _chosen(self, _attribute: str, _old: str, _new: str) -> None:
        if not self._offering:
            self._changed()

    def offer(
        self,
        parameters: Mapping[str, Sequence[Any]],
        replicates: Sequence[str],
        design: Mapping[str, Sequence[Sequence[Any]]],
        scales: Mapping[str, tuple[float | None, float | None, bool]],
    ) -> None:
        """Say which parameters there are.

        Parameters
        ----------
        parameters : mapping of str to sequence
            With their values, in the order of the axis; none where they are too many to be listed.
        replicates : sequence of str
            Those that are not chosen at first, such as seeds.
        design : mapping of str to sequence
            ``kept`` and ``left_out``: rows, as for `update`, of points that ``where`` keeps and leaves out; maybe none.
        scales : mapping of str to (float or None, float or None, bool)
            Of parameters that are drawn: bounds, and whether logarithms are spread evenly.
        """
        self._design, self._scales = design, scales
        if parameters == self._parameters:
            return
        self._parameters = dict(parameters)
        self._axes = {name: Axis.categories(name, values) for name, values in parameters.items() if values}
        for name, values in parameters.items():
            if values and all(isinstance(value, int | float) for value in values):
                whole = all(isinstance(value, int) for value in values)
                self._axes[name] = Axis.numeric(name, np.array(values, dtype=float), whole=whole)
        names = [name for name in parameters if name not in replicates]
        names += [name for name in parameters if name in replicates]
        options: list[tuple[str, str]] = [(name, said(name)) for name in parameters]
        self._offering = True
        for place, select in enumerate(self._choice):
            select.options = [*options, NONE] if place else options or [NONE]
            select.value = names[place] if place < len(names) else NONE
        self._offering = False

    def update(self, rows: Sequence[tuple[Any, ...]], metric: str, direction: Direction, every: int) -> None:
        """Compute the cells again.

        Parameters
        ----------
        rows : sequence of tuple
            Index, place of the status, seconds, value or None, and the values of all parameters.
        metric : str
            What the value is; empty if there is none.
        direction : {"minimize", "maximize", ""}
            Whether less or more of it is better.
        every : int
            How many rows there are in all.
        """
        x, y = (select.value if select.value in self._parameters else "" for select in self._choice)
        across, up = self._column(rows, x), self._column(rows, y if y != x else "")
        study = _study(rows, across, up, metric, direction)
        shown = counted(study, "x", "y", "value", "mean" if metric else "count")
        cells = across[0].cells(), up[0].cells()
        self._arrange(x, y, cells)
        none = self._left_out(x, y if y != x else "", cells)
        self._colour(shown, none & (shown.rows == 0), best_low=direction != "maximize" and bool(metric))
        told = f"mean of {said(metric, 24)}" if metric else "points"
        of = f": {count(len(rows))} of {count(every)} points" if len(rows) < every else ""
        self._figure.title.text.text = f"{told.capitalize()}{of}"
        self._bar.title.text = said(metric, 24) or "points"

    def _left_out(self, x: str, y: str, cells: tuple[Cells, Cells]) -> NDArray[np.bool_]:
        """Return the cells in which ``where`` leaves no point, as far as is known."""
        size = len(cells[0]) * len(cells[1])
        found = {kind: np.zeros(size, np.int64) for kind in ("kept", "left_out")}
        if all(name in self._axes for name in (x, y) if name):  # else their cells are those of the rows
            for kind, rows in self._design.items():
                cell = cell_of(*cells, self._column(rows, x)[1], self._column(rows, y)[1], None)
                found[kind] = np.bincount(cell[cell >= 0], minlength=size)
        return np.asarray((found["left_out"] > 0) & (found["kept"] == 0))

    def _column(self, rows: Sequence[Sequence[Any]], name: str) -> tuple[Axis, NDArray[np.float64]]:
        """Return an axis and the coordinate of each row on it."""
        if not name:
            return ONE, np.zeros(len(rows))
        place = 4 + list(self._parameters).index(name)
        values = [row[place] for row in rows]
        axis = self._axes.get(name)
        if axis is not None and axis.is_numeric:
            return axis, np.array(values, dtype=float)
        if axis is not None:
            places = {value: i for i, value in enumerate(axis.values)}
            return axis, np.array([places.get(value, np.nan) for value in values], dtype=float)
        if all(isinstance(value, int | float) for value in values):
            numbers = np.array(values, dtype=float)
            if name in self._scales:
                low, high, log = self._scales[name]
                bounds = (math.nan if low is None else low, math.nan if high is None else high)
                return Axis.scattered(name, numbers, bounds, log=log), numbers
            return Axis.numeric(name, numbers, whole=all(isinstance(value, int) for value in values)), numbers
        codes, categories = coded(values)
        return Axis.categories(name, categories), codes

    def _arrange(self, x: str, y: str, cells: tuple[Cells, Cells]) -> None:
        """Lay out the cells anew if they are others than before."""
        across, up = cells
        drawn = (x, y, across.ticks, up.ticks)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        m, k = max(1, len(across)), max(1, len(up))
        plot = self._figure
        plot.x_range.end, plot.y_range.end = m, k
        for axis, name, part, most, room in (
            (plot.xaxis[0], x, across, 12, 40),
            (plot.yaxis[0], y, up, 14, 1000),
        ):
            label(axis, stepwise(name, part))
            step = max(1, -(-len(part) // most), -(-sum(map(len, part.ticks)) // room))
            every = {i + 0.5: part.ticks[i] for i in range(0, len(part), step)}
            ticks(axis, dict(part.marks) or every)
        self._source.data = {
            **_blank(m, k, self._look),
            "x": np.tile(np.array([f"{said(x)} = {text}" for text in across.labels] or [""]), k),
            "y": np.repeat(np.array([f"{said(y)} = {text}" if y else "" for text in up.labels] or [""]), m),
        }

    def _colour(self, shown: Any, blank: NDArray[np.bool_], *, best_low: bool) -> None:
        """Colour the cells by their values, and leave those blank that will have none."""
        values = shown.value
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        palette = sequential(reverse=best_low == self._look.is_dark)
        self._mapper.update(palette=palette, low=low, high=high if high > low else low + 1)
        self._bar.visible = bool(len(finite))
        if len(values) != len(self._source.data["left"]):
            return
        places = np.zeros(len(values), int)
        if high > low:
            places = np.nan_to_num((values - low) / (high - low) * (len(palette) - 1)).astype(int)
        colours = np.take(np.array(palette), places)
        empty = np.isnan(values)
        hatched = empty & (shown.failed > 0)
        colours[empty] = self._look.pending
        dotted = empty & ~hatched & (shown.stopped > 0)
        colours[hatched | dotted | blank] = self._look.surface
        self._source.data.update(
            {
                "colour": colours,
                "value": values,
                "rows": shown.rows.astype(float),
                "failed": shown.failed.astype(float),
                "hatch": np.where(hatched, HATCH, np.where(dotted, DOTS, "blank")),
                "ink": np.where(hatched, FAILED, STATUS["pruned"]),
                "stopped": shown.stopped.astype(float),
                "speck": np.where((shown.failed > 0) & ~empty, 5.0 * (len(values) <= SPECKS), 0.0),
            }
        )


def _blank(m: int, k: int, look: Look) -> dict[str, NDArray[Any]]:
    """Return m x k cells, row by row from below, in which nothing is."""
    left, bottom = np.tile(np.arange(m, dtype=float), k), np.repeat(np.arange(k, dtype=float), m)
    n = m * k
    return {
        "left": left,
        "right": left + 1,
        "bottom": bottom,
        "top": bottom + 1,
        "spot": left + 0.88,
        "up": bottom + 0.85,
        "x": np.full(n, ""),
        "y": np.full(n, ""),
        "colour": np.full(n, look.pending),
        "hatch": np.full(n, "blank"),
        "ink": np.full(n, FAILED),
        "stopped": np.zeros(n),
        "value": np.full(n, np.nan),
        "rows": np.zeros(n),
        "failed": np.zeros(n),
        "speck": np.zeros(n),
    }


def _study(
    rows: Sequence[tuple[Any, ...]],
    across: tuple[Axis, NDArray[np.float64]],
    up: tuple[Axis, NDArray[np.float64]],
    metric: str,
    direction: Direction,
) -> Study:
    """Put rows into the form that cells are computed from."""
    n = len(rows)
    values = np.array([row[3] for row in rows], dtype=float)
    if not metric:
        values = np.zeros(n)
    nothing, zeros = np.zeros(n, np.int64), np.zeros(n)
    return Study(
        name="",
        axes={"x": across[0], "y": up[0], "value": Axis.numeric("value", values)},
        columns={"x": across[1], "y": up[1], "value": values},
        parameters=("x", "y"),
        metrics=("value",),
        metric="value",
        direction=direction,
        points=nothing,
        status=np.array([row[1] for row in rows], dtype=np.int64),
        seconds=zeros,
        started=zeros,
        attempts=nothing,
        worker=nothing,
    )
