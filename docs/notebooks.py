"""Run the example notebooks of this folder and put their outputs into them: ``python docs/notebooks.py [NOTEBOOK ...]``.

They run in a folder of their own that is removed afterwards, so what they save is not kept. Of the outputs everything is
kept but what says when and where they were made. Needs ``nbclient``, ``ipykernel``, ``scikit-learn`` and ``optuna`` (the test group).
"""

from __future__ import annotations

import argparse
import getpass
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbformat import NotebookNode

HERE = Path(__file__).parent
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
TIMEOUT = 120
"""Seconds for a cell."""


def executed(path: Path, folder: Path) -> NotebookNode:
    """Run a notebook in a folder and return it with its outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell ends with an error.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def traces(notebook: NotebookNode, folder: Path) -> list[str]:
    """Find what of this machine is in a notebook: folders, and the name of the user in them."""
    text = nbformat.writes(notebook)
    private = [
        str(folder),
        str(Path.home()),
        str(HERE.parent),
        tempfile.gettempdir(),
        f"/{getpass.getuser()}/",
    ]
    return [word for word in private if word in text]


def shape(notebook: NotebookNode) -> list[list[tuple[str, ...]]]:
    """Tell what kind of outputs each code cell has: what of them does not depend on the machine."""
    return [
        [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def main(paths: Sequence[Path]) -> None:
    """Run notebooks and write them."""
    for path in paths:
        with tempfile.TemporaryDirectory() as name:
            notebook = executed(path, Path(name))
            if found := traces(notebook, Path(name)):
                raise SystemExit(f"{path}: its outputs tell of this machine: {', '.join(found)}")
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS)
    main(parser.parse_args().notebooks)
