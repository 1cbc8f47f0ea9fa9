"""The key ``search``: what it makes of a definition, and every mistake in it, with its place."""

import json

import jsonschema
import pytest

import swath
from swath.definition import define, schema
from swath.definition.checks import Wrong
from swath.definition.loading import load
from swath.definition.trial import try_out
from swath.errors import DefinitionError
from swath.space import Space

PARAMETERS = {"x": {"linspace": [0, 1, 11]}, "y": {"range": [5]}, "model": ["svm", "forest"], "k": 7}
CONDITIONAL = PARAMETERS | {"depth": {"values": [1, 2, 3], "when": 'model == "forest"'}}


def define_(parameters=CONDITIONAL, search=None, **keys):
    mapping = {"objective": "m:f", "minimize": "loss", "search": {"points": 20} | (search or {}), **keys}
    return define({"parameters": parameters} | mapping)


def refused(parameters=PARAMETERS, search=None, **keys):
    with pytest.raises(DefinitionError) as caught:
        define_(parameters, search, **keys)
    return [str(mistake).removeprefix("error: ") for mistake in caught.value.mistakes]


def test_what_is_chosen_is_one_axis_and_seeds_are_replicates():
    definition = define_(CONDITIONAL | {"seed": {"seeds": 3}}, {"subject_to": "latency < 0.1"})
    search, space = definition.search, definition.space
    assert [each.name for each in search.chosen] == ["x", "y", "model", "depth"]
    assert (search.method, search.points, search.startup, search.metrics) == (
        "tpe",
        20,
        10,
        ("loss", "latency"),
    )
    assert [axis.names for axis in space.blocks[0]] == [("x", "y", "model", "depth"), ("k",), ("seed",)]
    assert (space.size, space.names) == (60, ("x", "y", "model", "k", "depth", "seed"))
    space.proposals.put(
        0, [{"x": 0.5, "y": 2, "model": "svm"}, {"x": 0.1, "y": 1, "model": "forest", "depth": 3}]
    )
    assert {name: value for name, value in space[2].items() if name != "seed"} == {
        "x": 0.5,
        "y": 2,
        "model": "svm",
        "k": 7,
    }
    assert space[3]["depth"] == 3
    again = Space.from_spec(json.loads(json.dumps(space.spec())))
    assert (again.size, again.names) == (60, space.names)


def test_the_normal_form_says_the_same():
    search = {
        "method": "nsga-ii",
        "points": 90,
        "population": 10,
        "known": [{"x": 0.5, "y": 0, "model": "svm"}],
    }
    source = define_(search=search | {"from": "results/other", "subject_to": "a < 1"}).source
    assert source["search"] == search | {"from": "results/other", "subject_to": ["a < 1"]}
    assert define(source).source == source


def test_in_python_it_is_a_mapping():
    sweep = swath.Sweep(
        "m:f", {"x": swath.linspace(0, 1, 5), "y": [1, 2]}, search={"points": 9}, maximize="gain"
    )
    assert len(sweep) == 9
    assert sweep.definition.search.method == "tpe"


def test_many_choices_are_no_product():
    parameters = {f"p{i}": list(range(10)) for i in range(40)}
    assert define_(parameters, {"points": 50}).space.size == 50


