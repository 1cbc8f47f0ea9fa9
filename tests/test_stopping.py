"""Ending points early: the rules alone, each judged by its source, and all by what no rule may do; the key `stop`."""

from __future__ import annotations

from collections import Counter
from math import floor, inf, log, nan
from random import Random

import numpy as np
import optuna
import pytest

from swath.definition import Stop, define
from swath.definition.stopping import takes
from swath.errors import DefinitionError
from swath.stopping import METHODS, Asha, Hyperband, Median, Patience, Percentile, Threshold
from swath.stopping.percentile import quantile


def run(rule, curves, *, resumable=False):
    """Tell a rule whole curves, one after the other; return the last step of each point, and reasons."""
    reached, reasons = {}, {}
    for position, curve in enumerate(curves):
        for step, value in enumerate(curve, start=1):
            reached[position] = step
            if reason := rule.see(position, step, {"loss": value}):
                reasons[position] = reason
                break
        rule.ended(position, "pruned" if position in reasons else "ok", resumable=resumable)
    return reached, reasons


# ASHA.


def test_asha_asks_at_its_rungs_only():
    rule = Asha("loss", 1, min_steps=2, max_steps=18, reduction=3)
    assert run(rule, [[0.0] * 18])[0] == {0: 18}  # the first is the best of one
    for position, worse in ((1, 5), (2, 9)):
        for step in range(1, 18):
            reason = rule.see(position, step, {"loss": 1.0 if step < worse else 2.0})
            assert bool(reason) == (step >= 2)
            if reason:
                assert reason == (f"loss 1 at step 2 is not among the best 1 of {position + 1} at rung 2")
                break


def test_asha_lets_one_in_eta_go_on_and_judges_by_the_first_value_at_or_beyond_a_rung():
    rule = Asha("loss", 1, min_steps=3, max_steps=100, reduction=2)
    kept = [
        not rule.see(position, 5, {"loss": loss}) for position, loss in enumerate([4.0, 3.0, 2.0, 5.0, 1.0])
    ]
    assert kept == [True, True, True, False, True]  # of 1, 2, 3, 4, 5 the best 1, 1, 1, 2, 2
    assert not rule.see(4, 6, {"loss": 9.0})  # between rungs nothing is asked
    assert "at step 7 is 9" in rule.see(3, 7, {"loss": 9.0}) or "loss 5 at step 5" in rule.see(
        3, 7, {"loss": 9.0}
    )


def test_asha_maximizes_and_counts_nan_as_worst():
    rule = Asha("score", -1, reduction=2)
    assert rule.see(0, 1, {"score": nan}) == (
        "score NaN or infinite at step 1 is not among the best 1 of 1 at rung 1"
    )
    assert not rule.see(1, 1, {"score": 0.1})
    assert rule.see(2, 1, {"score": 0.05})
    assert not rule.see(3, 1, {"score": 0.2})
    assert not rule.see(4, 1, {"other": 0.2})  # a step without the metric says nothing


def test_asha_keeps_as_few_of_a_plateau_as_of_anything_else():
    rule = Asha("loss", 1, reduction=4)
    kept = [not rule.see(position, 1, {"loss": 0.5}) for position in range(100)]
    assert kept == [True] + [False] * 99


def test_asha_promotes_who_belongs_to_the_best_by_now_and_kept_a_checkpoint():
    rule = Asha("loss", 1, reduction=2, max_steps=8)
    assert not rule.see(0, 1, {"loss": 1.0})
    for position, loss in ((1, 2.0), (2, 3.0)):
        assert rule.see(position, 1, {"loss": loss})
        rule.ended(position, "pruned", resumable=True)
        assert rule.promoted() == ()
    assert rule.see(3, 1, {"loss": 4.0})
    rule.ended(3, "pruned", resumable=False)
    ((position, reason),) = rule.promoted()
    assert (position, reason) == (1, "loss 2 at step 1 is by now among the best 2 of 4 at rung 1")
    assert rule.promoted() == ()
    assert not rule.see(1, 1, {"loss": 9.9})  # told again: nothing changes
    assert rule.see(1, 2, {"loss": 5.0}) == ""  # the first at rung 2
    for position in range(4, 10):
        rule.see(position, 1, {"loss": 9.0})
    assert [position for position, _ in rule.promoted()] == [2], "the third had no checkpoint"


def test_asha_promotes_nobody_twice_for_one_rung():
    rule = Asha("loss", 1, reduction=2)
    rule.see(0, 1, {"loss": 1.0})
    rule.see(1, 1, {"loss": 2.0})
    rule.ended(1, "pruned", resumable=True)
    rule.ended(1, "pruned", resumable=True)
    for position in range(2, 9):
        rule.see(position, 1, {"loss": 9.0})
    assert len(rule.promoted()) == 1
    rule.ended(1, "pruned", resumable=True)  # ended by itself, before the next rung
    assert rule.promoted() == ()


