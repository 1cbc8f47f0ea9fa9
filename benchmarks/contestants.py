"""Who takes part: each evaluates a workload over its grid and ends with a pandas frame of parameters and value.

Every contestant runs in a process of its own, ``python contestants.py NAME WORKLOAD --points N``, and prints one
line of JSON: seconds of start-up (from the start of the process: imports, processes made and warm), of the sweep
to the frame, and, for swath, of the export to Parquet. What the frame holds is checked afterwards. The baselines
are meant to be as good as an expert would make them; if you can make one faster, please do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.sharedctypes import Synchronized

WORKERS = 2


class Clock:
    """Marks where one phase ends and the next begins."""

    def __init__(self, started: float) -> None:
        self.last = started
        self.phases: dict[str, float] = {}

    def end(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[phase] = now - self.last
        self.last = now


def frame(work: Workload, values: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """The frame that a user gets, in grid order, without a detour over rows."""
    columns = zip(work.parameters, work.columns(0, len(work)), strict=True)
    return pd.DataFrame({**dict(columns), "value": values})


def loop(work: Workload, clock: Clock, _: int) -> pd.DataFrame:
    """What most people write: a row is a dict."""
    clock.end("start")
    (first, second), function = work.parameters, work.function
    rows = [{first: a, second: b, "value": function(a, b)} for a, b in product(*work.parameters.values())]
    table = pd.DataFrame(rows)
    clock.end("sweep")
    return table


def lists(work: Workload, clock: Clock, _: int) -> pd.DataFrame:
    """A loop that keeps nothing but the values: the least that one process can do."""
    clock.end("start")
    values = [work.function(*point) for point in product(*work.parameters.values())]
    table = frame(work, values)
    clock.end("sweep")
    return table


def forked(work: Workload, clock: Clock, chunk: int) -> pd.DataFrame:
    """Two bare forked processes take chunks of points from a shared counter, and send arrays at the end."""
    context = multiprocessing.get_context("fork")
    counter, columns = context.Value("q", 0), work.columns(0, len(work))
    pipes = []
    for _ in range(WORKERS):
        ours, theirs = context.Pipe()
        task = (work.function, columns, chunk, counter, theirs)
        context.Process(target=take, args=task, daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()  # it is up
    clock.end("start")
    for pipe in pipes:
        pipe.send("go")
    values = np.empty(len(work), dtype=np.int64)
    for pipe in pipes:
        starts, theirs = pipe.recv()
        for start, array in zip(starts, np.split(theirs, range(chunk, len(theirs), chunk)), strict=True):
            values[start : start + len(array)] = array
    table = pd.DataFrame({**dict(zip(work.parameters, columns, strict=True)), "value": values})
    clock.end("sweep")
    return table


def take(
    function: Callable[..., int],
    columns: list[np.ndarray],
    chunk: int,
    counter: Synchronized[int],
    pipe: Connection,
) -> None:
    """The child's side of `forked`."""
    pipe.send("up")
    pipe.recv()
    starts: list[int] = []
    values: list[int] = []
    while True:
        with counter.get_lock():
            start = counter.value
            counter.value = start + chunk
        if start >= len(columns[0]):
            break
        starts.append(start)
        values.extend(map(function, *(column[start : start + chunk].tolist() for column in columns)))
    pipe.send((starts, np.array(values)))


def pool(work: Workload, clock: Clock, chunk: int) -> pd.DataFrame:
    """`multiprocessing.Pool`, chunk size found by trying."""
    with multiprocessing.get_context("fork").Pool(WORKERS) as processes:
        processes.map(abs, range(WORKERS), chunksize=1)
        clock.end("start")
        values = processes.starmap(work.function, product(*work.parameters.values()), chunksize=chunk)
        table = frame(work, values)
        clock.end("sweep")
    return table


def pool_index(work: Workload, clock: Clock, chunk: int) -> pd.DataFrame:
    """`multiprocessing.Pool` that is sent indices only, which it turns into points: smaller messages, by hand."""
    with multiprocessing.get_context("fork").Pool(WORKERS) as processes:
        processes.map(abs, range(WORKERS), chunksize=1)
        clock.end("start")
        first, second = work.parameters.values()
        call = partial(at, work.function, first, second)
        table = frame(work, processes.map(call, range(len(work)), chunksize=chunk))
        clock.end("sweep")
    return table


def at(function: Callable[..., int], first: Sequence[float], second: Sequence[float], index: int) -> int:
    i, j = divmod(index, len(second))
    return function(first[i], second[j])


def joblib(work: Workload, clock: Clock, _: int) -> pd.DataFrame:
    """joblib with its default backend (loky) and its automatic batches."""
    from joblib import Parallel, delayed  # noqa: PLC0415  (its start-up is not the others')

    with Parallel(n_jobs=WORKERS) as parallel:
        parallel(delayed(abs)(i) for i in range(WORKERS))
        clock.end("start")
        points = product(*work.parameters.values())
        values = parallel(delayed(work.function)(*point) for point in points)
        table = frame(work, values)
        clock.end("sweep")
    return table


def client_map(work: Workload, clock: Clock, _: int) -> pd.DataFrame:
    """Dask's own way: one task a point."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  (its start-up is not the others')

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(abs, range(WORKERS)))
        clock.end("start")
        columns = [column.tolist() for column in work.columns(0, len(work))]
        values = client.gather(client.map(work.function, *columns, pure=False))
        table = frame(work, values)
        clock.end("sweep")
    return table


def swath_dask(work: Workload, clock: Clock, _: int) -> pd.DataFrame:
    return swath(work, clock, "dask")


def swath_inline(work: Workload, clock: Clock, _: int) -> pd.DataFrame:
    return swath(work, clock, "inline")


def swath(work: Workload, clock: Clock, engine: str) -> pd.DataFrame:
    """swath as it comes: isolated slots, every row on disk before the frame is made."""
    import swath as package  # noqa: PLC0415  (its start-up is not the others')

    with tempfile.TemporaryDirectory() as out:
        sweep = package.Sweep(work.function, work.parameters, name="race")
        handle = sweep.start(out=out, engine=engine, workers=WORKERS)
        wait_until(lambda: handle.snapshot.state != "starting")
        clock.end("start")
        wait_until(lambda: handle.snapshot.state in {"complete", "stopped"})  # all rows are durable
        clock.end("rows")
        handle.wait()
        clock.end("export")
        table = handle.finished().frame[[*work.parameters, "value"]]
        clock.end("frame")
        clock.phases["sweep"] = clock.phases["rows"] + clock.phases["frame"]
    return table


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


CONTESTANTS: dict[str, Callable[[Workload, Clock, int], pd.DataFrame]] = {
    "loop": loop,
    "lists": lists,
    "forked": forked,
    "swath-dask": swath_dask,
    "swath-inline": swath_inline,
    "pool": pool,
    "pool-index": pool_index,
    "joblib": joblib,
    "client.map": client_map,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("workload")
    parser.add_argument("--points", type=int, required=True)
    parser.add_argument("--started", type=float, required=True, help="of the process, on the monotonic clock")
    parser.add_argument(
        "--chunk", type=int, default=1, help="points to take at a time, where that is asked [1]"
    )
    options = parser.parse_args()
    work = WORKLOADS[options.workload](options.points)
    clock = Clock(options.started)
    work.check(CONTESTANTS[options.contestant](work, clock, options.chunk))
    print(json.dumps(clock.phases))


if __name__ == "__main__":
    main()
