"""Definitions: what they mean, what is wrong with them, and their normal form."""

from __future__ import annotations

import enum
import json
import math
import threading

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swath.definition import Cluster, Point, define, forms, schema
from swath.definition.checks import Wrong, duration, fitting_run_name, size
from swath.definition.documents import dump, read_yaml
from swath.definition.loading import load
from swath.errors import DefinitionError
from swath.space import Opaque

VALIDATOR = jsonschema.Draft7Validator(schema())


def defined(parameters=None, **keys):
    return define({"objective": "model:run", "parameters": parameters, **keys})


def points(parameters=None, **keys):
    space = defined(parameters, **keys).space
    return [space[i] for i in range(len(space))]


def refused(parameters=None, **keys):
    """Return the messages of a definition made in Python, without the word error."""
    with pytest.raises(DefinitionError) as caught:
        defined(parameters, **keys)
    return [line.removeprefix("error: ") for line in str(caught.value).splitlines()]


def refused_file(folder, text):
    """Return the messages of a definition file, as users see them but for the folder."""
    (folder / "digits.yaml").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        load(folder / "digits.yaml")
    return str(caught.value).replace(f"{folder}/", "").splitlines()


# All mistakes at once, where they are.


def test_six_mistakes_six_messages(tmp_path):
    text = """\
objective: digits.train
parameters:
  model: [svm, forest]
  C: {geomspace: [0, 10, 5], when: model == "svm"}
  depth: {values: [4, 8], when: modle == "forest"}
  seed: {sedes: 3}
order: shufle
trails: 5
"""
    assert refused_file(tmp_path, text) == [
        "digits.yaml:1:1: error: objective: must be module:function, got 'digits.train'; write digits:train",
        "digits.yaml:4:19: error: parameters.C.geomspace[0]: must be more than zero, got 0; a geometric sequence has no logarithm there",
        "digits.yaml:5:27: error: parameters.depth.when: reads 'modle', which is no parameter; did you mean 'model'?",
        "digits.yaml:6:10: error: parameters.seed.sedes: unknown form; did you mean 'seeds'?",
        "digits.yaml:7:1: error: order: must be 'grid' or 'shuffle', got 'shufle'; did you mean 'shuffle'?",
        (
            "digits.yaml:8:1: error: trails: unknown key; there are: name, objective, parameters, table, zip, sample, where, derive, "
            "order, minimize, maximize, search, stop, seed, point, cluster, isolation"
        ),
    ]


def test_what_the_reader_and_the_checks_find_comes_in_one_list(tmp_path):
    text = """\
objective: m:f
parameters:
  a: [1, 1]
  b: *a
  a: [2]
where: a < c
minimize: {}
"""
    assert refused_file(tmp_path, text) == [
        "digits.yaml:4:6: error: parameters.b: the alias *a is not allowed here; write the value out",
        "digits.yaml:5:3: error: parameters.a: written twice, in lines 3 and 5; keep one of them",
        "digits.yaml:6:1: error: where: reads 'c', which is no parameter; there are: a, b",
        "digits.yaml:7:1: error: minimize: must be text, got an empty mapping",
    ]


def test_mistakes_of_a_python_definition_come_in_the_order_of_its_keys():
    messages = refused({"b": [], "a": forms.linspace(0, 1, 0)}, where="c > 0", order="up")
    assert messages == [
        "parameters.b: an empty list leaves no points; give at least one value",
        "parameters.a.linspace[2]: must be at least 1, got 0",
        "where: reads 'c', which is no parameter; there are: b, a",
        "order: must be 'grid' or 'shuffle', got 'up'",
    ]


def test_an_expression_is_not_blamed_for_a_parameter_that_is_wrong_itself():
    assert refused({"a": [], "b": [1, 2]}, where="a < b", derive={"c": "a + b"}, zip=[["a", "b"]]) == [
        "parameters.a: an empty list leaves no points; give at least one value"
    ]


# One mistake each.

