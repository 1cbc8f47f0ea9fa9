"""What points change around them: B19 and B32; and points that are fresh."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import cloudpickle
import numpy as np
import pandas as pd
import psutil
import pytest

import swath
from swath.inside.own import own
from swath.slot import Slot
from swath.space import Axis, Opaque, Space
from swath.space.expressions import Expression
from tasks import batch, becomes_true, done, evaluated, failures, statuses, table, task, written

DISTURBS = """
    import ctypes, decimal, gc, json, locale, os, random, resource, signal, sys, tempfile, time, warnings
    import numpy as np

    SEEN = []

    def f(do):
        return globals()[do]() if do in globals() else do

    def disturb():
        SEEN.append(1)
        os.chdir("/")
        os.environ["SWATH_TEST"] = "disturbed"
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
        os.environ.pop("HOME", None)
        locale.setlocale(locale.LC_ALL, "C")
        os.umask(0o123)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        signal.setitimer(signal.ITIMER_REAL, 1000)
        random.seed(7)
        np.random.seed(7)
        warnings.simplefilter("error")
        decimal.getcontext().prec = 3
        np.seterr(all="raise")
        sys.setrecursionlimit(500)
        gc.disable()
        sys.path.insert(0, "/nowhere")
        sys.stdin = None
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        tempfile.tempdir = "/nowhere"
        return look()

    def look():
        mask = os.umask(0)
        os.umask(mask)
        return json.dumps({
            "folder": os.getcwd(),
            "environment": sorted(key + "=" + value for key, value in os.environ.items() if key != "TMPDIR"),
            "zone": time.tzname,
            "locale": locale.setlocale(locale.LC_ALL),
            "umask": mask,
            "handlers": str([signal.getsignal(number) for number in sorted(signal.valid_signals())]),
            "mask": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            "timer": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
            "filters": str(warnings.filters),
            "precision": decimal.getcontext().prec,
            "errors": np.geterr(),
            "recursion": sys.getrecursionlimit(),
            "collects": gc.isenabled(),
            "path": sys.path,
            "input": str(type(sys.stdin)),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "processors": sorted(os.sched_getaffinity(0)),
        }, sort_keys=True)

    def seen():
        return len(SEEN)

    def draws():
        return f"{random.random()} {np.random.random()}"

    def scratch():
        folder = tempfile.gettempdir()
        with open(os.path.join(folder, "file"), "x") as file:
            file.write("x")
        return folder

    def pid():
        return os.getpid()
"""


def values(reply):
    return [row["value"] for row in table(reply)]


def test_B19_what_a_point_changes_is_put_back_before_the_next_batch(opened):
    made = opened(DISTURBS, "look", "disturb", "look")
    before, disturbed = values(made.evaluate(batch(0, 2)))
    assert before != disturbed
    assert values(made.evaluate(batch(2, 3))) == [before]


def test_B19_what_a_fresh_point_changes_reaches_no_other(opened):
    made = opened(DISTURBS, "look", "disturb", "look", "seen", fresh=True)
    before, disturbed, after, seen = values(evaluated(made))
    assert before != disturbed
    assert after == before
    assert seen == 0, "not even what the module holds"


@pytest.mark.parametrize("fresh", [False, True])
def test_B19_random_numbers_are_neither_seeded_by_a_neighbour_nor_repeated(opened, fresh):
    made = opened(DISTURBS, *["disturb", "draws"] * 4, fresh=fresh)
    drawn = []
    for start in range(0, 8, 2):
        made.evaluate(batch(start, start + 1))
        drawn += values(made.evaluate(batch(start + 1, start + 2)))
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("fresh", [False, True])
def test_B19_a_module_that_seeds_them_itself_is_obeyed(opened, fresh):
    source = DISTURBS + "\n    random.seed(1)\n    np.random.seed(2)\n"
    made = opened(source, *["draws"] * 3, fresh=fresh)
    drawn = [value for start in range(3) for value in values(made.evaluate(batch(start, start + 1)))]
    assert len(set(drawn)) == 1


def test_B18_a_fresh_point_has_its_own_folder_for_temporary_files(opened):
    folders = values(evaluated(opened(DISTURBS, "scratch", "scratch", fresh=True)))
    assert len(set(folders)) == 2
    assert not any(Path(folder).exists() for folder in folders)


FRESH = """
    import os, signal, sys, threading, time

    def f(do):
        return globals()[do]() if do in globals() else do

    def error():
        raise ValueError("wrong")

    def exits():
        os._exit(3)

    def exits_well():
        os._exit(0)

    def segfault():
        os.kill(os.getpid(), signal.SIGSEGV)

    def hangs():
        time.sleep(1e9)

    def kills_its_parent():
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1e9)

    def leaves():
        threading.Thread(target=time.sleep, args=(1e9,)).start()
        if os.fork() == 0:
            os.setsid()
            time.sleep(1e9)
        return os.getppid()

    def prints():
        print("said")
