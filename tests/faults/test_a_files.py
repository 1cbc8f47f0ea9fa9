"""FAULTS A01 to A07, A14, A15: files that are no definition are refused, with the place, before anything is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from refusing import GOOD, called, refused, settled, study
from running import ENVIRONMENT
from swath.definition.composer import DEPTH
from swath.definition.loading import LARGEST, load
from swath.errors import DefinitionError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder of the user's, in which the command line is called."""
    yield from settled(tmp_path, monkeypatch)


def one(*words):
    """The only line of a refusal."""
    (line,) = refused(*words)
    return line


# A01.


def test_A01_a_missing_file_is_named_with_its_path(here):
    study(here, GOOD, "digits.yaml")
    assert one("digit.yaml") == "digit.yaml: error: there is no such file; did you mean 'digits.yaml'?"
    assert one("no/such/sweep.yaml") == "no/such/sweep.yaml: error: there is no such file"
    assert (
        one(here / "somewhere-else.yaml") == f"{here / 'somewhere-else.yaml'}: error: there is no such file"
    )


def test_A01_what_is_no_file_is_refused_without_waiting(here):
    study(here, GOOD, "digits.yaml")
    assert one(".") == ".: error: is a folder, not a file; it holds digits.yaml"
    os.mkfifo(here / "pipe.yaml")
    (here / "loop.yaml").symlink_to("loop.yaml")
    (here / "dangling.yaml").symlink_to("nowhere")
    assert one("/dev/zero") == "/dev/zero: error: is not a regular file; save the definition to one"
    assert (
        one("pipe.yaml") == "pipe.yaml: error: is not a regular file; save the definition to one"
    )  # nobody writes to it
    assert one("loop.yaml").startswith("loop.yaml: error: cannot be read: too many levels of symbolic links")
    assert one("dangling.yaml").startswith("dangling.yaml: error: there is no such file")
    assert one("digits.yaml/x.yaml") == "digits.yaml/x.yaml: error: cannot be read: not a directory"
    assert "file name too long" in one("x" * 300 + ".yaml")
    with pytest.raises(DefinitionError, match="cannot be read: embedded null byte"):
        load("a\0b.yaml")  # no shell can say this


def test_A01_a_file_that_may_not_be_read(here):
    study(here, GOOD).chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may read everything
    try:
        result = called("check", "study.yaml")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
    assert (result.exit_code, result.stderr) == (
        2,
        "study.yaml: error: cannot be read: permission denied\n",
    )


# A02 to A05: what is in it.

EMPTY = "study.yaml: error: there is nothing in it; `swath init` writes an example"
PLAIN = "a definition is plain text; remove it, or write it escaped in double quotes"
MAPPING = "a definition is a mapping of keys to values, got"
BEGIN = "begin with `objective: module:function`"

