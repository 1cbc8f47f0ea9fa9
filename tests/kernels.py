"""A Jupyter kernel for tests: cells run one after the other, as in a notebook that somebody works in.

Theory of operation. nbclient keeps the outputs of every cell as a page would: what is displayed again replaces what it
had displayed before, also in an earlier cell. `Kernel.notebook` is thus what a file would hold if it were saved now. A cell
is interrupted as Jupyter does it, by a signal to the kernel's process group.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from running import ENVIRONMENT, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nbformat import NotebookNode


class Kernel:
    """A kernel, and the notebook that its cells make up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebook = new_notebook()
        self._client = NotebookClient(self.notebook, timeout=PATIENCE, allow_errors=True)
        self._client.create_kernel_manager()
        places = {name: str(folder / "jupyter") for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
        self._client.extra_arguments = ["--log-level=50"]
        self._client.start_new_kernel(cwd=str(folder), env={**ENVIRONMENT, **places})
        self._client.start_new_kernel_client()

    def run(self, code: str, *, meanwhile: Callable[[], Any] | None = None) -> NotebookNode:
        """Run a cell and return it with its outputs; ``meanwhile``, a thread does something else."""
        self.notebook.cells.append(new_code_cell(code))
        place = len(self.notebook.cells) - 1
        with self._beside(meanwhile) if meanwhile else contextlib.nullcontext():
            cell: NotebookNode = self._client.execute_cell(self.notebook.cells[place], place)
        return cell

    @contextlib.contextmanager
    def _beside(self, work: Callable[[], Any]) -> Iterator[None]:
        worker = threading.Thread(target=work)
        worker.start()
        yield
        worker.join()

    def interrupt(self) -> None:
        """Interrupt the cell that is running."""
        from jupyter_core.utils import run_sync

        run_sync(self._client.km.interrupt_kernel)()

    def close(self) -> None:
        """End the kernel."""
        self._client._cleanup_kernel()


def shown(cell: NotebookNode, kind: str = "text/plain") -> list[str]:
    """What a cell displays, and its value, as one kind of data."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def printed(cell: NotebookNode) -> str:
    """What a cell has written."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def raised(cell: NotebookNode) -> tuple[str, str]:
    """Name and text of the error that ended a cell; empty if none did."""
    found = [(output.ename, output.evalue) for output in cell.outputs if output.output_type == "error"]
    return found[0] if found else ("", "")
