"""What a sweep costs beside its function: swath against the alternatives, and what swath promises about itself.

    python benchmarks/overhead.py [--quick] [--only NAME ...] [--pairs N] [--against CHECKOUT]

Prints Markdown. Each contestant runs in a fresh process, one after another in every round (A B C A B C ...), so
that all of them meet the same machine; ratios are taken within a round. `forked` takes part twice: what it seems to
gain over itself is the noise. Peak memory comes from a run apart. With `--against`, the swath of another checkout
takes part as `swath-before`, in the races and in `startup`. `docs/performance.md` keeps the output of a run.
"""

from __future__ import annotations

import argparse
import inspect
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import contestants
from contestants import WORKERS
from measure import MIB, FailedError, markdown, peak, printed, spread
from targets import TARGETS
from workloads import POINTS, WORKLOADS, Workload, bare_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN = "forked-again"
BEFORE = "swath-before"
ORDER = [*contestants.CONTESTANTS]
ORDER.insert(ORDER.index("swath-dask") + 1, AGAIN)
ORDER.insert(ORDER.index("swath-dask") + 1, BEFORE)
STANDS_FOR = {AGAIN: "forked", BEFORE: "swath-dask"}
CHUNKS = {"trivial": (2_000, 10_000, 50_000, 250_000), "1ms": (1, 8, 32), "10ms": (1, 4), "tail": (1, 4)}
ROUNDS = {"joblib": 5, "client.map": 1}  # at most
ROUNDS_SLOW = {**ROUNDS, "swath-inline": 3, "pool": 5, "pool-index": 5}  # the same where each run takes long
LIMIT = 180  # seconds for one run of one contestant
CLIENT_MAP = 10_000  # points at most: beyond, its time per point grows
PACKAGES = ("swath", "dask", "distributed", "joblib", "numpy", "pandas", "pyarrow")


class Race:
    """One workload and what became of each contestant.

    Attributes
    ----------
    runs : dict of list of dict
        Seconds by phase, for each contestant and each round that it took part in.
    """

    def __init__(self, name: str, *, quick: bool, before: dict[str, str]) -> None:
        self.name = name
        self.quick = quick
        self.before = before
        self.points = POINTS[name.removesuffix("-cpu")] // (5 if quick else 1)
        self.work: Workload = WORKLOADS[name](self.points)
        self.cost = self.work.work or bare_seconds(self.work)
        self.chunks: dict[str, int] = {}
        self.runs: dict[str, list[dict[str, float]]] = {}
        self.memory: dict[str, float] = {}
        self.failures: dict[str, str] = {}

    def hold(self, names: list[str], pairs: int) -> None:
        for name in names:
            self.guard(name, self.tune)
        for turn in range(pairs):
            for name in names:
                if turn < self.rounds(name):
                    self.guard(name, self.run)
        for name in names:
            self.guard(name, self.weigh)

    def rounds(self, name: str) -> float:
        return (ROUNDS if self.name == "trivial" else ROUNDS_SLOW).get(name, float("inf"))

    def guard(self, name: str, step: Callable[[str], None]) -> None:
        """Take a step with a contestant, unless it has failed before."""
        if name in self.failures:
            return
        try:
            step(name)
        except FailedError as error:
            self.failures[name] = str(error)

    def tune(self, name: str) -> None:
        """Find the best chunk size of a contestant that has one; the best of two tries for each."""
        sizes = CHUNKS.get(self.name.removesuffix("-cpu"), (1,))
        if name in {AGAIN, "forked"}:
            self.chunks[name] = 10_000 if self.name == "trivial" else 1  # one at a time is the most dynamic
        elif name.startswith("pool"):
            tries = {size: min(self.time(name, size)["sweep"] for _ in range(2)) for size in sizes}
            self.chunks[name] = min(tries, key=tries.__getitem__)

    def time(self, name: str, chunk: int) -> dict[str, float]:
        return printed(*self.command(name, chunk), limit=LIMIT, environment=self.environment(name))

    def environment(self, name: str) -> dict[str, str] | None:
        return self.before if name == BEFORE else None

    def run(self, name: str) -> None:
        self.runs.setdefault(name, []).append(self.time(name, self.chunks.get(name, 1)))

    def weigh(self, name: str) -> None:
        command = self.command(name, self.chunks.get(name, 1))
        environment = self.environment(name)
        self.memory[name] = peak(*command, "--started", "0", limit=LIMIT, environment=environment)

    def command(self, name: str, chunk: int) -> tuple[str, ...]:
        who = STANDS_FOR.get(name, name)
        points = str(self.count(name))
        return (contestants.__file__, who, self.name, "--points", points, "--chunk", str(chunk))

    def count(self, name: str) -> int:
        """Points that a contestant is given."""
        most = CLIENT_MAP // (10 if self.quick else 1)
        return min(self.points, most) if name == "client.map" else self.points

    def ratios(self, name: str, base: str) -> list[float]:
        """Time per point over that of `base`, round by round."""
        scale = self.count(base) / self.count(name)
        pairs = zip(self.runs.get(name, []), self.runs.get(base, []), strict=False)
        return [scale * ours["sweep"] / theirs["sweep"] for ours, theirs in pairs]

    def row(self, name: str) -> list[str]:
        if name in self.failures:
            return [name, self.failures[name], *[""] * (8 + len(self.bases()))]
        middle = {phase: self.median(name, phase) for phase in ("sweep", "start", "export")}
        points, cores = self.count(name), 1 if name in {"loop", "lists", "swath-inline"} else WORKERS
        cost = self.cost * points / self.points
        return [
            f"{name} ({self.chunks[name]:,})" if name in self.chunks else name,
            f"{points:,}",
            str(len(self.runs[name])),
            spread([run["sweep"] for run in self.runs[name]], 3),
            f"{points / middle['sweep']:,.0f}",
            f"{1e6 * middle['sweep'] / points:,.2f}",
            f"{cost / cores / middle['sweep']:.0%}",
            f"{middle['start']:.2f}",
            f"{middle['export']:.2f}" if middle["export"] else "",
            f"{self.memory[name]:,.0f}",
            *[spread(self.ratios(name, base)) if self.ratios(name, base) else "" for base in self.bases()],
        ]

    def bases(self) -> list[str]:
        """What times are compared with."""
        return ["forked", "swath-dask", *([BEFORE] if self.before else [])]

    def median(self, name: str, phase: str) -> float:
        return statistics.median(run.get(phase, 0) for run in self.runs[name])

    def report(self, names: list[str]) -> str:
        header = [
            "contestant (chunk)",
            "points",
            "runs",
            "sweep to frame, s",
            "points/s",
            "µs/point",
            "efficiency",
        ]
        header += ["start-up, s", "export, s", "peak, MiB", *[f"time / {base}" for base in self.bases()]]
        return f"### {self.name}: {self.work.text}\n\n" + markdown(header, [self.row(name) for name in names])


