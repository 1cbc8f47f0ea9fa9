"""Gradient boosting that predicts how diabetes goes on, with the hyperparameters that people tune.

442 patients: age, sex, body mass index, blood pressure and six blood values, and a measure of the disease a year later; the
data come with scikit-learn. Source: B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least angle regression, Annals of
Statistics 32 (2004), 407, doi 10.1214/009053604000000067.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 3


def validate(rate: float, trees: int, depth: int, leaf: int, share: float, loss: str) -> dict[str, float]:
    """Train on two thirds of the patients and predict the others, each third in turn.

    Parameters
    ----------
    rate : float
        How much of each tree's prediction is added (shrinkage).
    trees : int
        How many trees, one after another.
    depth : int
        How many questions a tree may ask in a row.
    leaf : int
        Patients that must be left at each answer.
    share : float
        Share of the patients that each tree gets to see.
    loss : {"squared_error", "absolute_error", "huber"}
        What the trees reduce.

    Returns
    -------
    dict
        ``error``: root mean square error of the predictions, in units of the measure, which lies between 25 and 346.
    """
    model = GradientBoostingRegressor(
        learning_rate=rate,
        n_estimators=trees,
        max_depth=depth,
        min_samples_leaf=leaf,
        subsample=share,
        loss=loss,
        random_state=0,
    )
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_score(model, *patients(), cv=folds, scoring="neg_mean_squared_error")
    return {"error": float((-scores.mean()) ** 0.5)}


@cache
def patients() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what is known of the patients, shape (442, 10), and the measure a year later, shape (442,)."""
    return load_diabetes(return_X_y=True)
