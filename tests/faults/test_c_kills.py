"""A driver that is killed again and again loses nothing; `kills` is the harness, `drivers` starts the drivers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from kills import Campaign, _changed


@pytest.mark.timeout(0)  # as many kills as are asked for
def test_C01_kills_at_random_instants_lose_repeat_and_change_nothing(tmp_path, pytestconfig):
    kills = pytestconfig.getoption("--kills")
    tally = Campaign(tmp_path, pytestconfig.getoption("--first-seed")).run(kills)
    print(tally)
    assert tally.spotless, str(tally)
    assert tally.kills == kills
    if kills >= 20:
        assert len(tally.deciles) >= 5, "the kills are not spread over the whole run"


def test_the_harness_sees_a_changed_bit():
    numbers = np.array([0.1, 0.2, float("nan"), -0.0])
    before = _table([5, 6, 7, 8], numbers, ["a", "b", None, "d"])
    there = np.ones(100_000, bool)
    assert _changed(before, before.take([3, 1, 0, 2]), there) == 0
    assert _changed(before, _table([5, 6, 7, 8], np.abs(numbers), ["a", "b", None, "d"]), there) == 1
    assert _changed(before, _table([5, 6, 7, 8], numbers, ["a", "b", "c", "e"]), there) == 2
    assert _changed(pa.table({"point": np.zeros(0, np.int64)}), before, there) == 0, "nothing was there"


def _table(points, values, texts):
    return pa.table({"point": points, "value": values, "worker": pa.array(texts).dictionary_encode()})