FORMS = [
    ({"linspace": [0, 1]}, "parameters.x.linspace: takes [start, stop, num], got 2 values"),
    ({"linspace": 5}, "parameters.x.linspace: takes [start, stop, num], got 5"),
    ({"geomspace": [1, 2, 3, 4]}, "parameters.x.geomspace: takes [start, stop, num], got 4 values"),
    ({"range": []}, "parameters.x.range: takes [stop], [start, stop] or [start, stop, step], got 0 values"),
    ({"linspace": ["a", 1, 2]}, "parameters.x.linspace[0]: must be a number, got 'a'"),
    ({"linspace": [0, math.inf, 2]}, "parameters.x.linspace[1]: must be a number of at most 1e+300, got inf"),
    ({"linspace": [0, 1, 2.0]}, "parameters.x.linspace[2]: must be a whole number, got 2.0"),
    ({"linspace": [0, 1, True]}, "parameters.x.linspace[2]: must be a whole number, got true"),
    ({"linspace": [0, 1, 10**8]}, "parameters.x.linspace[2]: must be at most 10000000, got 100000000"),
    (
        {"linspace": [1, 1, 2]},
        "parameters.x.linspace: 1.0 is repeated: values 1 and 2 are equal; the ends are too near for so many values",
    ),
    (
        {"geomspace": [-1, 1, 3]},
        "parameters.x.geomspace[0]: must be more than zero, got -1; a geometric sequence has no logarithm there",
    ),
    (
        {"logspace": [1, 1000, 3]},
        "parameters.x.logspace[1]: 10 to this power is no float, got 1000; logspace takes exponents, geomspace the ends themselves",
    ),
    ({"range": [0, 1, 0]}, "parameters.x.range[2]: the step must not be zero"),
    ({"range": [0, 1, math.nan]}, "parameters.x.range[2]: must be a number of at most 1e+300, got nan"),
    (
        {"range": [5, 1]},
        "parameters.x.range: no value lies from 5 up to and without 1 by 1; the step leads away from the stop",
    ),
    (
        {"range": [1, 1]},
        "parameters.x.range: no value lies from 1 up to and without 1 by 1; the stop itself is not included",
    ),
    (
        {"range": [0, 1, 1e-9]},
        "parameters.x.range: 1,000,000,000 values, more than 10,000,000; split it into two parameters",
    ),
    ({"seeds": 0}, "parameters.x.seeds: must be at least 1, got 0"),
    ({"values": 5}, "parameters.x.values: must be a list, got 5; write [5]"),
    ({"values": []}, "parameters.x.values: an empty list leaves no points; give at least one value"),
    (
        {"a": 1},
        (
            "parameters.x.a: unknown form; forms are values, linspace, geomspace, logspace, range, seeds, "
            "uniform, loguniform, normal, lognormal, integers, choice; a constant mapping is written as a list of one"
        ),
    ),
    ({"unform": [0, 1]}, "parameters.x.unform: unknown form; did you mean 'uniform'?"),
    ({}, "parameters.x: has no values, got an empty mapping; add `values: [...]`"),
    ({"was": 3}, "parameters.x: has no values, got a mapping; add `values: [...]`"),
    ({"values": [1], "seeds": 2}, "parameters.x: has both values and seeds; keep one"),
    ({"values": [1], "wen": "a"}, "parameters.x.wen: unknown key; did you mean 'when'?"),
    (
        {"values": [1], "when": 3},
        "parameters.x.when: must be an expression, got 3; write text such as `beta > gamma`",
    ),
    ([1, 2, 1.0], "parameters.x[2]: 1.0 is repeated: values 1 and 3 are equal; leave one out"),
    ([0.0, -0.0], "parameters.x[1]: -0.0 is repeated: values 1 and 2 are equal; leave one out"),
    (
        {"values": [[1], [1]]},
        "parameters.x.values[1]: a list of 1 is repeated: values 1 and 2 are equal; leave one out",
    ),
    (
        [1, math.nan],
        "parameters.x[1]: NaN equals nothing, not even itself, so no point could be found again; use null for a missing value",
    ),
    (
        [{"a": [0, math.nan]}],
        "parameters.x[0].a[1]: NaN equals nothing, not even itself, so no point could be found again; use null for a missing value",
    ),
    (["\ud800"], "parameters.x[0]: is not valid Unicode text: it holds half of a surrogate pair"),
]


@pytest.mark.parametrize(("form", "message"), FORMS)
def test_a_form_that_is_wrong(form, message):
    assert refused({"x": form}) == [message]


NAMES = [
    ("", "parameters.: a name must not be empty"),
    ("  ", "parameters.  : a name must not be empty"),
    ("a\nb", "parameters.a\\nb: a name must not contain line breaks or control characters"),
    (
        "status",
        "parameters.status: 'status' is a column that swath itself adds to the results; rename it, to status_ for example",
    ),
]


@pytest.mark.parametrize(("name", "message"), NAMES)
def test_a_name_that_is_wrong(name, message):
    assert "\n".join(refused({name: [1]})) == message


