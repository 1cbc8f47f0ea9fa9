"""Driver faults C02, C03, C17, C18 and C19: signals, terminals that go away, and interpreters that end."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from random import Random

import psutil
import pytest

import swath
from running import ENVIRONMENT, HOLD, PATIENCE, ask, begun, command, family, ran, taken_back, until

NAPS = 60
NAP = f"objective: study:nap\nparameters: {{x: {{range: [{NAPS}]}}}}\n"
HELD = "objective: study:hold\nparameters: {x: {range: [20]}}\n"
RUN = ("run", "study.yaml", "-n", "2")
INTERRUPTED = (130, -signal.SIGINT, 0)
"""Exit codes of a run that gets a Ctrl-C at any moment: while Python itself starts or ends nobody listens, and the
signal ends it (130 for a shell, too); a sweep may have been quicker."""


@pytest.fixture
def naps(tmp_path):
    return laid(tmp_path, NAP)


@pytest.fixture
def held(tmp_path):
    return laid(tmp_path, HELD)


def laid(folder, text, code=HOLD):
    (folder / "study.yaml").write_text(text)
    (folder / "study.py").write_text(code)
    return folder


def saved(folder):
    return swath.open(folder / "results/study")


def saved_values(folder):
    """Values on disk by point; nothing where no run was begun."""
    if not (folder / "results/study/manifest.json").exists():
        return {}
    frame = saved(folder).frame
    return dict(zip(frame.x, frame.value, strict=True)) if len(frame) else {}


def goes_on(folder, before, total=NAPS):
    """The same command finishes the sweep, and what was saved before is as it was."""
    ask(*RUN, folder=folder)
    after = saved_values(folder)
    assert after == {x: x * x for x in range(total)}
    assert before.items() <= after.items()


def reads(process, word):
    assert any(word in line for line in process.stderr), f"it never said {word!r}"


def children_of(process):
    return family(psutil.Process(process.pid))


def gone(pids):
    return until(lambda: not any(map(psutil.pid_exists, pids)))


# C02: other signals.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_C02_sigterm_and_sighup_drain_commit_and_leave(number, code, held):
    with begun(*command(*RUN), folder=held) as process:
        until(lambda: len(ran(held)) == 2)
        children = children_of(process)
        process.send_signal(number)
        reads(process, "Stopping")
        taken_back(held)
        (held / "go").touch()
        assert process.wait(PATIENCE) == code
    gone(children)
    assert saved(held).statuses == {"ok": 2}


# C03: Ctrl-C.


def test_C03_ctrl_c_once_finishes_what_runs_and_says_how_to_go_on(held):
    with begun(*command(*RUN), folder=held) as process:
        until(lambda: len(ran(held)) == 2)
        process.send_signal(signal.SIGINT)
        reads(process, "Stopping: the points that are running finish first")
        taken_back(held)
        (held / "go").touch()
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "go on:    swath run study.yaml -n 2" in said
    assert saved(held).statuses == {"ok": 2}
    goes_on(held, saved_values(held), 20)


def test_C03_ctrl_c_twice_waits_for_nobody_and_thrice_leaves(held):
    for times in (2, 3):
        begins = len(ran(held))
        with begun(*command(*RUN), folder=held) as process:
            until(lambda begins=begins: len(ran(held)) == begins + 2)
            children = children_of(process)
            process.send_signal(signal.SIGINT)
            reads(process, "Stopping:")
            for _ in range(times - 1):
                process.send_signal(signal.SIGINT)
                time.sleep(0.02)  # two of a kind that come together are one
            assert process.wait(PATIENCE) == 130
        gone(children)
    (held / "go").touch()
    goes_on(held, {}, 20)


def test_C03_ctrl_c_of_a_terminal_reaches_the_driver_and_not_its_children(held):
    with subprocess.Popen(
        command(*RUN), cwd=held, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        until(lambda: len(ran(held)) == 2)
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to everybody in the foreground
        reads(process, "Stopping")
        taken_back(held)
        (held / "go").touch()
        assert process.wait(PATIENCE) == 130
    assert saved(held).statuses == {"ok": 2}
    assert len(ran(held)) == 2  # no child was interrupted and its point run again


def test_C03_ctrl_c_at_any_moment_of_a_start_and_of_a_resume(naps):
    for after in (0.0, 0.3, 0.6, 0.9, 0.45, 0.75):
        before = saved_values(naps)
        with begun(*command(*RUN), folder=naps) as process:
            time.sleep(after)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode in INTERRUPTED, said
        assert "mistake of its own" not in said
        assert before.items() <= saved_values(naps).items()
    goes_on(naps, saved_values(naps))


BROAD = """
def wide(x):
    return {f"m{i}": x * i + 0.5 for i in range(200)}
