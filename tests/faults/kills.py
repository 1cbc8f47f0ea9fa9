"""Kill a sweep of 100 000 points with ``kill -9``, go on with the same command, and look whether a row is missing.

``python tests/faults/kills.py --kills 1000 --seed 11`` prints a table; `test_C01_...` runs the same with few kills.

Theory of operation. Sweeps are run one after the other, each killed again and again until an attempt gets to its end.
One kill in five falls somewhere in the start of an attempt, the others at a random instant after its first commit, so
that they are spread over the whole run. After each, the rows in the folder are compared with three things: what
the driver had reported as saved (`drivers`), the rows found after the kill before, and, at a sweep's end, the rows of a
run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import swath
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

sys.path.insert(0, str(Path(__file__).parent))

from drivers import PHASES, Drivers

POINTS = 100_000
STRIDE = 0.15
"""Time, at most, between an attempt's first commit and the kill, as a part of an undisturbed run."""

PATIENCE = 120.0
"""Seconds after which a driver that has committed nothing counts as hanging."""

OBJECTIVE = """
def mix(i):
    h = i
    for k in range(250):
        h = (h * 1103515245 + 12345 + k) % 2147483647
    return {"value": h / 7, "count": h, "odd": float("nan") if h % 2 else 1.0, "text": f"point {i}"}
"""
DEFINITION = f"objective: mixing:mix\nparameters:\n  i: {{range: [{POINTS}]}}\n"


@dataclass(slots=True)
class Tally:
    """What a series of kills showed; ``deciles`` is how far the sweep was at each."""

    kills: int = 0
    sweeps: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    damaged: int = 0
    deciles: Counter[int] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)

    @property
    def spotless(self) -> bool:
        return not (self.lost or self.duplicated or self.changed or self.damaged or self.trouble)

    def __str__(self) -> str:
        spread = "  ".join(f"{10 * i}%: {self.deciles[i]}" for i in range(10))
        phases = "  ".join(f"{phase}: {self.phases[phase]}" for phase in PHASES)
        return (
            f"kills {self.kills}   sweeps {self.sweeps} of {POINTS:,} points\n"
            f"lost {self.lost}   duplicated {self.duplicated}   changed {self.changed}   damaged {self.damaged}\n"
            f"rows saved at the kill, from  {spread}\n"
            f"the store was  {phases}" + "".join(f"\n{line}" for line in self.trouble)
        )


