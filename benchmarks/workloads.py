"""What the contestants evaluate.

`product` costs nothing, so that only the overhead is left. The others are busy for a known time. `spin` watches
the wall clock: a point takes what it says, also while something else has the core, which hides what a driver
takes from its workers. `burn` watches the CPU time of its own thread: it always does the same work, and shows it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

SEED = 1978


def product(x: int, y: int) -> int:
    return x * y


def spin(duration: float, i: int) -> int:
    end = time.perf_counter() + duration
    while time.perf_counter() < end:
        pass
    return busy(duration, i)


def burn(duration: float, i: int) -> int:
    end = time.thread_time() + duration
    while time.thread_time() < end:
        pass
    return busy(duration, i)


def busy(duration: float, i: int) -> int:
    """What both return after `duration` (s): a number that tells the points apart."""
    return int(1e6 * duration) + i


@dataclass(frozen=True)
class Workload:
    """A function over a grid.

    Attributes
    ----------
    parameters : dict of sequences
        The axes; the last one is fastest.
    work : float
        Seconds that the function itself takes on one core, for all points; 0 where it has to be measured.
    """

    text: str
    function: Callable[..., int]
    parameters: dict[str, Sequence[int | float]]
    work: float = 0

    def __len__(self) -> int:
        return prod(len(axis) for axis in self.parameters.values())

    def columns(self, start: int, stop: int) -> list[np.ndarray]:
        """One array a parameter, for the points from `start` to `stop` (exclusive) in grid order."""
        shape = [len(axis) for axis in self.parameters.values()]
        codes = np.unravel_index(np.arange(start, stop), shape)
        return [np.asarray(axis)[code] for axis, code in zip(self.parameters.values(), codes, strict=True)]

    def check(self, table: pd.DataFrame) -> None:
        """Stop if `table` is not the frame that it ought to be."""
        columns = dict(zip(self.parameters, self.columns(0, len(self)), strict=True))
        value = product(**columns) if self.function is product else np.vectorize(busy)(**columns)
        for name, expected in {**columns, "value": value}.items():
            if not np.array_equal(table[name], expected):
                raise SystemExit(f"column {name} is wrong")


def trivial(points: int) -> Workload:
    """A grid of 1000 columns."""
    return Workload(f"`x * y`, {points:,} points", product, {"x": range(points // 1000), "y": range(1000)})


def even(function: Callable[..., int], seconds: float, points: int) -> Workload:
    grid = {"duration": [seconds], "i": range(points)}
    text = f"{1e3 * seconds:g} ms each, {CLOCKS[function]}, {points:,} points"
    return Workload(text, function, grid, seconds * points)


def tail(function: Callable[..., int], points: int) -> Workload:
    """Lognormal durations, median 5 ms, sigma 1.5: a few points take as long as hundreds of others."""
    seconds = np.random.default_rng(SEED).lognormal(np.log(0.005), 1.5, points).round(6)
    span = f"{1e3 * seconds.mean():.1f} ms on average, {1e3 * seconds.max():.0f} ms at most"
    text = f"lognormal durations, {span}, {CLOCKS[function]}, {points:,} points"
    # a parameter may not repeat a value: the place tells equal durations apart
    durations = (seconds + np.arange(points) * 1e-12).tolist()
    return Workload(text, function, {"duration": durations, "i": [0]}, float(seconds.sum()))


def bare_seconds(work: Workload) -> float:
    """Time the calls in nested loops: what is left when every overhead is gone. The best of three."""
    first, second = work.parameters.values()
    tries = []
    for _ in range(3):
        before = time.perf_counter()
        for a in first:
            for b in second:
                work.function(a, b)
        tries.append(time.perf_counter() - before)
    return min(tries)


CLOCKS = {spin: "wall time", burn: "CPU time"}
WORKLOADS: dict[str, Callable[[int], Workload]] = {
    "trivial": trivial,
    "1ms": partial(even, spin, 0.001),
    "10ms": partial(even, spin, 0.010),
    "100ms": partial(even, spin, 0.100),
    "tail": partial(tail, spin),
    "1ms-cpu": partial(even, burn, 0.001),
    "10ms-cpu": partial(even, burn, 0.010),
    "100ms-cpu": partial(even, burn, 0.100),
    "tail-cpu": partial(tail, burn),
}
POINTS = {"trivial": 1_000_000, "1ms": 6000, "10ms": 600, "100ms": 60, "tail": 400}  # about 6 s of one core
