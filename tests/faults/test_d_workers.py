"""Workers that die, come back, freeze or crawl: nothing is lost, and no point is blamed."""

from __future__ import annotations

import pytest
from distributed import Client

import swath
from running import HOLD, Cluster, ask, ran, until


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def cluster(scheduler):
    """The module's scheduler, without a worker before and after."""
    yield scheduler
    scheduler.dismiss()


@pytest.fixture
def study(tmp_path):
    """A sweep of 30 points that wait until `lets_go`, and one of 200 short ones."""
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "held.yaml").write_text("objective: study:hold\nparameters: {x: {range: [30]}}\n")
    (tmp_path / "one.yaml").write_text("objective: study:hold\nparameters: {x: {range: [1]}}\n")
    (tmp_path / "naps.yaml").write_text("objective: study:nap\nparameters: {x: {range: [200]}}\n")
    return tmp_path


def begun(study, cluster, name="held", **options):
    return swath.load(study / f"{name}.yaml").start(
        out=study / "results", scheduler=cluster.address, **options
    )


def lets_go(folder):
    (folder / "go").touch()


def keys(client):
    return client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))


def whole(handle):
    """The frame of a sweep once it has ended, with every point in it and nobody blamed."""
    assert handle.wait(60)
    frame = handle.finished().frame
    assert frame.value.tolist() == [x * x for x in range(len(frame))]
    assert set(frame.status) == {"ok"}
    assert set(frame.attempts) == {1}
    assert handle.snapshot.done == handle.snapshot.total == len(frame)
    return frame


def test_D01_a_worker_killed_while_it_runs_or_idles(cluster, study):
    cluster.hire("a", "b", "c")
    handle = begun(study, cluster)
    until(lambda: len(ran(study)) == 3)
    cluster.kill("a")
    lets_go(study)
    assert {"b", "c"} <= set(whole(handle).worker)
    (study / "go").unlink()
    handle = begun(study, cluster, "one")
    until(lambda: len(ran(study)) and handle.snapshot.slots == 2)
    (busy,) = (load.name for load in handle.snapshot.workers if load.busy)
    (idle,) = {"b", "c"} - {busy}
    cluster.kill(idle)
    lets_go(study)
    assert set(whole(handle).worker) == {busy}


def test_D01_a_worker_killed_while_it_returns(cluster, study):
    cluster.hire("a", "b")
    handle = begun(study, cluster, "naps")
    until(lambda: handle.snapshot.done > 20)
    cluster.kill("a")
    assert len(whole(handle)) == 200


def test_D02_all_workers_die_and_return(cluster, study):
    cluster.hire("a", "b")
    handle = begun(study, cluster)
    until(lambda: len(ran(study)) == 2)
    cluster.dismiss()
    until(lambda: handle.snapshot.slots == 0)
    lets_go(study)
    cluster.hire("a", "b")
    whole(handle)


def test_D04_a_killed_nanny_and_a_worker_killed_at_its_start(cluster, study):
    cluster.hire("a").hire("b", "c", options=("--nanny",))
    handle = begun(study, cluster)
    until(lambda: len(ran(study)) == 3)
    cluster.kill("b")
    cluster.hire("d")
    lets_go(study)
    cluster.kill("d")
    whole(handle)


def test_D09_scaled_to_nothing_and_back_and_retired_within_a_point(cluster, study):
    cluster.hire("a", "b")
    handle = begun(study, cluster)
    until(lambda: len(ran(study)) == 2)
    with Client(cluster.address, set_as_default=False) as client:
        client.retire_workers(names=["a", "b"])
    until(lambda: handle.snapshot.slots == 0)
    cluster.hire("c")
    until(lambda: len(ran(study)) == 3)
    lets_go(study)
    assert set(whole(handle).worker) == {"c"}


def test_D15_two_runs_and_a_stranger_with_our_keys_on_one_scheduler(cluster, study):
    cluster.hire("a", "b")
    with Client(cluster.address, set_as_default=False) as client:
        handles = [begun(study, cluster), begun(study, cluster, "naps")]
        foreign = [client.submit(sum, [k], key=f"swath-{k}-1") for k in range(5)]
        until(lambda: len(ran(study)) >= 2)
        lets_go(study)
        for handle in handles:
            whole(handle)
        assert client.gather(foreign) == list(range(5))
        del foreign
        until(lambda: not keys(client))
    again = begun(study, cluster, fresh=True)
    assert len(whole(again)) == 30
    assert ask("run", "held.yaml", "--scheduler", cluster.address, folder=study).returncode == 0
