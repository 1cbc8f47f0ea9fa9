# ruff: noqa: PD011 - the values are those of columns, not of frames
"""Importance of parameters: known answers, and the statistics of SciPy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import Session, study
from swath.analysis import names
from swath.analysis.importance import between, correlation, ranks
from swath.errors import UsageError
from swath.results import Results

stats = pytest.importorskip("scipy.stats", reason="SciPy is what the statistics are compared with")

numbers = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40)


@settings(deadline=None)
@given(numbers)
def test_ranks_are_those_of_scipy(values):
    assert ranks(np.array(values)).tolist() == stats.rankdata(values).tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-3, 3)), min_size=3, max_size=40))
def test_correlations_are_those_of_spearman(pairs):
    left, right = np.array(pairs, float).T
    if len(set(left)) == 1 or len(set(right)) == 1:
        assert math.isnan(correlation(ranks(left), ranks(right)))
    else:
        assert correlation(ranks(left), ranks(right)) == pytest.approx(stats.spearmanr(left, right).statistic)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=3, max_size=40))
def test_the_share_between_classes_follows_from_kruskal_and_wallis(pairs):
    values, classes = np.array(pairs, np.int64).T
    n, k = len(values), len(set(classes))
    found = between(ranks(values.astype(float)), classes, 4)
    if n <= k:
        assert math.isnan(found)
    elif len(set(values)) == 1 or k == 1:
        assert found == 0
    else:
        h = stats.kruskal(*(values[classes == code] for code in set(classes))).statistic
        assert found == pytest.approx(max((h - k + 1) / (n - k), 0))


FORMS = {
    "up": {"linspace": [0, 1, 12]},
    "valley": {"linspace": [-1, 1, 11]},
    "kind": ["a", "b", "c"],
    "idle": [1, 2, 3],
    "seed": {"seeds": 3},
    "fixed": 4,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A grid whose metrics follow from its parameters in known ways; one point in fifty has failed."""
    folder = tmp_path_factory.mktemp("importance") / "study"
    definition = study(parameters=FORMS)
    frame = definition.space.columns(0, definition.space.size)
    up, valley = frame.column("up").values, frame.column("valley").values
    kind = pd.Series(frame.column("kind").values).map({"a": 0.0, "b": 5.0, "c": -5.0}).to_numpy()
    noise = np.random.default_rng(1).normal(size=len(up))
    with Session(folder, definition) as session:
        session.save(
            0,
            len(up),
            statuses=["ok" if i % 50 else "error" for i in range(len(up))],
            error=[None if i % 50 == 0 else v for i, v in enumerate((-np.exp(3 * up)).tolist())],
            bowl=(valley**2 * 100 + noise).tolist(),
            jump=(kind + noise / 10).tolist(),
            noise=noise.tolist(),
        )
        assert session.rejected == []
    return Results(folder)


def test_importance_of_known_functions(made):
    found = made.importance().set_index("parameter")
    assert found.index[0] == "up"
    assert set(found.index) == {"up", "valley", "kind", "idle"}
    assert found.loc["up", "importance"] == pytest.approx(1)
    assert found.loc["up", "correlation"] == pytest.approx(-1)
    assert (found["importance"][1:] < 0.01).all()
    assert math.isnan(found.loc["kind", "correlation"])
    assert (found["n"] == len(made.where(status="ok"))).all()
    assert found["values"].to_dict() == {"up": 12, "valley": 11, "kind": 3, "idle": 3}

    bowl = made.importance("bowl").set_index("parameter")
    assert bowl.loc["valley", "importance"] > 0.95
    assert abs(bowl.loc["valley", "correlation"]) < 0.05

    jump = made.importance("jump").set_index("parameter")
    assert jump.index[0] == "kind"
    assert jump.loc["kind", "importance"] > 0.85
    assert (made.importance("noise")["importance"] < 0.02).all()
    assert made.importance(parameters=["seed", "up"])["parameter"].tolist() == ["up", "seed"]


def test_a_number_with_many_values_is_put_into_classes(tmp_path):
    definition = study(parameters={"x": {"linspace": [0, 1, 1000]}})
    with Session(tmp_path / "study", definition) as session:
        session.save(0, 1000, error=[abs(i - 500.0) for i in range(1000)])
    found = Results(tmp_path / "study").importance().loc[0]
    assert found["values"] == 1000
    assert found["importance"] == pytest.approx(0.985, abs=0.01)
    assert abs(found["correlation"]) < 0.01


def test_a_conditional_parameter_is_judged_where_it_is_active(tmp_path):
    definition = study(
        parameters={
            "model": ["svm", "forest"],
            "C": {"values": [1, 2, 3], "when": 'model == "svm"'},
            "seed": {"seeds": 5},
        }
    )
    size = definition.space.size
    with Session(tmp_path / "study", definition) as session:
        session.save(0, size, error=[float(i // 5) if i < 15 else 100.0 for i in range(size)])
    found = Results(tmp_path / "study").importance().set_index("parameter")
    assert found.loc["C", ["importance", "correlation"]].tolist() == pytest.approx([1, 1])
    assert found["n"].to_dict() == {"C": 15, "model": 20}


def test_what_importance_says_about_mistakes(made, monkeypatch):
    with pytest.raises(UsageError, match="method is 'rank' or 'ped-anova', not 'fanova'"):
        made.importance(method="fanova")
    with pytest.raises(UsageError, match="there is no parameter named 'upp'"):
        made.importance(parameters=["upp"])
    few = made.where("point < 40")
    with pytest.raises(UsageError, match=r"ped-anova needs at least 50 points with a value, there are 39"):
        few.importance(method="ped-anova")
    assert few.where("point > 40").importance().empty

    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(names, "import_module", refuse)
    with pytest.raises(
        UsageError, match=r"needs optuna, which is not installed: pip install 'swath\[search\]'"
    ):
        made.importance(method="ped-anova")


def test_ped_anova_says_what_separates_the_best(made):
    optuna = pytest.importorskip("optuna", reason="Optuna is an extra")
    verbosity = optuna.logging.get_verbosity()
    found = made.importance(method="ped-anova")
    assert found.attrs == {"label": "what separates the best tenth", "metric": "error"}
    assert found["parameter"][0] == "up"
    assert found["importance"][0] > 0.9
    assert found["importance"].sum() == pytest.approx(1)
    assert made.importance("bowl", method="ped-anova")["parameter"][0] == "valley"
    assert made.importance(method="ped-anova", parameters=["fixed"])["importance"].tolist() == [0.0]
    assert made.importance("jump", method="ped-anova")["parameter"][0] == "kind"
    assert optuna.logging.get_verbosity() == verbosity
