"""The runner of the fault catalogue, and that the tests bear ids that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FAULTS = Path(__file__).with_name("faults")


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    import tests.faults.__main__ as found

    return found


def test_there_are_128_faults_and_each_test_bears_ids_of_them(runner):
    assert len(runner.CATALOGUE) == 128
    assert set(runner.OPEN) < set(runner.CATALOGUE)
    names = [
        name
        for file in FAULTS.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    ]
    borne = {key for name in names for key in runner.ids(name)} - {""}
    assert borne
    assert borne <= set(runner.CATALOGUE)
    assert runner.ids("a.py::test_C07_C08_an_error") == ["C07", "C08"]


@pytest.mark.parametrize(
    ("notes", "survives", "misses"),
    [
        ([], False, []),
        (["collected"], False, []),
        (["collected", "begun", "ended"], True, []),
        (["collected", "begun", "failed", "ended"], False, ["failed   x.py::test_B07_x: why"]),
        (["collected", "begun", "skipped", "ended"], False, ["skipped  x.py::test_B07_x: why"]),
        (["collected", "begun"], False, ["failed   x.py::test_B07_x: the test process ended in it"]),
        (["failed"], False, ["failed   x.py::test_B07_x: why"]),
    ],
)
def test_an_id_survives_if_all_of_its_tests_pass(runner, notes, survives, misses):
    case = runner.Case()
    for what in notes:
        case.note("tests/faults/x.py::test_B07_x", what, "why")
    assert case.survives == survives
    assert list(case.misses()) == misses


def test_the_runner_says_what_survives_and_what_was_not_run():
    words = [sys.executable, "-m", "tests.faults", "-p", "no:cacheprovider", "-k", "C05_a_file_is_synced"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not run, or not all of it: " in done.stdout
    assert "D22  open     needs TLS" in done.stdout
    assert done.stdout.endswith("survived 0/128\n")  # C05 has more tests than this
