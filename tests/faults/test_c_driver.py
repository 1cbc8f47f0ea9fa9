"""Driver faults B34, C02, C15, C16, C20 and C21: everything fails, the driver itself is wrong, and one goes on."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import chdir
from itertools import count
from random import Random

import psutil
import pytest
from click.testing import CliRunner
from pandas.testing import assert_frame_equal

import swath
from running import HOLD, ask, begun, command, outcome, ran, until
from swath.cli import sweep as cli
from swath.commands.foreground import GRACE, Signals
from swath.driver import Driver
from swath.messages import Finished, Urgency
from swath.progress import Progress
from swath.run.journal import MOST, Journal
from swath.views.terminal import Lines

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
    signal.raise_signal(number)  # too late: it is leaving
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


# C15: we are wrong.

NUMBERS = count()  # the inline engine imports the objective here, and a module's name once
SQUARE = "import time\n\ndef square(x):\n    time.sleep(0.01)\n    return x * x\n"


@pytest.fixture
def squares(tmp_path, monkeypatch):
    monkeypatch.setattr("swath.batching.BUDGET", 0.05)  # many batches, so that much happens
    module = f"square_{next(NUMBERS)}"
    (tmp_path / f"{module}.py").write_text(SQUARE)
    return laid(tmp_path, f"objective: {module}:square\nparameters: {{x: {{range: [40]}}}}\n")


def here(folder, *options):
    """Do what ``swath run`` does, in this process and thread."""
    with chdir(folder):
        return CliRunner().invoke(cli, ["run", "study.yaml", "--engine", "inline", *options])


def whole(folder):
    return saved(folder).frame.value.tolist() == [x * x for x in range(40)]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RecursionError("maximum recursion depth exceeded"), AssertionError("not so")],
    ids=repr,
)
def test_C15_a_mistake_in_the_driver_keeps_what_is_finished_and_writes_a_report(error, squares):
    real, seen = Driver.handle, []

    def sick(driver, event):
        seen.append(event)
        if isinstance(event, Finished) and sum(isinstance(one, Finished) for one in seen) == 5:
            raise error
        return real(driver, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Driver, "handle", sick)
        done = here(squares)
    assert done.exit_code == 70, done.output
    finished = sum(one.reply.rows for one in seen if isinstance(one, Finished)) - seen[-1].reply.rows
    assert 0 < len(saved(squares)) == finished < 40
    assert f"swath failed by a mistake of its own: {type(error).__name__}: {error}; the " in done.output
    assert "rows saved so far are safe, and the same command goes on. Please report it with" in done.output
    assert "results/study/logs/report-1.txt" in done.output
    report = (squares / "results/study/logs/report-1.txt").read_text()
    for part in (
        "Traceback",
        "in sick",
        type(error).__name__,
        "pyarrow",
        "40 positions: ",
        '"event": "start"',
    ):
        assert part in report
    assert here(squares).exit_code == 0
    assert whole(squares)
    assert "report-1" in " ".join(path.name for path in (squares / "results/study/logs").iterdir())


def test_C15_a_report_that_cannot_be_written_hides_nothing(squares):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swath.run.report.versions", lambda: {}[""])
        patch.setattr(Driver, "_settle", lambda *_: 1 / 0)
        done = here(squares)
    assert done.exit_code == 70
    assert "ZeroDivisionError: division by zero" in done.output
    assert here(squares).exit_code == 0
    assert whole(squares)


def test_C15_a_mistake_in_the_store_is_told_in_the_same_way(squares):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swath.store.intake.accept", lambda *_: {}["no part"])
        done = here(squares)
    assert done.exit_code == 70
    assert "KeyError" in done.output
    assert "logs/report-1.txt" in done.output
    assert here(squares).exit_code == 0
    assert whole(squares)


# The journal.


def events(folder):
    return [json.loads(line) for line in (folder / "results/study/events.jsonl").read_text().splitlines()]


def test_C15_the_journal_tells_what_happened(squares):
    assert here(squares, "--limit", "5").exit_code == 4
    assert here(squares).exit_code == 0
    told = events(squares)
    assert [one["event"] for one in told] == ["start", "joined", "end"] * 2
    assert (told[0]["done"], told[0]["to_do"], told[2]["ending"]) == (0, 40, "limit")
    assert (told[3]["done"], told[3]["to_do"], told[5]["ending"]) == (5, 35, "complete")


def test_C15_a_journal_stays_small_is_escaped_and_harms_nobody(tmp_path):
    journal = Journal(tmp_path)
    journal.note("odd", text='a "quoted"\nline\ud800\x1b[2J', more=object(), name="x" * 10_000)
    for number in range(5000):
        journal.often("lost", batch=number, reason="y" * 300)
    journal.close()
    journal.note("late")
    lines = journal.path.read_text().splitlines()
    assert len(lines) == 1 + 1000
    odd = json.loads(lines[0])
    assert odd["text"] == 'a "quoted"\nline\ud800\x1b[2J'
    assert len(odd["name"]) == 500
    assert lines[0].isascii()
    assert lines[0].isprintable()
    journal.path.write_bytes(journal.path.read_bytes() * 5)
    again = Journal(tmp_path)
    again.note("start")
    again.close()
    assert again.path.stat().st_size < MOST
    assert [json.loads(line) for line in again.path.read_text().splitlines()][-1]["event"] == "start"
    for obstacle in ("folder", "link"):
        place = tmp_path / obstacle
        place.mkdir()
        target = place / "events.jsonl"
        target.mkdir() if obstacle == "folder" else target.symlink_to(tmp_path / "elsewhere")
        harmless = Journal(place)
        harmless.note("start")
        harmless.close()
    assert not (tmp_path / "elsewhere").exists()


# C16: the views are wrong.


@pytest.mark.parametrize(
    ("where", "name"),
    [(Progress, "feed"), (Progress, "snapshot"), (Lines, "show"), (Lines, "note"), (Lines, "close")],
)
def test_C16_a_view_that_raises_does_not_harm_the_sweep(where, name, squares, monkeypatch):
    real, calls = getattr(where, name), []

    def sick(*arguments, **options):
        calls.append(name)
        if len(calls) > 1 or name in ("show", "close"):
            raise KeyError("a mistake")
        return real(*arguments, **options)

    monkeypatch.setattr(where, name, sick)
    done = here(squares)
    assert calls
    assert done.exit_code == 0, done.output
    monkeypatch.undo()
    assert whole(squares)
    if where is Progress:
        assert any(one["event"] == "trouble" for one in events(squares))


# C20, C21: going on, again and again, elsewhere and otherwise.


def test_C20_resumed_and_killed_again_and_again_it_makes_progress_and_ends(request, tmp_path):
    rounds, total = 1 + request.config.getoption("--kills") // 8, 300
    laid(tmp_path, f"objective: study:nap\nparameters: {{x: {{range: [{total}]}}}}\norder: shuffle\n")
    random, before = Random(20), {}
    for _ in range(rounds):
        began = len(ran(tmp_path))
        with begun(*command(*RUN), folder=tmp_path) as process:
            enough = began + random.randint(1, 80)
            until(
                lambda enough=enough, process=process: (
                    len(ran(tmp_path)) >= enough or process.poll() is not None
                )
            )
            time.sleep(random.uniform(0, 0.1))
            process.kill()
        rows = {}
        if (tmp_path / "results/study/manifest.json").exists():
            frame = saved(tmp_path).frame
            rows = dict(zip(frame.get("x", ()), frame.get("value", ()), strict=True))
        assert before.items() <= rows.items()
        before = rows
    ask(*RUN, folder=tmp_path)
    frame = saved(tmp_path).frame
    assert frame.value.tolist() == [x * x for x in range(total)]
    assert before.items() <= dict(zip(frame.x, frame.value, strict=True)).items()


MIXED = """
objective: study:mixed
parameters:
  a: {range: [30]}
  b: {linspace: [0, 1, 11]}
