"""Everything about a study on one page: all figures, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import Button, LayoutDOM

from swath.views.figures import bars
from swath.views.figures.brushing import Brush
from swath.views.figures.canvas import note, sheet
from swath.views.figures.curves import curves
from swath.views.figures.front import fronts
from swath.views.figures.heatmap import default_axes, heatmap
from swath.views.figures.parallel import parallel
from swath.views.figures.slices import history, slice_of
from swath.views.figures.study import Points
from swath.views.figures.table import download, panel, stopped, table
from swath.views.palette import GAP, LIGHT, Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.views.figures.study import Study

SLICES = 6
ACROSS = 3
"""Slices beside each other."""


def overview(
    study: Study,
    *,
    points: Points | None = None,
    shares: Mapping[str, float] | None = None,
    measure: str = "",
    look: Look = LIGHT,
) -> LayoutDOM:
    """Lay out all figures of a study, with one selection; the best point is picked.

    Parameters
    ----------
    study : Study
        The rows.
    points : Points, optional
        The marks; default: a sample of the study's rows.
    shares : mapping of str to float, optional
        How much each parameter matters; not shown if not known.
    measure : str
        What that is.
    look : Look
        Of the page.
    """
    points = points or Points(study)
    brush = Brush(points, look)
    best = np.flatnonzero(points.rows == study.best)
    if len(best):
        brush.pick(int(best[0]))
    parts: list[LayoutDOM] = [bars.statuses(study, look=look)]
    if len(study):
        parts += [
            controls(points, brush, look),
            *_relations(points, brush, look, dict(shares or {}), measure),
        ]
        short = stopped(points, brush, look=look)
        parts += [_details(points, brush, look), *([short] if short else []), _workers(points, look)]
    return column(*parts, sizing_mode="stretch_width", spacing=GAP)


def controls(points: Points, brush: Brush, look: Look = LIGHT) -> LayoutDOM:
    """Lay out the filter, what it leaves, and what can be done with that."""
    brush.told.align = "center"
    clear = Button(label="Clear", width=70, stylesheets=[sheet(look)])
    clear.js_on_event("button_click", brush.clear)
    return row(
        brush.filter, brush.told, clear, download(points, look=look), sizing_mode="stretch_width", spacing=GAP
    )


def _relations(
    points: Points, brush: Brush, look: Look, shares: dict[str, float], measure: str
) -> list[LayoutDOM]:
    study = points.study
    found: list[LayoutDOM] = []
    if study.parameters and (len(study.parameters) > 1 or study.metrics):
        found.append(parallel(points, look=look, brush=brush))
    beside: list[LayoutDOM] = []
    if axes := default_axes(study, shares):
        beside.append(heatmap(points, *axes, look=look, brush=brush))
    if study.metric:
        beside.append(history(points, look=look, brush=brush, height=320))
    if shares:
        beside.append(bars.importance(shares, measure=measure, look=look, height=320))
    if beside:
        found.append(_row(beside))
    if study.curves is not None:
        found.append(curves(points, look=look, brush=brush))
    if len(study.goals) > 1:
        plots = fronts(points, look=look, brush=brush)
        found += [_row(plots[i : i + ACROSS]) for i in range(0, len(plots), ACROSS)]
    names = study.parameters[:SLICES] if study.metric else ()
    across = 2 if len(names) == 4 else ACROSS
    for i in range(0, len(names), across):
        found.append(_row([slice_of(points, name, look=look, brush=brush) for name in names[i : i + across]]))
    return found


def _row(models: Sequence[LayoutDOM]) -> LayoutDOM:
    return row(*models, sizing_mode="stretch_width", spacing=GAP)


def _details(points: Points, brush: Brush, look: Look) -> LayoutDOM:
    height = min(360, max(200, 60 + 26 * len(points.rows)))
    shown, copy = panel(points, brush, look=look, height=height - 38)
    left = column(table(points, brush, look=look, height=height), sizing_mode="stretch_width")
    right = column(shown, copy, width=380, spacing=6)
    return row(left, right, sizing_mode="stretch_width", spacing=GAP)


def _workers(points: Points, look: Look) -> LayoutDOM:
    study = points.study
    return row(
        bars.workers(study, look=look),
        bars.timeline(points, look=look),
        sizing_mode="stretch_width",
        spacing=GAP,
    )


__all__ = ["controls", "note", "overview"]
