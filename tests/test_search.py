"""The proposer: what it proposes, what it makes of outcomes, and that its history is all it depends on."""

import math
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest

import swath
from swath.errors import UsageError
from swath.search import Outcome, Proposer, demand
from swath.space.values import canonical

FAIL, COMPLETE, PRUNED = (optuna.trial.TrialState[name] for name in ("FAIL", "COMPLETE", "PRUNED"))
MIXED = {
    "model": ["svm", "forest", None, True, 1.5, [1, 2]],
    "x": {"linspace": [-5, 5, 101]},
    "c": {"geomspace": [0.001, 1000, 61], "when": 'model == "svm"'},
    "depth": {"range": [1, 10], "when": 'model == "forest"'},
    "k": 7,
    "seed": {"seeds": 3},
}
GRID = {"x": {"linspace": [-5, 5, 10001]}, "y": {"linspace": [-5, 5, 10001]}}


def searching(parameters=GRID, *, method="tpe", points=200, minimize="loss", where=None, seed=0, **keys):
    search = {"method": method, "points": points, **keys.pop("search", {})}
    return swath.Sweep(
        "study:f", parameters, search=search, minimize=minimize, where=where, seed=seed, **keys
    ).definition


def proposer(*arguments, **keys):
    return Proposer(searching(*arguments, **keys))


def sphere(row):
    numbers = [value for value in row.values() if isinstance(value, float)]
    return {"loss": sum(value**2 for value in numbers), "other": sum((value - 2) ** 2 for value in numbers)}


def play(player, n, function=sphere):
    """Ask and tell, one by one; return the rows."""
    rows = []
    for number in range(player.proposed, player.proposed + n):
        (row,) = player.ask(1)
        assert player.tell(number, Outcome("ok", function(row))) == ""
        rows.append(row)
    return rows


def trials(player):
    return player._study._study.trials


@pytest.mark.parametrize("method", ["tpe", "cma-es"])
def test_a_search_gets_better(method):
    losses = [sphere(row)["loss"] for row in play(proposer(method=method), 80)]
    assert min(losses[40:]) < min(losses[:20])


# What is proposed.


def test_a_row_has_the_parameters_that_are_active_with_values_of_any_type():
    rows = proposer(MIXED).ask(200)
    assert {canonical(row["model"]) for row in rows} == set(map(canonical, MIXED["model"]))
    for row in rows:
        assert ("c" in row, "depth" in row) == (row["model"] == "svm", row["model"] == "forest")
        assert not {"k", "seed"} & row.keys()
    assert {type(row["depth"]) for row in rows if "depth" in row} == {int}


def test_where_is_respected_also_through_derived_columns_and_constants():
    keys = {"where": "distance < k", "derive": {"distance": "hypot(x, y)"}}
    rows = play(proposer(GRID | {"k": 3}, **keys), 20)
    assert all(math.hypot(row["x"], row["y"]) < 3 for row in rows)


def test_where_that_leaves_next_to_nothing_is_found_by_drawing():
    rows = play(proposer(where="0 < x < 0.05 and y > 0"), 4)
    assert all(0 < row["x"] < 0.05 and row["y"] > 0 for row in rows)


def test_where_that_leaves_nothing_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr(swath.search, "LOOKED_AT", 1000)
    said = "search: where excludes all that was tried for point 0: 16 proposals of tpe and 2,000 drawn at random; "
    with pytest.raises(UsageError, match=re.escape(said)):
        proposer(where="x > 9").ask(1)


@pytest.mark.parametrize("method", ["tpe", "nsga-ii"])
def test_a_finite_space_is_used_up_without_a_repetition(method):
    parameters = {
        "a": ["u", "v"],
        "b": {"range": [5]},
        "c": {"values": [1, 2, 3], "when": 'a == "u"'},
    }
    player = proposer(parameters, method=method, points=100, where="b != 3", minimize="loss")
    found = []
    while rows := player.ask(1):
        player.tell(player.proposed - 1, Outcome("ok", {"loss": rows[0]["b"]}))
        found += map(canonical, rows)
    assert len(found) == len(set(found)) == 4 * (3 + 1)
    assert player.exhausted == "the space has no more points: all 16 of it were proposed"
    assert player.ask(5) == []


def test_points_are_the_most_that_are_proposed():
    player = proposer(points=7)
    assert [len(player.ask(5)), len(player.ask(5)), len(player.ask(5))] == [5, 2, 0]
    assert (player.proposed, player.open, player.exhausted) == (7, 7, "")


def test_known_points_come_first_and_not_again():
    known = [{"x": 1.0, "y": 2.0}, {"x": 0.0, "y": 0.0}]
    player = proposer(search={"known": known})
    assert player.ask(1) + player.ask(2)[:1] == known
    taken_up = proposer(search={"known": known})
    taken_up.adopt(known[1:])
    assert taken_up.ask(2)[0] == known[0]
    assert taken_up.ask(1)[0] not in known


