"""Run the fault catalogue and count what survives: ``python -m tests.faults [--times N] [pytest options]``.

From the root of the repository. An id survives if it has a test and all of its tests pass; a skipped test is no
survival. ``-k B07`` and the options of ``tests/README.md`` are handed to pytest. The exit code is 0 if nothing failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.catalogue import CATALOGUE, OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).parents[2]
_IDS = re.compile(r"test_((?:[A-F]\d\d_)+)")  # a test may bear several


@dataclass(slots=True)
class Case:
    """What became of the tests of one id."""

    tests: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def note(self, test: str, what: str, reason: str) -> None:
        self.tests.add(test)
        if what == "begun":
            self.begun.add(test)
        elif what == "ended":
            self.ended.add(test)
        elif what == "failed":
            self.failed.setdefault(test, reason)
        elif what == "skipped":
            self.skipped[test] = reason

    @property
    def survives(self) -> bool:
        return bool(self.tests) and self.tests == self.ended and not self.skipped and not self.failed

    def faults(self) -> Iterable[str]:
        for test, reason in self.failed.items():
            yield f"failed   {_short(test)}: {reason}"
        for test in sorted(self.begun - self.ended - set(self.failed)):
            yield f"failed   {_short(test)}: the test process ended in it"

    def misses(self) -> Iterable[str]:
        yield from self.faults()
        for test, reason in self.skipped.items():
            yield f"skipped  {_short(test)}: {reason}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the catalogue as often as asked, print what does not survive, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--times", type=int, default=1, help="repeat all of it; an id must survive every time"
    )
    options, passed_on = parser.parse_known_args(arguments)
    survivors, failures = set(CATALOGUE), 0
    for turn in range(options.times):
        if options.times > 1:
            print(f"-- {turn + 1} of {options.times}", flush=True)
        cases, code = _run(passed_on)
        failures += _report(cases) + (code not in (0, 1, 5))  # 1: tests failed, 5: none chosen
        if code not in (0, 1, 5):
            print(f"pytest ended with {code}")
        alive = {key for key, case in cases.items() if case.survives}
        survivors &= alive
        print(f"survived {len(alive & set(CATALOGUE))}/{len(CATALOGUE)}", flush=True)
    if options.times > 1:
        print(f"survived {len(survivors)}/{len(CATALOGUE)}, each {options.times} times in a row")
    return int(failures > 0)


def _run(passed_on: Sequence[str]) -> tuple[dict[str, Case], int]:
    """Run pytest in a process of its own; return what became of each id, and pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder, "ledger")
        ledger.touch()
        pytest = [sys.executable, "-m", "pytest", "-p", "tests.faults.ledger", f"--ledger={ledger}"]
        quiet = ["-q", "--no-header", "-r", "N", "--tb=short", str(Path(__file__).parent)]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run([*pytest, *quiet, *passed_on], cwd=ROOT, env=environment, check=False)
        cases: defaultdict[str, Case] = defaultdict(Case)
        for line in ledger.read_text(encoding="utf-8").splitlines():
            test, what, reason = json.loads(line)
            for key in ids(test):
                cases[key].note(test, what, reason)
    return cases, done.returncode


def ids(test: str) -> list[str]:
    """The ids that a test bears; an empty one if none, for it may fail all the same."""
    found = _IDS.search(test)
    return found[1].rstrip("_").split("_") if found else [""]


def _report(cases: dict[str, Case]) -> int:
    """Print a line for each id that does not survive, and why; return the number of failures."""
    failures, aside = 0, []
    for key in [*CATALOGUE, *sorted(set(cases) - set(CATALOGUE))]:
        case = cases.get(key, Case())
        failures += len(list(case.faults()))
        for miss in case.misses():
            print(f"{key:3}  {miss}")
        if case.tests - case.begun - set(case.failed):
            aside.append(key)
        elif not case.tests:
            print(
                f"{key:3}  open     {OPEN[key]}: {CATALOGUE[key]}"
                if key in OPEN
                else f"{key}  no test  {CATALOGUE[key]}"
            )
    if aside:
        print(f"not run, or not all of it: {' '.join(aside)}")
    return failures


def _short(test: str) -> str:
    return test.rpartition("/")[2]


if __name__ == "__main__":
    sys.exit(main())