SEARCHES = [
    ({"points": None}, "search.points: is missing; write how many points are evaluated: `points: 200`"),
    ({"points": 0}, "search.points: must be at least 1, got 0"),
    ({"points": "many"}, "search.points: must be a whole number, got 'many'"),
    (
        {"method": "tep"},
        "search.method: must be 'tpe' or 'gp' or 'cma-es' or 'nsga-ii' or 'random', got 'tep'; did you mean 'tpe'?",
    ),
    (
        {"startup": 21},
        "search.startup: 21 points at random, of 20 in all, so tpe would never be asked; give it fewer, or more points",
    ),
    (
        {"population": 5},
        "search.population: tpe has no such setting; it takes points, startup, subject_to, known, from",
    ),
    (
        {"method": "cma-es", "subject_to": "a < 1"},
        "search.subject_to: cma-es has no such setting; it takes points, startup, population, known, from",
    ),
    (
        {"method": "nsga-ii"},
        "search.points: 20 points are no more than one generation of 50; give it more, or a smaller `population`",
    ),
    (
        {"trials": 5},
        "search.trials: unknown key; there are: method, points, startup, population, subject_to, known, from",
    ),
    ({"minimize": "loss"}, "search.minimize: unknown key; it belongs beside `search:`, not under it"),
    (
        {"minimise": "loss"},
        "search.minimise: unknown key; did you mean 'minimize'? it belongs beside `search:`, not under it",
    ),
    (
        {"subject_to": "latency <"},
        "search.subject_to: expression 'latency <', at its end: expected a number, a name or a text",
    ),
    (
        {"subject_to": ["a < 1", 3]},
        "search.subject_to[1]: must be an expression, got 3; write a condition over metrics such as `latency < 0.1`",
    ),
    (
        {"subject_to": "latency + 1"},
        "search.subject_to: is no condition, got 'latency + 1'; compare with a number: `latency < 0.1`",
    ),
    (
        {"subject_to": "x < 1"},
        "search.subject_to: reads nothing that the objective returns; write it as `where`, which is known before a point runs",
    ),
    (
        {"known": {"x": 1}},
        "search.known: must be a list of points, got a mapping; write `known: [{x: 1, y: 2}]`",
    ),
    ({"known": [3]}, "search.known[0]: must be a mapping of parameters to values, got 3"),
    (
        {"known": [{"x": 0.5, "y": 1}]},
        "search.known[0]: lacks 'model'; a known point has every parameter that is chosen",
    ),
    (
        {"known": [{"x": 0.55, "y": 1, "model": "svm"}]},
        "search.known[0].x: 0.55 is none of the 11 values that can be chosen",
    ),
    (
        {"known": [{"x": 0.5, "y": 1, "modle": 3, "model": "svm"}]},
        "search.known[0].modle: is nothing that the search chooses; did you mean 'model'?",
    ),
    (
        {"known": [{"x": 0.5, "y": 1, "model": "svm"}] * 2},
        "search.known[1]: is repeated: points 1 and 2 are equal; leave one out",
    ),
]


@pytest.mark.parametrize(("search", "message"), SEARCHES)
def test_a_setting_that_is_wrong(search, message):
    search = {key: value for key, value in search.items() if value is not None} | (
        {} if "points" in search else {"points": 20}
    )
    with pytest.raises(DefinitionError) as caught:
        define({"objective": "m:f", "parameters": PARAMETERS, "minimize": "loss", "search": search})
    assert [str(mistake) for mistake in caught.value.mistakes] == [f"error: {message}"]


BESIDE = [
    (
        {"minimize": None},
        "minimize: is missing, so tpe cannot tell which points are good; write `minimize: metric` or `maximize: metric`",
    ),
    ({"minimize": None, "minimise": "loss"}, "minimise: unknown key; did you mean 'minimize'?"),
    ({"order": "shuffle"}, "order: points of a search run as they are proposed; leave it out"),
    (
        {"table": {"q": [1, 2]}},
        "table: does not go with `search`; list its rows as one parameter, or leave one out",
    ),
    (
        {"zip": [["model", "z"]], "parameters": PARAMETERS | {"z": [1, 2]}},
        "zip: does not go with `search`; list what belongs together as one parameter, or leave one out",
    ),
    (
        {"parameters": {"k": 7, "seed": {"seeds": 3}}},
        "parameters: there is nothing to choose: every parameter has one value; give one of them several",
    ),
    (
        {"parameters": [PARAMETERS, PARAMETERS | {"k": 8}]},
        "parameters: a search takes one mapping of parameters, got 2; join them, with conditions: `depth: {values: [2, 4], when: model == 'tree'}`",
    ),
    (
        {"where": "x < seed", "parameters": PARAMETERS | {"seed": {"seeds": 3}}},
        "where: reads 'seed', which differs among the replicates of a point; a search judges points by the mean over their replicates",
    ),
    (
        {"parameters": PARAMETERS | {"seed": {"seeds": 3, "when": "x > 0.5"}}},
        "parameters.seed.when: seeds of a search are replicates of every point; leave the condition out",
    ),
    (
        {"search": {"method": "cma-es"}, "minimize": ["a", "b"]},
        "search.method: cma-es has one goal, got 2: a, b; use nsga-ii, tpe or gp, or leave out goals",
    ),
    (
        {"search": {"method": "cma-es"}, "parameters": {"x": {"range": [9]}, "z": [1, 2]}},
        "search.method: cma-es chooses two or more numbers together, got x; use tpe, which also chooses from lists and under conditions",
    ),
    (
        {"parameters": PARAMETERS | {"seed": {"seeds": 3, "until": "se(loss) < 0.1", "max": 9}}},
        "parameters.seed: a search has as many replicates of every point; leave out `until`",
    ),
    ({"search": 200}, "search: must be a mapping, got 200; write `search: {method: tpe, points: 200}`"),
    ({"points": 200}, "points: unknown key; it belongs under `search:`"),
]


