"""What a search is run for: the front of several goals, and what was found when; against the definition of both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import SIZE, Session, study
from swath.analysis.pareto import front
from swath.errors import UsageError
from swath.results import Results

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


def saved(folder, definition=None, **save):
    """A run with all of its points, whose metrics are given."""
    definition = definition or study()
    with Session(folder, definition) as session:
        session.save(0, definition.space.size, **save)
        assert session.rejected == []
    return Results(folder)


def dominated(costs):
    """By the definition, one by one."""
    return np.array([any((row <= each).all() and (row < each).any() for row in costs) for each in costs])


# The front.


COSTS = st.floats(allow_nan=False) | st.integers(0, 3).map(float)


@settings(max_examples=150)
@given(
    st.integers(2, 4).flatmap(lambda goals: st.lists(st.tuples(*[COSTS] * goals), min_size=1, max_size=30))
)
def test_a_row_is_on_the_front_if_no_other_one_dominates_it(rows):
    costs = np.array(rows, float)
    assert front(costs).tolist() == (~dominated(costs)).tolist()


@pytest.mark.parametrize("goals", [2, 3, 5])
def test_the_front_of_many_rows(goals):
    costs = np.random.default_rng(goals).normal(size=(500, goals)).round(1)
    assert front(costs).tolist() == (~dominated(costs)).tolist()
    assert front(np.empty((0, goals))).tolist() == []
    assert front(np.zeros((3, goals))).all()


def test_the_front_of_a_run(folder):
    errors = [3.0, 1.0, 2.0, 2.0, np.nan, 0.0, 0.5, None, *[9.0] * 16]
    sizes = [1, 3, 2, 2, 0, 0, 3, 0, *[9] * 16]
    statuses = ["ok"] * 5 + ["pruned"] + ["ok"] * 18
    results = saved(folder, statuses=statuses, error=errors, size=sizes)
    by = ["error", ("size", "minimize")]
    assert results.pareto(by).index.tolist() == [6, 2, 3, 0]
    assert results.pareto(by).equals(results.frame.loc[[6, 2, 3, 0]])
    assert results.where(a=1, b=10).pareto(by).index.tolist() == [1, 0]
    assert results.pareto(["error", ("size", "maximize")]).index.tolist() == [6, 8, *range(9, 24)]
    assert results.where("size > 100").pareto(by).empty


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (None, "the only goal is error, and a Pareto front is between two or more"),
        (["error"], "the only goal is error"),
        (["error", "eror"], "there is no metric that is a number named 'eror'.* did you mean 'error'"),
        (["error", ("size", "max")], "size: a direction is minimize or maximize, not 'max'"),
        (["error", "word"], "named 'word', there is error, size, seconds"),
    ],
)
def test_what_is_no_front(folder, by, said):
    results = saved(folder, error=[0.0] * SIZE, size=[1] * SIZE, word=["a"] * SIZE)
    with pytest.raises(UsageError, match=said):
        results.pareto(by)


# What was found when.


def test_the_history_is_in_the_order_of_finishing(folder):
    errors = [5.0, 7.0, 3.0, None, 1.0, 4.0, *[9.0] * 18]
    statuses = ["ok", "ok", "ok", "error", "pruned", "ok", *["ok"] * 18]
    results = saved(folder, statuses=statuses, error=errors)
    found = results.history()
    assert list(found.columns) == ["point", "finished", "status", "error", "best"]
    assert found.index.name == "order"
    assert found.index.tolist() == list(range(1, SIZE + 1))
    assert found["point"].tolist() == list(range(SIZE))  # each a microsecond after the one before
    assert found["best"].tolist() == [5.0, 5.0, *[3.0] * 22]
    assert found["finished"].is_monotonic_increasing
    first = results.frame.iloc[0]
    assert found["finished"].iloc[0] == first["started"] + pd.Timedelta(seconds=first["seconds"])
    assert list(results.history("seconds").columns) == ["point", "finished", "status", "seconds"]
    part = results.where("point >= 3").history()
    assert part["best"].tolist()[:2] == pytest.approx([np.nan, np.nan], nan_ok=True)
    assert part["best"].tolist()[2:] == [4.0] * 19


def test_a_history_of_more_is_better(folder):
    values = list(map(float, [1, 3, 2, *[0] * 21]))
    results = saved(folder, study(minimize=None, maximize="best"), best=values)
    found = results.history()
    assert list(found.columns) == ["point", "finished", "status", "best", "best_"]
    assert found["best_"].tolist()[:4] == [1.0, 3.0, 3.0, 3.0]