@pytest.mark.parametrize(
    "name",
    ["training.lr", "größe", "学习率", "\U0001f600", "a b", "x=y", "status_", "class", "م", "[0]", "$"],
)
def test_any_other_text_is_a_name(name):
    assert points({name: [1, 2]}) == [{name: 1}, {name: 2}]


KEYS = [
    ({}, "parameters: nothing is swept: there is no parameter; write `parameters: {name: [values]}`"),
    ({"parameters": []}, "parameters: an empty list leaves no points; write `parameters: {name: [values]}`"),
    ({"parameters": "beta"}, "parameters: must be a mapping, got 'beta'; write `parameters: {name: [values]}`"),
    ({"parameters": [{"a": 1}, {}]}, "parameters[1]: a block without parameters; name at least one, or leave the block out"),
    ({"parameters": [{"a": 1}, 5]}, "parameters[1]: must be a mapping, got 5; write `parameters: {name: [values]}`"),
    ({"objective": None}, "objective: is missing; write `objective: module:function`"),
    ({"objective": "train"}, "objective: must be module:function, got 'train'; for a function `train` in digits.py write digits:train"),
    ({"objective": "digits.py:train"}, "objective: must be module:function, got 'digits.py:train'; write digits:train"),
    ({"objective": "os;x:y"}, "objective: must be module:function, got 'os;x:y'; for a function `train` in digits.py write digits:train"),
    ({"objective": {"command": ["x"]}}, "objective: must be text, got a mapping"),
    ({"name": "../x"}, "name: cannot name a folder everywhere, got '../x'; use up to 100 of A-Z a-z 0-9 . _ -, the first a letter or digit, the last no dot"),
    ({"name": "NUL.txt"}, "name: cannot name a folder everywhere, got 'NUL.txt'; use up to 100 of A-Z a-z 0-9 . _ -, the first a letter or digit, the last no dot"),
    ({"name": 5}, "name: must be text, got 5; put it in quotes"),
    ({"seed": -1}, "seed: must be at least 0, got -1"),
    ({"seed": 2**64}, "seed: must be at most 18446744073709551615, got 18446744073709551616"),
    ({"seed": 0.5}, "seed: must be a whole number, got 0.5"),
    ({"isolation": "proces"}, "isolation: must be 'process' or 'none', got 'proces'; did you mean 'process'?"),
    ({"timeout": 5}, "timeout: unknown key; it belongs under `point:`"),
    ({"workers": 5}, "workers: unknown key; it belongs under `cluster:`"),
    ({"paramters": {}}, "paramters: unknown key; did you mean 'parameters'?"),
    ({"point": {"timeout": "60x"}}, "point.timeout: must be a duration, got '60x'; write seconds, or '500ms', '60s', '5min', '2h', '1d'"),
    ({"point": {"timeout": 0}}, "point.timeout: must be more than zero and finite, got 0; write seconds, or '500ms', '60s', '5min', '2h', '1d'"),
    ({"point": {"memory": "2 Gb"}}, "point.memory: must be an amount of memory, got '2 Gb'; write bytes, or '500MB', '2GiB'"),
    ({"point": {"cores": 0}}, "point.cores: must be at least 1, got 0"),
    ({"point": {"retires": 1}}, "point.retires: unknown key; did you mean 'retries'?"),
    ({"cluster": {"insecure": "yes"}}, "cluster.insecure: must be true or false, got 'yes'"),
    ({"point": 60}, "point: must be a mapping, got 60; write `point: {timeout: 60s}`"),
    ({"cluster": {"insecure": 1}}, "cluster.insecure: must be true or false, got 1"),
    ({"minimize": "e", "maximize": "e"}, "maximize: 'e' is minimized too; a metric has one direction; keep one of them"),
    ({"minimize": ["a", "b", "a"]}, "minimize[2]: 'a' is named twice; leave one out"),
    ({"minimize": ["a", 1]}, "minimize[1]: must be text, got 1; put it in quotes"),
    ({"maximize": []}, "maximize: an empty list names no metric; name what the objective returns"),
    ({"minimise": "e"}, "minimise: unknown key; did you mean 'minimize'?"),
    ({"maximize": "a"}, "maximize: 'a' is a parameter, not a metric; name what the objective returns"),
    ({"zip": [["a", "c"]]}, "zip[0][1]: there is no parameter 'c'; there are: a, b"),
    ({"zip": [["a"]]}, "zip[0]: a group needs two names or more, got a list of 1"),
    ({"zip": ["a"]}, "zip[0]: must be a list, got 'a'; write groups of names: `zip: [[a, b]]`"),
    ({"zip": [["a", "b", "a"]]}, "zip[0][2]: 'a' is named twice; a parameter can be zipped once"),
    ({"zip": [["a", "b"]]}, "zip[0]: zipped parameters differ in length: a has 2, b has 3; give them the same number of values"),
    (
        {"parameters": {"a": [1, 2, 1], "b": [3, 4, 3]}, "zip": [["a", "b"]]},
        "zip[0]: a and b have the same values at places 1 and 3; leave one out",
    ),
    (
        {"parameters": {"c": 1, "a": {"values": [1, 2], "when": "c == 1"}, "b": [3, 4]}, "zip": [["a", "b"]]},
        "parameters.a.when: zipped parameters must have the same condition: a, b; write it at each of them",
    ),
    (
        {"parameters": [{"a": [1, 2], "b": [1, 2]}, {"a": 5}], "zip": [["a", "b"]]},
        "parameters[1].a: 'a' is zipped with 'b', which this block lacks; add 'b', or leave out 'a'",
    ),
    (
        {"parameters": {"a": {"values": [1], "when": "a > 0"}}},
        "parameters.a.when: reads itself; a condition reads earlier parameters",
    ),
    (
        {"parameters": {"a": {"values": [1], "when": "b > 0"}, "b": [1]}},
        "parameters.a.when: reads 'b', which comes later; move 'b' above 'a'",
    ),
    (
        {"parameters": {"a": 1, "b": {"values": [1], "when": "c > 0"}}, "derive": {"c": "a"}},
        "parameters.b.when: reads 'c', a derived column; a condition reads parameters only",
    ),
    (
        {"parameters": [{"a": 1}, {"b": {"values": [1], "when": "a > 0"}}]},
        "parameters[1].b.when: reads 'a', which this block lacks; a condition reads earlier parameters of its own block",
    ),
    (
        {"parameters": [{"a": {"values": [1], "was": 1}}, {"a": {"values": [2], "was": 2}}]},
        "parameters[1].a.was: 2 here, 1 in an earlier block; old rows can have had one value only",
    ),
    ({"where": "a < z"}, "where: reads 'z', which is no parameter; there are: a, b"),
    ({"where": True}, "where: must be an expression, got true; write text such as `beta > gamma`"),
    ({"derive": {"c": "c + 1"}}, "derive.c: reads itself; a derived column reads parameters and derived columns above it"),
    ({"derive": {"c": "d", "d": "a"}}, "derive.c: reads 'd', which comes later; move 'd' above 'c'"),
    ({"derive": {"a": "b"}}, "derive.a: 'a' is a parameter already; choose another name"),
    ({"derive": {"point": "b"}}, "derive.point: 'point' is a column that swath itself adds to the results; rename it, to point_ for example"),
    ({"derive": "a"}, "derive: must be a mapping, got 'a'; write `derive: {name: expression}`"),
    ({"table": {"a": [1, 2]}}, "table: the column 'a' is a parameter too; rename one of them"),
    ({"table": {}}, "table: there are no columns in it"),
    ({"table": {"t": [1, 2], "u": [1]}}, "table: columns differ in length: t 2, u 1; give every column one value for each row"),
    ({"table": {"t": [1, 2, 1]}}, "table: rows 1 and 3 are equal; a row given twice is one point; leave one out"),
    ({"table": "cases.xls"}, "table: must be a .csv or .parquet file, got 'cases.xls'"),
    ({"table": {"t": [1, 2]}, "zip": [["a", "t"]]}, "zip[0][1]: 't' is a column of the table; the columns of a table vary together already"),
    (
        {"parameters": {name: {"range": [100_000]} for name in "abcd"}},
        "parameters: 100,000,000,000,000,000,000 points, more than an index can count (9,223,372,036,854,775,807); leave out values",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "message"), KEYS)
