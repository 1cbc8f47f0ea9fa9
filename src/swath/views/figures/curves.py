"""Learning curves: a line a point, from step to step, of one metric.

Theory of operation. A line has the colour of how its point ended, as everywhere. Those of points that were stopped early are faint and
end in a cross, those of points that failed in a cross of their colour, those of points that have no row yet in a dot; the best one is drawn
over all others. Lines are selected with the marks of other figures, and a click on one picks its point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.models import CategoricalColorMapper, ColumnDataSource, CustomJS, TapTool

from swath.views.figures.axes import Axis, number
from swath.views.figures.canvas import canvas, said, scale, tooltips
from swath.views.figures.study import STATUSES
from swath.views.figures.traces import FEWEST, LINES, VERTICES, thinned
from swath.views.palette import LIGHT, RUNNING, STATUS, Look
from swath.views.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from swath.views.figures.brushing import Brush
    from swath.views.figures.study import Points, Study

    Integers = NDArray[np.int64]

UNFINISHED: Final = "unfinished"
"""Instead of a status: the point has no row yet."""
EMPTY: Final = (Axis.categories("", ()),) * 2
MANY: Final = 40
"""Lines beyond which all are fainter."""
LOOKS: Final = {"ok": (0.75, "dot", 0), "pruned": (0.4, "x", 7), UNFINISHED: (0.9, "circle", 6)}
"""By status: how opaque a line is, and its end's marker and pixels; other statuses are failures."""
FAILURE: Final = (0.6, "x", 8)

_FOLLOW: Final = """
const rows = new Set(source.selected.indices)
lines.selected.indices = rows.size ? [...lines.data.row.keys()].filter(i => rows.has(lines.data.row[i])) : []
"""

_PICK: Final = """
const line = cb_data.source.inspected.indices.at(-1)
const row = line === undefined ? -1 : cb_data.source.data.row[line]
if (row < 0) return
const data = {}
for (const name of Object.keys(picked.data)) data[name] = [name == "row" ? row : source.data[name][row]]
picked.data = data
"""

_PICKED: Final = """
const row = picked.data.row[0]
const found = row === undefined ? -1 : lines.data.row.indexOf(row)
chosen.data = {x: found < 0 ? [] : lines.data.xs[found], y: found < 0 ? [] : lines.data.ys[found]}
"""


class Traces:
    """The figure, to be filled, and filled again.

    Attributes
    ----------
    root : figure
    source : ColumnDataSource
        A row a line: ``xs``, ``ys`` (places in [0, 1]), ``endx``, ``endy``, ``point``, ``status``, ``step`` and ``value`` (the last
        ones), ``row`` (of the study's marks, -1 where there is none), ``alpha``, and of its end ``opaque``, ``mark``, ``size``.
    """

    def __init__(self, look: Look = LIGHT, *, height: int = 320) -> None:
        self.source = ColumnDataSource(columns_of([], [], EMPTY), name="curves")
        self._best = ColumnDataSource({"x": np.empty(0), "y": np.empty(0)}, name="best")
        self.root = canvas(" ", look, height=height, x_range=(-0.02, 1.04), y_range=(-0.06, 1.06))
        factors = {**STATUS, UNFINISHED: RUNNING}
        mapper = CategoricalColorMapper(factors=list(factors), palette=list(factors.values()))
        colour = {"field": "status", "transform": mapper}
        faint = {"nonselection_line_alpha": 0.04, "selection_line_alpha": 0.9}
        lines = self.root.multi_line(
            "xs", "ys", source=self.source, line_color=colour, line_alpha="alpha", line_width=1.3, **faint
        )
        ends = self.root.scatter(
            "endx", "endy", source=self.source, marker="mark", size="size", line_color=colour, fill_color=colour,
            line_width=1.6, fill_alpha="opaque", line_alpha="opaque", nonselection_fill_alpha=0.04, **faint,
        )  # fmt: skip
        self.root.line("x", "y", source=self._best, line_color=look.ink, line_width=2.5)
        self.renderers = [lines, ends]
        for axis in (self.root.xaxis[0], self.root.yaxis[0]):
            scale(axis, EMPTY[0])
        rows = [("point", "@point"), ("", "@status"), ("last step", "@step"), ("then", "@value")]
        self.root.add_tools(tooltips(rows, renderers=[lines]))

    def update(
        self, title: str, axes: tuple[Axis, Axis], data: dict[str, Any], best: int | None = None
    ) -> None:
        """Draw lines.

        Parameters
        ----------
        title : str
            What they are.
        axes : tuple of two Axis
            The steps, and the metric.
        data : dict
            As `columns_of` makes them.
        best : int, optional
            The line to be drawn over all others.
        """
        self.root.title.text.text = title
        for axis, of in ((self.root.xaxis[0], axes[0]), (self.root.yaxis[0], axes[1])):
            found = of.ticks(7) if of.varies else {0.5: of.label(of.low)}
            axis.axis_label.text = said(of.name)  # models stay: a new one costs a page some milliseconds
            axis.ticker.ticks = list(found)
            axis.major_label_overrides = dict(found)
        self.source.data = data
        shown = best is not None
        self._best.data = {"x": data["xs"][best] if shown else [], "y": data["ys"][best] if shown else []}


