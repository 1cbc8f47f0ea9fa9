"""FAULTS A08 to A12, A18, A19, A22: names, values, sizes and conditions that a definition may or may not have."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import pandas as pd
import pytest

import swath
from refusing import GOOD, called, refused, settled, study, tree
from running import ENVIRONMENT
from swath.definition.checks import RESERVED


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder of the user's, in which the command line is called."""
    yield from settled(tmp_path, monkeypatch)


def said(folder, text):
    """What is said of a definition that is refused, without the name of the file."""
    study(folder, GOOD + text)
    lines = refused("study.yaml")
    assert all(re.match(r"study\.yaml:\d+:\d+: error: ", line) for line in lines), lines
    return [line.removeprefix("study.yaml:") for line in lines]


# A08.

ADDED = "is a column that swath itself adds to the results; rename it, to"


@pytest.mark.parametrize("name", RESERVED)
def test_A08_a_name_that_clashes_with_a_column_of_the_results(here, name):
    assert said(here, f"parameters: {{{name}: [1]}}") == [
        f"2:14: error: parameters.{name}: '{name}' {ADDED} {name}_ for example"
    ]
    assert said(here, f"parameters: {{a: 1}}\nderive: {{{name}: a}}")[0].startswith(
        f"3:10: error: derive.{name}: "
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "parameters: {a: []}",
            "2:14: error: parameters.a: an empty list leaves no points; give at least one value",
        ),
        (
            "parameters: {a: {values: []}}",
            "2:18: error: parameters.a.values: an empty list leaves no points; give at least one value",
        ),
        ("parameters: {'': [1]}", "2:14: error: parameters.: a name must not be empty"),
        ("parameters: {' ': [1]}", "2:14: error: parameters. : a name must not be empty"),
        (
            'parameters: {"a\\nb": [1]}',
            "2:14: error: parameters.a\\nb: a name must not contain line breaks or control characters",
        ),
        (
            'parameters: {"\\0": [1]}',
            "2:1: error: parameters: a name must not contain line breaks or control characters",
        ),
        (
            "parameters: {a: 1}\nderive: {a: a + 1}",
            "3:10: error: derive.a: 'a' is a parameter already; choose another name",
        ),
        (
            "parameters: {a: 1}\nminimize: a",
            "3:1: error: minimize: 'a' is a parameter, not a metric; name what the objective returns",
        ),
        (
            "parameters: {a: 1}\ntable: {a: [1, 2]}",
            "3:1: error: table: the column 'a' is a parameter too; rename one of them",
        ),
        (
            "parameters: {1: [2]}",
            '2:14: error: parameters.1: a key must be text, got 1; write it in quotes: "1"',
        ),
        ("parameters: {}", "2:1: error: parameters: nothing is swept: there is no parameter; write"),
        ("parameters: []", "2:1: error: parameters: an empty list leaves no points; write"),
        (
            "parameters: [{a: 1}, {}]",
            "2:22: error: parameters[1]: a block without parameters; name at least one",
        ),
    ],
)
def test_A08_axes_that_are_none_and_names_that_cannot_be(here, text, line):
    assert said(here, text)[0].startswith(line)


@pytest.mark.parametrize(
    "name", ["training.lr", "a b", "lambda", "class", "self", "_status", "Status", "__class__", "#"]
)
def test_A08_a_name_need_not_be_an_identifier(here, name):
    study(here, f"{GOOD}parameters: {{{json.dumps(name)}: [1, 2, 3]}}\nwhere: '`{name}` > 1'\n")
    result = called("run", "study.yaml", "--engine", "inline", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert swath.open("results/study").frame[name].tolist() == [2, 3]


# A09.


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("{range: [0, 10, 0]}", ".range[2]: the step must not be zero"),
        ("{range: [0, 10, 0.0]}", ".range[2]: the step must not be zero"),
        (
            "{range: [0, 10, -1]}",
            ".range: no value lies from 0 up to and without 10 by -1; the step leads away",
        ),
        ("{range: [10, 0]}", ".range: no value lies from 10 up to and without 0 by 1; the step leads away"),
        ("{range: [3, 3]}", ".range: no value lies from 3 up to and without 3 by 1; the stop itself is not"),
        ("{range: [0, .inf]}", ".range[1]: must be a number of at most 1e+300, got inf"),
        ("{range: [0, 1, .nan]}", ".range[2]: must be a number of at most 1e+300, got nan"),
        ("{range: [0, 1, 1e-300]}", ".range: 1,000,000,"),
        ("{range: [1, 2, 3, 4]}", ".range: takes [stop], [start, stop] or [start, stop, step], got 4 values"),
        ("{range: 3}", ".range: takes [stop], [start, stop] or [start, stop, step], got 3"),
        ("{linspace: [.nan, 1, 3]}", ".linspace[0]: must be a number of at most 1e+300, got nan"),
        ("{linspace: [0, -.inf, 3]}", ".linspace[1]: must be a number of at most 1e+300, got -inf"),
        ("{linspace: [0, 1, 0]}", ".linspace[2]: must be at least 1, got 0"),
        ("{linspace: [0, 1, 2.5]}", ".linspace[2]: must be a whole number, got 2.5"),
        ("{linspace: [0, 1, 1e3]}", ".linspace[2]: must be a whole number, got 1000.0"),
        ("{linspace: [0, 1, 10000001]}", ".linspace[2]: must be at most 10000000, got 10000001"),
        (
            "{linspace: [1, 1, 3]}",
            ".linspace: 1.0 is repeated: values 1 and 2 are equal; the ends are too near",
        ),
        (
            "{geomspace: [0, 1, 3]}",
            ".geomspace[0]: must be more than zero, got 0; a geometric sequence has no log",
        ),
        (
            "{geomspace: [1, -1, 3]}",
            ".geomspace[1]: must be more than zero, got -1; a geometric sequence has no",
        ),
        (
            "{logspace: [-400, 1, 3]}",
            ".logspace[0]: 10 to this power is no float, got -400; logspace takes exp",
        ),
        ("{seeds: 0}", ".seeds: must be at least 1, got 0"),
        ("{seeds: -1}", ".seeds: must be at least 1, got -1"),
    ],
)
def test_A09_forms_without_values(here, form, line):
    (found,) = said(here, f"parameters: {{a: {form}}}")
    assert found.split("error: parameters.a", 1)[1].startswith(line), found