"""


def test_B07_fresh_points_are_judged_without_another_import(opened):
    made = opened(FRESH, "a", "exits", "error", "segfault", "exits_well", "leaves", "b", "prints", fresh=True)
    child = made._child.process.pid
    reply = evaluated(made)
    assert done(reply) == list(range(8))
    assert statuses(reply) == dict(enumerate(["ok", "crash", "error", "crash", "crash", "ok", "ok", "ok"]))
    assert failures(reply) == {
        1: "the process ended with exit status 3",
        2: "ValueError: wrong",
        3: "the process was killed by SIGSEGV",
        4: "the process ended with exit status 0",
    }
    assert "in segfault" in table(reply)[3]["failure"]
    assert made._child.process.pid == child
    assert len(psutil.Process(child).children(recursive=True)) == 1, "what a point left is gone"
    assert [(log.first, log.last, log.text) for log in reply.logs] == [(7, 7, "said\n")]


def test_B09_fresh_points_that_hang_are_ended(opened):
    made = opened(FRESH, "a", "hangs", "kills_its_parent", "b", timeout=1.0, fresh=True)
    began = time.monotonic()
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "timeout"}
    assert time.monotonic() - began < 60
    assert "in hangs" in table(reply)[1]["failure"], "it is the copy that shows where it hung"
    assert statuses(made.evaluate(batch(2, 4))) == {2: "crash"}
    assert statuses(made.evaluate(batch(3, 4))) == {3: "ok"}


def test_B35_fresh_points_can_be_taken_back(opened):
    source = """
        import time
        def f(do):
            time.sleep(0.2)
            return do
    """
    made = opened(source, *range(100), fresh=True)
    offer = batch(0, 100)
    with ThreadPoolExecutor(1) as thread:
        reply = thread.submit(made.evaluate, offer)
        assert becomes_true(lambda: made._child.crumb[0] >= 1)
        first = made.take_back(offer)
        assert done(reply.result(60)) == list(range(first))
    assert first < 50


MUTATES = """
    def f(x, given, nested, table, large, small, model):
        seen = [given, nested, table["v"].tolist(), float(large[0]), float(small[0]), model.fitted]
        seen = repr(seen)
        given.append(x)
        nested["a"]["b"].append(x)
        table.loc[0, "v"] = -1.0
        small[0] = -1.0
        model.fitted.append(x)
        try:
            large[0] = -1.0
        except ValueError as error:
            assert "read-only" in str(error)
        return seen
"""


class Model:
    """As of somebody's library: it holds a lock, and cannot be compared."""

    def __init__(self):
        self.fitted = []


def test_B32_what_a_point_does_to_its_parameters_reaches_no_other(tmp_path):
    constants = {
        "table": pd.DataFrame({"v": [1.0, 2.0]}), "large": np.ones(10**6), "small": np.ones(10),
        "model": Model(),
    }  # fmt: skip
    parameters = {"x": range(20), "given": [[0]], "nested": [{"a": {"b": []}}]}
    parameters |= {name: [Opaque(name, "object")] for name in constants}
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        pickled = {name: cloudpickle.dumps(constant) for name, constant in constants.items()}
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    made = Slot(task(tmp_path, MUTATES, parameters, constants=pickled), "w")
    try:
        first, second = made.evaluate(batch(0, 10)), made.evaluate(batch(10, 20))
    finally:
        made.close()
    seen = [*values(first), *values(second)]
    assert set(seen) == {"[[0], {'a': {'b': []}}, [1.0, 2.0], 1.0, 1.0, []]"}


def test_B32_what_cannot_be_copied_is_shared():
    lock, text = Lock(), "text"
    assert own(lock) is lock
    assert own(text) is text
    assert own(own) is own
    large = np.ones(10**6)
    assert np.shares_memory(own(large), large)
    assert not np.shares_memory(own(large[:10]), large)
    assert large.flags.writeable


def test_B19_fresh_points_obey_where_and_limits(tmp_path):
    space = Space([[Axis(("x",), (list(range(3000)),))]], where=Expression("x % 1000 == 7"))
    made = Slot(task(tmp_path, "def f(x): return x", space, fresh=True), "w")
    try:
        reply = made.evaluate(batch(0, 3000))
        assert (reply.done, values(reply)) == (((0, 3000),), [7, 1007, 2007])
        assert reply.failed == ()
        reply = made.evaluate(batch(0, 3000, limit=2))
        assert (reply.done, values(reply)) == (((0, 1008),), [7, 1007])
        reply = made.evaluate(batch(0, 3000, budget=0.0))
        assert values(reply) in ([], [7])
    finally:
        made.close()


STUDY = """
objective: grow:f
parameters: {x: [1, 2, 3, 4]}
point: {fresh: true}
maximize: length
"""


def test_B19_a_sweep_of_fresh_points(tmp_path, monkeypatch):
    monkeypatch.chdir(
        written(tmp_path, grow="HELD = []\ndef f(x): HELD.append(x); return {'length': len(HELD)}")
    )
    Path("grow.yaml").write_text(STUDY)
    assert swath.load("grow.yaml").run(workers=1).frame["length"].tolist() == [1] * 4
    with pytest.raises(swath.UsageError, match=r"point\.fresh gives every point a process of its own"):
        swath.load("grow.yaml").run(engine="inline", out="elsewhere")
    Path("grow.yaml").write_text(STUDY + "isolation: none\n")
    with pytest.raises(swath.UsageError, match="isolation: none do not"):
        swath.load("grow.yaml").run(workers=1, out="elsewhere")
