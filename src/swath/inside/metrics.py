"""Metric values to Arrow columns, exactly or not at all.

Theory of operation
-------------------
Every value has a *kind*, which is an Arrow type: nothing is widened to please a neighbour. The values of
one metric that are of several kinds become several fields of one name, null where a row is of another
kind; the reader unifies them. So a row keeps the type it came with, whatever came before it.

A value that Arrow cannot hold exactly, or that breaks whoever looks at it, makes its own row unfit and no
other. Results are settled when they arrive: an objective may go on to change what it returned. Columns of plain floats,
integers, booleans and texts, which are nearly all, are recognised by one look at the set of their types.

Buffers are built from numpy: ``pyarrow.array`` of Python objects would import pandas into every slot.
"""

from __future__ import annotations

import datetime as dt
import json
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SCALAR = "value"
"""Name of the metric that an objective returns bare."""

MOST_METRICS = 4096
"""Metrics of one point; more are a mistake, or a table that should be an array."""

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "missing", "__slots__": ()})()
"""Stands for a metric that a row does not have."""

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # naive on purpose: naive times count from a naive epoch
MICROSECOND = dt.timedelta(microseconds=1)


class Unfit(Exception):  # noqa: N818  # it is a verdict on a value, not an error of ours
    """A value that Arrow cannot hold exactly; the text says which and why."""


Field = tuple[str, pa.Array]

PLAIN = frozenset({float, int, bool, str, type(None)})
"""Types of values that nobody can change, and that need no look before the batch is over."""

MOST_DIMENSIONS = 32
"""Of an array; Arrow reads lists that are nested up to 64 deep."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A result in the form in which columns are built.

    Attributes
    ----------
    metrics : tuple of (str, pyarrow.DataType, object)
        Name, kind and held value.
    unfit : str
        Not empty: why it cannot be held; there are no metrics then.
    """

    metrics: tuple[tuple[str, pa.DataType, object], ...] = ()
    unfit: str = ""


def settle(result: object) -> object:
    """Take a result from its maker, who may change it later; never raises.

    Plain values and mappings of them come back as such, to be judged a column at a time.
    """
    if type(result) in PLAIN:
        return result
    if type(result) is dict:
        for value in result.values():  # faster than sets of types, and this is paid for every point
            if type(value) not in PLAIN:
                return _settled(result)
        return result.copy()
    return _settled(result)


def _settled(result: object) -> Settled:
    try:
        return Settled(tuple((name, *_hold(value)) for name, value in _named(result)))
    except Unfit as reason:
        return Settled(unfit=str(reason))
    except BaseException as error:  # noqa: BLE001  # whatever the user's object does when it is looked at
        return Settled(unfit=f"{type(result).__name__} cannot be read: {type(error).__name__}")


def to_columns(results: Sequence[object]) -> tuple[list[Field], dict[int, str]]:
    """Turn what an objective returned, row by row, into fields.

    Parameters
    ----------
    results : sequence of object, length n
        As they are, or settled; `MISSING` for a row without a result.

    Returns
    -------
    fields : list of (str, pyarrow.Array of length n)
        A name occurs once for every kind its values came in.
    unfit : dict of int to str
        Rows that cannot be held, with the reason; their metrics are null.
    """
    kinds = set(map(type, results))
    if len(kinds) == 1 and (plain := _plain(kinds, results)) is not None:
        return [(SCALAR, plain)], {}
    if kinds == {dict} and (fields := _aligned(results)) is not None:
        return fields, {}
    return _row_by_row(results)


def _aligned(results: Sequence[Any]) -> list[Field] | None:
    """Take the fast path for mappings that all have the same names and plain values."""
    names = list(results[0])
    if len(names) > MOST_METRICS or not all(type(name) is str for name in names) or "" in names:
        return None
    width = len(names)
    if any(len(row) != width for row in results):
        return None
    fields = []
    for name in names:
        try:
            values = [row[name] for row in results]
        except KeyError:
            return None
        column = _plain(set(map(type, values)), values)
        if column is None or not _is_unicode(name):
            return None
        fields.append((name, column))
    return fields


def _plain(kinds: set[type], values: Sequence[Any]) -> pa.Array | None:
    """Build a column of one of the four plain types, or None if it is something else."""
    if kinds == {float}:
        return _fixed(pa.float64(), array("d", values))
    if kinds == {int}:
        try:
            return _fixed(pa.int64(), array("q", values))
        except OverflowError:
            return None
    if kinds == {bool}:
        return _bits(np.array(values, dtype=bool))
    if kinds == {str}:
        return _texts(values, None)
    return None


