"""Batches over time, a lane for each slot: what is white is idle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div, HoverTool, Range1d

from swath.views.figures.canvas import canvas, said, sheet, ticks
from swath.views.figures.clock import Follower, clock
from swath.views.palette import LIGHT, STATUS, TITLE, Look
from swath.views.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.plotting import figure

    from swath.views.live.record import Stretch

LANES = 32
"""Slots that are drawn."""

MOST = 4000
"""Marks."""

SPAN = 120.0
"""Seconds that are in view at first."""

LANE, LEAST, ROOM, HEAD = 15, 150, 44, 29
"""Pixels of a lane, of all lanes at least, of what is around them, and of the title."""

RETRIED = "#f2c14e"
"""Batches whose failures are tried again."""

KINDS = {
    "ok": ("ok", STATUS["ok"]),
    "failed": ("failed", STATUS["error"]),
    "retried": ("failed, tried again", RETRIED),
    "timeout": ("timed out", STATUS["timeout"]),
}
"""What is told apart, what it is called, and its colour."""


STYLE = f"""
:host .bk-clearfix {{ color: var(--swath-ink, INK); display: flex; width: 100%; gap: 14px; align-items: baseline;
  flex-wrap: wrap; }}
.title {{ font-size: {TITLE}; font-weight: 700; }}
.kind, .more {{ margin-left: 14px; font-size: 11px; color: var(--swath-muted, MUTED); white-space: nowrap; }}
.key {{ display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 5px; }}
"""


class Bar(NamedTuple):
    """A part of a lane, from ``bottom`` to ``top`` of it, both from 0 to 1."""

    colour: str
    bottom: float
    top: float


class Timeline:
    """One figure; of a batch of which some points failed, that part of its height has another colour.

    Attributes
    ----------
    root : Column
    source : ColumnDataSource
        Its marks.
    lanes : list of str
        The slots that are drawn, from the top.
    """

    def __init__(self, look: Look = LIGHT) -> None:
        self.source = ColumnDataSource(_marks([], {}, 0.0))
        self.lanes: list[str] = []
        self._of = 0
        self._times = Follower(SPAN)
        style = STYLE.replace("INK", look.ink).replace("MUTED", look.muted)
        self._head = Div(
            text=_title(""),
            sizing_mode="stretch_width",
            disable_math=True,
            margin=(8, 14, 0, 14),
            stylesheets=[sheet(look, style)],
        )
        self._figure = self._plot(look)
        self.root = column(
            self._head, self._figure, sizing_mode="stretch_width", styles={"background": look.surface}
        )

    def _plot(self, look: Look) -> figure:
        made = canvas(
            "",
            look,
            height=ROOM + LEAST,
            x_range=self._times.range,
            y_range=Range1d(-0.5, 3.5),
            tools="xpan,xwheel_zoom,reset",
            min_border_bottom=28,
            min_border_left=110,
        )
        made.title = None
        clock(made.xaxis[0])
        made.ygrid.grid_line_color = None
        sides = {side: side for side in ("left", "right", "bottom", "top")}
        drawn = made.quad(**sides, fill_color="colour", line_color=None, source=self.source)
        told = [("", "@slot"), ("", "@told"), ("took", "@took{0.000} s")]
        made.add_tools(HoverTool(tooltips=told, renderers=[drawn], limit=1))
        return made

    @property
    def height(self) -> int:
        """Pixels of all of it."""
        return int(self._figure.height) + HEAD

    def show(self, slots: Sequence[str]) -> bool:
        """Choose the slots that have a lane; tell whether all must be drawn again."""
        ordered = sorted(slots, key=_natural)
        lanes = ordered[:LANES]
        if lanes == self.lanes and len(ordered) == self._of:
            return False
        self.lanes, self._of = lanes, len(ordered)
        n = max(1, len(lanes))
        self._figure.height = ROOM + max(LEAST, LANE * n)
        self._figure.y_range.update(start=n - 0.5, end=-0.5)
        ticks(self._figure.yaxis[0], {float(i): said(name, 18) for i, name in enumerate(lanes)})
        few = self._of > len(lanes)
        self._head.text = _title(
            f"{len(lanes)} of {count(self._of)} slots; select workers to see theirs" if few else ""
        )
        self.source.data = _marks([], {}, 0.0)
        return True

    def update(self, stretches: Sequence[Stretch], start: float, now: float) -> None:
        """Draw more batches.

        Parameters
        ----------
        stretches : sequence of Stretch
            Those of other slots are left out.
        start, now : float
            When the sweep began, and what time it is, in the same seconds.
        """
        self._times.go(now - start)
        marks = _marks(stretches, {slot: i for i, slot in enumerate(self.lanes)}, start)
        if len(marks["left"]):
            self.source.stream(marks, rollover=MOST)


def _title(more: str) -> str:
    """Return the HTML of the title and of what the colours mean."""
    kinds = "".join(
        f'<span class="kind"><span class="key" style="background:{colour}"></span>{name}</span>'
        for name, colour in KINDS.values()
    )
    return f'<span class="title">Batches of each slot</span>{kinds}<span class="more">{more}</span>'


def _natural(name: str) -> list[Any]:
    """Let worker-10 come after worker-9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _marks(stretches: Sequence[Stretch], lanes: dict[str, int], start: float) -> dict[str, Any]:
    rows = [
        (
            each.start - start,
            each.stop - start,
            lanes[each.slot] + 0.4 - 0.8 * bar.bottom,
            lanes[each.slot] + 0.4 - 0.8 * bar.top,
            bar.colour,
            said(each.slot),
            _told(each),
            each.stop - each.start,
        )
        for each in stretches
        if each.slot in lanes
        for bar in _bars(each)
    ]
    left, right, bottom, top, colour, slot, told, took = zip(*rows, strict=True) if rows else ((),) * 8
    return {
        **{
            name: np.array(values, dtype=float)
            for name, values in {
                "left": left,
                "right": right,
                "bottom": bottom,
                "top": top,
                "took": took,
            }.items()
        },
        **{name: _texts(values) for name, values in {"colour": colour, "slot": slot, "told": told}.items()},
    }


def _texts(values: Sequence[str]) -> Any:
    return np.array(values, dtype=np.str_) if values else np.empty(0, "U1")


def _bars(stretch: Stretch) -> list[Bar]:
    """Cut a batch into the part that went well and the part that did not, which stays visible however small."""
    good = STATUS["ok"]
    if not stretch.failed:
        return [Bar(good, 0.0, 1.0)]
    colour = KINDS.get(stretch.status, KINDS["failed"])[1]
    part = max(0.2, stretch.failed / max(1, stretch.points))
    if part >= 1:
        return [Bar(colour, 0.0, 1.0)]
    return [Bar(colour, 0.0, part), Bar(good, part, 1.0)]


def _told(stretch: Stretch) -> str:
    points = f"{count(stretch.points)} point{'' if stretch.points == 1 else 's'}"
    if not stretch.failed:
        return points
    return f"{points}, {count(stretch.failed)} failed ({KINDS.get(stretch.status, (stretch.status,))[0]})"
