"""FAULTS F01, F07, F09, F13: definitions, names and values from somebody who means harm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata

import pytest

import escapes
import swath
from refusing import GOOD, called, refused, settled, study, tree, untouched
from running import ENVIRONMENT, ask
from swath.definition.checks import fitting_run_name
from swath.errors import DefinitionError
from swath.run.journal import Journal


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder of the user's, in which the command line is called."""
    yield from settled(tmp_path, monkeypatch)


# F01.

HARM = "['touch owned']"
TAGS = (
    *(
        "!!python/object/apply:os.system",
        "!!python/object/new:os.system",
        "!!python/object:os.system",
        "!!python/name:os.system",
    ),
    *(
        "!!python/module:owned",
        "!!python/tuple",
        "!!python/object/apply:subprocess.Popen",
        "!!binary",
        "!<x>",
        "!owned",
    ),
)
BOMB = "".join(
    f"{a}: &{a} [{', '.join([f'*{b}'] * 9)}]\n" for a, b in zip("bcdefghij", "abcdefghi", strict=True)
)
PLAIN = f"{GOOD}parameters: {{x: [1, 2]}}\n"
HOSTILE = [
    *(f"{PLAIN}where: {tag} {HARM}\n" for tag in TAGS),
    *(f"{GOOD}parameters: {{x: {tag} {HARM}}}\n" for tag in TAGS),
    *(f"{tag} {HARM}" for tag in TAGS),
    f"{PLAIN}a: &a [x]\n{BOMB}",
    f"{PLAIN}<<: *x\n",
    f"{PLAIN}? !!python/object/apply:os.system {HARM}\n: 1\n",
    PLAIN + "%YAML 1.1\n---\n" + PLAIN,
    "%TAG ! tag:yaml.org,2002:python/\n---\n" + f"a: !object/apply:os.system {HARM}\n",
    *(f"{PLAIN}where: {json.dumps(text)}\n" for text in escapes.ESCAPES[:300:6]),
    *(f"{PLAIN}derive: {{q: {json.dumps(text)}}}\n" for text in escapes.ESCAPES[1:300:12]),
    *(
        f"{GOOD}parameters: {{x: [1], y: {{values: [2], when: {json.dumps(text)}}}}}\n"
        for text in escapes.ESCAPES[2:300:12]
    ),
    *(
        f"objective: {json.dumps(name)}\nparameters: {{x: 1}}\n"
        for name in (
            *(
                "../model:f",
                "/etc/passwd:f",
                "model:f()",
                "model:f.__globals__['os']",
                "model:__import__('os')",
                "a b:c",
            ),
            *(
                "model:f\n",
                "model;f",
                "model:",
                ":f",
                "model:f:g",
                "model.py:f",
                "nowhere:f",
                "owned:f",
                "model:nothing",
            ),
            *(
                "os.path:join",
                "owned.deeper:f",
                "os.path.x:join",
                "__main__:f",
                "model:f\0",
                "~:f",
                "..:f",
                "model:..",
                "\u202emodel:f",
            ),
        )
    ),
    f"{PLAIN}table: /etc/passwd\n",
    f"{PLAIN}table: ../outside.csv\n",
    f'{PLAIN}table: "\\0.csv"\n',
    f"{PLAIN}table: owned.py\n",
    f"{PLAIN}table: .\n",
    f"{PLAIN}table: bad.parquet\n",
    f"{GOOD}parameters: {{x: {{opaque: [gASVJwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAt0b3VjaCBvd25lZJSFlFKULg==, os.system]}}}}\n",
    f"{PLAIN}cluster: {{scheduler: 'tcp://127.0.0.1:1', insecure: true}}\n",
    f"{PLAIN}name: ../../owned\n",
    f"{PLAIN}name: $(touch owned)\n",
]
WATCHED = """
import json, os, sys
import click.testing, pandas, pyarrow.csv, pyarrow.parquet
from swath import cli
ask = lambda *words: click.testing.CliRunner().invoke(cli.sweep, list(words))
for file in ("warm.yaml", "warm.yaml", "bad.yaml", "none.yaml"):
    ask("check", file)
files, heard, codes = sys.argv[1:], [], []
quiet = {"open", "os.listdir", "os.scandir", "os.stat", "object.__getattr__", "tempfile.mkstemp", "sys._getframe", "builtins.id"}
def hook(name, arguments):
    if not watching or name in quiet and not (name == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        return
    if name == "compile" and str(arguments[1]).endswith(("model.py", "owned.py")):
        return  # an objective's text is parsed, not run: no exec follows
    heard.append([name, str(arguments)[:200]])
watching = False
sys.addaudithook(hook)
for file in files:
    watching = True
    result = ask("check", file)
    watching = False
    codes.append([result.exit_code, result.output[-300:]])
print(json.dumps([heard, codes, sorted(sys.modules.keys() & {"model", "owned"})]))
"""
"""Calls ``swath check`` for every file while an audit hook listens; what only reads, and parsing the objective, is not noted."""


