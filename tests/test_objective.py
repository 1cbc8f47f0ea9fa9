"""Finding an objective without importing it, what its fingerprint is of, and how it travels."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from running import ENVIRONMENT
from swath.capture import capture
from swath.errors import ObjectiveError
from swath.objective import Code, Signature, locate, signature_of
from swath.unpacking import folder_of
from tasks import SOURCE, written

MODEL = '''
"""A model."""

import helper


def simulate(beta, gamma=0.1):
    """Simulate."""
    # a comment
    return {"error": helper.twice(beta) - gamma}
'''

HELPER = """
def twice(x):
    return 2 * x
"""


@pytest.fixture
def study(tmp_path):
    return written(tmp_path, model=MODEL, helper=HELPER)


def fingerprint(folder, objective="model:simulate"):
    return locate(objective, folder).fingerprint


def output_of(program, *arguments, **environment):
    """Run a program in a process of its own, elsewhere than any code; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-P", "-c", program, *map(str, arguments)],
        cwd="/",
        env={**os.environ, "PYTHONPATH": SOURCE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# What changes a fingerprint, and what does not.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment"),
        ("    # a comment\n", ""),
        ('"""Simulate."""', '"""Simulate something."""'),
        ('    """Simulate."""\n', ""),
        ('"""A model."""', ""),
        ('"error"', "'error'"),
        ("helper.twice(beta) - gamma", "(helper.twice( beta )\n            - gamma)"),
        ("gamma=0.1", "gamma = 0.10"),
        ("import helper", "import helper\n\n\n"),
    ],
)
def test_what_the_code_does_not_do_changes_nothing(study, old, new):
    before = fingerprint(study)
    assert old in MODEL
    written(study, model=MODEL.replace(old, new))
    assert fingerprint(study) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gamma=0.1", "gamma=0.2"),
        ("gamma=0.1", "gamma=1"),
        ("- gamma", "+ gamma"),
        ('"error"', '"loss"'),
        ('"error"', 'b"error"'),
        ("helper.twice(beta)", "helper.twice(-beta)"),
        ("import helper", "import helper, os"),
    ],
)
def test_an_edited_line_changes_it(study, old, new):
    before = fingerprint(study)
    assert old in MODEL
    written(study, model=MODEL.replace(old, new))
    assert fingerprint(study) != before


def test_an_edited_sibling_changes_it(study):
    before = fingerprint(study)
    written(study, helper=HELPER.replace("2 * x", "3 * x"))
    assert fingerprint(study) != before
    written(study, helper="# a comment\n" + HELPER)
    assert fingerprint(study) == before


def test_a_file_that_nobody_imports_does_not(study):
    before = fingerprint(study)
    written(study, unrelated="x = 1")
    assert fingerprint(study) == before


def test_neither_place_nor_hash_seed_matters(study, tmp_path_factory):
    elsewhere = written(tmp_path_factory.mktemp("elsewhere"), model=MODEL, helper=HELPER)
    assert fingerprint(elsewhere) == fingerprint(study)
    program = """
import sys
from pathlib import Path
from swath.objective import locate

print(locate("model:simulate", Path(sys.argv[1])).fingerprint)
"""
    assert output_of(program, study, PYTHONHASHSEED="5").strip() == fingerprint(study)


SYNTAX = '''
"""Much of what there is to write."""
from __future__ import annotations
import helper as h
COUNT: int = 0
class Model(h.Base, metaclass=h.Meta):
    """A class."""
    def __init__(self, *rest, key=None, **others): "text"
    @property
    async def value(self, a, /, b=1.5, *, c: str = u"x") -> bytes:
        global COUNT
        async with self as one, h.two() as (x, *y):
            return await one[1:, ...] if not x else b"" or (lambda z=-2j: f"{z!r:>9} {{}}")
def simulate(beta, gamma=0.1):
    try:
        for k, v in {**beta, 1: True}.items():
            while k < v <= 3 is not None: del v; continue
            else: assert k, "never"
    except (OSError, ValueError) as error:
        raise h.Error from error
    finally:
        match [gamma]:
            case [{"x": 0, **rest}, h.Point(y=1 | 2) as p, *_] if p: yield {n for n in rest if n}
            case _: "not a docstring"; (found := gamma); found @= 2
'''


