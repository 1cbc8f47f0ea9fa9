"""The figures of a run, laid out, with one selection.

Ranges that were brushed are known on both sides: figures change them in the browser, where marks are selected at once, and
the server hears of it, counts among all rows, and remembers them in the page's address. A board that takes the place of
another is given the ranges after it is shown, as if somebody had brushed; a browser that comes later sees to it itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import CustomJS, Select

from swath.views.figures import bars
from swath.views.figures.brushing import ORDER, Brush
from swath.views.figures.canvas import sheet
from swath.views.figures.counting import Statistic
from swath.views.figures.curves import curves
from swath.views.figures.front import fronts
from swath.views.figures.heatmap import default_axes, heatmap
from swath.views.figures.parallel import parallel
from swath.views.figures.slices import history, slice_of
from swath.views.figures.study import Points
from swath.views.figures.table import stopped, table
from swath.views.palette import GAP, LIGHT
from swath.views.text import count, cut, plain
from swath.views.ui.choice import Between, Map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bokeh.models import LayoutDOM

    from swath.views.figures.study import Study

SLICES: Final = 6
ACROSS: Final = 3
"""Slices beside each other."""
NONE: Final = "\N{EM DASH}"

_PICKED: Final = """
const point = picked.data.point[0]
if (point !== undefined) document.dispatchEvent(new CustomEvent("swath:point", {detail: point}))
"""


class Board:
    """Figures of one study, for one document.

    Parameters
    ----------
    study : Study
        The rows.
    shares : mapping of str to float
        How much each parameter matters; empty where that is not known.
    measure : str
        By which measure.
    shown : Map
        The heat map that is asked for; what it leaves open, or the study does not have, is chosen here.

    Attributes
    ----------
    models : list of LayoutDOM
        To be shown, from top to bottom.
    note : str
        Says that the figures draw a sample, if they do.
    """

    def __init__(self, study: Study, shares: Mapping[str, float], measure: str, shown: Map) -> None:
        self.study, self._measure = study, measure
        self._points = Points(study)
        self._brush = Brush(self._points, LIGHT)
        self._brush.ranges.name = "ranges"
        self.note = f"figures draw {self._points.note}" if self._points.note else ""
        self.map = _possible(study, shares, shown)
        self._selects = _selects(study, self.map)
        self._brush.picked.js_on_change("data", CustomJS(args={"picked": self._brush.picked}, code=_PICKED))
        self.models: list[LayoutDOM] = self._laid_out(shares) if len(study) else []

    def on_brush(self, call: Callable[[tuple[Between, ...]], None]) -> None:
        """Call with the ranges whenever they change."""
        self._brush.ranges.on_change("data", lambda _attr, _old, _new: call(self.between))

    def on_map(self, call: Callable[[Map], None]) -> None:
        """Call when another heat map is asked for."""

        def changed(_attr: str, _old: object, _new: object) -> None:
            call(Map(**{name: select.value.removeprefix(NONE) for name, select in self._selects.items()}))

        for select in self._selects.values():
            select.on_change("value", changed)

    @property
    def between(self) -> tuple[Between, ...]:
        """The ranges that are brushed."""
        data: Any = self._brush.ranges.data
        named: dict[Any, str] = {self._points.unit(name): name for name in self.study.columns} | {ORDER: ""}
        return tuple(
            Between(named[key], float(low), float(high))
            for key, low, high in zip(data["key"], data["low"], data["high"], strict=True)
            if low <= high
        )

    def brush(self, between: Sequence[Between]) -> None:
        """Brush; ranges of axes that the study does not have are left out."""
        data: dict[str, Any] = {name: np.array(items) for name, items in self._brush.ranges.data.items()}
        for item in between:
            if item.name in self.study.columns or not item.name:
                place = self._brush.place(self._points.unit(item.name) if item.name else ORDER)
                data["low"][place], data["high"][place] = item.low, item.high
        self._brush.ranges.data = {**self._brush.ranges.data, "low": data["low"], "high": data["high"]}

    def _laid_out(self, shares: Mapping[str, float]) -> list[LayoutDOM]:
        study, points, brush = self.study, self._points, self._brush
        found: list[LayoutDOM] = []
        if study.parameters and (len(study.parameters) > 1 or study.metrics):
            found.append(parallel(points, brush=brush))
        if beside := self._beside(shares):
            found.append(_row(*beside))
        if study.curves is not None:
            found.append(curves(points, brush=brush))
        if len(study.goals) > 1:
            plots = fronts(points, brush=brush)
            found += [_row(*plots[i : i + ACROSS]) for i in range(0, len(plots), ACROSS)]
        names = study.parameters[:SLICES] if study.metric else ()
        slices = [slice_of(points, name, brush=brush) for name in names]
        found += [_row(*slices[i : i + ACROSS]) for i in range(0, len(slices), ACROSS)]
        found.append(table(points, brush))
        if short := stopped(points, brush):
            found.append(short)
        return found

    def _beside(self, shares: Mapping[str, float]) -> list[LayoutDOM]:
        points, brush, shown = self._points, self._brush, self.map
        beside: list[LayoutDOM] = []
        if shown.x:
            drawn = heatmap(
                points,
                shown.x,
                shown.y,
                statistic=_statistic(shown.statistic),
                facet=shown.facet,
                brush=brush,
            )
            beside.append(column(_row(*self._selects.values()), drawn, sizing_mode="stretch_width"))
        small: list[LayoutDOM] = []
        if self.study.metric:
            small.append(history(points, brush=brush, height=200 if shares else 370))
        if shares:
            small.append(bars.importance(shares, measure=self._measure, height=190))
        return [*beside, column(*small, sizing_mode="stretch_width", spacing=GAP)] if small else beside


def _row(*models: LayoutDOM) -> LayoutDOM:
    made: LayoutDOM = row(*models, sizing_mode="stretch_width", spacing=GAP)
    return made


def _possible(study: Study, shares: Mapping[str, float], shown: Map) -> Map:
    """Return the heat map that is asked for, as far as the study has it."""
    default = default_axes(study, dict(shares))
    if default is None:
        return Map()
    x = shown.x if shown.x in study.parameters else default[0]
    others = [
        name
        for name in (shown.y, *reversed(default), *study.parameters)
        if name in study.parameters and name != x
    ]
    facet = shown.facet if shown.facet in study.parameters and shown.facet not in (x, others[0]) else ""
    return Map(x, others[0], facet, _statistic(shown.statistic))


def _statistic(text: str) -> Statistic:
    found: dict[str, Statistic] = {name: name for name in get_args(Statistic)}
    return found.get(text, "mean")


def _selects(study: Study, shown: Map) -> dict[str, Select]:
    """Return what chooses the heat map, by the names of `Map`."""
    names = [(name, cut(plain(name), 24)) for name in study.parameters]
    offers: dict[str, tuple[str, list[Any]]] = {
        "x": ("across", names),
        "y": ("up", names),
        "facet": ("a map for each", [(NONE, NONE), *names]),
        "statistic": ("cell", list(get_args(Statistic))),
    }
    return {
        name: Select(
            title=title,
            options=options,
            value=getattr(shown, name) or NONE,
            width=110,
            sizing_mode="stretch_width",
            stylesheets=[sheet(LIGHT)],
        )
        for name, (title, options) in offers.items()
    }


def told(study: Study, chosen: int, note: str) -> str:
    """Say how many rows are chosen, and how many of them figures draw."""
    every = f"{count(len(study))} rows"
    said = every if chosen == len(study) else f"{count(chosen)} of {every}"
    return f"{said}; {note}" if note else said
