"""How much training ASHA saves, and what it costs: swath's rule and Optuna's pruner on the very same learning curves.

Two tasks, each with many seeds; of every point the whole curve is known, so it is known what full training would find.

* ``curves``: 256 simulated learning curves of 100 steps, a + b s^-c + noise, with a, b and c at random. They cross: who is
  ahead after one step is often not who is ahead at the end.
* ``digits``: 64 settings of scikit-learn's SGDClassifier on its digits, trained for 60 epochs each, for real (some minutes;
  --seeds 3 gives a first look); 1 - accuracy on 600 images that it was not trained on.

Eight workers take points in turn, in virtual time, each point at its own speed; a step is reported when it is done, and
whoever is told to end ends there. swath's rule is used with checkpoints (a stopped point may go on later, where it ended) and
without; Optuna 5's SuccessiveHalvingPruner knows no such thing. All have the same rungs: 1, 4, 16, 64 steps, or 4, 16, 64.

Printed are medians over seeds, with the 95 % interval of the median by the bootstrap: steps of training, how many times less that is
than all, the best final value, and by how much it is worse than the best of full training; then paired differences.

    python benchmarks/stopping.py [--seeds 40] [--task curves|digits]
"""

from __future__ import annotations

import argparse
import heapq
import itertools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from measure import markdown
from swath.stopping import Asha

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WORKERS = 8
REDUCTION = 4
FIRST = (1, 4)  # first rungs
ALL = "all steps"


class Judge(Protocol):
    """Decides who ends early, and who goes on after all."""

    def begin(self, point: int) -> None: ...

    def stops(self, point: int, step: int, loss: float) -> bool: ...

    def ended(self, point: int, loss: float, *, early: bool) -> None: ...

    def promoted(self) -> list[int]: ...


class Full:
    """Trains all points to their end."""

    def begin(self, point: int) -> None: ...

    def stops(self, *_: object) -> bool:
        return False

    def ended(self, *_: object, **__: object) -> None: ...

    def promoted(self) -> list[int]:
        return []


class Swath(Full):
    """swath's ASHA."""

    def __init__(self, whole: int, first: int, *, checkpoints: bool) -> None:
        self.rule = Asha("loss", 1, min_steps=first, max_steps=whole, reduction=REDUCTION)
        self.checkpoints = checkpoints

    def stops(self, point: int, step: int, loss: float) -> bool:
        return bool(self.rule.see(point, step, {"loss": loss}))

    def ended(self, point: int, _: float, *, early: bool) -> None:
        self.rule.ended(point, "pruned" if early else "ok", resumable=self.checkpoints)

    def promoted(self) -> list[int]:
        return [point for point, _ in self.rule.promoted()]


class Optuna(Full):
    """Optuna's SuccessiveHalvingPruner."""

    def __init__(self, first: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION)
        self.study = optuna.create_study(pruner=pruner)
        self.trials: dict[int, optuna.Trial] = {}

    def begin(self, point: int) -> None:
        self.trials[point] = self.study.ask()

    def stops(self, point: int, step: int, loss: float) -> bool:
        self.trials[point].report(loss, step)
        return self.trials[point].should_prune()

    def ended(self, point: int, loss: float, *, early: bool) -> None:
        state = optuna.trial.TrialState.PRUNED if early else optuna.trial.TrialState.COMPLETE
        self.study.tell(self.trials.pop(point), None if early else loss, state)


@dataclass
class Crew:
    """Workers that train points in virtual time.

    Attributes
    ----------
    steps : int
        Of training, of all points.
    finals : list of float
        Losses of the points that were trained to their end.
    """

    curves: NDArray[np.float64]
    paces: NDArray[np.float64]
    judge: Judge
    steps: int = 0
    finals: list[float] = field(default_factory=list)

    def train(self) -> Crew:
        points, whole = self.curves.shape
        reached = [0] * points
        fresh, waiting, idle = itertools.count(), [], WORKERS
        agenda: list[tuple[float, int]] = []
        now = 0.0
        while True:
            while idle and (waiting or reached[-1] == 0):
                if waiting:
                    point = waiting.pop(0)
                elif (point := next(fresh)) >= points:
                    break
                else:
                    self.judge.begin(point)
                idle -= 1
                heapq.heappush(agenda, (now + self.paces[point], point))
            if not agenda:
                return self
            now, point = heapq.heappop(agenda)
            reached[point] += 1
            self.steps += 1
            loss = float(self.curves[point, reached[point] - 1])
            early = reached[point] < whole and self.judge.stops(point, reached[point], loss)
            if early or reached[point] == whole:
                self.finals += [] if early else [loss]
                self.judge.ended(point, loss, early=early)
                idle += 1
            else:
                heapq.heappush(agenda, (now + self.paces[point], point))
            waiting += self.judge.promoted()


