"""Searches from definition to rows: on every engine, stopped and taken up again, changed, and from other runs."""

from __future__ import annotations

import json
import re
from contextlib import chdir

import numpy as np
import pytest
from click.testing import CliRunner
from pandas.testing import assert_frame_equal

import swath
from running import Cluster
from swath.cli import sweep as cli
from swath.search import Proposer

BOWL = '''
"""A bowl with a tilted floor; one model of three is better, and one ends its process."""

import os


def bowl(x, model, depth=0, seed=0):
    if model == "deadly":
        os._exit(1)
    if model == "raising":
        raise ValueError("as planned")
    return {"loss": (x - 0.3) ** 2 + 0.1 * depth + 1e-9 * (seed % 7), "cost": x}
'''
SEARCH = """
objective: model:bowl
parameters:
  x: {linspace: [0, 1, 201]}
  model: [fine, tree, raising, deadly]
  depth: {values: [1, 2, 3], when: model == "tree"}
where: x < 0.9
minimize: loss
search: {method: tpe, points: 40, startup: 8, subject_to: cost < 0.6}
"""


def bowl(x, y=0.0):
    return {"loss": (x - 0.3) ** 2 + y}


PLANE = {"x": swath.linspace(0, 1, 1001), "y": swath.linspace(0, 1, 1001)}


def sweep(points=20, *, function=bowl, parameters=None, **keys):
    search = {"method": "tpe", "points": points, "startup": 5, **keys.pop("search", {})}
    space = parameters or {"x": swath.linspace(0, 1, 1001)}
    return swath.Sweep(function, space, minimize="loss", search=search, name="bowl", **keys)


@pytest.fixture
def run(tmp_path):
    """Run a search in this thread, without a cluster."""
    return lambda made, **options: made.run(engine="inline", out=tmp_path, **options)


def settled(results):
    """Parameters and metrics, which must not depend on how a search was run."""
    return results.frame.loc[:, :"loss"]


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def sessions(folder):
    """Events of the journal, a list for each session."""
    made = []
    for event in events(folder):
        if event["event"] == "start":
            made.append([])
        made[-1].append(event)
    return made


@pytest.fixture
def asks(tmp_path):
    """Do what ``swath`` does, in this process; return what it said."""

    def ask(*arguments, code=0):
        with chdir(tmp_path):
            done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert done.exit_code == code, done.output
        return done.output

    return ask


def test_a_search_runs_as_any_sweep_does_and_goes_on_after_a_limit(tmp_path, asks):
    (tmp_path / "model.py").write_text(BOWL)
    (tmp_path / "study.yaml").write_text(SEARCH)
    begun = swath.load(tmp_path / "study.yaml")
    before = begun.run(workers=2, limit=13, out=tmp_path / "results").frame
    assert len(before) == 13
    results = begun.run(workers=2, out=tmp_path / "results")
    assert (results.complete, results.total, len(results)) == (True, 40, 40)
    frame = results.frame
    assert_frame_equal(frame.loc[before.index, ["x", "model", "worker"]], before[["x", "model", "worker"]])
    assert not frame.duplicated(["x", "model", "depth"]).any()
    assert (frame["x"] < 0.9).all()
    assert ((frame["model"] == "tree") == frame["depth"].notna()).all()
    ends = dict(zip(frame["model"], frame["status"], strict=True))
    assert {ends[name] for name in ("fine", "tree")} == {"ok"}
    assert ends.get("raising", "error") == "error"
    assert ends.get("deadly", "crash") == "crash"
    assert "40 done" in asks("run", "study.yaml", code=3), "some points failed"
    *_, last = sessions(tmp_path / "results" / "study")
    assert [event["event"] for event in last] == ["start", "end"], "no optimiser, no worker"
    point = int(frame.index[frame["model"] == "fine"][-1])
    shown = json.loads(asks("show", "study", point, "--json"))
    here = json.loads(asks("run", "study.yaml", "--point", point, "--json"))
    assert (here["parameters"], here["metrics"]) == (shown["parameters"], shown["metrics"])
    assert "complete" in asks("status", "study")
    assert "the search has proposed 40 of 40 so far, points 0 to 39" in asks("show", "study", 40, code=2)
    assert not [event for event in events(tmp_path / "results" / "study") if event["event"] == "trouble"]


