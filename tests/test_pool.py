"""Batches that wait for slots: none is lost, none is evaluated twice, and what was given back is never begun."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest

from swath.inside.crumb import AFTER, HERE, LIMIT, blank
from swath.messages import Reply
from swath.slot import Slot, SlotBrokenError, cut_short
from swath.slot.child import MOST_AHEAD
from swath.slot.pool import REMEMBERED, Pool
from swath.space import Axis, Space
from swath.task import unpack
from tasks import batch, becomes_true, done, statuses, task

NOTING = """
    import os, threading, time
    from pathlib import Path
    import swath
    import swath.inside.evaluate as inside

    folder = Path(FOLDER)

    def f(do):
        with open(folder / "begun", "a") as file:
            file.write(f"{do} {os.getpid()}\\n")
        if (folder / "talk").exists():
            print(f"{do} talks")
            swath.record(at=do)
        if (folder / f"wait {do}").exists():
            (folder / f"wait {do}").unlink()
            while not (folder / f"go {do}").exists():
                time.sleep(0.002)
        if (folder / f"crash {do}").exists():
            os._exit(3)
        if (folder / f"leave {do}").exists():
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        return do

    def deadly(results, *more):  # after all points: nobody is at work any more
        for mark in map("after {}".format, results):
            if (folder / mark).exists():
                (folder / mark).unlink()
                os._exit(7)
        return to_columns(results, *more)

    to_columns, inside.to_columns = inside.to_columns, deadly
