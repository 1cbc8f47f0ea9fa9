"""The driver alone: one event at a time, and a thousand simulated clusters under a virtual clock."""

from __future__ import annotations

from collections import Counter
from math import exp
from random import Random

import pytest

from swath.driver import Driver, Policy
from swath.engines.simulated import Plan, Simulated
from swath.loop import drive
from swath.messages import (
    Conclude,
    Durable,
    Ending,
    Finished,
    Joined,
    Left,
    Lost,
    Recall,
    Reply,
    Returned,
    StopAsked,
    Submit,
    Tick,
    Urgency,
    Write,
)
from swath.ranges import RangeSet

# One event at a time.


class Told:
    """A driver that is checked after every event."""

    def __init__(self, total, **keywords):
        self.driver = Driver(total, **keywords)
        self.time = 0.0

    def tell(self, event):
        commands = self.driver.handle(event)
        self.driver.check()
        return commands

    def joins(self, worker="w", slots=1):
        return self.tell(Joined(self.time, worker, slots))

    def finishes(self, batch, *, upto=None, seconds=1.0, **reply):
        stop = batch.stop if upto is None else upto
        made = Reply(((batch.start, stop),), stop - batch.start, seconds=seconds, **reply)
        return self.tell(Finished(self.time, batch.id, made))


def batches(commands):
    return [batch for command in commands if isinstance(command, Submit) for batch in command.batches]


def only(commands, kind):
    return [command for command in commands if isinstance(command, kind)]


def test_every_slot_is_offered_one_batch_and_one_to_wait():
    told = Told(1000)
    offered = batches(told.joins(slots=2))
    assert len(offered) == 4
    assert offered[0].start == 0
    assert offered[0].stop == 250  # half of an even share


def test_untouched_points_go_back_and_are_offered_again():
    told = Told(100)
    first, _ = batches(told.joins())
    commands = told.finishes(first, upto=3, seconds=1.0)
    (write,) = only(commands, Write)
    assert list(write.accepted) == [(0, 3)]
    assert write.whole
    assert batches(commands)[0].start == 3


def test_done_means_durable():
    told = Told(1)
    (batch,) = batches(told.joins())
    assert not only(told.finishes(batch), Conclude)
    assert only(told.tell(Durable(0.0, (batch.id,))), Conclude) == [Conclude(Ending.COMPLETE)]


def test_nothing_to_do_concludes_at_once():
    assert Told(5, done=RangeSet([(0, 5)])).tell(Tick(0.0)) == [Conclude(Ending.COMPLETE)]


def test_a_late_duplicate_is_dropped_and_counted():
    told = Told(10)
    first, *_ = batches(told.joins())
    told.finishes(first)
    assert not only(told.finishes(first), Write)
    assert told.driver.duplicates == first.stop - first.start


def test_what_was_given_back_is_not_accepted_from_the_late_reply():
    told = Told(12)
    first, *_ = batches(told.joins())
    told.tell(Returned(0.0, first.id, first.start + 1, first.stop))
    (write,) = only(told.finishes(first), Write)
    assert list(write.accepted) == [(first.start, first.start + 1)]
    assert not write.whole


def test_an_idle_slot_recalls_the_offer_that_waits_elsewhere():
    told = Told(2)
    running, waiting = batches(told.joins("a"))
    assert only(told.joins("b"), Recall) == [Recall(waiting)]
    commands = told.tell(Returned(0.0, waiting.id, waiting.start, waiting.stop))
    assert [batch.worker for batch in batches(commands)] == ["b"]
    assert running.worker == "a"


def test_the_rest_behind_a_straggler_is_recalled():
    told = Told(400)
    straggling, *_ = batches(told.joins("a"))
    told.joins("b")
    assert straggling.stop - straggling.start > 1
    for _ in range(400):
        mine = [f.batch for f in told.driver.flights.values() if f.batch.worker == "b"]
        if not mine:
            break
        told.finishes(mine[0], seconds=1e-3)
        for flight in list(told.driver.flights.values()):
            if flight.open_recall and flight.started is None:
                told.tell(Returned(0.0, flight.batch.id, flight.batch.start, flight.batch.stop))
    told.time = told.driver.wake
    recalls = only(told.tell(Tick(told.time + 0.01)), Recall)
    assert [recall.batch.id for recall in recalls] == [straggling.id]


def test_a_worker_that_leaves_gives_its_points_back():
    told = Told(10)
    told.joins()
    told.tell(Left(0.0, "w"))
    assert sum(map(len, told.driver.waiting.values())) == 10


def test_failures_are_tried_again_as_often_as_asked():
    told = Told(1, policy=Policy(retries=1))
    (batch,) = batches(told.joins())
    commands = told.finishes(batch, failed=(("error", ((0, 1),)),))
    assert not only(commands, Write)
    (again,) = batches(commands)
    assert again.attempt == 2
    (write,) = only(told.finishes(again, failed=(("error", ((0, 1),)),)), Write)
    assert write.batch.attempt == 2
    assert told.driver.failures == 1


def test_points_named_for_retry_wait_with_their_next_attempt():
    told = Told(4, done=RangeSet([(0, 4)]), again={3: RangeSet([(1, 2)])})
    (batch,) = batches(told.joins())
    assert (batch.start, batch.stop, batch.attempt) == (1, 2, 3)


def test_a_limit_is_never_exceeded():
    told = Told(1000, policy=Policy(limit=10))
    offered = batches(told.joins(slots=4))
    assert sum(batch.limit for batch in offered) == 10


