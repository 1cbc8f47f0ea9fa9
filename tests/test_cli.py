"""The command line, from outside: what is printed where, what is written, and which exit code follows."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from saving import Session
from swath import cli
from swath.cli.arguments import _gathered
from swath.cli.group import Commands
from swath.commands.foreground import Signals, Words, run_name
from swath.errors import CannotWriteError, RunInUseError, UsageError
from swath.messages import Urgency
from swath.results import Results
from swath.snapshot import Snapshot
from swath.views import export

SRC = Path(__file__).parents[1] / "src"
HEAVY = (
    "pandas",
    "distributed",
    "dask",
    "bokeh",
    "scipy",
    "pyarrow",
    "numpy",
    "pydantic",
    "rich",
    "yaml",
    "psutil",
)

OBJECTIVE = """\
def total(a, b, seed=0):
    if a == 3:
        raise ValueError(f"no {a}")
    return {"sum": a + b, "name": "=danger" if b else "fine"}
"""
DEFINITION = """\
name: total
objective: total:total
parameters:
  a: [1, 2, 3]
  b: [0.5, 1.5]
  seed: {seeds: 2}
where: a + b > 2
derive: {ratio: a / b}
minimize: sum
"""


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SWATH_", "COLUMNS"))}
    return {**kept, "PYTHONPATH": str(SRC), "PYTHONWARNINGS": "ignore::ResourceWarning", **more}


def swath(*arguments, cwd, check=None, **more):
    """Run swath as a user does; return the finished process."""
    done = subprocess.run(
        [sys.executable, "-m", "swath", *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a fresh folder with a blank in its name, with an objective and a definition."""
    folder = tmp_path / "my study"
    write_project(folder)
    monkeypatch.chdir(folder)
    return folder