def test_A09_a_descending_linspace_is_as_numpys(here):
    study(here, GOOD + "parameters: {a: {linspace: [3, 1, 3]}, b: {range: [3, 0, -1]}}")
    axes = json.loads(called("check", "study.yaml", "--json").stdout)["axes"]
    assert [(axis["first"], axis["last"]) for axis in axes] == [([3.0], [1.0]), ([3], [1])]


# A10, A11, A12.

GRID = "parameters: {" + ", ".join(f"p{i}: {{range: [1000]}}" for i in range(4)) + "}\n"


@pytest.mark.parametrize(
    ("axes", "count"),
    [
        (["range: [10000000]"] * 3, f"{10**21:,}"),
        (["range: [2097152]"] * 3, f"{2**63:,}"),  # one too many
        (["range: [1000]"] * 400, "10^1200 or more"),  # no float holds it
    ],
)
def test_A10_a_product_beyond_2_63_is_counted_exactly_and_refused(here, axes, count):
    parameters = ", ".join(f"p{i}: {{{form}}}" for i, form in enumerate(axes))
    assert said(here, f"parameters: {{{parameters}}}") == [
        f"2:1: error: parameters: {count} points, more than an index can count (9,223,372,036,854,775,807); leave out values"
    ]


def test_A10_the_largest_product_is_counted_to_the_last_point(here):
    sizes = [7, 7, 73, 127, 337, 92737, 649657]  # 2^63 - 1 in factors
    study(
        here, GOOD + "parameters: {" + ", ".join(f"p{i}: {{range: [{n}]}}" for i, n in enumerate(sizes)) + "}"
    )
    report = json.loads(called("check", "study.yaml", "--json").stdout)
    assert math.prod(sizes) == 2**63 - 1 == report["points"]
    assert report["last"][-1] == {
        "point": 2**63 - 2,
        "values": {f"p{i}": n - 1 for i, n in enumerate(sizes)},
    }


def test_A10_a_product_under_conditions_is_counted_too(here):
    parameters = "a: [1, 2], " + ", ".join(f"p{i}: {{range: [10000000], when: a == 1}}" for i in range(3))
    (line,) = said(here, f"parameters: {{{parameters}}}")
    assert f"{10**21 + 1:,} points are more than an index can count" in line


CHECK = """
import resource, sys, time
import click.testing, pyarrow
from swath import cli
from swath.commands import preview
from swath.views import listings
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for file in sys.argv[1:]:
    began = time.process_time()
    result = click.testing.CliRunner().invoke(cli.sweep, ["check", file])
    print(result.exit_code, f"{time.process_time() - began:.3f}", int(peak() - before), (result.stdout or result.stderr).replace("\\n", " | "), sep="\\t")
"""

