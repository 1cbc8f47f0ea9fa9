"""Slots with real children: whatever a point does, its neighbours get their results."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from swath.errors import ObjectiveError
from swath.inside.crumb import HERE, blank
from swath.slot import Slot, SlotBrokenError
from swath.slot.place import Place
from swath.slot.pool import Pool
from swath.slot.watch import Watch
from swath.task import unpack
from tasks import SOURCE, batch, becomes_true, done, statuses, table, task, written

FAULTS = """
    import ctypes, multiprocessing, os, signal, sys, threading, time
    from pathlib import Path


    def f(do, **rest):
        return globals()[do](**rest) if do in globals() else do

    def error():
        raise ValueError("wrong")

    def leave():
        sys.exit(3)

    def interrupt():
        raise KeyboardInterrupt

    def exits():
        os._exit(3)

    def segfault():
        ctypes.string_at(0)

    def killed():
        os.killpg(0, signal.SIGKILL)

    def hang():
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass

    def hang_in_c():
        ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock

    def deaf():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        hang()

    def eats():
        held = [b"x" * 10**8 for _ in range(6)]
        time.sleep(1000)
        return len(held)

    def children():
        with multiprocessing.Pool(2) as pool:
            return sum(pool.map(abs, range(-10, 0)))

    def spawned():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return sum(pool.map(abs, range(-10, 0)))

    def where():
        return {key: os.environ.get(key) for key in ("SWATH_SLOT", "OMP_NUM_THREADS", "MKL_NUM_THREADS")} | {
            "input": sys.stdin.read(), "folder": os.getcwd(), "arguments": str(sys.argv[1:]), "pid": os.getpid(),
        }