class Campaign:
    """Sweeps in a folder, killed and gone on with.

    Parameters
    ----------
    folder : Path
        Empty.
    seed : int
        Of the instants.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.tally = Tally()
        self._random = Random(seed)
        self._first = 0.6  # seconds to the first commit of an attempt, as seen last
        (folder / "mixing.py").write_text(OBJECTIVE)
        (folder / "undisturbed.yaml").write_text(DEFINITION)

    def run(self, kills: int) -> Tally:
        """Kill so often, and let the last sweep come to its end."""
        with Drivers(self.folder) as self._drivers:
            begun = time.monotonic()
            self._start("undisturbed")
            assert self._drivers.wait() == 0, (self.folder / "said").read_text()
            self._stride = STRIDE * (time.monotonic() - begun)
            self._expected = _plain(self._rows("undisturbed"))
            while (self.tally.kills < kills or not self.tally.sweeps) and not self.tally.trouble:
                self.tally.sweeps += 1
                self._sweep(f"sweep{self.tally.sweeps}", kills)
        return self.tally

    def _start(self, name: str) -> None:
        self._drivers.start("run", f"{name}.yaml", "-n", "2", "--progress", "none")

    def _rows(self, name: str) -> pa.Table | None:
        """The rows of a run; None where it has not got so far as to be one."""
        try:
            results = swath.open(self.folder / "results" / name)
        except UsageError:
            return None
        self.tally.damaged += len(results.damage)
        return results.arrow

    def _sweep(self, name: str, kills: int) -> None:
        (self.folder / f"{name}.yaml").write_text(DEFINITION)
        before: pa.Table | None = None
        while self.tally.kills < kills:
            self._start(name)
            self._wait()
            code = self._drivers.kill()
            if code != -9:
                self._judge_code(name, code)
                break
            before = self._look(name, before)
        else:  # enough of it: what is left runs in peace
            self._start(name)
            self._judge_code(name, self._drivers.wait())
        before = self._compare(name, before)
        if before is None or not _plain(before).equals(self._expected):
            self.tally.trouble.append(f"{name}: its frame is not that of the undisturbed run")

    def _judge_code(self, name: str, code: int) -> None:
        if code:
            said = (self.folder / "said").read_text()
            self.tally.trouble.append(f"{name}: exit code {code}: {said[-500:]}")

    def _wait(self) -> None:
        """Let time pass until the instant of the kill."""
        begun = time.monotonic()
        if self._random.random() < 0.2:  # while it starts
            time.sleep(self._random.uniform(0, self._first))
            return
        while not self._drivers.acknowledged.stat().st_size and self._drivers.lives():
            if time.monotonic() > begun + PATIENCE:
                self.tally.trouble.append(f"nothing was committed within {PATIENCE:g} s")
                return
            time.sleep(0.002)
        self._first = time.monotonic() - begun
        time.sleep(self._random.uniform(0, self._stride))

    def _look(self, name: str, before: pa.Table | None) -> pa.Table | None:
        """Compare what is there after a kill with what was, and count the kill."""
        now = self._compare(name, before)
        rows = now.num_rows if now is not None else 0
        self.tally.kills += 1
        if not self.tally.kills % 100:
            print(f"{self.tally}\n", file=sys.stderr, flush=True)
        self.tally.deciles[min(9, 10 * rows // POINTS)] += 1
        self.tally.phases[self._drivers.phase()] += 1
        return now

    def _compare(self, name: str, before: pa.Table | None) -> pa.Table | None:
        now = self._rows(name)
        points = _points(now)
        there = np.zeros(POINTS, bool)
        there[points] = True
        self.tally.duplicated += len(points) - int(there.sum())
        saved = np.zeros(POINTS, bool)
        for start, stop in self._drivers.saved():
            saved[start:stop] = True
        saved[_points(before)] = True
        self.tally.lost += int((saved & ~there).sum())
        if now is not None and before is not None:
            self.tally.changed += _changed(before, now, there)
        return now


def _points(table: pa.Table | None) -> np.ndarray:
    return np.zeros(0, np.int64) if table is None else table["point"].to_numpy()


def _plain(table: pa.Table) -> pa.Table:
    """What must not depend on how a sweep was run: point, parameter, metrics and status."""
    names = table.column_names
    return _decoded(table.select(names[: names.index("status") + 1]))


def _decoded(table: pa.Table) -> pa.Table:
    """The same in a form in which equal means equal in every bit."""
    return pa.table([_bits(column.combine_chunks()) for column in table.columns], names=table.column_names)


def _changed(before: pa.Table, now: pa.Table, there: np.ndarray) -> int:
    """Count the rows that were there before and differ now in any bit of any column."""
    common = before.filter(pa.array(there[_points(before)]))
    if not common.num_rows:  # nor are there any metrics in it
        return 0
    place = np.full(POINTS, -1)
    place[_points(now)] = np.arange(now.num_rows)
    old = _decoded(common)
    new = _decoded(now.take(pa.array(place[_points(common)])))
    differs = np.zeros(old.num_rows, bool)
    for a, b in zip(old.columns, new.columns, strict=True):
        same = pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))
        differs |= ~same.to_numpy()
    return int(differs.sum())


def _bits(column: pa.Array) -> pa.Array:
    """Floats as integers, so that NaN is compared too; texts instead of their numbers, which may change."""
    if pa.types.is_floating(column.type):
        return column.view(pa.int64())
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print its table; the exit code is 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(description="Kill sweeps of 100 000 points, and go on with them.")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = Campaign(Path(folder), options.seed).run(options.kills)
    print(f"{tally}\n{(time.monotonic() - begun) / max(1, tally.kills):.2f} s a kill")
    return int(not tally.spotless)


if __name__ == "__main__":
    sys.exit(main())
