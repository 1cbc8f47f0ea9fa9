"""How good a search is: swath's proposals against Optuna's own, after the same number of evaluations.

    python benchmarks/quality.py [--only NAME ...] [--slots 1 8] [--method tpe] [--points 100] [--seeds 20] [--first 0]

Prints Markdown. This is a simulation: slots, and how long points take, are numbers (each duration is drawn, the
median point takes 1, one in twenty less than 0.44 or more than 2.3), so that it takes minutes and depends on nothing but seeds. An
evaluation begins when a slot is free and is told when it ends; a contestant with n proposals ahead asks for them before a slot
is free, so without the results of the points that are running. Optuna asks when a slot is free, as its ``n_jobs`` does.

The regret is the best value so far minus the least there is. Of it: medians over the seeds; the ratio of swath's median to
Optuna's; and Cliff's delta, the share of pairs of runs in which swath's is lower, less that in which it is higher (0: none is better,
1: swath always is; N. Cliff, 1993, doi:10.1037/0033-2909.114.3.494). Intervals are of 95 %, by a bootstrap over seeds (2000
resamples). `docs/search.md` keeps the output of a run.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import optuna

import swath
from functions import PROBLEMS
from measure import markdown
from overhead import machine
from swath.search import Outcome, Proposer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from functions import Problem

CONTESTS = {
    "optuna-1": ("optuna", 1, 0),
    "swath-1": ("swath", 1, 0),
    "swath-1+1": ("swath", 1, 1),
    "optuna-8": ("optuna", 8, 0),
    "swath-8": ("swath", 8, 0),
    "swath-8+1": ("swath", 8, 1),
    "swath-8+8": ("swath", 8, 8),
}
"""Who asks, slots, and how many proposals are ahead."""

SLOTS = [1, 8]
SPREAD = 0.5  # standard deviation of the logarithm of a duration
RESAMPLES = 2000
SAMPLERS: dict[str, Callable[[int], Any]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "cma-es": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsga-ii": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
}


class Asker(Protocol):
    """Proposes points and is told their values."""

    def ask(self) -> dict[str, Any]: ...

    def tell(self, number: int, value: float) -> None: ...


class Bare:
    """Optuna alone."""

    def __init__(self, problem: Problem, method: str, _points: int, seed: int) -> None:
        self.problem = problem
        self.study = optuna.create_study(sampler=SAMPLERS[method](seed))
        self.trials: list[optuna.Trial] = []

    def ask(self) -> dict[str, Any]:
        self.trials.append(self.study.ask())
        return self.problem.suggest(self.trials[-1])

    def tell(self, number: int, value: float) -> None:
        self.study.tell(self.trials[number], value)


class Ours:
    """swath, which asks Optuna."""

    def __init__(self, problem: Problem, method: str, points: int, seed: int) -> None:
        search = {"method": method, "points": points}
        sweep = swath.Sweep("study:f", problem.parameters, minimize="value", search=search, seed=seed)
        self.proposer = Proposer(sweep.definition)

    def ask(self) -> dict[str, Any]:
        return self.proposer.ask(1)[0]

    def tell(self, number: int, value: float) -> None:
        self.proposer.tell(number, Outcome("ok", {"value": value}))


ASKERS: dict[str, Callable[..., Asker]] = {"optuna": Bare, "swath": Ours}


def simulate(asker: Asker, problem: Problem, slots: int, ahead: int, durations: Sequence[float]) -> float:
    """Return the least value that slots find in as many points as there are durations."""
    running: list[tuple[float, int, float]] = []  # end, number, value
    waiting: list[tuple[int, dict[str, Any]]] = []
    asked, now, least = 0, 0.0, math.inf
    while True:
        while asked < len(durations) and len(running) + len(waiting) < slots + ahead:
            waiting.append((asked, asker.ask()))
            asked += 1
            if len(running) < slots:
                number, row = waiting.pop(0)
                heapq.heappush(running, (now + durations[number], number, problem.function(**row)))
        if not running:
            return least
        now, number, value = heapq.heappop(running)
        least = min(least, value)
        if waiting:
            following, row = waiting.pop(0)
            heapq.heappush(running, (now + durations[following], following, problem.function(**row)))
        asker.tell(number, value)


def regret(task: tuple[str, str, str, int, int]) -> float:
    """Play one search."""
    name, contest, method, points, seed = task
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    problem = PROBLEMS[name]
    who, slots, ahead = CONTESTS[contest]
    durations = np.exp(np.random.default_rng(seed).normal(0, SPREAD, points)).tolist()
    return (
        simulate(ASKERS[who](problem, method, points, seed), problem, slots, ahead, durations) - problem.least
    )


def interval(statistic: Callable[..., np.ndarray], *samples: np.ndarray) -> str:
    """Return a statistic of some samples with its bootstrap interval; the samples are resampled apart."""
    generator = np.random.default_rng(0)
    drawn = [sample[generator.integers(0, len(sample), (RESAMPLES, len(sample)))] for sample in samples]
    low, high = np.quantile(statistic(*drawn), [0.025, 0.975])
    return f"{statistic(*(sample[None] for sample in samples)).item():.2f} [{low:.2f}, {high:.2f}]"


def ratio(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.median(ours, -1) / np.median(theirs, -1)


def delta(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.sign(theirs[..., None, :] - ours[..., :, None]).mean((-2, -1))


def table(found: dict[tuple[str, str], np.ndarray], names: Sequence[str], slots: int) -> str:
    base, *others = contests([slots])
    header = ["function", "Optuna's regret"]
    for who in others:
        header += [f"swath's, {CONTESTS[who][2] or 'none'} ahead", "ratio", "delta"]
    rows = []
    for name in names:
        theirs = found[name, base]
        cells = [name, f"{np.median(theirs):.3g}"]
        for ours in (found[name, who] for who in others):
            cells += [f"{np.median(ours):.3g}", interval(ratio, ours, theirs), interval(delta, ours, theirs)]
        rows.append(cells)
    rows.append(["all", "", *[cell for who in others for cell in overall(found, names, base, who)]])
    return f"### {slots} {'slot' if slots == 1 else 'slots'}\n\n{markdown(header, rows)}"


def contests(slots: Sequence[int]) -> list[str]:
    return [who for who, (_, count, _) in CONTESTS.items() if count in slots]


def overall(found: dict[tuple[str, str], np.ndarray], names: Sequence[str], base: str, who: str) -> list[str]:
    """Return the geometric mean of the ratios of all functions, and the mean of their deltas."""
    samples = [found[name, each] for name in names for each in (who, base)]

    def mean_ratio(*drawn: np.ndarray) -> np.ndarray:
        logs = [np.log(ratio(ours, theirs)) for ours, theirs in zip(drawn[::2], drawn[1::2], strict=True)]
        return np.exp(np.mean(logs, 0))

    def mean_delta(*drawn: np.ndarray) -> np.ndarray:
        return np.mean([delta(ours, theirs) for ours, theirs in zip(drawn[::2], drawn[1::2], strict=True)], 0)

    return ["", interval(mean_ratio, *samples), interval(mean_delta, *samples)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), metavar="NAME")
    parser.add_argument("--method", choices=SAMPLERS, default="tpe", help="[tpe]")
    parser.add_argument("--points", type=int, default=100, help="evaluations of a search [100]")
    parser.add_argument("--seeds", type=int, default=20, help="searches of each contestant [20]")
    parser.add_argument(
        "--slots", nargs="+", type=int, choices=SLOTS, default=SLOTS, metavar="N", help="[1 8]"
    )
    parser.add_argument("--first", type=int, default=0, help="seed [0]")
    parser.add_argument("--jobs", type=int, default=2, help="processes [2]")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    keys = list(product(options.only, contests(options.slots)))
    seeds = range(options.first, options.first + options.seeds)
    tasks = [(*key, options.method, options.points, seed) for key, seed in product(keys, seeds)]
    with ProcessPoolExecutor(options.jobs) as pool:
        regrets = np.array(list(pool.map(regret, tasks, chunksize=4))).reshape(-1, options.seeds)
    found = dict(zip(keys, regrets, strict=True))
    print(f"`python benchmarks/quality.py {' '.join(sys.argv[1:])}`\n\n{machine()}")
    print(f"{options.method}, {options.points} evaluations, {options.seeds} seeds from {options.first} on.\n")
    for slots in options.slots:
        print(table(found, options.only, slots), flush=True)


if __name__ == "__main__":
    main()
