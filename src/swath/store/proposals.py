"""Proposals of a search on disk: one Arrow file holds some that follow each other, and the book of a space is filled from them.

Theory of operation. A row of results is an index, and in a space that a search fills, an index says nothing without the
proposal that stands there. So proposals are durable no later than any row of theirs: both go through the same queue, and a
commit lists in one manifest all that it has written. What is damaged here therefore makes rows undecodable: those of the
damaged proposals, and those of all that follow, for a book is filled from 0 on without gaps. They count as missing, which
is named, and new points take their places.

Parameters are kept as JSON, a text for each proposal, with the active ones only; numbers keep their type.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa

from swath.store import files
from swath.store.segments import array, numpy_column, strings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from swath.space import Space
    from swath.space.computed import Computed
    from swath.space.values import Value
    from swath.store.disk import Disk
    from swath.store.entries import ProposalsEntry
    from swath.store.manifest import Manifest

COLUMNS: Final[dict[str, pa.DataType]] = {"row": pa.int64(), "parameters": pa.string()}
ROOM: Final = 8 << 20  # bytes of texts in a file


@dataclass(frozen=True, slots=True)
class Proposed:
    """Some proposals that are to be made durable.

    Attributes
    ----------
    first : int
        The number of the first of them.
    texts : tuple of str
        Each as JSON.
    """

    first: int
    texts: tuple[str, ...]


def proposed(first: int, rows: Sequence[Mapping[str, Value]]) -> Proposed:
    """Write proposals as they are kept.

    Raises
    ------
    TypeError
        A value is none that JSON can hold.
    """
    return Proposed(first, tuple(json.dumps(dict(row), separators=(",", ":")) for row in rows))


def tables(items: Sequence[Proposed]) -> Iterator[pa.Table]:
    """Make tables of proposals, each of some that follow each other."""
    texts: list[str] = []
    first = size = 0
    for item in items:
        for number, text in enumerate(item.texts, item.first):
            if texts and (number != first + len(texts) or size > ROOM):
                yield _table(first, texts)
                texts, size = [], 0
            first = first if texts else number
            texts.append(text)
            size += len(text)
    if texts:
        yield _table(first, texts)


def _table(first: int, texts: Sequence[str]) -> pa.Table:
    numbers = np.arange(first, first + len(texts), dtype=np.int64)
    columns = [array(numbers, COLUMNS["row"]), strings(texts)]
    return pa.Table.from_arrays(columns, names=list(COLUMNS))


def check(table: pa.Table) -> None:
    """Raise TypeError or ValueError if a table is none of proposals."""
    if {item.name: item.type for item in table.schema} != COLUMNS:
        raise TypeError(f"its columns are {table.schema.names}")
    if any(column.null_count for column in table.columns):
        raise ValueError("a proposal is missing")
    numbers = numpy_column(table, "row")
    if (np.diff(numbers) != 1).any() or (len(numbers) and numbers[0] < 0):
        raise ValueError("its proposals do not follow each other")
    read(table)


def read(table: pa.Table) -> list[dict[str, Any]]:
    """Return the proposals in a table."""
    rows = [json.loads(text) for text in table.column("parameters").to_pylist()]
    if not all(isinstance(row, dict) for row in rows):
        raise TypeError("a proposal is no mapping")
    return rows


def put(space: Space, first: int, table: pa.Table) -> None:
    """Put the proposals in a table into the book of a space.

    Raises
    ------
    SwathError, TypeError, ValueError, OverflowError
        They are not such as its search proposes; the book is as it was.
    """
    assert space.proposals is not None  # noqa: S101
    rows = read(table)
    for axis in (axis for block in space.blocks for axis in block if axis.lazy):
        for name, column in zip(axis.names, axis.values, strict=True):
            values = [row[name] for row in rows if name in row]
            np.fromiter(values, cast("Computed", column).kind, len(values))
    space.proposals.put(first, rows)


def join(found: Sequence[pa.Table]) -> pa.Table:
    """Put tables of proposals one after the other."""
    return pa.concat_tables(found)


def first_of(table: pa.Table) -> int:
    """Return the number of the first proposal."""
    return int(numpy_column(table, "row")[0])


def decode(disk: Disk, folder: Path, manifest: Manifest, entry: ProposalsEntry) -> pa.Table:
    """Read a file and check all of it, as `swath.store.files.decode`."""
    return files.decode(disk, folder, manifest, entry, check)