def columns_of(
    lines: Sequence[tuple[int, str, Any, Any]], rows: Sequence[int] | Integers, axes: tuple[Axis, Axis]
) -> dict[str, Any]:
    """Make the columns of lines.

    Parameters
    ----------
    lines : sequence of (int, str, array, array)
        A point, its status or `UNFINISHED`, its steps and the values of the metric, at least one.
    rows : sequence of int
        The place of each among the marks of the document, -1 where it has none.
    axes : tuple of two Axis
        The steps, and the metric.
    """
    xs, ys = (_units(axis, [line[2 + i] for line in lines]) for i, axis in enumerate(axes))
    looks = [LOOKS.get(status, FAILURE) for _, status, _, _ in lines]
    opaque = 1.0 if len(lines) <= MANY else 0.55
    return {
        "xs": xs,
        "ys": ys,
        "endx": np.array([line[-1] for line in xs], float),
        "endy": np.array([line[-1] for line in ys], float),
        "point": [point for point, _, _, _ in lines],
        "status": [status for _, status, _, _ in lines],
        "step": [int(steps[-1]) for _, _, steps, _ in lines],
        "value": ["" if values[-1] is None else number(float(values[-1])) for *_, values in lines],
        "row": np.array(rows, np.int64),
        "alpha": np.array([opaque * alpha for alpha, _, _ in looks]),
        "opaque": np.array([min(1.0, 2 * alpha) for alpha, _, _ in looks]),
        "mark": [mark for _, mark, _ in looks],
        "size": np.array([size for _, _, size in looks]),
    }


def _units(axis: Axis, parts: Sequence[Any]) -> list[NDArray[np.float32]]:
    """Return places on an axis of length 1, part by part."""
    if not parts:
        return []
    joined = axis.unit(np.concatenate([np.asarray(part, float) for part in parts])).astype(np.float32)
    return np.split(joined, np.cumsum([len(part) for part in parts])[:-1])


def curves(
    points: Points, *, metric: str = "", look: Look = LIGHT, brush: Brush | None = None, height: int = 320
) -> figure:
    """Draw the learning curves of a study.

    Parameters
    ----------
    points : Points
        The marks that lines are selected with; at most `LINES` are drawn, the best ones among them.
    metric : str
        What was recorded; default: the one that matters.
    look, brush
        Of the document.
    height : int
        Pixels.
    """
    study = points.study
    found = study.curves
    if found is None:
        raise ValueError("no point has recorded a step")
    metric = metric or found.metric(study.metric)
    axes, rows = found.axes(metric), _places(found.owners, study.points)
    drawn = found.chosen(_matter(study, rows))
    room = max(FEWEST, VERTICES // max(1, len(drawn)))
    lines = [
        (int(found.owners[i]), _status(study, int(rows[i])), *thinned(*found.part(i, metric), room))
        for i in drawn.tolist()
    ]
    made = Traces(look, height=height)
    best = int(np.flatnonzero(rows[drawn] == study.best)[0]) if study.best in rows[drawn] else None
    marks = np.where(rows[drawn] < 0, -1, _places(rows[drawn], points.rows))
    stopped = int((~study.ok & ~study.failed)[rows[rows >= 0]].sum())
    made.update(titled(metric, len(drawn), len(found), stopped), axes, columns_of(lines, marks, axes), best)
    if brush is not None:
        _link(made, points, brush)
    return made.root


def _places(wanted: Integers, among: Integers) -> Integers:
    """Return the place of each number among ascending ones, -1 where it is not there."""
    if not len(among):
        return np.full(len(wanted), -1, np.int64)
    found = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[found] == wanted, found, -1).astype(np.int64)


def _matter(study: Study, rows: Integers) -> Integers:
    """Return the curves that are drawn first: those of points that have no row yet, then the best ones."""
    place = np.full(len(study) + 1, len(study), np.int64)
    ranked = study.ranked()
    place[ranked] = np.arange(len(ranked))
    place[-1] = -1
    order: Integers = np.argsort(place[rows], kind="stable")
    return order


def _status(study: Study, row: int) -> str:
    return UNFINISHED if row < 0 else STATUSES[study.status[row]]


def titled(metric: str, drawn: int, every: int, stopped: int) -> str:
    """Say what is drawn: of how many points, and how many of all were stopped."""
    some = f" of {count(every)}" if drawn < every else ""
    more = f", × {count(stopped)} stopped early" if stopped else ""  # noqa: RUF001  as it is drawn
    return f"{said(metric, 24)}, step by step: {count(drawn)}{some} points{more}"


def _link(made: Traces, points: Points, brush: Brush) -> None:
    """Select lines with the marks of their points, pick a point by its line, and show the one that is picked."""
    brush.marks(*made.renderers)
    both = {"source": points.source, "lines": made.source}
    points.source.selected.js_on_change("indices", CustomJS(args=both, code=_FOLLOW))
    pick = CustomJS(args={"source": points.source, "picked": brush.picked}, code=_PICK)
    tap = TapTool(renderers=[made.renderers[0]], behavior="inspect", callback=pick)
    made.root.add_tools(tap)
    made.root.toolbar.active_tap = tap
    chosen = ColumnDataSource({"x": [], "y": []})
    made.root.line("x", "y", source=chosen, line_color=brush.look.accent, line_width=3)
    arguments = {"picked": brush.picked, "lines": made.source, "chosen": chosen}
    brush.picked.js_on_change("data", CustomJS(args=arguments, code=_PICKED))


__all__ = ["LINES", "Traces", "columns_of", "curves"]
