"""Replicates until precise: how many, for which combinations, whatever the order in which rows come."""

from __future__ import annotations

import numpy as np
import pytest

from swath.errors import ExpressionError
from swath.precision import Condition, Precision, needed


def sample(combination, sigma, n=1000):
    return np.random.default_rng(combination).normal(10.0, sigma, n)


def told(planner, rows):
    """Tell of (combination, replicate, value), NaN for a failure."""
    numbers, replicates, values = map(np.array, zip(*rows, strict=True))
    return planner.take(numbers, replicates, {"peak": values.astype(float)})


def played(condition, samples, first, most, order=None):
    """Evaluate what is opened until nothing is, in an order of one's own; return the counts, and the planner."""
    planner = Precision(Condition(condition), first, most)
    todo = [(number, replicate) for number in samples for replicate in range(first)]
    counts = dict.fromkeys(samples, 0)
    while todo:
        number, replicate = todo.pop(0 if order is None else int(order.integers(len(todo))))
        counts[number] += 1
        row = (number, replicate, samples[number][replicate])
        todo += [(c, r) for c, start, stop in told(planner, [row]) for r in range(start, stop)]
    return counts, planner


def test_a_combination_gets_as_many_as_its_noise_needs():
    sigmas = dict(enumerate([0.0, 0.02, 0.05, 0.1, 0.2]))
    counts, planner = played("se(peak) < 0.01", {n: sample(n, s) for n, s in sigmas.items()}, 10, 1000)
    assert counts[0] == 10
    for number in (2, 3, 4):
        expected = (sigmas[number] / 0.01) ** 2
        assert 0.6 * expected < counts[number] < 1.7 * expected, (number, counts[number], expected)
    assert (planner.precise, planner.imprecise) == (5, 0)


def test_what_is_opened_follows_from_the_rows_and_not_from_their_order():
    samples = {number: sample(number, 0.03 * (number + 1)) for number in range(8)}
    first, _ = played("se(peak) < 0.01", samples, 3, 200)
    for seed in range(5):
        assert played("se(peak) < 0.01", samples, 3, 200, np.random.default_rng(seed))[0] == first


def test_nobody_gets_more_than_the_most_and_those_are_counted():
    counts, planner = played("se(peak) < 0.001", {0: sample(0, 1.0), 1: sample(1, 0.0)}, 4, 50)
    assert counts == {0: 50, 1: 4}
    assert (planner.precise, planner.imprecise) == (1, 1)


def test_relative_precision():
    samples = {number: sample(number, 0.5) for number in range(25)}
    counts, _ = played("se(peak) / abs(mean(peak)) < 0.01", samples, 10, 400)
    assert 18 < np.median(list(counts.values())) < 32, "(0.5 / 0.1) ** 2 are needed"


def test_rows_of_an_earlier_session_open_what_they_had_opened():
    samples = {0: sample(0, 0.05)}
    counts, _ = played("se(peak) < 0.01", samples, 10, 200)
    planner = Precision(Condition("se(peak) < 0.01"), 10, 200)
    rows = [(0, replicate, samples[0][replicate]) for replicate in range(counts[0])]
    assert told(planner, rows) == [(0, 10, counts[0])]
    assert planner.precise == 1


def test_failed_replicates_count_as_replicates_but_not_as_values():
    planner = Precision(Condition("se(peak) < 1"), 3, 100)
    rows = [(0, 0, 1.0), (0, 1, np.nan), (0, 2, np.nan)]
    assert told(planner, rows) == [(0, 3, 6)], "one value has no standard error"
    nothing = Precision(Condition("se(peak) < 1"), 2, 100)
    assert told(nothing, [(0, 0, np.nan), (0, 1, np.nan)]) == []
    assert (nothing.precise, nothing.imprecise) == (0, 1)


def test_at_most_as_many_again_are_opened_at_once():
    two = {"peak": np.array([[0.0, 1.0], [1.0, 1.0]])}
    for most, count in ((1000, 4), (3, 3), (2, 2)):
        counts, holds = needed(Condition("se(peak) < 1e-9"), two, 2, most)
        assert (counts.tolist(), holds.tolist()) == ([count, 2], [False, True])


def test_the_standard_error_is_that_of_a_sample():
    two = {"peak": np.array([[0.0, 1.0]])}  # a standard deviation of 1 / sqrt(2), over sqrt(2)
    assert needed(Condition("se(peak) < 0.51"), two, 2, 100)[1].tolist() == [True]
    assert needed(Condition("se(peak) < 0.49"), two, 2, 100)[1].tolist() == [False]


def test_many_combinations_are_followed_together():
    """What is opened is the same as when each is alone, whichever are decided, and none is asked twice."""
    samples = {number: sample(number, 0.01 * (number % 7)) for number in range(300)}
    alone = {n: played("se(peak) < 0.01", {n: samples[n]}, 4, 90)[0][n] for n in range(0, 300, 23)}
    planner = Precision(Condition("se(peak) < 0.01"), 4, 90)
    counts = dict.fromkeys(samples, 0)
    todo = [(n, r) for r in range(4) for n in samples]
    while todo:
        batch, todo = todo[:64], todo[64:]
        for n, _ in batch:
            counts[n] += 1
        opened = told(planner, [(n, r, samples[n][r]) for n, r in batch])
        todo += [(n, r) for n, start, stop in opened for r in range(start, stop)]
    assert {n: counts[n] for n in alone} == alone
    assert planner.precise + planner.imprecise == 300


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("peak < 0.01", "'peak' is neither se(metric) nor mean(metric)"),
        ("mean(peak) < 0.01", "no se(metric) in it"),
        ("sd(peak) < 0.01", "'sd' cannot be called"),
        ("se(peak", "se"),
    ],
)
def test_what_is_no_condition_is_refused(text, told):
    with pytest.raises(ExpressionError) as refused:
        Condition(text)
    assert told in str(refused.value)


def test_metrics_may_have_any_name():
    condition = Condition("se(`my peak`) < 0.1 and se(size) < 2")
    assert condition.metrics == ("my peak", "size")
