"""What a space is made of, briefly: its axes, and its first and last points.

Everything here looks at a few values however large the space is, so it may be asked for again and again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


def product(space: Space) -> list[list[int]]:
    """Return the lengths of the axes that vary, by block; nothing where conditions make it more than a product."""
    if any(axis.when for block in space.blocks for axis in block):
        return []
    return [[n for axis in block if (n := len(axis.values[0])) > 1] or [1] for block in space.blocks]


def sides(space: Space) -> list[Side]:
    """Describe the axes, in order."""
    return [_side(axis) for block in space.blocks for axis in block]


def _side(axis: Axis) -> Side:
    return Side(
        names=list(axis.names),
        values=len(axis.values[0]),
        types=list(dict.fromkeys(kind for values in axis.values for kind in _types(values))),
        first=[shown(values[0]) for values in axis.values],
        last=[shown(values[-1]) for values in axis.values],
        when=axis.when.text if axis.when else "",
    )


def _types(values: Sequence[Any]) -> Iterator[str]:
    for item in islice(values, LOOKED):
        yield NAMES.get(type(item), "object")


def shown(item: Any) -> Any:
    """Return what JSON can hold; an object that only Python has is shown by the name of its type."""
    if type(item) in NAMES:
        return item
    return item.tolist() if hasattr(item, "tolist") else f"<{item.type_name}>"


def excerpt(values: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many of the first values, as `shown` has them."""
    return [shown(item) for item in islice(values, most)]


def ends(space: Space) -> tuple[list[Place], list[Place]]:
    """Return the first and the last points that ``where`` leaves; none twice."""
    first = _some(space, forwards=True)
    last = [i for i in reversed(_some(space, forwards=False)) if i not in first]
    return [place(space, i) for i in first], [place(space, i) for i in last]


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


def place(space: Space, index: int) -> Place:
    """Return one point; derived values that it does not have are left out."""
    one = space.take(np.array([index], np.int64))
    values = {name: shown(item) for name, item in space[index].items()}
    for name in space.derived:
        derived = one.column(name)
        if derived.present is None or derived.present[0]:
            values[name] = shown(derived.values[0])
    return Place(point=index, values=values)
