"""Heat map: a statistic of a metric over two parameters, over all rows, whatever the other parameters are.

Theory of operation. Rows are counted into cells (`swath.views.figures.counting`), and only cells are drawn. A cell
without a value is hatched if points failed there, dotted if all were stopped early, grey if points are still to come, and blank if there is
none. While something is selected, the browser computes the cells again from the marks that are selected.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.layouts import row
from bokeh.models import ColorBar, ColumnDataSource, CustomJS, PlainText

from swath.views.figures.brushing import Brush
from swath.views.figures.canvas import NAME, canvas, label, said, style, ticks, tooltips
from swath.views.figures.counting import Counted, Statistic, cell_of, count
from swath.views.figures.marks import mapper
from swath.views.figures.study import MOST
from swath.views.palette import FAILED, LIGHT, STATUS, Look
from swath.views.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.models import LayoutDOM
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from swath.views.figures.axes import Cells
    from swath.views.figures.study import Points, Study

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

FACETS: Final = 6
"""Values of a third parameter that are shown beside each other."""
CANDIDATES: Final = 8
"""Parameters of which two are chosen."""
SPECKS: Final = 400
"""Cells up to which there is room between them, and for a speck on those with some failures."""

_AGAIN: Final = """
const kept = source.selected.indices, data = {...cells.data}
const m = xs.length - 1, k = ys.length - 1
const place = (edges, v) => { let i = 0; while (i < edges.length - 2 && v >= edges[i + 1] - 1e-6) i++; return i }
if (kept.length == 0 && !source.tags.includes("nothing")) data.value = data.all
else {
  const n = new Float64Array(m * k), sum = new Float64Array(m * k), square = new Float64Array(m * k)
  const best = new Float64Array(m * k).fill(NaN)
  for (const row of kept) {
    const x = source.data[xkey][row], y = source.data[ykey][row], v = source.data[vkey][row]
    if (x < -0.06 || y < -0.06 || !Number.isFinite(v) || (statistic != "seconds" && source.data.bad[row])) continue
    if (fkey && (source.data[fkey][row] < flow - 1e-6 || source.data[fkey][row] > fhigh + 1e-6)) continue
    const i = place(ys, y) * m + place(xs, x)
    n[i] += 1; sum[i] += v; square[i] += v * v
    if (!(best[i] * sign <= v * sign)) best[i] = v
  }
  const mean = i => sum[i] / n[i]
  const found = {
    mean, seconds: mean, best: i => best[i], count: i => n[i] || NaN,
    std: i => n[i] > 1 ? Math.sqrt(Math.max(0, square[i] - n[i] * mean(i) ** 2) / (n[i] - 1)) : NaN,
  }[statistic]
  data.value = Float64Array.from(data.cell, i => n[i] ? found(i) : NaN)
}
cells.data = data
"""


def default_axes(study: Study, shares: dict[str, float] | None = None) -> tuple[str, str] | None:
    """Choose two parameters for a heat map: important ones that many points have both of, else the first.

    Replicates are taken only where there is nothing else. With ``when`` a parameter may have values only where another
    has none, and two of that kind would give an empty map.
    """
    names = [name for name in study.parameters if name not in study.replicates]
    if len(names) < 2:
        names += [name for name in study.parameters if name in study.replicates]
    matters = shares or {}
    names.sort(key=lambda name: -matters.get(name, 0.0))
    pairs = combinations(names[:CANDIDATES], 2)
    return max(
        pairs,
        key=lambda pair: _filling(study, *pair) * (1e-9 + sum(matters.get(name, 0.0) for name in pair)),
        default=None,
    )


def _filling(study: Study, x: str, y: str) -> float:
    """Return 1 if all rows have both; else the share of those that have, times the share of cells that they fill."""
    some = slice(None, None, max(1, len(study) // MOST))
    across, up = study.axes[x].cells(), study.axes[y].cells()
    cell = cell_of(across, up, study.columns[x][some], study.columns[y][some], None)
    both = cell[cell >= 0]
    if len(both) == len(cell):
        return 1.0
    filled = np.count_nonzero(np.bincount(both)) / min(len(across) * len(up), len(cell))
    return filled * len(both) / len(cell)


def heatmap(
    points: Points,
    x: str,
    y: str,
    *,
    metric: str = "",
    statistic: Statistic = "mean",
    facet: str = "",
    look: Look = LIGHT,
    brush: Brush | None = None,
    height: int = 320,
) -> LayoutDOM:
    """Draw a heat map, or one for each value of a third parameter.

    Parameters
    ----------
    points : Points
        The marks that selections are computed from; cells are of all rows.
    x, y : str
        Parameters.
    metric : str
        Default: the one that matters; without any, points are counted.
    statistic : {"mean", "best", "count", "std", "seconds"}
        See `count`.
    facet : str
        A parameter; its first `FACETS` cells are shown.
    look, brush
        Of the document.
    height : int
        Pixels.
    """
    study = points.study
    metric = metric or study.metric
    statistic = statistic if metric or statistic == "seconds" else "count"
    brush = brush or Brush(points, look)
    parts = _parts(study, facet)
    counted = [count(study, x, y, metric or x, statistic, chosen, waiting) for _, chosen, waiting, _ in parts]
    values = np.concatenate([item.value for item in counted])
    colour = mapper(values, look, best_low=_best_low(study, metric, statistic))
    whole = _title(study, metric, statistic, (x, y))
    optimised = bool(study.direction) and metric == study.metric and len(study.goals) < 2
    made = []
    for (title, _, _, limits), item in zip(parts, counted, strict=True):
        plot = _plot(study, x, y, item, colour, title or whole, look, height)
        if optimised and statistic in ("mean", "best"):
            _best(plot, item, study, look)
        _follow(plot, points, (x, y, facet), metric or x, statistic, limits, brush)
        made.append(plot)
    made[-1].add_layout(_key(colour, _said(metric, statistic), look), "right")
    return made[0] if len(made) == 1 else row(*made, sizing_mode="stretch_width")


def _key(colour: Any, title: str, look: Look) -> ColorBar:
    """Make the bar that tells which colour stands for which value."""
    made = ColorBar(
        color_mapper=colour,
        width=10,
        padding=6,
        background_fill_color=None,
        title=PlainText(text=title),
        bar_line_color=None,
        major_tick_line_color=None,
    )
    style(made, look)
    return made


def _best_low(study: Study, metric: str, statistic: str) -> bool:
    if statistic == "count":
        return False
    return statistic in ("std", "seconds") or study.way(metric) > 0


def _said(metric: str, statistic: str) -> str:
    fixed = {"count": "points", "seconds": "mean seconds"}
    return fixed.get(statistic) or f"{statistic} {said(metric, 24)}"


def _title(study: Study, metric: str, statistic: str, drawn: Sequence[str]) -> str:
    """Say what cells show, and over which other parameters."""
    others = [name for name in study.parameters if name not in drawn]
    over = ", ".join(said(name, 14) for name in others[:3]) + (", …" if len(others) > 3 else "")
    what = {
        "count": "Points",
        "seconds": "Mean seconds of a point",
        "std": f"Standard deviation of {said(metric, 24)}",
    }.get(statistic, f"{statistic.capitalize()} {said(metric, 24)}")
    return cut(what + (f" over {over}" if over and statistic in ("mean", "best", "std") else ""), NAME)


def _parts(study: Study, facet: str) -> Sequence[tuple[str, Bools | None, Bools | None, tuple[float, float]]]:
    """Return for each facet its title, its rows, its pending points, and its limits on the axis."""
    if not facet:
        return [("", None, None, (0.0, 1.0))]
    axis = study.axes[facet]
    cells = axis.cells()
    codes = cells.codes(study.columns[facet])
    waiting = cells.codes(study.pending[facet]) if study.pending else None
    edges = _units(study, facet, cells)
    return [
        (
            f"{said(facet, 20)} = {said(cells.labels[i], 24)}",
            codes == i,
            None if waiting is None else waiting == i,
            (edges[i], edges[i + 1]),
        )
        for i in range(min(len(cells), FACETS))
    ]


def _units(study: Study, name: str, cells: Cells) -> list[float]:
    """Return the edges of cells as places in [0, 1], the outer ones beyond."""
    return [-0.01, *study.axes[name].unit(cells.edges[1:-1]).tolist(), 1.01]


def _plot(
    study: Study,
    x: str,
    y: str,
    item: Counted,
    colour: Any,
    title: str,
    look: Look,
    height: int,
) -> figure:
    across, up = study.axes[x].cells(), study.axes[y].cells()
    made = canvas(title, look, height=height, x_range=(0, len(across)), y_range=(0, len(up)))
    made.grid.visible = False
    label(made.xaxis[0], stepwise(x, across))
    label(made.yaxis[0], stepwise(y, up))
    ticks(made.xaxis[0], _sparse(across, 12, 32))
    ticks(made.yaxis[0], _sparse(up, 12))
    source = ColumnDataSource(_columns(item, across, up), name="cells")
    _cells(made, source, item, colour, look)
    rows = [
        (x, "@x"),
        (y, "@y"),
        ("value", "@value"),
        ("points", "@rows"),
        ("failed", "@failed"),
    ]
    rows += [("stopped early", "@stopped")] if item.stopped.any() else []
    rows += [("to come", "@pending")] if study.pending else []
    made.add_tools(tooltips(rows, renderers=[made.renderers[0]]))
    return made


def stepwise(name: str, cells: Cells) -> str:
    """Write the name of an axis, and that its cells are steps of what is continuous."""
    return f"{said(name, 24)}, in {len(cells)} steps" if cells.marks else name


def _sparse(cells: Cells, most: int, room: int = 1000) -> dict[float, str]:
    """Choose labels of cells, by their places."""
    if cells.marks:
        return dict(cells.marks)
    step = max(math.ceil(len(cells) / most), math.ceil(sum(map(len, cells.ticks)) / room))
    return {i + 0.5: cells.ticks[i] for i in range(0, len(cells), step)}


def _columns(item: Counted, across: Cells, up: Cells) -> dict[str, Any]:
    """Return the columns of cells that are not blank."""
    m = len(across)
    cell = np.flatnonzero((item.rows > 0) | (item.pending > 0))
    return {
        "cell": cell,
        "left": cell % m,
        "bottom": cell // m,
        "right": cell % m + 1,
        "top": cell // m + 1,
        "x": [across.labels[i] for i in (cell % m).tolist()],
        "y": [up.labels[j] for j in (cell // m).tolist()],
        "value": item.value[cell],
        "all": item.value[cell],
        "rows": item.rows[cell],
        "failed": item.failed[cell],
        "pending": item.pending[cell],
        "stopped": item.stopped[cell],
    }


def _cells(plot: figure, source: ColumnDataSource, item: Counted, colour: Any, look: Look) -> None:
    """Draw colours, grey where points are to come, hatches where nothing came to its end and specks where some failed."""
    m = int(plot.x_range.end)
    cell = source.data["cell"]
    few = len(item.value) <= SPECKS
    shape = {"left": "left", "right": "right", "bottom": "bottom", "top": "top", "source": source}
    inked = {"field": "value", "transform": colour}
    plot.quad(**shape, fill_color=inked, line_color=look.surface if few else inked)
    line = {"line_color": look.surface if few else None}
    waiting = cell[np.isnan(item.value[cell]) & (item.pending[cell] > 0)]
    plot.quad(**_squares(waiting, m), fill_color=look.pending, **line)
    cut_short = cell[np.isnan(item.value[cell]) & (item.stopped[cell] > 0)]
    plot.quad(
        **_squares(cut_short, m), fill_color=look.surface, hatch_pattern="dot", hatch_color=STATUS["pruned"], hatch_scale=6, **line,
    )  # fmt: skip
    empty = cell[np.isnan(item.value[cell]) & (item.failed[cell] > 0)]
    plot.quad(
        **_squares(empty, m), fill_color=look.surface, hatch_pattern="right_diagonal_line", hatch_color=FAILED, hatch_alpha=0.8, hatch_scale=8, hatch_weight=1.5, **line,
    )  # fmt: skip
    some = cell[~np.isnan(item.value[cell]) & (item.failed[cell] > 0)]
    if few and len(some):
        plot.scatter(
            some % m + 0.88,
            some // m + 0.85,
            marker="circle",
            size=5,
            fill_color=FAILED,
            line_color=look.surface,
        )


def _squares(cell: NDArray[np.int64], m: int) -> dict[str, Any]:
    return {"left": cell % m, "right": cell % m + 1, "bottom": cell // m, "top": cell // m + 1}


def _best(plot: figure, item: Counted, study: Study, look: Look) -> None:
    """Frame the best cell."""
    if not np.isfinite(item.value).any():
        return
    m = int(plot.x_range.end)
    values = np.where(np.isfinite(item.value), item.value * study.sign, np.inf)
    best = _squares(np.array([values.argmin()]), m)
    plot.quad(**best, fill_color=None, line_color=look.surface, line_width=5)
    plot.quad(**best, fill_color=None, line_color=look.ink, line_width=2)


def _follow(
    plot: figure,
    points: Points,
    names: tuple[str, str, str],
    metric: str,
    statistic: str,
    limits: tuple[float, float],
    brush: Brush,
) -> None:
    """Link a map with the selection, both ways: dragging over cells selects, and selecting computes them again."""
    x, y, facet = names
    study = points.study
    xs, ys = _units(study, x, study.axes[x].cells()), _units(study, y, study.axes[y].cells())
    cells = plot.select_one({"name": "cells"}) or plot.renderers[0].data_source
    again = CustomJS(
        args={
            "source": points.source,
            "cells": cells,
            "xs": xs,
            "ys": ys,
            "xkey": points.unit(x),
            "ykey": points.unit(y),
            "vkey": "seconds" if statistic == "seconds" else points.key(metric),
            "fkey": points.unit(facet) if facet else "",
            "flow": limits[0],
            "fhigh": limits[1],
            "statistic": statistic,
            "sign": study.way(metric),
        },
        code=_AGAIN,
    )
    points.source.selected.js_on_change("indices", again)
    spans = """
    const at = (edges, v) => Math.max(0, Math.min(edges.length - 2, Math.floor(v)))
    const found = [[xrow, xs[at(xs, x0)], xs[at(xs, x1) + 1] - 2e-6], [yrow, ys[at(ys, y0)], ys[at(ys, y1) + 1] - 2e-6]]
    return frow < 0 ? found : [...found, [frow, flow, fhigh]]
    """
    rows = {"xrow": brush.place(points.unit(x)), "yrow": brush.place(points.unit(y))}
    rows["frow"] = brush.place(points.unit(facet)) if facet else -1
    brush.boxes(plot, spans, click=True, xs=xs, ys=ys, flow=limits[0], fhigh=limits[1], **rows)
