"""Arrow streams from anybody: read without harm, or refused.

Theory of operation. Bytes that a slot sends or a file holds are data from whoever wrote them, with checksums that fit.
What swath writes is one schema and plain record batches, so nothing else is looked at: no dictionaries, no
compressed bodies (a kilobyte of which may hold a gigabyte), no footer (which may point at what a reader of the stream
never saw). Then columns are slices of the very bytes, nothing is allocated for them, and `validate` proves that
they lie within. A column may still claim more than there are bytes for: slices that overlap, or nulls, which take none.
Both are limited, and types are limited to plain data, whose values follow from their bytes.

The two words of the format that are read here: a Message's third field is its header, and the fourth field of
a RecordBatch is its compression (Arrow's ``format/Message.fbs``; tables and their fields as in FlatBuffers).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"ARROW1\0\0"
"""What an IPC file begins with; a stream follows."""
COLUMNS: Final = 1 << 16  # far beyond what a reply may have
NULLS: Final = 1 << 26  # elements without bytes; more are no result of anything
HEADER, COMPRESSION = 2, 3

WRONG: Final = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, RecursionError, struct.error)
"""What reading something that is not as it should be may raise."""


def read_stream(buffer: pa.Buffer) -> pa.Table:
    """Read an Arrow stream whole, without copying.

    Parameters
    ----------
    buffer : pa.Buffer
        Of anybody.

    Returns
    -------
    pa.Table
        Valid, of plain types, and no larger than its bytes.

    Raises
    ------
    Exception
        One of `WRONG`: it is not that.
    """
    for message in pa.ipc.MessageReader.open_stream(buffer):
        _check_message(message)
    table: pa.Table = pa.ipc.open_stream(buffer).read_all()
    if len(table.schema) > COLUMNS:
        raise ValueError(f"it has {len(table.schema)} columns")
    for item in table.schema:
        if not is_plain(item.type):
            raise TypeError(f"metric {item.name} is {item.type}")
    table.validate(full=True)
    if table.nbytes > buffer.size:
        raise ValueError(f"its columns claim {table.nbytes} bytes of {buffer.size}")
    if sum(_nulls(chunk) for column in table.columns for chunk in column.chunks) > NULLS:
        raise ValueError("it claims too many nulls")
    return table


def read_file(raw: bytes) -> pa.Table:
    """Read the stream in an Arrow file; otherwise as `read_stream`."""
    if not raw.startswith(MAGIC):
        raise ValueError("it does not begin as an Arrow file")
    return read_stream(pa.py_buffer(raw).slice(len(MAGIC)))


def _check_message(message: pa.ipc.Message) -> None:
    if message.type not in ("schema", "record batch"):
        raise ValueError(f"it holds a {message.type}")
    raw = message.metadata.to_pybytes()
    (root,) = struct.unpack_from("<I", raw)
    place = root + _field(raw, root, HEADER)
    header = place + struct.unpack_from("<I", raw, place)[0]
    if message.type == "record batch" and _field(raw, header, COMPRESSION):
        raise ValueError("it is compressed")


def _field(raw: bytes, table: int, number: int) -> int:
    """Return where a field of a FlatBuffers table is, relative to the table; 0 if it is not there."""
    fields = table - struct.unpack_from("<i", raw, table)[0]
    (size,) = struct.unpack_from("<H", raw, fields)
    place = 4 + 2 * number
    found: int = struct.unpack_from("<H", raw, fields + place)[0] if place < size else 0
    return found


LISTS: Final = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_struct)
SIMPLE: Final = (
    *(
        pa.types.is_primitive,
        pa.types.is_null,
        pa.types.is_decimal,
        pa.types.is_string,
        pa.types.is_large_string,
    ),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary),
)


def is_plain(kind: pa.DataType) -> bool:
    """Tell whether a type is plain data, at any depth: numbers, texts, bytes, times, lists and structs of these."""
    if any(is_one(kind) for is_one in SIMPLE):
        return True
    return any(is_one(kind) for is_one in LISTS) and all(
        is_plain(kind.field(i).type) for i in range(kind.num_fields)
    )


def _nulls(array: pa.Array) -> int:
    """Count the elements, at any depth, that take no bytes."""
    if pa.types.is_null(array.type):
        return len(array)
    return sum(map(_nulls, _children(array)))


def _children(array: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_struct(array.type):
        yield from (array.field(i) for i in range(array.type.num_fields))
    elif pa.types.is_nested(array.type):
        yield array.values
