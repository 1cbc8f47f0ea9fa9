"""The fold of events into snapshots: what is counted when, rates, remaining time, best value, workers."""

from __future__ import annotations

import dataclasses
import json
import pickle
import time
import timeit
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swath.driver import Driver
from swath.messages import (
    Batch,
    Conclude,
    Durable,
    Ending,
    Finished,
    Joined,
    Left,
    Load,
    Lost,
    Measured,
    Noted,
    Promote,
    Reply,
    Returned,
    StopAsked,
    Submit,
    Tick,
    Urgency,
    Write,
)
from swath.progress import Progress
from swath.progress.complaints import KEPT, SHOWN
from swath.progress.crew import GONE
from swath.ranges import RangeSet
from swath.rates import ENOUGH, History
from swath.snapshot import Complaint, Slow, Snapshot, WorkerLoad


class Sweep:
    """A sweep told in verbs; every verb advances the clock."""

    def __init__(self, total=1000, **options):
        self.now = 100.0
        self.progress = Progress("epidemic", total, now=self.now, **options)
        self.next_id = 0
        self.at = 0

    def feed(self, message):
        self.progress.feed(message)
        return self

    def after(self, seconds):
        self.now += seconds
        return self

    def joined(self, worker="w0", slots=2, **more):
        return self.feed(Joined(self.now, worker, slots, **more))

    def offered(self, points=10, worker="w0", attempt=1):
        batch = Batch(self.next_id, worker, self.at, self.at + points, attempt, 0.5)
        self.next_id += 1
        self.at += points
        self.feed(Submit((batch,)))
        return batch

    def measured(self, worker="w0", *loads):
        return self.feed(Measured(self.now, worker, loads))

    def answered(
        self, batch, *, failed=(), excluded=0, best=None, took=0.5, accepted=None, rows=None, **more
    ):
        size = batch.stop - batch.start
        reply = Reply(
            done=((batch.start, batch.stop),),
            rows=size - excluded if rows is None else rows,
            failed=failed,
            seconds=took,
            best=best,
            **more,
        )
        self.feed(Finished(self.now, batch.id, reply))
        whole = accepted is None
        positions = RangeSet([(batch.start, batch.stop)] if whole else accepted)
        return self.feed(Write(batch, reply, positions, whole))

    def saved(self, *batches):
        return self.feed(Durable(self.now, tuple(batch.id for batch in batches)))

    def worked(self, points=10, seconds=1.0, worker="w0", **reply):
        batch = self.offered(points, worker)
        return self.after(seconds).answered(batch, **reply).saved(batch)

    def seen(self):
        return self.progress.snapshot(self.now)


def test_a_new_sweep_is_starting_and_knows_nothing():
    seen = Sweep().seen()
    assert (seen.state, seen.done, seen.total, seen.rate, seen.eta, seen.best) == (
        "starting",
        0,
        1000,
        None,
        None,
        None,
    )


def test_done_counts_when_accepted_and_saved_when_durable():
    sweep = Sweep().joined()
    batch = sweep.offered(10)
    sweep.after(1).answered(batch, failed=(("error", ((0, 3),)),), excluded=2)
    seen = sweep.seen()
    assert (seen.done, seen.saved, seen.statuses, seen.excluded, seen.workers[0].failed) == (10, 0, {}, 0, 3)
    seen = sweep.saved(batch).seen()
    assert (seen.done, seen.saved, seen.statuses, seen.excluded) == (10, 10, {"ok": 5, "error": 3}, 2)


def test_a_durable_that_comes_twice_counts_once():
    sweep = Sweep().joined()
    batch = sweep.offered(10)
    sweep.answered(batch).saved(batch).saved(batch)
    assert sweep.seen().saved == 10


def test_a_write_that_the_store_refuses_is_taken_back():
    sweep = Sweep().joined()
    batch = sweep.offered(10)
    sweep.answered(batch, failed=(("error", ((0, 3),)),)).feed(Lost(sweep.now, batch.id, "bad checksum"))
    seen = sweep.seen()
    assert (seen.done, seen.saved, seen.failed, seen.ok, seen.workers[0].done, seen.rate) == (
        0,
        0,
        0,
        0,
        0,
        None,
    )