@pytest.mark.parametrize("seed", range(3))
def test_asha_lets_go_on_who_optunas_pruner_lets_go_on(seed):
    """Where no two values are equal and nothing is promoted, both are the same algorithm."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(seed)
    curves = rng.normal(size=(60, 27)).cumsum(axis=1)
    rule = Asha("loss", 1, min_steps=1, reduction=3)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(pruner=pruner)
    theirs = {}
    for position, curve in enumerate(curves):
        trial = study.ask()
        for step, value in enumerate(curve, start=1):
            theirs[position] = step
            trial.report(value, step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
    assert run(rule, curves)[0] == theirs


# Hyperband.


def test_hyperband_deals_points_to_brackets_as_the_paper_does():
    rule = Hyperband("loss", 1, max_steps=81, reduction=3)
    # Table 1 of the paper: R = 81, eta = 3.
    expected = np.array([81, 34, 15, 8, 5])
    counts = Counter(map(rule.bracket, range(20_000)))
    shares = np.array([counts[number] for number in range(5)]) / 20_000
    assert shares == pytest.approx(expected / expected.sum(), abs=0.012)
    others = Hyperband("loss", 1, max_steps=81, reduction=3, root=1)
    assert [*map(rule.bracket, range(50))] != [*map(others.bracket, range(50))]
    assert len(rule._brackets) == floor(log(81, 3) + 1e-9) + 1


def test_hyperband_compares_within_a_bracket_only():
    rule = Hyperband("loss", 1, max_steps=9, reduction=3)
    first = {number: next(p for p in range(1000) if rule.bracket(p) == number) for number in range(3)}
    for step in range(1, 10):
        assert not any(rule.see(position, step, {"loss": 1.0 + position}) for position in first.values())
    last = {number: next(p for p in range(1000, 0, -1) if rule.bracket(p) == number) for number in range(3)}
    ends = {}
    for number, position in last.items():
        for step in range(1, 10):
            if reason := rule.see(position, step, {"loss": 1e6}):
                ends[number] = step
                assert reason.endswith(f"of bracket {number}")
                break
    assert ends == {0: 1, 1: 3}  # and the last bracket stops nobody
    rule.ended(last[0], "pruned", resumable=True)
    assert rule.promoted() == ()


# Median and percentile.


def test_median_compares_the_best_so_far_with_running_averages_of_finished_points():
    rule = Median("loss", 1, startup=3)
    assert not run(rule, [[4, 2], [5, 5], [9, 1], [9, 9]][:3])[1]
    # Averages at step 1: 4 5 9; at step 2: 3 5 5.
    assert not rule.see(3, 1, {"loss": 5.0})
    assert not rule.see(3, 2, {"loss": 8.0}), "its best is 5"
    assert not rule.see(4, 1, {"loss": 5.0})
    reason = rule.see(5, 1, {"loss": 5.1})
    assert reason == (
        "the best loss up to step 1 is 5.1, worse than 5, the median of the running averages of 3 finished points"
    )
    assert rule.see(7, 2, {"loss": 5.1}), "a point that begins to tell later is judged all the same"


def test_median_waits_for_startup_and_min_steps_and_leaves_out_who_did_not_finish():
    rule = Median("loss", 1, startup=2, min_steps=3)
    run(rule, [[1, 1, 1, 1]])
    rule.see(1, 1, {"loss": 0.0})
    rule.ended(1, "error", resumable=False)
    assert not rule.see(2, 3, {"loss": 9.0}), "one has finished"
    run(rule, [[]] * 3 + [[1, 1, 1, 1]])
    assert not rule.see(5, 2, {"loss": 9.0})
    assert rule.see(5, 3, {"loss": 9.0})


def test_percentile_keeps_the_best_quarter_also_when_more_is_better():
    rule = Percentile("score", -1, percentile=25, startup=4)
    for position in range(5):
        rule.see(position, 10, {"score": float(position)})  # 0 1 2 3 4: the best quarter begins at 3
        rule.ended(position, "ok", resumable=False)
    assert not rule.see(5, 9, {"score": -1.0}), "nobody had come so far before"
    assert not rule.see(6, 10, {"score": 3.0})
    assert rule.see(7, 12, {"score": 2.9}) == (
        "the best score up to step 12 is 2.9, worse than 3, the mark of the best 25 % of 5 finished points"
    )
    assert rule.see(8, 12, {"score": nan})


def test_quantiles_are_those_of_numpy():
    rng = Random(0)
    for _ in range(50):
        values = sorted(rng.random() for _ in range(rng.randint(1, 9)))
        share = rng.choice([0, 100, rng.uniform(0, 100)])
        assert quantile(values, share) == pytest.approx(np.percentile(values, share))
    assert quantile([1.0, inf], 50) == inf
    assert quantile([inf, inf], 50) == inf


# Patience and thresholds.


def test_patience_counts_steps_since_the_best_one():
    rule = Patience("loss", 1, patience=3, min_delta=0.1)
    curve = [1.0, 0.95, 0.85, 0.8, nan, 0.76, 0.5]
    ends = [rule.see(0, step, {"loss": loss}) for step, loss in enumerate(curve, start=1)]
    assert [bool(end) for end in ends] == [False] * 5 + [True, False]
    assert ends[5] == (
        "loss at step 6 is 0.76, and none of the last 3 steps was better than step 3 by more than 0.1"
    )
    rule.ended(0, "pruned", resumable=True)
    assert not rule.see(0, 7, {"loss": 9.0}), "begun again it is judged anew"


def test_patience_goes_by_the_numbers_of_steps_and_ignores_what_it_was_told_before():
    rule = Patience("score", -1, patience=20)
    assert not rule.see(0, 10, {"score": 1.0})
    assert not rule.see(0, 20, {"score": 1.0})
    for _ in range(5):
        assert not rule.see(0, 10, {"score": 0.0})
    assert rule.see(0, 30, {"score": 1.0})
    waits = Patience("score", -1, patience=1, min_steps=50)
    assert not any(waits.see(0, step, {"score": 1.0}) for step in range(1, 50))
    assert waits.see(0, 50, {"score": 1.0})


def test_all_nan_runs_out_of_patience():
    rule = Patience("loss", 1, patience=2)
    assert [bool(rule.see(0, step, {"loss": nan})) for step in (1, 2, 3)] == [False, False, True]


def test_thresholds():
    rule = Threshold("loss", lower=0, upper=10, min_steps=2)
    assert not rule.see(0, 1, {"loss": 99.0})
    assert not rule.see(0, 2, {"loss": 10.0})
    assert rule.see(0, 2, {"loss": 10.5}) == "loss at step 2 is 10.5, above 10"
    assert rule.see(0, 2, {"loss": -1.0}) == "loss at step 2 is -1, below 0"
    assert rule.see(0, 3, {"loss": nan}) == "loss at step 3 is NaN"


# All of them.

SETTINGS = {
    "asha": {"reduction": 2, "max_steps": 30},
    "hyperband": {"reduction": 2, "max_steps": 30},
    "median": {"startup": 2},
    "percentile": {"startup": 2, "percentile": 40},
    "patience": {"patience": 4},
    "threshold": {"upper": 1.5},
}


class Crowd:
    """Points that report late, doubled and out of order between them, and what must hold whatever a rule says."""

    def __init__(self, method, seed):
        self.random = Random(f"{method} {seed}")
        self.rule = METHODS[method]("loss", 1, **SETTINGS[method])
        self.curves = [
            [self.random.choice([self.random.gauss(0, 1), nan, 0.5]) for _ in range(30)] for _ in range(25)
        ]
        self.running = dict.fromkeys(range(25), 0)  # last step that was told
        self.last, self.stopped, self.promotions = {}, set(), Counter()

    def go(self):
        while self.running:
            position = self.random.choice([*self.running])
            self.tell(position, self.running[position] + 1)
            if self.random.random() < 0.2:
                self.tell(position, self.random.randint(1, self.running.get(position, 1) or 1))
            for promoted, reason in self.rule.promoted():
                assert reason
                assert promoted in self.stopped, "only who was stopped, and kept a checkpoint"
                self.stopped.discard(promoted)
                self.promotions[promoted] += 1
                self.running[promoted] = self.last[promoted]
        return self

    def tell(self, position, step):
        if position not in self.running:
            return
        known = self.running[position]
        reason = self.rule.see(position, step, {"loss": self.curves[position][step - 1]})
        self.running[position] = max(known, step)
        if reason or self.running[position] == 30:
            self.last[position] = self.running.pop(position)
            kept = self.random.random() < 0.7
            self.rule.ended(position, "pruned" if reason else "ok", resumable=kept)
            if reason and kept:
                self.stopped.add(position)


@pytest.mark.parametrize("method", METHODS)
def test_whatever_comes_late_twice_or_mixed_up_a_rule_ends_and_promotes_only_who_was_stopped(method):
    for seed in range(20):
        crowd = Crowd(method, seed).go()
        rungs = 5  # 1 2 4 8 16
        assert all(count <= rungs for count in crowd.promotions.values())
        if method not in ("asha", "hyperband"):
            assert not crowd.promotions


# The key `stop`.


def defined(**keys):
    return define({"objective": "m:f", "parameters": {"a": [1]}, **keys})


def refused(stop, **keys):
    with pytest.raises(DefinitionError) as caught:
        defined(stop=stop, **keys)
    return [line.removeprefix("error: ") for line in str(caught.value).splitlines()]


def test_a_rule_is_named_with_its_metric_and_what_was_set():
    made = defined(minimize="loss", stop={"method": "asha", "min_steps": 3}, seed=5)
    assert made.stop == Stop(method="asha", metric="loss", sign=1, settings={"min_steps": 3})
    assert made.source["stop"] == {"method": "asha", "min_steps": 3}
    assert define(made.source).stop == made.stop
    made = defined(maximize="score", stop={"method": "hyperband", "max_steps": 81}, seed=5)
    assert made.stop == Stop(
        method="hyperband", metric="score", sign=-1, settings={"max_steps": 81, "root": 5}
    )
    assert defined().stop is None


def test_what_is_judged_may_differ_from_the_goal():
    other = defined(maximize="score", stop={"method": "median", "metric": "early"})
    assert (other.stop.metric, other.stop.sign) == ("early", -1)
    several = defined(
        minimize=["loss", "time"], maximize="score", stop={"method": "median", "metric": "score"}
    )
    assert (several.stop.metric, several.stop.sign) == ("score", -1)
    free = defined(stop={"method": "threshold", "metric": "loss", "upper": 10})
    assert free.stop.metric == "loss"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_made_of_a_definition(method):
    made = defined(minimize="loss", stop={"method": method, **SETTINGS[method]}).stop
    rule = METHODS[method](made.metric, made.sign, **made.settings)
    assert rule.see(0, 1, {"loss": 1.0}) == ""
    assert set(takes(method)) >= set(SETTINGS[method])


@pytest.mark.parametrize(
    ("stop", "keys", "messages"),
    [
        ({"method": "ash"}, {"minimize": "loss"}, [
            ("stop.method: must be 'asha' or 'hyperband' or 'median' or 'percentile' or 'patience' or 'threshold', "
            "got 'ash'; did you mean 'asha'?")
        ]),
        ({"min_steps": 1}, {"minimize": "loss"}, [
            "stop.method: is missing; there are asha, hyperband, median, percentile, patience, threshold"
        ]),
        ({"method": "asha", "min_step": 1}, {"minimize": "loss"}, [
            "stop.min_step: unknown key; did you mean 'min_steps'?"
        ]),
        ({"method": "asha", "patience": 3, "reduction": 1}, {"minimize": "loss"}, [
            "stop.patience: asha has no such setting; it takes min_steps, max_steps, reduction",
            "stop.reduction: must be at least 2, got 1",
        ]),
        ({"method": "asha", "min_steps": 9, "max_steps": 3}, {"minimize": "loss"}, [
            "stop.max_steps: must be more than min_steps, which is 9, got 3; no rung would lie between them"
        ]),
        ({"method": "percentile", "percentile": 250}, {"minimize": "loss"}, [
            "stop.percentile: must be from 0 to 100, got 250"
        ]),
        ({"method": "patience", "min_delta": -1}, {"minimize": "loss"}, [
            "stop.min_delta: must be at least 0, got -1"
        ]),
        ({"method": "hyperband"}, {"minimize": "loss"}, [
            ("stop.max_steps: is missing, and hyperband makes its brackets of it; "
            "write how many steps a whole point takes: `max_steps: 81`")
        ]),
        ({"method": "threshold", "metric": "loss"}, {}, [
            "stop: threshold has no bound; add `upper: number` or `lower: number`, or both"
        ]),
        ({"method": "threshold", "upper": 1, "lower": 2}, {}, [
            "stop.upper: must be at least lower, which is 2, got 1; no value lies between them",
            "stop.metric: is missing; add `metric: name`, the name of a value that the objective records",
        ]),
        ({"method": "asha"}, {}, [
            ("stop: asha compares values, and nothing says which are better; "
            "add `minimize: metric` or `maximize: metric` to the definition")
        ]),
        ({"method": "median"}, {"minimize": ["loss", "time"]}, [
            "stop.metric: is missing, and there are several goals: loss, time; add `metric: loss`, say"
        ]),
        ({"method": "median", "metric": "x"}, {"minimize": "loss", "maximize": "score"}, [
            ("stop.metric: 'x' is no goal, and of the goals some should be small and some large: loss, score; "
            "name one of the goals")
        ]),
        ({"method": "median", "metric": "a"}, {"minimize": "loss"}, [
            "stop.metric: 'a' is a parameter, not a metric; name what the objective records"
        ]),
        ({"method": "median"}, {"minimize": 3}, ["minimize: must be text, got 3; put it in quotes"]),
        ("asha", {"minimize": "loss"}, ["stop: must be a mapping, got 'asha'; write `stop: {method: asha}`"]),
    ],
)  # fmt: skip
def test_every_mistake_is_named_with_its_place_and_the_way_out(stop, keys, messages):
    assert refused(stop, **keys) == messages
