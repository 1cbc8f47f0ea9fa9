"""A space agrees with a list of its points, however it is asked."""

from __future__ import annotations

import json
import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid

from swath.errors import ExpressionError, UsageError
from swath.space import ABSENT, Axis, Opaque, Space, arange, canonical, geomspace, linspace, logspace, tree
from swath.space.expressions import Expression
from swath.space.ordering import seeds

# A reference: every point, listed.


def holds(text, point):
    """Python's eval; reading what is absent makes it false."""
    try:
        return bool(eval(text, {}, dict(point)))
    except NameError:
        return False


def enumerated(blocks):
    """Every candidate in order; an axis is (names, rows, when)."""
    seen, points = set(), []
    for block in blocks:
        partial = [{}]
        for names, rows, when in block:
            partial = [
                {**point, **dict(zip(names, row, strict=True))} if active else point
                for point in partial
                for active in [when is None or holds(when, point)]
                for row in (rows if active else [()])
            ]
        for point in partial:
            content = canonical(point)
            if content not in seen:
                seen.add(content)
                points.append(point)
    return points


def space_of(blocks, **keywords):
    axes = [
        [
            Axis(names, tuple(map(list, zip(*rows, strict=True))), Expression(when) if when else None)
            for names, rows, when in b
        ]
        for b in blocks
    ]
    return Space(axes, **keywords)


def grid(*, where=None, derive=None, order="grid", root=0, **values):
    """A space of one block without conditions; a tuple (values, when) makes an axis conditional."""
    pairs = {name: value if isinstance(value, tuple) else (value, None) for name, value in values.items()}
    axes = [
        Axis((name,), (given_,), Expression(when) if when else None) for name, (given_, when) in pairs.items()
    ]
    return Space(
        [axes],
        where=Expression(where) if where else None,
        derive={name: Expression(text) for name, text in (derive or {}).items()},
        order=order,
        root=root,
    )


def points(space, indices=None):
    """The points with some indices, all of them by default, from `arguments`."""
    indices = np.arange(space.size) if indices is None else np.asarray(indices)
    columns = space.take(indices).arguments(space.names)
    rows = zip(*columns, strict=True) if columns else [()] * len(indices)
    return [{n: v for n, v in zip(space.names, row, strict=True) if v is not ABSENT} for row in rows]


def alike(left, right):
    """Equal content, and equal types too."""
    types = [{name: type(value) for name, value in point.items()} for point in (left, right)]
    return canonical(left) == canonical(right) and types[0] == types[1]


# Strategies.

numbers = st.sampled_from([0, 1, 2, 3, -1, 0.0, 1.0, 0.5, -0.0])
anything = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        2,
        1.0,
        0.5,
        -0.0,
        math.nan,
        math.inf,
        "svm",
        "1",
        "",
        2**53 + 1,
        2**70,
        [1],
        [1.0, "a"],
        {"k": 1},
    ]
)
texts = st.sampled_from(["svm", "rf", "knn"])
conditions = {  # by the names they read; all of them defined for values of any type
    "a": ["a == 1", "a != 'svm'", "a in [0, 2, 'svm', None]", "not a == 1"],
    "b": ["b == 1 or b == 'rf'", "b != 0"],
    "ab": ["a == b", "a != b", "a == 1 and b == 1", "a == 1 or b != 0", "b if a else 1"],
    "c": ["c == 1 or c == 'svm'"],
    "abc": ["a == b or b == c", "c == 1 if a == 1 else b == 1"],
}


def unique(rows):
    seen = set()
    return [row for row in rows if not (canonical(list(row)) in seen or seen.add(canonical(list(row))))]


@st.composite
def blocks(draw, names="abcd"):
    """Axes over some names, some of them zipped, some conditional on earlier ones."""
    order = draw(st.permutations(names))[: draw(st.integers(1, len(names)))]
    axes, earlier = [], []
    while order:
        together = tuple(order[: draw(st.sampled_from([1, 1, 1, 2]))])
        order = order[len(together) :]
        kind = draw(st.sampled_from([numbers, anything, texts, st.integers(0, 3)]))
        rows = unique(draw(st.lists(st.tuples(*[kind] * len(together)), min_size=1, max_size=4)))
        readable = [
            text for read, texts_ in conditions.items() if set(read) <= set(earlier) for text in texts_
        ]
        when = draw(st.sampled_from([None, *readable])) if readable else None
        axes.append((together, rows, when))
        earlier += together
    return axes


