"""What slots take up: measured beside them, told to the driver and to Dask, shown in the snapshot."""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from distributed import Client
from distributed.dashboard.components.scheduler import WorkerTable

import swath
from running import HOLD, Cluster, ran, until
from swath.cluster import worker as workers
from swath.cluster.handshake import memory_of
from swath.cluster.heartbeat import loads_in, metrics_of
from swath.messages import Load
from swath.slot import Slot
from swath.slot import meter as meters
from swath.slot.meter import Meter
from swath.slot.pool import Pool
from tasks import batch, task

MB = 10**6

BURN = """
import subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).parent
BURN = f'''
from pathlib import Path
held = bytearray(b"x" * 150_000_000)
while not Path({str(HERE / "go")!r}).exists():
    sum(range(100_000))
'''

def burn(where):
    if where == "itself":
        exec(BURN)
    else:
        subprocess.run([sys.executable, "-c", BURN], check=True)
    return 1.0
"""
HELD = "objective: study:hold\nparameters: {x: {range: [30]}}\norder: shuffle\nname: held\n"


@pytest.fixture
def slot(tmp_path):
    """Open a slot on points that each name a function of a module."""
    kept = []

    def make(source, *points, **more):
        kept.append(made := Slot(task(tmp_path, source, {"do": points}, **more), "w/0"))
        made.open()
        return made

    yield make
    for made in kept:
        made.close()


@pytest.fixture
def held(tmp_path):
    """A study whose points wait until there is a file named ``go``."""
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "study.yaml").write_text(HELD)
    return tmp_path


@pytest.fixture
def cluster(tmp_path):
    started = Cluster(tmp_path).hire("first")
    yield started
    started.close()


# The meter.


def test_what_earlier_children_have_used_is_not_forgotten(slot):
    made = slot(
        """
        import threading, time
        def f(do):
            end = time.process_time() + 0.4
            while time.process_time() < end:
                pass
            threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        """,
        *range(10),
    )
    for point in range(2):
        keeper = made._child.process.pid
        made.evaluate(batch(point, point + 1))
        assert made._child.process.pid != keeper  # each point leaves a thread behind
    assert made._meter._before >= 0.8


def test_a_point_that_stays_grows_old_and_one_that_is_over_is_gone(slot, tmp_path):
    made = slot(
        """
        import time
        from pathlib import Path
        def f(do):
            while not Path(do).exists():
                time.sleep(0.005)
        """,
        str(tmp_path / "gate"),
    )
    assert (made.measure().position, made.measure().age) == (None, None)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(made.evaluate, batch(0, 1))
        until(lambda: made.measure().position == 0)
        first = made.measure().age
        assert until(lambda: made.measure().age > first + 0.1)
        (tmp_path / "gate").touch()
        answer.result(30)
    assert (made.measure().position, made.measure().age) == (None, None)


def test_a_slot_at_rest_takes_little_time_to_look_at(slot):
    made = slot("def f(do): pass", 1)
    made.measure()

    def cost():
        made._meter._next = 0.0
        begun = time.thread_time()
        assert made.measure().memory > 10 * MB
        return time.thread_time() - begun

    assert min(cost() for _ in range(50)) < 0.001


def test_what_is_costly_is_looked_at_seldom(slot, monkeypatch):
    made = slot("def f(do): pass", 1)
    looks = []

    def costly(_, keeper):
        looks.append(keeper)
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return [keeper]

    monkeypatch.setattr(Meter, "_look", costly)
    for _ in range(5):
        made.measure()
    assert len(looks) == 1
    assert made._meter._next > time.monotonic() + 5


def test_without_lists_of_children_all_processes_are_looked_through(slot, monkeypatch):
    made = slot("def f(do): pass", 1)
    keeper = made._child.process.pid
    quick = meters._family(keeper)
    monkeypatch.setattr(os.path, "exists", lambda _: False)
    assert meters._family(keeper) == quick != []


def test_a_slot_that_is_closed_takes_up_nothing(slot):
    made = slot("def f(do): pass", 1)
    assert made.measure().memory
    made.close()
    made._meter._next = 0.0
    load = made.measure()
    assert (load.cpu, load.memory) == (None, None)


def test_processes_that_share_their_memory_hold_it_once(slot, tmp_path):
    made = slot(
        """
        import os, time
        from pathlib import Path
        HELD = b"x" * 200_000_000
        def f(do):
            for _ in range(3):
                if not os.fork():
                    while not Path(do).exists():
                        time.sleep(0.01)
                    os._exit(0)
            Path(do + ".forked").touch()
            while not Path(do).exists():
                time.sleep(0.01)
        """,
        str(tmp_path / "gate"),
    )
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(made.evaluate, batch(0, 1))
        until((tmp_path / "gate.forked").exists)
        made._meter._next = 0.0
        assert 200 * MB < made.measure().memory < 350 * MB
        (tmp_path / "gate").touch()
        answer.result(30)


def test_without_a_child_only_the_point_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    plan = task(tmp_path, "def f(do): return 1", {"do": [1]}, module="bare_loads", isolated=False)
    made = Pool(plan, "w", 2)
    assert made.measure() == (Load("w/0"), Load("w/1"))
    made.close()


# Heartbeats.


