"""Rows as a Parquet file that says which of its columns are parameters and which metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from swath.errors import CannotWriteError
from swath.store.disk import Disk, publish
from swath.store.files import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swath.analysis.tables import Table
    from swath.store.disk import Piece

ROWS: Final = 2**17
"""Of a row group; what is in memory beside the table is one of them, compressed."""


def write_parquet(table: Table, path: Path) -> None:
    """Write rows; see `Analysis.to_parquet`.

    Raises
    ------
    CannotWriteError
        The system refuses.
    """
    try:
        publish(Disk(), path, _pieces(_described(table)))
    except OSError as error:
        path.with_name(path.name + ".tmp").unlink(missing_ok=True)
        raise CannotWriteError(f"cannot write {path}: {error.strerror or error}") from error


def _described(table: Table) -> pa.Table:
    definition = table.definition
    about = {
        "sweep": definition.name,
        "parameters": definition.space.names,
        "derived": definition.space.derived,
        "metrics": list(table.metrics),
        "minimize": definition.directions.get("minimize"),
        "maximize": definition.directions.get("maximize"),
    }
    described: pa.Table = table.arrow.replace_schema_metadata({"swath": json.dumps(about)})
    return described


def _pieces(table: pa.Table) -> Iterator[Piece]:
    """Yield the content of the file, a row group at a time."""
    sink = Sink()
    with (
        pa.PythonFile(sink, mode="w") as file,
        pq.ParquetWriter(file, table.schema, compression="zstd") as writer,
    ):
        for start in range(0, max(table.num_rows, 1), ROWS):
            writer.write_table(table.slice(start, ROWS))
            yield from sink.drained()
    yield from sink.drained()
