"""Rows that no other row beats in every goal at once: the Pareto front.

Theory of operation
-------------------
Goals become costs, of which less is better. A row *dominates* another if it is nowhere worse and somewhere better (Pareto,
1896); rows that are equal in every goal do not dominate each other. For two goals one sort is enough: in lexicographic order a row is
on the front if its second cost is below those of all before it (Kung, Luccio and Preparata, 1975, doi:10.1145/321906.321910).
For more, costs become ranks, different rows stand by the sum of theirs, so that none is dominated by a later one, and the first of those
that are left takes away all that it dominates; that takes as many passes over what is left as the front has members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from swath.analysis.levels import floats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from swath.analysis.tables import Goal

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


def pareto(frame: pd.DataFrame, goals: Sequence[Goal], eligible: Bools | None) -> pd.DataFrame:
    """Select the rows that no other one dominates, the best by the first goal first; see `Analysis.pareto`.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        The rows.
    goals : sequence of (str, int)
        Metrics and their signs: 1 where less is better, -1 where more is.
    eligible : ndarray of bool, shape (rows,), or None
        Which may be on the front; those that lack a metric, or have NaN, are not.
    """
    every = np.ones(len(frame), bool) if eligible is None else eligible
    places = members([sign * floats(frame[name]) for name, sign in goals], every)
    return frame.iloc[places]


def members(costs: Sequence[Floats], eligible: Bools) -> NDArray[np.int64]:
    """Return the places of the rows on the front, in the order of their first cost; equals in their order."""
    table = np.column_stack(costs)
    rows = np.flatnonzero(eligible & ~np.isnan(table).any(axis=1))
    rows = rows[front(table[rows])]
    return rows[np.argsort(table[rows, 0], kind="stable")]


def front(costs: Floats) -> Bools:
    """Tell which rows no other row dominates.

    Parameters
    ----------
    costs : ndarray of float, shape (n, goals)
        Less is better; no NaN.
    """
    found = ~_hopeless(costs)
    near = costs[found]
    found[found] = _staircase(near[:, 0], near[:, 1]) if costs.shape[1] == 2 else _peeled(near)
    return found


def _hopeless(costs: Floats) -> Bools:
    """Tell which rows are worse in every goal than one good row: most of them as a rule, and that is quickly seen."""
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.ptp(costs, axis=0) if len(costs) else np.zeros(1)
        if not (np.isfinite(spread) & (spread > 0)).all():
            return np.zeros(len(costs), bool)
        balanced = ((costs - costs.min(axis=0)) / spread).sum(axis=1)
    worse: Bools = (costs > costs[balanced.argmin()]).all(axis=1)
    return worse


def _staircase(first: Floats, second: Floats) -> Bools:
    order = np.lexsort((second, first))
    x, y = first[order], second[order]
    lowest = np.minimum.accumulate(y)
    on = np.ones(len(y), bool)
    on[1:] = y[1:] < lowest[:-1]
    new = np.ones(len(y), bool)
    new[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    found = np.empty(len(y), bool)
    found[order] = on[
        np.maximum.accumulate(np.where(new, np.arange(len(y)), 0))
    ]  # equals share the first one's lot
    return found


def _peeled(costs: Floats) -> Bools:
    ranks = np.column_stack([np.unique(cost, return_inverse=True)[1] for cost in costs.T])
    order = np.lexsort((*ranks.T[::-1], ranks.sum(axis=1)))
    ranks = ranks[order]
    new = np.ones(len(ranks), bool)
    new[1:] = (ranks[1:] != ranks[:-1]).any(axis=1)
    rest, places = ranks[new], np.arange(int(new.sum()))  # of equals only one is looked at
    on = np.zeros(len(places), bool)
    while len(rest):
        on[places[0]] = True
        left = (rest < rest[0]).any(axis=1)
        rest, places = rest[left], places[left]
    found = np.empty(len(costs), bool)
    found[order] = on[np.cumsum(new) - 1]
    return found
