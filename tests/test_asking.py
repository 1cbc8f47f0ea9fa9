"""How many proposals are asked for ahead."""

from __future__ import annotations

import pytest

from swath.run.asking import FREELY, proposals_to_ask

QUICK, LONG = 0.001, 60.0


@pytest.mark.parametrize(
    ("slots", "pending", "cost", "duration", "asked"),
    [
        (0, 0, 0.001, QUICK, 0),  # nobody is there who could begin it
        (2, 0, None, None, 4),  # nothing is known: no slot shall wait
        (2, 0, 0.002, 0.1, 4),  # one that runs and one that waits for each of few slots
        (2, 3, 0.002, 0.1, 1),
        (2, 4, 0.002, 0.1, 0),
        (8, 0, 0.002, 0.1, 9),  # of many, one waits for whoever is next
        (8, 0, 0.002, 0.0, 7),  # the optimiser is what limits: as many as it makes in a journey, and some
        (64, 0, 0.0, 0.0, 72),
        (1, 0, 0.002, 0.1, 2),
        (2, 0, 0.001, LONG, 2),  # 11 ms against a minute: the next proposal shall know the result
        (2, 1, 0.001, LONG, 1),
        (2, 2, 0.001, LONG, 0),
        (2, 2, 5.0, LONG, 1),  # a Gaussian process that thinks for 5 s: some wait, asked for one by one
        (2, 4, 5.0, LONG, 0),
        (8, 20, 0.001, LONG, 0),  # workers have left
    ],
)
def test_a_slot_has_work_and_fresh_proposals_where_they_cost_nothing(slots, pending, cost, duration, asked):
    assert proposals_to_ask(slots=slots, pending=pending, cost=cost, duration=duration) == asked


def test_proposals_that_depend_on_nothing_are_asked_freely():
    free = lambda n: proposals_to_ask(slots=1, pending=100, cost=5.0, duration=LONG, independent=n)  # noqa: E731
    assert (free(0), free(3), free(1000)) == (0, 3, FREELY)


def test_replicates_of_one_proposal_fill_several_slots():
    asked = [
        proposals_to_ask(slots=4, pending=n, replicates=3, cost=0.03, duration=1.0) for n in (0, 2, 5, 6, 8)
    ]
    assert asked == [2, 1, 0, 0, 0]
