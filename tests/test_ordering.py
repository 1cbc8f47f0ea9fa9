"""A permutation is one to one whatever its size, and seeds are what they always were."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swath.space.ordering import Permutation, seeds, subkey

keys = st.integers(-(2**80), 2**80)
PINNED_ORDER = [2, 5, 3, 1, 0, 4, 9, 6, 7, 8]
PINNED_SEEDS = [201930222, 966230332, 384606131, 1915197407]


@given(n=st.integers(0, 3000), key=keys)
@example(n=0, key=0)
@example(n=1, key=0)
@example(n=2, key=0)
@example(n=2048, key=0)
@settings(deadline=None)
def test_it_is_one_to_one(n, key):
    positions = np.arange(n)
    indices = Permutation(n, key).forward(positions)
    assert indices.dtype == np.int64
    assert sorted(indices.tolist()) == positions.tolist()
    assert Permutation(n, key).inverse(indices).tolist() == positions.tolist()


@given(n=st.integers(1, 2**63), key=keys, data=st.data())
@example(n=2**63, key=0, data=None)
@settings(deadline=None)
def test_it_can_be_undone_at_any_size(n, key, data):
    some = [0, n - 1] if data is None else data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20))
    permutation = Permutation(n, key)
    indices = permutation.forward(np.array(some, dtype=np.int64))
    assert ((indices >= 0) & (indices.astype(object) < n)).all()
    assert permutation.inverse(indices).tolist() == some
    assert permutation.forward(permutation.inverse(np.array(some, dtype=np.int64))).tolist() == some


def test_a_range_is_mapped_as_its_parts_are():
    permutation = Permutation(10**12, 5)
    whole = permutation.forward(np.arange(1000, 2000))
    parts = [permutation.forward(np.arange(a, a + 100)) for a in range(1000, 2000, 100)]
    assert whole.tolist() == np.concatenate(parts).tolist()
    assert permutation.forward(np.arange(6).reshape(2, 3)).shape == (2, 3)


def test_what_is_given_stays_as_it_is():
    positions = np.arange(100)
    Permutation(100, 1).forward(positions)
    assert positions.tolist() == list(range(100))


def test_orders_of_a_few_are_all_equally_likely():
    # 24 orders, 4800 keys, 200 expected each: chi-squared with 23 degrees of freedom stays below 49.7
    # in 999 cases of 1000.
    orders = dict.fromkeys(permutations(range(4)), 0)
    for key in range(4800):
        orders[tuple(Permutation(4, key).forward(np.arange(4)).tolist())] += 1
    chi2 = sum((count - 200) ** 2 / 200 for count in orders.values())
    assert chi2 < 49.7


def test_neighbours_are_spread_evenly():
    indices = Permutation(10**6, 3).forward(np.arange(10_000))
    counts = np.histogram(indices, bins=20, range=(0, 10**6))[0]
    assert ((counts - 500) ** 2 / 500).sum() < 43.8  # chi-squared, 19 degrees of freedom, 999 of 1000
    assert abs(np.corrcoef(indices[1:], indices[:-1])[0, 1]) < 0.04  # four standard errors


def test_keys_and_purposes_differ():
    first = {tuple(Permutation(50, key).forward(np.arange(50)).tolist()) for key in range(50)}
    assert len(first) == 50
    assert subkey("seeds", 0) != subkey("order", 0) != subkey("order", 1)


def test_it_is_the_same_everywhere_and_for_ever():
    assert Permutation(10, 0).forward(np.arange(10)).tolist() == PINNED_ORDER
    assert seeds(4, 0) == PINNED_SEEDS


@pytest.mark.parametrize("n", [-1, 2**63 + 1])
def test_sizes_have_a_limit(n):
    with pytest.raises(ValueError, match=f"a size from 0 to 2\\^63, not {n}"):
        Permutation(n, 0)


@given(count=st.integers(0, 300), more=st.integers(0, 300), root=st.integers(-(2**70), 2**70))
@settings(deadline=None)
def test_fewer_seeds_are_a_prefix_of_more(count, more, root):
    drawn = seeds(count + more, root)
    assert drawn[:count] == seeds(count, root)
    assert len(set(drawn)) == len(drawn)
    assert all(type(seed) is int and 0 <= seed < 2**31 for seed in drawn)


def test_roots_give_other_seeds():
    assert not set(seeds(1000, 0)) & set(seeds(1000, 1))


def test_a_hundred_thousand_seeds_are_distinct():
    assert len(set(seeds(100_000, 7))) == 100_000


@pytest.mark.parametrize("count", [-1, 2**31 + 1])
def test_seeds_run_out(count):
    with pytest.raises(ValueError, match=f"0 to 2\\^31 different seeds, not {count}"):
        seeds(count, 0)
