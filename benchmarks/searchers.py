"""Who searches: each evaluates as many points as it is told, and ends with a pandas frame of parameters and value.

``python searchers.py NAME WORK --points N`` is one contestant in a process of its own; it prints one line of JSON:
seconds of start-up (imports, storage, processes made) and of the search to the frame. All of them search the same
space of five parameters with the sampler of Optuna, the same one that swath asks, on two slots. The set-ups of
Optuna are those that its documentation names: threads (`n_jobs`), processes on a journal file, and, for whoever
writes the loop himself, ask and tell in one process with a pool of two others, where one proposal always waits behind
those that run. The samplers are as they come. If you know a faster way for one of them, please say so.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
import warnings
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from contestants import Clock
from objectives import WORKS, nothing

if TYPE_CHECKING:
    from collections.abc import Callable

SLOTS = 2
SEED = 0


def suggested(trial: Any) -> dict[str, Any]:
    return {
        "rate": trial.suggest_float("rate", 1e-3, 1, log=True),
        "depth": trial.suggest_int("depth", 1, 16),
        "leaf": trial.suggest_int("leaf", 1, 100),
        "share": trial.suggest_float("share", 0.3, 1),
        "kind": trial.suggest_categorical("kind", ["gini", "entropy"]),
    }


def distributions() -> dict[str, Any]:
    """The same space for `Study.ask`, which then draws without a call a parameter."""
    from optuna import distributions as of

    return {
        "rate": of.FloatDistribution(1e-3, 1, log=True),
        "depth": of.IntDistribution(1, 16),
        "leaf": of.IntDistribution(1, 100),
        "share": of.FloatDistribution(0.3, 1),
        "kind": of.CategoricalDistribution(["gini", "entropy"]),
    }


def study(sampler: str, storage: Any = None) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    makers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    seed = SEED if storage is None else None  # processes of one seed would propose the same
    return optuna.create_study(
        study_name="race", storage=storage, sampler=makers[sampler](seed=seed), load_if_exists=True
    )


def framed(found: Any) -> pd.DataFrame:
    """Much faster than `Study.trials_dataframe`, which copies every trial."""
    return pd.DataFrame(
        [{**trial.params, "value": trial.value} for trial in found.get_trials(deepcopy=False)]
    )


def threads(work: Callable[..., float], points: int, sampler: str, clock: Clock) -> pd.DataFrame:
    return optimized(work, points, sampler, clock, SLOTS)


def alone(work: Callable[..., float], points: int, sampler: str, clock: Clock) -> pd.DataFrame:
    return optimized(work, points, sampler, clock, 1)


def optimized(work: Callable[..., float], points: int, sampler: str, clock: Clock, jobs: int) -> pd.DataFrame:
    found = study(sampler)
    clock.end("start")
    found.optimize(lambda trial: work(**suggested(trial)), n_trials=points, n_jobs=jobs)
    return framed(found)


def asked(work: Callable[..., float], points: int, sampler: str, clock: Clock) -> pd.DataFrame:
    """Ask and tell in one process that evaluates too: the least that Optuna costs."""
    found, space = study(sampler), distributions()
    clock.end("start")
    for _ in range(points):
        trial = found.ask(space)
        found.tell(trial, work(**trial.params))
    return framed(found)


def pool(work: Callable[..., float], points: int, sampler: str, clock: Clock) -> pd.DataFrame:
    """Ask and tell here, two processes that evaluate; a proposal waits behind them, so that none waits for it."""
    found, space = study(sampler), distributions()
    with ProcessPoolExecutor(SLOTS, multiprocessing.get_context("fork")) as slots:
        list(slots.map(abs, range(SLOTS)))
        clock.end("start")
        running: dict[Any, Any] = {}
        for _ in range(points):
            trial = found.ask(space)
            running[slots.submit(work, **trial.params)] = trial
            if len(running) > SLOTS:
                tell(found, running)
        while running:
            tell(found, running)
    return framed(found)


def tell(found: Any, running: dict[Any, Any]) -> None:
    """Wait for one evaluation at least, and tell what came."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        found.tell(running.pop(future), future.result())