@pytest.mark.parametrize(("keys", "message"), BESIDE)
def test_what_does_not_go_together(keys, message):
    search = keys.pop("search", {})
    mapping = {"objective": "m:f", "parameters": PARAMETERS, "minimize": "loss"} | keys
    mapping["search"] = {"points": 20} | search if isinstance(search, dict) else search
    with pytest.raises(DefinitionError) as caught:
        define(mapping)
    assert f"error: {message}" in [str(mistake) for mistake in caught.value.mistakes]


def test_a_key_that_is_misspelt_is_not_called_missing_too():
    assert refused(minimize=None, minimise="loss") == ["minimise: unknown key; did you mean 'minimize'?"]
    mistakes = refused(search={"points": None, "point": 20})
    assert mistakes == ["search.point: unknown key; did you mean 'points'?"]


def test_known_points_of_conditional_spaces_and_where():
    known = [
        {"x": 0.5, "y": 1, "model": "svm", "depth": 2},
        {"x": 0.5, "y": 1, "model": "forest"},
        {"x": 1.0, "y": 1, "model": "svm"},
        {"x": 0.5, "y": 1, "model": "forest", "depth": 2},
    ]
    assert refused(CONDITIONAL, {"known": known}, where="x < 0.9") == [
        'search.known[0].depth: is absent here, because `model == "forest"` does not hold; leave it out',
        "search.known[1]: lacks 'depth'; a known point has every parameter that is chosen",
        "search.known[2]: `where` excludes it: x < 0.9; leave it out",
    ]


def test_mistakes_have_their_places_in_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(
        "objective: study:f\n"
        "parameters: {x: {linspace: [0, 1, 5]}, y: [1, 2]}\n"
        "minimize: loss\n"
        "search:\n"
        "  method: tpe\n"
        "  points: 20\n"
        "  subject_to: [latency < 1, latency <]\n"
        "  known: [{x: 0.5, y: 1}, {x: 0.5}]\n"
    )
    with pytest.raises(DefinitionError) as caught:
        load("study.yaml")
    assert str(caught.value) == (
        "study.yaml:7:29: error: search.subject_to[1]: expression 'latency <', at its end: expected a number, a name or a text\n"
        "study.yaml:8:27: error: search.known[1]: lacks 'y'; a known point has every parameter that is chosen"
    )


def test_editors_know_the_key():
    validator = jsonschema.Draft7Validator(schema())
    definition = {"objective": "m:f", "parameters": {"x": [1, 2]}}
    for search in (
        {"points": 3},
        {"method": "gp", "points": 3, "from": "results/x", "subject_to": ["a < 1"]},
    ):
        assert validator.is_valid(definition | {"search": search, "minimize": ["a", "b"]})
    for search in (3, {"method": "x"}, {"points": 0}, {"earlier": "x"}):
        assert not validator.is_valid(definition | {"search": search})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"where": "x > 2"},
            "where: excludes all of 2,000 points drawn at random: a search would find none; loosen it, or correct the values that it reads",
        ),
        (
            {"where": "model > 2"},
            "where: expression 'model > 2': 'svm' > 2 cannot be computed, at x=0.7, y=1, model='svm'; rule such",
        ),
        ({"where": "x < 0.5 or model > 2"}, "where: expression 'x < 0.5 or model > 2': 'svm' > 2"),
        (
            {"derive": {"half": "y / 2", "odd": "model - half"}},
            "derive.odd: expression 'model - half': 'svm' - ",
        ),
        (
            {
                "where": "x > 0.9",
                "derive": {"more": "x + seed"},
                "parameters": PARAMETERS | {"seed": {"seeds": 2}},
            },
            None,
        ),
    ],
)
def test_expressions_are_tried_before_anything_starts(keys, message):
    definition = define_(**{"parameters": PARAMETERS} | keys)
    if message is None:
        try_out(definition)
        return
    with pytest.raises(DefinitionError) as caught:
        try_out(definition)
    assert str(caught.value).startswith(f"error: {message}")


