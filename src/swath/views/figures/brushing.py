"""One selection for all figures of a document: ranges on axes, a filter, and one point that is looked at.

Theory of operation. All marks are rows of one Bokeh source (`swath.views.figures.study.Points`). A second source,
``ranges``, has a row for each axis: a range of places in [0, 1], or NaN. Whoever drags a box in any figure changes that
source; one callback then selects the rows that are within all ranges and pass the filter, and Bokeh draws the others
faintly in every figure. If none is left, the marks are hidden and the source is tagged ``nothing``, for Bokeh takes an empty
selection for no selection.

A third source, ``picked``, holds the one row whose details are shown: a click on a mark changes it, and nothing else.

It all runs in the browser, without a server. The filter is read by a parser of a few lines, never evaluated as code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.models import BoxSelectTool, CDSView, ColumnDataSource, CustomJS, IndexFilter, TapTool, TextInput

from swath.views.figures.canvas import note, said, sheet, variable
from swath.views.palette import LIGHT, Look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.models import GlyphRenderer
    from bokeh.plotting import figure

    from swath.views.figures.study import Points

PICKED: Final = "picked"
"""Name of the source that holds the point that is looked at."""
ORDER: Final = "uorder"
"""Column of the place among finished points, as far as ranges are concerned."""

_SELECT: Final = """
const {key, low, high} = ranges.data, data = source.data, n = data.point.length
const active = key.map((_, i) => i).filter(i => low[i] <= high[i])
const [test, wrong] = parse(filter.value_input ?? filter.value)
const limited = active.length > 0 || test !== null
const kept = []
if (limited)
  for (let row = 0; row < n; row++) {
    const within = active.every(i => data[key[i]][row] >= low[i] - 1e-6 && data[key[i]][row] <= high[i] + 1e-6)
    if (within && (test === null || test(row))) kept.push(row)
  }
const nothing = limited && kept.length == 0, silent = kept.length == 0 && source.selected.indices.length == 0
for (const renderer of marks) renderer.visible = !nothing
source.tags = nothing ? ["nothing"] : []
told.text = wrong ? wrong : limited ? `${kept.length.toLocaleString("en")} of ${n.toLocaleString("en")} selected` : all
source.selected.indices = kept
if (silent) source.selected.properties.indices.change.emit()

