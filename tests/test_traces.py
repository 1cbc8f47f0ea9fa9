"""Learning curves: which are drawn, how the live page keeps them, and what it reads of what passes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from bokeh.core.validation.check import check_integrity
from bokeh.document import Document
from bokeh.plotting import figure
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from saving import SIZE, Session, study
from swath import cli
from swath.definition import define
from swath.errors import UsageError
from swath.messages import Batch, Prune, Record, Reply, Step, Write
from swath.ranges import RangeSet
from swath.results import Results
from swath.run.journal import Journal
from swath.snapshot import Snapshot
from swath.store.history import Past
from swath.store.logbook import Naming
from swath.views.figures.axes import Axis
from swath.views.figures.brushing import Brush
from swath.views.figures.curves import curves
from swath.views.figures.overview import overview
from swath.views.figures.study import STATUSES, Points, Study
from swath.views.figures.traces import LINES, Curves, thinned
from swath.views.live import curves as kept
from swath.views.live.feed import Earlier, Feed
from swath.views.live.page import PANELS, View
from swath.views.live.record import Record as Known
from swath.views.live.tracing import Tracer
from swath.views.report import report
from swath.views.sketch.curves import traces
from swath.views.sketch.paper import Room
from swath.views.ui.board import Board
from swath.views.ui.choice import Map
from test_live import ABOUT, HOSTILE, increment

pytestmark = pytest.mark.usefixtures("at_once")

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
@settings(max_examples=50, deadline=None)
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
@settings(max_examples=50, deadline=None)
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


def saved(*lengths, metric="error"):
    """Steps as the store reads them: the point i took as many as is said, and came to i."""
    points = np.repeat(np.arange(len(lengths)), lengths)
    steps = np.concatenate([np.arange(1, n + 1) for n in lengths])
    values = points + np.repeat(lengths, lengths) - steps
    return pa.table(
        {
            "point": points,
            "attempts": np.ones(len(points), np.uint16),
            "step": steps,
            "seconds": steps / 4,
            metric: values.astype(float),
        }
    )


def past_of(ok, **failed):
    """What became of points: the first ones ended well, those that are named did not."""
    others = {status: {1: RangeSet([place])} for status, place in failed.items()}
    done = RangeSet([(0, ok), *failed.values()])
    return Past(done, {"ok": ok}, others, excluded=0)


def test_what_was_saved_is_where_a_page_begins():
    tracer = Tracer(define({"objective": "m:f", "parameters": {"x": {"range": [500]}}}).space, "error")
    past = past_of(200, pruned=(200, 300), error=(300, 400))
    found = tracer.saved(saved(*[300, *[2] * 499]), past, ["error"], 1)
    assert (tracer.metric, found["traced"]) == ("error", [400, 100])
    assert len(found["curves"]) == kept.CURVES
    points = [point for point, _, _ in found["curves"]]
    ended = dict(found["ended"])
    assert 0 in points, "the best one"
    assert set(points) - ended.keys() == set(range(400, 400 + kept.CURVES // 2))
    assert {ended[point] for point in ended} == {"ok", "pruned"}
    assert all(status == ("pruned" if point >= 200 else "ok") for point, status in ended.items())
    lines = {point: (steps, values) for point, steps, values in found["curves"]}
    assert len(lines[0][0]) == kept.VERTICES
    assert (lines[0][0][0], lines[0][0][-1], lines[0][1][-1]) == (1, 300, 0.0)
    assert lines[400] == ([1, 2], [401.0, 400.0])
    assert tracer.read([written(400, 401)]) == {
        "curves": [], "ended": [[400, "ok"]], "traced": [400, 100],
    }  # fmt: skip
    assert tracer.read([recorded(200, (200, 3, 0.5))])["traced"] == [400, 99], "it goes on"


def test_the_best_that_was_saved_is_best_by_the_goal():
    tracer = Tracer(define({"objective": "m:f", "parameters": {"x": {"range": [500]}}}).space, "")
    found = tracer.saved(saved(*[1] * 500, metric="gain"), past_of(500), (), -1)
    assert tracer.metric == "gain"
    assert found["curves"][0] == [499, [1], [499.0]]


def test_the_feed_begins_with_what_was_saved_and_goes_on(trained):
    with Session(trained.folder, study(minimize=HOSTILE)) as session:
        store = session.store
        earlier = Earlier(session.past, (), store.saved.rows, store.saved.newest_steps, store.saved.best)
        feed = Feed(session.definition, lambda: Snapshot(name="study"), {}, pytest.fail, earlier)
        feed.see(recorded(4, (5, 7, 9.0), metric=HOSTILE))
        feed.tick()
        known = feed.record.curves
        assert feed.record.about["traced"] == HOSTILE
        assert {point: curve.status for point, curve in known.lines.items()} == {
            0: "ok", 1: "ok", 2: "pruned", 3: "pruned", 4: "ok", 5: "",
        }  # fmt: skip
        assert known.lines[1].values == [2.0, 1.5]
        assert known.lines[5].steps == [1, 2, 3, 4, 5, 6, 7]
        assert (known.seen, known.stopped) == (6, 2)
        feed.see(recorded(4, (5, 2, 8.0), metric=HOSTILE))  # once more, from its checkpoint
        feed.see(written(5, 6))
        feed.tick()
        assert (known.lines[5].steps, known.lines[5].values, known.lines[5].status) == (
            [1, 2],
            [6.0, 8.0],
            "ok",
        )
        again = Known()
        again.take(json.loads(feed.fetch()[0]))
        assert again.curves.lines == known.lines


# What a run tells of its curves, and of what was stopped.


@pytest.fixture
def trained(tmp_path):
    """A run whose points recorded a loss: the point i took i + 1 steps; 2 and 3 were stopped, 5 has no row yet."""
    with Session(tmp_path / "study", study(minimize=HOSTILE)) as session:
        for position in range(6):
            steps = [Step(position, n, n / 4, {HOSTILE: position + 1 / n}) for n in range(1, position + 2)]
            session.store.append(Record(batch(position, position + 1), tuple(steps)))
        last = [position + 1 / (position + 1) for position in range(5)]
        statuses = ["ok", "ok", "pruned", "pruned", "ok"]
        session.save(0, 5, statuses=statuses, **{HOSTILE: last})
        naming = Naming(1, session.definition.space, session.definition.space.names)
        journal = Journal(tmp_path / "study", naming)
        for position, reason in (
            (2, "first"),
            (3, "\x1b[2J worse than half of 4"),
            (2, "worse than half of 3"),
        ):
            journal.take(Prune(batch(position, position + 1), position, reason))
        journal.close()
    return Results(tmp_path / "study")


def test_what_was_stopped_and_why(trained):
    found = trained.stopped
    assert list(found.columns) == ["a", "b", "seed", HOSTILE, "step", "seconds", "reason"]
    assert found.index.tolist() == [2, 3]
    assert found["step"].tolist() == [3, 4]
    assert found["reason"].tolist() == ["worse than half of 3", "\x1b[2J worse than half of 4"]
    assert trained.where("point > 2").stopped.index.tolist() == [3]
    assert trained.where(status="ok").stopped.empty
    again = study(minimize=HOSTILE, parameters={"a": [2, 1], "b": [10], "seed": [8, 7]})
    with Session(trained.folder, again):
        pass
    assert trained.stopped["reason"].tolist() == []
    with Session(
        trained.folder, study(minimize=HOSTILE, parameters={"a": [2, 1], "b": [10, 20], "seed": [8, 7]})
    ):
        pass  # what were the points 2 and 3 has other indices now
    assert dict(zip(trained.stopped.index, trained.stopped["reason"], strict=True)) == {
        6: "\x1b[2J worse than half of 4", 7: "worse than half of 3",
    }  # fmt: skip
    (trained.folder / "events.jsonl").unlink()
    assert trained.stopped["reason"].tolist() == ["", ""]


def test_the_study_of_a_run_has_its_curves(trained):
    study_ = trained.study
    assert study_.curves.owners.tolist() == [0, 1, 2, 3, 4, 5]
    assert study_.points[study_.best] == 0  # 1: those that were stopped do not count
    assert trained.where("point > 3").study.curves.owners.tolist() == [4]
    made = trained.plot.curves()
    assert made.select_one({"name": "curves"}).data["status"] == [
        "ok",
        "ok",
        "pruned",
        "pruned",
        "ok",
        "unfinished",
    ]
    with pytest.raises(UsageError, match="there is no metric that was recorded named 'los'"):
        trained.plot.curves("los")
    page = report(study_)
    assert "step by step" in page
    assert HOSTILE not in page
    assert "2 points stopped early</b> (40 %), half of them by step 3. Most often: 1 time" in page
    assert study_.failure[2] == "worse than half of 3"
    listed = overview(study_).select_one({"name": "stopped"}).data
    assert (listed["point"], listed["step"]) == (pytest.approx([3, 2]), pytest.approx([4, 3]))
    assert (
        sum(
            "step by step" in str(model.title.text.text)
            for model in _figures(Board(study_, {}, "", Map()).models)
        )
        == 1
    )


def _figures(models):
    return [found for model in models for found in model.select({"type": figure})]


def test_no_steps_no_curves(tmp_path):
    with Session(tmp_path / "study", study()) as session:
        session.save(0, SIZE)
    results = Results(tmp_path / "study")
    assert results.study.curves is None
    assert results.stopped.empty
    assert "step by step" not in report(results.study)
    with pytest.raises(UsageError, match="no point of study has recorded a step"):
        results.plot.curves()
    ask("results", results.folder, "--plot", "curves", code=2)
    assert ask("results", results.folder, "--curves", "--format", "csv") == "point,step,seconds\n"


def ask(*words, code=0):
    answer = CliRunner().invoke(cli.sweep, [str(word) for word in words])
    assert answer.exit_code == code, answer.output
    return answer.output


def test_the_command_prints_curves_and_what_was_stopped(trained):
    folder = trained.folder
    lines = ask("results", folder, "--curves", "--format", "csv").splitlines()
    assert (lines[0].split(",")[:3], len(lines)) == (["point", "step", "seconds"], 22)
    own = json.loads(ask("results", folder, "--curves", "4", "--format", "json"))
    assert [(row["point"], row["step"]) for row in own] == [(4, n) for n in range(1, 6)]
    assert (
        len(ask("results", folder, "--curves", "--where", "point < 2", "--format", "csv").splitlines()) == 4
    )
    assert "--curves cannot be combined with --best" in ask(
        "results", folder, "--curves", "1", "--best", 2, code=2
    )
    stopped = ask("results", folder, "--stopped")
    assert "worse than half of 3" in stopped
    assert "\x1b" not in stopped
    drawn = ask("results", folder, "--plot", "curves")
    assert ", step by step: 6 points" in drawn
    assert "\x1b[2J" not in drawn
    assert "cannot be combined with --stopped" in ask("results", folder, "--plot", "--stopped", code=2)


def test_a_point_shows_its_curve_and_why_it_was_stopped(trained):
    shown = ask("show", trained.folder, "3")
    assert ", 4 steps, at last 3.25" in shown
    assert "worse than half of 4" in shown
    assert "\x1b" not in shown
    assert "at step 1: 2, 2: 1.5" in ask("show", trained.folder, "1")
    told = json.loads(ask("show", trained.folder, "3", "--json"))
    assert told["curve"]["step"] == [1, 2, 3, 4]
    assert told["curve"][HOSTILE][-1] == 3.25
    none = json.loads(ask("show", trained.folder, "20", "--json"))
    assert none["curve"] == {}
