"""FAULTS B01-B05, B20-B34, B39: whatever a point returns or raises is its own row's affair, and nothing of it is lost."""

from __future__ import annotations

import itertools
import sys

import pytest

from swath.inside.evaluate import Evaluator
from swath.slot import Slot
from swath.task import pack, unpack
from tasks import batch, statuses, task

NUMBERS = itertools.count()


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Evaluate a function of x at some values, in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(source, values=(0, 1, 2)):
        made = task(tmp_path, source, {"x": list(values)}, module=f"faults{next(NUMBERS)}")
        reply = Evaluator(made, [-1, 0]).evaluate(0, len(values), 30.0)
        assert unpack(pack(reply)) == reply
        return reply

    return make


# What all failures of a reply have in common, for the brake.


def test_B34_failures_that_are_all_alike_share_a_complaint(evaluate):
    alike = "def f(x):\n    raise FileNotFoundError('data.csv')"
    assert evaluate(alike).complaint == "FileNotFoundError: data.csv"
    assert evaluate("def f(x): return {1} if x else 1").complaint == (
        "set is nothing that a column can hold: {1}"
    )
    assert evaluate("def f(x): return 1 / (x - 1)").complaint == "ZeroDivisionError: division by zero"


def test_B34_failures_that_differ_share_none(evaluate):
    assert evaluate("def f(x): raise ValueError(x)").complaint == ""
    assert evaluate("def f(x): return x").complaint == ""


def test_B34_a_death_complains_too(tmp_path):
    made = Slot(task(tmp_path, "import os\ndef f(x): return x or os._exit(7)", {"x": [1, 0, 0]}), "w")
    try:
        reply = made.evaluate(batch(0, 3))
    finally:
        made.close()
    assert statuses(reply)[1] == "crash"
    assert reply.complaint == "the process ended with exit status 7"
