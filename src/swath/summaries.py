"""Many rows in few: averages over replicates, and how often points fail, by the value of each parameter and by worker."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swath.space import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FINE = ("ok", "pruned")
"""Statuses that are no failure."""


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
    """Select the rows of points that failed; see `Results.failures`."""
    names = [*parameters, "status", "failure", "seconds", "worker", "attempts"]
    found = Failures(frame.loc[~frame["status"].isin(FINE), names])
    object.__setattr__(found, "_of", (frame, parameters))  # pandas would take it for a column
    return found


def failure_rates(frame: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """Tell how often points failed by the value of each parameter that varies, and by worker; see `Failures.rates`."""
    failed = ~frame["status"].isin(FINE).to_numpy()
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


def mean(frame: pd.DataFrame, by: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Average metrics over groups of ``ok`` rows that have equal values in some columns; see `Results.mean`."""
    frame = frame[frame["status"] == "ok"]
    group, first = groups(frame, by)
    grouped = frame[list(metrics)].astype(float).groupby(group, sort=True)
    means, errors = grouped.mean(), grouped.sem(ddof=1)
    columns: dict[str, Any] = {name: frame[name].iloc[first].array for name in by}
    for name in metrics:
        columns[name] = means[name].array
        columns[f"{name}_se"] = errors[name].array
    columns["n"] = np.bincount(group, minlength=len(first))
    return pd.DataFrame(columns, index=pd.RangeIndex(len(first)))


def groups(frame: pd.DataFrame, by: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each combination of some columns a number, in the order of appearance.

    Returns
    -------
    group : NDArray[int64], shape (rows,)
        The number of each row's combination.
    first : NDArray[int64], shape (combinations,)
        The first row of each.
    """
    group = np.zeros(len(frame), np.int64)
    for name in by:
        values = frame[name]
        if values.dtype == object:  # lists and mappings cannot be hashed, True and 1 are different values
            values = values.map(_key)
        codes, _ = pd.factorize(values, use_na_sentinel=False)
        group, _ = pd.factorize(group * (int(codes.max(initial=0)) + 1) + codes)
    first = np.unique(group, return_index=True)[1]
    return group, first


def _key(value: Any) -> str:
    return "" if isinstance(value, float) and value != value else canonical(value)  # noqa: PLR0124  NaN: absent