HUGE = {
    "grid": ("", "points     1,000,000,000,000 = 1000 x 1000 x 1000 x 1000"),
    "shuffled": ("order: shuffle\n", "points     1,000,000,000,000 ="),
    "halved": ("where: p0 + p3 < p1 + p2\n", "points     about 4"),
    "exact": ("where: p0 >= 500\n", "points     500,000,000,000 of 1,000,000,000,000"),
    "derived": ("derive: {q: p0 / (p1 + 1)}\nwhere: q > 1\n", "points     4"),
    "none": ("where: p0 < 0\n", "error: where: excludes all 1,000,000,000,000 points; loosen it"),
    "unlikely": (
        "where: p0 + p1 + p2 + p3 < 0\n",
        "None of the candidates that were looked at satisfies where.",
    ),
    "failing": ("where: p0 + p1 < 'x'\n", "0 < 'x' cannot be computed, at point 0 (p0=0, p1=0); rule"),
    "deriving": (
        "derive: {q: p3 / 'x'}\n",
        "error: derive.q: expression \"p3 / 'x'\": 0 / 'x' cannot be computed",
    ),
}


def test_A11_A12_checking_10_12_points_takes_a_moment_and_no_memory(here):
    for name, (text, _) in HUGE.items():
        study(here, GOOD + GRID + text, f"{name}.yaml")
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *(f"{name}.yaml" for name in HUGE)],
        env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == len(HUGE)
    for line, (name, (_, found)) in zip(lines, HUGE.items(), strict=True):
        code, seconds, megabytes, shown = line.split("\t")
        assert found in shown, line
        assert code == ("2" if "error: " in shown else "0"), line
        assert float(seconds) < 1, line
        assert int(megabytes) < 100, (name, line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "parameters: {a: [1, 2, 3]}\nwhere: a > 3",
            "3:1: error: where: excludes all 3 points; loosen it, or correct the values that it reads",
        ),
        (
            "parameters: {a: [1, 2, none, 4]}\nwhere: a < 3",
            "3:1: error: where: expression 'a < 3': 'none' < 3 cannot be computed, at point 2 (a='none'); rule such values out",
        ),
        (
            "parameters: {a: [1, 2, none, x], b: {range: [1000]}}\nwhere: b > 990 and q > 0\nderive: {q: 1 / a}",
            "4:10: error: derive.q: expression '1 / a': 1 / 'none' cannot be computed, at point 2,",
        ),
        (
            "parameters: {a: {range: [100000]}, b: [1]}\nwhere: a + b < 1",
            "3:1: error: where: excludes all 100,000 points",
        ),
        (
            "parameters: {a: [x, y], b: {values: [1, 2], when: a > 3}}",
            "2:1: error: parameters: expression 'a > 3': 'x' > 3 cannot be computed",
        ),
        (
            "parameters: {a: [1, 2], b: {values: [1], when: a == 3}}\nwhere: b == 1",
            "3:1: error: where: excludes all 2 points",
        ),
    ],
)
def test_A12_a_condition_that_no_point_meets_or_that_fails(here, text, line):
    assert said(here, text)[0].startswith(line)


def test_A12_a_condition_that_fails_in_the_middle_ends_the_run_and_names_the_point(here):
    values = [*range(700), "none", *range(700, 1400)]
    study(
        here, f"{GOOD}parameters: {{b: [0], a: {json.dumps(values)}, c: {{range: [1000]}}}}\nwhere: a < 650\n"
    )
    checked = called("check", "study.yaml")
    assert checked.exit_code == 2
    assert "study.yaml:3:1: error: where: expression 'a < 650': 'none' < 650 cannot be" in checked.stderr
    result = called("run", "study.yaml", "--engine", "inline", "--progress", "none")
    assert result.exit_code == 2
    assert "'none' < 650 cannot be computed, at point 700,000 (a='none')" in result.stderr
    if "all saved" in result.stderr:  # a run that began keeps what it has
        assert len(swath.open("results/study")) == 650_000


# A18.


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ("[1, 2, 1]", "a[2]: 1 is repeated: values 1 and 3 are equal; leave one out"),
        ("[1, 1.0]", "a[1]: 1.0 is repeated: values 1 and 2 are equal; leave one out"),
        ("[0.0, -0.0]", "a[1]: -0.0 is repeated: values 1 and 2 are equal; leave one out"),
        ("[0, -0.0]", "a[1]: -0.0 is repeated: values 1 and 2 are equal; leave one out"),
        ("[null, x, ~]", "a[2]: null is repeated: values 1 and 3 are equal; leave one out"),
        ("[[1, 2], [1.0, 2]]", "a[1]: a list of 2 is repeated: values 1 and 2 are equal; leave one out"),
        ("[{x: 1}, {x: 1}]", "a[1]: a mapping is repeated: values 1 and 2 are equal; leave one out"),
        ("[9007199254740993, 9007199254740993]", "a[1]: 9007199254740993 is repeated"),
        ("[.nan]", "a[0]: NaN equals nothing, not even itself, so no point could be found again; use null"),
        ("[1, [2, .nan]]", "a[1][1]: NaN equals nothing"),
        (".nan", "a: NaN equals nothing"),
    ],
)
def test_A18_repeated_values_and_nan_are_refused(here, values, line):
    (found,) = said(here, f"parameters: {{a: {values}}}")
    assert found.split("error: parameters.", 1)[1].startswith(line), found