def test_run_folders_keep_fingerprints_so_they_stay_what_they_are(tmp_path):
    written(tmp_path, model=SYNTAX, helper=HELPER)
    assert fingerprint(tmp_path) == "353b9e85cfab1207d34088e2a4773123"


def test_long_chains_are_code_like_any_other(tmp_path):
    branches = "".join(f"    elif x == {k}:\n        return {k}\n" for k in range(1, 500))
    source = f"def f(x):\n    if x == 0:\n        return 0\n{branches}    return {' + '.join(['x'] * 500)}\n"
    written(tmp_path, model=source)
    before = fingerprint(tmp_path, "model:f")
    written(tmp_path, model=source.replace("return 499", "return -499"))
    assert fingerprint(tmp_path, "model:f") != before


def test_another_function_of_the_file_has_another_fingerprint(tmp_path):
    written(tmp_path, model="def a(): pass\ndef b(): pass")
    assert fingerprint(tmp_path, "model:a") != fingerprint(tmp_path, "model:b")


# Which files travel.


def files(folder, objective="model:f"):
    return set(locate(objective, folder).files)


def test_siblings_of_siblings_travel(tmp_path):
    written(
        tmp_path,
        model="""
            import json, first
            from second import g

            def f():
                import third
        """,
        first="import model",
        second="try:\n    import fourth as other\nexcept ImportError:\n    pass\ndef g(): pass",
        third="",
        fourth="",
        fifth="",
    )
    assert files(tmp_path) == {"model.py", "first.py", "second.py", "third.py", "fourth.py"}


def test_packages_and_relative_imports(tmp_path):
    modules = {
        "model": "from package.deep import leaf\ndef f(): pass",
        "package/__init__": "from . import side",
        "package/side": "from .other import x",
        "package/other": "x = 1",
        "package/unused": "",
        "package/deep/__init__": "",
        "package/deep/leaf": "from .. import up\nfrom ..names import something\nfrom . import near",
        "package/deep/near": "",
        "package/up": "",
        "package/names": "something = 1",
    }
    written(tmp_path, **modules)
    assert files(tmp_path) == {f"{name}.py" for name in modules} - {"package/unused.py"}


def test_an_objective_inside_a_package(tmp_path):
    modules = {
        "package/__init__": "",
        "package/models/__init__": "",
        "package/models/sir": "from .. import tools\ndef f(): pass",
        "package/tools": "",
    }
    written(tmp_path, **modules)
    assert files(tmp_path, "package.models.sir:f") == {f"{name}.py" for name in modules}


def test_a_folder_without_init_is_a_package_too(tmp_path):
    written(tmp_path, **{"model": "import space.part\ndef f(): pass", "space/part": ""})
    assert files(tmp_path) == {"model.py", "space/part.py"}


def test_installed_modules_do_not_travel(tmp_path):
    code = locate("statistics:mean", tmp_path)
    assert (code.root, code.files) == ("", {})
    assert code.load()([1, 2, 3]) == 2
    assert locate("math:sin", tmp_path).load()(0.0) == 0.0


def test_another_encoding(tmp_path):
    (tmp_path / "model.py").write_bytes("# coding: latin-1\ndef f(): return 'é'".encode("latin-1"))
    assert locate("model:f", tmp_path).files["model.py"].endswith("'é'")


# Where it is looked for.


def test_beside_the_definition_first(tmp_path, monkeypatch):
    beside, path, here = (tmp_path / name for name in ("beside", "path", "here"))
    for folder in (beside, path, here):
        folder.mkdir()
        written(folder, model=f"def f(): return '{folder.name}'")
    monkeypatch.syspath_prepend(path)
    monkeypatch.chdir(here)
    found = []
    for folder in (beside, path, here):
        code = locate("model:f", beside)
        found.append(Path(code.root).name)
        (folder / "model.py").unlink()
    assert found == ["beside", "path", "here"]


