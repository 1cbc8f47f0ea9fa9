"""Values of parameters: what they are, when two are the same, and how series of them are made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Value = Any
"""None, bool, int, float, str, list or dict of these, or `Opaque`."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Stands for a constant that only Python can hold.

    Attributes
    ----------
    digest : str
        Of its pickle; equal digests are equal values.
    type_name : str
        For people.
    """

    digest: str
    type_name: str

    def __str__(self) -> str:
        return f"<{self.type_name} {self.digest[:8]}>"


class _Absent:
    """The type of `ABSENT`."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()
"""Stands where a point does not have a parameter."""


def key(value: Value) -> Any:
    """Return something hashable that is equal for equal content: 1 and 1.0, but not 1 and true."""
    if isinstance(value, bool):
        return ("bool", value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    return ("json", canonical(value))


def canonical(value: Value) -> str:
    """Write a value as text that is the same for the same content, on every machine."""
    return json.dumps(_normal(value), sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _normal(value: Value) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # also makes 0 of -0.0
    if isinstance(value, Opaque):
        return {"opaque": value.digest}
    if isinstance(value, Mapping):
        return {str(name): _normal(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    return value


def content_id(point: Mapping[str, Value]) -> str:
    """Return the content id of a point: 16 hexadecimal digits."""
    return hashlib.blake2b(canonical(point).encode(), digest_size=8).hexdigest()


def to_json(value: Value) -> Any:
    """Make JSON of a value; `from_json` undoes it."""
    return {"$opaque": [value.digest, value.type_name]} if isinstance(value, Opaque) else value


def from_json(value: Any) -> Value:
    """Undo `to_json`."""
    if isinstance(value, dict) and set(value) == {"$opaque"}:
        return Opaque(*value["$opaque"])
    return value


# Series, named after numpy's functions and with their argument order. Floats are rounded to 15 significant
# digits, so that linspace(1, 4, 31) contains 2.4 and a refined grid meets its old points.


def linspace(start: float, stop: float, num: int) -> list[float]:
    """Return ``num`` evenly spaced floats, both ends included."""
    step = (stop - start) / (num - 1) if num > 1 else 0.0
    return _ends([_rounded(start + i * step) for i in range(num)], start, stop)


def geomspace(start: float, stop: float, num: int) -> list[float]:
    """Return ``num`` floats in geometric progression, both ends included; both of one sign."""
    ratio = math.log(stop / start) / (num - 1) if num > 1 else 0.0
    return _ends([_rounded(start * math.exp(i * ratio)) for i in range(num)], start, stop)


def logspace(start: float, stop: float, num: int) -> list[float]:
    """Return ``num`` powers of ten, evenly spaced between the exponents ``start`` and ``stop``."""
    return [_rounded(10.0**exponent) for exponent in linspace(start, stop, num)]


def arange(*arguments: float) -> Sequence[float]:
    """Return what Python's range would (one to three arguments, stop excluded), floats allowed, in decimal arithmetic."""
    if all(isinstance(argument, int) for argument in arguments):
        return range(*arguments)  # type: ignore[arg-type]
    exact = [Decimal(repr(argument)) for argument in arguments]
    start = exact[0] if len(exact) > 1 else Decimal(0)
    stop = exact[1] if len(exact) > 1 else exact[0]
    step = exact[2] if len(exact) > 2 else Decimal(1)  # noqa: PLR2004  # the third argument
    count = max(0, math.ceil((stop - start) / step))
    return [_rounded(float(start + i * step)) for i in range(count)]


def _rounded(value: float) -> float:
    return float(f"{value:.15g}")


def _ends(values: list[float], start: float, stop: float) -> list[float]:
    """Make the ends exact."""
    if values:
        values[0] = float(start)
    if len(values) > 1:
        values[-1] = float(stop)
    return values
