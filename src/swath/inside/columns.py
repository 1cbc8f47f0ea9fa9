"""Columns of held values: Arrow arrays made of numpy buffers, and read again.

``pyarrow.array`` of Python objects and ``to_numpy`` would import pandas into every slot, where it is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def column(kind: pa.DataType, rows: dict[int, Any], count: int) -> pa.Array:
    """Place the held values of one kind, null elsewhere."""
    if pa.types.is_null(kind):
        return pa.nulls(count)
    present = np.zeros(count, dtype=bool)
    present[list(rows)] = True
    if pa.types.is_large_list(kind):
        return _lists(kind, [rows.get(row) for row in range(count)], present)
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return texts([rows.get(row, "") for row in range(count)], present, kind)
    if pa.types.is_boolean(kind):
        return bits(np.array([rows.get(row, False) for row in range(count)], dtype=bool), present)
    values = np.zeros(count, dtype=f"{'f' if pa.types.is_floating(kind) else 'i'}{kind.bit_width // 8}")
    values[list(rows)] = list(rows.values())
    return fixed(kind, values, present)


def there(column: pa.Array) -> NDArray[np.bool_]:
    """Tell which values of a column are not null."""
    if not column.null_count:
        return np.ones(len(column), bool)
    bitmap = column.buffers()[0]
    if bitmap is None:  # of a kind that has nothing else
        return np.zeros(len(column), bool)
    held = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return held[column.offset : column.offset + len(column)].astype(bool)


def numbers(column: pa.Array) -> NDArray[np.float64]:
    """Return the values of a column of numbers, NaN for null."""
    kind = column.type
    letter = "f" if pa.types.is_floating(kind) else "u" if pa.types.is_unsigned_integer(kind) else "i"
    raw = np.frombuffer(column.buffers()[1], f"{letter}{kind.bit_width // 8}")
    values = raw[column.offset : column.offset + len(column)].astype(np.float64)
    values[~there(column)] = np.nan
    return values


def _validity(present: NDArray[np.bool_] | None) -> pa.Buffer | None:
    if present is None or present.all():
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little"))


def fixed(kind: pa.DataType, values: Any, present: NDArray[np.bool_] | None = None) -> pa.Array:
    """Make a column of numbers or times, n of them."""
    return pa.Array.from_buffers(kind, len(values), [_validity(present), pa.py_buffer(values)])


def bits(values: NDArray[np.bool_], present: NDArray[np.bool_] | None = None) -> pa.Array:
    """Make a column of booleans."""
    packed = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(present), packed])


def texts(
    values: Sequence[str | bytes], present: NDArray[np.bool_] | None, kind: pa.DataType | None = None
) -> pa.Array | None:
    """Make a column of texts or bytes, or return None if a text is not valid Unicode."""
    try:
        encoded = [value.encode() if isinstance(value, str) else value for value in values]
    except UnicodeEncodeError:
        return None
    offsets = _offsets([len(item) for item in encoded])
    buffers = [_validity(present), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind or pa.large_string(), len(values), buffers)


def _offsets(lengths: Sequence[int]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _lists(kind: pa.DataType, arrays: Sequence[NDArray[Any] | None], present: NDArray[np.bool_]) -> pa.Array:
    """Nest lists as deep as the arrays have dimensions; every array keeps its own shape."""
    depth = next(item.ndim for item in arrays if item is not None)
    shapes = [(0,) * depth if item is None else item.shape for item in arrays]
    flat = np.concatenate([item.ravel() for item in arrays if item is not None])
    leaf = kind
    for _ in range(depth):
        leaf = leaf.value_type
    column = bits(flat) if pa.types.is_boolean(leaf) else fixed(leaf, flat)
    for level in reversed(range(depth)):
        lengths = [shape[level] for shape in shapes for _ in range(int(np.prod(shape[:level])))]
        validity = _validity(present) if level == 0 else None
        nested = pa.large_list(column.type)
        column = pa.Array.from_buffers(
            nested, len(lengths), [validity, pa.py_buffer(_offsets(lengths))], children=[column]
        )
    return column
