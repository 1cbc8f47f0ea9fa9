"""Several at one run folder: writers keep each other out, readers see a prefix and disturb nobody."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from running import ENVIRONMENT, HOLD, ask, begun, command, until
from saving import SIZE, Session, error_of, study
from simdisk import HereCommits, SimDisk, live_on
from swath.errors import CannotWriteError, RunInUseError
from swath.results import Results
from swath.store import Store, commits, merging
from swath.store.disk import Disk
from swath.store.lock import holder

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = study(parameters={"a": {"range": [1000]}, "b": [10], "seed": [7]})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results" / "study"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "task.py").write_text(HOLD)
    (tmp_path / "hold.yaml").write_text("objective: task:hold\nparameters: {x: {range: [4]}}\n")
    return tmp_path


# Two writers.


def test_E01_E09_a_second_driver_and_a_repair_are_refused_and_told_by_whom(project):
    with begun(*command("run", "hold.yaml", "--engine", "inline"), folder=project) as first:
        run = project / "results/hold"
        until(lambda: holder(run) and (run / "manifest.json").exists())
        before = (run / "manifest.json").read_bytes()
        for words in (("run", "hold.yaml", "--engine", "inline"), ("doctor", "hold", "--repair")):
            refused = ask(*words, folder=project, code=73)
            assert f"results/hold is in use by process {first.pid} on {os.uname().nodename}" in refused.stderr
            assert "or stop it: swath stop results/hold" in refused.stderr
        assert (run / "manifest.json").read_bytes() == before
        assert "ok  writer" in ask("doctor", "hold", folder=project).stdout
        (project / "go").touch()
        assert first.wait(60) == 0
    assert len(Results(run).frame) == 4


def test_E02_where_locks_do_nothing_the_writer_that_is_overtaken_notices(monkeypatch):
    monkeypatch.setattr("swath.store.Commits", HereCommits)
    monkeypatch.setattr(merging, "MANY", 3)
    monkeypatch.setattr(merging, "LEAST", 3)
    dice = random.Random(2)
    folder = Path("/results/study")
    for _ in range(20):
        disk = SimDisk(dice)
        live_on(disk, monkeypatch)
        first = Session(folder, study(), disk=disk)
        saved = range(dice.randint(0, 5))
        for position in saved:
            first.save(position, position + 1)
        second = Session(folder, study(), disk=disk)
        assert len(second.past.done) == len(saved)
        for turn in dice.choice(([1, 2], [2, 1, 2], [2, 2, 2, 2, 1], [2])):
            position = SIZE - 1 - len(second.durable) if turn == 2 else len(saved)
            (first if turn == 1 else second).save(position, position + 1)
        first.store.close()  # which says how the run stands, if nothing else was said before
        assert first.durable == list(saved)
        (told,) = first.failed
        assert isinstance(told, RunInUseError)
        assert f"written to by another run (process {os.getpid()} on {os.uname().nodename}" in str(told)
        assert not second.failed
        second.store.close()
        with Session(folder, study(), disk=disk) as last:
            assert last.past.damage == ()
            expected = {*saved, *(SIZE - 1 - i for i in range(len(second.durable)))}
            assert {i for start, stop in last.past.done for i in range(start, stop)} == expected


def test_E02_a_file_system_whose_locks_do_nothing_is_refused(folder, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with pytest.raises(CannotWriteError, match="file system without working locks"):
        Store.open(folder)


def test_E02_a_file_system_without_locks_is_refused(folder, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(CannotWriteError, match="Function not implemented"):
        Store.open(folder)


OWNER = """
import os, subprocess, sys, time
from pathlib import Path
from swath.store import Store
store = Store.open(Path(sys.argv[1]))
if sys.argv[2] == "exec":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False).pid
else:
    child = os.fork()
if not child:
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


