"""Rows for which something holds: an expression in the language of ``where`` and ``derive``, or given values.

Texts that repeat, such as ``status``, are looked at once each; nothing is asked of Python's ``eval``.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.analysis.levels import coded, is_nan, is_number, listed, utc
from swath.analysis.names import demand
from swath.errors import UsageError
from swath.space import canonical
from swath.space.expressions import Column, Expression, column

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from swath.space import Space

_SEARCHED: Final = 10**6
"""Values of an axis among which null is looked for; longer ones are made by a generator, which makes numbers."""


def holds(frame: pd.DataFrame, text: str, space: Space | None = None) -> NDArray[np.bool_]:
    """Tell for which rows an expression holds.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        Its columns, and its index if that has a name, are what the expression may read; times are texts in UTC, as
        ``2026-11-25T21:30:00.000000Z``, and durations are seconds.
    text : str
        As in ``where`` of a definition; a row that lacks a value that is needed does not count.
    space : Space, optional
        Says in which columns None is a value; in others it says that there is none.

    Raises
    ------
    UsageError
        It reads a column that there is not.
    ExpressionError
        It cannot be read, or not be evaluated for a row.
    """
    expression = Expression(text)
    there = [*([str(frame.index.name)] if frame.index.name else []), *map(str, frame.columns)]
    for name in sorted(expression.names):
        demand(name, there, "column")
    columns = {
        name: _column(frame[name] if name in frame else frame.index.to_series(), *_nulls(space, name))
        for name in expression.names
    }
    return expression.holds(columns, len(frame))


def _nulls(space: Space | None, name: str) -> tuple[bool, bool]:
    """Tell whether None is a value of a column, and whether the definition lists it."""
    if space is None or name not in (*space.names, *space.derived):
        return False, False
    return True, any(value is None for value in islice(listed(space, name), _SEARCHED))


def _column(series: pd.Series[Any], none: bool, null: bool) -> Column:
    """Make a column that expressions can read.

    NaN stays a number; everything else that is missing is absent, but for None where it is a value (``none``), and for
    what is missing among texts where the definition lists null (``null``).
    """
    if series.dtype.kind in "biuf" and isinstance(series.dtype, np.dtype):
        return Column(series.to_numpy(), None)
    if series.dtype.kind in "biuf":  # integers or truth values beside missing ones
        present = series.notna().to_numpy()
        filled = series.fillna(0) if series.dtype.kind in "iu" else series.fillna(False)
        return Column(filled.to_numpy(), present)
    if series.dtype.kind == "M":
        times = utc(series)
        return Column(np.datetime_as_string(times, timezone="UTC").astype(object), ~np.isnat(times))
    if series.dtype.kind == "m":
        return Column(series.dt.total_seconds().to_numpy(), None)
    codes, first = coded(series) if _repeats(series) else (None, None)
    distinct = series if first is None else series.iloc[first]
    items = [str(item) if hasattr(item, "isoformat") else item for item in distinct.astype(object).tolist()]
    if null and series.dtype != object:
        items = [None if is_nan(item) else item for item in items]
    present = np.fromiter((none if item is None else not is_nan(item) for item in items), bool, len(items))
    values = column([item if there else None for item, there in zip(items, present, strict=True)])
    return Column(values, present) if codes is None else Column(values[codes], present[codes])


def _repeats(series: pd.Series[Any]) -> bool:
    """Tell whether the values of a column can be told apart cheaply."""
    return series.dtype != object


def have(frame: pd.DataFrame, space: Space, wanted: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Tell which rows have given values.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        The rows.
    space : Space
        What values the parameters have.
    wanted : mapping of str to value, or to a list, tuple, set, range or array of values
        For each column the value, or the values of which a row may have any.

    Raises
    ------
    UsageError
        There is no such column, or no point of the definition has such a value of a parameter.
    """
    found = np.ones(len(frame), bool)
    for name, values in wanted.items():
        demand(name, [str(there) for there in frame.columns], "column")
        several = _several(values)
        chosen, met = (_numbers if is_number(frame[name]) else _contents)(frame[name], several)
        found &= chosen
        for value, hit in zip(several, met, strict=True):
            if not hit and name in space.names:
                _on_an_axis(space, name, value)
    return found


def _numbers(series: pd.Series[Any], wanted: Collection[Any]) -> tuple[NDArray[np.bool_], list[bool]]:
    """Tell which rows have one of some numbers, and which of these were met."""
    chosen, met = np.zeros(len(series), bool), []
    for value in wanted:
        if isinstance(value, bool) or not isinstance(value, int | float):
            same = series.isna() if value is None else np.zeros(len(series), bool)
        else:
            same = series.isna() if is_nan(value) else series == value
        same = np.asarray(same, bool)
        chosen |= same
        met.append(bool(same.any()))
    return chosen, met


def _contents(series: pd.Series[Any], wanted: Collection[Any]) -> tuple[NDArray[np.bool_], list[bool]]:
    """Tell which rows have one of some values, by content, and which of these were met."""
    codes, first = coded(series)
    items = series.iloc[first].astype(object).tolist()
    keys = {_canonical(item): place for place, item in enumerate(items)}
    if series.dtype != object:
        keys.setdefault(
            _canonical(None), keys.get(_canonical(float("nan")), -1)
        )  # texts: null is absent there
    places = [keys.get(_canonical(value), -1) for value in wanted]
    chosen = np.zeros(len(first) + 1, bool)
    chosen[places] = True
    chosen[-1] = False
    return chosen[codes], [place >= 0 for place in places]


def _canonical(value: Any) -> str:
    if is_nan(value):
        return "NaN"  # canonical texts are JSON, which has no such word
    value = value.tolist() if hasattr(value, "tolist") else value
    return canonical(str(value) if hasattr(value, "isoformat") else value)


def _several(values: Any) -> Collection[Any]:
    if isinstance(values, list | tuple | set | frozenset | range):
        return values
    if hasattr(values, "tolist"):
        plain = values.tolist()
        return plain if isinstance(plain, list) else [plain]
    return [values]


def _on_an_axis(space: Space, name: str, value: Any) -> None:
    """Raise UsageError if no point can have a value: to find no row would hide the mistake."""
    values = list(listed(space, name))
    if not values or _canonical(value) in map(_canonical, values):
        return
    near = ""
    numbers = [item for item in values if isinstance(item, int | float) and not isinstance(item, bool)]
    if numbers and isinstance(value, int | float):
        near = f"; the nearest is {min(numbers, key=lambda item: abs(item - value))!r}"
    elif len(values) <= 20:
        near = f"; there is {', '.join(map(repr, dict.fromkeys(map(str, values))))}"
    raise UsageError(f"no point has {name} = {value!r}{near}")