"""


@pytest.fixture
def opened(tmp_path):
    """Open slots on points that each do one of the things above; close them at the end."""
    kept = []

    def make(*points, source=FAULTS, **more):
        made = Slot(task(tmp_path, source, {"do": points}, **more), "w/0")
        kept.append(made)
        made.open()
        return made

    yield make
    for made in kept:
        made.close()


def evaluated(made, *, budget=30.0):
    return made.evaluate(batch(0, len(made.task.space["blocks"][0][0]["values"][0]), budget=budget))


def failures(reply):
    return {row["point"]: row["failure"] for row in table(reply) if row["status"] != "ok"}


def family(*, of=None):
    return {
        child.pid
        for child in psutil.Process(of).children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    }


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# Rows for whatever happens.


def test_what_raises_is_an_error_and_costs_no_child(opened):
    made = opened("a", "error", "leave", "interrupt", "b")
    pid = made._child.process.pid
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "error", 2: "error", 3: "error", 4: "ok"}
    assert [text.splitlines()[0] for text in failures(reply).values()] == [
        "ValueError: wrong", "SystemExit: 3", "KeyboardInterrupt",
    ]  # fmt: skip
    assert reply.slot == "w/0"
    assert made._child.process.pid == pid


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("exits", "the process ended with exit status 3"),
        ("segfault", "the process was killed by SIGSEGV"),
        ("killed", "the process was killed by SIGKILL"),
    ],
)
def test_a_crash_is_a_row_and_the_neighbours_are_kept(opened, fault, text):
    made = opened("a", "b", fault, "c")
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "ok", 2: "crash"}
    assert done(reply) == [0, 1, 2]
    assert [text.splitlines()[0] for text in failures(reply).values()] == [text]
    assert [row.get("value") for row in table(reply)] == ["a", "b", None]
    assert statuses(made.evaluate(batch(3, 4))) == {3: "ok"}


def test_two_crashes_of_one_batch(opened):
    reply = evaluated(opened("a", "exits", "b", "killed"))
    known = statuses(reply)
    assert known[1] == "crash"
    assert done(reply) == sorted(known)
    assert known[0] == "ok"


def test_an_innocent_victim_is_evaluated_again(tmp_path):
    source = """
        import os, time
        from pathlib import Path

        def f(do, mark):
            mark = Path(mark)
            if do == "victim" and not mark.exists():
                mark.write_text(str(os.getpid()))
                time.sleep(1000)
            return do
    """
    mark = tmp_path / "mark"
    made = Slot(task(tmp_path, source, {"do": ["a", "victim", "b"], "mark": [str(mark)]}), "w")
    try:
        with ThreadPoolExecutor(1) as thread:
            reply = thread.submit(made.evaluate, batch(0, 3))
            assert becomes_true(lambda: mark.exists() and mark.read_text())
            os.kill(int(mark.read_text()), signal.SIGKILL)
            assert set(statuses(reply.result(60)).values()) == {"ok"}
            assert done(reply.result()) == [0, 1]
    finally:
        made.close()


@pytest.mark.parametrize("fault", ["hang", "hang_in_c", "deaf"])
def test_a_point_that_hangs_is_ended_in_time(opened, fault, monkeypatch):
    monkeypatch.setattr("swath.slot.child.PATIENCE", 60.0)  # the keeper ends it, or it takes so long
    made = opened("a", fault, timeout=1.0)
    ended = []
    end = made._child.end

    def noted(**how):
        text = end(**how)
        ended.append(time.monotonic())
        return text

    made._child.end = noted
    began = time.monotonic()
    reply = evaluated(made)
    assert 1.0 < ended[0] - began < 60.0
    assert statuses(reply) == {0: "ok", 1: "timeout"}
    (text,) = failures(reply).values()
    first, *where = text.splitlines()
    assert first == "the point ran longer than 1 s"
    assert any(f"in {fault}" in line for line in where), "where it hung is kept"
    assert not any("evaluate.py" in line or "0x" in line for line in where), "and nothing else"
    row = table(reply)[1]
    assert 1.0 <= row["seconds"] < 60.0
    assert abs(row["started"].timestamp() + row["seconds"] - time.time()) < 60


def test_time_in_which_the_slot_s_own_process_was_stopped_does_not_count(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("swath.slot.watch.time", SimpleNamespace(monotonic=lambda: now[0]))
    crumb = blank()
    watch = Watch(task(tmp_path, FAULTS, {"do": ["a"]}, timeout=60.0), os.getpid(), crumb)
    crumb[HERE] = 0
    looks = []
    for passed in (0.25, 30.0, 0.25, 600.0, 0.25, *[0.25] * 237):
        now[0] += passed
        looks.append(watch.look()[0])
    assert looks[:-1] == [""] * (len(looks) - 1)
    assert looks[-1] == "timeout"


def test_processes_that_end_while_their_shares_are_added_up_make_no_point_guilty(tmp_path, monkeypatch):
    """Three processes share 200 MB; two of them end, each just after it was looked at."""
    alive = {11, 12, 13}

    def share(process):
        if process not in alive:
            return 0
        part = 200_000_000 // len(alive)
        alive.discard(process if len(alive) > 1 else -1)
        return part

    monkeypatch.setattr("swath.slot.watch.descendants", lambda _: [11, 12, 13])
    monkeypatch.setattr("swath.slot.watch.resident", lambda _: 200_000_000)
    monkeypatch.setattr("swath.slot.watch.owned", share)
    crumb = blank()
    watch = Watch(task(tmp_path, FAULTS, {"do": ["a"]}, memory=300_000_000), os.getpid(), crumb)
    crumb[HERE] = 0
    assert watch.look() == ("", "")


def test_many_short_points_are_no_long_one(opened):
    source = """
        import time

        def f(do):
            time.sleep(0.2)
            return do
    """
    reply = evaluated(opened(*range(8), source=source, timeout=1.0))
    assert set(statuses(reply).values()) == {"ok"}


def test_results_that_hang_whoever_looks_are_their_point_s(opened):
    source = """
        import time

        class Hostile:
            def __repr__(self):
                time.sleep(1000)

        def f(do):
            return Hostile() if do == "hostile" else do
    """
    reply = evaluated(opened("a", "hostile", source=source, timeout=0.5))
    assert statuses(reply) == {0: "ok", 1: "timeout"}


def test_memory_is_capped(opened):
    reply = evaluated(opened("a", "eats", memory=400 * 2**20))
    assert statuses(reply) == {0: "ok", 1: "oom"}
    (text,) = failures(reply).values()
    assert text.startswith("the point held ")
    assert text.endswith("more than the 419,430,400 it may")


def test_a_child_that_dies_between_batches_blames_nobody(opened):
    made = opened("a")
    assert statuses(evaluated(made)) == {0: "ok"}
    old = made._child.process.pid
    (child,) = family(of=old)
    os.kill(child, signal.SIGKILL)
    assert becomes_true(lambda: is_gone(old)), "the keeper ends with its child"
    assert statuses(evaluated(made)) == {0: "ok"}
    assert made._child.process.pid != old


# Its surroundings.


def test_what_a_point_finds_around_it(opened, tmp_path, monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    folder = tmp_path / "a folder"
    folder.mkdir()
    first, second = (opened("where", "children", "spawned", cores=2, folder=str(folder)) for _ in range(2))
    rows = [table(evaluated(made)) for made in (first, second)]
    for row in rows:
        assert row[0]["OMP_NUM_THREADS"] == "2"
        assert row[0]["MKL_NUM_THREADS"] == "7", "what the user has set holds"
        assert row[0]["input"] == ""
        assert row[0]["folder"] == str(folder)
        assert row[0]["arguments"] == "[]"
        assert [made["value"] for made in row[1:]] == [55, 55]
    assert rows[0][0]["SWATH_SLOT"] != rows[1][0]["SWATH_SLOT"]
    assert rows[0][0]["pid"] != rows[1][0]["pid"]


def test_a_number_is_free_again_once_its_slot_is_closed():
    first, second = Place(), Place()
    assert first.number != second.number
    first.release()
    first.release()
    third = Place()
    assert third.number <= first.number
    second.release()
    third.release()


# Objectives that cannot be used.


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "raise ValueError('no data')",
            r"objective:f cannot be imported: ValueError: no data\n(.|\n)*objective.py",
        ),
        ("import sys; sys.exit(3)", r"objective:f cannot be imported: SystemExit: 3"),
        (
            "import nowhere_at_all",
            r"cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'",
        ),
        (
            "import os; os._exit(3)",
            r"importing objective:f ended its process: the process ended with exit status 3",
        ),
        ("import time; time.sleep(1000)", r"importing objective:f took more than 2 s"),
    ],
)
def test_imports_that_fail(tmp_path, monkeypatch, source, text):
    if "sleep" in source:
        monkeypatch.setattr("swath.slot.child.IMPORT_TIMEOUT", 2.0)
    made = Slot(task(tmp_path, f"{source}\n\ndef f(do): pass", {"do": [1]}), "w")
    try:
        with pytest.raises(ObjectiveError, match=text):
            made.open()
    finally:
        made.close()


def test_modules_that_are_missing_where_the_slot_is(tmp_path):
    plan = task(tmp_path, "import helper\ndef f(do): pass", {"do": [1]})
    made = Slot(plan, "w")
    try:
        with pytest.raises(ObjectiveError, match="No module named 'helper'"):
            made.open()
    finally:
        made.close()


def test_the_child_reports_the_signature(opened):
    known = opened("a").open()
    assert (known.required, known.optional, known.anything) == (("do",), (), True)
    assert known.place.startswith("objective.py:")


# Ends.


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_nothing_is_left_after_close(tmp_path):
    gc.collect()
    before, processes = descriptors(), family()
    plan = task(tmp_path, FAULTS, {"do": ["children", "exits"]})
    made = Slot(plan, "w")
    assert statuses(made.evaluate(batch(0, 2))) == {0: "ok", 1: "crash"}
    made.close()
    made.close()
    del made
    never_used = Slot(plan, "w")
    never_used.close()
    del never_used
    gc.collect()
    assert descriptors() == before
    assert family() == processes


def test_closing_ends_a_point_that_runs(opened):
    made = opened("hang", "a")
    pid = made._child.process.pid
    with ThreadPoolExecutor(1) as thread:
        reply = thread.submit(evaluated, made)
        assert becomes_true(lambda: made._child.crumb[0] == 0)
        made.close()
        with pytest.raises(SlotBrokenError, match="slot w/0 is closed"):
            reply.result(30)
    assert is_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends a child with its parent")
@pytest.mark.parametrize("fault", ["hang", "hang_in_c"])
def test_children_end_with_a_parent_that_is_killed(tmp_path, fault):
    program = """
        import sys
        from pathlib import Path
        from swath.messages import Batch
        from swath.slot import Slot
        from swath.task import Task

        made = Slot(Task.decode(Path(sys.argv[1]).read_bytes()), "w")
        made.open()
        print(made._child.process.pid, flush=True)
        made.evaluate(Batch(1, "w", 0, 2, 1, 30.0))
    """
    plan = task(tmp_path, FAULTS, {"do": ["a", fault]})
    (tmp_path / "task").write_bytes(plan.encode())
    written(tmp_path, program=program)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "task")]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        assert becomes_true(lambda: child.status() == psutil.STATUS_SLEEPING)
        parent.kill()
    assert becomes_true(lambda: is_gone(child.pid))


# Several slots, and what waits for them.


WAITING = """
    import time
    from pathlib import Path

    def f(do, gate):
        while do == "wait" and not Path(gate).exists():
            time.sleep(0.01)
        return do
