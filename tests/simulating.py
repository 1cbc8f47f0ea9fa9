"""Words for simulated sweeps: a store that only remembers, plans of misfortune, and what must hold in spite of them.

Half of the sweeps that have steps end points early; where points keep checkpoints, some of these go on after all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import exp
from random import Random

import pytest

from swath.driver import Driver, Policy
from swath.engines.simulated import NONSENSE, Plan, Simulated
from swath.loop import drive
from swath.messages import Crowded, Durable, Ending, Lost, Promote, Prune, Record, Stepped, Submit, Urgency
from swath.progress import Progress
from swath.ranges import RangeSet
from swath.run.stopping import pruned_of, remember
from swath.snapshot import GOOD
from swath.stopping import METHODS
from swath.store.history import Past

LOSS = "loss"


class Ledger:
    """Remembers what was written, as a store would: late, refusing nonsense, and now and then behind."""

    def __init__(self, engine, behind=0.0):
        self.engine, self.behind = engine, behind
        self.random = Random(f"{engine.plan.seed} disk")
        self.rows = Counter()  # by position and attempt
        self.ends = {}  # status of the row that counts, by position
        self.attempts = {}
        self.curves = {}  # steps that count, by position
        self.steps = []  # as they came

    def record(self, command):
        for step in command.steps:
            curve = self.curves.setdefault(step.position, {})
            for later in [number for number in curve if number >= step.step]:
                del curve[later]
            curve[step.step] = step.metrics[LOSS]
            self.steps.append(step)

    def counting(self):
        """The steps that count, in the order in which they came."""
        last = {(step.position, step.step): step for step in self.steps}
        return [
            step
            for step in self.steps
            if step.step in self.curves[step.position] and last[step.position, step.step] is step
        ]

    def past(self):
        """What a store would tell of it."""
        failed = {}
        for position, status in self.ends.items():
            if status != "ok":
                attempts = failed.setdefault(status, {})
                attempts.setdefault(self.attempts[position], RangeSet()).add(position, position + 1)
        done = RangeSet((position, position + 1) for position in self.ends)
        return Past(done, Counter(self.ends.values()), failed, excluded=0)

    def append(self, write):
        now = self.engine.now()
        if isinstance(write, Record):
            self.record(write)
            return
        if write.reply.payload == (NONSENSE,):
            self.engine.post(Lost(now, write.batch.id, "nonsense"))
            return
        status = {p: name for name, pieces in write.reply.failed for a, b in pieces for p in range(a, b)}
        for start, stop in write.accepted:
            for position in range(start, stop):
                self.rows[position, write.batch.attempt] += 1
                if write.batch.attempt > self.attempts.get(position, 0):
                    self.ends[position] = status.get(position, "ok")
                    self.attempts[position] = write.batch.attempt
        self.engine.post(Durable(now, (write.batch.id,)))
        if self.random.random() < self.behind:
            self.engine._at(now, Crowded(now, full=True))
            later = now + self.random.uniform(0.1, 20)
            self.engine._at(later, Crowded(later, full=False))


def planned(seed):
    random = Random(f"{seed} plan")
    maybe = lambda high: random.choice([0.0, random.uniform(0, high)])  # noqa: E731
    seldom = lambda choice: random.choice([None] * 3 + [choice])  # noqa: E731
    steps = Random(f"{seed} steps").choice([0, 0, random.randint(2, 16)])
    # Decisions take milliseconds to arrive: where points are shorter, they come too late.
    duration, spread = 10 ** random.uniform(-1 if steps else -4, 2), random.choice([0.0, 1.0, 2.0])
    hopeless = random.random() < 0.1
    stops = [
        (random.uniform(0, 50), urgency, grace)
        for urgency, grace in random.sample(
            [(Urgency.DRAIN, None), (Urgency.DRAIN, 20.0), (Urgency.NOW, None)], random.randint(1, 2)
        )
    ]
    plan = Plan(
        seed=seed,
        workers=random.randint(1, 6),
        duration=duration,
        spread=spread,
        failing=1.0 if hopeless else maybe(0.5),
        excluded=maybe(0.9),
        alike=hopeless or random.random() < 0.5,
        deaths=maybe(0.2) / (1 + duration * exp(3 * spread)),  # the longest point must have a chance to end
        preempted=seldom(0.5) or 0.0,
        blackout=seldom(random.uniform(0, 50)),
        flapping=random.choice([0, 0, 0, 1, 2]),
        sick=random.choice([0, 0, 0, 1, 2]),
        lost=maybe(0.2),
        twice=maybe(0.3),
        late=maybe(0.2),
        suspended=random.choice([0.0, 0.0, 0.05]),
        stops=tuple(sorted(stops, key=lambda stop: stop[0])) if random.random() < 0.3 else (),
        calm=random.uniform(0, 500),
        steps=steps,
        keeping=random.random() < 0.6,
        steps_lost=seldom(0.3) or 0.0,
        steps_twice=seldom(0.3) or 0.0,
        steps_late=seldom(0.2) or 0.0,
    )
    policy = Policy(
        retries=random.choice([0, 0, 2]),
        limit=random.choice([None, None, random.randint(1, 100)]),
        max_failures=random.choice([None, None, random.randint(1, 30)]),
        # Where everybody may be left out for good, patience must end some time.
        patience=300.0 if plan.sick else random.choice([1e9, 1e9, 300.0]),
    )
    behind = random.choice([0.0, 0.0, 0.2])
    return random.choice([0, 1, 7, 40, 150]), plan, policy, behind


def planned_to_stop(seed):
    """Plan a sweep of which most points end early, with no more misfortunes than leave it something to decide."""
    _, plan, policy, behind = planned(seed)
    random = Random(f"{seed} stopping")
    steps, duration = random.randint(3, 27), 10 ** random.uniform(0, 2)
    plan = replace(plan, steps=steps, duration=duration, keeping=random.random() < 0.8)
    plan = replace(plan, failing=plan.failing / 4, excluded=plan.excluded / 4, stops=(), alike=False)
    plan = replace(plan, deaths=min(plan.deaths, 0.1 / duration), calm=50 * duration)
    return random.randint(20, 120), plan, replace(policy, limit=None, max_failures=10**6), behind


def rule_for(seed, plan):
    """Choose what ends points early, where they record anything."""
    random = Random(f"{seed} rule")
    if not plan.steps or random.random() < 0.3:
        return None
    method = random.choice([*METHODS, "asha", "asha"])
    settings = {
        "asha": {"reduction": random.choice([2, 3, 4]), "min_steps": random.randint(1, 4)},
        "hyperband": {"reduction": 2, "max_steps": max(2, plan.steps)},
        "median": {"startup": 2},
        "percentile": {"startup": 2, "percentile": 30.0},
        "patience": {"patience": 3, "min_delta": 0.05},
        "threshold": {"upper": 1.2},
    }
    return METHODS[method](LOSS, 1, **settings[method])


class Watched(Driver):
    """A driver that proves after every event that nothing is lost, and that it heeds its own word."""

    def __init__(self, engine, ledger, total, **keywords):
        super().__init__(total, **keywords)
        self.engine, self.ledger, self.promotions = engine, ledger, Counter()

    def handle(self, event):
        commands = super().handle(event)
        if not isinstance(event, Stepped) or any(
            not isinstance(made, Record) for made in commands
        ):  # a step alone moves nobody
            self.check()
        for command in commands:
            if isinstance(command, Prune):
                assert self.engine.done[command.position, command.at.step], "judged by a step not done"
            elif isinstance(command, Promote):
                self.mind(command)
        usable = any(not worker.held for worker in self.workers.values())
        assert self.concluded or self.places.flights or self.places.writing or not usable or self._crowded, (
            "stalled"
        )
        for command in commands:
            if isinstance(command, Submit):
                name = command.batches[0].worker
                assert not self.crew.quarantine.holds(name, self._now), f"{name} is in quarantine"
        assert not any(worker.held and worker.queue for worker in self.workers.values())
        return commands

    def mind(self, promote):
        """Whoever goes on after all was ended early, which is on the disk, and can go on where it was."""
        position = promote.position
        assert self.ledger.ends[position] == "pruned"
        assert self.ledger.attempts[position] == promote.attempt - 1
        assert self.engine.plan.keeping
        self.promotions[position] += 1


def work(engine, total, policy):
    """Seconds that a single slot would need for everything, every attempt included."""
    attempts = range(1, policy.retries + 8)
    lengths = sum(engine.plan.length(position, k) for position in range(total) for k in attempts)
    return lengths + 30.0 * total


def simulate(seed, planned=planned):
    """Run one planned cluster; raise with its log if an invariant breaks."""
    total, plan, policy, behind = planned(seed)
    engine = Simulated(plan)
    ledger = Ledger(engine, behind)
    driver = Watched(engine, ledger, total, policy=policy, rule=rule_for(seed, plan), now=0.0)
    progress = Progress("simulated", total, now=0.0)
    try:
        engine.open()
        conclusion = drive(driver, engine, ledger.append, progress.feed)
        judge(total, plan, policy, engine, ledger, driver, conclusion)
        compare(progress.snapshot(engine.now()), driver)
    except AssertionError as error:
        log = "\n".join(engine.log)
        pytest.fail(
            f"seed {seed}: {error}\n{total=}\n{plan}\n{policy}\n{log}\nagain: --first-seed {seed} --seeds 1"
        )
    return conclusion, driver


def stop_and_go_on(seed):
    """Run a planned cluster, stop it, and go on with a rule that is told what is on the disk; return both drivers."""
    total, plan, policy, _ = planned_to_stop(seed)
    random = Random(f"{seed} going on")
    urgency = random.choice([Urgency.DRAIN, Urgency.NOW])
    plan = replace(plan, sick=0, stops=((random.uniform(1, 30) * plan.duration, urgency, None),))
    first = Simulated(plan)
    ledger = Ledger(first)
    stopped = Watched(first, ledger, total, policy=policy, rule=rule_for(seed, plan))
    first.open()
    drive(stopped, first, ledger.append)

    second = Simulated(replace(plan, stops=()))
    second._kept = dict(first._kept)
    ledger.engine = second
    past, again, rule = ledger.past(), {}, rule_for(seed, plan)
    promotions = ()
    if rule:
        kept = lambda position: first._kept.get(position) if plan.keeping else None  # noqa: E731
        promotions = remember(rule, ledger.counting(), {}, past, again, kept)
    for promotion in promotions:
        assert ledger.ends[promotion.position] == "pruned"
        assert plan.keeping
    pruned = pruned_of(past, again)
    driver = Watched(
        second, ledger, total, policy=policy, rule=rule, done=past.done, again=again, pruned=pruned
    )
    driver.engine.done.update(first.done)
    second.open()
    conclusion = drive(driver, second, ledger.append)
    assert conclusion.ending in (Ending.COMPLETE, Ending.LOST)
    if conclusion.ending is Ending.COMPLETE:
        assert set(ledger.ends) == {*range(total)}
        for position, curve in ledger.curves.items():
            judge_steps(plan, position, ledger.ends[position], curve)
    return stopped, driver, promotions


def compare(seen, driver):
    """What a snapshot must agree with at the end of every simulated sweep."""
    assert (seen.done, seen.saved, seen.running) == (len(driver.places.done), len(driver.places.done), 0)
    assert sum(complaint.count for complaint in seen.complaints) == driver.failures
    assert seen.utilisation is None or 0 <= seen.utilisation <= 1
    for load in seen.workers:
        assert load.slots or (load.cpu, load.memory, load.point, load.age) == (None, None, None, None)
        assert load.point is None or 0 <= load.point < seen.total


def judge(total, plan, policy, engine, ledger, driver, conclusion):
    """What must hold at the end of every simulated sweep."""
    assert set(ledger.rows.values()) <= {1}, "an attempt of a position was written twice"
    done = {p for a, b in driver.places.done for p in range(a, b)}
    gone_on = {p for positions in driver.places.waiting.values() for a, b in positions for p in range(a, b)}
    assert set(ledger.ends) - gone_on == done, "something was lost"
    assert set(ledger.ends) & gone_on <= set(driver.promotions)
    rows = sorted(position for position in ledger.ends if not plan.excluded_at(position))
    ends = {position: ledger.ends[position] for position in rows}
    written = Counter(position for position, _ in ledger.rows)
    assert driver.failures == sum(end not in GOOD for end in ends.values())
    assert driver.rows == sum(written[position] for position in rows)
    for position in rows:
        attempts, promotions = ledger.attempts[position], driver.promotions[position]
        before = [plan.status(position, k) for k in range(1, attempts) if not ledger.rows[position, k]]
        assert "ok" not in before, "an ok row was tried again"
        assert promotions - 1 <= written[position] - 1 <= promotions, "only promoted points have several rows"
        assert ends[position] in GOOD or attempts == policy.retries + 1 + promotions
        assert ends[position] in ("pruned", plan.status(position, attempts))
        if plan.steps:
            judge_steps(plan, position, ends[position], ledger.curves[position])
    assert policy.limit is None or driver.rows <= policy.limit
    reason = conclusion.reason
    match conclusion.ending:
        case Ending.COMPLETE:
            assert len(ledger.ends) == total
        case Ending.ASKED:
            assert plan.stops
        case Ending.LOST:
            assert "in a row" in reason or "no worker" in reason
            assert "no worker for" not in reason or policy.patience < 1e9
        case Ending.LIMIT:
            alike = "failed alike" in reason
            assert alike or policy.limit is not None or policy.max_failures is not None
            enough = driver.failures >= 20 or plan.sick  # a store may refuse some of them after the stop
            assert not alike or (plan.alike and enough and "ok" not in ends.values())
    assert conclusion.ending is not Ending.FATAL
    if conclusion.ending is Ending.COMPLETE and driver.courses.rule:
        assert not driver.courses.rule.promoted() or plan.lost or plan.sick, "somebody deserved to go on"
    # It ends soon after the misfortunes have, however long a worker was left out meanwhile.
    assert engine.now() <= min(plan.calm, engine.now()) + 4 * 3600.0 + work(engine, total, policy), "too late"


def judge_steps(plan, position, end, curve):
    """No step is missing or wrong, whatever happened to the workers and to what they said."""
    last = max(curve)
    assert sorted(curve) == [*range(1, last + 1)], "a step is missing"
    assert end == "pruned" or last == plan.steps
    assert all(loss == plan.value(position, number) for number, loss in curve.items())
