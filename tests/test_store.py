"""The store keeps what it reported, through crashes, damage, other writers, and changes of the definition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from saving import SIZE, STUDY, Session, error_of, rows, stream, study
from swath.errors import CannotWriteError, DamageError, RunInUseError, UsageError
from swath.messages import Batch, Reply, Write
from swath.ranges import RangeSet
from swath.results import Results
from swath.store import Store, commits, merging
from swath.store.disk import Disk
from swath.store.lock import holder
from swath.store.manifest import SegmentEntry, read_manifest
from swath.store.provenance import git_commit
from swath.store.sealing import sealed
from swath.store.segments import floats


@pytest.fixture
def tmp_path(tmp_path):
    """A folder in memory where there is one: hundreds of runs are saved here, and no power fails."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results" / "a 'study'\n"


@pytest.fixture
def few(monkeypatch):
    """Merge early, so that short tests see it."""
    monkeypatch.setattr(merging, "MANY", 3)
    monkeypatch.setattr(merging, "LEAST", 3)
    monkeypatch.setattr(merging, "LEFT", 2)


pytestmark = pytest.mark.usefixtures("at_once")


def saved(folder: Path) -> dict[int, float]:
    """Point and metric of every row, after a check that no point has two."""
    table = Results(folder).arrow
    points = table.column("point").to_pylist()
    assert points == sorted(set(points))
    return dict(zip(points, table.column("error").to_pylist(), strict=True)) if points else {}


def expected(definition, points) -> dict[int, float]:
    points = list(points)
    return dict(zip(points, error_of(definition, points), strict=True))


# A run, begun and resumed.


def test_a_run_from_beginning_to_end(folder):
    definition = study()
    with Session(folder, definition) as session:
        assert session.past.done == RangeSet()
        assert session.store.manifest.state == "running"
        session.save(0, 10)
        session.save(10, SIZE, worker="w1")
        assert session.durable == [0, 1]
        assert session.store.rows == SIZE
        assert session.store.manifest.state == "complete"
    assert saved(folder) == expected(definition, range(SIZE))
    manifest = read_manifest(Disk(), folder)
    assert manifest.workers == ("w0", "w1")
    assert [session.rows_before for session in manifest.sessions] == [0]
    assert json.loads((folder / "definitions/0001.yaml").read_text()) == definition.source
    assert json.loads((folder / "run.json").read_text())["objective"] == "model:simulate"


def test_resuming_says_what_is_done_and_which_points_failed(folder):
    definition = study()
    with Session(folder, definition) as session:
        assert session.store.previous().rows == 0
        session.save(0, 4, statuses=["ok", "error", "ok", "timeout"])
        session.save(4, 8, excluded=[5, 6])
    assert read_manifest(Disk(), folder).state == "stopped"
    with Session(folder, definition, code="other") as session:
        past = session.past
        previous = session.store.previous()
    assert str(past.done) == "0-7"
    assert past.statuses == {"ok": 4, "error": 1, "timeout": 1}
    assert past.failed == {"error": {1: RangeSet([(1, 2)])}, "timeout": {1: RangeSet([(3, 4)])}}
    assert past.excluded == 2
    assert (previous.name, previous.objective, previous.rows) == ("study", "model:simulate", 6)
    assert (previous.fingerprint, previous.receives) == ("other", ("a", "b", "seed"))


def test_resuming_reads_no_segment_as_long_as_all_is_well(folder, monkeypatch):
    definition = study()
    with Session(folder, definition) as session:
        session.save(0, 4)
        session.save(4, 9, excluded=[6])
    monkeypatch.setattr("swath.store.history.decode", None)
    with Session(folder, definition) as session:
        assert str(session.past.done) == "0-8"
        assert session.past.statuses == {"ok": 8}


@pytest.mark.parametrize("order", ["grid", "shuffle"])
def test_a_retried_point_has_the_row_of_its_last_attempt(folder, order):
    definition = study(order=order)
    with Session(folder, definition) as session:
        session.save(0, 6, statuses=["ok", "error", "crash", "ok", "ok", "error"])
    with Session(folder, definition) as session:
        assert session.past.failed["error"] == {1: RangeSet([(1, 2), (5, 6)])}
        session.save(1, 2, attempt=2)
        session.save(2, 3, attempt=2, statuses="timeout")
        session.save(6, 8)
    with Session(folder, definition) as session:
        assert session.past.statuses == {"ok": 6, "error": 1, "timeout": 1}
        assert session.past.failed == {"error": {1: RangeSet([(5, 6)])}, "timeout": {2: RangeSet([(2, 3)])}}
        assert str(session.past.done) == "0-7"
    frame = Results(folder).frame
    again = definition.space.indices(1, 3).tolist()
    assert frame.loc[again, "attempts"].tolist() == [2, 2]
    assert frame.loc[again, "status"].tolist() == ["ok", "timeout"]
    assert len(frame) == 8