def test_a_key_that_is_wrong(keys, message):
    parameters = {"a": [1, 2], "b": [1, 2, 3]} if keys else None
    assert refused(**({"parameters": parameters} | keys)) == [message]


@pytest.mark.parametrize(
    "text", ["a.real > 0", "a[0]", "__import__('os')", "[a for a in b]", "(" * 100_000, "a >"]
)
def test_expressions_are_checked_before_anything_runs(text):
    (message,) = refused({"a": [1, 2]}, where=text)
    assert message.startswith("where: ")


# What definitions mean.


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ([3, "a", None, True, 1.5, [1], {"k": 2}], [3, "a", None, True, 1.5, [1], {"k": 2}]),
        (7, [7]),
        (None, [None]),
        ("text", ["text"]),
        ({"values": [1, 2]}, [1, 2]),
        ({"linspace": [1, 2, 3]}, [1.0, 1.5, 2.0]),
        ({"geomspace": [1, 100, 3]}, [1.0, 10.0, 100.0]),
        ({"logspace": [-1, 1, 3]}, [0.1, 1.0, 10.0]),
        ({"range": [3]}, [0, 1, 2]),
        ({"range": [1, 3]}, [1, 2]),
        ({"range": [0, 0.5, 0.1]}, [0.0, 0.1, 0.2, 0.3, 0.4]),
        ({"range": [3, 0, -1]}, [3, 2, 1]),
    ],
)
def test_values_of_a_form(form, values):
    assert [point["x"] for point in points({"x": form})] == values