function parse(text) {
  text = (text ?? "").trim()
  if (!text) return [null, ""]
  const tests = []
  for (const part of text.split(/\\s+and\\s+|\\s*&&\\s*/i)) {
    const found = /^(?:`([^`]+)`|(.+?))\\s*(<=|>=|!=|==|=|<|>|~)\\s*(.*)$/.exec(part.trim())
    const at = found ? fields.indexOf(found[1] ?? found[2]) : -1
    if (at < 0) return [null, `cannot read “${part.trim()}”: write ${example}`]
    const word = found[4].replace(/^(["'])(.*)\\1$/, "$2"), number = word === "" ? NaN : Number(word)
    const values = data[columns[at]], op = found[3]
    tests.push(row => {
      const value = values[row]
      if (op == "~") return String(value).toLowerCase().includes(word.toLowerCase())
      const both = typeof value == "number" && !Number.isNaN(number)
      const a = both ? value : String(value), b = both ? number : word
      return op == "<" ? a < b : op == "<=" ? a <= b : op == ">" ? a > b : op == ">=" ? a >= b
        : op == "!=" ? a != b : a == b
    })
  }
  return [row => tests.every(test => test(row)), ""]
}
"""

_BOX: Final = """
if (cb_obj.final === false) return
const g = cb_obj.geometry ?? {x0: cb_obj.x, x1: cb_obj.x, y0: cb_obj.y, y1: cb_obj.y}
if (g.x0 === undefined) return
const low = Float64Array.from(ranges.data.low), high = Float64Array.from(ranges.data.high)
for (const [i, a, b] of spans(Math.min(g.x0, g.x1), Math.max(g.x0, g.x1), Math.min(g.y0, g.y1), Math.max(g.y0, g.y1))) {
  low[i] = a; high[i] = b
}
ranges.data = {...ranges.data, low, high}
"""

_CLEAR: Final = """
ranges.data = {...ranges.data, low: ranges.data.low.map(_ => NaN), high: ranges.data.high.map(_ => NaN)}
filter.value = ""
"""

_PICK: Final = """
const row = cb_data.source.inspected.indices.at(-1)
if (row === undefined) return
const data = {}
for (const name of Object.keys(picked.data)) data[name] = [name == "row" ? row : source.data[name][row]]
picked.data = data
"""


class Brush:
    """What is selected in one document.

    Parameters
    ----------
    points : Points
        The marks.
    look : Look
        Of the page.

    Attributes
    ----------
    ranges : ColumnDataSource
        ``key``, a column of the points' source with places in [0, 1], ``low`` and ``high``; further ``left`` and
        ``right``, where the axis stands among parallel ones, NaN if it does not.
    picked : ColumnDataSource
        One row: ``row``, its place in the points' source, and columns of that source; no row before the first click.
    filter : TextInput
        Conditions as ``lr < 0.01 and status == error``.
    told : Div
        How many points are selected.
    """

    def __init__(self, points: Points, look: Look = LIGHT) -> None:
        study = points.study
        self.points = points
        self.look = look
        self._keys = [points.unit(name) for name in study.columns] + [ORDER]
        nothing = np.full(len(self._keys), np.nan)
        self.ranges = ColumnDataSource(
            {"key": self._keys, "low": nothing, "high": nothing, "left": nothing, "right": nothing}
        )
        picked = [column for column in points.source.data if column.startswith("u")]
        self.picked = ColumnDataSource({name: [] for name in ("row", *picked, "point", "bad")}, name=PICKED)
        self.told = note(points.note, look)
        self._marks: list[GlyphRenderer[Any]] = []
        self.filter = self._filter()
        self._select = CustomJS(args=self._arguments(), code=_SELECT)
        self.ranges.js_on_change("data", self._select)
        self.filter.js_on_change("value", self._select)
        self.filter.js_on_change("value_input", self._select)
        self.clear = CustomJS(args={"ranges": self.ranges, "filter": self.filter}, code=_CLEAR)

    def _filter(self) -> TextInput:
        return TextInput(
            placeholder=f"Filter, as {self._example()}",
            sizing_mode="stretch_width",
            stylesheets=[
                sheet(self.look, f".bk-input::placeholder {{ color: {variable('muted', self.look)}; }}")
            ],
        )

    def _example(self) -> str:
        study = self.points.study
        name = next((name for name in study.parameters if study.axes[name].is_numeric), "")
        first = f"{said(name)} < {study.axes[name].label(study.axes[name].high)} and " if name else ""
        return f"{first}status == ok"

    def _arguments(self) -> dict[str, Any]:
        points, study = self.points, self.points.study
        named = {name: points.wordy(name) for name in (*study.columns, *study.texts)}
        named = {
            name: name for name in ("point", "status", "seconds", "attempts", "worker", "failure")
        } | named
        return {
            "source": points.source,
            "ranges": self.ranges,
            "filter": self.filter,
            "told": self.told,
            "all": points.note,
            "marks": self._marks,
            "fields": list(named),
            "columns": list(named.values()),
            "example": self._example(),
        }

    def pick(self, row: int) -> None:
        """Pick a row of the points' source."""
        data = self.points.source.data
        self.picked.data = {name: [row if name == "row" else data[name][row]] for name in self.picked.data}

    def place(self, key: str) -> int:
        """Return the row of ``ranges`` of an axis, given its column in the points' source."""
        return self._keys.index(key)

    def marks(self, *renderers: GlyphRenderer[Any]) -> None:
        """Note what draws the points, to be hidden when none of them is left."""
        self._marks.extend(renderers)
        self._select.args = {**self._select.args, "marks": list(self._marks)}

    def boxes(self, plot: figure, spans: str, *, click: bool = False, **arguments: Any) -> None:
        """Let boxes that are dragged in a figure set ranges, and a double click clear them.

        Parameters
        ----------
        plot : figure
            Where.
        spans : str
            Body of a JavaScript function of ``x0, x1, y0, y1`` that returns a list of ``[row of ranges, low, high]``.
        click : bool
            Whether a click is a box without extent.
        **arguments
            What else it reads.
        """
        tool = BoxSelectTool(renderers=[], persistent=False)
        tool.overlay.update(
            fill_color=self.look.accent, fill_alpha=0.15, line_color=self.look.accent, line_dash=[]
        )
        plot.add_tools(tool)
        plot.toolbar.active_drag = tool
        code = f"const spans = (x0, x1, y0, y1) => {{ {spans} }}\n{_BOX}"
        chosen = CustomJS(args={"ranges": self.ranges, **arguments}, code=code)
        plot.js_on_event("selectiongeometry", chosen)
        if click:
            plot.js_on_event("tap", chosen)
        plot.js_on_event("doubletap", self.clear)

    def axes(self, plot: figure, x: str | None, y: str | None) -> None:
        """Let boxes set the ranges of the one or two axes that a figure of places in [0, 1] has, and show these."""
        told = []
        for key, low, high in ((x, "x0", "x1"), (y, "y0", "y1")):
            if key is not None:
                told.append(f"[{self.place(key)}, {low}, {high}]")
                self._band(plot, key, sideways=key == x)
        self.boxes(plot, f"return [{', '.join(told)}]")

    def _band(self, plot: figure, key: str, *, sideways: bool) -> None:
        view = CDSView(filter=IndexFilter([self.place(key)]))
        style = {"fill_color": self.look.accent, "fill_alpha": 0.08, "line_color": None, "level": "underlay"}
        if sideways:
            plot.quad(left="low", right="high", bottom=-1, top=2, source=self.ranges, view=view, **style)
        else:
            plot.quad(left=-1, right=2, bottom="low", top="high", source=self.ranges, view=view, **style)

    def picks(self, plot: figure, renderers: Sequence[GlyphRenderer[Any]]) -> None:
        """Let a click on a mark pick it."""
        arguments = {"source": self.points.source, "picked": self.picked}
        tool = TapTool(
            renderers=list(renderers), behavior="inspect", callback=CustomJS(args=arguments, code=_PICK)
        )
        plot.add_tools(tool)
        plot.toolbar.active_tap = tool
