"""Replicates until precise: ``seed: {seeds: 10, until: se(peak) < 0.01, max: 200}``.

The axis has as many seeds as there may be at most, of which the first few are open at the beginning; a run opens more,
combination by combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swath.definition.schema import Seeds
from swath.errors import ExpressionError
from swath.precision import Condition

if TYPE_CHECKING:
    from swath.definition.draft import Block, Draft
    from swath.definition.leaves import ValueForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """Until when replicates are added.

    Attributes
    ----------
    name : str
        The parameter that is the seed.
    condition : Condition
        What must hold of every combination.
    first, most : int
        Replicates to begin with, and at most.
    """

    name: str
    condition: Condition
    first: int
    most: int


def is_growing(form: ValueForm | None) -> bool:
    """Tell whether the values of a form are opened as they are needed."""
    return isinstance(form, Seeds) and form.until is not None


def most(form: ValueForm) -> int:
    """Return how many values a form of seeds may have."""
    assert isinstance(form, Seeds)  # noqa: S101  # for the type checker
    return form.max if form.until is not None and form.max is not None else form.seeds


def until(draft: Draft) -> Until | None:
    """Return until when replicates are added; what is wrong about it is noted."""
    found: list[Until] = []
    for block in draft.blocks:
        for name in block.sound:
            form = block.form(name)
            if isinstance(form, Seeds):
                found += _until(draft, block, name, form)
    if found and any(_differs(draft, block, found[0]) for block in draft.blocks):
        return None
    return found[0] if found else None


def _until(draft: Draft, block: Block, name: str, form: Seeds) -> list[Until]:
    path = (*block.path, name)
    if form.until is None:
        if form.max is not None:
            draft.add(
                (*path, "max"),
                "says nothing without `until`",
                "add `until: se(metric) < 0.01`, or leave it out",
            )
        return []
    if form.max is None:
        draft.add(
            path, "`until` needs `max`", "say how many replicates a combination may have at most: `max: 200`"
        )
        return []
    if form.max < form.seeds:
        draft.add(
            (*path, "max"), f"{form.max} at most, and {form.seeds} to begin with", "max is the larger one"
        )
    if form.when is not None:
        draft.add(
            (*path, "when"),
            "replicates that are added as needed cannot be conditional",
            "leave out `when`, or `until`",
        )
    if any(name in group for group in draft.shape.zip):
        draft.add(path, "replicates that are added as needed cannot be zipped", "leave it out of `zip`")
    try:
        condition = Condition(form.until)
    except ExpressionError as error:
        draft.add(
            (*path, "until"), str(error), "write such as `se(error) < 0.01`, for the standard error of a mean"
        )
        return []
    return [Until(name=name, condition=condition, first=form.seeds, most=form.max)]


def _differs(draft: Draft, block: Block, wanted: Until) -> bool:
    """Note what keeps a block from having the same replicates as the others."""
    growing = [name for name in block.sound if is_growing(block.form(name))]
    other = next((name for name in growing if name != wanted.name), None)
    if other is not None:
        draft.add(
            (*block.path, other),
            f"{wanted.name!r} is repeated until precise already",
            "only one parameter can be",
        )
        return True
    form = block.form(wanted.name)
    alike = isinstance(form, Seeds) and (form.until, form.seeds, form.max) == (
        wanted.condition.text,
        wanted.first,
        wanted.most,
    )
    if not alike:
        draft.add(
            block.path,
            f"{wanted.name!r} is repeated until precise in another block, and not in the same way here",
            f"repeat it here: `{wanted.name}: {{seeds: {wanted.first}, until: {wanted.condition.text}, max: {wanted.most}}}`",
        )
    return not alike