"""


@pytest.fixture(params=[True, False], ids=["isolated", "bare"])
def pool(request, tmp_path, monkeypatch):
    """One slot whose points wait for a gate."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    points = {"do": ["a", "wait", *range(100)], "gate": [str(tmp_path / "gate")]}
    module = f"waiting_{request.param}_{request.node.name.partition('[')[0]}"
    made = Pool(task(tmp_path, WAITING, points, module=module, isolated=request.param), "w", 1)
    made.open()
    made.gate = tmp_path / "gate"
    yield made
    made.gate.touch()
    made.close()


def crumb(made):
    (slot,) = made.slots
    return slot._child.crumb if isinstance(slot, Slot) else slot._crumb


def test_taking_back_what_has_not_begun(pool):
    running, waiting = batch(0, 100, number=1), batch(100, 102, number=2)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.evaluate, running)
        assert becomes_true(lambda: crumb(pool)[0] == 1)
        second = threads.submit(pool.evaluate, waiting)
        assert pool.recall(waiting) == (100, 102)
        assert pool.recall(running) == (2, 100)
        assert pool.idle_seconds() == 0.0
        pool.gate.touch()
        assert {0, 1} <= set(done(first.result(30)))
        assert second.result(30) is None
    assert pool.recall(running) == (100, 100), "it was answered"
    assert pool.recall(batch(5, 7, number=3)) == (5, 7)
    assert pool.evaluate(batch(5, 7, number=3)) is None, "it came after it had been given back"
    assert statuses(pool.evaluate(batch(5, 7, number=4))) == {5: "ok", 6: "ok"}
    assert 0.0 <= pool.idle_seconds() < 60


