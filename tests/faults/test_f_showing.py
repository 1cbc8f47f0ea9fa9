"""FAULT F08 for terminals and spreadsheets: names, values and texts that move a cursor, hide, turn a line around or are run."""

from __future__ import annotations

import csv
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
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import swath
from refusing import called
from running import ENVIRONMENT, PATIENCE, ask, command, received
from swath.bulletin import Bulletin
from swath.snapshot import Complaint, Snapshot, WorkerLoad
from swath.store.lock import Lock
from swath.views import export, listings
from swath.views.ansi import TRUE, Pen
from swath.views.block import ASCII, UNICODE, block
from swath.views.figures.axes import Axis
from swath.views.sketch.curves import history, slices
from swath.views.sketch.heatmap import heatmap
from swath.views.sketch.paper import Room
from swath.views.terminal import Lines, Objects
from swath.views.text import plain

if TYPE_CHECKING:
    from pathlib import Path

ATTACKS = (
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;owned\x07",  # renames the window
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",  # a link
    "\x1b]52;c;ZXZpbA==\x07",  # writes to the clipboard
    "\x1bP$q\x1b\\\x1b[6n\x1b[c",  # makes the terminal type
    "\x9b31m\x9d0;x\x9c",  # the same in one character
    "\x0e\x0f\x08\x08\x7f\x00",  # other letters, back, delete
    "\rok\x0b\x0c\x85\u2028\u2029",  # overwrites, breaks lines
    "\u202egnp.exe\u202c\u2066\u2067\u2069\u200f\u061c",  # turns around
    "\u200b\u200d\u2060\ufeff\u00ad\u034f\u3164\ufe0f\U000e0041\U000e0100",  # is not seen
    "\ud800a\udfffb\udc9b",  # is no character
)
EVIL = "".join(ATTACKS)
UNSEEN = re.compile(
    r"[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\xad\u034f\u3164\ufe0f\U000e0000-\U000e01ef]"
)


def harmless(text: str) -> bool:
    """Tell whether a terminal shows exactly these characters, line by line."""
    return text.replace("\n", "").isprintable() and not UNSEEN.search(text)


STUDY = f"""
import sys
EVIL = {EVIL!a}
def f(x, y, **others):
    sys.stdout.write(EVIL.encode(errors="replace").decode(errors="replace"))
    sys.stderr.buffer.write(b"\\x1b[2J\\xff\\x9b\\r")
    if x:
        raise type("Evil" + EVIL[:3], (ValueError,), {{}})(EVIL)
    return {{"m": 1.0, "text": EVIL.encode(errors="replace").decode()}}
"""
DEFINITION = {
    "objective": "study:f",
    "parameters": {
        "x": [0, 1],
        "y": ["\x1b[2J\u202e", "\x9b\u200b\r=1", "\ufeff\u3164"],
        "\u3164\U0001f600b\u00e9": [3],
    },
    "minimize": "m",
    "point": {"retries": 0},
}


