"""One metric value: its kind, which is an Arrow type, and the form in which a column is built of it.

Theory of operation
-------------------
A value is held exactly or refused (`Unfit`), whatever its neighbours are. A refusal is one line that shows the
value, as far as it can be shown: the value is the user's, and may break or deceive whoever looks at it.

Numbers, texts, bytes and times have kinds of their own, arrays and lists of numbers are lists, anything else that
JSON can say is kept as JSON text. A time with a zone is the same instant in UTC; one without is never given a zone.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # naive on purpose: naive times count from a naive epoch
MICROSECOND = dt.timedelta(microseconds=1)
FIRST, LAST = ((end - EPOCH) // MICROSECOND for end in (dt.datetime.min, dt.datetime.max))  # noqa: DTZ901  # as above
"""Microseconds from `EPOCH` to the ends of Python's calendar."""

MOST_DIMENSIONS = 32
"""Of an array; Arrow reads lists that are nested up to 64 deep."""


class Unfit(Exception):  # noqa: N818  # it is a verdict on a value, not an error of ours
    """A value that Arrow cannot hold exactly; the text says which and why."""


def hold(value: Any) -> tuple[pa.DataType, object]:
    """Return the kind of a value, and the value as `swath.inside.columns` wants it.

    Raises
    ------
    Unfit
        If it cannot be held exactly. A hostile value may raise anything else.
    """
    if isinstance(value, np.generic):
        value = _from_numpy(value)
    holder = _HOLDERS.get(type(value))
    if holder is None:
        holder = next((h for kind, h in _HOLDERS.items() if isinstance(value, kind)), None)
    if holder is None:
        raise Unfit(f"{name_of(type(value))} is nothing that a column can hold: {shown(value)}")
    return holder(value)


def is_unicode(text: str) -> bool:
    """Tell whether a text has no half of a surrogate pair."""
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return False
    return True


def name_of(kind: type) -> str:
    """Return the name of a class, past what its metaclass may pretend."""
    name: str = type.__dict__["__name__"].__get__(kind)
    return name


def shown(value: object) -> str:
    """Show a value, whose own ``repr`` may fail, in a few words of one line."""
    try:
        return _brief(repr(value), 60)
    except BaseException:  # noqa: BLE001  # the value is the user's, and so is its repr
        return f"<{name_of(type(value))}>"


def _brief(text: str, room: int) -> str:
    """Put a text on one line of at most so many characters."""
    line = " ".join(str.split(text[: 4 * room]))
    return line if len(line) <= room else line[: room - 3] + "..."


def _from_numpy(value: np.generic) -> object:
    """Unwrap a numpy scalar; extended precision and units finer than a microsecond only where exact."""
    if isinstance(value, np.void):
        raise Unfit(f"a numpy record cannot be held: {shown(value)}; return its fields as a mapping")
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
    value = int.__int__(value)  # whatever a class made of it
    if not -(2**63) <= value < 2**63:
        raise Unfit(f"the integer {shown(value)} does not fit 64 bits")
    return pa.int64(), value


def _hold_text(value: str) -> tuple[pa.DataType, object]:
    if not is_unicode(value):
        raise Unfit(f"the text {shown(value)} is not valid Unicode")
    return pa.large_string(), str.__str__(value)


def _hold_time(value: dt.datetime) -> tuple[pa.DataType, object]:
    if value != value:  # noqa: PLR0124  # the NaT of pandas is a datetime
        return pa.null(), None
    zone = None if value.utcoffset() is None else "UTC"
    epoch = EPOCH if zone is None else EPOCH.replace(tzinfo=dt.UTC)
    count = _microseconds(value, value.replace(tzinfo=None) - EPOCH if zone is None else value - epoch)
    if not FIRST <= count <= LAST:
        raise Unfit(f"{value!r} is outside the years 1 to {dt.MAXYEAR}{' of UTC' if zone else ''}")
    return pa.timestamp("us", zone), count


def _hold_duration(value: dt.timedelta) -> tuple[pa.DataType, object]:
    count = _microseconds(value, value)
    if not -(2**63) <= count < 2**63:
        raise Unfit(f"{value!r} does not fit 64 bits of microseconds")
    return pa.duration("us"), count


def _microseconds(value: object, since: dt.timedelta) -> int:
    """Count microseconds; the times of pandas may be finer."""
    count = since // MICROSECOND
    if count * MICROSECOND != since:
        raise Unfit(f"{value!r} is finer than a microsecond")
    return count


def _hold_array(value: NDArray[Any]) -> tuple[pa.DataType, object]:
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise Unfit("a masked array cannot be held; fill it first")
    value = np.asarray(value)
    if value.ndim == 0:
        return hold(value[()])
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:  # bytes
        raise Unfit(f"an array of {value.dtype} cannot be held; numbers and booleans of up to 64 bits can")
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
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        why = _brief(str(error), 120) or name_of(type(error))
        raise Unfit(f"{shown(value)} cannot be held: {why}") from error
    _check_names(value)
    return _hold_text(text)


def _check_names(value: object) -> None:
    """Refuse mappings with other names than texts: JSON would turn 1 into "1", and keep only one of both."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            for name in item:
                if not isinstance(name, str):
                    raise Unfit(f"a mapping within a metric must have texts as names, got {shown(name)}")
            left += item.values()
        elif isinstance(item, (list, tuple)):
            left += item


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
    bytes: lambda value: (pa.large_binary(), bytes(value)),
    dt.datetime: _hold_time,
    dt.date: lambda value: (pa.date32(), (value - EPOCH.date()).days),
    dt.timedelta: _hold_duration,
}