def entered(workload: str, only: list[str], *, against: bool) -> list[str]:
    """Who takes part: one process alone says nothing about points that are slow."""
    out = set() if workload == "trivial" else {"loop", "lists"}
    if not against:
        out.add(BEFORE)
    named = set(only) & set(ORDER)
    return [name for name in ORDER if name not in out and (not named or name in named | {BEFORE})]


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB / 1024
    packages = [f"{name} {installed(name)}" for name in PACKAGES]
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; Linux {platform.release()}, "
        f"Python {platform.python_version()}, {', '.join(packages)}; {datetime.now(UTC):%d %B %Y}.\n"
    )


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the points, 3 pairs")
    names = [*WORKLOADS, *TARGETS, *ORDER]
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="NAME", help=", ".join(names))
    parser.add_argument("--pairs", type=int, help="rounds [15]")
    parser.add_argument("--against", metavar="CHECKOUT", help="another checkout of swath, as swath-before")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    pairs = options.pairs or (3 if options.quick else 15)
    chosen = set(options.only) - set(ORDER) or {*WORKLOADS, *TARGETS}
    before = {"PYTHONPATH": str(Path(options.against, "src").resolve())} if options.against else {}
    print(f"`python benchmarks/overhead.py {' '.join(sys.argv[1:])}`\n\n{machine()}")
    for name in [name for name in WORKLOADS if name in chosen]:
        race = Race(name, quick=options.quick, before=before)
        names = entered(name, options.only, against=bool(before))
        race.hold(names, pairs)
        print(race.report(names), flush=True)
    for name in [name for name in TARGETS if name in chosen]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(TARGETS[name](Path(folder), pairs, before), flush=True)
            except FailedError as error:
                print(f"{name}: {error}\n", flush=True)
    print(f"### The contestants\n\n```python\n{inspect.getsource(contestants).strip()}\n```")


if __name__ == "__main__":
    main()
