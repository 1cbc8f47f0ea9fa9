"""Parallel coordinates: a line a point, from axis to axis; boxes on several axes select what is within all of them.

A point that lacks a value, such as the metric of a failed one, has its end on a rail below the axis.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, LabelSet, Range1d

from swath.views.figures.axes import RAIL
from swath.views.figures.brushing import Brush
from swath.views.figures.canvas import canvas, said, ticks
from swath.views.figures.marks import layers
from swath.views.palette import FONT, LIGHT, SMALL, Look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.plotting import figure

    from swath.views.figures.study import Points, Study

MOST = 12
"""Axes; more are too near to each other to be read."""

_SPANS = """
const {left, right} = ranges.data, found = []
for (let i = 0; i < left.length; i++) {
  const middle = (left[i] + right[i]) / 2
  if (middle >= x0 && middle <= x1) found.push([i, y0 < -0.07 ? -1 : y0, y1])
}
return found
"""


def shown(study: Study, metric: str = "") -> tuple[str, ...]:
    """Return the axes that a figure has if nobody chooses: parameters, then the metric that matters and others."""
    metrics = dict.fromkeys(filter(None, (metric or study.metric, *study.metrics[:3])))
    names = (*study.parameters[: MOST - len(metrics)], *reversed(metrics))
    return tuple(name for name in names if not math.isnan(study.axes[name].low))


def parallel(
    points: Points,
    names: Sequence[str] = (),
    *,
    metric: str = "",
    look: Look = LIGHT,
    brush: Brush | None = None,
    height: int = 340,
) -> figure:
    """Draw parallel coordinates.

    Parameters
    ----------
    points : Points
        The marks.
    names : sequence of str
        Axes from left to right; default: parameters that vary, then metrics.
    metric : str
        What gives lines their colours; default: the one that matters.
    look, brush
        Of the document.
    height : int
        Pixels.
    """
    study = points.study
    metric = metric or study.metric
    brush = brush or Brush(points, look)
    names = list(names or shown(study, metric))
    made = canvas(
        _title(points, metric),
        look,
        height=height,
        x_range=Range1d(-0.35, max(len(names), 2) - 0.65),
        y_range=(RAIL - 0.06, 1.06),
        x_axis_location="above",
        min_border_bottom=8,
        min_border_left=16,
    )
    made.grid.visible = made.yaxis.visible = False
    ticks(made.xaxis[0], {float(i): said(name, 24) for i, name in enumerate(names)})
    made.xaxis.update(axis_line_color=None, major_tick_line_color=None, major_label_text_color=look.ink)
    made.xaxis.update(major_label_text_font_size="12px", major_label_text_font_style="bold")
    _lines(made, points, names, metric, brush)
    _picked(made, points, names, brush, look)
    _axes(made, study, names, look)
    _brushes(made, points, names, brush, look)
    return made


def _title(points: Points, metric: str) -> str:
    by = f" — colour: {said(metric)}" if metric else ""
    return f"Parallel coordinates{by}" + (f" — {points.note}" if points.note else "")


def _lines(plot: figure, points: Points, names: Sequence[str], metric: str, brush: Brush) -> None:
    """Draw a segment between each two neighbours; those of points that failed on top, of those that were stopped below."""
    n = len(points.rows)
    alpha, bad = (0.6, 0.6) if n <= 600 else (0.25, 0.2) if n <= 2000 else (0.12, 0.12)
    faint = {"nonselection_line_alpha": 0.03, "selection_line_alpha": 0.8}
    kinds = layers(points, metric, brush.look, alpha, bad)
    found = [
        _segments(
            plot, points, names, view=view, line_color=colour, line_alpha=alpha, line_width=1.1, **faint
        )
        for view, colour, alpha in kinds
    ]
    every = [renderer for renderers in found for renderer in renderers]
    brush.marks(*every)
    brush.picks(plot, every)


def _segments(plot: figure, points: Points, names: Sequence[str], **style: Any) -> list[Any]:
    source = style.pop("source", points.source)
    pairs = enumerate(pairwise(names))
    if len(names) == 1:  # no neighbour: points on the axis
        return [plot.scatter(0, points.unit(names[0]), size=5, source=source, **style)]
    return [
        plot.segment(i, points.unit(left), i + 1, points.unit(right), source=source, **style)
        for i, (left, right) in pairs
    ]


def _picked(plot: figure, points: Points, names: Sequence[str], brush: Brush, look: Look) -> None:
    _segments(plot, points, names, source=brush.picked, line_color=look.ink, line_width=2.5)


def _axes(plot: figure, study: Study, names: Sequence[str], look: Look) -> None:
    """Draw the axes and what is written along them."""
    places: list[float] = []
    levels: list[float] = []
    texts: list[str] = []
    every = list(range(len(names)))
    plot.segment(every, 0, every, 1, line_color=look.muted, line_width=1.2)
    for i, name in enumerate(names):
        axis = study.axes[name]
        found = axis.ticks(6)
        if missing := study.missing(name):
            found[RAIL] = missing
        places += [i] * len(found)
        levels += list(found)
        texts += list(found.values())
    if not places:
        return
    plot.scatter(places, levels, marker="dash", size=7, line_color=look.muted)
    labels = LabelSet(
        x="x",
        y="y",
        text="text",
        source=ColumnDataSource({"x": places, "y": levels, "text": texts}),
        x_offset=7,
        text_baseline="middle",
        text_color=look.ink,
        text_font=value(FONT),
        text_font_size=SMALL,
        background_fill_color=look.surface,
        background_fill_alpha=0.75,
    )
    plot.add_layout(labels)


def _brushes(plot: figure, points: Points, names: Sequence[str], brush: Brush, look: Look) -> None:
    """Tell where the axes stand, and draw the ranges that are chosen on them."""
    left, right = np.array(brush.ranges.data["left"]), np.array(brush.ranges.data["right"])
    for i, name in enumerate(names):
        left[brush.place(points.unit(name))], right[brush.place(points.unit(name))] = i - 0.08, i + 0.08
    brush.ranges.data = {**brush.ranges.data, "left": left, "right": right}
    plot.quad(
        "left",
        "right",
        "high",
        "low",
        source=brush.ranges,
        fill_color=look.accent,
        fill_alpha=0.25,
        line_color=look.accent,
    )
    brush.boxes(plot, _SPANS)