"""
"""Points that note that they begin, and obey the marks in their folder: wait, crash, leave something behind, die once they have ended."""


class Study:
    """A pool of such points, and those who wait for its answers."""

    def __init__(self, folder, count, points, **more):
        self.folder = folder
        source = NOTING.replace("FOLDER", repr(str(folder)))
        self.heard = []
        self.pool = Pool(task(folder, source, {"do": range(points)}, **more), "w", count, self.hear)
        self.threads = ThreadPoolExecutor(8)

    def hear(self, number, steps):
        self.heard += [(number, step.position) for step in steps]

    def mark(self, *names):
        for name in names:
            (self.folder / name).touch()

    def submit(self, offer):
        return self.threads.submit(self.pool.evaluate, offer)

    def begun(self):
        """The points that have begun, in that order, each with its process."""
        file = self.folder / "begun"
        return (
            [tuple(map(int, line.split())) for line in file.read_text().splitlines()] if file.exists() else []
        )

    def is_at(self, position):
        return becomes_true(lambda: any(crumb(slot)[HERE] == position for slot in self.pool.slots))

    def close(self):
        self.pool.close()
        self.threads.shutdown()


def crumb(slot):
    return slot._child.crumb if isinstance(slot, Slot) else slot._crumb


@pytest.fixture
def studies(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = []

    def make(count=1, points=10, *, folder=tmp_path, **more):
        made.append(Study(folder, count, points, **more))
        return made[-1]

    yield make
    for study in made:
        study.close()


# What is given back.


class Passing(list):
    """A crumb whose evaluation goes on to another place as soon as somebody has looked where it is."""

    def __init__(self, here, there):
        super().__init__(blank())
        self[HERE], self._there = here, there

    def __getitem__(self, word):
        found = super().__getitem__(word)
        if word == HERE:
            self[HERE] = self._there
        return found


@pytest.mark.parametrize(("there", "first", "limit"), [(5, 6, 6), (8, 9, 9), (9, 10, 10), (AFTER, 10, 6)])
def test_whoever_ends_a_batch_meanwhile_gives_nothing_back(there, first, limit):
    passing = Passing(5, there)
    assert cut_short(passing, batch(0, 10)) == first
    assert passing[LIMIT] == limit


def test_a_recall_does_not_reach_the_batch_that_follows(studies, monkeypatch):
    study = studies()
    study.mark("wait 0")
    asked = threading.Event()
    following = study.pool._following
    monkeypatch.setattr(study.pool, "_following", lambda slot: (asked.set(), following(slot))[1])

    class Slow:
        """A crumb of which somebody has just read where the batch is, when its last point ends."""

        def __init__(self, real):
            self.real = real

        def __getitem__(self, word):
            found = self.real[word]
            if word == HERE and found == 0 and threading.current_thread() is recalling:
                study.mark("go 0")
                assert asked.wait(60)
                becomes_true(lambda: self.real[HERE] == 1, 0.2)  # it must not
            return found

        def __setitem__(self, word, value):
            self.real[word] = value

    first = study.submit(batch(0, 1, number=1))
    assert study.is_at(0)
    (slot,) = study.pool.slots
    slot._child.crumb = Slow(slot._child.crumb)
    study.mark("wait 1")
    second = study.submit(batch(1, 4, number=2))
    assert becomes_true(lambda: study.pool._waiting)
    recalling = threading.Thread(target=study.pool.recall, args=(batch(0, 1, number=1),))
    recalling.start()
    recalling.join(60)
    study.mark("go 1")
    assert done(first.result(60)) == [0]
    assert done(second.result(60)) == [1, 2, 3]


def test_a_batch_that_was_begun_ahead_is_taken_back(studies, monkeypatch):
    """Its steps and its output are its own, too."""
    study = studies()
    study.mark("wait 0", "wait 3", "talk")
    ahead, given = batch(2, 9, number=2), []

    def reading(message):
        if not given:
            assert study.is_at(3)
            given.append(study.pool.recall(batch(0, 1, number=1)))
            given.append(study.pool.recall(ahead))
            study.mark("go 3")
        return unpack(message)

    monkeypatch.setattr("swath.slot.child.unpack", reading)
    first = study.submit(batch(0, 1, number=1))
    assert study.is_at(0)
    second = study.submit(ahead)
    assert becomes_true(lambda: study.pool._waiting)
    study.mark("go 0")
    replies = [first.result(60), second.result(60)]
    assert list(map(done, replies)) == [[0], [2, 3]]
    assert ["".join(log.text for log in reply.logs) for reply in replies] == [
        "0 talks\n",
        "2 talks\n3 talks\n",
    ]
    assert [[step.position for step in reply.steps] for reply in replies] == [[0], [2, 3]]
    assert {(1, 0), (2, 3)} <= set(study.heard) <= {(1, 0), (2, 2), (2, 3)}
    assert given == [(1, 1), (4, 9)]
    assert [point for point, _ in study.begun()] == [0, 2, 3]


def test_what_was_taken_back_from_a_child_that_dies_is_not_begun_by_the_next(studies):
    study = studies()
    study.mark("wait 1", "after 1")
    offer = batch(0, 8)
    answer = study.submit(offer)
    assert study.is_at(1)
    assert study.pool.recall(offer) == (2, 8)
    study.mark("go 1")
    assert done(answer.result(60)) == [0, 1]
    assert [point for point, _ in study.begun()] == [0, 1, 0, 1]


def test_nothing_is_taken_back_that_a_death_has_decided(studies):
    study = studies()
    study.mark("crash 4")
    offer = batch(0, 8)
    judge = study.pool.slots[0]._judge

    def judged(*arguments):
        study.mark("wait 2")
        return judge(*arguments)

    study.pool.slots[0]._judge = judged
    answer = study.submit(offer)
    assert becomes_true(lambda: (study.folder / "wait 2").exists() or answer.done())
    assert becomes_true(lambda: not (study.folder / "wait 2").exists())
    assert study.is_at(2)
    assert study.pool.recall(offer) == (8, 8)
    study.mark("go 2")
    assert statuses(answer.result(60)) == {0: "ok", 1: "ok", 2: "ok", 4: "crash"}, "but it ends the sooner"


# Children that end.


def test_what_a_child_has_answered_counts_although_it_ended_then(studies, monkeypatch):
    study = studies()
    study.mark("wait 0")
    channel = study.pool.slots[0]._child.channel
    pids = []

    def reading(message):
        if not pids:
            assert becomes_true(lambda: study.begun()[-1][0] == 1)
            assert channel.poll(60), "the batch that was begun ahead is answered"
            pids.append(study.begun()[0][1])
            keeper = psutil.Process(pids[0]).parent()
            os.kill(pids[0], signal.SIGKILL)
            assert becomes_true(lambda: keeper.status() == psutil.STATUS_ZOMBIE)
        return unpack(message)

    monkeypatch.setattr("swath.slot.child.unpack", reading)
    first = study.submit(batch(0, 1, number=1))
    assert study.is_at(0)
    second = study.submit(batch(1, 2, number=2))
    assert becomes_true(lambda: study.pool._waiting)
    study.mark("go 0")
    assert statuses(first.result(60)) == {0: "ok"}
    assert statuses(second.result(60)) == {1: "ok"}
    assert study.begun() == [(0, *pids), (1, *pids)]
    assert statuses(study.pool.evaluate(batch(2, 3, number=3))) == {2: "ok"}


def test_a_worn_child_answers_what_it_has_begun_and_begins_nothing_more(studies, monkeypatch):
    """The batch that was begun ahead wears it, and is through before the reply to the one before is read."""
    study = studies()
    study.mark("wait 0", "leave 1")
    channel = study.pool.slots[0]._child.channel

    def reading(message):
        if not study.heard:
            study.heard.append(channel.poll(60))
        return unpack(message)

    monkeypatch.setattr("swath.slot.child.unpack", reading)
    answers = [study.submit(batch(0, 1, number=1))]
    assert study.is_at(0)
    for i in (1, 2):
        answers.append(study.submit(batch(i, i + 1, number=i + 1)))
        assert becomes_true(lambda i=i: len(study.pool._waiting) == i)
    study.mark("go 0")
    assert [done(answer.result(60)) for answer in answers] == [[0], [1], [2]]
    (old,) = {pid for _, pid in study.begun()[:2]}
    assert [(point, pid == old) for point, pid in study.begun()] == [(0, True), (1, True), (2, False)]


def test_a_large_offer_holds_up_no_reply(tmp_path):
    """The child stops once it has replied, and does not come to read what it is offered."""
    axis = Axis.made(("x",), ("search", {"points": 20_000, "kinds": ["int64"]}), whens=(None,))
    space = Space([[axis]])
    space.proposals.put(0, [{"x": 10**9 + i} for i in range(20_000)])
    text = [space.proposals.encode(space.proposed(*ends)) for ends in ((0, 1), (1, 20_000))]
    assert len(text[1]) > 200_000 > MOST_AHEAD
    made = Slot(task(tmp_path, "def f(x): return x", space), "w")
    later = replace(batch(1, 20_000, number=2), points=text[1])

    def following():
        child.suspend()
        return later

    try:
        made.open()
        (child,) = psutil.Process(made._child.process.pid).children()
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(made.evaluate, replace(batch(0, 1, number=1), points=text[0]), following)
            try:
                assert statuses(answer.result(30)) == {0: "ok"}
            finally:
                child.resume()
        assert len(done(made.evaluate(later))) == 19_999
    finally:
        made.close()


def test_a_reply_that_cannot_be_read_costs_its_own_batch_only(studies, monkeypatch):
    study = studies()
    study.mark("wait 0")

    def reading(message):
        if not study.folder.joinpath("read").exists():
            study.mark("read")
            assert becomes_true(lambda: len(study.begun()) > 1)
            raise ValueError("the bytes are no reply")
        return unpack(message)

    monkeypatch.setattr("swath.slot.child.unpack", reading)
    first = study.submit(batch(0, 1, number=1))
    assert study.is_at(0)
    second = study.submit(batch(1, 3, number=2))
    assert becomes_true(lambda: study.pool._waiting)
    study.mark("go 0")
    with pytest.raises(ValueError, match="no reply"):
        first.result(60)
    assert done(second.result(60)) == [1, 2]
    assert [point for point, _ in study.begun()] == [0, 1, 2]


# Ends.


def test_a_child_that_was_being_started_ends_with_its_slot(studies, monkeypatch):
    study = studies()
    study.mark("crash 0")
    (slot,) = study.pool.slots
    fresh = slot._fresh

    def closed_meanwhile():
        child = fresh()
        study.pool.close()
        return child

    monkeypatch.setattr(slot, "_fresh", closed_meanwhile)
    with pytest.raises(SlotBrokenError, match="slot w is closed"):
        study.pool.evaluate(batch(0, 3))
    assert slot._child.process.returncode is not None
    assert [point for point, _ in study.begun()] == [0]


def test_a_closed_pool_without_children_begins_nothing_more(studies):
    study = studies(isolated=False, module="bare")
    study.mark("wait 0")
    first = study.submit(batch(0, 3, number=1))
    assert becomes_true(study.begun)
    second = study.submit(batch(3, 6, number=2))
    assert becomes_true(lambda: study.pool._waiting)
    study.pool.close()
    study.mark("go 0")
    assert done(first.result(60)) == [0]
    for answer in (second, study.submit(batch(6, 9, number=3))):
        with pytest.raises(SlotBrokenError, match="slot w is closed"):
            answer.result(60)
    assert [point for point, _ in study.begun()] == [0]


# What a pool remembers.


class Instant:
    """A slot that has done all it is offered."""

    def __init__(self, task, name):
        del task
        self.name = name

    def evaluate(self, offer, following):
        del following
        return Reply(((offer.start, offer.stop),), 0)

    def close(self):
        pass


def test_a_pool_forgets_what_nobody_asks_for_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr("swath.slot.pool.Slot", Instant)
    pool = Pool(task(tmp_path, "def f(x): pass", {"x": [1]}), "w", 2)
    many = 3 * REMEMBERED
    for i in range(many):
        assert pool.recall(batch(0, 9, number=-i - 1)) == (0, 9)
        assert pool.evaluate(batch(0, 9, number=-i - 1)) is None
        assert done(pool.evaluate(batch(i, i + 1, number=i))) == [i]
    assert {pool.recall(batch(0, 9, number=i)) for i in range(many - REMEMBERED, many)} == {(9, 9)}
    assert len(pool._answered) <= 2 * REMEMBERED
    assert not pool._given_back


# All of it at once.


class Storm:
    """A driver, as simple as can be, of a pool whose children are killed and whose batches are recalled at the worst moments.

    Parameters
    ----------
    study : Study
        Its pool's points are the work.
    points : int
        How many of them there are.
    seed : int
        For all that is left to chance, but for what the system makes of it.
    kills : int
        Children that are killed, at most.
    """

    def __init__(self, study, points, seed, kills):
        self.study = study
        self.chance = random.Random(seed)
        self.kills = kills
        self.lock = threading.Lock()
        self.numbers = itertools.count()
        self.flying = {}  # by number: the batch, its answer, and the first position that was given back
        self.to_do = [(start, min(start + 7, points)) for start in range(0, points, 7)]
        self.decided = []

    def strike(self):
        """Do one thing or another, in whatever thread."""
        dice = self.chance.random()
        if dice < 0.1 and self.kills > 0:
            self.kills -= 1
            if begun := self.study.begun():
                with contextlib.suppress(OSError):
                    os.kill(begun[-1][1], signal.SIGKILL)
        elif dice < 0.5 and (flights := list(self.flying.values())):
            self.recall(self.chance.choice(flights)[0])
        elif dice < 0.7:
            time.sleep(self.chance.random() * 0.003)

    def recall(self, offer):
        first, stop = self.study.pool.recall(offer)
        with self.lock:
            if offer.id in self.flying and first < self.flying[offer.id][2] == stop:
                self.flying[offer.id][2] = first
                self.to_do.append((first, stop))

    def offer(self):
        with self.lock:
            start, stop = self.to_do.pop(self.chance.randrange(len(self.to_do)))
            made = batch(start, stop, number=next(self.numbers), budget=self.chance.choice([0.0, 0.01, 30.0]))
            self.flying[made.id] = flight = [made, None, stop]
        flight[1] = self.study.submit(made)

    def land(self, flight):
        offer, answer, given = flight
        reply = answer.result(60)
        with self.lock:
            given = self.flying.pop(offer.id)[2]
            found = done(reply) if reply else []
            assert set(found) <= set(range(offer.start, given)), "it has evaluated what it had given back"
            assert reply is not None or given == offer.start, "it was not evaluated, nor given back"
            assert reply is None or statuses(reply).keys() == set(found)
            self.decided += found
            self.to_do += [(i, i + 1) for i in range(offer.start, given) if i not in found]

    def rage(self, most, until=float("inf")):
        """Go on until all is done, or so many batches are."""
        landed = 0
        while (self.to_do or self.flying) and landed < until:
            while self.to_do and len(self.flying) < most:
                self.offer()
            self.strike()
            for flight in [flight for flight in list(self.flying.values()) if flight[1].done()]:
                self.land(flight)
                landed += 1
            time.sleep(0.0005)


@pytest.mark.parametrize("count", [1, 3])
def test_whatever_happens_every_batch_ends_in_one_way(request, studies, monkeypatch, tmp_path_factory, count):
    points = 60
    for seed in range(1, request.config.getoption("--storms") + 1):
        study = studies(count, points, folder=tmp_path_factory.mktemp("storm"))
        storm = Storm(study, points, seed, kills=seed % 4)
        following = study.pool._following

        def asked(slot, storm=storm, following=following):
            storm.strike()
            found = following(slot)
            storm.strike()
            return found

        def reading(message, storm=storm):
            storm.strike()
            return unpack(message)

        monkeypatch.setattr(study.pool, "_following", asked)
        monkeypatch.setattr("swath.slot.child.unpack", reading)
        crashes = storm.chance.sample(range(points), seed % 3)
        study.mark(*map("crash {}".format, crashes))
        storm.rage(2 * count)
        assert sorted(storm.decided) == list(range(points)), "each is decided once"
        alive = {
            child.pid
            for slot in study.pool.slots
            for child in psutil.Process(slot._child.process.pid).children()
        }
        begun = {}
        for point, pid in study.begun():
            begun.setdefault(point, []).append(pid)
        for point, pids in begun.items():
            again = [pid for pid in pids[:-1] if pid in alive]
            assert not again, f"point {point} was evaluated again although its child {again[0]} lives"
            assert len(set(pids)) == len(pids), f"point {point} was evaluated twice by one child"
        storm.to_do = [(start, start + 7) for start in range(0, points - 7, 7)]
        storm.decided = []
        storm.rage(2 * count, until=seed % 4)
        study.pool.close()
        for _, answer, _ in storm.flying.values():
            assert answer.exception(60) is None or isinstance(answer.exception(), SlotBrokenError)
        assert all(slot._child.process.returncode is not None for slot in study.pool.slots)