# What is told.


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Outcome("ok", {"loss": 1}), COMPLETE, ""),
        (Outcome("ok", {"loss": math.inf}), COMPLETE, ""),
        (Outcome("ok", {"loss": math.nan}), FAIL, "the metric 'loss' is NaN"),
        (Outcome("ok", {"los": 1, "b": 2}), FAIL, "there is no metric 'loss', there is los, b"),
        (Outcome("ok", {}), FAIL, "there is no metric 'loss'"),
        (Outcome("ok", {"loss": None}), FAIL, "the metric 'loss' is no number: nothing"),
        (Outcome("ok", {"loss": "low"}), FAIL, "the metric 'loss' is no number: 'low'"),
        (Outcome("timeout", {"loss": 1}), FAIL, "timeout"),
        (Outcome("error"), FAIL, "error"),
        (Outcome("pruned", {"loss": 1}, step=3), PRUNED, ""),
        (Outcome("pruned", {"loss": math.nan}, step=3), FAIL, "the metric 'loss' is NaN"),
    ],
)
def test_outcomes(outcome, state, reason):
    player = proposer()
    player.ask(2)
    assert player.tell(1, outcome) == reason
    told = trials(player)[1]
    assert told.state == state
    assert told.intermediate_values == ({3: 1.0} if state == PRUNED else {})
    assert (player.open, player.ask(1) != []) == (1, True)


def test_a_point_that_was_tried_again_is_told_again():
    player = proposer()
    player.ask(1)
    player.tell(0, Outcome("error"))
    player.tell(0, Outcome("ok", {"loss": 2}))
    first, second = trials(player)
    assert (first.state, second.state, second.value) == (FAIL, COMPLETE, 2.0)
    assert first.params == second.params
    assert player.proposed == 1


def test_a_larger_value_is_better_where_it_is_maximized():
    player = proposer(minimize=None, maximize="gain")
    rows = play(player, 60, lambda row: {"gain": -sphere(row)["loss"]})
    losses = [sphere(row)["loss"] for row in rows]
    assert min(losses[30:]) < min(losses[:15])


def test_earlier_points_of_others_are_learnt_and_not_counted():
    player, other = proposer(search={"startup": 20}), proposer(search={"startup": 20})
    for i in range(20):
        row = {"x": i / 8 - 1, "y": 0.5}
        assert player.learn(row, Outcome("ok", sphere(row))) == ""
    assert player.proposed == player.open == 0
    near, far = ([sphere(row)["loss"] for row in each.ask(10)] for each in (player, other))
    assert sorted(near)[5] < sorted(far)[5]


# Bounds.


def test_bounds_are_told_as_distances():
    keys = {"search": {"subject_to": ["latency < 0.5", "ok and x > -6"]}}
    player = proposer(**keys)
    player.ask(3)
    for number, latency in enumerate((0.1, 0.5, 2.0)):
        player.tell(number, Outcome("ok", {"loss": 1, "latency": latency, "ok": latency < 1}))
    first, second, third = (trial.constraints["latency < 0.5"] for trial in trials(player))
    assert (first, third) == (-0.4, 1.5)
    assert 0 < second < 1e-300  # on the bound of a strict condition is outside
    assert [trial.constraints["ok and x > -6"] > 0 for trial in trials(player)] == [False, False, True]


def test_a_bound_whose_metric_is_missing_is_a_failure():
    player = proposer(search={"subject_to": "latency < 0.5"})
    player.ask(2)
    assert (
        player.tell(0, Outcome("ok", {"loss": 1}))
        == "`latency < 0.5` reads something that is missing or not a number"
    )
    assert player.tell(1, Outcome("ok", {"loss": 1, "latency": math.nan})).startswith("`latency < 0.5` reads")


@pytest.mark.parametrize("method", ["tpe", "nsga-ii"])
def test_bounds_are_kept_to(method):
    keys = {"population": 20} if method == "nsga-ii" else {}
    player = proposer(method=method, search={"subject_to": "reach >= 3", **keys})
    rows = play(player, 120, lambda row: {"loss": sphere(row)["loss"], "reach": row["x"]})
    inside = [row["x"] >= 3 for row in rows]
    assert sum(inside[-40:]) > 1.3 * sum(inside[:40])


@pytest.mark.parametrize("method", ["tpe", "nsga-ii"])
def test_several_goals(method):
    keys = {"search": {"population": 20}} if method == "nsga-ii" else {}
    player = proposer(method=method, minimize=["loss", "other"], **keys)
    rows = play(player, 100)
    between = [abs(row["x"] - row["y"]) + max(0, -row["x"], row["x"] - 2) for row in rows]  # 0 on the front
    assert sum(between[-30:]) < sum(between[:30])
    player.ask(1)
    assert player.tell(100, Outcome("pruned", {"loss": 1, "other": 1}, step=1)) == "pruned"