def _row_by_row(results: Sequence[object]) -> tuple[list[Field], dict[int, str]]:
    count = len(results)
    unfit: dict[int, str] = {}
    columns: dict[tuple[str, pa.DataType], dict[int, object]] = {}
    for row, result in enumerate(results):
        if result is MISSING:
            continue
        settled = result if type(result) is Settled else _settled(result)
        if settled.unfit:
            unfit[row] = settled.unfit
        for name, kind, held in settled.metrics:
            columns.setdefault((name, kind), {})[row] = held
    names = {name for name, kind in columns if not pa.types.is_null(kind)}
    fields = [
        (name, _column(kind, rows, count))
        for (name, kind), rows in columns.items()
        if not (pa.types.is_null(kind) and name in names)
    ]
    return fields, unfit


def _named(result: object) -> list[tuple[str, object]]:
    """Name the metrics of one result: a mapping's own names, none for None, `SCALAR` for anything else."""
    if result is None:
        return []
    if not isinstance(result, dict) and not hasattr(result, "_asdict"):
        return [(SCALAR, result)]
    named = result if isinstance(result, dict) else result._asdict()
    if len(named) > MOST_METRICS:
        raise Unfit(f"{len(named)} metrics; at most {MOST_METRICS} are kept, return an array instead")
    for name in named:
        if not isinstance(name, str) or not name:
            raise Unfit(f"a metric's name must be a text that is not empty, got {_shown(name)}")
        if not _is_unicode(name):
            raise Unfit(f"a metric's name must be valid Unicode, got {_shown(name)}")
    return list(named.items())


def _is_unicode(text: str) -> bool:
    """Tell whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# One value: its kind, and the form in which the column's builder wants it.


def _hold(value: Any) -> tuple[pa.DataType, object]:
    if isinstance(value, np.generic):
        value = _from_numpy(value)
    holder = _HOLDERS.get(type(value))
    if holder is None:
        holder = next((h for kind, h in _HOLDERS.items() if isinstance(value, kind)), None)
    if holder is None:
        raise Unfit(f"{type(value).__name__} is nothing that a column can hold: {_shown(value)}")
    return holder(value)


def _from_numpy(value: np.generic) -> object:
    """Unwrap a numpy scalar; extended precision and units finer than a microsecond only where exact."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return _from_numpy_time(value)
    if isinstance(value, np.longdouble) and float(value) != value and value == value:  # noqa: PLR0124  # NaN
        raise Unfit(f"{value!r} does not fit a 64-bit float")
    return float(value) if isinstance(value, np.floating) else value.item()


def _from_numpy_time(value: Any) -> object:
    if np.isnat(value):
        return None
    kind, unit = value.dtype.kind, np.datetime_data(value.dtype)[0]
    if kind == "M" and not 1 <= value.astype("M8[Y]").astype(np.int64) + EPOCH.year <= dt.MAXYEAR:
        raise Unfit(f"{value!r} is outside the years 1 to {dt.MAXYEAR}")
    if kind == "m" and unit in ("generic", "Y", "M"):
        raise Unfit(f"{value!r} has no unit of a fixed length")
    fine = value.astype(f"{kind}8[us]")
    if fine.astype(value.dtype) != value:
        raise Unfit(f"{value!r} is no whole number of microseconds that fits 64 bits")
    return fine.item()


def _hold_int(value: int) -> tuple[pa.DataType, object]:
    if not -(2**63) <= value < 2**63:
        raise Unfit(f"the integer {_shown(value)} does not fit 64 bits")
    return pa.int64(), value


def _hold_text(value: str) -> tuple[pa.DataType, object]:
    if not _is_unicode(value):
        raise Unfit(f"the text {_shown(value)} is not valid Unicode")
    return pa.large_string(), str.__str__(value)


def _hold_time(value: dt.datetime) -> tuple[pa.DataType, object]:
    if value != value:  # noqa: PLR0124  # the NaT of pandas is a datetime
        return pa.null(), None
    if value.tzinfo is None:
        return pa.timestamp("us"), _microseconds(value, value - EPOCH)
    return pa.timestamp("us", "UTC"), _microseconds(value, value - EPOCH.replace(tzinfo=dt.UTC))


def _microseconds(value: object, since: dt.timedelta) -> int:
    """Count microseconds; the times of pandas may be finer."""
    count = since // MICROSECOND
    if count * MICROSECOND != since:
        raise Unfit(f"{value!r} is finer than a microsecond")
    return count