unions = st.lists(blocks(), min_size=1, max_size=3)
wheres = st.sampled_from(
    sorted({text for texts_ in conditions.values() for text in texts_} | {"True", "False", "d == 1"})
)


def readable_by(text, listed):
    return Expression(text).names <= {name for block in listed for names, _, _ in block for name in names}


@given(listed=unions)
@settings(deadline=None, max_examples=100)
def test_it_agrees_with_a_list_of_its_points(listed):
    space, expected = space_of(listed), enumerated(listed)
    assert len(space) == space.size == len(expected)
    assert all(map(alike, points(space), expected))
    assert [space.index(point) for point in expected] == list(range(len(expected)))
    assert all(alike(space[i], point) for i, point in enumerate(expected))
    if expected:
        assert alike(space[-1], expected[-1])


@given(listed=unions, data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_indices_can_be_taken(listed, data):
    space, expected = space_of(listed), enumerated(listed)
    if not expected:
        return
    some = data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=8))
    assert all(map(alike, points(space, np.array(some, dtype=np.int64)), [expected[i] for i in some]))
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    found = space.columns(start, stop)
    assert found.indices.tolist() == list(range(start, stop))
    for name in space.names:
        column = found.column(name)
        there = np.ones(found.n, bool) if column.present is None else column.present
        assert there.tolist() == [name in point for point in expected[start:stop]]
        pairs = zip(
            column.values[there].tolist(), [p[name] for p in expected[start:stop] if name in p], strict=True
        )
        assert all(canonical(ours) == canonical(theirs) for ours, theirs in pairs)


@given(listed=unions, point=st.dictionaries(st.sampled_from("abcde"), anything, max_size=4))
@settings(deadline=None, max_examples=60)
def test_membership_is_by_content(listed, point):
    space = space_of(listed)
    contents = [canonical(other) for other in enumerated(listed)]
    assert (point in space) == (canonical(point) in contents)
    if point in space:
        assert space.index(point) == contents.index(canonical(point))


@given(listed=unions, text=wheres)
@settings(deadline=None, max_examples=60)
def test_where_keeps_what_python_keeps(listed, text):
    if not readable_by(text, listed):
        return
    space = space_of(listed, where=Expression(text))
    expected = [holds(text, point) for point in enumerated(listed)]
    assert space.keep(space.columns(0, space.size)).tolist() == expected
    assert space.count() == (sum(expected), True)
    estimate, exact = space.count(limit=0)
    assert exact == (space.size == 0) or estimate == sum(expected)  # a sample of all of them