def laid(folder: Path) -> Path:
    """Write the study into a folder."""
    (folder / "study.py").write_text(STUDY)
    (folder / "study.json").write_text(json.dumps(DEFINITION))
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a finished run whose every text is hostile, and what the run has said."""
    folder = laid(tmp_path_factory.mktemp("here"))
    return folder, ask("run", "study.json", "-n", "1", folder=folder, code=3)


@pytest.fixture
def evil(ran, monkeypatch):
    """The folder of that run, which is the current one."""
    monkeypatch.chdir(ran[0])
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield ran[0]
    sys.modules.pop("study", None)


# Pieces.


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_F08_whatever_does_not_print_is_spelt_out(attack):
    assert harmless(plain(f"a{attack}b"))
    assert harmless(plain(f"a{attack}b", lines=True))
    assert "\n" not in plain(attack)
    for char in set(attack) - set("\n\r\x0b\x0c\x85\u2028\u2029"):
        if not char.isprintable() or UNSEEN.match(char):
            assert char.encode("unicode_escape").decode() in plain(attack, lines=True)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_F08_the_live_block_shows_no_text_as_it_is(glyphs, width):
    for line in block(SNAPSHOT, width, 60, glyphs):
        painted = Pen(TRUE).line(line)
        assert harmless(re.sub(r"\x1b\[(\d+;)*\d*m", "", painted))
        assert all(
            style == "" or re.fullmatch(r"(bold|dim|(on)?#[0-9a-f]{6}| )+", style) for _, style in line
        )


def test_F08_lines_of_a_log_and_for_machines_stay_lines():
    for view in (Lines, Objects):
        stream = io.StringIO()
        shown = view(stream)
        shown.show(SNAPSHOT)
        shown.note(EVIL)
        first, *notes = stream.getvalue().splitlines()
        assert harmless(stream.getvalue())
        if view is Objects:
            assert json.loads(first)["name"] == EVIL
            assert json.loads(notes[0]) == {"note": EVIL}


def test_F08_pictures_in_characters_show_no_text_as_it_is():
    axis = Axis.numeric(EVIL, np.array([1.0, 2.0]))
    names = Axis.categories(EVIL, [EVIL, f"{EVIL}2"])
    two = np.array([1.0, 2.0])
    for room in (Room(60, 20, depth=-1), Room(60, 20, unicode=False, depth=-1)):
        for lines in (
            heatmap(names, axis, (two - 1, two, two), room, title=EVIL, direction="minimize"),
            slices(names, axis, (two - 1, two), room, title=EVIL),
            history(axis, two, room, title=EVIL, direction="minimize"),
        ):
            assert all(harmless("".join(text for text, _ in line)) for line in lines)


LOAD = WorkerLoad(name=EVIL, slots=1, busy=0, done=1, failed=1, rate=1.0, batch=None, cpu=0.5, host=EVIL)
SNAPSHOT = Snapshot(
    name=EVIL,
    state="running",
    reason=EVIL,
    total=10,
    saved=5,
    done=5,
    statuses={"ok": 3, EVIL: 2},
    slots=2,
    workers=(LOAD, replace(LOAD, busy=1, straggler=True, age=3.0, point=4)),
    rate=1.0,
    best=(1.0, 3),
    metric=EVIL,
    parameters={EVIL: EVIL},
    complaints=(Complaint(EVIL, EVIL, 2, 3),),
    dashboard=EVIL,
    notices=(EVIL,),
)


# A whole run.


COMMANDS = (
    ("check", "study.json"),
    ("ls",),
    ("status", "study"),
    ("show", "study", "0"),
    ("show", "study", "3"),
    ("results", "study"),
    ("results", "study", "--format", "csv"),
    ("results", "study", "--format", "json"),
    ("results", "study", "--failures"),
    ("results", "study", "--plot", "y"),
    ("results", "study", "--plot", "x,y"),
    ("results", "study", "--where", "\x1b[2J\u202e\u200b"),
    ("results", "study", "--by", "\x1b[2J\u202e", "--best", "1"),
    ("show", "study", "y=\x1b[2J\u202e"),
    ("show", "stu\x1b[2J\u202e", "0"),
    ("status", "stu\x1b[2J\u202e"),
    ("ls", "\x1b[2J\u202e"),
    ("run", "study.json", "-n", "\x1b[2J\u202e"),
    ("run", "stu\x1b[2J\u202e.json"),
    ("check", "study.json", "\x1b[2J\u202e=3"),
    ("check", "study.json", "x=\x1b[2J\u202e"),
    ("verify", "study", "--rtol", "1"),
    ("doctor", "study"),
    ("stop", "study"),
)


@pytest.mark.usefixtures("evil")
def test_F08_no_command_shows_a_text_of_a_run_as_it_is(ran):
    said = ran[1].stdout + ran[1].stderr
    assert harmless(said)
    assert r"\x1b[2J" in said
    for words in COMMANDS:
        result = called(*words)
        assert "mistake of its own" not in result.output, (words, result.output)
        assert harmless(result.output), words
        for option in ("--json",) if words[0] in ("check", "ls", "status", "show", "doctor") else ():
            assert harmless(called(*words, option).output), (words, option)
    assert r"\x1b[2J" in called("show", "study", "3").output
    assert r"\u202e" in called("results", "study").output


def test_F08_on_a_real_terminal_only_colours_and_movements_of_ours_arrive(ran):
    received = on_a_terminal("results", "study", folder=ran[0])
    rest = re.sub(r"\x1b\[(\d+(;\d+)*)?m", "", received.replace("\r\n", "\n"))
    assert harmless(rest)
    assert r"\x1b[2J" in received


def on_a_terminal(*words: str, folder: Path) -> str:
    """Run ``swath`` with all of its output on a terminal; return what that received."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    environment = {**ENVIRONMENT, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        command(*words),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    ) as process:
        os.close(follower)
        arrived = received(leader)
        process.wait(PATIENCE)
    return arrived.decode()


