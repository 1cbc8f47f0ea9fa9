"""FAULTS B16, B17: what points print is kept with their rows, as far as it is reasonable, and harms nothing."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import time

import psutil
import pytest

from running import ask
from swath.inside.crumb import NONCE
from swath.inside.output import MARK
from swath.ranges import RangeSet
from swath.slot import Slot
from swath.slot import output as ends
from swath.slot.output import MOST_KEPT, Output
from swath.task import pack, unpack
from tasks import batch, done, statuses, table, task, written

LOUD = """
import ctypes, mmap, os, subprocess, sys, time

LIBC = ctypes.CDLL(None)
PAGES = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # which nobody writes to: no memory
LARGE = ctypes.addressof(ctypes.c_char.from_buffer(PAGES))

print("imported")

def f(do):
    kind, _, rest = str(do).partition(" ")
    return globals()[kind](rest) if kind in globals() else do

def says(text):
    print(text)
    print("and complains", file=sys.stderr)

def says_late(text):
    time.sleep(0.01)
    says(text)

def mutters(text):
    sys.stdout.write(text)

def c_says(text):
    LIBC.printf(b"%s\\n", text.encode())

def c_mutters(text):
    LIBC.printf(b"%s", text.encode())

def shell(text):
    subprocess.run(["echo", text], stdout=sys.stdout, check=True)
    os.system(f"echo {text} >&2")

def binary(text):
    os.write(1, bytes(range(256)))

def pours(size):
    for _ in range(int(size)):
        sys.stdout.write("x" * (1 << 20))

def c_pours(text):
    left = 1 << 30  # in one call
    while left > 0:
        left -= LIBC.write(1, ctypes.c_void_p(LARGE), ctypes.c_size_t(left))

def forever(text):
    while True:
        print("again and again")

def holds(text):
    lib = ctypes.PyDLL(None)  # keeps the lock of the interpreter
    while True:
        lib.write(1, b"x" * 65536, ctypes.c_size_t(65536))

def dies(text):
    print("last words", end="")
    LIBC.printf(b"of C\\n")
    os._exit(3)

def hangs(text):
    print("about to hang")
    time.sleep(1000)

def closes(text):
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    open("taken", "w").write("mine")

def closes_streams(text):
    sys.stdout.close()
    sys.stderr.close()

def closes_all(text):
    os.closerange(3, 10_000)

def replaces(text):
    sys.stdout = sys.stderr = None

