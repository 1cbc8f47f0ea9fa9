"""Points that end their process, their parent, their group, or that leave processes: B06 to B08, B13."""

from __future__ import annotations

import time

import psutil
import pytest

from swath.slot import Slot
from tasks import batch, becomes_true, statuses, table, task

DEATHS = """
    import ctypes, os, signal, subprocess, sys, threading, time

    def f(do):
        return globals()[do]() if do in globals() else do

    def exits():
        os._exit(3)

    def aborts():
        os.abort()

    def segfault():
        ctypes.string_at(0)

    def illegal():
        os.kill(os.getpid(), signal.SIGILL)

    def overflow():
        deep = ctypes.CFUNCTYPE(None)
        calls = deep(lambda: calls())
        sys.setrecursionlimit(10**9)
        threading.stack_size(0)
        calls()

    def kills_itself():
        os.kill(os.getpid(), signal.SIGKILL)

    def kills_its_parent():
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)

    def kills_its_group():
        os.killpg(0, signal.SIGKILL)

    def kills_its_parent_s_group():
        os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)
        time.sleep(1000)

    def stops_its_parent():
        os.kill(os.getppid(), signal.SIGSTOP)
        os._exit(3)

    def asks_its_parent():
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            os.kill(os.getppid(), number)
        return os.getppid()

    def daemon():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 1000)
                time.sleep(1000)
            os._exit(0)
        os.wait()
        return "left"

    def daemon_and_parent():
        daemon()
        kills_its_parent()
"""


def bearing(mark):
    """Process ids of whoever was started with something in its environment."""
    found = set()
    for process in psutil.process_iter():
        try:
            if mark in "\0".join(process.environ().values()):
                found.add(process.pid)
        except psutil.Error:
            pass
    return found


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open slots on points that each do one of the things above; nothing of them is left at the end."""
    monkeypatch.setenv("SWATH_TEST", mark := f"mark {tmp_path}")
    kept = []

    def make(*points, source=DEATHS, **more):
        made = Slot(task(tmp_path, source, {"do": points}, **more), "w/0")
        kept.append(made)
        made.open()
        return made

    yield make
    for made in kept:
        made.close()
    assert becomes_true(lambda: not bearing(mark), 5.0), "processes are left"


def evaluated(made):
    return made.evaluate(batch(0, len(made.task.space["blocks"][0][0]["values"][0])))


def failure(reply):
    (text,) = [row["failure"] for row in table(reply) if row["status"] != "ok"]
    return text.splitlines()[0]


DEADLY = {
    "exits": "ended with exit status 3",
    "aborts": "was killed by SIGABRT",
    "segfault": "was killed by SIGSEGV",
    "illegal": "was killed by SIGILL",
    "overflow": "was killed by SIGSEGV",
    "kills_itself": "was killed by SIGKILL",
    "kills_its_group": "was killed by SIGKILL",
    "kills_its_parent": "was killed by SIGKILL",
    "kills_its_parent_s_group": "was killed by SIGKILL",
    "stops_its_parent": "ended with exit status 3",
    "daemon_and_parent": "was killed by SIGKILL",
}


def dies(made, fault):
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "crash"}
    assert failure(reply) == f"the process {DEADLY[fault]}"
    began = time.monotonic()
    assert statuses(made.evaluate(batch(2, 3))) == {2: "ok"}
    return time.monotonic() - began


@pytest.mark.parametrize("fault", ["exits", "aborts"])
def test_B06_a_process_that_ends_itself_is_a_crash(opened, fault):
    dies(opened("a", fault, "b"), fault)


@pytest.mark.parametrize("fault", ["segfault", "illegal", "overflow"])
def test_B07_a_fault_in_c_is_a_crash_and_names_its_signal(opened, fault):
    dies(opened("a", fault, "b"), fault)


@pytest.mark.parametrize(
    "fault",
    [
        "kills_itself",
        "kills_its_group",
        "kills_its_parent",
        "kills_its_parent_s_group",
        "stops_its_parent",
        "daemon_and_parent",
    ],
)
def test_B08_whomever_a_point_kills_it_is_its_own_crash(opened, fault):
    assert dies(opened("a", fault, "b"), fault) < 5.0, "the slot is back within 5 s"


def test_B08_a_keeper_takes_no_orders_from_a_point(opened):
    made = opened("asks_its_parent", "a")
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "ok"}
    assert table(reply)[0]["value"] == made._child.process.pid
