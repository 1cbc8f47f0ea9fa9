# ruff: noqa: PD011 - the values are those of levels, not of frames
"""How much of a metric follows from each parameter alone.

Theory of operation
-------------------
*Rank.* A metric is replaced by its ranks, so that neither its scale nor outliers matter, and rows are put into classes by the
value of one parameter. The importance is the share of the variance of the ranks that lies between the classes, less what
chance would put there: Kelley's epsilon squared, 1 - (1 - R^2) (n - 1) / (n - k) for n rows in k classes (T. L. Kelley, An
unbiased correlation ratio measure, PNAS 21, 1935). It is (H - k + 1) / (n - k) with the H of Kruskal and Wallis. 0 is nothing, 1
everything, for numbers and other values alike, and a metric that falls and rises again counts as well as one that
only falls. Numbers with many values are put into classes of about equal size. Spearman's correlation stands beside it to say
in which direction a number works.

*PED-ANOVA* asks another question: where are the best tenth of the rows, compared with all? It is Optuna's (S. Watanabe, A. Bansal and
F. Hutter, IJCAI 2023, arXiv:2304.10255), given the places of values, so that spacing does not matter.

Neither sees what two parameters only do together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from swath.analysis.averages import succeeded
from swath.analysis.levels import floats, is_number, levels, sums
from swath.analysis.names import needed
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from swath.space import Space

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

CLASSES: Final = 20
"""Of the values of a number, at most; fewer than 400 rows get the root of their number."""
FEWEST: Final = 50
"""Rows for PED-ANOVA: of these, the best tenth are the five that its authors ask for."""
MOST: Final = 4_000
"""Rows that PED-ANOVA looks at, drawn at random, always the same; they take about half a second."""
LABELS: Final = {
    "rank": "share of the variance of ranks",
    "ped-anova": "what separates the best tenth",
}


def importance(
    frame: pd.DataFrame, parameters: Sequence[str], metric: str, space: Space, *, largest: bool, method: str
) -> pd.DataFrame:
    """Say how much of a metric follows from each parameter; see `Analysis.importance`.

    Raises
    ------
    UsageError
        There is no such method, or it needs more rows, or Optuna.
    """
    if method not in LABELS:
        raise UsageError(f"method is {' or '.join(map(repr, LABELS))}, not {method!r}")
    frame = frame.loc[succeeded(frame) & frame[metric].notna().to_numpy(), [*parameters, metric]]
    known = {name: _classes(frame, name, space) for name in parameters}
    ranked = ranks(floats(frame[metric]))
    found = _ranked(known, ranked) if method == "rank" else _separated(known, -ranked if largest else ranked)
    found = found.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    found.attrs |= {"label": LABELS[method], "metric": metric}
    return found


class _Classes:
    """The rows of a parameter in classes.

    Attributes
    ----------
    codes : NDArray[int64], shape (rows,)
        The class of each row; -1 where the parameter is absent.
    count : int
        Of the classes.
    values : int
        Of the distinct values.
    order : NDArray[float64], shape (rows,), or None
        Ranks of the values among the rows that have one; None for values without an order.
    """

    def __init__(self, codes: Codes, values: int, order: Floats | None) -> None:
        self.codes, self.count, self.values, self.order = codes, values, values, order
        there = codes >= 0
        n = int(there.sum())
        classes = min(CLASSES, max(2, math.isqrt(n)))
        if order is not None and values > classes:
            ranks = np.where(there, order, 0.5)
            self.codes = np.where(there, ((ranks - 0.5) * classes / max(n, 1)).astype(np.int64), -1)
            self.count = classes


def _classes(frame: pd.DataFrame, name: str, space: Space) -> _Classes:
    known = levels(frame, name, space)
    if not is_number(frame[name]):
        return _Classes(known.codes, len(known), None)
    size = sums(known.codes[known.codes >= 0], len(known))
    middle = np.cumsum(size) - (size - 1) / 2  # the mean rank of equal values
    return _Classes(known.codes, len(known), np.append(middle, np.nan)[known.codes])


def ranks(values: Floats) -> Floats:
    """Return the ranks of values, from 1; equal ones share the mean of theirs."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    new = np.ones(len(values), bool)
    new[1:] = ascending[1:] != ascending[:-1]
    place = np.cumsum(new) - 1
    size = sums(place, int(new.sum()))
    found = np.empty(len(values))
    found[order] = (np.cumsum(size) - (size - 1) / 2)[place]
    return found