def test_statuses_and_exclusions_are_counted():
    sweep = Sweep().joined()
    failed = (("error", ((0, 3),)), ("timeout", ((5, 6),)), ("pruned", ((7, 9),)))
    seen = sweep.worked(20, failed=failed, excluded=4).seen()
    assert seen.statuses == {"ok": 10, "error": 3, "timeout": 1, "pruned": 2}
    assert (seen.failures, seen.failed, seen.excluded) == ({"error": 3, "timeout": 1}, 4, 4)


def test_only_accepted_positions_count():
    sweep = Sweep().joined()
    batch = sweep.offered(20)
    failed = (("error", ((0, 3), (15, 18))),)
    seen = sweep.answered(batch, failed=failed, accepted=[(0, 10)]).saved(batch).seen()
    assert (seen.done, seen.statuses, seen.excluded) == (10, {"ok": 7, "error": 3}, 0)


def test_earlier_sessions_count_as_done_but_not_in_the_rate():
    sweep = Sweep(done=500, excluded=20, statuses={"ok": 470, "error": 10}).joined()
    seen = sweep.worked(10, 2.0).seen()
    assert (seen.done, seen.saved, seen.rows_before, seen.excluded) == (510, 510, 480, 20)
    assert seen.rate == pytest.approx(5.0)


def test_the_state_follows_the_sweep():
    sweep = Sweep().joined()
    assert sweep.seen().state == "running"
    sweep.feed(StopAsked(sweep.now, Urgency.DRAIN, "Ctrl-C"))
    assert (sweep.seen().state, sweep.seen().reason) == ("draining", "Ctrl-C")
    sweep.feed(Conclude(Ending.ASKED, "Ctrl-C"))
    assert (sweep.seen().state, sweep.seen().reason, sweep.seen().over) == ("stopped", "Ctrl-C", True)


def test_a_complete_sweep_has_no_reason_and_no_remaining_time():
    seen = Sweep(total=10).joined().worked(10).feed(Conclude(Ending.COMPLETE)).seen()
    assert (seen.state, seen.reason, seen.eta, seen.running) == ("complete", "", None, 0)


def test_the_rate_counts_from_the_first_worker_on():
    sweep = Sweep().after(60).joined()
    assert sweep.worked(10, 2.0).seen().rate == pytest.approx(5.0)


def test_the_rate_is_that_of_the_last_quarter_of_a_minute():
    sweep = Sweep(total=10**6).joined()
    for _ in range(60):
        sweep.worked(10, 1.0)
    for _ in range(30):
        sweep.worked(40, 1.0)
    assert sweep.seen().rate == pytest.approx(40.0)


def test_slow_points_are_averaged_over_longer():
    sweep = Sweep().joined()
    for _ in range(20):
        sweep.worked(1, 60.0)
    assert sweep.seen().rate == pytest.approx(1 / 60)


def test_a_standstill_shows_as_a_falling_rate_and_a_growing_remaining_time():
    sweep = Sweep().joined()
    for _ in range(30):
        sweep.worked(1, 1.0)
    before = sweep.seen()
    after = sweep.after(300).seen()
    assert after.rate < before.rate / 20
    assert after.eta[1] > 5 * before.eta[1]


def test_the_remaining_time_holds_the_truth_and_narrows():
    sweep = Sweep(total=1000).joined()
    widths = []
    for step in range(1, 81):
        sweep.worked(10, 1.0)
        low, high = sweep.seen().eta
        assert low <= 100 - step <= high
        widths.append(high / low)
    assert widths[-1] < 1.3 < widths[0]


def test_the_first_guess_knows_that_all_slots_are_at_work():
    sweep = Sweep(total=1000).joined(slots=4)
    batches = [sweep.offered(10) for _ in range(4)]
    sweep.after(1.0).answered(batches[0], took=1.0)  # the others come a moment later
    low, high = sweep.seen().eta
    assert low <= 960 / 40 <= high


