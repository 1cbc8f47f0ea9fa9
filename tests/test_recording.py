"""Steps that points record, ends before the end, and folders for checkpoints: from the objective to the slot."""

from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import swath
from swath.cli import sweep as cli
from swath.errors import CannotWriteError
from swath.inside.crumb import ENDING, TURN, blank, end
from swath.inside.evaluate import Evaluator
from swath.messages import Step, merge
from swath.slot import Slot
from swath.slot.pool import Pool
from swath.task import pack, pack_steps, unpack, unpack_steps
from swath.wanted import Wanted
from tasks import batch, statuses, table, task

NUMBERS = itertools.count()

TRAINING = """
    import os, time
    import swath

    def told(x, n=5):
        for epoch in range(n):
            swath.record(loss=x + 1 / (epoch + 1))
        return x

    def yields(x, n=5):
        for epoch in range(n):
            yield {"loss": x + 1 / (epoch + 1)}
"""


@pytest.fixture
def evaluator(tmp_path, monkeypatch):
    """Make evaluators in this process, on ten points; every objective is a module of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(source, points=range(10), **more):
        made = task(tmp_path, source, {"x": points}, module=f"recording{next(NUMBERS)}", **more)
        return Evaluator(made, blank())

    return make


class Pruner:
    """Listens in the place of a slot, and ends points once they have come to a step."""

    def __init__(self, made, *, at):
        self.crumb, self.at, self.heard = made.recorder._crumb, at, []
        made.recorder.sink = self

    def begin(self):
        pass

    def put(self, said):
        self.heard.append(said)
        if said[1] == self.at.get(said[0], -1):
            end(self.crumb, said[0])


def curves(reply):
    """Steps and losses of each position."""
    found = {}
    for step in reply.steps:
        found.setdefault(step.position, []).append((step.step, *step.metrics.values()))
    return found


def test_steps_travel_exactly():
    awkward = [0.1, -0.0, math.inf, 5e-324, 1 / 3, float("nan")]
    steps = tuple(Step(n, n * 2**40, 0.1 * n, {"a": value, "\u00fc b": n}) for n, value in enumerate(awkward))
    steps += (Step(2**62, 0, 0.0, {"other": 1.0}), Step(0, 1, 0.0, {"\u00fc b": 1.0, "a": 2.0}))
    there = unpack_steps(json.loads(json.dumps(pack_steps(steps))))
    assert repr(there) == repr(
        tuple(replace(step, metrics={k: float(v) for k, v in step.metrics.items()}) for step in steps)
    )
    with pytest.raises(ValueError, match="3 bytes of steps, in rows of 32"):
        unpack_steps([(["a"], "AAAA")])


# By hand.


def test_an_objective_can_be_called_by_hand():
    assert swath.record(loss=0.5) is None
    swath.record(3, loss=np.float32(0.5), right=True, count=np.int8(2))
    code = "import swath; one, two = swath.checkpoint(), swath.checkpoint(); print(one.is_dir(), one != two, one)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert said[:2] == ["True", "True"]  # another call of the objective begins anew
    assert not Path(said[2]).exists()


@pytest.mark.parametrize(
    ("step", "metrics", "error", "text"),
    [
        (None, {}, TypeError, r"a step needs a metric: swath.record\(loss=0.3\)"),
        (None, {"loss": "0.5"}, TypeError, r"loss is str; convert it: float\(loss\)"),
        (None, {"loss": np.array([1.0])}, TypeError, "loss is ndarray"),
        (None, {"loss": 1j}, TypeError, "loss is complex"),
        (None, {"loss": None}, TypeError, "loss is NoneType"),
        (None, {"loss": 10**400}, ValueError, "loss is an integer beyond what a float can hold"),
        (None, {"": 1.0}, TypeError, "a metric's name must be a text that is not empty, got ''"),
        (None, {"\ud800": 1.0}, ValueError, "a metric's name must be valid Unicode"),
        (None, {"seconds": 1.0}, ValueError, "a step has a seconds already; give the metric 'seconds'"),
        ("1", {"loss": 1.0}, TypeError, "step must be a whole number, got '1'"),
        (1.5, {"loss": 1.0}, TypeError, "step must be a whole number, got 1.5"),
        (-1, {"loss": 1.0}, ValueError, "step must be 0 or more, got -1"),
    ],
)
def test_what_is_no_step_is_refused_by_hand_as_in_a_sweep(evaluator, step, metrics, error, text):
    with pytest.raises(error, match=text):
        swath.record(step, **metrics)
    made = evaluator("def f():\n    pass\n", [0])
    made.function = lambda: swath.record(step, **metrics)
    (row,) = table(made.evaluate(0, 1, 30.0))
    assert row["status"] == "error"


# In an evaluation.


@pytest.mark.parametrize("function", ["told", "yields"])
def test_every_step_is_in_the_reply(evaluator, function):
    reply = evaluator(TRAINING, function=function).evaluate(2, 6, 30.0)
    assert set(statuses(reply).values()) == {"ok"}
    expected = {x: [(n, pytest.approx(x + 1 / n)) for n in range(1, 6)] for x in range(2, 6)}
    assert curves(reply) == expected
    assert all(0 <= step.seconds < 10 for step in reply.steps)
    assert unpack(pack(reply)) == reply
    if function == "yields":
        assert [row["loss"] for row in table(reply)] == [x + 0.2 for x in range(2, 6)]
    else:
        assert [row["value"] for row in table(reply)] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("body", "row", "steps"),
    [
        ("yield 3\nyield 2.5", {"value": 2.5}, [(1, 3.0), (2, 2.5)]),
        ("yield {'a': 1}\nreturn {'b': 'text'}", {"b": "text"}, [(1, 1.0)]),
        ("yield {'step': 7, 'a': 1}\nyield {'a': 2}", {"a": 2}, [(7, 1.0), (8, 2.0)]),
        ("swath.record(5, a=1)\nyield {'a': 2}", {"a": 2}, [(5, 1.0), (6, 2.0)]),
        ("yield {'step': 0, 'a': 1}", {"a": 1}, [(0, 1.0)]),
        ("return 4\nyield 1", {"value": 4}, []),
        ("if x < 0:\n        yield 1", {}, []),
        ("yield float('nan')", {"value": math.nan}, [(1, math.nan)]),
        ("import numpy\nyield numpy.float32(0.5)", {"value": 0.5}, [(1, 0.5)]),
    ],
)
def test_what_a_generator_yields_and_returns(evaluator, body, row, steps):
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    reply = evaluator("import swath\n\ndef f(x):\n" + lines + "\n").evaluate(0, 1, 30.0)
    (found,) = table(reply)
    assert found["status"] == "ok"
    assert {name: found.get(name) for name in row} == pytest.approx(row, nan_ok=True)
    assert curves(reply).get(0, []) == [(n, pytest.approx(value, nan_ok=True)) for n, value in steps]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("yield", "TypeError: an objective yields numbers, or mappings of them, got None"),
        ("yield 'a'", "TypeError: an objective yields numbers, or mappings of them, got 'a'"),
        ("yield {'a': 'b'}", "TypeError: the metrics of a step are numbers, but a is str"),
        ("yield {'step': 1}", "TypeError: a step needs a metric"),
        ("yield {'step': 2, 'a': 1}\n    yield {'step': 2, 'a': 1}", "ValueError: step 2 comes after step 2"),
        ("yield 1\n    raise KeyError('mine')", "KeyError: 'mine'"),
    ],
)
def test_a_generator_that_is_wrong_fails_where_it_is_wrong(evaluator, body, text):
    made = evaluator(f"def f(x):\n    {body}\n")
    (row,) = table(made.evaluate(0, 1, 30.0))
    assert row["status"] == "error"
    assert row["failure"].startswith(text)
    assert "steps.py" not in row["failure"].split("Error")[0]
    assert "yield" in row["failure"] or "mine" in row["failure"]


def test_generators_behind_other_callables_are_followed(evaluator):
    source = """
        import functools

        def plain(x):
            yield {"loss": x}

        @functools.wraps(plain)
        def wrapped(**point):
            return plain(**point)

        class Model:
            def __call__(self, x):
                yield {"loss": x}

        partial, model = functools.partial(plain), Model()

        @functools.wraps(plain)
        def eager(x):
            return {"loss": [step["loss"] for step in plain(x)][-1]}
    """
    for function in ("wrapped", "partial", "model", "eager"):
        reply = evaluator(source, function=function).evaluate(3, 4, 30.0)
        assert table(reply)[0]["loss"] == 3, function
        assert curves(reply) == ({} if function == "eager" else {3: [(1, 3.0)]})


def test_points_count_their_steps_for_themselves_and_from_zero_where_they_say_so(evaluator):
    source = "import swath\n\ndef f(x):\n    swath.record(0, a=x)\n    swath.record(a=x)\n"
    assert curves(evaluator(source).evaluate(0, 3, 30.0)) == {x: [(0, x), (1, x)] for x in range(3)}


def test_too_many_steps_are_an_error(evaluator, monkeypatch):
    monkeypatch.setattr("swath.inside.steps.MOST_STEPS", 7)
    for function in ("told", "yields"):
        source = TRAINING.replace("n=5", "n=8")
        reply = evaluator(source, [0], function=function).evaluate(0, 1, 30.0)
        (row,) = table(reply)
        assert row["failure"].startswith("RuntimeError: a point may record 7 steps, and this is one more")
        assert len(reply.steps) == 7


def test_only_the_thread_of_the_objective_may_record(evaluator):
    source = """
        import threading
        import swath

        def f(x):
            said = []

            def other():
                try:
                    swath.record(a=1)
                except RuntimeError as error:
                    said.append(str(error))

            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            return said[0]
    """
    (row,) = table(evaluator(source, [0]).evaluate(0, 1, 30.0))
    assert "in another thread than the objective; call it there" in row["value"]


# Ends before the end.


@pytest.mark.parametrize("function", ["told", "yields"])
def test_a_point_ends_at_the_step_after_it_was_told_to(evaluator, function):
    made = evaluator(TRAINING, function=function)
    Pruner(made, at={2: 3, 4: 1})
    reply = made.evaluate(1, 6, 30.0)
    assert statuses(reply) == {1: "ok", 2: "pruned", 3: "ok", 4: "pruned", 5: "ok"}
    assert {x: len(steps) for x, steps in curves(reply).items()} == {1: 5, 2: 3, 3: 5, 4: 1, 5: 5}
    rows = {row["point"]: row for row in table(reply)}
    assert rows[2]["loss"] == pytest.approx(2 + 1 / 3)
    assert rows[2].get("failure") is None
    assert reply.failed == (("pruned", ((2, 3), (4, 5))),)
    assert (reply.complaint, reply.complaints) == ("", ())


def test_pruned_rows_keep_the_types_that_were_recorded_and_are_not_the_best(evaluator):
    source = "import swath\n\ndef f(x):\n    swath.record(loss=-1, epoch=1)\n    swath.record(loss=-2, epoch=2)\n    return {'loss': x}\n"
    made = evaluator(source, goal=("loss", 1))
    Pruner(made, at={0: 2})
    reply = made.evaluate(0, 3, 30.0)
    assert [(row["loss"], row["epoch"]) for row in table(reply)] == [(-2, 2), (1, None), (2, None)]
    assert reply.best == (1.0, 1)


def test_failures_and_pruned_points_of_one_batch(evaluator):
    source = "import swath\n\ndef f(x):\n    swath.record(a=1)\n    return 1 / (x - 1)\n"
    made = evaluator(source)
    Pruner(made, at={0: 1})
    reply = made.evaluate(0, 3, 30.0)
    assert statuses(reply) == {0: "pruned", 1: "error", 2: "ok"}
    assert reply.complaint == "ZeroDivisionError: division by zero"
    Pruner(made, at={0: 1})
    alone = merge([made.evaluate(0, 1, 30.0), made.evaluate(1, 2, 30.0)])
    assert alone.complaint == "ZeroDivisionError: division by zero"


def test_the_finally_of_a_generator_runs_and_may_fail(evaluator, tmp_path):
    source = f"""
        from pathlib import Path

        def f(x):
            try:
                for _ in range(10):
                    yield x
            finally:
                Path({str(tmp_path)!r}, "closed").write_text(str(1 / x))
    """
    made = evaluator(source)
    Pruner(made, at={0: 2, 2: 2})
    reply = made.evaluate(0, 3, 30.0)
    assert statuses(reply) == {0: "error", 1: "ok", 2: "pruned"}
    assert (tmp_path / "closed").read_text() == "0.5"


def test_whoever_catches_the_end_and_returns_is_pruned_all_the_same(evaluator):
    source = """
        import swath

        def f(x):
            try:
                for loss in (3, 2, 1):
                    swath.record(loss=loss)
            except swath.Pruned:
                return {"loss": 0, "tidied": True}
    """
    made = evaluator(source)
    Pruner(made, at={1: 2})
    reply = made.evaluate(0, 3, 30.0)
    assert statuses(reply) == {0: "ok", 1: "pruned", 2: "ok"}
    assert table(reply)[1]["loss"] == 2


def test_an_objective_may_end_itself(evaluator):
    source = "import swath\n\ndef f(x):\n    swath.record(a=x)\n    raise swath.Pruned\n"
    reply = evaluator(source).evaluate(0, 2, 30.0)
    assert statuses(reply) == {0: "pruned", 1: "pruned"}
    assert [row["a"] for row in table(reply)] == [0, 1]


def test_a_word_that_comes_late_ends_nobody(evaluator):
    made = evaluator(TRAINING, function="told")
    crumb = made.recorder._crumb
    for other in (0, 2):
        end(crumb, other)
        assert set(statuses(made.evaluate(1, 2, 30.0)).values()) == {"ok"}
    end(crumb, 1)
    crumb[TURN] += 1  # it was begun again meanwhile
    assert set(statuses(made.evaluate(1, 2, 30.0)).values()) == {"ok"}


# Checkpoints.

RESUMES = """
    import swath

    def f(x):
        file = swath.checkpoint() / "epoch"
        begun = int(file.read_text()) if file.exists() else 0
        for epoch in range(begun + 1, 5):
            file.write_text(str(epoch))
            swath.record(epoch, loss=x)
        return begun
