"""FAULT A13: an expression that is more than one is refused within 50 ms, and nothing of it is ever executed."""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys

import pytest

import escapes
from refusing import GOOD, refused, settled, study
from running import ENVIRONMENT
from swath.errors import ExpressionError
from swath.space import grammar
from swath.space.expressions import Expression

WATCHED = """
import json, sys, time
import numpy as np
from swath.errors import ExpressionError
from swath.space.expressions import Column, Expression, column
texts = json.load(sys.stdin)
known = {"x": Column(np.arange(3)), "s": Column(column(["a", "b" * 999, ""])), "n": Column(column([None, True, 1e300]))}
events, watching, found = [], True, []
sys.addaudithook(lambda name, _: events.append(name) if watching else None)
for text in texts:
    took = []
    for _ in range(3):  # the best of three: a collection of garbage may fall into one
        began = time.process_time()
        try:
            expression = Expression(text)
            expression.holds({name: known.get(name, known["x"]) for name in expression.names}, 3)
            end = ""
        except ExpressionError as error:
            end = str(error)
        took.append(time.process_time() - began)
    found.append([min(took), end])
watching = False
json.dump([sorted(set(events)), found], sys.stdout)
"""
"""Reads and evaluates texts while an audit hook listens; tells what it heard, and for each text seconds and refusal."""


def watched(texts):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], input=json.dumps(texts), env=ENVIRONMENT,
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_A13_three_hundred_escapes_are_refused_in_a_moment_and_heard_by_nobody():
    assert len(escapes.ESCAPES) >= 300
    events, found = watched(escapes.ESCAPES)
    assert events == []
    for text, (seconds, end) in zip(escapes.ESCAPES, found, strict=True):
        assert end.startswith("expression "), text[:80]
        assert len(end) < 500, text[:80]
        assert seconds < 0.05, text[:80]


def test_A13_what_would_cost_the_earth_costs_nothing():
    events, found = watched(escapes.COSTLY)
    assert events == []
    for text, (seconds, end) in zip(escapes.COSTLY, found, strict=True):
        assert seconds < 0.05, text
        assert end or text.startswith(("round(x", "exp")), text


PYTHONS = (
    *(
        ast.Expression,
        ast.BoolOp,
        ast.BinOp,
        ast.UnaryOp,
        ast.Compare,
        ast.IfExp,
        ast.Call,
        ast.Name,
        ast.Constant,
    ),
    *(ast.List, ast.Tuple, ast.Load, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
"""The nodes of Python's that an expression may be made of."""


def test_A13_made_up_expressions_are_harmless_or_refused(pytestconfig):
    """As many as 300 for each of ``--hostile``."""
    source = random.Random(13)
    texts = [escapes.made_up(source) for _ in range(300 * pytestconfig.getoption("--hostile"))]
    events, found = watched(texts)
    assert events == []
    assert max(seconds for seconds, _ in found) < 0.05
    accepted = 0
    for text in texts:
        try:
            names = Expression(text).names
        except ExpressionError:
            continue
        accepted += 1
        tree = ast.parse(text.replace("`a b`", "a_b"), mode="eval")  # what we read, Python reads too
        assert all(isinstance(node, PYTHONS) for node in ast.walk(tree)), text
        called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert called <= set(grammar.FUNCTIONS), text
        assert {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - called <= {
            name.replace(" ", "_") for name in names
        } | called, text
    assert len(texts) / 10 < accepted < len(texts)  # the grammar makes some of both


@pytest.mark.parametrize("key", ["where", "derive", "when"])
@pytest.mark.parametrize(
    "text", ["x.__class__", "__import__('os').system('touch owned')", "(" * 100_000, "x[0]", "9**9**9"]
)
def test_A13_wherever_an_expression_may_stand(tmp_path, monkeypatch, key, text):
    for here in settled(tmp_path, monkeypatch):
        quoted = json.dumps(text)
        forms = {
            "where": f"parameters: {{x: [1, 2]}}\nwhere: {quoted}",
            "derive": f"parameters: {{x: [1, 2]}}\nderive: {{q: {quoted}}}",
            "when": f"parameters:\n  x: [1, 2]\n  y: {{values: [3, 4], when: {quoted}}}",
        }
        study(here, GOOD + forms[key])
        (line,) = refused("study.yaml")
        assert "error: " in line
        assert "expression " in line
        assert len(line) < 400
        assert not (here / "owned").exists()
