# ruff: noqa: PD011 - the values are those of columns and axes, not of frames
"""What a user asks a run for: some of its rows, or one point.

A point is named by its index, by the beginning of its content id, or by parameters, as many as it takes: constants
and whatever else leaves only one point need not be written.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from swath.commands import again
from swath.definition.documents import parse
from swath.errors import UsageError
from swath.results import Results
from swath.space import canonical
from swath.store.decisions import decisions_of
from swath.store.disk import Disk
from swath.store.logbook import logs_of
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from swath.analysis import Analysis
    from swath.analysis.failing import Failures
    from swath.space import Space
    from swath.space.expressions import Column
    from swath.store.decisions import Decision
    from swath.store.logbook import Line

EVERY = "all"
SHORTEST = 4  # digits of a content id; fewer name too many points
MOST = 1_000_000  # points whose content ids are computed to find one, about 10 s
OUTCOME = ("status", "seconds", "attempts", "worker", "started", "failure")


class Shown(TypedDict):
    """One point and what became of it; ``status`` is empty if it has no row.

    ``curve`` is what it recorded: ``step``, ``seconds`` and metrics, the one that is optimised first; empty if nothing.
    """

    point: int
    content_id: str
    parameters: dict[str, Any]
    derived: dict[str, Any]
    metrics: dict[str, Any]
    status: str
    failure: str
    seconds: float | None
    attempts: int | None
    worker: str | None
    started: str | None
    curve: dict[str, list[Any]]
    decisions: list[Decision]
    logs: list[Line]
    again: str


def rows(
    folder: Path,
    *,
    where: str | None,
    best: int | None,
    by: str | None,
    mean_over: str | None,
    pivot: str | None,
    pareto: bool,
    every: bool,
) -> pd.DataFrame:
    """Return rows of a run: all or averaged ones, of these those that satisfy ``where``, of these the best; or a table.

    The Pareto front is that of the rows that satisfy ``where``.

    Parameters
    ----------
    folder : Path
        The run folder.
    where : str or None
        An expression on the columns of the frame.
    best : int or None
        At most so many, the best first.
    by : str or None
        The metric by which, or of the table; default: the one that the definition optimises. For the Pareto front two
        or more with commas between, each maybe with ``:minimize`` or ``:maximize``.
    mean_over : str or None
        A parameter to average over, or several with commas between.
    pivot : str or None
        The parameters of the rows and of the columns of a table, with a comma between.
    pareto : bool
        Those that no other one beats.
    every : bool
        Also rows of points that the definition no longer has.

    Raises
    ------
    UsageError
        A name is unknown, or the wishes contradict each other.
    ExpressionError
        ``where`` cannot be evaluated.
    """
    _consistent(best=best, by=by, mean_over=mean_over, pivot=pivot, pareto=pareto, every=every)
    results = Results(folder)
    if pareto:
        over = mean_over.split(",") if mean_over else None
        return (results if where is None else results.where(where)).pareto(goals_of(by), over=over)
    if pivot:
        return _table(results if where is None else results.where(where), pivot, by)
    if best is not None:
        frame = _ranked(results, by, mean_over)
    elif mean_over:
        frame = results.mean(over=mean_over.split(","))
    else:
        frame = results.all if every else results.frame
    return _filtered(frame, where, results.definition.space).head(len(frame) if best is None else best)


def vital(folder: Path, by: str | None = None) -> tuple[str, ...]:
    """Return the columns without which a table of a run says little: the metric that matters, and the parameters."""
    definition = Results(folder).definition
    return (by or definition.minimize or definition.maximize or "", *definition.space.names)


def curves(folder: Path, word: str, *, where: str | None, **others: object) -> pd.DataFrame:
    """Return what points recorded on their way: of all of them, of the rows that satisfy ``where``, or of one point.

    Parameters
    ----------
    folder : Path
        The run folder.
    word : str
        `EVERY`, or what names a point, as for `show`.
    where : str or None
        An expression on the columns of the frame.
    **others
        Other wishes, with which this does not go.

    Raises
    ------
    UsageError
        There is no such point, or several; or something else is wished for at the same time.
    ExpressionError
        ``where`` cannot be evaluated.
    """
    _alone("curves", others)
    results = Results(folder)
    found = (results if where is None else results.where(where)).curves
    if word != EVERY:
        manifest = read_manifest(Disk(), folder)
        receives = frozenset(manifest.definition(manifest.current).receives)
        found = found[found["point"] == _find(results.definition.space, results.frame, [word], receives)]
    return found.set_index("point")


def stopped(folder: Path, *, where: str | None, **others: object) -> pd.DataFrame:
    """Return the points that were ended early, of the rows that satisfy ``where``; raises as `failures`."""
    _alone("stopped", others)
    results = Results(folder)
    return (results if where is None else results.where(where)).stopped


def _alone(option: str, others: Mapping[str, object]) -> None:
    if wish := next((name for name, given in others.items() if given), None):
        wish = {"every": "all"}.get(wish, wish)
        raise UsageError(f"--{option} cannot be combined with --{wish.replace('_', '-')}; leave one out")


def failures(folder: Path, *, where: str | None, **others: object) -> Failures:
    """Return the rows of points that failed, with the rates of failure, both of the rows that satisfy ``where``.

    Raises
    ------
    UsageError
        A name is unknown, or something else is wished for at the same time.
    ExpressionError
        ``where`` cannot be evaluated.
    """
    _alone("failures", others)
    results = Results(folder)
    return results.failures if where is None else results.where(where).failures


def goals_of(by: str | None) -> list[str | tuple[str, str]] | None:
    """Read ``error,size:maximize``; None where nothing is said."""
    if by is None:
        return None
    parts = [part.strip().rpartition(":") for part in by.split(",")]
    return [(name, way) if name else way for name, _, way in parts]


def _consistent(
    *, best: int | None, by: str | None, mean_over: str | None, pivot: str | None, pareto: bool, every: bool
) -> None:
    if by and best is None and not pivot and not pareto:
        raise UsageError(f"--by {by} says what is best, so it needs --best K")
    others = {"--best": best is not None, "--mean-over": bool(mean_over), "--all": every}
    also = next((name for name, given in others.items() if given), None)
    if pareto and (pivot or (also and also != "--mean-over")):
        raise UsageError(
            f"--pareto compares all goals of all rows, so it does not go with {'--pivot' if pivot else also}"
        )
    if pivot and also:
        raise UsageError(
            f"--pivot averages over all other parameters, so it does not go with {also}; leave one out"
        )
    if every and (best is not None or mean_over):
        raise UsageError(
            "--all adds rows of other definitions, which --best and --mean-over do not compare; leave one out"
        )


def _table(rows: Analysis, pivot: str, metric: str | None) -> pd.DataFrame:
    down, comma, across = pivot.partition(",")
    if not comma:
        raise UsageError(
            f"--pivot {pivot}: expected two parameters with a comma between, as --pivot beta,gamma"
        )
    table = rows.pivot(down.strip(), across.strip(), metric)
    return table.rename(
        columns=lambda value: f"{across.strip()}={value}"
    )  # formats have no room for a heading above


def _ranked(results: Results, by: str | None, mean_over: str | None) -> pd.DataFrame:
    ranked = results.best(len(results), by)
    if not mean_over:
        return ranked
    definition = results.definition
    name = by or definition.minimize or definition.maximize or ""
    means = results.mean(over=mean_over.split(","))
    return means.sort_values(
        name, ascending=not definition.maximizes(name), kind="stable", na_position="last"
    )


def _filtered(frame: pd.DataFrame, where: str | None, space: Space) -> pd.DataFrame:
    if where is None:
        return frame
    from swath.analysis.selecting import holds  # noqa: PLC0415  # pandas, which other questions do without

    return frame[holds(frame, where, space)]


def show(folder: Path, words: Sequence[str]) -> Shown:
    """Look a point up and say what became of it.

    Parameters
    ----------
    folder : Path
        The run folder.
    words : sequence of str
        An index; or the beginning of a content id; or ``NAME=VALUE``, once or more.

    Raises
    ------
    UsageError
        There is no such point, or several.
    """
    return shown(Results(folder), words)


def shown(results: Results, words: Sequence[str]) -> Shown:
    """Do as `show`, of results that are read already."""
    folder = results.folder
    manifest = read_manifest(Disk(), folder)
    receives = frozenset(manifest.definition(manifest.current).receives)
    space, frame = results.definition.space, results.frame
    point = _find(space, frame, words, receives)
    row = frame.loc[point].to_dict() if point in frame.index else {}
    one = space.take(np.array([point], np.int64))
    content_id = space.content_id(point, receives)
    position = int(space.positions(one.indices)[0])
    return Shown(
        point=point,
        content_id=content_id,
        parameters=dict(space[point]),
        derived=derived_values(space, point),
        metrics={
            name: _plain(row[name]) for name in results.metrics if name in row and not _missing(row[name])
        },
        status=str(row["status"]) if row else "" if space.keep(one)[0] else "excluded by where",
        failure=str(row["failure"]) if row and not _missing(row["failure"]) else "",
        seconds=float(row["seconds"]) if row else None,
        attempts=int(row["attempts"]) if row else None,
        worker=str(row["worker"]) if row else None,
        started=row["started"].isoformat() if row else None,
        curve=_curve(results, point),
        decisions=decisions_of(folder, content_id),
        logs=logs_of(folder, content_id, position, manifest.current),
        again=again.command(results.definition, point),
    )


def _curve(results: Results, point: int) -> dict[str, list[Any]]:
    """Return what a point recorded on its way, in columns; NaN is None."""
    every = results.curves
    own = every[every["point"] == point].drop(columns="point")
    names = [str(name) for name in own.columns[own.notna().any()]]
    goals = [name for name, _ in results.definition.goals if name in names]
    order = dict.fromkeys((*names[:2], *goals, *names))
    return {name: [None if _missing(item) else item for item in own[name].tolist()] for name in order}


def derived_values(space: Space, point: int) -> dict[str, Any]:
    """Return the derived values that a point has, by name."""
    one = space.take(np.array([point], np.int64))
    values = {name: _first(one.column(name)) for name in space.derived}
    return {name: content for name, content in values.items() if content is not None}


def _first(values: Column) -> Any:
    absent = values.present is not None and not values.present[0]
    return None if absent else _plain(values.values[0])


def _plain(item: Any) -> Any:
    return item.tolist() if hasattr(item, "tolist") else item


def _missing(item: Any) -> bool:
    return item is None or (isinstance(item, float) and item != item) or type(item).__name__ == "NAType"  # noqa: PLR0124  NaN


def _find(space: Space, frame: pd.DataFrame, words: Sequence[str], receives: Collection[str]) -> int:
    if all("=" in word for word in words):
        return _by_parameters(space, frame, words)
    if len(words) > 1:
        raise UsageError(
            f"{' '.join(words)!r}: a point is an index, a content id, or NAME=VALUE once or more"
        )
    word = words[0]
    if word.isdecimal() and int(word) < space.known:
        return int(word)
    if len(word) >= SHORTEST and set(word.lower()) <= set("0123456789abcdef"):
        return _by_content(space, frame, word.lower(), receives)
    if word.isdecimal():
        raise UsageError(f"there is no point {word}: {range_of(space)}")
    raise UsageError(
        f"{word!r} names no point; give an index, at least {SHORTEST} digits of a content id, or NAME=VALUE once or more"
    )


def range_of(space: Space) -> str:
    """Say which points there are."""
    if space.proposals is None:
        return f"the space has points 0 to {space.size - 1:,}"
    asked = f"the search has proposed {space.proposals.known:,} of {space.proposals.points:,} so far"
    return f"{asked}, points 0 to {space.known - 1:,}" if space.known else asked


def _by_content(space: Space, frame: pd.DataFrame, prefix: str, receives: Collection[str]) -> int:
    """Search the points that have rows first, then all, if these are not too many to compute."""
    everything = range(space.known) if space.known <= MOST else range(0)
    for points in (frame.index.tolist(), everything):
        found = [point for point in points if space.content_id(point, receives).startswith(prefix)]
        if found:
            return _only(found, f"the content id {prefix}")
    raise UsageError(f"no point has a content id that begins with {prefix}")


def _by_parameters(space: Space, frame: pd.DataFrame, words: Sequence[str]) -> int:
    wanted = dict(_assignment(word, space.names) for word in words)
    with suppress(
        KeyError, UsageError
    ):  # too many rows are drawn to look through; those that were run are few
        return space.index({**_constants(space), **wanted})
    holds = np.ones(len(frame), dtype=bool)
    for name, content in wanted.items():
        holds &= _equal(frame[name], content)
    found = frame.index[holds].tolist()
    if not found:
        raise UsageError(f"no point that was run has {' '.join(words)}")
    return _only(found, " ".join(words))


def _assignment(word: str, names: Sequence[str]) -> tuple[str, Any]:
    """Split at the equals sign behind a known name, and read the value as a definition would."""
    name = max((name for name in names if word.startswith(f"{name}=")), key=len, default=None)
    if name is None:
        raise UsageError(f"there is no parameter {word.partition('=')[0]!r}, there is {', '.join(names)}")
    document = parse(f"[{word[len(name) + 1 :]}]")
    if document.problems or not isinstance(document.value, list) or len(document.value) != 1:
        raise UsageError(f"{word!r}: expected one value behind {name}=")
    return name, document.value[0]


def _constants(space: Space) -> Mapping[str, Any]:
    """Return the parameters that have one value only."""
    if len(space.blocks) > 1:
        return {}
    axes = [axis for axis in space.blocks[0] if len(axis) == 1 and not any(axis.conditions)]
    return {name: values[0] for axis in axes for name, values in zip(axis.names, axis.values, strict=True)}


def _equal(series: pd.Series[Any], wanted: Any) -> NDArray[np.bool_]:
    if series.dtype.kind in "iuf" and isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return (series == wanted).to_numpy()
    text = canonical(wanted)
    items = series.astype(object).tolist()
    return np.array([not _missing(item) and canonical(item) == text for item in items], dtype=bool)


def _only(found: Sequence[int], what: str) -> int:
    if len(found) > 1:
        some = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise UsageError(f"{what} names {len(found):,} points ({some}); say more, or give an index")
    return int(found[0])
