"""A definition on its way: what is sound of it, what is wrong with it, and checks that concern several keys.

Every check notes what it finds with `Draft.add` and returns what is sound. A place that is blamed already is not blamed
again, nor is anything below it: one mistake, one message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from swath.definition import checks
from swath.definition.checks import Wrong
from swath.definition.composer import MOST_PROBLEMS
from swath.definition.leaves import ValueForm
from swath.definition.places import Path, Problem
from swath.definition.schema import Shape, goals
from swath.definition.stopping import problems_of
from swath.definition.tables import read_table
from swath.errors import SwathError
from swath.space.expressions import Expression

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from swath.definition.domains import Chosen

Reason = tuple[str, str]
"""Why a name is out of an expression's reach, and the way out."""


class EnoughError(Exception):
    """So much is wrong with a definition that it is not examined further."""


class Block(NamedTuple):
    """One mapping of parameters; a definition without a union has one.

    Attributes
    ----------
    path : Path
        Where it stands.
    sound : mapping of str to Any
        The parameters whose values are right, as `schema` types them.
    declared : tuple of str
        The names of all its parameters, in order.
    """

    path: Path
    sound: Mapping[str, Any]
    declared: tuple[str, ...]

    def form(self, name: str) -> ValueForm | None:
        """Return the form of a parameter, if it has one that is sound."""
        value = self.sound.get(name)
        return value if isinstance(value, ValueForm) else None


@dataclass(slots=True)
class Draft:
    """What is sound of a definition so far, and what is wrong with it.

    Attributes
    ----------
    shape : Shape
        What is sound, key by key.
    given : mapping
        Everything that was given, as plain data.
    folder : pathlib.Path
        Where relative paths begin.
    problems : list of Problem
        Everything that is wrong.
    in_file : bool
        Whether it was read from a file that a person wrote.
    was : dict of str to value
        What rows that lack a parameter count as having had.
    chosen : list of Chosen
        What a search chooses.
    columns : dict of str to list
        The table.
    blocks : list of Block
        The parameters.
    parameters : dict of str to None
        The names of all parameters, table included, in order of appearance.
    """

    shape: Shape
    given: Mapping[str, object]
    folder: pathlib.Path
    problems: list[Problem]
    in_file: bool = False
    was: dict[str, object] = field(default_factory=dict)
    chosen: list[Chosen] = field(default_factory=list)
    columns: dict[str, list[object]] = field(init=False)
    blocks: list[Block] = field(init=False)
    parameters: dict[str, None] = field(init=False)

    def __post_init__(self) -> None:
        self.blocks = _blocks(self.shape.parameters, self.given.get("parameters", {}))
        declared = dict.fromkeys(name for block in self.blocks for name in block.declared)
        self.columns = _table(self, declared)
        self.parameters = dict.fromkeys(self.columns) | declared

    def add(self, path: Path, text: str, hint: str = "") -> None:
        """Note a problem."""
        self.extend([Problem(path, text, hint)])

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note problems, but for those that follow from one noted earlier.

        Raises
        ------
        EnoughError
            There are `MOST_PROBLEMS`: looking for more would be of no use.
        """
        for problem in [
            problem for problem in islice(problems, MOST_PROBLEMS) if not self.is_blamed(problem.path)
        ]:
            if len(self.problems) >= MOST_PROBLEMS:
                raise EnoughError
            self.problems.append(problem)

    def is_blamed(self, path: Path) -> bool:
        """Tell whether a problem of this path, or of one above it, is known; or if its key is there, misspelt."""
        above = {path[:n] for n in range(1, len(path) + 1)}
        meant = {(end[:-1], f"did you mean {end[-1]!r}?") for end in above}
        return any(
            problem.path in above or (problem.path[:-1], problem.hint) in meant for problem in self.problems
        )

    def has_below(self, path: Path) -> bool:
        """Tell whether a problem of this path, or of one below it, is known."""
        return any(problem.path[: len(path)] == path for problem in self.problems)


def _blocks(sound: Any, given: Any) -> list[Block]:
    if isinstance(sound, list):
        return [Block(("parameters", i), block, _names(given[i])) for i, block in enumerate(sound)]
    return [Block(("parameters",), sound, _names(given))]


def _names(given: object) -> tuple[str, ...]:
    return tuple(given) if isinstance(given, dict) else ()


def _table(draft: Draft, declared: Mapping[str, None]) -> dict[str, list[object]]:
    """Return the table's columns; none if there is no table or it is wrong."""
    table = draft.shape.table
    if table is None:
        return {}
    try:
        columns = read_table(table, draft.folder) if isinstance(table, str) else table
        _check_columns(columns)
    except Wrong as wrong:
        draft.add(("table", *wrong.path), wrong.text, wrong.hint)
        return {}
    for name in declared.keys() & columns.keys():
        draft.add(("table",), f"the column {name!r} is a parameter too", "rename one of them")
    return columns


