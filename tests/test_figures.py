"""Figures say what the frame says, make new models every time, and take nothing that they are given for code."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.core.validation.check import check_integrity
from bokeh.document import Document
from bokeh.models import ColumnDataSource

from saving import Session, study
from swath.errors import UsageError
from swath.messages import STATUSES
from swath.results import Results
from swath.views import palette
from swath.views.figures.axes import MANY, Axis, coded
from swath.views.figures.counting import count
from swath.views.figures.heatmap import default_axes, heatmap
from swath.views.figures.overview import overview
from swath.views.figures.slices import best_so_far, mean_along
from swath.views.figures.study import MOST, RAIL, Points

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


# Colours.


def test_every_status_has_a_colour_of_its_own():
    assert tuple(palette.STATUS) == STATUSES
    assert len(set(palette.STATUS.values())) == len(STATUSES)
    assert not set(palette.STATUS.values()) & set(palette.sequential())


def test_the_sequential_map_grows_brighter():
    bright = [sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in palette.sequential(32)]
    assert bright == sorted(bright)
    assert palette.sequential(5, reverse=True) == palette.sequential(5)[::-1]


# Axes.


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([1, 2, 3, 4], "linear"),
        ([64, 128, 256, 512], "log"),
        (np.geomspace(1e-4, 0.1, 7), "log"),
        ([0, 1, 10, 100], "linear"),
        ([1, 1000], "linear"),
        (10 ** np.random.default_rng(0).uniform(-4, -1, 500), "log"),
        (np.random.default_rng(0).uniform(1, 1000, 500), "linear"),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_are(numbers, kind):
    assert Axis.numeric("x", np.asarray(numbers, float)).kind == kind


def test_coordinates_of_anything():
    coordinates, values = coded(["b", 1, True, None, float("nan"), 1.0, [1, 2], "b"], known=["a", "b"])
    assert values == ("a", "b", 1, True, None, [1, 2])
    assert coordinates.tolist()[:4] == [1, 2, 3, 4]
    assert np.isnan(coordinates[4])
    assert coordinates.tolist()[5:] == [2, 5, 1]
    axis = Axis.categories("x", values)
    assert [axis.label(i) for i in range(6)] == ["a", "b", "1", "true", "null", "[1, 2]"]
    assert axis.label(np.nan) == "none"


@pytest.mark.parametrize("count", [1, 2, 7, MANY, MANY + 1, 126, 1000])
@pytest.mark.parametrize("spread", [np.linspace, np.geomspace])
def test_every_value_is_in_one_cell_in_order(count, spread):
    numbers = spread(1, 1e4, count)
    axis = Axis.numeric("x", np.random.default_rng(1).permutation(numbers))
    cells = axis.cells()
    codes = cells.codes(numbers)
    assert len(cells) == len(cells.edges) - 1 <= MANY
    assert codes[0] == 0
    assert codes[-1] == len(cells) - 1
    assert set(np.diff(codes)) <= {0, 1}
    assert cells.codes(np.array([np.nan])).tolist() == [-1]
    units = axis.unit(numbers)
    assert units.min() >= 0
    assert units.max() <= 1


# The study of a run.


def test_a_study_is_the_frame_in_columns(folder):
    with Session(
        folder, study(parameters={"a": ["x", "y"], "b": [1, 10, 100], "c": 5, "seed": {"seeds": 2}})
    ) as session:
        error = [3.0, 1.0, 2.0, None, 5.0, 6.0]
        session.save(
            0, 6, statuses=["ok", "ok", "ok", "timeout", "ok", "ok"], error=error, note=list("uvwxyz")
        )
    results = Results(folder)
    found = results.study
    assert found is results.study
    assert (found.name, found.metric, found.direction, found.metrics) == (
        "study",
        "error",
        "minimize",
        ("error",),
    )
    assert (found.parameters, found.constants, found.replicates) == (
        ("a", "b", "seed"),
        {"c": "5"},
        ("seed",),
    )
    assert [found.axes[name].kind for name in found.parameters] == ["category", "log", "category"]
    assert (len(found), found.total, found.left, found.statuses) == (6, 12, 6, {"ok": 5, "timeout": 1})
    assert found.points.tolist() == results.frame.index.tolist()
    assert found.columns["b"].tolist() == results.frame["b"].tolist()
    assert found.failed.tolist() == [False, False, False, True, False, False]
    assert found.failure[3] == "timeout at 3"
    assert found.points[found.ranked()].tolist() == results.best(10).index.tolist() == [1, 2, 0, 4, 5]
    assert found.texts["note"][0] == "u"
    assert found.pending["a"].tolist() == [1.0] * 6
    assert found.started[1] == pytest.approx(results.frame["started"].iloc[1].timestamp(), abs=1e-6)


def test_a_study_of_nothing_knows_its_axes(folder):
    with Session(folder, study()):
        found = Results(folder).study
    assert (len(found), found.total, found.metrics, found.best) == (0, 24, (), None)
    assert found.axes["a"].values == (1, 2, 3, 4)
    assert len(found.pending["b"]) == 24
    assert len(Points(found).rows) == 0


def test_a_study_of_an_endless_grid_takes_a_moment(folder):
    endless = {"range": [2_000_000]}
    with Session(
        folder, study(parameters={"a": endless, "b": endless, "c": [5], "d": ["x", "y"]})
    ) as session:
        session.save(0, 4, error=[1.0, 2.0, 3.0, 4.0])
    found = Results(folder).study
    assert (found.axes["a"].low, found.axes["a"].high, found.axes["d"].values) == (0, 1_999_999, ("x", "y"))
    assert found.left == 8 * 10**12 - 4
    assert 100_000 < len(found.pending["a"]) <= 2**17


def test_a_sample_has_the_best_and_some_failures(folder):
    n = 6000
    with Session(folder, study(parameters={"a": {"range": [n]}})) as session:
        statuses = ["crash" if i % 1000 == 7 else "ok" for i in range(n)]
        session.save(0, n, statuses=statuses, error=[float((i * 7919) % n) for i in range(n)])
    points = Points(Results(folder).study)
    assert len(points.rows) == MOST
    assert points.note == f"{MOST:,} of {n:,} points"
    assert set(range(7, n, 1000)) <= set(points.rows.tolist())
    assert set(points.study.ranked()[:100].tolist()) <= set(points.rows.tolist())
    assert points.rows.tolist() == Points(points.study).rows.tolist()
    assert all(len(column) == MOST for column in points.source.data.values())


# Figures.


def save(folder, definition, statuses, **metrics):
    with Session(folder, definition) as session:
        session.save(0, len(statuses), statuses=statuses, **metrics)
    return Results(folder)


@pytest.fixture
def results(folder):
    """Eight points, of which one failed; error is a + b / 10 + seed / 100."""
    definition = study(parameters={"a": [1, 2], "b": ["x", "y"], "seed": [0, 1]})
    error = [a + b / 10 + seed / 100 for a in (1, 2) for b in (0, 1) for seed in (0, 1)]
    return save(folder, definition, ["ok"] * 7 + ["error"], error=[*error[:7], None], note=["t"] * 7 + [None])


def test_cells_are_means_over_the_other_parameters(results):
    found = count(results.study, "a", "b", "error")
    assert found.value == pytest.approx([1.005, 2.005, 1.105, 2.10])
    assert (found.rows.tolist(), found.failed.tolist()) == ([2, 2, 2, 2], [0, 0, 0, 1])
    by_hand = results.frame.groupby(["b", "a"])["error"]
    for statistic, series in (
        ("mean", by_hand.mean()),
        ("best", by_hand.min()),
        ("count", by_hand.count()),
        ("std", by_hand.std()),
    ):
        cells = count(results.study, "a", "b", "error", statistic).value
        assert cells == pytest.approx(series.to_numpy(float), nan_ok=True), statistic
    assert count(results.study, "a", "b", "error", "seconds").value == pytest.approx([0.25] * 4)


def test_the_best_of_a_cell_is_the_largest_where_that_is_better(folder):
    definition = study(parameters={"a": [1, 2], "b": [1, 2]}, minimize=None, maximize="error")
    found = save(folder, definition, ["ok"] * 4, error=[1.0, 4.0, 2.0, 3.0]).study
    assert count(found, "a", "b", "error", "best").value.tolist() == [1, 2, 4, 3]
    assert found.points[found.best] == 1
    assert best_so_far(found)[1].tolist() == [1, 4, 4]


def test_cells_that_failed_are_to_come_or_are_excluded(folder):
    definition = study(parameters={"a": [1, 2, 3], "b": [1, 2, 3]}, where="a < 3 or b < 3")
    found = save(folder, definition, ["ok", "crash", "ok", "ok"], error=[1.0, None, 2.0, 3.0]).study
    cells = count(found, "b", "a", "error")
    assert cells.rows.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert cells.failed.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert cells.pending.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    plot = heatmap(Points(found), "b", "a")
    (drawn,) = [glyph.data_source for glyph in plot.renderers if glyph.data_source.name == "cells"][:1]
    assert drawn.data["cell"].tolist() == list(range(8))  # the last one is blank


def test_the_best_so_far_is_that_of_all_finished_rows(results):
    found = results.study
    steps, values = best_so_far(found)
    assert (steps.tolist(), values.tolist()) == ([1, 8], [1.0, 1.0])
    assert len(found.finished) == 8


def test_a_slice_shows_means_over_all_rows(results):
    found = results.study
    places, means = mean_along(found.axes["a"], found.columns["a"], found.columns["error"])
    assert places.tolist() == [0, 1]
    by_hand = results.frame.groupby("a")["error"].mean()
    assert means == pytest.approx(by_hand.to_numpy())


def drawn(figure):
    """Put a figure into a document, as a page would, and return what Bokeh has to say against it."""
    document = Document()
    document.add_root(figure)
    document.to_json()
    return check_integrity(document.models)


def sound(figure):
    issues = drawn(figure)
    assert issues.error == []
    assert issues.warning == []


def kinds(results):
    return {
        "heatmap": results.plot.heatmap,
        "facets": lambda: results.plot.heatmap("a", "b", facet="seed"),
        "parallel": results.plot.parallel,
        "slice": results.plot.slice,
        "history": results.plot.history,
        "importance": results.plot.importance,
        "workers": results.plot.workers,
        "dark": lambda: results.plot.overview(dark=True),
    }


def test_all_figures_are_sound_and_made_anew_for_every_document(results):
    for name, make in kinds(results).items():
        first, second = make(), make()
        sound(first)
        sound(second)
        assert not set(first.references()) & set(second.references()), name


ODD = {
    "no parameter varies": {"parameters": {"a": 1}},
    "one parameter": {"parameters": {"a": [1, 2, 3]}},
    "anything": {"parameters": {"a": ["x", None, True, 0.5, [1, 2], {"k": 1}], "b": [False, True]}},
    "conditional": {"parameters": {"a": ["x", "y"], "b": {"values": [1, 2], "when": 'a == "x"'}}},
    "nothing to optimise": {"parameters": {"a": [1, 2], "b": [3, 4]}, "minimize": None},
}


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("no parameter varies", "number"),
        ("no parameter varies", "no rows"),
        ("one parameter", "all failed"),
        ("anything", "number"),
        ("anything", "no rows"),
        ("conditional", "array"),
        ("conditional", "inf"),
        ("nothing to optimise", "text"),
        ("nothing to optimise", "none"),
    ],
)
def test_odd_studies_are_drawn(folder, name, metric):
    definition = study(**ODD[name])
    n = definition.space.size
    metrics = {
        "number": {"error": [float(i) for i in range(n)]},
        "text": {"error": ["<b>"] * n},
        "array": {"error": [[1.0, 2.0]] * n},
        "inf": {"error": [float("inf")] * n},
        "none": {"other": [None] * n},
    }.get(metric, {"other": [None] * n})
    if metric == "no rows":
        with Session(folder, definition):
            pass
        found = Results(folder).study
    else:
        found = save(folder, definition, ["error" if metric == "all failed" else "ok"] * n, **metrics).study
    sound(overview(found))


def test_hostile_names_are_no_formula(folder):
    definition = study(parameters={"$$x$$": ["\\(a\\)", "$$b$$"], "\\[c\\]": [1, 2]}, minimize="$$m$$")
    found = save(folder, definition, ["ok"] * 4, **{"$$m$$": [1.0, 2.0, 3.0, 4.0]}).study
    page = overview(found)
    sound(page)
    for model in page.references():
        texts = [
            getattr(model, name, None) for name in ("axis_label", "title", "text", "major_label_overrides")
        ]
        for text in texts:
            for each in [*text.values()] if isinstance(text, dict) else [text]:
                assert not (isinstance(each, str) and ("$$" in each or "\\(" in each or "\\[" in each))


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda plot: plot.heatmap("aa", "b"), "there is no parameter that varies named 'aa', there is a, b, seed; did you mean 'a'?"),
        (lambda plot: plot.heatmap("a", "a"), "x and y are both 'a'; a heat map needs two different parameters"),
        (lambda plot: plot.heatmap(metric="eror"), "there is no metric that is a number named 'eror', there is error; did you mean 'error'?"),
        (lambda plot: plot.heatmap(metric="note"), "there is no metric that is a number named 'note', there is error"),
        (lambda plot: plot.heatmap(statistic="median"), "statistic is one of mean, best, count, std, seconds, not 'median'"),
        (lambda plot: plot.heatmap(facet="c"), "there is no parameter that varies named 'c', there is a, b, seed"),
        (lambda plot: plot.parallel("a", "erro"), "there is no column that varies or is a metric named 'erro'"),
        (lambda plot: plot.slice("q"), "there is no column that varies or is a metric named 'q'"),
        (lambda plot: plot.history("q"), "there is no metric that is a number named 'q', there is error"),
    ],
)  # fmt: skip
def test_unknown_names_are_refused_with_a_way_out(results, ask, answer):
    with pytest.raises(UsageError) as raised:
        ask(results.plot)
    assert str(raised.value).startswith(answer)


def test_figures_that_cannot_be_say_why(folder):
    found = save(folder, study(parameters={"a": [1, 2]}), ["ok"] * 2, note=["x", "y"])
    with pytest.raises(UsageError, match="a heat map needs two parameters that vary; in study vary: a"):
        found.plot.heatmap()
    with pytest.raises(UsageError, match="study has no metric that is a number yet"):
        found.plot.history()


def test_a_part_of_the_rows_has_figures_too(results):
    part = results.where("a == 1")
    assert len(part.study) == part.study.total == 4
    sound(part.plot.parallel())


def test_a_sample_says_so(folder):
    n = 5000
    found = save(
        folder, study(parameters={"a": {"range": [n]}}), ["ok"] * n, error=[float(i) for i in range(n)]
    )
    assert found.plot.parallel().title.text.text.endswith("4,000 of 5,000 points")
    assert sum(len(source.data["point"]) for source in found.plot.slice("a").select({"type": ColumnDataSource}) if "uorder" in source.data) <= MOST  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "pair"),
    [({}, ("c", "gamma")), ({"depth": 0.6, "c": 0.5, "gamma": 0.2}, ("c", "gamma"))],
)
def test_a_map_is_of_parameters_that_points_have_both_of(folder, shares, pair):
    """Two that never meet, because they belong to different models, would give an empty map."""
    only = {"svm": {"when": 'model == "svm"'}, "forest": {"when": 'model == "forest"'}}
    definition = study(
        parameters={
            "model": ["svm", "forest"],
            "c": {"values": [1, 2, 3], **only["svm"]},
            "gamma": {"values": [1, 2, 3], **only["svm"]},
            "depth": {"values": [4, 8], **only["forest"]},
            "trees": {"values": [10, 20], **only["forest"]},
            "seed": {"seeds": 2},
        }
    )
    with Session(folder, definition) as session:
        session.save(0, 26, error=[float(i) for i in range(26)])
    assert default_axes(Results(folder).study, shares) == pair


def test_a_parameter_that_no_point_has_is_left_out(folder):
    definition = study(
        parameters={
            "model": ["svm"],
            "c": {"values": [1, 2], "when": 'model == "svm"'},
            "trees": {"values": [10, 20], "when": 'model == "forest"'},
        }
    )
    with Session(folder, definition) as session:
        session.save(0, 1, error=[1.0])
        assert Results(folder).study.parameters == ("c", "trees")  # who knows what is to come?
        session.save(1, 2, error=[2.0])
    found = Results(folder).study
    assert (found.parameters, found.constants) == (("c",), {"model": "svm"})


@pytest.mark.parametrize("values", [[0, 0.1, 0.3, 1, 100], [1, 10, 100], ["x", "y", "z"]])
def test_marks_are_spread_but_stay_nearest_to_their_value(folder, values):
    definition = study(parameters={"a": values, "b": list(range(20))})
    n = 20 * len(values)
    with Session(folder, definition) as session:
        session.save(0, n, error=[0.0] * n)
    found = Results(folder).study
    axis, points = found.axes["a"], Points(found)
    placed = points.source.data[points.unit("a")]
    own = axis.unit(found.columns["a"])
    every = np.unique(own)
    assert (every[np.abs(placed[:, None] - every).argmin(axis=1)] == own).all()
    assert len(np.unique(placed)) > len(values)
    assert placed.min() > RAIL
