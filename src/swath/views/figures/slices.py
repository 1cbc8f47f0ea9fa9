"""Slices: a metric against one parameter, with its mean over all rows for each value of the parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import ColumnDataSource

from swath.views.figures.axes import RAIL, Axis
from swath.views.figures.brushing import Brush
from swath.views.figures.canvas import canvas, label, said, scale, ticks, tooltips
from swath.views.figures.marks import layers
from swath.views.palette import LIGHT, Look

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from swath.views.figures.study import Points, Study

    Floats = NDArray[np.float64]


def slice_of(
    points: Points,
    name: str,
    *,
    metric: str = "",
    look: Look = LIGHT,
    brush: Brush | None = None,
    height: int = 240,
) -> figure:
    """Draw a metric against a parameter, or any two columns with coordinates.

    Parameters
    ----------
    points : Points
        The marks.
    name : str
        Along x.
    metric : str
        Along y; default: the one that matters.
    look, brush
        Of the document.
    height : int
        Pixels.
    """
    study = points.study
    metric = metric or study.metric
    x, y = study.axes[name], study.axes[metric]
    brush = brush or Brush(points, look)
    made = canvas(
        "",
        look,
        height=height,
        x_range=(_floor(study, name), 1.06),
        y_range=(_floor(study, metric), 1.06),
    )
    made.title.visible = False
    scale(made.xaxis[0], x, 6, study.missing(name))
    scale(made.yaxis[0], y, 5, study.missing(metric))
    brush.axes(made, points.unit(name), points.unit(metric))
    _marks(made, points, name, metric, brush)
    whole = np.where(study.ok, study.columns[metric], np.nan)
    places, means = mean_along(x, study.columns[name], whole)
    drawn = {"x": places, "y": y.unit(means), "mean": means}
    _means(made, drawn, x, look)
    return made


def _floor(study: Study, name: str) -> float:
    """Where an axis begins: lower down if there are marks without a value, on their rail."""
    return RAIL - 0.06 if study.missing(name) else -0.06


def _marks(plot: figure, points: Points, name: str, metric: str, brush: Brush) -> None:
    place = points.unit(name)
    faint = {"nonselection_fill_alpha": 0.04, "selection_fill_alpha": 0.9, "line_color": None}
    found = [
        plot.scatter(
            place,
            points.unit(metric),
            source=points.source,
            view=view,
            size=points.size,
            fill_color=colour,
            fill_alpha=alpha,
            **faint,
        )
        for view, colour, alpha in layers(points, metric, brush.look, points.alpha)
    ]
    rows = [
        ("point", "@point"),
        (name, f"@{{{points.wordy(name)}}}"),
        (metric, f"@{{{points.key(metric)}}}"),
        ("", "@status"),
    ]
    plot.add_tools(tooltips(rows, renderers=found))
    brush.marks(*found)
    brush.picks(plot, found)
    plot.scatter(
        place,
        points.unit(metric),
        source=brush.picked,
        size=11,
        fill_color=None,
        line_color=brush.look.ink,
        line_width=2,
    )


def mean_along(axis: Axis, places: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Average values over all rows in each cell of an axis.

    Returns
    -------
    places : ndarray of float, shape (m,)
        The middle of each cell that has a value, in [0, 1].
    means : ndarray of float, shape (m,)
        NaN and infinities do not count.
    """
    cells = axis.cells()
    codes = cells.codes(places)
    there = (codes >= 0) & np.isfinite(values)
    count = np.bincount(codes[there], minlength=len(cells))
    total = np.bincount(codes[there], weights=values[there], minlength=len(cells))
    middle = np.bincount(codes[there], weights=axis.unit(places)[there], minlength=len(cells))
    some = count > 0
    return middle[some] / count[some], total[some] / count[some]


def _means(plot: figure, drawn: dict[str, Floats], axis: Axis, look: Look) -> None:
    if len(drawn["x"]) < 2:
        return
    source = ColumnDataSource(drawn)
    if axis.is_numeric:
        plot.line("x", "y", source=source, line_color=look.ink, line_width=1.5, line_alpha=0.8)
    else:
        plot.scatter("x", "y", source=source, marker="dash", size=22, line_color=look.ink, line_width=2)


def history(
    points: Points, *, metric: str = "", look: Look = LIGHT, brush: Brush | None = None, height: int = 280
) -> figure:
    """Draw a metric over the points in the order in which they finished, and the best one so far.

    Parameters
    ----------
    points : Points
        The marks; the line of the best so far is of all rows.
    metric : str
        Along y; default: the one that matters.
    look, brush
        Of the document.
    height : int
        Pixels.
    """
    study = points.study
    metric = metric or study.metric
    brush = brush or Brush(points, look)
    y = study.axes[metric]
    best = bool(study.direction) and metric == study.metric
    which = f" {said(metric, 24)}" if len(study.goals) > 1 else ""
    title = f"Best{which} so far" if best else "History"
    made = canvas(title, look, height=height, x_range=(-0.02, 1.02), y_range=(_floor(study, metric), 1.06))
    label(made.xaxis[0], "points finished")
    _count(made, len(study))
    scale(made.yaxis[0], y, 6, study.missing(metric))
    brush.axes(made, "uorder", points.unit(metric))
    _finished(made, points, metric, brush)
    if best:
        x, values = best_so_far(study)
        made.step(x / max(1, len(study)), y.unit(values), mode="after", line_color=look.ink, line_width=2)
    return made


def _count(plot: figure, n: int) -> None:
    few = Axis("", "linear", tuple(range(n + 1)) if n < 7 else (), 0.0, float(n), whole=True)
    found = {place: f"{round(place * n):,}" for place in few.ticks(7)} if n else {}
    ticks(plot.xaxis[0], found)


def _finished(plot: figure, points: Points, metric: str, brush: Brush) -> None:
    faint = {
        "nonselection_fill_alpha": 0.04,
        "selection_fill_alpha": 0.9,
        "line_color": None,
        "size": points.size,
    }
    found = [
        plot.scatter(
            "uorder",
            points.unit(metric),
            source=points.source,
            view=view,
            fill_color=colour,
            fill_alpha=alpha,
            **faint,
        )
        for view, colour, alpha in layers(points, metric, brush.look, points.alpha)
    ]
    rows = [
        ("finished as", "@order"),
        ("point", "@point"),
        (metric, f"@{{{points.key(metric)}}}"),
        ("", "@status"),
    ]
    plot.add_tools(tooltips(rows, renderers=found))
    brush.marks(*found)
    brush.picks(plot, found)
    plot.scatter(
        "uorder",
        points.unit(metric),
        source=brush.picked,
        size=11,
        fill_color=None,
        line_color=brush.look.ink,
        line_width=2,
    )


def best_so_far(study: Study) -> tuple[Floats, Floats]:
    """Return the steps of the best value so far.

    Returns
    -------
    order : ndarray of float, shape (k,)
        How many points had finished, ascending; the last one is of all rows.
    values : ndarray of float, shape (k,)
        The best value from then on.
    """
    values = np.where(study.sound, study.columns[study.metric], np.nan)[study.finished] * study.sign
    values = np.where(np.isfinite(values), values, np.inf)
    best = np.minimum.accumulate(values)
    steps = np.flatnonzero(best < np.append(np.inf, best[:-1]))
    if not len(steps):
        return np.empty(0), np.empty(0)
    places = np.append(steps + 1, len(values)).astype(float)
    return places, np.append(best[steps], best[-1]) * study.sign