def test_parameters_are_crossed_last_fastest_and_zipped_ones_stand_at_the_first():
    made = points({"a": [1, 2], "b": ["x", "y"], "c": [3, 4]}, zip=[["a", "c"]])
    assert made == [{"a": a, "c": c, "b": b} for a, c in ((1, 3), (2, 4)) for b in "xy"]


def test_zipped_parameters_may_repeat_a_value():
    assert points({"a": [1, 1], "b": [2, 3]}, zip=[["a", "b"]]) == [{"a": 1, "b": 2}, {"a": 1, "b": 3}]


def test_seeds_follow_from_the_root():
    def seeds(count, root):
        return [point["s"] for point in points({"s": {"seeds": count}}, seed=root)]

    assert seeds(5, 1)[:3] == seeds(3, 1)
    assert seeds(3, 1) != seeds(3, 2)


def test_conditions_and_derived_columns_reach_the_space():
    space = defined(
        {"m": ["svm", "rf"], "c": {"values": [1, 2], "when": "m == 'svm'"}},
        derive={"d": "c * 2", "e": "d + 1"},
        where="e > 3 or m == 'rf'",
        order="shuffle",
    ).space
    assert len(space) == 3
    assert space.derived == ("d", "e")
    assert space.keep(space.columns(0, 3)).tolist() == [False, True, False]  # e is absent where c is


def test_what_a_point_may_use_and_where_it_runs():
    definition = defined(
        {"a": 1},
        point={"timeout": "2h", "memory": "2GiB", "cores": 2, "retries": 1},
        cluster={"workers": 4, "scheduler": "tls://host:8786", "insecure": True},
        isolation="none",
    )
    assert definition.point == Point(timeout=7200.0, memory=2 * 2**30, cores=2, retries=1)
    assert definition.cluster == Cluster(workers=4, scheduler="tls://host:8786", insecure=True)
    assert (definition.isolation, defined({"a": 1}).isolation) == ("none", "process")


def test_was_is_kept_even_if_it_is_nothing():
    assert defined({"a": {"values": [1], "was": None}, "b": {"seeds": 2, "was": 0.5}, "c": 1}).was == {
        "a": None,
        "b": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (1.5, 1.5),
        ("60s", 60),
        ("500ms", 0.5),
        ("5min", 300),
        ("5m", 300),
        ("2h", 7200),
        ("1 d", 86400),
        (".5", 0.5),
    ],
)
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (100, 100),
        ("2GiB", 2**31),
        ("500MB", 5 * 10**8),
        ("1.5 kB", 1500),
        ("1KiB", 1024),
        ("7", 7),
        ("1TB", 10**12),
    ],
)
def test_sizes(text, count):
    assert size(text) == count


@pytest.mark.parametrize("value", [True, "", "s", "1 s s", "-1s", math.inf, None, [1], "1e3s", 10**400])
def test_no_durations(value):
    with pytest.raises(Wrong):
        duration(value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("digits", "digits"),
        ("my study (2)", "my-study-2"),
        ("été", "ete"),
        ("学习", "sweep"),
        ("<lambda>", "lambda"),
        ("con", "sweep"),
        ("x" * 200, "x" * 100),
    ],
)
def test_fitting_run_names(text, name):
    assert fitting_run_name(text) == name


def test_the_default_name_is_the_function():
    assert define({"objective": "package.model:Model.fit", "parameters": {"a": 1}}).name == "Model.fit"


# Tables.

CSV = "day,dose,label\n2026-01-01,1,x\n2026-01-02,,\n2026-01-03,2.5,no\n"
ROWS = {"day": ["2026-01-01", "2026-01-02", "2026-01-03"], "dose": [1.0, None, 2.5], "label": ["x", "", "no"]}


