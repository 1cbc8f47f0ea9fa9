"""Sweeps whose points end early, for real: what is saved, shown and gone on with, also after ``kill -9``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import count
from random import Random

import pytest

import swath
from running import ask, begun, command, until

TRAINING = """
import time
from pathlib import Path
import swath

HERE = Path(__file__).parent

def train(end, speed, pause=0.0):
    state = swath.checkpoint() / "epoch"
    epoch = int(state.read_text()) if state.exists() else 0
    while True:
        if epoch:  # where it goes on, it says once more where it is
            yield {"step": epoch, "loss": end + 1.0 / epoch ** speed}
        if epoch == 27:
            return
        time.sleep(pause)
        epoch += 1
        beside = state.with_name("new")
        beside.write_text(str(epoch))
        beside.replace(state)
        with open(HERE / "epochs", "a") as file:
            file.write(f"{end} {speed} {epoch}\\n")
"""

NUMBERS = count()

DEFINITION = """
objective: MODULE:train
parameters: {end: [0.5, 0.4, 0.3, 0.2, 0.1, 0.0], speed: [0.2, 0.5, 1.0, 2.0]}
order: shuffle
minimize: loss
stop: {method: asha, max_steps: 27, reduction: 3}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    module = f"training{next(NUMBERS)}"  # each its own, since all are imported here
    (tmp_path / f"{module}.py").write_text(TRAINING)
    (tmp_path / "train.yaml").write_text(DEFINITION.replace("MODULE", module))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(folder, old, new):
    file = folder / "train.yaml"
    file.write_text(file.read_text().replace(old, new))


def epochs(folder):
    """How often each epoch of each point was trained."""
    try:
        lines = (folder / "epochs").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    return Counter(tuple(map(float, line.split())) for line in lines)


def trained(results):
    """The steps that are on disk, as `epochs` tells them; every point's begin at 1 and leave none out."""
    points = results.frame
    found = set()
    for point, curve in results.curves.groupby("point"):
        assert curve["step"].tolist() == [*range(1, len(curve) + 1)]
        row = points.loc[point]
        assert row["loss"] == curve["loss"].iloc[-1], "the row holds what was recorded last"
        found |= {(row["end"], row["speed"], float(step)) for step in curve["step"]}
    return found


def decisions(folder):
    lines = map(json.loads, (folder / "results/train/events.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] in ("prune", "promote")]


def test_an_inline_run_ends_points_early_has_some_go_on_and_says_why(study):
    results = swath.load("train.yaml").run(engine="inline")
    statuses = Counter(results.frame["status"])
    assert set(statuses) == {"ok", "pruned"}
    assert sum(statuses.values()) == 24
    counts = epochs(study)
    assert set(counts.values()) == {1}, "nothing is trained twice"
    assert set(counts) == trained(results)
    assert 3 * counts.total() < 24 * 27
    assert results.best(1)["end"].tolist() == [0.0]
    noted = decisions(study)
    assert {line["event"] for line in noted} == {"prune", "promote"}
    ended = Counter(line["point"] for line in noted if line["event"] == "prune")
    went_on = Counter(line["point"] for line in noted if line["event"] == "promote")
    for point, row in results.frame.iterrows():
        assert ended[point] - went_on[point] == (row["status"] == "pruned")
        assert row["attempts"] == 1 + went_on[point]
    [listed] = json.loads(ask("ls", "--json", folder=study).stdout)
    assert (listed["rows"], listed["pruned"]) == (24 + went_on.total(), statuses["pruned"])
    point = next(iter(went_on))
    said = ask("show", "train", point, folder=study).stdout
    assert "stopped early: loss " in said
    assert "went on: loss " in said


def test_the_same_inline_run_decides_the_same_again(study):
    first, second = (
        swath.load("train.yaml").run(engine="inline", out=study / name) for name in ("one", "two")
    )
    for results in (first, second):
        assert len(results.frame) == 24
    columns = ["status", "loss", "attempts"]
    assert first.frame[columns].equals(second.frame[columns])


def test_a_run_that_is_complete_has_nobody_go_on_and_retry_pruned_runs_them_again(study):
    swath.load("train.yaml").run(engine="inline")
    before = epochs(study)
    said = ask("run", "train.yaml", "--engine", "inline", folder=study).stderr
    assert "nothing was left to do" in said
    assert epochs(study) == before
    edit(study, "stop:", "# stop:")
    ask("run", "train.yaml", "--retry", "pruned", "--engine", "inline", folder=study)
    results = swath.open(study / "results/train")
    assert (results.frame["status"] == "ok").all()
    counts = epochs(study)
    assert set(counts.values()) == {1}, "they went on from their checkpoints"
    assert sum(counts.values()) == 24 * 27


def test_what_a_limit_has_left_is_decided_as_if_nothing_had_happened(study):
    swath.load("train.yaml").run(engine="inline", out=study / "whole")
    for _ in range(30):
        results = swath.load("train.yaml").run(engine="inline", limit=5)
        if len(results.frame) == 24 and not results.frame["status"].isna().any():
            break
    whole = swath.open(study / "whole" / "train")
    assert set(results.frame["status"]) == {"ok", "pruned"}
    assert trained(results) <= set(epochs(study))
    assert results.best(1)["loss"].tolist() == whole.best(1)["loss"].tolist()


@pytest.mark.timeout(0)  # as many kills as are asked for
def test_killed_again_and_again_no_step_is_lost_or_doubled_and_no_epoch_trained_twice(study, pytestconfig):
    random = Random(pytestconfig.getoption("--first-seed"))
    kills = max(1, pytestconfig.getoption("--kills") // 12)
    edit(study, "parameters: {", "parameters: {pause: 0.02, ")
    words = command("run", "train.yaml", "-n", "2", "--progress", "none")
    killed = 0
    while killed < kills:
        enough = epochs(study).total() + random.randint(10, 40)
        with begun(*words, folder=study) as process:
            until(lambda: process.poll() is not None or epochs(study).total() >= enough)  # noqa: B023  # now
            process.kill()
            if process.wait() == 0:
                break
            killed += 1
    assert killed
    ask("run", "train.yaml", "-n", "2", "--progress", "none", folder=study)
    results = swath.open(study / "results/train")
    assert len(results.frame) == 24
    assert set(results.frame["status"]) == {"ok", "pruned"}
    assert not results.damage
    counts = epochs(study)
    assert set(counts.values()) == {1}, "an epoch was trained again although its checkpoint was complete"
    saved = trained(results)
    assert len(saved - set(counts)) <= 2 * killed, "a step is there that nobody has trained"
    assert saved >= set(counts), "a step was lost"
    assert results.best(1)["end"].tolist() == [0.0]


def test_check_says_which_points_will_end_early(study):
    assert (
        "stop       asha by loss, max_steps 27, reduction 3\n"
        in ask("check", "train.yaml", folder=study).stdout
    )
