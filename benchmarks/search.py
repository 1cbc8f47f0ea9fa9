"""What a search costs beside its function: swath against Optuna's own set-ups, in one run.

    python benchmarks/search.py [--only sleep cpu random sampler] [--points N] [--pairs N]

Prints Markdown. ``sleep`` and ``cpu``: 500 evaluations of 100 ms on two slots, with TPE. ``random``: a random search of
10^5 points of a function that costs nothing. ``sampler``: one proposal of TPE and the telling of its result, in a study of 100,
500 and 1,000 results. Each contestant runs in a fresh process, one after another in every round (A B C A B C ...), so that all
of them meet the same machine; ratios are taken within a round. Times are those of the whole process, imports and
swath's cluster and files included, up to a frame; start-up (imports, and what is there before the first evaluation could start)
stands beside it; CPU time is that of all processes. `docs/search.md` keeps the output of a run.
"""

from __future__ import annotations

import argparse
import inspect
import resource
import statistics
import sys
from typing import TYPE_CHECKING

import searchers
from measure import FailedError, markdown, printed, spread
from objectives import BUSY
from overhead import machine
from searchers import SLOTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RACES = {
    "sleep": ("swath", "optuna-threads", "optuna-journal", "optuna-pool"),
    "cpu": ("swath", "optuna-threads", "optuna-journal", "optuna-pool"),
    "random": ("swath", "optuna-optimize", "optuna-ask"),
}
POINTS = {"sleep": 500, "cpu": 500, "random": 100_000}
TOLD = (100, 500, 1000)
LIMIT = 900  # seconds for one run of one contestant


class Race:
    """One race and what became of each contestant."""

    def __init__(self, name: str, points: int | None) -> None:
        self.name = name
        self.points = points or POINTS[name]
        self.runs: dict[str, list[dict[str, float]]] = {who: [] for who in RACES[name]}
        self.failures: dict[str, str] = {}

    def hold(self, pairs: int) -> None:
        for _ in range(pairs):
            for who in self.runs:
                if who not in self.failures:
                    self.run(who)

    def run(self, who: str) -> None:
        work, sampler = ("nothing", "random") if self.name == "random" else (self.name, "tpe")
        words = (who, work, "--points", str(self.points), "--sampler", sampler)
        before = cpu()
        try:
            found = printed(searchers.__file__, *words, limit=LIMIT)
        except FailedError as error:
            self.failures[who] = str(error)
        else:
            self.runs[who].append({**found, "cpu": cpu() - before})

    def row(self, who: str) -> list[str]:
        if who in self.failures:
            return [who, self.failures[who], *[""] * 8]
        ours, base = whole(self.runs[who]), whole(self.runs["swath"])
        least = 0 if self.name == "random" else self.points * BUSY / SLOTS
        middle = statistics.median(ours)
        return [
            who,
            str(len(ours)),
            spread(ours),
            spread([run["start"] for run in self.runs[who]]),
            spread([run["search"] for run in self.runs[who]]),
            spread([run["cpu"] for run in self.runs[who]]),
            f"{1e6 * middle / self.points:,.1f}",
            f"{least / middle:.0%}" if least else "",
            ratios(ours, base),
            ratios([run["cpu"] for run in self.runs[who]], [run["cpu"] for run in self.runs["swath"]]),
        ]

    def report(self) -> str:
        header = ["contestant", "runs", "whole, s", "start-up, s", "search, s", "CPU, s"]
        return f"### {self.name}: {self.points:,} points\n\n" + markdown(
            [*header, "µs/point", "efficiency", "whole / swath's", "CPU / swath's"],
            [self.row(who) for who in self.runs],
        )


def cpu() -> float:
    """Seconds of all cores that processes have taken which were started here, with theirs, and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> str:
    pairs = [a / b for a, b in zip(theirs, ours, strict=False)]
    return spread(pairs) if pairs else ""


def whole(runs: Sequence[Mapping[str, float]]) -> list[float]:
    return [run["start"] + run["search"] for run in runs]


def sampler(pairs: int) -> str:
    """What one more proposal costs when so many results are known."""
    found: dict[str, list[dict[str, float]]] = {"swath": [], "optuna": []}
    for _ in range(pairs):
        for who, runs in found.items():
            runs.append(printed(searchers.__file__, f"sampler-{who}", "nothing", "--points", str(TOLD[-1])))
    rows = [
        [
            f"{told:,}",
            *[spread([1e3 * run[str(told)] for run in runs]) for runs in found.values()],
            spread([a[str(told)] / b[str(told)] for a, b in zip(*found.values(), strict=True)]),
        ]
        for told in TOLD
    ]
    header = ["results known", "swath asks Optuna, ms", "Optuna alone, ms", "ratio"]
    return "### sampler: one proposal of TPE, asked and told\n\n" + markdown(header, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*RACES, "sampler"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--points", type=int, help="of each race [500; random: 100,000]")
    parser.add_argument("--pairs", type=int, default=3, help="rounds [3]")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    print(f"`python benchmarks/search.py {' '.join(sys.argv[1:])}`\n\n{machine()}")
    for name in options.only:
        if name == "sampler":
            print(sampler(options.pairs), flush=True)
            continue
        contest = Race(name, options.points)
        contest.hold(options.pairs)
        print(contest.report(), flush=True)
    print(f"### The contestants\n\n```python\n{inspect.getsource(searchers).strip()}\n```")


if __name__ == "__main__":
    main()
