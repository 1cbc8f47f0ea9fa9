"""Designs: what is drawn is distributed as it says, fills space as its method says, and depends on nothing else."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tracemalloc
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

import swath
from running import ENVIRONMENT
from swath.definition import define
from swath.errors import DefinitionError
from swath.space import ABSENT, Axis, Space
from swath.space.distributions import Distribution
from swath.space.elementary import exp, log, normal_quantile
from swath.space.expressions import Expression
from swath.space.sequences import METHODS, direction_numbers

EVERY = list(METHODS)
EXTENSIBLE = ["random", "sobol", "halton"]
MIXED = {
    "lr": {"loguniform": [1e-5, 0.1]},
    "width": {"loguniform": [1, 1024], "step": 1},
    "decay": {"normal": [0, 2], "step": 0.25},
    "depth": {"integers": [1, 4]},
    "kind": {"choice": ["relu", "tanh", None]},
}

KNOWN = {
    "random": [
        {"lr": 0.002510845376649798, "width": 87, "decay": -0.75, "depth": 3, "kind": None},
        {"lr": 0.014828738252982298, "width": 11, "decay": 2.5, "depth": 1, "kind": "tanh"},
    ],
    "sobol": [
        {"lr": 0.018600882729376652, "width": 3, "decay": 0.5, "depth": 1, "kind": "tanh"},
        {"lr": 0.05736686039059307, "width": 41, "decay": 0.25, "depth": 4, "kind": "relu"},
    ],
    "halton": [
        {"lr": 0.0023911178751005397, "width": 787, "decay": 0.0, "depth": 2, "kind": "relu"},
        {"lr": 0.0009992973508406934, "width": 707, "decay": 3.5, "depth": 3, "kind": "tanh"},
    ],
    "lhs": [
        {"lr": 0.008215785955581239, "width": 46, "decay": -1.25, "depth": 1, "kind": "tanh"},
        {"lr": 0.03220875572101739, "width": 15, "decay": 0.75, "depth": 1, "kind": "tanh"},
    ],
}


def design(names="x", *, method="random", draws=1000, root=0, whens=(), distributions=None):
    """A design axis; each name is uniform unless it says otherwise."""
    names = tuple(names)
    specs = distributions or [{"uniform": [0, 1]}] * len(names)
    told = {"method": method, "draws": draws, "root": root, "distributions": specs}
    return Axis.made(names, ("sample", told), whens=whens)


def unit(method, n, dimensions, root=0):
    """Points in the unit cube, shape (n, dimensions)."""
    names = [f"x{i}" for i in range(dimensions)]
    sequence = METHODS[method](names, n, root)
    return np.stack([sequence.fractions(np.arange(n), i) for i in range(dimensions)], axis=1)


def sampled(parameters, draws=100, method="random", **keys):
    sample = {"method": method, "draws": draws}
    return define({"objective": "a:b", "parameters": parameters, "sample": sample, **keys}).space


def refused(parameters, **keys):
    with pytest.raises(DefinitionError) as caught:
        define({"objective": "a:b", "parameters": parameters, **keys})
    return [
        f"{mistake.key}: {mistake.text}; {mistake.hint}".rstrip("; ") for mistake in caught.value.mistakes
    ]


# Functions that are the same on every machine.


def test_elementary_functions_are_right_to_the_last_place_or_two():
    random = np.random.default_rng(0)

    def places(found, expected):
        return float((np.abs(found - expected) / np.spacing(np.abs(expected))).max())

    x = random.uniform(-690, 690, 10**5)
    assert places(exp(x), np.exp(x)) <= 1
    assert places(log(np.exp(x)), np.log(np.exp(x))) <= 1
    x = random.uniform(0.5, 2, 10**5)
    assert places(log(x), np.log(x)) <= 1
    p = np.concatenate([random.uniform(0, 1, 10**5), 2.0 ** -np.arange(1, 54), 1 - 2.0 ** -np.arange(2, 54)])
    np.testing.assert_allclose(normal_quantile(p), special.ndtri(p), rtol=2e-15, atol=2e-16)
    assert normal_quantile(np.array([0.3]))[0] == pytest.approx(
        statistics.NormalDist().inv_cdf(0.3), rel=1e-15
    )


def test_values_are_known_to_the_last_bit():
    """What other machines must find: processors and libraries have no say in it."""
    found = {}
    for method in EVERY:
        space = sampled(MIXED, draws=1000, method=method, seed=7)
        found[method] = [space[0], space[999]]
    assert json.dumps(found, sort_keys=True) == json.dumps(KNOWN, sort_keys=True)


DIGEST = """
import hashlib
import numpy as np
from swath.definition import define

