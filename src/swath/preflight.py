"""What the machine must have before a run can begin: said in a sentence, instead of failing somewhere in the middle."""

from __future__ import annotations

import resource
import tempfile
import threading
from pathlib import Path

from swath.errors import UsageError

FILES = 320
"""Descriptors that a run needs besides those of its slots, about; a child keeps one of its own beyond 256."""

FILES_A_SLOT = 13
"""Descriptors that each slot on this machine takes: its channel, its log, its end of Dask, about."""


THREADS, THREADS_A_SLOT = 16, 8
"""Threads and processes that a run needs, and each slot on this machine, about."""

PLENTY = 4096
"""Threads and processes that a user may have; nobody looks closer at so many."""


def check_threads(slots: int) -> None:
    """Make sure that so many slots on this machine may have the threads and processes that they need.

    They are tried, for the limit counts what runs elsewhere. To be called before numpy is loaded, whose libraries end
    the process if they are refused one.

    Raises
    ------
    UsageError
        They may not; says what helps.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if most == resource.RLIM_INFINITY or most > PLENTY:
        return
    need = THREADS + THREADS_A_SLOT * slots
    enough = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(need):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        raise UsageError(
            f"you may have {most} processes and threads on this machine, and {slots} slots need about {need}, of "
            f"which {len(started)} are left; end something, allow more (ulimit -u), or use fewer workers: -n"
        ) from error
    finally:
        enough.set()
        for thread in started:
            thread.join()


def check_folders() -> None:
    """Make sure that there is a folder to work in, and one for temporary files.

    Raises
    ------
    UsageError
        There is none; says what helps.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(f"the folder in which this was started is gone: {error}; go to another") from error
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise UsageError(f"there is no folder for temporary files: {error}; set TMPDIR to one") from error


def check_files(slots: int) -> None:
    """Make sure that so many slots on this machine may open the files that they need.

    The limit is raised for this process, as far as that is allowed, if it would not do.

    Raises
    ------
    UsageError
        They may not; says what helps.
    """
    need = FILES + FILES_A_SLOT * slots
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < need:
        if hard != resource.RLIM_INFINITY and hard < need:
            raise UsageError(
                f"{hard} files may be open at a time, and {slots} slots need about {need}; "
                "allow more (ulimit -n), or use fewer workers: -n"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
