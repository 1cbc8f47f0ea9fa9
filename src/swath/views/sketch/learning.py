"""Learning curves of a run or of one point, as plain columns, laid out for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.views.figures.axes import number
from swath.views.figures.traces import axes_of
from swath.views.sketch.curves import traces
from swath.views.sketch.paper import Room
from swath.views.text import count, cut, plain, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.views.figures.traces import Curves
    from swath.views.sketch.paper import Line

LINES: Final = 40
"""Curves of a sketch at most."""
WIDE, HIGH, NAME = 70, 12, 20
FEW: Final = 4
"""Steps up to which a curve is no picture."""


def learning(metric: str, steps: Sequence[int], values: Sequence[Any], *, unicode: bool) -> list[str]:
    """Draw the curve of one point without colours; a few steps are listed.

    Parameters
    ----------
    metric : str
        What was recorded.
    steps : sequence of int
        Ascending, at least one.
    values : sequence of float or None
        Of the metric.
    unicode : bool
        Whether more than ASCII can be shown.
    """
    numbers = np.asarray(values, float)
    if len(steps) < FEW:
        told = ", ".join(
            f"{step}: {number(value)}" for step, value in zip(steps, numbers.tolist(), strict=True)
        )
        return [f"{cut(plain(metric), NAME)} at step {told}"]
    axes = axes_of(metric, [np.asarray(steps)], [numbers])
    room = Room(WIDE, HIGH, unicode)
    title = f"{cut(plain(metric), NAME)}, {plural(len(steps), 'step')}, at last {number(float(numbers[-1]))}"
    drawn = traces(axes, [], (np.asarray(steps), numbers), room, title=title)
    return ["".join(text for text, _ in line) for line in drawn]


def every(found: Curves, metric: str, first: Sequence[int], room: Room) -> list[Line]:
    """Draw the curves of a run.

    Parameters
    ----------
    found : Curves
        What points recorded.
    metric : str
        Of it.
    first : sequence of int
        Points of which some are drawn in any case; the first of them stands out.
    room : Room
        Where to draw.
    """
    places = {int(point): i for i, point in enumerate(found.owners.tolist())}
    matter = np.array([places[point] for point in first if point in places], np.int64)
    drawn = found.chosen(matter, LINES).tolist()
    lines = {i: found.part(i, metric) for i in drawn}
    shown = lines.pop(int(matter[0])) if len(matter) else None
    some = f" of {count(len(found))}" if len(drawn) < len(found) else ""
    title = f"{cut(plain(metric), NAME)}, step by step: {count(len(drawn))}{some} points"
    return traces(found.axes(metric), list(lines.values()), shown, room, title=title)
