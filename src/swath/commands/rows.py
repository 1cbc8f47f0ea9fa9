"""What ``swath results`` asks a run for: rows, averages, tables, curves, failures.

Wishes that contradict each other are refused before anything is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.commands.naming import find
from swath.errors import UsageError
from swath.results import Results
from swath.store.disk import Disk
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from swath.analysis import Analysis
    from swath.analysis.failing import Failures
    from swath.space import Space

EVERY = "all"


def select(
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
        `EVERY`, or what names a point, see `swath.commands.naming`.
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
        found = found[found["point"] == find(results.definition.space, results.frame, [word], receives)]
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
