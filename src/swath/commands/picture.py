"""What a picture in characters shows of a run: which metric, over which parameters.

Unless told otherwise it is the metric that the definition optimises: over the two parameters that explain most of it, as a heat map;
against the only one; or, where no parameter is a number, in the order in which points finished. Seeds explain nothing: cells
and points are averaged over them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from swath.analysis.finishing import finished
from swath.analysis.tables import feasible
from swath.commands.rows import goals_of
from swath.errors import UsageError
from swath.results import Results
from swath.views.ansi import pen, size_of, speaks
from swath.views.figures.axes import Axis, coded
from swath.views.origins import origin
from swath.views.recorded import recorded
from swath.views.sketch.curves import front, history, slices
from swath.views.sketch.heatmap import heatmap
from swath.views.sketch.learning import every
from swath.views.sketch.paper import UNICODE, Room
from swath.views.text import count, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    import pandas as pd
    from numpy.typing import NDArray

    from swath.analysis import Analysis
    from swath.definition import Definition
    from swath.views.ansi import Piece

    Floats = NDArray[np.float64]

AUTO = "auto"
ROWS = 30  # lines of a picture; a higher one would be too large for the eye
COMMON = 0.05  # part of the rows that must have both parameters of a heat map
HISTORY, CURVES, PARETO = "history", "curves", "pareto"


def draw(
    folder: Path, wish: str, stream: TextIO, *, by: str | None, where: str | None, **others: object
) -> None:
    """Write a picture of a run, as large as a terminal allows; of 80 columns elsewhere.

    Raises
    ------
    UsageError
        As `picture`; or something else is wished for at the same time.
    """
    table = others.pop("form", "table") == "table"
    if wrong := next((name for name, given in others.items() if given), None if table else "format"):
        wrong = {"every": "all"}.get(wrong, wrong)
        raise UsageError(f"--plot cannot be combined with --{wrong.replace('_', '-')}; leave one out")
    write(folder, wish, stream, ROWS, by=by, where=where)


def write(
    folder: Path, wish: str, stream: TextIO, rows: int, *, by: str | None = None, where: str | None = None
) -> None:
    """Write a picture of at most so many lines; takes and raises what `picture` does."""
    drawn_with = pen(stream)
    columns, lines = size_of(stream) if stream.isatty() else (80, 24)
    room = Room(
        columns - 1,
        max(8, min(rows, lines - 3)),
        speaks(stream, "".join((*UNICODE, "⣿│└─░█"))),
        drawn_with.depth,
    )
    drawn = picture(folder, wish, room, by=by, where=where)
    stream.writelines(f"{drawn_with.line(line).rstrip()}\n" for line in drawn)


def picture(
    folder: Path, wish: str, room: Room, *, by: str | None = None, where: str | None = None
) -> list[list[Piece]]:
    """Draw a run.

    Parameters
    ----------
    folder : Path
        The run folder.
    wish : str
        ``auto``; ``history``; ``curves``; ``pareto``; a parameter; or two of them with a comma between.
    room : Room
        Where to draw.
    by : str, optional
        Another metric than the one that the definition optimises; for ``pareto`` two, as `goals_of` reads them.
    where : str, optional
        An expression that rows must satisfy.

    Raises
    ------
    UsageError
        There is no such name, no metric that is a number, or no row.
    """
    results = Results(folder)
    chosen = results if where is None else results.where(where)
    if wish == PARETO:
        return _front(chosen, by, room)
    if wish == CURVES:
        return _curves(chosen, by, room)
    frame, definition = chosen.frame, results.definition
    metric = _metric(frame, results.metrics, by or definition.minimize or definition.maximize)
    direction = _direction(definition, metric)
    values = _numbers(frame[metric])
    values[(frame["status"] != "ok").to_numpy()] = np.nan
    if not np.isfinite(values).any():
        raise UsageError(f"{folder}: none of {count(len(frame))} rows has a number {metric!r} to draw")
    names = _names(wish, definition, frame, values)
    if not names:
        kept = feasible(frame, definition)
        values = values if kept is None else np.where(kept, values, np.nan)  # the others are never the best
        order = finished(frame)
        title = f"{plain(metric)} of {count(len(frame))} points"
        return history(Axis.numeric(metric, values), values[order], room, title=title, direction=direction)
    axes = [_axis(frame, name, definition) for name in names]
    if len(axes) == 1:
        (x, xs), said = axes[0], _said(metric, [axes[0]], values)
        return slices(x, Axis.numeric(metric, values), (xs, values), room, title=said)
    (x, xs), (y, ys) = axes
    title = _said(metric, axes, values)
    return heatmap(x, y, (xs, ys, values), room, title=title, direction=direction)


def _front(chosen: Analysis, by: str | None, room: Room) -> list[list[Piece]]:
    """Draw the first two of several goals."""
    found, frame = chosen.pareto(goals_of(by)), chosen.frame
    names = [each if isinstance(each, str) else each[0] for each in goals_of(by) or chosen.definition.goals]
    kept = feasible(frame, chosen.definition)
    ok = (frame["status"] == "ok").to_numpy() & (True if kept is None else kept)
    columns = [np.where(ok, _numbers(frame[name]), np.nan) for name in names[:2]]
    more = f" of {len(names)} goals" if len(names) > 2 else ""
    title = f"Pareto front{more}: {count(len(found))} of {count(int(ok.sum()))} points; up: {plain(names[1])}"
    axes = Axis.numeric(names[0], columns[0]), Axis.numeric(names[1], columns[1])
    on = frame.index.isin(found.index)
    return front(axes, (columns[0], columns[1]), on, room, title=title)


def _curves(chosen: Analysis, by: str | None, room: Room) -> list[list[Piece]]:
    """Draw what points recorded step by step, the best ones among them."""
    found, definition = recorded(chosen.curves), chosen.definition
    if found is None:
        raise UsageError(f"no point of {chosen.name} has recorded a step, so there are no curves")
    if by is not None and by not in found.metrics:
        there = ", ".join(found.metrics)
        raise UsageError(f"there is no metric named {by!r} that was recorded, there is {there}")
    goal = definition.goal[0] if definition.goal and definition.goal[0] in chosen.metrics else ""
    first = chosen.best(ROWS).index.tolist() if goal else []
    return every(found, by or found.metric(goal), first, room)


def _metric(frame: pd.DataFrame, metrics: Sequence[str], name: str | None) -> str:
    numbers = [each for each in metrics if frame[each].dtype.kind in "iufb"]
    if name is not None and name not in numbers:
        raise UsageError(
            f"there is no metric named {name!r} that is a number, there is {', '.join(numbers) or 'none'}"
        )
    if not numbers:
        raise UsageError("no metric is a number, so there is nothing to draw")
    return name or numbers[0]


def _direction(definition: Definition, metric: str) -> str:
    sign = dict(definition.goals).get(metric)
    return "" if sign is None else "minimize" if sign > 0 else "maximize"


def _names(wish: str, definition: Definition, frame: pd.DataFrame, values: Floats) -> list[str]:
    """Return the parameters that are drawn over: two, one or none."""
    if wish == HISTORY:
        return []
    if wish != AUTO:
        return _asked(wish, definition)
    space = definition.space
    able = [name for name in space.names if name not in space.replicates and frame[name].dtype.kind in "iuf"]
    told = {name: _told(*_axis(frame, name, definition), values) for name in able}
    best = sorted((name for name in able if told[name] >= 0), key=lambda name: -told[name])
    there = {name: frame[name].notna().to_numpy() for name in best}
    best = best[:1] + [name for name in best[1:] if np.mean(there[name] & there[best[0]]) > COMMON][:1]
    return sorted(
        best, key=lambda name: -len(_axis(frame, name, definition)[0].cells())
    )  # a terminal is wider than high


def _asked(wish: str, definition: Definition) -> list[str]:
    known = (*definition.space.names, *definition.space.derived)
    names = [wish] if wish in known else [name.strip() for name in wish.split(",")]
    for name in names:
        if name not in known:
            raise UsageError(
                f"--plot {wish}: there is no parameter {name!r}, there is {', '.join(known)}; or history, curves, pareto"
            )
    if len(names) > 2 or len(set(names)) < len(names):
        raise UsageError(f"--plot {wish}: name one parameter, or two different ones")
    return names


def _axis(frame: pd.DataFrame, name: str, definition: Definition) -> tuple[Axis, Floats]:
    column, known = frame[name], origin(definition, name)
    if column.dtype.kind in "iuf":
        numbers, whole = _numbers(column), column.dtype.kind in "iu"
        return known.axis(name, numbers) if known.drawn else Axis.numeric(name, numbers, whole=whole), numbers
    places, categories = coded(column.astype(object).tolist())
    return Axis.categories(name, categories), places


def _told(axis: Axis, coordinates: Floats, values: Floats) -> float:
    """Return which part of a metric's variance is one between the cells of an axis; negative where it does not vary."""
    if not axis.varies:
        return -1.0
    codes = axis.cells().codes(coordinates)
    there = (codes >= 0) & np.isfinite(values)
    counts = np.bincount(codes[there])
    sums = np.bincount(codes[there], weights=values[there])
    counts, sums = counts[counts > 0], sums[counts > 0]
    whole = float(np.var(values[there])) if there.any() else 0.0
    if whole <= 0:
        return 0.0
    means = sums / counts
    return float(np.average((means - np.average(means, weights=counts)) ** 2, weights=counts)) / whole


def _numbers(column: pd.Series[float]) -> Floats:
    return np.array(column.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)  # one of our own


def _said(metric: str, axes: Sequence[tuple[Axis, Floats]], values: Floats) -> str:
    """Say what is drawn, and whether it is an average."""
    over = " and ".join(plain(axis.name) for axis, _ in axes)
    points = int(np.isfinite(values).sum())
    averaged = len(axes) > 1 and points > math.prod(len(axis.cells()) for axis, _ in axes)
    return f"{'mean ' if averaged else ''}{plain(metric)} over {over}, {count(points)} points"