def test_random_is_a_design():
    parameters = CONDITIONAL | {"z": {"loguniform": [0.1, 10]}, "seed": {"seeds": 2}}
    definition = define_(parameters, {"method": "random", "points": 10**9}, minimize=None, order="shuffle")
    space = definition.space
    assert (definition.search, space.proposals, space.size) == (None, None, 2 * 10**9)
    for i in (0, 10**9 - 1):
        point = space[i]
        assert (point["model"] == "forest") == ("depth" in point)
        assert 0.1 <= point["z"] <= 10
    longer = define_(parameters, {"method": "random", "points": 2 * 10**9}, minimize=None, order="shuffle")
    assert [longer.space[i] for i in range(20)] == [space[i] for i in range(20)]
    assert define(definition.source).source == definition.source


@pytest.mark.parametrize(
    ("form", "values", "outside"),
    [
        ({"uniform": [0, 2]}, {0.0, 0.5, 2.0}, {2.1, -1, "a", None, (1,)}),
        ({"uniform": [0.1, 0.5], "step": 0.1}, {0.1, 0.2, 0.3, 0.4, 0.5}, {0.6, 0.25}),
        ({"uniform": [0, 10], "step": 5}, {0, 5, 10}, {3}),
        ({"loguniform": [0.01, 100]}, {0.01, 1.0, 100.0}, {0, 101}),
        ({"loguniform": [1, 100], "step": 10}, {10, 50, 100}, {1, 15}),
        ({"integers": [3, 6]}, {3, 4, 5, 6}, {2, 7, 3.5}),
        ({"integers": [1, 9], "step": 4}, {1, 5, 9}, {2}),
        ({"normal": [10, 2]}, {4.0, 10.0, 17.25}, {"x"}),
        ({"normal": [0, 1], "step": 0.5}, {-0.5, 0.0, 2.5}, {0.3}),
        ({"lognormal": [0, 1]}, {0.1, 1.0, 7.5}, {0, -1}),
        ({"choice": ["a", 1, None]}, {"a", 1, None}, {2}),
    ],
)
def test_values_have_codes(form, values, outside):
    domain = define_({"x": form, "y": [1, 2]}).search.chosen[0].domain
    for value in values:
        code = domain.code(value)
        again = domain.value(code)
        assert again == (pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value)
        assert type(again) is type(value)
    if domain.size is not None:
        listed = [domain.value(domain.nth(i)) for i in range(domain.size)]
        assert set(listed) >= values
        assert [domain.value(domain.code(value)) for value in listed] == listed
        assert len(set(map(str, listed))) == len(listed)
    for value in (*outside, True, [1]):
        with pytest.raises(Wrong):
            domain.code(value)
    drawn = [domain.value(domain.at(i / 100)) for i in range(100)]
    assert not outside & set(drawn)
    assert domain.size is None or set(drawn) <= set(listed)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (
            {"uniform": [2, 1]},
            "parameters.x.uniform: the bounds are the wrong way round: from 2 to 1; write [1, 2]",
        ),
        (
            {"loguniform": [0, 1]},
            "parameters.x.loguniform[0]: must be more than zero, got 0; zero has no logarithm; start above it, or use uniform",
        ),
        ({"integers": [0.5, 3]}, "parameters.x.integers[0]: must be a whole number, got 0.5"),
    ],
)
def test_bounds_that_are_wrong(form, message):
    assert refused({"x": form, "y": [1, 2]}) == [message]