def test_F08_what_a_hostile_folder_says_of_itself_is_spelt_out(evil):
    folder = evil / "results" / "study"
    lock = Lock(folder)
    try:
        telling = iter([0.0])
        Bulletin(folder, pytest.fail, clock=lambda: next(telling, time.monotonic())).offer(lambda: SNAPSHOT)
        for words in (("ls",), ("status", "study")):
            said = called(*words)
            assert harmless(said.output), words
            assert harmless(called(*words, "--json").output)
        assert r"\x1b[2J" in said.output
    finally:
        lock.release()
    looked = {
        **looked_like(folder),
        "state": EVIL,
        "updated": EVIL,
        "writer": EVIL,
        "damage": [EVIL],
        "folder": EVIL,
    }
    assert harmless(listings.status(looked))
    assert harmless(
        listings.runs([{**listed_like(folder), "name": EVIL, "state": EVIL, "updated": EVIL, "note": EVIL}])
    )


def looked_like(folder):
    from swath.commands.runs import look

    return look(folder)


def listed_like(folder):
    from swath.commands.runs import listing

    return listing(folder.parent)[0]


# Spreadsheets.

FORMULAS = (
    *("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\u3000=1"),
    *(
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff201",
        '=HYPERLINK("http://evil.example","x")',
        "=cmd|' /C calc'!A0",
    ),
    *("-", "--5", "=", "-5", "+5", "-1e5", "\x1b=1", "\u200b=1"),
)
SAFE = (
    "5",
    "a=1",
    "'=1",
    "",
    "x-y",
    "1-1",
    "(1)",
    "\u2212 1",
    "nan",
    "#REF!",
    "a\nb",
    "a\tb",
    'a"b',
    "a,b;c",
)


def cell(text):
    """Write a text as a cell of CSV and read it back as a spreadsheet does."""
    stream = io.StringIO()
    export.write(pd.DataFrame({"a": pd.Series([text], dtype=object), "b": [1]}), "csv", stream)
    return list(csv.reader(io.StringIO(stream.getvalue())))[1][0]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_F08_no_cell_of_csv_begins_like_a_formula(text):
    shown = cell(text)
    assert shown.startswith("'") or not shown.strip().startswith(export.FORMULA)
    assert not shown.lstrip().startswith(
        ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    )
    assert harmless(shown)


@pytest.mark.parametrize("text", SAFE, ids=ascii)
def test_F08_other_texts_stay_as_they_are_in_csv(text):
    assert cell(text) == text.expandtabs()


def test_F08_numbers_stay_numbers_in_csv():
    columns = {"x": [-1.5, 1e-300], "n": [-3, 4], "mixed": [-2, "-2"], "=name": [True, None]}
    stream = io.StringIO()
    export.write(pd.DataFrame(columns), "csv", stream)
    assert list(csv.reader(io.StringIO(stream.getvalue()))) == [
        ["x", "n", "mixed", "'=name"],
        ["-1.5", "-3", "-2", "True"],
        ["1e-300", "4", "'-2", ""],
    ]


def test_F08_csv_of_a_run_is_harmless_and_says_so(evil):
    rows = list(csv.DictReader(io.StringIO(called("results", "study", "--format", "csv").stdout)))
    assert len(rows) == 6
    assert all(not text.startswith(("=", "+", "-", "@")) for row in rows for text in row.values())
    assert "apostrophe" in " ".join(called("results", "--help").output.split())
    assert len(swath.open(evil / "results" / "study")) == 6
