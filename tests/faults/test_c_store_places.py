"""Folders that cannot be used, that fill up, or that are taken away during a run."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from running import HOLD, ask, begun, command, ran, until
from saving import SIZE, Session, study
from swath.errors import CannotWriteError, RunInUseError, UsageError
from swath.results import Results
from swath.store import Store, commits
from swath.store.disk import Disk
from swath.store.repair import examine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BULKY = """
import hashlib

def bulky(x):
    return {"text": hashlib.shake_256(str(x).encode()).hexdigest(2000)}
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(commits, "PAUSE", 0.0)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results" / "study"


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory, where that is permitted."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@contextmanager
def unwritable(place: Path) -> Iterator[str]:
    """Make a folder that we may not write to, and say why: root may write everywhere but to a file system that is read-only."""
    if os.geteuid() == 0:
        with mounted(place, "ro"):
            yield "Read-only file system"
        return
    place.mkdir()
    place.chmod(0o555)
    try:
        yield "Permission denied"
    finally:
        place.chmod(0o755)


def finish(folder: Path) -> None:
    """Run what is missing."""
    with Session(folder, study()) as session:
        for position in sorted(set(range(SIZE)) - {i for a, b in session.past.done for i in range(a, b)}):
            session.save(position, position + 1)
    assert Results(folder).frame.index.tolist() == list(range(SIZE))
    assert examine(folder).damage == ()


# Before the run.


def test_C10_what_stands_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    long = "/".join(["x" * 200] * 25)
    for place, kind, text in (
        (tmp_path / "file", UsageError, f"{tmp_path / 'file'} is a file; a run needs a folder there"),
        (tmp_path / "file/study", UsageError, f"{tmp_path / 'file'} is a file; a run needs a folder there"),
        (tmp_path / "loop/study", CannotWriteError, "Too many levels of symbolic links"),
        (tmp_path / "dangling/study", CannotWriteError, "No such file or directory"),
        (tmp_path / long, CannotWriteError, "File name too long"),
        (tmp_path / ("x" * 300), CannotWriteError, "File name too long"),
    ):
        with pytest.raises(kind) as told:
            Store.open(place)
        assert text in str(told.value)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["dangling", "file", "loop"]


def test_C10_a_folder_that_cannot_be_written_is_told_and_the_doctor_knows(tmp_path):
    (tmp_path / "task.py").write_text(HOLD)
    (tmp_path / "hold.yaml").write_text("objective: task:nap\nparameters: {x: [1]}\n")
    with unwritable(tmp_path / "results") as why:
        refused = ask("run", "hold.yaml", "--engine", "inline", folder=tmp_path, code=74)
        assert refused.stderr.strip() == f"cannot write results/hold: {why}"
        found = ask("doctor", folder=tmp_path, code=2).stdout
        assert "BAD writing" in found
        assert why in found
    assert not ran(tmp_path)


def test_C10_links_are_not_needed(folder):
    """FAT has none; the manifest before is then kept as a copy."""

    class Fat(Disk):
        def link(self, old, _new):
            raise OSError(errno.EPERM, "Operation not permitted", str(old))

    with Session(folder, study(), disk=Fat()) as session:
        session.save(0, 5)
        session.save(5, 9)
    (folder / "manifest.json").write_text("{")
    with pytest.warns(UserWarning, match=r"manifest.json.*the state before it, with 9 rows, is used"):
        assert len(Results(folder).frame) == 9
    finish(folder)


# During the run.


def test_C07_a_full_disk_stops_the_run_and_with_more_room_the_same_command_goes_on(tmp_path):
    (tmp_path / "task.py").write_text(BULKY)
    (tmp_path / "bulky.yaml").write_text("objective: task:bulky\nparameters: {x: {range: [400]}}\n")
    words = ("run", "bulky.yaml", "--engine", "inline")
    with mounted(tmp_path / "results", "size=900k"):
        ask(*words, "--limit", "60", folder=tmp_path, code=4)
        run = tmp_path / "results/bulky"
        before = Results(run).frame
        stopped = ask(*words, folder=tmp_path, code=74)
        assert "No space left on device" in stopped.stderr
        assert (
            "the 60 rows saved so far are safe, and the same command goes on once that is mended"
            in stopped.stderr
        )
        assert "Traceback" not in stopped.stderr
        assert Results(run).frame.equals(before)
        assert examine(run).damage == ()
        ask(*words, folder=tmp_path, code=74)  # again; it does no harm
        subprocess.run(["mount", "-o", "remount,size=16m", tmp_path / "results"], check=True)
        ask(*words, folder=tmp_path)
        frame = Results(run).frame
        assert len(frame) == 400
        assert frame.iloc[:60].equals(before)
        assert examine(run).damage == ()
        assert not list(run.rglob("*.tmp"))


