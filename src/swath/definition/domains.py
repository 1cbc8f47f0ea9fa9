"""What a search may choose for one parameter, and the code by which an optimiser knows each value.

Optimisers choose numbers. A `Domain` says which: a place in a list (whose values can then be of any type), a number
between bounds, or, for a distribution without bounds, the share of it that lies below the value. ``value`` and ``code``
translate; ``code`` also tells whether a value that somebody gives is one that a search could have chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
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
class Steps:
    """Numbers at equal distances.

    Attributes
    ----------
    low, step : int or float
        The first of them, and the distance; decimal numbers as they are written.
    size : int
        How many there are.
    """

    low: float
    step: float
    size: int

    def value(self, code: Code) -> float:
        """Return the number at a place, an int if all of them are."""
        return _written(_exact(self.low) + int(code) * _exact(self.step), self.low, self.step)

    def nth(self, place: int) -> int:
        """Return the code of the number at a place, counted from 0."""
        return place

    def at(self, share: float) -> int:
        """Return the code below which this share of the distribution lies; ``share`` is in [0, 1)."""
        return int(share * self.size)

    def code(self, value: Any) -> int:
        """Return the place of a number. Raises `Wrong` if it is none of them."""
        place = (_exact(_number(value)) - _exact(self.low)) / _exact(self.step)
        if not 0 <= place <= self.size - 1:
            raise Wrong(f"{shown(value)} is outside [{self.low}, {self.value(self.size - 1)}]")
        if place.denominator != 1:
            raise Wrong(f"{shown(value)} is not {self.low} plus a multiple of {self.step}")
        return int(place)


@dataclass(frozen=True)
class Between:
    """A number between two bounds, both included.

    Attributes
    ----------
    low, high : float
        The bounds.
    log : bool
        Whether its logarithm is what is spread evenly.
    step : float or None
        What the chosen number is rounded to a multiple of, within the bounds.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def size(self) -> int | None:
        """How many values there are; None: more than can be counted."""
        if self.step is None:
            return 1 if self.low == self.high else None
        first, last = self._multiples
        return last - first + 1

    def value(self, code: Code) -> float:
        """Return the number."""
        if self.step is None:
            return float(code)
        first, last = self._multiples
        return _multiple(min(max(round(code / self.step), first), last), self.step)

    def nth(self, place: int) -> float:
        """Return the code of the number at a place, where these are counted."""
        return self.low if self.step is None else float(_multiple(self._multiples[0] + place, self.step))

    def at(self, share: float) -> float:
        """Return the code below which this share of the distribution lies; ``share`` is in [0, 1)."""
        if self.log:
            found = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            found = self.low + share * (self.high - self.low)
        return min(max(found, self.low), self.high)

    def code(self, value: Any) -> float:
        """Return a number that lies within. Raises `Wrong` if it does not."""
        number = _number(value)
        if not self.low <= number <= self.high:
            raise Wrong(f"{shown(value)} is outside [{self.low}, {self.high}]")
        _check_multiple(number, self.step)
        return float(number)

    @property
    def _multiples(self) -> tuple[int, int]:
        step = _exact(self.step or 1)
        return math.ceil(_exact(self.low) / step), math.floor(_exact(self.high) / step)


@dataclass(frozen=True)
class Bell:
    """A number that is normally distributed, or whose natural logarithm is; its code is its quantile.

    Attributes
    ----------
    mean, deviation : float
        Of the number, or of its logarithm.
    log : bool
        Whether the logarithm is meant.
    step : float or None
        What the chosen number is rounded to a multiple of.
    """

    mean: float
    deviation: float
    log: bool = False
    step: float | None = None
    size: None = field(default=None, init=False)

    @cached_property
    def _normal(self) -> NormalDist:
        return NormalDist(self.mean, self.deviation)

    def value(self, code: Code) -> float:
        """Return the number below which this share of the distribution lies."""
        found = self._normal.inv_cdf(min(max(code, _EDGE), 1 - _EDGE))
        found = math.exp(found) if self.log else found
        return found if self.step is None else _multiple(round(found / self.step), self.step)

    def nth(self, place: int) -> float:
        """Has no meaning: the values are not counted."""
        raise AssertionError(place)

    def at(self, share: float) -> float:
        """Return the code below which this share of the distribution lies: itself."""
        return share

    def code(self, value: Any) -> float:
        """Return the share of the distribution below a number. Raises `Wrong` where there is none."""
        number = _number(value)
        _check_multiple(number, self.step)
        if self.log and number <= 0:
            if number == 0 and self.step is not None:
                return 0.0
            raise Wrong(f"{shown(value)} has no logarithm")
        return self._normal.cdf(math.log(number) if self.log else number)


def _exact(number: float) -> Fraction:
    """Return a number as it is written."""
    return Fraction(repr(number))


def _written(number: Fraction, *parts: float) -> float:
    """Return a number as an int if it was made of ints, else as a float."""
    return int(number) if all(isinstance(part, int) for part in parts) else float(number)


def _multiple(count: int, step: float) -> float:
    return _written(count * _exact(step), step)


def _check_multiple(number: float, step: float | None) -> None:
    if step is not None and (_exact(number) / _exact(step)).denominator != 1:
        raise Wrong(f"{shown(number)} is no multiple of {step}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Wrong(f"must be a number, got {shown(value)}")
    return value


Domain = Listed | Steps | Between | Bell


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