def test_a_commit_writes_all_that_waits_and_little_else(folder, monkeypatch):
    monkeypatch.setattr(commits, "PAUSE", 60.0)
    with Session(folder, study()) as session:
        session.save(0, 1)
        for start in range(1, 21):
            batch = Batch(start, "w0", start, start + 1, 1, 1.0)
            session.store.append(
                Write(batch, session.reply(start, start + 1), RangeSet([(start, start + 1)]))
            )
        assert session.durable == [0]
        session.store.flush()
        session.store._commits.drain()
        assert session.durable == list(range(21))
        assert len(session.store.manifest.segments) == 2


def test_an_export_is_written_and_removed_by_the_next_commit(folder):
    definition = study()
    with Session(folder, definition) as session:
        session.save(0, 10)
        session.store.export()
        table = pa.parquet.read_table(folder / "results.parquet")
        assert table.column_names == list(Results(folder).arrow.column_names)
        assert table.num_rows == 10
        session.save(10, 12)
        assert not (folder / "results.parquet").exists()


def test_stop_requests_are_seen_once_and_do_not_outlive_the_run(folder):
    definition = study()
    with Session(folder, definition) as session:
        assert session.store.stop_request() is None
        (folder / "stop").write_text("now")
        assert session.store.stop_request() == "now"
        (folder / "stop").write_text("drain")
        assert session.store.stop_request() == "drain"
    assert not (folder / "stop").exists()
    (folder / "stop").write_text("now")
    with Session(folder, definition) as session:
        assert session.store.stop_request() is None


# Replies that are none.


def bad_replies():
    good = rows([0, 1, 2, 3], error=[0.0, 1.0, 2.0, 3.0])
    names = good.column_names

    def changed(name, values, kind):
        return good.set_column(names.index(name), name, pa.array(values, kind))

    yield "not Arrow", b"nonsense", 4, "cannot be read"
    yield "cut short", stream(good)[:200], 4, "cannot be read"
    yield "rows missing", stream(good.slice(1)), 4, "holds 3 rows and announces 4"
    yield "outside", stream(rows([0, 1, 2, 9], error=[0.0] * 4)), 4, "positions 0 to 9 of [0, 4)"
    yield "negative", stream(rows([-1, 1, 2, 3], error=[0.0] * 4)), 4, "point -1"
    yield "twice", stream(rows([0, 1, 1, 3], error=[0.0] * 4)), 4, "a point twice"
    yield (
        "null point",
        stream(changed("point", [0, 1, None, 3], pa.int64())),
        4,
        "column point is int64 with 1 nulls",
    )
    yield "wrong type", stream(changed("seconds", [0, 1, 2, 3], pa.int64())), 4, "column seconds is int64"
    yield "no status", stream(good.drop_columns("status")), 4, "cannot be read"
    yield "strange status", stream(changed("status", [0, 1, 2, 99], pa.uint8())), 4, "status 99"
    yield (
        "reserved",
        stream(good.append_column("worker", pa.array([1.0] * 4))),
        4,
        "a metric is named 'worker'",
    )
    words = pa.array(["x"] * 4).dictionary_encode()
    yield "dictionary", stream(good.append_column("word", words)), 4, "it holds a dictionary"
    twice = good.append_column("error", pa.array([0.0] * 4))
    yield "double metric", stream(twice), 4, "two columns of one type"
    garbled = bytearray(stream(good.append_column("word", pa.array(["aaaa"] * 4))))
    place = garbled.rindex(b"aaaaaaaaaaaaaaaa")
    garbled[place : place + 4] = b"\xff\xfe\xfd\xfc"
    yield "not UTF-8", bytes(garbled), 4, "cannot be read"