def test_F01_checking_a_hostile_file_is_heard_by_nobody(here):
    study(here, PLAIN, "warm.yaml")
    (here / "warm.csv").write_text("y\n1\n")
    (here / "warm.yaml").write_text(f"{PLAIN}table: warm.csv\nwhere: x > y - 1\n")
    (here / "owned.py").write_text("open('owned', 'w')\n")
    (here / "bad.parquet").write_bytes(b"PAR1" + b"\xff" * 100 + b"PAR1")
    (here / "bad.yaml").write_text(f"{PLAIN}table: bad.parquet\n")
    files = []
    for number, text in enumerate(HOSTILE):
        files.append(f"h{number:03}.yaml")
        (here / files[-1]).write_bytes(text.encode())
    with untouched(here.parent):
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, *files], env=ENVIRONMENT,
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
    heard, codes, imported = json.loads(done.stdout)
    assert heard == []
    assert imported == []
    for (code, output), text in zip(codes, HOSTILE, strict=True):
        harmless = "scheduler" in text or "os.path:join" in text  # what is no harm until it is run
        assert code == (0 if harmless and "error" not in output else 2), (text, output)
        assert "mistake of its own" not in output, (text, output)


# F07.

NAMES = (
    *(
        "../owned",
        "..",
        ".",
        "/tmp/owned",
        "~",
        "~root",
        "~/owned",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "a b",
        "",
        " ",
        "a\u2044b",
    ),
    *(
        ".hidden",
        "-rf",
        "--help",
        "con",
        "CON",
        "nul.txt",
        "aux",
        "COM1",
        "lpt9.log",
        "prn.",
        "study.",
        "study ",
        "a:b",
        "C:",
    ),
    *(
        "x" * 101,
        "x" * 256,
        "x" * 5000,
        "\u0430bc",
        "\uff41bc",
        "e\u0301",
        "\u202eabc",
        "a\u200bb",
        "%2e%2e",
        "$(touch owned)",
        "*",
    ),
    *("\U0001f98a", "a|b", "a;b", "'a'", '"', "a?", "<a>", "|a", "a,b", "results/x", "..\\..\\x", "a\ud800"),
)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_F07_a_name_that_is_no_folder_everywhere_is_refused(here, name):
    with untouched(here.parent):
        with pytest.raises(DefinitionError, match="name: "):
            swath.Sweep(len, {"obj": [[1]]}, name=name)
        if "\ud800" not in name and name:
            study(here, f"{PLAIN}name: {json.dumps(name, ensure_ascii=name[0] != chr(0x1F98A))}\n")
            lines = refused("study.yaml")
            assert all(line.isprintable() for line in lines)
            assert any(re.match(r"study\.yaml:3:\d+: error: name: ", line) for line in lines), lines
            (here / "study.yaml").unlink()
            (here / "model.py").unlink()


@pytest.mark.parametrize(
    "stem",
    [
        "..",
        "...",
        "con",
        "nul",
        "x" * 200,
        "~",
        "-rf",
        "a b",
        "größe",
        "🦊",
        "\u202e",
        "a\nb",
        "$(touch owned)",
        "..-..",
        "\x1b[31m",
        "*",
    ],
    ids=ascii,
)
def test_F07_a_run_is_named_after_its_file_and_stays_inside(here, stem):
    study(here, PLAIN, f"{stem}.yaml")
    before = tree(here.parent)
    result = called("run", "--engine", "inline", "--progress", "none", "--", f"{stem}.yaml")
    assert result.exit_code == 0, result.output
    assert all(line.isprintable() for line in result.stderr.splitlines())
    new = tree(here.parent).keys() - before.keys()
    (folder,) = (here / "results").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", folder.name)
    assert folder.name == fitting_run_name(stem)
    assert all(path.startswith(f"here/results/{folder.name}") or path == "here/results" for path in new)


def test_F07_names_that_differ_by_case_or_look_alike_are_runs_of_their_own(here):
    study(here, PLAIN)
    for name in ("Study", "study", "STUDY", "study.1", "study-1"):
        study(here, f"{PLAIN}name: {name}\n", f"{name}.yaml")
        assert called("run", f"{name}.yaml", "--engine", "inline", "-q").exit_code == 0
    assert called("run", "study.yaml", "--engine", "inline", "-q", "--fresh").exit_code == 0
    kept = sorted(folder.name for folder in (here / "results").iterdir())
    assert len(kept) == 6
    assert {"Study", "study", "STUDY", "study.1", "study-1"} < set(kept)
    assert all(len(swath.open(f"results/{name}")) == 2 for name in kept)
    assert swath.open("results/study.1").definition.name == "study.1"  # what was put aside took another place


# F09.

INJECTIONS = (
    "') or __import__('os').system('touch owned') or ('",
    "' + open('owned', 'w').name + '",
    "`; import os; os.system('touch owned')",
    "{x.__class__}",
    "@x",
    "@__import__('os').system('touch owned')",
    "%(x)s",
    "$(touch owned)",
    "\\' or 1 or \\'",
    '" or True or "',
    "None or 1==1",
)


