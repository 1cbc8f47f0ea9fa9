"""The example notebooks: they run as they stand, and what is saved in them is what they give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).parents[1] / "docs"
MOST = 400_000  # bytes; a page that shows notebooks gives up on large ones


@pytest.fixture(scope="module")
def notebooks():
    """The script that runs them for the docs."""
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["simulation", "hyperparameters", "search"])
def test_an_example_notebook_runs_and_is_saved_with_what_it_gives(notebooks, name, tmp_path):
    if name != "simulation":
        pytest.importorskip("sklearn", reason="needs scikit-learn: pip install --group test")
    if name == "search":
        pytest.importorskip("optuna", reason="an extra")
    path = DOCS / f"{name}.ipynb"
    saved = nbformat.read(path, as_version=4)
    made = notebooks.executed(path, tmp_path)  # raises where a cell fails
    assert notebooks.shape(saved) == notebooks.shape(made)
    assert path.stat().st_size < MOST
    assert notebooks.traces(saved, tmp_path) == []
    live = [
        output
        for cell in saved.cells
        for output in cell.get("outputs", ())
        if output.output_type == "display_data"
    ]
    assert live
    assert all(
        "complete" in output.data["text/html"] for output in live
    )  # the last state, and no kernel needed
    kinds = {
        kind for cell in saved.cells for output in cell.get("outputs", ()) for kind in output.get("data", {})
    }
    assert kinds == {"text/html", "text/plain"}  # nothing that wants a widget, or runs in the page itself
