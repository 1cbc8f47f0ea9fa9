"""The workers of a sweep in a table, a row each, with bars for what they take up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, DataTable, HTMLTemplateFormatter, TableColumn

from swath.views.figures.canvas import sheet
from swath.views.palette import FAILED, IDLE, LIGHT, RUNNING, SERIES, STATUS, Look
from swath.views.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROW, HEAD = 26, 30
"""Pixels."""

SHOWN = 12
"""Rows that are in view without scrolling."""

NUMBERS = (
    "cpu",
    "memory",
    "memory_limit",
    "rate",
    "done",
    "failed",
    "point",
    "age",
    "straggler",
    "utilisation",
)
"""Columns of `swath.snapshot.WorkerLoad` that are sent as they are."""

BAR = (
    '<div class="bar"><div class="fill" style="background:COLOUR;width:<%= isNaN(PART) ? 0 : '
    'Math.min(100, 100 * PART).toFixed(1) %>%"></div><span><%- isNaN(value) ? "" : TEXT %></span></div>'
)
MEMORY = (
    'value >= 1073741824 ? (value / 1073741824).toFixed(1) + " GiB" : (value / 1048576).toFixed(0) + " MiB"'
)
PACE = (
    'value >= 100 ? Math.round(value).toLocaleString("en") : value >= 0.1 ? value.toPrecision(3) : '
    'value > 0 ? (60 * value).toPrecision(2) + "/min" : "0"'
)
AGE = (
    'value < 10 ? value.toFixed(1) + " s" : value < 120 ? Math.round(value) + " s" : '
    'value < 7200 ? Math.round(value / 60) + " min" : (value / 3600).toFixed(1) + " h"'
)
COUNT = 'Math.round(value).toLocaleString("en")'

STYLE = """
.slick-header-column { background: var(--swath-surface, SURFACE) !important; color: var(--swath-muted, MUTED);
  font-size: 11px; font-weight: 500; border-right: none !important; }
.slick-header { border-bottom: 1px solid var(--swath-line, LINE) !important; }
.slick-row { background: var(--swath-surface, SURFACE) !important; color: var(--swath-ink, INK); font-size: 12px; }
.slick-row.odd { background: var(--swath-stripe, STRIPE) !important; }
.slick-cell { border: none !important; font-variant-numeric: tabular-nums; }
.slick-cell.selected { background: color-mix(in srgb, var(--swath-accent, ACCENT) 18%, transparent) !important; }
.bar { position: relative; height: 16px; margin-top: 2px; border-radius: 3px; overflow: hidden;
  background: var(--swath-pending, PENDING); }