CONTENTS = [
    ("A02", b"", EMPTY),
    ("A02", b"\n \n\n", EMPTY),
    ("A02", b"# only\n# comments\n", EMPTY),
    ("A02", b"\xef\xbb\xbf", EMPTY),
    ("A02", b"---\n...\n", EMPTY),
    ("A02", b"null", EMPTY),
    ("A02", b"- a\n", f"study.yaml: error: {MAPPING} a list; {BEGIN}"),
    ("A02", b"text", f"study.yaml: error: {MAPPING} a single value; {BEGIN}"),
    (
        "A03",
        b"a: 1\nb: gr\xf6\xdfe",
        "study.yaml: error: not UTF-8: the byte 0xf6 at offset 10; save it as UTF-8",
    ),
    (
        "A03",
        GOOD.encode("utf-16"),
        "study.yaml: error: not UTF-8: the byte 0xff at offset 0; save it as UTF-8",
    ),
    (
        "A03",
        b"a: \xed\xa0\x80",
        "study.yaml: error: not UTF-8: the byte 0xed at offset 3; save it as UTF-8",
    ),
    ("A03", b"a: 1\nb: \0", f"study.yaml:2:4: error: NUL at character 8; {PLAIN}"),
    (
        "A03",
        'a: "b\u2028c"'.encode(),
        f"study.yaml:1:6: error: the control character U+2028 at character 5; {PLAIN}",
    ),
    (
        "A03",
        b"a: \x1b[31m",
        f"study.yaml:1:4: error: the control character U+001B at character 3; {PLAIN}",
    ),
    (
        "A04",
        b"a: [1, 2\nb: 3",
        "study.yaml:2:2: error: not YAML: while parsing a flow sequence, did not find expected ',' or ']', in the line 'b: 3'",
    ),
    (
        "A04",
        b"a: b: c",
        "study.yaml:1:5: error: not YAML: mapping values are not allowed in this context, in the line 'a: b: c'",
    ),
    (
        "A04",
        b"a:\n\t- 1",
        "study.yaml:2:1: error: not YAML: while scanning for the next token, found character that cannot start any token, in the line '- 1'",
    ),
    (
        "A04",
        b"{" + b", ".join(b"k%d: 1" % i for i in range(40)) + b"]}",
        "study.yaml:1:310: error: not YAML: while parsing a flow mapping, did not find expected ',' or '}', in the line '{k0",
    ),
    (
        "A05",
        b"objective: m:f\nparameters:\n  a: [1]\n  b: 2\n  a: [3]\n",
        "study.yaml:5:3: error: parameters.a: written twice, in lines 3 and 5; keep one of them",
    ),
    (
        "A05",
        b"where: a\nobjective: m:f\nparameters: {a: 1}\nwhere: not a",
        "study.yaml:4:1: error: where: written twice, in lines 1 and 4; keep one of them",
    ),
    (
        "A05",
        b'objective: m:f\nparameters: {a: 1, "\\x61": 2}',
        "study.yaml:2:20: error: parameters.a: written twice, in lines 2 and 2; keep one of them",
    ),
]


WAYS_OUT = {
    "a:\n\t- 1": "indent with blanks, YAML knows no tabs there",
    "\tobjective: m:f": "indent with blanks, YAML knows no tabs there",
    "a: @home": "put it in quotes",
    "a: %d": "put it in quotes",
    "a: b: c": "put a text that holds a colon in quotes, or indent it",
    "a: [1, 2\nb: 3": "a bracket or quote is not closed, or a comma is missing",
    "a: 'it's'\n": "indent the keys of one level alike",
    " a: 1\n  b: 2\n": "put a text that holds a colon in quotes, or indent it",
    "a:\n b: 1\n  c: [2]\nd": "indent",
    'a: "x': "a quote is not closed",
    "a: 1\nb\nc: 2": "write `key: value`, with a blank behind the colon",
}


@pytest.mark.parametrize(("content", "way"), WAYS_OUT.items(), ids=range(len(WAYS_OUT)))
def test_A04_a_syntax_error_says_the_way_out(here, content, way):
    study(here, content)
    line = one("study.yaml")
    assert re.match(r"study\.yaml:\d+:\d+: error: not YAML: ", line)
    assert way in line.rpartition("; ")[2]


def of(fault):
    return [
        pytest.param(*case[1:], id=f"{number}") for number, case in enumerate(CONTENTS) if case[0] == fault
    ]


@pytest.mark.parametrize(("content", "line"), of("A02"))
def test_A02_nothing_in_it(here, content, line):
    study(here, content)
    assert one("study.yaml") == line


