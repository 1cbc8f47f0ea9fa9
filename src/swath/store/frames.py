"""Columns to a pandas frame, without a detour over rows.

Missing values are what pandas makes of them (NaN), with two exceptions: integers that no float holds exactly stay integers,
and False and True stay what they are, in pandas' nullable types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from swath.messages import STATUSES
from swath.store.segments import numpy_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swath.space.expressions import Column
    from swath.store.assembly import Assembly

EXACT: Final = 1 << 53  # integers up to this are exact as floats


def to_frame(assembly: Assembly) -> pd.DataFrame:
    """Make a frame of rows; see `Results.frame`."""
    table = assembly.rows.table
    columns: dict[str, Any] = {name: _parameter(column) for name, column in assembly.parameters.items()}
    columns |= {name: _metric(column) for name, column in assembly.metrics.items()}
    columns["status"] = _coded(numpy_column(table, "status").view(np.int8), STATUSES)
    columns["seconds"] = numpy_column(table, "seconds")
    columns["attempts"] = numpy_column(table, "attempts")
    columns["worker"] = _coded(numpy_column(table, "worker"), assembly.workers)
    columns["started"] = table.column("started").to_pandas()
    columns["failure"] = assembly.failure.to_pandas()
    for name, column in columns.items():
        if isinstance(column, pd.Series):
            columns[name] = column.array
    return pd.DataFrame(columns, index=pd.Index(assembly.rows.points, name="point"), copy=False)


def _coded(codes: NDArray[Any], texts: Sequence[str]) -> Any:
    """Make a categorical column of places in a list."""
    return pd.Categorical.from_codes(codes, pd.Index(texts, dtype=str))


def _parameter(column: Column) -> Any:
    """Turn a parameter into what pandas makes of it: NaN where it is absent."""
    values, present = column.values, column.present  # noqa: PD011  a Column of ours
    if present is None or present.all():
        return values
    if values.dtype.kind == "b":
        return pd.arrays.BooleanArray(values.copy(), ~present)
    if values.dtype.kind == "O":
        values = values.copy()
        values[~present] = np.nan
        return values
    if values.dtype.kind in "iu" and (np.abs(values[present]) > EXACT).any():
        return _masked(values, present)
    return np.where(present, values, np.nan)


def _masked(values: NDArray[Any], present: NDArray[np.bool_]) -> Any:
    """Keep integers exact beside missing ones."""
    return pd.arrays.IntegerArray(values.copy(), ~present)


def _metric(column: pa.ChunkedArray) -> Any:
    """Turn a metric into what pandas makes of it; what a float cannot hold stays as it is."""
    if column.null_count and pa.types.is_boolean(column.type):
        values = pc.fill_null(column, False).to_numpy()
        return pd.arrays.BooleanArray(values.astype(bool), ~column.is_valid().to_numpy())
    if column.null_count and pa.types.is_integer(column.type):
        largest = pc.min_max(column).as_py()
        if max(abs(largest["min"] or 0), abs(largest["max"] or 0)) > EXACT:
            values = pc.fill_null(column, 0).to_numpy()
            return _masked(values, column.is_valid().to_numpy())
    return column.to_pandas()
