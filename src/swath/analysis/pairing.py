# ruff: noqa: PD011 - the values are those of levels, not of frames
"""Paired differences: the same point with another value of one parameter.

Theory of operation
-------------------
Two rows are a pair if they differ in one parameter only, so whatever else decides a result, a replicate's seed included, is
the same in both and cancels. The differences d of n pairs have the mean m and the sample standard deviation s (ddof=1);
the interval is m +- t s / sqrt(n), t being the quantile of Student's distribution with n - 1 degrees of freedom (Student,
The probable error of a mean, Biometrika 6, 1908). It presumes that pairs are independent, and their differences about normal
or many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swath.analysis.averages import moments, succeeded
from swath.analysis.levels import floats, free, groups, is_nan, levels, listed, sums
from swath.analysis.student import quantile
from swath.errors import UsageError
from swath.space import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from swath.analysis.levels import Levels
    from swath.space import Space


def differences(
    frame: pd.DataFrame,
    parameter: str,
    by: Sequence[str],
    over: Sequence[str],
    metric: str,
    space: Space,
    *,
    baseline: Any,
    confidence: float,
) -> pd.DataFrame:
    """Compare the values of a parameter, pair by pair; see `Analysis.difference`.

    Parameters
    ----------
    frame : DataFrame
        Rows.
    parameter : str
        Whose values are compared.
    by, over : sequence of str
        The other parameters: those that get rows of their own, those that tell pairs apart.
    metric : str
        A column of numbers.
    space : Space
        What the values of the parameter are.
    baseline : value or None
        One of them; None: the first that the definition lists.
    confidence : float
        In (0, 1).

    Raises
    ------
    UsageError
        No row has the baseline.
    """
    kinds = levels(frame, parameter, space)
    place = _place(kinds, parameter, listed(space, parameter) if baseline is None else [baseline])
    values = np.where(succeeded(frame), floats(frame[metric]), np.nan)
    outer, first = groups(frame, by)
    pair, leaders = groups(frame, [*by, *over])
    is_base, is_other = kinds.codes == place, (kinds.codes >= 0) & (kinds.codes != place)

    base = np.full(len(leaders), np.nan)
    base[pair[is_base]] = values[is_base]
    has_base = np.zeros(len(leaders), bool)
    has_base[pair[is_base]] = True

    cell = outer[is_other] * len(kinds) + kinds.codes[is_other]
    count = len(first) * len(kinds)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN
        gaps = values[is_other] - base[pair[is_other]]
    mean, error, n = moments(gaps, cell, count)

    alone = sums(cell[~has_base[pair[is_other]]], count)
    possible = np.repeat(sums(outer[leaders[has_base]], len(first)), len(kinds)) + alone
    there = np.flatnonzero(sums(cell, count))
    mean, error, n = mean[there], error[there], n[there]
    width = error * _quantiles(n, confidence)
    made: dict[str, Any] = {name: frame[name].iloc[first[there // len(kinds)]].array for name in by}
    made[parameter] = kinds.values.iloc[there % len(kinds)].array
    computed = {
        "difference": mean,
        "low": mean - width,
        "high": mean + width,
        "se": error,
        "n": n,
        "dropped": possible[there] - n,
    }
    for name, column in computed.items():
        made[free(name, made)] = column
    return pd.DataFrame(made)


def _place(kinds: Levels, parameter: str, candidates: Iterable[Any]) -> int:
    """Return the place of the first candidate that occurs."""
    there = {canonical(None if is_nan(value) else value): i for i, value in enumerate(kinds.values.tolist())}
    wanted = list(candidates)
    for value in wanted:
        place = there.get(canonical(value.tolist() if hasattr(value, "tolist") else value))
        if place is not None:
            return place
    missing = [repr(value) for value in wanted]
    if not there or not missing:
        return 0  # there are no rows, or the definition lists no values: the first that there is
    raise UsageError(
        f"no row has {parameter} = {missing[-1]}, there is {', '.join(map(repr, kinds.values.tolist()))}"
    )


def _quantiles(n: NDArray[np.int64], confidence: float) -> NDArray[np.float64]:
    """Return by how many standard errors the interval of n differences reaches to each side."""
    distinct, place = np.unique(n, return_inverse=True)
    known = [quantile(0.5 + confidence / 2, int(k) - 1) if k > 1 else np.nan for k in distinct]
    return np.array(known, float)[place]
