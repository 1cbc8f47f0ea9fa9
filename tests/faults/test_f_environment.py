"""FAULTS F11, F12: an environment, a current folder, and shipped code that mean harm."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

import swath
from refusing import GOOD, study, tree
from running import ENVIRONMENT, HOLD, PATIENCE, ask, begun, command, ran, until
from swath.errors import ObjectiveError
from swath.objective import Code, locate
from swath.unpacking import admit, folder_of

PLAIN = f"{GOOD}parameters: {{x: [1, 2]}}\n"

# F11.

OWNED = "import os\nopen(os.environ['OWNED'], 'a').write(__name__)\n"
"""A module that leaves a trace when it is imported."""

SHADOWS = (
    *(
        "json",
        "copy",
        "traceback",
        "inspect",
        "random",
        "tempfile",
        "socket",
        "subprocess",
        "logging",
        "fractions",
    ),
    *("queue", "ssl", "statistics", "decimal", "uuid", "glob", "shutil", "zipfile", "csv", "datetime"),
    *(
        "pathlib",
        "threading",
        "selectors",
        "ast",
        "asyncio",
        "hashlib",
        "pickle",
        "string",
        "signal",
        "bisect",
    ),
)
"""Modules of the standard library whose names a file in the user's folder has.

Not those that are imported before ``-m swath`` can do anything, such as ``importlib`` and ``re``: no program can help that.
"""

HONEST = """
import copy, csv, json, queue, statistics
def f(x):
    return {"x2": x * 2, "mean": statistics.mean([x, x]), "dumped": json.dumps(copy.copy({"x": x}))}
"""


@pytest.fixture
def shadowed(tmp_path):
    """A study in a folder full of files named like the standard library's."""
    folder = tmp_path / "study"
    folder.mkdir()
    study(folder, PLAIN, objective=HONEST)
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(OWNED)
    (folder / "click.py").write_text(OWNED)
    return folder


@pytest.mark.parametrize("engine", ["inline", "dask"])
def test_F11_a_file_called_json_py_hides_nothing(shadowed, tmp_path, monkeypatch, engine):
    monkeypatch.setitem(ENVIRONMENT, "OWNED", str(tmp_path / "owned"))
    ask("check", "study.yaml", folder=shadowed)
    ask("run", "study.yaml", "-n", "1", "--engine", engine, "-q", folder=shadowed)
    shown = ask("results", "study", "--format", "json", folder=shadowed)
    assert [row["dumped"] for row in json.loads(shown.stdout)] == ['{"x": 1}', '{"x": 2}']
    assert not (tmp_path / "owned").exists()


def test_F11_the_script_looks_into_no_current_folder_either(shadowed, tmp_path):
    """What the ``swath`` script does: it is executed by path, with the safe start that ``-P`` is."""
    start = "import sys; from swath.cli import main; sys.argv[:] = ['swath', 'check', 'study.yaml']; main()"
    environment = {"OWNED": str(tmp_path / "owned")}
    with begun(
        "env",
        *(f"{k}={v}" for k, v in environment.items()),
        sys.executable,
        "-P",
        "-c",
        start,
        folder=shadowed,
    ) as process:
        assert process.wait(PATIENCE) == 0, process.communicate()
    assert not (tmp_path / "owned").exists()


def test_F11_a_module_named_like_pythons_own_is_no_objective(shadowed):
    (shadowed / "study.yaml").write_text(PLAIN.replace("model:f", "statistics:mean"))
    said = ask("check", "study.yaml", folder=shadowed, code=2).stderr
    assert said.startswith("study.yaml:1:1: error: objective: ")
    assert said.endswith("statistics.py has the name of a module of Python's own; rename it\n")


def test_F11_the_users_folder_comes_after_the_standard_library_and_before_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "/somewhere", *sys.path, str(tmp_path)])
    before = set(sys.path)
    admit(tmp_path)
    admit(tmp_path)
    assert set(sys.path) == before
    place = sys.path.index(str(tmp_path))
    assert sys.path.count(str(tmp_path)) == 1
    assert str(Path(os.__file__).parent) in sys.path[:place]
    assert {"", "/somewhere", str(Path(pytest.__file__).parents[1])} <= set(sys.path[place:])


