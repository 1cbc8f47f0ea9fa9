"""What a definition says, briefly: its axes, its first and last points, what it searches for and stops.

Everything here looks at a few values however large the space is, so it may be asked for again and again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from swath.definition.domains import Bell, Between, Listed, Steps
from swath.space.computed import Computed
from swath.space.distributions import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swath.definition import Stop
    from swath.definition.domains import Chosen, Domain
    from swath.definition.searching import Search
    from swath.space import Axis, Points, Space
    from swath.space.expressions import Expression

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
    """An axis: parameters that vary together, or one alone; ``drawn`` says where its values come from if it is not listed."""

    names: list[str]
    values: int
    types: list[str]
    first: list[Any]
    last: list[Any]
    when: str
    drawn: str


class Sample(TypedDict):
    """How a design is drawn; ``places`` tells for each block which factor of its product the draws are, -1: none."""

    method: str
    draws: int
    places: list[int]
    text: str


class Place(TypedDict):
    """A point, with its parameters and derived values."""

    point: int
    values: dict[str, Any]


def product(space: Space) -> list[list[int]]:
    """Return the lengths of the axes that vary, by block; nothing where conditions make it more than a product."""
    if any(all(axis.conditions) for block in space.blocks for axis in block):
        return []
    return [[len(axis) for axis in _varying(block)] or [1] for block in space.blocks]


def _varying(block: Sequence[Axis]) -> list[Axis]:
    return [axis for axis in block if len(axis) > 1]


def sample(space: Space) -> Sample | None:
    """Describe the design, if values are drawn."""
    designs = [axis for block in space.blocks for axis in block if axis.form and axis.form[0] == "sample"]
    if not designs or designs[0].form is None:
        return None
    method, draws = designs[0].form[1]["method"], len(designs[0])
    places = [
        next((i for i, axis in enumerate(_varying(block)) if axis in designs), -1) for block in space.blocks
    ]
    said = f"{method}, {_plural(draws, 'draw')}"
    remark = _remark(method, draws)
    return Sample(method=method, draws=draws, places=places, text=f"{said}; {remark}" if remark else said)


def _remark(method: str, draws: int) -> str:
    """Say what is worth knowing before so many values are drawn."""
    if method == "lhs":
        return "more draws would be another design, which keeps none of these points"
    if method == "sobol" and draws & (draws - 1):
        below = 1 << (draws.bit_length() - 1)
        return f"a power of 2, such as {_number(below)} or {_number(2 * below)}, is balanced better"
    return ""


def _number(n: int) -> str:
    return str(n) if n < 10_000 else f"{n:,}"


def _plural(n: int, word: str) -> str:
    return f"{_number(n)} {word}{'' if n == 1 else 's'}"


def searching(search: Search) -> str:
    """Say how points are chosen: ``tpe, 60 points, the first 10 at random``."""
    said = [search.method, _plural(search.points, "point")]
    said += [f"{_plural(len(search.known), 'known point')} first"] if search.known else []
    said += [f"the first {_number(search.startup)} at random"] if search.startup else []
    bounds = " and ".join(bound.text for bound in search.subject_to)
    said += [f"subject to {bounds}"] if bounds else []
    said += [f"learns from {search.earlier}"] if search.earlier else []
    return ", ".join(said)


def stopping(stop: Stop) -> str:
    """Say which points end early: ``asha by loss, min_steps 4``."""
    settings = (f"{key} {value:g}" for key, value in stop.settings.items() if key != "root")
    return ", ".join([f"{stop.method} by {stop.metric}", *settings])


def sides(space: Space, chosen: Sequence[Chosen] = ()) -> list[Side]:
    """Describe the axes, in order; parameters that are drawn, or ``chosen`` by a search, one by one."""
    found = {each.name: each for each in chosen}
    described = [side for block in space.blocks for axis in block for side in _sides(axis)]
    return [_choice(found[side["names"][0]]) if side["names"][0] in found else side for side in described]


def _choice(each: Chosen) -> Side:
    """Describe what a search chooses among; 0 values are more than can be counted."""
    domain = each.domain
    made = Side(
        names=[each.name],
        values=domain.size or 0,
        types=[NAMES.get(type(domain.value(domain.at(0.5))), "object")],
        first=[],
        last=[],
        when=each.when.text if each.when else "",
        drawn=distributed(domain),
    )
    match domain:
        case Listed():
            made["types"] = list(dict.fromkeys(_types(domain.values)))
            made["first"], made["last"] = [shown(domain.values[0])], [shown(domain.values[-1])]
        case Steps():
            made["first"], made["last"] = [domain.value(0)], [domain.value(domain.size - 1)]
        case Between():
            made["first"], made["last"] = [domain.low], [domain.high]
    return made


def distributed(domain: Domain) -> str:
    """Say from which distribution a search chooses; empty if from values that can be listed."""
    match domain:
        case Between():
            kind, ends = "loguniform" if domain.log else "uniform", (domain.low, domain.high)
        case Bell():
            kind, ends = "lognormal" if domain.log else "normal", (domain.mean, domain.deviation)
        case _:
            return ""
    return str(Distribution(kind, ends, domain.step))


def _sides(axis: Axis) -> list[Side]:
    if not axis.lazy:
        return [_side(axis.names, axis.values, axis.when)]
    parts = zip(axis.names, axis.values, axis.conditions, strict=True)
    return [_side((name,), (values,), when) for name, values, when in parts]


def _side(names: Sequence[str], columns: Sequence[Sequence[Any]], when: Expression | None) -> Side:
    made = Side(
        names=list(names),
        values=len(columns[0]),
        types=list(dict.fromkeys(kind for values in columns for kind in _types(values))),
        first=[],
        last=[],
        when=when.text if when else "",
        drawn="",
    )
    if isinstance(columns[0], Computed):
        made["drawn"] = columns[0].text
        ends = (columns[0].choices[:1], columns[0].choices[-1:])
    else:
        ends = [values[0] for values in columns], [values[-1] for values in columns]
    made["first"], made["last"] = (list(map(shown, end)) for end in ends)
    return made


def _types(values: Sequence[Any]) -> Iterator[str]:
    kinds = values.types if isinstance(values, Computed) else map(type, islice(values, LOOKED))
    return (NAMES.get(kind, "object") for kind in kinds)


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
    size = space.size
    if space.proposals is not None:  # what is not proposed yet is no point yet
        size = space.proposals.known * (size // space.proposals.points)
    for start, stop in _chunks(min(size, SCANNED)):
        points = space.columns(start, stop) if forwards else space.columns(size - stop, size - start)
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