def write_project(folder):
    folder.mkdir()
    (folder / "total.py").write_text(OBJECTIVE)
    (folder / "total.yaml").write_text(DEFINITION)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Make a folder with one finished run, in which points with a=3 failed."""
    folder = tmp_path_factory.mktemp("done") / "my study"
    write_project(folder)
    swath("run", "total.yaml", "--engine", "inline", "--progress", "log", cwd=folder, check=3)
    return folder


def ask(*arguments, code=0):
    """Call a command in this process; return what it printed to the standard output and error."""
    result = CliRunner().invoke(cli.sweep, [str(argument) for argument in arguments], prog_name="swath")
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result.stdout, result.stderr


# Start-up.


def test_help_imports_nothing_heavy_and_is_quick():
    code = (
        "import os, sys; from swath.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr); print(sum(os.times()[:2]), file=sys.stderr)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, "--help"],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(7)
    ]
    loaded, _ = runs[0].stderr.splitlines()
    assert not {name.partition(".")[0] for name in loaded.split()} & set(HEAVY)
    assert "Usage: swath" in runs[0].stdout
    assert min(float(run.stderr.splitlines()[1]) for run in runs) < 0.150


@pytest.mark.parametrize("command", sorted(cli.sweep.commands))
def test_every_command_explains_itself(command):
    out, _ = ask(command, "--help")
    assert out.startswith(f"Usage: swath {command}")
    for parameter in cli.sweep.commands[command].params:
        assert isinstance(parameter, click.Argument) or parameter.help


def test_the_commands_are_those_of_the_design():
    assert set(cli.sweep.commands) == {
        "init",
        "run",
        "check",
        "status",
        "ls",
        "show",
        "results",
        "stop",
        "schema",
        "verify",
        "doctor",
        "ui",
        "report",
        "compare",
    }
    assert cli.sweep.name == "sweep"  # which is what Dask shows


def test_a_typing_mistake_gets_a_suggestion():
    assert "run" in ask("rum", code=2)[1]
    assert "--limit" in ask("run", "x.yaml", "--limt", "3", code=2)[1]


def test_dask_runs_the_same_commands():
    parent = click.Group(name="dask", commands=[cli.sweep])
    result = CliRunner().invoke(parent, ["sweep", "ls", "--out", "/nonexistent", "--json"])
    assert (result.exit_code, result.stdout) == (0, "[]\n")


# Errors.


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong \x1b[2Jthere"), 2),
        (RunInUseError("in use"), 73),
        (CannotWriteError("cannot"), 74),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
        (ZeroDivisionError("oops"), 70),
        (SystemExit(143), 143),
    ],
)
def test_errors_become_messages_and_exit_codes(error, code):
    @click.command()
    def fail():
        raise error

    group = Commands(commands=[fail])
    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.replace("\n", "").isprintable()
    if code == 2:
        assert result.stderr == "wrong \\x1b[2Jthere\n"
    if code == 70:
        assert "ZeroDivisionError: oops" in result.stderr
        assert "test_cli.py" in result.stderr


def test_notes_of_an_error_are_shown():
    @click.command()
    def fail():
        error = UsageError("gone")
        error.add_note("go on: so")
        raise error

    assert CliRunner().invoke(Commands(commands=[fail]), ["fail"]).stderr == "gone\ngo on: so\n"


@pytest.mark.usefixtures("here")
def test_a_reader_that_closes_the_pipe_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, "-m", "swath", "schema"],
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        os.close(write)
        assert child.stderr.read() == ""
    assert child.returncode == 0


# init, schema.


def test_init_writes_a_working_example_once(here):
    _, err = ask("init", "new/example")
    assert err.splitlines()[-1] == "Now:  swath run new/example/throw.yaml"
    text = (here / "new/example/throw.yaml").read_text()
    assert len(text.splitlines()) == 8
    assert text.startswith("# yaml-language-server: $schema=swath.definition.schema.json\n")
    assert json.loads((here / "new/example/swath.definition.schema.json").read_text()) == json.loads(
        ask("schema")[0]
    )
    before = {file: file.read_bytes() for file in (here / "new/example").iterdir()}
    _, err = ask("init", "new/example", code=2)
    assert "already there" in err
    assert {file: file.read_bytes() for file in (here / "new/example").iterdir()} == before


def test_init_writes_nothing_if_one_file_is_there(here):
    (here / "throw.py").write_text("mine")
    assert "throw.py: already there" in ask("init", code=2)[1]
    assert not (here / "throw.yaml").exists()


@pytest.mark.usefixtures("here")
def test_init_says_where_it_cannot_write():
    assert "total.py" in ask("init", "total.py/inside", code=74)[1]


def test_the_example_runs(here):
    ask("init", "example")
    points = json.loads(ask("check", "example/throw.yaml", "--json")[0])
    assert (points["points"], points["exact"], points["product"]) == (255, True, [[17, 3, 5]])
    swath("run", "example/throw.yaml", "--engine", "inline", "-q", cwd=here, check=0)
    best = list(csv.DictReader(io.StringIO(ask("results", "throw", "--best", "1", "--format", "csv")[0])))
    assert (best[0]["angle"], best[0]["speed"], best[0]["drag"]) == ("45", "30", "0.0")


# check.


def test_check_shows_counts_axes_and_ends(here):
    out, err = ask("check", "total.yaml")
    assert err == ""
    assert out.splitlines()[:6] == [
        "name       total",
        "objective  total:total",
        "points     10 of 12 = 3 x 2 x 2",
        "where      a + b > 2",
        "sum        minimize",
        "results    results/total",
    ]
    assert re.search(r"^a +3 +int +1 - 3$", out, re.MULTILINE)
    assert re.search(r"^b +2 +float +0.5 - 1.5$", out, re.MULTILINE)
    assert "ratio" in out
    assert not (here / "results").exists()


@pytest.mark.usefixtures("here")
def test_check_takes_overrides():
    found = json.loads(ask("check", "total.yaml", "a=7", "b={linspace: [0, 1, 5]}", "--json")[0])
    assert (found["points"], found["candidates"], found["rows"]) == (10, 10, 0)
    assert [point["point"] for point in found["first"] + found["last"]] == [0, 1, 2, 7, 8, 9]


def test_check_of_a_huge_grid_is_immediate(here):
    axes = "\n".join(f"  p{i}: {{range: [1000]}}" for i in range(4))
    (here / "huge.py").write_text("def total(p0, p1, p2, p3):\n    return p0\n")
    (here / "huge.yaml").write_text(f"objective: huge:total\nparameters:\n{axes}\n")
    out, _ = ask("check", "huge.yaml")
    assert "points     1,000,000,000,000 = 1000 x 1000 x 1000 x 1000" in out
    assert "999999999999" in out


def test_check_names_all_mistakes_and_starts_nothing(here):
    (here / "bad.yaml").write_text(
        "objective: nonsense\nparameters:\n  a: []\n  b: {linspcae: [0, 1, 3]}\nwhere: a.b\nminimise: x\n"
    )
    _, err = ask("check", "bad.yaml", code=2)
    assert err.count("error:") >= 5
    assert "bad.yaml:3:" in err
    assert not (here / "results").exists()


@pytest.mark.usefixtures("here")
def test_a_missing_file_is_named():
    assert "totl.yaml" in ask("check", "totl.yaml", code=2)[1]


# run.


def test_run_says_what_it_did_and_where_it_went(here):
    done = swath("run", "total.yaml", "--engine", "inline", "--progress", "log", "--json", cwd=here, check=3)
    summary = json.loads(done.stdout)
    assert (summary["state"], summary["total"], summary["done"]) == ("complete", 10, 10)
    assert summary["statuses"] == {"ok": 6, "error": 4}
    lines = done.stderr.splitlines()
    assert lines[0] == "total: up to 12 points to do, results in results/total"
    assert re.fullmatch(
        r"\[\d\d:\d\d:\d\d\] 12/12 done, 4 failed, 2 excluded, complete after [\d.]+s, best sum 2.5 \(point \d\)",
        lines[-7],
    )
    assert re.fullmatch(r"total: 6 points ok, 4 failed \(4 error\) in [\d.]+s", lines[-6])
    assert re.fullmatch(r"  best:     sum 2.5 \(point \d\): a=\d, b=[\d.]+, seed=\d+", lines[-5])
    assert lines[-4:] == [
        "  results:  swath results total",
        "  failed:   swath results total --failures",
        "            4 x ValueError: no 3  (swath show total 8)",
        "  retry:    swath run total.yaml --engine inline --progress log --json --retry",
    ]
    assert done.stderr.replace("\n", "").isprintable()


def test_points_that_were_stopped_early_are_counted_at_the_end(here):
    (here / "learns.py").write_text("def f(x):\n    for step in range(1, 6):\n        yield x / step\n")
    (here / "learns.yaml").write_text(
        "objective: learns:f\nparameters: {x: [0, 1, 2, 3]}\nminimize: value\nstop: {method: threshold, upper: 1.5}\n"
    )
    done = swath("run", "learns.yaml", "--engine", "inline", cwd=here, check=0)
    assert re.search(r"^learns: 2 points ok, 2 stopped early in [\d.]+s$", done.stderr, re.MULTILINE)
    listed = ask("ls", "--out", here / "results")[0]
    assert re.search(r"^run +state +rows +stopped early +failed ", listed)
    assert re.search(r"^learns +complete +4 +2 +0 ", listed, re.MULTILINE)
    [found] = json.loads(ask("ls", "--out", here / "results", "--json")[0])
    assert (found["rows"], found["pruned"], found["failed"]) == (4, 2, 0)
    assert "4 of 4 (100 %), 2 stopped early\n" in ask("status", here / "results" / "learns")[0]
    statuses = json.loads(ask("status", here / "results" / "learns", "--json")[0])["statuses"]
    assert statuses == {"ok": 2, "pruned": 2}


def test_the_same_command_goes_on(here):
    swath("run", "total.yaml", "--engine", "inline", "--limit", "3", cwd=here, check=4)
    stopped = swath("run", "total.yaml", "--engine", "inline", "--limit", "2", cwd=here, check=4)
    assert "done" in stopped.stderr.splitlines()[0]
    assert "go on:    swath run total.yaml --engine inline --limit 2" in stopped.stderr
    swath("run", "total.yaml", "--engine", "inline", cwd=here, check=3)
    again = swath("run", "total.yaml", "--engine", "inline", cwd=here, check=3)
    assert "6 done, 4 failed, 0 to do" in again.stderr
    assert "nothing was left to do" in again.stderr
    shown = swath(
        "run", "total.yaml", cwd=here, check=3
    )  # over at once, while the best of the earlier rows is looked for
    assert "nothing was left to do" in shown.stderr
    extended = swath("run", "total.yaml", "a=1,2,3,4", "--engine", "inline", cwd=here, check=3)
    assert "6 done, 4 failed, up to 6 to do" in extended.stderr


def test_failures_of_an_earlier_start_are_not_counted_with_those_of_this_one(here):
    first = swath("run", "total.yaml", "--engine", "inline", "--limit", "9", cwd=here, check=4).stderr
    assert "            3 x ValueError: no 3" in first
    last = swath("run", "total.yaml", "--engine", "inline", cwd=here, check=3).stderr
    assert "            this time 1 x ValueError: no 3" in last


def test_failed_points_run_again_when_asked(here):
    swath("run", "total.yaml", "--engine", "inline", cwd=here, check=3)
    (here / "total.py").write_text(OBJECTIVE.replace("a == 3", "a == 99"))
    changed = swath("run", "total.yaml", "--engine", "inline", cwd=here, check=2)
    assert "--accept-code-change" in changed.stderr
    assert "--fresh" in changed.stderr
    done = swath(
        "run",
        "--retry",
        "error",
        "timeout",
        "total.yaml",
        "--accept-code-change",
        "--engine",
        "inline",
        cwd=here,
        check=0,
    )
    assert "6 done, up to 4 to do" in done.stderr
    assert "12/12 done" in done.stderr


def test_quiet_says_nothing_but_errors(here):
    done = swath("run", "total.yaml", "a=1,2", "--engine", "inline", "-q", cwd=here, check=0)
    assert done.stderr + done.stdout == ""
    assert "error:" in swath("run", "total.yaml", "a=", "-q", cwd=here, check=2).stderr


def test_one_point_runs_in_the_foreground_and_keeps_nothing(here):
    done = swath("run", "total.yaml", "--point", "2", cwd=here, check=0)
    assert re.search(r"^ +sum +2.5$", done.stdout, re.MULTILINE)
    failed = swath("run", "total.yaml", "--point", "8", "--json", cwd=here, check=3)
    shown = json.loads(failed.stdout)
    assert (shown["status"], shown["parameters"]["a"]) == ("error", 3)
    assert "ValueError: no 3" in shown["failure"]
    assert "excluded" in swath("run", "total.yaml", "--point", "0", cwd=here, check=2).stderr
    assert "12" in swath("run", "total.yaml", "--point", "12", cwd=here, check=2).stderr
    assert not (here / "results").exists()


def test_the_embedded_cluster_gives_the_same(here, finished):
    swath("run", "total.yaml", "-n", "2", "--progress", "none", cwd=here, check=3)
    out, _ = ask("results", "total", "--format", "csv")
    rows = [row["sum"] for row in csv.DictReader(io.StringIO(out))]
    other, _ = ask("results", finished / "results/total", "--format", "csv")
    assert rows == [row["sum"] for row in csv.DictReader(io.StringIO(other))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-n", "2", "--scheduler", "tcp://127.0.0.1:1"], "give one of them"),
        (["--engine", "warp"], "warp"),
        (["--time-limit", "soon"], "must be a duration, got 'soon'"),
        (["--retry=ok"], "'ok' is not one of error, crash"),
        (["--limit", "0"], "--limit"),
        (["nonsense"], "NAME=VALUES"),
    ],
)
def test_wrong_arguments_are_explained(here, arguments, said):
    _, err = ask("run", "total.yaml", *arguments, code=2)
    assert said in err
    assert not (here / "results").exists()


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--retry", "f.yaml"], ["--retry=error,crash,timeout,oom,invalid", "f.yaml"]),
        (["f.yaml", "--retry"], ["f.yaml", "--retry=error,crash,timeout,oom,invalid"]),
        (["f.yaml", "--retry", "error", "oom", "-q"], ["f.yaml", "--retry=error,oom", "-q"]),
        (["--retry", "error,crash", "f.yaml"], ["--retry=error,crash", "f.yaml"]),
        (["--retry", "error", "a=1"], ["--retry=error", "a=1"]),
        (["--", "--retry", "error"], ["--", "--retry", "error"]),
    ],
)
def test_retry_takes_any_number_of_statuses(typed, read):
    assert _gathered(typed) == read


@pytest.mark.parametrize("mode", ["log", "json", "none"])
def test_a_reader_of_progress_that_goes_away_disturbs_nothing(here, mode):
    read, write = os.pipe()
    os.close(read)
    arguments = ["run", "total.yaml", "--engine", "inline", "--progress", mode, "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "swath", *arguments],
        env=environment(),
        cwd=here,
        stderr=write,
        stdout=subprocess.PIPE,
    ) as child:
        os.close(write)
        summary = json.loads(child.stdout.read())
    assert (child.returncode, summary["state"], summary["done"]) == (3, "complete", 10)


# Signals.


class Asked(list):
    """Remembers what it was asked."""

    def __call__(self, urgency, _grace):
        self.append(urgency)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_drain_then_stop_then_leave(number, monkeypatch):
    left, asked = [], Asked()
    monkeypatch.setattr(os, "_exit", left.append)
    with Signals() as signals:
        signals.attach(asked)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert (asked, left) == ([Urgency.DRAIN, Urgency.NOW], [])
        os.kill(os.getpid(), number)
    assert left == [128 + number]
    assert (signals.first, signals.count) == (number, 3)


def test_before_anything_runs_a_signal_ends_the_process():
    with Signals(), pytest.raises(SystemExit) as leaving:
        os.kill(os.getpid(), signal.SIGTERM)
    assert leaving.value.code == 143


def test_an_ignored_signal_stays_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.count == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


SLOW = """
import time
def total(a, b, seed=0):
    time.sleep(0.05)
    return a
