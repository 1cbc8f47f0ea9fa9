"""Points that failed, and how often they do, by the value of each parameter and by worker."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from swath.analysis.levels import groups
from swath.snapshot import GOOD

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        stand in the order of their first points.
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
        points = np.bincount(group, minlength=len(first))
        bad = np.bincount(group[failed], minlength=len(first))
        values = frame[name].iloc[first].astype(object).to_numpy()
        parts.append(pd.DataFrame({"parameter": name, "value": values, "points": points, "failed": bad}))
    made = pd.concat(parts, ignore_index=True)
    return made.assign(rate=made["failed"] / made["points"])