found = hashlib.blake2b(digest_size=8)
forms = [
    {"uniform": [0, 1]}, {"loguniform": [1e-5, 0.1]}, {"normal": [0, 1]}, {"lognormal": [0, 1]},
    {"normal": [0, 2], "step": 0.1}, {"integers": [1, 10**6]},
]
parameters = {f"x{i}": form for i, form in enumerate(forms)}
for method in ("random", "sobol", "halton", "lhs"):
    sample = {"method": method, "draws": 20_000}
    points = define({"objective": "a:b", "parameters": parameters, "sample": sample}).space.columns(0, 20_000)
    for name in parameters:
        found.update(points.column(name).values.tobytes())
"""


def test_values_do_not_depend_on_the_instructions_of_the_processor():
    """Where numpy is told to use old ones, its own exponentials differ in the last digit; what is drawn does not."""
    here = {}
    exec(DIGEST, here)
    wide = "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIGEST + "print(found.hexdigest())"],
        env={**ENVIRONMENT, "NPY_DISABLE_CPU_FEATURES": wide},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == here["found"].hexdigest()


# Distributions.


def ks(name, draws, against):
    column = sampled({"x": name}, draws).columns(0, draws).column("x").values
    return stats.kstest(column, against).pvalue


@pytest.mark.parametrize(
    ("form", "against"),
    [
        ({"uniform": [-2, 3]}, stats.uniform(-2, 5)),
        ({"loguniform": [1e-5, 10]}, stats.loguniform(1e-5, 10)),
        ({"normal": [3, 0.5]}, stats.norm(3, 0.5)),
        ({"lognormal": [1, 0.7]}, stats.lognorm(0.7, scale=math.e)),
    ],
)
def test_continuous_distributions_are_scipys(form, against):
    assert ks(form, 10**5, against.cdf) > 0.01
    for method in (
        "sobol",
        "halton",
        "lhs",
    ):  # better than random: the distance falls with 1/n, not 1/sqrt(n)
        column = sampled({"x": form}, 4096, method).columns(0, 4096).column("x").values
        assert stats.kstest(column, against.cdf).statistic < 0.002


@pytest.mark.parametrize(
    ("form", "against"),
    [
        ({"integers": [-1, 3]}, dict.fromkeys(range(-1, 4), 1 / 5)),
        ({"integers": [0, 10], "step": 5}, {0: 1 / 3, 5: 1 / 3, 10: 1 / 3}),
        ({"uniform": [0.1, 0.4], "step": 0.1}, {0.1: 1 / 4, 0.2: 1 / 4, 0.3: 1 / 4, 0.4: 1 / 4}),
        ({"uniform": [0, 1], "step": 0.3}, {0.0: 1 / 4, 0.3: 1 / 4, 0.6: 1 / 4, 0.9: 1 / 4}),
        ({"choice": ["a", 1, None]}, {"a": 1 / 3, 1: 1 / 3, None: 1 / 3}),
        (
            {"normal": [0, 0.1], "step": 0.1},
            {
                k / 10: stats.norm.cdf((k + 0.5), scale=1) - stats.norm.cdf((k - 0.5), scale=1)
                for k in range(-5, 6)
            },
        ),
        (
            {"loguniform": [1, 5], "step": 1},
            {k: math.log(min(k + 0.5, 5) / max(k - 0.5, 1)) / math.log(5) for k in range(1, 6)},
        ),
    ],
)
def test_values_that_are_counted_come_as_often_as_they_should(form, against):
    n = 10**5
    values = sampled({"x": form}, n).columns(0, n).arguments(["x"])[0]
    assert set(values) <= against.keys()
    expected = np.array([against[value] for value in against]) * n
    counts = np.array([values.count(value) for value in against])
    likely = expected > 5
    assert (
        stats.chisquare(
            counts[likely], expected[likely] * counts[likely].sum() / expected[likely].sum()
        ).pvalue
        > 0.01
    )


def test_whole_numbers_where_bounds_and_step_are_whole():
    space = sampled(
        {
            "a": {"uniform": [0, 8], "step": 2},
            "b": {"uniform": [0.0, 8], "step": 2},
            "c": {"loguniform": [0.5, 100], "step": 1},
            "d": {"normal": [0, 3], "step": 1},
            "e": {"lognormal": [0, 1], "step": 0.5},
            "f": {"uniform": [0, 8]},
            "g": {"integers": [1, 3]},
        }
    )
    points = space.columns(0, 100)
    kinds = {
        name: set(map(type, values))
        for name, values in zip("abcdefg", points.arguments("abcdefg"), strict=True)
    }
    whole, real = {int}, {float}
    assert kinds == {"a": whole, "b": real, "c": whole, "d": whole, "e": real, "f": real, "g": whole}
    assert min(points.arguments("c")[0]) == 1  # multiples of the step that lie between the bounds
    assert points.column("a").values.dtype == np.int64


def test_steps_are_multiples_as_people_write_them():
    values = sampled({"x": {"uniform": [0.1, 1.7], "step": 0.1}}, 10**4).columns(0, 10**4).arguments("x")[0]
    assert {repr(value) for value in values} == {f"{i / 10}" for i in range(1, 18)}


def test_a_step_between_large_numbers_still_separates_them():
    spec = {"uniform": [0.1, 2**50], "step": 1}
    fractions = np.array([2.0**-53, 0.5, 1 - 2.0**-53])
    assert Distribution.from_spec(spec).at(fractions).tolist() == [0.1, 2**49 + 0.1, float(2**50 - 1) + 0.1]


finite = st.floats(-1e300, 1e300) | st.integers(-(10**6), 10**6) | st.sampled_from([0, 1e-300, -0.0, 0.1])
steps = st.none() | st.floats(1e-12, 1e12) | st.integers(1, 1000)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["uniform", "loguniform", "normal", "lognormal", "integers"]), finite, finite, steps)
def test_whatever_is_accepted_gives_sound_values(kind, first, second, step):
    if "normal" not in kind:
        first, second = sorted((first, second))
    form = {kind: [first, second], **({} if step is None else {"step": step})}
    try:
        space = sampled({"x": form}, 50)
    except DefinitionError:
        return
    distribution = Distribution.from_spec(form)
    ends = np.array([2.0**-53, 0.5, 1 - 2.0**-53])
    values = distribution.at(ends).tolist() + space.columns(0, 50).arguments(["x"])[0]
    assert all(map(math.isfinite, values))
    assert set(map(type, values)) == set(distribution.types)
    assert values[0] <= values[1] <= values[2]
    if kind in {"uniform", "loguniform", "integers"}:
        assert all(first <= value <= second for value in values)
    assert all(space.index(space[i]) <= i for i in range(0, 50, 7))


# Methods.


def discrepancies(method, n, dimensions, roots=range(5)):
    return [stats.qmc.discrepancy(unit(method, n, dimensions, root)) for root in roots]


@pytest.mark.parametrize("dimensions", [2, 5])
def test_sobol_and_halton_fill_space_more_evenly_than_random(dimensions):
    random, sobol, halton, lhs = (
        discrepancies(method, 512, dimensions) for method in ("random", "sobol", "halton", "lhs")
    )
    assert max(sobol) < min(random) / 5
    assert max(halton) < min(random) / 5
    assert statistics.mean(lhs) < statistics.mean(random) / 1.5


def test_sobol_is_balanced():
    """Every one of 2^k equal boxes, of any shape, has as many of 2^m points, as the net's parameter allows."""
    points = unit("sobol", 1024, 2)
    for a in range(9):
        boxes = (points[:, 0] * 2**a).astype(int) * 2 ** (8 - a) + (points[:, 1] * 2 ** (8 - a)).astype(int)
        assert set(np.bincount(boxes, minlength=256)) == {4}
    many = unit("sobol", 256, 512)
    assert all(set(np.bincount((column * 256).astype(int))) == {1} for column in many.T)