@pytest.mark.parametrize(("content", "line"), of("A03"))
def test_A03_bytes_that_are_no_text(here, content, line):
    study(here, content)
    assert one("study.yaml") == line


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_A03_byte_order_mark_and_line_ends_are_accepted_and_places_stay_right(here, ending, mark):
    text = f"{mark}# Größe\n{GOOD}parameters:\n  größe: [1, 2]\n"
    study(here, text.replace("\n", ending))
    shown = json.loads(called("check", "study.yaml", "--json").stdout)
    assert (shown["points"], shown["axes"][0]["names"]) == (2, ["größe"])
    study(here, (text + "  b: []\n").replace("\n", ending))
    assert one("study.yaml").startswith("study.yaml:5:3: error: parameters.b: an empty list")


@pytest.mark.parametrize(("content", "line"), of("A04"))
def test_A04_a_syntax_error_has_its_line_and_column_and_the_line_itself(here, content, line):
    study(here, content)
    assert one("study.yaml").startswith(line)


@pytest.mark.parametrize(("content", "line"), of("A05"))
def test_A05_both_lines_of_a_duplicate_key_are_named(here, content, line):
    study(here, content)
    assert line in refused("study.yaml")  # the objective m:f comes later, so nothing else is wrong


# A06.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paramters: {a: 1}", "paramters: unknown key; did you mean 'parameters'?"),
        ("parameters: {a: {linspcae: [0, 1, 3]}}", "a.linspcae: unknown form; did you mean 'linspace'?"),
        ("parameters: {a: {values: [1], wen: b}}", "a.wen: unknown key; did you mean 'when'?"),
        ("parameters: {a: 1}\npoint: {timout: 3}", "point.timout: unknown key; did you mean 'timeout'?"),
        ("parameters: {a: 1}\ncluster: {wokers: 3}", "cluster.wokers: unknown key; did you mean 'workers'?"),
        ("parameters: {a: 1}\norder: shufle", "order: must be 'grid' or 'shuffle', got 'shufle'; did you"),
        (
            "parameters: {alpha: 1}\nwhere: alhpa > 1",
            "reads 'alhpa', which is no parameter; did you mean 'al",
        ),
        ("parameters: {a: 1}\nworkers: 3", "workers: unknown key; it belongs under `cluster:`"),
        ("parameters: {a: 1}\ntrails: 3", "trails: unknown key; there are: name, objective, parameters,"),
        ("parameters: {a: 1}\nminimise: x", "minimise: unknown key; did you mean 'minimize'?"),
        ("parameters: {a: 1, b: 2}\nzip: [[a, c]]", "there is no parameter 'c'"),
    ],
)
def test_A06_a_near_miss_is_recognised(here, text, said):
    study(here, GOOD + text)
    lines = refused("study.yaml")
    assert any(said in line and re.match(r"study\.yaml:\d+:\d+: error: ", line) for line in lines), lines


def test_A06_all_mistakes_come_at_once_in_the_order_of_the_file(here):
    study(
        here,
        "objctive: model:f\nparameters:\n  a: []\n  b: {range: [0, 3, 0]}\nwhere: a.b\norder: up\nseed: -1\nname: x\nname: y\n",
    )
    lines = refused("study.yaml", "c=1")
    assert [line.split(" error: ")[0] for line in lines] == [
        *("c=1:", "study.yaml:1:1:", "study.yaml:3:3:", "study.yaml:4:21:"),
        *("study.yaml:5:1:", "study.yaml:6:1:", "study.yaml:7:1:", "study.yaml:9:1:"),
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a=1", "a=2"], "a=2: error: the values were given already, as 'a=1'; write them in one: NAME=1,2"),
        (["b=1"], "b=1: error: there is no parameter 'b'; there are: a"),
        (
            ["a"],
            "a: error: an override is NAME=VALUES; such as gamma=0.1,0.2 or 'beta={linspace: [0.1, 1, 5]}'",
        ),
        (["a=[1"], "a=[1: error: not YAML: while parsing a flow sequence, did not find expected"),
        (["a="], "a=: error: there are no values behind the equals sign"),
        (["a=.nan"], "a=.nan: error: parameters.a: NaN equals nothing"),
        (["a=!!str 1"], "a=!!str 1: error: the tag !!str is not allowed here"),
        (["a=\0"], "a=\\x00: error: NUL at character 1"),
    ],
)
def test_A06_a_wrong_override_is_located_by_its_own_text(here, words, line):
    study(here, GOOD + "parameters: {a: 3}\n")
    assert one("study.yaml", *words).startswith(line)