def test_there_is_no_remaining_time_while_stopping():
    sweep = Sweep().joined().worked(10).feed(StopAsked(101.0, Urgency.DRAIN, ""))
    assert sweep.seen().eta is None


@pytest.mark.parametrize(
    ("direction", "best"), [("minimize", (-2.0, 30)), ("maximize", (5.0, 20)), ("", None)]
)
def test_the_best_value_follows_the_direction(direction, best):
    sweep = Sweep(metric="error", direction=direction).joined()
    for i, number in enumerate((3.0, nan, 5.0, -2.0)):
        sweep.worked(10, best=(number, 10 * i))
    sweep.worked(10, best=None)
    assert sweep.seen().best == best


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_equal_best_values_the_first_point_counts_whenever_it_comes(direction):
    sweep = Sweep(metric="error", direction=direction, best=(1.0, 7)).joined()
    assert sweep.worked(10, best=(1.0, 3)).seen().best == (1.0, 3)
    assert sweep.worked(10, best=(1.0, 5)).seen().best == (1.0, 3)


def test_workers_are_told_apart():
    sweep = Sweep().joined("w0", 1).joined("w1", 2)
    sweep.worked(10, 1.0, "w0", failed=(("error", ((0, 2),)),))
    sweep.worked(30, 1.0, "w1", took=0.9)
    sweep.offered(5, "w1")
    first, second = sweep.seen().workers
    assert (first.name, first.done, first.failed, first.slots, first.busy) == ("w0", 10, 2, 1, 0)
    assert (second.name, second.done, second.failed, second.slots, second.busy) == ("w1", 30, 0, 2, 1)
    assert (second.batch, second.rate) == ((30, 0.9), pytest.approx(15.0))
    assert sweep.seen().slots == 3


def test_an_offer_that_waits_behind_another_keeps_no_slot_busy():
    sweep = Sweep().joined(slots=1)
    sweep.offered()
    sweep.offered()
    assert (sweep.seen().running, sweep.seen().busy) == (2, 1)


def test_a_worker_that_left_holds_nothing_but_its_deeds_are_remembered():
    sweep = Sweep().joined("w0").joined("w1").worked(10, worker="w0")
    sweep.offered(worker="w0")
    sweep.feed(Left(sweep.now, "w0")).feed(Left(sweep.now, "w1")).feed(Left(sweep.now, "nobody"))
    seen = sweep.seen()
    assert [(worker.name, worker.slots, worker.done) for worker in seen.workers] == [("w0", 0, 10)]
    assert (seen.running, seen.slots) == (0, 0)


def test_a_worker_that_comes_back_goes_on_counting():
    sweep = Sweep().joined().worked(10)
    sweep.feed(Left(sweep.now, "w0")).joined().worked(5)
    assert [(worker.slots, worker.done) for worker in sweep.seen().workers] == [(2, 15)]


def test_an_offer_given_back_whole_is_not_in_flight_any_more():
    sweep = Sweep().joined()
    whole, part = sweep.offered(10), sweep.offered(10)
    sweep.feed(Returned(sweep.now, whole.id, 0, 10)).feed(Returned(sweep.now, part.id, 15, 20))
    assert sweep.seen().running == 1


def test_nothing_is_waited_for_after_a_stop_at_once():
    sweep = Sweep().joined()
    sweep.offered()
    assert sweep.feed(StopAsked(sweep.now, Urgency.NOW, "")).seen().running == 0


def test_messages_about_unknown_batches_are_harmless():
    sweep = Sweep().joined()
    for message in (
        Finished(100, 9, Reply((), 0)),
        Lost(100, 9, ""),
        Durable(100, (9,)),
        Returned(100, 9, 0, 1),
        Tick(100),
    ):
        sweep.feed(message)
    assert (sweep.seen().done, sweep.seen().running) == (0, 0)


