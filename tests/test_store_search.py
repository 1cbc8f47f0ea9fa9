"""A search in the store: its proposals come back with the run, and rows of other definitions count where they fit."""

from __future__ import annotations

import pytest

from proposing import SEEDS, Search, define, searched
from saving import SIZE, Session, study
from swath.ranges import RangeSet
from swath.results import Results
from swath.store import merging
from swath.store.disk import Disk
from swath.store.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture(autouse=True)
def _simple(monkeypatch):
    monkeypatch.setattr("swath.definition.define", define)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results" / "study"


def test_a_search_goes_on_with_what_it_has_proposed(folder):
    with Search(folder, searched()) as session:
        assert session.past.proposals == 0
        session.propose([7, 3])
        session.evaluate(0, 3)
        session.propose([5])
    with Search(folder, searched()) as session:
        assert session.past.proposals == session.definition.space.proposals.known == 3
        assert [row["x"] for row in session.definition.space.proposals.rows(0, 3)] == [7, 3, 5]
        assert str(session.past.done) == "0-2"
        session.propose([4])
        session.evaluate(3, 8)
        assert session.durable == [0]
    frame = Results(folder).frame
    assert frame["x"].tolist() == [7, 7, 3, 3, 5, 5, 4, 4]
    assert frame["error"].tolist() == [
        x * 1000.0 + seed for x, seed in zip(frame["x"], frame["seed"], strict=True)
    ]


def test_proposals_have_no_gaps(folder):
    with Search(folder, searched()) as session:
        session.propose([7, 3])
        for first in (0, 1, 3):
            with pytest.raises(ValueError, match=f"the next proposal is 2, not {first}"):
                session.store.propose(first, [{"x": 1}])


def test_many_small_commits_leave_few_files(folder, monkeypatch):
    for name, value in (("MANY", 3), ("LEAST", 3), ("LEFT", 2)):
        monkeypatch.setattr(merging, name, value)
    with Search(folder, searched(points=60)) as session:
        for x in range(60):
            session.propose([x])
            assert len(session.store.manifest.proposals) <= 3 * merging.MANY
    assert len(read_manifest(Disk(), folder).proposals) <= merging.LEFT
    with Search(folder, searched(points=60)) as session:
        assert [row["x"] for row in session.definition.space.proposals.rows(0, 60)] == list(range(60))


def test_rows_of_another_search_count_once_they_are_proposed(folder):
    with Search(folder, searched()) as session:
        session.propose([7, 3, 5])
        session.evaluate(0, 5)
        session.record(0, 2, session.told(0, 2, [1, 2]))
    with Search(folder, searched(points=20)) as session:
        assert (session.past.proposals, len(session.past.done)) == (0, 0)
        ((space, points),) = session.store.saved.earlier()
        assert points.tolist() == [0, 1, 2, 3, 4]
        assert space.take(points).column("x").values.tolist() == [7, 7, 3, 3, 5]
        session.propose([5, 7])
        past = session.store.survey()
        assert (past.proposals, str(past.done), past.statuses) == (2, "0,2-3", {"ok": 3})
        assert [(step.position, step.step) for step in session.store.saved.steps()] == [
            *((2, 1), (3, 1), (2, 2), (3, 2))
        ]
        session.propose([9])
        session.evaluate(4, 6)
    results = Results(folder)
    assert results.frame["x"].tolist() == [5, 7, 7, 9, 9]
    assert len(results.all) == 7
    assert results.curves[["point", "step"]].values.tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]


def test_the_run_says_when_a_search_is_complete(folder):
    with Search(folder, searched()) as session:
        session.propose([7])
        session.evaluate(0, SEEDS)
        session.store.settle(complete=True)
    assert read_manifest(Disk(), folder).state == "complete"
    with Search(folder, searched()) as session:
        assert session.store.manifest.state == "running"
        assert session.past.done == RangeSet([(0, SEEDS)])
    assert read_manifest(Disk(), folder).state == "stopped"


def test_a_run_may_say_that_all_rows_are_not_enough(folder, monkeypatch):
    monkeypatch.undo()
    with Session(folder, study()) as session:
        session.save(0, SIZE)
        session.store.settle(complete=False)
    assert read_manifest(Disk(), folder).state == "stopped"
