"""What people see of a sweep while it runs: plain lines, JSON lines, and one live block on a real terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from running import received
from swath.snapshot import Complaint, Slow, Snapshot, WorkerLoad
from swath.views import palette, text
from swath.views.ansi import COLOURLESS, EIGHT, PLAIN, TRUE, XTERM, Pen, pen
from swath.views.block import ASCII, UNICODE, block
from swath.views.phrases import pieces, share
from swath.views.terminal import Block, Lines, Objects, Silence, progress

SRC = Path(__file__).parents[1] / "src"
HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]evil[/red]\r\n\u202ename\x9b31m\udc80"
WORKERS = (
    WorkerLoad(name="a", slots=3, busy=3, done=300, failed=3, rate=0.8, batch=(1, 0.9)),
    WorkerLoad(name="b", slots=1, busy=0, done=109, failed=0, rate=0.27, batch=None),
)
MIDWAY = Snapshot(
    name="epidemic",
    state="running",
    total=1000,
    done=415,
    saved=412,
    statuses={"ok": 409, "error": 2, "timeout": 1},
    running=5,
    slots=4,
    workers=WORKERS,
    rate=1.07,
    eta=(540.0, 560.0),
    elapsed=385.0,
    best=(0.23774, 310),
    metric="error",
    dashboard="http://127.0.0.1:8787/status",
)
FULL = replace(MIDWAY, saved=1000, done=1000, state="complete", elapsed=960.0)
GIB = 2**30
LOADED = replace(
    MIDWAY,
    name="plague",
    slots=6,
    workers=tuple(
        WorkerLoad(
            name=f"w{i}",
            slots=1,
            busy=int(i != 5),
            done=100 + i,
            failed=i % 3,
            rate=0.3 + i / 10,
            batch=(1, 0.9),
            cpu=1.0 - 0.1 * i,
            memory=i * GIB // 2,
            memory_limit=4 * GIB,
            point=500 + i,
            age=130.0 if i == 3 else 2.1,
            straggler=i == 3,
            host=f"host{i % 2}",
        )
        for i in range(6)
    ),
    utilisation=0.934,
    retried=4,
    complaints=(
        Complaint("error", "ValueError: singular matrix", 2, 17),
        Complaint("timeout", "ran for more than 60 s", 1, 80),
    ),
    slowest=(Slow(41.0, 8), Slow(40.0, 9)),
    parameters={"beta": 0.31, "gamma": 0.05, "model": "svm"},
)


def lines_of(snapshots):
    stream = io.StringIO()
    view = Lines(stream, clock=lambda: "12:03:10")
    for snapshot in snapshots:
        view.show(snapshot)
    return stream.getvalue().splitlines()


def flat(snapshot, width, **how):
    return ["".join(piece for piece, _ in line) for line in block(snapshot, width, **how)]


# Plain lines.


def test_a_plain_line_reads_as_promised():
    assert lines_of([MIDWAY]) == [
        "[12:03:10] 412/1000 done, 3 failed, 1.07/s, ETA 9m10s, best error 0.2377 (point 310)"
    ]


def test_lines_come_at_the_start_every_30_seconds_or_5_percent_and_at_the_end():
    start = Snapshot(name="s", total=1000, state="running")
    shown = lines_of(
        [
            start,
            replace(start, saved=49, elapsed=29.9),
            replace(start, saved=49, elapsed=30.0),
            replace(start, saved=98, elapsed=31.0),
            replace(start, saved=99, elapsed=32.0),
            replace(start, saved=1000, elapsed=33.0),
            replace(start, saved=1000, elapsed=33.1, state="complete"),
            replace(start, saved=1000, elapsed=99.0, state="complete"),
        ]
    )
    assert [line.split(" ")[1] for line in shown] == [
        "0/1000",
        "49/1000",
        "99/1000",
        "1000/1000",
        "1000/1000",
    ]
    assert shown[-1].endswith("1000/1000 done, complete after 33s")


def test_a_sweep_without_points_shows_its_end():
    done = Snapshot(name="s", total=0, state="complete")
    assert lines_of([done, done]) == ["[12:03:10] 0/0 done, complete after 0.0s"]


def test_stopping_and_exclusions_are_said():
    assert pieces(replace(MIDWAY, state="draining", eta=None, excluded=12_345)) == [
        "412/1000 done",
        "3 failed",
        "12,345 excluded",
        "1.07/s",
        "stopping",
        "best error 0.2377 (point 310)",
    ]


def test_a_straggler_is_named_in_a_log():
    assert pieces(LOADED)[-1] == "point 503 for 2m10s on w3"
    assert not any("w3" in piece for piece in pieces(replace(LOADED, state="stopped")))


def test_there_are_no_control_characters_in_a_log():
    shown = "".join(lines_of([replace(MIDWAY, metric=HOSTILE)]))
    assert shown.isprintable()
    assert r"\x1b[2J" in shown


# Lines for machines.


def test_json_lines_hold_the_whole_snapshot_once_a_second():
    stream = io.StringIO()
    view = Objects(stream)
    for elapsed in (0.0, 0.5, 1.0, 1.5):
        view.show(replace(MIDWAY, elapsed=elapsed, best=(float("nan"), 3), name=HOSTILE))
    view.note("hello\x1b")
    *shown, note = map(json.loads, stream.getvalue().splitlines())
    assert [line["elapsed"] for line in shown] == [0.0, 1.0]
    assert shown[0]["best"] == [None, 3]
    assert shown[0]["name"] == HOSTILE
    assert shown[0]["workers"][0]["name"] == "a"
    assert note == {"note": "hello\x1b"}
    assert stream.getvalue().replace("\n", "").isprintable()


# Modes.


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def take(self):
        """Return what was written since the last time."""
        taken = self.getvalue()
        self.seek(0)
        self.truncate(0)
        return taken


@pytest.mark.parametrize(
    ("mode", "stream", "term", "kind"),
    [
        ("auto", io.StringIO(), "xterm", Lines),
        ("bar", io.StringIO(), "xterm", Lines),
        ("auto", Terminal(), "xterm", Block),
        ("auto", Terminal(), "dumb", Lines),
        ("auto", Terminal(), "", Lines),
        ("log", Terminal(), "xterm", Lines),
        ("json", Terminal(), "xterm", Objects),
        ("none", Terminal(), "xterm", Silence),
    ],
)
def test_the_mode_chooses_the_view(mode, stream, term, kind, monkeypatch):
    monkeypatch.setenv("TERM", term)
    assert type(progress(mode, stream)) is kind


def test_a_closed_stream_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert type(progress("auto", stream)) is Lines


# Listeners that went away.


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    writes = 0
    encoding = "utf-8"

    def isatty(self):
        return True

    def write(self, _text):
        self.writes += 1
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


@pytest.mark.parametrize("kind", [Lines, Objects, Silence, Block])
def test_nobody_listening_disturbs_nothing(kind):
    stream = Gone()
    view = kind(stream)
    for elapsed in range(0, 300, 60):
        view.show(replace(MIDWAY, elapsed=float(elapsed)))
    view.note("hello")
    view.close()
    view.close()
    assert stream.writes < 5


def test_a_stream_closed_by_somebody_disturbs_nothing():
    stream = io.StringIO()
    view = Lines(stream)
    stream.close()
    view.show(MIDWAY)
    view.note("hello")


# The block.


def test_the_block_says_everything():
    assert flat(MIDWAY, 100) == [
        "epidemic  " + "█" * 22 + "▓" * 2 + "░" * 36 + "  41% 412/1000",
        "          1.07/s · ETA 9m10s · 6m25s so far",
        "best      error 0.2377 (point 310)",
        "failed    3 (2 error, 1 timeout)",
        "load      3/4 slots busy on 2 workers",
        *(
            "          worker      rate  done  failed  now at",
            "          a          0.8/s   300       3  ",
            "          b       16.2/min   109          nothing",
        ),
        "unused    b",
        "page      http://127.0.0.1:8787/status",
    ]


def test_workers_have_a_line_each_where_the_terminal_is_wide_and_high():
    shown = flat(LOADED, 120)
    assert shown[1:9] == [
        "        1.07/s · ETA 9m10s · 6m25s so far · 93 % utilised · 4 retried",
        "best    error 0.2377 (point 310) · beta=0.31 · gamma=0.05 · model=svm",
        "failed  3 (2 error, 1 timeout)",
        "        2 x ValueError: singular matrix",
        "        1 x timeout: ran for more than 60 s",
        "load    5/6 slots busy on 6 workers on 2 hosts · 4.5 cores · 7.5 of 24 GiB",
        "        worker             cores                    memory    rate  done  failed  now at",
        "        w0      ━━━━━━━━━━  1.00  ──────────    0 of 4 GiB  18/min   100          point 500 for 2.1s",
    ]
    assert shown[-3:] == [
        "slow    point 503 for 2m10s on w3 · slowest 41s (point 8)",
        "unused  w5",
        "page    http://127.0.0.1:8787/status",
    ]
    for width, height in ((80, 24), (120, 12)):
        summary = flat(LOADED, width, height=height)
        assert not any("w0" in line for line in summary)
        assert summary[-3:] == shown[-3:]


def test_a_low_terminal_shows_what_matters_most():
    every = flat(LOADED, 80, height=60)
    assert [line.split(" ")[0] for line in every] == [
        *("plague", "", "best", "failed", "", "", "load", "slow", "unused", "page"),
    ]
    for height in range(1, len(every) + 3):
        shown = flat(LOADED, 80, height=height)
        assert len(shown) == min(height, len(every))
        assert shown[0] == every[0]
        assert [line for line in every if line in shown] == shown  # in the same order
    assert [line.split(" ")[0] for line in flat(LOADED, 80, height=5)] == [
        "plague",
        "",
        "best",
        "failed",
        "load",
    ]


def test_many_workers_are_summed_up_and_those_in_need_are_named():
    many = tuple(
        WorkerLoad(
            name=f"tcp://10.0.0.{i}:4000", slots=2, busy=0 if 7 <= i < 12 else 2, done=1, failed=0, rate=1.0, batch=None,
            cpu=1.5, memory=GIB, point=i, age=100.0 + i, straggler=i in (3, 5), memory_limit=None if i else GIB,
        )
        for i in range(500)
    )  # fmt: skip
    shown = flat(replace(LOADED, workers=many, slots=1000), 200, height=60)
    assert "load    990/1000 slots busy on 500 workers · 750.0 cores · 500.0 GiB" in shown
    assert "slow    point 5 for 1m45s on 10.0.0.5:4000, and 1 more · slowest 41s (point 8)" in shown
    assert "unused  10.0.0.7:4000, 10.0.0.8:4000, 10.0.0.9:4000 and 2 more" in shown


def test_a_worker_between_two_batches_or_at_the_very_beginning_is_not_unused():
    between = tuple(replace(worker, utilisation=0.9) for worker in LOADED.workers)
    assert not any("unused" in line for line in flat(replace(LOADED, workers=between), 80))
    assert not any("unused" in line for line in flat(replace(LOADED, elapsed=1.0), 80))


def test_what_is_over_has_neither_load_nor_stragglers():
    over = flat(replace(LOADED, state="complete"), 120)
    assert not {line.split(" ")[0] for line in over} & {"load", "unused"}
    assert not any("w3" in line for line in over)


def test_the_bar_shows_every_status_and_what_was_excluded():
    def bar(width=71, **changes):
        return block(replace(MIDWAY, **changes), width)[0][1:-1]

    assert bar(total=10**6, saved=10, statuses={"ok": 10}) == [("░" * 42, "dim")]
    half = bar(total=1000, saved=500, excluded=100, statuses={"ok": 380, "error": 19, "oom": 1})
    assert half[1:4] == [("▓", palette.STATUS["error"]), ("▓", palette.STATUS["oom"]), ("▒" * 4, "dim")]
    assert half[0][1] == palette.STATUS["ok"]
    assert sum(len(piece) for piece, _ in half[:4]) == int(sum(len(piece) for piece, _ in half) / 2)
    few = bar(total=1000, saved=30, statuses={"ok": 26, "error": 1, "crash": 1, "oom": 1, "timeout": 1})
    assert sum(len(piece) for piece, _ in few[:-1]) == 1


def test_a_terminal_without_unicode_gets_ascii():
    for snapshot in (LOADED, replace(MIDWAY, name="é日", parameters={"é": "日"})):
        for width in (12, 44, 120):
            assert all(line.isascii() for line in flat(snapshot, width, glyphs=ASCII))


def test_a_bar_is_full_only_when_every_point_is_done():
    nearly = replace(MIDWAY, total=100_000, saved=99_999)
    assert "100%" not in flat(nearly, 80)[0]
    assert "░" in flat(nearly, 80)[0]
    assert "100%" in flat(FULL, 80)[0]
    assert "░" not in flat(FULL, 80)[0]


@given(
    st.integers(1, 200),
    st.integers(1, 30),
    st.text(max_size=40),
    st.text(max_size=40),
    st.integers(0, 10**12),
    st.dictionaries(st.sampled_from(["ok", "error", "oom", "odd"]), st.integers(0, 10**9)),
    st.sampled_from([UNICODE, ASCII]),
)
def test_no_line_is_wider_than_the_terminal_or_unprintable(
    width, height, name, other, total, statuses, glyphs
):
    hostile = replace(
        LOADED,
        name=name,
        metric=other,
        total=total,
        saved=min(412, total),
        statuses=statuses,
        parameters={other: name},
        complaints=(Complaint(other, name, 3, 1),),
        workers=(replace(LOADED.workers[3], name=other), replace(LOADED.workers[5], name=name)),
        dashboard=other,
    )
    shown = flat(hostile, width, height=height, glyphs=glyphs)
    assert len(shown) <= height
    for line in shown:
        assert line.isprintable()
        assert text.cells(line) <= max(1, width - 1)


def test_wide_characters_are_measured():
    assert (text.cells("日本"), text.cut("日本語", 5), text.cells("e\u0301")) == (4, "日本…", 1)


# Colours.


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({"TERM": "xterm-256color"}, XTERM),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, TRUE),
        ({"TERM": "xterm", "COLORTERM": "1"}, XTERM),
        ({"TERM": "linux"}, EIGHT),
        ({"TERM": "linux", "NO_COLOR": ""}, EIGHT),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, COLOURLESS),
        ({"TERM": "dumb"}, PLAIN),
        ({}, PLAIN),
    ],
    ids=str,
)
def test_colours_are_those_of_the_terminal(environment, depth):
    assert pen(Terminal(), environment).depth == depth
    assert pen(io.StringIO(), environment).depth == PLAIN


@pytest.mark.parametrize(
    ("depth", "painted"),
    [
        (TRUE, "\x1b[1;38;2;209;73;91ma\x1b[0m"),
        (XTERM, "\x1b[1;38;5;167ma\x1b[0m"),
        (EIGHT, "\x1b[1;31ma\x1b[0m"),
        (COLOURLESS, "\x1b[1ma\x1b[0m"),
        (PLAIN, "a"),
    ],
)
def test_a_colour_is_the_nearest_there_is(depth, painted):
    assert Pen(depth).paint("a", f"bold {palette.FAILED}") == painted


def test_colours_of_statuses_differ_on_any_terminal():
    for depth, least in ((TRUE, 7), (XTERM, 7), (EIGHT, 5)):
        painted = {Pen(depth).paint("a", colour) for colour in palette.STATUS.values()}
        assert len(painted) >= least
    assert Pen(XTERM).paint("a", f"on{palette.LIGHT.muted}").startswith("\x1b[48;5;")


# The block on a real terminal.

SHOW = """
import sys, json
from dataclasses import replace
from swath.snapshot import Snapshot, WorkerLoad
from swath.views.terminal import progress
view = progress("auto", sys.stderr)
first = Snapshot(**json.loads(sys.argv[1]))
for saved in (0, 100, 200):
    view.show(replace(first, saved=saved))
