"""Values of parameters: what they are, when two are the same, and how series of them are made.

Theory of operation
-------------------
A value is None, a bool, int, float or str, a list or dict of these, or an `Opaque` constant. Two values are
the same if their canonical texts are: numbers by what they are worth (1 equals 1.0, -0.0 equals 0.0, true
differs from 1), everything else as in JSON. `key` is the same relation as something hashable, and cheaper.

Series are computed exactly, in rational or long decimal arithmetic from the numbers as they are written,
and each result is rounded once to 15 significant digits. So linspace(1, 4, 31) contains 2.4, and a refined
or extended grid meets its old points to the last bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Final

Value = Any
"""None, bool, int, float, str, list or dict of these, or `Opaque`."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Stands for a constant that only Python can hold.

    Attributes
    ----------
    digest : str
        Equal digests are equal values.
    type_name : str
        For people.
    """

    digest: str
    type_name: str

    def __str__(self) -> str:
        return f"<{self.type_name} {self.digest[:8]}>"


class Absent:
    """The type of `ABSENT`; there is one such object in a process, whatever copies it."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""Stands where a point does not have a parameter."""


# Content.


def canonical(value: Value) -> str:
    """Return the canonical JSON text of a value; equal texts are equal content.

    Raises
    ------
    TypeError
        It is, or contains, something that is no value.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Value) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value  # -0.0 becomes 0
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Opaque):
        return {"opaque": value.digest}
    if isinstance(value, Mapping):
        return {
            name if isinstance(name, str) else canonical(name): _plain(item) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(
        f"a value is null, a bool, number, text, list or mapping, not {type(value).__name__}: {value!r}"
    )


def key(value: Value) -> Any:
    """Return something hashable that is equal for equal content."""
    kind = type(value)
    if kind is int or kind is str or value is None or (kind is float and value == value):  # noqa: PLR0124  # not nan
        return value
    return kind, canonical(value) if kind is not tuple else canonical(list(value))


def content_id(point: Mapping[str, Value]) -> str:
    """Return the content id of a point: 16 hexadecimal digits."""
    return blake2b(canonical(point).encode(), digest_size=8).hexdigest()


# Series, named after numpy's functions and with their argument order.


def linspace(start: float, stop: float, num: int) -> list[float]:
    """Return ``num`` evenly spaced floats, both ends included."""
    (first, last), scale = _whole(start, stop)
    steps = max(num - 1, 1)
    scale *= steps
    return [_rounded((first * (steps - i) + last * i) / scale) for i in range(num)]


def geomspace(start: float, stop: float, num: int) -> list[float]:
    """Return ``num`` floats in geometric progression, both ends included.

    Raises
    ------
    ValueError
        The ends are zero or of different sign.
    """
    if not start * stop > 0:
        raise ValueError(
            f"geomspace from {start} to {stop}: both ends must have the same sign, and none be 0"
        )
    first = Decimal(repr(start))
    with localcontext(_LONG):
        return _geometric(first, Decimal(repr(stop)) / first, num)


def logspace(start: float, stop: float, num: int) -> list[float]:
    """Return ``num`` powers of ten whose exponents are evenly spaced from ``start`` to ``stop``."""
    first = Decimal(repr(start))
    with localcontext(_LONG):
        return _geometric(10**first, 10 ** (Decimal(repr(stop)) - first), num)


def arange(*arguments: float) -> Sequence[float]:
    """Return what Python's range would: one to three arguments, stop excluded; floats allowed, in decimal arithmetic.

    Returns
    -------
    sequence
        A lazy ``range`` if all arguments are integers, else a list of floats.

    Raises
    ------
    ValueError
        The step is zero.
    """
    bounds = slice(*arguments)  # knows which argument is which
    start, step = bounds.start or 0, 1 if bounds.step is None else bounds.step
    if not step:
        raise ValueError("range needs a step other than 0")
    (first, last, stride), scale = _whole(start, bounds.stop, step)
    numbers = range(first, last, stride)
    if all(isinstance(argument, int) for argument in arguments):
        return numbers
    return [_rounded(number / scale) for number in numbers]


_LONG: Final = Context(prec=40)
"""Digits of which a running product of 10^6 factors loses seven."""
_SHORT: Final = Context(prec=15)


def _whole(*numbers: float) -> tuple[list[int], int]:
    """Return numbers, as they are written, as integers and their common denominator."""
    fractions = [Fraction(repr(number)) for number in numbers]
    scale = math.lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * scale) for fraction in fractions], scale


def _rounded(value: float) -> float:
    return float(f"{value:.15g}")


def _geometric(value: Decimal, span: Decimal, num: int) -> list[float]:
    """Return ``num`` floats from ``value`` to ``value * span``, in the current, long precision."""
    ratio = span ** (Decimal(1) / max(num - 1, 1))
    made = []
    for _ in range(num):
        made.append(float(_SHORT.plus(value)))
        value *= ratio
    return made
