"""Schedulers that die, come back or have no workers, and what is left behind by a killed driver."""

from __future__ import annotations

import psutil
import pytest
from distributed import Client

import swath
from running import HOLD, Cluster, ask, begun, command, ran, until
from swath.cluster import members, remote


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler for all tests of this module; each ends its workers."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def workers(cluster):
    yield cluster
    cluster.dismiss()


@pytest.fixture
def fragile(tmp_path):
    """A cluster whose scheduler may be killed."""
    (tmp_path / "cluster").mkdir()
    started = Cluster(tmp_path / "cluster").hire("a")
    yield started
    started.close()


@pytest.fixture
def study(tmp_path):
    """A sweep of 30 points that wait until `lets_go`."""
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "held.yaml").write_text("objective: study:hold\nparameters: {x: {range: [30]}}\n")
    return tmp_path


def lets_go(folder):
    (folder / "go").touch()


def values(results):
    assert results.statuses == {"ok": 30}
    assert set(results.frame.attempts) == {1}
    return results.frame.value.tolist()


SQUARES = [x * x for x in range(30)]


def test_D05_a_scheduler_restarted_at_its_address_is_used_again(fragile, study, monkeypatch):
    monkeypatch.setattr(members, "SILENT", 600.0)
    handle = swath.load(study / "held.yaml").start(out=study / "results", scheduler=fragile.address)
    until(lambda: len(ran(study)) == 1)
    fragile.stop()
    until(lambda: handle.snapshot.slots == 0)  # no timeout has to pass
    fragile.dismiss()
    fragile.start(fragile.address.rpartition(":")[2])
    fragile.hire("a", "b")
    until(lambda: handle.snapshot.slots == 2)
    lets_go(study)
    assert handle.wait(60)
    assert values(handle.finished()) == SQUARES
    gone, back = handle.snapshot.notices
    assert gone == f"the scheduler at {fragile.address} is gone; waiting for it"
    assert back == f"the scheduler at {fragile.address} is back"


def test_D05_a_scheduler_that_comes_back_elsewhere_ends_the_sweep_which_goes_on_there(
    fragile, study, monkeypatch
):
    monkeypatch.setattr("swath.run.beginning.PATIENCE", 2.0)
    sweep = swath.load(study / "held.yaml")
    handle = sweep.start(out=study / "results", scheduler=fragile.address)
    until(lambda: len(ran(study)) == 1)
    fragile.stop()
    assert handle.wait(60)
    with pytest.raises(swath.ClusterLostError, match=r"no worker for 2 s; the same command goes on"):
        handle.finished()
    assert handle.outcome.exit_code == 75
    fragile.dismiss()
    fragile.start()
    fragile.hire("b")
    lets_go(study)
    assert values(sweep.run(out=study / "results", scheduler=fragile.address)) == SQUARES


def test_D05_a_client_of_the_user_whose_scheduler_is_gone(fragile, study, monkeypatch):
    monkeypatch.setattr("swath.run.beginning.PATIENCE", 2.0)
    with Client(fragile.address, set_as_default=False, timeout=10) as client:
        handle = swath.load(study / "held.yaml").start(out=study / "results", client=client)
        until(lambda: len(ran(study)) == 1)
        fragile.stop()
        assert handle.wait(60)
        assert handle.outcome.exit_code == 75


def test_D10_no_worker_for_ever(workers, study):
    done = ask("run", "held.yaml", "--scheduler", workers.address, "--wait", "1s", folder=study, code=75)
    assert f"no worker of {workers.address} was ready within 1 s" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (study / "results/held").exists()


def test_D10_a_worker_that_does_not_answer_is_named(workers, study, monkeypatch):
    monkeypatch.setattr(remote, "JOIN_TIMEOUT", 3.0)
    workers.hire("frozen")
    with Client(workers.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    process = psutil.Process(workers.workers["frozen"].pid)
    process.suspend()
    with pytest.raises(swath.ClusterLostError, match=r"within 3 s\nworker frozen: it has not answered yet"):
        swath.load(study / "held.yaml").run(out=study / "results", scheduler=workers.address)


def test_D10_the_slots_of_a_killed_driver_end(workers, study):
    workers.hire("a")
    with Client(workers.address, set_as_default=False) as client:
        with begun(*command("run", "held.yaml", "--scheduler", workers.address), folder=study) as driver:
            until(lambda: len(ran(study)) == 1)
            assert workers.below(workers.workers["a"])
        until(lambda: not workers.below(workers.workers["a"]))  # although the point never ends
        assert not client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
    assert driver.returncode == -9
