"""Whole sweeps: the same rows however they are run, whatever stops them, and only what is missing runs."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from contextlib import chdir

import psutil
import pytest
from click.testing import CliRunner
from pandas.testing import assert_frame_equal

import swath
from running import ENVIRONMENT, HOLD, ask, assert_same, begun, command, family, ran, taken_back, until
from swath.cli import sweep as cli

MODEL = '''
from pathlib import Path

HERE = Path(__file__).parent


def simulate(a, b, dt=0.1):
    """Note that it was called, and fail here and there."""
    with open(HERE / "ran", "a") as file:
        file.write(f"{a},{b},{dt}\\n")
    if a == 3 and not (HERE / "mended").exists():
        raise ValueError(f"three and {b}")
    return {"value": a * b + dt, "name": f"{a}/{b}"}
'''
STUDY = """
objective: model:simulate
parameters:
  a: [1, 2, 3, 4]
  b: [10, 20, 30]
where: a * b != 40
"""
BROAD = """
objective: model:simulate
parameters:
  a: {range: [40]}
  b: {linspace: [0, 1, 11]}
where: a + b > 1
order: ORDER
"""
NAPS = 100
NAP = f"objective: study:nap\nparameters: {{x: {{range: [{NAPS}]}}}}\n"
HALF = f"objective: study:half\nparameters: {{x: {{range: [{NAPS}]}}}}\n"
HALVES = f"""{HOLD}
def half(x):
    if x < {NAPS // 2}:
        return nap(x)
    return hold(x)
"""
HELD = "objective: study:hold\nparameters: {x: {range: [20]}}\n"


class Study:
    """A definition beside its objective in a folder, and what has been evaluated since last asked."""

    def __init__(self, folder, text=STUDY, module="model", code=MODEL):
        folder.mkdir(exist_ok=True)
        self.folder, self._module, self._seen = folder, module, 0
        self.file, self.results = folder / "study.yaml", folder / "results"
        self.define(text)
        self.code(code)

    def define(self, text):
        self.file.write_text(text)

    def code(self, text):
        (self.folder / f"{self._module}.py").write_text(text)

    def run(self, **options):
        return swath.load(self.file).run(out=self.results, **{"workers": 1, **options})

    def open(self):
        return swath.open(self.results / "study")

    def asks(self, *arguments, code=0):
        """Do what ``swath`` does, in this process; return what it said."""
        with chdir(self.folder):
            done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == code, done.output
        return done.output

    def begins(self, *options):
        return begun(*command("run", "study.yaml", "-n", "2", *options), folder=self.folder)

    def new(self):
        """Points evaluated since the last call, in any order."""
        seen, self._seen = self._seen, len(ran(self.folder))
        return sorted(ran(self.folder)[seen:])

    def lets_go(self):
        (self.folder / "go").touch()


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path / "a study")


@pytest.fixture
def napping(tmp_path):
    return Study(tmp_path / "naps", NAP, "study", HOLD)


@pytest.fixture
def half(tmp_path):
    """A sweep that gets half way, and then waits until it may go on."""
    return Study(tmp_path / "half", HALF, "study", HALVES)


@pytest.fixture
def held(tmp_path):
    return Study(tmp_path / "held", HELD, "study", HOLD)


def reads(process, word):
    """Wait until a process says a word."""
    assert any(word in line for line in process.stderr)


def squares(results):
    return results.frame.value.tolist() == [x * x for x in range(len(results.frame))]


# The same rows, however they are run.


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    study = Study(tmp_path_factory.mktemp("inline"), BROAD.replace("ORDER", "grid"))
    ask("run", "study.yaml", "--engine", "inline", folder=study.folder, code=3)
    return study.open()


@pytest.mark.parametrize(
    ("workers", "order"), [(1, "grid"), (1, "shuffle"), (2, "grid"), (2, "shuffle"), (5, "shuffle")]
)
def test_the_frame_does_not_depend_on_workers_and_order(workers, order, undisturbed, tmp_path):
    study = Study(tmp_path, BROAD.replace("ORDER", order))
    assert_same(study.run(workers=workers), undisturbed)
    assert len(set(study.new())) == len(undisturbed) == 428  # a recall may cost a few fast points twice


@pytest.mark.parametrize("budget", [1e-6, 0.005, 100.0])
def test_the_frame_does_not_depend_on_the_budget(budget, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr("swath.batching.BUDGET", budget)
    monkeypatch.setattr("swath.batching.FLOOR", min(budget, 0.02))
    study = Study(tmp_path, BROAD.replace("ORDER", "shuffle"))
    assert_same(study.run(workers=2), undisturbed)


def test_points_run_in_the_worker_itself_give_the_same_rows(undisturbed, tmp_path):
    study = Study(tmp_path, BROAD.replace("ORDER", "grid") + "isolation: none\n", "unisolated")
    study.define(study.file.read_text().replace("model:", "unisolated:"))
    code = "import swath; swath.load('study.yaml').run(workers=2)"  # in a process of its own, for it imports there
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=60)
    assert_same(study.open(), undisturbed)


# Stopped and gone on.


def test_ctrl_c_stops_and_the_same_command_goes_on(half):
    with half.begins() as process:
        until(lambda: sum(int(x) >= NAPS // 2 for x in ran(half.folder)) == 2)
        process.send_signal(signal.SIGINT)
        taken_back(half.folder)
        half.lets_go()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "go on:    swath run study.yaml -n 2" in said
    saved = half.open().frame
    assert 2 < len(saved) < NAPS
    assert len(half.new()) == len(saved)  # what was running was finished and kept
    said = ask("run", "study.yaml", "-n", "2", folder=half.folder).stderr
    assert f"{len(saved)} done, {NAPS - len(saved)} to do" in said
    assert len(half.new()) == NAPS - len(saved)
    assert squares(half.open())
    assert_frame_equal(half.open().frame.loc[saved.index], saved)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_stop_it_too(number, code, held):
    with held.begins() as process:
        until(lambda: len(ran(held.folder)) == 2)
        process.send_signal(number)
        taken_back(held.folder)
        held.lets_go()
        assert process.wait(60) == code
    assert held.open().statuses == {"ok": 2}


def test_a_second_signal_waits_for_nobody(held):
    with held.begins() as process:
        until(lambda: len(ran(held.folder)) == 2)
        process.send_signal(signal.SIGINT)
        reads(process, "Stopping")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert held.open().statuses == {}


def test_killed_the_same_command_goes_on(napping):  # at any instant: faults/test_c_kills.py
    with napping.begins() as process:
        until(lambda: len(ran(napping.folder)) >= NAPS // 2)
        children = family(psutil.Process(process.pid))
        process.kill()
    until(lambda: not any(map(psutil.pid_exists, children)))  # nobody goes on unsupervised
    before = napping.open().frame if (napping.results / "study/manifest.json").exists() else []
    napping.asks("run", "study.yaml", "-n", "2")
    results = napping.open()
    assert len(results) == NAPS
    assert squares(results)
    assert results.complete
    assert not results.damage
    assert len(napping.new()) <= 2 * NAPS - len(before)  # what was saved did not run again
    if len(before):
        assert_frame_equal(results.frame.loc[before.index], before, check_categorical=False)


def test_swath_stop_from_another_process(held):
    with held.begins() as process:
        until(lambda: len(ran(held.folder)) == 2)
        with begun(*command("stop", "study"), folder=held.folder) as asking:
            reads(asking, "Asked process")
            taken_back(held.folder)
            held.lets_go()
            assert asking.wait(60) == 0
        assert process.wait(60) == 130
    assert held.open().statuses == {"ok": 2}
    assert squares(held.run())


def test_swath_stop_now_does_not_wait_for_running_points(held):
    with held.begins() as process:
        until(lambda: len(ran(held.folder)) == 2)
        held.asks("stop", "study", "--now")
        assert process.wait(60) == 130


# Only what is missing runs.


def test_run_again_nothing_is_left_to_do(study):
    study.asks("run", "study.yaml", "-n", "1", code=3)
    assert len(study.new()) == 10
    frame = study.open().frame
    again = study.asks("run", "study.yaml", "-n", "1", code=3)
    assert "study: 7 done, 3 failed, 0 to do" in again
    assert "nothing was left to do" in again
    assert study.new() == []
    assert_frame_equal(study.open().frame, frame)


def test_two_values_added_only_the_new_points_run(study):
    study.run()
    study.new()
    study.define(STUDY.replace("[1, 2, 3, 4]", "[5, 1, 2, 3, 4, 0]"))
    results = study.run()
    assert study.new() == ["0,10,0.1", "0,20,0.1", "0,30,0.1", "5,10,0.1", "5,20,0.1", "5,30,0.1"]
    assert len(results) == 16
    assert results.frame.value.dropna().tolist() == [
        a * b + 0.1 for a in (5, 1, 2, 4, 0) for b in (10, 20, 30) if a * b != 40
    ]


def test_a_value_removed_and_put_back_runs_nothing(study):
    study.run()
    study.new()
    study.define(STUDY.replace("[1, 2, 3, 4]", "[1, 3, 4]"))
    removed = study.run()
    assert set(removed.frame.a) == {1, 3, 4}
    assert set(removed.all.a) == {1, 2, 3, 4}
    study.define(STUDY)
    assert len(study.run()) == 10
    assert study.new() == []


def test_a_parameter_added_with_was_runs_its_new_values_only(study):
    study.run()
    study.new()
    study.define(STUDY.replace("where", "  dt: {values: [0.1, 0.05], was: 0.1}\nwhere"))
    results = study.run()
    assert {line.split(",")[2] for line in study.new()} == {"0.05"}
    assert results.frame.groupby("dt").size().to_dict() == {0.05: 10, 0.1: 10}


def test_a_wider_where_runs_what_it_lets_in(study):
    study.run()
    study.new()
    study.define(STUDY.replace("a * b != 40", "a > 0"))
    assert len(study.run()) == 12
    assert study.new() == ["2,20,0.1", "4,10,0.1"]


# Changed code.


def test_an_edited_comment_asks_nothing(study):
    study.run()
    study.new()
    study.code("# a comment\n" + MODEL.replace("Note that", "Record that").replace("= 3 and", "=  3  and"))
    assert len(study.run()) == 10
    assert study.new() == []


def test_an_edited_line_stops_with_both_ways_out(study):
    study.run()
    study.define(STUDY.replace("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]"))
    study.code(MODEL.replace("a * b + dt", "a * b - dt"))
    study.new()
    said = study.asks("run", "study.yaml", code=2)
    assert re.search(
        r"results/study: model:simulate \(model.py:\d+\) changed since 10 rows were saved. Nothing was run.",
        said,
    )
    assert "run study.yaml --accept-code-change" in said
    assert "run study.yaml --fresh" in said
    assert study.new() == []
    with pytest.raises(swath.CodeChangedError, match="--fresh"):
        study.run()

    kept = study.run(accept_code_change=True)
    assert study.new() == ["5,10,0.1", "5,20,0.1", "5,30,0.1"]
    kept = kept.frame
    assert kept.query("b == 10").value.dropna().tolist() == [10.1, 20.1, 49.9]
    assert len(study.run()) == 13  # accepted once, it is not asked again

    fresh = study.run(fresh=True)
    assert len(study.new()) == 13
    assert fresh.frame.query("b == 10").value.dropna().tolist() == [9.9, 19.9, 49.9]
    old = swath.open(study.results / "study.1")
    assert_frame_equal(old.frame, kept)


def test_the_options_are_called_so_on_the_command_line(study):
    study.run()
    study.code(MODEL.replace("a * b + dt", "a * b - dt"))
    study.new()
    study.asks("run", "study.yaml", "-n", "1", "--accept-code-change", code=3)
    assert study.new() == []
    study.asks("run", "study.yaml", "-n", "1", "--fresh", code=3)
    assert len(study.new()) == 10
    assert (study.results / "study.1/manifest.json").exists()


def test_a_change_in_a_module_beside_the_objective_counts(study):
    study.code("import other\n" + MODEL)
    (study.folder / "other.py").write_text("x = 1\n")
    study.run()
    (study.folder / "other.py").write_text("x = 1  # as ever\n")
    study.run()
    (study.folder / "other.py").write_text("x = 2\n")
    with pytest.raises(swath.CodeChangedError, match="10 rows"):
        study.run()


def test_another_objective_is_refused(study):
    study.run()
    study.define(STUDY.replace("model:simulate", "model:other"))
    study.code(MODEL + "\nother = simulate\ndef other(a, b):\n    return a\n")
    said = study.asks("run", "study.yaml", code=2)
    assert "the objective was model:simulate and is model:other" in said
    assert "--accept-code-change" in said
    assert "--fresh" in said


# Failures and limits.


def test_retry_runs_the_failed_points_as_a_new_attempt(study):
    study.asks("run", "study.yaml", "-n", "1", code=3)
    study.new()
    (study.folder / "mended").touch()
    study.run(retry="timeout")
    assert study.new() == []
    before = study.open().frame
    study.asks("run", "study.yaml", "-n", "1", "--retry", "error")
    assert study.new() == ["3,10,0.1", "3,20,0.1", "3,30,0.1"]
    frame = study.open().frame
    assert frame.groupby("a").attempts.max().to_dict() == {1: 1, 2: 1, 3: 2, 4: 1}
    assert frame.query("a == 3").value.tolist() == [30.1, 60.1, 90.1]
    assert set(frame.status) == {"ok"}
    assert_frame_equal(frame.query("a != 3").dropna(axis=1), before.query("a != 3").dropna(axis=1))
    assert len(study.open().all) == 10


def test_point_retries_raise_the_attempts(study):
    study.define(STUDY + "point: {retries: 2}\n")
    frame = study.run().frame
    assert frame.groupby("a").attempts.max().to_dict() == {1: 1, 2: 1, 3: 3, 4: 1}
    assert len(study.new()) == 10 + 2 * 3


def test_limit_stops_after_so_many_points(study):
    said = study.asks("run", "study.yaml", "-n", "2", "--limit", "4", code=4)
    assert "4 points were run, as asked" in said
    assert len(study.open()) == len(study.new()) == 4
    handle = swath.load(study.file).start(out=study.results, workers=2, limit=1)
    assert handle.wait(60)
    assert handle.outcome.exit_code == 4
    assert len(study.new()) == 1
    assert len(study.run()) == 10
    assert len(study.new()) == 5


def test_the_time_limit_stops_and_can_be_resumed(napping):
    said = napping.asks("run", "study.yaml", "-n", "1", "--time-limit", "0.5s", code=4)
    assert "the time limit is reached" in said
    assert 0 < len(napping.open()) == len(napping.new()) < NAPS
    assert squares(napping.run(workers=2))


def test_max_failures_stops_and_can_be_resumed(study):
    study.define("objective: model:simulate\nparameters: {a: [3, 1], b: {range: [200]}}\n")
    said = study.asks("run", "study.yaml", "-n", "1", "--max-failures", "5", code=4)
    assert re.search(r"\d+ points failed", said)
    assert len(study.open().failures) >= 5
    assert study.run().statuses == {"ok": 200, "error": 200}


def test_a_metric_that_bears_a_columns_name_stops_the_sweep(study):
    study.code(MODEL.replace('"value"', '"status"'))
    said = study.asks("run", "study.yaml", "-n", "1", code=2)
    assert "the metric 'status' has the name of another column" in said


def test_deaths_and_endless_points_are_rows_and_the_neighbours_are_kept(tmp_path):
    code = "import os, sys, time\n\ndef go(x):\n    if x == 1:\n        sys.exit(7)\n    if x == 2:\n        os._exit(3)\n    if x == 3:\n        time.sleep(60)\n    if x == 4:\n        os.kill(os.getpid(), 11)\n    return x\n"
    text = "objective: grim:go\nparameters: {x: {range: [8]}}\npoint: {timeout: 0.5s}\n"
    frame = Study(tmp_path, text, "grim", code).run().frame
    assert frame.status.tolist() == ["ok", "error", "crash", "timeout", "crash", "ok", "ok", "ok"]
    assert frame.failure[1].startswith("SystemExit: 7")
    assert frame.failure[2] == "the process ended with exit status 3"
    assert frame.failure[3].startswith("the point ran longer than 0.5 s\n")
    assert frame.failure[4].startswith("the process was killed by SIGSEGV")


# Refusals.


def test_two_runs_on_one_folder(held):
    with held.begins() as process:
        until(lambda: len(ran(held.folder)) == 2)
        said = held.asks("run", "study.yaml", code=73)
        assert f"in use by process {process.pid} on " in said
        with pytest.raises(swath.RunInUseError, match=f"process {process.pid} "):
            held.run()
        held.lets_go()
        assert process.wait(60) == 0
    assert squares(held.open())


def test_a_disk_that_refuses_ends_in_exit_74_and_the_same_command_goes_on(study):
    study.code(MODEL.replace('f"{a}/{b}"', "str(a) * 10_000"))
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *command("run", "study.yaml", "-n", "1")]
    with begun(*limited, folder=study.folder) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 74, said
    assert "File too large; the 0 rows saved so far are safe" in said
    assert study.run().statuses == {"ok": 7, "error": 3}


def test_an_objective_that_cannot_be_imported_leaves_nothing_behind(study):
    study.code("import no_such_module_anywhere\n" + MODEL)
    said = study.asks("run", "study.yaml", code=2)
    assert "no_such_module_anywhere" in said
    assert not list(study.results.glob("*/*"))


def test_arguments_are_compared_before_anything_starts(study):
    study.define(STUDY.replace("  b:", "  c:").replace("a * b", "a * c"))
    said = study.asks("run", "study.yaml", code=2)
    assert "study.yaml" in said
    assert "parameters.c: neither model:simulate (model.py:7) nor a derive reads it" in said
    assert "model:simulate (model.py:7) requires b, which nothing provides" in said
    assert not study.results.exists()


def test_the_inline_engine_refuses_what_it_cannot_do(study):
    study.define(STUDY + "point: {timeout: 1s}\n")
    with pytest.raises(swath.UsageError, match="the inline engine cannot end a point"):
        study.run(engine="inline")
    with pytest.raises(swath.UsageError, match="there is no engine 'abacus'; there are dask and inline"):
        study.run(engine="abacus")


# While it runs, and from Python.


def test_results_grow_consistently_while_another_process_writes(half):
    seen = []
    with half.begins() as process:
        until((half.results / "study/manifest.json").exists)
        while process.poll() is None:
            frame = half.open().frame
            assert (frame.get("value", frame.index) == [x * x for x in frame.x]).all()
            if seen and len(frame) > len(seen[-1]):
                assert_frame_equal(frame.loc[seen[-1].index, ["x", "value"]], seen[-1][["x", "value"]])
            if len(frame) and (not seen or len(frame) > len(seen[-1])):
                seen.append(frame)
                half.lets_go()
            assert not seen or len(frame) >= len(seen[-1])
        assert process.returncode == 0
    assert len(seen[0]) < NAPS == len(half.open())
    assert squares(half.open())


def test_a_script_needs_no_main_guard(tmp_path):
    (tmp_path / "beside.py").write_text("def twice(x):\n    return 2 * x\n")
    (tmp_path / "script.py").write_text(
        "import swath\n"
        "import beside\n"
        "OFFSET = 100\n"
        "def simulate(x, scale):\n"
        "    return {'y': beside.twice(x) * scale + OFFSET}\n"
        "results = swath.Sweep(simulate, {'x': range(5), 'scale': 3}, maximize='y').run(workers=2)\n"
        "print(results.frame.y.tolist(), results.best(1).x.tolist())\n"
    )
    for _ in range(2):  # the second time there is nothing to do
        done = subprocess.run(
            [sys.executable, "script.py"],
            check=False,
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "[100, 106, 112, 118, 124] [4]\n"
        assert done.stderr == ""


def test_a_handle_shows_stops_and_can_be_awaited(held):
    handle = swath.load(held.file).start(out=held.results, workers=1)
    until(lambda: len(ran(held.folder)) == 1)
    assert handle.snapshot.state == "running"
    assert (handle.snapshot.total, handle.snapshot.saved, handle.snapshot.slots) == (20, 0, 1)
    assert not handle.wait(0)
    handle.stop()
    flights = handle._driver.places.flights
    until(lambda: all(flight.stop == 1 for flight in flights.values()))  # the rest was given back
    held.lets_go()

    async def wait():
        return await handle

    results = asyncio.run(wait())
    assert handle.snapshot.state == "stopped"
    assert handle.outcome.exit_code == 130
    assert results.frame.value.tolist() == [0]
    assert squares(held.run())


def test_a_sweep_that_is_awaited_does_not_block_the_event_loop(held):
    async def both():
        handle = swath.load(held.file).start(out=held.results, workers=1)

        async def release():
            held.lets_go()

        _, results = await asyncio.gather(release(), handle)
        return results

    assert squares(asyncio.run(both()))


def test_the_slot_has_a_number_and_the_users_folder(tmp_path, monkeypatch):
    code = (
        "import os\n\ndef where(x):\n    return {'folder': os.getcwd(), 'slot': os.environ['SWATH_SLOT']}\n"
    )
    study = Study(tmp_path / "study", "objective: place:where\nparameters: {x: [1, 2]}\n", "place", code)
    monkeypatch.chdir(tmp_path)
    frame = study.run().frame
    assert set(frame.folder) == {str(tmp_path)}
    assert frame.slot.str.isdecimal().all()


def test_nothing_is_left_running(study):
    before = family()
    study.run(workers=2)
    until(lambda: family() <= before)
