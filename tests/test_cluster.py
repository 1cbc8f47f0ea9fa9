"""The same sweep on a Dask cluster that was started by hand, and what may happen to such a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from distributed import Client

import swath
from running import HOLD, Cluster, ask, assert_same, ran, until
from swath.cli import sweep as cli
from swath.cluster import mailbox, remote
from swath.cluster import worker as workers
from swath.cluster.background import Background
from swath.definition import define
from swath.engines.dask import Dask
from swath.messages import Batch, Finished, Joined, Left, Step, Stepped
from swath.objective import locate
from swath.run import Options, make_task, start
from swath.task import unpack_steps
from tasks import task as plan

STUDY = """
objective: model:simulate
parameters:
  a: {range: [1, 11]}
  b: [1, 2, "three"]
  seed: {seeds: 2}
where: a != 4
derive: {twice: 2 * a}
"""
MODEL = """
import tools

def simulate(a, b, seed, twice):
    if a == 7:
        raise ValueError(f"no luck with {seed}")
    return {"value": tools.mix(a, str(b), seed), "twice_again": twice}
"""
TOOLS = """
def mix(a, b, seed):
    return a * len(b) + seed / 7
"""
HELD = "objective: study:hold\nparameters: {x: {range: [30]}}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster")).hire("a", "b")
    yield started
    started.close()


@pytest.fixture
def fragile(tmp_path):
    started = Cluster(tmp_path).hire("first")
    yield started
    started.close()


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    for name, text in {"study.yaml": STUDY, "model.py": MODEL, "tools.py": TOOLS}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def held(tmp_path):
    """A sweep whose first points wait until `lets_go`."""
    folder = tmp_path / "held"
    folder.mkdir()
    (folder / "study.py").write_text(HOLD)
    (folder / "study.yaml").write_text(HELD)
    return folder


def lets_go(folder):
    (folder / "go").touch()


def finished(handle):
    assert handle.wait(60)
    return handle.finished()


def test_workers_in_other_folders_give_the_frame_of_inline(cluster, study):
    ask("run", "study.yaml", "--engine", "inline", folder=study, code=3)
    done = ask(
        *("run", "study.yaml", "--scheduler", cluster.address, "--out", "remote"), folder=study, code=3
    )
    assert "54 points" in done.stderr or "48 points ok, 6 failed" in done.stderr
    assert_same(swath.open(study / "remote/study"), swath.open(study / "results/study"))


def test_code_travels_where_the_folder_is_not_there(cluster, study):
    definition = swath.load(study / "study.yaml").definition
    code = replace(locate(definition.objective, study), root=str(study / "nowhere"))
    options = Options(out=study / "results", scheduler=cluster.address)
    results = finished(start(definition, options, code=code))
    assert results.statuses == {"ok": 48, "error": 6}
    assert "tools" in results.failures.failure.iloc[0] or "no luck" in results.failures.failure.iloc[0]


def test_a_client_of_the_user_stays_open_and_the_scheduler_needs_no_swath(cluster, study):
    with Client(cluster.address, set_as_default=False) as client:
        with pytest.raises(ImportError):
            client.run_on_scheduler(lambda: __import__("swath"))
        results = swath.load(study / "study.yaml").run(out=study / "results", client=client)
        assert results.statuses == {"ok": 48, "error": 6}
        assert client.submit(sum, [1, 2]).result() == 3
        assert set(results.frame.worker) <= {"a", "b"}
        # the slots have ended with the run
        until(lambda: not any(client.run(lambda: len(__import__("psutil").Process().children())).values()))


def test_a_killed_worker_costs_nobody_anything(fragile, held):
    fragile.hire("second")
    handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=fragile.address)
    until(lambda: len(ran(held)) == 2)  # a point on either worker
    fragile.kill("first")
    lets_go(held)
    frame = finished(handle).frame
    assert frame.value.tolist() == [x * x for x in range(30)]
    assert set(frame.status) == {"ok"}
    assert set(frame.attempts) == {1}
    assert set(frame.worker) == {"second"}


def test_a_worker_that_joins_late_is_used(fragile, held):
    handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=fragile.address)
    until(lambda: len(ran(held)) == 1)
    fragile.hire("late")
    until(lambda: len(ran(held)) == 2)
    lets_go(held)
    frame = finished(handle).frame
    assert frame.value.tolist() == [x * x for x in range(30)]
    assert set(frame.worker) == {"first", "late"}


def test_a_worker_that_comes_back_under_its_name_is_used_again(fragile, held):
    handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=fragile.address)
    until(lambda: len(ran(held)) == 1)
    fragile.kill("first")
    fragile.hire("first")
    until(lambda: len(ran(held)) == 2)
    lets_go(held)
    frame = finished(handle).frame
    assert frame.value.tolist() == [x * x for x in range(30)]
    assert set(frame.attempts) == {1}


def test_a_worker_that_has_forgotten_the_run_is_greeted_again(fragile, held):
    def forget():
        from swath.cluster.worker import POOLS

        POOLS.clear()

    handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=fragile.address)
    until(lambda: len(ran(held)) == 1)
    with Client(fragile.address, set_as_default=False) as client:
        client.run(forget)
        lets_go(held)
        frame = finished(handle).frame
    assert frame.value.tolist() == [x * x for x in range(30)]
    assert set(frame.attempts) == {1}


IMPORTS = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

while "SLOW" in os.environ:
    time.sleep(0.005)

def f(x):
    while not (HERE / "go").exists():
        time.sleep(0.005)
    return x
"""