def test_direction_numbers_are_scipys():
    reference = stats.qmc.Sobol(512, scramble=False, bits=52).random(8)
    gray = [i ^ i >> 1 for i in range(8)]
    for dimension in range(512):
        numbers = direction_numbers(dimension)
        found = [sum_of(numbers[bit] for bit in range(3) if code >> bit & 1) * 2.0**-52 for code in gray]
        assert found == reference[:, dimension].tolist()


def sum_of(numbers):
    total = 0
    for number in numbers:
        total ^= int(number)
    return total


def test_halton_is_balanced_in_every_base():
    for dimension, base in enumerate([2, 3, 5, 7, 11]):
        column = unit("halton", base**3, 5)[:, dimension]
        assert set(np.bincount((column * base**3).astype(int))) == {1}


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_a_latin_hypercube_hits_every_stratum_once(n):
    for column in unit("lhs", n, 4).T:
        assert sorted((column * n).astype(int)) == list(range(n))


@pytest.mark.parametrize("method", EVERY)
def test_dimensions_do_not_resemble_each_other(method):
    points = unit(method, 4096, 6)
    assert np.abs(np.corrcoef(points.T) - np.eye(6)).max() < 0.06
    assert not (points == unit(method, 4096, 6, root=1)).any()


@pytest.mark.parametrize("method", ["random", "lhs"])
def test_what_else_is_drawn_does_not_matter(method):
    one, two = (Space([[design(names, method=method, draws=50)]]) for names in ("b", "ab"))
    assert one.columns(0, 50).column("b").values.tolist() == two.columns(0, 50).column("b").values.tolist()


