"""Batches over time, a lane for each slot: what is white is idle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d

from swath.views.figures.canvas import canvas, said, ticks
from swath.views.figures.clock import Follower, clock
from swath.views.palette import LIGHT, STATUS, Look
from swath.views.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.views.live.record import Stretch

LANES = 32
"""Slots that are drawn."""

MOST = 4000
"""Marks."""

SPAN = 120.0
"""Seconds that are in view at first."""

LANE, ROOM = 15, 84
"""Pixels of a lane, and of all around them."""

RETRIED = "#f2c14e"
"""Batches whose failures are tried again."""

KINDS = {
    "ok": ("ok", STATUS["ok"]),
    "failed": ("failed", STATUS["error"]),
    "retried": ("failed, tried again", RETRIED),
    "timeout": ("timed out", STATUS["timeout"]),
}
"""What is told apart, what it is called, and its colour."""


class Bar(NamedTuple):
    """A part of a lane, from ``bottom`` to ``top`` of it, both from 0 to 1."""

    colour: str
    bottom: float
    top: float


class Timeline:
    """One figure; of a batch of which some points failed, that part of its height has another colour.

    Attributes
    ----------
    root : figure
    source : ColumnDataSource
        Its marks.
    """

    def __init__(self, look: Look = LIGHT) -> None:
        self.source = ColumnDataSource(_marks([], {}, 0.0))
        self.lanes: list[str] = []
        self._of = 0
        self._times = Follower(SPAN)
        self.root = canvas(
            "Batches of each slot",
            look,
            height=ROOM + 4 * LANE,
            x_range=self._times.range,
            y_range=Range1d(-0.5, 3.5),
            tools="xpan,xwheel_zoom,reset",
            min_border_bottom=28,
            min_border_left=110,
        )
        clock(self.root.xaxis[0])
        drawn = self.root.quad(
            left="left",
            right="right",
            bottom="bottom",
            top="top",
            fill_color="colour",
            line_color=None,
            source=self.source,
        )
        self.root.ygrid.grid_line_color = None
        told = [("", "@slot"), ("", "@told"), ("took", "@took{0.000} s")]
        self.root.add_tools(HoverTool(tooltips=told, renderers=[drawn], limit=1))
        self._legend(look)

    def _legend(self, look: Look) -> None:
        """Name the colours in the title's line."""
        for place, (_, (name, colour)) in enumerate(reversed(KINDS.items())):
            del place, name, colour
        del look

    def show(self, slots: Sequence[str]) -> bool:
        """Choose the slots that have a lane; tell whether all must be drawn again."""
        ordered = sorted(slots, key=_natural)
        lanes = ordered[:LANES]
        if lanes == self.lanes and len(ordered) == self._of:
            return False
        self.lanes, self._of = lanes, len(ordered)
        n = max(1, len(lanes))
        self.root.height = ROOM + LANE * max(4, n)
        self.root.y_range.start, self.root.y_range.end = n - 0.5, -0.5
        ticks(self.root.yaxis[0], {float(i): said(name, 18) for i, name in enumerate(lanes)})
        if not lanes:
            self.root.yaxis[0].ticker = FixedTicker(ticks=[])
        more = (
            f": {len(lanes)} of {count(self._of)}, select workers to see theirs"
            if self._of > len(lanes)
            else ""
        )
        self.root.title.text.text = f"Batches of each slot{more}"
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
