"""CPU, memory and points per second of workers over time.

Up to `LINES` workers have a line each. Of more, the spread is drawn, and lines of those that were selected, because a
browser draws hundreds of lines slowly and nobody can tell them apart.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.layouts import row
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from swath.views.figures.canvas import canvas
from swath.views.figures.clock import Follower, clock, octets
from swath.views.palette import IDLE, LIGHT, Look
from swath.views.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Table = NDArray[np.float32]

LINES = 16
"""Workers that have a line each."""

CHOSEN = 8
"""Selected workers that have one, where there are more."""

QUANTITIES = {"cpu": "CPU, cores", "memory": "Memory", "rate": "Points per second"}
"""What is drawn, and what it is called."""

SMALLEST = {"cpu": 1.0, "memory": 64.0 * 2**20, "rate": 1e-9}
"""Upper ends of the axes, at least."""

LEVELS = {"least": 0, "low": 25, "middle": 50, "high": 75, "most": 100}
"""Percentiles of which the spread is made."""


class Load:
    """Three figures with one axis of time.

    Attributes
    ----------
    root : Row
    lines : ColumnDataSource
        Pieces of lines, from one sample to the next.
    spread : ColumnDataSource
        Percentiles over all workers.
    """

    def __init__(self, look: Look = LIGHT, *, height: int = 190) -> None:
        self._look = look
        self.lines = ColumnDataSource(_pieces([], [], {}, {}))
        self.spread = ColumnDataSource({"time": np.empty(0), **{key: np.empty(0) for key in _levels()}})
        self._banded = False
        self._seen = 0
        self._times = Follower()
        self._most = dict.fromkeys(QUANTITIES, 0.0)
        self._figures = {}
        for quantity, title in QUANTITIES.items():
            figure = canvas(
                title,
                look,
                height=height,
                x_range=self._times.range,
                y_range=Range1d(0.0, SMALLEST[quantity]),  # from 0: anything else makes mountains of noise
                tools="xpan,xwheel_zoom,reset",
                min_border_bottom=28,
            )
            clock(figure.xaxis[0])
            if quantity == "memory":
                octets(figure.yaxis[0])
            lines = figure.segment(
                "x0", f"{quantity}0", "x1", f"{quantity}1", color="colour", line_width=1.6, source=self.lines
            )
            figure.add_tools(
                HoverTool(tooltips=[("", "@name")], renderers=[lines], limit=1, attachment="above")
            )
            figure.xgrid.grid_line_color = None
            self._figures[quantity] = figure
        self.root = row(*self._figures.values(), sizing_mode="stretch_width", spacing=12)

    def clear(self) -> None:
        """Forget what is drawn, because it will be told again."""
        self._seen = 0
        self.lines.data = _pieces([], [], {}, {})
        self.spread.data = {"time": np.empty(0), **{key: np.empty(0) for key in _levels()}}

    def update(
        self,
        times: Sequence[float],
        rows: Mapping[str, Sequence[Sequence[float]]],
        names: Sequence[str],
        colours: Mapping[str, str],
    ) -> None:
        """Draw samples that are new since the last call, or since `clear`.

        Parameters
        ----------
        times : sequence of float
            Of all samples, in seconds since the sweep began.
        rows : mapping of str to sequence of sequences of float
            For each quantity and sample the values of the workers that there were.
        names : sequence of str
            Of the workers.
        colours : mapping of str to str
            The workers that have a line, and its colour.
        """
        first, self._seen = self._seen, len(times)
        if first == len(times):
            return
        self._times.go(times[-1])
        before = max(0, first - 1)  # a piece of a line begins where the last one ended
        tables = {quantity: _table(rows[quantity][before:], len(names)) for quantity in QUANTITIES}
        new = {quantity: table[first - before :] for quantity, table in tables.items()}
        self._stretch(new)
        if len(names) > LINES:
            self._draw_bands()
            self.spread.stream(_spread(times[first:], new))
        pieces = _pieces(times[before:], names, tables, colours)
        if len(pieces["x0"]):
            self.lines.stream(pieces)

    def _stretch(self, tables: Mapping[str, Table]) -> None:
        """Let the axes reach what is new."""
        for quantity, table in tables.items():
            most = float(np.fmax.reduce(table, axis=None, initial=0.0))
            if most > self._most[quantity]:
                self._most[quantity] = most
                self._figures[quantity].y_range.end = max(SMALLEST[quantity], 1.08 * most)

    def _draw_bands(self) -> None:
        if self._banded:
            return
        self._banded = True
        for quantity, figure in self._figures.items():
            for low, high, alpha in (("least", "most", 0.25), ("low", "high", 0.45)):
                figure.varea(
                    "time",
                    f"{quantity}_{low}",
                    f"{quantity}_{high}",
                    source=self.spread,
                    fill_color=IDLE,
                    fill_alpha=alpha,
                    level="underlay",
                )
            figure.line(
                "time", f"{quantity}_middle", source=self.spread, color=self._look.muted, line_width=1.4
            )
            figure.title.text.text += ": median, spread"


def _levels() -> list[str]:
    return [f"{quantity}_{level}" for quantity in QUANTITIES for level in LEVELS]


def _table(rows: Sequence[Sequence[float]], n: int) -> Table:
    """Return samples in rows and workers in columns, NaN before a worker was there."""
    table = np.full((len(rows), n), nan, dtype=np.float32)
    for place, values in enumerate(rows):
        table[place, : len(values)] = values
    return table


def _pieces(
    times: Sequence[float], names: Sequence[str], tables: Mapping[str, Table], colours: Mapping[str, str]
) -> dict[str, Any]:
    places = {name: i for i, name in enumerate(names)}
    known = [name for name in colours if name in places]
    columns = [places[name] for name in known]
    n, m = max(0, len(times) - 1), len(known)
    data: dict[str, Any] = {
        "x0": np.repeat(np.array(times[:n], dtype=float), m),
        "x1": np.repeat(np.array(times[1:], dtype=float), m) if n else np.empty(0),
        "name": np.tile(_texts([cut(plain(name), 40) for name in known]), n),
        "colour": np.tile(_texts([colours[name] for name in known]), n),
    }
    for quantity in QUANTITIES:
        values = tables[quantity][:, columns].astype(float) if n and m else np.empty((1, 0))
        data[f"{quantity}0"], data[f"{quantity}1"] = values[:-1].ravel(), values[1:].ravel()
    return data


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    return np.array(values, dtype=np.str_) if values else np.empty(0, "U1")


def _spread(times: Sequence[float], tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return the percentiles of each sample: the value that is nearest to each in rank."""
    data: dict[str, Any] = {"time": np.array(times, dtype=float)}
    for quantity, table in tables.items():
        ranked = np.sort(table, axis=1)  # NaN come last
        last = np.maximum(0, np.count_nonzero(~np.isnan(table), axis=1) - 1)
        for level, percent in LEVELS.items():
            place = np.rint(last * (percent / 100)).astype(int)
            data[f"{quantity}_{level}"] = ranked[np.arange(len(table)), place].astype(float)
    return data
