"""Functions whose least value is known, and the spaces in which searches look for it.

The formulas and bounds are those of S. Surjanovic and D. Bingham, "Virtual Library of Simulation Experiments: Test
Functions and Datasets", www.sfu.ca/~ssurjano, which names the sources: Rosenbrock 1960 (doi:10.1093/comjnl/3.3.175), Dixon
and Szegö 1978 (Branin, Hartmann), Ackley 1987, Mühlenbein and others 1991 (Rastrigin), Styblinski and Tang 1990, Laguna and
Martí 2005 (Levy). ``models`` is ours: which of three models, each with parameters of its own, some on conditions of others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import swath

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna import Trial

    Row = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A function to be minimized.

    Attributes
    ----------
    function : callable
        Takes the parameters as keywords.
    parameters : dict
        The space, as a definition has it.
    suggest : callable
        The same space for a trial of Optuna; returns the parameters.
    least : float
        The least value.
    """

    function: Callable[..., float]
    parameters: dict[str, Any]
    suggest: Callable[[Trial], Row]
    least: float


def box(function: Callable[[np.ndarray], float], bounds: list[tuple[float, float]], least: float) -> Problem:
    """Return a problem of floats between bounds."""
    names = {f"x{i}": pair for i, pair in enumerate(bounds)}
    return Problem(
        lambda **row: float(function(np.array(list(row.values())))),
        {name: swath.uniform(*pair) for name, pair in names.items()},
        lambda trial: {name: trial.suggest_float(name, *pair) for name, pair in names.items()},
        least,
    )


def sphere(x: np.ndarray) -> float:
    return (x**2).sum()


def rosenbrock(x: np.ndarray) -> float:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (x[:-1] - 1) ** 2).sum()


def rastrigin(x: np.ndarray) -> float:
    return 10 * len(x) + (x**2 - 10 * np.cos(2 * np.pi * x)).sum()


def ackley(x: np.ndarray) -> float:
    root, waves = np.sqrt((x**2).mean()), np.cos(2 * np.pi * x).mean()
    return -20 * np.exp(-0.2 * root) - np.exp(waves) + 20 + math.e


def branin(x: np.ndarray) -> float:
    bent = x[1] - 5.1 / (4 * np.pi**2) * x[0] ** 2 + 5 / np.pi * x[0] - 6
    return bent**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10


HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(x: np.ndarray) -> float:
    return -(np.array([1.0, 1.2, 3.0, 3.2]) * np.exp(-(HARTMANN_A * (x - HARTMANN_P) ** 2).sum(1))).sum()


def levy(x: np.ndarray) -> float:
    w = 1 + (x - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    return np.sin(np.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)


def styblinski_tang(x: np.ndarray) -> float:
    return (x**4 - 16 * x**2 + 5 * x).sum() / 2


MODELS = {
    "model": ["line", "net", "tree"],
    "penalty": swath.loguniform(1e-4, 10, when='model == "line"'),
    "rate": swath.loguniform(1e-5, 1, when='model == "net"'),
    "layers": swath.integers(1, 5, when='model == "net"'),
    "dropout": swath.uniform(0, 0.7, when='model == "net" and layers > 2'),
    "depth": swath.integers(1, 20, when='model == "tree"'),
    "leaf": swath.integers(1, 50, when='model == "tree"'),
}


def models(model: str, **row: Any) -> float:
    if model == "line":
        return 0.3 + (math.log10(row["penalty"]) + 1) ** 2 / 20
    if model == "net":
        dropout = (row["dropout"] - 0.25) ** 2 if "dropout" in row else 0.1
        return 0.1 + (math.log10(row["rate"]) + 2.5) ** 2 / 10 + (row["layers"] - 4) ** 2 / 40 + dropout
    return 0.2 + (row["depth"] - 9) ** 2 / 300 + (row["leaf"] - 12) ** 2 / 3000


def suggest_models(trial: Trial) -> Row:
    row: Row = {"model": trial.suggest_categorical("model", ["line", "net", "tree"])}
    if row["model"] == "line":
        row["penalty"] = trial.suggest_float("penalty", 1e-4, 10, log=True)
    elif row["model"] == "net":
        row["rate"] = trial.suggest_float("rate", 1e-5, 1, log=True)
        row["layers"] = trial.suggest_int("layers", 1, 5)
        if row["layers"] > 2:
            row["dropout"] = trial.suggest_float("dropout", 0, 0.7)
    else:
        row["depth"] = trial.suggest_int("depth", 1, 20)
        row["leaf"] = trial.suggest_int("leaf", 1, 50)
    return row


PROBLEMS = {
    "sphere": box(sphere, [(-5.12, 5.12)] * 5, 0.0),
    "Rosenbrock": box(rosenbrock, [(-5, 10)] * 5, 0.0),
    "Rastrigin": box(rastrigin, [(-5.12, 5.12)] * 5, 0.0),
    "Ackley": box(ackley, [(-32.768, 32.768)] * 5, 0.0),
    "Branin": box(branin, [(-5, 10), (0, 15)], 0.39788735772973816),
    "Hartmann": box(hartmann6, [(0, 1)] * 6, -3.3223680114155147),
    "Levy": box(levy, [(-10, 10)] * 5, 0.0),
    "Styblinski-Tang": box(styblinski_tang, [(-5, 5)] * 5, -39.16616570377142 * 5),
    "models": Problem(models, MODELS, suggest_models, 0.1),
}
"""The problems by name; five parameters where not said otherwise."""