def _check_columns(columns: Mapping[str, list[object]]) -> None:
    if not columns:
        raise Wrong("there are no columns in it")
    for name, values in columns.items():
        try:
            checks.column_name(name)
            checks.values(values)
        except Wrong as wrong:
            row = f", row {wrong.path[0] + 1}" if wrong.path and isinstance(wrong.path[0], int) else ""
            raise Wrong(f"column {name!r}{row}: {wrong.text}", wrong.hint) from None
    if len({len(values) for values in columns.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise Wrong(f"columns differ in length: {counts}", "give every column one value for each row")


# Expressions.


def parsed(
    draft: Draft, path: Path, text: str, known: Iterable[str], explain: Callable[[str], Reason | None]
) -> Expression | None:
    """Parse an expression and check the names that it reads.

    Parameters
    ----------
    draft : Draft
        Gets the problems.
    path : Path
        Where the expression stands.
    text : str
        What it says.
    known : iterable of str
        Names that it may read.
    explain : callable
        Says of any other name why it is out of reach; None if it does not exist.
    """
    try:
        expression = Expression(text)
    except SwathError as error:
        draft.add(path, str(error))
        return None
    names = list(known)
    reasons = {name: explain(name) or _unknown(name, names) for name in sorted(expression.names - set(names))}
    draft.extend([Problem(path, *reason) for reason in reasons.values()])
    return expression


def _unknown(name: str, known: Sequence[str]) -> Reason:
    return f"reads {name!r}, which is no parameter", checks.unknown_name(name, known)


def derived(draft: Draft) -> dict[str, Expression]:
    """Return the derived columns; each may read parameters and derived columns above it."""
    given = draft.given.get("derive")
    names = _names(given)
    made: dict[str, Expression] = {}
    for i, name in enumerate(names):
        if name in draft.parameters:
            draft.add(("derive", name), f"{name!r} is a parameter already", "choose another name")
        if name in draft.shape.derive:
            known = [*draft.parameters, *names[:i]]
            expression = parsed(
                draft, ("derive", name), draft.shape.derive[name], known, _circular(name, names)
            )
            made |= {name: expression} if expression else {}
    return made


def _circular(own: str, names: Sequence[str]) -> Callable[[str], Reason | None]:
    def explain(name: str) -> Reason | None:
        if name == own:
            return "reads itself", "a derived column reads parameters and derived columns above it"
        if name in names:
            return f"reads {name!r}, which comes later", f"move {name!r} above {own!r}"
        return None

    return explain


def where(draft: Draft) -> Expression | None:
    """Return the condition that all points must meet; it may read every parameter and derived column."""
    if draft.shape.where is None:
        return None
    known = [*draft.parameters, *_names(draft.given.get("derive"))]
    return parsed(draft, ("where",), draft.shape.where, known, lambda _: None)


# Single keys that must agree with others.


def check_metrics(draft: Draft) -> None:
    """Refuse a metric with two directions, and a parameter in place of a metric."""
    seen: set[str] = set()
    for metric, sign in goals(draft.shape):
        path = _path_of_goal(draft.shape, metric, sign)
        if metric in draft.parameters or metric in draft.shape.derive:
            draft.add(path, f"{metric!r} is a parameter, not a metric", "name what the objective returns")
        if metric in seen:
            draft.add(path, f"{metric!r} is minimized too", "a metric has one direction; keep one of them")
        seen.add(metric)


def _path_of_goal(shape: Shape, metric: str, sign: int) -> Path:
    key, named = ("minimize", shape.minimize) if sign > 0 else ("maximize", shape.maximize)
    return (key, named.index(metric)) if isinstance(named, list) else (key,)


def check_stop(draft: Draft) -> None:
    """Refuse a rule that cannot judge, or that judges a parameter."""
    shape = draft.shape
    if shape.stop is None:
        return
    aims = goals(shape)
    if shape.stop.metric in draft.parameters or shape.stop.metric in shape.derive:
        draft.add(
            ("stop", "metric"),
            f"{shape.stop.metric!r} is a parameter, not a metric",
            "name what the objective records",
        )
    if not (draft.has_below(("minimize",)) or draft.has_below(("maximize",))):
        draft.extend(problems_of(shape.stop, aims))


def check_objective(draft: Draft) -> None:
    """Refuse a definition without an objective, and, in a file, constants that only Python can hold."""
    if draft.shape.objective is None:
        draft.add(("objective",), "is missing", "write `objective: module:function`")
    opaque = [
        (block, name) for block in draft.blocks for name in block.declared if _is_opaque(block.form(name))
    ]
    for block, name in opaque if draft.in_file else ():
        draft.add(
            (*block.path, name, "opaque"), "a file cannot hold such a constant", "make it in the objective"
        )


def _is_opaque(form: ValueForm | None) -> bool:
    return form is not None and form.kind == "opaque"
