"""Rows for those who go on by themselves: as a frame, as an Arrow table, as a labelled array, as a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from swath.analysis.names import demand, needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa
    import xarray as xr

    from swath.analysis.tables import Table
    from swath.definition import Definition


class Rows(ABC):
    """Rows of points of one definition."""

    @abstractmethod
    def _table(self) -> Table:
        """Return the rows as they are now."""

    @property
    def definition(self) -> Definition:
        """The newest definition of the run."""
        return self._table().definition

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.definition.name

    @property
    def frame(self) -> pd.DataFrame:
        """One row a point of the current definition, in the order of the points.

        The index is ``point``; the columns are the parameters, derived values, metrics, then ``status``,
        ``seconds``, ``attempts``, ``worker``, ``started`` (UTC) and ``failure``. Changes to it stay in it.
        """
        return self._table().frame.copy(deep=False)

    @property
    def arrow(self) -> pa.Table:
        """As ``frame``, with ``point`` as a column, and with NaN and missing values kept apart."""
        return self._table().arrow

    @property
    def curves(self) -> pd.DataFrame:
        """What the points of the current definition recorded on their way, a row a step, sorted by point and step.

        The columns are ``point``, ``step``, ``seconds`` since the evaluation began, and the metrics, NaN where a step
        does not have one. Where a point was evaluated again, from the beginning or from a checkpoint, the new steps count
        from there on. Points that have not ended yet are there too. Changes to it stay in it.
        """
        return self._table().curves.copy(deep=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self._table().metrics)

    def to_xarray(self, metrics: Sequence[str] | None = None, *, layout: str | None = None) -> xr.Dataset:
        """Make a labelled array.

        Each parameter that varies is a dimension with its values as coordinates: numbers ascend, others stand as in the
        definition. Parameters that vary together (``zip``, ``table``) share one, which is called by their names, or
        ``case`` where these are more than three. Derived values, metrics, ``status`` and ``seconds`` are variables; a
        derived value has only the dimensions that it follows from. Arrays get dimensions ``<metric>_0``, ``<metric>_1``
        and so on. Parameters with one value are attributes.

        A cell without a row, or whose point failed, is NaN; so integers and False and True become floats where any is
        missing.

        Parameters
        ----------
        metrics : sequence of str, optional
            Those to be variables. Default: all.
        layout : {"grid", "points"}, optional
            With ``points`` the only dimension is ``point``, and parameters are coordinates along it. Default: ``grid``,
            unless a parameter is absent from some rows or fewer than one cell in twenty would have a row.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        UsageError
            xarray is not installed; a name is unknown; a grid is asked for that there is not, or that has more than
            10^8 cells; arrays of a metric differ in length.
        """
        xarray = needed("xarray", "to_xarray", extra="xarray")
        from swath.analysis.arrays import parts  # noqa: PLC0415

        table = self._table()
        metrics = table.metrics if metrics is None else metrics
        for name in metrics:
            demand(name, table.metrics, "metric")
        made = parts(table, metrics, layout)
        dataset: xr.Dataset = xarray.Dataset(made.variables, made.coordinates, made.attributes)
        return dataset

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows to a Parquet file, which is complete or not there at every instant.

        Parameters
        ----------
        path : path-like
            The file; one of that name is replaced. Its columns are those of ``arrow``: ``point`` first, arrays as
            lists, parameters with values of several types as text. Its metadata say under ``swath``, in JSON, which
            columns are ``parameters``, ``derived`` and ``metrics``, and the name of the ``sweep``.

        Raises
        ------
        CannotWriteError
            The system refuses, and says why.
        """
        from swath.analysis.files import write_parquet  # noqa: PLC0415

        write_parquet(self._table(), Path(path))