@given(listed=unions, root=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_shuffle_is_an_order_of_the_same_points(listed, root):
    space = space_of(listed, order="shuffle", root=root)
    indices = space.indices(0, space.size)
    assert sorted(indices.tolist()) == list(range(space.size))
    assert space.positions(indices).tolist() == list(range(space.size))
    assert space_of(listed).indices(0, space.size).tolist() == list(range(space.size))


@given(listed=unions, text=wheres, order=st.sampled_from(["grid", "shuffle"]))
@settings(deadline=None, max_examples=40)
def test_it_survives_json(listed, text, order):
    where = Expression(text) if readable_by(text, listed) else None
    name = listed[0][0][0][0]
    space = space_of(listed, where=where, derive={"one": Expression(f"{name} == 1")}, order=order, root=3)
    again = Space.from_spec(json.loads(json.dumps(space.spec())))
    assert json.dumps(again.spec()) == json.dumps(space.spec())
    assert again.indices(0, space.size).tolist() == space.indices(0, space.size).tolist()
    assert list(map(canonical, points(again))) == list(map(canonical, points(space)))
    received = {"one"}
    assert [again.content_id(i, received) for i in range(space.size)] == [
        space.content_id(i, received) for i in range(space.size)
    ]


@given(
    old=unions, new=unions, text=wheres, was=st.dictionaries(st.sampled_from("abcd"), anything, max_size=2)
)
@settings(deadline=None, max_examples=60)
def test_match_agrees_with_a_dictionary_of_contents(old, new, text, was):
    where = Expression(text) if readable_by(text, new) else None
    before, after = space_of(old), space_of(new, where=where)
    known = {name for block in old for names, _, _ in block for name in names}
    had = {name: value for name, value in was.items() if name not in known}
    places = {}  # new points as they would have been before, the first of each
    for i, point in enumerate(enumerated(new)):
        if all(canonical(point[name]) == canonical(value) for name, value in had.items() if name in point):
            content = canonical({name: value for name, value in point.items() if name not in had})
            places.setdefault(content, i if where is None or holds(text, point) else -1)
    expected = [places.get(canonical(point), -1) for point in enumerated(old)]
    found = after.match(before, np.arange(before.size), was=was, receives=())
    assert found.tolist() == expected
    some = np.arange(before.size)[::-2]
    assert after.match(before, some, was=was, receives=()).tolist() == found[some].tolist()


# Grids.

columns_of_values = st.dictionaries(
    st.sampled_from(["alpha", "beta", "gamma"]),
    st.lists(st.integers(0, 9) | texts, min_size=1, max_size=3, unique=True),
    min_size=1,
)


@given(grids=st.lists(columns_of_values, min_size=1, max_size=2))
@settings(deadline=None)
def test_scikit_learns_grid_has_the_same_points(grids):
    theirs = list(ParameterGrid(grids))  # sorts the names, and keeps points that several grids have
    space = Space([[Axis((name,), (values,)) for name, values in sorted(g.items())] for g in grids])
    assert points(space) == [point for i, point in enumerate(theirs) if point not in theirs[:i]]


def test_the_last_axis_is_the_fastest():
    assert points(grid(a=[1, 2], b="xy")) == [
        dict(zip("ab", row, strict=True)) for row in product([1, 2], "xy")
    ]


def test_a_large_grid_costs_nothing():
    axes = [Axis((name,), (linspace(0, 1, 1000),), None, ("linspace", 0, 1, 1000)) for name in "abcd"]
    tracemalloc.start()
    space = Space([axes], where=Expression("a > b"))
    last = space[-1]
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(space) == 10**12
    assert last == {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}
    assert space.index({"a": 0.0, "b": 0.0, "c": 1.0, "d": 0.0}) == 999_000
    assert space.count() == (499_500 * 10**6, True)  # looks at a and b only
    assert held < 2**20
    assert len(json.dumps(space.spec())) < 500


def test_a_long_range_stays_a_range():
    space = grid(n=arange(10**6), m=[1, 2])
    assert points(space, [10**6]) == [{"n": 500_000, "m": 1}]
    assert space.index({"n": 999_999, "m": 2}) == 2 * 10**6 - 1
    assert space.columns(0, 4).arguments(["n"]) == [[0, 0, 1, 1]]


def test_sizes_are_exact_up_to_the_largest_index():
    factors = [7, 7, 73, 127, 337, 92_737, 649_657]  # their product is 2^63 - 1
    axes = [Axis((f"p{i}",), (range(n),)) for i, n in enumerate(factors)]
    space = Space([axes])
    assert space.size == len(space) == 2**63 - 1
    assert space[2**63 - 2] == {f"p{i}": n - 1 for i, n in enumerate(factors)}
    assert space.index(space[-1]) == 2**63 - 2
    with pytest.raises(
        UsageError, match="18,446,744,073,709,551,614 points are more than an index can count"
    ):
        Space([[*axes, Axis(("q",), ([1, 2],))]])
    with pytest.raises(UsageError, match="leave out values"):
        Space([axes, [Axis(("q",), ([1, 2],))]])


def test_many_axes_are_no_trouble():
    space = Space(
        [[Axis((f"p{i}",), ([i],)) for i in range(3000)] + [Axis(("x",), ([1, 2],), Expression("p7 == 7"))]]
    )
    assert len(space) == 2
    assert space[1]["x"] == 2


# Conditions.


def test_conditional_parameters():
    space = grid(
        model=["svm", "forest"],
        C=([0.1, 1.0], "model == 'svm'"),
        trees=([10, 20, 30], "model == 'forest'"),
        seed=[1, 2],
    )
    assert len(space) == (2 + 3) * 2
    assert space[0] == {"model": "svm", "C": 0.1, "seed": 1}
    assert space[-1] == {"model": "forest", "trees": 30, "seed": 2}
    assert {"model": "svm", "C": 0.1, "trees": 10, "seed": 1} not in space
    assert {"model": "forest", "trees": 10, "seed": 1} in space
    assert {"model": "forest", "trees": 10} not in space


def test_a_condition_on_what_is_inactive_is_false():
    space = grid(a=[0, 1], b=([5, 6], "a == 1"), c=([7, 8], "b == 5"), d=([9], "not b == 5"))
    assert points(space) == [
        {"a": 0},
        {"a": 1, "b": 5, "c": 7},
        {"a": 1, "b": 5, "c": 8},
        {"a": 1, "b": 6, "d": 9},
    ]


def test_an_axis_of_a_million_values_may_decide():
    space = grid(n=arange(10**6), flag=(["x", "y"], "n >= 999_998"))
    assert len(space) == 10**6 + 2
    assert space[-1] == {"n": 999_999, "flag": "y"}
    assert space.index({"n": 999_998, "flag": "y"}) == 999_999


def test_states_are_shared():
    values = {f"p{i}": [0, 1, 2] for i in range(12)}
    whens = {f"q{i}": ([1, 2], f"p{i} > 0") for i in range(0, 12, 4)}
    space = grid(**values, **whens)
    assert space.size == 3**9 * 5**3
    largest = max(
        getattr(level, "first", np.zeros(2)).size for level in space.candidates.blocks[0].tree._levels
    )
    assert largest <= 9  # three conditions, each open or decided, are at most eight states


def test_too_many_combinations_of_conditions():
    with pytest.raises(
        ExpressionError, match=r"too many combinations of conditions: 4,000,000 values of a, b decide"
    ):
        grid(a=arange(2000), b=arange(2000), c=([1, 2], "a > b"))
    names = [f"p{i}" for i in range(24)]
    many = {name: ([1, 2], None) for name in names} | {
        f"q{i}": ([1, 2], f"{name} == 1") for i, name in enumerate(names)
    }
    with pytest.raises(
        ExpressionError, match=r"too many combinations of conditions: [\d,]+ on one axis, at most 1,000,000"
    ):
        grid(**many)


def test_a_condition_reads_earlier_parameters():
    with pytest.raises(ExpressionError, match="`when` of 'a' reads 'b', which is no earlier parameter"):
        grid(a=([1], "b == 1"), b=[1])
    with pytest.raises(ExpressionError, match="`when` of 'a' reads 'a', which is no earlier parameter"):
        grid(a=([1], "a == 1"))


# Unions.


def test_later_blocks_leave_out_what_earlier_ones_contain():
    space = Space(
        [
            [Axis(("a",), ([1, 2],)), Axis(("b",), ([1, 2],))],
            [Axis(("a", "b"), ([2, 3, 1.0], [2, 3, 3]))],
            [Axis(("b",), ([3, 4],)), Axis(("a",), ([3, True],))],
            [Axis(("a",), ([1, 2],))],
        ]
    )
    assert points(space)[4:] == [
        {"a": 3, "b": 3},
        {"a": 1.0, "b": 3},
        {"b": 3, "a": True},
        {"b": 4, "a": 3},
        {"b": 4, "a": True},
        {"a": 1},
        {"a": 2},
    ]
    assert space.names == ("a", "b")


def test_a_large_union_costs_nothing():
    wide = [Axis((name,), (arange(10**5),)) for name in "abc"]
    wider = [Axis((name,), (arange(-1, 10**5),)) for name in "abc"]
    space = Space([wide, wider])
    assert len(space) == (10**5 + 1) ** 3
    assert space.index({"a": -1, "b": 0, "c": 0}) == 10**15 + 10**5 + 2
    assert space[10**15] == {"a": -1, "b": -1, "c": -1}


def test_a_column_has_one_type_in_all_blocks():
    space = Space([[Axis(("x",), ([1, 2],))], [Axis(("x",), ([0.5],))], [Axis(("y",), (["t"],))]])
    assert space.columns(0, 2).column("x").values.dtype == np.float64
    assert points(space) == [{"x": 1}, {"x": 2}, {"x": 0.5}, {"y": "t"}]
    assert [type(value) for value in space.columns(0, 3).arguments(["x"])[0]] == [int, int, float]
    assert not space.columns(0, 3).column("y").present.any()
    assert space.columns(0, 0).arguments(["x", "y"]) == [[], []]


# Derived columns and content.


def test_derived_columns_may_read_those_before():
    space = grid(a=[1, 2], b=[4], derive={"r": "b / a", "double": "r * 2"}, where="double > 4")
    found = space.columns(0, 2)
    assert found.column("double").values.tolist() == [8.0, 4.0]
    assert found.arguments(["double", "a"]) == [[8.0, 4.0], [1, 2]]
    assert space.keep(found).tolist() == [True, False]
    assert space.count() == (1, True)
    assert space[0] == {"a": 1, "b": 4}


def test_a_derived_value_of_what_is_absent_is_absent():
    space = grid(m=["x", "y"], a=([1], "m == 'x'"), derive={"b": "a + 1"})
    assert space.columns(0, 2).arguments(["b"]) == [[2, ABSENT]]


def test_content_ids_name_the_content():
    one, other = (
        grid(a=[1, 2], b=[True], derive={"r": "a / 2"}),
        grid(b=[True], z=["q"], a=[2.0], derive={"r": "a * 0.5"}),
    )
    assert one.content_id(1, ()) == "c838d96aca7cd9e6"  # for ever: logs and artifacts are filed under it
    assert one.content_id(1, ()) == grid(b=[True], a=[2.0]).content_id(0, ())
    assert one.content_id(1, ()) != grid(b=[1], a=[2.0]).content_id(0, ())
    assert one.content_id(1, ()) != one.content_id(1, {"r"})
    assert one.content_id(1, {"r"}) == grid(a=[2], b=[True], derive={"r": "a * 0.5"}).content_id(
        0, {"r", "a"}
    )
    assert other.content_id(0, ()) not in {one.content_id(i, ()) for i in range(2)}


def test_canonical_texts():
    assert canonical(1) == canonical(1.0) == "1"
    assert canonical(-0.0) == canonical(0) == "0"
    assert canonical(True) == "true" != canonical(1)
    assert canonical({"b": 1.0, "a": [2.5, None]}) == '{"a":[2.5,null],"b":1}'
    assert canonical({1: 2}) == '{"1":2}'
    assert canonical(2**70) == str(2**70) == canonical(float(2**70))
    assert canonical(math.nan) == "NaN"
    assert canonical(Opaque("abc", "Model")) == '{"opaque":"abc"}'
    with pytest.raises(
        TypeError, match=r"a value is null, a bool, number, text, list or mapping, not set: \{1\}"
    ):
        canonical([{1}])


def test_match_compares_derived_values_that_the_objective_receives():
    old = grid(a=[1, 2, 4], derive={"r": "a * 2"})
    new = grid(a=[1, 2, 3, 4], derive={"r": "a ** 2"})
    everything = np.arange(3)
    assert new.match(old, everything, was={}, receives={"a"}).tolist() == [0, 1, 3]
    assert new.match(old, everything, was={}, receives={"a", "r"}).tolist() == [-1, 1, -1]
    assert grid(a=[1, 2]).match(old, everything, was={}, receives={"a", "r"}).tolist() == [-1, -1, -1]
    same = grid(a=[4, 2, 1], derive={"r": "a * 2"})
    assert same.match(old, everything, was={}, receives={"a", "r"}).tolist() == [2, 1, 0]


def test_was_stands_for_parameters_that_old_points_lacked():
    old, new = grid(a=[1, 2]), grid(a=[2, 1], dt=[0.05, 0.1])
    assert new.match(old, np.arange(2), was={"dt": 0.1}, receives=()).tolist() == [3, 1]
    assert new.match(old, np.arange(2), was={}, receives=()).tolist() == [-1, -1]
    assert new.match(old, np.arange(2), was={"dt": 7}, receives=()).tolist() == [-1, -1]
    assert new.match(new, np.arange(4), was={"dt": 0.1}, receives=()).tolist() == [0, 1, 2, 3]
    new = grid(a=[1, 2], dt=([0.1, 0.05], "a == 1"))
    assert new.match(old, np.arange(2), was={"dt": 0.1}, receives=()).tolist() == [0, 2]
    assert new.match(old, np.arange(2), was={"dt": 7}, receives=()).tolist() == [-1, 2]


def test_match_of_a_million_points():
    old = grid(a=linspace(0, 1, 101), b=arange(10**4))
    new = grid(b=arange(0, 10**4, 2), a=linspace(0, 1, 201))
    found = new.match(old, np.arange(old.size), was={}, receives=())
    assert (found >= 0).sum() == 101 * 5000
    assert found[10**4] == -1 or new[int(found[10**4])] == old[10**4]
    assert new[int(found[-2])] == old[old.size - 2]


def test_an_estimate_is_called_one_and_is_always_the_same():
    space = grid(a=arange(3000), b=arange(3000), where="a > b")
    estimate, exact = space.count(limit=10**6)
    assert not exact
    assert estimate == space.count(limit=10**6)[0]
    assert abs(estimate / (3000 * 2999 / 2) - 1) < 0.005  # five standard errors of a million draws


# Values.


def test_linspace_contains_what_people_expect():
    assert linspace(1, 4, 31)[14] == 2.4
    assert linspace(-100, 100, 2001)[1001] == 0.1
    assert linspace(0, 1, 3) == [0.0, 0.5, 1.0]
    assert linspace(5, 6, 1) == [5.0]
    assert linspace(0, 1, 0) == []
    assert set(linspace(0.1, 1, 50)) <= set(linspace(0.1, 1, 99))


@given(
    start=st.decimals(-1000, 1000, places=3), stop=st.decimals(-1000, 1000, places=3), num=st.integers(2, 40)
)
@settings(deadline=None)
def test_linspace_is_numpys_and_a_refined_grid_meets_it(start, stop, num):
    start, stop = float(start), float(stop)
    values = linspace(start, stop, num)
    assert np.allclose(values, np.linspace(start, stop, num), rtol=1e-12, atol=1e-12)
    assert (values[0], values[-1]) == (start, stop)
    assert linspace(start, stop, 2 * num - 1)[::2] == values


def test_geomspace_and_logspace():
    assert geomspace(0.1, 10, 5) == [0.1, 0.316227766016838, 1.0, 3.16227766016838, 10.0]
    assert geomspace(0.1, 10, 5) == geomspace(0.1, 1000, 9)[:5]
    assert geomspace(-8, -1, 4) == [-8.0, -4.0, -2.0, -1.0]
    assert logspace(-3, 3, 7) == [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]
    assert logspace(-300, 300, 3) == [1e-300, 1.0, 1e300]
    assert np.allclose(logspace(-2.5, 1, 50), np.logspace(-2.5, 1, 50), rtol=1e-14)
    assert geomspace(1, 2**0.5, 1) == [1.0]
    assert geomspace(1e-5, 1e5, 100_001)[50_000] == 1.0
    with pytest.raises(
        ValueError, match="geomspace from 0 to 1: both ends must have the same sign, and none be 0"
    ):
        geomspace(0, 1, 5)


def test_ranges():
    assert list(arange(3)) == [0, 1, 2]
    assert list(arange(5, 1, -2)) == [5, 3]
    assert arange(0, 1, 0.1)[3] == 0.3
    assert arange(0, 1, 0.1)[-1] == 0.9
    assert arange(1.5) == [0.0, 1.0]
    assert arange(1, 0, 0.5) == []
    assert arange(1e-3, 5e-3, 1e-3) == [0.001, 0.002, 0.003, 0.004]
    with pytest.raises(ValueError, match="range needs a step other than 0"):
        arange(0, 1, 0)


def test_repeated_combinations():
    assert Axis(("a",), ([1, 2, 1.0, 2],)).repeated() == (0, 2)
    assert Axis(("a",), ([1, True, "1", None],)).repeated() is None
    assert Axis(("a", "b"), ([1, 1, 1], ["x", "y", "x"])).repeated() == (0, 2)
    assert Axis(("a", "b", "c"), ([1, 1, 2], [3, 3, 3], [5, 6, 5])).repeated() is None
    assert Axis(("a",), ([math.nan, 0.5, math.nan],)).repeated() == (0, 2)
    assert Axis(("a",), ([[1], [1.0]],)).repeated() == (0, 1)
    assert Axis(("a",), (arange(10**6),)).repeated() is None


def test_forms_are_kept_in_place_of_values():
    axis = Axis(("seed",), (seeds(1000, 7),), Expression("a == 1"), ("seeds", 1000, 7))
    space = Space([[Axis(("a",), ([1],)), axis]])
    assert space.spec()["blocks"][0][1] == {"names": ["seed"], "form": ["seeds", 1000, 7], "when": "a == 1"}
    again = Space.from_spec(json.loads(json.dumps(space.spec())))
    assert again[999] == {"a": 1, "seed": seeds(1000, 7)[999]}
    assert again.blocks[0][1].form == ("seeds", 1000, 7)


def test_opaque_constants_and_mappings_survive_json():
    values = [Opaque("d1", "Model"), {"$opaque": [1, 2]}, {"$mapping": 3}, {"k": 1}]
    space = grid(x=values)
    again = Space.from_spec(json.loads(json.dumps(space.spec())))
    assert again.columns(0, 4).arguments(["x"]) == [values]
    assert space.index({"x": Opaque("d1", "Model")}) == 0
    assert str(values[0]) == "<Model d1>"


# Mistakes.


def test_mistakes_are_named():
    space = grid(a=[1, 2])
    with pytest.raises(IndexError, match="there is no point 2: the space has 2"):
        space[2]
    with pytest.raises(IndexError, match="there is no point -3"):
        space[-3]
    with pytest.raises(IndexError, match=r"the space has points 0 to 1, not 0 to 2"):
        space.columns(0, 3)
    with pytest.raises(KeyError, match=r'no point is {"a":3}'):
        space.index({"a": 3})
    with pytest.raises(KeyError, match="the space has no parameter or derived column 'z'"):
        space.columns(0, 1).column("z")
    with pytest.raises(UsageError, match="parameter 'a' stands twice in one block"):
        Space([[Axis(("a",), ([1],)), Axis(("a",), ([2],))]])
    with pytest.raises(UsageError, match="parameter 'a' has no values"):
        grid(a=[])
    with pytest.raises(UsageError, match="derived column 'a' has the name of a parameter"):
        grid(a=[1], derive={"a": "1"})
    with pytest.raises(
        ExpressionError, match="derived column 'r' reads 's', which is no parameter, nor derived before it"
    ):
        grid(a=[1], derive={"r": "s", "s": "a"})
    with pytest.raises(ExpressionError, match="`where` reads 'z', which is no parameter"):
        grid(a=[1], where="z > 1")
    wrong = grid(a=[1], where="a < 'x'")
    with pytest.raises(ExpressionError, match=r"expression \"a < 'x'\": 1 < 'x' cannot be computed"):
        wrong.keep(wrong.columns(0, 1))


def test_absent_is_one_object():
    import copy
    import pickle

    assert pickle.loads(pickle.dumps(ABSENT)) is copy.deepcopy(ABSENT) is ABSENT
    assert repr(ABSENT) == "ABSENT"


@given(widths=st.lists(st.integers(1, 6), min_size=1, max_size=4), data=st.data())
@example(widths=[1], data=None)
@settings(deadline=None)
def test_codes_that_are_no_point_have_no_index(widths, data):
    made = tree.Tree(widths)
    code = [0] * len(widths) if data is None else [data.draw(st.integers(-2, width)) for width in widths]
    index = int(made.encode([np.array([c]) for c in code], 1)[0])
    inside = all(0 <= c < width for c, width in zip(code, widths, strict=True))
    assert (index >= 0) == inside
    if inside:
        assert [int(c[0]) for c in made.decode(np.array([index]))] == code
