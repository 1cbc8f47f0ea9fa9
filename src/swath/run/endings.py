"""What became of proposals, read out of rows: one outcome for each, however many replicates it has.

Theory of operation
-------------------
Replicates of a proposal are consecutive indices. Their rows come in any order and in any batch; once all are
there, the outcome is the mean over those that ended well. So it does not depend on the order either. A proposal is a failure
if none of its replicates ended well. What is missing or no number stays so: the optimiser judges it.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from swath.messages import STATUSES
from swath.search import Outcome
from swath.store.segments import floats, numpy_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

EXCLUDED = "excluded"
"""The status of a point that ``where`` leaves out: it has no row."""


class Endings:
    """Gathers what became of points until all replicates of a proposal are there.

    Parameters
    ----------
    replicates : int
        Of each proposal.
    """

    def __init__(self, replicates: int) -> None:
        self._replicates = replicates
        self._gathered: dict[int, dict[int, Outcome]] = {}

    def take(self, outcomes: Iterable[tuple[int, Outcome]]) -> Iterator[tuple[int, Outcome]]:
        """Take in what became of points, by index; give each proposal of which all replicates are there by that.

        A point may come again, if it went on after it had been ended early; then so does its proposal.
        """
        for index, outcome in outcomes:
            number, replicate = divmod(index, self._replicates)
            gathered = self._gathered.setdefault(number, {})
            gathered[replicate] = outcome
            if len(gathered) == self._replicates:
                yield number, together([gathered[place] for place in range(self._replicates)])

    def known(self, index: int) -> bool:
        """Tell whether a point has come."""
        number, replicate = divmod(index, self._replicates)
        return replicate in self._gathered.get(number, ())


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Put what became of the replicates of a point together."""
    if len(outcomes) == 1:
        return outcomes[0]
    for status in ("ok", "pruned"):
        alike = [outcome for outcome in outcomes if outcome.status == status]
        if alike:
            steps = [outcome.step for outcome in alike if outcome.step is not None]
            return Outcome(status, _means(alike), max(steps, default=None))
    return outcomes[0]


def _means(outcomes: Sequence[Outcome]) -> Mapping[str, float]:
    """Return the means of the metrics that all have as numbers."""
    means = {}
    for name in outcomes[0].metrics:
        values = [outcome.metrics.get(name) for outcome in outcomes]
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) == len(values):
            means[name] = sum(numbers) / len(numbers)
    return means


def read(
    points: Sequence[int], table: pa.Table, metrics: Sequence[str], steps: Mapping[int, int]
) -> Iterator[tuple[int, Outcome]]:
    """Give index and outcome of every row of a table as segments hold it.

    Parameters
    ----------
    points : sequence of int
        The indices of the rows.
    table : pa.Table
        The rows.
    metrics : sequence of str
        Those that count.
    steps : mapping of int to int
        The last step of points that have recorded any, by index.
    """
    columns = zip(*(values(table, name) for name in metrics), strict=True) if metrics else repeat(())
    statuses = numpy_column(table, "status").tolist()
    for index, status, row in zip(points, statuses, columns, strict=False):
        found = {name: value for name, value in zip(metrics, row, strict=True) if value is not None}
        yield index, Outcome(STATUSES[status], found, steps.get(index))


def values(table: pa.Table, metric: str) -> list[object]:
    """Return a metric, from whatever columns have its name; None where there is none."""
    found: list[object] = [None] * table.num_rows
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == metric:
            for row, value in enumerate(column.to_pylist()):
                found[row] = found[row] if value is None else value
    return found


def numbers(table: pa.Table, metric: str) -> NDArray[np.float64]:
    """Return a metric as numbers, from whatever columns have its name; NaN where there is none."""
    found = np.full(table.num_rows, np.nan)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == metric and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            there = floats(column)
            found = np.where(np.isnan(there), found, there)
        elif name == metric and pa.types.is_boolean(column.type):
            found = np.array(
                [
                    old if new is None else float(new)
                    for old, new in zip(found, column.to_pylist(), strict=True)
                ]
            )
    return found