# A07.


def test_A07_scalars_mean_what_yaml_1_2_says_and_check_shows_values_and_types(here):
    written = {
        "1e3": (1000.0, "float"),
        "1e-3": (0.001, "float"),
        "010": (10, "int"),
        "0o17": (15, "int"),
        "0x1f": (31, "int"),
        "no": ("no", "text"),
        "yes": ("yes", "text"),
        "off": ("off", "text"),
        "12:30": ("12:30", "text"),
        "1_000": ("1_000", "text"),
        "2026-01-01": ("2026-01-01", "text"),
        "true": (True, "bool"),
        "~": (None, "null"),
        "1.": (1.0, "float"),
        ".5": (0.5, "float"),
        "+1": (1, "int"),
        "'1'": ("1", "text"),
        "0b1": ("0b1", "text"),
        ".inf": (float("inf"), "float"),
    }
    study(here, GOOD + "parameters:\n" + "".join(f"  p{i}: [{text}]\n" for i, text in enumerate(written)))
    result = called("check", "study.yaml", "--json")
    axes = json.loads(result.stdout)["axes"]
    found = [(axis["first"][0], axis["types"][0]) for axis in axes]
    expected = [(value if value != float("inf") else found[-1][0], kind) for value, kind in written.values()]
    assert found == expected
    assert all(type(a[0]) is type(b[0]) for a, b in zip(found, expected, strict=True))
    table = called("check", "study.yaml").stdout
    assert re.search(r"p5 +1 +text +no\n", table)
    assert re.search(r"p0 +1 +float +1000", table)


def test_A07_a_text_that_may_have_been_meant_otherwise_is_shown_in_quotes(here):
    study(here, GOOD + "parameters: {a: [1, '1'], b: [null, 'null'], c: range(3), d: 'x y'}\n  \n")
    (here / "list.yaml").write_text(GOOD + "parameters:\n  a: 1, 2\n")
    table = called("check", "study.yaml").stdout
    assert re.search(r'a +2 +int, text +1 - "1"\n', table)
    assert re.search(r'b +2 +null, text +null - "null"\n', table)
    assert re.search(r'c +1 +text +"range\(3\)"\n', table)
    assert re.search(r"d +1 +text +x y\n", table)
    assert re.search(r'a +1 +text +"1, 2"\n', called("check", "list.yaml").stdout)


def test_A07_a_word_that_yaml_1_1_took_for_a_truth_is_no_flag(here):
    study(here, GOOD + "parameters: {a: 1}\ncluster: {insecure: yes}")
    assert one("study.yaml") == "study.yaml:3:11: error: cluster.insecure: must be true or false, got 'yes'"


# A14, A15.