def test_F09_what_values_and_names_say_is_never_read_as_an_expression(here):
    names = {text: i for i, text in enumerate(INJECTIONS) if "`" not in text}
    quoted = " + ".join(f"`{name}`" for name in names)
    definition = {
        "objective": "model:f",
        "parameters": {**names, "text": list(INJECTIONS)},
        "derive": {"total": quoted, "longer": "text + '!'"},
        "where": "text != 'None or 1==1' and total > 0",
    }
    study(here, json.dumps(definition), "study.json")
    assert called("run", "study.json", "--engine", "inline", "-q").exit_code == 0
    frame = swath.open("results/study").frame
    assert frame["text"].tolist() == list(INJECTIONS[:-1])
    assert frame["total"].unique().tolist() == [sum(names.values())]
    assert frame["longer"].tolist() == [f"{text}!" for text in INJECTIONS[:-1]]
    found = called(
        "results",
        "study",
        "--where",
        f"{quoted} > 0 and text == {json.dumps(INJECTIONS[0])}",
        "--format",
        "json",
    )
    assert [row["text"] for row in json.loads(found.stdout)] == [INJECTIONS[0]]
    shown = called("show", "study", f"text={json.dumps(INJECTIONS[5])}", "--json")
    assert json.loads(shown.stdout)["parameters"]["text"] == INJECTIONS[5]
    overridden = called("check", "study.json", f"text={json.dumps(INJECTIONS[5])}", "--json")
    assert json.loads(overridden.stdout)["axes"][-1]["first"] == [INJECTIONS[5]]
    assert not (here / "owned").exists()


WHERE = """
import json, sys
import click.testing
from swath import cli
ask = lambda *words: click.testing.CliRunner().invoke(cli.sweep, list(words))
assert ask("results", "study", "--where", "x > 1").exit_code == 0
heard, watching, codes = [], False, []
def hook(name, arguments):
    if watching and name.split(".")[0] in {"exec", "compile", "pickle", "subprocess", "socket", "os", "import", "ctypes"} and name not in ("os.listdir", "os.scandir"):
        heard.append([name, str(arguments)[:200]])
sys.addaudithook(hook)
for text in json.load(sys.stdin):
    watching = True
    result = ask("results", "study", f"--where={text}")
    watching = False
    codes.append([result.exit_code, result.stderr])
print(json.dumps([heard, codes]))
"""


def test_F09_where_on_the_command_line_knows_the_same_words_only(here):
    study(here, PLAIN)
    assert called("run", "study.yaml", "--engine", "inline", "-q").exit_code == 0
    texts = [text for text in escapes.ESCAPES[::5] if len(text) < 20_000]
    with untouched(here):
        done = subprocess.run(
            [sys.executable, "-c", WHERE], input=json.dumps(texts), env=ENVIRONMENT,
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
    heard, codes = json.loads(done.stdout)
    assert heard == []
    for text, (code, said) in zip(texts, codes, strict=True):
        assert code == 2, (text, said)
        assert "expression " in said, (text, said)


# F13.

FORGED = '{"time": "2030", "event": "end", "ending": "complete"}'
LINES = ("\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\x1b[2K\r")
NOISY = f"""
import os, sys
forged = {FORGED!r}
def f(x):
    for end in {LINES!r}:
        sys.stdout.write(f"{{end}}{{forged}}{{end}}")
    os.write(2, b"\\xff\\n" + forged.encode() + b"\\n")
    raise ValueError("".join(f"{{end}}{{forged}}{{end}}" for end in {LINES!r}))
"""


def test_F13_a_text_stays_within_its_line_of_the_journal(tmp_path):
    journal = Journal(tmp_path)
    for end in (*LINES, "\ud800"):
        journal.note("left", worker=f"w{end}{FORGED}{end}", reason=f"{end}{FORGED}")
    journal.close()
    lines = (tmp_path / "events.jsonl").read_bytes().decode("ascii").split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert [event["event"] for event in found] == ["left"] * (len(LINES) + 1)


def test_F13_what_an_objective_prints_and_raises_forges_no_line_of_any_log(here):
    study(here, f"{GOOD}parameters: {{x: [1, 2]}}\npoint: {{retries: 0}}\n", objective=NOISY)
    done = ask("run", "study.yaml", "-n", "1", "--progress", "json", folder=here, code=None)
    assert done.returncode == 3, done.stderr
    logs = sorted((here / "results" / "study").rglob("*.jsonl"))
    assert [path.name for path in logs] == ["events.jsonl", "0001.jsonl"]
    for path in logs:
        for line in path.read_bytes().decode().split("\n")[:-1]:
            assert isinstance(json.loads(line), dict)
            assert not any(unicodedata.category(c) == "Cc" for c in line)
            assert json.loads(line).get("time") != "2030"
    said = done.stderr.splitlines()
    assert FORGED not in said
    assert all(json.loads(line).get("time") != "2030" for line in said if line.startswith("{"))
    frame = swath.open(here / "results" / "study").frame
    assert frame["status"].tolist() == ["error", "error"]
    assert FORGED in frame["failure"][0]
    for words in (("show", "study", "0"), ("status", "study"), ("results", "study")):
        output = called(*words).output
        assert all(character.isprintable() or character == "\n" for character in output), words
