"""Measures that are not a race: starting up, memory of a long sweep, going on, checking a huge grid."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from measure import markdown, peak, printed, seconds, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IMPORTS = ("-c", "import distributed, pandas")
OBJECTIVE = "def product(x, y, z=0, w=0):\n    return x * y\n"


def sweep(folder: Path, name: str, parameters: str) -> str:
    """Write a definition and its objective; give the definition's path."""
    (folder / "bench.py").write_text(OBJECTIVE)
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\nobjective: bench:product\nparameters: {parameters}\n")
    return str(file)


def startup(folder: Path, pairs: int, before: Mapping[str, str]) -> str:
    """A whole process each, in turns."""
    four = sweep(folder, "four", "{x: [1, 2], y: [3, 4]}")
    run, imports, earlier = [], [], []
    for pair in range(pairs):
        command = ("-m", "swath", "run", four, "--progress", "none", "--out")
        run.append(seconds(*command, str(folder / f"out{pair}")))
        imports.append(seconds(*IMPORTS))
        if before:
            earlier.append(seconds(*command, str(folder / f"before{pair}"), environment=before))
    rows = [
        ["`swath run` of 4 points, s", spread(run)],
        ['`python -c "import distributed, pandas"`, s', spread(imports)],
        ["ratio of pairs", ratio(run, imports)],
    ]
    if before:
        rows += [["swath-before, s", spread(earlier)], ["ratio to it", ratio(run, earlier)]]
    return markdown(["start-up, whole process", "median (quartiles)"], rows)


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Spread of the ratios, pair by pair."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def memory(folder: Path, pairs: int, before: Mapping[str, str]) -> str:
    """Highest resident memory of the driver's process, `where` and `shuffle` included, no frame made."""
    del folder, pairs, before
    few, many = (printed(__file__, str(points)) for points in (10**5, 10**7))
    rows = [
        [phase, f"{few[phase]:.0f}", f"{many[phase]:.0f}", f"{many[phase] - few[phase]:.0f}"]
        for phase in ("until all rows are saved", "export included")
    ]
    return markdown(
        ["driver's peak memory (`where`, `shuffle`), MiB", "10^5 points", "10^7 points", "growth"], rows
    )


def grow(points: int) -> None:
    """Be the driver of `memory`."""
    import swath  # noqa: PLC0415  (only this process needs it)
    from workloads import product  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as out:
        grid = {"x": range(points // 1000), "y": range(1000)}
        space = {"where": "(x + y) % 7 != 3", "order": "shuffle", "name": "memory"}
        handle = swath.Sweep(product, grid, **space).start(out=out, workers=2)
        saved = own_peak()
        while handle.snapshot.state not in {"complete", "stopped"}:
            saved = own_peak()
            time.sleep(0.02)
        handle.wait()
        handle.finished()
    print(json.dumps({"until all rows are saved": saved, "export included": own_peak()}))


def own_peak() -> float:
    """Most memory that this process has had (MiB, resident)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def resume(folder: Path, pairs: int, before: Mapping[str, str]) -> str:
    """Seconds from the start of ``swath run`` to the start of the first new point."""
    del before
    file, saved = sweep(folder, "resume", "{x: {range: [1001]}, y: {range: [1000]}}"), folder / "saved"
    seconds(
        "-m", "swath", "run", file, "--out", str(saved), "--limit", "1000000", "--progress", "none", ok=(0, 4)
    )
    imports, fresh, resumed = [], [], []
    for pair in range(min(pairs, 5)):
        copy = folder / f"copy{pair}"
        shutil.copytree(saved, copy)
        imports.append(seconds(*IMPORTS))
        fresh.append(first_point(file, folder / f"fresh{pair}", "x=1,2"))
        resumed.append(first_point(file, copy))
        shutil.rmtree(copy)
    beyond = [a - b for a, b in zip(resumed, imports, strict=True)]
    rows = [
        ["imports alone", spread(imports)],
        ["first point of a new run", spread(fresh)],
        ["first new point after 1,000,000 finished ones", spread(resumed)],
        ["the same beyond imports", spread(beyond)],
    ]
    return markdown(["going on", "seconds, median (quartiles)"], rows)


def first_point(file: str, out: Path, *overrides: str) -> float:
    import swath  # noqa: PLC0415  (the other measures do without)

    before = time.time()
    seconds("-m", "swath", "run", file, *overrides, "--out", str(out), "--progress", "none")
    started = swath.open(out / "resume").frame["started"].map(lambda moment: moment.timestamp())
    return float(started[started > before].min()) - before


def check(folder: Path, pairs: int, before: Mapping[str, str]) -> str:
    """A grid of 10^12 points, against the imports that reading a definition needs."""
    del before
    grid = ", ".join(f"{name}: {{range: [1000]}}" for name in "xyzw")
    command = ("-m", "swath", "check", sweep(folder, "big", f"{{{grid}}}"))
    imports = ("-c", "import swath.cli, swath.definition, swath.definition.loading")
    rows = [
        [
            "`swath check`, 10^12 points",
            spread([seconds(*command) for _ in range(pairs)]),
            f"{peak(*command):.0f}",
        ],
        ["its imports alone", spread([seconds(*imports) for _ in range(pairs)]), f"{peak(*imports):.0f}"],
    ]
    return markdown(["check", "seconds, median (quartiles)", "peak memory, MiB"], rows)


TARGETS: dict[str, Callable[[Path, int, Mapping[str, str]], str]] = {
    "startup": startup,
    "memory": memory,
    "resume": resume,
    "check": check,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=grow.__doc__)
    parser.add_argument("points", type=int)
    parser.add_argument("--started", help="ignored")
    grow(parser.parse_args().points)


if __name__ == "__main__":
    main()
