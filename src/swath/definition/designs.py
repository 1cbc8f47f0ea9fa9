"""Designs: the parameters of a block that are drawn, as one lazy axis.

Theory of operation
-------------------
Each parameter with a distribution is an axis of one row at first. All of them together become one axis with a row for
every draw, at the place of the first. A condition of such a parameter is judged point by point, so it may read others that
are drawn; one of a listed parameter may not, for it would make the product ragged. Where each of them has a condition, the
axis may be inactive, so it stands behind what these conditions read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from swath import space
from swath.definition.drawing import Drawn
from swath.space.distributions import Distribution
from swath.space.sequences import MOST_DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.definition.draft import Block, Draft
    from swath.space.expressions import Expression

_ADD: Final = "add `sample: {method: sobol, draws: 1000}`"


def drawn_axis(
    name: str,
    distribution: Distribution,
    when: Expression | None,
    root: int,
    *,
    method: str = "random",
    draws: int = 1,
) -> space.Axis:
    """Return the axis of one parameter that is drawn."""
    return _joined([name], [distribution], [when], {"method": method, "draws": draws, "root": root})


def design_axes(draft: Draft, block: Block, axes: Sequence[space.Axis]) -> list[space.Axis]:
    """Put the axes of a block that are drawn into one; note what does not go together with them.

    Parameters
    ----------
    draft : Draft
        Gets the problems.
    block : Block
        The parameters.
    axes : sequence of Axis
        One for each of them that is sound; those that are drawn as `drawn_axis` makes them.
    """
    drawn = [axis for axis in axes if axis.lazy]
    if not drawn:
        return list(axes)
    sample = draft.shape.sample
    if sample is None:
        if not draft.has_below(("sample",)):
            name = drawn[0].names[0]
            text = "has a distribution, but nothing says how many values are drawn"
            draft.add((*block.path, name), text, _ADD)
        return []
    names = [axis.names[0] for axis in drawn]
    _check_readers(draft, block, axes, names)
    most = MOST_DIMENSIONS.get(sample.method, len(names))
    if len(names) > most:
        text = f"{sample.method} has {most} dimensions, {len(names)} parameters are drawn"
        draft.add(("sample", "method"), text, "use random or lhs")
    told = {"method": sample.method, "draws": sample.draws or 1, "root": draft.shape.seed}
    return placed(axes, told)


def check_sample(draft: Draft) -> None:
    """Refuse a key that draws nothing, or does not say how often."""
    sample = draft.shape.sample
    if sample is None:
        return
    if sample.draws is None and not draft.has_below(("sample", "draws")):
        draft.add(("sample", "draws"), "is missing", "write how many combinations are drawn: `draws: 1000`")
    forms = [block.form(name) for block in draft.blocks for name in block.sound]
    if not any(isinstance(form, Drawn) for form in forms) and not draft.has_below(("parameters",)):
        hint = "give one a distribution: `x: {uniform: [0, 1]}`"
        draft.add(("sample",), "there is nothing to draw: no parameter has a distribution", hint)


def placed(axes: Sequence[space.Axis], told: Mapping[str, object]) -> list[space.Axis]:
    """Return a block's axes with those that are drawn in one, where it can stand."""
    drawn = [axis for axis in axes if axis.lazy]
    distributions = [Distribution.from_spec(axis.form[1]["distributions"][0]) for axis in drawn if axis.form]
    whens = [axis.conditions[0] for axis in drawn]
    joined = _joined([axis.names[0] for axis in drawn], distributions, whens, told)
    others = [axis for axis in axes if not axis.lazy]
    place = next(i for i, axis in enumerate(axes) if axis.lazy)
    if all(whens):
        place = max(
            [place, *(i + 1 for i, axis in enumerate(others) if joined.reads.intersection(axis.names))]
        )
    return [*others[:place], joined, *others[place:]]


def _joined(
    names: Sequence[str],
    distributions: Sequence[Distribution],
    whens: Sequence[Expression | None],
    told: Mapping[str, object],
) -> space.Axis:
    form = ("sample", {**told, "distributions": [distribution.spec() for distribution in distributions]})
    return space.Axis.made(names, form, None, whens if any(whens) else ())


def _check_readers(draft: Draft, block: Block, axes: Sequence[space.Axis], drawn: Sequence[str]) -> None:
    """Refuse listed parameters whose condition reads what is drawn."""
    for axis in axes:
        read = sorted(axis.when.names & set(drawn)) if axis.when else []
        if read:
            name = axis.names[0]
            text = f"reads {read[0]!r}, which is drawn point by point"
            draft.add((*block.path, name, "when"), text, f"draw {name!r} too: `choice: [...]`")