def simulated(seed: int, points: int = 256, whole: int = 100) -> NDArray[np.float64]:
    """Make learning curves, shape (points, steps), that cross."""
    rng = np.random.default_rng(seed)
    a = rng.beta(1.5, 4, points)[:, None]
    b = rng.uniform(0.2, 1.0, points)[:, None]
    c = rng.uniform(0.2, 1.5, points)[:, None]
    return a + b * np.arange(1, whole + 1) ** -c + rng.normal(0, NOISE, (points, whole))


NOISE = 0.005  # of a simulated loss, at each step


def digits(seed: int, points: int = 64, whole: int = 60) -> NDArray[np.float64]:
    """Train classifiers, each epoch by epoch; shape (points, epochs)."""
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    sets = train_test_split(images / 16, labels, test_size=600, random_state=seed)
    seen, unseen, known, asked = sets
    curves = np.empty((points, whole))
    for point in range(points):
        model = SGDClassifier(
            loss=str(rng.choice(["hinge", "log_loss"])),
            penalty=str(rng.choice(["l2", "l1"])),
            alpha=10 ** rng.uniform(-6, -1),
            learning_rate="constant",
            eta0=10 ** rng.uniform(-4, 0.5),
            random_state=seed,
        )
        for epoch in range(whole):
            model.partial_fit(seen, known, classes=np.arange(10))
            curves[point, epoch] = 1 - model.score(unseen, asked)
    return curves


def crossing(curves: NDArray[np.float64]) -> float:
    """Return the share of pairs of which the better one after the first step is the worse one at the end."""
    first, last = curves[:, 0], curves[:, -1]
    pairs = np.triu_indices(len(curves), 1)
    return float(np.mean((first[pairs[0]] < first[pairs[1]]) != (last[pairs[0]] < last[pairs[1]])))


JUDGES: dict[str, Callable[[int], Judge]] = {ALL: lambda _: Full()} | {
    f"{name}, first rung {first}": judge
    for first in FIRST
    for name, judge in {
        "swath": partial(Swath, first=first, checkpoints=True),
        "swath without checkpoints": partial(Swath, first=first, checkpoints=False),
        "Optuna": partial(lambda _, first: Optuna(first), first=first),
    }.items()
}


def compete(curves: NDArray[np.float64], seed: int) -> dict[str, tuple[float, float]]:
    """Return, by competitor, the steps of training and the best final loss."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(curves)
    paces = rng.lognormal(0, 0.5, len(curves))
    found = {}
    for name, judge in JUDGES.items():
        crew = Crew(shuffled, paces, judge(curves.shape[1])).train()
        found[name] = float(crew.steps), min(crew.finals)
    return found


def median(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval, by the bootstrap."""
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(values, (2000, len(values))), axis=1)
    return float(np.median(values)), *map(float, np.percentile(drawn, [2.5, 97.5]))


def told(values: NDArray[np.float64], form: str) -> str:
    middle, low, high = median(values)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def report(task: str, make: Callable[[int], NDArray[np.float64]], seeds: int) -> None:
    curves = [make(seed) for seed in range(seeds)]
    runs = [compete(each, seed) for seed, each in enumerate(curves)]
    steps = {name: np.array([run[name][0] for run in runs]) for name in JUDGES}
    best = {name: np.array([run[name][1] for run in runs]) for name in JUDGES}
    points, whole = curves[0].shape
    crossed = np.median([crossing(each) for each in curves])
    print(
        f"\n{task}: {points} points of {whole} steps, {seeds} seeds; {crossed:.0%} of pairs change places\n"
    )
    rows = [
        [
            name,
            told(steps[name], ",.0f"),
            told(steps[ALL] / steps[name], ".1f"),
            told(best[name], ".4f"),
            told(best[name] - best[ALL], ".4f"),
            f"{np.mean(best[name] <= best['all steps']):.0%}",
        ]
        for name in JUDGES
    ]
    print(markdown(["", "steps", "times less", "best loss", "worse by", "best of all found"], rows))
    for name in (name for name in JUDGES if name.startswith("swath")):
        other = "Optuna," + name.partition(",")[2]
        fewer, worse = steps[name] / steps[other] - 1, best[name] - best[other]
        print(f"{name}, against {other}: steps {told(100 * fewer, '+.1f')} %, loss {told(worse, '+.4f')}")


TASKS: dict[str, Callable[[int], NDArray[np.float64]]] = {"curves": simulated, "digits": digits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--task", choices=TASKS)
    options = parser.parse_args()
    for task, make in TASKS.items():
        if options.task in (None, task):
            report(task, make, options.seeds)


if __name__ == "__main__":
    main()
