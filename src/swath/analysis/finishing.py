"""Rows in the order in which their points finished, and the best value so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from swath.analysis.levels import floats, free, utc

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ends(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    """Return when each row's point finished: when it was started and the seconds that it took; in UTC, to the microsecond."""
    lasted = np.round(frame["seconds"].to_numpy(np.float64) * 1e6).astype("timedelta64[us]")
    found: NDArray[np.datetime64] = utc(frame["started"]) + lasted
    return found


def finished(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Return the rows in the order in which their points finished, equals in the order of the rows."""
    return np.argsort(ends(frame), kind="stable")


def history(frame: pd.DataFrame, metric: str, sign: int | None, eligible: NDArray[np.bool_]) -> pd.DataFrame:
    """Tell what the points gave one after the other; see `Analysis.history`.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    metric : str
        A metric that is a number.
    sign : int or None
        1 where less of it is better, -1 where more is; None: nobody says, and there is no best.
    eligible : ndarray of bool, shape (rows,)
        Which rows may be the best.
    """
    times = ends(frame)
    order = np.argsort(times, kind="stable")
    values = floats(frame[metric])[order]
    columns = {
        "point": frame.index.to_numpy()[order],
        free("finished", [metric]): pd.DatetimeIndex(times[order]).tz_localize("UTC"),
        "status": frame["status"].array[order],
        metric: values,
    }
    if sign is not None:
        best = np.fmin.accumulate(np.where(eligible[order], sign * values, np.nan))
        columns[free("best", columns)] = sign * best
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(frame) + 1, name="order"))
