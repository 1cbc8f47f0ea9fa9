"""Points that end early, as people see them: counts, the block, the journal, `swath show`."""

from __future__ import annotations

import json

from swath.definition import define
from swath.messages import Batch, Durable, Finished, Joined, Promote, Prune, Reply, Step, Submit, Write
from swath.progress import Progress
from swath.ranges import RangeSet
from swath.run import journal
from swath.run.journal import Journal
from swath.store.decisions import decisions_of
from swath.store.logbook import Naming
from swath.views.block import block
from swath.views.phrases import pieces

BATCH = Batch(0, "w", 0, 4, 1, 1.0)
REPLY = Reply(((0, 4),), 4, (("error", ((0, 1),)), ("pruned", ((1, 3),))), seconds=1.0, complaint="bad")


def shown(snapshot):
    return "\n".join("".join(text for text, _ in line) for line in block(snapshot))


def test_a_pruned_point_is_no_failure_and_a_promoted_one_is_not_done_any_more():
    progress = Progress("sweep", 8, now=0.0)
    for message in (
        Joined(0.0, "w", 1),
        Submit((BATCH,)),
        Finished(1.0, 0, REPLY),
        Write(BATCH, REPLY, RangeSet([(0, 4)])),
        Durable(1.5, (0,)),
    ):
        progress.feed(message)
    before = progress.snapshot(2.0)
    assert (before.saved, before.failed, before.statuses) == (4, 1, {"ok": 1, "error": 1, "pruned": 2})
    assert [(found.text, found.count) for found in before.complaints] == [("bad", 1)]
    progress.feed(Promote(2, 2, "good after all"))
    after = progress.snapshot(2.0)
    assert (after.done, after.saved, after.statuses["pruned"]) == (3, 3, 1)
    assert "1 stopped early" in pieces(after)
    assert "1 stopped early" in shown(after)
    assert "early" not in shown(Progress("sweep", 8, now=0.0).snapshot(0.0))


def naming():
    space = define({"objective": "m:f", "parameters": {"a": [1, 2, 3, 4], "b": 5}}).space
    return Naming(1, space, frozenset())


def decide(folder, count=1):
    noted = Journal(folder, naming())
    for _ in range(count):
        at = Step(2, 3, 0.1, {"loss": 4.0, "gap": float("nan")})
        noted.take(Prune(BATCH, 2, "loss at step 3 is 4, too much", at))
        noted.take(Promote(2, 2, "not that much"))
    noted.close()
    return noted


def test_every_decision_is_noted_with_its_point_and_its_reason(tmp_path):
    decide(tmp_path)
    prune, promote = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    content_id = naming().space.content_id(2, frozenset())
    assert prune | {"time": ""} == {
        "time": "", "event": "prune", "point": 2, "id": content_id, "reason": "loss at step 3 is 4, too much",
        "step": 3, "metrics": {"loss": 4.0, "gap": "nan"},
    }  # fmt: skip
    assert promote | {"time": ""} == {
        "time": "", "event": "promote", "point": 2, "id": content_id, "reason": "not that much", "attempt": 2,
    }  # fmt: skip
    found = decisions_of(tmp_path, content_id)
    assert [(each["event"], each["reason"]) for each in found] == [
        ("prune", "loss at step 3 is 4, too much"),
        ("promote", "not that much"),
    ]
    assert decisions_of(tmp_path, "0" * 32) == []
    assert decisions_of(tmp_path / "nowhere", content_id) == []


def test_decisions_are_kept_when_a_journal_has_grown_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "MOST", 20_000)
    decide(tmp_path, 20)
    noted = Journal(tmp_path)
    for number in range(1000):
        noted.note("noted", number=number)
    noted.close()
    kept = Journal(tmp_path)
    kept.close()
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    numbers = [line["number"] for line in lines if "number" in line]
    assert [line["event"] for line in lines[:40]] == ["prune", "promote"] * 20
    assert numbers == [*range(numbers[0], 1000)]
    assert 0 < numbers[0] < 1000
