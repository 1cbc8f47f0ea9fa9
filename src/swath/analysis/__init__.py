"""Questions to rows: the best, averages, tables, arrays, differences; of a whole run or of some of its rows.

Theory of operation
-------------------
`Analysis` holds the questions; what they are about is a table (`swath.analysis.tables`), the rows at one instant.
`swath.results.Results` reads it from a run folder, `Selection` is a part of another one. Every question works on whole columns
(`swath.analysis.levels` turns them into codes), so a million rows take less than a second. pandas is imported when the first
question is asked.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.analysis.names import demand
from swath.analysis.optima import Optima
from swath.analysis.tables import Part, parameters, target, varying
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from swath.analysis.comparing import Comparison
    from swath.analysis.failing import Failures
    from swath.analysis.tables import Table
    from swath.views.figures.study import Study
    from swath.views.plots import Plots


class Analysis(Optima):
    """The questions that can be asked of rows."""

    @abstractmethod
    def _other(self, folder: Path) -> Analysis:
        """Return the rows of another run."""

    @property
    def failures(self) -> Failures:
        """One row a point that failed: parameters, ``status``, ``failure``, ``seconds``, ``worker``, ``attempts``.

        It is a frame; its ``rates`` are another, which tells how often points failed by the value of each parameter and
        by worker.
        """
        from swath.analysis.failing import failures  # noqa: PLC0415  start-up: pandas, as for all below

        table = self._table()
        return failures(table.frame, table.definition.space.names)

    @property
    def study(self) -> Study:
        """Columns and their description, as figures take them."""
        from swath.views.studies import study  # noqa: PLC0415  Bokeh

        table = self._table()
        return study(
            table.frame,
            table.definition,
            table.metrics,
            total=len(table.frame),
            excluded=0,
            curves=table.curves,
            reasons=table.reasons,
        )

    @property
    def plot(self) -> Plots:
        """Figures of the rows: ``plot.heatmap()``, ``plot.parallel()``, ``plot.slice()`` and others."""
        from swath.views.plots import Plots  # noqa: PLC0415  Bokeh

        return Plots(self)

    def where(self, expression: str | None = None, /, **values: Any) -> Selection:
        """Select rows.

        Parameters
        ----------
        expression : str, optional
            What must hold, in the language of a definition's ``where``, over all columns of ``frame`` and ``point``:
            ``"beta > gamma and status == 'ok'"``. Names that are no identifiers stand in backticks; ``started`` is text,
            as ``2026-11-25T21:30:00.000000Z``. A row that lacks a value that is needed is left out.
        **values
            Columns, each with the value that a row must have, or a list of those of which it may have any:
            ``beta=0.3, seed=[1, 2]``.

        Returns
        -------
        Selection
            The rows as they are now, to which the same questions can be put, ``where`` included.

        Raises
        ------
        UsageError
            There is no such column, or no point of the definition has such a value of a parameter.
        ExpressionError
            The expression cannot be read, or not be evaluated for a row.

        Examples
        --------
        >>> results.where("beta > gamma", seed=[1, 2]).best(3)  # doctest: +SKIP
        """
        import numpy as np  # noqa: PLC0415

        from swath.analysis.selecting import have, holds  # noqa: PLC0415

        table = self._table()
        space = table.definition.space
        chosen = have(table.frame, space, values)
        said = [f"{name} = {value!r}" for name, value in values.items()]
        if expression is not None:
            chosen &= holds(table.frame, expression, space)
            said.insert(0, expression)
        return Selection(self, Part(table, np.flatnonzero(chosen)), ", ".join(said))

    def mean(self, over: str | Sequence[str] = "seed") -> pd.DataFrame:
        """Average over replicates.

        Parameters
        ----------
        over : str or sequence of str
            The parameters that tell replicates apart.

        Returns
        -------
        DataFrame
            A row for each combination of the other parameters, in the order of their first points: those parameters,
            then for each metric that is a number the mean and, as ``<metric>_se``, its standard error (sample standard
            deviation, ddof=1, over the root of the number of values; NaN for a single one), and at last ``n``, the
            number of ``ok`` points. Missing values and NaN do not count. A name that is taken gets an underscore
            behind it.

        Raises
        ------
        UsageError
            There is no such parameter.
        """
        from swath.analysis.averages import means  # noqa: PLC0415

        table = self._table()
        return means(table, parameters(table, over))

    def pivot(
        self, rows: str, columns: str, metric: str | None = None, *, over: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Make a table of a metric over two parameters, as for a heat map.

        Parameters
        ----------
        rows, columns : str
            Two different parameters or derived values.
        metric : str, optional
            A metric that is a number, or ``seconds``. Default: the one that the definition minimizes or maximizes, or
            the only one there is.
        over : str or sequence of str, optional
            The parameters to average over. Default: all others. If given, no other may vary.

        Returns
        -------
        DataFrame
            The mean over the ``ok`` points of each pair of values; NaN where there is none. Numbers ascend, other
            values stand as in the definition. Points that lack one of the two (see ``when``) are left out.

        Raises
        ------
        UsageError
            A name is unknown, a parameter varies that is not to be averaged over, or the table has more than 10^7 cells.
        """
        from swath.analysis.averages import pivot  # noqa: PLC0415

        table = self._table()
        space = table.definition.space
        for name in (rows, columns):
            demand(name, (*space.names, *space.derived), "parameter")
        if rows == columns:
            raise UsageError(f"rows and columns of a table are two parameters, not twice {rows}")
        if over is not None:
            _settled(table, (rows, columns, *parameters(table, over)))
        return pivot(table.frame, rows, columns, target(table, metric), space)

    def difference(
        self,
        parameter: str,
        over: str | Sequence[str] = "seed",
        metric: str | None = None,
        *,
        baseline: Any = None,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Compare the values of a parameter, pair by pair.

        Two points are a pair if they differ in this parameter only; so both have the same seed, and whatever a seed does to a
        result cancels.

        Parameters
        ----------
        parameter : str
            Whose values are compared.
        over : str or sequence of str
            The parameters that tell pairs apart. Every combination of the others gets a row of its own.
        metric : str, optional
            A metric that is a number, or ``seconds``. Default: the one that the definition minimizes or maximizes, or
            the only one there is.
        baseline : value, optional
            What the other values are compared with. Default: the first that the definition lists, or, of a search, the
            first that there is.
        confidence : float
            In (0, 1).

        Returns
        -------
        DataFrame
            A row for each combination of the other parameters and each value but the baseline: these, the mean
            ``difference`` of the pairs (this value less the baseline), the ends ``low`` and ``high`` of its confidence
            interval, its standard error ``se``, the number ``n`` of pairs, and how many were ``dropped`` because one of
            the two has failed, has no value or has no row. The interval is Student's: mean +- t s / sqrt(n) with the
            standard deviation s of the differences (ddof=1) and n - 1 degrees of freedom; NaN for a single pair. A
            name that is taken gets an underscore behind it.

        Raises
        ------
        UsageError
            A name is unknown, ``parameter`` is among ``over``, or no row has the baseline.
        """
        from swath.analysis.pairing import differences  # noqa: PLC0415

        table = self._table()
        space = table.definition.space
        demand(parameter, space.names, "parameter")
        over = parameters(table, over)
        if parameter in over:
            raise UsageError(
                f"{parameter} is compared, so pairs cannot be told apart by it; leave it out of over"
            )
        if not 0 < confidence < 1:
            raise UsageError(f"confidence is between 0 and 1, not {confidence}")
        return differences(
            table.frame,
            parameter,
            [name for name in space.names if name not in (parameter, *over)],
            over,
            target(table, metric),
            space,
            baseline=baseline,
            confidence=confidence,
        )

    def importance(
        self, metric: str | None = None, method: str = "rank", *, parameters: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Say how much of a metric follows from each parameter alone.

        Parameters
        ----------
        metric : str, optional
            A metric that is a number, or ``seconds``. Default: the one that the definition minimizes or maximizes, or
            the only one there is.
        method : {"rank", "ped-anova"}
            ``rank``: the share of the variance of the metric's ranks that lies between the values of the parameter, less
            what chance would put there; 0 is nothing, 1 everything. ``ped-anova``: what separates the best tenth
            of the points from the others, as shares that sum to 1; needs Optuna and at least 50 points.
        parameters : sequence of str, optional
            Which. Default: all that vary but replicates, which are those made by ``seeds`` and one named ``seed``.

        Returns
        -------
        DataFrame
            A row for each parameter, the most important first: ``parameter``, ``importance``, for ``rank`` also
            Spearman's ``correlation`` where values are numbers, the number of different ``values``, and ``n``, how many
            points were looked at: those that are ``ok`` and have the metric and the parameter; at most 4,000, drawn
            at random, for ``ped-anova``. ``attrs["label"]`` says what the importance is, ``attrs["metric"]`` for what. What
            two parameters only do together is in neither.

        Raises
        ------
        UsageError
            A name is unknown, there are too few points, or Optuna is not installed.
        """
        from swath.analysis.importance import importance  # noqa: PLC0415

        table = self._table()
        name = target(table, metric)
        if parameters is None:
            parameters = varying(table)
        for parameter in parameters:
            demand(parameter, table.definition.space.names, "parameter")
        largest = table.definition.maximizes(name)
        return importance(
            table.frame, parameters, name, table.definition.space, largest=largest, method=method
        )

    def compare(self, other: Analysis | str | Path, *, rtol: float = 0.0) -> Comparison:
        """Compare with other rows, point by point.

        Parameters
        ----------
        other : Results, Selection or path
            The other rows, or the folder of a run.
        rtol : float
            Difference up to which numbers are equal, as a part of the larger one.

        Returns
        -------
        Comparison
            What is in both and has ``changed``, what is ``only_here`` and ``only_there``, and a ``summary`` in words.
            Points are the same if their parameters have the same content; a parameter that only one side has is left
            out if it has one value there. How long a point took and who computed it is not compared.

        Raises
        ------
        UsageError
            There is no run in the folder, or a parameter that only one side has varies there.
        """
        from swath.analysis.comparing import compare  # noqa: PLC0415

        if not isinstance(other, Analysis):
            other = self._other(Path(other))
        return compare(self._table(), other._table(), rtol)  # noqa: SLF001  of the same class


class Selection(Analysis):
    """Some rows of a run, as they were when they were selected; made by `Analysis.where`.

    Attributes
    ----------
    said : str
        What holds for them.
    whole : int
        How many rows there were.
    """

    def __init__(self, origin: Analysis, part: Part, said: str) -> None:
        self._origin = origin
        self._part = part
        self.said, self.whole = said, len(part.whole.frame)
        if isinstance(origin, Selection):
            self.said, self.whole = ", ".join(filter(None, (origin.said, said))), origin.whole

    def _table(self) -> Part:
        return self._part

    def _other(self, folder: Path) -> Analysis:
        return self._origin._other(folder)  # noqa: SLF001  of the same class

    @property
    def statuses(self) -> dict[str, int]:
        """How many points ended how; statuses that do not occur are left out."""
        found = self._part.frame["status"].value_counts(sort=False)
        return {str(status): int(n) for status, n in found.items() if n}

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._part.places)

    def __repr__(self) -> str:
        return f"<Selection of {self.name}: {len(self):,} of {self.whole:,} rows, where {self.said or 'nothing is asked'}>"

    def _repr_html_(self) -> str:
        from swath.views.notebook.results import selection  # noqa: PLC0415  only who looks at it needs it

        return str(selection(self).html)


def _settled(table: Table, known: Sequence[str]) -> None:
    """Raise UsageError if a parameter varies that nobody has spoken of."""
    from swath.analysis.levels import coded  # noqa: PLC0415

    for name in table.definition.space.names:
        if name not in known and (count := len(coded(table.frame[name])[1])) > 1:
            raise UsageError(
                f"{name} has {count:,} values here: add it to over, or choose one with where({name}=...)"
            )