# Random access.


@pytest.mark.parametrize("method", EVERY)
@settings(deadline=None, max_examples=15)
@given(
    rows=st.lists(st.integers(0, 10**10 - 1), min_size=1, max_size=30),
    order=st.sampled_from(["grid", "shuffle"]),
)
def test_a_point_is_the_same_however_it_is_reached(method, rows, order):
    specs = list(MIXED.values())
    axis = design(MIXED, method=method, draws=10**9, distributions=specs)
    space = Space([[Axis(("n",), ([1, 2, 3, 4, 5],)), axis, Axis(("m",), (["p", "q"],))]], order=order)
    together = space.take(np.array(rows)).arguments(space.names)
    alone = [space.take(np.array([row])).arguments(space.names) for row in rows]
    assert [list(point) for point in zip(*together, strict=True)] == [
        [value for (value,) in point] for point in alone
    ]
    assert [space[row] for row in rows] == [
        dict(zip(space.names, point, strict=True)) for point in zip(*together, strict=True)
    ]
    assert space.positions(space.at(np.array(rows))).tolist() == rows


@pytest.mark.parametrize("method", EVERY)
def test_a_billion_draws_and_a_product_of_10_to_the_12_cost_nothing(method):
    tracemalloc.start()
    began = process_time()
    space = sampled({**MIXED, "n": {"range": [1000]}}, 10**9, method)
    assert len(space) == 10**12
    assert space.count() == (10**12, True)
    last = space.columns(10**12 - 1000, 10**12)
    assert all(len(values) == 1000 for values in last.arguments(space.names))
    seconds, (_, most) = process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20e6
    assert seconds < 5


