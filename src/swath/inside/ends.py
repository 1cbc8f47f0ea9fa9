"""How a process ended: in words, and in what it wrote down itself; used by whoever waits for it."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from pathlib import Path

MOST_EVIDENCE = 8_192
"""Bytes kept of what a process writes down before its end."""

OURS = (f'  File "{Path(__file__).parents[1]}{os.sep}', '  File "<string>"', "Extension modules:")
"""Beginnings of lines that say nothing of the objective."""

THREAD = re.compile(
    r"^(Current thread|Thread) 0x[0-9a-f]+(?: \[[^]]*\])? \(most recent call first\):", re.MULTILINE
)


def cause(code: int) -> str:
    """Put an exit code into words; a negative one is a signal."""
    if code >= 0:
        return f"the process ended with exit status {code}"
    try:
        return f"the process was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"the process was killed by signal {-code}"


def written(evidence: int, place: int = 0) -> str:
    """Return what was written into a file from a place on, on lines of their own; it may be empty."""
    text = os.pread(evidence, MOST_EVIDENCE, place).decode(errors="backslashreplace")
    lines = [line for line in text.splitlines() if line and not line.startswith(OURS)]
    shown = THREAD.sub(r"\1 (most recent call first):", "\n".join(lines))
    return f"\n{shown}" if shown else ""


def nameless_file(size: int = 0) -> int:
    """Make a file without a name, which processes can share; return its descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("swath")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
