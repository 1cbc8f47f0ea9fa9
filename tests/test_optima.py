"""What a search is run for: the front of several goals, and what was found when; against the definition of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import SIZE, Session, study
from swath import cli
from swath.analysis.pareto import front
from swath.definition.searching import Search
from swath.errors import UsageError
from swath.results import Results
from swath.space.expressions import Expression
from swath.views.figures.front import corners, fronts
from swath.views.figures.study import Points
from swath.views.report import report

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


@settings(max_examples=150, deadline=None)
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


def test_the_front_of_averages(folder):
    errors = [float(i // 2 + (i % 2) * 10) for i in range(SIZE)]  # the seeds differ by luck
    sizes = [float(SIZE - i // 2) for i in range(SIZE)]
    results = saved(folder, error=errors, size=sizes)
    by = ["error", "size"]
    assert len(results.pareto(by)) == 12
    found = results.pareto(by, over="seed")
    means = results.mean("seed")
    assert found.equals(means.iloc[np.argsort(means["error"], kind="stable")])
    assert constrained(results, "error < 8").pareto(by, over="seed")["error"].tolist() == [5.0, 6.0, 7.0]
    with pytest.raises(UsageError, match="no parameter named 'sed'"):
        results.pareto(by, over="sed")
    lines = ask(
        "results", folder, "--pareto", "--by", "error,size", "--mean-over", "seed", "--format", "csv"
    ).splitlines()
    assert len(lines) == 13


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


def constrained(results, *texts):
    """Results of a search with constraints; what it chooses does not matter here."""
    search = Search(method="tpe", points=SIZE, chosen=(), subject_to=tuple(map(Expression, texts)))
    results._look().__dict__["definition"] = replace(results.definition, search=search)
    return results


def test_what_breaks_a_constraint_is_not_the_best(folder):
    sizes = [None, *range(1, SIZE)]
    results = saved(folder, error=list(map(float, range(SIZE))), size=sizes)
    assert results.best().index.tolist() == [0]
    constrained(results, "size >= 3", "a < 3")
    assert results.best().index.tolist() == [3]
    assert results.pareto(["error", ("size", "maximize")]).index.tolist() == list(range(3, 12))
    assert results.history()["best"].tolist()[2:5] == pytest.approx([np.nan, 3.0, 3.0], nan_ok=True)
    study_ = results.study
    assert study_.points[study_.best] == 3
    assert study_.sound.sum() == 9
    drawn = fronts(Points(study_), (("error", 1), ("size", -1)), study_.ranked()[:1])[0].renderers
    assert [renderer.glyph.fill_color for renderer in drawn[:3]].count(None) == 1  # hollow: 15 of them
    assert Points(study_).unfit.filter.indices == [0, 1, 2, *range(12, 24)]
    assert constrained(results, "absent > 1").best().empty


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


# Pictures and commands.


GOALS = {"minimize": ["error", "<b>$$x"]}
HOSTILE = "<b>$$x"


@pytest.fixture
def front_of_four(folder):
    """A run with the points 0, 1, 2 and 3 on its front, the rest beaten, one stopped, one failed."""
    errors = [4.0, 3.0, 2.0, 1.0, 0.0, *[5.0] * 18, None]
    others = [1.0, 2.0, 3.0, 4.0, 0.0, *[5.0] * 18, None]
    statuses = [*["ok"] * 4, "pruned", *["ok"] * 18, "error"]
    return saved(folder, study(**GOALS), statuses=statuses, error=errors, **{HOSTILE: others})


def test_figures_draw_the_front(front_of_four):
    study_ = front_of_four.study
    assert study_.points[study_.front].tolist() == [3, 2, 1, 0]
    assert (study_.goals, study_.best) == ((("error", 1), (HOSTILE, 1)), None)
    (made,) = fronts(Points(study_))
    stairs = made.select_one({"name": "front"}).data
    assert len(stairs["x"]) == len(stairs["y"]) == 9
    assert stairs["x"].tolist()[:4] == pytest.approx([0.2, 0.2, 0.4, 0.4])  # of an axis from 0 to 5
    assert stairs["y"].tolist()[1:4] == pytest.approx([0.8, 0.8, 0.6])
    assert made.title.text.text == "Pareto front: 4 of 22 points"
    assert "$$" not in made.yaxis[0].axis_label.text
    page = report(study_)
    assert "4 points that no other one beats (3, 2, 1, 0)" in page
    assert "<b>$$" not in page
    assert "4 points on the Pareto front" in front_of_four._repr_html_()


def test_the_staircase_of_a_front():
    xs, ys = corners(np.array([0.0, 0.5]), np.array([0.7, 0.2]))
    assert xs.tolist() == [0, 0, 0.5, 0.5, 1.2]
    assert ys.tolist() == [1.2, 0.7, 0.7, 0.2, 0.2]


def test_a_front_of_goals_that_are_asked_for(front_of_four):
    figure = front_of_four.plot.pareto(["error", (HOSTILE, "maximize")])
    assert figure.title.text.text == "Pareto front: 19 of 22 points"
    with pytest.raises(UsageError, match="a direction is minimize or maximize"):
        front_of_four.plot.pareto(["error", (HOSTILE, "more")])


def ask(*words, code=0):
    answer = CliRunner().invoke(cli.sweep, [str(word) for word in words])
    assert answer.exit_code == code, answer.output
    return answer.output


def test_the_command_prints_the_front(front_of_four):
    folder = front_of_four.folder
    lines = ask("results", folder, "--pareto", "--format", "csv").splitlines()
    assert [line.partition(",")[0] for line in lines] == ["point", "3", "2", "1", "0"]
    part = ask("results", folder, "--pareto", "--where", "a > 1", "--by", "error,seed:maximize", code=2)
    assert "there is no metric that is a number named 'seed'" in part
    most = ask(
        "results", folder, "--pareto", "--by", f"error,{HOSTILE}:maximize", "--format", "csv"
    ).splitlines()
    assert len(most) == 20
    assert "--pareto compares all goals of all rows" in ask(
        "results", folder, "--pareto", "--best", 2, code=2
    )
    drawn = ask("results", folder, "--plot", "pareto").splitlines()
    assert drawn[0].startswith("Pareto front: 4 of 22 points; up: <b>$$x")