"""


def test_C03_ctrl_c_during_commits(tmp_path):
    laid(tmp_path, "objective: study:wide\nparameters: {x: {range: [8000]}}\n", BROAD)
    random, manifest = Random(3), tmp_path / "results/study/manifest.json"

    def committed():
        return manifest.stat().st_mtime_ns if manifest.exists() else 0

    for times in (1, 2):
        before = committed()
        with begun(*command(*RUN), folder=tmp_path) as process:
            until(lambda before=before: committed() > before)
            time.sleep(random.uniform(0, 0.3))
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(0.01)
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode in INTERRUPTED, said
        results = saved(tmp_path)
        assert not results.damage
        if len(results):
            assert (results.frame.m7 == results.frame.x * 7 + 0.5).all()
    ask(*RUN, folder=tmp_path)
    assert len(saved(tmp_path)) == 8000


# C17: nobody listens, or the terminal is odd.


def test_C17_a_closed_pipe_disturbs_nothing(tmp_path):
    laid(tmp_path, NAP.replace(str(NAPS), "20"))
    with subprocess.Popen(
        command(*RUN, "--json"),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stderr.close()
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
    assert saved_values(tmp_path) == {x: x * x for x in range(20)}


def test_C17_no_standard_descriptors_at_all(tmp_path):
    laid(tmp_path, NAP.replace(str(NAPS), "20"))
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command(*RUN)]
    assert subprocess.run(shell, cwd=tmp_path, env=ENVIRONMENT, timeout=PATIENCE, check=False).returncode == 0
    assert saved_values(tmp_path) == {x: x * x for x in range(20)}
    assert not saved(tmp_path).damage


@pytest.mark.parametrize("environment", [{"COLUMNS": "1", "LINES": "1"}, {"NO_COLOR": "1", "TERM": "xterm"}])
def test_C17_a_terminal_of_one_column_and_no_colour(environment, tmp_path):
    laid(tmp_path, NAP.replace(str(NAPS), "20"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*RUN), cwd=tmp_path, env={"TERM": "xterm", **ENVIRONMENT, **environment}, stderr=theirs
    ) as process:
        os.close(theirs)
        drawn = b""
        try:
            while piece := os.read(ours, 65536):
                drawn += piece
        except OSError:  # the other end is closed
            pass
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    assert saved_values(tmp_path) == {x: x * x for x in range(20)}
    if "NO_COLOR" in environment:
        assert not re.search(rb"\x1b\[(\d+;)*[34]\d*[;m]", drawn)


# C18, C19: scripts, and interpreters that end.


def script(folder, text, code=0):
    (folder / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_C18_a_script_needs_no_main_guard(tmp_path):
    done = script(
        tmp_path,
        "import swath\n"
        "def simulate(x):\n"
        "    return x * x\n"
        "results = swath.Sweep(simulate, {'x': range(5)}).run(workers=2)\n"
        "print(results.frame.value.tolist())\n",
    )
    assert (done.stdout, done.stderr) == ("[0, 1, 4, 9, 16]\n", "")


ENDING = """
import os, signal, sys, threading, time
import psutil, swath, study
handle = swath.Sweep("study:nap", {"x": range(200)}, name="study").start(workers=2)
before = handle.snapshot.saved
while handle.snapshot.saved < before + 5 and not handle.wait(0):
    time.sleep(0.01)
children = [c.pid for c in psutil.Process().children(recursive=True)]
print(*children, flush=True)
"""


WAYS = {
    "sys.exit(5)": 5,
    "raise RuntimeError('of the user')": 1,
    "pass": 0,
    "os._exit(6)": 6,
    "os.kill(os.getpid(), signal.SIGTERM)": -signal.SIGTERM,  # as a notebook's kernel is restarted
}


def test_C19_an_interpreter_that_ends_with_batches_in_flight(tmp_path):
    laid(tmp_path, NAP)
    before = {}
    for last, code in WAYS.items():
        done = script(tmp_path, ENDING + last + "\n", code)
        gone(map(int, done.stdout.split()))
        assert done.stderr.count("Traceback") == ("raise" in last), done.stderr
        after = saved_values(tmp_path)
        assert before.items() <= after.items()
        assert len(after) >= min(len(before) + 5, 200)
        before = after
    script(
        tmp_path, "import swath\nswath.Sweep('study:nap', {'x': range(200)}, name='study').run(workers=2)\n"
    )
    assert before.items() <= saved_values(tmp_path).items()
    assert saved_values(tmp_path) == {x: x * x for x in range(200)}
