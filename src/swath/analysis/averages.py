"""Rows in order of a metric, and averages of it: over replicates, and over everything but two axes of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from swath.analysis.levels import floats, free, groups, labels, levels, sums
from swath.analysis.tables import numeric
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swath.analysis.levels import Levels
    from swath.analysis.tables import Table
    from swath.space import Space

CELLS: Final = 10**7
"""Cells of a table that are made at most; these take 80 MB."""
FEW: Final = 30
"""Rows up to which a table may have one row and one column for each of them."""


def best(
    frame: pd.DataFrame, metric: str, n: int, eligible: NDArray[np.bool_], *, largest: bool
) -> pd.DataFrame:
    """Select the n best of the eligible rows, the best first, equals in their order; see `Analysis.best`."""
    places = np.flatnonzero(eligible & frame[metric].notna().to_numpy())
    values = frame[metric].iloc[places].to_numpy()
    if largest:
        places, values = places[::-1], values[::-1]
    if 0 < n < len(values):  # only those that are no worse than the n-th need an order
        place = len(values) - n if largest else n - 1
        limit = np.partition(values, place)[place]
        near = values >= limit if largest else values <= limit
        places, values = places[near], values[near]
    order = np.argsort(values, kind="stable")
    if largest:
        order = order[::-1]  # the values stand in reverse, so equals are in their order again
    return frame.iloc[places[order[: max(n, 0)]]]


def succeeded(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows have the status ``ok``."""
    return (frame["status"] == "ok").to_numpy()


def mean(frame: pd.DataFrame, by: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Average metrics over groups of ``ok`` rows that have equal values in some columns; see `Analysis.mean`."""
    frame = frame.loc[succeeded(frame), [*by, *metrics]]
    group, first = groups(frame, by)
    count = len(first)
    columns: dict[str, Any] = {name: frame[name].iloc[first].array for name in by}
    for name in metrics:
        average, error, _ = moments(floats(frame[name]), group, count)
        columns[name] = average
        columns[free(f"{name}_se", columns)] = error
    columns[free("n", columns)] = sums(group, count)
    return pd.DataFrame(columns, index=pd.RangeIndex(count))


def means(table: Table, over: Sequence[str]) -> pd.DataFrame:
    """Average all metrics that are numbers over some parameters; see `Analysis.mean`."""
    by = [name for name in table.definition.space.names if name not in over]
    return mean(table.frame, by, numeric(table))


def moments(
    values: NDArray[np.float64], group: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Average values group by group; NaN do not count.

    Returns
    -------
    mean : NDArray[float64], shape (count,)
        NaN for a group without values.
    error : NDArray[float64], shape (count,)
        Standard error: the sample standard deviation (ddof=1) over the root of n; NaN for a single value.
    n : NDArray[int64], shape (count,)
        How many values there are.
    """
    sound = ~np.isnan(values)
    values, group = values[sound], group[sound]
    n = sums(group, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        average = sums(group, count, values) / n
        lost = sums(group, count, values - average[group]) / n  # to rounding, by the first sum
        average = np.where(np.isfinite(average), average + lost, average)
        rest = values - average[group]
        error = np.sqrt(sums(group, count, rest * rest) / (n - 1) / n)
    return average, np.where(n > 1, error, np.nan), n


def pivot(frame: pd.DataFrame, rows: str, columns: str, metric: str, space: Space) -> pd.DataFrame:
    """Average a metric of ``ok`` rows for each pair of values; see `Analysis.pivot`."""
    down, across = levels(frame, rows, space), levels(frame, columns, space)
    if len(down) == len(across) == len(frame) > FEW:
        raise UsageError(
            f"no two of {len(frame):,} points have a value of {rows} or of {columns} in common, so a table of them averages "
            "nothing: plot.heatmap takes means over steps of both"
        )
    if len(down) * len(across) > CELLS:
        raise UsageError(
            f"{rows} has {len(down):,} values and {columns} {len(across):,}: that table would have more than "
            f"{CELLS:,} cells; choose some of the values with where"
        )
    chosen = succeeded(frame) & (down.codes >= 0) & (across.codes >= 0)
    cell = down.codes[chosen] * len(across) + across.codes[chosen]
    found, _, _ = moments(floats(frame[metric])[chosen], cell, len(down) * len(across))
    return pd.DataFrame(
        found.reshape(len(down), len(across)),
        index=_index(down, rows),
        columns=_index(across, columns),
    )


def _index(known: Levels, name: str) -> pd.Index[Any]:
    values = labels(known.values)
    index: pd.Index[Any] = pd.Index(values.array, dtype=values.dtype, name=name)
    return index
