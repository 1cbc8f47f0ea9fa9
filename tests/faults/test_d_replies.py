"""Driver faults D16 and D20: replies that are no answers, and workers that come and go under a virtual clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from saving import rows, stream, study
from simulating import Ledger
from swath.driver import Driver, Policy
from swath.engines.simulated import Plan, Simulated
from swath.loop import drive
from swath.messages import (
    Conclude,
    Durable,
    Ending,
    Exclude,
    Finished,
    Joined,
    Lost,
    Reply,
    Returned,
    Submit,
    Tick,
    Write,
)
from swath.store import Store

SIZE = 24
NO_ANSWERS = {
    "points outside the batch": lambda b, r: replace(r, done=((b.start, b.stop + 1),)),
    "points before the batch": lambda b, r: replace(r, done=((b.start - 1, b.stop),)),
    "ranges that overlap": lambda _, r: replace(r, done=(*r.done, *r.done), rows=r.rows),
    "a range backwards": lambda b, r: replace(r, done=((b.stop, b.start),), rows=0),
    "more rows than points": lambda _, r: replace(r, rows=r.rows + 1),
    "fewer than no rows": lambda _, r: replace(r, rows=-1),
    "failures outside the batch": lambda b, r: replace(r, failed=(("error", ((b.stop, b.stop + 1),)),)),
    "a status that does not exist": lambda b, r: replace(r, failed=(("fine", ((b.start, b.start + 1),)),)),
    "more failures than rows": lambda _, r: replace(r, failed=(("crash", r.done), ("oom", r.done))),
    "no number of seconds": lambda _, r: replace(r, seconds=float("nan")),
    # these only the store can see
    "fewer rows than announced": lambda b, r: replace(r, payload=(payload(range(b.start, b.stop - 1)),)),
    "more rows than announced": lambda b, r: replace(r, payload=(*r.payload, payload([b.start]))),
    "rows of other points": lambda b, r: replace(r, payload=(payload(range(b.start + 1, b.stop + 1)),)),
    "a point twice": lambda b, r: replace(
        r, rows=max(2, r.rows), payload=(payload([b.start] * max(2, r.rows)),)
    ),
    "no rows at all": lambda _, r: replace(r, payload=()),
    "a truncated stream": lambda _, r: replace(r, payload=(r.payload[0][: len(r.payload[0]) // 2],)),
    "noise": lambda _, r: replace(r, payload=(Random(1).randbytes(500),)),
}
"""What a sick worker may answer, by what is wrong with it; each takes the batch and the true reply."""


def payload(points):
    return stream(rows(list(points), error=[float(point) for point in points]))


def true_reply(batch, stop=None):
    stop = batch.stop if stop is None else stop
    points = range(batch.start, stop)
    return Reply(((batch.start, stop),), len(points), seconds=1.0, payload=(payload(points),))


class Session:
    """A driver and a store on a real folder, told by hand what a cluster says."""

    def __init__(self, folder):
        self.driver = Driver(SIZE)
        self.said, self.back, self.held = [], [], {}
        self.store = Store.open(folder)
        self.store.begin(
            study(),
            fingerprint="f",
            receives=("a", "b", "seed"),
            durable=lambda ids: self.back.append(Durable(0.0, ids)),
            rejected=lambda batch, reason: self.back.append(Lost(0.0, batch, reason)),
            failed=pytest.fail,
        )

    def tell(self, event):
        """Carry out what the driver makes of an event, and of what the store says to it."""
        events = [event]
        while events:
            for command in self.driver.handle(events.pop(0)):
                self.said.append(command)
                if isinstance(command, Submit):
                    self.held.update((batch.id, batch) for batch in command.batches)
                if isinstance(command, Write):
                    self.store.append(command)
                    self.store._commits.drain()
            self.driver.check()
            events += self.back
            self.back.clear()

    def of(self, worker):
        """The batch that a worker is to take next."""
        queue = self.driver.workers[worker].queue
        return self.held[queue[0].batch.id] if queue else None

    def finish(self, worker):
        while not self.driver.concluded and (batch := self.of(worker)):
            self.tell(Finished(0.0, batch.id, true_reply(batch)))

    @property
    def excluded(self):
        return [command for command in self.said if isinstance(command, Exclude)]


@pytest.fixture
def session(tmp_path):
    session = Session(tmp_path / "study")
    yield session
    session.store.close()


def all_there(session):
    assert session.driver.concluded.ending is Ending.COMPLETE
    assert session.store.rows == SIZE
    assert list(session.driver.places.done) == [(0, SIZE)]


@pytest.mark.parametrize("wrong", NO_ANSWERS)
def test_D16_a_reply_that_is_no_answer_is_refused_and_its_batch_runs_elsewhere(wrong, session):
    session.tell(Joined(0.0, "sick", 1))
    session.tell(Joined(0.0, "sound", 1))
    for _ in range(3):
        batch = session.of("sick")
        assert session.excluded == []
        session.tell(Finished(0.0, batch.id, NO_ANSWERS[wrong](batch, true_reply(batch))))
        assert session.store.rows == 0
        assert not session.driver.places.done
    (excluded,) = session.excluded
    assert (excluded.worker, excluded.seconds) == ("sick", float("inf"))
    assert excluded.reason.startswith("3 of its replies were refused; the last one: ")
    session.tell(Joined(0.0, "sick", 1))
    assert session.of("sick") is None
    session.finish("sound")
    all_there(session)


def test_D16_if_every_worker_answers_nonsense_the_sweep_is_lost_and_says_why(session):
    session.tell(Joined(0.0, "sick", 1))
    while not session.driver.concluded:
        batch = session.of("sick")
        session.tell(Finished(0.0, batch.id, replace(true_reply(batch), payload=())))
    assert session.driver.concluded.ending is Ending.LOST
    assert (
        "no worker is of use any more; sick: 3 of its replies were refused" in session.driver.concluded.reason
    )


def test_D16_duplicates_late_answers_and_answers_to_nothing_change_nothing(session):
    session.tell(Joined(0.0, "w", 2))
    first, second, third, fourth = (session.held[i] for i in range(4))
    session.tell(
        Returned(0.0, third.id, third.start, third.stop)
    )  # recalled whole, and answered late all the same
    session.tell(Finished(0.0, third.id, true_reply(third)))
    session.tell(Finished(0.0, second.id, true_reply(second)))  # out of order
    session.tell(Finished(0.0, second.id, true_reply(second)))
    session.tell(Finished(0.0, first.id, true_reply(first)))
    session.tell(
        Finished(0.0, first.id, replace(true_reply(first), done=((0, 99),)))
    )  # a late one of nonsense
    session.tell(Finished(0.0, 12345, true_reply(fourth)))  # nobody asked
    session.tell(Returned(0.0, 12345, 0, 5))
    session.tell(Returned(0.0, fourth.id, fourth.start - 1, fourth.stop + 1))
    session.tell(Lost(0.0, 12345, "nobody"))
    session.tell(Durable(0.0, (12345, first.id)))
    assert session.excluded == []
    assert session.driver.duplicates > 0
    session.finish("w")
    all_there(session)


def test_D16_a_cluster_that_garbles_at_random_loses_and_doubles_nothing(session):
    random = Random(16)
    for name in ("a", "b", "c", "sound"):
        session.tell(Joined(0.0, name, 1))
    seen = Counter()
    for _ in range(2000):
        if session.driver.concluded:
            break
        name = random.choice("abc")
        batch = session.of(name)
        if batch is None:
            session.tell(Tick(0.0))
            name, batch = "sound", session.of("sound")
        if batch is None:
            continue
        reply = true_reply(batch, random.randint(batch.start + 1, batch.stop))
        if name == "c" and random.random() < 0.5:
            wrong = random.choice(list(NO_ANSWERS))
            reply = NO_ANSWERS[wrong](batch, true_reply(batch))
            seen[wrong] += 1
        for _ in range(random.choice([1, 1, 2])):
            session.tell(Finished(0.0, batch.id, reply))
    all_there(session)


# D20: workers that come and go, under a virtual clock.


def test_D20_half_of_the_workers_are_preempted_every_minute_for_an_hour():
    def an_hour(preempted):
        engine = Simulated(Plan(seed=20, workers=4, duration=6.0, spread=1.0, preempted=preempted))
        engine.open()
        driver = Driver(100_000, policy=Policy(deadline=3600.0))
        ledger = Ledger(engine)
        conclusion = drive(driver, engine, ledger.append)
        driver.check()
        assert conclusion == Conclude(Ending.LIMIT, "the time limit is reached")
        assert set(ledger.rows.values()) == {1}
        assert set(ledger.attempts.values()) == {1}
        assert driver.failures == 0
        return driver.rows

    quiet = an_hour(0.0)
    assert quiet > 1500
    assert an_hour(0.5) >= 0.4 * quiet
