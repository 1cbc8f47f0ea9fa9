"""The driver where not everything is known or kept: positions that open later, points that end early and go on after all."""

from __future__ import annotations

from swath.driver import Driver, Policy
from swath.messages import (
    Conclude,
    Durable,
    Ending,
    Finished,
    Joined,
    Opened,
    Promote,
    Prune,
    Record,
    Reply,
    Step,
    Stepped,
    Submit,
    Write,
)
from swath.ranges import RangeSet
from swath.run.stopping import pruned_of, remember
from swath.stopping import Asha
from swath.store.history import Past


class Told:
    """A driver that is checked after every event, with one worker of one slot."""

    def __init__(self, total, **keywords):
        self.driver = Driver(total, **keywords)
        self.commands = []
        self.tell(Joined(0.0, "w", 1))

    def tell(self, event):
        self.commands = self.driver.handle(event)
        self.driver.check()
        return self.commands

    def offered(self):
        return [
            batch for command in self.commands if isinstance(command, Submit) for batch in command.batches
        ]


def of_kind(commands, kind):
    return [command for command in commands if isinstance(command, kind)]


class Scripted:
    """A rule that prunes and promotes as it is told."""

    def __init__(self, prunes=(), promotes=()):
        self.prunes, self.promotes = set(prunes), list(promotes)
        self.seen, self.ends = [], []

    def see(self, position, step, metrics):
        self.seen.append((position, step, metrics["loss"]))
        return "bad" if (position, step) in self.prunes else ""

    def ended(self, position, status, *, resumable):
        self.ends.append((position, status, resumable))

    def promoted(self):
        made, self.promotes = tuple(self.promotes), []
        return made


def finishes(told, batch, **reply):
    done = ((batch.start, batch.stop),)
    return told.tell(Finished(1.0, batch.id, Reply(done, batch.stop - batch.start, seconds=1.0, **reply)))


def step(position, number, loss=1.0):
    return Step(position, number, 0.1 * number, {"loss": loss})


def test_only_open_positions_are_offered_and_the_last_opening_ends_it():
    told = Told(10, opened=RangeSet([(0, 1)]))
    (first,) = told.offered()
    assert (first.start, first.stop) == (0, 1)
    assert of_kind(finishes(told, first), Write)
    assert not of_kind(told.tell(Durable(1.0, (first.id,))), Conclude)
    told.tell(Opened(2.0, ((0, 2),)))  # what is open already is not opened again
    (second,) = told.offered()
    assert (second.start, second.stop) == (1, 2)
    told.tell(Opened(2.0, (), last=True))
    finishes(told, second)
    (end,) = of_kind(told.tell(Durable(3.0, (second.id,))), Conclude)
    assert end.ending is Ending.COMPLETE


def test_a_sweep_that_opens_nothing_more_is_complete_at_once():
    told = Told(10, opened=RangeSet([(0, 2)]), done=RangeSet([(0, 2)]))
    assert not of_kind(told.commands, Conclude)
    assert of_kind(told.tell(Opened(0.0, (), last=True)), Conclude)


def test_what_was_done_before_it_is_opened_is_not_done_again():
    told = Told(4, opened=RangeSet(), done=RangeSet())
    told.tell(Opened(0.0, ((0, 2),)))
    assert sum(batch.stop - batch.start for batch in told.offered()) == 2


def test_steps_are_recorded_once_and_the_reply_brings_only_the_rest():
    told = Told(1)
    (batch,) = told.offered()
    assert of_kind(told.tell(Stepped(0.1, batch.id, (step(0, 1),))), Record)[0].steps == (step(0, 1),)
    assert not told.tell(Stepped(0.2, batch.id, (step(0, 1),)))
    assert not told.tell(Stepped(0.2, batch.id, (step(7, 1),))), "of another batch"
    record, write = finishes(told, batch, steps=(step(0, 1), step(0, 2)))
    assert record.steps == (step(0, 2),)
    assert isinstance(write, Write)
    assert not told.tell(Stepped(0.2, batch.id, (step(0, 3),))), "the batch is over"


def test_a_point_is_asked_once_to_end_early_and_is_no_failure():
    told = Told(1, rule=Scripted(prunes=[(0, 1), (0, 2)]))
    (batch,) = told.offered()
    (prune,) = of_kind(told.tell(Stepped(0.1, batch.id, (step(0, 1), step(0, 2)))), Prune)
    assert (prune.position, prune.reason) == (0, "bad")
    finishes(told, batch, failed=(("pruned", ((0, 1),)),))
    assert told.driver.failures == 0
    assert told.driver.courses.rule.ends == [(0, "pruned", False)]


def test_a_promoted_point_waits_for_the_disk_and_then_goes_on_before_new_points():
    rule = Scripted(prunes=[(0, 1)])
    told = Told(3, rule=rule)
    first, second = told.offered()
    rule.promotes = [(first.start, "good after all")]
    finishes(told, first, failed=(("pruned", ((0, 1),)),), kept=((0, 1),))
    assert not of_kind(told.commands, Promote), "its row is not on disk yet"
    told.tell(Durable(1.0, (first.id,)))
    assert of_kind(told.commands, Promote) == [Promote(0, 2, "good after all")]
    (again,) = told.offered()
    assert (again.start, again.stop, again.attempt) == (0, 1, 2), "before the point that nobody has begun"
    finishes(told, second)
    assert rule.ends[0] == (0, "pruned", True)


