"""Metric values to Arrow columns, exactly or not at all.

Theory of operation
-------------------
Every value has a *kind*, which is an Arrow type: nothing is widened to please a neighbour. The values of
one metric that are of several kinds become several fields of one name, null where a row is of another
kind; the reader unifies them. So a row keeps the type it came with, whatever came before it.

A value that Arrow cannot hold exactly, or that breaks whoever looks at it, makes its own row unfit and no
other. Results are settled when they arrive: an objective may go on to change what it returned. Columns of plain floats,
integers, booleans and texts, which are nearly all, are recognised by one look at the set of their types.

One value is the business of `swath.inside.kinds`, a column of held values that of `swath.inside.columns`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swath.inside.columns import bits, column, fixed, texts
from swath.inside.kinds import Unfit, hold, is_unicode, name_of, shown
from swath.recording import SCALAR

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_METRICS = 4096
"""Metrics of one point, and of all points together; more are a mistake, or a table that should be an array."""

MOST_CELLS = 2**26
"""Rows times columns of one batch; plain mappings of so many values would have ended it long before."""

MISSING: Any = type("Missing", (), {"__repr__": lambda _: "missing", "__slots__": ()})()
"""Stands for a metric that a row does not have."""

Field = tuple[str, pa.Array]


class TooManyError(Exception):
    """The names of the metrics differ from point to point, without end."""


PLAIN = frozenset({float, int, bool, str, type(None)})
"""Types of values that nobody can change, and that need no look before the batch is over."""

_SHORT = PLAIN - {str}

MOST_BYTES = 32 * 2**20
"""That all metrics of one point may take; half of what a segment holds."""

LONG = 1024
"""Characters; longer texts are weighed one by one."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A result in the form in which columns are built.

    Attributes
    ----------
    metrics : tuple of (str, pyarrow.DataType, object)
        Name, kind and held value.
    unfit : str
        Not empty: why it cannot be held; there are no metrics then.
    size : int
        About how many bytes it takes.
    """

    metrics: tuple[tuple[str, pa.DataType, object], ...] = ()
    unfit: str = ""
    size: int = 0

    def __len__(self) -> int:
        """Return its size, as the length of a text is about its size."""
        return self.size


def settle(result: object) -> object:
    """Take a result from its maker, who may change it later; never raises.

    Plain values and mappings of them come back as such, to be judged a column at a time.
    """
    kind = type(result)
    if kind in _SHORT or (type(result) is str and len(result) <= LONG):
        return result
    if type(result) is dict and len(result) <= MOST_METRICS:
        for value in result.values():  # faster than sets of types, and this is paid for every point
            if type(value) not in _SHORT and not (type(value) is str and len(value) <= LONG):
                return _settled(result)
        return result.copy()
    return _settled(result)


def _settled(result: object) -> Settled:
    try:
        metrics = tuple((name, *hold(value)) for name, value in _named(result))
        size = sum(len(name) + _bytes(held) for name, _, held in metrics)
        if size > MOST_BYTES:
            raise Unfit(
                f"metrics of {size:,} bytes; at most {MOST_BYTES:,} are kept for a point, "
                "write them to a file and return its name"
            )
        return Settled(metrics, size=size)
    except Unfit as reason:
        return Settled(unfit=str(reason))
    except BaseException as error:  # noqa: BLE001  # whatever the user's object does when it is looked at
        return Settled(unfit=f"{name_of(type(result))} cannot be read: {name_of(type(error))}")


def _bytes(held: Any) -> int:
    """Return about how many bytes a held value takes."""
    if isinstance(held, np.ndarray):
        return held.nbytes
    return len(held) if isinstance(held, str | bytes) else 64


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

    Raises
    ------
    TooManyError
        If there are more than `MOST_METRICS`, or a table that is nearly empty.
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
        if column is None or not is_unicode(name):
            return None
        fields.append((name, column))
    return fields


def _plain(kinds: set[type], values: Sequence[Any]) -> pa.Array | None:
    """Build a column of one of the four plain types, or None if it is something else."""
    if kinds == {float}:
        return fixed(pa.float64(), array("d", values))
    if kinds == {int}:
        try:
            return fixed(pa.int64(), array("q", values))
        except OverflowError:
            return None
    if kinds == {bool}:
        return bits(np.array(values, dtype=bool))
    if kinds == {str}:
        return texts(values, None)
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
    if len(columns) > MOST_METRICS or len(columns) * count > MOST_CELLS:
        raise TooManyError(
            f"{count:,} points returned {len(columns):,} different metrics; a metric's name must not depend on "
            "the point: return an array, or a text and a number"
        )
    names = {name for name, kind in columns if not pa.types.is_null(kind)}
    fields = [
        (name, column(kind, rows, count))
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
            raise Unfit(f"a metric's name must be a text that is not empty, got {shown(name)}")
        if not is_unicode(name):
            raise Unfit(f"a metric's name must be valid Unicode, got {shown(name)}")
    return list(named.items())
