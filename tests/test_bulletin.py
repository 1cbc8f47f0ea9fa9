"""What a run in progress tells other processes, and what they believe of it."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
from dataclasses import replace

import click.testing
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swath
from running import HOLD, ask, begun, command, ran, until
from swath import bulletin, cli
from swath.bulletin import LATE, Bulletin
from swath.commands import runs
from swath.snapshot import Snapshot, WorkerLoad
from swath.store.lock import Lock
from swath.transcript import decode, mapping_of
from swath.views import listings

WORKER = WorkerLoad(name="w", slots=2, busy=1, done=7, failed=1, rate=None, batch=(3, 0.5))
SNAPSHOT = Snapshot(
    name="study\ud800\x1b[2J",
    state="running",
    total=10**12,
    done=12,
    saved=11,
    statuses={"ok": 10, "error": 1},
    slots=2,
    workers=(WORKER, replace(WORKER, name="v", rate=1.5, batch=None)),
    rate=1.07,
    eta=(1.0, 2.5),
    best=(0.5, 3),
    metric="error",
    notices=("a", "b"),
)


@pytest.fixture
def locked(tmp_path):
    """A run folder that this process writes to."""
    lock = Lock(tmp_path)
    yield tmp_path
    lock.release()


def told(folder, snapshot=SNAPSHOT):
    """Write a bulletin as if it were time; return what went wrong."""
    troubles = []
    began = bulletin.time.monotonic()
    late = iter([began - 10])
    made = Bulletin(folder, troubles.append, clock=lambda: next(late, began))
    made.offer(lambda: snapshot)
    return troubles


def altered(folder, **changes):
    path = folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# As JSON, and back.


def test_a_snapshot_comes_back_as_it_was():
    assert decode(json.loads(json.dumps(mapping_of(SNAPSHOT)))) == SNAPSHOT
    assert decode(json.loads(json.dumps(mapping_of(Snapshot(name=""))))) == Snapshot(name="")


def test_numbers_without_a_name_in_json_and_those_of_numpy_are_written():
    odd = replace(SNAPSHOT, rate=float("inf"), best=(np.float64(0.25), np.int64(3)))
    text = json.dumps(mapping_of(odd), allow_nan=False)
    assert decode(json.loads(text)) == replace(SNAPSHOT, rate=None, best=(0.25, 3))


def test_what_a_newer_swath_tells_besides_is_left_out_and_what_an_older_one_leaves_out_is_as_usual():
    assert decode({"name": "a", "shoe_size": 43}) == Snapshot(name="a")


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"name": None},
        {"state": "on fire"},
        {"state": ["running"]},
        {"total": 1.5},
        {"total": True},
        {"total": "12"},
        {"statuses": [["ok", 3]]},
        {"statuses": {"ok": "many"}},
        {"workers": {"name": "w"}},
        {"workers": [{"name": "w"}]},
        {"workers": ["w"]},
        {"eta": [1.0]},
        {"eta": [1.0, 2.0, 3.0]},
        {"best": [1.0, "3"]},
        {"notices": "text"},
        {"notices": [{}]},
    ],
    ids=str,
)
def test_a_snapshot_of_other_types_is_refused(change):
    with pytest.raises(ValueError, match=r".+"):
        decode({**mapping_of(SNAPSHOT), **change})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(mapping_of(SNAPSHOT))), JSON)
def test_whatever_a_field_holds_it_is_a_snapshot_or_a_value_error(name, content):
    try:
        found = decode({**mapping_of(SNAPSHOT), name: content})
    except ValueError:
        return
    assert isinstance(found, Snapshot)


# The file.


def test_what_the_holder_of_the_lock_has_told_is_believed(locked):
    assert bulletin.read(locked) is None
    assert told(locked) == []
    found = bulletin.read(locked)
    assert found.snapshot == SNAPSHOT
    assert not found.late
    assert not (locked / "status.json.tmp").exists()


def test_nobody_is_believed_without_the_lock(tmp_path):
    lock = Lock(tmp_path)
    told(tmp_path)
    lock.release()
    assert bulletin.read(tmp_path) is None


@pytest.mark.parametrize("change", [{"pid": 1}, {"host": "elsewhere"}])
def test_what_another_process_has_left_is_not_believed(locked, change):
    told(locked)
    altered(locked, **change)
    assert bulletin.read(locked) is None


def test_who_has_been_silent_is_late(locked):
    told(locked)
    about = json.loads((locked / "status.json").read_text())
    altered(locked, time=about["time"] - 86_400)  # the clock was set meanwhile
    assert not bulletin.read(locked).late
    altered(locked, clock=about["clock"] - LATE - 1)
    assert bulletin.read(locked).late


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * (1 << 25)),
        *(b'{"pid": 1}', b'{"pid": {}, "host": []}'),
    ],
    ids=lambda content: f"{content[:10]!r}",
)
def test_a_spoilt_bulletin_is_none(locked, content):
    (locked / "status.json").write_bytes(content)
    assert bulletin.read(locked) is None


@pytest.mark.parametrize("part", ["snapshot", "clock"])
@pytest.mark.parametrize("content", [None, "x", [], {}])
def test_a_spoilt_part_of_a_bulletin_spoils_it(locked, part, content):
    told(locked)
    altered(locked, **{part: content})
    assert bulletin.read(locked) is None


def test_a_link_is_neither_read_nor_followed(locked, tmp_path_factory):
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.write_text("mine")
    (locked / "status.json").symlink_to(precious)
    assert bulletin.read(locked) is None
    assert told(locked) == []
    assert bulletin.read(locked).snapshot == SNAPSHOT
    (locked / "status.json.tmp").symlink_to(precious)
    (trouble,) = told(locked)
    assert trouble.errno == errno.ELOOP
    assert precious.read_text() == "mine"


def test_it_is_written_once_a_second_and_seldom_where_that_takes_long(locked):
    now, looks = [0.0], []
    made = Bulletin(locked, looks.append, clock=lambda: now[0])

    def look():
        looks.append(now[0])
        now[0] += cost
        return SNAPSHOT

    cost = 0.001
    for tenth in range(31):
        now[0] = tenth / 10
        made.offer(look)
    assert looks == [1.0, 2.0, 3.0]
    cost = 0.05
    for second in range(4, 20):
        now[0] = float(second)
        made.offer(look)
    assert looks[3:] == [4.0, 14.0]
    made.close()
    made.close()
    now[0] = 100.0
    made.offer(look)
    assert len(looks) == 5
    assert not (locked / "status.json").exists()


def test_a_disk_that_refuses_it_is_told_once_and_harms_nothing(locked, monkeypatch):
    troubles, now = [], [0.0]
    made = Bulletin(locked, troubles.append, clock=lambda: now[0])

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bulletin, "publish", full)
    for now[0] in (1.0, 2.0, 3.0):
        made.offer(lambda: SNAPSHOT)
    monkeypatch.undo()
    assert [trouble.errno for trouble in troubles] == [errno.ENOSPC]
    now[0] = 4.0
    made.offer(lambda: SNAPSHOT)
    assert bulletin.read(locked).snapshot == SNAPSHOT


# A real run.


@pytest.fixture
def held(tmp_path):
    """A sweep whose points wait for a file named ``go``, run by another process."""
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "study.yaml").write_text(
        "objective: study:hold\nparameters: {x: {range: [6]}}\nminimize: value\n"
    )
    with begun(*command("run", "study.yaml", "-n", "2", "--progress", "none"), folder=tmp_path) as process:
        until(lambda: len(ran(tmp_path)) == 2)
        yield tmp_path, process
        (tmp_path / "go").touch()


class Watcher:
    """A view that remembers."""

    interval = 0.1

    def __init__(self, interrupt=False):
        self.shown, self.notes, self.closed, self.interrupt = [], [], 0, interrupt

    def show(self, snapshot):
        self.shown.append(snapshot)
        if self.interrupt:
            raise KeyboardInterrupt

    def note(self, text):
        self.notes.append(text)

    def close(self):
        self.closed += 1


def test_other_processes_see_how_a_run_goes_and_follow_it(held):
    here, process = held
    folder = here / "results" / "study"
    found = until(lambda: (told := bulletin.read(folder)) and told.snapshot.busy == 2 and told)
    assert found.snapshot.slots == 2
    assert stat.S_IMODE((folder / "status.json").stat().st_mode) == 0o666 & ~umask()
    about = json.loads((folder / "status.json").read_text())
    assert (about["pid"], about["host"]) == (process.pid, socket.gethostname())
    (listed,) = asked("ls", "--out", folder.parent, "--json")
    assert listed["live"]["slots"] == 2
    looked = asked("status", folder, "--json")
    assert looked["live"]["workers"][0]["slots"] == 1
    assert looked["silent"] < LATE
    assert "2/2 slots busy on 2 workers" in listings.status(runs.look(folder))
    assert listings.runs(runs.listing(folder.parent)).count("running") == 1
    view = Watcher()
    view.show = lambda snapshot: (view.shown.append(snapshot), (here / "go").touch())
    runs.follow(folder, view)
    assert view.shown[0].busy == 2
    assert view.closed == 1
    assert process.wait(60) == 0
    assert not list(folder.glob("status.json*"))
    assert asked("status", folder, "--json")["live"] is None


def asked(*words):
    """Call a command in this process; return what its JSON says."""
    result = click.testing.CliRunner().invoke(cli.sweep, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_following_shows_what_is_told_and_else_what_is_saved_and_leaves_the_terminal_in_order(
    locked, monkeypatch
):
    told(locked, replace(SNAPSHOT, notices=("a",)))
    view = Watcher(interrupt=True)
    with pytest.raises(KeyboardInterrupt):
        runs.follow(locked, view)
    assert (view.closed, view.notes, view.shown[0].rate) == (1, ["a"], 1.07)
    saved = {"name": "s", "total": 10, "done": 4, "excluded": 1, "statuses": {"ok": 4}}
    monkeypatch.setattr(runs, "look", lambda _folder: saved)
    altered(locked, clock=-1e9)  # the run is suspended
    view = Watcher(interrupt=True)
    with pytest.raises(KeyboardInterrupt):
        runs.follow(locked, view)
    assert (view.shown[0].saved, view.shown[0].rate) == (4, None)


def test_what_a_killed_run_has_told_is_neither_believed_nor_in_the_way(held):
    here, process = held
    folder = here / "results" / "study"
    until(lambda: bulletin.read(folder))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / "status.json").exists()
    assert bulletin.read(folder) is None
    assert asked("status", folder, "--json")["state"] == "interrupted"
    suspended = {**runs.look(folder), "writer": "process 1", "silent": 123.0}
    assert "silent     for 2m03s: its process is suspended, or cannot write" in listings.status(suspended)
    (here / "go").touch()
    ask("run", "study.yaml", "-n", "2", folder=here)
    assert not (folder / "status.json").exists()
    assert len(swath.open(folder)) == 6


def umask():
    was = os.umask(0)
    os.umask(was)
    return was
