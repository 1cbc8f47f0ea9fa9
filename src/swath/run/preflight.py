"""What the machine must have before a run can begin: said in a sentence, instead of failing somewhere in the middle."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from swath.errors import UsageError

FILES = 64
"""Descriptors that a run needs besides those of its slots, about."""

FILES_A_SLOT = 12
"""Descriptors that each slot on this machine takes: its channel, its log, its end of Dask, about."""


def check_machine(slots: int) -> None:
    """Make sure that a run with so many slots on this machine can begin.

    The limit of open files is raised for this process, as far as that is allowed, if it would not do.

    Raises
    ------
    UsageError
        It cannot; says what is missing and what helps.
    """
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise UsageError(f"there is no folder for temporary files: {error}; set TMPDIR to one") from error
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(f"the folder in which this was started is gone: {error}; go to another") from error
    need = FILES + FILES_A_SLOT * slots
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < need:
        if hard != resource.RLIM_INFINITY and hard < need:
            raise UsageError(
                f"{hard} files may be open at a time, and {slots} slots need about {need}; "
                "allow more (ulimit -n), or use fewer workers: -n"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