def owner(folder: Path, how: str) -> tuple[int, int]:
    """Let a process take the lock, start a child, and be killed; return the pids of both."""
    folder.parent.mkdir(exist_ok=True)
    words = [sys.executable, "-c", OWNER, str(folder), how]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True) as process:
        child = int(process.stdout.readline())
        with pytest.raises(RunInUseError, match=f"process {process.pid} on "):
            Store.open(folder)
        process.kill()
    return process.pid, child


def test_E03_the_lock_of_a_killed_owner_is_free_even_if_its_children_live(folder):
    _, child = owner(folder, "exec")
    try:
        Store.open(folder).close()
    finally:
        os.kill(child, signal.SIGKILL)


def test_E03_an_orphan_that_holds_the_lock_is_named(folder):
    pid, orphan = owner(folder, "fork")
    try:
        with pytest.raises(RunInUseError) as told:
            Store.open(folder)
        assert f"process {pid} on " in str(told.value)
        assert (
            f"has ended, but what it left behind still holds the lock: process {orphan}; end that: kill {orphan}"
            in str(told.value)
        )
    finally:
        os.kill(orphan, signal.SIGKILL)
    until(lambda: holder(folder) is None)
    Store.open(folder).close()


def test_E07_another_sweep_of_the_same_name_is_refused(project):
    (project / "go").touch()
    ask("run", "hold.yaml", "--engine", "inline", folder=project)
    (project / "other").mkdir()
    (project / "other/task.py").write_text("def other(y):\n    return y\n")
    (project / "other/hold.yaml").write_text("objective: task:other\nparameters: {y: [1, 2]}\n")
    manifest = project / "results/hold/manifest.json"
    before = manifest.read_bytes()
    refused = ask("run", "other/hold.yaml", "--engine", "inline", folder=project, code=2)
    assert "results/hold: the objective was task:hold and is task:other" in refused.stderr
    assert "swath run other/hold.yaml --fresh" in refused.stderr
    assert manifest.read_bytes() == before


# Readers.


WRITER = """
import sys
from pathlib import Path
from saving import Session, study
from swath.store import commits, merging
commits.PAUSE = 0.0
merging.MANY = merging.LEAST = 3
definition = study(parameters={"a": {"range": [1000]}, "b": [10], "seed": [7]})
with Session(Path(sys.argv[1]), definition) as session:
    print("begun", flush=True)
    for start in range(1000):
        session.save(start, start + 1)
        if start >= 99 and Path(sys.argv[2]).exists():
            break
"""


@pytest.fixture
def enough(tmp_path) -> Path:
    """A file that is made once enough was seen of what is written."""
    return tmp_path / "enough"