def test_too_many_failures_stop_the_sweep():
    told = Told(10, policy=Policy(max_failures=1))
    first, *_ = batches(told.joins())
    told.finishes(first, failed=(("error", ((0, first.stop),)),))
    told.tell(Durable(0.0, (first.id,)))
    for flight in list(told.driver.flights.values()):
        told.tell(Lost(0.0, flight.batch.id, "test"))
    assert told.driver.concluded == Conclude(Ending.LIMIT, f"{first.stop} points failed")


def test_stop_now_waits_only_for_the_disk():
    told = Told(10)
    first, *_ = batches(told.joins())
    told.finishes(first)
    assert not only(told.tell(StopAsked(0.0, Urgency.NOW, "you")), Conclude)
    commands = told.tell(Durable(0.0, (first.id,)))
    assert only(commands, Conclude) == [Conclude(Ending.ASKED, "you")]


def test_draining_recalls_everything_and_offers_nothing():
    told = Told(100)
    offered = batches(told.joins())
    commands = told.tell(StopAsked(0.0, Urgency.DRAIN, "you"))
    assert {recall.batch for recall in only(commands, Recall)} == set(offered)
    assert not batches(commands)


def test_no_worker_for_too_long_ends_as_lost():
    told = Told(1, policy=Policy(patience=5.0))
    told.tell(Tick(0.0))
    assert told.driver.wake == 5.0
    (conclusion,) = told.tell(Tick(5.0))
    assert conclusion == Conclude(Ending.LOST, "there was no worker for 5 s")


def test_losing_everything_ends_as_lost():
    told = Told(5)
    told.joins()
    while not told.driver.concluded:
        told.tell(Lost(0.0, next(iter(told.driver.flights)), "gone"))
    assert told.driver.concluded.ending is Ending.LOST


def test_a_fatal_reply_stops_at_once():
    told = Told(50)
    first, *_ = batches(told.joins())
    told.finishes(first, upto=first.start, fatal="metric 'status'")
    assert told.driver.concluded == Conclude(Ending.FATAL, "metric 'status'")


# A thousand clusters.


class Ledger:
    """Remembers what was written, as a store would."""

    def __init__(self, engine):
        self.engine = engine
        self.rows = Counter()
        self.attempts = {}

    def append(self, write):
        for start, stop in write.accepted:
            for position in range(start, stop):
                self.rows[position] += 1
                self.attempts[position] = write.batch.attempt
        self.engine.post(Durable(self.engine.now(), (write.batch.id,)))


def planned(seed):
    random = Random(f"{seed} plan")
    maybe = lambda high: random.choice([0.0, random.uniform(0, high)])  # noqa: E731
    duration, spread = 10 ** random.uniform(-4, 2), random.choice([0.0, 1.0, 2.0])
    plan = Plan(
        seed=seed,
        workers=random.randint(1, 6),
        duration=duration,
        spread=spread,
        failing=maybe(0.5),
        excluded=maybe(0.9),
        deaths=maybe(0.2) / (1 + duration * exp(3 * spread)),  # the longest point must have a chance to end
        lost=maybe(0.2),
        twice=maybe(0.3),
        late=maybe(0.2),
        stop_after=random.choice([None, None, random.uniform(0, 50)]),
    )
    policy = Policy(
        retries=random.choice([0, 0, 2]),
        limit=random.choice([None, None, random.randint(1, 100)]),
        max_failures=random.choice([None, None, random.randint(1, 30)]),
        patience=1e9,
    )
    return random.choice([0, 1, 7, 40, 150]), plan, policy


def simulate(seed):
    """Run one planned cluster; raise with its log if an invariant breaks."""
    total, plan, policy = planned(seed)
    engine = Simulated(plan)
    ledger = Ledger(engine)
    driver = Driver(total, policy=policy, now=0.0)

    checked = driver.handle

    def handle(event):
        commands = checked(event)
        driver.check()
        assert driver.concluded or driver.flights or driver.writing or not driver.workers, "stalled"
        return commands

    driver.handle = handle
    try:
        engine.open()
        conclusion = drive(driver, engine, ledger.append)
        assert set(ledger.rows.values()) <= {1}, "a position was written twice"
        assert set(ledger.rows) == {p for a, b in driver.done for p in range(a, b)}
        if conclusion.ending is Ending.COMPLETE:
            assert len(ledger.rows) == total
        if policy.limit is not None:
            assert sum(not engine.excluded(position) for position in ledger.rows) <= policy.limit
        for position, attempt in ledger.attempts.items():
            if not engine.excluded(position):
                ends = [engine.status(position, k) for k in range(1, attempt + 1)]
                assert "ok" not in ends[:-1], "an ok row was tried again"
                assert ends[-1] == "ok" or attempt == policy.retries + 1
    except AssertionError as error:
        log = "\n".join(engine.log)
        pytest.fail(
            f"seed {seed}: {error}\n{total=}\n{plan}\n{policy}\n{log}\nagain: --first-seed {seed} --seeds 1"
        )


def test_simulated_clusters(request):
    first = request.config.getoption("--first-seed")
    for seed in range(first, first + request.config.getoption("--seeds")):
        simulate(seed)


def test_a_plan_gives_the_same_year_again():
    logs = []
    for _ in range(2):
        engine = Simulated(Plan(seed=3, workers=3, deaths=0.05, lost=0.1, twice=0.1))
        engine.open()
        drive(Driver(100, policy=Policy(patience=1e9)), engine, Ledger(engine).append)
        logs.append(engine.log)
    assert logs[0] == logs[1]
