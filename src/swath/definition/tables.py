"""Tables of cases: a CSV or Parquet file, or a DataFrame, as columns of plain values.

Dates stay the text that they are in the file, missing values are None. A type that has no plain form is refused
with the column's name: guessing would make a point that cannot be found again. pyarrow is imported on first use.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

from swath.definition.checks import Wrong, shown

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

Columns = dict[str, list[object]]
"""Equally long lists by column name."""


def read_table(name: str, folder: Path) -> Columns:
    """Read the file ``name``, relative to ``folder``; the ending says which format.

    Raises
    ------
    Wrong
        If the file is missing, unreadable, not a table, or holds types that have no plain form.
    """
    import pyarrow as pa  # noqa: PLC0415 - 100 ms that only definitions with a table pay

    path = folder / name
    reader = {".csv": _csv, ".parquet": _parquet, ".pq": _parquet}.get(path.suffix.lower())
    if reader is None:
        raise Wrong(f"must be a .csv or .parquet file, got {shown(name)}")
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe that nobody writes to would keep us waiting
            raise Wrong(f"cannot read {shown(name)}: not a regular file", f"looked for in {folder}")
        return columns(reader(path))
    except Wrong:
        raise
    except pa.ArrowException as error:
        raise Wrong(f"cannot read {shown(name)}: {str(error).splitlines()[0]}") from None
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise Wrong(f"cannot read {shown(name)}: {reason.lower()}", f"looked for in {folder}") from None


def frame_columns(frame: pd.DataFrame) -> Columns:
    """Take the columns of a DataFrame; its index is left out."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    unnamed = next((name for name in frame.columns if not isinstance(name, str)), None)
    if unnamed is not None:
        raise Wrong(
            f"a column's name must be text, got {unnamed!r}", "rename it, or use frame.add_prefix('x')"
        )
    try:
        return columns(pa.Table.from_pandas(frame, preserve_index=False))
    except pa.ArrowException as error:
        raise Wrong(f"not a table of plain values: {error}") from None


def columns(table: pa.Table) -> Columns:
    """Turn an Arrow table into lists.

    Raises
    ------
    Wrong
        For a column that occurs twice or whose type has no plain form, and for a table without rows.
    """
    repeated = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
    if repeated is not None:
        raise Wrong(f"the column {repeated!r} occurs twice")
    if not table.num_rows or not table.num_columns:
        raise Wrong("there are no rows in it")
    for column in table.schema:
        if not _is_plain(column.type):
            raise Wrong(f"column {column.name!r} has the type {column.type}", "make it text or numbers")
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return text or pa.types.is_boolean(kind) or pa.types.is_null(kind) or _is_number(kind)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - as above

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _csv(path: Path) -> pa.Table:
    from pyarrow import csv, string, types  # noqa: PLC0415 - as above

    with path.open("rb") as file:  # opened here, so that the system's own reason reaches the message
        table = csv.read_csv(file)
    dates = {column.name: string() for column in table.schema if types.is_temporal(column.type)}
    return _csv_as(path, dates) if dates else table


def _csv_as(path: Path, types: dict[str, Any]) -> pa.Table:
    from pyarrow import csv  # noqa: PLC0415 - as above

    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))


def _parquet(path: Path) -> pa.Table:
    from pyarrow import parquet  # noqa: PLC0415 - as above

    with path.open("rb") as file:
        return parquet.read_table(file)
