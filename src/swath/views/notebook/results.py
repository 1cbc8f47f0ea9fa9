"""What a run has given so far: how points ended, the best of them, what failed, and where to go from here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.snapshot import GOOD
from swath.store.lock import holder
from swath.views.notebook import Block, code, framed, titled
from swath.views.notebook.markup import FAINT, Html, bar, dot, join, row, table, tag
from swath.views.palette import FAILED, STATUS
from swath.views.text import count, cut, plain, plural, value
from swath.views.text import table as text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from swath.analysis import Selection
    from swath.results import Results

ROWS = 5
KINDS = 5  # of failures
COLUMNS = 10  # of the table of points
LONGEST = 90  # characters of a failure


def results(found: Results) -> Block:
    """Show the results of a run."""
    head, state = found.name, _state(found)
    done = f"{count(len(found))} of {plural(found.total, 'point')}"
    title, names, cells = _points(found)
    failures = _failures(found) if _failed(found) else []
    ways = list(_ways(found))
    counts = list(_counts(found))
    html = framed(
        titled(head, state, done),
        bar([(number / max(1, found.total), colour) for _, number, colour in counts[: len(found.statuses)]]),
        _legend(counts),
        row(row(title, style="opacity:0.7"), table(names, cells, ">" * len(names))) if cells else Html(),
        table(["points", "status", "such as", "what it says"], failures, "><>") if failures else Html(),
        join([row(note, style="opacity:0.8") for note in found.notes]),
        join([tag("span", f"{what} ", code(call), style="margin-right:18px") for what, call in ways]),
    )
    lines = [
        ", ".join(f"{count(number)} {plain(word)}" for word, number, _ in counts),
        *([title, *text_table(names, cells, ">" * len(names))] if cells else []),
        *(
            ", ".join([f"{number} {status}", f"such as point {point}: {said}"])
            for number, status, point, said in failures
        ),
        *map(plain, found.notes),
        *(f"{what} {plain(call)}" for what, call in ways),
    ]
    return Block(html, "\n".join([f"{plain(head)}  {state}  {done}", *(f"  {line}" for line in lines)]))


def selection(found: Selection) -> Block:
    """Show some rows of a run."""
    counts = list(_ends(found.statuses))
    title, names, cells = _points(found)
    rows = f"{count(len(found))} of {plural(found.whole, 'row')}"
    html = framed(
        titled(found.name, f"where {found.said}" if found.said else "", rows),
        bar([(number / len(found), colour) for _, number, colour in counts]) if counts else Html(),
        _legend(counts),
        row(row(title, style="opacity:0.7"), table(names, cells, ">" * len(names))) if cells else Html(),
    )
    return Block(html, repr(found))


def _legend(counts: Sequence[tuple[str, int, str]]) -> Html:
    return join(
        [
            tag("span", dot(colour), f"{count(number)} {word}", style="margin-right:16px;white-space:nowrap")
            for word, number, colour in counts
        ]
    )


def _counts(found: Results) -> Iterator[tuple[str, int, str]]:
    yield from _ends(found.statuses)
    if to_do := found.total - len(found):
        yield "to do", to_do, FAINT


def _ends(statuses: Mapping[str, int]) -> Iterator[tuple[str, int, str]]:
    known = [status for status in STATUS if status in statuses]
    for status in [*known, *(other for other in statuses if other not in STATUS)]:
        yield status, statuses[status], STATUS.get(status, FAILED)


def _failed(found: Results) -> list[str]:
    return [status for status in found.statuses if status not in GOOD]


def _points(found: Results | Selection) -> tuple[str, list[str], list[list[str]]]:
    """Return a title, and titles and cells of a table of the best points, or of the first where none is best."""
    if not len(found):
        return "", [], []
    definition = found.definition
    known = [name for name, _ in definition.goals]
    there = bool(known) and set(known) <= set(found.metrics) and bool(found.statuses.get("ok"))
    if there and len(known) > 1:
        front = found.pareto()
        title = f"{plural(len(front), 'point')} on the Pareto front of {' and '.join(known)}"
        frame = front.iloc[np.linspace(0, len(front) - 1, min(ROWS, len(front))).round().astype(int)]
    elif there:
        frame, title = found.best(ROWS), f"best by {known[0]}"
    else:
        frame, title = found.frame.head(ROWS), "first points"
    return title, *_cells(found, frame)


def _cells(found: Results | Selection, frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Take what tells points apart: parameters that vary, derived values and metrics; constants are left out."""
    space = found.definition.space
    constant = {name for block in space.blocks for axis in block if len(axis) == 1 for name in axis.names}
    names = [name for name in space.names if name not in constant or len(space.blocks) > 1]
    every = [name for name in (*names, *space.derived, *found.metrics) if name in frame]
    shown = every[:COLUMNS]
    more = ["…"] if every[COLUMNS:] else []
    columns = [frame[name].tolist() for name in shown]
    cells = [
        [str(point), *map(written, line), *more]
        for point, line in zip(frame.index.tolist(), zip(*columns, strict=True), strict=True)
    ]
    return ["point", *shown, *more], cells


def written(content: Any) -> str:
    """Write a value for a cell of a table."""
    if isinstance(content, list | dict):
        return cut(json.dumps(content, default=str), 24)
    if isinstance(content, float) and content != content:  # noqa: PLR0124  # NaN, also where pandas means missing
        return ""
    return cut(value(content), 24)


def _failures(found: Results) -> list[list[str]]:
    """Count failures by their first line, the most frequent first."""
    import pyarrow.compute as pc  # noqa: PLC0415  # only where something failed

    rows = found.arrow.select(["point", "status", "failure"])
    rows = rows.filter(pc.is_in(rows["status"], value_set=_failed_set(found)))
    lines = pc.list_element(pc.split_pattern(pc.fill_null(rows["failure"], ""), "\n", max_splits=1), 0)
    kinds = rows.set_column(2, "failure", lines).group_by(["status", "failure"])
    counted = kinds.aggregate([("point", "count"), ("point", "min")]).sort_by([("point_count", "descending")])
    shown = [
        [
            count(kind["point_count"]),
            kind["status"],
            str(kind["point_min"]),
            cut(plain(kind["failure"]), LONGEST),
        ]
        for kind in counted.slice(0, KINDS).to_pylist()
    ]
    if rest := counted.num_rows - KINDS if counted.num_rows > KINDS else 0:
        left = pc.sum(counted.slice(KINDS)["point_count"]).as_py()
        shown.append([count(left), "", "", f"{plural(rest, 'other kind')}"])
    return shown


def _failed_set(found: Results) -> Any:
    import pyarrow as pa  # noqa: PLC0415  # as above

    return pa.array(_failed(found), pa.string())


def _ways(found: Results) -> Iterator[tuple[str, str]]:
    """Pair what people may want next with the call for it."""
    yield "saved in", str(found.folder)
    yield "all rows:", ".frame"
    if _failed(found):
        yield "what failed:", ".failures"
    if found.definition.search and found.statuses.get("ok"):
        yield "what was found when:", ".plot.history()"
    if found.statuses.get("pruned"):
        yield "what was stopped early:", ".stopped"
        yield "learning curves:", ".plot.curves()"
    if len(found.definition.goals) > 1 and found.statuses.get("ok"):
        yield "the front:", ".plot.pareto()"


def _state(found: Results) -> str:
    if found.complete:
        return "complete"
    return "running" if holder(found.folder) else "not complete: the same sweep, run again, does the rest"
