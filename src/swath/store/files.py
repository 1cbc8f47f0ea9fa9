"""A table as a file of a run: written with what it says of itself; read, and all of it checked.

Theory of operation. A file is Arrow's IPC format, and its schema's metadata name format, run, definition, and kind: rows,
steps or proposals. So a file from elsewhere is recognised where a checksum fits, because somebody exchanged
the manifest too. Length and checksum are compared before anything is read out of it.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from swath.errors import DamageError
from swath.store.disk import checksum
from swath.store.ipc import WRONG, read_file
from swath.store.sealing import FORMAT, ROWS_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from swath.store.disk import Disk, Piece
    from swath.store.entries import Entry
    from swath.store.manifest import Manifest

SMALL_CHUNK: Final = (
    4096  # rows; chunks smaller than this on average are joined, for each costs a kilobyte of head
)


class Sink(io.RawIOBase):
    """Collects what Arrow writes, without copying columns."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Piece] = []
        self.size = 0

    def writable(self) -> bool:
        """Tell Arrow that it may write."""
        return True

    def write(self, piece: Any) -> int:
        """Keep a piece; Arrow gives up the buffers that it passes."""
        view = memoryview(piece)
        self.pieces.append(view)
        self.size += view.nbytes
        return view.nbytes

    def drained(self) -> list[Piece]:
        """Hand over what was written so far."""
        pieces, self.pieces = self.pieces, []
        return pieces


def encode(table: pa.Table, **about: Any) -> Sink:
    """Write a table as the content of a file.

    Parameters
    ----------
    table : pa.Table
        What it holds.
    **about
        What the file says of itself: format, run, definition and more.
    """
    if table.num_rows and table.column(0).num_chunks * SMALL_CHUNK > table.num_rows:
        table = table.combine_chunks()
    table = table.replace_schema_metadata({"swath": json.dumps(about)})
    sink = Sink()
    with pa.PythonFile(sink, mode="w") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return sink


def decode(
    disk: Disk, folder: Path, manifest: Manifest, entry: Entry, check: Callable[[pa.Table], None]
) -> pa.Table:
    """Read a file and check all of it.

    Parameters
    ----------
    check : callable
        Raises one of `swath.store.ipc.WRONG` where the table is not as files of this kind are.

    Raises
    ------
    FileNotFoundError
        The file is gone; a newer manifest may not list it.
    DamageError
        The file is not what the manifest says.
    """
    try:
        raw = disk.read_file(folder, entry.path, entry.bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamageError(f"cannot be read ({error.strerror})") from error
    if len(raw) != entry.bytes:
        raise DamageError(f"has {len(raw)} bytes of {entry.bytes}")
    if checksum([raw]) != entry.crc:
        raise DamageError("its checksum does not match")
    try:
        table = read_file(raw)
        _check_against(table, manifest, entry)
        check(table)
    except WRONG as error:
        raise DamageError(f"is not a segment of this run: {error}") from error
    return table.replace_schema_metadata()


def _check_against(table: pa.Table, manifest: Manifest, entry: Entry) -> None:
    """Check that a file is the one that the manifest means."""
    about = json.loads((table.schema.metadata or {}).get(b"swath", b"{}"))
    if about.get("format") not in range(ROWS_ONLY, FORMAT + 1):
        raise ValueError(f"it has format {about.get('format')!r}, this swath reads formats up to {FORMAT}")
    if (about.get("run"), about.get("definition")) != (manifest.run, entry.definition):
        raise ValueError(f"it says run {about.get('run')!r}, definition {about.get('definition')!r}")
    if about.get("kind", "rows") != entry.what:
        raise ValueError(f"it holds {about.get('kind', 'rows')!r:.60}, not {entry.what}")
    if table.num_rows != entry.rows:
        raise ValueError(f"it has {table.num_rows} rows, not {entry.rows}")