def test_a_snapshot_is_frozen_and_taking_it_changes_nothing():
    sweep = Sweep().joined().worked(10)
    first = sweep.seen()
    assert first == sweep.seen()
    sweep.worked(10)
    assert (first.done, first.statuses) == (10, {"ok": 10})
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.done = 3


def test_the_clock_stops_when_the_sweep_is_over():
    sweep = Sweep(total=10).joined().worked(10, 4.0).feed(Conclude(Ending.COMPLETE))
    assert sweep.after(60).seen().elapsed == pytest.approx(4.0)


def test_time_never_runs_backwards():
    sweep = Sweep().joined().worked(10, 5.0)
    assert sweep.progress.snapshot(0.0).elapsed == pytest.approx(5.0)


def test_a_history_stays_small():
    history = History(0.0)
    for i in range(100_000):
        history.add(i * 0.01, 1, 10, 9)
    assert len(history._marks) < 300
    assert history.slope(1000.0, 15.0) == pytest.approx((1000.0, 900.0), rel=0.02)
    assert history.overall(1000.0) == pytest.approx((1000.0, 900.0))


@given(st.lists(st.tuples(st.floats(0.001, 30), st.integers(1, 50)), min_size=1, max_size=80))
def test_a_slope_lies_between_the_slowest_and_the_fastest(steps):
    history, now = History(0.0), 0.0
    for seconds, points in steps:
        now += seconds
        history.add(now, 1, points, points)
    slope = history.slope(now, 15.0)
    speeds = [points / seconds for seconds, points in steps]
    assert min(speeds) * 0.999 <= slope[0] <= max(speeds) * 1.001
    assert len(history._marks) <= 300 + ENOUGH


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 2)), max_size=60), st.integers(0, 300))
def test_the_fold_agrees_with_the_driver(choices, total):
    """Whatever happens, the snapshot counts what the driver holds."""
    driver, progress, now = Driver(total, now=0.0), Progress("s", total, now=0.0), 0.0
    flights, unsaved = [], {}

    def step(event):
        progress.feed(event)
        for command in driver.handle(event):
            progress.feed(command)
            if isinstance(command, Submit):
                flights.extend(command.batches)
            if isinstance(command, Write):
                unsaved[command.batch.id] = len(command.accepted)

    step(Joined(now, "w", 2))
    for choice, seconds in choices:
        now += seconds
        if choice == 0 and flights:
            batch = flights.pop(0)
            stop = min(batch.stop, batch.start + 7)
            step(Finished(now, batch.id, Reply(((batch.start, stop),), stop - batch.start, seconds=0.1)))
        elif choice == 1 and unsaved:
            step(Durable(now, (unsaved.popitem()[0],)))
        elif choice == 2 and flights:
            step(Lost(now, flights.pop().id, "gone"))
        else:
            step(Tick(now))
    seen = progress.snapshot(now)
    assert seen.saved == len(driver.places.done)
    assert seen.done == len(driver.places.done) + sum(unsaved.values())
    assert seen.running == len(driver.places.flights)
    assert seen.ok == len(driver.places.done)
    assert seen.over == (driver.concluded is not None)


def test_why_a_worker_is_not_used_is_said_once():
    progress = Progress("sweep", 10, now=0.0)
    for now in (1.0, 2.0):
        progress.feed(Noted(now, "worker host7: not used: numpy 1.26.4 there, 2.3.1 here"))
        progress.feed(Left(now, "host8", "it is being retired"))
    assert progress.snapshot(3.0).notices == ("worker host7: not used: numpy 1.26.4 there, 2.3.1 here",)


def test_a_snapshot_survives_json():
    first = Snapshot(
        name="sweep",
        statuses={"ok": 3, "error": 1},
        workers=(
            WorkerLoad(
                name="w0", slots=2, busy=1, done=3, failed=1, rate=0.5, batch=(4, 2.0), cpu=1.5, point=7
            ),
            WorkerLoad(name="w1", slots=2, busy=0, done=0, failed=0, rate=None, batch=None, host="node7"),
        ),
        eta=(1.0, 2.0),
        complaints=(Complaint("error", "ValueError: <b>", 1, 3), Complaint("error", "", 4)),
        slowest=(Slow(2.0, 3),),
        best=(1.0, 2),
        parameters={"lr": 0.1, "model": "a"},
        notices=("a", "b"),
    )
    assert Snapshot.from_json(json.loads(json.dumps(dataclasses.asdict(first)))) == first
    assert Snapshot.from_json(dataclasses.asdict(first)) == first
    assert Snapshot.from_json({"name": "sweep", "of a later version": 1}) == Snapshot(name="sweep")


