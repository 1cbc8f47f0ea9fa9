"""Points that end their process, their parent, their group: B06 to B08."""

from __future__ import annotations

import time

from tasks import batch, evaluated, failures, statuses, table

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


def die(opened, *faults):
    """Let every fault have neighbours that must not notice; return the longest time that the slot was away."""
    made = opened(DEATHS, *(do for fault in faults for do in ("a", fault, "b")))
    away = []
    for i, fault in enumerate(faults):
        reply = made.evaluate(batch(3 * i, 3 * i + 3))
        assert statuses(reply) == {3 * i: "ok", 3 * i + 1: "crash"}
        assert failures(reply) == {3 * i + 1: f"the process {DEADLY[fault]}"}
        began = time.monotonic()
        assert statuses(made.evaluate(batch(3 * i + 2, 3 * i + 3))) == {3 * i + 2: "ok"}
        away.append(time.monotonic() - began)
    return max(away)


def test_B06_a_process_that_ends_itself_is_a_crash(opened):
    die(opened, "exits", "aborts")


def test_B07_a_fault_in_c_is_a_crash_and_names_its_signal(opened):
    die(opened, "segfault", "illegal", "overflow")


def test_B07_a_crash_shows_where_it_was(opened):
    (row,) = (row for row in table(evaluated(opened(DEATHS, "segfault"))))
    assert "in segfault" in row["failure"]


def test_B08_whomever_a_point_kills_it_is_its_own_crash(opened, monkeypatch):
    monkeypatch.setattr("swath.slot.child.PATIENCE", 60.0)  # a slot waits for nobody who is dead or stopped
    away = die(
        opened, "kills_itself", "kills_its_group", "kills_its_parent", "kills_its_parent_s_group",
        "stops_its_parent", "daemon_and_parent",
    )  # fmt: skip
    assert away < 60.0, "the slot was not back at once"


def test_B08_a_keeper_takes_no_orders_from_a_point(opened):
    made = opened(DEATHS, "asks_its_parent", "a")
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "ok"}
    assert table(reply)[0]["value"] == made._child.process.pid