def test_metrics_are_plain_whatever_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    plan = task(tmp_path, "def f(do): 1 / (do - 3)", {"do": range(10)}, module="bare_metrics", isolated=False)
    made = Pool(plan, "w", 1)
    told = metrics_of(lambda: {"run": made})

    def flat():
        values = {name: metric(None) for name, metric in told.items() if name not in ("swath", "swath_steps")}
        assert all(isinstance(value, str | int | float) for value in values.values())
        json.dumps(values)
        return values

    first = flat()
    assert (first["swath_points"], first["swath_points_per_s"], first["swath_point"]) == (0, 0.0, "")
    assert math.isnan(first["swath_cpu"])
    made.evaluate(batch(0, 10))
    made.loads, made.at = (Load("w", 0.5, 30 * MB, 7, 2.0),), (7, 2.0)
    second = flat()
    assert (second["swath_points"], second["swath_failed"]) == (10, 1)
    assert second["swath_points_per_s"] > 0
    assert (second["swath_point"], second["swath_point_seconds"]) == ("7", 2.0)
    assert (second["swath_cpu"], second["swath_memory_mb"]) == (0.5, 30.0)
    assert loads_in(json.loads(json.dumps({"swath": told["swath"](None)})), "run") == made.loads
    for strange in ({}, {"swath": {}}, {"swath": 7}, {"swath": {"run": 7}}, {"swath": {"run": [[]]}}):
        assert loads_in(strange, "run") == ()


def test_two_sweeps_on_a_worker_are_added_up_and_the_last_one_takes_the_columns_along():
    worker = SimpleNamespace(address=f"tcp://test:{os.getpid()}", metrics={"cpu": len})
    for run, points in (("a", 3), ("b", 4)):
        pool = SimpleNamespace(done=points, loads=(Load(run),), close=lambda: None)
        workers.admit(worker, run, pool)
    assert worker.metrics["swath_points"](worker) == 7
    assert set(worker.metrics["swath"](worker)) == {"a", "b"}
    workers._forget(("a", worker.address), worker)
    assert worker.metrics["swath_points"](worker) == 4
    workers._forget(("b", worker.address), worker)
    assert set(worker.metrics) == {"cpu"}


def test_what_the_slots_of_a_worker_may_hold():
    plan = SimpleNamespace(memory=None)
    assert memory_of(plan, 4, 8 * MB) == 8 * MB
    assert memory_of(plan, 1, None, 4) == memory_of(plan, 1, None) // 4
    assert memory_of(SimpleNamespace(memory=MB), 4, 8 * MB) == 4 * MB
    assert memory_of(SimpleNamespace(memory=MB), 4, 2 * MB) == 2 * MB


# Real sweeps.


@pytest.mark.parametrize("where", ["itself", "a child of its own"])
def test_a_child_that_computes_and_holds_memory_shows_it(where, tmp_path):
    (tmp_path / "burning.py").write_text(BURN)
    (tmp_path / "burn.yaml").write_text(
        f"objective: burning:burn\nparameters: {{where: [{where}]}}\nmaximize: value\n"
    )
    handle = swath.load(tmp_path / "burn.yaml").start(out=tmp_path / "results", workers=1)
    try:

        def shows():
            (load,) = handle.snapshot.workers or (None,)
            return (
                load if load and load.cpu and load.cpu > 0.2 and load.memory > 150 * MB and load.age else None
            )

        load = until(shows)
        assert load.cpu < 3
        assert load.memory < 400 * MB
        assert load.memory_limit > 10**8
        assert (load.point, load.host) == (0, socket.gethostname())
        assert load.age > 0
        assert 0 < load.utilisation <= 1
    finally:
        (tmp_path / "go").touch()
        assert handle.wait(60)
    last = handle.snapshot
    assert (last.parameters, last.best) == ({"where": where}, (1.0, 0))
    assert (last.workers[0].cpu, last.workers[0].point) == (None, None)
    assert [slow.point for slow in last.slowest] == [0]
    assert 0 < last.utilisation <= 1
    assert 0 < last.cost < 1


def test_dask_s_own_workers_show_columns_of_ours_on_the_embedded_cluster(held):
    handle = swath.load(held / "study.yaml").start(out=held / "results", workers=1)
    try:
        (told,) = until(lambda: pointed(handle._engine._cluster._cluster.scheduler.workers.values()))
        (load,) = until(lambda: placed(handle))
        assert told["swath_point"] == str(load.point)
        assert ran(held) == [str(load.point)]  # shuffled: not the first one
        columns = WorkerTable(handle._engine._cluster._cluster.scheduler).extra_names
        assert {name for name in columns if name.startswith("swath")} == {*metrics_of(dict)} - {
            "swath",
            "swath_steps",
        }
    finally:
        (held / "go").touch()
        assert handle.wait(60)


def test_a_worker_elsewhere_tells_by_its_heartbeats_and_falls_silent_at_the_end(held, cluster):
    handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=cluster.address)
    with Client(cluster.address, set_as_default=False) as client:

        def metrics():
            return client.scheduler_info(n_workers=-1)["workers"].values()

        try:
            (told,) = until(lambda: pointed(metrics()))
            (load,) = until(lambda: placed(handle))
            assert (load.name, load.host, load.point) == (
                "first",
                socket.gethostname(),
                int(told["swath_point"]),
            )
            assert load.memory_limit > 10**8
            assert told["swath_memory_mb"] > 10
            assert told["swath_cpu"] >= 0
        finally:
            (held / "go").touch()
            assert handle.wait(60)
        assert until(
            lambda: all(not name.startswith("swath") for worker in metrics() for name in worker["metrics"])
        )


def pointed(found):
    """Metrics of the workers that say at which point they are."""
    told = [worker["metrics"] if isinstance(worker, dict) else worker.metrics for worker in found]
    return [metrics for metrics in told if metrics.get("swath_point")]


def placed(handle):
    """Loads of the workers that are seen at a point, and measured."""
    loads = handle.snapshot.workers
    return [load for load in loads if load.point is not None and load.memory and load.cpu is not None]