EVIL = {
    **{
        f"DASK_DISTRIBUTED__{who}__PRELOAD": '["evil_preload"]'
        for who in ("SCHEDULER", "WORKER", "NANNY", "CLIENT")
    },
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": '["evil_routes"]',
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": '["evil_routes"]',
    "DASK_DISTRIBUTED__SCHEDULER__DEFAULT_PLUGINS": '["evil_plugin"]',
    "DASK_DISTRIBUTED__SCHEDULER__CONTACT_ADDRESS": "tcp://0.0.0.0:1",
    "DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME": "tcp",
    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    "DASK_DISTRIBUTED__DASHBOARD__LINK": "http://evil.example/{port}",
    "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__BOKEH_APPLICATION__ALLOW_WEBSOCKET_ORIGIN": '["*"]',
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "0.01",
    "DASK_DISTRIBUTED__SCHEDULER__PICKLE": "True",
    "DASK_SCHEDULER_ADDRESS": "tcp://10.255.255.1:8786",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
}
"""Settings of Dask that would have modules loaded, open doors, or send the work elsewhere."""


def test_F11_settings_of_dask_neither_load_modules_nor_open_doors(tmp_path, monkeypatch):
    study(tmp_path, PLAIN.replace("model:f", "model:hold"), objective=HOLD)
    library = tmp_path / "library"
    library.mkdir()
    for name in ("evil_preload", "evil_routes", "evil_plugin"):
        (library / f"{name}.py").write_text(OWNED)
    path = os.pathsep.join([str(library), ENVIRONMENT["PYTHONPATH"]])
    for key, value in {**EVIL, "OWNED": str(tmp_path / "owned"), "PYTHONPATH": path}.items():
        monkeypatch.setitem(ENVIRONMENT, key, value)
    with begun(*command("run", "study.yaml", "-n", "1", "--progress", "none"), folder=tmp_path) as process:
        until(lambda: ran(tmp_path) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        doors = [door.laddr.ip for one in family for door in one.net_connections() if door.status == "LISTEN"]
        (tmp_path / "go").touch()
        assert process.wait(PATIENCE) == 0, process.communicate()
    assert set(doors) <= {"127.0.0.1", "::1"}
    assert not (tmp_path / "owned").exists()
    assert swath.open(tmp_path / "results" / "study").frame["value"].tolist() == [1, 4]


# F12.

ESCAPES = (
    *(
        "../escaped.py",
        "/escaped.py",
        "a/../../escaped.py",
        "..",
        ".",
        "",
        "a/",
        "/",
        "~/escaped.py",
        "a\0.py",
        "a\n.py",
    ),
    *(
        "..\\escaped.py",
        "C:\\escaped.py",
        "C:escaped.py",
        "a.pth",
        "a.so",
        "a.pyc",
        "a",
        "a.py/b",
        "./a.py",
        "a//b.py",
    ),
    *(
        "a b.py",
        "-rf.py",
        ".hidden.py",
        "$(touch owned).py",
        "1.py",
        "a.b.py",
        "\u2024\u2024/a.py",
        "a\u2044b.py",
    ),
)


@pytest.mark.parametrize("path", ESCAPES, ids=ascii)
def test_F12_a_shipped_file_is_written_only_where_it_can_be_imported(tmp_path, monkeypatch, path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    before = tree(tmp_path)
    files = {"model.py": "def f(): pass\n", path: "open('owned', 'w')\n"}
    with pytest.raises(ObjectiveError, match="shipped code names a file outside its folder: "):
        Code("model:f", str(tmp_path / "gone"), files, b"", "").load()
    assert tree(tmp_path) == before


def test_F12_unpacked_code_that_somebody_changed_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "model.py").write_text("def f(): pass\n")
    code = locate("model:f", tmp_path)
    first = folder_of(code.files, tmp_path / "gone")
    assert folder_of(code.files, tmp_path / "gone") == first
    (first / "model.py").write_text("evil = True\n")
    second = folder_of(code.files, tmp_path / "gone")
    assert second != first
    assert (second / "model.py").read_text() == "def f(): pass\n"


@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_F12_a_folder_for_code_into_which_others_may_write_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    home = tmp_path / "tmp" / f"swath-{os.getuid()}"
    (tmp_path / "elsewhere").mkdir()
    if kind == "link":
        home.symlink_to(tmp_path / "elsewhere")
    elif kind == "open":
        home.mkdir()
        home.chmod(0o777)
    else:
        home.touch()
    with pytest.raises(ObjectiveError, match="set TMPDIR to a folder of your own"):
        folder_of({"model.py": "def f(): pass\n"}, tmp_path / "gone")
    assert not list((tmp_path / "elsewhere").iterdir())
