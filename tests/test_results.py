"""Results are tidy, exact, and the same whatever order rows came in."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saving import SIZE, STUDY, Session, error_of, rows, stream, study
from swath.errors import DamageError, UsageError
from swath.messages import STATUSES, Reply
from swath.ranges import RangeSet
from swath.results import Results
from swath.store.sealing import sealed

LAST = ["status", "seconds", "attempts", "worker", "started", "failure"]


pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


def save(folder, *tables, definition=None, **options):
    """Save tables of rows as one batch each, their points ascending; the batches need not touch."""
    with Session(folder, definition or study()) as session:
        for table in tables:
            points = table.column("point").to_pylist()
            done = tuple((point, point + 1) for point in points)
            reply = Reply(done, len(points), payload=(stream(table),))
            session.save(points[0], points[-1] + 1, reply=reply, **options)
        assert session.rejected == []
    return Results(folder)


# The frame.


def test_the_frame_has_one_typed_row_a_point(folder):
    definition = study(derive={"ratio": "b / a"})
    with Session(folder, definition) as session:
        session.save(0, 2, worker="tcp://w:1")
        session.save(
            2, 4, worker="tcp://w:2", statuses=["ok", "timeout"], error=[0.5, None], note=["x", None]
        )
    frame = Results(folder).frame
    assert frame.columns.tolist() == ["a", "b", "seed", "ratio", "error", "note", *LAST]
    assert frame.index.name == "point"
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame["b"].tolist() == [10, 10, 20, 20]
    assert frame["ratio"].tolist() == [10, 10, 20, 20]
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds == {
        "a": "int64",
        "b": "int64",
        "seed": "int64",
        "ratio": "float64",
        "error": "float64",
        "note": "str",
        "status": "category",
        "seconds": "float64",
        "attempts": "uint16",
        "worker": "category",
        "started": "datetime64[us, UTC]",
        "failure": "str",
    }
    assert frame["status"].cat.categories.tolist() == list(STATUSES)
    assert frame["worker"].tolist() == ["tcp://w:1"] * 2 + ["tcp://w:2"] * 2
    assert frame["failure"].isna().tolist() == [True, True, True, False]
    assert frame.loc[3, "failure"] == "timeout at 3"
    assert frame.loc[3, "started"].microsecond == 3


def test_a_run_without_rows_has_an_empty_frame(folder):
    with Session(folder, study()):
        results = Results(folder)
        assert results.frame.columns.tolist() == ["a", "b", "seed", *LAST]
        assert len(results) == len(results.frame) == 0
        assert results.arrow.num_rows == 0
        assert results.metrics == ()
        assert repr(results).startswith("<Results study: no rows yet; 24 to do; in ")
        assert "24 to do" in results._repr_html_()
        assert len(results.failures) == len(results.mean()) == len(results.all) == 0


def test_values_of_parameters_keep_their_types(folder):
    definition = study(
        parameters={
            "words": ["x", "y<z>"],
            "mixed": ["sqrt", 0.5, None, True],
            "flag": [True, False],
            "number": [1, 2.5],
            "shape": [[1, 2], [3]],
        }
    )
    with Session(folder, definition) as session:
        session.save(0, 32, value=[0.0] * 32)
    frame = Results(folder).frame
    assert [str(kind) for kind in frame.dtypes[:5]] == ["str", "object", "bool", "float64", "object"]
    assert frame["mixed"].iloc[0] == "sqrt"
    assert frame["mixed"].unique().tolist() == ["sqrt", 0.5, None, True]
    assert frame["shape"].iloc[0] == [1, 2]
    table = Results(folder).arrow
    assert table.column("mixed").unique().to_pylist() == ["sqrt", "0.5", None, "true"]
    assert table.column("shape").unique().to_pylist() == ["[1,2]", "[3]"]
    assert table.column("flag").type == pa.bool_()
    assert table.column("words").to_pylist() == frame["words"].tolist()


def test_an_inactive_parameter_is_missing(folder):
    definition = study(
        parameters={
            "model": ["svm", "forest"],
            "C": {"values": [0.1, 1.0], "when": 'model == "svm"'},
            "depth": {"values": [3, 2**60], "when": 'model == "forest"'},
            "kernel": {"values": ["rbf", "poly"], "when": 'model == "svm"'},
            "deep": {"values": [True, False], "when": 'model == "forest"'},
        }
    )
    size = definition.space.size
    with Session(folder, definition) as session:
        session.save(0, size, score=[float(i) for i in range(size)])
    frame = Results(folder).frame
    svm = (frame["model"] == "svm").to_numpy()
    for name in ("C", "kernel"):
        assert frame[name].isna().to_numpy().tolist() == (~svm).tolist()
    for name in ("depth", "deep"):
        assert frame[name].isna().to_numpy().tolist() == svm.tolist()
    assert frame["depth"].max() == 2**60  # no float on the way
    assert set(frame.loc[~svm, "deep"]) == {True, False}
    assert Results(folder).arrow.column("C").null_count == (~svm).sum()


@pytest.mark.parametrize("order", ["grid", "shuffle"])
def test_where_leaves_holes(folder, order):
    definition = study(where="b > 10", order=order)
    keep = definition.space.keep(definition.space.columns(0, SIZE))
    points = definition.space.indices(0, SIZE)
    out = [position for position, point in enumerate(points.tolist()) if not keep[point]]
    with Session(folder, definition) as session:
        session.save(0, 10, excluded=out)
        results = Results(folder)
        assert results.total == SIZE - len([position for position in out if position < 10])
        assert not results.complete
        session.save(10, SIZE, excluded=out)
    assert results.frame.index.tolist() == np.flatnonzero(keep).tolist()
    assert results.frame["b"].min() == 20
    assert (len(results), results.total, results.complete) == (16, 16, True)


# Metrics of several types, missing and NaN.


def test_nan_and_missing_are_two_things_in_arrow(folder):
    results = save(folder, rows([0, 1], error=[float("nan"), 1.0]), rows([2, 3], other=[5, 6]))
    table = results.arrow
    assert table.column("error").null_count == 2
    assert math.isnan(table.column("error")[0].as_py())
    assert results.frame["error"].isna().tolist() == [True, False, True, True]
    assert results.frame["other"].tolist()[2:] == [5.0, 6.0]
    assert str(results.frame["other"].dtype) == "float64"


def test_integers_beside_floats_become_floats_where_exact(folder):
    results = save(folder, rows([0, 1], error=[1, 2**53]), rows([2, 3], error=[0.5, float("nan")]))
    assert results.frame["error"].tolist()[:3] == [1.0, 2.0**53, 0.5]
    assert results.notes == ()


def test_integers_that_no_float_holds_become_text_beside_floats(folder):
    results = save(folder, rows([0, 1], error=[1, 2**53 + 1]), rows([2, 3], error=[0.5, None]))
    assert results.frame["error"].tolist()[:3] == ["1", "9007199254740993", "0.5"]
    assert results.frame["error"].isna().tolist() == [False, False, False, True]
    assert results.notes == (
        "metric error is text: it came as double and int64, which no number type holds exactly",
    )


def test_a_metric_of_words_and_numbers_is_text(folder):
    results = save(
        folder, rows([0, 1], error=[1.5, True and 2.0]), rows([2], error=["broken"]), rows([3], error=[True])
    )
    assert results.frame["error"].tolist() == ["1.5", "2.0", "broken", "True"]
    assert "bool and double and string" in results.notes[0]


def test_large_integers_stay_exact_beside_missing_ones(folder):
    results = save(folder, rows([0, 1], count=[2**60 + 1, 5]), rows([2], other=[1.0]))
    assert results.frame["count"].tolist()[:2] == [2**60 + 1, 5]
    assert results.frame["count"].isna().tolist() == [False, False, True]


def test_small_numbers_of_other_widths_are_unified(folder):
    small = pa.array([1, 2], pa.int8())
    results = save(
        folder,
        rows([0, 1], error=small),
        rows([2], error=[300]),
        rows([3], error=pa.array([2**40], pa.uint64())),
    )
    assert results.frame["error"].tolist() == [1, 2, 300, 2**40]
    assert str(results.frame["error"].dtype) == "int64"
    assert str(results.arrow.column("error").type) == "int64"


def test_arrays_are_list_columns(folder):
    results = save(folder, rows([0], field=[[1, 2]]), rows([1], field=[[0.5]]), rows([2], field=[None]))
    assert results.arrow.column("field").to_pylist() == [[1.0, 2.0], [0.5], None]
    assert results.frame["field"][0].tolist() == [1.0, 2.0]


def test_a_metric_that_is_always_none_is_a_column(folder):
    results = save(folder, rows([0, 1], error=pa.nulls(2)))
    assert results.frame["error"].isna().all()
    assert results.metrics == ("error",)


def test_metrics_keep_the_order_of_the_objective(folder):
    late = rows([4, 5], zeta=[1.0, 2.0], alpha=[1.0, 2.0], extra=[1.0, 2.0])
    early = rows([0, 1], zeta=[1.0, 2.0], alpha=[1.0, 2.0])
    results = save(folder, late, early)
    assert results.metrics == ("zeta", "alpha", "extra")


def test_a_metric_named_like_a_new_parameter_is_left_out_and_noted(folder):
    save(folder, rows([0, 1], dt=[1.0, 2.0], error=[1.0, 2.0]))
    new = study(parameters={**STUDY["parameters"], "dt": {"values": [0.1], "was": 0.1}})
    with Session(folder, new):
        results = Results(folder)
        assert results.frame["dt"].tolist() == [0.1, 0.1]
        assert results.notes == ("metric dt is left out: the definition has a parameter of that name",)


batches = st.lists(st.integers(1, SIZE - 1), max_size=6).map(lambda cuts: [0, *sorted(set(cuts)), SIZE])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=batches, seed=st.integers(0, 1000), order=st.sampled_from(["grid", "shuffle"]))
def test_the_frame_does_not_depend_on_batches_or_their_order(tmp_path_factory, cuts, seed, order):
    """Metrics differ between points in name and type; half of the points are tried twice."""
    definition = study(order=order)
    folder = tmp_path_factory.mktemp("run") / "study"
    dice = random.Random(seed)
    tries = [(start, stop, attempt) for start, stop in pairwise(cuts) for attempt in (1, 2)]
    dice.shuffle(tries)

    def outcome(point, attempt):
        metrics = {"error": point / 2 if point % 5 else point}
        if point % 3 == 0:
            metrics["extra"] = f"{point}-{attempt}" if point % 2 else point
        return metrics

    with Session(folder, definition) as session:
        for start, stop, attempt in tries:
            here = definition.space.indices(start, stop).tolist()
            chosen = [point for point in here if attempt == 1 or point % 2]
            if not chosen:
                continue
            names = dict.fromkeys(name for point in chosen for name in outcome(point, attempt))
            metrics = {}
            for name in names:
                values = [outcome(point, attempt).get(name) for point in chosen]
                metrics[name] = pa.array([str(v) if v is not None and name == "extra" else v for v in values])
            status = "ok" if attempt == 2 else ["error" if point % 2 else "ok" for point in chosen]
            table = rows(chosen, status, **metrics)
            done = RangeSet.of(definition.space.positions(np.array(chosen)))
            reply = Reply(tuple(done), len(chosen), payload=(stream(table),))
            session.save(start, stop, reply=reply, attempt=attempt)
        assert session.rejected == []
    frame = Results(folder).frame
    assert frame.index.tolist() == list(range(SIZE))
    assert frame.columns.tolist() == ["a", "b", "seed", "error", "extra", *LAST]
    assert frame["error"].tolist() == [point / 2 if point % 5 else float(point) for point in range(SIZE)]
    assert frame["attempts"].tolist() == [1 + point % 2 for point in range(SIZE)]
    assert frame["status"].tolist() == ["ok"] * SIZE
    extra = [outcome(point, 1 + point % 2).get("extra") for point in range(SIZE)]
    assert frame["extra"].fillna("").tolist() == ["" if value is None else str(value) for value in extra]
    assert Results(folder).statuses == {"ok": SIZE}


# Questions.


@pytest.fixture
def scored(folder):
    """24 points: seeds 7 and 8 for twelve combinations; one failed, one NaN, one missing."""
    error = [float(10 + point) for point in range(SIZE)]
    error[5], error[6], error[7] = 3.0, float("nan"), None
    statuses = ["ok"] * SIZE
    statuses[0] = "error"
    table = rows(
        range(SIZE), statuses, error=error, word=["x"] * SIZE, field=[[1.0]] * SIZE, count=range(SIZE)
    )
    return save(folder, table, worker="w7")


def test_best_follows_the_definition_and_ignores_what_has_no_value(scored):
    assert scored.best().index.tolist() == [5]
    assert scored.best(3).index.tolist() == [5, 1, 2]
    assert len(scored.best(100)) == SIZE - 3
    assert scored.best(2, by="count").index.tolist() == [1, 2]
    assert scored.best(3).columns.tolist() == scored.frame.columns.tolist()


def test_best_of_equals_is_the_first_point(folder):
    results = save(folder, rows(range(4), error=[2.0, 1.0, 1.0, 1.0]), definition=study())
    assert results.best(4).index.tolist() == [1, 2, 3, 0]


def test_best_maximizes_what_is_to_be_maximized(folder):
    definition = study(minimize=None, maximize="score")
    results = save(
        folder, rows(range(4), score=[2.0, 5.0, 5.0, 1.0], loss=[4.0, 3.0, 2.0, 1.0]), definition=definition
    )
    assert results.best(2).index.tolist() == [1, 2]
    assert results.best(2, by="loss").index.tolist() == [3, 2]


def test_best_without_a_metric_says_what_there_is(scored, tmp_path):
    with pytest.raises(UsageError) as caught:
        scored.best(by="eror")
    assert str(caught.value) == (
        "there is no metric that is a number named 'eror', there is error, count; did you mean 'error'?"
    )
    with pytest.raises(UsageError, match="no metric that is a number named 'word'"):
        scored.best(by="word")
    other = save(tmp_path / "other", rows([0], r0=[1.0]), definition=study(minimize=None))
    with pytest.raises(
        UsageError, match=r"neither minimize nor maximize, so best needs a metric: best\(by=...\), one of r0"
    ):
        other.best()


def test_failures_say_which_points_and_why(scored):
    frame = scored.failures
    assert frame.columns.tolist() == ["a", "b", "seed", "status", "failure", "seconds", "worker", "attempts"]
    assert frame.index.tolist() == [0]
    assert frame.loc[0, ["status", "failure", "worker"]].tolist() == ["error", "error at 0", "w7"]


def test_failures_have_rates_by_value_and_by_worker(tmp_path):
    definition = study(
        parameters={"a": [1, 2, True], "b": [[1], "x"], "one": 5}, where="a != 2 or b == 'x'", minimize=None
    )
    with Session(tmp_path / "study", definition) as session:
        session.save(0, 2, worker="w1", statuses=["ok", "error"], y=[1.0, None])
        session.save(
            2, 6, worker="w2", excluded=[2], statuses=["timeout", "ok", "crash"], y=[None, 2.0, None]
        )
    failures = Results(tmp_path / "study").failures
    assert (len(failures), type(failures.head()), failures.index.tolist()) == (3, pd.DataFrame, [1, 3, 5])
    rates = failures.rates
    assert rates.to_dict("split", index=False) == {
        "columns": ["parameter", "value", "points", "failed", "rate"],
        "data": [
            ["a", 1, 2, 1, 0.5],
            ["a", 2, 1, 1, 1.0],
            ["a", True, 2, 1, 0.5],
            ["b", [1], 2, 0, 0.0],
            ["b", "x", 3, 3, 1.0],
            ["worker", "w1", 2, 1, 0.5],
            ["worker", "w2", 3, 2, 2 / 3],
        ],
    }


def test_rates_of_nothing_are_nothing(folder):
    assert save(folder, rows([0, 1], y=[1.0, 2.0])).failures.rates["failed"].tolist() == [0, 0, 0]
    assert len(save(folder, definition=study(name="other")).failures.rates) >= 0


def test_mean_over_seeds(scored):
    mean = scored.mean()
    assert mean.columns.tolist() == ["a", "b", "error", "error_se", "count", "count_se", "n"]
    assert len(mean) == 12
    assert mean[["a", "b"]].iloc[:4].to_numpy().tolist() == [[1, 10], [1, 20], [1, 30], [2, 10]]
    assert mean["n"].tolist() == [1] + [2] * 11  # one of the first two failed
    assert mean.loc[1, "error"] == 12.5
    assert mean.loc[1, "error_se"] == pytest.approx(np.std([12, 13], ddof=1) / np.sqrt(2))
    assert math.isnan(mean.loc[0, "error_se"])  # of a single value
    assert mean.loc[2, "error"] == (14 + 3) / 2
    assert math.isnan(mean.loc[3, "error"])  # NaN and missing: nothing to average
    assert mean.loc[3, "count"] == 6.5


def test_mean_over_several_parameters_agrees_with_pandas(scored):
    mean = scored.mean(over=["b", "seed"])
    frame = scored.frame
    frame = frame[frame["status"] == "ok"]
    expected = frame.groupby("a")["count"].agg(["mean", "sem", "size"])
    assert mean["a"].tolist() == expected.index.tolist()
    assert np.allclose(mean[["count", "count_se", "n"]].to_numpy(), expected.to_numpy())


def test_mean_over_everything_is_one_row(scored):
    mean = scored.mean(over=("a", "b", "seed"))
    assert mean["n"].tolist() == [SIZE - 1]


def test_mean_over_what_is_no_parameter_says_what_there_is(scored):
    with pytest.raises(UsageError) as caught:
        scored.mean("seeds")
    assert (
        str(caught.value) == "there is no parameter named 'seeds', there is a, b, seed; did you mean 'seed'?"
    )


def test_mean_keeps_true_and_1_apart_and_groups_what_is_missing(folder):
    definition = study(
        parameters={
            "kind": [True, 1, [1], None],
            "x": {"values": [1, 2], "when": "kind == 1"},
            "seed": [7, 8],
        },
        minimize=None,
    )
    size = definition.space.size
    results = save(folder, rows(range(size), value=[float(i) for i in range(size)]), definition=definition)
    mean = results.mean()
    assert mean["n"].tolist() == [2] * (size // 2)
    assert [repr(kind) for kind in mean["kind"]].count("True") == [repr(kind) for kind in mean["kind"]].count(
        "1"
    )


def test_all_adds_the_rows_that_the_definition_lost(folder):
    save(folder, rows(range(SIZE), error=error_of(study(), range(SIZE))), definition=study())
    middle = study(parameters={**STUDY["parameters"], "b": [20, 30, 40]})
    with Session(folder, middle) as session:
        session.save(4, 6)  # a=1, b=40
        session.save(0, 1, attempt=2)  # a=1, b=20, seed=7 once more
    small = study(parameters={**STUDY["parameters"], "b": [10]})
    with Session(folder, small):
        results = Results(folder)
        assert len(results.frame) == 8
        everything = results.all
    assert everything.columns.tolist() == [*results.frame.columns, "definition"]
    assert len(everything) == SIZE + 2
    assert everything["definition"].value_counts().to_dict() == {3: 8, 2: 18}
    contents = list(zip(everything["a"], everything["b"], everything["seed"], strict=True))
    assert len(set(contents)) == len(contents)
    error = [a + b * 1e-3 + seed * 1e-6 for a, b, seed in contents]
    assert np.allclose(everything["error"], error, rtol=1e-12)
    again = everything[(everything["a"] == 1) & (everything["b"] == 20) & (everything["seed"] == 7)]
    assert again["attempts"].tolist() == [2]


def test_results_follow_a_run_in_progress(folder):
    with Session(folder, study()) as session:
        results = Results(folder)
        assert len(results.frame) == 0
        session.save(0, 5)
        assert len(results) == len(results.frame) == 5
        assert results._look() is results._look()  # nothing changed, nothing is computed again
        assert not results.complete
        session.save(5, SIZE)
        assert len(results.frame) == SIZE
        assert results.complete
    assert results.definition.name == results.name == "study"
    assert results.total == SIZE
    assert results.statuses == {"ok": SIZE}
    assert results.damage == ()


def test_a_results_object_shows_itself_and_escapes_what_it_shows(folder):
    definition = study(parameters={"text": ["<script>", "b"]}, name="study")
    results = save(folder, rows([0, 1], ["ok", "error"], error=[1.0, None]), definition=definition)
    assert repr(results) == f"<Results study: 1 ok, 1 error; complete; in {folder}>"
    shown = results._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "best by error" in shown


def test_the_export_says_the_same_as_the_frame(folder):
    with Session(folder, study(derive={"ratio": "b / a"})) as session:
        session.save(
            0,
            4,
            statuses=["ok", "ok", "error", "ok"],
            error=[1.0, None, None, 2.0],
            field=[[1], [2], None, []],
        )
        session.store.export()
    exported = pd.read_parquet(folder / "results.parquet").set_index("point")
    frame = Results(folder).frame
    assert exported.columns.tolist() == frame.columns.tolist()
    for name in frame.columns.drop("field"):
        assert exported[name].astype(str).tolist() == frame[name].astype(str).tolist(), name


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no run in .*nothing: no manifest.json in it"):
        Results(tmp_path / "nothing")


def test_a_run_of_a_newer_format_is_named(folder):
    with Session(folder, study()):
        pass
    for name in ("manifest.json", "manifest.json.1"):
        (folder / name).write_bytes(sealed({"format": 7}))
    with pytest.raises(
        DamageError, match="has format 7, this swath reads formats up to 2; use the swath that wrote it"
    ):
        Results(folder)


def test_importing_results_is_cheap():
    heavy = "{'pandas', 'dask', 'distributed', 'pydantic', 'swath.definition'}"
    program = f"import sys, swath.results; print(sorted({heavy} & set(sys.modules)))"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr
