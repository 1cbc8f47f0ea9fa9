"""Where code that travelled is imported from.

Theory of operation
-------------------
Where the machine is the same, the folder that the code came from holds the same texts, and will do. Elsewhere they are
unpacked into a folder named by their hash, in a home in which nobody else may write. Their names come from another
machine: only what could be imported by its name is written, so none leads out of that folder.

A folder that is admitted comes before all that is installed, but behind the standard library: a file that happens to be
called ``json.py`` hides nothing.

Python takes the byte code that it has kept for the code of a text of the same length and the same second. So somebody who saves
twice in a second would get the rows of the first text under the fingerprint of the second. In an admitted folder, byte code is
believed only if it was written a while after its text.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import tempfile
import tokenize
from contextlib import suppress
from importlib import machinery
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swath.errors import ObjectiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARGIN: Final = 2.0
"""Seconds between a text and its byte code; some file systems count in twos."""

_NAME: Final = re.compile(r"(?:[^\W\d]\w*/)*[^\W\d]\w*\.py")


def folder_of(files: Mapping[str, str], root: Path) -> Path:
    """Return a folder that holds these texts, by path: ``root`` if it does, else one of our own.

    Raises
    ------
    ObjectiveError
        A path leads out of a folder, or there is no place to unpack to.
    """
    for path in files:
        if not _NAME.fullmatch(path):
            raise ObjectiveError(f"shipped code names a file outside its folder: {path!r}")
    if _is_at(root, files):
        return root
    name = hashlib.blake2b(repr(sorted(files.items())).encode(), digest_size=16).hexdigest()
    folder = _home() / name
    return folder if _is_at(folder, files) else _unpacked(files, folder)


def _is_at(folder: Path, files: Mapping[str, str]) -> bool:
    return all(text_at(folder / path) == text for path, text in files.items())


def _home() -> Path:
    home = Path(tempfile.gettempdir()) / f"swath-{os.getuid()}"
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        found = home.lstat()
    except OSError as error:
        raise ObjectiveError(f"no folder for code: {error}; set TMPDIR to a folder of your own") from error
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise ObjectiveError(
            f"{home} belongs to another user, or others may write to it; set TMPDIR to a folder of your own"
        )
    return home


def _unpacked(files: Mapping[str, str], folder: Path) -> Path:
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    for path, text in files.items():
        target = beside / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    try:
        return beside.rename(folder)
    except OSError:  # somebody else unpacked meanwhile: theirs will do, if it is the same
        return folder if _is_at(folder, files) else beside


def text_at(file: Path) -> str | None:
    """Return the text of a Python file, in the encoding that it declares; None if there is no such text."""
    try:
        with tokenize.open(file) as source:
            return source.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def admit(folder: Path) -> None:
    """Let modules be imported from a folder: before all that is installed, behind the standard library."""
    own = Path(os.__file__).parent
    zipped = own.parent / f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    pythons = [entry for entry in sys.path if Path(entry) in (own, own / "lib-dynload", zipped)]
    others = [entry for entry in sys.path if entry not in pythons and entry != str(folder)]
    sys.path[:] = [*pythons, str(folder), *others]
    if str(folder) not in _ADMITTED:
        _ADMITTED.add(str(folder))
        sys.path_hooks.insert(0, _finder(str(folder)))
        for entry in [entry for entry in sys.path_importer_cache if _is_below(entry, str(folder))]:
            del sys.path_importer_cache[entry]


_ADMITTED: set[str] = set()
"""Folders that have a finder of ours."""


class _Source(machinery.SourceFileLoader):
    """Loads a text, or its byte code if that is certain to be of this text."""

    def path_stats(self, path: str) -> Mapping[str, float]:
        """Tell time and size of a text; a size that no byte code has if there is doubt."""
        found = dict(super().path_stats(path))
        with suppress(OSError, NotImplementedError):
            if os.stat(cache_from_source(path)).st_mtime < found["mtime"] + MARGIN:  # noqa: PTH116  # for each module
                found["size"] = -1
        return found


def _finder(folder: str) -> Callable[[str], machinery.FileFinder]:
    """Return a path hook for a folder and the packages in it, but for what is installed there."""
    details = (
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (_Source, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )

    def find(path: str) -> machinery.FileFinder:
        installed = any(
            entry != folder and _is_below(entry, folder) and _is_below(path, entry) for entry in sys.path
        )
        if installed or not _is_below(path, folder) or not os.path.isdir(path):  # noqa: PTH112  # for each entry
            raise ImportError(f"{path} is not in {folder}")
        return machinery.FileFinder(path, *details)

    return find


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))  # noqa: PTH118  # likewise
