"""What a search is run for: the best points, those that no other one beats, how they were found, and what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.analysis.names import demand, enumerated
from swath.analysis.rows import Rows
from swath.analysis.tables import eligible, feasible, numeric, parameters, several, target, undecided
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


class Optima(Rows):
    """Rows of points, of which some are better than others."""

    def best(self, n: int = 1, by: str | None = None) -> pd.DataFrame:
        """Return the best points.

        Parameters
        ----------
        n : int
            At most so many rows.
        by : str, optional
            A metric. Default: the one that the definition minimizes or maximizes. Any other metric counts as to be
            minimized.

        Returns
        -------
        DataFrame
            Rows of ``frame``, the best first, equals in the order of their points. Points that failed, or have no
            value or NaN, are left out, and so are those that break a constraint of the search.

        Raises
        ------
        UsageError
            There is no such metric, or it is not a number.
        """
        from swath.analysis.averages import best  # noqa: PLC0415

        table = self._table()
        definition, there = table.definition, numeric(table)
        if by is None and definition.goal is None:
            front = "; pareto() gives the points that no other one beats" if definition.goals else ""
            raise UsageError(
                f"{undecided(definition)}, so best needs a metric: best(by=...), one of {enumerated(there)}{front}"
            )
        name = by or definition.goals[0][0]
        demand(name, there, "metric that is a number")
        return best(table.frame, name, n, eligible(table), largest=definition.maximizes(name))

    def pareto(
        self,
        by: Sequence[str | tuple[str, str]] | None = None,
        *,
        over: str | Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the points that no other one beats: the Pareto front of several goals.

        A point beats another if it is nowhere worse and somewhere better; points that are equal in every goal do not beat
        each other.

        Parameters
        ----------
        by : sequence of str or (str, str), optional
            Two or more metrics that are numbers, or ``seconds``, each with ``"minimize"`` or ``"maximize"``; a name alone
            goes as the definition says, or is minimized. Default: what the definition optimises.
        over : str or sequence of str, optional
            Parameters to average over first, as `mean` does: replicates, whose luck would else be on the front.

        Returns
        -------
        DataFrame
            Rows of ``frame``, or of ``mean(over)``, the best by the first goal first, equals in the order of their points. Points that failed,
            lack one of the metrics, or break a constraint of the search, are left out.

        Raises
        ------
        UsageError
            There are fewer than two goals; a metric is unknown or not a number; a direction is misspelt.

        Notes
        -----
        A million rows take some tenths of a second for two goals. For more, the time grows with the number of points on the
        front (`swath.analysis.pareto`).
        """
        from swath.analysis.pareto import pareto  # noqa: PLC0415

        table = self._table()
        goals = table.definition.goals
        if over is None:
            wanted = several(by, goals, (*numeric(table), "seconds"))
            return pareto(table.frame, wanted, eligible(table))
        from swath.analysis.averages import means  # noqa: PLC0415

        frame = means(table, parameters(table, over))
        return pareto(frame, several(by, goals, numeric(table)), feasible(frame, table.definition))

    @property
    def stopped(self) -> pd.DataFrame:
        """One row a point that was ended early (status ``pruned``), in the order of the points.

        The index is ``point``; the columns are the parameters, the metrics as they were last, the ``step`` after which it
        ended, its ``seconds``, and the ``reason``, as the run noted it: empty where its journal (``events.jsonl``) does not
        tell. A name that is taken gets an underscore behind it.
        """
        from swath.analysis.stopping import stopped  # noqa: PLC0415

        return stopped(self._table())

    def history(self, by: str | None = None) -> pd.DataFrame:
        """Return what the points gave, one after the other as they finished, and the best so far.

        Parameters
        ----------
        by : str, optional
            A metric that is a number, or ``seconds``. Default: the one that the definition minimizes or maximizes, or
            the only one there is.

        Returns
        -------
        DataFrame
            A row for each row of ``frame``, in the order in which the points finished, counted from 1: ``point``,
            ``finished`` (UTC: when it was started, and the seconds that it took), ``status``, the metric, and ``best``, the best
            value up to there of the points that `best` looks at (NaN before the first). Without ``best`` where the definition does not
            say what is better. A name that is taken gets an underscore behind it.

        Raises
        ------
        UsageError
            There is no such metric, or it is not a number, or several might be meant.
        """
        from swath.analysis.finishing import history  # noqa: PLC0415

        table = self._table()
        name = target(table, by)
        return history(table.frame, name, dict(table.definition.goals).get(name), eligible(table))