@pytest.mark.skipif(find_spec("torch") is None, reason="the extra gp is large")
def test_gaussian_processes():
    losses = [sphere(row)["loss"] for row in play(proposer(method="gp"), 16)]
    assert min(losses[10:]) < min(losses[:10]) / 4
    bounded = play(
        proposer(method="gp", search={"subject_to": "reach > 3"}),
        16,
        lambda row: {**sphere(row), "reach": row["x"]},
    )
    assert all(row["x"] > 2.5 for row in bounded[12:])
    player = proposer(MIXED, method="gp", minimize=["loss", "other"])
    play(player, 12)
    assert len(player.ask(3)) == 3
    endless = play(
        proposer(method="gp"), 13, lambda row: {"loss": math.inf if row["x"] > 0 else row["x"] ** 2}
    )
    assert len(endless) == 13


# History.


@pytest.mark.parametrize("method", ["tpe", "cma-es", "nsga-ii"])
@pytest.mark.parametrize("parameters", [GRID, MIXED], ids=["grid", "mixed"])
def test_a_search_taken_up_again_goes_on_as_the_one_that_was_not_stopped(method, parameters):
    if method == "cma-es" and parameters is MIXED:
        parameters = MIXED | {"y": {"linspace": [0, 1, 999]}}
    keys = {"search": {"population": 8}} if method != "tpe" else {}
    first, second = (proposer(parameters, method=method, **keys) for _ in range(2))
    rows = play(first, 40)
    second.adopt(rows)
    for number, row in enumerate(rows):
        second.tell(number, Outcome("ok", sphere(row)))
    assert play(first, 5) == play(second, 5)


def test_so_does_one_with_open_points():
    first, second = proposer(MIXED), proposer(MIXED)
    told = [11, 3, 0, 1, 2, 7, 5, 4, 6, 12, 10, 13, 14, 17]
    rows = first.ask(20)
    second.adopt(rows)
    for player in (first, second):
        for number in told:
            player.tell(number, Outcome("ok", sphere(rows[number])))
    assert first.open == second.open == 6
    assert first.ask(3) == second.ask(3)


def test_other_seeds_are_other_searches():
    assert proposer(seed=0).ask(5) == proposer(seed=0).ask(5) != proposer(seed=1).ask(5)


def test_rows_of_another_space_are_not_adopted():
    said = re.escape('{"x":7.5,"y":0} cannot be a proposal of this search: 7.5 is none of the 10,001 values')
    with pytest.raises(UsageError, match=said):
        proposer().adopt([{"x": 7.5, "y": 0}])


@pytest.mark.parametrize(
    ("point", "row"),
    [
        ({"model": "svm", "x": 0, "c": 1, "k": 7}, {"model": "svm", "x": 0, "c": 1}),
        ({"model": None, "x": 0.1, "k": 7.0}, {"model": None, "x": 0.1}),
        ({"model": "svm", "x": 0, "k": 7}, None),  # lacks c
        ({"model": None, "x": 0, "c": 1, "k": 7}, None),  # c is not active
        ({"model": None, "x": 0, "k": 8}, None),
        ({"model": None, "x": 0}, None),
        ({"model": None, "x": 0, "k": 7, "z": 1}, None),
        ({"model": 2, "x": 0, "k": 7}, None),
        ({"model": None, "x": 0.123, "k": 7}, None),
        ({"model": None, "x": -4, "k": 7}, None),  # where
    ],
)
def test_what_fits_of_another_definition(point, row):
    assert proposer(MIXED, where="x > -3").fitting(point) == row


# Around it.


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [("tpe", "optuna", "search"), ("cma-es", "cmaes", "search"), ("gp", "torch", "gp")],
)
def test_a_missing_package_is_one_sentence(method, package, extra, tmp_path):
    for folder in {Path(module.__file__).parents[1] for module in (optuna, pytest)}:
        for entry in folder.iterdir():
            if not entry.name.startswith((package, "torch")) and not (tmp_path / entry.name).exists():
                (tmp_path / entry.name).symlink_to(entry)
    code = f"import swath.search\ntry: swath.search.demand({method!r})\nexcept swath.errors.UsageError as e: print(e)"
    source = str(Path(swath.__file__).parents[1])
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": f"{source}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = f"search.method: {method} needs {package}, which is not installed: pip install 'swath[{extra}]'\n"
    assert found.stdout == said


@pytest.mark.parametrize("method", ["tpe", "cma-es", "nsga-ii"])
def test_optuna_says_nothing(method, capfd):
    demand(method)
    said = optuna.logging.get_verbosity()
    keys = {"search": {"population": 5}} if method != "tpe" else {}
    play(proposer(MIXED | {"y": {"linspace": [0, 1, 999]}}, method=method, **keys), 20)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == said


def add(a, b):
    return {"loss": a + b}


def test_a_run_whose_space_is_used_up_says_so(tmp_path):
    sweep = swath.Sweep(add, {"a": [1, 2], "b": [1, 2, 3]}, search={"points": 9}, minimize="loss")
    handle = sweep.start(engine="inline", out=tmp_path)
    assert handle.wait(60)
    assert handle.complete
    assert len(handle.results.frame) == 6
    assert handle.snapshot.sampler.ended == "the space has no more points: all 6 of it were proposed"
