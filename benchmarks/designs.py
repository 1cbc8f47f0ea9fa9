"""What drawing costs a slot, and how evenly each method fills space.

    python benchmarks/designs.py

Prints Markdown. Values are drawn in batches as a slot draws them, the last ones of 10^9 draws; times are of the processor,
the least of 20. The discrepancy (centered L2, `scipy.stats.qmc.discrepancy`; 0 would be perfectly even) is the mean over ten seeds.
`docs/search.md` keeps the output of a run.
"""

from __future__ import annotations

from statistics import mean
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import qmc

from swath.definition import define
from swath.space.sequences import METHODS

if TYPE_CHECKING:
    from swath.space import Space

DRAWS = 10**9
PARAMETERS = {
    "a": {"uniform": [0, 1]},
    "b": {"loguniform": [1e-5, 0.1]},
    "c": {"normal": [0, 1]},
    "d": {"integers": [1, 9]},
    "e": {"loguniform": [1, 1024], "step": 1},
    "f": {"choice": ["relu", "tanh"]},
}
GRID = {name: {"linspace": [0, 1, 30]} for name in PARAMETERS}


def space(method: str) -> Space:
    keys = {"sample": {"method": method, "draws": DRAWS}} if method else {}
    parameters = PARAMETERS if method else GRID
    return define({"objective": "no:matter", "parameters": parameters, **keys}).space


def seconds(points: Space, names: list[str], rows: int) -> float:
    """Return how long it takes to make the arguments of one point."""
    found = []
    for i in range(20):
        stop = points.size - i * rows
        began = process_time()
        points.columns(stop - rows, stop).arguments(names)
        found.append(process_time() - began)
    return min(found) / rows


def main() -> None:
    print("| method | ns a value, 10,000 at a time | 1,000 | 100 | points/s, 6 parameters |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for method in ("", *METHODS):
        each = [seconds(space(method), list(PARAMETERS), rows) for rows in (10_000, 1000, 100)]
        nanoseconds = " | ".join(f"{one / len(PARAMETERS) * 1e9:.0f}" for one in each)
        print(f"| {method or 'a grid'} | {nanoseconds} | {1 / each[0]:,.0f} |")
    print("\n| discrepancy of 1024 points | " + " | ".join(METHODS) + " |")
    print("| --- |" + " ---: |" * len(METHODS))
    for dimensions in (2, 5, 10):
        names = [f"x{i}" for i in range(dimensions)]
        rows = np.arange(1024)
        found = []
        for method in METHODS.values():
            sequences = [method(names, 1024, root) for root in range(10)]
            points = [
                np.stack([each.fractions(rows, i) for i in range(dimensions)], axis=1) for each in sequences
            ]
            found.append(mean(map(qmc.discrepancy, points)))
        print(f"| {dimensions} dimensions | " + " | ".join(f"{value:.2g}" for value in found) + " |")


if __name__ == "__main__":
    main()
