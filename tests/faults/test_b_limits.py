"""Points that take too much time or memory: B09 to B12."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest

from swath.inside.keeper import SHOW_TIME, TERM_TIME
from swath.slot.watch import SELDOM
from tasks import batch, becomes_true, evaluated, failures, statuses, table

HANGS = """
    import ctypes, os, signal, subprocess, sys, threading, time

    def f(do):
        return globals()[do]() if do in globals() else do

    def sleeps():
        time.sleep(1e9)

    def spins():
        while True:
            pass

    def swallows():
        while True:
            try:
                time.sleep(1e9)
            except BaseException:
                pass

    def holds_the_gil():
        ctypes.PyDLL(None).sleep(10**9)

    def blocks():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        swallows()

    def ignores():
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
            signal.signal(number, signal.SIG_IGN)
        swallows()

    def stops():
        os.kill(os.getpid(), signal.SIGSTOP)
        swallows()

    def waits_for_a_child():
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1e9)"])

    def tidies_up():
        signal.signal(signal.SIGTERM, lambda *_: (open("tidy", "w").close(), os._exit(0)))
        swallows()
"""

LIMIT = 0.5


def hang(opened, *faults, **more):
    """Let points hang, each with a neighbour; give the text about each."""
    made = opened(HANGS, *(do for fault in faults for do in ("a", fault)), timeout=LIMIT, **more)
    end = type(made._child).end

    def noted(child, ends, **how):
        text = end(child, **how)
        ends.append(time.monotonic())
        return text

    texts = {}
    for i, fault in enumerate(faults):
        ends = []
        made._child.end = lambda child=made._child, ends=ends, **how: noted(child, ends, **how)
        began = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("swath.slot.child.PATIENCE", 60.0)
            reply = made.evaluate(batch(2 * i, 2 * i + 2))
        assert LIMIT < ends[0] - began < 60.0, f"{fault}: the keeper did not end it"
        assert statuses(reply) == {2 * i: "ok", 2 * i + 1: "timeout"}, fault
        assert failures(reply) == {2 * i + 1: "the point ran longer than 0.5 s"}
        texts[fault] = table(reply)[1]["failure"]
    return texts


def test_B09_a_slot_is_free_within_the_timeout_and_a_second():
    assert SELDOM + SHOW_TIME + TERM_TIME < 1.0, "what is waited for until it is killed"


def test_B09_a_point_that_hangs_in_python_is_ended(opened):
    texts = hang(opened, "sleeps", "spins", "swallows", "waits_for_a_child")
    assert all(f"in {fault}" in text for fault, text in texts.items()), "where it hung is kept"


def test_B10_a_point_that_hangs_in_c_is_ended(opened):
    (text,) = hang(opened, "holds_the_gil").values()
    assert "in holds_the_gil" in text


def test_B11_a_point_that_is_deaf_to_signals_is_ended(opened):
    hang(opened, "blocks", "ignores", "stops")


def test_B11_a_point_may_tidy_up_when_it_is_asked_to_end(opened, tmp_path):
    hang(opened, "tidies_up", folder=str(tmp_path))
    assert (tmp_path / "tidy").exists()


CGROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def cgroup(kind, **settings):
    """Make a control group of a kind that the kernel's first interface has, for the test alone."""
    group = CGROUPS / kind / f"swath-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group for {kind} can be made here: {error}")
    try:
        for name, value in settings.items():
            (group / f"{kind}.{name}").write_text(str(value))
        yield group
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            (CGROUPS / kind / "cgroup.procs").write_text(member)
        assert becomes_true(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_B11_a_child_that_cannot_be_killed_is_abandoned(opened):
    source = """
        import os, time
        from pathlib import Path

        def f(do):
            if do == "freeze":  # the kernel keeps what is frozen, as it keeps what waits for a dead disk
                group = Path(os.environ["FREEZER"])
                (group / "cgroup.procs").write_text(str(os.getpid()))
                (group / "freezer.state").write_text("FROZEN")
                time.sleep(1e9)
            return do
    """
    with cgroup("freezer") as group, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FREEZER", str(group))
        made = opened(source, "a", "freeze", "b", timeout=LIMIT)
        try:
            began = time.monotonic()
            reply = made.evaluate(batch(0, 2))
            assert time.monotonic() - began < 60
            (stuck,) = (group / "cgroup.procs").read_text().split()
            assert psutil.Process(int(stuck)).status() == psutil.STATUS_DISK_SLEEP
            assert statuses(reply) == {0: "ok", 1: "timeout"}
            assert failures(reply) == {
                1: "the point ran longer than 0.5 s; the process does not end, even by SIGKILL; its slot goes on without it"
            }
            assert statuses(made.evaluate(batch(2, 3))) == {2: "ok"}
        finally:
            (group / "freezer.state").write_text("THAWED")
        assert becomes_true(lambda: not psutil.pid_exists(int(stuck)))


HOGS = """
    import mmap, os, sys, time

    MB = 2**20

    def f(do):
        return globals()[do]() if do in globals() else do

    def slowly():
        held = []
        while True:
            held.append(b"x" * (4 * MB))
            time.sleep(0.005)

    def at_once():
        held = bytearray(600 * MB)
        time.sleep(1e9)

    def mapped():
        held = mmap.mmap(-1, 600 * MB)
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        time.sleep(1e9)

    def grandchild():
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid()
                at_once()
            os._exit(0)
        time.sleep(1e9)

    def copies():
        held = bytearray(b"x" * (120 * MB))
        children = []
        while len(children) < 2:
            children.append(os.fork())
            if children[-1] == 0:
                time.sleep(0.3)
                os._exit(sum(held[::mmap.PAGESIZE]) == 0)
        return sum(os.waitpid(child, 0)[1] for child in children)

    def reads_a_file():
        with open("large", "wb") as file:
            file.truncate(600 * MB)
        with open("large", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
            found = sum(held[page] for page in range(0, len(held), mmap.PAGESIZE))
            time.sleep(0.3)
        return found

    LEAK = []

    def leaks():
        LEAK.append(b"x" * (20 * MB))
        time.sleep(0.02)
"""
CAP = 300 * 2**20


def test_B12_a_point_that_takes_too_much_memory_is_oom(opened):
    made = opened(HOGS, "a", "slowly", "at_once", "mapped", "grandchild", "b", memory=CAP)
    known = {}
    while len(known) < 6:
        start = min(set(range(6)) - set(known))
        reply = made.evaluate(batch(start, 6))
        known |= statuses(reply)
        for text in failures(reply).values():
            assert text.startswith("the point held ")
            assert text.endswith("more than the 314,572,800 it may")
    assert known == {0: "ok", 1: "oom", 2: "oom", 3: "oom", 4: "oom", 5: "ok"}


def test_B12_whom_the_kernel_kills_for_memory_is_oom(opened):
    source = """
        import os
        from pathlib import Path

        def f(do):
            return len(bytearray(b"x") * (600 * 2**20)) if do == "at_once" else do

        Path(os.environ["GROUP"], "cgroup.procs").write_text(str(os.getpid()))
    """
    with cgroup("memory", limit_in_bytes=CAP) as group, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUP", str(group))
        made = opened(source, "a", "at_once", "b")
        reply = made.evaluate(batch(0, 2))
        assert statuses(reply) == {0: "ok", 1: "oom"}
        assert failures(reply) == {
            1: "the machine had no memory left: the process was killed by SIGKILL, by the kernel"
        }
        assert statuses(made.evaluate(batch(2, 3))) == {2: "ok"}
        made.close()


def test_B12_memory_is_not_counted_twice_nor_files_at_all(opened, tmp_path):
    reply = evaluated(opened(HOGS, "copies", "reads_a_file", memory=CAP, folder=str(tmp_path)))
    assert statuses(reply) == {0: "ok", 1: "ok"}


def test_B15_memory_that_leaks_is_nobody_s_fault(opened):
    made = opened(HOGS, *["leaks"] * 40, memory=CAP)
    first, known = made._child.process.pid, {}
    while len(known) < 40:
        start = min(set(range(40)) - set(known))
        known |= statuses(made.evaluate(batch(start, 40)))
    assert set(known.values()) == {"ok"}
    assert made._child.process.pid != first, "it was replaced"
