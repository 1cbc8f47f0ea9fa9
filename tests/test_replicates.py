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


# Runs.

NOISY = """
import random

SIGMA = {1: 0.01, 2: 0.04, 3: 0.1}

def noisy(a, seed):
    return {"peak": random.Random(seed * 10 + a).gauss(10.0, SIGMA[a])}
"""


def study(**more):
    import types

    module = types.ModuleType("noisy")
    exec(NOISY, module.__dict__)  # a function that travels by value
    settings = {"until": "se(peak) < 0.01", "max": 200} | more.pop("until", {})
    parameters = {"a": [1, 2, 3], "seed": swath.seeds(5, **settings)}
    return swath.Sweep(module.noisy, parameters | more.pop("parameters", {}), name="noisy", **more)


def counts(results):
    return results.frame.groupby("a").size().to_dict()


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    return study().run(out=tmp_path_factory.mktemp("inline"), engine="inline")


def test_every_combination_gets_what_it_needs(inline):
    found = counts(inline)
    assert found[1] < 12
    assert 8 < found[2] < 40
    assert 60 < found[3] < 200
    assert inline.complete
    assert len(inline) == inline.total == sum(found.values())
    frame = inline.mean(over="seed")
    assert (frame["peak_se"] < 0.01).all()
    assert list(frame["n"]) == list(found.values())
    assert list(inline.frame.columns[:2]) == ["a", "seed"]


@pytest.mark.parametrize("order", ["grid", "shuffle"])
def test_every_engine_opens_the_same(inline, tmp_path, order):
    handle = study(order=order).start(out=tmp_path, workers=2)
    assert handle.wait(60)
    found = handle.finished()
    assert counts(found) == counts(inline)
    seen = handle.snapshot
    assert seen.total == seen.saved == len(found)
    assert (seen.replicates.precise, seen.replicates.imprecise, seen.replicates.combinations) == (3, 0, 3)
    again = study(order=order).start(out=tmp_path, workers=2)
    assert again.wait(60)
    assert len(again.finished()) == len(found), "nothing is left to do"


def test_a_run_that_was_stopped_goes_on_to_the_same(inline, tmp_path):
    study().run(out=tmp_path, engine="inline", limit=30)
    partly = swath.open(tmp_path / "noisy")
    assert not partly.complete
    assert len(partly) == 30
    assert counts(study().run(out=tmp_path, engine="inline")) == counts(inline)


def test_a_tighter_condition_and_a_larger_most_run_only_what_is_missing(tmp_path):
    first = study(until={"max": 20}).run(out=tmp_path, engine="inline")
    assert counts(first)[3] == 20
    started = first.frame.set_index(["a", "seed"])["started"]
    second = study(until={"until": "se(peak) < 0.02", "max": 60}).run(out=tmp_path, engine="inline")
    kept = second.frame.set_index(["a", "seed"])["started"]
    assert (kept.loc[started.index] == started).all(), "what was there was not run again"
    assert 20 < counts(second)[3] <= 60


def test_where_leaves_combinations_out(tmp_path):
    found = study(where="a != 2").run(out=tmp_path, engine="inline")
    assert sorted(counts(found)) == [1, 3]
    assert found.complete


def test_a_metric_that_is_never_returned_ends_it_with_the_first_points(tmp_path):
    with pytest.raises(swath.ObjectiveError) as ended:
        study(until={"until": "se(peek) < 0.01"}).run(out=tmp_path, engine="inline")
    assert "the sweep goes by the metric 'peek'" in str(ended.value)
    assert "did you mean 'peak'?" in str(ended.value)
