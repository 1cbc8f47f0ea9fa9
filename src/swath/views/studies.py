"""From a frame and its definition to the columns that figures draw."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.analysis.pareto import members
from swath.analysis.tables import feasible
from swath.views.figures.axes import Axis, coded
from swath.views.figures.study import Study
from swath.views.origins import origin
from swath.views.recorded import recorded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from swath.definition import Definition
    from swath.snapshot import Direction
    from swath.space import Space
    from swath.space.expressions import Column
    from swath.views.origins import Origin

    Floats = NDArray[np.float64]

WORDS: Final[Mapping[int, Direction]] = {1: "minimize", -1: "maximize", 0: ""}
NOTHING: Final = np.empty(0, np.int64)
ASKED: Final = 2**17
"""Points without a row that are looked at; beyond, they are a sample."""


def study(
    frame: pd.DataFrame,
    definition: Definition,
    metrics: Sequence[str],
    *,
    total: int,
    excluded: int,
    folder: Path | None = None,
    curves: pd.DataFrame | None = None,
    reasons: Mapping[int, str] | None = None,
) -> Study:
    """Describe a run to figures.

    Parameters
    ----------
    frame : DataFrame, shape (n, columns)
        As `swath.results.Results.frame`.
    definition : Definition
        Of its points.
    metrics : sequence of str
        Those among the columns.
    total, excluded : int
        Points, and how many others ``where`` is known to have left out.
    folder : Path
        The run's, for command lines.
    curves : DataFrame, optional
        As `swath.results.Results.curves`.
    reasons : mapping of int to str, optional
        Why points were stopped early.
    """
    space = definition.space
    numbers = [name for name in metrics if frame[name].dtype.kind in "iufb"]
    axes, columns = _placed(frame, definition, numbers)
    given = [name for name in space.names if len(frame) < total or not np.isnan(columns[name]).all()]
    varying = tuple(
        name for name in given if axes[name].varies
    )  # without what belongs to no model that was asked for
    shown = {*varying, *space.derived, *numbers}
    known = tuple((name, sign) for name, sign in definition.goals if name in numbers)
    metric, sign = next(iter(known), (next(iter(numbers), ""), 0))
    kept = feasible(frame, definition)
    sound = (frame["status"] == "ok").to_numpy() & (True if kept is None else kept)
    return Study(
        name=definition.name,
        axes={name: axis for name, axis in axes.items() if name in shown},
        columns={name: column for name, column in columns.items() if name in shown},
        parameters=varying,
        constants={name: _only(axes[name]) for name in given if name not in varying},
        replicates=tuple(name for name in varying if name in space.replicates),
        derived=tuple(name for name in space.derived if axes[name].varies),
        metrics=tuple(numbers),
        metric=metric,
        direction=WORDS[sign],
        goals=known,
        feasible=kept,
        curves=None if curves is None else recorded(curves),
        front=members([sign * columns[name] for name, sign in known], sound) if len(known) > 1 else NOTHING,
        points=frame.index.to_numpy(np.int64),
        status=frame["status"].cat.codes.to_numpy().astype(np.int64),
        seconds=frame["seconds"].to_numpy(float),
        started=_epoch(frame["started"]),
        attempts=frame["attempts"].to_numpy(np.int64),
        worker=frame["worker"].cat.codes.to_numpy().astype(np.int64),
        workers=tuple(map(str, frame["worker"].cat.categories)),
        failure=_failures(frame, reasons or {}),
        texts={name: frame[name].to_numpy(dtype=object).tolist() for name in metrics if name not in numbers},
        total=total,
        excluded=excluded,
        pending=_pending(space, frame, total, {name: axes[name] for name in varying}),
        show="" if folder is None else f"swath show {shlex.quote(str(folder))}",
    )


def _placed(
    frame: pd.DataFrame, definition: Definition, metrics: Sequence[str]
) -> tuple[dict[str, Axis], dict[str, Floats]]:
    """Make the axes of parameters, derived values and metrics, which are numbers, and the rows' coordinates on them."""
    axes: dict[str, Axis] = {}
    columns: dict[str, Floats] = {}
    space, seeds = definition.space, definition.space.seeds
    for name in (*space.names, *space.derived):
        axes[name], columns[name] = _parameter(
            name, frame[name], origin(definition, name), apart=name in seeds
        )
    for name in metrics:
        columns[name] = _floats(frame[name])
        axes[name] = Axis.numeric(name, columns[name], whole=frame[name].dtype.kind in "iu")
    return axes, columns


def _parameter(name: str, column: pd.Series[Any], known: Origin, *, apart: bool) -> tuple[Axis, Floats]:
    """Make the axis of a parameter or derived value, and coordinates on it; ``apart``: numbers only tell points apart."""
    if (
        not apart
        and column.dtype.kind in "iuf"
        and all(type(value) in (int, float) for value in known.listed)
    ):
        numbers = _floats(column)
        whole = column.dtype.kind in "iu" and all(type(value) is int for value in known.listed)
        return known.axis(name, numbers, whole=whole), numbers
    coordinates, values = _coordinates(column, known.listed)
    return Axis.categories(name, values), coordinates


def _coordinates(column: pd.Series[Any], defined: Sequence[Any]) -> tuple[Floats, tuple[Any, ...]]:
    if column.dtype != object:  # all of one type: compare each different one only
        codes, distinct = column.factorize()
        places, values = coded(np.asarray(distinct, dtype=object).tolist(), defined)
        return np.append(places, np.nan)[codes], values
    return coded(column.tolist(), defined)


def _floats(column: pd.Series[Any]) -> Floats:
    made: Floats = column.to_numpy(dtype=float, na_value=math.nan)
    return made


def _only(axis: Axis) -> str:
    """Write the value of a parameter that has one."""
    return "" if math.isnan(axis.low) else axis.label(axis.low)


def _epoch(column: pd.Series[Any]) -> Floats:
    microseconds = column.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    made: Floats = microseconds / 1e6
    return made


def _failures(frame: pd.DataFrame, reasons: Mapping[int, str]) -> Sequence[str | None]:
    """Return why points failed or were stopped, None for the others."""
    texts = np.full(len(frame), None, dtype=object)
    there = np.flatnonzero(frame["failure"].notna().to_numpy())
    texts[there] = frame["failure"].iloc[there].tolist()
    short = np.flatnonzero((frame["status"] == "pruned").to_numpy()) if reasons else np.empty(0, np.int64)
    texts[short] = [reasons.get(point) for point in frame.index[short].tolist()]
    made: Sequence[str | None] = texts  # type: ignore[assignment]  # an array of objects
    return made


def _pending(space: Space, frame: pd.DataFrame, total: int, axes: dict[str, Axis]) -> dict[str, Floats]:
    """Return coordinates of points that have no row yet; of a sample where there are many candidates."""
    if len(frame) >= total or space.proposals is not None:  # nobody knows what a search will propose
        return {}
    if space.size <= ASKED:
        asked = np.arange(space.size)
    else:
        asked = np.random.default_rng(0).integers(space.size, size=ASKED)
    points = space.take(asked[~np.isin(asked, frame.index.to_numpy())])
    kept = space.keep(points)
    return {name: _places(points.column(name), axis)[kept] for name, axis in axes.items()}


def _places(column: Column, axis: Axis) -> Floats:
    values, present = column.values, column.present  # noqa: PD011  a Column of ours
    if axis.is_numeric:
        places = values.astype(float)
    else:
        places, _ = coded(values.tolist(), axis.values)
    return places if present is None else np.where(present, places, np.nan)