.fill { position: absolute; inset: 0 auto 0 0; opacity: 0.45; }
.bar span { position: absolute; left: 6px; line-height: 16px; font-size: 11px; }
.key { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px; }
"""


def cell(text: str, *, style: str = "") -> HTMLTemplateFormatter:
    """Write a number, if there is one."""
    return HTMLTemplateFormatter(template=f'<span style="{style}"><%- isNaN(value) ? "" : {text} %></span>')


def bar(text: str, part: str, colour: str) -> HTMLTemplateFormatter:
    """Write a number into a bar that is as long as another says, from 0 to 1."""
    template = BAR.replace("PART", part).replace("COLOUR", colour).replace("TEXT", text)
    return HTMLTemplateFormatter(template=template)


class Workers:
    """A table that can be sorted, and in which rows are selected.

    Attributes
    ----------
    root : DataTable
    source : ColumnDataSource
        Its rows.
    """

    def __init__(self, look: Look = LIGHT) -> None:
        self.source = ColumnDataSource({**_numeric({}), **_textual([], [], {})})
        self._names: list[str] = []
        self._texts: tuple[Any, ...] = ()
        self._turn = 0
        style = STYLE
        for name in ("surface", "muted", "line", "ink", "stripe", "accent", "pending"):
            style = style.replace(name.upper(), getattr(look, name))
        self.root = DataTable(
            source=self.source,
            columns=_columns(),
            index_position=None,
            reorderable=False,  # else the browser's console asks for jquery-ui
            row_height=ROW,
            height=HEAD + ROW,
            margin=0,
            sizing_mode="stretch_width",
            autosize_mode="force_fit",
            stylesheets=[sheet(look, style)],
        )

    @property
    def selected(self) -> list[str]:
        """Names of the workers that were chosen."""
        return [self._names[i] for i in self.source.selected.indices if i < len(self._names)]

    def update(self, workers: Mapping[str, Sequence[Any]], colours: Mapping[str, str]) -> None:
        """Show what workers do.

        Parameters
        ----------
        workers : mapping of str to sequence
            Columns named like the fields of `swath.snapshot.WorkerLoad`.
        colours : mapping of str to str
            By which colour a worker is known in other figures.
        """
        names, chosen = list(workers.get("name", ())), set(self.selected)
        texts = (names, list(workers.get("host", ())), dict(colours))
        data = _numeric(workers)
        if texts == self._texts:  # they cost more than numbers
            self.source.data.update(data)
        else:
            self._texts = texts
            self.source.data = {**data, **_textual(*texts)}
        # Bokeh 3.9 draws a table again when its view changes, and new numbers in as many rows do not change it.
        self._turn += 1
        self.root.view.tags = [self._turn]
        if names != self._names:
            self._names = names
            self.source.selected.indices = [i for i, name in enumerate(names) if name in chosen]
            self.root.height = HEAD + ROW * min(SHOWN, max(1, len(names)))


def _columns() -> list[TableColumn]:
    name = HTMLTemplateFormatter(
        template='<span class="key" style="background:<%- colour %>"></span><%- value %>'
    )
    state = HTMLTemplateFormatter(
        template='<span class="key" style="border-radius:50%;background:<%= value === "busy" ? "'
        f'{RUNNING}" : value === "gone" ? "{FAILED}" : "{IDLE}" %>"></span><%- value %>'
    )
    late = f"color:<%= straggler > 0 ? '{STATUS['timeout']}' : 'inherit' %>;font-weight:<%= straggler > 0 ? 700 : 400 %>"
    return [
        TableColumn(field="name", title="worker", width=130, formatter=name),
        TableColumn(field="host", title="machine", width=90, formatter=_text()),
        TableColumn(field="state", title="state", width=70, formatter=state),
        TableColumn(
            field="cpu", title="CPU, cores", width=120, formatter=bar("value.toFixed(2)", "cpu_part", RUNNING)
        ),
        TableColumn(
            field="memory", title="memory", width=120, formatter=bar(MEMORY, "memory_part", STATUS["oom"])
        ),
        TableColumn(
            field="utilisation",
            title="utilisation",
            width=100,
            formatter=bar('Math.round(100 * value) + " %"', "value", STATUS["ok"]),
        ),
        TableColumn(field="rate", title="points/s", width=70, formatter=cell(PACE)),
        TableColumn(field="done", title="done", width=70, formatter=cell(COUNT)),
        TableColumn(
            field="failed",
            title="failed",
            width=60,
            formatter=cell(COUNT, style=f"color:<%= value > 0 ? '{FAILED}' : 'inherit' %>"),
        ),
        TableColumn(field="point", title="at point", width=80, formatter=cell(COUNT)),
        TableColumn(
            field="age",
            title="for",
            width=80,
            formatter=cell(f'({AGE}) + (straggler > 0 ? " ⚠" : "")', style=late),
        ),
    ]


def _text() -> HTMLTemplateFormatter:
    return HTMLTemplateFormatter(template="<%- value %>")


def _numbers(values: Sequence[Any], n: int) -> NDArray[np.float64]:
    """Return floats, NaN for what is not known."""
    return np.array(values if len(values) else [None] * n, dtype=float)


def _numeric(workers: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[Any]]:
    """Return what changes all the time."""
    n = len(workers.get("name", ()))
    data: dict[str, NDArray[Any]] = {key: _numbers(workers.get(key, ()), n) for key in NUMBERS}
    slots, busy = _numbers(workers.get("slots", ()), n), _numbers(workers.get("busy", ()), n)
    with np.errstate(divide="ignore", invalid="ignore"):
        data["cpu_part"] = data["cpu"] / np.maximum(slots, 1)
        most = np.fmax.reduce(data["memory"], initial=1.0)
        data["memory_part"] = data["memory"] / np.where(
            np.isnan(data["memory_limit"]), most, data["memory_limit"]
        )
    data["state"] = np.where(slots == 0, "gone", np.where(busy > 0, "busy", "idle")).astype("U4")
    return data


def _textual(
    names: Sequence[str], hosts: Sequence[str], colours: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Return what rarely changes."""
    return {
        "name": _texts([cut(plain(name), 60) for name in names]),
        "host": _texts([cut(plain(host), 40) for host in hosts or [""] * len(names)]),
        "colour": _texts([colours.get(name, "transparent") for name in names]),
    }


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    return np.array(values, dtype=np.str_) if values else np.empty(0, "U1")


def colours(names: Sequence[str]) -> dict[str, str]:
    """Give each of a few workers a colour by which it is known in all figures."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}