def test_a_sweep_ends_also_the_slots_of_a_worker_that_was_not_ready_yet(fragile, held):
    (held / "study.py").write_text(IMPORTS)
    (held / "study.yaml").write_text(HELD.replace("hold", "f"))
    fragile.hire("slow", SLOW="1")
    handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=fragile.address)
    until(lambda: fragile.below(fragile.workers["slow"]))
    lets_go(held)
    assert set(finished(handle).frame.worker) == {"first"}
    until(
        lambda: not fragile.below(fragile.workers["slow"]), workers.IDLE / 2
    )  # nobody waits for it to be idle


def test_a_run_that_ends_while_its_pool_is_made_leaves_none(tmp_path, monkeypatch):
    worker = SimpleNamespace(address="tcp://test:1", metrics={})
    known, closed = ("run", worker.address), []

    def made(*_):
        workers.forget(worker, "run")
        until(lambda: known not in workers.BOXES)
        return SimpleNamespace(close=lambda: closed.append("pool"))

    monkeypatch.setattr(workers, "Pool", made)
    task = plan(tmp_path, "def f(x): return x", {"x": [1]})
    answer = asyncio.run(workers.greet(worker, "run", task.encode(), "w", 1))
    assert json.loads(answer) == {"error": "the run has ended meanwhile"}
    assert closed == ["pool"]
    assert known not in workers.POOLS


def test_a_lost_scheduler_ends_the_sweep_and_it_goes_on_elsewhere(fragile, held, monkeypatch):
    monkeypatch.setattr("swath.run.beginning.PATIENCE", 2.0)
    sweep = swath.load(held / "study.yaml")
    handle = sweep.start(out=held / "results", scheduler=fragile.address)
    until(lambda: len(ran(held)) == 1)
    fragile.scheduler.kill()
    assert handle.wait(60)
    with pytest.raises(swath.ClusterLostError, match=r"no worker for 2 s; the same command goes on") as error:
        handle.finished()
    assert error.value.exit_code == 75
    assert handle.outcome.exit_code == 75
    lets_go(held)
    assert sweep.run(out=held / "results", workers=1).frame.value.tolist() == [x * x for x in range(30)]


def test_a_cluster_without_workers_is_lost(tmp_path, study, monkeypatch):
    monkeypatch.setattr(remote, "JOIN_TIMEOUT", 0.5)
    empty = Cluster(tmp_path)
    try:
        with pytest.raises(swath.ClusterLostError, match=r"no worker of tcp://127.* was ready within 0\.5 s"):
            swath.load(study / "study.yaml").run(out=study / "results", scheduler=empty.address)
    finally:
        empty.close()
    assert not (study / "results/study").exists()


def test_a_worker_without_swath_is_named(tmp_path, study):
    broken = Cluster(tmp_path).hire("bare", PYTHONPATH=str(tmp_path / "block"))
    try:
        with pytest.raises(swath.ClusterLostError, match="worker bare: swath cannot be imported there"):
            swath.load(study / "study.yaml").run(out=study / "results", scheduler=broken.address)
    finally:
        broken.close()


def test_an_address_off_this_machine_needs_insecure(study):
    done = ask("run", "study.yaml", "--scheduler", "tcp://192.0.2.1:8786", folder=study, code=2)
    assert "tcp://192.0.2.1:8786 is off this machine and not encrypted" in done.stderr
    assert "--insecure" in done.stderr
    assert not (study / "results").exists()


def test_no_scheduler_at_the_address_is_exit_75(study, monkeypatch):
    monkeypatch.setattr(remote, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    words = ["run", str(study / "study.yaml"), "--out", str(study / "results")]
    done = CliRunner().invoke(cli, [*words, "--scheduler", f"tcp://127.0.0.1:{port}"])
    assert done.exit_code == 75
    assert f"no Dask scheduler answers at tcp://127.0.0.1:{port}" in done.stderr
    assert not (study / "results/study").exists()


def test_what_is_no_address_is_a_usage_error(study):
    with pytest.raises(swath.UsageError, match="'carrier-pigeon://x' is no scheduler's address"):
        swath.load(study / "study.yaml").run(out=study / "results", scheduler="carrier-pigeon://x")


def test_the_last_words_are_said_although_a_coroutine_does_not_hear_that_it_is_to_end():
    said = []

    async def stubborn():
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError):
                said.append("begun")
                await asyncio.sleep(1000)
        await asyncio.sleep(1000)

    async def farewell():
        said.append("farewell")

    background = Background()
    background.spawn(stubborn())
    until(lambda: said)
    background.close(farewell())
    assert said == ["begun", "begun", "farewell"]


# Steps of running points.

