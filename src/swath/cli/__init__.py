"""The command line: arguments to calls, no logic.

Standard output carries data, standard error everything else. Nothing but click is imported until a command
runs, so that ``--help`` and completion answer at once. `sweep` is also an entry point of Dask's own
command line: ``dask sweep run FILE`` is ``swath run FILE``.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

from swath.cli import reading, running
from swath.cli.group import sweep

for _command in (
    running.init,
    running.check,
    running.run,
    running.stop,
    running.verify,
    running.doctor,
    running.schema,
    reading.status,
    reading.list_runs,
    reading.show,
    reading.results,
    reading.report,
    reading.compare,
    reading.ui,
):
    sweep.add_command(_command)


def main() -> None:
    """Run ``swath``."""
    _fill_standard_descriptors()
    try:
        sweep.main(prog_name="swath")
    finally:
        _let_go()
        gc.freeze()  # an interpreter that ends looks at everything for garbage, a tenth of a second and more


def _fill_standard_descriptors() -> None:
    """Open what the caller had closed (``>&-``), or a file of a run would get its number and our words."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")  # what cannot be written is spelt out
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # until the process ends


def _let_go() -> None:
    """Say the last words; where nobody listens any more they go nowhere, or Python would end with exit code 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
