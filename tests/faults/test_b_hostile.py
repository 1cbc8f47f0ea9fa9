"""Hostile points of every kind among a hundred times as many: everybody gets what is due; see `hostile`."""

from __future__ import annotations

import pytest

import hostile


@pytest.mark.timeout(0)  # as many points as are asked for
def test_hostile_points_get_their_status_and_innocents_their_rows(tmp_path, pytestconfig):
    verdicts = hostile.run(
        tmp_path, pytestconfig.getoption("--hostile"), pytestconfig.getoption("--first-seed")
    )
    print(verdicts)
    assert not verdicts.wrong, str(verdicts)
    assert not verdicts.harmed, str(verdicts)
