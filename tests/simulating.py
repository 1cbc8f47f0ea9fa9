"""Words for simulated sweeps: a store that only remembers, plans of misfortune, and what must hold in spite of them."""

from __future__ import annotations

from collections import Counter
from math import exp
from random import Random

import pytest

from swath.driver import Driver, Policy
from swath.engines.simulated import NONSENSE, Plan, Simulated
from swath.loop import drive
from swath.messages import Crowded, Durable, Ending, Lost, Submit, Urgency
from swath.progress import Progress


class Ledger:
    """Remembers what was written, as a store would: late, refusing nonsense, and now and then behind."""

    def __init__(self, engine, behind=0.0):
        self.engine, self.behind = engine, behind
        self.random = Random(f"{engine.plan.seed} disk")
        self.rows = Counter()
        self.attempts = {}

    def append(self, write):
        now = self.engine.now()
        if write.reply.payload == (NONSENSE,):
            self.engine.post(Lost(now, write.batch.id, "nonsense"))
            return
        for start, stop in write.accepted:
            for position in range(start, stop):
                self.rows[position] += 1
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
    duration, spread = 10 ** random.uniform(-4, 2), random.choice([0.0, 1.0, 2.0])
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


class Watched(Driver):
    """A driver that proves after every event that nothing is lost, and that it heeds its own word."""

    def handle(self, event):
        commands = super().handle(event)
        self.check()
        usable = any(not worker.held for worker in self.workers.values())
        assert self.concluded or self.flights or self.writing or not usable or self._crowded, "stalled"
        for command in commands:
            if isinstance(command, Submit):
                name = command.batches[0].worker
                assert not self.crew.quarantine.holds(name, self._now), f"{name} is in quarantine"
        assert not any(worker.held and worker.queue for worker in self.workers.values())
        return commands


def work(engine, total, policy):
    """Seconds that a single slot would need for everything, every attempt included."""
    attempts = range(1, policy.retries + 2)
    lengths = sum(engine._length(position, k) for position in range(total) for k in attempts)
    return lengths + 30.0 * total


def simulate(seed):
    """Run one planned cluster; raise with its log if an invariant breaks."""
    total, plan, policy, behind = planned(seed)
    engine = Simulated(plan)
    ledger = Ledger(engine, behind)
    driver = Watched(total, policy=policy, now=0.0)
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
    return conclusion


def compare(seen, driver):
    """What a snapshot must agree with at the end of every simulated sweep."""
    assert (seen.done, seen.saved, seen.running) == (len(driver.done), len(driver.done), 0)
    assert sum(complaint.count for complaint in seen.complaints) == driver.failures
    assert seen.utilisation is None or 0 <= seen.utilisation <= 1
    for load in seen.workers:
        assert load.slots or (load.cpu, load.memory, load.point, load.age) == (None, None, None, None)
        assert load.point is None or 0 <= load.point < seen.total


def judge(total, plan, policy, engine, ledger, driver, conclusion):
    """What must hold at the end of every simulated sweep."""
    assert set(ledger.rows.values()) <= {1}, "a position was written twice"
    assert set(ledger.rows) == {p for a, b in driver.done for p in range(a, b)}, "something was lost"
    rows = sorted(position for position in ledger.rows if not engine.excluded(position))
    ends = {position: engine.status(position, ledger.attempts[position]) for position in rows}
    assert driver.failures == sum(end != "ok" for end in ends.values())
    assert driver.rows == len(rows)
    for position in rows:
        before = [engine.status(position, k) for k in range(1, ledger.attempts[position])]
        assert "ok" not in before, "an ok row was tried again"
        assert ends[position] == "ok" or ledger.attempts[position] == policy.retries + 1
    assert policy.limit is None or len(rows) <= policy.limit
    reason = conclusion.reason
    match conclusion.ending:
        case Ending.COMPLETE:
            assert len(ledger.rows) == total
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
    # It ends soon after the misfortunes have, however long a worker was left out meanwhile.
    assert engine.now() <= min(plan.calm, engine.now()) + 4 * 3600.0 + work(engine, total, policy), "too late"
