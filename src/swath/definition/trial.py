"""A definition's expressions tried on a few of its points, so that one that cannot work stops nothing later.

``where`` and ``derive`` belong to slots, which meet the points one range after the other. Here they meet the first
points, and some that are spread evenly over the rest: what always fails is found before anything starts, what fails for
one point in a million by the slot that meets it. Nobody scans a product: the cost does not depend on its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from swath.definition.choosing import DRAWN, conditions_of, drawn
from swath.definition.loading import placed
from swath.errors import DefinitionError, ExpressionError, Mistake

if TYPE_CHECKING:
    from swath.definition import Definition
    from swath.definition.searching import Search
    from swath.space import Points, Space

_FIRST: Final = 64
"""Points from the front: there the last axes vary."""
_SPREAD: Final = 256
"""Points from everywhere: there the first axes vary."""


def try_out(definition: Definition) -> None:
    """Evaluate ``where`` and ``derive`` for some points, and look for one that ``where`` leaves.

    Raises
    ------
    DefinitionError
        An expression cannot be evaluated, and the text names the first point tried for which that is so; or
        ``where`` excludes every point.
    """
    space = definition.space
    if space.where is None and not space.derive:
        return
    if mistakes := _mistakes(space) if definition.search is None else _of_search(space, definition.search):
        raise DefinitionError(placed(definition, mistakes))


def _mistakes(space: Space) -> list[Mistake]:
    points = _some(space)
    found = [fails(f"derive.{name}", error) for name in space.derive if (error := _failure(points, name))]
    if found or space.where is None:
        return found
    try:
        space.keep(points)
        empty = space.is_empty()
    except ExpressionError as error:
        return [fails("where", error)]
    return [excludes_all(space)] if empty else []


def _of_search(space: Space, search: Search) -> list[Mistake]:
    """Look at rows that a search could propose, drawn at random."""
    conditions = conditions_of(space, search.chosen)
    generator = np.random.default_rng(0)
    kept = False
    for number in range(DRAWN):
        row = drawn(search.chosen, conditions, generator.random(len(search.chosen)).tolist())
        found = [fails(f"derive.{name}", error) for name, error in conditions.derived(row) if error]
        if found:
            return found
        try:
            kept = conditions.keeps(row) or kept
        except ExpressionError as error:
            return [fails("where", error)]
        if kept and number >= _SPREAD:
            return []
    hint = "loosen it, or correct the values that it reads"
    return [
        Mistake("where", f"excludes all of {DRAWN:,} points drawn at random: a search would find none", hint)
    ]


def excludes_all(space: Space) -> Mistake:
    """Say that no point satisfies ``where``."""
    return Mistake(
        "where", f"excludes all {space.size:,} points", "loosen it, or correct the values that it reads"
    )


def _some(space: Space) -> Points:
    spread = [i * (space.size - 1) // (_SPREAD - 1) for i in range(_SPREAD)]
    return space.take(np.array(sorted({*range(min(_FIRST, space.size)), *spread}), np.int64))


def _failure(points: Points, name: str) -> ExpressionError | None:
    try:
        points.column(name)
    except ExpressionError as error:
        return error
    return None


def fails(key: str, error: ExpressionError) -> Mistake:
    """Say that an expression cannot be evaluated for some point."""
    return Mistake(key, str(error), "rule such values out first, as in `x != 'none' and x > 3`")