def journal(work: Callable[..., float], points: int, sampler: str, clock: Clock) -> pd.DataFrame:
    """Two processes on a journal file, each with half of the points: durable, as swath."""
    with tempfile.TemporaryDirectory() as folder:
        found = on_journal(sampler, folder)
        clock.end("start")
        context = multiprocessing.get_context("fork")
        helpers = [
            context.Process(target=part, args=(work, points // SLOTS, sampler, folder)) for _ in range(SLOTS)
        ]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        return framed(found)


def part(work: Callable[..., float], points: int, sampler: str, folder: str) -> None:
    on_journal(sampler, folder).optimize(lambda trial: work(**suggested(trial)), n_trials=points)


def on_journal(sampler: str, folder: str) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return study(sampler, JournalStorage(JournalFileBackend(str(Path(folder, "journal")))))


def swath_space() -> dict[str, Any]:
    import swath as package

    return {
        "rate": package.loguniform(1e-3, 1),
        "depth": package.integers(1, 16),
        "leaf": package.integers(1, 100),
        "share": package.uniform(0.3, 1),
        "kind": ["gini", "entropy"],
    }


def swath(work: Callable[..., float], points: int, sampler: str, clock: Clock) -> pd.DataFrame:
    """swath as it comes: its own cluster, isolated slots, every proposal and every row on disk before the frame."""
    import swath as package

    parameters = swath_space()
    clock.end("start")
    with tempfile.TemporaryDirectory() as out:
        search = {"method": sampler, "points": points}
        sweep = package.Sweep(work, parameters, search=search, minimize="value", name="race")
        return sweep.run(out=out, workers=SLOTS).frame[[*parameters, "value"]]


def sampler_optuna(points: int) -> dict[str, float]:
    """Seconds of one proposal and its telling, on average of the last tenth up to each number of results."""
    found, space = study("tpe"), distributions()
    return timed(points, lambda: asked_once(found, space))


def asked_once(found: Any, space: dict[str, Any]) -> None:
    trial = found.ask(space)
    found.tell(trial, nothing(**trial.params))


def sampler_swath(points: int) -> dict[str, float]:
    """The same through what swath puts around Optuna, without slots and files."""
    import swath as package
    from swath.search import Outcome, Proposer

    search = {"method": "tpe", "points": points}
    proposer = Proposer(package.Sweep(nothing, swath_space(), search=search, minimize="value").definition)

    def once() -> None:
        (row,) = proposer.ask(1)
        proposer.tell(proposer.proposed - 1, Outcome("ok", {"value": nothing(**row)}))

    return timed(points, once)


def timed(points: int, once: Callable[[], None]) -> dict[str, float]:
    ends = [time.perf_counter()]
    for _ in range(points):
        once()
        ends.append(time.perf_counter())
    return {
        str(told): (ends[told] - ends[told - told // 10]) / (told // 10)
        for told in (points // 10, points // 2, points)
    }


CONTESTANTS: dict[str, Callable[[Callable[..., float], int, str, Clock], pd.DataFrame]] = {
    "swath": swath,
    "optuna-threads": threads,
    "optuna-journal": journal,
    "optuna-pool": pool,
    "optuna-optimize": alone,
    "optuna-ask": asked,
}
SAMPLERS = {"sampler-swath": sampler_swath, "sampler-optuna": sampler_optuna}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=[*CONTESTANTS, *SAMPLERS])
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--points", type=int, required=True)
    parser.add_argument("--sampler", choices=["tpe", "random"], default="tpe")
    parser.add_argument("--started", type=float, required=True, help="of the process, on the monotonic clock")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Optuna's: that something is experimental
    if options.contestant in SAMPLERS:
        print(json.dumps(SAMPLERS[options.contestant](options.points)))
        return
    clock = Clock(options.started)
    work = WORKS[options.work]
    table = CONTESTANTS[options.contestant](work, options.points, options.sampler, clock)
    clock.end("search")
    if len(table) != options.points or not table["value"].notna().all():
        raise SystemExit(f"{len(table)} rows for {options.points} points")
    print(json.dumps({**clock.phases, "best": float(table["value"].min())}))


if __name__ == "__main__":
    main()