@pytest.mark.parametrize("method", EXTENSIBLE)
def test_more_draws_begin_with_the_same(method):
    few, many = (sampled({**MIXED, "m": [1, 2]}, draws, method) for draws in (100, 70_000))
    assert few.columns(0, 200).arguments(few.names) == many.columns(0, 200).arguments(few.names)
    huge = sampled({**MIXED, "m": [1, 2]}, 10**12, method)
    assert few.columns(0, 200).arguments(few.names) == huge.columns(0, 200).arguments(few.names)


# Matching of definitions.


@pytest.mark.parametrize("method", EVERY)
def test_points_of_an_extended_design_are_found(method):
    old, new = (sampled({**MIXED, "m": [1, 2]}, draws, method) for draws in (10**9, 2 * 10**9))
    indices = np.array([0, 1, 7, 10**9 + 1, 2 * 10**9 - 1])
    if method == "lhs":  # another hypercube, too large to be compared value by value
        with pytest.raises(
            swath.UsageError, match=r"2,000,000,000 rows .* are too many to be compared by value"
        ):
            new.match(old, indices, was={}, receives=())
        return
    assert new.match(old, indices, was={}, receives=()).tolist() == indices.tolist()
    assert old.match(new, indices, was={}, receives=()).tolist() == indices.tolist()
    beyond = np.array([2 * 10**9, 4 * 10**9 - 1])
    assert old.match(new, beyond, was={}, receives=()).tolist() == [-1, -1]


def test_points_of_another_design_are_found_by_content():
    old = sampled({"x": {"uniform": [0, 1]}, "k": {"choice": ["a", "b"]}, "m": [1, 2]}, 50)
    more = sampled({"m": [2, 1], "k": {"choice": ["a", "b"]}, "x": {"uniform": [0, 1]}}, 80)
    found = more.match(old, np.arange(100), was={}, receives=()).tolist()
    assert [more[i] for i in found] == [
        old[i] for i in range(100)
    ]  # what is drawn at random follows from its name
    table = Space([[Axis(("x", "k", "m"), tuple(zip(*(old[i].values() for i in (3, 50)), strict=True)))]])
    assert old.names == ("x", "k", "m")
    assert old.match(table, np.arange(2), was={}, receives=()).tolist() == [3, 50]
    assert table.match(old, np.arange(100), was={}, receives=()).tolist() == [
        {3: 0, 50: 1}.get(i, -1) for i in range(100)
    ]
    for i in (0, 17, 99):
        assert old.index(old[i]) == i
    assert {**old[0], "x": 0.5} not in old


def test_a_parameter_that_is_drawn_later_counts_as_it_was():
    old = sampled({"x": {"uniform": [0, 1]}}, 20)
    new = sampled({"x": {"uniform": [0, 1]}, "k": {"integers": [1, 2], "was": 1}}, 40)
    expected = [i if new[i]["k"] == 1 else -1 for i in range(20)]
    assert new.match(old, np.arange(20), was={"k": 1}, receives=()).tolist() == expected


# Conditions.

CONDITIONAL = {
    "model": {"choice": ["svm", "tree", "knn"]},
    "c": {"loguniform": [0.1, 10], "when": "model == 'svm'"},
    "data": ["small", "large"],
    "depth": {"integers": [1, 9], "when": "model == 'tree' and data == 'large'"},
    "leaf": {"integers": [1, 5], "when": "depth > 5"},
}


@pytest.mark.parametrize("order", ["grid", "shuffle"])
def test_conditions_of_drawn_parameters_are_judged_point_by_point(order):
    space = sampled(CONDITIONAL, 200, "sobol", order=order)
    assert space.names == tuple(CONDITIONAL)
    assert len(space) == 400
    points = [space[i] for i in range(400)]
    for point in points:
        assert ("c" in point) == (point["model"] == "svm")
        assert ("depth" in point) == (point["model"] == "tree" and point["data"] == "large")
        assert ("leaf" in point) == (point.get("depth", 0) > 5)
    assert {"leaf", "depth", "c"} <= set().union(*points)
    columns = space.columns(0, 400)
    for name, values in zip(space.names, columns.arguments(space.names), strict=True):
        assert values == [point.get(name, ABSENT) for point in points]
        present = columns.column(name).present
        assert (present is None) == all(name in point for point in points)
    assert all(space[space.index(point)] == point for point in points[::7])
    made = Space.from_spec(json.loads(json.dumps(space.spec())))
    assert [made[i] for i in range(400)] == points
    kept = Space(space.blocks, where=Expression("leaf < 3 if depth > 5 else model != 'knn'"))
    assert kept.count() == (int(kept.keep(kept.columns(0, 400)).sum()), True)