# What slots take up, and how busy they are.


def test_the_loads_of_its_slots_are_summed_up_and_the_oldest_point_is_named():
    sweep = Sweep(points=lambda positions: [1000 - position for position in positions])
    sweep.joined(slots=3, host="node7", memory=10**9)
    seen = sweep.measured(
        "w0", Load("w0/0", 0.5, 100, 4, 2.0), Load("w0/1", 1.0, 200, 7, 9.0), Load("w0/2")
    ).seen()
    (load,) = seen.workers
    assert (load.cpu, load.memory, load.memory_limit, load.host) == (1.5, 300, 10**9, "node7")
    assert (load.point, load.age) == (993, 9.0)
    assert sweep.after(1.5).seen().workers[0].age == 10.5


def test_what_is_not_known_is_none():
    sweep = Sweep().joined().measured("w0", Load("w0/0"), Load("w0/1")).measured("nobody", Load("x", 1.0, 5))
    (load,) = sweep.seen().workers
    assert (load.cpu, load.memory, load.point, load.age, load.straggler) == (None, None, None, None, False)


def test_a_worker_is_at_its_point_until_that_is_answered():
    sweep = Sweep().joined()
    first, second = sweep.offered(10), sweep.offered(10)
    sweep.measured("w0", Load("w0", 1.0, 5, 3, 1.0)).answered(second)
    assert sweep.seen().workers[0].point == 3
    assert sweep.answered(first).seen().workers[0].point is None


@pytest.mark.parametrize(
    "ends", [Left(100.0, "w0"), StopAsked(100.0, Urgency.NOW, ""), Conclude(Ending.ASKED)], ids=type
)
def test_nobody_is_anywhere_once_it_is_over(ends):
    sweep = Sweep().joined().worked().measured("w0", Load("w0", 1.0, 5, 3, 1.0)).feed(ends)
    (load,) = sweep.seen().workers
    assert (load.cpu, load.memory, load.point) == (None, None, None)
    sweep.measured("w0", Load("w0", 1.0, 5, 3, 1.0))  # the last look may come late
    assert not isinstance(ends, Left) or sweep.seen().workers[0].cpu is None


def test_a_straggler_has_taken_three_times_as_long_as_others_take():
    sweep = Sweep().joined("w0").joined("w1").joined("w2")
    for worker, seconds in (("w0", 20.0), ("w1", 2.0), ("w2", 30.0)):
        sweep.worked(10, worker=worker, took=seconds)
    at = {"w0": 5.9, "w1": 6.1, "w2": 2.5}
    for worker, age in at.items():
        sweep.offered(10, worker)
        sweep.measured(worker, Load(worker, 1.0, 5, sweep.at - 5, age))
    assert [load.straggler for load in sweep.seen().workers] == [False, True, False]


def test_quick_points_make_no_straggler_within_seconds_and_without_a_measure_there_is_none():
    sweep = Sweep().joined()
    sweep.offered(10)
    assert not sweep.measured("w0", Load("w0", 1.0, 5, 3, 1000.0)).seen().workers[0].straggler
    sweep.worked(10, took=0.001).measured("w0", Load("w0", 1.0, 5, 3, 4.9))
    assert not sweep.seen().workers[0].straggler
    assert sweep.after(0.2).seen().workers[0].straggler


