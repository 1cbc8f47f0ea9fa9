"""The axis of a search: rows that are put in as they are proposed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from swath.errors import ExpressionError, UsageError
from swath.space import Axis, Space
from swath.space.expressions import Expression

ROWS = [
    {"model": "svm", "c": 0.5},
    {"model": "tree", "depth": 3},
    {"model": "svm", "c": 2.0},
    {"model": "tree", "depth": 7, "leaf": 2},
]


def search_axis(points=10):
    whens = (
        None,
        Expression("model == 'svm'"),
        Expression("model == 'tree'"),
        Expression("model == 'tree' and depth > 5"),
    )
    told = {"points": points, "kinds": ["object", "float64", "int64", "int64"]}
    return Axis.made(("model", "c", "depth", "leaf"), ("search", told), whens=whens)


def search_space(*, points=10, rows=ROWS, **keywords):
    axes = [Axis(("n",), ([100],)), search_axis(points), Axis.made(("seed",), ("seeds", 3, 0))]
    made = Space([axes], **keywords)
    made.proposals.put(0, rows)
    return made


def test_a_search_is_an_axis_of_as_many_rows_as_it_may_have_points():
    space = search_space(points=10**6)
    assert len(space) == 3 * 10**6
    assert space.names == ("n", "model", "c", "depth", "leaf", "seed")
    assert space.proposals.known == 4
    assert space.seeds == {"seed"}


def test_points_of_known_rows_have_what_was_proposed_and_nothing_else():
    space = search_space()
    seeds = [space[i]["seed"] for i in range(3)]
    for row, given in enumerate(ROWS):
        for replicate, seed in enumerate(seeds):
            assert space[3 * row + replicate] == {"n": 100, **given, "seed": seed}
    taken = space.take(np.array([9, 3, 0]))
    depth, c, leaf = (taken.column(name) for name in ("depth", "c", "leaf"))
    assert depth.values.dtype == np.int64
    assert depth.values[:2].tolist() == [7, 3]
    assert depth.present.tolist() == [True, True, False]
    assert c.values.dtype == np.float64
    assert c.present.tolist() == [False, False, True]
    assert leaf.present.tolist() == [True, False, False]
    columns = space.columns(0, 12).arguments(["model", "c"])
    assert columns[0][::3] == ["svm", "tree", "svm", "tree"]
    assert [type(value) for value in columns[1][::6]] == [float, float]


def test_expressions_and_content_read_proposals_like_any_parameter():
    space = search_space(
        where=Expression("model == 'svm' or depth > 5"), derive={"cost": Expression("n * depth")}
    )
    points = space.columns(0, 12)
    assert space.keep(points).tolist() == [True] * 3 + [False] * 3 + [True] * 6
    assert points.column("cost").present.tolist() == ([False] * 3 + [True] * 3) * 2
    other = Space([[Axis((name,), ([value],)) for name, value in space[9].items()]])
    assert space.content_id(9, ()) == other.content_id(0, ())
    assert space.content_id(9, ("cost",)) != other.content_id(0, ())
    assert space.count() == (30, False)
    assert space.is_empty() is None


def test_a_row_that_is_not_known_cannot_be_asked_for():
    space = search_space()
    said = r"proposal 4 is not known yet: the search has proposed 4 of 10 points"
    with pytest.raises(IndexError, match=said):
        space[12]
    with pytest.raises(IndexError, match=said):
        space.columns(0, 15).column("c")
    with pytest.raises(IndexError, match=said):
        space.proposals.rows(0, 5)
    with pytest.raises(IndexError, match="the space has points 0 to 29"):
        space.columns(0, 31)


def test_points_are_found_among_what_is_known():
    space = search_space()
    for i in range(12):
        assert space.index(space[i]) == i
    later = {"n": 100, "model": "svm", "c": 7.0, "seed": space[0]["seed"]}
    assert later not in space
    space.proposals.put(4, [{"model": "svm", "c": 7.0}])
    assert space.index(later) == 12
    assert {**later, "depth": 3} not in space
    assert {name: later[name] for name in ("n", "model", "seed")} not in space


def test_points_of_another_definition_match_those_that_are_known():
    old = search_space()
    new = search_space(rows=[ROWS[3], ROWS[0]], points=500)
    everything = np.arange(12)
    expected = [3, 4, 5, -1, -1, -1, -1, -1, -1, 0, 1, 2]
    assert new.match(old, everything, was={}, receives=()).tolist() == expected
    new.proposals.put(2, [ROWS[1]])
    assert new.match(old, everything, was={}, receives=()).tolist() == [*expected[:3], 6, 7, 8, *expected[6:]]

    grid = Space(
        [
            [
                Axis(("n",), ([100],)),
                Axis(("model",), (["svm", "knn"],)),
                Axis(("c",), ([0.5, 1],), Expression("model == 'svm'")),
                Axis.made(("seed",), ("seeds", 1, 0)),
            ]
        ]
    )
    assert old.match(grid, np.arange(3), was={}, receives=()).tolist() == [0, -1, -1]
    assert grid.match(old, np.arange(4), was={}, receives=()).tolist() == [0, -1, -1, -1]


def test_what_older_points_lacked_counts_where_it_is_active():
    old = Space(
        [[Axis(("n",), ([100],)), Axis(("c",), ([0.5, 2.0],)), Axis.made(("seed",), ("seeds", 1, 0))]]
    )
    new = search_space(rows=[ROWS[2]])
    found = new.match(old, np.arange(2), was={"model": "svm", "depth": 1}, receives=())
    assert found.tolist() == [-1, 0]


def test_a_spec_makes_the_same_axis_and_the_book_travels_as_text():
    space = search_space()
    there = Space.from_spec(json.loads(json.dumps(space.spec())))
    assert there.spec() == space.spec()
    assert there.proposals.known == 0
    text = space.proposals.encode(space.proposed(6, 11))
    assert there.proposals.decode(text) == range(2, 4)
    assert there.proposals.known == 0  # not without a gap
    assert [there[i] for i in range(6, 12)] == [space[i] for i in range(6, 12)]
    there.proposals.decode(space.proposals.encode(range(3)))
    assert there.proposals.known == 4


def test_proposals_behind_positions():
    space = search_space()
    assert space.proposed(0, 3) == range(1)
    assert space.proposed(2, 4) == range(2)
    assert space.proposed(3, 6) == range(1, 2)
    assert space.proposed(5, 5) == range(0)
    assert Space([[Axis(("x",), ([1, 2],))]]).proposed(0, 2) == range(0)


def test_a_book_takes_equal_rows_again_and_no_others():
    book = search_space().proposals
    book.put(1, [{"depth": 3.0, "model": "tree"}])
    with pytest.raises(UsageError, match=r'proposal 1 is {"depth":3,"model":"tree"} already, not {"depth":4'):
        book.put(1, [{"model": "tree", "depth": 4}])
    with pytest.raises(UsageError, match="the search has 10 points, not 11"):
        book.put(10, [ROWS[0]])
    with pytest.raises(UsageError, match="proposal 4 has 'gamma', which the search does not propose"):
        book.put(4, [{"gamma": 1}])
    assert book.known == 4


def test_what_a_search_cannot_stand_beside():
    search, grid = search_axis(), Axis(("x",), ([1, 2],))
    with pytest.raises(UsageError, match="order of its proposals"):
        Space([[grid, search]])
    with pytest.raises(UsageError, match="order of its proposals"):
        Space([[search]], order="shuffle")
    with pytest.raises(UsageError, match="one block"):
        Space([[search], [grid]])
    with pytest.raises(
        ExpressionError, match="reads 'model', whose values are drawn one by one; draw 'x' too"
    ):
        Space([[search, Axis(("x",), ([1],), Expression("model == 'svm'"))]])
    backwards = Axis.made(
        ("a", "b"), ("search", {"points": 3, "kinds": ["object"] * 2}), whens=(Expression("b == 1"), None)
    )
    with pytest.raises(ExpressionError, match="`when` of 'a' reads 'b', which is no earlier parameter"):
        Space([[backwards]])
