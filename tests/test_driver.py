"""The driver alone: one event at a time, and a thousand simulated clusters under a virtual clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from simulating import Ledger, planned_to_stop, simulate, stop_and_go_on
from swath.driver import Driver, Policy
from swath.engines.simulated import Plan, Simulated
from swath.loop import drive
from swath.messages import (
    Conclude,
    Durable,
    Ending,
    Example,
    Exclude,
    Finished,
    Joined,
    Left,
    Lost,
    Measured,
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
from swath.stopping import METHODS
from swath.wanted import Wanted

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
        mine = [f.batch for f in told.driver.places.flights.values() if f.batch.worker == "b"]
        if not mine:
            break
        told.finishes(mine[0], seconds=1e-3)
        for flight in list(told.driver.places.flights.values()):
            if flight.open_recall and flight.started is None:
                told.tell(Returned(0.0, flight.batch.id, flight.batch.start, flight.batch.stop))
    told.time = told.driver.wake
    recalls = only(told.tell(Tick(told.time + 0.01)), Recall)
    assert [recall.batch.id for recall in recalls] == [straggling.id]


def test_a_worker_that_leaves_gives_its_points_back():
    told = Told(10)
    told.joins()
    told.tell(Left(0.0, "w"))
    assert told.driver.places.waiting_count == 10


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
    for flight in list(told.driver.places.flights.values()):
        told.tell(Lost(0.0, flight.batch.id, "test"))
    assert told.driver.concluded == Conclude(
        Ending.LIMIT,
        f"{first.stop} points failed; {10 - first.stop} not started",
        Example(0, "error", "", "w"),
    )


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
        told.tell(Lost(0.0, next(iter(told.driver.places.flights)), "gone"))
    assert told.driver.concluded.ending is Ending.LOST


def test_a_fatal_reply_stops_at_once():
    told = Told(50)
    first, *_ = batches(told.joins())
    told.finishes(first, upto=first.start, fatal="metric 'status'")
    assert told.driver.concluded == Conclude(Ending.FATAL, "metric 'status'")


def wanting(*metrics, total=50, **keywords):
    """A driver that waits for metrics, and the first batch of each of two workers."""
    told = Told(total, wanted=Wanted(metrics), **keywords)
    first, *_ = batches(told.joins("one"))
    second, *_ = batches(told.joins("two"))
    told.time = 1.0
    return told, first, second


LACKING = "the sweep goes by the metric 'loss', which the first "


def test_a_metric_that_no_point_returns_ends_the_sweep_and_its_rows_are_saved():
    told, first, second = wanting("cost", "loss")
    (write,) = only(told.finishes(first, upto=first.start + 2, returned=("cost", "los")), Write)
    assert len(write.accepted) == 2
    assert told.driver.places.flights, "the other worker may know it"
    told.time = 2.0
    told.finishes(second, upto=second.start + 1, returned=("cost",))
    assert not told.driver.places.flights, "nobody else is waited for"
    told.tell(Durable(3.0, (first.id, second.id)))
    assert told.driver.concluded.ending is Ending.FATAL
    assert told.driver.concluded.reason.startswith(
        LACKING + "3 points did not return (they returned 'cost', 'los'; did you mean 'los'?); correct "
    )
    assert len(told.driver.places.done) == 3


@pytest.mark.parametrize("later", [{}, {"returned": ("loss",)}])
def test_one_point_that_has_returned_a_metric_is_enough(later):
    told, first, second = wanting("loss")
    told.finishes(first, upto=first.start + 1)
    told.time = 2.0
    told.finishes(second, upto=second.start + 1, returned=("loss",))
    while told.driver.places.flights:
        told.time += 1
        flight = next(iter(told.driver.places.flights.values()))
        told.finishes(flight.batch, **later)
        told.tell(Durable(told.time, tuple(told.driver.places.writing)))
    assert told.driver.concluded == Conclude(Ending.COMPLETE)


def test_points_that_did_not_end_well_say_nothing_about_metrics():
    told, first, second = wanting("loss")
    told.finishes(
        first,
        failed=(("error", ((first.start, first.stop - 1),)), ("pruned", ((first.stop - 1, first.stop),))),
    )
    told.time = 2.0
    assert batches(told.finishes(second, upto=second.start))  # nothing was touched
    told.time = 3.0
    told.tell(Left(3.0, "two"))
    assert told.driver.concluded is None


def test_whoever_may_have_returned_a_metric_and_is_gone_is_not_waited_for():
    told, first, _ = wanting("loss")
    told.finishes(first, upto=first.start + 1)
    told.tell(Durable(2.0, (first.id,)))
    assert told.driver.concluded is None
    told.tell(Left(3.0, "two"))
    assert told.driver.concluded.reason.startswith(
        "the sweep goes by the metric 'loss', which the first point did not"
    )


def test_a_missing_metric_is_told_before_a_limit_and_does_not_hurry_who_was_asked_to_stop():
    told = Told(50, wanted=Wanted(["loss"]), policy=Policy(limit=1))
    (only_one,) = batches(told.joins())
    told.finishes(only_one, upto=1)
    told.tell(Durable(1.0, (only_one.id,)))
    assert told.driver.concluded.ending is Ending.FATAL
    told, first, second = wanting("loss")
    told.tell(StopAsked(1.0, Urgency.DRAIN, "by SIGTERM"))
    told.finishes(first, upto=first.start + 1)
    assert second.id in told.driver.places.flights
    told.finishes(second, upto=second.start + 1)
    assert told.driver.stop.ending.ending is Ending.ASKED


@pytest.mark.parametrize(("returned", "ending"), [(("loss",), Ending.COMPLETE), ((), Ending.FATAL)])
def test_no_misfortune_hides_or_feigns_a_metric(returned, ending):
    plan = Plan(seed=0, workers=3, deaths=0.05, failing=0.2, lost=0.1, twice=0.1, late=0.1, returned=returned)
    for seed in range(8):
        engine = Simulated(replace(plan, seed=seed))
        engine.open()
        driver = Driver(200, policy=Policy(patience=1e9), wanted=Wanted(["loss"]))
        assert drive(driver, engine, Ledger(engine).append).ending is ending, seed


def test_points_that_all_fail_alike_stop_the_sweep():
    told = Told(10_000)
    first, second = batches(told.joins())
    commands = told.finishes(
        first, upto=first.start + 12, failed=(("error", ((0, 12),)),), complaint="KeyError: 'x'"
    )
    assert batches(commands)  # twelve are not enough
    told.finishes(
        second,
        upto=second.start + 9,
        failed=(("error", ((second.start, second.start + 9),)),),
        complaint="KeyError: 'x'",
    )
    third = next(iter(told.driver.places.flights.values()))
    told.tell(Returned(0.0, third.batch.id, third.batch.start, third.stop))
    told.tell(Durable(0.0, (first.id, second.id)))
    assert told.driver.concluded == Conclude(
        Ending.LIMIT,
        "the first 21 points all failed alike; 9,979 not started",
        Example(second.start, "error", "KeyError: 'x'", "w"),
    )


@pytest.mark.parametrize(
    ("rows", "complaint", "policy"),
    [
        (1, "KeyError: 'x'", Policy()),  # a point ended well
        (0, "KeyError: 'y'", Policy()),  # two kinds of failure
        (0, "", Policy()),  # many kinds
        (0, "KeyError: 'x'", Policy(max_failures=1000)),  # the user said how many
    ],
)
def test_the_brake_is_released_by_anything_else(rows, complaint, policy):
    told = Told(10_000, policy=policy)
    first, second = batches(told.joins())
    told.finishes(first, upto=19, failed=(("error", ((0, 19),)),), complaint="KeyError: 'x'")
    start, stop = second.start, second.start + 15
    told.finishes(second, upto=stop, failed=(("error", ((start + rows, stop),)),), complaint=complaint)
    third = batches(told.tell(Tick(0.0))) or [flight.batch for flight in told.driver.places.flights.values()]
    start, stop = third[0].start, third[0].stop
    commands = told.finishes(
        third[0], upto=stop, failed=(("error", ((start, stop),)),), complaint="KeyError: 'x'"
    )
    assert batches(commands)
    assert told.driver.failures == 19 + 15 - rows + stop - start


def test_retries_neither_fool_the_brake_nor_put_it_off():
    told = Told(10_000, policy=Policy(retries=3))
    told.joins()
    tried = Counter()
    while not told.driver.concluded and sum(tried.values()) < 5000:
        flights = [f for f in told.driver.places.flights.values() if f.started is not None]
        if not flights:
            told.tell(Durable(0.0, tuple(told.driver.places.writing)))
            continue
        batch = flights[0].batch
        tried[batch.attempt] += 1
        told.finishes(
            batch,
            upto=batch.start + 1,
            failed=(("error", ((batch.start, batch.start + 1),)),),
            complaint="no",
        )
        if told.driver.stop.brake.failed >= 20:
            told.tell(StopAsked(0.0, Urgency.NOW, "enough"))
    assert told.driver.concluded.reason.startswith("the first 20 points all failed alike")
    assert tried[4] == 20  # each of them tried as often as it may
    assert tried[1] <= 22


# Workers that keep failing.


def rejoins(told, times, pause, worker="w"):
    said = []
    for _ in range(times):
        told.time += pause
        said += told.tell(Left(told.time, worker))
        said += told.joins(worker)
    return said


def test_a_worker_that_flaps_is_left_out_for_a_while_and_comes_back():
    told = Told(1000)
    told.joins("sound")
    told.joins("w")
    (excluded,) = only(rejoins(told, 5, 0.3), Exclude)
    assert (excluded.worker, excluded.seconds) == ("w", 60.0)
    assert "it failed 5 times within 1 s; the last time: it left" in excluded.reason
    assert not told.driver.workers["w"].queue
    assert told.driver.wake == pytest.approx(told.time + 60.0)
    told.time += 60.0
    assert {batch.worker for batch in batches(told.tell(Tick(told.time)))} == {"w"}
    (again,) = only(rejoins(told, 5, 0.3), Exclude)
    assert again.seconds == pytest.approx(120.0)


def test_a_worker_that_leaves_now_and_then_is_welcome():
    told = Told(1000)
    told.joins("w")
    assert not only(rejoins(told, 50, 20.0), Exclude)
    assert told.driver.places.flights


def test_one_cause_counts_once_however_many_batches_it_takes():
    told = Told(10_000)
    told.joins("w", slots=16)
    told.joins("sound")
    held = list(told.driver.workers["w"].queue)
    for flight in held:
        assert not only(told.tell(Lost(0.0, flight.batch.id, "the scheduler restarted")), Exclude)
    assert told.driver.workers["w"].queue


def test_a_worker_that_loses_every_batch_is_left_out_and_the_others_go_on():
    told = Told(10_000)
    told.joins("w")
    told.joins("sound")
    said = []
    while not only(said, Exclude):
        told.time += 0.001
        said = told.tell(Lost(told.time, told.driver.workers["w"].queue[0].batch.id, "no child"))
    assert told.driver.concluded is None
    assert told.driver.workers["sound"].queue
    said = told.finishes(told.driver.workers["sound"].queue[0].batch)
    assert {batch.worker for batch in batches(said)} == {"sound"}


def test_if_nobody_is_of_use_any_more_the_sweep_is_lost():
    told = Told(1000)
    told.joins("w")
    said = rejoins(told, 5, 0.3)
    assert told.driver.concluded.ending is Ending.LOST
    assert "no worker is of use any more; w: it failed 5 times" in told.driver.concluded.reason
    assert only(said, Conclude)


def test_time_that_nobody_saw_is_not_patience():
    told = Told(1, policy=Policy(patience=300.0))
    told.tell(Tick(0.0))
    told.tell(Tick(100_000.0))  # suspended over night
    assert told.driver.concluded is None
    while told.driver.concluded is None:
        told.time = told.driver.wake
        told.tell(Tick(told.time))
    assert told.time == pytest.approx(100_290.0)


def test_a_drain_with_a_grace_ends_when_that_is_over():
    told = Told(10)
    told.joins()
    told.tell(StopAsked(1.0, Urgency.DRAIN, "by SIGTERM", 20.0))
    assert told.driver.wake == 21.0
    assert told.tell(Tick(20.9)) == []
    assert only(told.tell(Tick(21.0)), Conclude) == [Conclude(Ending.ASKED, "by SIGTERM")]


# A thousand clusters.


@pytest.mark.parametrize("seed", range(5))
def test_whoever_looks_at_the_slots_changes_nothing(seed):
    plan = Plan(
        seed=seed, workers=3, deaths=0.05, failing=0.2, excluded=0.1, lost=0.1, twice=0.1, measured=1.0
    )
    engine, policy = Simulated(plan), Policy(retries=1, patience=1e9)
    said, looks, plain = [], [], Driver(300, policy=policy)

    class Both(Driver):
        def handle(self, event):
            if isinstance(event, Measured):
                looks.append(event)
                assert super().handle(event) == []
                return []
            commands = super().handle(event)
            said.append((commands, plain.handle(event)))
            return commands

    engine.open()
    drive(Both(300, policy=policy), engine, Ledger(engine, 0.1).append)
    assert all(watched == alone for watched, alone in said)
    assert any(load.position is not None for look in looks for load in look.loads)


def test_simulated_clusters(request):
    first = request.config.getoption("--first-seed")
    count = request.config.getoption("--seeds")
    endings = Counter(simulate(seed)[0].ending for seed in range(first, first + count))
    if count >= 300:
        assert set(endings) == {Ending.COMPLETE, Ending.ASKED, Ending.LOST, Ending.LIMIT}


def test_a_plan_gives_the_same_year_again():
    logs = []
    for _ in range(2):
        engine = Simulated(Plan(seed=3, workers=3, deaths=0.05, lost=0.1, twice=0.1))
        engine.open()
        drive(Driver(100, policy=Policy(patience=1e9)), engine, Ledger(engine).append)
        logs.append(engine.log)
    assert logs[0] == logs[1]


def test_simulated_early_stopping(request):
    first = request.config.getoption("--first-seed")
    count = max(1, request.config.getoption("--seeds") // 25)
    drivers = [simulate(seed, planned_to_stop)[1] for seed in range(first, first + count)]
    if count >= 40:
        assert sum(len(driver.courses.pruned) for driver in drivers) > 5 * count
        assert sum(driver.promotions.total() for driver in drivers) > count


def test_simulated_early_stopping_goes_on_after_a_stop(request):
    first = request.config.getoption("--first-seed")
    count = max(1, request.config.getoption("--seeds") // 40)
    went_on = [len(stop_and_go_on(seed)[2]) for seed in range(first, first + count)]
    assert count < 25 or sum(went_on) > 0


def test_asha_finds_the_same_best_with_a_fifth_of_the_training(request):
    """The tasks of `benchmarks/stopping.py`, through the driver, on workers that take different times for a step."""
    count = max(3, request.config.getoption("--seeds") // 200)
    fewer, regrets = [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        points, whole = 128, 100
        end, height, speed = (
            rng.beta(1.5, 4, points),
            rng.uniform(0.2, 1, points),
            rng.uniform(0.2, 1.5, points),
        )
        noise = rng.normal(0, 0.005, (points, whole + 1))

        def loss(point, step, end=end, height=height, speed=speed, noise=noise):
            return end[point] + height[point] * step ** -speed[point] + noise[point, step]

        plan = Plan(seed=seed, workers=3, duration=1000.0, spread=0.5, steps=whole, curve=loss, keeping=True)
        engine = Simulated(plan)
        ledger = Ledger(engine)
        rule = METHODS["asha"]("loss", 1, min_steps=4, max_steps=whole)
        engine.open()
        assert drive(Driver(points, rule=rule), engine, ledger.append).ending is Ending.COMPLETE
        assert set(engine.done.values()) == {1}, "nobody does a step twice"
        finished = [position for position, status in ledger.ends.items() if status == "ok"]
        fewer.append(points * whole / engine.done.total())
        best = min(loss(point, whole) for point in range(points))
        regrets.append(min(loss(point, whole) for point in finished) - best)
    assert np.median(fewer) > 5
    assert np.median(regrets) < 0.005  # the noise of one value