def test_utilisation_is_the_share_of_the_slots_time_that_went_into_points():
    sweep = Sweep().joined("w0", 1).joined("w1", 1)
    assert sweep.seen().utilisation is None
    sweep.worked(10, 4.0, took=3.0)
    assert sweep.seen().utilisation == pytest.approx(3 / 8)
    sweep.offered(10)
    seen = sweep.after(4.0).seen()
    assert seen.utilisation == pytest.approx(7 / 16)  # what runs counts, too
    assert [load.utilisation for load in seen.workers] == [pytest.approx(7 / 8), 0.0]
    sweep.feed(Left(sweep.now, "w1"))
    assert sweep.after(8.0).seen().utilisation == pytest.approx(15 / 24)


def test_utilisation_of_a_worker_is_that_of_late():
    sweep = Sweep(total=10**6).joined(slots=1)
    for _ in range(30):
        sweep.worked(10, 1.0, took=1.0)
    for _ in range(30):
        sweep.worked(10, 1.0, took=0.25)
    assert sweep.seen().workers[0].utilisation == pytest.approx(0.25, abs=0.01)
    assert sweep.seen().utilisation == pytest.approx(0.625)


def test_an_offer_that_waits_takes_no_time_until_its_turn_has_come():
    sweep = Sweep().joined(slots=1)
    first, second = sweep.offered(), sweep.offered()
    sweep.after(2.0).answered(first, took=2.0).after(2.0)
    assert sweep.seen().utilisation == pytest.approx(1.0)
    sweep.feed(Returned(sweep.now, second.id, second.start, second.stop))
    assert sweep.seen().utilisation == pytest.approx(0.5)


def test_the_cost_counts_cores_of_slots_whether_busy_or_not():
    sweep = Sweep(cores=4).joined("w0", 2).after(1800)
    assert sweep.seen().cost == pytest.approx(4.0)
    sweep.feed(Left(sweep.now, "w0")).after(1800)
    assert sweep.seen().cost == pytest.approx(4.0)
    sweep.joined("w0", 1).after(900).feed(Tick(sweep.now)).feed(Conclude(Ending.ASKED)).after(900)
    assert sweep.seen().cost == pytest.approx(5.0)


def test_of_workers_that_left_some_hundreds_are_remembered_and_their_time_is():
    sweep = Sweep(total=10**6)
    for number in range(GONE + 100):
        sweep.joined(f"w{number}", 1).worked(10, 36.0, f"w{number}", took=18.0)
        sweep.feed(Left(sweep.now, f"w{number}"))
    seen = sweep.seen()
    assert [load.name for load in seen.workers] == [f"w{number}" for number in range(100, GONE + 100)]
    assert (seen.cost, seen.utilisation) == (pytest.approx((GONE + 100) / 100), pytest.approx(0.5))


def test_the_overall_rate_is_that_since_the_first_worker():
    sweep = Sweep(total=10**6).joined()
    for _ in range(60):
        sweep.worked(10, 1.0)
    for _ in range(60):
        sweep.worked(40, 1.0)
    assert sweep.seen().overall == pytest.approx(25.0)


# Failures, retries, slow points.


def test_complaints_are_counted_by_status_and_first_line():
    sweep = Sweep().joined()
    said = (("error", "ValueError: x", 2, 0), ("timeout", "too long", 1, 5))
    failed = (("error", ((0, 3),)), ("timeout", ((5, 6),)))
    sweep.worked(10, failed=failed, complaints=said)
    sweep.worked(10, failed=(("error", ((10, 14),)),), complaints=(("error", "ValueError: x", 4, 10),))
    assert sweep.seen().complaints == (
        Complaint("error", "ValueError: x", 6, 0),
        Complaint("timeout", "too long", 1, 5),
        Complaint("error", "", 1),
    )


def test_what_all_failures_of_a_reply_share_is_enough():
    sweep = Sweep().joined().worked(10, failed=(("error", ((4, 7),)),), complaint="no such file")
    assert sweep.seen().complaints == (Complaint("error", "no such file", 3, 4),)


