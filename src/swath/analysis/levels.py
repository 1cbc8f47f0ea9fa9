"""Columns as codes: which rows have the same value, and in which order the values stand.

Theory of operation
-------------------
Every question about rows begins by telling equal values apart, and that is done once for each distinct value, not for each
row. Numbers and texts are factorized by pandas. A column of objects (values of several types, lists, mappings) holds the same
few objects again and again, so it is factorized by identity first, and only the distinct objects are compared by content,
for which True and 1 are different and 1 and 1.0 are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from swath.space import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from swath.space import Space

    Codes = NDArray[np.int64]

_WIDEST: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Levels:
    """The distinct values of a column, in order.

    Attributes
    ----------
    codes : NDArray[int64], shape (rows,)
        The place of each row's value among ``values``; -1 where it is absent.
    values : Series, shape (levels,)
        Numbers ascend; others stand as in the definition, or else as they appear. Of the column's type.
    """

    codes: Codes
    values: pd.Series[Any]

    def __len__(self) -> int:
        return len(self.values)


def levels(frame: pd.DataFrame, name: str, space: Space | None = None) -> Levels:
    """Tell the distinct values of a column.

    Parameters
    ----------
    frame : DataFrame
        Rows.
    name : str
        The column.
    space : Space, optional
        Where values that are no numbers get their order from.
    """
    series = frame[name]
    codes, first = coded(series)
    values = series.iloc[first]
    if is_number(series):
        order = np.argsort(values.to_numpy(np.float64, na_value=np.nan), kind="stable")
        order = order[values.iloc[order].notna().to_numpy()]
    else:
        order = _listed(values, list(listed(space, name)) if space else [])
    places = np.full(len(values) + 1, -1, np.int64)
    places[order] = np.arange(len(order))
    return Levels(places[codes], values.iloc[order])


def is_number(series: pd.Series[Any]) -> bool:
    """Tell whether a column holds numbers, which have an order; False and True are none."""
    return getattr(series.dtype, "kind", "O") in "iuf"


def listed(space: Space, name: str) -> Iterable[Any]:
    """Return the values of a parameter as the definition lists them, for all blocks; nothing for other names."""
    for block in space.candidates.blocks:
        if name in block.place:
            series = block.series(name)
            yield from series.items if series.computed is None else series.computed.choices


def _listed(values: pd.Series[Any], definition: Sequence[Any]) -> NDArray[np.int64]:
    """Order values as the definition lists them, without what is absent."""
    places: dict[str, int] = {}
    for value in definition:
        places.setdefault(canonical(value), len(places))
    items = values.astype(object).tolist()
    # in a column of texts null cannot be told from absent; where the definition lists null it is that
    keys = [canonical(None if is_nan(item) else item) for item in items]
    kept = [i for i, item in enumerate(items) if not is_nan(item) or keys[i] in places]
    return np.array(sorted(kept, key=lambda i: (places.get(keys[i], len(places)), i)), np.int64)


def coded(series: pd.Series[Any]) -> tuple[Codes, Codes]:
    """Give each content of a column a number, in the order of appearance; absent is a content too.

    Returns
    -------
    codes : NDArray[int64], shape (rows,)
        The number of each row's content.
    first : NDArray[int64], shape (contents,)
        The first row of each.
    """
    if series.dtype != object:
        codes = pd.factorize(series, use_na_sentinel=False)[0].astype(np.int64, copy=False)
        return codes, _first(codes)
    items = series.to_numpy()
    same, _ = pd.factorize(np.fromiter(map(id, items), np.int64, len(items)))
    keys = [_key(items[row]) for row in _first(same)]
    codes = pd.factorize(np.array(keys, object))[0][same] if keys else same
    return codes, _first(codes)


def _first(codes: Codes) -> Codes:
    """Return the first place of each number; numbers appear in ascending order."""
    first = np.empty(int(codes.max(initial=-1)) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of equal indices the last one stays
    return first


def _key(value: Any) -> str:
    return "" if is_nan(value) else canonical(value.tolist() if hasattr(value, "tolist") else value)


def is_nan(value: Any) -> bool:
    """Tell whether a value of a frame stands for none."""
    return value is pd.NA or (isinstance(value, float) and value != value)  # noqa: PLR0124  NaN


def labels(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return values as labels of an axis, which must be hashable: lists and mappings as JSON."""
    if values.dtype != object:
        return values
    items = [canonical(item) if isinstance(item, list | dict) else item for item in values]
    return pd.Series(items, dtype=object, index=values.index)


def is_list(kind: pa.DataType) -> bool:
    """Tell whether values of an Arrow type are lists."""
    return isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)


def groups(frame: pd.DataFrame, by: Sequence[str]) -> tuple[Codes, Codes]:
    """Give each combination of some columns a number, in the order of appearance.

    Returns
    -------
    group : NDArray[int64], shape (rows,)
        The number of each row's combination.
    first : NDArray[int64], shape (combinations,)
        The first row of each.
    """
    group, width = np.zeros(len(frame), np.int64), 1
    for name in by:
        codes, first = coded(frame[name])
        count = max(len(first), 1)
        if width > _WIDEST // count:
            group, distinct = pd.factorize(group)
            width = len(distinct)
        group = group * count + codes
        width *= count
    group = pd.factorize(group)[0].astype(np.int64, copy=False)
    return group, _first(group)


def sums(group: Codes, count: int, values: NDArray[Any] | None = None) -> NDArray[Any]:
    """Add up values, or count rows, group by group."""
    return np.bincount(group, values, minlength=count)


def free(name: str, taken: Iterable[str]) -> str:
    """Return a name for a column beside others: the name, with an underscore behind it for as long as it is taken."""
    taken = set(taken)
    while name in taken:
        name += "_"
    return name


def floats(series: pd.Series[Any]) -> NDArray[np.float64]:
    """Return a column of numbers as floats; missing is NaN."""
    return series.to_numpy(np.float64, na_value=np.nan)


def utc(series: pd.Series[Any]) -> NDArray[np.datetime64]:
    """Return a column of times, with a zone or in UTC, as times in UTC to the microsecond."""
    plain = series if series.dt.tz is None else series.dt.tz_convert("UTC").dt.tz_localize(None)
    return np.asarray(plain, "datetime64[us]")
