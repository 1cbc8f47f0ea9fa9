"""What points leave behind: processes, threads, descriptors, files: B13 to B15, B18."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks import SOURCE, batch, becomes_true, evaluated, statuses, table, task, written

LEAVES = """
    import atexit, ctypes, multiprocessing, os, signal, subprocess, sys, tempfile, threading, time

    def f(do):
        return globals()[do]() if do in globals() else do

    def sleeper():
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1e9)"])

    def child():
        return sleeper().pid

    def forked():
        pid = os.fork()
        if pid == 0:
            time.sleep(1e9)
        return pid

    def daemon():
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            pid = os.fork()
            if pid == 0:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                os.closerange(0, 1000)
                os.environ.clear()
                time.sleep(1e9)
            os.write(write, str(pid).encode())
            os._exit(0)
        os.wait()
        return int(os.read(read, 20))

    def both():
        daemon()
        return f"{daemon()} {forked()}"

    def process():
        process = multiprocessing.Process(target=time.sleep, args=(1e9,))
        process.start()
        return process.pid

    def pause():
        time.sleep(30)

    def dies():
        print(child(), daemon(), file=open("pids", "w"))
        os._exit(3)

    def thread():
        threading.Thread(target=time.sleep, args=(1e9,)).start()

    def deaf_thread():
        import _thread
        _thread.start_new_thread(ctypes.PyDLL(None).usleep, (100,))
        _thread.start_new_thread(time.sleep, (1e9,))
        time.sleep(0.05)  # they are counted once they run

    def at_exit():
        atexit.register(time.sleep, 1e9)
        threading.Thread(target=time.sleep, args=(1e9,), daemon=False).start()

    def tidy():
        with multiprocessing.Pool(2) as pool:
            pool.map(abs, range(4))
        subprocess.run(["true"])
        thread = threading.Thread(target=time.sleep, args=(0.01,))
        thread.start()
        os.waitpid(os.spawnlp(os.P_NOWAIT, "true", "true"), 0)

    def spawning():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.map(abs, [1])

    OPEN = []

    def descriptors():
        OPEN.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(100))
        time.sleep(0.02)

    def many_bytes():
        with tempfile.NamedTemporaryFile(delete=False) as file:
            os.posix_fallocate(file.fileno(), 0, 6 * 10**8)
        time.sleep(0.15)

    def files():
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(b"x" * 10**6)
        os.makedirs(os.path.join(tempfile.mkdtemp(), "deep"))
        return file.name
