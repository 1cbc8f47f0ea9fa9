"""What a definition would run, told without running anything: counts, axes, the first and last points."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from swath.agreement import find_objective
from swath.definition.loading import placed
from swath.definition.trial import excludes_all, fails, try_out
from swath.errors import DefinitionError, ExpressionError, SwathError
from swath.store.disk import Disk
from swath.store.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from swath.definition import Definition
    from swath.space import Axis, Points, Space

ENDS = 3  # points shown from each end
SCANNED = 1 << 20  # candidates looked at for them; a where that excludes more leaves that end out
LOOKED = 1000  # values of an axis whose types are named; a longer axis comes from a generator
NAMES = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "text",
    list: "list",
    dict: "mapping",
    type(None): "null",
}


class Side(TypedDict):
    """An axis: parameters that vary together, or one alone."""

    names: list[str]
    values: int
    types: list[str]
    first: list[Any]
    last: list[Any]
    when: str


class Place(TypedDict):
    """A point, with its parameters and derived values."""

    point: int
    values: dict[str, Any]


class Preview(TypedDict):
    """A definition as ``swath check`` shows it; ``points`` is an estimate unless ``exact``."""

    name: str
    objective: str
    points: int
    exact: bool
    candidates: int
    product: list[list[int]]
    where: str
    optimise: dict[str, str]
    axes: list[Side]
    first: list[Place]
    last: list[Place]
    folder: str
    rows: int


def preview(definition: Definition, out: Path) -> Preview:
    """Describe a definition and where its results would go; the objective is read as text, not imported.

    Raises
    ------
    SwathError
        If there is no such objective, or it visibly cannot be called with these parameters; if an expression cannot be
        evaluated, or ``where`` excludes every point.
    """
    find_objective(definition)
    try_out(definition)
    space = definition.space
    try:
        points, exact = space.count()
        first, last = _ends(space)
    except ExpressionError as error:
        raise DefinitionError(
            placed(definition, [fails("where" if space.where else "derive", error)])
        ) from None
    if exact and not points:
        raise DefinitionError(placed(definition, [excludes_all(space)]))
    directions = {"minimize": definition.minimize, "maximize": definition.maximize}
    folder = out / definition.name
    return Preview(
        name=definition.name,
        objective=definition.objective,
        points=points,
        exact=exact,
        candidates=space.size,
        product=_product(space),
        where=space.where.text if space.where else "",
        optimise={direction: metric for direction, metric in directions.items() if metric},
        axes=[_side(axis) for block in space.blocks for axis in block],
        first=first,
        last=last,
        folder=str(folder),
        rows=_rows(folder),
    )


def _rows(folder: Path) -> int:
    try:
        return read_manifest(Disk(), folder).rows if (folder / MANIFEST).exists() else 0
    except SwathError:
        return 0  # `swath doctor` says more


def _product(space: Space) -> list[list[int]]:
    """Return the lengths of the axes that vary, by block; nothing where conditions make it more than a product."""
    if any(axis.when for block in space.blocks for axis in block):
        return []
    return [[n for axis in block if (n := len(axis.values[0])) > 1] or [1] for block in space.blocks]


def _side(axis: Axis) -> Side:
    return Side(
        names=list(axis.names),
        values=len(axis.values[0]),
        types=list(dict.fromkeys(kind for values in axis.values for kind in _types(values))),
        first=[_shown(values[0]) for values in axis.values],
        last=[_shown(values[-1]) for values in axis.values],
        when=axis.when.text if axis.when else "",
    )


def _types(values: Sequence[Any]) -> Iterator[str]:
    for item in islice(values, LOOKED):
        yield NAMES.get(type(item), "object")


def _shown(item: Any) -> Any:
    """Return what JSON can hold; an object that only Python has is shown by the name of its type."""
    if type(item) in NAMES:
        return item
    return item.tolist() if hasattr(item, "tolist") else f"<{item.type_name}>"


def _ends(space: Space) -> tuple[list[Place], list[Place]]:
    """Return the first and the last points that ``where`` leaves; none twice."""
    first = _some(space, forwards=True)
    last = [i for i in reversed(_some(space, forwards=False)) if i not in first]
    return [_place(space, i) for i in first], [_place(space, i) for i in last]


def _some(space: Space, *, forwards: bool) -> list[int]:
    found: list[int] = []
    for start, stop in _chunks(min(space.size, SCANNED)):
        points = (
            space.columns(start, stop) if forwards else space.columns(space.size - stop, space.size - start)
        )
        kept = _kept(space, points)
        found += kept if forwards else kept[::-1]
        if len(found) >= ENDS:
            break
    return found[:ENDS]


def _chunks(size: int) -> Iterator[tuple[int, int]]:
    """Cut [0, size) into growing pieces: usually the first few candidates are enough."""
    start, length = 0, 16
    while start < size:
        yield start, min(size, start + length)
        start, length = start + length, 2 * length


def _kept(space: Space, points: Points) -> list[int]:
    kept: list[int] = points.indices[space.keep(points)].tolist()
    return kept


def _place(space: Space, index: int) -> Place:
    one = space.take(np.array([index], np.int64))
    values = {name: _shown(item) for name, item in space[index].items()}
    for name in space.derived:
        derived = one.column(name)
        if derived.present is None or derived.present[0]:
            values[name] = _shown(derived.values[0])
    return Place(point=index, values=values)
