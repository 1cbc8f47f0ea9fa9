"""Definition files and overrides: what is read, what is refused, and where the messages point."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.definition.composer import DEPTH
from swath.definition.documents import dump, parse, read_yaml
from swath.definition.loading import LARGEST, load
from swath.errors import DefinitionError

GOOD = "objective: model:run\nparameters: {beta: [0.1, 0.2], gamma: {linspace: [0, 1, 3]}}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into an empty current folder, and return its bare name."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="sweep.yaml"):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


def refused(file, overrides=()):
    """Return the lines that a user sees."""
    with pytest.raises(DefinitionError) as caught:
        load(file, overrides)
    return str(caught.value).splitlines()


def value_of(text):
    return read_yaml(f"x: {text}")[0]["x"]


# Scalars.

SCALARS = [
    ("1e-3", 0.001), ("1e3", 1000.0), ("1e+3", 1000.0), ("-1e-4", -0.0001), ("1.0e3", 1000.0), ("1E5", 1e5),
    ("1.e-3", 0.001), (".1e-3", 0.0001), ("+.5", 0.5), ("1.", 1.0), ("-0.0", -0.0), ("0", 0), ("-7", -7), ("+7", 7),
    ("017", 17), ("010", 10), ("08", 8), ("0o10", 8), ("0x1F", 31), ("1_000", "1_000"), ("0b11", "0b11"),
    ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("NO", "NO"), ("y", "y"), ("tRUE", "tRUE"),
    ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
    ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None), ("None", "None"), ("nUll", "nUll"),
    ("12:30", "12:30"), ("1:30:00", "1:30:00"), ("2026-01-01", "2026-01-01"), ("2026-01-01 10:00:00", "2026-01-01 10:00:00"),
    (".inf", math.inf), ("-.inf", -math.inf), ("+.INF", math.inf), ("inf", "inf"), ("nan", "nan"), ("=", "="), (".", "."),
    ("'1e-3'", "1e-3"), ('"1"', "1"), ("'no'", "no"), ('"true"', "true"), ("''", ""), ("|\n  12", "12"), ('"\\u00e9"', "é"),
    ("1e", "1e"), ("e5", "e5"), ("1.2.3", "1.2.3"), ("0x", "0x"), ("--1", "--1"), ("1 2", "1 2"), ("a # b", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_mean_what_yaml_1_2_says(text, value):
    read = value_of(text)
    assert (type(read), read) == (type(value), value)
    assert not isinstance(value, float) or math.copysign(1, read) == math.copysign(1, value)


def test_nan_is_read_as_such():
    assert all(math.isnan(value_of(text)) for text in (".nan", ".NaN", ".NAN"))


def test_the_pure_python_parser_reads_the_same(monkeypatch):
    import yaml

    monkeypatch.setattr("swath.definition.composer._Loader", yaml.SafeLoader)
    assert [value_of(text) for text, _ in SCALARS] == [value for _, value in SCALARS]
    assert [problem.text for problem in parse("a: !x 1\na: &b 2\nc: *b").problems] == [
        "the tag !x is not allowed here",
        "written twice, in lines 1 and 2",
        "the anchor &b is not allowed here",
        "the alias *b is not allowed here",
    ]


def test_json_is_yaml(write):
    mapping = {
        "objective": "m:f",
        "parameters": {"a\U0001f600/b": [1, 1e-3, "\\\U0001f600", None], "c": {"range": [0, 5]}},
    }
    for indent in (None, 2, "\t"):
        file = write(json.dumps(mapping, indent=indent), "sweep.json")
        assert load(file).source["parameters"] == mapping["parameters"]


# What YAML allows and a definition does not.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: error: a: written twice, in lines 1 and 3; keep one of them"),
        ("p:\n  q: {x: 1, x: 2}", "f:2:13: error: p.q.x: written twice, in lines 2 and 2; keep one of them"),
        (
            "a: !!python/object:os.system {}",
            (
                "f:1:4: error: a: the tag !!python/object:os.system is not allowed here; "
                "a definition is data; put text in quotes, leave numbers bare"
            ),
        ),
        (
            "a: !!str 5",
            "f:1:4: error: a: the tag !!str is not allowed here; a definition is data; put text in quotes, leave numbers bare",
        ),
        (
            "a: &x [1]",
            "f:1:4: error: a: the anchor &x is not allowed here; write the value out where it is needed",
        ),
        ("a: {b: [*x]}", "f:1:9: error: a.b[0]: the alias *x is not allowed here; write the value out"),
        ("a:\n  <<: {b: 1}", "f:2:3: error: a: the merge key << is not allowed here; write the keys out"),
        ("1: 2", 'f:1:1: error: 1: a key must be text, got 1; write it in quotes: "1"'),
        (
            "? [1, 2]\n: 3",
            "f:1:3: error: a key must be text, got a list or a mapping; write text before the colon",
        ),
        ("a: 1\n---\nb: 2", "f:2:1: error: a second document begins here; one file holds one definition"),
        ("a: 1e400", "f:1:4: error: a: 1e400 is larger than any float; write .inf for infinity"),
        (
            f"a: {'9' * 400}",
            "f:1:4: error: a: a number of 400 digits; write it in quotes if it is text",
        ),
        (
            "a: [1, 2\nb: 3",
            "f:2:2: error: not YAML: while parsing a flow sequence, did not find expected ',' or ']', in the line 'b: 3'; a bracket or quote is not closed, or a comma is missing",
        ),
        (
            "a: b: c",
            "f:1:5: error: not YAML: mapping values are not allowed in this context, in the line 'a: b: c'; put a text that holds a colon in quotes, or indent it",
        ),
        (
            "a: 'x",
            'f:1:6: error: not YAML: while scanning a quoted scalar, found unexpected end of stream, in the line "a: \'x"; a quote is not closed',
        ),
        (
            "[1]",
            "f: error: a definition is a mapping of keys to values, got a list; begin with `objective: module:function`",
        ),
        (
            "text",
            "f: error: a definition is a mapping of keys to values, got a single value; begin with `objective: module:function`",
        ),
        ("", "f: error: there is nothing in it; `swath init` writes an example"),
        ("# only\n# comments\n", "f: error: there is nothing in it; `swath init` writes an example"),
        (
            "é: 1\na: \x07",
            (
                "f:2:4: error: the control character U+0007 at character 8; "
                "a definition is plain text; remove it, or write it escaped in double quotes"
            ),
        ),
    ],
)
def test_refused(text, line):
    with pytest.raises(DefinitionError) as caught:
        read_yaml(text, "f")
    assert str(caught.value).splitlines() == [line]


def test_reading_goes_on_after_a_refusal():
    document = parse("a: 1\na: 2\n? [x]\n: {y: [3]}\nb: *z\nc: 4\n<<: {d: 5}\n")
    assert document.value == {"a": 1, "b": None, "c": 4}
    assert len(document.problems) == 4


@pytest.mark.parametrize("opening", ["[", "{", "- ", "{a: ", "[{a: ", "? "])
def test_deep_nesting_is_refused_at_once(opening):
    started = time.process_time()
    problems = parse(opening * 3000).problems
    assert problems[-1].text == f"nested more than {DEPTH} deep"
    assert time.process_time() - started < 0.5


def test_deepest_that_is_allowed():
    assert not parse("[" * DEPTH + "]" * DEPTH).problems


def test_a_text_that_ends_in_the_middle_is_blamed_for_that_alone(write):
    (line,) = refused(write("parameters: {a: [1, 2\n"))
    assert line.startswith("sweep.yaml:2:1: error: not YAML: ")
    (line,) = refused(write("parameters: " + "[" * 40))
    assert (
        line == "sweep.yaml:1:44: error: nested more than 32 deep; a definition needs no more than 6 levels"
    )


# Files.


def test_name_folder_and_file_come_from_the_path(write, tmp_path):
    definition = load(write(GOOD, "my study (2).yaml"))
    assert (definition.name, str(definition.file), definition.folder) == (
        "my-study-2",
        "my study (2).yaml",
        tmp_path,
    )


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_mark_and_line_ends_do_not_matter(write, mark, ending):
    text = "# Größe\n" + GOOD + "where: betta > 0\n"
    file = write(mark + text.replace("\n", ending))
    assert refused(file) == [
        "sweep.yaml:4:1: error: where: reads 'betta', which is no parameter; did you mean 'beta'?"
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "gr\xf6\xdfe: 1".encode("latin-1"),
            "sweep.yaml: error: not UTF-8: the byte 0xf6 at offset 2; save it as UTF-8",
        ),
        (GOOD.encode("utf-16"), "sweep.yaml: error: not UTF-8: the byte 0xff at offset 0; save it as UTF-8"),
        (
            b"a: 1\nb: \0",
            "sweep.yaml:2:4: error: NUL at character 8; a definition is plain text; remove it, or write it escaped in double quotes",
        ),
        (
            b"#" * (LARGEST + 1),
            "sweep.yaml: error: larger than 1,048,576 bytes; put long lists into a table: `table: cases.csv`",
        ),
    ],
)
def test_unreadable_contents(write, content, line):
    assert refused(write(content)) == [line]


def test_paths_that_are_no_file(write, tmp_path):
    write(GOOD, "digits.yaml")
    assert refused("digit.yaml") == ["digit.yaml: error: there is no such file; did you mean 'digits.yaml'?"]
    assert refused("nowhere/at/all.yaml") == ["nowhere/at/all.yaml: error: there is no such file"]
    assert refused(".") == [".: error: is a folder, not a file; it holds digits.yaml"]
    (tmp_path / "digits.yaml").rename(tmp_path / "loop.yaml")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert refused("a") == ["a: error: cannot be read: too many levels of symbolic links"]


HOSTILE = {
    "nesting.yaml": "[" * 3000,
    "wide.yaml": "a: " + "[" * (LARGEST - 10),
    "braces.yaml": "{" * (LARGEST - 10),
    "bomb.yaml": "".join(f"{a}: &{a} [{', '.join([f'*{b}'] * 9)}]\n" for a, b in pairwise("jihgfedcba")),
    "list.yaml": "objective: m:f\nparameters: {x: [" + "7," * 100_000 + "]}",
    "lists.yaml": "objective: m:f\nparameters: {x: [" + "[]," * 20_000 + "]}",
    "huge.yaml": "objective: m:f\nparameters: {a: {range: [10000000]}, b: {seeds: 10000000}, c: {linspace: [0, 1, 10000000]}}",
    "brackets.yaml": "objective: m:f\nparameters: {x: 1}\nwhere: " + "(" * 500_000,
}
MEASURE = """
import resource, sys, time
from swath.errors import DefinitionError
from swath.definition.loading import load
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for file in sys.argv[1:]:
    started = time.process_time()
    try:
        load(file)
    except DefinitionError as error:
        print(f"{peak() - before:.0f} {time.process_time() - started:.2f} {len(str(error))}")