def test_check_says_what_a_search_will_do(tmp_path, asks):
    (tmp_path / "model.py").write_text(BOWL)
    (tmp_path / "study.yaml").write_text(SEARCH)
    said = asks("check", "study.yaml")
    assert "search     tpe, 40 points, the first 8 at random, subject to cost < 0.6" in said
    assert re.search(r"x +201 +float +0 - 1", said)
    assert re.search(r'depth +3 +int +1 - 3 +model == "tree"', said)
    assert not (tmp_path / "results").exists()
    said = asks("check", "study.yaml", "x={loguniform: [0.001, 10]}")
    assert re.search(r"x +any +float +loguniform from 0.001 to 10", said)


def test_an_expression_that_cannot_work_stops_nothing_later(tmp_path, asks):
    (tmp_path / "model.py").write_text(BOWL)
    (tmp_path / "study.yaml").write_text(SEARCH.replace("x < 0.9", "x + model < 0.9"))
    assert "study.yaml:7:1: error: where: " in asks("run", "study.yaml", code=2)


def test_the_cost_of_the_optimiser_is_told(tmp_path):
    handle = sweep().start(engine="inline", out=tmp_path)
    assert handle.wait(60)
    last = handle.snapshot.sampler
    assert (last.method, last.proposed, last.points) == ("tpe", 20, 20)
    assert 0 < last.cost < 1
    assert 0 <= last.waited <= 1
    (told,) = [event for event in events(tmp_path / "bowl") if event["event"] == "plan"]
    assert told["cost"] == pytest.approx(last.cost)