def test_C07_a_signal_or_a_full_disk_that_takes_only_a_part_is_given_the_rest(folder, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, piece: real(handle, memoryview(piece)[:7]))
    with Session(folder, study()) as session:
        session.save(0, 9)
    monkeypatch.undo()
    assert examine(folder).damage == ()
    assert len(Results(folder).frame) == 9


def test_C11_a_folder_that_is_moved_ends_the_run_and_put_back_it_goes_on(folder):
    with Session(folder, study()) as session:
        session.save(0, 5)
        folder.rename(folder.with_name("moved"))
        session.save(5, 9)
        session.save(9, 10)
        assert session.durable == [0]
        (told,) = session.failed
    assert isinstance(told, CannotWriteError)
    assert "manifest.json is gone: the folder was moved or removed while the run was writing to it" in str(
        told
    )
    assert "put it back, with the 5 rows saved so far, and the same command goes on" in str(told)
    assert not folder.exists()
    assert len(Results(folder.with_name("moved")).frame) == 5
    folder.with_name("moved").rename(folder)
    finish(folder)


def test_C11_a_removed_folder_is_not_made_anew_by_a_run_that_goes_on(folder):
    with Session(folder, study()) as session:
        session.save(0, 5)
        shutil.rmtree(folder)
        session.save(5, 9)
        assert session.durable == [0]
        assert "the folder was moved or removed" in str(session.failed[0])
    assert not folder.exists()


def test_C11_a_removed_segment_is_noticed_at_the_next_commit(folder):
    with Session(folder, study()) as session:
        session.save(0, 5)
        session.save(5, 9)
        (folder / "segments/000001.arrow").unlink()
        session.save(9, 12)
        assert session.durable == [0, 1]
        (told,) = session.failed
    assert isinstance(told, CannotWriteError)
    assert "segments/000001.arrow was removed while the run was writing" in str(told)
    assert "its 5 rows are missing, and the same command runs them again" in str(told)
    with pytest.warns(UserWarning, match=r"000001.arrow.*is missing"):
        assert len(Results(folder).frame) == 4
    finish(folder)


def test_C11_another_run_in_the_place_of_the_folder_is_left_alone(folder):
    with Session(folder, study()) as first:
        first.save(0, 5)
        folder.rename(folder.with_name("moved"))
        with Session(folder, study()) as second:
            second.save(0, 2)
            first.save(5, 9)
            (told,) = first.failed
            assert isinstance(told, RunInUseError)
            assert f"was written to by another run (process {os.getpid()} on " in str(told)
            second.save(2, 4)
            assert not second.failed
    assert len(Results(folder.with_name("moved")).frame) == 5
    finish(folder)


def test_C11_the_command_says_it_too(tmp_path):
    (tmp_path / "task.py").write_text(HOLD)
    (tmp_path / "hold.yaml").write_text("objective: task:hold\nparameters: {x: {range: [4]}}\n")
    with begun(*command("run", "hold.yaml", "--engine", "inline"), folder=tmp_path) as process:
        until(lambda: ran(tmp_path))
        (tmp_path / "results/hold").rename(tmp_path / "elsewhere")
        (tmp_path / "go").touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 74
    assert "the folder was moved or removed while the run was writing to it" in err
    assert "Traceback" not in err
    (tmp_path / "elsewhere").rename(tmp_path / "results/hold")
    ask("run", "hold.yaml", "--engine", "inline", folder=tmp_path)
    assert len(Results(tmp_path / "results/hold").frame) == 4
