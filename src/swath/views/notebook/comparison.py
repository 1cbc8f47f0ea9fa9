"""Two runs side by side: what is in both, what has changed, what is only in one."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from swath.analysis.levels import coded
from swath.views.notebook import Block, framed, titled
from swath.views.notebook.markup import Html, join, row, table
from swath.views.notebook.results import written
from swath.views.text import count, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swath.analysis.comparing import Comparison

ROWS = 5
COLUMNS = 10


def comparison(found: Comparison) -> Block:
    """Show what two runs have in common."""
    here, there = found.names
    changed = len(found.changed)
    said = (
        f"{count(changed)} changed" if changed else "all equal" if len(found.frame) else "nothing to compare"
    )
    sides = "" if here == there else f": {here} (here), {there} (there)"
    html = framed(
        titled("Comparison", f"{said}{sides}", f"{plural(len(found.frame), 'point')} in both"),
        table(["", "changed", "by up to"], list(_changes(found)), "<>>") if changed else Html(),
        _points(found) if changed else Html(),
        join([row(line, style="opacity:0.8") for line in _alone(found)]),
    )
    return Block(html, repr(found))


def _changes(found: Comparison) -> Iterator[list[str]]:
    for name, (points, most) in found.changes.items():
        yield [name, count(points), "" if isnan(most) else f"{100 * most:.3g} %"]


def _points(found: Comparison) -> Html:
    """Show the first points that have changed: what tells them apart, and what has changed."""
    frame = found.changed.head(ROWS)
    names = {name: name for name in found.parameters if len(coded(found.frame[name])[1]) > 1}
    names |= {f"{name}_{side}": f"{name}, {side}" for name in found.changes for side in ("here", "there")}
    shown = [name for name in ("point_here", *names) if name in frame][:COLUMNS]
    cells = [list(map(written, line)) for line in zip(*(frame[name].tolist() for name in shown), strict=True)]
    return table([names.get(name, "point, here") for name in shown], cells, ">" * len(shown))


def _alone(found: Comparison) -> Iterator[str]:
    for side, rows, metrics in (
        ("here", found.only_here, found.metrics_here),
        ("there", found.only_there, found.metrics_there),
    ):
        said = [plural(len(rows), "point")] if len(rows) else []
        said += [f"metric {', '.join(metrics)}"] if metrics else []
        if said:
            yield f"only {side}: {'; '.join(said)}"
