"""Logs of a run: found again by content, bounded, and of no consequence for the sweep."""

from __future__ import annotations

import json

import pytest

from swath.messages import Batch, Log, Reply
from swath.space import Axis, Space
from swath.store import logbook
from swath.store.logbook import Logbook, Naming, logs_of

SPACE = Space([[Axis(("x",), (list(range(10_000)),))]])
NAMING = Naming(1, SPACE, {"x"})


@pytest.fixture
def written(tmp_path):
    """Have logs written, and find those of a point."""

    def write(*logs, naming=NAMING, slot="w/0", attempt=1, folder=tmp_path):
        book = Logbook(folder, naming)
        for log in logs:
            book.note(Batch(1, "w", 0, 10_000, attempt, 1.0), Reply((), 0, logs=(log,), slot=slot))
        book.close()

    return write


def found(folder, point, naming=NAMING):
    position = int(naming.space.positions([point])[0])
    return logs_of(folder, naming.space.content_id(point, naming.receives), position, naming.definition)


def test_a_log_is_found_by_the_content_of_its_point(written, tmp_path):
    written(Log(3, 3, "three\n", 6), Log(4, 4, "four", 4), attempt=2)
    (line,) = found(tmp_path, 3)
    assert (line["text"], line["size"], line["attempt"], line["worker"], line["points"]) == (
        ("three\n", 6, 2, "w/0", [3])
    )
    longer = Naming(2, Space([[Axis(("x",), ([7, 3, 5],))]]), {"x"})
    assert found(tmp_path, 1, longer) == [line]
    assert found(tmp_path, 0, longer) == []


def test_a_shuffled_position_is_named_by_its_point(written, tmp_path):
    naming = Naming(1, Space([[Axis(("x",), (list(range(50)),))]], order="shuffle", root=3), {"x"})
    written(Log(7, 7, "seven", 5), naming=naming)
    point = int(naming.space.indices(7, 8)[0])
    assert [line["points"] for line in found(tmp_path, point, naming)] == [[point]]


def test_a_log_of_a_range_is_found_by_each_of_its_points(written, tmp_path):
    written(Log(3, 5, "few", 3), Log(0, 5000, "many", 4), Log(-1, -1, "none", 4))
    assert [line["text"] for line in found(tmp_path, 4)] == ["few", "many"]
    assert [line["text"] for line in found(tmp_path, 4000)] == ["many"]
    assert found(tmp_path, 6000) == []
    other = Naming(2, SPACE, {"x"})
    assert [line["text"] for line in found(tmp_path, 4, other)] == ["few"], "positions are of one definition"


def test_F13_a_log_is_one_line_whatever_it_says(written, tmp_path):
    text = 'a\nb\r\x1b[2J\0\u2028{"ids": []}\n\ud800'
    written(Log(3, 3, text, 10))
    (file,) = (tmp_path / "logs").iterdir()
    raw = file.read_bytes()
    assert (raw.count(b"\n"), raw.isascii(), b"\x1b" in raw) == (1, True, False)
    assert json.loads(raw)["text"] == text == found(tmp_path, 3)[0]["text"]


def test_files_are_bounded_and_the_newest_stay(written, tmp_path, monkeypatch):
    monkeypatch.setattr(logbook, "LARGEST", 2000)
    monkeypatch.setattr(logbook, "MOST_FILES", 3)
    written(*(Log(i, i, "x" * 1000, 1000) for i in range(30)))
    written(Log(99, 99, "later", 5))
    files = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert files == ["0014.jsonl", "0015.jsonl", "0016.jsonl"]
    assert found(tmp_path, 0) == []
    assert len(found(tmp_path, 29)) == len(found(tmp_path, 99)) == 1


def test_what_cannot_be_written_harms_nobody(written, tmp_path):
    (tmp_path / "logs").write_text("in the way")
    written(Log(3, 3, "three", 5), Log(4, 4, "four", 4))
    assert found(tmp_path, 3) == []
    written(Log(3, 3, "three", 5), folder=tmp_path / "nowhere")


def test_what_waits_for_a_slow_disk_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(logbook, "ROOM", 10)
    monkeypatch.setattr(Logbook, "_run", lambda _: None)
    book = Logbook(tmp_path, NAMING)
    for _ in range(100):
        book.note(Batch(1, "w", 0, 1, 1, 1.0), Reply((), 0, logs=(Log(0, 0, "12345", 5),)))
    assert len(book._waiting) == 2
    book.close()


def test_lines_that_are_no_logs_and_files_that_are_links_are_passed_over(written, tmp_path):
    written(Log(3, 3, "three", 5))
    logs = tmp_path / "logs"
    (logs / "0002.jsonl").write_bytes(b'{"ids": 3}\n[]\n\xff\nnull\n{"positions": [Infinity, 1]}\n{"cut')
    (tmp_path / "elsewhere").write_bytes((logs / "0001.jsonl").read_bytes())
    (logs / "0003.jsonl").symlink_to(tmp_path / "elsewhere")
    assert [line["text"] for line in found(tmp_path, 3)] == ["three"]


def test_silence_starts_nothing(tmp_path):
    book = Logbook(tmp_path, NAMING)
    book.note(Batch(1, "w", 0, 1, 1, 1.0), Reply(((0, 1),), 1))
    assert book._thread is None
    book.close()
    assert list(tmp_path.iterdir()) == []
