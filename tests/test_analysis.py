# ruff: noqa: PD011 - the values are those of levels, not of frames
"""Questions to rows: some of them, the best, averages, tables; each against what pandas says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import SIZE, Session, study
from swath.analysis import levels as levelling
from swath.analysis.averages import best, pivot, succeeded
from swath.analysis.levels import groups, levels
from swath.errors import ExpressionError, UsageError
from swath.results import Results
from swath.space import canonical

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


@pytest.fixture
def results(folder):
    """24 points; the last three have failed."""
    errors = [float(i % 7) for i in range(SIZE - 3)] + [None] * 3
    words = ["odd" if i % 2 else "even" for i in range(SIZE)]
    return saved(folder, statuses=["ok"] * (SIZE - 3) + ["error"] * 3, error=errors, word=words)


# Some rows.


@pytest.mark.parametrize(
    ("expression", "query"),
    [
        ("b > 10 * a and status == 'ok'", "b > 10 * a and status == 'ok'"),
        ("error < 3 or word == 'odd'", "error < 3 or word == 'odd'"),
        ("status != 'ok'", "status != 'ok'"),
        ("point >= 20", "point >= 20"),
        ("worker == 'w0' and `seed` in [7, 9]", "worker == 'w0' and seed in [7, 9]"),
    ],
)
def test_rows_for_which_an_expression_holds(results, expression, query):
    found = results.where(expression)
    pd.testing.assert_frame_equal(found.frame, results.frame.query(query))
    assert len(found) == len(found.frame) == found.arrow.num_rows
    assert found.arrow.column("point").to_pylist() == found.frame.index.tolist()
    assert repr(found) == f"<Selection of study: {len(found)} of 24 rows, where {expression}>"


def test_rows_with_given_values(results):
    frame = results.frame
    assert results.where(a=2).frame.equals(frame[frame["a"] == 2])
    assert results.where(a=[1, 4], seed=7).frame.equals(frame[frame["a"].isin([1, 4]) & (frame["seed"] == 7)])
    assert results.where(a=range(2, 4), b=np.array([10, 20])).frame["a"].unique().tolist() == [2, 3]
    assert results.where("b > 10", status="ok").frame.equals(frame.query("b > 10 and status == 'ok'"))
    assert results.where(word={"odd"}).frame["word"].unique().tolist() == ["odd"]
    assert len(results.where()) == SIZE


def test_a_selection_answers_the_same_questions(results):
    part = results.where("b >= 20").where(seed=7)
    assert part.frame.equals(results.frame.query("b >= 20 and seed == 7"))
    assert part.name == "study"
    assert part.metrics == results.metrics
    assert part.best(2).equals(part.frame.nsmallest(2, "error"))
    assert part.mean()["n"].sum() == part.statuses["ok"]
    assert part.failures.index.tolist() == part.frame.query("status != 'ok'").index.tolist()
    assert part.pivot("a", "b").shape == (4, 2)
    assert part.statuses == {"ok": 7, "error": 1}
    assert len(part.where("a > 100")) == 0
    assert part.where("a > 100").best().empty


def test_times_are_text_and_durations_seconds(folder):
    times = pa.array([0, 1_000_000, None], pa.timestamp("us", tz="UTC"))
    lasts = pa.array([1_500_000, 0, None], pa.duration("us"))
    results = saved(
        folder,
        study(parameters={"a": [1, 2, 3]}),
        error=[0.0] * 3,
        at=times,
        lasts=lasts,
        raw=times.cast("timestamp[us]"),
    )
    assert len(results.where("started > '2023-11-14T22'")) == 3
    assert len(results.where("started < '2023-11-14T22'")) == 0
    assert results.where("at == '1970-01-01T00:00:01.000000Z'").frame["a"].tolist() == [2]
    assert results.where("raw < '1970-01-01T00:00:01'").frame["a"].tolist() == [1]
    assert results.where("lasts > 1").frame["a"].tolist() == [1]
    pytest.importorskip("xarray", reason="xarray is an extra")
    data = results.to_xarray()
    assert str(data["at"].dtype) == str(data["raw"].dtype) == "datetime64[us]"
    assert np.isnat(data["lasts"].to_numpy()).tolist() == [False, False, True]


def test_a_selection_shows_itself(results):
    part = results.where("word == '<b>' or a < 3").where(b=[10, 20])
    assert repr(part) == "<Selection of study: 8 of 24 rows, where word == '<b>' or a < 3, b = [10, 20]>"
    html = part._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>'" not in html
    assert "8 of 24 rows" in html
    assert "best by error" in html
    assert "0 of 24 rows" in results.where("a > 9")._repr_html_()


def test_what_where_says_about_mistakes(results):
    with pytest.raises(UsageError, match=r"there is no column named 'eror'.*did you mean 'error'\?"):
        results.where("eror < 1")
    with pytest.raises(UsageError, match="there is no column named 'gamma'"):
        results.where(gamma=1)
    with pytest.raises(UsageError, match="no point has b = 12; the nearest is 10"):
        results.where(b=12)
    with pytest.raises(ExpressionError, match="import"):
        results.where("__import__('os')")


def test_values_that_are_absent_or_null_or_of_many_types(folder):
    definition = study(
        parameters={
            "model": ["svm", "forest"],
            "kernel": {"values": [None, "rbf"], "when": 'model == "svm"'},
            "mixed": ["sqrt", 1, True, None, [1, 2]],
            "flag": [True, False],
        }
    )
    size = definition.space.size
    results = saved(folder, definition, score=[float(i) for i in range(size)])
    assert len(results.where(mixed=1)) == len(results.where(mixed=True)) == size // 5
    assert set(results.where(mixed=1).frame.index) != set(results.where(mixed=True).frame.index)
    assert len(results.where(mixed=[[1, 2]])) == len(results.where("mixed == None")) == size // 5
    assert results.where(flag=False).frame["flag"].unique().tolist() == [False]
    assert len(results.where("kernel == 'rbf'")) == len(results.where(kernel="rbf")) == 10
    with pytest.raises(UsageError, match=r"no point has model = 'svn'; there is 'svm', 'forest'"):
        results.where(model="svn")
    assert levels(results.frame, "mixed", definition.space).values.tolist() == ["sqrt", 1, True, None, [1, 2]]
    assert levels(results.frame, "kernel", definition.space).values.isna().tolist() == [True, False]


def test_where_selects_a_point_by_its_index(results):
    assert results.where("point == 5").frame.index.tolist() == [5]


def test_changes_of_a_frame_stay_in_it(results):
    frame = results.frame
    frame["error"] = 0.0
    frame.loc[0, "a"] = 99
    assert results.frame["a"].iloc[0] == 1
    assert results.best().index.tolist() == [0]
    assert results.frame["error"].max() == 6.0


# The best.

numbers = st.one_of(st.sampled_from([0.0, 1.0, 2.0, math.nan, math.inf, -math.inf]), st.floats(-3, 3))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(numbers, st.booleans()), max_size=40), st.integers(0, 45), st.booleans())
def test_the_best_are_the_first_of_a_stable_sort(rows, n, largest):
    frame = pd.DataFrame({"m": [m for m, _ in rows], "status": ["ok" if ok else "error" for _, ok in rows]})
    frame = frame.astype({"m": float, "status": "str"})
    sound = frame[(frame["status"] == "ok") & frame["m"].notna()]
    wanted = sound.sort_values("m", ascending=not largest, kind="stable").head(n)
    pd.testing.assert_frame_equal(best(frame, "m", n, succeeded(frame), largest=largest), wanted)


# Averages.


def test_a_mean_over_several_parameters(results):
    found = results.mean(over=["seed", "b"])
    sound = results.frame[results.frame["status"] == "ok"].groupby("a")["error"]
    assert found.columns.tolist() == ["a", "error", "error_se", "n"]
    assert found["error"].tolist() == pytest.approx(sound.mean().tolist())
    assert found["error_se"].tolist() == pytest.approx(sound.sem().tolist())
    assert found["n"].tolist() == sound.size().tolist()
    assert results.mean(over=()).shape == (SIZE - 3, 6)


def test_a_parameter_of_the_name_n_is_kept(folder):
    results = saved(folder, study(parameters={"n": [1, 2], "seed": [7, 8]}), error=[1.0, 3.0, 5.0, 7.0])
    found = results.mean()
    assert found.columns.tolist() == ["n", "error", "error_se", "n_"]
    assert found["n"].tolist() == [1, 2]
    assert found["n_"].tolist() == [2, 2]


def test_infinities_are_averaged_as_numbers(folder):
    results = saved(folder, study(parameters={"seed": [7, 8, 9]}), error=[1.0, math.inf, 2.0])
    found = results.mean()
    assert found["error"].tolist() == [math.inf]
    assert found["error_se"].isna().all()


# Tables.

columns = st.sampled_from([0.5, 2.5, 1.5, math.nan])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(columns, st.sampled_from("cab"), numbers, st.booleans()), min_size=1, max_size=40))
def test_a_table_is_what_pandas_makes(rows):
    x, y, z, sound = zip(*rows, strict=True)
    frame = pd.DataFrame({"x": x, "y": y, "z": z, "status": ["ok" if ok else "error" for ok in sound]})
    found = pivot(frame, "x", "y", "z", study().space)
    order = [value for value in dict.fromkeys(y) if value in set(y)]
    assert found.index.tolist() == sorted({value for value in x if value == value})  # noqa: PLR0124  NaN
    assert found.columns.tolist() == order
    wanted = (
        frame[frame["status"] == "ok"].dropna(subset=["x"]).pivot_table(index="x", columns="y", values="z")
    )
    wanted = wanted.reindex(index=found.index, columns=found.columns)
    np.testing.assert_allclose(found.to_numpy(), wanted.to_numpy(float), rtol=1e-12, atol=1e-12)


def test_a_table_is_in_the_order_of_values(folder):
    definition = study(
        parameters={"lr": [0.1, 0.01, 1.0], "size": ["small", "large", "huge"], "seed": [7, 8]}
    )
    results = saved(folder, definition, error=[float(i) for i in range(18)])
    table = results.pivot("lr", "size")
    assert table.index.tolist() == [0.01, 0.1, 1.0]
    assert (table.index.name, table.columns.name) == ("lr", "size")
    assert table.columns.tolist() == ["small", "large", "huge"]
    assert table.loc[0.1].tolist() == [0.5, 2.5, 4.5]
    assert table.equals(results.pivot("lr", "size", "error", over="seed"))
    assert results.where(size=["huge", "small"]).pivot("size", "lr").index.tolist() == ["small", "huge"]
    assert results.pivot("lr", "seed", "seconds").to_numpy().tolist() == [[0.25, 0.25]] * 3


def test_lists_and_null_are_labels_of_a_table(folder):
    definition = study(parameters={"shape": [[1, 2], [3]], "kind": [None, "b"], "opt": [[{"x": 1}], None, 2]})
    results = saved(folder, definition, error=[float(i) for i in range(12)])
    table = results.pivot("shape", "kind")
    assert table.index.tolist() == ["[1,2]", "[3]"]
    assert table.to_numpy().tolist() == [[1.0, 4.0], [7.0, 10.0]]
    assert str(table)
    assert results.pivot("opt", "shape").index.tolist() == ['[{"x":1}]', None, 2]
    assert results.where(kind=None).frame.equals(
        results.where("kind != 'b' or point < 3 or 5 < point < 9").frame
    )


def test_what_a_table_says_about_mistakes(results):
    with pytest.raises(UsageError, match="there is no parameter named 'bb'"):
        results.pivot("a", "bb")
    with pytest.raises(UsageError, match="there is no metric that is a number named 'word'"):
        results.pivot("a", "b", "word")
    with pytest.raises(UsageError, match="not twice a"):
        results.pivot("a", "a")
    with pytest.raises(
        UsageError, match=r"b has 3 values here: add it to over, or choose one with where\(b=...\)"
    ):
        results.pivot("a", "seed", over=())
    assert results.where(b=10).pivot("a", "seed", over=()).shape == (4, 2)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, True, 1.0, "1", None, math.nan]), st.sampled_from("ab")), max_size=30
    )
)
def test_groups_are_numbered_in_the_order_of_appearance(rows):
    frame = pd.DataFrame(
        {
            "x": pd.Series([x for x, _ in rows], dtype=object),
            "y": pd.Series([y for _, y in rows], dtype="str"),
        }
    )
    group, first = groups(frame, ["x", "y"])
    kinds = [("nan" if isinstance(x, float) and math.isnan(x) else canonical(x), y) for x, y in rows]
    order = list(dict.fromkeys(kinds))
    assert group.tolist() == [order.index(kind) for kind in kinds]
    assert first.tolist() == [kinds.index(kind) for kind in order]


def test_truth_values_are_averaged_although_points_have_failed(folder):
    definition = study(parameters={"a": [1, 2], "seed": [7, 8]})
    results = saved(
        folder,
        definition,
        statuses=["ok", "ok", "ok", "error"],
        error=[0.0, 0.0, 0.0, None],
        good=[True, False, True, None],
    )
    assert str(results.frame["good"].dtype) == "boolean"
    assert results.mean()["good"].tolist() == [0.5, 1.0]
    assert results.best(2, by="good").index.tolist() == [1, 0]
    assert results.where("good").frame.index.tolist() == [0, 2]
    assert results.where(good=False).frame.index.tolist() == [1]
    assert results.pivot("a", "seed", "good").loc[1].tolist() == [1.0, 0.0]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=1, max_size=30))
def test_many_columns_are_grouped_in_steps(rows):
    """So many combinations that numbers of them would not fit: what is there is numbered anew."""
    frame = pd.DataFrame(rows, columns=list("abcd"))
    whole = groups(frame, list("abcd"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levelling, "_WIDEST", 6)
        stepwise = groups(frame, list("abcd"))
    for one, other in zip(whole, stepwise, strict=True):
        assert one.tolist() == other.tolist()
    assert whole[0].tolist() == [list(dict.fromkeys(rows)).index(row) for row in rows]
