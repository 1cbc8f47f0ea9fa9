"""Driver faults B34, C02, C04, C06, C09, C15, C16, C20 and C21: everything fails, time jumps, the machine is poor, we are wrong."""

from __future__ import annotations

import signal
import time

import pytest

import swath
from running import HOLD, ask, ran, until
from swath.commands.foreground import GRACE, Signals
from swath.messages import Urgency

RUN = ("run", "study.yaml", "-n", "2")
HELD = "objective: study:hold\nparameters: {x: {range: [20]}}\n"


def laid(folder, text, code=HOLD):
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(text)
    (folder / "study.py").write_text(code)
    return folder


def saved(folder):
    return swath.open(folder / "results/study")


# B34: everything fails.

BROKEN = """
from pathlib import Path

def read(x):
    if (Path(__file__).parent / "mended").exists():
        return x
    return open("data/cases.csv").read()
"""


def test_B34_points_that_all_fail_alike_stop_the_sweep_and_say_so(tmp_path):
    laid(tmp_path, "objective: study:read\nparameters: {x: {range: [200000]}}\norder: shuffle\n", BROKEN)
    said = ask(*RUN, folder=tmp_path, code=4).stderr
    line = next(line for line in said.splitlines() if line.startswith("Stopped: "))
    words = line.replace(",", "").split()
    failed, left = int(words[3]), int(words[-3])
    assert line == f"Stopped: the first {failed:,} points all failed alike; {left:,} not started."
    assert 20 <= failed <= 200_000 - left < 200_000
    assert "  FileNotFoundError: [Errno 2] No such file or directory: 'data/cases.csv'   (point " in said
    point = said.partition("See: swath show study ")[2].split()[0]
    assert "After the fix: swath run study.yaml -n 2 --retry error" in said
    shown = ask("show", "study", point, folder=tmp_path).stdout
    assert "data/cases.csv" in shown
    assert saved(tmp_path).statuses == {"error": 200_000 - left}
    (tmp_path / "mended").touch()
    ask(*RUN, "--retry", "error", "--limit", "1000", folder=tmp_path, code=4)
    assert saved(tmp_path).statuses["ok"] == 1000


def test_B34_max_failures_takes_the_place_of_the_brake(tmp_path):
    laid(tmp_path, "objective: study:read\nparameters: {x: {range: [400]}}\n", BROKEN)
    said = ask(*RUN, "--max-failures", "30", folder=tmp_path, code=4).stderr
    assert "points failed; " in said
    assert "data/cases.csv'   (point " in said
    assert "After the fix: swath run study.yaml -n 2 --max-failures 30 --retry error" in said
    assert saved(tmp_path).statuses["error"] >= 30


# C02: a grace for those who do not wait.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_C02_a_machine_that_wants_us_gone_gives_running_points_a_grace(number):
    asked = []
    with Signals() as signals:
        signals.attach(lambda *wish: asked.append(wish))
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert asked == [(Urgency.DRAIN, GRACE), (Urgency.NOW, GRACE)]


def test_C02_after_the_grace_nobody_is_waited_for(tmp_path):
    laid(tmp_path, HELD)
    handle = swath.load(tmp_path / "study.yaml").start(out=tmp_path / "results", workers=1)
    until(lambda: len(ran(tmp_path)) == 1)
    begun = time.monotonic()
    handle.stop(Urgency.DRAIN, 0.3)
    assert handle.wait(60)
    assert time.monotonic() - begun >= 0.3
    assert handle.snapshot.state == "stopped"
    assert handle.outcome.exit_code == 130
