"""Where and with what a run was begun: written once into ``run.json``, for people, needed by nothing."""

from __future__ import annotations

import platform
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
NAMED: Final = ("swath", "numpy", "pyarrow", "pandas", "dask", "distributed")


def versions() -> dict[str, str]:
    """Return the versions of Python and of those libraries that this process has loaded."""
    loaded = ((name, getattr(sys.modules.get(name), "__version__", None)) for name in NAMED)
    return {
        "python": platform.python_version(),
        **{name: str(version) for name, version in loaded if version},
    }


def git_commit(folder: Path) -> str:
    """Return the commit that is checked out where a folder lies; empty where there is none.

    The files of git are read, since starting ``git`` costs more than a small sweep, and runs what its
    configuration says.
    """
    for above in (folder.absolute(), *folder.absolute().parents):
        if (above / ".git").exists():
            return _head(above / ".git")
    return ""


def _head(git: Path) -> str:
    try:
        if git.is_file():  # a work tree beside its repository: "gitdir: /path"
            git = git.parent / git.read_text().partition(":")[2].strip()
        head = (git / "HEAD").read_text().strip()
        _, _, name = head.partition("ref: ")
        found = _resolve(git, name) if name else head
    except (OSError, ValueError):
        return ""
    return found if COMMIT.fullmatch(found) else ""


def _resolve(git: Path, name: str) -> str:
    """Look a branch up, in its own file or among the packed ones."""
    common = git / "commondir"
    home = git / common.read_text().strip() if common.exists() else git
    if (home / name).is_file():
        return (home / name).read_text().strip()
    lines = (line.split() for line in (home / "packed-refs").read_text().splitlines())
    return next((line[0] for line in lines if line[1:] == [name]), "")
