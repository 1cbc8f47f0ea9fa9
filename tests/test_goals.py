"""Several goals: nothing is best, nobody stumbles over it."""

import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import swath
from swath import cli
from swath.errors import UsageError


def trade(x):
    return {"cost": x, "loss": 3 - x, "gain": x * x}


def sweep(**keys):
    return swath.Sweep(trade, {"x": [0, 1, 2, 3]}, **keys)


def test_goals_of_a_definition():
    definition = sweep(minimize=["cost", "loss"], maximize="gain").definition
    assert definition.goals == (("cost", 1), ("loss", 1), ("gain", -1))
    assert (definition.goal, definition.minimize, definition.maximize) == (None, None, None)
    assert definition.source["minimize"] == ["cost", "loss"]
    assert definition.directions == {"minimize": "cost, loss", "maximize": "gain"}
    assert [definition.maximizes(name) for name in ("cost", "gain", "other")] == [False, True, False]


@pytest.mark.parametrize(
    ("keys", "goal"),
    [({"minimize": "cost"}, ("cost", 1)), ({"maximize": ["gain"]}, ("gain", -1)), ({}, None)],
)
def test_one_goal_or_none(keys, goal):
    definition = sweep(**keys).definition
    assert definition.goal == goal
    assert definition.minimize == (goal[0] if goal and goal[1] > 0 else None)
    assert definition.maximize == (goal[0] if goal and goal[1] < 0 else None)


def test_results_of_several_goals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = sweep(minimize=["cost", "loss"], maximize="gain").run(engine="inline")
    said = r"the definition has several goals \(cost, loss, gain\), so best needs a metric: best\(by=...\)"
    with pytest.raises(UsageError, match=said):
        results.best()
    assert results.best(1, by="gain")["x"].tolist() == [3]
    assert results.best(1, by="loss")["x"].tolist() == [3]
    with pytest.raises(UsageError, match=r"has several goals .* so say which metric"):
        results.importance(method="rank")
    assert results._repr_html_()
    assert results.to_xarray().attrs["minimize"] == "cost, loss"
    results.to_parquet("rows.parquet")
    about = json.loads(pq.read_schema("rows.parquet").metadata[b"swath"])
    assert (about["minimize"], about["maximize"]) == ("cost, loss", "gain")


def test_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study_of_goals.py").write_text(
        "def f(x):\n    return {'cost': x, 'loss': 3 - x, 'gain': x * x}\n"
    )
    (tmp_path / "study.yaml").write_text(
        "objective: study_of_goals:f\nparameters: {x: [0, 1, 2, 3]}\nminimize: [cost, loss]\nmaximize: gain\n"
    )
    for words, told in (
        ("check study.yaml", "cost, loss"),
        ("run study.yaml --engine inline --progress json", '"metric": ""'),
        ("status results/study", "4"),
        ("ls", "study"),
        ("results results/study --best 1 --by gain", "9"),
        ("results results/study --plot history", "cost"),
        ("report results/study -o report.html", ""),
    ):
        answer = CliRunner().invoke(cli.sweep, words.split())
        assert answer.exit_code == 0, (words, answer.output)
        assert told in answer.output