TRAINS = """
import time
from pathlib import Path
import swath

HERE = Path(__file__).parent

def train(x):
    with open(HERE / "ran", "a") as file:
        file.write(f"{x}\\n")
    for epoch in range(12000):  # a minute
        time.sleep(0.005)
        yield {"loss": x + 1 / (epoch + 1)}
"""


class Listened:
    """An engine on a cluster with a point on each of its workers, and what it has said."""

    def __init__(self, address, folder, **more):
        (folder / "study.py").write_text(TRAINS)
        mapping = {"objective": "study:train", "parameters": {"x": {"range": [9]}}}
        definition = define(mapping, folder=folder)
        task = make_task(definition, locate(definition.objective, folder))
        self.engine = Dask(scheduler=address)
        self.engine.open(replace(task, **more))
        self.events, self.batches = [], {}

    def find(self, kind, which=lambda _: True):
        """Wait for an event; each is found once."""

        def looks():
            for event in self.events:
                if isinstance(event, kind) and which(event):
                    self.events.remove(event)
                    return event
            self.events += self.engine.wait(0.1)
            return None

        return until(looks)

    def begins(self, number):
        """Give the worker that joins next the point of a number."""
        joined = self.find(Joined)
        self.batches[number] = Batch(number, joined.worker, number, number + 1, 1, 600.0)
        self.engine.submit([self.batches[number]])
        return joined.worker

    def steps(self, number):
        return self.find(Stepped, lambda event: event.batch_id == number).steps

    def ends(self, number):
        self.engine.prune(self.batches[number], number)
        reply = self.find(Finished, lambda event: event.batch_id == number).reply
        assert reply.failed == (("pruned", ((number, number + 1),)),)
        return reply


@pytest.mark.parametrize("stepped", ["loss", ""])
def test_steps_come_from_every_worker_and_one_point_is_ended(cluster, tmp_path, stepped):
    made = Listened(cluster.address, tmp_path, stepped=stepped)
    try:
        for number in (0, 1):
            made.begins(number)
        heard = [*made.steps(0), *made.steps(0)]
        made.steps(1)
        reply = made.ends(1)
        assert [step.step for step in reply.steps] == [*range(1, len(reply.steps) + 1)]
        heard += made.steps(0)  # it goes on
        whole = made.ends(0).steps
        assert heard == list(whole[: len(heard)])  # from the beginning, without a gap
    finally:
        made.engine.close()


def test_steps_come_again_after_a_worker_and_after_the_scheduler_were_lost(fragile, tmp_path, monkeypatch):
    monkeypatch.setattr(mailbox, "PAUSE", 0.05)
    fragile.hire("second")
    made = Listened(fragile.address, tmp_path, stepped="loss")
    try:
        workers = [made.begins(number) for number in (0, 1)]
        made.steps(0)
        made.steps(1)
        fragile.kill(workers[0])
        made.find(Left, lambda event: event.worker == workers[0])
        made.steps(1)
        port = fragile.address.rpartition(":")[2]
        fragile.stop()
        made.find(Left, lambda event: event.worker == workers[1])
        fragile.start(port)
        fragile.hire("third")  # a worker ends with its scheduler
        made.begins(2)
        made.steps(2)
        made.ends(2)
    finally:
        made.engine.close()


def told(answer):
    number, packed = json.loads(answer)
    return number, {batch: unpack_steps(steps) for batch, steps in packed}


def test_an_answer_with_steps_that_is_lost_is_given_again():
    first, second, third = (Step(0, n, 0.0, {"a": n}) for n in (1, 2, 3))

    async def story():
        box = mailbox.Mailbox()
        box.hear(7, (first,))
        assert told(await box.take(0, 60.0)) == (1, {7: (first,)})
        box.hear(7, (second,))
        assert told(await box.take(0, 60.0)) == (1, {7: (first,)})  # it was lost
        assert told(await box.take(1, 60.0)) == (2, {7: (second,)})
        waiting = asyncio.create_task(box.take(2, 60.0))
        await asyncio.sleep(0)
        box.hear(7, (third,))
        assert told(await waiting) == (3, {7: (third,)})
        assert told(await box.take(3, 0.01)) == (3, {})  # nothing, for a while
        box.hear(7, (first,))
        box.hear(8, (second,))
        box.end(7)
        assert told(await box.take(3, 60.0)) == (4, {8: (second,)})

    asyncio.run(story())


def test_more_workers_than_may_be_asked_at_a_time_take_turns(monkeypatch):
    monkeypatch.setattr(mailbox, "TOGETHER", 2)
    monkeypatch.setattr(mailbox, "HURRY", 0.001)
    asked, patiences = Counter(), set()

    async def ask(address, number, patience):
        asked[address] += 1
        patiences.add(patience)
        await asyncio.sleep(min(patience, 0.001))
        return json.dumps([number, []])

    async def story():
        listener = mailbox.Listener(ask, print)
        await asyncio.gather(*(listener.follow(name, lambda name=name: asked[name] < 3) for name in "abcde"))

    asyncio.run(story())
    assert asked == dict.fromkeys("abcde", 3)
    assert 0.001 in patiences
