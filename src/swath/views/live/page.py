"""The live page as a Bokeh document: one for every viewer, brought up to date once a second.

Theory of operation
-------------------
A viewer has models, cursors and selections of its own, and reads the record that all share. What costs much is sent
rarely: texts when they change, heat maps every few seconds, and of what only grows, what is new. All of it runs on the
scheduler's loop, so a tick has to be short.

The page can be looked at and nothing else: whoever reaches the dashboard sees it, and must not be able to stop a sweep.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from bokeh.core.properties import without_property_validation
from bokeh.events import ConnectionLost
from bokeh.layouts import column, row
from bokeh.models import CustomJS
from distributed.dashboard.components.scheduler import env

from swath.views.figures.best import Best
from swath.views.figures.curves import UNFINISHED, Traces, columns_of, titled
from swath.views.figures.failures import Failures
from swath.views.figures.grid import Grid
from swath.views.figures.header import Header
from swath.views.figures.load import CHOSEN, LINES, Load
from swath.views.figures.timeline import MOST, Timeline
from swath.views.figures.traces import axes_of
from swath.views.figures.workers import Workers, colours
from swath.views.palette import GAP, LIGHT, css

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bokeh.document import Document

    from swath.views.live.stage import Stage

EVERY = 1000
"""Milliseconds between two updates."""

SELDOM = 3
"""Updates of which one brings the heat map up to date."""

TURN = 2
"""Which of them brings learning curves up to date: one in which no heat map is drawn."""

PANELS = ("header", "workers", "load", "timeline", "failures", "values", "curves")
"""Pages of one part of the whole each, for JupyterLab's extension."""

FRAME = """{% extends "simple.html" %}
{% block extra_resources %}<style>STYLE
html { background: PAGE; height: auto; }
body { padding: 4rem 18px 1.5rem; height: auto; overflow-x: hidden; }
@media (max-width: 960px) { body { padding-top: 6.6rem; } }
</style>{% endblock %}"""

