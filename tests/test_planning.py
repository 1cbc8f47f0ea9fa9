"""From proposals to open positions and back: under a virtual clock with every misfortune, and the thread that does it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import asdict
from random import Random

import numpy as np
import pytest

import swath
from running import until
from simulating import Ledger, judge, planned
from swath.driver import Driver
from swath.engines.simulated import NONSENSE, Simulated
from swath.errors import ObjectiveError
from swath.inside.rows import encode
from swath.loop import drive
from swath.messages import STATUSES, Batch, Ending, Joined, Left, Opened, Promote, Reply, StopAsked, Write
from swath.ranges import RangeSet
from swath.run.asking import FREELY
from swath.run.endings import EXCLUDED, Endings
from swath.run.openings import with_new_book
from swath.run.planning import Planner, Waiting
from swath.run.searching import Searching
from swath.search import Outcome, Proposer
from swath.snapshot import Sampler, Snapshot
from swath.space import Axis, Space
from swath.store.segments import accept
from swath.views.block import block
from swath.views.phrases import sampling


def search_space(points, replicates=1):
    made = Axis.made(("x",), ("search", {"points": points, "kinds": ["int64"]}), whens=(None,))
    return Space([[made, Axis.made(("seed",), ("seeds", replicates, 0))]])


class Toy:
    """Proposes numbers, and remembers what it was told."""

    exhausted = ""

    def __init__(self, most):
        self.most, self.proposed, self.told, self.exhausted = most, 0, [], ""

    def adopt(self, rows):
        self.proposed += len(rows)

    def ask(self, count):
        first, self.proposed = self.proposed, min(self.proposed + count, self.most)
        return [{"x": number} for number in range(first, self.proposed)]

    def tell(self, number, outcome):
        self.told.append((number, outcome))
        return ""


def plan_of(space, proposer, *, done=None, saved=(), **keywords):
    stored = []
    plan = Searching(
        space,
        method="toy",
        metrics=["y"],
        make=lambda: proposer,
        saved=lambda: saved,
        steps=list,
        propose=lambda first, rows: stored.extend(rows) if first == len(stored) else pytest.fail("a gap"),
        stored=0,
        done=done or RangeSet(),
        **keywords,
    )
    return plan, stored


def payload(rows, seconds=0.01):
    """Rows as a slot sends them: index, status and value of each."""
    n = len(rows)
    statuses = np.array([STATUSES.index(status) for _, status, _ in rows], np.uint8)
    failures = {i: (status, "") for i, (_, status, _) in enumerate(rows) if status not in ("ok", "pruned")}
    values = [("y", pa_floats([value for *_, value in rows]))]
    indices = np.array([index for index, *_ in rows], np.int64)
    return (encode(indices, statuses, np.full(n, seconds), np.zeros(n, np.int64), failures, values),)


def pa_floats(values):
    import pyarrow as pa

    return pa.array(values, pa.float64())


def written(*rows, attempt=1, steps=(), seconds=0.01):
    """A write of consecutive positions."""
    start, stop = rows[0][0], rows[-1][0] + 1
    here = ((start, stop),)
    reply = Reply(here, len(rows), payload=payload(rows, seconds), steps=steps)
    return Write(Batch(start, "w", start, stop, attempt, 1.0), reply, RangeSet(here))


class Synchronous:
    """Lets a plan hear and open at once, in virtual time, in place of a thread."""

    def __init__(self, plan, engine, cost):
        self.plan, self.engine, self.cost = plan, engine, cost
        self.free = 0.0  # when the optimiser is
        plan.begin()

    def hear(self, message):
        if isinstance(message, Write) and message.reply.payload != (NONSENSE,):
            message = self.with_rows(message)
        if isinstance(message, Opened):
            self.plan.record()
        if isinstance(message, Joined | Left | Write | Promote):
            self.plan.take(message)
            while (opening := self.plan.open()) is not None:
                self.free = max(self.free, self.engine.now()) + self.cost
                self.engine._at(self.free, Opened(self.free, *opening))

    def with_rows(self, write):
        """Give a simulated reply the rows that it announces."""
        rows = [
            (position, self.engine.plan.status(position, write.batch.attempt), float(position))
            for start, stop in write.reply.done
            for position in range(start, stop)
            if not self.engine.plan.excluded_at(position)
        ]
        reply = Reply(write.reply.done, len(rows), payload=payload(rows) if rows else ())
        return Write(write.batch, reply, write.accepted, write.whole)


class Watched(Driver):
    def __init__(self, total, **keywords):
        super().__init__(total, **keywords)
        self.promotions = Counter()  # no rule, so none

    def handle(self, event):
        commands = super().handle(event)
        self.check()
        return commands


@pytest.mark.parametrize("block", range(8))
def test_every_proposal_has_one_row_and_is_told_once_whatever_happens(block, pytestconfig):
    share = max(1, pytestconfig.getoption("seeds") // 80)
    for seed in range(block * share, (block + 1) * share):
        simulate(seed)


def simulate(seed):
    random = Random(f"{seed} search")
    replicates, points = random.choice([1, 1, 3]), random.choice([1, 7, 40])
    _, planned_cluster, policy, behind = planned(seed)
    engine = Simulated(planned_cluster)
    ledger = Ledger(engine, behind)
    space = search_space(points, replicates)
    proposer = Toy(points)
    plan, stored = plan_of(space, proposer, startup=random.choice([0, 5]), limit=policy.limit)
    ears = Synchronous(plan, engine, random.choice([0.0, 0.001, 0.5]))
    driver = Watched(space.size, policy=policy, opened=plan.opened)
    engine.open()
    conclusion = drive(driver, engine, ledger.append, ears.hear)
    judge(space.size, planned_cluster, policy, engine, ledger, driver, conclusion)
    told = Counter(number for number, _ in proposer.told)
    assert not told or max(told.values()) == 1, f"seed {seed}: told twice"
    assert stored == space.proposals.rows(0, len(stored))
    assert len(driver.places.opened) <= replicates * len(stored)
    for number, outcome in proposer.told:
        positions = range(number * replicates, (number + 1) * replicates)
        ends = [
            engine.plan.status(position, ledger.attempts[position])
            if not engine.plan.excluded_at(position)
            else EXCLUDED
            for position in positions
        ]
        expected = "ok" if "ok" in ends else ends[0]
        assert outcome.status == expected, f"seed {seed}, proposal {number}"
    if conclusion.ending is Ending.COMPLETE:
        assert len(told) == points


def test_slots_have_one_proposal_more_each_and_no_further_ones_are_asked():
    space = search_space(100)
    plan, _ = plan_of(space, Toy(100))
    plan.begin()
    assert plan.open() is None, "nobody is there"
    plan.take(Joined(0.0, "w", 2))
    assert plan.open() == (((0, 4),), False)
    assert plan.open() is None
    plan.take(written((0, "ok", 0.0)))
    assert plan.open() == (((4, 5),), False)
    plan.take(Left(1.0, "w"))
    plan.take(written((1, "ok", 0.0)))
    assert plan.open() is None


def test_what_depends_on_nothing_is_asked_together_and_the_last_is_called_the_last():
    plan, stored = plan_of(search_space(FREELY + 5), Toy(FREELY + 5), startup=FREELY + 2)
    plan.begin()
    plan.take(Joined(0.0, "w", 1))
    assert plan.open() == (((0, FREELY),), False)
    assert plan.open() == (((FREELY, FREELY + 2),), False)
    assert plan.open() is None
    plan.record()
    assert len(stored) == FREELY + 2
    plan.take(written(*((i, "ok", 0.0) for i in range(FREELY + 2))))
    assert plan.open() == (((FREELY + 2, FREELY + 4),), False)
    plan.take(written((FREELY + 2, "ok", 0.0)))
    assert plan.open() == (((FREELY + 4, FREELY + 5),), True)


def test_an_optimiser_that_has_no_other_point_ends_the_search():
    plan, _ = plan_of(search_space(100), Toy(3))
    plan.begin()
    plan.take(Joined(0.0, "w", 2))
    assert plan.open() == (((0, 3),), True)


def test_a_limit_keeps_it_from_asking_for_what_will_not_run():
    plan, _ = plan_of(search_space(100, replicates=2), Toy(100), startup=50, limit=5)
    plan.begin()
    plan.take(Joined(0.0, "w", 8))
    assert plan.open() == (((0, 6),), False)
    assert plan.open() is None
    plan.take(written((0, "ok", 0.0)))
    assert plan.open() is None


def test_replicates_are_told_as_their_mean_once_all_are_there():
    endings = Endings(3)
    rows = {0: Outcome("ok", {"y": 1.0}), 1: Outcome("error"), 2: Outcome("ok", {"y": 4.0})}
    for order in ((0, 1, 2), (2, 0, 1)):
        endings = Endings(3)
        assert not list(endings.take([(order[0], rows[order[0]]), (order[1], rows[order[1]])]))
        assert list(endings.take([(order[2], rows[order[2]])])) == [(0, Outcome("ok", {"y": 2.5}))]
    assert list(Endings(2).take([(4, rows[1]), (5, Outcome("crash"))])) == [(2, rows[1])]


def test_a_point_that_was_ended_early_and_goes_on_is_told_again():
    proposer = Toy(10)
    plan, _ = plan_of(search_space(10), proposer)
    plan.begin()
    plan.take(Joined(0.0, "w", 1))
    plan.open()
    plan.take(written((0, "pruned", 5.0)))
    plan.take(Promote(0, 2, "good after all"))
    assert len(plan.pending) == 2
    plan.take(written((0, "ok", 1.0), attempt=2))
    assert [(number, outcome.status) for number, outcome in proposer.told] == [(0, "pruned"), (0, "ok")]


def test_earlier_sessions_are_told_in_the_order_of_their_rows_and_what_has_none_is_open():
    import pyarrow as pa

    space, proposer = search_space(10), Toy(10)
    space.proposals.put(0, [{"x": number} for number in range(6)])
    first, again = written((0, "error", 0.0), (1, "ok", 1.0)), written((0, "ok", 3.0), attempt=2)
    parts = [accept(write, 0, space.positions).table for write in (written((4, "ok", 4.0)), first, again)]
    saved = [(np.array(table.column("point").to_pylist()), table) for table in parts]
    # Position 3 was left out by where; 2 and 5 have no row.
    plan, _ = plan_of(space, proposer, done=RangeSet([(0, 2), (3, 5)]), saved=saved)
    plan.begin()
    assert [number for number, _ in proposer.told] == [4, 1, 0, 3]
    assert [outcome.status for _, outcome in proposer.told] == ["ok", "ok", "ok", EXCLUDED]
    assert (plan.opened, plan.pending) == (RangeSet([(0, 6)]), RangeSet([(2, 3), (5, 6)]))
    plan.take(Joined(0.0, "w", 2))
    assert plan.open() == (((6, 8),), False)
    assert isinstance(parts[0], pa.Table)


def followed(definition, rows, saved):
    """Run a search with one slot and long points, until it has so many rows; return all that it has proposed."""
    done = RangeSet.of(np.array([table.column("point").to_pylist() for _, table in saved], np.int64).ravel())
    plan, _ = plan_of(definition.space, Proposer(definition), done=done, saved=saved, startup=4)
    plan.begin()
    plan.take(Joined(0.0, "w", 1))
    plan.open()
    while plan.pending and len(saved) < rows:
        position, _ = next(iter(plan.pending))
        write = written((position, "ok", abs(definition.space[position]["x"] - 0.3)), seconds=60.0)
        saved.append((np.array([position]), accept(write, 0, definition.space.positions).table))
        plan.take(write)
        plan.open()
    return [row["x"] for row in definition.space.proposals.rows(0, definition.space.proposals.known)]


def test_a_study_that_was_made_again_proposes_what_the_old_one_would_have():
    sweep = swath.Sweep(
        "study:f",
        {"x": swath.uniform(0, 1)},
        minimize="y",
        search={"points": 20, "startup": 4, "method": "tpe"},
    )
    whole = followed(with_new_book(sweep.definition), 20, [])
    assert len(set(whole)) == 20
    for stop in (2, 4, 11):
        saved = []
        half, rest = with_new_book(sweep.definition), with_new_book(sweep.definition)
        followed(half, stop, saved)
        rest.space.proposals.put(0, half.space.proposals.rows(0, half.space.proposals.known))
        assert followed(rest, 20, saved) == whole


def test_slots_wait_for_it_only_while_something_is_to_be_opened():
    waiting = Waiting(pending=1)
    waiting.take(Joined(0.0, "w", 2), 0.0)
    waiting.take(Opened(10.0, ((1, 3),)), 10.0)  # one of two slots was idle for 10 s
    waiting.take(written((0, "ok", 0.0)), 20.0)
    assert waiting.share == pytest.approx(10 / 40)
    waiting.take(Opened(20.0, (), last=True), 20.0)
    waiting.take(written((1, "ok", 0.0)), 30.0)
    waiting.take(Left(40.0, "w"), 40.0)
    assert waiting.share == pytest.approx(10 / 40)


class Slow:
    """A plan that thinks until it may go on, and then opens a position, or fails."""

    def __init__(self, error=None):
        self.error, self.thinking, self.may = error, threading.Event(), threading.Event()

    def begin(self):
        pass

    def take(self, message):
        pass

    def record(self):
        pass

    def seen(self, waited):
        return Sampler(method="slow", waited=waited)

    def open(self):
        self.thinking.set()
        self.may.wait(60)
        if self.error:
            raise self.error
        return ((0, 1),), True


def started(plan):
    events = []
    planner = Planner(plan, opened=RangeSet(), pending=0, todo=1, post=events.append, now=lambda: 1.0)
    planner.begin()
    planner.hear(Joined(0.0, "w", 1))
    plan.thinking.wait(60)
    return planner, events


def test_the_loop_never_waits_for_an_optimiser_that_thinks():
    plan = Slow()
    planner, events = started(plan)
    planner.hear(Left(0.0, "w"))
    assert not events
    plan.may.set()
    assert until(lambda: events) == [Opened(1.0, ((0, 1),), last=True)]
    planner.end()
    planner.end()


def test_what_was_thought_of_after_the_end_is_not_used(monkeypatch):
    monkeypatch.setattr("swath.run.planning.LEAVING", 0.0)
    plan = Slow()
    planner, events = started(plan)
    planner.end()
    plan.may.set()
    planner._thread.join(60)
    assert not events


def test_an_optimiser_that_fails_lets_what_runs_finish_and_says_why():
    plan = Slow(ValueError("a matrix is singular"))
    planner, events = started(plan)
    plan.may.set()
    (asked,) = until(lambda: events)
    assert isinstance(asked, StopAsked)
    assert "the search failed: ValueError: a matrix is singular" in str(planner.error)
    assert planner.error.exit_code == 70
    planner.end()


class Picky(Toy):
    """Cannot use what is NaN."""

    def tell(self, number, outcome):
        super().tell(number, outcome)
        return "the metric 'y' is NaN" if np.isnan(outcome.metrics["y"]) else ""


def test_a_search_that_can_use_nothing_of_the_first_points_ends():
    rows = [(number, "ok", np.nan) for number in range(30)]
    plan, _ = plan_of(search_space(40), Picky(40))
    plan.begin()
    plan.take(written(*rows[:19]))
    with pytest.raises(
        ObjectiveError, match="cannot learn from the first 20 points: the metric 'y' is NaN at all"
    ):
        plan.take(written(*rows[19:]))


def test_one_point_that_is_of_use_lets_a_search_go_on():
    rows = [
        (number, "error" if number == 3 else "ok", 1.0 if number == 7 else np.nan) for number in range(30)
    ]
    proposer = Picky(40)
    plan, _ = plan_of(search_space(40), proposer)
    plan.begin()
    plan.take(written(*rows))
    assert len(proposer.told) == 30


def test_what_was_of_no_use_before_does_not_keep_a_search_from_going_on():
    rows = [(number, "ok", np.nan) for number in range(30)]
    table = accept(written(*rows), 0, lambda points: points).table
    space = search_space(40)
    space.proposals.put(0, [{"x": number} for number, *_ in rows])
    proposer = Picky(40)
    plan, _ = plan_of(space, proposer, done=RangeSet([(0, 30)]), saved=[(np.arange(30), table)])
    plan.begin()
    assert len(proposer.told) == 30


def test_what_a_search_costs_is_said_in_a_few_words():
    seen = Snapshot(name="s", sampler=Sampler(method="tpe", proposed=37, points=200, cost=0.0041, waited=0.3))
    assert sampling(seen) == "tpe, 37 of 200 proposed, 4.1 ms each, slots waited for it 30 % of the time"
    quiet = Sampler(method="tpe", points=200, waited=0.001)
    assert sampling(Snapshot(name="s", sampler=quiet)) == "tpe, 0 of 200 proposed"
    assert sampling(Snapshot(name="s")) == ""
    assert any("4.1 ms each" in "".join(text for text, _ in line) for line in block(seen, 100, 30))
    assert Snapshot.from_json(json.loads(json.dumps(asdict(seen)))) == seen
