"""Replicates until precise: the definition, and runs that open what they need."""

from __future__ import annotations

import pytest

import swath
from swath.definition import define
from swath.errors import DefinitionError


def defined(parameters, **more):
    return define({"objective": "model:noisy", "parameters": parameters, **more})


def until(**changes):
    return {"seeds": 10, "until": "se(peak) < 0.01", "max": 200} | changes


def test_the_axis_has_all_seeds_that_there_may_be_and_varies_slowest():
    made = defined({"a": [1, 2, 3], "seed": until(), "b": [4, 5]})
    assert len(made.space) == 3 * 200 * 2
    assert made.space.names == ("a", "seed", "b"), "as written"
    assert [made.space[i]["seed"] for i in (0, 5, 6)] == swath.space.ordering.seeds(2, 0)[
        :1
    ] * 2 + swath.space.ordering.seeds(2, 0)[1:]
    assert (made.until.name, made.until.first, made.until.most) == ("seed", 10, 200)
    assert made.until.condition.metrics == ("peak",)


def test_the_source_describes_the_same():
    made = defined({"a": [1, 2], "seed": until()})
    assert made.source["parameters"]["seed"] == until()
    again = define(made.source)
    assert again.source == made.source
    assert again.space.spec() == made.space.spec()


def test_python_says_it_with_a_function():
    form = swath.seeds(10, until="se(peak) < 0.01", max=200)
    assert defined({"a": [1], "seed": form}).source == defined({"a": [1], "seed": until()}).source


def test_seeds_without_a_condition_are_as_before():
    made = defined({"a": [1, 2], "seed": {"seeds": 3}})
    assert made.until is None
    assert [made.space[i]["a"] for i in range(6)] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("parameters", "more", "told"),
    [
        ({"s": {"seeds": 3, "until": "se(x) < 1"}}, {}, "parameters.s: `until` needs `max`"),
        ({"s": {"seeds": 3, "max": 9}}, {}, "parameters.s.max: says nothing without `until`"),
        ({"s": until(max=5)}, {}, "parameters.s.max: 5 at most, and 10 to begin with"),
        ({"s": until(until="peak < 1")}, {}, "parameters.s.until: expression 'peak < 1': 'peak' is neither"),
        ({"s": until(until="sd(peak) < 1")}, {}, "'sd' cannot be called"),
        ({"a": [1, 2], "s": until(when="a > 1")}, {}, "parameters.s.when: replicates that are added"),
        ({"s": until(), "t": until()}, {}, "parameters.t: 's' is repeated until precise already"),
        (
            [{"s": until(), "a": [1]}, {"s": until(max=300), "b": [1]}],
            {},
            "parameters[1]: 's' is repeated until precise in another block",
        ),
        ({"s": until(seeds=2, max=3), "b": [1, 2, 3]}, {"zip": [["s", "b"]]}, "cannot be zipped"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(parameters, more, told):
    with pytest.raises(DefinitionError) as refused:
        defined(parameters, **more)
    assert told in str(refused.value)