def test_a_module_beside_hides_an_installed_one(tmp_path):
    written(tmp_path, click="def mean(x): return 0")
    assert files(tmp_path, "click:mean") == {"click.py"}


def test_a_module_beside_hides_nothing_of_pythons_own(tmp_path):
    written(tmp_path, statistics="def mean(x): return 0", model="import statistics\ndef f(): pass")
    assert files(tmp_path, "model:f") == {"model.py"}
    assert refusal("statistics:mean", tmp_path) == (
        f"objective statistics:mean: {tmp_path / 'statistics.py'} has the name of a module of Python's own; rename it"
    )


def test_nothing_is_imported(tmp_path):
    written(tmp_path, model="raise SystemExit('imported')\ndef f(): pass")
    locate("model:f", tmp_path)
    assert "model" not in sys.modules


# What is missing.


def refusal(objective, folder):
    with pytest.raises(ObjectiveError) as caught:
        locate(objective, folder)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_no_such_module(tmp_path):
    assert refusal("package.nowhere_at_all:f", tmp_path) == (
        f"objective package.nowhere_at_all:f: there is no package/nowhere_at_all.py in {tmp_path}, "
        "and Python finds no such module; looked beside the definition first"
    )


def test_no_such_function(tmp_path):
    written(tmp_path, model="import os\nX = 1\ndef simulate(): pass\ndef fit(): pass", empty="")
    expected = "objective model:simulat: model.py defines no simulat; its functions are simulate, fit"
    assert refusal("model:simulat", tmp_path) == expected
    assert refusal("empty:f", tmp_path) == "objective empty:f: empty.py defines no f; its functions are none"


@pytest.mark.parametrize(
    "source",
    [
        "from helper import *",
        "if True:\n    def f(): pass",
        "def __getattr__(name): pass",
        "try:\n    f = 1\nfinally:\n    pass",
    ],
)
def test_what_only_an_import_can_tell_is_left_to_it(tmp_path, source):
    written(tmp_path, model=source, helper="def f(): pass")
    assert locate("model:f", tmp_path).signature is None


def test_broken_source(tmp_path):
    written(tmp_path, model="x = 1\ndef f(:\n    pass")
    assert refusal("model:f", tmp_path).startswith("model.py:2:7: error: not Python: invalid syntax")
    written(tmp_path, model="import helper\ndef f(): pass", helper="x = (")
    assert refusal("model:f", tmp_path).startswith("helper.py:1:5: error: not Python: '(' was never closed")
    written(tmp_path, model=f"def f(x): return {' + '.join(['x'] * 20_000)}")
    assert refusal("model:f", tmp_path).startswith("model.py:0:0: error: not Python: maximum recursion depth")
    (tmp_path / "model.py").write_bytes(b"\xff\xfe")
    assert refusal("model:f", tmp_path) == f"{tmp_path / 'model.py'} cannot be read as Python source"


# Signatures.


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ((), (), False)),
        ("a, b=1", (("a",), ("b",), False)),
        ("a, *, b, c=2", (("a", "b"), ("c",), False)),
        ("*rest, b", (("b",), (), False)),
        ("a: int = 3, **options: float", ((), ("a",), True)),
    ],
)
def test_the_text_tells_the_same_as_the_function(tmp_path, arguments, expected):
    written(tmp_path, model=f"\n\ndef f({arguments}): pass")
    scope = {}
    exec(f"def f({arguments}): pass", scope)
    static, dynamic = locate("model:f", tmp_path).signature, signature_of(scope["f"])
    assert static == Signature(*expected, "model.py:3")
    assert replace(dynamic, place="") == replace(static, place="")


@pytest.mark.parametrize(
    "source",
    [
        "@wrap\ndef f(a): pass",
        "f = lambda a: a",
        "class f:\n    pass",
        "async def f(a): pass",
        "def f(a, /): pass",
    ],
)
def test_what_the_text_cannot_tell(tmp_path, source):
    written(tmp_path, model=source)
    assert locate("model:f", tmp_path).signature is None