view.note("a note [red]in brackets[/red] \\x1b[2J")
view.show(replace(first, saved=300))
if sys.argv[2] == "close":
    view.close()
print("DATA")
"""


class Screen:
    """What a person sees of what a terminal of some columns received: enough of a terminal for what we send."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column = columns, [""], 0, 0

    def feed(self, received):
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", received):
            if part == "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif part == "\r":
                self.column = 0
            elif part.startswith("\x1b"):
                self.obey(part)
            else:
                self.print(part)
        return self

    def obey(self, code):
        line = self.lines[self.row]
        if code.endswith("A"):
            self.row = max(0, self.row - int(code[2:-1]))
        elif code == "\x1b[K":
            self.lines[self.row] = line[: self.column]
        elif code == "\x1b[J":
            self.lines[self.row :] = [line[: self.column]]
        else:
            assert re.fullmatch(r"\x1b\[[0-9;]*m", code), f"the terminal was sent {code!r}"

    def print(self, text):
        assert self.column + len(text) < self.columns, "the last column stays free"
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + text + line[self.column + len(text) :]
        self.column += len(text)


def on_a_terminal(snapshot, columns=80, lines=24, close=True, **environment):
    """Show snapshots in a process whose standard error is a terminal; return what that terminal received."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    env = {
        key: os.environ[key] for key in os.environ if key not in ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES")
    }
    env |= {
        "PYTHONPATH": str(SRC),
        "TERM": "xterm-256color",
        "PYTHONIOENCODING": "utf-8:surrogateescape",
    } | environment
    words = [sys.executable, "-c", SHOW, json.dumps(snapshot), "close" if close else "leave"]
    with subprocess.Popen(words, stderr=follower, stdout=subprocess.PIPE, env=env) as child:
        os.close(follower)
        arrived = received(leader)
        assert child.stdout.read() == b"DATA\n"
    assert child.returncode == 0, arrived.decode()
    return arrived.decode("utf-8", "replace")


PLAIN_FACTS = {
    "name": "epidemic",
    "total": 1000,
    "state": "running",
    "rate": 1.07,
    "statuses": {"ok": 5, "error": 1},
}


def test_one_block_is_redrawn_in_place_and_removed():
    received = on_a_terminal(PLAIN_FACTS)
    assert "300/1000" in received
    assert Screen(80).feed(received).lines == ["a note [red]in brackets[/red] \\x1b[2J", ""]


def test_a_process_that_just_ends_leaves_a_block_and_a_cursor_below_it():
    screen = Screen(80).feed(on_a_terminal(PLAIN_FACTS, close=False))
    assert [line.split(" ")[0] for line in screen.lines] == ["a", "epidemic", "", "failed", ""]
    assert (screen.row, screen.column) == (4, 0)
    assert "300/1000" in screen.lines[1]


def test_nothing_is_blank_between_two_frames():
    """Lines are written over and cleared behind their ends, in one piece: there is nothing that could flicker."""
    stream = Terminal()
    view = Block(stream)
    view.show(LOADED)
    stream.take()
    view.show(replace(LOADED, saved=500))
    assert re.fullmatch(r"\r\x1b\[\d+A(?:[^\n]+\x1b\[K\n)+\x1b\[J", stream.take())
    view.show(replace(LOADED, saved=500))
    assert stream.take() == ""  # the same again
    view.close()


def test_a_block_that_shrinks_leaves_nothing_of_itself(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream, screen = Terminal(), Screen(80)
    view = Block(stream)
    for snapshot in (LOADED, Snapshot(name="s", total=10), LOADED, replace(MIDWAY, complaints=())):
        view.show(snapshot)
        screen.feed(stream.take())
        assert [line.rstrip() for line in screen.lines] == [
            *map(str.rstrip, flat(snapshot, 80, height=23)),
            "",
        ]
    view.close()
    assert screen.feed(stream.take()).lines == [""]


def test_in_a_terminal_that_was_made_narrower_all_of_the_block_is_found_again(monkeypatch):
    monkeypatch.setattr("swath.views.terminal.size_of", lambda _stream: (columns, 24))
    stream = Terminal()
    view = Block(stream)
    columns = 80
    view.show(MIDWAY)
    widths = [len(line) for line in flat(MIDWAY, 80)]
    columns = 30
    stream.take()
    view.show(MIDWAY)
    (up,) = re.findall(r"\x1b\[(\d+)A", stream.take())
    assert int(up) == sum(-(-width // 30) for width in widths)  # as a terminal wraps what it has
    view.close()


def test_in_the_background_nothing_is_drawn_and_after_a_pause_the_block_is_drawn_anew(monkeypatch):
    stream = Terminal()
    view = Block(stream)
    in_front = True
    monkeypatch.setattr("swath.views.terminal._is_in_front", lambda _stream: in_front)
    view.show(MIDWAY)
    in_front = False
    stream.take()
    view.show(FULL)
    assert stream.take() == ""
    view.note("hello")
    assert stream.take() == "hello\n"
    in_front = True
    view.show(FULL)
    assert not re.search(r"\x1b\[\d+A", anew := stream.take())  # what others have written stays
    assert "1000/1000" in anew
    signal.raise_signal(signal.SIGCONT)
    view.show(MIDWAY)
    assert not re.search(r"\x1b\[\d+A", stream.take())
    view.show(FULL)
    assert re.search(r"\x1b\[\d+A", stream.take())
    before = signal.getsignal(signal.SIGCONT)
    view.close()
    assert signal.getsignal(signal.SIGCONT) is not before


def test_colours_are_left_out_when_not_wanted():
    assert re.search(r"\x1b\[38;5;\d+m", on_a_terminal(PLAIN_FACTS))
    assert re.search(r"\x1b\[3\dm", on_a_terminal(PLAIN_FACTS, TERM="linux"))
    assert not re.search(r"\x1b\[(\d+;)*[34]\d", on_a_terminal(PLAIN_FACTS, NO_COLOR="1"))


def test_hostile_names_reach_the_terminal_spelt_out():
    facts = {**PLAIN_FACTS, "name": HOSTILE, "reason": HOSTILE, "dashboard": HOSTILE}
    received = on_a_terminal(facts, columns=200)
    for sequence in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\x9b"):
        assert sequence not in received
    assert r"\x1b[2J" in received
    Screen(200).feed(received)


@pytest.mark.parametrize(("columns", "lines"), [(1, 1), (12, 3), (44, 10), (200, 60)])
def test_the_block_fits_any_terminal(columns, lines):
    received = on_a_terminal(PLAIN_FACTS, columns, lines)
    for part in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", received)):
        if "note" not in part and "brackets" not in part:
            assert text.cells(part) <= columns


def test_a_terminal_of_ascii_gets_ascii():
    received = on_a_terminal(PLAIN_FACTS, PYTHONIOENCODING="ascii:strict")
    assert received.isascii()
    assert "###" in received


# Words and numbers.


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (9.99, "10s"),
        (59.6, "1m"),
        (550, "9m10s"),
        (3599.7, "1h"),
        (11_100, "3h05m"),
        (86_399, "1d"),
        (187_200, "2d04h"),
    ],
)
def test_durations(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.2, 0.9, "1s"),
        (3, 8, "3s-8s"),
        (540, 560, "9m10s"),
        (470, 680, "7m50s-11m"),
        (3000, 9000, "50m-2h30m"),
        (1e5, 5e5, "1d04h-6d"),
        (1e20, 1e21, "11574d"),
    ],
)
def test_guesses_are_rounded_as_people_do(low, high, shown):
    assert text.guess(low, high) == shown


@pytest.mark.parametrize(
    ("per_second", "shown"),
    [
        (1.066, "1.07/s"),
        (812.3, "812/s"),
        (1_234_567.8, "1,234,568/s"),
        (0.042, "2.52/min"),
        (0.0008, "2.9/h"),
    ],
)
def test_rates(per_second, shown):
    assert text.rate(per_second) == shown


def test_text_is_spelt_out_where_it_does_not_print():
    assert text.plain("tab\t\x1b[1m\u2028é日") == r"tab\t\x1b[1m\u2028é日"
    assert text.plain("one\ntwo\tthree\x07\r\n", lines=True) == "one\ntwo     three\\x07"
    assert text.plain(HOSTILE).isprintable()


@given(st.text())
def test_plain_text_always_prints(anything):
    assert text.plain(anything).isprintable()
    assert all(line.isprintable() for line in text.plain(anything, lines=True).split("\n"))


def test_a_table_is_aligned_and_cut():
    shown = text.table(["n", "name"], [["1", "a\nb"], ["100", "x" * 60], ["2", "日本"]], "><")
    assert shown == ["  n  name", r"  1  a\nb", "100  " + "x" * 47 + "…", "  2  日本"]


@pytest.mark.parametrize(
    ("octets", "shown"), [(812, "812 B"), (1_468_006, "1.4 MiB"), (3 * 2**50, "3072.0 TiB")]
)
def test_sizes(octets, shown):
    assert text.size(octets) == shown


@pytest.mark.parametrize(
    ("amount", "limit", "shown"),
    [
        (812 * 2**20, 16 * GIB, "0.79 of 16 GiB"),
        (3 * GIB, 16 * GIB, "3.0 of 16 GiB"),
        (12 * GIB, 15 * GIB + GIB // 2, "12 of 15.5 GiB"),
        (0, GIB, "0 of 1 GiB"),
        (3 * GIB, None, "3.0 GiB"),
    ],
)
def test_shares_of_memory_are_in_the_unit_of_the_whole(amount, limit, shown):
    assert share(amount, limit) == shown


@pytest.mark.parametrize(
    ("content", "shown"),
    [(None, ""), (True, "true"), (0.1 + 0.2, "0.3"), (10**7, "10000000"), ("\x1b", r"\x1b")],
)
def test_values(content, shown):
    assert text.value(content) == shown