def test_batches_are_served_in_the_order_in_which_they_came(tmp_path):
    plan = task(tmp_path, WAITING, {"do": ["wait", *range(9)], "gate": [str(tmp_path / "gate")]})
    made = Pool(plan, "w", 1)
    try:
        with ThreadPoolExecutor(10) as threads:
            answers = []
            for i in range(10):
                answers.append(threads.submit(made.evaluate, batch(i, i + 1, number=i)))
                assert becomes_true(lambda i=i: len(made._waiting) == i)
            assert made.recall(batch(4, 5, number=4)) == (4, 5)
            assert answers.pop(4).result(60) is None, "it does not wait for a slot"
            (tmp_path / "gate").touch()
            began = [table(answer.result(60))[0]["started"] for answer in answers]
        assert began == sorted(began)
    finally:
        made.close()


def test_the_next_batch_begins_before_the_reply_of_the_last_is_read(tmp_path, monkeypatch):
    gates = [tmp_path / "first", tmp_path / "second"]
    made = Pool(task(tmp_path, WAITING, {"do": ["wait"], "gate": list(map(str, gates))}), "w", 1)
    begun = []

    def reading(message):
        if not begun:
            begun.append(becomes_true(lambda: crumb(made)[HERE] == 1))
        gates[1].touch()
        return unpack(message)

    monkeypatch.setattr("swath.slot.child.unpack", reading)
    later = batch(1, 2, number=2)
    try:
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(made.evaluate, batch(0, 1, number=1))
            assert becomes_true(lambda: crumb(made)[HERE] == 0)
            second = threads.submit(made.evaluate, later)
            assert becomes_true(lambda: made._waiting)
            gates[0].touch()
            assert done(first.result(60)) == [0]
            assert begun == [True]
            assert done(second.result(60)) == [1]
        assert made.recall(later) == (2, 2), "it was answered"
    finally:
        made.close()


