"""What people see of a sweep while it runs: plain lines, JSON lines, and one live block on a real terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.snapshot import Snapshot, WorkerLoad
from swath.views import text
from swath.views.terminal import Block, Lines, Objects, Silence, block, pieces, progress

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
    def isatty(self):
        return True


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
        "epidemic " + "█" * 16 + "░" * 24 + "  41% 412/1000",
        "3 failed (2 error, 1 timeout) · 1.07/s · ETA 9m10s · best error 0.2377 (point 310)",
        "3/4 slots busy on 2 workers · http://127.0.0.1:8787/status",
    ]


def test_a_terminal_without_unicode_gets_ascii():
    assert all(
        line.isascii() for width in (12, 80) for line in flat(replace(MIDWAY, name="é日"), width, rich=False)
    )


def test_a_bar_is_full_only_when_every_point_is_done():
    assert "100%" not in flat(replace(MIDWAY, saved=999), 80)[0]
    assert "░" in flat(replace(MIDWAY, saved=999), 80)[0]
    assert "100%" in flat(FULL, 80)[0]


@given(
    st.integers(1, 200),
    st.text(max_size=40),
    st.text(max_size=40),
    st.integers(0, 10**12),
    st.booleans(),
)
def test_no_line_is_wider_than_the_terminal_or_unprintable(width, name, metric, total, rich):
    hostile = replace(MIDWAY, name=name, metric=metric, total=total, saved=min(412, total))
    for line in flat(hostile, width, rich=rich):
        assert line.isprintable()
        assert text.cells(line) <= max(1, width - 1)


def test_wide_characters_are_measured():
    assert (text.cells("日本"), text.cut("日本語", 5), text.cells("e\u0301")) == (4, "日本…", 1)


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
view.close()
print("DATA")
"""


def on_a_terminal(snapshot, columns=80, **environment):
    """Show snapshots in a process whose standard error is a terminal; return what that terminal received."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {
        key: os.environ[key]
        for key in os.environ
        if key not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")
    }
    env |= {
        "PYTHONPATH": str(SRC),
        "TERM": "xterm-256color",
        "PYTHONIOENCODING": "utf-8:surrogateescape",
    } | environment
    with subprocess.Popen(
        [sys.executable, "-c", SHOW, json.dumps(snapshot)], stderr=follower, stdout=subprocess.PIPE, env=env
    ) as child:
        os.close(follower)
        received = b""
        try:
            while chunk := os.read(leader, 65536):
                received += chunk
        except OSError:  # Linux's way to say that the other end is closed
            pass
        os.close(leader)
        assert child.stdout.read() == b"DATA\n"
    assert child.returncode == 0, received.decode()
    return received.decode("utf-8", "replace")


PLAIN = {
    "name": "epidemic",
    "total": 1000,
    "state": "running",
    "rate": 1.07,
    "statuses": {"ok": 5, "error": 1},
}


def test_one_block_is_redrawn_in_place_and_removed():
    received = on_a_terminal(PLAIN)
    assert "300/1000" in received
    assert "1 failed (1 error)" in received
    assert "\x1b[?25l" in received  # the cursor is hidden
    assert received.rindex("\x1b[?25h") > received.rindex("300/1000")  # and shown again
    assert received.count("\x1b[1A") >= 4  # up to the line before, for each redraw and at the end
    assert "a note [red]in brackets[/red] \\x1b[2J" in received
    assert "\x1b[2J" not in received


def test_colours_are_left_out_when_not_wanted():
    assert re.search(r"\x1b\[3\dm", on_a_terminal(PLAIN))
    assert not re.search(r"\x1b\[(\d+;)*[34]\dm", on_a_terminal(PLAIN, NO_COLOR="1"))


def test_hostile_names_reach_the_terminal_spelt_out():
    received = on_a_terminal({**PLAIN, "name": HOSTILE, "reason": HOSTILE, "dashboard": HOSTILE})
    for sequence in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\x9b"):
        assert sequence not in received
    assert r"\x1b[2J" in received


@pytest.mark.parametrize("columns", [1, 12, 30, 200])
def test_the_block_fits_any_terminal(columns):
    received = on_a_terminal(PLAIN, columns)
    for part in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", received)):
        if "note" not in part and "brackets" not in part:
            assert text.cells(part) <= columns


def test_a_terminal_of_ascii_gets_ascii():
    received = on_a_terminal(PLAIN, PYTHONIOENCODING="ascii:strict")
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
    ("content", "shown"),
    [(None, ""), (True, "true"), (0.1 + 0.2, "0.3"), (10**7, "10000000"), ("\x1b", r"\x1b")],
)
def test_values(content, shown):
    assert text.value(content) == shown
