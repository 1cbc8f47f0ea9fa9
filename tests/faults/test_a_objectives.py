"""FAULTS A16, A17, A20, A21: objectives that cannot be had, do not fit, or are not those of the saved rows."""

from __future__ import annotations

import sys
import time

import pytest

import swath
from refusing import GOOD, called, refused, settled, study, tree, untouched
from swath.errors import ObjectiveError
from swath.slot import Slot, child
from swath.store.disk import Disk
from swath.store.manifest import read_manifest
from tasks import task

PLAIN = f"{GOOD}parameters: {{x: [1, 2]}}\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder of the user's, in which the command line is called."""
    yield from settled(tmp_path, monkeypatch)
    sys.modules.pop("helper", None)


# A16: what can be seen without importing it.


@pytest.mark.parametrize(
    ("objective", "text", "line"),
    [
        ("nowhere:f", "", "study.yaml:1:1: error: objective: there is no nowhere.py in "),
        ("nowhere.deep:f", "", "study.yaml:1:1: error: objective: there is no nowhere/deep.py in "),
        ("model.deep:f", "def f(): pass", "study.yaml:1:1: error: objective: there is no model/deep.py in "),
        ("model:g", "def f(x): pass\ndef h(x): pass", "study.yaml:1:1: error: objective: model.py defines no g; its functions are f, h"),
        ("model:f", "def f(x:\n  pass", "model.py:1:6: error: not Python: '(' was never closed"),
        ("model:f", "x = (", "model.py:1:5: error: not Python: '(' was never closed"),
        ("model:f", "\0", "model.py:0:0: error: not Python: source code string cannot contain null bytes"),
        ("model:f", "# coding: nonsense\n", "study.yaml:1:1: error: objective: "),
        ("json:dumps", "", "study.yaml:1:1: error: objective: "),
        ("__main__:f", "", "study.yaml:1:1: error: objective: a slot has a __main__ of its own"),
    ],
)  # fmt: skip
def test_A16_what_the_text_shows_is_said_before_anything_starts(here, objective, text, line):
    study(here, PLAIN.replace("model:f", objective), objective=text)
    (here / "json.py").write_text("def dumps(x): pass")
    (found,) = refused("study.yaml")
    assert found.startswith(line)


def test_A16_a_folder_or_a_broken_link_is_no_module(here):
    study(here, PLAIN)
    (here / "model.py").unlink()
    (here / "model.py").mkdir()
    (line,) = refused("study.yaml")
    assert line.startswith("study.yaml:1:1: error: objective: there is no model.py in ")
    (here / "model.py").rmdir()
    (here / "model.py").symlink_to("gone.py")
    (line,) = refused("study.yaml")
    assert line.startswith("study.yaml:1:1: error: objective: there is no model.py in ")


# A16: what only a child can tell.

