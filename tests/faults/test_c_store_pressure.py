"""A disk that is slower than the sweep: memory stays bounded, and whoever asks for a stop is heard."""

from __future__ import annotations

import threading

import pytest

import swath
from running import until
from saving import Session, study
from swath.driver import Driver
from swath.messages import (
    Batch,
    Conclude,
    Crowded,
    Durable,
    Ending,
    Finished,
    Joined,
    Recall,
    Reply,
    StopAsked,
    Submit,
    Urgency,
    Write,
)
from swath.ranges import RangeSet
from swath.store import commits
from swath.store.disk import Disk


class Slow(Disk):
    """A disk that writes no segment before it is let go."""

    def __init__(self) -> None:
        self.going = threading.Event()
        self.asked = threading.Event()

    def write_file(self, path, pieces, *, sync=True):
        if path.parent.name == "segments":
            self.asked.set()
            assert self.going.wait(60)
        super().write_file(path, pieces, sync=sync)


def submitted(commands) -> list[Batch]:
    return [batch for command in commands if isinstance(command, Submit) for batch in command.batches]


def reply(batch: Batch) -> Reply:
    return Reply(((batch.start, batch.stop),), batch.stop - batch.start, seconds=1.0)


def test_C14_while_the_disk_is_behind_nothing_is_offered_and_all_else_goes_on():
    driver = Driver(1000)
    first, second = submitted(driver.handle(Joined(0.0, "w", 1)))
    assert driver.handle(Crowded(1.0, full=True)) == []
    (write,) = driver.handle(Finished(1.0, first.id, reply(first)))
    assert isinstance(write, Write)
    assert len(driver.handle(Finished(2.0, second.id, reply(second)))) == 1  # no offer, and no recall
    assert driver.handle(Durable(3.0, (first.id,))) == []
    driver.check()
    third, fourth = submitted(driver.handle(Crowded(4.0, full=False)))
    assert third.start == second.stop
    driver.handle(Crowded(5.0, full=True))
    recalls = driver.handle(StopAsked(5.0, Urgency.DRAIN, "Ctrl-C"))
    assert [command.batch for command in recalls if isinstance(command, Recall)] == [third, fourth]
    (*_,) = driver.handle(Finished(6.0, third.id, reply(third)))
    driver.handle(Finished(6.0, fourth.id, reply(fourth)))
    commands = driver.handle(Durable(7.0, (second.id, third.id, fourth.id)))
    assert [command.ending for command in commands if isinstance(command, Conclude)] == [Ending.ASKED]


def test_C14_the_store_says_when_too_much_waits_and_keeps_nobody_waiting(tmp_path, monkeypatch):
    disk = Slow()
    with Session(tmp_path / "study", study(), disk=disk) as session:
        told: list[bool] = []
        session.store._commits._crowded = told.append
        answers = [session.reply(i, i + 1) for i in range(8)]
        size = sum(map(len, answers[0].payload))
        monkeypatch.setattr(commits, "ROOM", 4 * size)
        for start, answer in enumerate(answers):
            session.store.append(
                Write(Batch(start, "w", start, start + 1, 1, 1.0), answer, RangeSet([(start, start + 1)]))
            )
            assert told == [True] * (start >= 4)
        disk.going.set()
        session.store._commits.drain()
        assert told == [True, False]
        assert session.durable == list(range(8))


@pytest.mark.parametrize("urgency", list(Urgency))
def test_C14_a_sweep_on_a_slow_disk_holds_back_and_hears_a_stop(tmp_path, monkeypatch, urgency):
    monkeypatch.setattr(commits, "ROOM", 1000)
    monkeypatch.setattr("swath.batching.FLOOR", 0.001)
    disk = Slow()
    monkeypatch.setattr("swath.store.Disk", lambda: disk)
    sweep = swath.Sweep(lambda x: x, {"x": swath.range(10_000_000)}, name="slow")
    handle = sweep.start(out=tmp_path, engine="inline")
    try:
        assert disk.asked.wait(60)
        until(lambda: handle._driver._crowded)
        until(lambda: not handle._driver.places.flights)
        before = handle._driver.rows
        handle.stop(urgency)
        until(lambda: handle._driver.stop.ending)
        assert handle._driver.rows == before
    finally:
        disk.going.set()
    assert handle.wait(60)
    assert handle.outcome.exit_code == 130
    assert len(handle.results) == before
