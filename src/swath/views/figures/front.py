"""Goals against each other: all points, and those that no other one beats.

Of two goals the front is drawn as the staircase of what was attained: along it and on its better side there is no point. Of
three or more there is a figure for each pair of them, in which points of the front may lie anywhere, so these are only marked.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.models import CDSView, ColumnDataSource, IndexFilter

from swath.views.figures.axes import RAIL
from swath.views.figures.brushing import Brush
from swath.views.figures.canvas import canvas, said, scale, tooltips
from swath.views.figures.marks import by_status
from swath.views.palette import LIGHT, STATUS, Look
from swath.views.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from swath.views.figures.study import Points, Study

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Goal = tuple[str, int]

GOALS: Final = 4
"""Goals that are drawn, in pairs, at most."""
CROWD: Final = 60
"""Points on a front up to which they are drawn large."""
BEYOND: Final = 1.2
"""Where the ends of a staircase lie, outside the figure."""


def fronts(
    points: Points,
    goals: Sequence[Goal] = (),
    members: Integers | None = None,
    *,
    look: Look = LIGHT,
    brush: Brush | None = None,
    height: int = 320,
) -> list[figure]:
    """Draw a figure for each pair of goals.

    Parameters
    ----------
    points : Points
        The marks; the front is that of all rows.
    goals : sequence of (str, int)
        Metrics, and 1 where less is better, -1 where more is; the first `GOALS` are drawn. Default: the study's.
    members : ndarray of int, shape (f,)
        The rows on the front; default: the study's.
    look, brush
        Of the document.
    height : int
        Pixels.
    """
    study = points.study
    goals, members = goals or study.goals, study.front if members is None else members
    brush = brush or Brush(points, look)
    found = [_pair(points, pair, members, brush, height) for pair in combinations(goals[:GOALS], 2)]
    found[0].title.text.text = _title(study, goals, members)
    if len(goals) == 2 and len(members):
        _staircase(found[0], study, goals, members, look)
    return found


def _title(study: Study, goals: Sequence[Goal], members: Integers) -> str:
    more = f" of {len(goals)} goals, {GOALS} shown" if len(goals) > GOALS else ""
    sound = count(int(study.sound.sum()))
    unfit = int((study.ok & ~study.sound).sum())
    bound = f", ○ {count(unfit)} break a constraint" if unfit else ""
    return f"Pareto front{more}: {count(len(members))} of {sound} points{bound}"


def _pair(points: Points, goals: tuple[Goal, ...], members: Integers, brush: Brush, height: int) -> figure:
    study, look = points.study, brush.look
    (x, _), (y, _) = goals
    ranges = [(RAIL - 0.06 if study.missing(name) else -0.06, 1.06) for name in (x, y)]
    made = canvas(" ", look, height=height, x_range=ranges[0], y_range=ranges[1])
    for axis, (name, sign), most in zip((made.xaxis[0], made.yaxis[0]), goals, (6, 6), strict=True):
        scale(axis, study.axes[name], most, study.missing(name))
        axis.axis_label.text = f"{said(name)} ({'less' if sign > 0 else 'more'} is better)"
    brush.axes(made, points.unit(x), points.unit(y))
    found = [
        made.scatter(points.unit(x), points.unit(y), source=points.source, view=view, size=size, **style)
        for view, size, style in _kinds(points, members, look)
    ]
    rows = [("point", "@point"), (x, f"@{{{points.key(x)}}}"), (y, f"@{{{points.key(y)}}}"), ("", "@status")]
    made.add_tools(tooltips(rows, renderers=found))
    brush.marks(*found)
    brush.picks(made, found)
    made.scatter(
        points.unit(x),
        points.unit(y),
        source=brush.picked,
        size=13,
        fill_color=None,
        line_color=look.ink,
        line_width=2,
    )
    return made


def _kinds(points: Points, members: Integers, look: Look) -> list[tuple[CDSView, int, dict[str, Any]]]:
    """Return what is drawn how, the front on top: a view, pixels and a style."""
    study, rows = points.study, points.rows
    on = np.isin(rows, members)
    faint = {"nonselection_fill_alpha": 0.04, "nonselection_line_alpha": 0.04, "selection_fill_alpha": 0.9}
    plain = {"line_color": None, "fill_alpha": 0.45, **faint}
    front = {"line_color": look.ink, "fill_color": look.accent, "fill_alpha": 1}
    kinds: list[tuple[NDArray[np.bool_], int, dict[str, Any]]] = [
        (~study.ok[rows], points.size, {**plain, "fill_color": by_status()}),
        (study.sound[rows] & ~on, points.size, {**plain, "fill_color": STATUS["ok"]}),
        (on, points.size + (4 if on.sum() <= CROWD else 1), {**front, **faint}),
    ]
    if study.feasible is not None:  # hollow: it breaks a constraint
        hollow = {
            "fill_color": None,
            "line_color": look.muted,
            "line_alpha": 0.5,
            "nonselection_line_alpha": 0.04,
        }
        kinds.insert(1, (study.ok[rows] & ~study.sound[rows], points.size, hollow))
    return [
        (CDSView(filter=IndexFilter(np.flatnonzero(chosen).tolist())), size, style)
        for chosen, size, style in kinds
        if chosen.any()
    ]


def _staircase(plot: figure, study: Study, goals: Sequence[Goal], members: Integers, look: Look) -> None:
    (x, across), (y, up) = goals
    xs, ys = corners(
        across * study.axes[x].unit(study.columns[x][members]),
        up * study.axes[y].unit(study.columns[y][members]),
    )
    source = ColumnDataSource({"x": across * xs, "y": up * ys}, name="front")
    plot.line("x", "y", source=source, line_color=look.accent, line_width=1.5, level="underlay")


def corners(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return the corners of the staircase of a front.

    Parameters
    ----------
    first, second : ndarray of float, shape (f,)
        Costs of its members, each within [-1, 1], in ascending order of the first.

    Returns
    -------
    two ndarrays of float, shape (2 f + 1,)
        From the end where the second goal does not matter to the one where the first does not, both outside the figure.
    """
    return np.append(np.repeat(first, 2), BEYOND), np.append(BEYOND, np.repeat(second, 2))