"""


def test_a_folder_is_the_same_for_every_attempt_and_named_by_the_content(evaluator, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    made = evaluator(RESUMES, checkpoints=str(folder))
    Pruner(made, at={3: 2})
    first = made.evaluate(3, 4, 30.0)
    assert (statuses(first), first.kept) == ({3: "pruned"}, ((3, 4),))
    assert [child.name for child in folder.iterdir()] == [made.space.content_id(3, ("x",))]
    made.recorder._crumb[ENDING] = 0  # as a slot does before every batch
    made.recorder.sink.at = {}
    second = made.evaluate(3, 5, 30.0)
    assert [row["value"] for row in table(second)] == [2, 0]
    assert curves(second)[3] == [(n, 3.0) for n in range(1, 5)]  # of which two are from before
    assert second.kept == ((3, 5),)


LEARNS = """
    import numpy, os
    import swath

    def f(x, until=9):
        file = swath.checkpoint() / "epoch"
        begun = int(file.read_text()) if file.exists() else 0
        for epoch in range(begun + 1, until + 1):
            file.write_text(str(epoch))
            yield {"step": epoch, "loss": x + 1 / epoch, "count": epoch, "right": numpy.bool_(epoch % 2)}
"""


def learnt(x, *epochs):
    return [(epoch, x + 1 / epoch, float(epoch), float(epoch % 2)) for epoch in epochs]


def test_a_point_that_had_come_to_its_end_when_its_row_was_lost_has_its_row_and_its_steps(
    evaluator, tmp_path
):
    made = evaluator(LEARNS, checkpoints=str(tmp_path / "checkpoints"))
    first, second = made.evaluate(0, 3, 30.0), made.evaluate(1, 2, 30.0)
    assert curves(first)[1] == curves(second)[1] == learnt(1, *range(1, 10))
    names = ("loss", "count", "right", "status")
    rows = [[table(reply)[place][name] for name in names] for reply, place in ((first, 1), (second, 0))]
    assert rows[0] == rows[1] == [1 + 1 / 9, 9, True, "ok"]
    assert type(rows[1][1]) is int


@pytest.mark.parametrize(
    ("epoch", "left", "told"),
    [
        pytest.param(4, 4, range(1, 5), id="goes on"),
        pytest.param(2, 4, range(1, 3), id="its checkpoint is older than its steps"),
        pytest.param(0, 4, (), id="begins anew"),
        pytest.param(4, 2, range(1, 3), id="steps are older than its checkpoint"),
    ],
)
def test_earlier_steps_are_told_up_to_where_it_goes_on(evaluator, tmp_path, epoch, left, told):
    made = evaluator(LEARNS, [5], checkpoints=str(tmp_path / "checkpoints"))
    Pruner(made, at={0: 4})
    made.evaluate(0, 1, 30.0)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    lines = (folder / ".steps").read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    (folder / ".steps").write_bytes(b"".join(lines[:left]) + b'[5, 0.1, {"loss"')  # torn
    (folder / "epoch").write_text(str(epoch))
    made.recorder._crumb[ENDING] = 0
    made.recorder.sink.at = {}
    expected = learnt(5, *told, *range(epoch + 1, 10))
    assert curves(made.evaluate(0, 1, 30.0)) == {0: expected}
    assert curves(made.evaluate(0, 1, 30.0)) == {0: expected}  # and a third attempt hears of all


def test_steps_that_cannot_be_written_or_read_are_no_harm(evaluator, tmp_path):
    made = evaluator(LEARNS, [5], checkpoints=str(tmp_path / "checkpoints"))
    made.evaluate(0, 1, 30.0)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    (folder / ".steps").unlink()
    (folder / ".steps").mkdir()
    (folder / "epoch").write_text("7")
    assert curves(made.evaluate(0, 1, 30.0)) == {0: learnt(5, 8, 9)}


def test_folders_that_cannot_be_made_say_what_to_do(evaluator, tmp_path):
    (tmp_path / "file").touch()
    made = evaluator(RESUMES, checkpoints=str(tmp_path / "file"))
    (row,) = table(made.evaluate(0, 1, 30.0))
    assert row["failure"].startswith(
        f"{CannotWriteError.__module__}.CannotWriteError: no folder for checkpoints at "
    )
    assert "share it, or choose one that is shared with --out" in row["failure"]


# What a stop or a search needs.


@pytest.mark.parametrize(
    ("recorded", "text"),
    [
        (
            "pass",
            "stop decides by steps of the metric 'loss', but a point returned without having recorded it: yield it",
        ),
        (
            "swath.record(los=1)",
            r"recorded it \(it recorded 'los'; did you mean 'los'\?\): yield it at every step, or call ",
        ),
        (
            "swath.record(b=1, a=2)",
            r"\(it recorded 'a', 'b'\): yield it at every step, or call swath.record\(loss=...\), or name",
        ),
    ],
)
def test_a_point_without_the_steps_that_decide_ends_the_sweep(evaluator, recorded, text):
    source = f"import swath\n\ndef f(x):\n    if x > 1:\n        swath.record(loss=1)\n    else:\n        {recorded}\n"
    made = evaluator(source, stepped="loss")
    assert re.search(text, made.evaluate(1, 3, 30.0).fatal)
    assert made.evaluate(2, 4, 30.0).fatal == ""


def test_points_that_fail_or_have_nothing_left_to_do_need_no_steps(evaluator, tmp_path):
    source = "import swath\n\ndef f(x):\n    swath.checkpoint()\n    if x:\n        raise ValueError\n"
    made = evaluator(source, stepped="loss", checkpoints=str(tmp_path / "kept"))
    assert statuses(made.evaluate(1, 3, 30.0)) == {1: "error", 2: "error"}
    assert made.evaluate(0, 1, 30.0).fatal  # it had all to do
    (folder,) = (tmp_path / "kept" / made.space.content_id(0, ("x",)),)
    (folder / "model").touch()
    assert statuses(made.evaluate(0, 1, 30.0)) == {0: "ok"}


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (
            "{'los': 1, 'b': 2}",
            r"'loss', which the first 3 points did not return \(they returned 'b', 'los'; did you mean 'los'\?\)",
        ),
        (
            "None",
            "'loss', which the first 3 points did not return; correct minimize, maximize, subject_to or until, or the obj",
        ),
        ("{'loss': None}", "'loss', which the first 3 points did not return; correct"),
        (
            "{str(i): i for i in range(20)}",
            r"\(they returned '0', '1', '10', '11', '12', '13', '14', '15' and 12 more\)",
        ),
    ],
)
def test_what_came_instead_of_a_wanted_metric_is_told_with_the_rows(evaluator, returned, text):
    made = evaluator(f"def f(x):\n    return {returned}\n", wanted=("loss",))
    reply = made.evaluate(0, 3, 30.0)
    assert (reply.rows, reply.fatal) == (3, "")
    wanted = Wanted(["loss"])
    wanted.observe(unpack(pack(reply)), 1.0)
    assert wanted.since == 1.0
    assert wanted.complaint.startswith("the sweep goes by the metric 'loss', which the first 3 points")
    assert re.search(text, wanted.complaint)


def test_only_points_that_are_ok_return_anything(evaluator):
    source = "def f(x):\n    if x > 1:\n        raise ValueError\n    return {'loss': 1, 'b': 2} if x else {'b': 2}\n"
    made = evaluator(source, wanted=("loss",))
    assert made.evaluate(2, 4, 30.0).returned == ()
    assert made.evaluate(0, 1, 30.0).returned == ("b",)  # instead of it
    assert made.evaluate(0, 3, 30.0).returned == ("loss",)
    assert evaluator(source).evaluate(0, 3, 30.0).returned == (), "nobody asks"
    wanted = Wanted(["loss"])
    wanted.observe(made.evaluate(2, 4, 30.0), 1.0)
    assert wanted.since is None


@pytest.mark.parametrize("fresh", [False, True])
def test_what_is_needed_of_points_is_the_same_in_every_child(tmp_path, fresh):
    source = """
        import os, swath

        def f(x):
            if x == "dies":
                os._exit(3)
            if x != "silent":
                swath.record(loss=1)
            return {"loss": 1} if x == "both" else {}
    """
    points = ["both", "dies", "steps", "both", "silent"]
    made = Slot(task(tmp_path, source, {"x": points}, wanted=("loss",), stepped="loss", fresh=fresh), "w")
    try:
        made.open()
        first = made.evaluate(batch(0, 2))
        assert statuses(first) == {0: "ok", 1: "crash"}
        assert first.returned == ("loss",)
        second = made.evaluate(batch(2, 3))  # in a child that has returned nothing yet
        assert (statuses(second), second.returned) == ({2: "ok"}, ())
        assert "without having recorded it" in made.evaluate(batch(3, 5)).fatal
    finally:
        made.close()


# In a slot.

SLOTS = """
    import os, time
    from pathlib import Path
    import swath

    HERE = Path(__file__).parent

    def f(do, **rest):
        return globals()[do]()

    def slow():
        for epoch in range(12000):  # a minute
            swath.record(loss=epoch)
            time.sleep(0.005)
        return 1

    def quick():
        for epoch in range(3000):
            swath.record(loss=epoch)
        while not (HERE / "go").exists():
            time.sleep(0.005)
        return 1

    def short():
        swath.record(loss=1)
        return 1

    def dies():
        swath.checkpoint()
        for epoch in range(3):
            swath.record(loss=epoch)
        os._exit(3)

    def hangs():
        swath.record(loss=1)
        time.sleep(1000)
