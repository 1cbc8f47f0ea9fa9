"""``results.plot``: one figure a question, with names checked and what is not said chosen sensibly.

Figures are Bokeh's: ``bokeh.plotting.show`` opens them in a browser, a notebook shows them as the value of a cell. Marks
are selected by dragging a box; a double click clears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bokeh.layouts import column, row

from swath.analysis.names import demand, enumerated
from swath.analysis.pareto import members
from swath.analysis.tables import several
from swath.errors import UsageError
from swath.views.figures import bars, curves, front, heatmap, overview, parallel, slices
from swath.views.figures.brushing import Brush
from swath.views.figures.counting import STATISTICS, Statistic
from swath.views.figures.study import Points, Study
from swath.views.notebook.figure import shown
from swath.views.palette import DARK, GAP, LIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from bokeh.models import LayoutDOM
    from bokeh.plotting import figure

    from swath.views.palette import Look

ACROSS = 3
"""Slices beside each other at most."""


class Asked(Protocol):
    """Whose rows are drawn."""

    @property
    def study(self) -> Study:
        """Their columns."""

    def importance(self, metric: str | None = None, method: str = "rank") -> pd.DataFrame:
        """How much each parameter matters."""


class Plots:
    """Figures of rows.

    Parameters
    ----------
    rows : Results or Selection
        Whose.

    Notes
    -----
    Every method takes ``dark=True`` for dark pages, and ``height`` in pixels; figures are as wide as there is room. At most
    4,000 marks are drawn; a figure that shows a sample says so. What is aggregated, as in heat maps, is so over all rows.
    """

    def __init__(self, rows: Asked) -> None:
        self._rows = rows

    def heatmap(
        self,
        x: str | None = None,
        y: str | None = None,
        metric: str | None = None,
        *,
        statistic: Statistic = "mean",
        facet: str | None = None,
        dark: bool = False,
        height: int = 420,
    ) -> LayoutDOM:
        """Draw a metric over two parameters; each cell is over all values of the others.

        Parameters
        ----------
        x, y : str, optional
            Parameters. Default: the first that are no replicates.
        metric : str, optional
            A metric that is a number. Default: the one that the definition optimises.
        statistic : {"mean", "best", "count", "std", "seconds"}
            What a cell shows of the metric's values; or the mean seconds of its points.
        facet : str, optional
            A parameter: one map for each of its values, up to 6.

        Raises
        ------
        UsageError
            There is no such name, or fewer than two parameters vary.
        """
        study = self._rows.study
        if statistic not in STATISTICS:
            raise UsageError(f"statistic is one of {enumerated(STATISTICS)}, not {statistic!r}")
        names = _chosen(study, x, y)
        if facet is not None:
            demand(facet, study.parameters, "parameter that varies")
        points, look, chosen = Points(study), _look(dark=dark), _metric(study, metric, needed=False)
        made = heatmap.heatmap(
            points, *names, metric=chosen, statistic=statistic, facet=facet or "", look=look, height=height
        )
        return shown(made, f"{study.name}: {chosen or 'points'} over {names[0]} and {names[1]}", look)

    def parallel(
        self, *names: str, metric: str | None = None, dark: bool = False, height: int = 420
    ) -> figure:
        """Draw a line for each point over parallel axes.

        Parameters
        ----------
        *names : str
            Axes from left to right: parameters, derived values, metrics. Default: parameters that vary, then metrics.
        metric : str, optional
            What gives lines their colour.

        Raises
        ------
        UsageError
            There is no such name, or nothing to draw.
        """
        study = self._rows.study
        for name in names:
            demand(name, list(study.columns), "column that varies or is a metric")
        if not (names or parallel.shown(study)):
            raise UsageError(
                f"{study.name} has neither a parameter that varies nor a metric that is a number"
            )
        chosen = _metric(study, metric, needed=False)
        look = _look(dark=dark)
        made = parallel.parallel(Points(study), names, metric=chosen, look=look, height=height)
        return shown(made, f"{study.name}: points over parallel axes", look)

    def slice(
        self, name: str | None = None, metric: str | None = None, *, dark: bool = False, height: int = 300
    ) -> LayoutDOM:
        """Draw a metric against a parameter, or against each one that varies.

        Parameters
        ----------
        name : str, optional
            A parameter, a derived value or another metric. Default: all parameters that vary.
        metric : str, optional
            Default: the one that the definition optimises.

        Raises
        ------
        UsageError
            There is no such name, or no parameter varies.
        """
        study = self._rows.study
        chosen = _metric(study, metric)
        if name is not None:
            demand(name, list(study.columns), "column that varies or is a metric")
        names = [name] if name is not None else list(study.parameters)
        if not names:
            raise UsageError(f"no parameter of {study.name} varies, so there is nothing to slice")
        points, look = Points(study), _look(dark=dark)
        brush = Brush(points, look)
        made = [
            slices.slice_of(points, each, metric=chosen, look=look, brush=brush, height=height)
            for each in names
        ]
        text = f"{study.name}: {chosen} against {', '.join(names)}"
        return shown(_rows(made) if len(made) > 1 else made[0], text, look)

    def history(self, metric: str | None = None, *, dark: bool = False, height: int = 360) -> figure:
        """Draw a metric over the points as they finished, with the best one so far.

        Raises
        ------
        UsageError
            There is no such metric.
        """
        study, look = self._rows.study, _look(dark=dark)
        chosen = _metric(study, metric)
        made = slices.history(Points(study), metric=chosen, look=look, height=height)
        return shown(made, f"{study.name}: {chosen} over the points as they finished", look)

    def pareto(
        self,
        by: Sequence[str | tuple[str, str]] | None = None,
        *,
        dark: bool = False,
        height: int = 420,
    ) -> LayoutDOM:
        """Draw goals against each other, and the points that no other one beats; see `swath.analysis.Analysis.pareto`.

        Parameters
        ----------
        by : sequence of str or (str, str), optional
            Two or more metrics that are numbers, each maybe with ``"minimize"`` or ``"maximize"``; of more than four the
            first four are drawn. Default: what the definition optimises.

        Raises
        ------
        UsageError
            There are fewer than two goals; a metric is unknown or not a number; a direction is misspelt.
        """
        study, look = self._rows.study, _look(dark=dark)
        goals = several(by, study.goals, study.metrics)
        found = members([sign * study.columns[name] for name, sign in goals], study.sound)
        made = front.fronts(Points(study), goals, found, look=look, height=height)
        text = f"{study.name}: {' against '.join(name for name, _ in goals)}, and the Pareto front"
        return shown(_rows(made) if len(made) > 1 else made[0], text, look)

    def curves(self, metric: str | None = None, *, dark: bool = False, height: int = 420) -> figure:
        """Draw what points recorded step by step, a line for each; at most 200 of them, the best ones among these.

        The best point stands out; those that were stopped early are faint and end in a cross.

        Parameters
        ----------
        metric : str, optional
            What was recorded. Default: the one that the definition optimises, or the first.

        Raises
        ------
        UsageError
            No point has recorded anything, or not this.
        """
        study, look = self._rows.study, _look(dark=dark)
        if study.curves is None:
            raise UsageError(f"no point of {study.name} has recorded a step, so there are no curves")
        if metric is not None:
            demand(metric, list(study.curves.metrics), "metric that was recorded")
        points = Points(study)
        made = curves.curves(points, metric=metric or "", look=look, brush=Brush(points, look), height=height)
        return shown(made, f"{study.name}: learning curves", look)

    def importance(
        self, metric: str | None = None, method: str = "rank", *, dark: bool = False, height: int = 0
    ) -> figure:
        """Draw how much of a metric follows from each parameter; see `swath.analysis.Analysis.importance`."""
        found = self._rows.importance(metric, method)
        shares = dict(zip(found["parameter"], found["importance"].astype(float), strict=True))
        look, label, of = _look(dark=dark), found.attrs["label"], found.attrs["metric"]
        made = bars.importance(shares, metric=of, measure=label, look=look, height=height)
        return shown(made, f"importance of parameters for {of}: {label}", look)

    def workers(self, *, dark: bool = False) -> LayoutDOM:
        """Draw how much each worker did, and when."""
        study, look = self._rows.study, _look(dark=dark)
        pair = [bars.workers(study, look=look), bars.timeline(Points(study), look=look)]
        made = row(*pair, sizing_mode="stretch_width", spacing=GAP)
        return shown(made, f"{study.name}: what each worker did, and when", look)

    def overview(self, shares: Mapping[str, float] | None = None, *, dark: bool = False) -> LayoutDOM:
        """Lay out all figures, a table and the details of a point, with one selection.

        Parameters
        ----------
        shares : mapping of str to float, optional
            How much each parameter matters, for one more figure.
        """
        study, look = self._rows.study, _look(dark=dark)
        return shown(overview.overview(study, shares=shares, look=look), f"{study.name}: all figures", look)


def _look(*, dark: bool) -> Look:
    return DARK if dark else LIGHT


def _metric(study: Study, name: str | None, *, needed: bool = True) -> str:
    """Return a metric that is a number: the one named, or the one that matters."""
    if name is not None:
        demand(name, study.metrics, "metric that is a number")
    elif needed and not study.metric:
        raise UsageError(f"{study.name} has no metric that is a number yet")
    return name or study.metric


def _chosen(study: Study, x: str | None, y: str | None) -> tuple[str, str]:
    """Fill in the parameters of a heat map."""
    if len(study.parameters) < 2:
        raise UsageError(
            f"a heat map needs two parameters that vary; in {study.name} vary: {enumerated(study.parameters)}"
        )
    for name in filter(None, (x, y)):
        demand(name, study.parameters, "parameter that varies")
    if x is not None and x == y:
        raise UsageError(f"x and y are both {x!r}; a heat map needs two different parameters")
    others = [name for name in study.parameters if name not in study.replicates]
    others += list(study.replicates)
    free = iter(name for name in others if name not in (x, y))
    return x or next(free), y or next(free)


def _rows(made: Sequence[Any]) -> LayoutDOM:
    across = -(-len(made) // -(-len(made) // ACROSS))  # as many in each row, as far as possible
    lines = [made[i : i + across] for i in range(0, len(made), across)]
    return column(
        *(row(*line, sizing_mode="stretch_width", spacing=GAP) for line in lines),
        sizing_mode="stretch_width",
        spacing=GAP,
    )