BARE = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>{{ title|e }}</title>
{{ bokeh_css }}{{ bokeh_js }}<style>STYLE
body { padding: 6px; }</style></head><body>{{ plot_div }}{{ plot_script }}</body></html>"""

CLOSED = """
const said = "<div class='lost'>The connection is closed: the sweep has ended, or its scheduler is gone.</div>";
if (!header.text.endsWith(said)) header.text += said;
"""

logger = logging.getLogger("distributed.scheduler")


class View:
    """What one viewer sees.

    Parameters
    ----------
    stage : Stage
        Whose record to show.
    panels : sequence of str
        Which of `PANELS`.
    """

    def __init__(self, stage: Stage, panels: Sequence[str]) -> None:
        self._stage, self._record = stage, stage.record
        self._batches, self._loads = 0, (0, 0)
        self._lines: dict[str, str] = {}
        self.header = Header() if "header" in panels else None
        self.workers = Workers() if "workers" in panels else None
        self.load = Load() if "load" in panels else None
        self.timeline = Timeline() if "timeline" in panels else None
        self.failures = Failures() if "failures" in panels else None
        self.grid = Grid(self._choose_axes) if "values" in panels else None
        self.best = Best() if "values" in panels else None
        self.curves = Traces() if "curves" in panels else None
        if self.curves is not None:
            self.curves.root.visible = False
        self._broken = False
        self._version, self._turn, self._curves = -1, 0, 0
        self._state: tuple[Any, ...] = ()
        self._slots: tuple[int, set[str]] = (-1, set())

    @property
    def root(self) -> Any:
        """All of it, one below the other."""
        parts: list[Any] = [part.root for part in (self.header, self.workers, self.load) if part is not None]
        pairs = [(self.timeline, self.failures), (self.grid, self.best)]
        shown = [[part.root for part in pair if part is not None] for pair in pairs]
        parts += [row(*pair, sizing_mode="stretch_width", spacing=GAP) for pair in shown if pair]
        parts += [self.curves.root] if self.curves is not None else []
        return column(*parts, sizing_mode="stretch_width", spacing=GAP)

    def update(self) -> None:
        """Show what is new; a mistake of ours ends the page, not the scheduler."""
        if self._broken:
            return
        try:
            self._update()
        except Exception:
            self._broken = True
            logger.exception("swath: the page of a sweep failed")

    @without_property_validation  # type: ignore[untyped-decorator]  # bokeh is typed in part
    def _update(self) -> None:
        record = self._record
        with record.lock:
            state = (record.serial, self._stage.ended, tuple(self._selection), self._notice())
            if state == self._state:
                return
            self._state = state
            self._lines = self._choose(record.workers.get("name", ()))
            if self.header is not None:
                self.header.update(
                    record.snapshot, record.about, sum(record.workers.get("busy", ())), self._notice()
                )
            if self.failures is not None:
                self.failures.update(record.snapshot.complaints)
            self._turn += 1
            cells = self._turn % SELDOM == 1 or record.snapshot.over
            if self.grid is not None and self.best is not None:
                self._draw_values(self.grid, self.best, cells=cells)
            if self._turn % SELDOM == TURN or self._turn == 1 or record.snapshot.over:
                self._draw_curves()
            if not cells or self._turn == 1 or record.snapshot.over:
                self._draw_machines()

    def _draw_machines(self) -> None:
        """Draw what workers do; not together with the heat map, so that the scheduler is never held up for long."""
        if self.workers is not None:
            self.workers.update(self._record.workers, self._lines)
        if self.load is not None:
            self._draw_load(self.load)
        if self.timeline is not None:
            self._draw_timeline(self.timeline)

    def _draw_values(self, grid: Grid, best: Best, *, cells: bool) -> None:
        """Draw what the points gave: the heat map only now and then, because it costs most."""
        record = self._record
        about, snapshot = record.about, record.snapshot
        metric, way = about.get("metric", ""), snapshot.direction
        grid.offer(
            about.get("parameters", {}),
            about.get("replicates", ()),
            about.get("design", {}),
            about.get("scales", {}),
        )
        if cells and record.version != self._version:
            self._version = record.version
            rows = record.rows
            grid.update(rows, metric, way, max(len(rows), round(record.sound.seen + record.failed.seen)))
        best.root.visible = bool(way)
        best.update(record.steps, about.get("started", 0.0), record.now, metric, way)

    def _draw_curves(self) -> None:
        """Draw what points record on their way, where they do."""
        record = self._record
        if self.curves is None or record.curves.version == self._curves:
            return
        self._curves = record.curves.version
        lines = [
            (point, curve.status or UNFINISHED, curve.steps, curve.values)
            for point, curve in record.curves.lines.items()
            if curve.steps
        ]
        self.curves.root.visible = bool(lines)
        if not lines:
            return
        metric = record.about.get("traced", "")
        best = record.curves.best(record.sign)
        shown = next((i for i, (point, *_) in enumerate(lines) if point == best), None)
        axes = axes_of(metric, [steps for _, _, steps, _ in lines], [values for *_, values in lines])
        title = titled(metric, len(lines), record.curves.seen, record.curves.stopped)
        self.curves.update(title, axes, columns_of(lines, [-1] * len(lines), axes), shown)

    def _choose_axes(self) -> None:
        """Draw the heat map with other axes, at once."""
        self._version, self._turn, self._state = -1, 0, ()
        self.update()

    def _notice(self) -> str:
        """Say what is unusual about the page itself."""
        snapshot = self._record.snapshot
        if self._stage.ended and not snapshot.over:
            return "The driver of this sweep is gone; this is the last that was heard of it."
        silent = time.monotonic() - self._record.heard
        if self._record.now and not snapshot.over and silent > 10:
            return f"Nothing was heard for {silent:.0f} s."
        return ""

    @property
    def _selection(self) -> list[str]:
        """Names of the workers that the viewer has selected."""
        return self.workers.selected if self.workers is not None else []

    def _choose(self, names: Sequence[str]) -> dict[str, str]:
        """Give a colour to the workers that have a line."""
        if len(names) <= LINES:
            return colours(names)
        return colours(self._selection[:CHOSEN])

    def _draw_load(self, load: Load) -> None:
        loads = self._record.loads
        shown = tuple(self._lines)
        if shown != getattr(load, "shown", shown) or loads.thinned != self._loads[0]:
            load.clear()
        load.shown = shown  # type: ignore[attr-defined]
        self._loads, _ = loads.since(self._loads)
        start = self._record.about.get("started", 0.0)
        load.update([moment - start for moment in loads.times], loads.rows, loads.names, self._lines)

    def _draw_timeline(self, timeline: Timeline) -> None:
        record = self._record
        chosen = set(self._selection)
        wanted = (record.slot_count, chosen)
        if wanted != self._slots and timeline.show(record.slots(chosen)):
            self._batches = 0
            if self.failures is not None:
                self.failures.root.height = timeline.height
        self._slots = wanted
        self._batches, new = record.stretches(self._batches, MOST)
        timeline.update(new, record.about.get("started", 0.0), record.now)


def document(
    stage: Stage, panels: Sequence[str], scheduler: Any, extra: Mapping[str, Any], doc: Document
) -> None:
    """Make a viewer's document; called by Bokeh's server for each.

    Parameters
    ----------
    stage : Stage
        Of the sweep.
    panels : sequence of str
        Those of a page without navigation; if empty, the whole page with Dask's navigation bar.
    scheduler, extra, doc
        As Dask passes them.
    """
    del scheduler
    view = View(stage, panels or PANELS)
    view.update()
    doc.title = f"Sweep {stage.record.snapshot.name}"
    doc.add_root(view.root)
    style = css(dark=False)
    doc.template = env.from_string(
        (BARE if panels else FRAME).replace("STYLE", style).replace("PAGE", LIGHT.page)
    )
    doc.template_variables.update(extra)
    doc.add_periodic_callback(view.update, EVERY)
    if view.header is not None:
        lost = CustomJS(args={"header": view.header.root}, code=CLOSED)
        doc.js_on_event(ConnectionLost, lost)
    stage.join(doc, view)