def test_A18_what_only_looks_alike_is_kept_apart(here):
    values = '[0, false, null, "", "0", "null", [], [0], {}, 1, true, "1", 9007199254740993, 9007199254740992.0, .inf]'
    study(here, f"{GOOD}parameters: {{a: {values}}}")
    assert (
        json.loads(called("check", "study.yaml", "--json").stdout.replace("Infinity", "1e999"))["points"]
        == 15
    )


def test_A18_minus_zero_is_zero_across_edits(here):
    study(here, GOOD + "parameters: {a: [0.0, 1]}")
    assert called("run", "study.yaml", "--engine", "inline", "-q").exit_code == 0
    study(here, GOOD + "parameters: {a: [-0.0, 1, 2]}")
    result = called("run", "study.yaml", "--engine", "inline", "--progress", "none")
    assert "study: 2 done, 1 to do" in result.stderr


# A19.

NAMES = (
    "größe", "ελ", "变量", "שלום", "\u202eabc", "🦊", "e\u0301", "é", "\uff41", "a", "\U0001d538", "\u200b", "a\u00a0b", "İ",
)  # fmt: skip
TEXTS = (
    "é", "e\u0301", "שלום עולם", "\u202edlrow", "🏳️‍🌈👩‍🔬", "\U0010ffff", "\U0001d518", "a \u2028 b", "a\x85b\u2029", "tab\tnew\nline\r", "\x7f\x1b[31m",
    "nul\0inside", "'\"\\`", "", " ", "null", "1e3", "=1+1", "🦊" * 10_000, "x" * 10_000,
)  # fmt: skip
REPORT = """
import hashlib
def f(**values):
    return {"digest": hashlib.sha256(values["text"].encode()).hexdigest(), "names": "|".join(values), "back": values["text"]}
"""


def test_A19_names_and_texts_come_back_byte_for_byte(here):
    definition = {
        "objective": "model:f",
        "parameters": {name: i for i, name in enumerate(NAMES)} | {"text": list(TEXTS)},
    }
    text = json.dumps(definition, ensure_ascii=False)
    for character in "\x7f\x85\u2028\u2029":  # which YAML does not hold bare
        text = text.replace(character, f"\\u{ord(character):04x}")
    study(here, text, "study.json", REPORT)
    result = called("run", "study.json", "--engine", "inline", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    exported = pd.read_parquet("results/study/results.parquet")
    for frame in (swath.open("results/study").frame, exported):
        assert frame["text"].tolist() == list(TEXTS)
        assert frame["back"].tolist() == list(TEXTS)
        assert frame["names"].unique().tolist() == ["|".join([*NAMES, "text"])]
        columns = [column for column in frame.columns if column in NAMES]
        assert columns == list(NAMES)
        assert frame.loc[:, list(NAMES)].iloc[3].tolist() == list(range(len(NAMES)))
    again = called(
        "run", "study.json", "--engine", "inline", "--progress", "none"
    )  # content ids are the same
    assert f"study: {len(TEXTS)} done, 0 to do" in again.stderr
    shown = called("show", "study", "text=🏳️‍🌈👩‍🔬", "--json")
    assert json.loads(shown.stdout)["parameters"]["text"] == "🏳️‍🌈👩‍🔬"


# A22.


@pytest.mark.parametrize(
    ("seed", "line"),
    [
        ("-1", "must be at least 0, got -1"),
        (str(2**64), f"must be at most {2**64 - 1}, got {2**64}"),
        ("1.0", "must be a whole number, got 1.0"),
        ("true", "must be a whole number, got true"),
        ("x", "must be a whole number, got 'x'"),
        (".nan", "must be a whole number, got nan"),
        ("9" * 299, f"must be at most {2**64 - 1}, got 999999"),
    ],
)
def test_A22_a_seed_that_is_none(here, seed, line):
    (found,) = said(here, f"parameters: {{a: {{seeds: 3}}}}\nseed: {seed}")
    assert found.startswith(f"3:1: error: seed: {line}")


def test_A22_a_missing_seed_is_zero_and_every_seed_up_to_2_64_is_one(here):
    drawn = {}
    for seed in ("", "seed:", "seed: 0", "seed: 1", f"seed: {2**63}", f"seed: {2**64 - 1}"):
        study(here, f"{GOOD}parameters: {{a: {{seeds: 3}}}}\norder: shuffle\n{seed}")
        report = json.loads(called("check", "study.yaml", "--json").stdout)
        drawn[seed] = tuple(place["values"]["a"] for place in report["first"])
    assert drawn[""] == drawn["seed:"] == drawn["seed: 0"]
    assert len(set(drawn.values())) == 4
    assert all(0 <= value < 2**31 for values in drawn.values() for value in values)
    assert "results" not in tree(here)
