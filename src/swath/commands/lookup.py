"""One point of a run, and what became of it: its row, its curve, its log, and the command that runs it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from swath.commands import again
from swath.commands.naming import find
from swath.results import Results
from swath.store.decisions import decisions_of
from swath.store.disk import Disk
from swath.store.logbook import logs_of
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swath.space import Space
    from swath.space.expressions import Column
    from swath.store.decisions import Decision
    from swath.store.logbook import Line


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
    point = find(space, frame, words, receives)
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