def test_signatures_of_all_sorts():
    assert signature_of(functools.partial(lambda a, b: a + b, 1)).required == ("b",)
    assert signature_of(functools.partial(lambda a, b: a + b, b=1)).optional == ("b",)
    assert signature_of(max).anything
    with pytest.raises(
        ObjectiveError, match="the objective's argument a is positional-only; swath calls with keywords"
    ):
        signature_of(lambda a, /: a)


def test_what_it_receives():
    assert Signature(("a",), ("b",), anything=False, place="").receives(("c", "b", "a")) == ("b", "a")
    assert Signature((), (), anything=True, place="").receives(("c", "b")) == ("c", "b")


def mistakes(signature, parameters, derived=(), read=()):
    found = signature.mistakes("digits:train", parameters=parameters, derived=derived, read=read)
    return [f"{mistake.key}: {mistake.text}; {mistake.hint}" for mistake in found]


def test_mistakes_between_arguments_and_parameters():
    train = Signature(("model", "C"), ("seed",), anything=False, place="digits.py:12")
    assert mistakes(train, {"model": "", "C": "", "seed": ""}) == []
    assert mistakes(train, {"model": "", "C": "", "gama": ""}) == [
        "parameters.gama: neither digits:train (digits.py:12) nor a derive reads it; its arguments are model, C, seed"
    ]
    assert mistakes(train, {"model": "", "C": "", "gama": ""}, read=["gama"]) == []
    assert mistakes(train, {"model": ""}) == [
        "objective: digits:train (digits.py:12) requires C, which nothing provides; add it to parameters, or give it a default: C=None"
    ]
    assert mistakes(train, {"model": ""}, derived=["C"]) == []
    assert mistakes(train, {"model": "", "C": 'where (model == "svm") is false', "seed": "in block 1"}) == [
        'parameters.C: absent where (model == "svm") is false, but digits:train requires it (digits.py:12); give it a default: C=None'
    ]


def test_an_objective_of_any_keyword_makes_no_mistakes():
    assert mistakes(Signature((), (), anything=True, place=""), {"training.lr": "", "b": "a > 1"}) == []
    nothing = Signature((), (), anything=False, place="")
    assert mistakes(nothing, {"a": ""}) == [
        "parameters.a: neither digits:train nor a derive reads it; its arguments are none"
    ]


# Objectives given as functions.


def test_a_function_of_a_module_travels_by_name(study, monkeypatch):
    monkeypatch.syspath_prepend(study)
    import model

    try:
        code = capture(model.simulate)
    finally:
        for name in ("model", "helper"):
            del sys.modules[name]
    assert code == locate("model:simulate", study)
    assert code.function == b""


SCRIPT = """
import functools, json
import numpy as np
import helper
from swath.capture import capture
{body}
code = capture({objective})
out = dict(objective=code.objective, root=code.root, files=dict(code.files), function=code.function.hex(), fingerprint=code.fingerprint)
print(json.dumps(out))
"""


RUN = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
for script in sys.argv[2:]:
    runpy.run_path(script, run_name="__main__")
"""


def captured(folder, *scripts, seed="0"):
    """Capture objectives, each in a script of its own, given as (body, objective)."""
    files = [folder / f"script{number}.py" for number in range(len(scripts))]
    for file, (body, objective) in zip(files, scripts, strict=True):
        file.write_text(SCRIPT.format(body=body, objective=objective), encoding="utf-8")
    printed = output_of(RUN, folder, *map(str, files), PYTHONHASHSEED=seed)
    for file in files:
        file.unlink()
    found = [json.loads(line) for line in printed.splitlines()]
    return [Code(**{**fields, "function": bytes.fromhex(fields["function"])}) for fields in found]


CALL = """
import json, sys
from swath.objective import Code

for fields, arguments in json.load(open(sys.argv[1])):
    fields["function"] = bytes.fromhex(fields["function"])
    print(json.dumps(Code(**fields).load()(**arguments)))