def test_a_table_is_crossed_with_the_parameters_and_embedded(tmp_path):
    (tmp_path / "cases.csv").write_text(CSV)
    definition = define(
        {"objective": "m:f", "table": "cases.csv", "parameters": {"a": [1, 2]}}, folder=tmp_path
    )
    assert definition.source["table"] == ROWS
    assert [definition.space[i] for i in (0, 1, 2)] == [
        {"day": "2026-01-01", "dose": 1.0, "label": "x", "a": 1},
        {"day": "2026-01-01", "dose": 1.0, "label": "x", "a": 2},
        {"day": "2026-01-02", "dose": None, "label": "", "a": 1},
    ]
    pd.DataFrame(ROWS).to_parquet(tmp_path / "cases.parquet")
    assert define({"objective": "m:f", "table": "cases.parquet"}, folder=tmp_path).source["table"] == ROWS
    assert defined(table=pd.DataFrame(ROWS)).source["table"] == ROWS


def test_tables_that_cannot_be_used(tmp_path):
    for name, content in {
        "twice.csv": b"a,a\n1,2\n",
        "head.csv": b"a,b\n",
        "ragged.csv": b"a,b\n1\n",
        "latin.csv": "a\ngrö\n".encode("latin-1"),
        "text.parquet": b"nothing of the kind",
        "worker.csv": b"worker\n1\n",
    }.items():
        (tmp_path / name).write_bytes(content)
    pd.DataFrame({"t": pd.to_datetime(["2026-01-01"])}).to_parquet(tmp_path / "time.parquet")
    pd.DataFrame({"x": [1.0, 2.0]}).to_parquet(tmp_path / "x.parquet")

    def message(table):
        with pytest.raises(DefinitionError) as caught:
            define({"objective": "m:f", "table": table}, folder=tmp_path)
        return str(caught.value).removeprefix("error: table: ").replace(str(tmp_path), "FOLDER")

    assert message("none.csv") == "cannot read 'none.csv': no such file or directory; looked for in FOLDER"
    assert message("twice.csv") == "the column 'a' occurs twice"
    assert message("head.csv") == "there are no rows in it"
    assert message("ragged.csv").startswith("cannot read 'ragged.csv': CSV parse error: ")
    assert message("latin.csv") == "column 'a' has the type binary; make it text or numbers"
    assert message("text.parquet").startswith("cannot read 'text.parquet': ")
    assert message("time.parquet").startswith("column 't' has the type timestamp[")
    assert message("worker.csv") == (
        "column 'worker': 'worker' is a column that swath itself adds to the results; rename it, to worker_ for example"
    )
    assert (
        message(pd.DataFrame({0: [1]}))
        == "a column's name must be text, got 0; rename it, or use frame.add_prefix('x')"
    )
    assert message(pd.DataFrame({"a": [object()]})).startswith("not a table of plain values: ")


# Made in Python.


class Kernel(enum.StrEnum):
    RBF = "rbf"


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (forms.linspace(0.1, 1, 50), {"linspace": [0.1, 1, 50]}),
        (forms.geomspace(np.float64(1), 2, np.int64(3)), {"geomspace": [1.0, 2, 3]}),
        (forms.logspace(0, 1, 3, when="c > 0"), {"logspace": [0, 1, 3], "when": "c > 0"}),
        (forms.range(5), {"range": [5]}),
        (forms.range(0, 1, 0.25, was=None), {"range": [0, 1, 0.25], "was": None}),
        (forms.seeds(3), {"seeds": 3}),
        (forms.values([1, 2]), [1, 2]),
        (forms.values(np.array([1, 2]), was=3, when="c > 0"), {"values": [1, 2], "when": "c > 0", "was": 3}),
        (range(2, 10, 3), {"range": [2, 10, 3]}),
        ((1, 2), [1, 2]),
        (np.array([0.5, 1.5]), [0.5, 1.5]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ([np.int8(1), np.str_("a"), (1, 2)], [1, "a", [1, 2]]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        ([Kernel.RBF], ["rbf"]),
        ({"values": np.arange(2)}, [0, 1]),
    ],
)
def test_python_values_become_plain(value, source):
    definition = defined({"c": 1, "x": value})
    assert json.dumps(definition.source["parameters"]["x"]) == json.dumps(source)


def test_any_object_may_be_a_constant():
    def kernel(x):
        return x

    definition = defined({"k": kernel, "n": [1, 2]})
    (digest,) = definition.constants
    assert definition.constants[digest] is kernel
    opaque = Opaque(digest, "builtins.function")
    assert [definition.space[i] for i in (0, 1)] == [{"k": opaque, "n": 1}, {"k": opaque, "n": 2}]
    assert define(definition.source).source == definition.source
    assert define(definition.source).constants == {}