BOMB = "".join(f"{a}: &{a} [{', '.join([f'*{b}'] * 9)}]\n" for a, b in pairwise("jihgfedcba"))
DEEP = f"nested more than {DEPTH} deep; a definition needs no more than 6 levels"
HOSTILE = {
    "bomb.yaml": (
        GOOD + "parameters: {x: 1}\n" + BOMB,
        "the anchor &j is not allowed here; write the value out where it is needed",
    ),
    "list.yaml": ("[" * 3000, DEEP),
    "closed.yaml": ("a: " + "[" * 900 + "]" * 900, DEEP),
    "map.yaml": ("{a: " * 3000, DEEP),
    "dashes.yaml": ("- " * 3000, DEEP),
    "keys.yaml": ("? " * 3000, "a key must be text, got a list or a mapping"),
    "indent.yaml": ("\n".join(" " * i + "a:" for i in range(1300)), DEEP),
    "wide.yaml": ("a: " + "[" * (LARGEST - 10), DEEP),
    "anchors.yaml": (
        GOOD + "parameters: {a: [" + "&x 1, " * 100_000 + "]}",
        "the anchor &x is not allowed here",
    ),
    "empty.yaml": (
        GOOD + "parameters: {" + "".join(f"k{i}: [], " for i in range(50_000)) + "}",
        "empty list",
    ),
    "names.yaml": (
        GOOD + "parameters: {" + "".join(f"k{i}: 1, " for i in range(50_000)) + "}",
        "at most 4,096",
    ),
    "union.yaml": (
        GOOD + "parameters: [" + "".join(f"{{a: {i}}}, " for i in range(50_000)) + "]",
        "at most 100",
    ),
    "when.yaml": (
        GOOD
        + "parameters: {a: [1, 2]"
        + "".join(f", b{i}: {{values: [3], when: a == 1}}" for i in range(4000))
        + "}",
        "at most 500",
    ),
    "zip.yaml": (
        GOOD + "parameters: {a: 1}\nzip: [[" + "".join(f"b{i}, " for i in range(50_000)) + "]]",
        "no parameter",
    ),
    "parentheses.yaml": (GOOD + "parameters: {a: 1}\nwhere: " + "(" * 100_000, "100,000 characters"),
    "digits.yaml": (GOOD + "parameters: {a: " + "9" * 500_000 + "}", "a number of 500000 digits"),
    "large.yaml": (None, "larger than 1,048,576 bytes; put long lists into a table: `table: cases.csv`"),
}
MEASURE = """
import resource, sys, time
import click.testing
from swath import cli
import swath.commands.preview
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for file in sys.argv[1:]:
    began = time.process_time()
    result = click.testing.CliRunner().invoke(cli.sweep, ["check", file])
    lines = result.stderr.splitlines()
    print(result.exit_code, int(peak() - before), f"{time.process_time() - began:.2f}", len(result.stderr), lines[0], sep="\\t")
"""
"""Calls ``swath check`` for each file; prints exit code, MB above the start, seconds of the processor, and what is said."""


def test_A14_bombs_nesting_and_huge_files_cost_little(here):
    for name, (text, _) in HOSTILE.items():
        with (here / name).open("w") as file:
            if text is None:
                file.truncate(10**9)  # a gigabyte that takes no room
            else:
                file.write(text)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *HOSTILE],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(HOSTILE)
    for line, (name, (_, said)) in zip(lines, HOSTILE.items(), strict=True):
        code, megabytes, seconds, characters, first = line.split("\t")
        assert code == "2", line
        assert int(megabytes) < 100, line
        assert float(seconds) < 4, line
        assert int(characters) < 100_000, line
        assert first.startswith(f"{name}:"), line
        assert said in first, line
    assert sorted(path.name for path in here.iterdir()) == sorted(HOSTILE)


@pytest.mark.parametrize(
    "tag",
    [
        *("!!python/object/apply:os.system", "!!python/object:os.system", "!!python/name:os.system"),
        *("!!python/module:os", "!!python/object/new:subprocess.Popen", "!!timestamp", "!!binary", "!!str"),
        *("!custom", "!!set", "!!omap", "!<tag:yaml.org,2002:python/name:os.system>"),
    ],
)
def test_A15_no_tag_is_obeyed(here, tag):
    value = "['touch owned']" if "python" in tag else "{a: 1}" if tag in ("!!set", "!!omap") else "x"
    study(here, f"{GOOD}parameters:\n  a: {tag} {value}\n")
    line = one("study.yaml")
    assert line.startswith("study.yaml:3:6: error: parameters.a: the tag ")
    assert line.endswith(" is not allowed here; a definition is data; put text in quotes, leave numbers bare")
    assert not (here / "owned").exists()