def _ranked(known: dict[str, _Classes], ranked: Floats) -> pd.DataFrame:
    rows = []
    for name, classes in known.items():
        there = classes.codes >= 0
        mine = ranked if there.all() else ranks(ranked[there])
        order = None if classes.order is None else classes.order[there]
        rows.append(
            {
                "parameter": name,
                "importance": between(mine, classes.codes[there], classes.count),
                "correlation": math.nan if order is None else correlation(mine, order),
                "values": classes.values,
                "n": len(mine),
            }
        )
    return pd.DataFrame(rows, columns=["parameter", "importance", "correlation", "values", "n"])


def between(ranked: Floats, codes: Codes, count: int) -> float:
    """Return the share of the variance of ranks that lies between classes, less what chance puts there."""
    n, size = len(ranked), sums(codes, count)
    used = int((size > 0).sum())
    if n <= used:
        return math.nan
    centred = ranked - (n + 1) / 2
    whole = float(centred @ centred)
    if not whole:
        return 0.0
    sum_of = sums(codes, count, centred)
    explained = float((sum_of**2 / np.maximum(size, 1)).sum()) / whole
    return min(max(1 - (1 - explained) * (n - 1) / (n - used), 0.0), 1.0)


def correlation(left: Floats, right: Floats) -> float:
    """Return Spearman's correlation of ranks: Pearson's of them; NaN if one does not vary."""
    if not len(left):
        return math.nan
    left, right = left - left.mean(), right - right.mean()
    scale = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / scale if scale else math.nan


def _separated(known: dict[str, _Classes], ranked: Floats) -> pd.DataFrame:
    """Ask Optuna where the rows with the lowest ranks are."""
    if len(ranked) < FEWEST:
        raise UsageError(
            f"ped-anova needs at least {FEWEST} points with a value, there are {len(ranked)}; method='rank' needs "
            "fewer"
        )
    optuna = needed("optuna", "importance(method='ped-anova')", extra="search")
    rows = np.arange(len(ranked))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(len(ranked), MOST, replace=False))
    named = {name: classes for name, classes in known.items() if classes.count > 1}
    codes = {name: classes.codes[rows] for name, classes in named.items()}
    shares = _optuna(optuna, codes, named, ranked[rows]) if named else {}
    return pd.DataFrame(
        {
            "parameter": list(known),
            "importance": [shares.get(name, 0.0) for name in known],
            "values": [classes.values for classes in known.values()],
            "n": [int((classes.codes[rows] >= 0).sum()) for classes in known.values()],
        }
    )


def _optuna(
    optuna: ModuleType, codes: dict[str, Codes], known: dict[str, _Classes], ranked: Floats
) -> dict[str, float]:
    """Tell Optuna of trials whose parameters are places of values; return the share of each parameter."""
    kinds: dict[str, Any] = {
        name: optuna.distributions.CategoricalDistribution(range(known[name].count))
        if known[name].order is None
        else optuna.distributions.IntDistribution(0, known[name].count - 1)
        for name in codes
    }
    lists = {name: places.tolist() for name, places in codes.items()}
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="minimize")
        for row, value in enumerate(ranked.tolist()):
            there = {name: places[row] for name, places in lists.items() if places[row] >= 0}
            study.add_trial(
                optuna.trial.create_trial(
                    params=there, distributions={name: kinds[name] for name in there}, value=value
                )
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(codes))
    finally:
        optuna.logging.set_verbosity(said)
    return dict(found)
