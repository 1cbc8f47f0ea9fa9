"""``kill -9`` in the middle of a search, again and again: proposals, rows and steps are neither lost nor doubled.

Longer: ``pytest tests/test_search_resume.py --search-kills 100``. Plain sweeps are killed in ``faults/kills.py``; the
drivers are those of ``faults/drivers.py``.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

import swath
from running import PATIENCE
from swath.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

sys.path.insert(0, str(Path(__file__).parent / "faults"))

from drivers import Drivers

OBJECTIVES = """
import json, os, time
from pathlib import Path

import swath

RAN = Path(__file__).with_name("ran")


def note(*words):
    ran = os.open(RAN, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ran, json.dumps(words).encode() + b"\\\\n")
    os.close(ran)


def bowl(x, y, kind):
    note(x, y, kind)
    time.sleep(0.02)
    return (x - 0.3) ** 2 + (y + 0.2) ** 2 + (kind == "b")


def descent(x, y, steps):
    note(x, y)
    file = swath.checkpoint() / "step"
    done = int(file.read_text()) if file.exists() else 0
    for step in range(max(done, 1), steps + 1):
        if step > done:  # else it was saved, but perhaps not heard
            time.sleep(0.003)
            (file.parent / "part").write_text(str(step))
            os.replace(file.parent / "part", file)
        yield {"step": step, "loss": loss(x, y, step)}


def loss(x, y, step):
    return abs(x - 0.3) + abs(y + 0.2) + 1 / step
""".replace("\\\\", "\\")

TPE = {
    "objective": "searched:bowl",
    "parameters": {"x": {"uniform": [-1, 1]}, "y": {"uniform": [-1, 1]}, "kind": ["a", "b"]},
    "search": {"method": "tpe", "points": 60},
    "minimize": "value",
}


STEPS, RUNGS = 27, {1, 3, 9}
ASHA = {
    "objective": "searched:descent",
    "parameters": {"x": {"uniform": [-1, 1]}, "y": {"uniform": [-1, 1]}, "steps": STEPS},
    "search": {"method": "tpe", "points": 60},
    "stop": {"method": "asha", "reduction": 3, "max_steps": STEPS},
    "minimize": "loss",
}


@dataclass
class Kept:
    """What was found in a run folder."""

    proposals: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    curves: pd.DataFrame | None = None


class Killed:
    """A search that is killed now and then, and looked at each time."""

    def __init__(self, folder: Path, definition: dict[str, Any], seed: int) -> None:
        self.folder, self.definition = folder, definition
        self.random = Random(seed)
        self.before = Kept()
        (folder / "searched.py").write_text(OBJECTIVES)
        (folder / "search.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))

    def run(self, kills: int) -> swath.Results:
        """Kill it so often, where it does not end before, and let it come to its end."""
        with Drivers(self.folder) as drivers:
            for _ in range(kills):
                self._start(drivers)
                self._wait(drivers)
                if (code := drivers.kill()) != -9:
                    assert code == 0, (self.folder / "said").read_text()
                    break
                self._look(drivers.saved())
            else:
                self._start(drivers)
                assert drivers.wait() == 0, (self.folder / "said").read_text()
            self._look(drivers.saved())
        return swath.open(self.folder / "results" / "search")

    def _start(self, drivers: Drivers) -> None:
        (self.folder / "ran").unlink(missing_ok=True)
        drivers.start("run", "search.yaml", "-n", "2", "--progress", "none")

    def _wait(self, drivers: Drivers) -> None:
        """Let some time pass: in one case of five of the start, else from the first commit on."""
        if self.random.random() < 0.2:
            time.sleep(self.random.uniform(0, 0.6))
            return
        deadline = time.monotonic() + PATIENCE
        while not drivers.acknowledged.stat().st_size and drivers.lives():
            assert time.monotonic() < deadline, "nothing was saved"
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, 0.4))

    def _look(self, saved: list[tuple[int, int]]) -> None:
        """Compare what is there with what was there, and with what the driver had said and the points had noted."""
        now, before = self._kept(), self.before
        assert now.proposals[: len(before.proposals)] == before.proposals, "proposals changed"
        assert {*before.rows} <= {*now.rows}, "rows were lost"
        final = {point: row for point, row in before.rows.items() if row[-1] == "ok"}
        assert {point: now.rows[point] for point in final} == final, "rows changed"
        told = {point for start, stop in saved for point in range(start, stop)}
        assert told <= {*now.rows}, "rows that were reported as saved are lost"
        again = self._ran() & {row[: len(self._searched())] for row in final.values()}
        assert not again, "points ran again although their rows were saved"
        self.before = now

    def _searched(self) -> list[str]:
        return [name for name, values in self.definition["parameters"].items() if name != "steps"]

    def _ran(self) -> set[tuple[Any, ...]]:
        """Contents of the points that this attempt has begun."""
        file = self.folder / "ran"
        return {tuple(json.loads(line)) for line in file.read_text().splitlines()} if file.exists() else set()

    def _kept(self) -> Kept:
        try:
            results = swath.open(self.folder / "results" / "search")
            definition = results.definition
        except UsageError:  # killed before there was a run
            return Kept()
        assert results.damage == ()
        book = definition.space.proposals
        proposals = list(book.rows(0, book.known))
        frame = results.frame
        assert frame.index.is_unique
        names = [*self._searched(), "status"]
        rows = {
            int(point): tuple(row) for point, row in zip(frame.index, frame[names].to_numpy(), strict=True)
        }
        for point, row in rows.items():  # a row never stands without its proposal, and has what that says
            assert dict(zip(names, row[:-1], strict=False)) == proposals[point]
        assert len({*map(json.dumps, proposals)}) == len(proposals), "a point was proposed twice"
        return Kept(proposals, rows, results.curves)


@pytest.mark.timeout(0)  # as many kills as are asked for
def test_a_tpe_search_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path, pytestconfig):
    kills = pytestconfig.getoption("--search-kills")
    search = Killed(tmp_path, TPE, seed=pytestconfig.getoption("--first-seed"))
    frame = search.run(kills).frame
    assert list(frame.index) == list(range(60))
    assert len(search.before.proposals) == 60
    assert set(frame["status"]) == {"ok"}
    # it still knew what it had been told: ten points at random, the last ones near the minimum
    far = np.hypot(frame["x"] - 0.3, frame["y"] + 0.2) + (frame["kind"] == "b")
    assert far[40:].median() < 0.5 * far[:10].median()


@pytest.mark.timeout(0)
def test_an_asha_search_that_is_killed_loses_and_doubles_no_step(tmp_path, pytestconfig):
    kills = pytestconfig.getoption("--search-kills")
    search = Killed(tmp_path, ASHA, seed=pytestconfig.getoption("--first-seed") + 1)
    results = search.run(kills)
    frame, curves = results.frame, results.curves
    assert list(frame.index) == list(range(60))
    assert set(frame["status"]) == {"ok", "pruned"}
    for point, row in frame.iterrows():
        steps = curves[curves["point"] == point]
        last = STEPS if row["status"] == "ok" else int(steps["step"].max())
        assert steps["step"].tolist() == list(range(1, last + 1))  # none lost, none twice
        assert steps["loss"].tolist() == [
            abs(row["x"] - 0.3) + abs(row["y"] + 0.2) + 1 / n for n in steps["step"]
        ]
        assert row["loss"] == steps["loss"].iloc[-1]
    stopped = frame.index[frame["status"] == "pruned"]
    ends = curves[curves["point"].isin(stopped)].groupby("point")["step"].max()
    assert (ends < STEPS).all()