def _hold_array(value: NDArray[Any]) -> tuple[pa.DataType, object]:
    if value.ndim == 0:
        return _hold(value[()])
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:  # bytes
        raise Unfit(f"an array of {value.dtype} cannot be held; numbers and booleans of up to 64 bits can")
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise Unfit("a masked array cannot be held; fill it first")
    if value.ndim > MOST_DIMENSIONS:
        raise Unfit(f"an array of {value.ndim} dimensions cannot be held; at most {MOST_DIMENSIONS} can")
    kind = pa.from_numpy_dtype(value.dtype.newbyteorder("="))
    for _ in range(value.ndim):
        kind = pa.large_list(kind)
    return kind, np.array(value, dtype=value.dtype.newbyteorder("="), order="C")


def _hold_sequence(value: Sequence[Any]) -> tuple[pa.DataType, object]:
    """Keep numbers of one kind as a list column, anything else as JSON text."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _hold_json(value._asdict())
    flat = list(value)
    for _ in range(MOST_DIMENSIONS):
        if not flat or not all(type(item) in (list, tuple) for item in flat):
            break
        flat = [element for item in flat for element in item]
    kinds = set(map(type, flat))
    numbers = kinds in ({float}, {bool}) or (
        kinds == {int} and all(-(2**63) <= item < 2**63 for item in flat)
    )
    if numbers or (len(kinds) == 1 and issubclass(next(iter(kinds)), (np.number, np.bool_))):
        try:
            return _hold_array(np.array(value))
        except ValueError:  # ragged
            return _hold_json(value)
    return _hold_json(value)


def _hold_json(value: object) -> tuple[pa.DataType, object]:
    try:
        return _hold_text(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unfit(f"{_shown(value)} cannot be held: {error}") from error


_HOLDERS: dict[type, Callable[[Any], tuple[pa.DataType, object]]] = {
    float: lambda value: (pa.float64(), float(value)),
    bool: lambda value: (pa.bool_(), value),
    int: _hold_int,
    str: _hold_text,
    type(None): lambda value: (pa.null(), value),
    np.ndarray: _hold_array,
    list: _hold_sequence,
    tuple: _hold_sequence,
    dict: _hold_json,
    bytes: lambda value: (pa.large_binary(), value),
    dt.datetime: _hold_time,
    dt.date: lambda value: (pa.date32(), (value - EPOCH.date()).days),
    dt.timedelta: lambda value: (pa.duration("us"), _microseconds(value, value)),
}


def _shown(value: object) -> str:
    """Show a value whose own ``repr`` may fail, or never end."""
    try:
        text = repr(value)
    except BaseException:  # noqa: BLE001  # the value is the user's, and so is its repr
        return f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."  # characters of a line


# Columns.


def _column(kind: pa.DataType, rows: dict[int, Any], count: int) -> pa.Array:
    """Place the held values of one kind, null elsewhere."""
    if pa.types.is_null(kind):
        return pa.nulls(count)
    present = np.zeros(count, dtype=bool)
    present[list(rows)] = True
    if pa.types.is_large_list(kind):
        return _lists(kind, [rows.get(row) for row in range(count)], present)
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return _texts([rows.get(row, "") for row in range(count)], present, kind)
    if pa.types.is_boolean(kind):
        return _bits(np.array([rows.get(row, False) for row in range(count)], dtype=bool), present)
    values = np.zeros(count, dtype=f"{'f' if pa.types.is_floating(kind) else 'i'}{kind.bit_width // 8}")
    values[list(rows)] = list(rows.values())
    return _fixed(kind, values, present)


def _validity(present: NDArray[np.bool_] | None) -> pa.Buffer | None:
    if present is None or present.all():
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little"))


def _fixed(kind: pa.DataType, values: Any, present: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [_validity(present), pa.py_buffer(values)])


def _bits(values: NDArray[np.bool_], present: NDArray[np.bool_] | None = None) -> pa.Array:
    packed = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(present), packed])


def _texts(
    values: Sequence[str | bytes], present: NDArray[np.bool_] | None, kind: pa.DataType | None = None
) -> pa.Array | None:
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
    column = _bits(flat) if pa.types.is_boolean(leaf) else _fixed(leaf, flat)
    for level in reversed(range(depth)):
        lengths = [shape[level] for shape in shapes for _ in range(int(np.prod(shape[:level])))]
        validity = _validity(present) if level == 0 else None
        nested = pa.large_list(column.type)
        column = pa.Array.from_buffers(
            nested, len(lengths), [validity, pa.py_buffer(_offsets(lengths))], children=[column]
        )
    return column
