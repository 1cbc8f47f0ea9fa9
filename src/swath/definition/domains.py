"""What a search may choose for one parameter, and the code by which an optimiser knows each value.

Optimisers choose numbers. A `Domain` says which: a place in a list (whose values can then be of any type), a number
between bounds, or, for a distribution without bounds, the share of it that lies below the value. ``value`` and ``code``
translate; ``code`` also tells whether a value that somebody gives is one that a search could have chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from swath.definition.checks import Wrong, shown
from swath.space.values import key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.space.expressions import Expression

Code = int | float
"""What an optimiser chooses."""

_EDGE: Final = 2.0**-53
"""Share of a distribution without bounds that is cut off at each end: beyond it no float differs from 0 or 1."""
_ROUNDING: Final = 1e-9
"""How far, in steps, a number may lie beside the grid of its step and count as on it."""


@dataclass(frozen=True, eq=False)
class Listed:
    """One of some values.

    Attributes
    ----------
    values : sequence
        Of any type.
    ordered : bool
        Whether neighbours resemble each other: true for generated numbers, false for what a person lists.
    """

    values: Sequence[Any]
    ordered: bool = False

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def value(self, code: Code) -> Any:
        """Return the value at a place."""
        return self.values[int(code)]

    def nth(self, place: int) -> int:
        """Return the code of the value at a place, counted from 0."""
        return place

    def at(self, share: float) -> int:
        """Return the code below which this share of the distribution lies; ``share`` is in [0, 1)."""
        return int(share * self.size)

    def code(self, value: Any) -> int:
        """Return the place of a value, by content. Raises `Wrong` if it is none of them."""
        found = self._places.get(key(value))
        if found is None:
            raise Wrong(f"{shown(value)} is none of the {self.size:,} values that can be chosen")
        return found

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {key(value): place for place, value in enumerate(self.values)}


@dataclass(frozen=True)
class Interval:
    """A number between two bounds, both included.

    Attributes
    ----------
    low, high : float
        The bounds; ints if whole numbers are chosen.
    log : bool
        Whether its logarithm is what should be spread evenly.
    step : float or None
        Distance of neighbours, from ``low`` on; None: any float.
    whole : bool
        Whether it is an int.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def size(self) -> int | None:
        """How many values there are; None: more than can be counted."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return math.floor((self.high - self.low) / self.step + _ROUNDING) + 1

    def value(self, code: Code) -> float:
        """Return the number; what is on a grid, to 15 digits, as every generated number."""
        if self.whole:
            return int(code)
        return float(code) if self.step is None else float(f"{code:.15g}")

    def nth(self, place: int) -> Code:
        """Return the code of the value at a place of its grid."""
        return self.low + place * (self.step or 0)

    def at(self, share: float) -> Code:
        """Return the code below which this share of the distribution lies; ``share`` is in [0, 1)."""
        if self.size is not None and not self.log:
            return self.nth(int(share * self.size))
        if not self.log:
            return self.low + share * (self.high - self.low)
        # A whole number stands for what rounds to it.
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        found = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return min(max(round(found) if self.whole else found, self.low), self.high)

    def code(self, value: Any) -> Code:
        """Return a number that lies within. Raises `Wrong` if it does not."""
        number = _number(value)
        if not self.low <= number <= self.high:
            raise Wrong(f"{shown(value)} is outside [{self.low}, {self.high}]")
        if self.step is None:
            return float(number)
        places = (number - self.low) / self.step
        if abs(places - round(places)) > _ROUNDING * max(1.0, abs(places)):
            raise Wrong(f"{shown(value)} is not {self.low} plus a multiple of {self.step}")
        return int(number) if self.whole else float(number)


@dataclass(frozen=True)
class Bell:
    """A number that is normally distributed, or whose natural logarithm is; its code is its quantile.

    Attributes
    ----------
    mean, deviation : float
        Of the number, or of its logarithm.
    log : bool
        Whether the logarithm is meant.
    """

    mean: float
    deviation: float
    log: bool = False
    size: None = field(default=None, init=False)

    @cached_property
    def _normal(self) -> NormalDist:
        return NormalDist(self.mean, self.deviation)

    def value(self, code: Code) -> float:
        """Return the number below which this share of the distribution lies."""
        found = self._normal.inv_cdf(min(max(code, _EDGE), 1 - _EDGE))
        return math.exp(found) if self.log else found

    def nth(self, place: int) -> float:
        """Has no meaning: the values cannot be counted."""
        raise AssertionError(place)

    def at(self, share: float) -> float:
        """Return the code below which this share of the distribution lies: itself."""
        return share

    def code(self, value: Any) -> float:
        """Return the share of the distribution below a number. Raises `Wrong` where there is none."""
        number = _number(value)
        if self.log and number <= 0:
            raise Wrong(f"{shown(value)} has no logarithm")
        return self._normal.cdf(math.log(number) if self.log else number)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"must be a number, got {shown(value)}")
    return value


Domain = Listed | Interval | Bell


@dataclass(frozen=True, slots=True)
class Chosen:
    """A parameter that a search chooses.

    Attributes
    ----------
    name : str
        Its name.
    domain : Domain
        What it may be.
    when : Expression or None
        Condition over constants and parameters chosen before it; where it is false, this one is absent.
    """

    name: str
    domain: Domain
    when: Expression | None = None
