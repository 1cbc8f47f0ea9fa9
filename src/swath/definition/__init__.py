"""From a mapping to a validated `Definition`, or to all of its mistakes at once.

A definition is data: nothing that it names is imported or run here. It passes four gates, and each notes its problems
and hands on whatever is sound, so that one answer names every mistake:

1. `forms.plain` turns what Python offers beyond YAML into plain data (a file is plain already);
2. `shaping.shaped` checks every key and leaf on its own;
3. `draft` and `axes` check what concerns several keys: names in expressions, zipped lengths, repeated values;
4. `space.Space` is built, and refuses what cannot be counted.

What got stuck at an earlier gate still counts as declared at a later one: an expression that reads a parameter
whose values are wrong is not blamed for it.

A definition keeps its own ``source``: the same definition in normal form, as a mapping that a file could hold (a
table read from another file is embedded). ``define(definition.source)`` describes the same space.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from swath import space
from swath.definition import checks
from swath.definition.axes import blocks_of_axes
from swath.definition.choosing import check_known, check_search, search_of
from swath.definition.composer import MOST_PROBLEMS
from swath.definition.designs import check_sample
from swath.definition.documents import located
from swath.definition.draft import (
    Draft,
    EnoughError,
    check_metrics,
    check_objective,
    check_stop,
    derived,
    where,
)
from swath.definition.forms import plain
from swath.definition.leaves import MODIFIERS, PRECISION, ValueForm
from swath.definition.places import Path as KeyPath
from swath.definition.places import Place, Problem
from swath.definition.replicates import Until, until
from swath.definition.schema import Shape, goals, schema
from swath.definition.searching import Search
from swath.definition.shaping import shaped
from swath.definition.stopping import Stop, stop_of
from swath.definition.tables import frame_columns
from swath.errors import DefinitionError, Mistake, SwathError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.definition.documents import Marks

__all__ = ["Cluster", "Definition", "Point", "Search", "Stop", "define", "schema"]

_MOST_POINTS: Final = 2**63 - 1  # an index is an int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one point may use.

    Attributes
    ----------
    timeout : float or None
        Seconds.
    memory : int or None
        Bytes.
    cores : int
        Cores that it keeps busy.
    retries : int
        How often a failed point is tried again.
    fresh : bool
        Whether it runs in a process of its own, as it is after the import of the objective.
    """

    timeout: float | None = None
    memory: int | None = None
    cores: int = 1
    retries: int = 0
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where points run.

    Attributes
    ----------
    workers : int or None
        Workers to start on this machine.
    scheduler : str or None
        Address of a scheduler that runs already.
    insecure : bool
        Whether it may be off this machine without TLS.
    """

    workers: int | None = None
    scheduler: str | None = None
    insecure: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Definition:
    """A valid definition; compare ``source`` to tell whether two are the same.

    Attributes
    ----------
    name : str
        Fit for a folder.
    objective : str
        ``module:function``.
    space : Space
        Its points.
    goals : tuple of (str, int)
        The metrics that are optimised, each with 1 if it should be small and -1 if it should be large.
    search : Search or None
        How points are chosen, if they are not all known beforehand.
    stop : Stop or None
        Which points end before their end.
    seed : int
        The root of all randomness, in [0, 2^64).
    point : Point
        What one point may use.
    cluster : Cluster
        Where points run.
    isolation : str
        ``process`` or ``none``.
    was : mapping of str to value
        What rows that lack a parameter count as having had.
    source : dict
        The definition in normal form, as JSON and YAML can hold it.
    constants : mapping of str to object
        Objects that only Python can hold, by the digest under which ``source`` names them.
    file : Path or None
        Where it was read from.
    folder : Path
        Where the objective is looked up first, and to which a table's path is relative.
    until : Until or None
        Until when replicates are added.
    """

    name: str
    objective: str
    space: space.Space
    goals: tuple[tuple[str, int], ...]
    search: Search | None
    stop: Stop | None
    seed: int
    point: Point
    cluster: Cluster
    isolation: str
    was: Mapping[str, object]
    source: dict[str, object]
    constants: Mapping[str, object]
    file: Path | None
    folder: Path
    until: Until | None = None

    @property
    def goal(self) -> tuple[str, int] | None:
        """The metric by which points are better or worse, with its sign; None unless there is exactly one."""
        return self.goals[0] if len(self.goals) == 1 else None

    @property
    def minimize(self) -> str | None:
        """The only goal, if it should be small."""
        return self.goal[0] if self.goal and self.goal[1] > 0 else None

    @property
    def maximize(self) -> str | None:
        """The only goal, if it should be large."""
        return self.goal[0] if self.goal and self.goal[1] < 0 else None

    def maximizes(self, metric: str) -> bool:
        """Tell whether a metric is a goal that should be large."""
        return (metric, -1) in self.goals

    @property
    def directions(self) -> dict[str, str]:
        """The goals by direction, for people: ``{"minimize": "error, seconds"}``."""
        words = (("minimize", 1), ("maximize", -1))
        named = {word: [name for name, sign in self.goals if sign == wanted] for word, wanted in words}
        return {word: ", ".join(names) for word, names in named.items() if names}


def define(
    mapping: Mapping[str, object],
    *,
    file: str = "",
    marks: Marks | None = None,
    folder: Path | None = None,
    found: Sequence[Problem] = (),
) -> Definition:
    """Validate a definition.

    Parameters
    ----------
    mapping : mapping
        The keys of a definition file; values may also be arrays, forms such as `forms.linspace`, and for
        ``table`` a DataFrame. A key whose value is None counts as not given.
    file : str
        The file's name as the user wrote it; empty for a definition made in Python.
    marks : Marks, optional
        Where keys stand in the file.
    folder : Path, optional
        Where relative paths begin; default: the current folder.
    found : sequence of Problem
        What the reader of the file refused already.

    Returns
    -------
    Definition
        Valid in every respect that can be told without running the objective.

    Raises
    ------
    DefinitionError
        With every mistake, in the order of the file.
    """
    folder = folder or Path.cwd()
    given = plain(mapping, frame_columns)
    shape, problems = shaped(given.mapping)
    draft = Draft(shape, given.mapping, folder, [*found, *given.problems][:MOST_PROBLEMS], in_file=bool(file))
    points = enough = None
    with contextlib.suppress(EnoughError):
        draft.extend(problems)
        enough = until(draft)
        points = _space(draft)
        check_metrics(draft)
        check_search(draft)
        check_sample(draft)
        check_stop(draft)
        check_objective(draft)
        if points is not None:
            check_known(draft, points)
    if draft.problems or points is None:
        raise DefinitionError(_in_order(draft, marks, file))
    return _defined(draft, points, enough, file, given.constants)


def _space(draft: Draft) -> space.Space | None:
    """Build the space; None if a mistake prevents it."""
    blocks = blocks_of_axes(draft)
    columns = derived(draft)
    condition = where(draft)
    if draft.problems:
        return None
    shape = draft.shape
    try:
        made = space.Space(
            blocks,
            where=condition,
            derive=columns,
            order=shape.order,
            root=shape.seed,
            names=list(draft.parameters),
        )
    except SwathError as error:
        draft.add(("parameters",), str(error))
        return None
    return made


def _defined(
    draft: Draft, points: space.Space, enough: Until | None, file: str, constants: Mapping[str, object]
) -> Definition:
    shape = draft.shape
    objective = str(shape.objective)
    name = shape.name or checks.fitting_run_name(Path(file).stem if file else objective.rpartition(":")[2])
    return Definition(
        name=name,
        objective=objective,
        space=points,
        goals=goals(shape),
        search=search_of(draft),
        stop=stop_of(shape.stop, goals(shape), shape.seed),
        seed=shape.seed,
        point=Point(**dict(shape.point)),
        cluster=Cluster(**dict(shape.cluster)),
        isolation=shape.isolation,
        was=draft.was,
        source=_source(shape, name, draft.columns),
        constants=constants,
        file=Path(file) if file else None,
        folder=draft.folder,
        until=enough,
    )


def _in_order(draft: Draft, marks: Marks | None, file: str) -> list[Mistake]:
    mistakes = _sorted(draft, marks, file)
    if len(mistakes) < MOST_PROBLEMS:
        return mistakes
    hint = "mend these first"
    return [
        *mistakes,
        Mistake("", f"{MOST_PROBLEMS} mistakes or more, of which these are the first", hint, file),
    ]


def _sorted(draft: Draft, marks: Marks | None, file: str) -> list[Mistake]:
    if marks is not None:
        return located(draft.problems, marks)
    ordered = sorted(draft.problems, key=lambda problem: _rank(problem.path, draft.given))
    return [problem.mistake(Place(file, 0, 0)) for problem in ordered]


def _rank(path: KeyPath, node: Any) -> tuple[int, ...]:
    """Return the places of a path's keys, to sort by in the order of the mapping; what is missing comes last."""
    ranks = []
    for key in path:
        items = dict(enumerate(node)) if isinstance(node, list) else node if isinstance(node, dict) else {}
        ranks.append(list(items).index(key) if key in items else len(items))
        node = items.get(key)
    return tuple(ranks)