"""


def test_hostile_files_cost_little(write):
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    files = [write(content, name) for name, content in HOSTILE.items()]
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *files],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": path},
    )
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert len(lines) == len(HOSTILE)
    for megabytes, seconds, characters in lines:
        assert int(megabytes) < 100
        assert float(seconds) < 4
        assert int(characters) < 20_000


def test_nothing_is_imported_or_run(write, tmp_path):
    (tmp_path / "model.py").write_text("raise SystemExit('imported')")
    load(write(GOOD))
    assert "model" not in sys.modules


# Overrides.


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("beta=0.5", 0.5),
        ("beta=0.5,1e-3", [0.5, 0.001]),
        ("beta=[1, 2]", [1, 2]),
        ("beta=[1, 2],[3]", [[1, 2], [3]]),
        ("beta={linspace: [0.1, 1, 5]}", {"linspace": [0.1, 1, 5]}),
        ("beta={range: [5]}", {"range": [5]}),
        ("beta=svm,forest", ["svm", "forest"]),
        ("beta='a,b',c", ["a,b", "c"]),
        ("beta=no", "no"),
        ("beta=null,true", [None, True]),
    ],
)
def test_override(write, override, values):
    assert load(write(GOOD), [override]).source["parameters"]["beta"] == values


def test_override_keeps_the_condition_and_names_with_signs(write):
    text = "objective: m:f\nparameters:\n  a: [1, 2]\n  a=b: {values: [3, 4], when: a == 1, was: 9}\n"
    definition = load(write(text), ["a=b=5,6", "a=1,3"])
    assert definition.source["parameters"] == {
        "a": [1, 3],
        "a=b": {"when": "a == 1", "was": 9, "values": [5, 6]},
    }
    assert definition.was == {"a=b": 9}


def test_override_reaches_every_block_that_has_the_parameter(write):
    file = write("objective: m:f\nparameters: [{a: 1, b: [2, 3]}, {a: 4, c: 5}]\n")
    assert load(file, ["a=7,8"]).source["parameters"] == [{"a": [7, 8], "b": [2, 3]}, {"a": [7, 8], "c": 5}]


def test_mistakes_in_overrides_are_located_by_their_text(write):
    file = write(GOOD + "order: gird\n")
    overrides = ["gama=1", "beta", "gamma=", "gamma=1,]", "beta={linspace: [0.1, 1]}"]
    assert refused(file, overrides) == [
        "gama=1: error: there is no parameter 'gama'; did you mean 'gamma'?",
        "beta: error: an override is NAME=VALUES; such as gamma=0.1,0.2 or 'beta={linspace: [0.1, 1, 5]}'",
        "gamma=: error: there are no values behind the equals sign",
        "gamma=1,]: error: not YAML: did not find expected <document start>, in the line '[1,]]'; quote the whole argument for the shell",
        "beta={linspace: [0.1, 1]}: error: parameters.beta.linspace: takes [start, stop, num], got 2 values",
        "sweep.yaml:3:1: error: order: must be 'grid' or 'shuffle', got 'gird'; did you mean 'grid'?",
    ]


# Writing.

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
def test_what_is_dumped_is_read_back_equal(mapping):
    read, _ = read_yaml(dump(mapping))
    assert json.dumps(read) == json.dumps(mapping)  # order of keys, types and signs of zero included


def test_long_names_and_texts_are_dumped_and_read_back():
    mapping = {"k" * 5000: 1, "p": {"é\U0001f600" * 2000: "v" * 10_000, "q": [{"w w" * 900: None}]}}
    assert read_yaml(dump(mapping))[0] == mapping
