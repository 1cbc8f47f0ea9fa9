"""Blocks of parameters to axes of a space, with everything that can be wrong between parameters.

Parameters become axes in the order in which they are written; those that are zipped share one axis, at the place of the
first. A table is an axis before all others. Sizes are judged before any value is generated, so a definition that is
too large costs no memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath import space
from swath.definition import checks
from swath.definition.checks import shown
from swath.definition.choosing import search_axes
from swath.definition.designs import design_axes, drawn_axis
from swath.definition.draft import Block, Draft, EnoughError, Reason, parsed
from swath.definition.drawing import Drawn
from swath.definition.leaves import ValueForm
from swath.definition.replicates import is_growing, most
from swath.definition.schema import range_bounds, range_length
from swath.space import ordering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from swath.space.expressions import Expression

_MOST_POINTS: Final = 2**63 - 1  # an index is an int64
_MOST_NAMES: Final = 4096
_MOST_CONDITIONS: Final = 500
_MOST_BLOCKS: Final = 100
_CLEAR_GAP: Final = 1e-13  # generated values are rounded to 15 digits
_TINY: Final = 1e-300  # keeps a division by the size of the ends possible where both are zero
_GENERATORS: Final[Mapping[str, Callable[..., Sequence[Any]]]] = {
    "linspace": space.linspace,
    "geomspace": space.geomspace,
    "logspace": space.logspace,
    "range": space.arange,
    "seeds": ordering.seeds,
}


def blocks_of_axes(draft: Draft) -> list[list[space.Axis]]:
    """Return the axes of every block; what is wrong is noted and left out."""
    _check_counts(draft)
    _check_presence(draft)
    groups = _groups(draft)
    if _is_too_large(draft, groups):
        return []
    rows = [_table_axis(draft)] if draft.columns else []
    arranged = design_axes if draft.shape.search is None else search_axes
    return [
        _growing_first(rows + arranged(draft, block, _axes(draft, block, groups)), block)
        for block in draft.blocks
    ]


def _growing_first(axes: list[space.Axis], block: Block) -> list[space.Axis]:
    """Let replicates that are added as needed vary slowest, so that the open ones are few ranges."""
    growing = {name for name in block.sound if is_growing(block.form(name))}
    return sorted(axes, key=lambda axis: growing.isdisjoint(axis.names))


def _check_counts(draft: Draft) -> None:
    """Refuse more names, conditions and blocks than a person writes: what is done for each pair would take minutes."""
    named = [*draft.parameters, *draft.shape.derive]
    if len(named) > _MOST_NAMES:
        text = f"{len(named):,} parameters and derived columns, at most {_MOST_NAMES:,} are allowed"
        draft.add(("parameters",), text, "put what belongs together into one parameter, as a list")
        raise EnoughError
    conditions = sum(
        1 for block in draft.blocks for name in block.sound if (form := block.form(name)) and form.when
    )
    if conditions > _MOST_CONDITIONS:
        text = f"{conditions:,} conditional parameters, at most {_MOST_CONDITIONS} are allowed"
        draft.add(("parameters",), text, "list the points in a table instead: `table: cases.csv`")
    if len(draft.blocks) > _MOST_BLOCKS:
        text = f"a union of {len(draft.blocks):,} blocks, at most {_MOST_BLOCKS} are allowed"
        draft.add(("parameters",), text, "list the points in a table instead: `table: cases.csv`")
    if max(conditions - _MOST_CONDITIONS, len(draft.blocks) - _MOST_BLOCKS) > 0:
        raise EnoughError


def _check_presence(draft: Draft) -> None:
    if len(draft.blocks) == 1 and not draft.parameters and "table" not in draft.given:
        draft.add(
            ("parameters",), "nothing is swept: there is no parameter", "write `parameters: {name: [values]}`"
        )
    if not draft.blocks:
        draft.add(("parameters",), "an empty list leaves no points", "write `parameters: {name: [values]}`")
    for block in draft.blocks:
        if len(block.path) > 1 and not block.declared:
            draft.add(block.path, "a block without parameters", "name at least one, or leave the block out")


def _groups(draft: Draft) -> dict[str, int]:
    """Return, for every parameter of a sound group, the place of its group in ``zip``."""
    known = {name: None for name in draft.parameters if name not in draft.columns}
    groups: dict[str, int] = {}
    for i, group in enumerate(draft.shape.zip):
        for j, name in enumerate(group):
            if name in draft.columns:
                hint = "the columns of a table vary together already"
                draft.add(("zip", i, j), f"{name!r} is a column of the table", hint)
            elif name not in known:
                draft.add(("zip", i, j), f"there is no parameter {name!r}", checks.unknown_name(name, known))
            elif any(isinstance(block.form(name), Drawn) for block in draft.blocks):
                hint = "parameters that are drawn vary together already"
                draft.add(("zip", i, j), f"{name!r} is drawn from a distribution", hint)
            elif name in groups:
                draft.add(("zip", i, j), f"{name!r} is named twice", "a parameter can be zipped once")
            groups.setdefault(name, i)
    return {name: i for name, i in groups.items() if not draft.has_below(("zip", i))}


# Sizes.


def _is_too_large(draft: Draft, groups: Mapping[str, int]) -> bool:
    """Note that there are more points than an index can count; conditions are left to the space itself."""
    if draft.shape.search or any(
        form and form.when for block in draft.blocks for form in map(block.form, block.sound)
    ):
        return False
    total = sum(_size(draft, block, groups) for block in draft.blocks)
    if total > _MOST_POINTS:
        draft.add(
            ("parameters",),
            f"{_counted(total)} points, more than an index can count ({_MOST_POINTS:,})",
            "leave out values",
        )
    return total > _MOST_POINTS


def _counted(total: int) -> str:
    """Write a whole number of any size, exactly if that stays readable."""
    return f"{total:,}" if total < 10**30 else f"10^{int(math.log10(total))} or more"


def _size(draft: Draft, block: Block, groups: Mapping[str, int]) -> int:
    # Keyed by group, so that zipped parameters count once, and all that are drawn.
    lengths = {groups.get(name, name): _length(value) for name, value in block.sound.items()}
    if any(isinstance(value, Drawn) for value in block.sound.values()) and draft.shape.sample:
        lengths["\0draws"] = draft.shape.sample.draws or 1
    rows = len(next(iter(draft.columns.values()), [None]))
    return rows * math.prod(lengths.values())


def _length(parameter: Any) -> int:
    if isinstance(parameter, list):
        return len(parameter)
    if not isinstance(parameter, ValueForm) or isinstance(parameter, Drawn) or parameter.kind == "opaque":
        return 1
    if parameter.kind == "values":
        return len(parameter.arguments)
    if parameter.kind == "range":
        return range_length(parameter.arguments)
    if parameter.kind == "seeds":
        return most(parameter)
    return int(parameter.arguments[-1])


# Axes.


def _table_axis(draft: Draft) -> space.Axis:
    axis = space.Axis(tuple(draft.columns), tuple(draft.columns.values()))
    repeated = axis.repeated()
    if repeated:
        text = f"rows {repeated[0] + 1} and {repeated[1] + 1} are equal"
        draft.add(("table",), text, "a row given twice is one point; leave one out")
    return axis


def _axes(draft: Draft, block: Block, groups: Mapping[str, int]) -> list[space.Axis]:
    axes: list[space.Axis | None] = []
    earlier = list(draft.columns)
    for names in _together(block, groups):
        _check_complete(draft, block, names, groups)
        _take_was(draft, block, names)
        when = _when(draft, block, names, earlier)
        earlier += names
        if all(name in block.sound for name in names):
            axes.append(_axis(draft, block, names, when))
    return [axis for axis in axes if axis]


def _together(block: Block, groups: Mapping[str, int]) -> list[list[str]]:
    """Return the block's names, zipped ones together, at the place of the first."""
    made: dict[object, list[str]] = {}
    for name in block.declared:
        made.setdefault(groups.get(name, name), []).append(name)
    return list(made.values())


