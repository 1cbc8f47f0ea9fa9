"""What a recorded step costs, and how long a decision takes to reach the point that it ends.

    python benchmarks/steps.py [--points 200] [--steps 100000]

**Cost**: one point records ``--steps`` steps as quickly as it can, by a call and by yields, in a slot's child and in the
process itself; microseconds a step, including what the slot hears of it meanwhile. Beside it a point that records nothing.

**Latency**: points record a step about every half millisecond, each with the time on the clock. The driver's side ends a point as
soon as it hears of its tenth step. What is printed is the time from that step to the point's last one: to the driver, back,
and on to the next step. `embedded` is the cluster in this process, `remote` a scheduler and a worker in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from swath.definition import define
from swath.engines.dask import Dask
from swath.engines.inline import Inline
from swath.messages import Batch, Finished, Joined, Stepped
from swath.objective import locate
from swath.run import make_task
from swath.slot.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swath.engines import Engine
    from swath.messages import Event
    from swath.task import Task

MODULE = """
import time
import swath

STEPS = {steps}

def silent(x):
    for step in range(STEPS):
        pass

def told(x):
    record = swath.record
    for step in range(STEPS):
        record(loss=0.5)

def yields(x):
    for step in range(STEPS):
        yield {{"loss": 0.5}}

def slow(x):
    for step in range(20_000):
        swath.record(now=time.time())
        time.sleep(0.0004)
"""
TENTH = 10


def task_of(folder: Path, function: str, points: int, *, stepped: str = "") -> Task:
    mapping = {"objective": f"measured:{function}", "parameters": {"x": {"range": [points]}}}
    definition = define(mapping, folder=folder)
    return replace(make_task(definition, locate(definition.objective, folder)), stepped=stepped)


def cost(folder: Path, steps: int) -> None:
    """Print microseconds a step."""
    print("| steps | in a child, µs | in the process, µs |\n| --- | ---: | ---: |")
    for function in ("silent", "told", "yields"):
        taken = []
        for isolated in (True, False):
            pool = Pool(replace(task_of(folder, function, 5), isolated=isolated), "w", 1)
            pool.open()
            runs = []
            for number in range(5):
                began = time.perf_counter()
                reply = pool.evaluate(Batch(number, "w", number, number + 1, 1, 600.0))
                runs.append((time.perf_counter() - began) / steps * 1e6)
                assert reply is not None and not reply.failed  # noqa: PT018
            pool.close()
            taken.append(statistics.median(runs))
        print(f"| {function} | {taken[0]:.2f} | {taken[1]:.2f} |", flush=True)


def latency(name: str, engine: Engine, folder: Path, points: int) -> None:
    """Print the time from a step to the end that follows from it."""
    engine.open(task_of(folder, "slow", points, stepped="now"))
    waiting: list[Event] = []

    def wait() -> Event:
        while not waiting:
            waiting.extend(engine.wait(10.0))
        return waiting.pop(0)

    while not isinstance(joined := wait(), Joined):
        pass
    taken = []
    try:
        for number in range(points):
            batch = Batch(number, joined.worker, number, number + 1, 1, 600.0)
            engine.submit([batch])
            decided = 0.0
            while not isinstance(event := wait(), Finished):
                for step in event.steps if isinstance(event, Stepped) and event.batch_id == number else ():
                    if step.step >= TENTH and not decided:
                        decided = step.metrics["now"]
                        engine.prune(batch, number)
            taken.append(1000 * (event.reply.steps[-1].metrics["now"] - decided))
    finally:
        engine.close()
    low, middle, high = (sorted(taken)[int(part * (len(taken) - 1))] for part in (0.05, 0.5, 0.95))
    print(f"| {name} | {middle:.1f} | {low:.1f} | {high:.1f} |", flush=True)


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a scheduler and a worker of our own, on the loopback device."""
    file = folder / "scheduler.json"
    words = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    started = []
    for program, *options in (
        ("dask_scheduler", "--port", "0"),
        ("dask_worker", "--nthreads", "1", "--no-nanny"),
    ):
        command = [sys.executable, "-m", f"distributed.cli.{program}", *words, *options]
        started.append(
            subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        while not file.exists():
            time.sleep(0.05)
    try:
        yield json.loads(file.read_text())["address"]
    finally:
        for process in started:
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--points", type=int, default=200, help="points that are ended, for each engine [200]"
    )
    parser.add_argument(
        "--steps", type=int, default=100_000, help="steps of a point, for their cost [100000]"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "measured.py").write_text(MODULE.format(steps=options.steps))
        sys.path.append(name)
        cost(folder, options.steps)
        print("\n| engine | median, ms | 5 % | 95 % |\n| --- | ---: | ---: | ---: |")
        latency("inline", Inline(), folder, min(options.points, 20))
        latency("embedded", Dask(workers=1), folder, options.points)
        with cluster(folder) as address:
            latency("remote", Dask(scheduler=address), folder, options.points)


if __name__ == "__main__":
    main()