def test_what_python_holds_and_a_space_cannot():
    endless = [1]
    endless.append(endless)
    parameters = {
        "a": {1, 2},
        "b": iter([1]),
        "c": [object()],
        "d": [1, pd.Timestamp(0)],
        "e": endless,
        "f": {1: 2},
        "g": (x for x in [1]),
    }
    assert refused(parameters) == [
        "parameters.a: a set has no lasting order, so its points would have no index; write sorted(...) or list(...), got set",
        "parameters.b: a list_iterator has no lasting order, so its points would have no index; write sorted(...) or list(...), got list_iterator",
        "parameters.c[0]: a value of type object; values are numbers, text, True, False, None, and lists and mappings of these",
        "parameters.d[1]: a value of type Timestamp; values are numbers, text, True, False, None, and lists and mappings of these",
        "parameters.e: nested without end, or too deep",
        "parameters.f: a key must be text, got 1",
        "parameters.g: a generator has no lasting order, so its points would have no index; write sorted(...) or list(...), got generator",
    ]


def test_a_constant_that_cannot_travel():
    (message,) = refused({"a": threading.Lock()})
    assert message.startswith("parameters.a: this lock cannot travel to other processes: ")
    assert message.endswith("; pass what it is made of, and make it in the objective")


def test_a_file_cannot_name_a_python_constant(tmp_path):
    assert refused_file(tmp_path, "objective: m:f\nparameters: {a: {opaque: [abc, function]}}\n") == [
        "digits.yaml:2:18: error: parameters.a.opaque: a file cannot hold such a constant; make it in the objective"
    ]


# Normal form.

_NAMES = ["a", "b", "training.lr", "größe"]
_NUMBERS = st.integers(-1000, 1000) | st.floats(-1000, 1000)
_VALUES = st.lists(
    st.none() | st.booleans() | _NUMBERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    min_size=1,
    max_size=4,
    unique_by=lambda value: (type(value) is bool, value),
)
_FORMS = st.one_of(
    _VALUES,
    st.none() | st.booleans() | _NUMBERS | st.just("text"),
    st.builds(lambda num: {"linspace": [0, 1, num]}, st.integers(1, 4)),
    st.builds(lambda num: {"geomspace": [0.1, 10, num], "was": 1}, st.integers(1, 4)),
    st.builds(lambda num: {"logspace": [-2, 2, num]}, st.integers(1, 4)),
    st.builds(lambda stop: {"range": [0, stop, 0.5]}, st.integers(1, 3)),
    st.builds(lambda count: {"seeds": count}, st.integers(1, 4)),
    st.builds(lambda values, was: {"values": values, "was": was}, _VALUES, _NUMBERS),
)
_BLOCKS = st.dictionaries(st.sampled_from(_NAMES), _FORMS, min_size=1, max_size=3)


@st.composite
def definitions(draw):
    """Draw a valid definition, as a file would hold it."""
    mapping = {
        "objective": "m:f",
        "parameters": draw(
            _BLOCKS
            | st.lists(
                _BLOCKS.map(lambda b: {k: v if not isinstance(v, dict) else 1 for k, v in b.items()}),
                min_size=1,
                max_size=3,
            )
        ),
    }
    optional = {
        "name": st.just("study"),
        "seed": st.integers(0, 2**64 - 1),
        "order": st.sampled_from(["grid", "shuffle"]),
        "minimize": st.just("error"),
        "point": st.just({"timeout": "60s", "memory": "1GiB"}) | st.just({"retries": 2}),
        "cluster": st.just({"workers": 2}),
        "isolation": st.sampled_from(["process", "none"]),
        "table": st.just({"t": [1, None, "x"], "u": [0.5, 0.5, 0.25]}),
        "derive": st.just({"one": "1 + 0"}),
        "where": st.just("1 > 0"),
    }
    return mapping | draw(st.fixed_dictionaries({}, optional=optional))


@settings(max_examples=60, deadline=None)
@example({"objective": "m:f", "parameters": [{"a": 1, "b": 2}, {"a": 3}]})
@given(definitions())
def test_the_normal_form_describes_the_same_sweep(mapping):
    definition = define(mapping)
    again = define(read_yaml(dump(definition.source))[0])
    assert json.dumps(again.source) == json.dumps(definition.source)
    for name in ("name", "objective", "minimize", "seed", "point", "cluster", "isolation", "was"):
        assert getattr(again, name) == getattr(definition, name)
    assert len(again.space) == len(definition.space)
    some = range(0, len(again.space), 7)
    assert [again.space[i] for i in some] == [definition.space[i] for i in some]
    VALIDATOR.validate(definition.source)