"""


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def worker(made):
    return made._child.process.pid


def test_B13_no_process_outlives_its_point(opened):
    faults = ["child", "forked", "daemon", "both", "process"]
    made = opened(LEAVES, *faults, "a")
    for i, fault in enumerate(faults):
        first = worker(made)
        (row,) = table(made.evaluate(batch(i, i + 1)))
        pids = [int(pid) for pid in str(row["value"]).split()]
        assert all(map(is_gone, pids)), fault
        assert worker(made) != first, fault
    assert statuses(made.evaluate(batch(5, 6))) == {5: "ok"}


def test_B13_a_point_that_leaves_a_process_is_the_last_of_its_batch(opened):
    reply = evaluated(opened(LEAVES, "daemon", "pause"))
    assert statuses(reply) == {0: "ok"}, "what it left does not live as long as the next point"
    assert is_gone(int(table(reply)[0]["value"]))


def test_B13_processes_of_a_point_that_dies_die_with_it(opened, tmp_path):
    reply = evaluated(opened(LEAVES, "a", "dies", folder=str(tmp_path)))
    assert statuses(reply) == {0: "ok", 1: "crash"}
    assert all(is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_B13_processes_end_with_a_driver_that_is_killed(tmp_path):
    program = """
        import sys
        from pathlib import Path
        from swath.messages import Batch
        from swath.slot import Slot
        from swath.task import Task

        made = Slot(Task.decode(Path(sys.argv[1]).read_bytes()), "w")
        made.evaluate(Batch(1, "w", 0, 1, 1, 30.0))
    """
    source = """
        import os, time

        def f(do):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.write(os.open("pids", os.O_WRONLY | os.O_CREAT), f"{os.getpid()} ".encode())
                    time.sleep(1e9)
                os._exit(0)
            time.sleep(1e9)
    """
    plan = task(tmp_path, source, {"do": [1]}, folder=str(tmp_path))
    (tmp_path / "task").write_bytes(plan.encode())
    written(tmp_path, program=program)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "task")]
    pids = tmp_path / "pids"
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": SOURCE}) as driver:
        assert becomes_true(lambda: pids.exists() and pids.read_text().endswith(" "))
        found = {child.pid for child in psutil.Process(driver.pid).children(recursive=True)}
        driver.kill()
    found.add(int(pids.read_text()))
    assert len(found) >= 3, "a keeper, its child, and what a point has started"
    assert becomes_true(lambda: all(map(is_gone, found)))


def test_B14_a_child_in_which_threads_are_left_is_replaced(opened):
    faults = ["thread", "deaf_thread", "at_exit"]
    made = opened(LEAVES, *faults, "a")
    for i, fault in enumerate(faults):
        first = worker(made)
        assert statuses(made.evaluate(batch(i, i + 1))) == {i: "ok"}
        assert worker(made) != first, fault
        assert is_gone(first), fault
    assert statuses(made.evaluate(batch(3, 4))) == {3: "ok"}


def test_B14_ends_are_bounded(opened, monkeypatch):
    monkeypatch.setattr("swath.slot.child.PATIENCE", 60.0)  # the keeper ends it, or it takes so long
    made = opened(LEAVES, "at_exit")
    made.evaluate(batch(0, 1))
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 60.0


def test_B14_points_that_leave_nothing_keep_their_child(opened):
    made = opened(LEAVES, "tidy", "spawning", "tidy", "spawning")
    first = worker(made)
    assert set(statuses(evaluated(made)).values()) == {"ok"}
    assert set(statuses(evaluated(made)).values()) == {"ok"}
    assert worker(made) == first


def test_B14_what_an_earlier_point_left_is_blamed_on_nobody_else(opened):
    source = """
        import os, signal, threading, time

        def f(do):
            if do == "bomb":
                threading.Thread(target=lambda: (time.sleep(0.2), os._exit(9)), daemon=True).start()
            elif do == "alarm":
                signal.alarm(1)
            elif do == "lock":
                LOCK.acquire()
                threading.Thread(target=time.sleep, args=(1e9,), daemon=True).start()
            elif do == "locks":
                with LOCK:
                    pass
            else:
                time.sleep(0.1)
            return do

        LOCK = threading.Lock()
    """
    points = ["bomb", *"abcd", "alarm", *"efghijklmnop", "lock", "locks"]
    made = opened(source, *points, timeout=2.5)
    known, tries = {}, 0
    while len(known) < len(points):
        start = min(set(range(len(points))) - set(known))
        known |= statuses(made.evaluate(batch(start, len(points))))
        tries += 1
        assert tries < 2 * len(points)
    assert set(known.values()) == {"ok"}


def test_B14_a_death_after_the_last_point_is_found_by_halving(opened):
    source = """
        import os
        import swath.inside.evaluate as evaluate

        def f(do):
            return do

        def deadly(results, *more):  # after all points: nobody is at work any more
            if "bomb" in list(map(str, results)):
                os._exit(7)
            return to_columns(results, *more)

        to_columns, evaluate.to_columns = evaluate.to_columns, deadly
    """
    points = ["a", "b", "bomb", "c"]
    made = opened(source, *points)
    known = {}
    while len(known) < len(points):
        start = min(set(range(len(points))) - set(known))
        reply = made.evaluate(batch(start, len(points)))
        known |= statuses(reply)
    assert known == {i: "crash" if point == "bomb" else "ok" for i, point in enumerate(points)}


def test_B15_descriptors_that_leak_cost_only_a_child(opened):
    made = opened(LEAVES, *["descriptors"] * 20)
    first, known = worker(made), {}
    while len(known) < 20:
        known |= statuses(made.evaluate(batch(len(known), 20)))
    assert set(known.values()) == {"ok"}
    assert worker(made) != first


def test_B18_temporary_files_are_removed_with_the_child(opened):
    made = opened(LEAVES, "files", "files")
    names = [Path(row["value"]) for row in table(evaluated(made))]
    folder = names[0].parent
    assert folder == names[1].parent
    assert all(name.exists() for name in names)
    made.close()
    assert not folder.exists()


def test_B18_temporary_files_are_removed_after_a_death(opened):
    made = opened(LEAVES, "files", "files")
    (name,) = (Path(row["value"]) for row in table(made.evaluate(batch(0, 1))))
    (child,) = psutil.Process(worker(made)).children()
    os.kill(worker(made), signal.SIGKILL)
    assert becomes_true(lambda: is_gone(child.pid))
    assert statuses(made.evaluate(batch(1, 2))) == {1: "ok"}
    assert not name.exists()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="cannot fill a disk quickly")
def test_B18_a_child_that_fills_the_disk_is_replaced(opened, tmp_path):
    if shutil.disk_usage(tmp_path).free < 10 * 2**30:
        pytest.skip("the disk is too full for that")
    made = opened(LEAVES, *["many_bytes"] * 8)  # two would do where each is measured
    known, first = {}, worker(made)
    while len(known) < 8:
        known |= statuses(made.evaluate(batch(len(known), 8)))
    assert set(known.values()) == {"ok"}
    assert worker(made) != first
