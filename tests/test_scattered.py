"""Parameters of which any number may come: their axes, cells, words and tables."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document

import swath
from saving import Session
from swath.commands.picture import picture
from swath.definition import define
from swath.errors import UsageError
from swath.results import Results
from swath.snapshot import Snapshot
from swath.views.figures.axes import Axis
from swath.views.figures.heatmap import heatmap
from swath.views.figures.overview import overview
from swath.views.figures.study import Points
from swath.views.live.feed import Feed
from swath.views.live.page import PANELS, View
from swath.views.live.record import Record
from swath.views.origins import origin, scales
from swath.views.report import report
from swath.views.sketch.paper import Room
from test_live import ABOUT, increment

pytestmark = pytest.mark.usefixtures("at_once")
DRAWS = 64
DESIGN = {
    "name": "design",
    "objective": "model:simulate",
    "parameters": {
        "rate": {"loguniform": [1e-5, 1e-1]},
        "width": {"uniform": [0, 1]},
        "shift": {"normal": [0, 1]},
        "layers": {"integers": [1, 4]},
        "kind": {"choice": ["b", "a"]},
        "seed": {"seeds": 2},
    },
    "sample": {"method": "sobol", "draws": DRAWS},
    "minimize": "loss",
}


@pytest.fixture
def results(tmp_path):
    definition = define(DESIGN)
    with Session(tmp_path / "design", definition) as session:
        session.save(0, 100, loss=np.arange(100) / 7)
        assert session.rejected == []
    return Results(tmp_path / "design")


@pytest.mark.parametrize(
    ("name", "kind", "low", "high"),
    [("rate", "log", 1e-5, 1e-1), ("width", "linear", 0.0, 1.0), ("layers", "linear", 1.0, 4.0)],
)
def test_an_axis_has_the_scale_and_the_bounds_of_its_distribution(results, name, kind, low, high):
    axis = results.study.axes[name]
    assert (axis.kind, axis.low, axis.high) == (kind, low, high)


def test_what_a_definition_says_of_its_parameters():
    definition = define(DESIGN)
    assert origin(definition, "kind").listed == ("b", "a")
    assert origin(definition, "seed").listed != ()
    shift = origin(definition, "shift")
    assert (shift.drawn, math.isnan(shift.low), shift.log) == (True, True, False)
    assert scales(definition, ["rate", "shift", "kind"]) == {
        "rate": (1e-5, 0.1, True),
        "shift": (None, None, False),
    }
    listed = define({**DESIGN, "parameters": {"rate": [1, 2]}, "sample": None})
    assert origin(listed, "rate").listed == (1, 2)
    assert origin(listed, "gone").listed == ()


def test_categories_stand_in_the_order_of_the_definition(results):
    assert results.study.axes["kind"].values == ("b", "a")


@pytest.mark.parametrize(("n", "steps"), [(0, 6), (100, 6), (1000, 13), (10**6, 24)])
def test_the_fewer_numbers_the_fewer_steps(n, steps):
    axis = Axis.scattered("x", np.linspace(0.2, 0.9, n), (0.0, 1.0))
    cells = axis.cells()
    assert (len(cells), len(cells.labels), len(cells.edges)) == (steps, steps, steps + 1)
    assert cells.codes(np.array([0.0, 1.0, np.nan])).tolist() == [0, steps - 1, -1]
    assert list(cells.marks.values()) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert list(cells.marks)[-1] == pytest.approx(steps)


def test_an_axis_without_any_number_is_no_trouble():
    axis = Axis.scattered("x", np.array([np.nan, np.inf]))
    assert not axis.varies
    assert axis.ticks() == {}
    assert len(axis.cells()) == 0
    assert Axis.scattered("x", np.array([-1.0, 2.0]), log=True).kind == "linear"


def test_a_heat_map_of_two_continuous_axes_says_that_its_cells_are_steps(results):
    made = heatmap(Points(results.study), "rate", "width")
    assert made.xaxis[0].axis_label.text == "rate, in 6 steps"
    assert list(made.xaxis[0].major_label_overrides.values()) == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]
    cells = made.select_one({"name": "cells"}).data
    assert sum(cells["rows"]) == 100
    assert sum(cells["pending"]) == 28  # a design is known beforehand
    overview(results.study)


def test_words_about_a_continuous_parameter(results):
    page = report(results.study)
    assert "<code>rate</code> (from <code>1e-05</code> to <code>0.1</code>)" in page


def test_a_table_of_two_continuous_parameters_is_refused(results):
    part = results.where(seed=int(results.frame["seed"].iloc[0]))
    with pytest.raises(UsageError, match="no two of 50 points have a value of rate or of width in common"):
        part.pivot("rate", "width")
    assert part.pivot("kind", "layers").shape == (2, 4)
    pytest.importorskip("xarray", reason="xarray is an extra")
    assert results.to_xarray().sizes["seed"] == 2


def test_the_live_page_knows_scales(results):
    definition = results.definition
    record = Record()
    parameters = {"rate": [], "width": []}
    record.take(
        increment(
            about={
                **ABOUT,
                "parameters": parameters,
                "metric": "loss",
                "scales": scales(definition, parameters),
            }
        )
    )
    rows = [[i, 0, 0.1, float(i), 10.0**-i, i / 5] for i in range(2, 5)]
    record.take({"now": 1001.0, "sound": {"rows": rows, "weight": 1.0}})
    view = View(SimpleNamespace(record=record, ended=False), PANELS)
    Document().add_root(view.root)
    view.update()
    assert not view._broken
    assert view.grid._figure.xaxis[0].axis_label.text == "rate, in 6 steps"
    assert next(iter(view.grid._figure.xaxis[0].major_label_overrides.values())) == "1e-05"


def test_rates_of_failure_of_continuous_parameters_are_those_of_tenths(tmp_path):
    definition = define({**DESIGN, "parameters": {"rate": {"uniform": [0, 1]}}})
    with Session(tmp_path / "design", definition) as session:
        rate = definition.space.take(np.arange(DRAWS)).column("rate").values
        session.save(0, DRAWS, statuses=["error" if x > 0.9 else "ok" for x in rate], loss=np.zeros(DRAWS))
    found = Results(tmp_path / "design").failures.rates
    assert found["parameter"].tolist() == ["rate"] * 10 + ["worker"]
    assert found["points"].tolist()[:10] == [7, 7, 7, 7, 6, 6, 6, 6, 6, 6]
    assert found["rate"].tolist()[:8] == [0.0] * 8
    assert found["failed"].tolist()[:10] == [0] * 8 + [int((rate > 0.9).sum()) - 6, 6]
    assert found["value"].iloc[9].endswith(f"to {rate.max():.4g}")


def test_nothing_breaks_on_a_search_of_which_most_is_not_known_yet(tmp_path):
    pytest.importorskip("optuna", reason="an extra")
    sweep = swath.Sweep(
        lambda model, rate=0.1, trees=1: {"loss": rate + trees / 200 + (model == "b")},
        {
            "model": ["b", "a"],
            "rate": {"loguniform": [1e-4, 1], "when": "model == 'a'"},
            "trees": {"integers": [10, 200], "when": "model == 'b'"},
        },
        search={"method": "tpe", "points": 500},
        minimize="loss",
        name="search",
    )
    sweep.run(out=tmp_path, engine="inline", limit=25)
    results = Results(tmp_path / "search")
    study_ = results.study
    assert (len(study_), study_.total, study_.pending) == (25, 500, {})
    assert study_.axes["model"].values == ("b", "a")
    assert (study_.axes["rate"].kind, study_.axes["rate"].low, study_.axes["rate"].high) == ("log", 1e-4, 1.0)
    assert (study_.axes["trees"].low, study_.axes["trees"].high) == (10, 200)
    assert "none" in results.plot.slice("trees").xaxis[0].major_label_overrides.values()
    assert "none" not in results.plot.slice("model").xaxis[0].major_label_overrides.values()
    assert "step by step" not in report(study_)
    assert results._repr_html_()
    assert results.importance()["n"].max() == 25
    assert len(results.difference("model", over=["rate", "trees"])) == 1
    assert results.where(rate=0.5).frame.empty
    assert results.history()["best"].is_monotonic_decreasing
    room = Room(60, 14)
    for wish in ("auto", "history", "rate", "model,rate"):
        assert picture(results.folder, wish, room)
    feed = Feed(results.definition, lambda: Snapshot(name="search"), {}, pytest.fail)
    feed.tick()
    assert feed.record.about["scales"]["rate"] == (1e-4, 1.0, True)