where: a + b > 1
order: shuffle
"""
MIXES = """
def mixed(a, b):
    if a == 7:
        raise ValueError(f"seven and {b}")
    return {"value": a * b, "kind": "x" * (a % 5), "either": a if a % 2 else b}
"""


def test_C21_other_workers_batches_and_machines_give_the_same_table(tmp_path, monkeypatch):
    quiet = laid(tmp_path / "quiet", MIXED, MIXES)
    file = "study.yaml"
    swath.load(quiet / file).run(out=quiet / "results", workers=1)
    moved = laid(tmp_path / "moved", MIXED, MIXES)
    for workers, budget, host, limit in [
        (1, 1e-6, "first", 17),
        (3, 0.02, "second", 90),
        (2, 100.0, "third", 60),
        (1, 1.0, "fourth", None),
    ]:
        monkeypatch.setattr("swath.batching.BUDGET", budget)
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        results = swath.load(moved / file).run(out=moved / "results", workers=workers, limit=limit)
    assert results.complete
    assert_frame_equal(outcome(results), outcome(saved(quiet)))
    assert results.statuses == saved(quiet).statuses


# C03: from another terminal.


def test_C03_swath_stop_waits_for_a_suspended_driver_and_says_so(tmp_path):
    laid(tmp_path, HELD)
    with begun(*command(*RUN), folder=tmp_path) as process:
        until(lambda: len(ran(tmp_path)) == 2)
        process.send_signal(signal.SIGSTOP)
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        with begun(*command("stop", "study", "--now"), folder=tmp_path) as asking:
            line = next(line for line in asking.stderr if "suspended" in line)
            assert f"stops as soon as it wakes up: kill -CONT {process.pid}" in line
            process.send_signal(signal.SIGCONT)
            _, said = asking.communicate(timeout=60)
            assert "has stopped" in said
            assert asking.returncode == 0
        assert process.wait(60) == 130


def test_C03_swath_stop_of_a_dead_driver_stops_nobody(tmp_path):
    laid(tmp_path, HELD)
    with begun(*command(*RUN), folder=tmp_path) as process:
        until(lambda: len(ran(tmp_path)) == 2)
        process.kill()
        process.wait()
        assert "is not running" in ask("stop", "study", folder=tmp_path).stderr
    (tmp_path / "results/study/stop").write_text("now")  # a wish that its driver did not live to see
    (tmp_path / "go").touch()
    ask(*RUN, folder=tmp_path)
    assert len(saved(tmp_path)) == 20