def _check_complete(draft: Draft, block: Block, names: Sequence[str], groups: Mapping[str, int]) -> None:
    group = draft.shape.zip[groups[names[0]]] if names[0] in groups else names
    missing = next((name for name in group if name not in names and name in draft.parameters), None)
    if missing:
        text = f"{names[0]!r} is zipped with {missing!r}, which this block lacks"
        draft.add((*block.path, names[0]), text, f"add {missing!r}, or leave out {names[0]!r}")


def _axis(draft: Draft, block: Block, names: Sequence[str], when: Expression | None) -> space.Axis | None:
    parameters = [block.sound[name] for name in names]
    if isinstance(parameters[0], Drawn):
        _check_choice(draft, block, names[0])
        return drawn_axis(names[0], parameters[0].distribution, when, draft.shape.seed)
    lengths = [_length(parameter) for parameter in parameters]
    if len(set(lengths)) > 1:
        counts = ", ".join(f"{name} has {length}" for name, length in zip(names, lengths, strict=True))
        text = f"zipped parameters differ in length: {counts}"
        draft.add(_zip_path(draft, names), text, "give them the same number of values")
        return None
    values = tuple(_values(parameter, draft.shape.seed) for parameter in parameters)
    form = _form(parameters[0], draft.shape.seed) if len(parameters) == 1 else None
    axis = space.Axis(tuple(names), values, when, form)
    repeated = None if _are_distinct(axis) else axis.repeated()
    if repeated:
        _report_repeated(draft, block, axis, repeated)
    return axis


def _check_choice(draft: Draft, block: Block, name: str) -> None:
    form = block.form(name)
    if form is not None and form.kind == "choice":
        listed = space.Axis((name,), (form.arguments,))
        if repeated := listed.repeated():
            _report_repeated(draft, block, listed, repeated)


