"""What a definition says of the values of a parameter, before any point has a row: listed values, or bounds and a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.definition.domains import Bell, Between, Listed, Steps
from swath.space.sampling import Drawn
from swath.views.figures.axes import Axis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from swath.definition import Definition
    from swath.definition.domains import Domain

    Floats = NDArray[np.float64]

LISTED: Final = 2**17
"""Values of an axis that are looked at."""
FEW: Final = 24
"""Equally spaced numbers up to which each of them is a value of its own."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the values of a parameter come from.

    Attributes
    ----------
    listed : tuple
        Values that are listed, in the order of the definition; of very many some are left out, but never the first and the
        last one.
    drawn : bool
        Whether any number within bounds may come.
    low, high : float
        These bounds; NaN where there is none.
    log : bool
        Whether the logarithm is what is spread evenly.
    """

    listed: tuple[Any, ...] = ()
    drawn: bool = False
    low: float = math.nan
    high: float = math.nan
    log: bool = False

    def axis(self, name: str, numbers: Floats, *, whole: bool = False) -> Axis:
        """Make an axis of numbers that came, on the scale of this origin."""
        if not self.drawn:
            every = np.concatenate([np.array(self.listed, dtype=float), numbers])
            return Axis.numeric(name, every, whole=whole)
        return Axis.scattered(name, numbers, (self.low, self.high), log=self.log, whole=whole)


def origin(definition: Definition, name: str) -> Origin:
    """Say where the values of a parameter come from, of all blocks together; of a derived value that is nowhere."""
    parts = [*_chosen(definition, name), *_axes(definition, name)]
    drawn = [part for part in parts if part.drawn]
    listed = tuple(value for part in parts for value in part.listed)
    if not drawn or len(drawn) < len(parts):
        return Origin(listed=listed, drawn=bool(drawn))
    low, high = min(part.low for part in drawn), max(part.high for part in drawn)
    return Origin(drawn=True, low=low, high=high, log=all(part.log for part in drawn))


def _chosen(definition: Definition, name: str) -> Iterator[Origin]:
    if definition.search is not None:
        yield from (_of_domain(each.domain) for each in definition.search.chosen if each.name == name)


def _of_domain(domain: Domain) -> Origin:
    match domain:
        case Listed():
            return Origin(listed=_some(domain.values))
        case Steps() if domain.size <= FEW:
            return Origin(listed=tuple(map(domain.value, range(domain.size))))
        case Steps():
            return Origin(drawn=True, low=domain.value(0), high=domain.value(domain.size - 1))
        case Between():
            return Origin(drawn=True, low=domain.low, high=domain.high, log=domain.log)
        case Bell():
            return Origin(drawn=True, log=domain.log)


def _axes(definition: Definition, name: str) -> Iterator[Origin]:
    for axis in (axis for block in definition.space.blocks for axis in block if name in axis.names):
        values = axis.values[axis.names.index(name)]
        if isinstance(values, Drawn):
            yield _of_distribution(values)
        elif not axis.lazy:
            yield Origin(listed=_some(values))


def _of_distribution(drawn: Drawn) -> Origin:
    of = drawn.distribution
    if of.kind == "choice":
        return Origin(listed=_some(of.arguments))
    if 0 < of.count <= FEW:
        return Origin()  # those that came are values of their own
    log = of.kind in ("loguniform", "lognormal")
    if of.kind in ("normal", "lognormal"):
        return Origin(drawn=True, log=log)
    low, high = map(float, of.arguments)
    return Origin(drawn=True, low=low, high=high, log=log)


def _some(values: Sequence[Any]) -> tuple[Any, ...]:
    every = math.ceil(len(values) / LISTED)
    return tuple(values[i] for i in (*range(0, len(values) - 1, every or 1), len(values) - 1) if len(values))


def scales(
    definition: Definition, names: Sequence[str]
) -> dict[str, tuple[float | None, float | None, bool]]:
    """Return bounds, None where there is none, and whether the scale is logarithmic, of parameters that are drawn."""
    known = {name: origin(definition, name) for name in names}
    return {name: (_bound(of.low), _bound(of.high), of.log) for name, of in known.items() if of.drawn}


def _bound(number: float) -> float | None:
    return None if math.isnan(number) else number