def test_complaints_are_of_the_failures_that_are_saved():
    failed, said = (("error", ((0, 6),)),), (("error", "x", 6, 0),)
    sweep = Sweep().joined()
    batch = sweep.offered(10)
    sweep.answered(batch, failed=failed, complaints=said, accepted=[(0, 4)])
    assert (sweep.seen().failed, sweep.seen().complaints) == (0, ())
    sweep.saved(batch)
    assert (sweep.seen().failed, sweep.seen().complaints) == (4, (Complaint("error", "x", 4, 0),))
    refused = Sweep().joined()
    batch = refused.offered(10)
    refused.answered(batch, failed=failed, complaints=said)
    assert refused.feed(Lost(refused.now, batch.id, "bad checksum")).seen().complaints == ()


def test_complaints_stay_few_and_the_frequent_ones_are_told_however_many_there_are():
    sweep = Sweep(total=10**9).joined()
    for number in range(20 * KEPT):
        here = sweep.at
        said = (("error", f"only here: {number}", 1, here), ("error", "everywhere", 2, here + 1))
        sweep.worked(10, failed=(("error", ((here, here + 3),)),), complaints=said)
    seen = sweep.seen()
    assert len(seen.complaints) == SHOWN
    assert seen.complaints[0] == Complaint("error", "everywhere", 40 * KEPT, 1)
    assert seen.complaints[-1].text == ""
    assert sum(complaint.count for complaint in seen.complaints) == seen.failed == 60 * KEPT
    assert len(sweep.progress._complaints._counts) <= KEPT


def test_rows_of_later_attempts_are_retries():
    sweep = Sweep().joined().worked(10)
    batch = sweep.offered(3, attempt=2)
    assert sweep.answered(batch).seen().retried == 3
    assert sweep.feed(Lost(sweep.now, batch.id, "bad checksum")).seen().retried == 0


def test_what_goes_on_after_all_is_no_retry():
    sweep = Sweep().joined().worked(10)
    sweep.feed(Promote(10, 2, "good after all"))
    batch = sweep.offered(3, attempt=2)
    assert batch.start == 10
    assert sweep.answered(batch).seen().retried == 2


def test_the_slowest_points_are_told_slowest_first():
    sweep = Sweep().joined()
    for point, seconds in enumerate((3.0, 9.0, 1.0, 7.0, 5.0, 2.0, 8.0)):
        sweep.worked(1, slowest=(seconds, point))
    slow = sweep.seen().slowest
    assert [(each.seconds, each.point) for each in slow] == [(9.0, 1), (8.0, 6), (7.0, 3), (5.0, 4), (3.0, 0)]


def test_the_parameters_of_the_best_point_are_looked_up_once():
    asked = []

    def parameters(point):
        asked.append(point)
        return {"lr": point / 10}

    sweep = Sweep(metric="loss", direction="minimize", parameters=parameters).joined()
    assert sweep.seen().parameters == {}
    sweep.worked(best=(1.0, 3))
    assert (sweep.seen().parameters, sweep.seen().parameters, asked) == ({"lr": 0.3}, {"lr": 0.3}, [3])
    assert (sweep.worked(best=(0.5, 4)).seen().parameters, asked) == ({"lr": 0.4}, [3, 4])


def test_a_snapshot_of_many_workers_is_quick_and_what_is_kept_is_little():
    sweep = Sweep(total=10**7)
    workers = [f"w{number}" for number in range(500)]
    for worker in workers:
        sweep.joined(worker, 1)
    for _ in range(20):
        sweep.after(1.0)
        for worker in workers:
            sweep.worked(100, 0.0, worker, took=0.9, slowest=(0.1, sweep.at))
            sweep.offered(1, worker)
            sweep.measured(worker, Load(worker, 1.0, 10**8, sweep.at - 1, 0.5))
            sweep.feed(Returned(sweep.now, sweep.next_id - 1, sweep.at - 1, sweep.at))
    seconds = min(timeit.repeat(sweep.seen, number=1, repeat=20, timer=time.thread_time))
    assert seconds < 0.005 * 2  # twice the target: this is a test, not a measurement
    size = len(pickle.dumps(sweep.progress.__dict__ | {"_takes": None, "_points": None, "_parameters": None}))
    assert size < 500 * 4_000