def test_the_normal_form_stays_small_and_says_nothing_twice():
    parameters = {"a": {"range": [1_000_000]}, "b": {"values": [1, 2]}, "c": {"seeds": 1000}}
    assert defined(
        parameters, order="grid", isolation="process", point={"timeout": "1min", "cores": 1}
    ).source == {
        "name": "run",
        "objective": "model:run",
        "parameters": {"a": {"range": [1_000_000]}, "b": [1, 2], "c": {"seeds": 1000}},
        "seed": 0,
        "point": {"timeout": 60.0},
    }


# The JSON Schema.


def test_schema_is_draft_07_with_a_description_everywhere():
    made = schema()
    jsonschema.Draft7Validator.check_schema(made)
    text = json.dumps(made)
    assert made["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "prefixItems" not in text
    assert "opaque" not in text.lower()
    described = [*made["properties"].values(), *made["$defs"].values()]
    described += [field for shape in made["$defs"].values() for field in shape["properties"].values()]
    assert all("description" in field or "$ref" in field for field in described)


GOOD = [
    "{objective: m:f, parameters: {a: [1, x, null], b: 5, c: {linspace: [0, 1, 5], when: b > 3, was: 1}}}",
    "{objective: m:f, parameters: [{a: 1}, {a: [2], b: {range: [3]}}], zip: [[a, b]], where: a > 0, derive: {c: a}}",
    "{objective: m:f, table: cases.csv, minimize: x, seed: 5, order: shuffle, isolation: none, name: x}",
    "{objective: m:f, table: {a: [1]}, point: {timeout: 60s, memory: 2GiB, cores: 1, retries: 1}}",
    "{objective: m:f, parameters: {a: {values: [1]}, b: {seeds: 3}, c: {geomspace: [1, 2, 3]}, d: {logspace: [0, 1, 2]}}}",
    "{objective: m:f, parameters: {a: 1}, point: {timeout: 0.5, memory: 1000}, cluster: {workers: 2, scheduler: 'tls://h:1'}}",
    "{objective: m:f, parameters: {a: 1}, minimize: x, stop: {method: asha, min_steps: 3, max_steps: 81}}",
]
BAD = [
    "{parameters: {a: [1]}}",
    "{objective: m:f}",
    "{objective: train, parameters: {a: 1}}",
    "{objective: m:f, parameters: {a: []}}",
    "{objective: m:f, parameters: {a: {linspace: [0, 1]}}}",
    "{objective: m:f, parameters: {a: {linspace: [0, 1, 2, 3]}}}",
    "{objective: m:f, parameters: {a: {linspace: [0, 1, 0.5]}}}",
    "{objective: m:f, parameters: {a: {linspce: [0, 1, 2]}}}",
    "{objective: m:f, parameters: {a: {values: [0], seeds: 1}}}",
    "{objective: m:f, parameters: {a: {values: [0], wen: b}}}",
    "{objective: m:f, parameters: {a: 1}, order: gird}",
    "{objective: m:f, parameters: {a: 1}, point: {timeout: 60x}}",
    "{objective: m:f, parameters: {a: 1}, point: {timeout: 0}}",
    "{objective: m:f, parameters: {a: 1}, seed: -1}",
    "{objective: m:f, parameters: {a: 1}, trails: 3}",
    "{objective: m:f, parameters: {a: 1}, zip: [[a]]}",
    "{objective: m:f, parameters: {a: 1}, minimize: x, stop: {max_steps: 9}}",
    "{objective: m:f, parameters: {a: 1}, minimize: x, stop: {method: ash}}",
    "{objective: m:f, parameters: {a: 1}, minimize: x, stop: {method: percentile, percentile: 101}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_schema_accepts(text, tmp_path):
    (tmp_path / "cases.csv").write_text("t\n1\n")
    mapping, _ = read_yaml(text)
    VALIDATOR.validate(mapping)
    if "zip" not in mapping:
        define(mapping, folder=tmp_path)


@pytest.mark.parametrize("text", BAD)
def test_schema_refuses_what_define_refuses(text):
    mapping, _ = read_yaml(text)
    assert not VALIDATOR.is_valid(mapping)
    with pytest.raises(DefinitionError):
        define(mapping)