def test_a_batch_that_was_begun_ahead_outlives_the_death_of_its_child(tmp_path):
    source = """
        import os

        def f(do, folder):
            mark = os.path.join(folder, "died")
            if do == "dies" and not os.path.exists(mark):
                open(mark, "w").close()
                os._exit(3)
            return do
    """
    made = Pool(task(tmp_path, source, {"do": ["first", "dies", "last"], "folder": [str(tmp_path)]}), "w", 1)
    try:
        made.open()
        with ThreadPoolExecutor(3) as threads:
            with made._lock:  # nothing is handed on before all are there
                answers = [threads.submit(made.evaluate, batch(i, i + 1, number=i)) for i in range(3)]
            found = [statuses(answer.result(60)) for answer in answers]
        assert found == [{0: "ok"}, {1: "ok"}, {2: "ok"}]
    finally:
        made.close()


def test_a_pool_is_closed_while_a_batch_is_begun_ahead(tmp_path, monkeypatch):
    gates = [tmp_path / "first", tmp_path / "second"]
    made = Pool(task(tmp_path, WAITING, {"do": ["wait"], "gate": list(map(str, gates))}), "w", 1)

    def reading(message):
        assert becomes_true(lambda: crumb(made)[HERE] == 1)
        made.close()
        return unpack(message)

    monkeypatch.setattr("swath.slot.child.unpack", reading)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(made.evaluate, batch(0, 1, number=1))
        assert becomes_true(lambda: crumb(made)[HERE] == 0)
        second = threads.submit(made.evaluate, batch(1, 2, number=2))
        assert becomes_true(lambda: made._waiting)
        gates[0].touch()
        assert done(first.result(60)) == [0]
        with pytest.raises(SlotBrokenError, match="closed"):
            second.result(60)
    (slot,) = made.slots
    assert slot._child.process.returncode is not None


def test_points_do_not_pay_for_what_they_do_not_import(tmp_path):
    """Neither the best value, nor what a search asks for, nor a failure needs pandas in a slot."""
    source = """
        import sys

        def f(do):
            if do == 1:
                raise ValueError("wrong")
            heavy = {"pandas", "scipy", "pydantic", "distributed", "optuna"} & set(sys.modules)
            return {"loss": do, "heavy": ", ".join(sorted(heavy)), "some": None if do % 2 else 1.5}
    """
    plan = task(tmp_path, source, {"do": range(6)}, goal=("loss", 1), wanted=("loss", "some"))
    made = Slot(plan, "w/0")
    try:
        made.evaluate(batch(0, 3))
        reply = made.evaluate(batch(3, 6))
        assert [row["heavy"] for row in table(reply)] == [""] * 3
        assert reply.best == (3.0, 3)
    finally:
        made.close()


def test_slots_work_side_by_side(tmp_path):
    plan = task(tmp_path, WAITING, {"do": ["a", "wait"], "gate": [str(tmp_path / "gate")]})
    made = Pool(plan, "w", 2)
    try:
        assert [slot.name for slot in made.slots] == ["w/0", "w/1"]
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(made.evaluate, batch(1, 2, number=1))
            assert becomes_true(lambda: any(slot._child.crumb[0] == 1 for slot in made.slots))
            free = made.evaluate(batch(0, 1, number=2))
            (tmp_path / "gate").touch()
            assert {free.slot, held.result(30).slot} == {"w/0", "w/1"}
    finally:
        made.close()
    assert all(slot._child.process.returncode is not None for slot in made.slots)


def test_a_pool_whose_objective_cannot_be_imported(tmp_path):
    made = Pool(task(tmp_path, "1 / 0\ndef f(do): pass", {"do": [1]}), "w", 2)
    try:
        with pytest.raises(ObjectiveError, match="ZeroDivisionError"):
            made.open()
    finally:
        made.close()


def test_threads_of_this_process_do_not_matter(opened):
    held = threading.Lock()
    held.acquire()  # a forked child would inherit it like this
    threading.Thread(target=held.acquire, daemon=True).start()
    assert statuses(evaluated(opened("a"))) == {0: "ok"}
    held.release()