@pytest.mark.parametrize(
    ("payload", "announced", "text"),
    [case[1:] for case in bad_replies()],
    ids=[case[0] for case in bad_replies()],
)
def test_a_reply_that_is_none_never_reaches_the_disk(folder, payload, announced, text):
    with Session(folder, study()) as session:
        session.save(0, 4, reply=Reply(((0, 4),), announced, payload=(payload,)))
        assert session.durable == []
        assert [batch for batch, _ in session.rejected] == [0]
        assert text in session.rejected[0][1]
        assert session.store.manifest.segments == ()
        session.save(0, 4)
        assert session.durable == [1]
    assert len(saved(folder)) == 4


def test_rows_that_were_not_accepted_are_dropped(folder):
    definition = study()
    with Session(folder, definition) as session:
        batch = Batch(0, "w0", 0, 6, 1, 1.0)
        session.hand_over(batch, session.reply(0, 6), RangeSet([(0, 2), (4, 5)]))
        assert str(session.store.manifest.segments[0].positions) == "0-1,4"
        beyond = Batch(1, "w0", 6, 8, 1, 1.0)
        session.hand_over(beyond, session.reply(6, 8), RangeSet([(6, 9)]))
        assert "positions 6-8 are outside [6, 8)" in session.rejected[0][1]
    assert saved(folder) == expected(definition, [0, 1, 4])


def test_very_large_replies_become_several_segments(folder, monkeypatch):
    monkeypatch.setattr(merging, "LIMIT", 300)
    definition = study()
    with Session(folder, definition) as session:
        session.save(0, SIZE, excluded=[3, 20])
        entries = session.store.manifest.segments
        assert len(entries) > 2
        assert sum(entry.rows for entry in entries) == SIZE - 2
        assert sum(entry.excluded for entry in entries) == 2
    with Session(folder, definition) as session:
        assert str(session.past.done) == f"0-{SIZE - 1}"
        assert session.past.statuses == {"ok": SIZE - 2}
        assert session.past.excluded == 2


# Merging.


def test_merging_bounds_the_number_of_files_and_changes_no_row(folder):
    definition = study(parameters={"a": {"range": [1000]}, "b": [10], "seed": [7]})
    counts, reference = [], None
    with Session(folder, definition) as session:
        for start in range(150):
            session.save(start, start + 1, **({} if start % 3 else {"statuses": "error"}))
            counts.append(len(session.store.manifest.segments))
        reference = Results(folder).frame
    assert max(counts) <= merging.MANY
    assert len(list((folder / "segments").iterdir())) <= merging.LEFT + 8
    assert saved(folder) == expected(definition, range(150))
    assert Results(folder).frame.equals(reference)
    assert Results(folder).statuses == {"ok": 100, "error": 50}


def test_merging_copies_a_row_a_few_times_only():
    """By sizes alone: thousands of commits, each file counted as often as it is written."""
    sizes, written = [], 0
    for _ in range(3_000):
        sizes.append(1000)
        files = [entry(i, size) for i, size in enumerate(sizes)]
        (chosen,) = [*merging.rows_to_join(files, (), ending=False)] or [[]]
        if chosen:
            merged = sum(item.bytes for item in chosen)
            keep = {int(item.file[:6]) for item in chosen}
            sizes = [size for i, size in enumerate(sizes) if i not in keep]
            sizes.append(merged)
            written += merged
        assert len(sizes) <= merging.MANY
        assert max(sizes) <= merging.LIMIT
    assert written / 3_000_000 < 6


def entry(number, size):
    return SegmentEntry(f"{number:06d}.arrow", size, "", 1, "", 0, 0, "", {}, 0)


@pytest.mark.usefixtures("few")
def test_segments_of_other_code_are_not_merged_together(folder):
    definition = study()
    for turn in range(3):
        with Session(folder, definition, code=f"code{turn}") as session:
            for start in range(turn * 8, turn * 8 + 8):
                session.save(start, start + 1)
    entries = read_manifest(Disk(), folder).segments
    assert sorted({item.code for item in entries}) == ["code0", "code1", "code2"]
    assert len(entries) <= 9
    assert len(saved(folder)) == SIZE


# Another definition.


