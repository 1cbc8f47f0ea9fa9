"""Rows that no other row beats in every goal at once: the Pareto front.

Theory of operation
-------------------
Goals become costs, of which less is better. A row *dominates* another if it is nowhere worse and somewhere better (Pareto,
1896); rows that are equal in every goal do not dominate each other. For two goals one sort is enough: in lexicographic order a row is
on the front if its second cost is below those of all before it (Kung, Luccio and Preparata, 1975, doi:10.1145/321906.321910).
For more, costs become ranks, rows stand by the sum of theirs, so that none is dominated by a later one, and the first of those that are
left takes away all that it dominates; that takes as many passes over what is left as the front has members.
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
    if costs.shape[1] == 2:
        return _staircase(costs[:, 0], costs[:, 1])
    return _peeled(costs)


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
    places = np.lexsort((*ranks.T[::-1], ranks.sum(axis=1)))
    rest = ranks[places]
    found = np.zeros(len(costs), bool)
    while len(rest):
        beaten = (rest >= rest[0]).all(axis=1)
        found[places[beaten][(rest[beaten] == rest[0]).all(axis=1)]] = True
        rest, places = rest[~beaten], places[~beaten]
    return found
