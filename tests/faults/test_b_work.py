"""Points that are slow, that compute in parallel themselves, or that read: B35 to B38."""

from __future__ import annotations

from pathlib import Path

import pytest

import swath
from tasks import batch, evaluated, failures, table

MOST = 40
"""Points, of 200, that may wait for a slow one."""


def test_B35_a_slow_point_holds_nobody_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran, most = tmp_path / "ran", MOST
    ran.mkdir()

    def work(x):
        import time as clock

        (ran / str(x)).touch()
        clock.sleep(0.01)
        for _ in range(6000):  # a minute
            if x != 40 or len(list(ran.iterdir())) > 200 - most:
                return x
            clock.sleep(0.01)
        raise TimeoutError

    frame = swath.Sweep(work, {"x": list(range(200))}).run(workers=2).frame
    assert set(frame["status"]) == {"ok"}, (
        "only a batch waits for it: the other slot takes the rest meanwhile"
    )


PARALLEL = """
    import asyncio, multiprocessing, os, sys, threading, time
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    def f(do):
        return globals()[do]()

    def pool():
        with multiprocessing.Pool(2) as pool:
            return sum(pool.map(abs, range(-10, 0)))

    def spawned():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return sum(pool.map(abs, range(-10, 0)))

    def executor():
        with ProcessPoolExecutor(2) as executor:
            return sum(executor.map(abs, range(-10, 0)))

    def threads():
        with ThreadPoolExecutor(2) as executor:
            return sum(executor.map(abs, range(-10, 0)))

    def coroutines():
        async def one(x):
            await asyncio.sleep(0.001)
            return abs(x)

        async def many():
            return sum(await asyncio.gather(*map(one, range(-10, 0))))

        return asyncio.run(many())

    def joblib():
        from joblib import Parallel, delayed
        return sum(Parallel(2)(delayed(abs)(x) for x in range(-10, 0)))

    def dask():
        from distributed import Client, LocalCluster
        with LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster, Client(cluster) as client:
            return sum(client.gather(client.map(abs, range(-10, 0))))

    def shared():
        from multiprocessing.shared_memory import SharedMemory
        KEPT.append(SharedMemory(create=True, size=100))
        return 55

    KEPT = []

    def kept():
        if not KEPT:
            KEPT.append(multiprocessing.Pool(2))
        time.sleep(0.01)
        return sum(KEPT[0].map(abs, range(-10, 0)))
"""


def test_B36_points_may_compute_in_parallel_as_they_like(opened):
    ways = ["pool", "spawned", "executor", "threads", "coroutines", "joblib", "joblib", "pool", "dask"]
    made = opened(PARALLEL, *ways)
    known = {}
    while len(known) < len(ways):
        reply = made.evaluate(batch(len(known), len(ways)))
        assert not failures(reply)
        known |= {row["point"]: row["value"] for row in table(reply)}
    assert set(known.values()) == {55}


def test_B36_no_shared_memory_is_left_behind(opened):
    before = set(Path("/dev/shm").iterdir())
    made = opened(PARALLEL, "kept", "joblib", "shared")
    done = 0
    while done < 3:
        reply = made.evaluate(batch(done, 3))
        assert not failures(reply)
        done += reply.rows
    made.close()
    assert not set(Path("/dev/shm").iterdir()) - before


def test_B36_what_multiprocessing_keeps_stays_for_the_batch(opened):
    made = opened(PARALLEL, *["kept"] * 20)
    for start in (0, 10):
        reply = made.evaluate(batch(start, start + 10))
        assert [row["value"] for row in table(reply)] == [55] * 10


NUMERICAL = """
    import os, sys

    def f(do):
        if do == "input":
            return repr(sys.stdin.read()) + repr(os.read(0, 10))
        if do == "raw_input":
            try:
                return input()
            except EOFError:
                return "EOF"
        return os.environ.get(do + "_NUM_THREADS")
"""


@pytest.mark.parametrize("cores", [1, 3])
def test_B37_numerical_libraries_use_the_cores_of_a_point(opened, monkeypatch, cores):
    for name in ("OMP", "OPENBLAS", "NUMEXPR", "VECLIB"):
        monkeypatch.delenv(f"{name}_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    reply = evaluated(opened(NUMERICAL, "OMP", "OPENBLAS", "NUMEXPR", "VECLIB", "MKL", cores=cores))
    assert [row["value"] for row in table(reply)] == [str(cores)] * 4 + ["7"], "what the user set holds"


def test_B38_input_is_at_its_end(opened):
    reply = evaluated(opened(NUMERICAL, "input", "raw_input"))
    assert [row["value"] for row in table(reply)] == ["''b''", "EOF"]