def test_added_values_run_and_removed_ones_come_back(folder):
    small, large = study(), study(parameters={**STUDY["parameters"], "b": [5, 10, 20, 25, 30]})
    with Session(folder, small) as session:
        session.save(0, SIZE, excluded=[])
    with Session(folder, large) as session:
        todo = RangeSet([(0, large.space.size)])
        todo.difference_update(session.past.done)
        assert len(session.past.done) == SIZE
        for start, stop in todo:
            session.save(start, stop)
        assert session.store.manifest.state == "complete"
    assert saved(folder) == expected(large, range(large.space.size))
    with Session(folder, small) as session:  # put back: nothing is left to do, the rest stays on disk
        assert len(session.past.done) == SIZE
        assert session.past.statuses == {"ok": SIZE}
        assert session.store.manifest.current == 1
        assert session.store.manifest.state == "complete"
    assert saved(folder) == expected(small, range(SIZE))
    assert len(Results(folder).all) == large.space.size
    assert sorted(path.name for path in (folder / "definitions").iterdir()) == ["0001.yaml", "0002.yaml"]


def test_a_failure_of_an_older_definition_is_retried_under_the_new_one(folder):
    small, large = study(), study(parameters={**STUDY["parameters"], "seed": [7, 8, 9]})
    with Session(folder, small) as session:
        session.save(0, 4, statuses=["ok", "error", "error", "ok"])
    with Session(folder, large) as session:
        failed = session.past.failed["error"][1]
        assert str(failed) == "1,3"  # (1, 10, 8) and (1, 20, 7) among three seeds
        session.save(1, 2, attempt=2)
        session.save(2, 3)
    with Session(folder, large) as session:
        assert session.past.statuses == {"ok": 4, "error": 1}
        assert str(session.past.failed["error"][1]) == "3"
    with Session(folder, small) as session:
        assert session.past.statuses == {"ok": 3, "error": 1}
        assert str(session.past.failed["error"][1]) == "2"
    assert Results(folder).frame["attempts"].tolist() == [1, 2, 1, 1]


def test_a_new_parameter_counts_as_what_it_was(folder):
    old = study()
    new = study(parameters={**STUDY["parameters"], "dt": {"values": [0.1, 0.05], "was": 0.1}})
    with Session(folder, old) as session:
        session.save(0, SIZE)
    with Session(folder, new) as session:
        assert session.past.done == RangeSet.of(np.arange(0, 2 * SIZE, 2))
    assert Results(folder).frame["dt"].unique().tolist() == [0.1]


def test_other_settings_of_the_same_space_need_no_matching(folder, monkeypatch):
    with Session(folder, study()) as session:
        session.save(0, 5, excluded=[2])
    monkeypatch.setattr("swath.store.history.decode", None)
    with Session(folder, study(point={"retries": 2})) as session:
        assert str(session.past.done) == "0-4"
        assert session.past.excluded == 1
        assert session.store.manifest.current == 2


# Other processes.


def test_a_second_store_is_refused_and_told_by_whom(folder):
    with Session(folder, study()):
        with pytest.raises(RunInUseError) as caught:
            Store.open(folder)
        assert f"in use by process {os.getpid()} on " in str(caught.value)
        assert "swath stop" in str(caught.value)
        assert caught.value.exit_code == 73
        assert holder(folder).pid == os.getpid()
    assert holder(folder) is None
    Store.open(folder).close()


# Folders.


def test_nothing_stays_of_a_run_that_never_began(folder):
    Store.open(folder).close()
    assert not folder.exists()


def test_fresh_moves_the_old_run_when_the_new_one_begins(folder):
    with Session(folder, study()) as session:
        session.save(0, 5)
    store = Store.open(folder, fresh=True)
    assert store.previous() is None
    store.close()
    assert len(saved(folder)) == 5  # not begun, nothing moved
    for number in (1, 2):
        with Session(folder, study(), fresh=True) as session:
            assert session.past.done == RangeSet()
            session.save(0, number)
            with pytest.raises(RunInUseError):
                Store.open(folder)
        moved = folder.with_name(f"{folder.name}.{number}")
        assert len(saved(moved)) == (5 if number == 1 else 1)
    assert len(saved(folder)) == 2


def test_fresh_helps_where_a_run_cannot_be_read(folder):
    with Session(folder, study()) as session:
        session.save(0, 5)
    (folder / "manifest.json").write_text("{")
    (folder / "manifest.json.1").write_text("{")
    with pytest.raises(DamageError, match="--fresh"):
        Store.open(folder)
    with Session(folder, study(), fresh=True) as session:
        session.save(0, 2)
    assert len(saved(folder)) == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for fresh in (False, True):
        with pytest.raises(UsageError, match=r"holds no run but other files \('thesis.tex'"):
            Store.open(tmp_path, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "study").write_text("")
    with pytest.raises(UsageError, match=r"study is a file"):
        Store.open(tmp_path / "study")