def _are_distinct(axis: space.Axis) -> bool:
    """Tell quickly, for values of one type, that none is repeated; False means that a closer look is needed."""
    values = axis.values[0]
    if len(axis.names) > 1 or len(values) == 1 or axis.form:
        return len(values) == 1 or (axis.form is not None and _gap(*axis.form) > _CLEAR_GAP)
    kinds = set(map(type, values))
    if kinds == {float}:
        return len(np.unique(np.array(values))) == len(values)  # a set would take eight times the memory
    return kinds in ({int}, {str}) and len(set(values)) == len(values)


def _gap(kind: str, *arguments: float) -> float:
    """Return the distance of neighbours in a generated axis, relative to their size."""
    if kind == "seeds":
        return math.inf  # distinct by construction
    if kind == "range":
        first, end, step = range_bounds(arguments)
        return float(abs(step) / max(abs(first), abs(end)))
    start, stop, num = arguments
    if kind == "linspace":
        return abs(stop - start) / (num - 1) / max(abs(start), abs(stop), _TINY)
    decades = stop - start if kind == "logspace" else math.log10(stop) - math.log10(start)
    return abs(decades) / (num - 1)


def _zip_path(draft: Draft, names: Sequence[str]) -> tuple[str, int]:
    return "zip", next(i for i, group in enumerate(draft.shape.zip) if names[0] in group)


def _report_repeated(draft: Draft, block: Block, axis: space.Axis, places: tuple[int, int]) -> None:
    first, second = places
    if len(axis.names) > 1:
        text = f"{' and '.join(axis.names)} have the same values at places {first + 1} and {second + 1}"
        draft.add(_zip_path(draft, axis.names), text, "leave one out")
        return
    name = axis.names[0]
    text = f"{shown(value) if (value := axis.values[0][second]) is not None else 'null'} is repeated: values {first + 1} and {second + 1} are equal"
    form = block.form(name)
    if form is None:
        draft.add((*block.path, name, second), text, "leave one out")
    elif form.kind in {"values", "choice"}:
        draft.add((*block.path, name, form.kind, second), text, "leave one out")
    else:
        draft.add((*block.path, name, form.kind), text, "the ends are too near for so many values")


def _values(parameter: Any, root: int) -> Sequence[Any]:
    if isinstance(parameter, list):
        return parameter
    if not isinstance(parameter, ValueForm):
        return [parameter]
    if parameter.kind == "opaque":
        return [space.Opaque(*parameter.arguments)]
    form = _form(parameter, root)
    return _GENERATORS[form[0]](*form[1:]) if form else list(parameter.arguments)


def _form(parameter: Any, root: int) -> tuple[Any, ...] | None:
    """Return the form from which an axis' values can be made again; None for values that are listed."""
    if not isinstance(parameter, ValueForm) or parameter.kind in {"values", "opaque"}:
        return None
    if parameter.kind == "seeds":
        return ("seeds", most(parameter), root)
    return (parameter.kind, *parameter.arguments)


# Modifiers.


def _take_was(draft: Draft, block: Block, names: Iterable[str]) -> None:
    for name in names:
        form = block.form(name)
        if form is None or "was" not in form.model_fields_set:
            continue
        if name in draft.was and space.canonical(draft.was[name]) != space.canonical(form.was):
            text = f"{shown(form.was)} here, {shown(draft.was[name])} in an earlier block"
            draft.add((*block.path, name, "was"), text, "old rows can have had one value only")
        draft.was.setdefault(name, form.was)


def _when(draft: Draft, block: Block, names: Sequence[str], earlier: Sequence[str]) -> Expression | None:
    """Return the condition of an axis; zipped parameters must agree on it."""
    forms = [(name, block.form(name)) for name in names if name in block.sound]
    texts = {name: form.when if form else None for name, form in forms}
    odd = next((name for name, text in texts.items() if text), None)
    if odd is None:
        return None
    path = (*block.path, odd, "when")
    if len(set(texts.values())) > 1:
        text = f"zipped parameters must have the same condition: {', '.join(names)}"
        draft.add(path, text, "write it at each of them")
        return None
    return parsed(draft, path, str(texts[odd]), earlier, _out_of_reach(draft, block, names))


def _out_of_reach(draft: Draft, block: Block, names: Sequence[str]) -> Callable[[str], Reason | None]:
    def explain(name: str) -> Reason | None:
        if name in names:
            text = "reads itself" if len(names) == 1 else f"reads {name!r}, with which it is zipped"
            return text, "a condition reads earlier parameters"
        if name in block.declared:
            return f"reads {name!r}, which comes later", f"move {name!r} above {names[0]!r}"
        if name in draft.parameters:
            return (
                f"reads {name!r}, which this block lacks",
                "a condition reads earlier parameters of its own block",
            )
        if name in draft.shape.derive:
            return f"reads {name!r}, a derived column", "a condition reads parameters only"
        return None

    return explain