"""


@pytest.fixture
def opened(tmp_path):
    kept = []

    def make(*points, **more):
        more.setdefault("checkpoints", str(tmp_path / "checkpoints"))
        kept.append(made := Slot(task(tmp_path, SLOTS, {"do": points}, **more), "w/0"))
        made.open()
        return made

    yield make
    for made in kept:
        made.close()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_slot_hears_steps_at_once_and_ends_a_point(opened, fresh):
    made = opened("slow", "short", fresh=fresh)
    heard = []

    def hear(number, steps):
        heard.append((number, *steps))
        if steps[-1].step >= 5:
            made.prune(0)

    made.hear = hear
    reply = made.evaluate(batch(0, 2))
    assert statuses(reply) == {0: "pruned", 1: "ok"}
    told = [step for number, *steps in heard for step in steps if step.position == 0]
    assert {number for number, *_ in heard} == {1}
    assert told == list(reply.steps[: len(told)])  # a beginning, without a gap
    assert 5 <= len(curves(reply)[0]) < 12000


def test_quick_steps_are_heard_together_and_to_the_last(opened, tmp_path):
    made = opened("quick")
    heard = []

    def hear(_, steps):
        heard.append(steps)
        if steps[-1].step == 3000:  # although nothing is recorded any more
            (tmp_path / "go").touch()

    made.hear = hear
    reply = made.evaluate(batch(0, 1))
    assert [step for steps in heard for step in steps] == list(reply.steps)
    assert len(heard) < 1000


@pytest.mark.parametrize("fresh", [False, True])
def test_a_point_that_dies_leaves_its_steps(opened, fresh):
    made = opened("short", "dies", "short", fresh=fresh)
    reply = made.evaluate(batch(0, 2))
    assert statuses(reply) == {0: "ok", 1: "crash"}
    assert curves(reply) == {0: [(1, 1.0)], 1: [(1, 0.0), (2, 1.0), (3, 2.0)]}
    assert reply.kept == ((1, 2),)


def test_a_point_that_takes_too_long_leaves_its_steps(opened):
    made = opened("hangs", timeout=0.5)
    reply = made.evaluate(batch(0, 1))
    assert statuses(reply) == {0: "timeout"}
    assert curves(reply) == {0: [(1, 1.0)]}


@pytest.mark.parametrize("isolated", [True, False])
def test_a_pool_passes_on_what_is_heard_and_ends_only_what_runs(tmp_path, monkeypatch, isolated):
    monkeypatch.setattr(sys, "path", list(sys.path))
    plan = task(
        tmp_path,
        SLOTS,
        {"do": ["slow", "short", "slow"]},
        module=f"recording{next(NUMBERS)}",
        isolated=isolated,
    )
    heard = []
    come = threading.Event()

    def hear(number, _):
        heard.append(number)
        come.set()

    pool = Pool(plan, "w", 1, hear)
    try:
        pool.open()
        replies = []
        pool.prune(batch(0, 1, number=7), 0)  # it has not begun
        running = threading.Thread(target=lambda: replies.append(pool.evaluate(batch(0, 2, number=7))))
        running.start()
        assert come.wait(60)
        pool.prune(batch(0, 2, number=8), 0)  # another one
        pool.prune(batch(0, 2, number=7), 1)
        assert not replies
        pool.prune(batch(0, 2, number=7), 0)
        running.join(60)
        assert statuses(replies[0]) == {0: "pruned", 1: "ok"}
        assert (set(heard), pool.failed) == ({7}, 0)
        pool.prune(batch(0, 2, number=7), 1)  # it is over
        assert statuses(pool.evaluate(batch(1, 2, number=9))) == {1: "ok"}
    finally:
        pool.close()


# In a sweep.

STUDY = """
import swath
from pathlib import Path