@pytest.fixture
def writing(folder, enough) -> Iterator[subprocess.Popen]:
    """A process that commits point by point, and merges all the time: a hundred points, and more until it is enough."""
    folder.parent.mkdir()
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-c", WRITER, str(folder), str(enough)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def test_E04_a_reader_at_any_instant_sees_a_prefix(writing, folder, enough):
    """By keeping a view, and anew; the rows, the counts and the state of the run."""
    seen: list[int] = []
    wrong: list[object] = []

    def read() -> None:
        kept, most = Results(folder), 0
        while writing.poll() is None:
            for results in (kept, Results(folder)):
                table = results.arrow
                points = table.column("point").to_pylist()
                if points != list(range(len(points))) or len(points) < most:
                    wrong.append((most, points))
                if points and table.column("error").to_pylist() != error_of(LONG, points):
                    wrong.append("values")
                if len(results) < len(points):
                    wrong.append("fewer")
                most = len(points)
                seen.append(most)
            if wrong or len(set(seen)) > 10:
                enough.touch()

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as damage, which there is none of
        threads = [threading.Thread(target=caught, args=(read, wrong)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert writing.wait() == 0
    assert len(set(seen)) > 10
    assert len(Results(folder)) >= 100


def caught(work, wrong) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001  it must not end in another thread, unseen
        wrong.append(error)


class Looking(Disk):
    """A disk that can only be looked at."""

    def _refuse(self, *_: object, **__: object) -> None:
        raise AssertionError("a reader changed something")

    make_folder = add_folder = remove_folder = write_file = rename = link = remove = sync_folder = _refuse


def _held_locks():
    """Locks that this process has; others on this machine may come and go."""
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("FLOCK" in line and f" {os.getpid()} " in line for line in lines)


def test_E05_readers_take_no_lock_and_change_nothing(folder, monkeypatch):
    """So however many there are, a writer never waits for them."""
    monkeypatch.setattr("swath.results.Disk", Looking)
    with Session(folder, study()) as session:
        session.save(0, 10)
        before = {path: path.stat() for path in folder.rglob("*")}
        locks = _held_locks()
        readers = [Results(folder) for _ in range(20)]
        assert all(len(reader.frame) == len(reader) == 10 for reader in readers)
        assert _held_locks() == locks == 1
        after = {path: path.stat() for path in folder.rglob("*")}
        assert {path: (at.st_mtime_ns, at.st_size, at.st_ino) for path, at in before.items()} == {
            path: (at.st_mtime_ns, at.st_size, at.st_ino) for path, at in after.items()
        }
        session.save(10, 12)
        assert all(len(reader) == 12 for reader in readers)


@pytest.mark.parametrize("how", ["cp -r {} {}", "tar -cf - -C {} . | tar -xf - -C {}"])
def test_E06_a_copy_made_during_a_run_is_a_prefix_or_says_what_is_missing(
    writing, folder, tmp_path, how, enough
):
    copies = []
    while writing.poll() is None and len(copies) < 25:
        copy = tmp_path / f"copy{len(copies)}"
        if how.startswith("tar"):
            copy.mkdir()
        subprocess.run(how.format(folder, copy), shell=True, check=False, stderr=subprocess.DEVNULL)
        copies.append(copy)
        if len(copies) > 3:
            enough.touch()
    assert len(copies) > 3
    for copy in copies:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            results = Results(copy)
            points = results.frame.index.tolist()
        assert not points or results.frame["error"].tolist() == error_of(LONG, points)
        assert points == list(range(len(points))) or told
        assert all("is missing" in str(item.message) for item in told)
        assert {item.file for item in results.damage} == {
            str(item.message).partition(" is damaged")[0].removeprefix(f"{copy}/") for item in told
        }
    with Session(copies[-1], LONG) as session:
        missing = set(range(20)) - {i for start, stop in session.past.done for i in range(start, stop)}
        for position in sorted(missing):
            session.save(position, position + 1)
    assert set(Results(copies[-1]).frame.index) >= set(range(20))
    assert Results(copies[-1]).damage == ()


# Exports.


def test_E08_an_export_replaces_what_was_there_whole_or_not_at_all(monkeypatch):
    """Killed, or given an error, at any step."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr("swath.store.Commits", HereCommits)
    folder = Path("/results/study")
    steps = 1
    for step in range(20):
        for fault in ({"doom": step}, {"errors": dict.fromkeys(range(step, step + 50), 28)}):
            disk = SimDisk(random.Random(step))
            live_on(disk, monkeypatch)
            with Session(folder, study(), disk=disk) as session:
                session.save(0, 10)
                session.store.export()
                before = disk._node(folder / "results.parquet").data
                disk.arm(**fault)
                try:
                    session.store.export()
                except CannotWriteError:
                    steps += 1
                disk.arm()
            now = disk._node(folder / "results.parquet").data
            assert now == before or pq.read_table(pa.BufferReader(now)).num_rows == 10
            with Session(folder, study(), disk=disk) as session:
                assert not [name for name in disk.names(folder) if name.endswith(".tmp")]
                assert len(session.past.done) == 10
    assert steps > 5


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(commits, "PAUSE", 0.0)
