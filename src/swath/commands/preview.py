"""What a definition would run, told without running anything: counts, axes, the first and last points."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from swath.agreement import find_objective
from swath.definition.loading import placed
from swath.definition.trial import excludes_all, fails, try_out
from swath.errors import DefinitionError, ExpressionError, SwathError
from swath.outline import ends, product, sample, searching, sides, stopping
from swath.store.disk import Disk
from swath.store.entries import MANIFEST
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from swath.definition import Definition
    from swath.definition.searching import Search
    from swath.outline import Place, Sample, Side


class Described(TypedDict):
    """A search: ``points`` without replicates, ``startup`` of them at random first; ``known`` are tried before these."""

    method: str
    points: int
    startup: int
    known: int
    subject_to: list[str]
    earlier: str
    text: str


class Preview(TypedDict):
    """A definition as ``swath check`` shows it; ``points`` is an estimate unless ``exact``.

    ``until`` replicates are precise enough, there are ``least`` points or more.
    """

    name: str
    objective: str
    points: int
    exact: bool
    candidates: int
    product: list[list[int]]
    sample: Sample | None
    where: str
    until: str
    least: int
    search: Described | None
    stop: str
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
    space, until, search = definition.space, definition.until, definition.search
    try:
        points, exact = space.count() if search is None else (space.size, True)  # it proposes what counts
        first, last = ends(space)
    except ExpressionError as error:
        raise DefinitionError(
            placed(definition, [fails("where" if space.where else "derive", error)])
        ) from None
    if exact and not points:
        raise DefinitionError(placed(definition, [excludes_all(space)]))
    folder = out / definition.name
    return Preview(
        name=definition.name,
        objective=definition.objective,
        points=points,
        exact=exact,
        candidates=space.size,
        product=product(space),
        sample=sample(space),
        where=space.where.text if space.where else "",
        until=until.condition.text if until else "",
        least=points // until.most * until.first if until else points,
        optimise=definition.directions,
        search=_described(search) if search else None,
        stop=stopping(definition.stop) if definition.stop else "",
        axes=sides(space, search.chosen if search else ()),
        first=first,
        last=last,
        folder=str(folder),
        rows=_rows(folder),
    )


def _described(search: Search) -> Described:
    return Described(
        method=search.method,
        points=search.points,
        startup=search.startup,
        known=len(search.known),
        subject_to=[bound.text for bound in search.subject_to],
        earlier=str(search.earlier or ""),
        text=searching(search),
    )


def _rows(folder: Path) -> int:
    try:
        return read_manifest(Disk(), folder).rows if (folder / MANIFEST).exists() else 0
    except SwathError:
        return 0  # `swath doctor` says more