HERE = Path(__file__).parent

def train(x):
    file = swath.checkpoint() / "epoch"
    begun = int(file.read_text()) if file.exists() else 0
    for epoch in range(begun + 1, 6):
        yield {"step": epoch, "loss": x / epoch}
        file.write_text(str(epoch))
        if epoch == 3 and x == 2 and not (HERE / "mended").exists():
            raise RuntimeError("broken")
"""


@pytest.mark.parametrize("engine", ["inline", "dask"])
def test_steps_and_folders_of_a_sweep(tmp_path, monkeypatch, engine):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    name = f"recording{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(STUDY)
    (tmp_path / "study.yaml").write_text(
        f"objective: {name}:train\nparameters: {{x: [1, 2, 3]}}\nminimize: loss\n"
    )
    options = {"engine": engine, **({"workers": 1} if engine == "dask" else {})}
    results = swath.load("study.yaml").run(**options)
    assert results.statuses == {"ok": 2, "error": 1}
    (tmp_path / "mended").touch()
    results = swath.load("study.yaml").run(retry=["error"], **options)
    assert results.statuses == {"ok": 3}
    assert results.frame.loss.tolist() == [0.2, 0.4, 0.6]
    curves = results.curves
    assert curves.groupby("point").step.apply(list).tolist() == [[1, 2, 3, 4, 5]] * 3
    folder = tmp_path / "results" / "study"
    assert len(list((folder / "checkpoints").iterdir())) == 3
    # Whoever looks at the folder is not disturbed by them.
    for command in (["ls"], ["status", "study"], ["doctor"]):
        said = CliRunner().invoke(cli, command)
        assert said.exit_code == 0, said.output
        assert "checkpoints" not in said.output
    swath.load("study.yaml").run(fresh=True, limit=1, **options)
    assert len(list((tmp_path / "results" / "study.1" / "checkpoints").iterdir())) == 3
    assert len(list((folder / "checkpoints").iterdir())) == 1


def test_the_inline_engine_ends_the_same_points_at_the_same_steps_every_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def train(x):
        for step in range(1, 30):
            yield (x * 37 % 23) / 23 + 1 / step

    sweep = swath.Sweep(train, {"x": range(40)}, minimize="value", stop={"method": "asha"}, name="again")
    curves = []
    for _ in range(2):
        results = sweep.run(engine="inline", fresh=True)
        curves.append(results.curves.drop(columns="seconds"))
        assert results.statuses["pruned"] > 20
    assert curves[0].equals(curves[1])
    whole = {x: len(steps) for x, steps in curves[0].groupby("point")}
    assert max(whole.values()) == 29
    assert sum(whole.values()) < 40 * 29 / 3