def _source(shape: Shape, name: str, columns: Mapping[str, list[object]]) -> dict[str, object]:
    """Return the normal form: keys in a fixed order, defaults left out, forms kept small."""
    parameters = shape.parameters
    blocks = (
        _sources(parameters) if isinstance(parameters, dict) else [_sources(block) for block in parameters]
    )
    settings = {
        key: getattr(shape, key) for key in ("where", "derive", "order", "minimize", "maximize", "isolation")
    }
    kept = {
        key: value
        for key, value in settings.items()
        if value != Shape.model_fields[key].get_default(call_default_factory=True)
    }
    made: dict[str, object] = {"name": name, "objective": shape.objective}
    made |= {"table": dict(columns)} if columns else {}
    made |= {"parameters": blocks} if blocks else {}
    made |= {"zip": [list(group) for group in shape.zip]} if shape.zip else {}
    made |= {"sample": shape.sample.model_dump()} if shape.sample else {}
    made |= kept
    made |= {"search": shape.search.given()} if shape.search else {}
    made |= {"stop": shape.stop.model_dump(exclude_none=True)} if shape.stop else {}
    made |= {"seed": shape.seed}
    for key, inner in (("point", shape.point), ("cluster", shape.cluster)):
        changed = inner.model_dump(exclude_defaults=True)
        made |= {key: changed} if changed else {}
    return made


def _sources(block: Mapping[str, Any]) -> dict[str, object]:
    return {
        name: _form_source(value) if isinstance(value, ValueForm) else value for name, value in block.items()
    }


def _form_source(form: ValueForm) -> object:
    arguments = list(form.arguments) if isinstance(form.arguments, tuple) else form.arguments
    given = [key for key in (*MODIFIERS, *PRECISION, "step") if key in form.model_fields_set]
    modifiers = {key: getattr(form, key) for key in given}
    modifiers = {key: value for key, value in modifiers.items() if value is not None or key == "was"}
    if form.kind == "values" and not modifiers:
        return arguments
    return {form.kind: arguments} | modifiers
