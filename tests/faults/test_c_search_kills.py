"""A search whose points record steps, killed again and again: no row, step or proposal is lost, doubled or another's."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

import swath
from drivers import Drivers
from swath.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

POINTS, SEEDS, STEPS = 24, 2, 6
OBJECTIVE = f"""
import time
import swath

def train(x, kind, seed):
    for step in range(1, {STEPS} + 1):
        time.sleep(0.004)
        swath.record(step=step, loss=x * 1000 + seed % 1000 + step, late=float("nan") if step < 4 else x)
    return {{"loss": x * 1000 + seed % 1000}}
"""
DEFINITION = f"""
objective: training:train
parameters: {{x: {{range: [1000]}}, kind: [a, b], seed: {{seeds: {SEEDS}}}}}
search: {{method: tpe, points: {POINTS}, startup: 6}}
minimize: loss
"""


class Look:
    """The run as it is on the disk, after a check that nothing in it is wrong."""

    def __init__(self, folder: Path) -> None:
        self.rows: dict[int, tuple[Any, ...]] = {}
        self.complete = False
        try:
            results = swath.open(folder / "results/study")
        except UsageError:  # nothing was begun
            return
        assert results.damage == ()
        frame, curves = results.frame, results.curves
        self.complete = results.complete
        for point, row in zip(frame.index, frame.itertuples(), strict=True):
            self.rows[point] = row.x, row.kind, row.seed, row.loss
            assert row.status == "ok"
            assert row.loss == row.x * 1000 + row.seed % 1000
        for point, own in curves.groupby("point"):
            count = len(own)
            assert own["step"].tolist() == list(range(1, count + 1)), (point, own)
            base = own["loss"].iloc[0] - 1
            assert own["loss"].tolist() == [base + step for step in range(1, count + 1)]
            if point in self.rows:
                assert base == self.rows[point][3]
        done = curves["point"].value_counts()
        assert all(done.get(point) == STEPS for point in self.rows), "a row without all of its steps"


@pytest.mark.timeout(0)  # as many kills as are asked for
def test_C01_a_search_that_records_steps_is_killed_at_random_instants(tmp_path, pytestconfig):
    kills = max(3, pytestconfig.getoption("--kills") // 8)
    dice = random.Random(pytestconfig.getoption("--first-seed"))
    (tmp_path / "training.py").write_text(OBJECTIVE)
    before, killed, sweep = Look(tmp_path), 0, 0
    with Drivers(tmp_path) as drivers:
        while killed < kills or not before.complete:
            if before.complete:
                sweep += 1
                (tmp_path / "results/study").rename(tmp_path / f"study{sweep}")
                before = Look(tmp_path)
            (tmp_path / "study.yaml").write_text(DEFINITION)
            drivers.start("run", "study.yaml", "-n", "2", "--progress", "none")
            if killed < kills:
                begun = time.monotonic()
                while not drivers.acknowledged.stat().st_size and drivers.lives() and dice.random() > 0.001:
                    time.sleep(0.002)
                    assert time.monotonic() < begun + 120
                time.sleep(dice.uniform(0, 1.2))
                killed += drivers.kill() == -9
            else:
                assert drivers.wait() == 0, (tmp_path / "said").read_text()
            now = Look(tmp_path)
            assert before.rows.items() <= now.rows.items()
            reported = {p for start, stop in drivers.saved() for p in range(start, stop)}
            assert reported <= now.rows.keys()
            before = now
    assert len(before.rows) == POINTS * SEEDS
