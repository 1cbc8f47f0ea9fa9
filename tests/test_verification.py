"""Running finished points again: equal, or changed and named; nothing is kept."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import chdir
from fractions import Fraction

import pytest
from click.testing import CliRunner

import swath
from running import ask
from swath.cli import sweep as cli
from swath.errors import DefinitionError, ObjectiveError, UsageError
from swath.verification import is_equal
from tasks import written

MODEL = """
import math

def f(x, y):
    if x == 3:
        raise ValueError("three")
    return {
        "sum": x + y, "third": x / 3, "nan": math.nan, "list": [x / 7, math.inf], "mixed": x if x % 2 else "even",
        "none": None, "wide": 2**53 + 1 if x == 1 else 0.5, "true": x > 2,
    }
"""
STUDY = "objective: model:f\nparameters: {x: {range: [1, 7]}, y: 0.5}\norder: shuffle\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = written(tmp_path_factory.mktemp("finished"), model=MODEL)
    (folder / "study.yaml").write_text(STUDY)
    ask("run", "study.yaml", "--engine", "inline", folder=folder, code=3)
    return folder


@pytest.fixture
def study(finished, tmp_path):
    """A folder of its own with a run of five rows that are ok, and one that is not."""
    return shutil.copytree(finished, tmp_path / "copy")


def asked(study, *options, code=0):
    with chdir(study):
        done = CliRunner().invoke(cli, ["verify", *options])
    assert done.exit_code == code, done.output
    return done.output


def verified(study, *options, code=0):
    return json.loads(asked(study, "study", "--json", *options, code=code))


def test_the_same_code_gives_the_same_and_keeps_nothing(study):
    before = {path: path.stat().st_mtime_ns for path in (study / "results").rglob("*")}
    found = verified(study)
    assert (found["points"], found["of"], found["equal"], found["changed"]) == (5, 5, 5, [])
    assert not found["code_changed"]
    assert {path: path.stat().st_mtime_ns for path in (study / "results").rglob("*")} == before
    out = asked(study, "study", "--points", "2")
    assert "run again  2 of 5 points that ended ok" in out
    assert "code       that which made these rows" in out


def test_changed_code_is_named_with_the_points_that_changed(study):
    written(study, model=MODEL.replace("x / 3", "x / 3 * (1 + 1e-12 * (x == 4))").replace("x > 2", "x > 5"))
    found = verified(study, code=3)
    assert (found["points"], found["equal"], found["code_changed"]) == (5, 3, True)
    assert [
        (change["point"], change["parameters"]["x"], list(change["metrics"])) for change in found["changed"]
    ] == [
        (3, 4, ["third", "true"]),
        (4, 5, ["true"]),
    ]
    assert found["changed"][1]["metrics"]["true"] == {"old": True, "new": False}
    out = asked(study, "study", code=3)
    assert "not that which made all of these rows" in out
    assert "1.3333333333333333" in out
    written(study, model=MODEL.replace("x / 3", "x / 3 * (1 + 1e-12)"))
    assert verified(study, code=3)["equal"] == 0
    assert verified(study, "--rtol", "1e-9")["equal"] == 5


def test_points_that_fail_by_now_have_changed(study):
    written(study, model=MODEL.replace("x == 3", "x == 2").replace("return {", "return {} if x == 6 else {"))
    found = {change["point"]: change for change in verified(study, code=3)["changed"]}
    assert found[1]["failure"] == "error: ValueError: three"
    assert found[5]["metrics"]["sum"] == {"old": 6.5, "new": None}
    assert "error: ValueError: three" in asked(study, "study", code=3)


def test_a_sweep_made_in_python_verifies_itself(tmp_path):
    scale, how = {"by": 3}, Fraction(3)

    def scaled(x, how):
        return int(x * how * scale["by"])

    sweep = swath.Sweep(scaled, {"x": [1, 2], "how": how}, name="scaled")
    sweep.run(engine="inline", out=tmp_path)
    found = sweep.verify(out=tmp_path)
    assert repr(found) == "<Verification: 2 points run again: 2 equal, 0 changed>"
    scale["by"] = 4
    changed = swath.Sweep(scaled, {"x": [1, 2], "how": how}, name="scaled").verify(out=tmp_path)
    assert changed.code_changed
    assert [dict(change.metrics) for change in changed.changes] == [{"value": (9, 12)}, {"value": (18, 24)}]
    assert "verify it there: Sweep(...).verify()" in asked(tmp_path, str(tmp_path / "scaled"), code=2)


def test_what_cannot_be_verified_is_said(study):
    written(study, model="def f(x, y, z): return 1")
    with chdir(study), pytest.raises(DefinitionError, match="z"):
        swath.load("study.yaml").verify()
    written(study, model="1 / 0\ndef f(x, y): return 1")
    with chdir(study), pytest.raises(ObjectiveError, match="ZeroDivisionError"):
        swath.load("study.yaml").verify()
    with chdir(study), pytest.raises(UsageError):
        swath.load("study.yaml").verify(out="nowhere")


@pytest.mark.parametrize(
    ("old", "new", "rtol", "equal"),
    [
        (1, 1.0, 0.0, True),
        (True, 1, 0.0, False),
        (math.nan, math.nan, 0.0, True),
        (math.nan, 1.0, 1.0, False),
        (math.inf, 1e308, 0.5, False),
        (0.1 + 0.2, 0.3, 0.0, False),
        (0.1 + 0.2, 0.3, 1e-15, True),
        ("1", 1, 0.0, True),
        ("1", "1 ", 0.0, False),
        ("None", None, 0.0, False),
        (None, None, 0.0, True),
        (None, math.nan, 0.0, False),
        ([1.0, [2.0]], [1.0, [2.0 + 1e-12]], 1e-9, True),
        ([1.0], [1.0, 2.0], 1.0, False),
        (10**18, 10**18 + 1, 1e-3, False),
        (b"a", b"a", 0.0, True),
    ],
)
def test_when_values_are_equal(old, new, rtol, equal):
    assert is_equal(old, new, rtol) is equal