def test_folders_follow_the_umask(folder):
    old = os.umask(0o027)
    try:
        with Session(folder, study()) as session:
            session.save(0, 1)
    finally:
        os.umask(old)
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


# Crashes.


class Doomed(Disk):
    """A disk that fails at its k-th change and at all that follow; a file is half written by then."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def _spend(self, path):
        if self.left <= 0:
            raise OSError(5, "Input/output error", str(path))
        self.left -= 1

    def write_file(self, path, pieces, *, sync=True):
        try:
            self._spend(path)
        except OSError:
            whole = b"".join(map(bytes, pieces))
            if path.parent.is_dir():
                path.write_bytes(whole[: len(whole) // 2])
            raise
        super().write_file(path, pieces, sync=sync)

    def rename(self, old, new):
        self._spend(new)
        super().rename(old, new)

    def link(self, old, new):
        self._spend(new)
        super().link(old, new)

    def remove(self, path):
        self._spend(path)
        super().remove(path)

    def sync_folder(self, path):
        self._spend(path)
        super().sync_folder(path)

    def make_folder(self, path):
        self._spend(path)
        super().make_folder(path)


def test_an_error_of_the_disk_is_told_once_and_nothing_is_called_durable_after_it(folder):
    disk = Doomed(1 << 30)
    with Session(folder, study(), disk=disk) as session:
        session.save(0, 3)
        disk.left = 1
        session.save(3, 5)
        disk.left = 1 << 30
        session.save(5, 6)
        assert session.durable == [0]
        assert len(session.failed) == 1
        text = str(session.failed[0])
        assert isinstance(session.failed[0], CannotWriteError)
        assert "Input/output error" in text
        assert "000002.arrow" in text
        assert "the 3 rows saved so far are safe" in text
    assert len(saved(folder)) == 3


def test_a_full_disk_is_a_sentence(folder):
    class Full(Disk):
        def write_file(self, path, _pieces, **_):
            raise OSError(28, "No space left on device", str(path))

    with pytest.raises(
        CannotWriteError, match=r"(?s)cannot write .*run.json.tmp: No space left on device; the 0 rows"
    ):
        Session(folder, study(), disk=Full())
    assert holder(folder) is None


# Damage.


@pytest.fixture
def damaged(tmp_path):
    """A finished run in two segments, to be copied and spoilt."""
    folder = tmp_path / "study"
    with Session(folder, study()) as session:
        session.save(0, 10, statuses=["ok"] * 9 + ["error"])
        session.save(10, SIZE)
    with Session(folder, study(point={"retries": 1})):
        pass
    return folder


def test_points_of_a_damaged_segment_run_again(damaged):
    spoil(damaged / "segments/000002.arrow")
    with pytest.warns(UserWarning, match=r"000002.arrow.*its checksum does not match; 14 rows are missing"):
        assert len(Results(damaged).frame) == 10
    with Session(damaged, study()) as session:
        assert [item.file for item in session.past.damage] == ["segments/000002.arrow"]
        assert str(session.past.done) == "0-9"
        session.save(10, SIZE)
    assert len(saved(damaged)) == SIZE
    assert Results(damaged).damage == ()
    assert (damaged / "segments/000002.arrow.damaged").exists()


def test_without_its_definition_rows_are_not_guessed(damaged):
    spoil(damaged / "definitions/0001.yaml")
    with Session(damaged, study(parameters={**STUDY["parameters"], "b": [10]})) as session:
        assert [item.file for item in session.past.damage] == ["definitions/0001.yaml"]
        assert session.past.damage[0].rows == SIZE
        assert not session.past.done
    with Session(damaged, study()) as session:  # the same definition again mends it
        assert len(session.past.done) == SIZE
    assert len(saved(damaged)) == SIZE


def test_a_damaged_manifest_falls_back_on_the_one_before(tmp_path):
    folder = tmp_path / "study"
    with Session(folder, study()) as session:
        session.save(0, 10)
        session.save(10, 12)
        session.store._failed = True  # ends as if killed: no further manifest
    spoil(folder / "manifest.json")
    with pytest.warns(UserWarning, match=r"manifest.json.*the state before it, with 10 rows, is used"):
        assert len(Results(folder).frame) == 10
    with Session(folder, study()) as session:
        assert str(session.past.done) == "0-9"
        session.save(10, SIZE)
    assert saved(folder) == expected(study(), range(SIZE))
    assert (folder / "segments/000002.arrow.damaged").exists()  # swath deletes no row


def test_segments_without_any_manifest_are_not_taken_for_a_new_run(damaged):
    (damaged / "manifest.json").unlink()
    (damaged / "manifest.json.1").unlink()
    with pytest.raises(DamageError, match=r"has segments but no manifest.json"):
        Store.open(damaged)


def test_a_segment_of_another_run_is_refused(damaged, tmp_path):
    other = tmp_path / "other"
    with Session(other, study()) as session:
        session.save(0, 10, statuses=["ok"] * 9 + ["error"])
    manifest = json.loads((damaged / "manifest.json").read_text())
    theirs = json.loads((other / "manifest.json").read_text())["segments"][0]
    (damaged / "segments/000001.arrow").write_bytes((other / "segments/000001.arrow").read_bytes())
    manifest["segments"][0] |= {"crc": theirs["crc"], "bytes": theirs["bytes"]}
    del manifest["checksum"]
    (damaged / "manifest.json").write_bytes(sealed(manifest))
    with pytest.warns(UserWarning, match="is not a segment of this run: it says run"):
        assert len(Results(damaged).frame) == SIZE - 10


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": 3}, "has format 3, this swath reads formats up to 2"),
        ({"serial": -1}, "serial is -1"),
        ({"segments": {}}, "segments is {}, not list"),
        ({"workers": [1]}, "not a list of texts"),
        ({"current": 9}, "definition 9 is used but not listed"),
        ({"state": "odd"}, "state is 'odd'"),
    ],
)
def test_a_manifest_that_says_nonsense_is_refused(damaged, change, text):
    forge(damaged, lambda manifest: manifest.update(change))
    with pytest.raises(DamageError, match=text):
        Results(damaged)


def forge(folder, change):
    """Let both manifests say something, with a checksum that fits."""
    for name in ("manifest.json", "manifest.json.1"):
        manifest = json.loads((folder / name).read_text())
        del manifest["checksum"]
        change(manifest)
        (folder / name).write_bytes(sealed(manifest))


def spoil(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


# Where it came from.


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_that_is_checked_out_is_noted(tmp_path, packed):
    commit = "0123456789abcdef0123456789abcdef01234567"
    project = tmp_path / "project"
    git = project / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    if packed:
        (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/main\n")
    else:
        (git / "refs/heads/main").write_text(f"{commit}\n")
    (project / "sweeps").mkdir()
    assert git_commit(project / "sweeps") == commit
    (git / "HEAD").write_text(f"{commit[::-1]}\n")
    assert git_commit(project) == commit[::-1]
    (git / "HEAD").write_text("nonsense")
    assert git_commit(project) == ""


# What it costs.


PROGRAM = """
import sys
from pathlib import Path
from saving import Session, study
import numpy as np, pyarrow as pa
import saving
def column(values, kind=None):
    values = list(values)
    kind = kind or (pa.float64() if isinstance(values[0], float) else pa.int64())
    store = {"uint8": np.uint8, "double": np.float64}.get(str(kind), np.int64)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.array(values, store))])
saving.column = column
with Session(Path(sys.argv[1]), study()) as session:
    session.save(0, 24)
    session.store.export()
assert session.durable == [0], session.rejected
print(sorted({"pandas", "dask", "distributed", "pyarrow.compute"} & set(sys.modules)))
"""


def test_saving_and_exporting_import_no_pandas(folder):
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.int64(), pa.int8()])
def test_numbers_are_floats_and_null_is_nan_however_a_column_is_cut(kind):
    whole = pa.chunked_array([pa.array([1, None, 3, 4, None, 6, 7, 8, 9, None], kind), pa.array([], kind)])
    column = pa.chunked_array([*whole.slice(1, 8).chunks, *whole.slice(5, 2).chunks])
    expected = [np.nan, 3, 4, np.nan, 6, 7, 8, 9, 6, 7]
    np.testing.assert_array_equal(floats(column), expected)
    assert floats(whole.slice(0, 0)).tolist() == []
