"""Figures say what the frame says, make new models every time, and take nothing that they are given for code."""

from __future__ import annotations

import numpy as np
import pytest

from saving import Session, study
from swath.messages import STATUSES
from swath.results import Results
from swath.store import commits
from swath.views import palette
from swath.views.figures.axes import MANY, Axis, coded
from swath.views.figures.study import MOST, Points


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(commits, "PAUSE", 0.0)


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