def test_what_an_earlier_session_pruned_can_be_promoted():
    rule = Scripted(promotes=[(1, "good after all"), (0, "was never pruned")])
    told = Told(2, done=RangeSet([(0, 2)]), rule=rule, pruned={1: 3})
    (batch,) = told.offered()
    assert (batch.start, batch.stop, batch.attempt) == (1, 2, 4)


def test_where_a_step_was_not_heard_the_reply_brings_the_whole_course_again():
    told = Told(1)
    (batch,) = told.offered()
    told.tell(Stepped(0.1, batch.id, (step(0, 1),)))
    told.tell(Stepped(0.1, batch.id, (step(0, 3),)))
    record, _ = finishes(told, batch, steps=tuple(step(0, number) for number in (1, 2, 3, 4)))
    assert [each.step for each in record.steps] == [1, 2, 3, 4]


def test_a_promotion_is_no_retry():
    rule = Scripted(prunes=[(0, 1)])
    told = Told(1, rule=rule, policy=Policy(retries=1))
    (batch,) = told.offered()
    rule.promotes = [(0, "good after all")]
    finishes(told, batch, failed=(("pruned", ((0, 1),)),), kept=((0, 1),))
    told.tell(Durable(1.0, (batch.id,)))
    for attempt in (2, 3):  # it went on as the second one, failed, and is tried again
        (batch,) = told.offered()
        assert batch.attempt == attempt
        finishes(told, batch, failed=(("error", ((0, 1),)),))
    assert not told.offered()
    assert told.driver.failures == 1


# Going on after a stop.


class Kept:
    """What is on the disk, and what is beside checkpoints."""

    def __init__(self, rows, beside=None):
        failed = {}
        for position, (status, attempt) in rows.items():
            if status != "ok":
                failed.setdefault(status, {}).setdefault(attempt, RangeSet()).add(position, position + 1)
        self.past = Past(RangeSet((p, p + 1) for p in rows), {}, failed, excluded=0)
        self.beside = beside or {}

    def remember(self, steps, again, recorded=None):
        rule = Asha("loss", 1, reduction=2)
        made = remember(rule, steps, recorded or {}, self.past, again, self.beside.get)
        return rule, [(promotion.position, promotion.attempt, promotion.reason) for promotion in made]


def test_a_rule_is_told_what_is_saved_and_who_deserves_it_goes_on():
    steps = [step(0, 1, 1.0), step(1, 1, 2.0), step(2, 1, 3.0), step(3, 1, 4.0)]
    rows = {0: ("ok", 1), 1: ("pruned", 2), 2: ("pruned", 1), 3: ("pruned", 1)}
    again = {}
    rule, promotions = Kept(rows, {1: 1, 2: 1}).remember(steps, again)
    assert promotions == [(1, 3, "loss 2 at step 1 is by now among the best 2 of 4 at rung 1")]
    assert again == {3: RangeSet([(1, 2)])}
    assert pruned_of(Kept(rows).past, again) == {2: 1, 3: 1}
    assert not rule.see(1, 1, {"loss": 2.0}), "it has passed"


def test_who_was_going_on_when_the_driver_was_killed_goes_on():
    rows = {0: ("pruned", 1), 1: ("pruned", 1)}
    steps = [step(0, 1, 9.0), step(1, 1, 9.5)]
    again = {}
    _, promotions = Kept(rows, {0: 5, 1: 1}).remember(steps, again)
    assert (0, 2, "it was going on, and had come to step 5") in promotions
    assert again[2] == RangeSet([(0, 1)])


def test_who_had_recorded_more_than_its_row_tells_goes_on_until_there_is_another_row():
    rows = {0: ("pruned", 1), 1: ("pruned", 2)}
    steps = [step(0, 1, 9.0), step(0, 2, 8.0), step(1, 1, 9.5)]
    again = {}
    _, promotions = Kept(rows, {0: 2, 1: 1}).remember(steps, again, {0: 2, 1: 2})
    assert promotions[0] == (0, 2, "it was going on, and had come to step 2")
    assert again == {2: RangeSet([(0, 1)])}


def test_who_is_to_be_retried_is_judged_anew():
    rows = {0: ("ok", 1), 1: ("pruned", 1)}
    steps = [step(0, 1, 1.0), step(1, 1, 2.0)]
    again = {2: RangeSet([(1, 2)])}
    rule, promotions = Kept(rows, {1: 1}).remember(steps, again)
    assert promotions == []
    assert again == {2: RangeSet([(1, 2)])}
    assert rule.see(1, 1, {"loss": 2.0})


def test_what_opens_one_by_one_is_kept_for_whoever_is_free_first():
    driver = Driver(10, opened=RangeSet([(0, 2)]))
    told = Told.__new__(Told)
    told.driver = driver
    told.tell(Joined(0.0, "w", 2))
    first, _ = told.offered()
    told.tell(Opened(1.0, ((2, 3),)))
    assert not told.offered(), "one for two slots"
    told.tell(Opened(1.0, ((3, 4),)))
    assert [batch.start for batch in told.offered()] == [2, 3], "one for each"
    finishes(told, first)
    assert not told.offered()
    told.tell(Opened(1.0, ((4, 5),)))
    assert [batch.start for batch in told.offered()] == [4], "beside the one that waits already"
    told.tell(Opened(1.0, ((5, 6),), last=True))
    assert not told.offered(), "there is no room for another"
