"""How a point is drawn: by the value of a metric, or in the colour of its status where it failed or was stopped early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import CategoricalColorMapper, CDSView, LinearColorMapper, LogColorMapper

from swath.views.palette import STATUS, Look, sequential

FAINT = 0.4
"""How much less opaque marks are of points that were stopped early, or break a constraint."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swath.views.figures.study import Points


def mapper(values: NDArray[np.float64], look: Look, *, best_low: bool) -> LinearColorMapper | LogColorMapper:
    """Map numbers to colours, the best ones to what stands out most from the background.

    Parameters
    ----------
    values : ndarray of float
        All that occur; NaN and infinities do not count.
    look : Look
        Of the page.
    best_low : bool
        Whether less is better.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    colours = sequential(reverse=best_low == look.is_dark)
    options = {
        "palette": colours,
        "low": low,
        "high": high if high > low else low + 1,
        "nan_color": "#00000000",
    }
    skewed = len(finite) and low > 0 and high > 100 * low and np.median(finite) - low < 0.1 * (high - low)
    return LogColorMapper(**options) if skewed else LinearColorMapper(**options)


def colours(points: Points, metric: str, look: Look) -> dict[str, Any]:
    """Return the colour of marks of points that are ``ok``."""
    if not metric:
        return {"value": STATUS["ok"]}
    study = points.study
    best_low = study.way(metric) > 0
    return {
        "field": points.key(metric),
        "transform": mapper(study.columns[metric][study.ok], look, best_low=best_low),
    }


def layers(
    points: Points, metric: str, look: Look, alpha: float, bad: float = 0.5
) -> list[tuple[CDSView, dict[str, Any], float]]:
    """Return what is drawn over each other: views, how they are coloured, and how opaque they are.

    Parameters
    ----------
    points : Points
        The marks.
    metric : str
        What gives those that are ``ok`` their colour; those of points that were stopped, or
        break a constraint, lie below, those that failed on top.
    look : Look
        Of the page.
    alpha, bad : float
        How opaque those that are ``ok`` and those that failed are.
    """
    every = (
        (points.stopped, by_status(), FAINT * alpha),
        (points.unfit, colours(points, metric, look), FAINT * alpha),
        (points.fine, colours(points, metric, look), alpha),
        (points.failed, by_status(), bad),
    )
    return [(view, colour, opaque) for view, colour, opaque in every if view is not None]


def by_status() -> dict[str, Any]:
    """Return the colour of marks that show how their points ended."""
    return {
        "field": "status",
        "transform": CategoricalColorMapper(factors=list(STATUS), palette=list(STATUS.values())),
    }
