"""Workers that die, come back, freeze or crawl: nothing is lost, and no point is blamed."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import psutil
import pytest
from distributed import Client

import swath
from running import ENVIRONMENT, HOLD, Cluster, ran, until
from swath.cluster import calls, greeting, members
from swath.driver import quarantine
from swath.engines.dask import Dask


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


def test_D03_a_flapping_worker_is_left_out(cluster, study, monkeypatch):
    for name, value in (("FALLS", 3), ("WINDOW", 600.0), ("SPELL", 600.0)):  # however long a start takes
        monkeypatch.setattr(quarantine, name, value)
    cluster.hire("good")
    handle = begun(study, cluster)
    for _ in range(3):
        cluster.hire("flap")
        until(lambda: "flap" in busy(handle))
        cluster.kill("flap")
        until(lambda: "flap" not in busy(handle))
    (text,) = until(lambda: handle.snapshot.notices)
    assert text.startswith("flap is not used for 600 s")
    cluster.hire("flap")
    lets_go(study)
    assert set(whole(handle).worker) == {"good"}


def busy(handle):
    return {load.name for load in handle.snapshot.workers if load.busy}


def test_D07_a_frozen_worker_and_its_late_answer(cluster, study, monkeypatch, pytestconfig):
    span = max(4.0, 60 * pytestconfig.getoption("--span"))
    monkeypatch.setattr(members, "SILENT", span / 2)
    cluster.hire("a", "b")
    handle = begun(study, cluster)
    until(lambda: len(ran(study)) == 2)
    frozen = psutil.Process(cluster.workers["b"].pid)
    frozen.suspend()
    time.sleep(span)
    until(lambda: handle.snapshot.slots == 1)
    frozen.resume()
    until(lambda: handle.snapshot.slots == 2)
    lets_go(study)
    assert len(whole(handle)) == 30
    assert len(ran(study)) > 30  # what it held ran twice, and has one row
    # on a loaded machine the other one may have been silent, too
    assert (
        f"worker b: it was silent for {span / 2:g} s; what it held runs elsewhere" in handle.snapshot.notices
    )


def test_D08_a_worker_ten_times_slower(cluster, study):
    (study / "slow.py").write_text(
        "import os, time\n\ndef f(x):\n    time.sleep(0.02 * int(os.environ.get('SLOW', 1)))\n    return x * x\n"
    )
    (study / "slow.yaml").write_text("objective: slow:f\nparameters: {x: {range: [200]}}\n")
    cluster.hire("fast").hire("slow", SLOW="10")
    arrived(cluster, 2)
    handle = begun(study, cluster, "slow")
    frame = whole(handle)
    fast, slow = (frame.started[frame.worker == name] for name in ("fast", "slow"))
    assert len(fast) > 130  # of 200, and with an ever larger share the less busy this machine is
    assert (slow > fast.max()).sum() < 10  # what the slow one had not begun was taken back from it


def arrived(cluster, count):
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


def test_D17_a_paused_worker_holds_nothing_up(cluster, study, monkeypatch):
    monkeypatch.setattr(members, "SILENT", 2.0)
    cluster.hire("a", "b")
    handle = begun(study, cluster)
    until(lambda: len(ran(study)) == 2)
    with Client(cluster.address, set_as_default=False) as client:
        pause(client, 1e-6)
        until(lambda: handle.snapshot.slots == 0)
        pause(client, False)
        until(lambda: handle.snapshot.slots == 2)
    lets_go(study)
    assert len(whole(handle)) == 30
    assert any("paused, having too little memory" in text for text in handle.snapshot.notices)


def pause(client, fraction):
    """Let workers pause at a share of their memory; as they do when it runs out."""

    def change(dask_worker):
        dask_worker.memory_manager.memory_pause_fraction = fraction
        if not fraction:
            from distributed.core import Status

            dask_worker.status = Status.running

    client.run(change)


def test_D20_half_of_the_workers_are_preempted_again_and_again(cluster, study, pytestconfig):
    span = pytestconfig.getoption("--span")
    period, rounds = max(2.0, 60 * min(1.0, span)), max(2, int(60 * min(1.0, span)))
    chance = random.Random(1)
    rate = (
        4 * 40
    )  # points a second of four workers that nothing happens to; each nap takes a little more than 20 ms
    count = int(rate * period * rounds)
    (study / "long.yaml").write_text(f"objective: study:nap\nparameters: {{x: {{range: [{count}]}}}}\n")
    names = [f"first-{k}" for k in range(4)]
    cluster.hire(*names)
    arrived(cluster, 4)
    handle = begun(study, cluster, "long")
    for number in range(rounds):
        if handle.wait(period):
            break
        for k, name in enumerate(chance.sample(names, 2)):
            cluster.kill(name)
            names[names.index(name)] = f"new-{number}-{k}"
            cluster.hire(f"new-{number}-{k}")
    assert handle.wait(600 + 5 * period * rounds)
    assert len(whole(handle)) == count
    if span >= 1:
        assert handle.snapshot.elapsed < count / rate / 0.4


def test_D21_a_clock_that_is_days_off(cluster, study):
    (study / "clock").mkdir()
    (study / "clock/sitecustomize.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() - 5 * 86400\n"
    )
    (study / "timed.yaml").write_text(
        "objective: study:hold\nparameters: {x: {range: [60]}}\npoint: {timeout: 60s}\n"
    )
    path = os.pathsep.join((str(study / "clock"), ENVIRONMENT["PYTHONPATH"]))
    cluster.hire("right").hire("wrong", PYTHONPATH=path)
    handle = begun(study, cluster, "timed")
    until(lambda: len(ran(study)) == 2)
    lets_go(study)
    frame = whole(handle)
    started = frame.groupby("worker", observed=True).started.min()
    assert 4.9 < (started["right"] - started["wrong"]).total_seconds() / 86400 < 5.1


def test_D19_a_heavy_task_and_heavy_answers(cluster, study, monkeypatch, pytestconfig):
    """What the function holds travels once for each worker, in pieces; a batch ends before its answer is too heavy."""
    weight = int(200e6 * max(0.2, min(1.0, pytestconfig.getoption("--span"))))
    sent = []
    ask, event = calls.ask, Dask._event

    def noting(client, name, address, *arguments):
        sent.append((name, address, sum(len(part) for part in arguments if isinstance(part, bytes))))
        return ask(client, name, address, *arguments)

    def weighing(self, batch, data):
        answers.append(len(data))
        return event(self, batch, data)

    answers: list[int] = []
    monkeypatch.setattr(calls, "ask", noting)
    monkeypatch.setattr(Dask, "_event", weighing)

    data = np.zeros(weight // 8)

    def heavy(x):
        return {"size": data.nbytes, "text": str(x % 10) * 10_000_000}

    cluster.hire("a", "b")
    arrived(cluster, 2)
    sweep = swath.Sweep(heavy, {"x": range(30)}, name="heavy")
    handle = sweep.start(out=study / "results", scheduler=cluster.address)
    assert handle.wait(120)
    assert handle.finished().statuses == {"ok": 30}
    assert max(answers) < 100e6 < sum(answers)
    pieces = [(address, size) for name, address, size in sent if name in ("receive", "greet")]
    assert max(size for _, size in pieces) <= greeting.PIECE
    for address in {address for address, _ in pieces}:
        total = sum(size for other, size in pieces if other == address)
        assert weight < total < 1.5 * weight


def test_D19_a_task_that_is_too_heavy_is_refused(cluster, study, monkeypatch):
    monkeypatch.setattr(greeting, "HEAVIEST", 100)
    with pytest.raises(swath.UsageError, match=r"weigh [\d,]+ bytes, more than the 100 that are sent"):
        begun(study, cluster)
