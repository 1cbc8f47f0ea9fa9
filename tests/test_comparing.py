"""Two runs side by side: points matched by content, every change found, nothing else."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import Session, study
from swath.analysis.comparing import _is_same, _same_lists
from swath.errors import UsageError
from swath.results import Results


def saved(folder, definition, **save):
    with Session(folder, definition) as session:
        session.save(0, definition.space.size, **save)
        assert session.rejected == []
    return Results(folder)


@pytest.fixture
def runs(tmp_path):
    here = saved(
        tmp_path / "here",
        study(parameters={"a": [1, 2, 3], "b": [10, 20]}),
        error=[0.0, 1.0, 2.0, math.nan, 4.0, 5.0],
        word=["x", "y", "z", "x", "y", "z"],
        path=[[float(i)] * (i % 3) for i in range(6)],
        old=[1] * 6,
    )
    there = saved(
        tmp_path / "there",
        study(name="again", parameters={"b": [20, 10], "a": [3, 2, 9], "dt": 0.1}),
        statuses=["ok", "ok", "ok", "timeout", "ok", "ok"],
        error=[5.0, math.nan, 0.0, None, 2.02, 0.0],
        word=["z", "x", "x", None, "Z", "x"],
        path=[[5.0, 5.0], [], [], None, [2.0, 2.5], []],
        new=[1, 1, 1, None, 1, 1],
    )
    return here, there


def test_points_are_matched_by_content(runs):
    here, there = runs
    found = here.compare(there)
    assert found.frame[["a", "b"]].to_numpy().tolist() == [[2, 10], [2, 20], [3, 10], [3, 20]]
    assert found.frame["point_here"].tolist() == [2, 3, 4, 5]
    assert found.frame["point_there"].tolist() == [4, 1, 3, 0]
    assert found.frame["changed"].tolist() == [True, False, True, False]
    assert found.changed["error_there"].tolist() == pytest.approx([2.02, math.nan], nan_ok=True)
    assert found.only_here.index.tolist() == [0, 1]
    assert found.only_there.index.tolist() == [2, 5]
    assert found.changes == {
        "error": (2, pytest.approx(0.02 / 2.02)),
        "word": (2, pytest.approx(math.nan, nan_ok=True)),
        "path": (2, pytest.approx(math.nan, nan_ok=True)),
        "status": (1, pytest.approx(math.nan, nan_ok=True)),
    }
    assert found.summary.splitlines() == [
        "study (here) and again (there): 4 points in both, 2 changed",
        "  error: 2 changed, by up to 0.99 %",
        "  word: 2 changed",
        "  path: 2 changed",
        "  status: 1 changed",
        "  only here: 2 points; metric old",
        "  only there: 2 points; metric new",
    ]
    assert repr(found).startswith("<Comparison of study (here)")
    html = found._repr_html_()
    for text in (
        "2 changed: study (here), again (there)",
        "4 points in both",
        "only there: 2 points; metric new",
    ):
        assert text in html


def test_a_tolerance_is_a_part_of_the_larger_value(runs):
    here, there = runs
    assert here.where("word != 'y'").compare(there, rtol=0.005).changes["error"][0] == 1
    assert "error" not in here.where("word != 'y'").compare(there, rtol=0.01).changes
    assert here.compare(there, rtol=0.3).changes["path"][0] == 1


def test_equal_runs_are_equal(runs, tmp_path):
    here, _ = runs
    for other in (here, str(tmp_path / "here"), tmp_path / "here"):
        found = here.compare(other)
        assert found.summary == "study (here) and study (there): 6 points in both, all equal"
        assert not found.frame["changed"].any()
    found = here.where(a=1).compare(tmp_path / "here")
    assert (len(found.frame), len(found.only_here), len(found.only_there)) == (2, 0, 4)
    assert found.summary.endswith("all equal\n  only there: 4 points")
    assert (
        here.where(a=1)
        .compare(here.where(a=2))
        .summary.startswith("study (here) and study (there): 0 points in both, nothing to compare")
    )


def test_numbers_are_compared_by_what_they_are_worth(tmp_path):
    big = 2**60
    parameters = {"a": [1, 2, 3, 4]}
    ints = saved(tmp_path / "x", study(parameters=parameters), error=[1, 2, None, big], flag=[True] * 4)
    floats = saved(
        tmp_path / "y",
        study(parameters={"a": [1.0, 2.0, 3.0, 4.5]}),
        error=[1.0, 2.5, None, 1.0],
        flag=[1] * 4,
    )
    found = ints.compare(floats)
    assert found.frame["a"].tolist() == [1, 2, 3]
    assert {name: count for name, (count, _) in found.changes.items()} == {"error": 1, "flag": 3}
    near = saved(tmp_path / "z", study(parameters=parameters), error=[1, 2, None, big + 1], flag=[True] * 4)
    assert ints.compare(near).changes["error"][0] == 1


def test_a_parameter_of_one_side_must_not_vary(runs, tmp_path):
    here, _ = runs
    other = saved(
        tmp_path / "other",
        study(parameters={"a": [1, 2], "b": [10, 20], "dt": [0.1, 0.2]}),
        error=[float(i) for i in range(8)],
    )
    with pytest.raises(
        UsageError, match=r"only the run there has a parameter dt, with 2 values.*where\(dt=...\)"
    ):
        here.compare(other)
    with pytest.raises(UsageError, match="only the run here has a parameter dt"):
        other.compare(here)
    assert len(here.compare(other.where(dt=0.1)).frame) == 4
    with pytest.raises(UsageError, match="no run"):
        here.compare(tmp_path / "nothing")


lists = st.none() | st.lists(st.sampled_from([0.0, 1.0, math.nan]), max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(lists, lists), max_size=12), st.booleans())
def test_lists_are_compared_row_by_row(pairs, nested):
    def made(rows):
        kind = pa.list_(pa.float64())
        return pa.array([[row] if nested else row for row in rows], pa.list_(kind) if nested else kind)

    left, right = (list(side) for side in zip(*pairs, strict=True)) if pairs else ([], [])
    found = _same_lists(made(left), made(right), 0.0).tolist()
    assert found == [_is_same(a, b, 0.0) for a, b in pairs]
