"""Learning curves: which are drawn, how the live page keeps them, and what it reads of what passes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.core.validation.check import check_integrity
from bokeh.document import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import study
from swath.messages import Batch, Record, Reply, Step, Write
from swath.ranges import RangeSet
from swath.snapshot import Snapshot
from swath.views.figures.axes import Axis
from swath.views.figures.brushing import Brush
from swath.views.figures.curves import curves
from swath.views.figures.study import STATUSES, Points, Study
from swath.views.figures.traces import LINES, Curves, thinned
from swath.views.live import curves as kept
from swath.views.live.feed import Feed
from swath.views.live.page import PANELS, View
from swath.views.live.record import Record as Known
from swath.views.live.tracing import Tracer
from swath.views.sketch.curves import traces
from swath.views.sketch.paper import Room
from test_live import ABOUT, HOSTILE, increment

# Figures.


def steps_of(*lengths, metric="error"):
    """Curves of the points 0, 1, ...; a value is the point plus one over the step."""
    points = np.repeat(np.arange(len(lengths)), lengths)
    steps = np.concatenate([np.arange(1, n + 1) for n in lengths])
    return Curves(points, steps, {metric: points + 1 / steps})


def study_of(statuses, recorded, metric="error"):
    n = len(statuses)
    last = np.arange(n, dtype=float)
    return Study(
        name="study", axes={metric: Axis.numeric(metric, last)}, columns={metric: last}, parameters=(), metrics=(metric,),
        metric=metric, direction="minimize", goals=((metric, 1),), points=np.arange(n),
        status=np.array([STATUSES.index(status) for status in statuses], np.int64), seconds=np.ones(n), started=np.zeros(n),
        attempts=np.ones(n, np.int64), worker=np.zeros(n, np.int64), workers=("w",), failure=[None] * n, curves=recorded,
    )  # fmt: skip


def test_a_line_for_each_point_that_recorded_something():
    study_ = study_of(["pruned", "ok", "ok", "error"], steps_of(3, 9, 9, 5, 2))  # the last one has no row yet
    points = Points(study_)
    made = curves(points, brush=Brush(points))
    data = made.select_one({"name": "curves"}).data
    assert data["point"] == [0, 1, 2, 3, 4]
    assert data["status"] == ["pruned", "ok", "ok", "error", "unfinished"]
    assert data["mark"] == ["x", "dot", "dot", "x", "circle"]
    assert data["row"].tolist() == [0, 1, 2, 3, -1]
    assert data["step"] == [3, 9, 9, 5, 2]
    assert [len(line) for line in data["xs"]] == [3, 9, 9, 5, 2]
    best = made.select_one({"name": "best"}).data
    assert np.array_equal(best["y"], data["ys"][1])  # not the point that was stopped, whatever its value
    assert made.title.text.text == "error, step by step: 5 points, × 1 stopped early"  # noqa: RUF001
    check_integrity([made])


def test_of_many_curves_the_best_and_a_sample_are_drawn_and_the_figure_says_so():
    n = 3 * LINES
    study_ = study_of(["ok"] * n, steps_of(*[100] * n, metric=HOSTILE), HOSTILE)
    made = curves(Points(study_))
    data = made.select_one({"name": "curves"}).data
    assert len(data["point"]) == LINES
    assert data["point"][:40] == list(range(40))
    assert sum(map(len, data["xs"])) <= 12_000 * 1.1
    assert f": {LINES} of {n} points" in made.title.text.text
    assert "\x1b" not in made.title.text.text


@given(st.integers(1, 500), st.integers(8, 60))
@settings(max_examples=50)
def test_a_long_curve_keeps_its_beginning_and_its_end(n, most):
    steps, values = thinned(np.arange(n), np.arange(n) * 1.0, most)
    assert len(steps) == len(values) <= max(most, 1) or n <= most
    assert steps[0] == 0
    assert steps[-1] == n - 1
    assert (np.diff(steps) > 0).all()


def test_steps_are_logarithmic_where_most_curves_end_early():
    assert steps_of(*[1] * 10, *[3] * 5, 81).axes("error")[0].kind == "log"
    assert steps_of(*[81] * 4, 1).axes("error")[0].kind == "linear"
    axis = Axis("step", "linear", (), 1.0, 16.0, whole=True)
    assert list(axis.ticks(7).values()) == ["5", "10", "15"]


def test_a_sketch_of_curves():
    xs = np.arange(1, 5)
    drawn = traces(
        (Axis("step", "linear", (), 1.0, 4.0, whole=True), Axis.numeric("error", np.array([0.0, 3.0]))),
        [(xs, np.array([3.0, 2.0, 1.0, 1.0]))],
        (xs, np.array([3.0, np.nan, 0.0, 0.0])),
        Room(30, 8, unicode=False),
        title="error",
    )
    assert ["".join(text for text, _ in line).rstrip() for line in drawn] == [
        "error   . points   # best",
        "  3 |#####.",
        "    |    #####....",
        "1.5 |        #####...........",
        "  0 |            ############",
        "    +------------------------",
        "     1                      4",
        "               step",
    ]


# What the live page keeps.


def told(*points, step=1, value=1.0):
    return [[point, [step], [value]] for point in points]


def test_points_that_run_are_kept_and_of_those_that_ended_the_best():
    known = kept.Curves()
    known.take({"curves": told(*range(kept.CURVES), value=5.0)}, 1)
    known.take({"curves": told(7777)}, 1)
    assert 7777 not in known.lines  # all are running: there is no room
    known.take({"curves": told(3, step=2, value=1.0), "ended": [[point, "ok"] for point in range(60)]}, 1)
    assert known.best(1) == 3
    for point in range(1000, 1500):
        known.take({"curves": told(point, value=9.0), "ended": [[point, "pruned"]]}, 1)
    assert len(known.lines) == kept.CURVES
    assert set(range(60, kept.CURVES)) | {3} <= known.lines.keys()
    again = kept.Curves.rebuilt(json.loads(json.dumps(known.whole())))
    assert again.lines == known.lines


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(allow_infinity=True)), max_size=400))
@settings(max_examples=50)
def test_a_kept_curve_is_bounded_and_a_step_that_comes_again_takes_back(steps):
    curve = kept.Curve()
    for step, value in steps:
        curve.add(step, value)
        assert curve.steps[-1] == step
        assert curve.steps == sorted(set(curve.steps))
        assert len(curve.steps) == len(curve.values) <= kept.VERTICES
    json.dumps(curve.values, allow_nan=False)


def batch(start, stop):
    return Batch(start, "w0", start, stop, 1, 1.0)


def recorded(start, *steps, metric="error"):
    return Record(
        batch(start, start + 4), tuple(Step(p, n, 0.1, {"other": 1.0, metric: v}) for p, n, v in steps)
    )


def written(start, stop, whole=True, accepted=None, **failed):
    reply = Reply(((start, stop),), stop - start, tuple((status, tuple(at)) for status, at in failed.items()))
    return Write(batch(start, stop), reply, accepted or RangeSet(reply.done), whole)


def test_what_passes_becomes_increments():
    tracer = Tracer(study(order="shuffle").space, "error")
    assert tracer.read([written(8, 12)]) == {}
    points = study(order="shuffle").space.indices(0, 4).tolist()
    found = tracer.read([recorded(0, (0, 1, 5.0), (1, 1, 4.0), (0, 2, 3.0)), recorded(0, (2, 1, 2.0))])
    assert found["curves"] == [
        [points[0], [1, 2], [5.0, 3.0]],
        [points[1], [1], [4.0]],
        [points[2], [1], [2.0]],
    ]
    assert (found["ended"], found["traced"], tracer.metric) == ([], [3, 0], "error")
    late = written(0, 4, whole=False, accepted=RangeSet([(0, 2)]), pruned=[(1, 2)], error=[(2, 3)])
    found = tracer.read([late])
    assert found["ended"] == [[points[0], "ok"], [points[1], "pruned"]]  # the third is to be tried again
    assert found["traced"] == [3, 1]
    promoted = tracer.read([recorded(0, (1, 2, 3.5))])
    assert (promoted["curves"], promoted["traced"]) == ([[points[1], [2], [3.5]]], [3, 0])


def test_very_many_steps_are_thinned_but_for_the_last_ones():
    tracer = Tracer(study().space, "")
    found = tracer.read([recorded(0, *((p, n, float(n)) for n in range(1, 4001) for p in range(4)))])
    assert tracer.metric == "other"
    assert [point for point, _, _ in found["curves"]] == [0, 1, 2, 3]
    assert all(steps[-1] == 4000 and len(steps) <= kept.VERTICES for _, steps, _ in found["curves"])


def test_a_page_draws_curves_as_steps_come_and_nothing_where_there_are_none():
    record = Known()
    record.take(increment(about={**ABOUT, "metric": HOSTILE, "traced": HOSTILE}))
    view = View(SimpleNamespace(record=record, ended=False), PANELS)
    Document().add_root(view.root)
    view.update()
    assert not view.curves.root.visible
    record.take(increment(now=1001.0, curves=told(5, 6), traced=[2, 0]))
    view.update()
    record.take(
        increment(now=1002.0, curves=told(5, step=2, value=None), ended=[[5, "pruned"]], traced=[2, 1])
    )
    for now in (1003.0, 1004.0, 1005.0):
        record.take(increment(now=now))
        view.update()
    assert not view._broken
    assert view.curves.root.visible
    assert view.curves.source.data["status"] == ["pruned", "unfinished"]
    assert view.curves.source.data["step"] == [2, 1]
    assert view.curves.root.title.text.text.endswith("step by step: 2 points, × 1 stopped early")  # noqa: RUF001
    other = Known()
    other.take(json.loads(json.dumps(record.whole({"name": "study"}))))
    assert other.curves.lines == record.curves.lines
    assert (other.curves.seen, other.curves.stopped) == (2, 1)


def test_the_feed_hears_of_steps():
    feed = Feed(study(), lambda: Snapshot(name="study"), {}, pytest.fail)
    feed.tick()
    assert "traced" not in feed.record.about
    feed.see(recorded(0, (0, 1, 5.0), (1, 1, 4.0)))
    feed.see(written(0, 1))
    feed.tick()
    assert feed.record.about["traced"] == "error"
    assert {point: curve.status for point, curve in feed.record.curves.lines.items()} == {0: "ok", 1: ""}
    for _ in range(200):
        feed.see(recorded(0, *((1, n, 1.0) for n in range(100))))
    assert feed._steps_waiting <= 10_100
    feed.tick()
