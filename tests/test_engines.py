"""One contract for every engine, and what listens while a sweep runs."""

from __future__ import annotations

import ipaddress
import sys
import threading
from dataclasses import replace
from itertools import count

import psutil
import pyarrow as pa
import pytest

from running import HOLD, Cluster, begun, command, family, ran, until
from swath.definition import define
from swath.engines.dask import Dask
from swath.engines.inline import Inline
from swath.engines.simulated import Plan, Simulated
from swath.errors import ObjectiveError
from swath.messages import Batch, Finished, Joined, Returned, Stepped, StopAsked, Urgency
from swath.objective import locate
from swath.run import make_task

POINTS = 1000

TRAIN = """
import time
import swath

def train(x):
    swath.record(loss=3)
    swath.record(loss=2)
    for epoch in range(12000 if x % 2 == 0 else 1):  # a minute
        time.sleep(0.005)
        swath.record(loss=1 / (epoch + 1))
    return {"loss": 0.0}
"""
"""A module whose function records steps: for even points until it is ended, for others three."""
NUMBERS = count()


class Case:
    """An engine that knows a study; `finds` listens until something has happened."""

    def __init__(self, engine, folder, *, real=True):
        self.engine, self.folder, self.real = engine, folder, real
        self.events = []
        self.name = f"study{next(NUMBERS)}"  # the inline engine imports into this process, once for each name

    def task(self, function, text=HOLD):
        (self.folder / f"{self.name}.py").write_text(text)
        mapping = {"objective": f"{self.name}:{function}", "parameters": {"x": {"range": [POINTS]}}}
        definition = define(mapping, folder=self.folder)
        return make_task(definition, locate(definition.objective, self.folder))

    def opens(self, function, text=HOLD, **more):
        """Open the engine; return the first worker that joined."""
        if not self.real and "stepped" in more:
            self.engine = Simulated(Plan(seed=0, workers=1, steps=20))
        self.signature = self.engine.open(replace(self.task(function, text), **more))
        self.joined = self.finds(Joined)
        return self.joined

    def submit(self, *ranges, budget=600.0):
        worker = self.joined.worker
        batches = [Batch(next(NUMBERS), worker, start, stop, 1, budget) for start, stop in ranges]
        self.engine.submit(batches)
        return batches

    def finds(self, kind, batch=None):
        """Return the first event of a kind, about a batch if one is given; an event is found once."""

        def looks():
            for event in self.events:
                if isinstance(event, kind) and (batch is None or event.batch_id == batch.id):
                    self.events.remove(event)
                    return event
            self.events += self.engine.wait(0.1)
            return None

        return until(looks)

    def begun(self):
        """Wait until a point is being evaluated; the inline engine does that only when it is asked."""
        if isinstance(self.engine, Dask):
            until(lambda: ran(self.folder))

    def lets_go(self):
        (self.folder / "go").touch()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster")).hire("first")
    yield started
    started.close()


