"""What a sweep will do: its axes, how many points they make, and the first of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swath.definition.domains import Listed, Steps
from swath.errors import ExpressionError
from swath.outline import distributed, ends, excerpt, product, sample, searching, stopping
from swath.space.computed import Computed
from swath.views.notebook import Block, code, framed, titled
from swath.views.notebook.markup import Html, join, row, table, tag
from swath.views.text import count, cut, plain, plural, value
from swath.views.text import table as text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swath.definition import Definition
    from swath.definition.domains import Chosen
    from swath.space import Axis, Space
    from swath.space.expressions import Expression

COUNTED = 10**6  # candidates that are looked at to count what `where` leaves; the rest is estimated
SHOWN = 6  # values of an axis
COLUMNS = 10  # of the table of points
LONGEST = 40  # characters of a cell


def sweep(definition: Definition) -> Block:
    """Show a definition."""
    space = definition.space
    points = _points(space)
    heads = ["parameter", "values", "", "when"]
    chosen = definition.search.chosen if definition.search else ()
    found = {each.name: _choice(each) for each in chosen}
    axes = [found.get(cells[0], cells) for block in space.blocks for axis in block for cells in _axis(axis)]
    if not any(when for *_, when in axes):
        heads, axes = heads[:-1], [cells[:-1] for cells in axes]
    names, places = _first(space)
    sides = ">" * len(names)
    said = list(_said(definition))
    html = framed(
        titled(definition.name, definition.objective, points),
        table(heads, axes, "<>"),
        join([row(tag("span", f"{word} ", style="opacity:0.7"), code(text)) for word, text in said]),
        table(names, places, sides) if places else Html(),
        row(
            "run it with ",
            code("run()"),
            ", or in the background with ",
            code("start()"),
            style="opacity:0.85",
        ),
    )
    lines = [
        f"{plain(definition.name)}  {plain(definition.objective)}  {points}",
        *(f"  {line}" for line in text_table(heads, axes, "<>")),
        *(f"  {word} {plain(text)}" for word, text in said),
        *(f"  {line}" for line in (text_table(names, places, sides) if places else [])),
    ]
    return Block(html, "\n".join(lines))


def _points(space: Space) -> str:
    """Say how many points there are, and how they come about."""
    try:
        points, exact = space.count(COUNTED)
    except ExpressionError:  # it is told where the sweep is run
        return f"up to {plural(space.size, 'point')}"
    blocks = product(space)
    factors = " + ".join(" x ".join(map(count, block)) for block in blocks)
    single = len(blocks) == 1 and len(blocks[0]) < 2
    about = "" if exact else "about "
    if points != space.size:
        of = f" of {count(space.size)}" + (f" = {factors}" if factors and not single else "")
        return f"{about}{plural(points, 'point')}{of}"
    return plural(points, "point") + (f" = {factors}" if factors and not single else "")


def _axis(axis: Axis) -> list[list[str]]:
    """Return cells for what varies together; for parameters that are drawn one by one."""
    if not axis.lazy:
        values = "; ".join(_values(each) for each in axis.values)
        return [_cells(", ".join(axis.names), len(axis), values, axis.when)]
    parts = zip(axis.names, axis.values, axis.conditions, strict=True)
    return [_cells(name, len(axis), _values(values), when) for name, values, when in parts]


def _choice(each: Chosen) -> list[str]:
    """Return cells for what a search chooses."""
    match domain := each.domain:
        case Listed():
            values = _values(domain.values)
        case Steps():
            values = f"from {domain.value(0)} to {domain.value(domain.size - 1)}, by {domain.step}"
        case _:
            values = distributed(domain)
    return _cells(each.name, domain.size, values, each.when)


def _cells(names: str, n: int | None, values: str, when: Expression | None) -> list[str]:
    return [names, "any" if n is None else count(n), cut(plain(values), 90), when.text if when else ""]


def _values(values: Sequence[Any]) -> str:
    """Write the values of an axis; of many, the first ones and the last; of drawn ones, where they come from."""
    if isinstance(values, Computed):
        return values.text
    if len(values) <= SHOWN:
        return ", ".join(map(_written, excerpt(values, SHOWN)))
    (last,) = excerpt([values[-1]], 1)
    return f"{', '.join(map(_written, excerpt(values, 3)))}, … {_written(last)}"


def _written(content: object) -> str:
    if content is None:
        return "null"
    return json.dumps(content) if isinstance(content, list | dict) else cut(value(content), LONGEST)


def _said(definition: Definition) -> Iterator[tuple[str, str]]:
    space = definition.space
    if drawn := sample(space):
        yield "sample", drawn["text"]
    if definition.search:
        yield "search", searching(definition.search)
    if definition.stop:
        yield "stop", stopping(definition.stop)
    if space.where is not None:
        yield "where", space.where.text
    for name, expression in space.derive.items():
        yield "derive", f"{name} = {expression.text}"
    yield from definition.directions.items()


def _first(space: Space) -> tuple[list[str], list[list[str]]]:
    """Return the titles and cells of a table of the first points."""
    try:
        places, _ = ends(space)
    except ExpressionError:
        return [], []
    names = list(dict.fromkeys(name for place in places for name in place["values"]))
    shown = names[:COLUMNS]
    cells = [
        [
            str(place["point"]),
            *(_written(place["values"][name]) if name in place["values"] else "" for name in shown),
        ]
        for place in places
    ]
    more = ["…"] if names[COLUMNS:] else []
    return ["point", *shown, *more], [[*line, *more] for line in cells]
