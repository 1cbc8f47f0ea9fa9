"""Conditions as distances: how far a row is from satisfying one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import ExpressionError
from swath.space.conditions import Conditions
from swath.space.expressions import Expression

ROW = {"a": 1.0, "b": 3, "name": "svm", "flag": True}


def missed(text, row=ROW, **derive):
    conditions = Conditions({"k": 7}, {name: Expression(inner) for name, inner in derive.items()}, None)
    return conditions.violation(Expression(text), {}, row)


@pytest.mark.parametrize(
    ("text", "distance"),
    [
        ("a < 0.25", 0.75),
        ("a > 0.25", -0.75),
        ("a <= b", -2),
        ("b <= a", 2),
        ("a >= 1", 0),
        ("0 < a < b", -1),
        ("a < 0 or b < 2", 1),
        ("a < 0 and b < 2", 1),
        ("a < 5 or b < 2", -4),
        ("not a < 0.25", -0.75),
        ("not (a < 5 and b < 5)", 2),
        ("2 * a - b < k", -8),
        ("flag", -1),
        ("not flag", 1),
        ("name == 'svm'", -1),
        ("name != 'svm'", 1),
        ("name in ['tree', 'net']", 1),
        ("twice < 1", 1),
    ],
)
def test_distances(text, distance):
    assert missed(text, twice="2 * a") == distance


def test_on_the_bound_of_a_strict_condition_is_outside():
    assert 0 < missed("a < 1") < 1e-300
    assert 0 < missed("not a >= 1") < 1e-300
    assert missed("a <= 1") == 0


@pytest.mark.parametrize("text", ["missing < 1", "nan < 1", "a < 1 and missing < 1"])
def test_what_is_not_there_or_not_a_number(text):
    assert math.isnan(missed(text, ROW | {"nan": math.nan}))


def test_what_cannot_be_compared_names_the_row():
    with pytest.raises(ExpressionError, match=r"'svm' - 1 cannot be computed, at a=1.0, b=3, name='svm'"):
        missed("name < 1")


CONDITIONS = st.recursive(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["a", "b", "a + b", "2 * a", "0"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.sampled_from(["b", "1", "a * b", "0.5"]),
    ),
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(CONDITIONS, st.floats(-9, 9), st.integers(-9, 9))
def test_the_sign_says_whether_it_holds(text, a, b):
    holds = eval(text, {"a": a, "b": b})  # the language is a part of Python's
    assert (missed(text, {"a": a, "b": b}) <= 0) == holds
