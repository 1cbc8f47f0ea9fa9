"""Bars: how points ended, what matters most, what workers did."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, Range1d

from swath.views.figures.canvas import canvas, label, said, ticks, tooltips
from swath.views.figures.marks import by_status
from swath.views.figures.study import STATUSES
from swath.views.palette import FONT, LIGHT, SMALL, STATUS, Look
from swath.views.text import count, spent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bokeh.plotting import figure

    from swath.views.figures.study import Points, Study

MOST = 12
"""Bars of a figure; the longest."""
BARS = 1500
"""Bars of a timeline; the smaller sample of those that are drawn elsewhere."""
THICK = 24
"""Pixels of a bar with the gap after it."""


def statuses(study: Study, *, look: Look = LIGHT) -> figure:
    """Draw one bar of all points, parted by how they ended; what has no row yet is grey."""
    whole = max(1, len(study) + study.left)
    counts = {**study.statuses, **({"to do": study.left} if study.left else {})}
    made = canvas(
        "How points ended",
        look,
        height=96,
        y_range=(-1.1, 0.62),
        x_range=Range1d(-0.008 * whole, whole),
    )
    made.yaxis.visible = made.xaxis.visible = made.grid.visible = False
    made.update(min_border_bottom=6, min_border_left=16)
    edges = np.cumsum([0, *counts.values()]).tolist()
    for i, (status, n) in enumerate(counts.items()):
        source = ColumnDataSource(
            {"left": [edges[i]], "right": [edges[i + 1]], "status": [status], "points": [n]}
        )
        colour = STATUS.get(status, look.pending)
        bar = made.quad("left", "right", 0.5, -0.2, source=source, fill_color=colour, line_color=look.surface)
        made.add_tools(tooltips([("status", "@status"), ("points", "@points{0,0}")], renderers=[bar]))
    _legend(made, counts, look)
    return made


def _legend(plot: figure, counts: Mapping[str, int], look: Look) -> None:
    """Write the counts below the bar, each beside a dot of its colour, spaced evenly."""
    end = plot.x_range.end
    for i, (status, n) in enumerate(counts.items()):
        x = end * i / max(4, len(counts))
        plot.scatter([x], [-0.72], size=9, fill_color=STATUS.get(status, look.pending), line_color=None)
        plot.text(
            [x], [-0.72], [f"{status} {count(n)}"], x_offset=10, text_color=look.ink, text_baseline="middle", text_font=value(FONT), text_font_size="12px",
        )  # fmt: skip


def _bars(
    title: str,
    names: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    look: Look,
    colour: str,
    right: float = 0.3,
    height: int = 0,
) -> figure:
    """Draw bars from the left, the first on top, each with its name before and a text behind it."""
    n = len(names)
    made = canvas(
        title, look, height=height or 64 + THICK * max(n, 1), y_range=(0.4 - max(n, 5 if height else 1), 0.6)
    )
    made.x_range = Range1d(0, (max(values, default=0) or 1) * (1 + right))
    made.xaxis.visible = made.grid.visible = False
    made.update(min_border_bottom=12, min_border_left=24 + 7 * max(map(len, names), default=0))
    ticks(made.yaxis[0], {-float(i): said(name, 28) for i, name in enumerate(names)})
    made.yaxis.update(axis_line_color=None, major_tick_line_color=None, major_label_text_color=look.ink)
    made.yaxis.update(major_label_text_font_size="12px")
    source = ColumnDataSource({"y": [-i for i in range(n)], "value": list(values), "text": list(texts)})
    made.hbar(y="y", right="value", height=0.62, source=source, fill_color=colour, line_color=None)
    made.text(
        "value", "y", "text", source=source, x_offset=6, text_baseline="middle", text_color=look.muted, text_font=value(FONT), text_font_size=SMALL,
    )  # fmt: skip
    return made


def importance(
    shares: Mapping[str, float], *, metric: str = "", measure: str = "", look: Look = LIGHT, height: int = 0
) -> figure:
    """Draw how much each parameter matters, the most important one on top.

    Parameters
    ----------
    shares : mapping of str to float
        By parameter, at least 0.
    metric : str
        For what they matter, for the title.
    measure : str
        What is measured, for the axis.
    look : Look
        Of the page.
    height : int
        Pixels; default: as many as the bars need.
    """
    ranked = sorted(shares.items(), key=lambda item: -item[1])[:MOST]
    names, values = [name for name, _ in ranked], [max(0.0, value) for _, value in ranked]
    title = f"Importance for {said(metric)}" if metric else "Importance"
    made = _bars(title, names, values, [f"{value:.2f}" for value in values], look, look.accent, height=height)
    if measure:
        made.xaxis.visible = True
        made.min_border_bottom = 44
        label(made.xaxis[0], measure)
        ticks(made.xaxis[0], {})
    return made


def workers(study: Study, *, look: Look = LIGHT) -> figure:
    """Draw how many points each worker evaluated, those with the most on top, with their seconds and failures."""
    n = len(study.workers)
    points = np.bincount(study.worker, minlength=n)
    seconds = np.bincount(study.worker, weights=study.seconds, minlength=n)
    bad = np.bincount(study.worker[study.failed], minlength=n)
    order = np.argsort(-points, kind="stable")[:MOST]
    texts = [
        f"{spent(seconds[i])}" + (f", {count(int(bad[i]))} failed" if bad[i] else "") for i in order.tolist()
    ]
    more = f" — {MOST} of {n}" if n > MOST else ""
    return _bars(
        f"Workers: points, and seconds spent{more}",
        [study.workers[i] for i in order],
        points[order].tolist(),
        texts,
        look,
        STATUS["ok"],
        0.6,
    )


def timeline(points: Points, *, look: Look = LIGHT) -> figure:
    """Draw when points were evaluated, by worker, those with the most points on top; a bar is as long as it took."""
    study = points.study
    counts = np.bincount(study.worker, minlength=len(study.workers))
    busiest = np.argsort(-counts, kind="stable")[:MOST]
    line = np.full(len(study.workers), -1)
    line[busiest] = np.arange(len(busiest))
    rows = points.rows[line[study.worker[points.rows]] >= 0]
    rows = rows[:: math.ceil(len(rows) / BARS) or 1]
    begin = float(study.started.min()) if len(study) else 0.0
    whole = float((study.started + study.seconds).max()) - begin if len(study) else 0.0
    note = f" — {len(rows):,} of {len(study):,} points" if len(rows) < len(study) else ""
    made = canvas(
        f"When{note}",
        look,
        height=84 + max(THICK * len(busiest), 40),
        y_range=(-len(busiest) + 0.4, 0.6),
        x_range=(0, whole or 1.0),
    )
    label(made.xaxis[0], "seconds since the first point began")
    ticks(
        made.yaxis[0], {-float(i): said(study.workers[code], 28) for i, code in enumerate(busiest.tolist())}
    )
    made.ygrid.visible = False
    source = ColumnDataSource(
        {
            "y": -line[study.worker[rows]],
            "left": study.started[rows] - begin,
            "right": study.started[rows] - begin + study.seconds[rows],
            "point": study.points[rows],
            "seconds": study.seconds[rows],
            "status": [STATUSES[code] for code in study.status[rows].tolist()],
        }
    )
    colour = by_status()
    bars = made.hbar(
        "y", left="left", right="right", height=0.6, source=source, fill_color=colour, line_color=colour
    )
    made.add_tools(
        tooltips([("point", "@point"), ("seconds", "@seconds"), ("", "@status")], renderers=[bars])
    )
    return made
