"""Who faces the faults: each evaluates the same 60 points with two processes, as its documentation advises.

``python rivals.py NAME FOLDER`` imports ``study.f`` from the folder and leaves ``kept.json`` there: the values that
a user holds at the end, and what is said of the points that failed. Run again, it goes on as far as it can. What each
uses, and why: joblib streams results as they come and caches them on disk (`joblib.Memory`, its documented way to
resume), with a timeout, and the function's exceptions are caught where they happen; Dask has worker processes with
nannies and looks at each future by itself; Optuna 5 has a grid sampler, its journal file, two worker processes and
``catch``; swath has a timeout. If you know a better setting for one of them, please say so.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

POINTS = 60
WORKERS = 2
TIMEOUT = 3.0  # seconds that a point may take, where that can be said


class Held:
    """What the user holds: kept as it comes, written down at the end, also if that is an error."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / os.environ.get("SAY", "kept.json")
        self.kept: dict[int, Any] = {}
        self.named: dict[int, str] = {}
        self.warned = ""

    def write(self, error: str = "") -> None:
        about = {"kept": self.kept, "named": self.named, "error": error, "warned": self.warned}
        self._path.write_text(json.dumps(about))


def with_joblib(folder: Path, held: Held) -> None:
    from joblib import Memory, Parallel, delayed
    from study import f

    cached = Memory(folder / "cache", verbose=0).cache(f)

    def safe(x: int) -> tuple[int, bool, Any]:
        try:
            return x, True, cached(x)
        except Exception as error:  # noqa: BLE001
            return x, False, repr(error)

    parallel = Parallel(n_jobs=WORKERS, timeout=TIMEOUT, return_as="generator_unordered")
    for x, ok, value in parallel(delayed(safe)(x) for x in range(POINTS)):
        (held.kept if ok else held.named)[x] = value


def joblib_saved(folder: Path, held: Held) -> None:
    import joblib

    for path in (folder / "cache").glob("**/output.pkl"):
        value = joblib.load(path)
        held.kept[math.isqrt(value)] = value


def with_dask(_: Path, held: Held) -> None:
    from distributed import Client, LocalCluster, as_completed
    from study import f

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        points = {client.submit(f, x, pure=False): x for x in range(POINTS)}
        for future in as_completed(points):
            try:
                held.kept[points[future]] = future.result()
            except Exception as error:  # noqa: BLE001
                held.named[points[future]] = repr(error)


def with_optuna(folder: Path, held: Held) -> None:
    study = _study(folder)
    words = [sys.executable, __file__, "optuna-worker", str(folder)]
    for worker in [subprocess.Popen(words) for _ in range(WORKERS)]:
        worker.wait()
    _look(study, held)


def _look(study: Any, held: Held) -> None:
    from optuna.trial import TrialState

    for trial in study.trials:
        if trial.state is TrialState.COMPLETE:
            held.kept[trial.params["x"]] = int(trial.value)
        elif trial.state is TrialState.FAIL:
            held.named[trial.params["x"]] = "FAIL"


def optuna_saved(folder: Path, held: Held) -> None:
    _look(_study(folder), held)


def _study(folder: Path) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        study_name="study",
        storage=JournalStorage(JournalFileBackend(str(folder / "journal"))),
        sampler=optuna.samplers.GridSampler({"x": list(range(POINTS))}, seed=0),
        load_if_exists=True,
    )


def optuna_worker(folder: Path, _: Held) -> None:
    from study import f

    _study(folder).optimize(lambda trial: f(trial.suggest_int("x", 0, POINTS - 1)), catch=(Exception,))


def with_swath(folder: Path, held: Held) -> None:
    import swath

    definition = {
        "name": "sweep",
        "objective": "study:f",
        "parameters": {"x": {"range": [POINTS]}},
        "point": {"timeout": TIMEOUT},
    }
    (folder / "sweep.yaml").write_text(json.dumps(definition))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        results = swath.load(folder / "sweep.yaml").run(out=folder / "results", workers=WORKERS)
        _fill(results, held)
    held.warned = "; ".join(str(item.message) for item in told)


def swath_saved(folder: Path, held: Held) -> None:
    import swath

    _fill(swath.open(folder / "results/sweep"), held)


def _fill(results: Any, held: Held) -> None:
    frame = results.frame
    ok = frame[frame["status"] == "ok"]
    held.kept.update({int(x): int(value) for x, value in zip(ok["x"], ok["value"], strict=True)})
    failed = frame[frame["status"] != "ok"]
    held.named.update({int(x): str(status) for x, status in zip(failed["x"], failed["status"], strict=True)})


RIVALS = {"joblib": with_joblib, "dask": with_dask, "optuna": with_optuna, "swath": with_swath}
SAVED = {"joblib": joblib_saved, "optuna": optuna_saved, "swath": swath_saved}
"""Look at what is on disk, where there is something, after a run that could not say anything."""

VERBS = {
    **RIVALS,
    **{f"{name}-saved": look for name, look in SAVED.items()},
    "optuna-worker": optuna_worker,
}


def main(name: str, folder: Path) -> None:
    sys.path.insert(0, str(folder))
    held = Held(folder)
    try:
        VERBS[name](folder, held)
    except BaseException as error:
        if name != "optuna-worker":  # the others and the one who waits for them will say
            held.write(f"{type(error).__name__}: {error}"[:200])
        raise
    if name != "optuna-worker":
        held.write()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
