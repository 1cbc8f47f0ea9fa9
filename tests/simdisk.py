"""A disk in memory that does what a real one may do: fail, fill up, and lose what was not synced when power fails.

Theory of operation. What a process sees (`_File.data`, `_Folder.names`) and what is sure to survive a power cut
(`_File.kept`, `_Folder.kept`) are kept apart. An fsync makes the second equal to the first. At `cut` every file
that was not synced since it was written becomes a random mixture of pages that made it, pages of zeros and pages of
rubbish, and of the changes of a folder that was not synced a random selection is there, which is more than any
reordering can do; only a rename is one change. A failed fsync of a file drops pages, and the next one says yes.

A step is a system call that changes something. `doom` says at which step the process dies (everything fails from
then on, reading too) and `errors` at which ones it is given an error instead.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from swath.errors import DamageError
from swath.store.disk import Disk, checksum

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pytest

    from swath.store.disk import Piece

PAGES = (1, 16, 512, 4096)  # bytes; the smaller ones stand for large files


class _File:
    __slots__ = ("clean", "data", "kept")

    def __init__(self) -> None:
        self.data = self.kept = b""
        self.clean = True  # as far as the system knows


class _Folder:
    __slots__ = ("kept", "names", "pending")

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        self.pending: list[dict[str, Any]] = []

    def change(self, **names: Any) -> None:
        self.pending.append(names)
        _apply(self.names, names)


def _apply(names: dict[str, Any], change: dict[str, Any]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def clone(folder: _Folder, known: dict[_File | _Folder, _File | _Folder]) -> _Folder:
    """Copy a folder with all that is in it, as it is now; names of one file stay that."""

    def copied(node: Any) -> Any:
        if node is None or node in known:
            return known.get(node)
        if isinstance(node, _Folder):
            return clone(node, known)
        known[node] = made = _File()
        made.data, made.kept, made.clean = node.data, node.kept, node.clean
        return made

    known[folder] = made = _Folder()
    made.names, made.kept, *made.pending = (
        {name: copied(node) for name, node in names.items()}
        for names in (folder.names, folder.kept, *folder.pending)
    )
    return made


class DeadError(OSError):
    """The process is dead; what it still tries does nothing."""


class SimDisk(Disk):
    """See the module.

    Attributes
    ----------
    step : int
        Changes so far.
    doom : int or None
        The step at which the process dies.
    errors : dict of int to int
        The errno to give at a step.
    watch : callable or None
        Is told of each step before it is done.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.root = _Folder()
        self.step = 0
        self.doom: int | None = None
        self.errors: dict[int, int] = {}
        self.watch: Callable[[str], None] | None = None
        self._dead = False

    def arm(self, *, doom: int | None = None, errors: dict[int, int] | None = None) -> None:
        """Start a process: count its steps from 0."""
        self.step, self.doom, self.errors, self._dead = 0, doom, errors or {}, False

    def cut(self) -> None:
        """Let the power fail, and come back."""
        self._settle(self.root)

    def _settle(self, folder: _Folder) -> None:
        share = self.dice.choice((0.0, 0.5, 0.5, 1.0))
        for change in folder.pending:
            if self.dice.random() < share:
                _apply(folder.kept, change)
        folder.pending = []
        folder.names = dict(folder.kept)
        for node in folder.names.values():
            if isinstance(node, _Folder):
                self._settle(node)
            else:
                node.data = node.kept = node.kept if node.clean else self._torn(node)
                node.clean = True

    def _torn(self, file: _File) -> bytes:
        """Mix what was written with what was there, zeros and rubbish."""
        dice = self.dice
        size = len(file.data)
        length = dice.choice((size, size, dice.randint(0, size), 0))
        page = max(dice.choice(PAGES), length // 64)
        mixed = bytearray(file.kept[:length].ljust(length, b"\0"))
        for start in range(0, length, page):
            stop = min(start + page, length)
            kind = dice.randrange(4)
            if kind > 1:
                mixed[start:stop] = file.data[start:stop]
            elif kind == 1:
                mixed[start:stop] = dice.randbytes(stop - start)
        return bytes(mixed)

    # Steps.

    def _fault(self, what: str, path: Path) -> OSError | None:
        """Count a step; return what goes wrong at it."""
        self._look(path)
        if self.watch:
            self.watch(f"{what} {path.name}")
        step, self.step = self.step, self.step + 1
        if step == self.doom:
            self._dead = True
            return DeadError(errno.EIO, "dead", str(path))
        if step in self.errors:
            code = self.errors[step]
            return OSError(code, os.strerror(code), str(path))
        return None

    def _look(self, path: Path) -> None:
        if self._dead:
            raise DeadError(errno.EIO, "dead", str(path))

    def _node(self, path: Path) -> Any:
        node: Any = self.root
        for part in path.parts[1:]:
            if not isinstance(node, _Folder):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path))
            if part not in node.names:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            node = node.names[part]
        return node

    # What `Disk` does.

    def is_folder(self, path: Path) -> bool:
        self._look(path)
        try:
            return isinstance(self._node(path), _Folder)
        except OSError:
            return False

    def is_link(self, path: Path) -> bool:
        self._look(path)
        return False

    def add_folder(self, path: Path) -> None:
        fault = self._fault("mkdir", path)
        above = self._node(path.parent)
        if path.name in above.names:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        if fault is None or self._half(fault):
            above.change(**{path.name: _Folder()})
        if fault:
            raise fault

    def remove_folder(self, path: Path) -> None:
        if fault := self._fault("rmdir", path):
            raise fault
        if self._node(path).names:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(path))
        self._node(path.parent).change(**{path.name: None})

    def _half(self, fault: OSError) -> bool:
        """Decide whether the step at which the process died was done."""
        return isinstance(fault, DeadError) and self.dice.random() < 0.5

    def write_file(self, path: Path, pieces: Iterable[Piece], *, sync: bool = True) -> None:
        if fault := self._fault("open", path):
            raise fault
        above = self._node(path.parent)
        file = above.names.get(path.name)
        if file is None:
            file = _File()
            above.change(**{path.name: file})
        file.data, file.clean = b"", False
        whole = b"".join(bytes(memoryview(piece).cast("B")) for piece in pieces)
        if fault := self._fault("write", path):
            file.data = whole[: self.dice.randint(0, len(whole))]
            raise fault
        file.data = whole
        if not sync:
            return
        if fault := self._fault("fsync", path):
            if not isinstance(fault, DeadError):  # pages are dropped, and nobody will ever say so again
                file.kept, file.clean = self._torn(file), True
            raise fault
        file.kept, file.clean = file.data, True

    def rename(self, old: Path, new: Path) -> None:
        fault = self._fault("rename", new)
        folder = self._node(old.parent)
        node = self._node(old)
        if folder.names.get(new.name) is node:  # two names of one file: POSIX does nothing
            return
        if fault is None or self._half(fault):
            folder.change(**{old.name: None, new.name: node})
        if fault:
            raise fault

    def link(self, old: Path, new: Path) -> None:
        fault = self._fault("link", new)
        folder = self._node(old.parent)
        node = self._node(old)
        if new.name in folder.names:
            raise FileExistsError(errno.EEXIST, "File exists", str(new))
        if fault is None or self._half(fault):
            folder.change(**{new.name: node})
        if fault:
            raise fault

    def remove(self, path: Path) -> None:
        self._look(path)
        folder = self._node(path.parent)
        if path.name not in folder.names:
            return
        fault = self._fault("unlink", path)
        if fault is None or self._half(fault):
            folder.change(**{path.name: None})
        if fault:
            raise fault

    def sync_folder(self, path: Path) -> None:
        fault = self._fault("fsync", path)
        folder = self._node(path)
        if fault is None:
            folder.kept, folder.pending = dict(folder.names), []
            return
        if not isinstance(fault, DeadError):  # some of it is on the disk, the rest may never be
            for change in folder.pending:
                if self.dice.random() < 0.5:
                    _apply(folder.kept, change)
        raise fault

    def names(self, folder: Path) -> list[str]:
        self._look(folder)
        try:
            return sorted(self._node(folder).names)
        except FileNotFoundError:
            return []

    def read_file(self, folder: Path, name: str, limit: int) -> bytes:
        data = self._file(folder / name).data
        if len(data) > limit:
            raise DamageError(f"{name} is longer than the {limit} bytes that it should have")
        return data

    def checksum(self, folder: Path, name: str) -> tuple[int, str]:
        data = self._file(folder / name).data
        return len(data), checksum([data])

    def _file(self, path: Path) -> _File:
        self._look(path)
        node = self._node(path)
        if not isinstance(node, _File):
            raise DamageError(f"{path.name} is not a regular file")
        return node


class SimLock:
    """The lock of a folder that is in memory: its file is there, and nobody else is."""

    def __init__(self, disk: SimDisk, folder: Path) -> None:
        above = disk._node(folder)
        if "lock" not in above.names:
            above.change(lock=_File())

    def check(self) -> None:
        pass

    def release(self) -> None:
        pass


class HereCommits:
    """Group commit without a thread: what is appended is committed at once, by whoever appends it."""

    def __init__(self, commit: Any, failed: Any, _crowded: Any = None) -> None:
        self._commit, self._failed, self._ended = commit, failed, False

    def append(self, write: Any) -> None:
        if not self._ended:
            try:
                self._commit([write])
            except Exception as error:  # noqa: BLE001  as Commits does
                self._ended = True
                self._failed(error)

    def flush(self) -> None:
        pass

    drain = close = flush


def live_on(disk: SimDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let locks be on the simulated disk as well."""
    for name in ("swath.store.folders.Lock", "swath.store.Lock"):
        monkeypatch.setattr(name, lambda folder: SimLock(disk, folder))