"""


def called(folder, *calls):
    """Call captured objectives, given as (code, arguments), in a process that has never seen their scripts."""
    told = []
    for code, arguments in calls:
        fields = {name: getattr(code, name) for name in ("objective", "root", "fingerprint")}
        told.append([{**fields, "files": dict(code.files), "function": code.function.hex()}, arguments])
    (folder / "calls.json").write_text(json.dumps(told))
    return [json.loads(line) for line in output_of(CALL, str(folder / "calls.json")).splitlines()]


BODIES = {
    "function": ("def scale(x): return helper.twice(x)\ndef f(x, y=1): return scale(x) + y", "f", 21),
    "lambda": ("k = 3", "lambda x: k * helper.twice(x) if x in {10, 20, 'a', 'b'} else 0", 60),
    "closure": ("def make(k):\n    def g(x): return helper.twice(x) + k\n    return g", "make(5)", 25),
    "partial": ("def g(x, k): return helper.twice(x) + k", "functools.partial(g, k=2)", 22),
    "partial of a sibling's": ("", "functools.partial(helper.twice)", 20),
    "instance": (
        "class Model:\n    k = 4\n    def __call__(self, x): return helper.twice(x) + self.k",
        "Model()",
        24,
    ),
    "method": (
        "class Model:\n    def __init__(self): self.k = 1\n    def run(self, x): return helper.twice(x) + self.k",
        "Model().run",
        21,
    ),
    "class used": (
        "class Model:\n    def run(self, x): return helper.twice(x)\ndef f(x): return Model().run(x)",
        "f",
        20,
    ),
    "sets and arrays": (
        "known = {'a', 'b', 'c', 10}\nweights = np.arange(3)\ndef f(x): return helper.twice(x) + int(weights.sum()) + (x in known)",
        "f",
        24,
    ),
    "made by a sibling": ("", "helper.make(3)", 33),
}
MAKER = (
    HELPER
    + "\ndef add(x, k):\n    return x + k\n\ndef make(k):\n    return lambda x: add(10 * k, k) if x else 0\n"
)


def test_functions_of_scripts_travel_by_value(tmp_path):
    written(tmp_path, helper=MAKER)
    codes = captured(tmp_path, *((body, objective) for body, objective, _ in BODIES.values()))
    again = captured(
        tmp_path, *((f"# a comment\n\n{body}", objective) for body, objective, _ in BODIES.values()), seed="1"
    )
    (tmp_path / "helper.py").unlink()
    results = called(tmp_path, *((code, {"x": 10}) for code in codes))
    for kind, code, other, result in zip(BODIES, codes, again, results, strict=True):
        assert code.files.keys() == {"helper.py"}, kind
        assert code.function, kind
        assert code.fingerprint == other.fingerprint, f"{kind}: it differs from process to process"
        assert result == BODIES[kind][2], kind


def test_fingerprints_by_value_see_what_is_used(tmp_path):
    written(tmp_path, helper=HELPER)
    body, objective, _ = BODIES["function"]
    bodies = [
        body,
        body.replace("y=1", "y=2"),
        body.replace("helper.twice(x)", "helper.twice(-x)"),
        "w = [1, 1]\n" + body.replace("scale(x) + y", "scale(x) + y + w[0]"),
        "w = [1, 2]\n" + body.replace("scale(x) + y", "scale(x) + y + w[0]"),
        "w = [2, 1]\n" + body.replace("scale(x) + y", "scale(x) + y + w[0]"),
        "def wrap(g):\n    @functools.wraps(g)\n    def inner(**k): return g(**k)\n    return inner\n"
        + body.replace("def f", "@wrap\ndef f"),
        "def wrap(g):\n    @functools.wraps(g)\n    def inner(**k): return -g(**k)\n    return inner\n"
        + body.replace("def f", "@wrap\ndef f"),
    ]
    found = [code.fingerprint for code in captured(tmp_path, *((text, objective) for text in bodies))]
    written(tmp_path, helper=HELPER.replace("2", "3"))
    found += [code.fingerprint for code in captured(tmp_path, (body, objective))]
    assert len(set(found)) == len(found)


def test_what_cannot_be_captured():
    with pytest.raises(ObjectiveError, match="the objective must be a function, got 3"):
        capture(3)
    lock = threading.Lock()
    with pytest.raises(
        ObjectiveError, match=r"the objective .*lambda.* cannot be sent to a slot: cannot pickle"
    ):
        capture(lambda x: (x, lock))


# Elsewhere.


def test_code_is_unpacked_where_its_root_does_not_exist(study, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    code = locate("model:simulate", study)
    assert folder_of(code.files, Path(code.root)) == study.resolve()
    moved = replace(code, root="/nowhere/at/all")
    folder = folder_of(moved.files, Path(moved.root))
    assert folder.is_relative_to(temporary)
    assert {path: (folder / path).read_text() for path in code.files} == code.files
    assert folder.stat().st_mode & 0o077 == 0
    assert folder_of(moved.files, Path(moved.root)) == folder, "it is unpacked once"
    (study / "helper.py").write_text("something = 'else'")
    assert folder_of(code.files, Path(code.root)) == folder, "a root that holds other texts is not used"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left beside"


def test_unpacked_packages_import(tmp_path):
    modules = {
        "package/__init__": "",
        "package/model": "from .tools import g\ndef f(x): return g(x)",
        "package/tools": "def g(x): return x + 1",
    }
    written(tmp_path, **modules)
    code = replace(locate("package.model:f", tmp_path), root="/nowhere/at/all")
    assert called(tmp_path, (code, {"x": 1})) == [2]


@pytest.mark.parametrize("path", ["../escaped.py", "/escaped.py", "a/../../escaped.py"])
def test_files_outside_the_folder_are_refused(tmp_path, monkeypatch, path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    code = Code("m:f", "/nowhere/at/all", {path: "x = 1"}, b"", "")
    with pytest.raises(ObjectiveError, match="shipped code names a file outside its folder: "):
        folder_of(code.files, Path(code.root))
    assert not list(tmp_path.rglob("escaped.py"))


def test_a_folder_that_somebody_else_owns_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = Code("m:f", "/nowhere/at/all", {"m.py": "def f(): pass"}, b"", "")
    owner = os.getuid()
    (tmp_path / f"swath-{owner + 1}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(
        ObjectiveError,
        match="belongs to another user, or others may write to it; set TMPDIR to a folder of your own",
    ):
        folder_of(code.files, Path(code.root))


@pytest.mark.parametrize("raising", ["raise ValueError('no data')", "import nowhere_at_all"])
def test_what_an_import_raises_comes_out(tmp_path, monkeypatch, raising):
    monkeypatch.setattr(sys, "path", list(sys.path))
    written(tmp_path, raising_model=f"{raising}\ndef f(): pass")
    with pytest.raises((ValueError, ModuleNotFoundError), match=r"no data|No module named 'nowhere_at_all'"):
        locate("raising_model:f", tmp_path).load()


def test_a_text_of_the_same_length_and_second_is_not_taken_for_the_one_before(tmp_path):
    """Python would take the byte code of the text before."""
    code = "from pathlib import Path; from swath.objective import locate; print(locate('twice:f', Path()).load()())"
    said = []
    for value in (1, 2):
        (tmp_path / "twice.py").write_text(f"def f():\n    return {value}\n")
        os.utime(tmp_path / "twice.py", (10**9, 10**9))
        if value == 2:
            (kept,) = (tmp_path / "__pycache__").glob("twice*.pyc")
            os.utime(kept, (10**9, 10**9))
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout)
    assert said == ["1\n", "2\n"]
    assert ENVIRONMENT.get("PYTHONDONTWRITEBYTECODE") is None  # else this would prove nothing


def test_byte_code_that_is_certain_is_used(tmp_path):
    (tmp_path / "kept.py").write_text("VALUE = 1\n")
    os.utime(tmp_path / "kept.py", (10**9, 10**9))
    code = "import sys; from pathlib import Path; from swath.unpacking import admit; admit(Path.cwd()); import kept"
    looks = [sys.executable, "-v", "-c", code]
    for used in (False, True):
        done = subprocess.run(
            looks, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        assert any("kept" in line and " matches " in line for line in done.stderr.splitlines()) == used
