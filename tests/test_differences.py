"""Paired differences and their intervals, against SciPy and against pairs found one by one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import Session, study
from swath.analysis.pairing import differences
from swath.analysis.student import MANY, quantile
from swath.errors import UsageError
from swath.results import Results

stats = pytest.importorskip("scipy.stats", reason="SciPy is what the quantiles are compared with")


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30, 99, MANY - 1, MANY, MANY + 1, 10**6])
def test_quantiles_are_those_of_students_distribution(degrees):
    for probability in (0.5, 0.6, 0.75, 0.9, 0.975, 0.995, 0.9995):
        assert quantile(probability, degrees) == pytest.approx(
            stats.t.ppf(probability, degrees), rel=1e-10, abs=1e-12
        )


def run_of(folder, definition, **save):
    with Session(folder, definition) as session:
        session.save(0, definition.space.size, **save)
        assert session.rejected == []
    return Results(folder)


CONTROL = study(
    parameters={"load": [1, 2], "controller": ["pid", "mpc", "lqr"], "seed": [7, 8, 9]}, minimize="error"
)


def test_differences_are_of_pairs_with_one_seed(tmp_path):
    errors = [5.0, 7.0, 9.0, 4.0, 7.0, 7.0, 6.0, math.nan, 9.0]
    errors += [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, None, None, 5.0]
    statuses = ["ok"] * 15 + ["error"] * 2 + ["ok"]
    results = run_of(tmp_path / "study", CONTROL, statuses=statuses, error=errors)
    found = results.difference("controller", over="seed")
    assert found.columns.tolist() == [
        "load",
        "controller",
        "difference",
        "low",
        "high",
        "se",
        "n",
        "dropped",
    ]
    assert found["load"].tolist() == [1, 1, 2, 2]
    assert found["controller"].tolist() == ["mpc", "lqr"] * 2
    assert found["difference"].tolist() == [-1.0, 0.5, -2.0, 2.0]
    assert found["n"].tolist() == [3, 2, 3, 1]
    assert found["dropped"].tolist() == [0, 1, 0, 2]
    wanted = stats.ttest_rel([4, 7, 7], [5, 7, 9]).confidence_interval(0.95)
    assert found.loc[0, ["low", "high"]].tolist() == pytest.approx(list(wanted))
    assert found.loc[3, ["low", "high", "se"]].isna().all()

    overall = results.difference("controller", ["seed", "load"], baseline="mpc", confidence=0.9)
    assert overall["controller"].tolist() == ["pid", "lqr"]
    wanted = stats.ttest_rel([5, 7, 9, 1, 2, 3], [4, 7, 7, 0, 0, 0]).confidence_interval(0.9)
    assert overall.loc[0, ["low", "high"]].tolist() == pytest.approx(list(wanted))
    assert overall.loc[1, "n"] + overall.loc[1, "dropped"] == 6

    part = results.where("load == 2 and not (controller == 'pid' and seed == 7)")
    assert part.difference("controller").loc[0, ["difference", "n", "dropped"]].tolist() == [-2.5, 2, 1]
    assert part.difference("controller", metric="seconds")["difference"].tolist() == [0.0, 0.0]
    assert results.where(controller="pid").difference("controller").empty


def test_what_difference_says_about_mistakes(tmp_path):
    results = run_of(tmp_path / "study", CONTROL, error=[float(i) for i in range(18)])
    with pytest.raises(
        UsageError, match=r"there is no parameter named 'contoller'.*did you mean 'controller'"
    ):
        results.difference("contoller")
    with pytest.raises(UsageError, match=r"controller is compared.*leave it out of over"):
        results.difference("controller", over=["seed", "controller"])
    with pytest.raises(UsageError, match="no row has controller = 'mcp', there is 'pid', 'mpc', 'lqr'"):
        results.difference("controller", baseline="mcp")
    with pytest.raises(UsageError, match="confidence is between 0 and 1, not 95"):
        results.difference("controller", confidence=95)


def test_of_two_wrong_names_the_one_that_was_typed_is_told_first(tmp_path):
    results = run_of(tmp_path / "study", study(parameters={"dt": [0.1, 0.01]}), error=[1.0, 2.0])
    with pytest.raises(UsageError, match="no parameter named 'd'"):
        results.difference("d")  # there is no seed either


def test_numbers_may_be_compared_too(tmp_path):
    definition = study(parameters={"dt": [0.1, 0.01], "n": [1, 2], "seed": [7, 8]})
    results = run_of(tmp_path / "study", definition, error=[1.0, 2.0, 3.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    found = results.difference("dt")
    assert found["dt"].tolist() == [0.01, 0.01]
    assert found["difference"].tolist() == [-1.5, -4.0]
    assert found["n_"].tolist() == [2, 2]
    assert results.difference("dt", baseline=0.01)["dt"].tolist() == [0.1, 0.1]


values = st.one_of(st.none(), st.sampled_from([math.nan]), st.integers(-9, 9).map(float))


@settings(deadline=None, max_examples=80)
@given(st.lists(values, min_size=18, max_size=18), st.lists(st.sampled_from("-oe"), min_size=18, max_size=18))
def test_pairs_are_those_found_one_by_one(metric, fate):
    """Of a grid of 18 points some have no row (-), some have failed (e)."""
    points = [(load, kind, seed) for load in (1, 2) for kind in ("pid", "mpc", "lqr") for seed in (7, 8, 9)]
    rows = [
        (*point, math.nan if value is None else value, "ok" if end == "o" else "error")
        for point, value, end in zip(points, metric, fate, strict=True)
        if end != "-"
    ]
    frame = pd.DataFrame(rows, columns=["load", "kind", "seed", "m", "status"]).astype({"m": float})
    space = study(parameters={"load": [1, 2], "kind": ["pid", "mpc", "lqr"], "seed": [7, 8, 9]}).space
    there = [kind for kind in ("pid", "mpc", "lqr") if kind in set(frame["kind"])]
    found = differences(frame, "kind", ["load"], ["seed"], "m", space, baseline=None, confidence=0.95)
    known = {
        (load, kind, seed): value if status == "ok" else math.nan for load, kind, seed, value, status in rows
    }
    expected = {}
    for load in (1, 2):
        for kind in there[1:]:
            if not any((load, kind, seed) in known for seed in (7, 8, 9)):
                continue
            keys = [((load, there[0], seed), (load, kind, seed)) for seed in (7, 8, 9)]
            pairs = [
                (known.get(a, math.nan), known.get(b, math.nan)) for a, b in keys if a in known or b in known
            ]
            gaps = [b - a for a, b in pairs if not math.isnan(b - a)]
            expected[load, kind] = (np.mean(gaps) if gaps else math.nan, len(gaps), len(pairs) - len(gaps))
    got = {
        (row.load, row.kind): (row.difference, row.n, row.dropped) for row in found.itertuples(index=False)
    }
    assert got.keys() == expected.keys()
    for key, wanted in expected.items():
        assert got[key] == pytest.approx(wanted, nan_ok=True)
