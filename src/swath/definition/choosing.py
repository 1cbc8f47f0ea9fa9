"""What a search chooses among: everything of a definition that has more than one value, seeds aside.

Parameters that have several values, or a condition, become the names of one axis, whose rows are put in as they are
proposed (`swath.space.proposals`). Constants stay axes of their own, and so do seeds: they are replicates of every
proposal. What generates numbers keeps their order, because neighbours resemble each other; what a person lists does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from swath import space
from swath.definition import checks
from swath.definition.checks import Wrong
from swath.definition.designs import drawn_axis, placed
from swath.definition.domains import Bell, Between, Chosen, Listed, Steps
from swath.definition.places import Problem
from swath.definition.replicates import is_growing
from swath.definition.schema import goals
from swath.definition.searching import STARTUP, Search, problems_of
from swath.errors import ExpressionError
from swath.space import grammar
from swath.space.conditions import Conditions
from swath.space.distributions import Distribution
from swath.space.expressions import Expression, column
from swath.space.sampling import Drawn
from swath.space.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swath.definition.domains import Domain
    from swath.definition.draft import Block, Draft
    from swath.space.values import Value

DRAWN: Final = 2_000
"""Rows that are drawn at random before it is believed that there is none of a kind: some 50 ms."""
_ORDERED: Final = frozenset({"linspace", "geomspace", "logspace", "range"})


def search_axes(draft: Draft, block: Block, axes: Sequence[space.Axis]) -> list[space.Axis]:
    """Put the axes among which a search chooses into one; note what a search cannot use.

    Parameters
    ----------
    draft : Draft
        Gets the problems, and in ``chosen`` what is chosen.
    block : Block
        The parameters.
    axes : sequence of Axis
        One for each of them that is sound, with all its values.
    """
    shape = draft.shape.search
    if shape is None or shape.points is None or len(draft.blocks) > 1:
        return list(axes)
    chosen = [axis for axis in axes if _is_chosen(axis)]
    for axis in axes:
        _check_axis(draft, block, axis)
    if not chosen and not draft.has_below(block.path):
        text = "there is nothing to choose: every parameter has one value"
        draft.add(block.path, text, "give one of them several")
    if not chosen or draft.has_below(block.path):
        return list(axes)
    if shape.method == "random":
        return _design(axes, shape.points, draft.shape.seed)
    draft.chosen += [Chosen(axis.names[0], _domain(axis), axis.conditions[0]) for axis in chosen]
    proposed = _proposed(draft.chosen, shape.points)
    rest = {axis.names for axis in chosen[1:]}
    return [proposed if axis is chosen[0] else axis for axis in axes if axis.names not in rest]


def _is_chosen(axis: space.Axis) -> bool:
    several = len(axis) > 1 or axis.lazy or any(axis.conditions)
    return several and not _is_seeds(axis)


def _is_seeds(axis: space.Axis) -> bool:
    return axis.form is not None and axis.form[0] == "seeds"


def _check_axis(draft: Draft, block: Block, axis: space.Axis) -> None:
    name = axis.names[0]
    path = (*block.path, name)
    if _is_seeds(axis) and axis.when is not None:
        text = "seeds of a search are replicates of every point"
        draft.add((*path, "when"), text, "leave the condition out")
    if is_growing(block.form(name)):
        draft.add(path, "a search has as many replicates of every point", "leave out `until`")


def _design(axes: Sequence[space.Axis], points: int, root: int) -> list[space.Axis]:
    """Draw what is chosen at random, which needs no optimiser: a design of as many rows as there are points."""
    drawn = [
        drawn_axis(axis.names[0], Distribution("choice", tuple(axis.values[0])), axis.when, root)
        if _is_chosen(axis) and not axis.lazy
        else axis
        for axis in axes
    ]
    return placed(drawn, {"method": "random", "draws": points, "root": root})


def _domain(axis: space.Axis) -> Domain:
    values = axis.values[0]
    if isinstance(values, Drawn):
        return _domain_of(values.distribution)
    return Listed(axis.values[0], ordered=axis.form is not None and axis.form[0] in _ORDERED)


def _domain_of(drawn: Distribution) -> Domain:
    """Return the values of a distribution, as a search chooses among them."""
    first, second = (*drawn.arguments, None)[:2]
    match drawn.kind:
        case "choice":
            return Listed(drawn.arguments)
        case "normal" | "lognormal":
            return Bell(first, second, log=drawn.kind == "lognormal", step=drawn.step)
        case "loguniform":
            return Between(first, second, log=True, step=drawn.step)
    if drawn.count:
        return Steps(first, drawn.step or 1, drawn.count)
    return Between(first, second)


def _proposed(chosen: Sequence[Chosen], points: int) -> space.Axis:
    whens = tuple(each.when for each in chosen)
    form = ("search", {"points": points, "kinds": [_kind(each.domain) for each in chosen]})
    return space.Axis.made([each.name for each in chosen], form, None, whens if any(whens) else ())


def _kind(domain: Domain) -> str:
    """Return the type of array that holds the values of a domain."""
    match domain:
        case Listed():
            return column(domain.values).dtype.name
        case Steps():
            return "int64" if isinstance(domain.value(0), int) else "float64"
        case Between(step=int()) | Bell(step=int()):
            return "int64"
    return "float64"


# What else the key says.


def check_search(draft: Draft) -> None:
    """Refuse what does not go together with a search, and settings that do not go together."""
    shape, given = draft.shape.search, draft.given
    if shape is None:
        return
    if not any(draft.has_below(path) for path in (("minimize",), ("maximize",), ("search", "method"))):
        draft.extend(problems_of(shape, [metric for metric, _ in goals(draft.shape)]))
    for key, way in _APART.items():
        if given.get(key) is not None:
            draft.add((key,), "does not go with `search`", way)
    if draft.shape.order != "grid" and shape.method != "random":
        draft.add(("order",), "points of a search run as they are proposed", "leave it out")
    if len(draft.blocks) > 1:
        text = f"a search takes one mapping of parameters, got {len(draft.blocks)}"
        draft.add(
            ("parameters",),
            text,
            "join them, with conditions: `depth: {values: [2, 4], when: model == 'tree'}`",
        )
    if shape.method != "random":
        _check_replicates(draft)
    _check_bounds(draft)
    if shape.method == "cma-es" and draft.chosen and not draft.has_below(("parameters",)):
        _check_numbers(draft)


_APART: Final = {
    "table": "list its rows as one parameter, or leave one out",
    "zip": "list what belongs together as one parameter, or leave one out",
    "sample": "a design is drawn, a search proposes; keep one of them",
}
"""Keys that say how points come about, as ``search`` does, and what to do instead."""


def _check_replicates(draft: Draft) -> None:
    """Refuse conditions of whole points that read what differs among the replicates of one."""
    seeds = {name for block in draft.blocks for name in block.sound if _kind_of(block, name) == "seeds"}
    texts = {("where",): draft.shape.where, **_numbered(draft)}
    for path, text in texts.items():
        for name in sorted(seeds & _reads(draft, text)):
            what = f"reads {name!r}, which differs among the replicates of a point"
            draft.add(path, what, "a search judges points by the mean over their replicates")


def _kind_of(block: Block, name: str) -> str:
    form = block.form(name)
    return form.kind if form else ""


def _numbered(draft: Draft) -> dict[tuple[str | int, ...], str]:
    """Return the texts of ``subject_to`` by their places."""
    shape = draft.shape.search
    texts = shape.subject_to if shape and shape.subject_to else []
    listed = isinstance(_given(draft).get("subject_to"), list)
    return {("search", "subject_to", *((i,) if listed else ())): text for i, text in enumerate(texts)}


def _given(draft: Draft) -> Mapping[str, Any]:
    given = draft.given.get("search")
    return given if isinstance(given, dict) else {}


def _reads(draft: Draft, text: str | None) -> set[str]:
    """Return what a text reads, through derived columns too; nothing if it is no expression."""
    try:
        names = set(Expression(text).names) if text else set()
    except ExpressionError:
        return set()
    inner = [_reads(draft, draft.shape.derive[name]) for name in names & draft.shape.derive.keys()]
    return names.union(*inner)


def _check_bounds(draft: Draft) -> None:
    """Refuse bounds that are no expressions, no conditions, or say nothing of what the objective returns."""
    for path, text in _numbered(draft).items():
        try:
            tree = grammar.parse(text)
        except ExpressionError as error:
            draft.add(path, str(error))
            continue
        if isinstance(tree, grammar.Literal | grammar.Arithmetic | grammar.Choice):
            draft.add(path, f"is no condition, got {text!r}", "compare with a number: `latency < 0.1`")
        elif grammar.names(tree) <= {*draft.parameters, *draft.shape.derive}:
            hint = "write it as `where`, which is known before a point runs"
            draft.add(path, "reads nothing that the objective returns", hint)


def _check_numbers(draft: Draft) -> None:
    numbers = [
        each for each in draft.chosen if not (isinstance(each.domain, Listed) and not each.domain.ordered)
    ]
    free = [each.name for each in numbers if each.when is None and each.domain.size != 1]
    if len(free) < 2:
        text = f"cma-es chooses two or more numbers together, got {', '.join(free) or 'none'}"
        draft.add(("search", "method"), text, "use tpe, which also chooses from lists and under conditions")


def check_known(draft: Draft, points: space.Space) -> None:
    """Refuse points to try first that the search itself could not have proposed."""
    shape = draft.shape.search
    if shape is None or not shape.known or not draft.chosen:
        return
    conditions = conditions_of(points, draft.chosen)
    seen: dict[str, int] = {}
    for i, row in enumerate(shape.known):
        path = ("search", "known", i)
        problems = list(_misfits(draft.chosen, row, conditions))
        draft.extend(Problem((*path, *problem.path), problem.text, problem.hint) for problem in problems)
        if not problems and not conditions.keeps(row):
            draft.add(path, f"`where` excludes it: {draft.shape.where}", "leave it out")
        first = seen.setdefault(canonical(row), i)
        if first != i:
            draft.add(path, f"is repeated: points {first + 1} and {i + 1} are equal", "leave one out")


def _misfits(chosen: Sequence[Chosen], row: Mapping[str, Value], conditions: Conditions) -> Iterator[Problem]:
    names = [each.name for each in chosen]
    for name in row.keys() - set(names):
        yield Problem((name,), "is nothing that the search chooses", checks.unknown_name(name, names))
    for each in chosen:
        if not conditions.active(each.when, row):
            if each.name in row:
                text = f"is absent here, because `{each.when.text if each.when else ''}` does not hold"
                yield Problem((each.name,), text, "leave it out")
        elif each.name not in row:
            yield Problem((), f"lacks {each.name!r}", "a known point has every parameter that is chosen")
        else:
            try:
                each.domain.code(row[each.name])
            except Wrong as wrong:
                yield Problem((each.name,), wrong.text, wrong.hint)


def conditions_of(points: space.Space, chosen: Sequence[Chosen]) -> Conditions:
    """Return what the expressions of a space say of single rows of what is chosen."""
    return Conditions(constants_of(points, chosen), points.derive, points.where)


def constants_of(points: space.Space, chosen: Sequence[Chosen]) -> dict[str, Value]:
    """Return the parameters that are the same for every proposal."""
    names = {each.name for each in chosen}
    axes = [
        axis for block in points.blocks for axis in block if len(axis) == 1 and not names & set(axis.names)
    ]
    return {name: values[0] for axis in axes for name, values in zip(axis.names, axis.values, strict=True)}


def drawn(chosen: Sequence[Chosen], conditions: Conditions, shares: Sequence[float]) -> dict[str, Value]:
    """Return the row below which such a share of each parameter's distribution lies; for random ones, a random row."""
    row: dict[str, Value] = {}
    for each, share in zip(chosen, shares, strict=True):
        if conditions.active(each.when, row):
            row[each.name] = each.domain.value(each.domain.at(share))
    return row


def search_of(draft: Draft) -> Search | None:
    """Return the key of a valid definition; None if its points are known without being told of others."""
    shape = draft.shape.search
    if shape is None or shape.points is None or shape.method == "random":
        return None
    bounds = tuple(map(Expression, dict.fromkeys(shape.subject_to or ())))
    read = sorted(
        {name for bound in bounds for name in bound.names} - {*draft.parameters, *draft.shape.derive}
    )
    return Search(
        method=shape.method,
        points=shape.points,
        chosen=tuple(draft.chosen),
        metrics=tuple(dict.fromkeys([*(metric for metric, _ in goals(draft.shape)), *read])),
        startup=STARTUP[shape.method] if shape.startup is None else shape.startup,
        population=shape.population,
        subject_to=bounds,
        known=tuple(shape.known or ()),
        earlier=None if shape.earlier is None else Path(shape.earlier),
    )