"""


def started(folder, *arguments):
    """Start a run of minutes; return the process once its first point is saved."""
    (folder / "total.py").write_text(SLOW)
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "swath",
            "run",
            "total.yaml",
            "a={range: [4000]}",
            "b=1",
            "--progress",
            "json",
            *arguments,
        ],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in child.stderr:
        said.append(line)
        if json.loads(line).get("saved", 0) > 1:
            return child, said
    raise AssertionError("".join(said))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_that_can_be_resumed(here, number):
    child, _ = started(here)
    child.send_signal(number)
    said = child.stderr.readlines()
    assert [line for line in said if not line.startswith("{")] == []
    rest = [json.loads(line) for line in said]
    assert child.wait(60) == 128 + number
    assert any("swath run total.yaml" in line.get("note", "") for line in rest)
    saved = rest[-2]["saved"]
    out, _ = ask("status", "--json")
    status = json.loads(out)
    assert (status["state"], status["done"] + status["excluded"]) == ("stopped", saved)
    assert 0 < status["done"] < 4000


def test_stop_names_who_runs_and_waits_until_it_has_stopped(here):
    child, _ = started(here)
    running = json.loads(ask("status", "total", "--json")[0])
    _, err = ask("stop", "total")
    child.communicate()
    assert running["state"] == "running"
    assert f"process {child.pid} on " in running["writer"]
    assert f"Asked process {child.pid} on " in err
    assert child.wait(60) == 130
    assert json.loads(ask("status", "--json")[0])["state"] == "stopped"
    assert "is not running" in ask("stop", "total")[1]


def test_a_second_run_is_told_who_is_first(here):
    child, _ = started(here)
    refused = swath("run", "total.yaml", "a={range: [4000]}", "b=1", cwd=here, check=73)
    assert f"process {child.pid}" in refused.stderr
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert child.wait(60) == 130


def test_a_status_can_be_watched(here):
    child, _ = started(here)
    child.send_signal(signal.SIGINT)
    _, err = ask("status", "total", "--watch")
    child.communicate()
    assert "done" in err or json.loads(ask("status", "--json")[0])["state"] == "stopped"


# Words.


def test_the_way_on_leaves_out_what_must_not_be_repeated():
    words = Words(Path("results/epidemic"), ["my file.yaml", "--fresh", "--retry=error", "-n", "2"])
    assert words.go_on == "swath run 'my file.yaml' --retry=error -n 2"
    assert words.retry == "swath run 'my file.yaml' -n 2 --retry"


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({"ok": 812, "error": 3}, "812 done, 3 failed, 185 to do"),
        ({"ok": 12, "pruned": 800, "error": 3}, "12 done, 800 stopped early, 3 failed, 185 to do"),
    ],
)
def test_a_run_on_an_existing_folder_says_what_is_left(statuses, said):
    words = Words(Path("results/epidemic"), ["epidemic.yaml"])
    snapshot = Snapshot(name="epidemic", total=1000, saved=815, statuses=statuses, rows_before=815)
    assert words.beginning(snapshot) == f"epidemic: {said}"


def test_runs_are_named_as_the_command_line_understands_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_name(Path("results/epidemic")) == "epidemic"
    (tmp_path / "epidemic").mkdir()
    assert run_name(Path("results/epidemic")) == "results/epidemic"
    assert run_name(Path("out/epidemic")) == "out/epidemic"


# status, ls, show.


def test_ls_lists_runs(finished, monkeypatch):
    monkeypatch.chdir(finished)
    out, _ = ask("ls")
    assert "stopped" not in out
    assert re.search(r"^total +complete +10 +4 +[\d.]+ KiB +20\d\d-", out, re.MULTILINE)
    assert json.loads(ask("ls", "--json")[0])[0]["rows"] == 10
    assert ask("ls", "--out", "nowhere") == ("", "no runs in nowhere\n")


def test_status_shows_the_newest_run(finished, monkeypatch):
    monkeypatch.chdir(finished)
    out, _ = ask("status")
    assert re.search(r"^state +complete$", out, re.MULTILINE)
    assert re.search(r"^done +10 of 10 \(100 %\), 4 failed \(4 error\), 2 excluded$", out, re.MULTILINE)
    assert "no runs in nowhere" in ask("status", "--out", "nowhere", code=2)[1]


def test_a_run_is_found_by_path_and_by_name(finished, monkeypatch):
    by_path, _ = ask("status", finished / "results" / "total")
    monkeypatch.chdir(finished)
    assert ask("status", "total")[0].splitlines()[2:] == by_path.splitlines()[2:]
    (finished / "totl").mkdir(exist_ok=True)  # a folder of that name that is no run
    assert "did you mean 'total'?" in ask("status", "totl", code=2)[1]


def test_show_finds_a_point_by_index_content_and_parameters(finished, monkeypatch):
    monkeypatch.chdir(finished)
    found = json.loads(ask("show", "total", "4", "--json")[0])
    assert (found["parameters"]["a"], found["metrics"]["sum"], found["derived"]) == (2, 2.5, {"ratio": 4.0})
    assert (found["status"], found["attempts"], found["again"]) == ("ok", 1, "swath run total.yaml --point 4")
    same = json.loads(ask("show", "total", found["content_id"][:8], "--json")[0])
    by_value = ["a=2", "b=0.5", f"seed={found['parameters']['seed']}"]
    assert json.loads(ask("show", "total", *by_value, "--json")[0]) == same == found


def test_show_gives_the_failure(finished, monkeypatch):
    monkeypatch.chdir(finished)
    out, _ = ask("show", "total", "8")
    assert re.search(r"^status +error$", out, re.MULTILINE)
    assert "ValueError: no 3" in out
    assert "total.py" in out
    assert "swath run total.yaml --point 8" in out


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (["12"], "there is no point 12: the space has points 0 to 11"),
        (["a=2", "b=0.5"], "names 2 points (4, 5); say more"),
        (["c=2"], "there is no parameter 'c', there is a, b, seed"),
        (["a=17"], "no point that was run has a=17"),
        (["ffffffffffffffff"], "no point has a content id"),
        (["xyz"], "names no point"),
        (["1", "2"], "is an index, a content id, or NAME=VALUE"),
    ],
)
def test_show_says_why_a_point_is_not_found(finished, monkeypatch, point, said):
    monkeypatch.chdir(finished)
    assert said in ask("show", "total", *point, code=2)[1]


def test_show_tells_of_points_without_a_row(finished, monkeypatch):
    monkeypatch.chdir(finished)
    assert "excluded by where" in ask("show", "total", "0")[0]


# results.


def test_results_as_a_table(finished, monkeypatch):
    monkeypatch.chdir(finished)
    out, _ = ask("results", "total", "--best", "2")
    head, first, second = out.splitlines()
    assert head.split() == ["point", "a", "b", "seed", "ratio", "sum", "name", "status", "seconds"]
    assert first.split()[0] == "2"
    assert second.split()[0] == "3"
    failed = [line for line in ask("results", "total")[0].splitlines() if "no 3" in line]
    assert failed
    assert all(line.endswith("ValueError: no 3") for line in failed), "where it was is told by swath show"


def test_results_as_csv_are_safe_for_spreadsheets(finished, monkeypatch):
    monkeypatch.chdir(finished)
    rows = list(csv.DictReader(io.StringIO(ask("results", "total", "--format", "csv")[0])))
    assert [row["point"] for row in rows] == [str(point) for point in range(2, 12)]
    assert {row["name"] for row in rows} == {"'=danger", ""}
    assert {row["status"] for row in rows} == {"ok", "error"}
    assert any("no 3" in row["failure"] for row in rows)


def test_results_as_json(finished, monkeypatch):
    monkeypatch.chdir(finished)
    rows = json.loads(ask("results", "total", "--format", "json")[0])
    assert len(rows) == 10
    assert rows[0]["name"] == "=danger"
    assert rows[-1]["sum"] is None


def test_results_as_parquet(finished):
    done = subprocess.run(
        [sys.executable, "-m", "swath", "results", "total", "--format", "parquet"],
        cwd=finished,
        env=environment(),
        capture_output=True,
        check=True,
    )
    assert len(pd.read_parquet(io.BytesIO(done.stdout))) == 10


def test_results_are_chosen_by_an_expression(finished, monkeypatch):
    monkeypatch.chdir(finished)
    rows = json.loads(ask("results", "total", "--where", 'status == "ok" and a > 1', "--format", "json")[0])
    assert {row["a"] for row in rows} == {2}
    assert json.loads(ask("results", "total", "--where", "name == 'none such'", "--format", "json")[0]) == []
    best = json.loads(ask("results", "total", "--where", "a > 1", "--best", "1", "--format", "json")[0])
    assert [row["point"] for row in best] == [4]
    assert (
        "there is no column named 'c', there is point, a"
        in ask("results", "total", "--where", "c > 1", code=2)[1]
    )


def test_results_are_averaged(finished, monkeypatch):
    monkeypatch.chdir(finished)
    rows = json.loads(ask("results", "total", "--mean-over", "seed", "--format", "json")[0])
    assert {(row["a"], row["b"], row["sum"], row["n"]) for row in rows} >= {
        (1, 1.5, 2.5, 2),
        (2, 0.5, 2.5, 2),
    }
    best = json.loads(ask("results", "total", "--mean-over", "seed", "--best", "1", "--format", "json")[0])
    assert len(best) == 1


def test_results_are_averaged_over_several_parameters(finished, monkeypatch):
    monkeypatch.chdir(finished)
    rows = json.loads(ask("results", "total", "--mean-over", "seed,b", "--format", "json")[0])
    assert [(row["a"], row["sum"], row["n"]) for row in rows] == [(1, 2.5, 2), (2, 3.0, 4)]


def test_results_are_a_table_of_two_parameters(finished, monkeypatch):
    monkeypatch.chdir(finished)
    lines = ask("results", "total", "--pivot", "a,b")[0].splitlines()
    assert [line.split() for line in lines] == [
        ["a", "b=0.5", "b=1.5"],
        ["1", "2.5"],
        ["2", "2.5", "3.5"],
        ["3"],
    ]
    text = ask("results", "total", "--pivot", "b,a", "--by", "ratio", "--where", "a < 3", code=2)[1]
    assert "there is no metric that is a number named 'ratio'" in text
    table = ask("results", "total", "--pivot", "b,a", "--where", "a < 3", "--format", "csv")[0]
    assert table.splitlines() == ["b,a=1,a=2", "0.5,,2.5", "1.5,2.5,3.5"]
    assert "expected two parameters" in ask("results", "total", "--pivot", "a", code=2)[1]
    assert "does not go with --best" in ask("results", "total", "--pivot", "a,b", "--best", 1, code=2)[1]


def test_two_runs_are_compared(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished)
    said = ask("compare", "total", "total")[0]
    assert said == "total (here) and total (there): 10 points in both, all equal\n"
    frame = Results("results/total").frame.head(6)
    sums = [value + (row == 3) for row, value in enumerate(frame["sum"])]
    with Session(tmp_path / "other", Results("results/total").definition) as session:
        session.save(0, 8, excluded=(0, 1), sum=sums, name=frame["name"].tolist())
    lines = ask("compare", "total", tmp_path / "other", code=3)[0].splitlines()
    assert lines[0] == "total (here) and total (there): 6 points in both, 1 changed"
    assert lines[1].startswith("  sum: 1 changed, by up to ")
    assert lines[2] == "  only here: 4 points"
    assert len(lines) == 6
    found = json.loads(ask("compare", "total", tmp_path / "other", "--json", code=3)[0])
    assert (found["both"], found["only_here"], found["changes"]["sum"]["points"]) == (6, 4, 1)
    assert [row["point_here"] for row in found["changed"]] == [5]
    assert "1 changed" not in ask("compare", "total", tmp_path / "other", "--rtol", "0.3")[0]


def test_failures_are_printed_with_their_rates(finished, monkeypatch):
    monkeypatch.chdir(finished)
    rows, rates = ask("results", "total", "--failures")[0].split("\n\n")
    assert [line.split()[0] for line in rows.splitlines()] == ["point", "8", "9", "10", "11"]
    assert rows.count("ValueError: no 3") == 4
    assert "Traceback" not in rows
    assert rates.splitlines()[0].split() == ["parameter", "value", "points", "failed", "rate"]
    assert rates.splitlines()[1].split() == ["a", "3", "4", "4", "100", "%"]
    found = json.loads(ask("results", "total", "--failures", "--format", "json")[0])
    assert len(found["failures"]) == 4
    assert found["rates"][0] == {"parameter": "a", "value": 1, "points": 2, "failed": 0, "rate": 0.0}
    assert len(ask("results", "total", "--failures", "--format", "csv")[0].split("no 3")) > 4
    assert ask("results", "total", "--failures", "--where", "a < 3")[0] == ""
    assert (
        "--failures cannot be combined with --best"
        in ask("results", "total", "--failures", "--best", "1", code=2)[1]
    )


def test_contradictory_wishes_are_refused(finished, monkeypatch):
    monkeypatch.chdir(finished)
    assert "needs --best" in ask("results", "total", "--by", "sum", code=2)[1]
    assert "leave one out" in ask("results", "total", "--all", "--best", "2", code=2)[1]
    assert "'none'" in ask("results", "total", "--best", "2", "--by", "none", code=2)[1]


HOSTILE = pd.DataFrame(
    {
        "=head": [1.0, float("nan"), float("-inf")],
        "text": ["=cmd()", "fine\x1b[2J\nline", "@x"],
        "mixed": [True, "-1", [1.5, float("inf")]],
        "number": [-1, 0, 1],
    }
)


class Sink(io.StringIO):
    """A standard output that may be a terminal."""

    def __init__(self, *, terminal=False):
        super().__init__()
        self.terminal = terminal
        self.buffer = io.BytesIO()

    def isatty(self):
        return self.terminal


def written(frame, form, *, terminal=False, keep=()):
    sink = Sink(terminal=terminal)
    export.write(frame, form, sink, keep)
    return sink.getvalue(), sink.buffer.getvalue()


def test_csv_is_harmless_and_exact():
    rows = list(csv.reader(io.StringIO(written(HOSTILE, "csv")[0])))
    assert rows == [
        ["'=head", "text", "mixed", "number"],
        ["1.0", "'=cmd()", "True", "-1"],
        ["", "fine\\x1b[2J\nline", "'-1", "0"],
        ["-inf", "'@x", '[1.5, "Infinity"]', "1"],
    ]
    frame = pd.DataFrame({"x": [0.1 + 0.2, 1e-300, 1 / 3]})
    assert [float(line) for line in written(frame, "csv")[0].split()[1:]] == frame["x"].tolist()


def test_json_is_strict_and_keeps_text():
    rows = json.loads(written(HOSTILE, "json")[0], parse_constant=pytest.fail)
    assert rows[1] == {"=head": None, "text": "fine\x1b[2J\nline", "mixed": "-1", "number": 0}
    assert rows[2]["=head"] == "-Infinity"
    assert written(HOSTILE.iloc[:0], "json")[0] == "[]\n"


def test_parquet_holds_mixed_columns_as_text_and_stays_off_terminals():
    assert pd.read_parquet(io.BytesIO(written(HOSTILE, "parquet")[1]))["mixed"].tolist() == [
        "true",
        "-1",
        '[1.5, "Infinity"]',
    ]
    with pytest.raises(UsageError, match=r"send it to a file: swath results RUN --format parquet > "):
        written(HOSTILE, "parquet", terminal=True)


def test_a_table_prints_every_row_to_a_file_and_the_ends_to_a_terminal(capsys):
    frame = pd.DataFrame({"x": range(1000), "worker": "w"}, index=pd.Index(range(1000), name="point"))
    assert len(written(frame, "table")[0].splitlines()) == 1001
    shown = written(frame, "table", terminal=True)[0].splitlines()
    assert (len(shown), shown[0].split(), shown[-1].split()) == (20, ["point", "x"], ["999", "999"])
    assert shown[10] == "... 982 more rows"
    assert capsys.readouterr().err == "All of it: the same command with | less -S, or with --format csv\n"


def test_a_table_fits_its_terminal_and_says_what_it_leaves_out(capsys, monkeypatch):
    columns = {
        "beta": [0.1, 12.25, 1e-7],
        "constant": [1, 1, 1],
        "model": ["a long name of a model, with details", "b", "c"],
        "other": [1.0, 2.0, 3.0],
        "error": [0.25, 100.0, float("nan")],
        "status": ["ok", "ok", "error"],
        "seconds": [0.00123456, 1.0, 2.0],
        "failure": [None, None, "ValueError: no\nTraceback"],
    }
    frame = pd.DataFrame(columns, index=pd.Index(range(3), name="point"))
    sizes = {
        120: "",
        85: "constant",
        70: "constant, seconds",
        68: "constant, other, seconds",
        36: "constant, model, other, status, seconds, failure",
    }
    for columns, left_out in sizes.items():
        monkeypatch.setattr("swath.views.export.size_of", lambda _stream, columns=columns: (columns, 24))
        shown = written(frame, "table", terminal=True, keep=("error", "beta", "constant", "model"))[
            0
        ].splitlines()
        assert all(len(line) < columns for line in shown), columns
        said = capsys.readouterr().err.splitlines()
        assert said[:1] == ([f"Without {left_out}, for which there is no room."] if left_out else []), columns
    assert [line.split()[0] for line in shown] == ["point", "0", "1", "2"]


def test_numbers_of_a_table_stand_below_each_other():
    frame = pd.DataFrame({"x": [0.1, 12.25, 1e-7, 100.0, float("nan")], "n": [1, 20, 300, 4, 5]})
    assert written(frame, "table")[0].splitlines() == [
        "      x    n",
        "  0.1      1",
        " 12.25    20",
        "  1e-07  300",
        "100        4",
        "           5",
    ]


def test_a_table_spells_out_what_does_not_print():
    out = written(HOSTILE, "table")[0]
    assert out.replace("\n", "").isprintable()
    assert r"fine\x1b[2J\nline" in out


# doctor.


def test_the_doctor_looks_at_the_machine(here):
    found = json.loads(ask("doctor", "--json")[0])
    words = {finding["what"] for finding in found}
    assert {"python", "dask", "cores", "memory", "open files", "locks", "fsync", "loopback"} <= words
    assert not list(here.glob("**/.swath-doctor*"))


@pytest.mark.usefixtures("here")
def test_the_doctor_names_a_place_that_cannot_be_written(monkeypatch):
    out, _ = ask("doctor", "--out", "total.py/inside", code=2)
    assert re.search(
        r"^BAD results .*total.py is a file\n +choose another folder: --out FOLDER$", out, re.MULTILINE
    )

    def refuse(*_arguments, **_keywords):
        raise PermissionError(13, "Permission denied", "results")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    out, _ = ask("doctor", code=2)
    assert re.search(r"^BAD writing +results: Permission denied$", out, re.MULTILINE)


def test_the_doctor_verifies_every_file_of_a_run(finished, monkeypatch):
    monkeypatch.chdir(finished)
    out, _ = ask("doctor", "total")
    assert re.search(r"^ok +files +(\d+) of \1 files verified, 10 rows, ", out, re.MULTILINE)


@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_the_doctor_names_damage(here, change):
    swath("run", "total.yaml", "--engine", "inline", "-q", cwd=here, check=3)
    segment = next(Path("results/total/segments").iterdir())
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    if change == "remove":
        segment.unlink()
    else:
        segment.write_bytes(raw if change == "flip" else raw[:-1])
    out, _ = ask("doctor", "total", code=2)
    expected = {"flip": "checksum does not match", "cut": r"has \d+ bytes of \d+", "remove": "is missing"}[
        change
    ]
    assert re.search(rf"^BAD segments/{segment.name} .*{expected}", out, re.MULTILINE)
    assert "the same command runs these points again; to put aside what is damaged: swath doctor " in out


def test_the_doctor_reports_an_unreadable_run(here):
    folder = here / "results" / "broken"
    (folder / "segments").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    assert "manifest.json" in ask("doctor", "broken", code=2)[1]
    assert json.loads(ask("ls", "--json")[0])[0]["state"] == "damaged"


def test_module_and_script_are_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "swath", "ls", "--out", "/nonexistent"],
        env=environment(),
        check=True,
        capture_output=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"no runs in /nonexistent\n")


def test_the_text_of_help_fits_a_page():
    out, _ = ask("--help")
    assert max(map(len, out.splitlines())) <= 80
    assert "swath results RUN       get a table" in textwrap.dedent(out)


def test_a_goal_that_no_point_returned_is_named_at_the_end(tmp_path):
    (tmp_path / "model.py").write_text("def f(x):\n    return {'loss': x}\n")
    (tmp_path / "study.yaml").write_text("objective: model:f\nparameters: {x: [1, 2]}\nminimize: lost\n")
    ended = swath("run", "study.yaml", "--engine", "inline", cwd=tmp_path, check=0)
    assert "best:     none: no point returned a number as lost, which is to be minimized" in ended.stderr
