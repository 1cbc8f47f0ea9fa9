"""A RangeSet is a set of integers: whatever is done to both, they agree."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from swath.ranges import RangeSet

edges = st.integers(0, 60)
spans = st.tuples(edges, edges)
many = st.lists(spans, max_size=12)


def integers(ranges) -> set[int]:
    return {integer for start, stop in ranges for integer in range(start, stop)}


class Agreement(RuleBasedStateMachine):
    """A RangeSet beside a set."""

    def __init__(self):
        super().__init__()
        self.ranges = RangeSet()
        self.naive: set[int] = set()

    @rule(span=spans)
    def add(self, span):
        self.ranges.add(*span)
        self.naive |= set(range(*span))

    @rule(span=spans)
    def discard(self, span):
        self.ranges.discard(*span)
        self.naive -= set(range(*span))

    @rule(other=many)
    def update(self, other):
        self.ranges.update(other)
        self.naive |= integers(other)

    @rule(other=many)
    def difference_update(self, other):
        self.ranges.difference_update(RangeSet(other))
        self.naive -= integers(other)

    @invariant()
    def agree(self):
        assert integers(self.ranges) == self.naive
        assert len(self.ranges) == len(self.naive)
        assert bool(self.ranges) == bool(self.naive)

    @invariant()
    def is_compact(self):
        ends = [end for pair in self.ranges for end in pair]
        assert all(a < b for a, b in pairwise(ends))  # sorted, not empty, not touching


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


@given(many)
def test_text_is_read_back(ranges):
    made = RangeSet(ranges)
    assert RangeSet.parse(str(made)) == made
    assert "--" not in str(made)


def test_text_is_short():
    assert str(RangeSet([(0, 100), (120, 121), (130, 141)])) == "0-99,120,130-140"
    assert str(RangeSet()) == ""


@pytest.mark.parametrize("text", ["x", "1-x", "-5", "1--2", "5-3", "1.5", "99999999999999999999"])
def test_a_text_that_is_none_is_an_error(text):
    with pytest.raises((ValueError, OverflowError)):
        RangeSet.parse(text)


@given(st.lists(edges, max_size=30))
def test_of_gathers_integers_in_any_order(values):
    made = RangeSet.of(np.array(values, dtype=np.int64))
    assert integers(made) == set(values)
    assert made == RangeSet((value, value + 1) for value in values)
    assert len(made) == len(set(values))


@given(many, spans)
def test_intersection_and_look_up(ranges, span):
    made = RangeSet(ranges)
    assert integers(made.intersection(*span)) == integers(ranges) & set(range(*span))
    inside = made.contains_array(np.arange(61))
    assert [i in made for i in range(61)] == inside.tolist() == [i in integers(ranges) for i in range(61)]


@given(many.filter(integers), st.integers(1, 70))
def test_first_is_a_piece_of_the_first_range(ranges, size):
    made = RangeSet(ranges)
    start, stop = made.first(size)
    assert start == min(integers(ranges))
    assert 1 <= stop - start <= size
    assert set(range(start, stop)) <= integers(ranges)
    assert stop - start == size or stop not in made


@given(many, spans)
def test_a_copy_is_independent(ranges, span):
    made = RangeSet(ranges)
    other = made.copy()
    other.add(*span)
    other.discard(0, 30)
    assert integers(made) == integers(ranges)


def test_numbers_near_the_end_of_int64_fit():
    top = 2**63 - 1
    made = RangeSet([(top - 10, top)])
    assert len(made) == 10
    assert top - 1 in made
    assert RangeSet.parse(str(made)) == made


def test_many_scattered_ranges_are_merged_and_read_quickly():
    even = RangeSet.of(np.arange(0, 200_000, 2))
    odd = RangeSet.of(np.arange(1, 200_000, 2))
    odd.update(RangeSet.parse(str(even)))
    assert list(odd) == [(0, 200_000)]
    assert len(odd) == 200_000
