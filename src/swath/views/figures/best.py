"""The best value so far, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from swath.views.figures.canvas import canvas, said
from swath.views.figures.clock import Follower, clock
from swath.views.palette import LIGHT, STATUS, Look

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST = 40
"""Steps that the axis has to show in full; values before them may be far away."""


class Best:
    """A line that goes down, or up, whenever something better was found.

    Attributes
    ----------
    root : figure
    """

    def __init__(self, look: Look = LIGHT, *, height: int = 387) -> None:
        self._source = ColumnDataSource({"time": np.empty(0), "value": np.empty(0), "point": np.empty(0)})
        self._times = Follower()
        self.root = canvas(
            "Best so far",
            look,
            height=height,
            x_range=self._times.range,
            y_range=Range1d(0, 1),
            tools="xpan,xwheel_zoom,reset",
            min_border_bottom=28,
        )
        clock(self.root.xaxis[0])
        self.root.step("time", "value", source=self._source, mode="after", color=look.ink, line_width=2)
        dots = self.root.scatter(
            "time", "value", source=self._source, size=6, fill_color=STATUS["ok"], line_color=look.surface
        )
        told = [("", "@value"), ("point", "@point{0,0}")]
        self.root.add_tools(HoverTool(tooltips=told, renderers=[dots], limit=1))

    def update(
        self, steps: Sequence[tuple[float, float, int]], start: float, now: float, metric: str, way: str
    ) -> None:
        """Draw the steps.

        Parameters
        ----------
        steps : sequence of (float, float, int)
            When, which value, of which point.
        start, now : float
            When the sweep began, and what time it is, in the same seconds.
        metric, way : str
            What the value is, and whether less or more is better: ``minimize``, ``maximize``.
        """
        self._times.go(now - start)
        self.root.title.text.text = (
            f"{'Highest' if way == 'maximize' else 'Lowest'} {said(metric, 24)} so far"
            if way
            else "Best so far"
        )
        if not steps:
            return
        time, value, point = (np.array(part, dtype=float) for part in zip(*steps, strict=True))
        if len(time) + 1 != len(self._source.data["time"]):
            low, high = float(value[-LAST:].min()), float(value[-LAST:].max())
            room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
            self.root.y_range.update(start=low - room, end=high + room)
        self._source.data = {
            "time": np.append(time - start, now - start),
            "value": np.append(value, value[-1]),
            "point": np.append(point, point[-1]),
        }
