"""Rows in the cells of two axes: with numpy, so that a million of them take a fraction of a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swath.views.figures.axes import Cells
    from swath.views.figures.study import Study

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

Statistic = Literal["mean", "best", "count", "std", "seconds"]
STATISTICS: Final = get_args(Statistic)


@dataclass(frozen=True, eq=False)
class Counted:
    """What is in each of m x k cells, row by row from below: arrays of shape (k * m,).

    Attributes
    ----------
    value : ndarray of float
        The statistic; NaN where there is none.
    rows, failed, pending : ndarray of int
        Points with a row; of these failed; without a row.
    stopped : ndarray of int
        Points that were ended early; their last values are not those of whole evaluations and do not count.
    """

    value: Floats
    rows: NDArray[np.int64]
    failed: NDArray[np.int64]
    pending: NDArray[np.int64]
    stopped: NDArray[np.int64]


def count(
    study: Study,
    x: str,
    y: str,
    metric: str,
    statistic: Statistic = "mean",
    chosen: Bools | None = None,
    waiting: Bools | None = None,
) -> Counted:
    """Compute the cells of a heat map.

    Parameters
    ----------
    study : Study
        The rows.
    x, y, metric : str
        Columns of it; the metric does not matter for counts and seconds.
    statistic : {"mean", "best", "count", "std", "seconds"}
        Of the metric's values: their mean, best one, number, sample standard deviation (ddof=1, NaN for one); or the
        mean of the seconds that points took.
    chosen, waiting : ndarray of bool, shapes (n,) and (k,), optional
        Which rows, and which pending points; default: all.
    """
    across, up = study.axes[x].cells(), study.axes[y].cells()
    size = len(across) * len(up)
    cell = cell_of(across, up, study.columns[x], study.columns[y], chosen)
    values = study.seconds if statistic == "seconds" else study.columns[metric]
    counts = np.isfinite(values) & (cell >= 0)
    if statistic != "seconds":
        counts &= study.sound if statistic == "best" else study.ok
    to_come = np.full(0, -1)
    if study.pending:
        to_come = cell_of(across, up, study.pending[x], study.pending[y], waiting)
    return Counted(
        value=_statistic(cell[counts], values[counts], size, statistic, study.way(metric)),
        rows=np.bincount(cell[cell >= 0], minlength=size),
        failed=np.bincount(cell[(cell >= 0) & study.failed], minlength=size),
        pending=np.bincount(to_come[to_come >= 0], minlength=size),
        stopped=np.bincount(cell[(cell >= 0) & ~study.ok & ~study.failed], minlength=size),
    )


def cell_of(across: Cells, up: Cells, x: Floats, y: Floats, chosen: Bools | None) -> NDArray[np.int64]:
    """Return the cell of each row, -1 where it has none."""
    i, j = across.codes(x), up.codes(y)
    there = (i >= 0) & (j >= 0)
    if chosen is not None:
        there &= chosen
    return np.where(there, j * len(across) + i, -1)


def _statistic(cell: NDArray[np.int64], values: Floats, size: int, statistic: Statistic, sign: int) -> Floats:
    n = np.bincount(cell, minlength=size)
    some = n > 0
    found = np.full(size, np.nan)
    if statistic == "count":
        found[some] = n[some]
    elif statistic == "best":
        extreme = np.full(size, np.inf)
        np.minimum.at(extreme, cell, values * sign)
        found[some] = extreme[some] * sign
    else:
        mean = np.bincount(cell, weights=values, minlength=size)[some] / n[some]
        found[some] = mean
        if statistic == "std":
            centred = (values - found[cell]) ** 2
            squares = np.bincount(cell, weights=centred, minlength=size)
            with np.errstate(invalid="ignore", divide="ignore"):
                found = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    return found