def redirects(text):
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
"""


@pytest.fixture
def opened(tmp_path):
    """Open slots on points that each do one of the things above; close them at the end."""
    kept = []

    def make(*points, **more):
        made = Slot(task(tmp_path, LOUD, {"do": points}, folder=str(tmp_path), **more), "w/0")
        kept.append(made)
        made.open()
        return made

    yield make
    for made in kept:
        made.close()


def evaluated(made, start=0):
    reply = made.evaluate(batch(start, len(made.task.space["blocks"][0][0]["values"][0])))
    assert unpack(pack(reply)) == reply
    return reply


def printed(reply):
    """What each point has printed; it must be known which it was."""
    found = {}
    for log in reply.logs:
        assert log.first == log.last, log
        assert log.first == -1 or log.first in done(reply)
        found[log.first] = found.get(log.first, "") + log.text
    return found


def test_B16_what_is_printed_belongs_to_its_point_from_python_from_c_and_from_children(opened):
    made = opened(
        "says_late hello", "mutters no end", "c_says from C", "a", "shell there", "c_mutters on", "binary"
    )
    first = evaluated(made)
    assert set(statuses(first).values()) == {"ok"}
    assert first.logs[0].text == "imported\n"
    assert (first.logs[0].first, first.logs[0].size) == (-1, 9)
    expected = {
        0: "hello\nand complains\n",
        1: "no end",
        2: "from C\n",
        4: "there\nthere\n",
        5: "on",
        6: bytes(range(256)).decode(errors="backslashreplace"),
    }
    assert {-1: "imported\n"} | expected == printed(first)
    assert printed(evaluated(made)) == expected


def test_B16_points_that_are_fresh_are_told_apart_too(opened):
    made = opened("says one", "a", "c_mutters two", "dies", "shell three", fresh=True)
    reply = evaluated(made)
    assert statuses(reply) == {0: "ok", 1: "ok", 2: "ok", 3: "crash", 4: "ok"}
    assert printed(reply) == {
        -1: "imported\n",
        0: "one\nand complains\n",
        2: "two",
        3: "last wordsof C\n" * 2,  # its death was no verdict before the second
        4: "three\nthree\n",
    }


def test_B16_output_among_short_points_is_of_a_range_at_first_and_then_of_its_point(opened):
    made = opened(*range(20), "says once", *range(100))
    ((first, last, text),) = [(log.first, log.last, log.text) for log in evaluated(made).logs[1:]]
    assert first <= 20 <= last
    assert text == "once\nand complains\n"
    assert printed(evaluated(made)) == {20: text}, (
        "the batch after one that has printed is looked at point by point"
    )


def test_B16_silent_points_have_no_logs(opened):
    made = opened(*range(1000))
    evaluated(made)
    assert evaluated(made).logs == ()


def test_B16_a_flood_is_capped_and_counted_and_fills_no_memory(opened):
    made = opened("a", "c_pours", "pours 32", "b")
    process = psutil.Process()
    before, reply = process.memory_info().rss, evaluated(made)
    assert process.memory_info().rss - before < 100 * 2**20
    assert set(statuses(reply).values()) == {"ok"}
    assert [row["value"] for row in (table(reply)[0], table(reply)[3])] == ["a", "b"]
    c, python = reply.logs[1:]
    assert (c.first, c.last, c.size) == (1, 1, 2**30)
    assert (python.first, python.last, python.size) == (2, 2, 2**25)
    for log in (c, python):
        head, gap, tail = re.split(r"(\n\[\.\.\. .* bytes left out \.\.\.\]\n)", log.text)
        assert len(head) == len(tail) == MOST_KEPT // 2
        assert gap == f"\n[... {log.size - MOST_KEPT:,} bytes left out ...]\n"


@pytest.mark.parametrize("fault", ["forever", "holds"])
def test_B16_a_flood_without_end_is_a_timeout_and_keeps_its_log(opened, fault):
    made = opened("a", fault, "b", timeout=0.5)
    began = time.monotonic()
    reply = evaluated(made)
    assert time.monotonic() - began < 60
    assert statuses(reply) == {0: "ok", 1: "timeout"}
    log = reply.logs[-1]
    assert (log.first, log.last) == (1, 1)
    assert log.size > MOST_KEPT
    assert statuses(evaluated(made, 2)) == {2: "ok"}


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [("dies", "crash", "last wordsof C\n"), ("hangs", "timeout", "about to hang\n")],
)
def test_B16_what_a_point_said_before_its_end_is_kept(opened, fault, status, text):
    made = opened(fault, "b", timeout=1.0)
    reply = evaluated(made)
    assert statuses(reply) == {0: status}
    assert printed(reply)[0] == text


def test_B16_many_logs_of_a_batch_become_one(opened, monkeypatch):
    monkeypatch.setattr(ends, "MOST_LOGS", 5)
    made = opened("says_late 0", *(f"mutters {x}," for x in range(20)))
    logs = evaluated(made).logs
    assert [(log.first, log.last) for log in logs] == [(-1, -1), (0, 0), (1, 1), (2, 2), (3, 20)]
    assert logs[-1].text == "".join(f"{x}," for x in range(2, 20))


def test_B16_many_large_logs_of_a_batch_keep_little_each(opened, monkeypatch):
    monkeypatch.setattr(ends, "MOST_BYTES", 100_000)
    made = opened("says_late 0", *["pours 1"] * 4)
    logs = evaluated(made).logs[2:]
    assert [log.size for log in logs] == [2**20] * 4
    assert [len(log.text) > 60_000 for log in logs] == [True, True, False, False]
    assert all(len(log.text) < ends.LITTLE + 50 for log in logs[2:])


def test_B16_a_child_that_may_open_few_files_prints_all_the_same(opened):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        made = opened("says_late hello")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert printed(evaluated(made))[0] == "hello\nand complains\n"


def test_B16_a_mark_is_found_however_it_is_cut():
    crumb = [0] * 16
    whole = b"abc" + MARK.pack(0, 0, 3, 5) + b"defg"
    for size in range(1, len(whole)):
        output = Output(crumb)
        marked = b"abc" + MARK.pack(crumb[NONCE], crumb[NONCE + 1], 3, 5) + b"defg"
        for at in range(0, len(marked), size):
            output._feed(marked[at : at + size])
        logs = output.last_words(6, 7)
        output.close()
        os.close(output.writer)
        assert [(log.first, log.last, log.text, log.size) for log in logs] == [
            (3, 5, "abc", 3),
            (6, 7, "defg", 4),
        ]


# Points that close or replace what they print to.


@pytest.mark.parametrize("fault", ["closes", "closes_streams", "replaces", "redirects"])
def test_B17_streams_that_a_point_closes_are_there_again_in_the_next_batch(opened, fault, tmp_path):
    made = opened("says_late before", fault, "says after")
    child = made._child
    reply = made.evaluate(batch(0, 2))
    assert statuses(reply) == {0: "ok", 1: "ok"}
    again = made.evaluate(batch(2, 3))
    assert made._child is child
    assert statuses(again) == {2: "ok"}
    assert printed(again) == {2: "after\nand complains\n"}
    if fault == "closes":
        assert (tmp_path / "taken").read_text() == "mine"


def test_B17_a_point_that_closes_every_descriptor_crashes_alone(opened):
    made = opened("a", "closes_all", "b")
    found = {}
    for _ in range(
        6
    ):  # the child goes on for a while, so it may take some rounds until the guilty one is found
        for start, stop in list(RangeSet.of([point for point in range(3) if point not in found])):
            found |= statuses(made.evaluate(batch(start, stop)))
    assert found == {0: "ok", 1: "crash", 2: "ok"}


# All the way to a person.


STUDY = """
objective: talker:f
parameters: {x: [1, 2, 3], y: ["a b", "it's"]}
"""
TALKER = """
import sys

