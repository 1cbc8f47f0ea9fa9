"""Every call by which a run folder is changed or read, so that another disk can take its place.

Theory of operation. A file of a run is either complete or absent. `publish` is the only way in which one
appears: write beside (``<name>.tmp``), fsync the file, rename, fsync the folder. Whoever is killed or loses power
in between leaves the old state and perhaps a ``.tmp``, which the next writer removes. Without the first fsync the
new name may hold nothing after a power cut; without the last the name may be gone (Pillai et al., OSDI 2014, "All
file systems are not created equal"). A failed fsync is never tried again: Linux forgets the dirty pages and says
yes the second time. So an error is final for whoever writes, and nothing is reported durable before the last
fsync of its chain has returned.

Reading opens a folder first and then walks down from it without following links, so that a hostile run folder
cannot point outside itself. Only regular files are read, and none beyond the length expected.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from swath.errors import DamageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHUNK = 1 << 20  # bytes; more than this at a time gains nothing when reading for a checksum

PASSING: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT}
)
"""Errors of reading that say nothing about the file: it is not to be taken for damaged."""

Piece = bytes | bytearray | memoryview
"""Bytes to write; anything else with the buffer protocol is wrapped in a memoryview."""


class Disk:
    """The real disk. Every method raises OSError as the system gives it."""

    def make_folder(self, path: Path) -> None:
        """Make sure that a folder and its parents are there, now and after a power cut."""
        if self.is_folder(path):
            with suppress(PermissionError):  # then somebody else made it
                self.sync_folder(path.parent)  # whoever made it may have been killed before this
            return
        self.make_folder(path.parent)
        with suppress(FileExistsError):
            self.add_folder(path)
        self.sync_folder(path.parent)

    def is_folder(self, path: Path) -> bool:
        """Tell whether there is a folder of this name, or a link to one."""
        return path.is_dir()

    def is_link(self, path: Path) -> bool:
        """Tell whether a name is a link, wherever it leads."""
        return path.is_symlink()

    def add_folder(self, path: Path) -> None:
        """Create a folder in one that is there."""
        path.mkdir()

    def remove_folder(self, path: Path) -> None:
        """Remove a folder that is empty."""
        path.rmdir()

    def write_file(self, path: Path, pieces: Iterable[Piece], *, sync: bool = True) -> None:
        """Write a whole file, over what was there, and fsync it.

        Parameters
        ----------
        path : Path
            The file.
        pieces : iterable of bytes-like
            Its content, in order.
        sync : bool
            False where losing the file in a power cut does no harm.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(path, flags, 0o666)
        try:
            for piece in pieces:
                _write_all(handle, piece)
            if sync:
                os.fsync(handle)
        except OSError as error:
            error.filename = str(path)  # neither write nor fsync says it
            raise
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Let ``new`` be what ``old`` was, at one instant."""
        old.replace(new)

    def link(self, old: Path, new: Path) -> None:
        """Let ``new`` be another name of ``old``; not every file system can do that."""
        os.link(old, new)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone is no error."""
        path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def names(self, folder: Path) -> list[str]:
        """List a folder, sorted; a folder that is not there is empty."""
        try:
            return sorted(path.name for path in folder.iterdir())
        except FileNotFoundError:
            return []

    def read_file(self, folder: Path, name: str, limit: int) -> bytes:
        """Read a file of at most ``limit`` bytes.

        Parameters
        ----------
        folder : Path
            The run folder; may itself be reached through a link.
        name : str
            Relative to it: ``segments/000001.arrow``. No part of it may be a link.
        limit : int
            Bytes; a longer file is damage.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        DamageError
            It is not a regular file, or it is longer.
        """
        with _opened(folder, name) as handle:
            if os.fstat(handle).st_size > limit:
                raise DamageError(f"{name} is longer than the {limit} bytes that it should have")
            return b"".join(_chunks(handle))

    def checksum(self, folder: Path, name: str) -> tuple[int, str]:
        """Return the length in bytes and the checksum of a file, without holding it in memory."""
        size, value = 0, 0
        with _opened(folder, name) as handle:
            for chunk in _chunks(handle):
                size += len(chunk)
                value = zlib.crc32(chunk, value)
        return size, f"{value:08x}"


def checksum(pieces: Iterable[Piece]) -> str:
    """CRC-32 of bytes, as 8 hex digits."""
    value = 0
    for piece in pieces:
        value = zlib.crc32(piece, value)
    return f"{value:08x}"


def publish(disk: Disk, path: Path, pieces: Iterable[Piece], *, sync: bool = True) -> None:
    """Let a file appear, or change, whole: write beside, fsync, rename, fsync the folder.

    With ``sync=False`` the file is still complete or absent for every reader, but may be anything after a power cut.
    """
    beside = path.with_name(path.name + ".tmp")
    disk.write_file(beside, pieces, sync=sync)
    disk.rename(beside, path)
    if sync:
        disk.sync_folder(path.parent)


def _write_all(handle: int, piece: Piece) -> None:
    """Write everything: a full disk, or a signal, may take only a part of what it is given."""
    rest = memoryview(piece).cast("B")
    while rest:
        rest = rest[os.write(handle, rest) :]


def _chunks(handle: int) -> Iterator[bytes]:
    while chunk := os.read(handle, CHUNK):
        yield chunk


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[int]:
    """Open a regular file below a folder; O_NONBLOCK, for a pipe dropped there must not hang the reader."""
    *parents, last = name.split("/")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            handle = _descend(handle, parent, os.O_DIRECTORY)
        handle = _descend(handle, last, os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise DamageError(f"{name} is not a regular file")
        yield handle
    finally:
        os.close(handle)


def _descend(handle: int, name: str, flags: int) -> int:
    """Exchange an open folder for something in it; only the latter stays open, also when this raises."""
    below = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, dir_fd=handle)
    os.close(handle)
    return below