def test_replicates_are_together_and_their_mean_counts(run):
    results = run(
        sweep(6, parameters={"x": [0.1, 0.2, 0.3, 0.9], "y": [0, 1], "s": swath.seeds(3)}, function=seeded)
    )
    frame = results.frame
    assert len(frame) == 18
    assert not frame.groupby(frame.index // 3)[["x", "y"]].agg(np.ptp).any(axis=None)
    assert frame["s"].tolist() == frame["s"].tolist()[:3] * 6


def seeded(x, y, s):
    return {"loss": x + y + s}


def test_the_same_object_may_be_run_twice(tmp_path):
    made = sweep(8)
    places = (("a", False), ("b", False), ("a", True))
    one, two, fresh = (made.run(engine="inline", out=tmp_path / name, fresh=new) for name, new in places)
    assert (len(one), len(two), len(fresh)) == (8, 8, 8)
    assert settled(one)["x"].tolist()[:5] == settled(two)["x"].tolist()[:5], "those of the start"
    assert (tmp_path / "a" / "bowl.1").exists()


def test_what_was_proposed_and_not_evaluated_is_evaluated_first(run, tmp_path):
    """A point that was asked ahead is on disk when a sweep ends; it is neither lost nor asked for again."""

    def torn(x):
        if x > 0.2 and not (tmp_path / "mended").exists():
            raise ValueError("too far")
        return {"loss": x}

    run(sweep(12, function=torn), max_failures=1)
    results = swath.open(tmp_path / "bowl")
    book, rows = results.definition.space.proposals, len(results)
    assert rows < 5 <= book.known, "those of the start are known"
    asked = [row["x"] for row in book.rows(0, 5)]
    (tmp_path / "mended").touch()
    results = run(sweep(12, function=torn))
    assert results.frame["x"].tolist()[:5] == asked
    assert (results.complete, len(results)) == (True, 12)


def test_a_search_is_taken_up_after_every_limit(run):
    for limit in (3, 4, 14):
        results = run(sweep(14, search={"startup": 1}), limit=limit)
    assert (results.complete, len(results)) == (True, 14)
    assert results.frame["x"].is_unique


def test_more_points_keep_those_there_are_and_fewer_leave_the_rest_on_disk(run):
    few, more = (settled(run(sweep(points))) for points in (6, 9))
    assert_frame_equal(more.iloc[:6], few)
    less = run(sweep(4, search={"startup": 2}))
    assert (less.complete, len(less), len(less.all)) == (True, 4, 9)
    assert set(less.frame["x"]) <= set(more["x"])
    again = settled(run(sweep(9)))
    assert_frame_equal(again, more)


def test_another_method_takes_over_what_there_is(run):
    few = settled(run(sweep(8)))
    results = run(sweep(12, search={"method": "cma-es", "startup": 2}, parameters=PLANE))
    assert len(results) == 12, "another space"
    results = run(sweep(10, search={"method": "nsga-ii", "population": 4, "startup": None}))
    assert settled(results)["x"].tolist()[:8] == few["x"].tolist()
    assert (results.complete, len(results)) == (True, 10)


def test_failed_points_run_again_when_asked(run, tmp_path):
    def torn(x):
        if x > 0.5 and not (tmp_path / "mended").exists():
            raise ValueError("too far")
        return {"loss": x}

    first = run(sweep(14, function=torn), limit=9).frame
    (tmp_path / "mended").touch()
    results = run(sweep(14, function=torn), retry=("error",))
    assert (results.complete, results.statuses) == (True, {"ok": 14})
    again = results.frame.loc[first.index, "attempts"] == 2
    assert (again == (first["status"] == "error")).all()


def test_a_grid_becomes_the_beginning_of_a_search(run):
    grid = swath.Sweep(bowl, {"x": [0.25, 0.5, 3.0], "y": [0, 1]}, minimize="loss", name="bowl")
    run(grid)
    results = run(sweep(10, parameters={"x": swath.linspace(0, 1, 1001), "y": [0, 1, 2]}))
    assert len(results) == 10
    assert results.frame[["x", "y"]].to_numpy().tolist()[:4] == [[0.25, 0], [0.25, 1], [0.5, 0], [0.5, 1]]
    assert len(results.all) == 12, "the two points at 3.0 are none of the search"


def test_another_run_teaches_without_being_part_of_it(tmp_path, monkeypatch):
    heard = []
    learn = Proposer.learn
    monkeypatch.setattr(
        Proposer,
        "learn",
        lambda self, row, outcome: (heard.append((row, outcome)), learn(self, row, outcome))[1],
    )
    sweep(6).run(engine="inline", out=tmp_path)
    made = swath.Sweep(
        bowl,
        {"x": swath.linspace(0, 1, 1001)},
        minimize="loss",
        name="other",
        search={"method": "tpe", "points": 3, "from": str(tmp_path / "bowl")},
    )
    results = made.run(engine="inline", out=tmp_path)
    assert len(results) == 3
    assert len(heard) == 6
    assert all(outcome.metrics["loss"] == bowl(**row)["loss"] for row, outcome in heard)


def test_a_run_that_is_not_there_teaches_nothing_and_nothing_is_begun(tmp_path):
    made = sweep(search={"from": str(tmp_path / "nowhere")})
    with pytest.raises(swath.UsageError, match=r"search\.from: there is no run to learn from in .*nowhere"):
        made.run(engine="inline", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_optimiser_that_fails_ends_the_sweep_and_nothing_is_lost(run, tmp_path, monkeypatch):
    ask_ = Proposer.ask

    def fails(self, n):
        if self.proposed >= 7:
            raise ArithmeticError("a matrix is singular")
        return ask_(self, n)

    with monkeypatch.context() as patched:
        patched.setattr(Proposer, "ask", fails)
        with pytest.raises(
            swath.SwathError, match="the search failed: ArithmeticError: a matrix is singular"
        ) as told:
            run(sweep(12))
    assert told.value.exit_code == 70
    (trouble,) = [event for event in events(tmp_path / "bowl") if event["event"] == "trouble"]
    assert (trouble["where"], trouble["trail"][-1].partition(":")[0]) == ("search", "fails")
    results = swath.open(tmp_path / "bowl")
    assert 5 <= len(results) <= 8
    assert len(run(sweep(12))) == 12


def test_a_space_that_is_used_up_is_complete(run):
    results = run(sweep(50, parameters={"x": [0.1, 0.2, 0.3]}, search={"startup": 2}))
    assert (len(results), results.complete) == (3, True)
    assert sorted(results.frame["x"]) == [0.1, 0.2, 0.3]


def test_bounds_and_failures_are_told(run):
    def torn(x):
        if x > 0.9:
            raise ValueError("too far")
        return {"loss": -x, "cost": x}

    results = run(sweep(40, function=torn, search={"subject_to": "cost < 0.3"}))
    late = results.frame.iloc[20:]
    assert (late["cost"] < 0.6).sum() > 10, "without the bound they were at 0.9"
    assert results.best(1)["cost"].iloc[0] < 0.3


def test_stopping_a_search_leaves_no_thread(tmp_path):
    import threading

    handle = sweep(10_000, search={"startup": 10_000}).start(engine="inline", out=tmp_path)
    while not handle.snapshot.saved:
        assert not handle.wait(0.01)
    handle.stop()
    assert handle.wait(60)
    assert handle.outcome.exit_code == 130
    assert not [thread for thread in threading.enumerate() if thread.name == "swath-search"]
    assert 0 < len(handle.results) < 10_000


@pytest.mark.parametrize("keys", [{"isolation": "none"}, {"point": {"fresh": True}}])
def test_points_reach_every_kind_of_slot(tmp_path, keys):
    results = sweep(8, **keys).run(workers=2, out=tmp_path)
    assert results.complete
    frame = results.frame
    assert np.allclose(frame["loss"], (frame["x"] - 0.3) ** 2)


def test_points_reach_workers_elsewhere(tmp_path):
    cluster = Cluster(tmp_path).hire("one", "two")
    try:
        results = sweep(12).run(scheduler=cluster.address, out=tmp_path / "out")
        with pytest.raises(swath.ObjectiveError, match=LACKING):
            sweep(50, function=lacks).run(scheduler=cluster.address, out=tmp_path / "lacking")
    finally:
        cluster.close()
    assert results.complete
    assert np.allclose(results.frame["loss"], (results.frame["x"] - 0.3) ** 2)


# A metric that is missing.


def third(x):
    """Returns its loss at every third point, and ends its process once."""
    if x == 2:
        import os

        os._exit(1)
    return {"los": x} if x % 3 else {"loss": x}


def lacks(x):
    return {"los": x}


def listed(count, function):
    """A search that tries 0, 1, 2, ... in this order."""
    values = list(range(count))
    known = [{"x": x} for x in values]
    return sweep(count, function=function, parameters={"x": values}, search={"known": known})


LACKING = (
    r"the sweep goes by the metric 'loss', which the first .* \(they returned 'los'; did you mean 'los'\?\)"
)


def test_a_metric_of_some_points_ends_no_search_whichever_child_they_meet(tmp_path):
    results = listed(7, third).run(workers=2, out=tmp_path)
    frame = results.frame.set_index("x")
    assert results.complete
    assert list(frame.index[frame["status"] != "ok"]) == [2]
    assert sorted(frame.index[frame["loss"].notna()]) == [0, 3, 6]


def test_what_earlier_sessions_have_returned_is_not_asked_for_again(run, tmp_path):
    def first(x):
        return {"los": x} if x else {"loss": x}

    assert len(run(listed(6, first), limit=2)) == 2
    results = run(listed(6, first))
    assert (results.complete, len(results)) == (True, 6)
    verified = listed(6, first).verify(out=tmp_path)
    assert (verified.points, verified.equal) == (6, 6)


@pytest.mark.parametrize("keys", [{"point": {"fresh": True}}, {"isolation": "none"}])
def test_a_metric_that_no_point_returns_ends_a_search_in_every_kind_of_slot(tmp_path, keys):
    with pytest.raises(swath.ObjectiveError, match=LACKING):
        sweep(50, function=lacks, **keys).run(workers=2, out=tmp_path)
    assert 0 < len(swath.open(tmp_path / "bowl")) < 50


def test_a_search_that_lacked_its_metric_keeps_its_rows_and_goes_on_with_the_right_one(run, tmp_path):
    for _ in range(2):  # the second time, by other points
        with pytest.raises(swath.ObjectiveError, match=LACKING):
            run(sweep(12, function=lacks))
    saved = swath.open(tmp_path / "bowl").frame
    assert 1 < len(saved) < 12
    space, search = {"x": swath.linspace(0, 1, 1001)}, {"method": "tpe", "points": 12, "startup": 5}
    results = run(swath.Sweep(lacks, space, minimize="los", search=search, name="bowl"))
    assert (results.complete, len(results)) == (True, 12)
    assert set(saved["started"]) < set(results.frame["started"])


def test_rows_can_be_verified(run, tmp_path):
    run(sweep(6))
    verified = sweep(6).verify(out=tmp_path)
    assert (verified.points, verified.equal) == (6, 6)
