"""The shape of the code: imports point down, and the core knows neither clock nor file nor Dask."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import swath

ROOT = Path(swath.__file__).parent
PURE = {
    *("ranges", "messages", "batching", "snapshot", "rates", "wanted"),
    *("stopping", "stopping.asha", "stopping.curves", "stopping.hyperband", "stopping.median"),
    *("stopping.patience", "stopping.percentile", "stopping.threshold"),
    *(
        "progress",
        "progress.complaints",
        "progress.crew",
        "progress.effort",
        "progress.tally",
        "progress.workers",
    ),
    *(
        "driver",
        "driver.brake",
        "driver.courses",
        "driver.crew",
        "driver.flights",
        "driver.offers",
        "driver.places",
        "driver.policy",
        "driver.quarantine",
        "driver.replies",
        "driver.stop",
    ),
}
IMPURE = {
    "asyncio",
    "dask",
    "distributed",
    "io",
    "os",
    "pathlib",
    "random",
    "socket",
    "subprocess",
    "threading",
    "time",
}


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in ROOT.rglob("*.py")}


def only_for_types(tree):
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def imports(name):
    """Names of all modules that a module imports, at the top or in a function, but not for types alone."""
    tree = ast.parse(MODULES[name].read_text())
    skipped = only_for_types(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("swath.")
                yield f"swath.{inner}" if inner in MODULES else str(node.module)


def ours(name):
    return {
        found.removeprefix("swath.")
        for found in imports(name)
        if found.startswith("swath.") and found != "swath"
    } & set(MODULES)


def test_there_is_no_import_cycle():
    graph = {name: ours(name) - {name} for name in MODULES if name}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle
    assert len(order) >= len(graph)


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_is_pure(name):
    assert not {found.partition(".")[0] for found in imports(name)} & IMPURE


def test_the_driver_sees_only_messages_ranges_and_batching():
    room = {name for name in MODULES if name.partition(".")[0] == "driver"}
    assert set().union(*map(ours, room)) - room == {"messages", "ranges", "batching"}


def test_only_what_a_person_holds_knows_views():
    users = {name for name in MODULES if any(used.startswith("views") for used in ours(name))}
    users = {name for name in users if not name.startswith(("views", "commands", "cli"))}
    assert users <= {
        "analysis",
        "analysis.comparing",
        "results",
        "run.handle",
        "sweep",
    }  # a frame's figures, what shows itself in a notebook
    for name in users:
        tops = [
            node for node in ast.parse(MODULES[name].read_text()).body if isinstance(node, ast.ImportFrom)
        ]
        assert not [node.module for node in tops if "views" in str(node.module)]  # until something is shown


def test_figures_need_little_of_ours():
    room = {name for name in MODULES if name.startswith("views.figures")}
    assert set().union(*map(ours, room)) - room <= {"snapshot", "views.palette", "views.text"}
    assert not set().union(*map(imports, room)) & {"pandas", "pyarrow"}  # a scheduler may have neither


def test_the_loop_does_not_ask_which_engine_it_holds():
    text = MODULES["loop"].read_text()
    assert "isinstance" not in text
    assert not ours("loop") & {"engines.dask", "engines.inline", "engines.simulated"}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("swath", {"numpy", "pandas", "pyarrow", "dask", "pydantic", "rich", "click", "yaml"}),
        ("swath.slot", {"pandas", "pyarrow", "dask", "distributed", "pydantic"}),
        ("swath.inside.evaluate", {"pandas", "dask", "distributed", "pydantic", "rich", "bokeh"}),
        ("swath.driver", {"pandas", "dask", "distributed", "pydantic", "pyarrow"}),
    ],
)
def test_what_an_import_must_not_drag_in(module, forbidden):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(loaded.stdout.split()) & forbidden
