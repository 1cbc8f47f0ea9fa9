"""What values are drawn from: quantiles of a distribution, whole arrays at a time.

Theory of operation
-------------------
A fraction in (0, 1) becomes the value that so large a part of the distribution lies below, so every sequence of fractions
(`swath.space.sequences`) serves every distribution. All of it is arithmetic that IEEE 754 fixes (`swath.space.elementary`).

A ``step`` makes values multiples of it, as people write them: 0.1 + 2 * 0.1 is 0.3. They are kept as whole numbers over a
common denominator, and divided once. `uniform` and `integers` count their steps from the lower end, each as likely;
the others round to the next multiple within their bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.space.elementary import exp, log, normal_quantile
from swath.space.expressions import column
from swath.space.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

KINDS: Final = ("uniform", "loguniform", "normal", "lognormal", "integers", "choice")
"""The distributions."""
_EXTREMES: Final = np.array([2.0**-53, 1 - 2.0**-53])
_EXACT: Final = 2**53
_FEW: Final = 4
"""Choices that are named."""


@dataclass(frozen=True)
class Distribution:
    """Where values come from.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    arguments : tuple
        Lower and upper end (included), mean and standard deviation (of the logarithm for ``lognormal``), or choices.
    step : int or float or None
        What all values are multiples of, counted from the lower end by ``uniform`` and ``integers``.
    """

    kind: str
    arguments: tuple[Any, ...]
    step: float | None = None

    def __str__(self) -> str:
        """Say what it is in a few words."""
        if self.kind == "choice":
            few = len(self.arguments) <= _FEW
            listed = [
                value if isinstance(value, str) else canonical(value) for value in self.arguments[:_FEW]
            ]
            return f"one of {', '.join(listed)}" if few else f"one of {len(self.arguments):,} values"
        first, second = (repr(argument) for argument in self.arguments)
        step = "" if self.step is None else f", by {self.step}"
        if self.kind in {"normal", "lognormal"}:
            return f"{self.kind}, mean {first}, deviation {second}{step}"
        return f"{self.kind} from {first} to {second}{step}"

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Distribution:
        """Make what `spec` described."""
        kind = next(key for key in spec if key in KINDS)
        return cls(kind, tuple(spec[kind]), spec.get("step"))

    def spec(self) -> dict[str, Any]:
        """Describe the distribution in JSON, as a file would say it."""
        step = {} if self.step is None else {"step": self.step}
        return {self.kind: list(self.arguments), **step}

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        if self.kind == "choice":
            return self._choices.dtype
        return np.dtype(np.int64 if self._is_whole else np.float64)

    @property
    def types(self) -> tuple[type, ...]:
        """The types of the values in Python."""
        if self.kind == "choice":
            return tuple(dict.fromkeys(map(type, self.arguments)))
        return (int if self._is_whole else float,)

    @cached_property
    def reach(self) -> tuple[float, float]:
        """The least and the greatest logarithm of a ``lognormal``."""
        least, greatest = self._normal(_EXTREMES).tolist()
        return least, greatest

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The least and the greatest number that can be drawn, before they are rounded to the step."""
        least, greatest = self._continuous(_EXTREMES).tolist()
        return least, greatest

    @cached_property
    def count(self) -> int:
        """How many values there are; 0 if they are not counted."""
        if self.kind == "choice":
            return len(self.arguments)
        if self.kind not in {"uniform", "integers"} or self._step is None:
            return 0
        return self.multiples[1] + 1

    @cached_property
    def multiples(self) -> tuple[int, int]:
        """How many steps the first and the last value are from where they are counted: the lower end, or zero."""
        step = self._step or Fraction(1)
        if self.kind in {"normal", "lognormal"}:
            least, greatest = map(_exact, self.extremes)
            return math.floor(least / step), math.ceil(greatest / step)
        low, high = map(_exact, self.arguments)
        if self.kind == "loguniform":
            return math.ceil(low / step), math.floor(high / step)
        return 0, math.floor((high - low) / step)

    def at(self, fractions: Floats) -> NDArray[Any]:
        """Return the values below which so large a part lies, shape (n,), as expressions read them."""
        if self.kind == "choice":
            return self._choices[self._counted(fractions)]
        if self._step is None:
            return self._continuous(fractions)
        if self.count:
            return self._lattice(self._counted(fractions), _exact(self.arguments[0]))
        first, last = self.multiples
        rounded = np.rint(self._continuous(fractions) / float(self._step))
        return self._lattice(np.clip(rounded, first, last).astype(np.int64), Fraction(0))

    def objects(self, fractions: Floats) -> NDArray[Any]:
        """Return the values as they were given; see `Computed.objects`."""
        return self._given[self._counted(fractions)] if self.kind == "choice" else self.at(fractions)

    # Parts.

    @cached_property
    def _step(self) -> Fraction | None:
        step = 1 if self.kind == "integers" and self.step is None else self.step
        return None if step is None else _exact(step)

    @property
    def _is_whole(self) -> bool:
        counted = [self.arguments[0]] if self.kind in {"uniform", "integers"} else []
        return self._step is not None and all(isinstance(item, int) for item in (self.step or 1, *counted))

    @cached_property
    def _choices(self) -> NDArray[Any]:
        return column(self.arguments)

    @cached_property
    def _given(self) -> NDArray[Any]:
        return np.fromiter(self.arguments, object, len(self.arguments))

    def _counted(self, fractions: Floats) -> Integers:
        """Return numbers from 0 on, below `count`, all as likely."""
        return np.minimum((fractions * self.count).astype(np.int64), self.count - 1)

    def _lattice(self, numbers: Integers, low: Fraction) -> NDArray[Any]:
        """Return ``low`` plus so many steps, as near as floats are."""
        step = self._step or Fraction(1)
        scale = math.lcm(low.denominator, step.denominator)
        first, by = int(low * scale), int(step * scale)
        if self._is_whole:
            return first + numbers * by
        greatest = abs(first) + max(map(abs, self.multiples)) * by
        if max(greatest, scale) <= _EXACT:  # decided for the distribution, not for the rows beside it
            return (first + numbers * by) / scale
        return float(low) + numbers * float(step)

    def _continuous(self, fractions: Floats) -> Floats:
        first, second = (float(argument) for argument in self.arguments)
        if self.kind in {"uniform", "integers"}:
            return np.minimum(first + fractions * (second - first), second)
        if self.kind == "loguniform":
            (low,), (high,) = log(np.array([first])), log(np.array([second]))
            return np.clip(exp(low + fractions * (high - low)), first, second)
        drawn = self._normal(fractions)
        return exp(drawn) if self.kind == "lognormal" else drawn

    def _normal(self, fractions: Floats) -> Floats:
        """Return normally distributed numbers."""
        mean, deviation = (float(argument) for argument in self.arguments)
        return mean + deviation * normal_quantile(fractions)


def _exact(number: float) -> Fraction:
    """Return a number as it is written."""
    return Fraction(repr(number))