@pytest.fixture(params=["inline", "simulated", "embedded", "remote"])
def case(request, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    match request.param:
        case "inline":
            made = Case(Inline(), tmp_path)
        case "simulated":
            made = Case(Simulated(Plan(seed=0, workers=1)), tmp_path, real=False)
        case "embedded":
            made = Case(Dask(workers=1), tmp_path)
        case "remote":
            made = Case(Dask(scheduler=request.getfixturevalue("cluster").address), tmp_path)
    yield made
    made.engine.close()


def values(reply):
    """Points and values of a reply's rows."""
    table = pa.concat_tables(pa.ipc.open_stream(part).read_all() for part in reply.payload)
    return dict(zip(table["point"].to_pylist(), table["value"].to_pylist(), strict=True))


def test_open_tells_how_to_call_the_objective_and_a_worker_joins(case):
    joined = case.opens("nap")
    assert joined.slots >= 1
    assert case.signature.receives(("x", "y")) == (("x",) if case.real else ("x", "y"))


def test_a_batch_ends_in_finished_with_its_positions(case):
    case.opens("nap")
    first, second = case.submit((3, 7), (10, 11))
    reply = case.finds(Finished, first).reply
    assert (reply.done, reply.rows) == (((3, 7),), 4)
    assert case.finds(Finished, second).reply.done == ((10, 11),)
    if case.real:
        assert values(reply) == {3: 9, 4: 16, 5: 25, 6: 36}
        assert sorted(ran(case.folder)) == ["10", "3", "4", "5", "6"]


def test_the_rest_beyond_the_budget_is_left_untouched(case):
    case.opens("nap")
    (batch,) = case.submit((0, POINTS), budget=0.1)
    ((start, stop),) = case.finds(Finished, batch).reply.done
    assert start == 0
    assert 0 < stop < POINTS
    if case.real:
        assert len(ran(case.folder)) == stop


def test_what_is_recalled_is_answered_by_returned_and_not_evaluated(case):
    joined = case.opens("hold")
    running = case.submit(*((100 * n, 100 * n + 50) for n in range(joined.slots)))
    case.begun()
    (waiting,) = case.submit((900, 950))
    for batch in (waiting, *running):
        case.engine.recall(batch)
    parts = {}
    for batch in (waiting, *running):
        returned = case.finds(Returned, batch)
        parts[batch.id] = returned.start, returned.stop
    case.lets_go()
    assert parts.pop(waiting.id) == (900, 950)
    evaluated = []
    for batch in running:
        start, stop = parts[batch.id]
        assert stop == batch.stop
        if start > batch.start:  # it had begun: its first point, and no other, is finished
            assert case.finds(Finished, batch).reply.done == ((batch.start, start),)
            evaluated += range(batch.start, start)
    if isinstance(case.engine, Dask):
        assert evaluated == [0]
    if case.real:
        assert sorted(map(int, ran(case.folder))) == evaluated


def test_batches_are_evaluated_in_the_order_in_which_they_were_submitted(case):
    if not case.real:
        pytest.skip("nothing is evaluated")
    case.opens("hold")
    case.submit((0, 1))
    case.begun()
    case.submit(*((n, n + 1) for n in range(1, 4)))
    last = case.submit(*((n, n + 1) for n in range(4, 12)))[-1]
    case.lets_go()
    case.finds(Finished, last)
    order = [int(number) for number in ran(case.folder)]
    assert sorted(order) == list(range(12))
    ends = []  # two threads of a worker stand at a slot's door: each keeps its order, and may overtake the other
    for number in order:
        thread = next((place for place, end in enumerate(ends) if end < number), len(ends))
        ends[thread : thread + 1] = [number]
    assert len(ends) <= 2, order


def test_what_was_given_back_can_be_submitted_again(case):
    joined = case.opens("nap")
    first = case.submit(*[(100 * n, 100 * n + 10) for n in range(joined.slots + 1)])[-1]
    case.engine.recall(first)
    part = case.finds(Returned, first)
    again = Batch(next(NUMBERS), joined.worker, part.start, part.stop, 1, 600.0)
    if part.start < part.stop:
        case.engine.submit([again])
        assert case.finds(Finished, again).reply.done == ((part.start, part.stop),)


def test_a_recall_after_the_end_gives_nothing_back(case):
    case.opens("nap")
    (batch,) = case.submit((0, 1))
    case.finds(Finished, batch)
    case.engine.recall(batch)
    if case.real:
        returned = case.finds(Returned, batch)
        assert returned.start == returned.stop


def test_steps_come_while_a_point_runs_and_it_can_be_ended(case):
    case.opens("train", TRAIN, stepped="loss")
    (batch,) = case.submit((0, 2))
    steps = []
    while len(steps) < 3:
        event = case.finds(Stepped, batch)
        steps += event.steps
    assert [(step.position, step.step) for step in steps] == [(0, n + 1) for n in range(len(steps))]
    case.engine.prune(replace(batch, id=next(NUMBERS)), 0)  # another batch
    case.engine.prune(batch, 1)  # a point that is not running
    case.finds(Stepped, batch)
    case.engine.prune(batch, 0)
    reply = case.finds(Finished, batch).reply
    assert reply.failed == (("pruned", ((0, 1),)),)
    assert reply.done == ((0, 2),)
    told = {x: [step.step for step in reply.steps if step.position == x] for x in (0, 1)}
    assert told[0] == [*range(1, len(told[0]) + 1)]  # all of them again
    assert told[1] == ([1, 2, 3] if case.real else [*range(1, 21)])
    assert len(told[0]) < (6000 if case.real else 20)
    case.engine.prune(batch, 1)  # too late
    (again,) = case.submit((1, 2))
    assert case.finds(Finished, again).reply.failed == ()


def test_steps_come_also_where_nothing_is_decided_by_them(case):
    if not isinstance(case.engine, Dask):
        pytest.skip("in the loop's thread nobody listens meanwhile")
    case.opens("train", TRAIN)
    (batch,) = case.submit((0, 1))
    case.finds(Stepped, batch)
    case.engine.prune(batch, 0)
    assert case.finds(Finished, batch).reply.failed == (("pruned", ((0, 1),)),)


def test_closing_ends_a_point_that_records(case):
    before = family()
    case.opens("train", TRAIN, stepped="loss")
    (batch,) = case.submit((0, 1))
    case.finds(Stepped, batch)
    case.engine.close()
    until(lambda: family() <= before)
    assert not [thread for thread in threading.enumerate() if thread.name == "swath-points"]


def test_what_is_posted_comes_out_of_wait(case):
    case.opens("nap")
    asked = StopAsked(12.5, Urgency.DRAIN, "as asked")  # no engine says that of itself
    case.engine.post(asked)
    assert case.finds(StopAsked).reason == "as asked"  # its time may be put right


def test_close_ends_the_children_and_may_be_repeated(case):
    before = family()
    case.opens("hold")
    case.submit((0, 10))
    if isinstance(case.engine, Dask):
        until(lambda: ran(case.folder))
        assert family() > before
    case.engine.close()
    case.engine.close()
    until(lambda: family() <= before)


def test_an_engine_that_was_never_opened_can_be_closed(case):
    case.engine.close()


def test_an_objective_that_cannot_be_imported_is_named(case):
    if not case.real:
        pytest.skip("nothing is imported")
    task = case.task("nap", "import no_such_module_anywhere\n\ndef nap(x):\n    return x\n")
    with pytest.raises(ObjectiveError, match="no_such_module_anywhere"):
        case.engine.open(task)


def test_everything_that_listens_does_so_on_loopback(tmp_path):
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "study.yaml").write_text("objective: study:hold\nparameters: {x: [1, 2, 3]}\n")
    with begun(*command("run", "study.yaml", "-n", "2"), folder=tmp_path) as process:
        until(lambda: len(ran(tmp_path)) == 2)
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        listeners = [
            connection.laddr
            for member in tree
            for connection in member.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert len(tree) == 5  # two slots, a keeper and a child each
        assert listeners
        assert [place for place in listeners if not ipaddress.ip_address(place.ip).is_loopback] == []
        (tmp_path / "go").touch()
        assert process.wait(60) == 0
