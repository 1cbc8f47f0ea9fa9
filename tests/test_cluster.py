"""The same sweep on a Dask cluster that was started by hand, and what may happen to such a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace

import pytest
from click.testing import CliRunner
from distributed import Client

import swath
from running import HOLD, Cluster, ask, assert_same, ran, until
from swath.cli import sweep as cli
from swath.cluster import remote
from swath.cluster.background import Background
from swath.objective import locate
from swath.run import Options, start

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


def test_a_lost_scheduler_ends_the_sweep_and_it_goes_on_elsewhere(fragile, held, monkeypatch):
    monkeypatch.setattr(remote, "CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr("swath.run.beginning.PATIENCE", 0.5)
    sweep = swath.load(held / "study.yaml")
    handle = sweep.start(out=held / "results", scheduler=fragile.address)
    until(lambda: len(ran(held)) == 1)
    fragile.scheduler.kill()
    assert handle.wait(60)
    with pytest.raises(
        swath.ClusterLostError, match=r"no worker for 0\.5 s; the same command goes on"
    ) as error:
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