def f(x, y):
    if x == 2:
        print(f"progress 1\\rprogress 2\\n\\x1b[31mred\\x1b[0m {y}")
        raise ValueError("\\x1b[2J wiped")
    return x
"""


@pytest.fixture(scope="module")
def talked(tmp_path_factory):
    """A folder with a run whose points print, and fail."""
    folder = tmp_path_factory.mktemp("talked")
    written(folder, talker=TALKER)
    (folder / "talk.yaml").write_text(STUDY)
    ask("run", "talk.yaml", "-n", "1", "--progress", "none", folder=folder, code=3)
    return folder


def test_B16_what_a_point_printed_is_shown_with_it(talked):
    out = ask("show", "talk", "x=2", "y=it's", folder=talked).stdout
    assert "\x1b" not in out
    assert "\r" not in out
    assert re.search(r"^status +error$", out, re.MULTILINE)
    assert re.search(r"^run again +swath run talk.yaml --point 3$", out, re.MULTILINE)
    failure = out[out.index("failure\n") :]
    assert failure.startswith("failure\n  ValueError: \\x1b[2J wiped\n  Traceback (most recent call last):\n")
    assert re.search(
        r"^printed(, by this point or another of \d)? \(attempt 1, \S+, \d+ bytes\)$", out, re.MULTILINE
    )
    assert "  progress 1\n  progress 2\n  \\x1b[31mred\\x1b[0m it's\n" in out
    assert '"text": "progress' in ask("show", "talk", "3", "--json", folder=talked).stdout


def test_B16_the_command_that_is_shown_runs_the_point_whatever_the_file_says_by_now(talked):
    def again():
        found = json.loads(ask("show", "talk", "3", "--json", folder=talked).stdout)["again"]
        arguments = shlex.split(found)[1:]
        out = ask(*arguments, "--json", folder=talked, code=3).stdout  # what the point prints comes first
        shown = json.loads("{" + out.partition("\n{")[2])
        return found, shown["parameters"], shown["failure"].splitlines()[0]

    said = ({"x": 2, "y": "it's"}, "ValueError: \x1b[2J wiped")
    assert again() == ("swath run talk.yaml --point 3", *said)
    try:
        (talked / "talk.yaml").write_text(STUDY.replace("[1, 2, 3]", "[2, 5]"))
        assert again() == ("swath run talk.yaml --point 1", *said)
        (talked / "talk.yaml").write_text(STUDY.replace("[1, 2, 3]", "[7, 8, 9]"))
        assert again() == ("""swath run talk.yaml 'x=[2]' 'y=["it'"'"'s"]' --point 0""", *said)
    finally:
        (talked / "talk.yaml").write_text(STUDY)
