"""FAULTS A03, A06, A13: whatever a file holds, it is a definition or it is refused with places, in a moment."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swath.definition import Definition
from swath.definition.documents import read_yaml
from swath.definition.loading import load
from swath.definition.trial import try_out
from swath.errors import DefinitionError, ExpressionError
from swath.space.expressions import Column, Expression, column

GOOD = (
    (
        "name: epidemic\nobjective: epidemic:simulate\nparameters:\n  beta: {linspace: [0.1, 1.0, 50]}\n  gamma: [0.05, 0.1, 0.2]\n"
        "  population: 10000\n  seed: {seeds: 10}\nwhere: beta > gamma\nderive: {r0: beta / gamma}\nminimize: error\nseed: 0\n"
        "point: {timeout: 60s, memory: 2GiB, cores: 1, retries: 1}\ncluster: {workers: 4}\norder: shuffle\nisolation: process\n"
    ),
    (
        "objective: m:f\nparameters:\n- {a: [1, 2.5, x, null, true, [1], {b: 2}]}\n- {a: {range: [3]}, c: {values: [1, 2], when: a > 1, was: 1}}\n"
        "zip: [[a, c]]\ntable: {t: [1, 2], u: [x, y]}\n"
    ),
    '{"objective": "m:f", "parameters": {"a b": {"geomspace": [0.1, 10, 5], "when": "`x`"}, "x": {"logspace": [-3, 3, 7]}}}',
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("anything") / "any.yaml"


def in_time(work, seconds):
    """Do something that must not take long; a second chance, because a collection of garbage may fall into it."""
    for chance in (1, 2):
        began = time.process_time()
        done = work()
        if time.process_time() - began < seconds:
            return done
        assert chance == 1, f"more than {seconds} s"
    return None


def attempt(file, overrides):
    """Load a file, and return the definition or the mistakes."""
    try:
        definition = load(file, overrides)
        try_out(definition)
    except DefinitionError as error:
        return None, error.mistakes
    return definition, ()


def settle(file, content, overrides=()):
    """Load what may be anything; it must be a definition, or mistakes of which each can be printed in a line."""
    file.write_bytes(content)
    definition, mistakes = in_time(lambda: attempt(file, overrides), 2)
    assert mistakes or definition is not None
    for mistake in mistakes:
        assert str(mistake).isprintable()
        assert mistake.text
        assert mistake.file in {str(file), *overrides}
    if definition is not None:
        assert isinstance(definition, Definition)
        assert 1 <= definition.space.size < 2**63
    return definition


@given(
    content=st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
@settings(deadline=None, max_examples=100)
def test_A03_any_bytes_are_a_definition_or_refused(file, content):
    settle(file, content)


PIECES = st.sampled_from(
    [
        *(
            "- ",
            ": ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "\n",
            "  ",
            "'",
            '"',
            "&a ",
            "*a",
            "!!str ",
            "<<: ",
            "---\n",
            "? ",
            "| ",
            "#",
            "%",
        ),
        *(
            "1e400",
            ".nan",
            ".inf",
            "-0.0",
            "0",
            "-1",
            "1e-400",
            "9" * 400,
            "null",
            "~",
            "true",
            "\t",
            "\r",
            "\ufeff",
            "\0",
            "\u2028",
        ),
        *(
            "linspace",
            "range",
            "seeds",
            "opaque",
            "values",
            "when",
            "was",
            "where",
            "zip",
            "table",
            "derive",
            "\U0001f600",
        ),
    ]
)


@st.composite
def damaged(draw):
    """A definition in which a few pieces were cut out, put in, or moved."""
    text = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        text = text[:place] + draw(PIECES | st.text(max_size=3)) + text[place + length :]
    return text.encode("utf-8", "surrogatepass")


@given(content=damaged())
@settings(deadline=None, max_examples=150)
def test_A04_a_definition_with_damage_is_a_definition_or_refused(file, content):
    settle(file, content)


NAMES = st.sampled_from(["a", "b", "c", "a b", "status", "", "x.y", "\n", "\u202e"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 9) | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["a > 1", "b", "m:f", "grid", "shuffle", "1s", "1GB", "process", "a / b", "x.csv", "`a b` + c", "1e308 * 10"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
NUMBERS = (
    st.integers(-5, 20)
    | st.floats(-1e3, 1e3)
    | st.sampled_from([0, 1e300, -1e300, 1e-300, 10**400, 2**63, float("inf")])
)
FORMS = st.dictionaries(
    st.sampled_from(["linspace", "geomspace", "logspace", "range", "seeds", "values", "opaque", "when", "was"]),
    ANYTHING | st.lists(NUMBERS, min_size=1, max_size=4) | st.integers(0, 30) | st.sampled_from(["a > 1", "b == 2", "not a"]),
    min_size=1,
    max_size=3,
)  # fmt: skip
BLOCKS = st.dictionaries(NAMES, st.lists(SCALARS, max_size=4) | FORMS | SCALARS, max_size=4)
KEYS = {
    "name": ANYTHING,
    "objective": st.just("m:f") | ANYTHING,
    "parameters": BLOCKS | st.lists(BLOCKS, max_size=3) | ANYTHING,
    "table": st.dictionaries(NAMES, st.lists(SCALARS, max_size=3), max_size=3) | ANYTHING,
    "zip": st.lists(st.lists(NAMES, max_size=3), max_size=2) | ANYTHING,
    "where": ANYTHING,
    "derive": st.dictionaries(NAMES, SCALARS, max_size=3) | ANYTHING,
    "order": ANYTHING,
    "minimize": ANYTHING,
    "maximize": ANYTHING,
    "seed": ANYTHING,
    "point": st.dictionaries(st.sampled_from(["timeout", "memory", "cores", "retries", "fresh"]), SCALARS, max_size=3) | ANYTHING,
    "cluster": st.dictionaries(st.sampled_from(["workers", "scheduler", "insecure"]), SCALARS, max_size=3) | ANYTHING,
    "isolation": ANYTHING,
    "surprise": ANYTHING,
}  # fmt: skip


@given(
    mapping=st.fixed_dictionaries(
        {"objective": st.just("m:f"), "parameters": BLOCKS},
        optional={key: content for key, content in KEYS.items() if key not in ("objective", "parameters")},
    )
    | st.fixed_dictionaries({}, optional=KEYS),
    overrides=st.lists(st.tuples(NAMES, st.text(max_size=8)).map("=".join), max_size=2),
)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_A06_any_mapping_is_a_definition_or_refused(file, mapping, overrides):
    text = json.dumps(mapping).replace("NaN", ".nan").replace("Infinity", ".inf")
    definition = settle(file, text.encode(), overrides)
    if definition is not None:  # what is accepted can be written, read back, and is the same
        again, _ = read_yaml(json.dumps(definition.source).replace("Infinity", ".inf"))
        assert json.dumps(again) == json.dumps(definition.source)


ROWS = {
    "x": Column(np.arange(3)),
    "s": Column(column(["a", "", "\U0001f600"])),
    "n": Column(column([None, True, 1e300]), np.array([True, False, True])),
    "f": Column(np.array([0.0, float("nan"), float("-inf")])),
    "i": Column(column([10**299, -1, 0])),
}


@given(
    text=st.lists(
        st.sampled_from(
            [
                *(
                    "x",
                    "s",
                    "n",
                    "f",
                    "i",
                    "1",
                    "0",
                    "2.5",
                    "1e308",
                    "10**200",
                    "'a'",
                    "None",
                    "True",
                    "-",
                    "not ",
                    "(",
                    ")",
                ),
                *(
                    " + ",
                    " - ",
                    " * ",
                    " / ",
                    " // ",
                    " % ",
                    " ** ",
                    " < ",
                    " == ",
                    " and ",
                    " or ",
                    " in [1, 'a']",
                    ", ",
                ),
                *(
                    " if ",
                    " else ",
                    "abs(",
                    "round(",
                    "max(",
                    "floor(",
                    "log(",
                    "sqrt(",
                    "isnan(",
                    "atan2(",
                    ".",
                    "[",
                    "`x`",
                ),
            ]
        ),
        min_size=1,
        max_size=14,
    ).map("".join)
)
@settings(deadline=None, max_examples=300)
def test_A13_any_expression_has_a_value_or_is_refused(text):
    found = in_time(lambda: value_or_reason(text), 0.5)
    assert found.startswith("expression ") if isinstance(found, str) else len(found.values) == 3


def value_or_reason(text):
    try:
        return Expression(text).evaluate(ROWS, 3)
    except ExpressionError as error:
        return str(error)
