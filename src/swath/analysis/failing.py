"""Points that failed, and how often they do, by the value of each parameter and by worker."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from swath.analysis.levels import floats, groups, is_number
from swath.snapshot import GOOD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

MANY: Final = 20
"""Different numbers up to which each is a value of its own."""
TENTHS: Final = 10


class Failures(pd.DataFrame):
    """The rows of points that failed; ``rates`` tells how often they did."""

    _of: tuple[pd.DataFrame, Sequence[str]]

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # a part of it is a plain frame

    @cached_property
    def rates(self) -> pd.DataFrame:
        """A row for each value of each parameter that varies, and for each worker.

        The columns are ``parameter``, ``value``, ``points`` that have a row, ``failed`` of these, and ``rate``. Values
        stand in the order of their first points. Of numbers that hardly occur twice, as those of a design, tenths of the points
        stand for values, as ``0.1 to 0.2``, ascending.
        """
        frame, names = self._of
        return failure_rates(frame, names)


def failures(frame: pd.DataFrame, parameters: Sequence[str]) -> Failures:
    """Select the rows of points that failed; see `Analysis.failures`."""
    names = [*parameters, "status", "failure", "seconds", "worker", "attempts"]
    found = Failures(frame.loc[~frame["status"].isin(GOOD), names])
    object.__setattr__(found, "_of", (frame, parameters))  # pandas would take it for a column
    return found


def failure_rates(frame: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Tell how often points failed by the value of each parameter that varies, and by worker; see `Failures.rates`."""
    failed = ~frame["status"].isin(GOOD).to_numpy()
    parts: list[pd.DataFrame] = []
    for name in (*parameters, "worker"):
        group, first = groups(frame, [name])
        if len(first) < 2 and name != "worker":
            continue
        values = frame[name].iloc[first].astype(object).to_numpy()
        if len(first) > max(MANY, len(frame) // 2) and is_number(frame[name]):
            group, values = _tenths(floats(frame[name]))
        points = np.bincount(group[group >= 0], minlength=len(values))
        bad = np.bincount(group[failed & (group >= 0)], minlength=len(values))
        parts.append(pd.DataFrame({"parameter": name, "value": values, "points": points, "failed": bad}))
    made = pd.concat(parts, ignore_index=True)
    return made.assign(rate=made["failed"] / made["points"])


def _tenths(numbers: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Divide rows into tenths by their numbers; return the tenth of each row, -1 for NaN, and the words for each."""
    rows = np.flatnonzero(~np.isnan(numbers))
    order = rows[np.argsort(numbers[rows], kind="stable")]
    group = np.full(len(numbers), -1, np.int64)
    parts = np.array_split(order, TENTHS)
    for i, part in enumerate(parts):
        group[part] = i
    ends = [numbers[part[[0, -1]]].tolist() for part in parts]
    return group, np.array([f"{low:.4g} to {high:.4g}" for low, high in ends], object)
