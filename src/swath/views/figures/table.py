"""Rows as a table, the best of the selection first; the details of one point; the selection as CSV.

Cells are text: what a parameter or a failure holds is never taken for HTML. In CSV, texts that a spreadsheet would run
begin with an apostrophe; numbers stay numbers.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.models import (
    Button,
    ColumnDataSource,
    CustomJS,
    DataTable,
    Div,
    HTMLTemplateFormatter,
    StringFormatter,
    TableColumn,
)

from swath.views.figures.canvas import said, sheet, variable
from swath.views.palette import FONT, LIGHT, MONO, STATUS, Look

if TYPE_CHECKING:
    from swath.views.figures.brushing import Brush
    from swath.views.figures.study import Points

ROWS: Final = 300
"""Of the table; sorting a column sorts these."""
COLUMNS: Final = 14
WHY: Final = 480
"""Pixels for a reason."""
NUMBER: Final = "<%- value === null || Number.isNaN(value) ? '' : Number.isInteger(value) ? value : Number(value.toPrecision(4)) %>"
"""An underscore template; what it writes is escaped, and it holds nothing of the run."""

_ROWS: Final = """
const kept = source.selected.indices
const order = kept.length || source.tags.includes("nothing") ? rank.filter((set => row => set.has(row))(new Set(kept))) : rank
const chosen = order.slice(0, most), data = {row: chosen}
for (const name of columns) data[name] = chosen.map(row => source.data[name][row])
rows.selected.indices = []
rows.data = data
"""

_CHOOSE: Final = """
const at = rows.selected.indices.at(-1)
if (at === undefined) return
const row = rows.data.row[at], data = {}
for (const name of Object.keys(picked.data)) data[name] = [name == "row" ? row : source.data[name][row]]
picked.data = data
"""

_PANEL: Final = """
const row = picked.data.row[0]
if (row === undefined) return
const data = source.data, point = data.point[row]
const escaped = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`)
const written = value => typeof value == "number"
  ? Number.isNaN(value) ? "" : Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(8))) : String(value)
const line = (name, value) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`
const status = data.status[row]
let text = `<h3>Point ${point} <b style="background:${colours[status]}">${escaped(status)}</b></h3><table>`
fields.forEach((name, i) => {
  const value = data[columns[i]][row]
  if (!Number.isNaN(value)) text += line(name, written(value))  // NaN: the point does not have it
})
for (const [name, value] of constants) text += line(name, value)
text += line("seconds", Number(data.seconds[row].toPrecision(4))) + line("attempts", data.attempts[row]) + line("worker", data.worker[row])
text += line("started", new Date(data.started[row]).toISOString().slice(0, 19).replace("T", " ") + " UTC") + "</table>"
if (data.failure[row]) text += `<pre>${escaped(data.failure[row])}</pre>`
const commands = [show, again].filter(text => text).map(text => `${text} ${point}`)
if (commands.length) text += `<pre class="commands">${commands.map(escaped).join("\\n")}</pre>`
panel.text = text
copy.disabled = commands.length == 0
copy.name = commands.join("\\n")
"""

_COPY: Final = """
const text = this.origin.name
const old = () => {
  const area = Object.assign(document.createElement("textarea"), {value: text})
  document.body.append(area); area.select(); document.execCommand("copy"); area.remove()
}
if (navigator.clipboard) navigator.clipboard.writeText(text).catch(old)
else old()
"""

_CSV: Final = """
const data = source.data, kept = source.selected.indices
const some = kept.length || source.tags.includes("nothing")
const every = some ? [...kept].sort((a, b) => a - b) : Array.from(data.point.keys())
const cell = value => {
  if (typeof value == "number") return Number.isNaN(value) ? "" : String(value)
  let text = String(value).replace(/([$\\\\])\u200b/g, "$1")  // what was parted lest it be a formula
  if (/^[=+\\-@\\t\\r]/.test(text)) text = "'" + text
  return /[",\\n\\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
const lines = [heads.map(cell).join(",")]
for (const row of every)
  lines.push(columns.map(name => cell(name == "started" ? new Date(data[name][row]).toISOString() : data[name][row])).join(","))
const link = document.createElement("a")
link.href = URL.createObjectURL(new Blob([lines.join("\\r\\n") + "\\r\\n"], {type: "text/csv;charset=utf-8"}))
link.download = file
link.click()
URL.revokeObjectURL(link.href)
"""

_STYLE: Final = """
.slick-header-column, .slick-cell {{ font: 12px/1.5 {font}; color: {ink} !important; border-color: transparent !important; }}
.slick-header-column {{ background: {surface} !important; font-weight: 600; }}
.slick-row {{ background: {surface} !important; }}
.slick-row.odd {{ background: {stripe} !important; }}
.slick-cell.selected {{ background: {accent} !important; color: white !important; }}
.slick-viewport, .slick-header {{ background: {surface} !important; border: none !important; }}
:host {{ border: 1px solid {line}; border-radius: 6px; overflow: hidden; }}
"""


def names_of(points: Points) -> dict[str, str]:
    """Return what a row holds for people, and in which column of the source: parameters first, then metrics."""
    study = points.study
    names = (*study.parameters, *study.derived, *study.metrics, *study.texts)
    return {name: points.wordy(name) for name in names}


def table(points: Points, brush: Brush, *, look: Look = LIGHT, height: int = 340) -> DataTable:
    """Make a table of the selected points, the best first; a click on a row picks its point.

    Parameters
    ----------
    points : Points
        The marks; without a selection all of them are listed, up to `ROWS`.
    brush, look
        Of the document.
    height : int
        Pixels.
    """
    names = dict(list(names_of(points).items())[:COLUMNS])
    shown = {"point": "point", "status": "status", **names, **_steps(points), "seconds": "seconds"}
    return _listing(points, brush, _rank(points), shown, look, height, "rows")


def stopped(points: Points, brush: Brush, *, look: Look = LIGHT, height: int = 240) -> DataTable | None:
    """Make a table of the selected points that were stopped early, those that came farthest first; None if none was."""
    study = points.study
    there = np.flatnonzero((~study.ok & ~study.failed)[points.rows])
    if not len(there):
        return None
    names = {name: points.wordy(name) for name in study.parameters[:COLUMNS]}
    metric = {study.metric: points.key(study.metric)} if study.metric else {}
    if study.curves is not None:
        there = there[np.argsort(-np.nan_to_num(points.source.data["step"][there]), kind="stable")]
    shown = {"stopped point": "point", **names, **metric, **_steps(points), "why": "failure"}
    return _listing(points, brush, there, shown, look, min(height, 60 + 26 * len(there)), "stopped")


def _steps(points: Points) -> dict[str, str]:
    return {} if points.study.curves is None else {"last step": "step"}


def _listing(
    points: Points,
    brush: Brush,
    rank: np.ndarray[Any, np.dtype[np.int64]],
    shown: dict[str, str],
    look: Look,
    height: int,
    name: str,
) -> DataTable:
    """List rows of the source in an order, with some of its columns."""
    source = points.source
    first = rank[:ROWS]
    rows = ColumnDataSource(
        {"row": first, **{key: _taken(source.data[key], first) for key in shown.values()}}, name=name
    )
    columns = [
        TableColumn(
            field=key,
            title=escape(said(title, 24)),
            width=WHY if title == "why" else _width(source.data[key]),
            formatter=_formatter(source.data[key]),
        )
        for title, key in shown.items()
    ]
    made = DataTable(
        source=rows,
        columns=columns,
        height=height,
        sizing_mode="stretch_width",
        index_position=None,
        reorderable=False,
        fit_columns=len(columns) <= 12,
        row_height=26,
        stylesheets=[sheet(look, _STYLE.format(font=FONT, **_variables(look)))],
    )
    arguments = {"source": source, "rows": rows, "picked": brush.picked}
    follow = CustomJS(
        args={**arguments, "rank": rank.tolist(), "most": ROWS, "columns": list(shown.values())}, code=_ROWS
    )
    source.selected.js_on_change("indices", follow)
    rows.selected.js_on_change("indices", CustomJS(args=arguments, code=_CHOOSE))
    return made


def _variables(look: Look) -> dict[str, str]:
    return {name: variable(name, look) for name in ("ink", "line", "surface", "stripe", "accent")}


def _rank(points: Points) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Order rows of the source: the best first, then those without one that counts, then those that failed."""
    study = points.study
    place = np.full(len(study), len(study), np.int64)
    ranked = study.ranked()
    place[ranked] = np.arange(len(ranked))
    place[study.failed] += 1
    return np.argsort(place[points.rows], kind="stable")


def _taken(column: Any, places: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    return [column[i] for i in places.tolist()] if isinstance(column, list) else column[places]


def _width(column: Any) -> int:
    """Return pixels, enough for most cells."""
    longest = max((len(cell) for cell in column[:ROWS]), default=0) if isinstance(column, list) else 10
    return min(220, max(72, 24 + 7 * longest))


def _formatter(column: Any) -> Any:
    return StringFormatter() if isinstance(column, list) else HTMLTemplateFormatter(template=NUMBER)


def panel(points: Points, brush: Brush, *, look: Look = LIGHT, height: int = 340) -> tuple[Div, Button]:
    """Make the details of the picked point, and a button that copies the commands that show and repeat it."""
    study = points.study
    made = Div(
        text="<p>Click a mark, a line or a row of the table to see a point.</p>",
        disable_math=True,
        sizing_mode="stretch_width",
        height=height,
        stylesheets=[sheet(look, _panel_style(look))],
    )
    copy = Button(label="Copy commands", disabled=True, width=130, stylesheets=[sheet(look)])
    fields = names_of(points)
    arguments = {
        "source": points.source,
        "picked": brush.picked,
        "panel": made,
        "copy": copy,
        "fields": list(fields),
        "columns": list(fields.values()),
        "constants": [[name, value] for name, value in study.constants.items()],
        "colours": dict(STATUS),
        "show": study.show,
        "again": study.again,
    }
    brush.picked.js_on_change("data", CustomJS(args=arguments, code=_PANEL))
    copy.js_on_event("button_click", CustomJS(code=_COPY))
    return made, copy


def _panel_style(look: Look) -> str:
    ink, muted, line, surface, stripe = (
        variable(name, look) for name in ("ink", "muted", "line", "surface", "stripe")
    )
    return f"""
:host {{ background: {surface}; border: 1px solid {line}; border-radius: 6px; padding: 10px 14px; box-sizing: border-box;
  overflow: auto; font: 12px/1.5 {FONT}; }}
h3 {{ margin: 0 0 8px; font-size: 14px; color: {ink}; }}
h3 b {{ color: white; border-radius: 4px; padding: 1px 7px; margin-left: 6px; font-size: 11px; font-weight: 600; }}
table {{ border-collapse: collapse; }} th {{ text-align: left; font-weight: 400; color: {muted}; padding: 0 16px 0 0; vertical-align: top; }}
td {{ overflow-wrap: anywhere; color: {ink}; }}
pre {{ background: {stripe}; border: 1px solid {line}; border-radius: 4px; padding: 8px; margin: 8px 0 0; font: 11px/1.5 {MONO};
  white-space: pre-wrap; overflow-wrap: anywhere; }}
p {{ color: {muted}; margin: 0; }}
"""


def download(points: Points, *, look: Look = LIGHT) -> Button:
    """Make a button that saves the selected points, or all that are drawn, as CSV."""
    named = {"point": "point", **names_of(points)}
    named |= {
        name: name
        for name in ("status", "seconds", "attempts", "worker", "started", "failure")
        if name not in named
    } | {name: key for name, key in _steps(points).items() if name not in named}
    made = Button(label="CSV of the selection", width=160, stylesheets=[sheet(look)])
    arguments = {
        "source": points.source,
        "heads": list(named),
        "columns": list(named.values()),
        "file": f"{points.study.name}.csv",
    }
    made.js_on_event("button_click", CustomJS(args=arguments, code=_CSV))
    return made