def test_points_of_conditional_designs_match():
    old, new = (sampled(CONDITIONAL, draws, "halton") for draws in (100, 200))
    assert new.match(old, np.arange(200), was={}, receives=()).tolist() == list(range(200))
    listed = {
        **CONDITIONAL,
        "data": ["large", "small"],
        "extra": {"uniform": [0, 1], "when": "data == 'tiny'"},
    }
    other = sampled(listed, 150, "halton")  # no longer the same design: found by content
    found = other.match(old, np.arange(200), was={}, receives=()).tolist()
    assert [other[i] for i in found] == [old[i] for i in range(200)]


@settings(deadline=None, max_examples=40)
@given(
    st.data(),
    st.tuples(st.sampled_from(EVERY), st.sampled_from(EVERY)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_matching_agrees_with_a_list_of_points(data, methods, draws):
    """Few values, many conditions: most rows repeat, and what they have depends on other axes."""
    conditions = st.sampled_from(
        ["g == 1", "a == 1", "g == 2 and a == 0", "b == 'x'", "a == 0 or b == 'y'", None]
    )

    def drawn(form, reads):
        when = data.draw(conditions.filter(lambda text: text is None or set(Expression(text).names) <= reads))
        return form if when is None else {**form, "when": when}

    def space(method, n):
        parameters = {
            "g": data.draw(st.sampled_from([[1, 2], [2, 3, 1], [1]])),
            "a": drawn({"integers": [0, 1]}, {"g"}),
            "b": drawn({"choice": ["x", "y", 0]}, {"g", "a"}),
            "c": drawn({"uniform": [0, 1], "step": 0.5}, {"g", "a", "b"}),
            "h": data.draw(st.sampled_from([["p"], ["p", "q"]])),
        }
        return sampled(parameters, n, method)

    old, new = (space(method, n) for method, n in zip(methods, draws, strict=True))
    places = {}
    for i in range(len(new)):
        places.setdefault(json.dumps(new[i], sort_keys=True), i)
    found = new.match(old, np.arange(len(old)), was={}, receives=()).tolist()
    designs = [[axis.design for axis in made.blocks[0] if axis.lazy] for made in (old, new)]
    same = designs[0] == designs[1]  # then rows are matched by number, whatever else has their content
    for i, j in enumerate(found):
        content = json.dumps(old[i], sort_keys=True)
        if same and j < 0:
            continue
        assert (j >= 0) == (content in places)
        assert j < 0 or json.dumps(new[j], sort_keys=True) == content
        assert same or j in {-1, places.get(content)}


def test_an_axis_that_has_none_of_its_names_counts_once():
    space = sampled(
        {
            "mode": ["off", "on"],
            "x": {"uniform": [0, 1], "when": "mode == 'on'"},
            "y": {"uniform": [0, 1], "when": "x > 0.5"},
            "n": [1, 2],
        },
        10,
    )
    assert len(space) == 2 + 20
    points = [space[i] for i in range(22)]
    assert points[:2] == [{"mode": "off", "n": 1}, {"mode": "off", "n": 2}]
    assert all("x" in point for point in points[2:])
    assert len({json.dumps(point, sort_keys=True) for point in points}) == 22
    assert [space.index(point) for point in points] == list(range(22))
    assert space.match(space, np.arange(22), was={}, receives=()).tolist() == list(range(22))


def test_a_union_counts_points_of_the_same_design_once():
    union = sampled(
        [
            {"x": {"uniform": [0, 1]}, "m": ["a", "b"]},
            {"x": {"uniform": [0, 1]}, "m": ["b", "c"]},
            {"m": ["a"], "x": [0.5]},
        ],
        10,
    )
    assert len(union) == 20 + 10 + 1
    points = [json.dumps(union[i], sort_keys=True) for i in range(31)]
    assert len(set(points)) == 31
    assert [union.index(union[i]) for i in range(31)] == list(range(31))


# The definition.


def test_python_says_the_same_as_a_file():
    def train(lr, width, decay, depth, kind):
        return lr * width * decay * depth * len(kind or "")

    made = swath.Sweep(
        train,
        {
            "lr": swath.loguniform(1e-5, 0.1),
            "width": swath.loguniform(1, 1024, 1),
            "decay": swath.normal(0, 2, step=0.25),
            "depth": swath.integers(1, 4),
            "kind": swath.choice(["relu", "tanh", None]),
        },
        sample={"method": "sobol", "draws": 64},
    ).definition
    written = define(
        {"objective": "a:train", "parameters": MIXED, "sample": {"method": "sobol", "draws": 64}}
    )
    assert made.space.spec() == written.space.spec()
    assert define(written.source).space.spec() == written.space.spec()
    assert written.source["parameters"] == MIXED
    with_when = {"a": [1, 2], "x": {"lognormal": [0, 1], "step": 0.5, "when": "a == 1", "was": 2.0}}
    again = define({"objective": "a:b", "parameters": with_when, "sample": {"draws": 3}})
    assert again.source["parameters"] == with_when
    assert again.source["sample"] == {"method": "random", "draws": 3}


U = {"uniform": [0, 1]}
D = {"draws": 10}


@pytest.mark.parametrize(
    ("parameters", "keys", "message"),
    [
        (
            {"x": U},
            {},
            "parameters.x: has a distribution, but nothing says how many values are drawn; add `sample: {method: sobol, draws: 1000}`",
        ),
        (
            {"x": U},
            {"sample": {"method": "lhs"}},
            "sample.draws: is missing; write how many combinations are drawn: `draws: 1000`",
        ),
        ({"x": U}, {"sample": {"draws": 0}}, "sample.draws: must be at least 1, got 0"),
        (
            {"x": U},
            {"sample": {"draws": 10**13}},
            "sample.draws: must be at most 1000000000000, got 10000000000000",
        ),
        (
            {"x": U},
            {"sample": {**D, "method": "sobel"}},
            "sample.method: must be 'random' or 'sobol' or 'halton' or 'lhs', got 'sobel'; did you mean 'sobol'?",
        ),
        ({"x": U}, {"sample": {**D, "number": 3}}, "sample.number: unknown key; there are: method, draws"),
        (
            {"x": U},
            {"sample": 100},
            "sample: must be a mapping, got 100; write `sample: {method: sobol, draws: 1000}`",
        ),
        (
            {"x": [1, 2]},
            {"sample": D},
            "sample: there is nothing to draw: no parameter has a distribution; give one a distribution: `x: {uniform: [0, 1]}`",
        ),
        (
            {"x": U, "y": [1, 2]},
            {"sample": D, "zip": [["y", "x"]]},
            "zip[0][1]: 'x' is drawn from a distribution; parameters that are drawn vary together already",
        ),
        (
            {"x": U, "y": {"values": [1], "when": "x > 0.5"}},
            {"sample": D},
            "parameters.y.when: reads 'x', which is drawn point by point; draw 'y' too: `choice: [...]`",
        ),
        (
            {"x": {**U, "when": "y > 1"}, "y": [1, 2]},
            {"sample": D},
            "parameters.x.when: reads 'y', which comes later; move 'y' above 'x'",
        ),
        (
            {"x": {"uniform": [1, 0]}},
            {"sample": D},
            "parameters.x.uniform: the bounds are the wrong way round: from 1 to 0; write [0, 1]",
        ),
        (
            {"x": {"uniform": [1, 1]}},
            {"sample": D},
            "parameters.x.uniform: nothing lies between 1 and 1; write the constant 1, or other bounds",
        ),
        ({"x": {"uniform": [0]}}, {"sample": D}, "parameters.x.uniform: takes [low, high], got 1 value"),
        ({"x": {"uniform": 3}}, {"sample": D}, "parameters.x.uniform: takes [low, high], got 3"),
        ({"x": {"uniform": [0, "1"]}}, {"sample": D}, "parameters.x.uniform[1]: must be a number, got '1'"),
        (
            {"x": {"loguniform": [0, 1]}},
            {"sample": D},
            "parameters.x.loguniform[0]: must be more than zero, got 0; zero has no logarithm; start above it, or use uniform",
        ),
        (
            {"x": {"loguniform": [10, 1]}},
            {"sample": D},
            "parameters.x.loguniform: the bounds are the wrong way round: from 10 to 1; write [1, 10]",
        ),
        (
            {"x": {"normal": [0, 0]}},
            {"sample": D},
            "parameters.x.normal[1]: a standard deviation must be more than zero, got 0; write [mean, standard deviation]",
        ),
        (
            {"x": {"lognormal": [500, 100]}},
            {"sample": D},
            "parameters.x.lognormal: reaches from e^-321 to e^1321, which is no float; the mean and the deviation are those of the logarithm",
        ),
        (
            {"x": {"integers": [0, 1.5]}},
            {"sample": D},
            "parameters.x.integers[1]: must be a whole number, got 1.5",
        ),
        (
            {"x": {"integers": [0, 5], "step": 0.5}},
            {"sample": D},
            "parameters.x.step: must be a whole number, got 0.5",
        ),
        (
            {"x": {**U, "step": 0}},
            {"sample": D},
            "parameters.x.step: must be more than zero, got 0; leave it out for values of any size",
        ),
        (
            {"x": {**U, "step": 2}},
            {"sample": D},
            "parameters.x.step: there are fewer than two values 2 apart from 0 to 1; use a smaller step, or wider bounds",
        ),
        (
            {"x": {**U, "step": 1e-20}},
            {"sample": D},
            "parameters.x.step: 1e-20 is too small a step from 0 to 1",
        ),
        (
            {"x": {"choice": []}},
            {"sample": D},
            "parameters.x.choice: an empty list leaves no points; give at least one value",
        ),
        (
            {"x": {"choice": [1, 2, 1]}},
            {"sample": D},
            "parameters.x.choice[2]: 1 is repeated: values 1 and 3 are equal; leave one out",
        ),
        (
            {"x": {"choice": [1, 2], "step": 1}},
            {"sample": D},
            "parameters.x.step: unknown key; a step stands beside a distribution of numbers, such as `uniform: [0, 1]`",
        ),
        (
            {"x": {"linspace": [0, 1, 3], "step": 1}},
            {},
            "parameters.x.step: unknown key; a step stands beside a distribution of numbers, such as `uniform: [0, 1]`",
        ),
        (
            {f"x{i}": U for i in range(513)},
            {"sample": {**D, "method": "sobol"}},
            "sample.method: sobol has 512 dimensions, 513 parameters are drawn; use random or lhs",
        ),
        (
            {"x": U, "y": {"range": [10**7]}},
            {"sample": {"draws": 10**12}},
            "parameters: 10,000,000,000,000,000,000 points, more than an index can count (9,223,372,036,854,775,807); leave out values",
        ),
    ],
)
def test_a_mistake_says_where_it_is_and_the_way_out(parameters, keys, message):
    assert refused(parameters, **keys) == [message]


def test_a_slot_draws_without_scipy():
    space = sampled(MIXED, 100, "sobol")
    code = (
        "import json, sys; from swath.space import Space\n"
        "space = Space.from_spec(json.load(sys.stdin)); space.columns(0, 100).arguments(space.names)\n"
        "print(sorted({'scipy', 'pandas', 'optuna', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(space.spec()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