IMPORTS = {
    "raises": ("open('data/cases.csv')\ndef f(x): pass", ["cannot be imported: FileNotFoundError", 'model.py", line 1']),
    "deep": (
        "def load(n):\n    return load(n - 1) if n else 1 / 0\nload(99)\ndef f(x): pass",
        ["ZeroDivisionError", 'model.py", line 2, in load', "return load(n - 1) if n else 1 / 0"],
    ),
    "lacks": ("import nowhere_at_all\ndef f(x): pass", ["ModuleNotFoundError: No module named 'nowhere_at_all'"]),
    "exits": ("import sys\nsys.exit('no licence')\ndef f(x): pass", ["SystemExit: no licence", "model.py"]),
    "interrupts": ("raise KeyboardInterrupt\ndef f(x): pass", ["cannot be imported: KeyboardInterrupt", "model.py"]),
    "dies": ("import os\nos._exit(7)\ndef f(x): pass", ["importing model:f ended its process", "exit status 7"]),
    "crashes": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\ndef f(x): pass",
        ["importing model:f ended its process", "SIGSEGV"],
    ),
    "value": ("f = 3", ["model:f is int, not a function"]),
    "later": ("if True:\n    g = 1", ["AttributeError: module 'model' has no attribute 'f'"]),
    "positional": ("def f(x, /): pass\nf = f", ["argument x is positional-only; swath calls with keywords"]),
    "hides": (
        "class Evil(Exception):\n    def __str__(self): raise self\nraise Evil\ndef f(x): pass",
        ["model:f cannot be imported", "Evil"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPORTS)
def test_A16_an_import_that_fails_is_shown_with_the_end_of_its_traceback(tmp_path, name):
    text, parts = IMPORTS[name]
    slot = Slot(task(tmp_path, text, {"x": [1]}, module="model"), "w/0")
    try:
        with pytest.raises(ObjectiveError) as caught:
            slot.open()
    finally:
        slot.close()
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert len(str(caught.value)) < 10_000


def test_A16_an_import_that_hangs_is_ended_after_a_minute(tmp_path, monkeypatch):
    assert child.IMPORT_TIMEOUT == 60
    monkeypatch.setattr(child, "IMPORT_TIMEOUT", 1.5)
    slot = Slot(task(tmp_path, "import time\nwhile True: time.sleep(1)\ndef f(x): pass", {"x": [1]}), "w/0")
    began = time.monotonic()
    try:
        with pytest.raises(ObjectiveError, match=r"importing objective:f took more than 1\.5 s"):
            slot.open()
    finally:
        slot.close()
    assert 1.5 <= time.monotonic() - began < 60


@pytest.mark.parametrize("engine", ["inline", "dask"])
def test_A16_a_run_whose_import_fails_leaves_nothing(here, engine):
    study(here, PLAIN, objective="import sys\nsys.exit('no licence')\ndef f(x): pass")
    with untouched(here):
        result = called("run", "study.yaml", "--engine", engine, "-n", "1", "--progress", "none")
    assert result.exit_code == 2
    assert result.stderr.startswith("model:f cannot be imported: SystemExit: no licence\n")
    assert 'model.py", line 2, in <module>' in result.stderr


# A17.


@pytest.mark.parametrize(
    ("arguments", "parameters", "lines"),
    [
        (
            "a, b, c=1", "{a: 1, d: 2}",
            ["1:1: error: objective: model:f (model.py:1) requires b, which nothing provides; add it to parameters, or give it a default: b=None",
             "2:20: error: parameters.d: neither model:f (model.py:1) nor a derive reads it; its arguments are a, b, c"],
        ),
        (
            "a, b", "{a: [1, 2], b: {values: [3], when: a == 1}}",
            ["2:25: error: parameters.b: absent where (a == 1) is false, but model:f requires it (model.py:1); give it a default: b=None"],
        ),
        (
            "a, b", "[{a: 1, b: 2}, {a: 3}]",
            ["2:21: error: parameters[0].b: absent in block 2 of the union, but model:f requires it (model.py:1); give it a default: b=None"],
        ),
        ("", "{a: 1}", ["2:14: error: parameters.a: neither model:f (model.py:1) nor a derive reads it; its arguments are none"]),
        ("*a, b=1", "{a: 1}", ["2:14: error: parameters.a: neither model:f (model.py:1) nor a derive reads it; its arguments are b"]),
    ],
)  # fmt: skip
def test_A17_arguments_and_parameters_that_do_not_fit_are_all_named(here, arguments, parameters, lines):
    study(here, f"{GOOD}parameters: {parameters}\n", objective=f"def f({arguments}): pass")
    assert [line.removeprefix("study.yaml:") for line in refused("study.yaml")] == lines


def test_A17_what_only_a_child_knows_of_the_arguments_stops_the_run_too(here):
    text = "import functools\ndef g(x, y): pass\nf = functools.partial(g)\n"
    study(here, PLAIN, objective=text)
    with untouched(here):
        result = called("run", "study.yaml", "--engine", "inline", "--progress", "none")
    assert result.exit_code == 2
    assert "study.yaml:1:1: error: objective: model:f requires y, which nothing provides" in result.stderr


# A20, A21.


def run(*more, code=0, file="study.yaml"):
    result = called("run", file, "--engine", "inline", "--progress", "none", *more)
    assert result.exit_code == code, result.output
    return result.stderr


F = "def f(x, y=0):\n    return x * 10 + y\n"


def test_A20_points_may_come_and_go(here):
    study(here, PLAIN, objective=F)
    run()
    study(here, f"{GOOD}parameters: {{x: [2, 3], y: {{values: [0, 1], was: 0}}}}\n", objective=F)
    assert "study: 1 done, 3 to do" in run()
    frame = swath.open("results/study").frame
    assert dict(zip(zip(frame["x"], frame["y"], strict=True), frame["value"], strict=True)) == {
        (2, 0): 20, (2, 1): 21, (3, 0): 30, (3, 1): 31,
    }  # fmt: skip
    study(here, PLAIN, objective=F)  # back again: the row of x = 1 was kept
    assert "study: 2 done, 0 to do" in run()


def test_A20_another_objective_is_refused_with_both_ways_out(here):
    study(here, PLAIN, objective=F + "def g(x):\n    return -x\n")
    run()
    study(here, PLAIN.replace("model:f", "model:g"), objective=F + "def g(x):\n    return -x\n")
    with untouched(here):
        said = run(code=2)
    assert said.splitlines() == [
        "results/study: the objective was model:f and is model:g (model.py:3) since 2 rows were saved. Nothing was run.",
        "  keep them, run what is missing:  swath run study.yaml --accept-code-change",
        "  run all again (old run kept as study.1):  swath run study.yaml --fresh",
    ]
    run("--fresh")
    assert swath.open("results/study").frame["value"].tolist() == [-1, -2]
    assert swath.open("results/study.1").frame["value"].tolist() == [10, 20]


def test_A21_changed_code_runs_nothing_until_it_is_accepted_and_rows_keep_their_fingerprint(here):
    study(here, PLAIN, objective=F)
    run()
    study(here, PLAIN.replace("[1, 2]", "[1, 2, 3]"), objective="# a comment\n" + F.replace("* 10", "*10"))
    assert "study: 2 done, 1 to do" in run()  # comments and formatting are no change
    changed = F.replace("* 10", "* 100")
    study(here, PLAIN.replace("[1, 2]", "[1, 2, 3, 4]"), objective=changed)
    with untouched(here):
        said = run(code=2)
    assert said.splitlines() == [
        "results/study: model:f (model.py:1) changed since 3 rows were saved. Nothing was run.",
        "  keep them, run what is missing:  swath run study.yaml --accept-code-change",
        "  run all again (old run kept as study.1):  swath run study.yaml --fresh",
    ]
    before = {path: content for path, content in tree(here).items() if "segments/" in path}
    sys.modules.pop("model")
    assert "study: 3 done, 1 to do" in run("--accept-code-change")
    assert swath.open("results/study").frame["value"].tolist() == [10, 20, 30, 400]
    after = tree(here)
    assert before.items() <= after.items()  # the old rows lie where they lay
    manifest = read_manifest(Disk(), here / "results" / "study")
    codes = [entry.code for entry in manifest.segments]
    assert [codes[0] == code for code in codes] == [True] * (len(codes) - 1) + [False]
    assert "study: 4 done, 0 to do" in run()  # accepted once, it is the code of this run


@pytest.mark.parametrize("change", ["helper", "constant", "default", "decorator"])
def test_A21_a_change_anywhere_in_the_code_that_travels_is_seen(here, change):
    texts = {
        "model.py": "from helper import scale\nK = 1\ndef f(x, y=0):\n    return scale(x) * K\n",
        "helper.py": "def scale(x):\n    return x * 10\n",
    }
    study(here, PLAIN, objective=texts["model.py"])
    (here / "helper.py").write_text(texts["helper.py"])
    run()
    old, new, file = {
        "helper": ("x * 10", "x * 11", "helper.py"),
        "constant": ("K = 1", "K = 2", "model.py"),
        "default": ("y=0", "y=1", "model.py"),
        "decorator": ("def f", "@staticmethod\ndef f", "model.py"),
    }[change]
    (here / file).write_text(texts[file].replace(old, new))
    with untouched(here):
        assert "changed since 2 rows were saved. Nothing was run." in run(code=2)
