"""Values as Python writes them: the forms of the file as functions, and anything numeric as plain data.

A definition made in Python takes the same way as one from a file. So everything that Python offers beyond
YAML is first turned into what YAML has: arrays, tuples and series into lists, a ``range`` into its form, numpy's
scalars into Python's. What has no plain form can still be a constant: it becomes ``{opaque: [digest, type]}``, named
by the digest of its pickled bytes, and the object itself is handed back beside the data.

The functions have numpy's names and order of arguments and only note what they were given; whether the arguments
make sense is judged together with everything else in the definition.
"""

from __future__ import annotations

import builtins
import hashlib
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.definition.checks import Wrong
from swath.definition.places import Path, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSET: Final = object()
"""Stands for a ``was`` that was not given; None is a value."""

_PLAIN: Final = frozenset((bool, int, float, str, type(None)))
_EXPECTED: Final = "values are numbers, text, True, False, None, and lists and mappings of these"


@dataclass(frozen=True, slots=True)
class Form:
    """A value form, as one of the functions below noted it.

    Attributes
    ----------
    kind : str
        Its name in a file.
    arguments : object
        What stands beside that name.
    when : str or None
        Condition over earlier parameters.
    was : object
        What older rows count as having had.
    until, max : str or None, int or None
        Of `seeds`: when there are enough, and how many there may be.
    step : float or None
        What drawn numbers are multiples of.
    """

    kind: str
    arguments: object
    when: str | None = None
    was: object = _UNSET
    until: str | None = None
    max: int | None = None
    step: float | None = None

    def mapping(self) -> dict[str, object]:
        """Return the form as a file would say it."""
        made = {self.kind: self.arguments}
        if self.when is not None:
            made["when"] = self.when
        if self.was is not _UNSET:
            made["was"] = self.was
        made |= {key: found for key in ("until", "max", "step") if (found := getattr(self, key)) is not None}
        return made


def values(values: object, *, when: str | None = None, was: object = _UNSET) -> Form:
    """Return the given values, for a parameter that also needs ``when`` or ``was``; otherwise a plain list will do.

    Parameters
    ----------
    values : sequence
        What the parameter takes, one after the other.
    when : str, optional
        Condition over earlier parameters; where it is false, this one is absent.
    was : object, optional
        What rows that were saved before the parameter existed count as having had.
    """
    return Form("values", values, when, was)


def linspace(start: float, stop: float, num: int, *, when: str | None = None, was: object = _UNSET) -> Form:
    """Return ``num`` evenly spaced numbers from ``start`` to ``stop``, both included.

    ``when`` and ``was`` are as for `values`.
    """
    return Form("linspace", [start, stop, num], when, was)


def geomspace(start: float, stop: float, num: int, *, when: str | None = None, was: object = _UNSET) -> Form:
    """Return ``num`` numbers from ``start`` to ``stop``, both included, each a constant multiple of the one before.

    ``when`` and ``was`` are as for `values`.
    """
    return Form("geomspace", [start, stop, num], when, was)


def logspace(start: float, stop: float, num: int, *, when: str | None = None, was: object = _UNSET) -> Form:
    """Return ``num`` numbers from 10**start to 10**stop, both included, evenly spaced in the exponent.

    ``when`` and ``was`` are as for `values`.
    """
    return Form("logspace", [start, stop, num], when, was)


def range(*arguments: float, when: str | None = None, was: object = _UNSET) -> Form:  # noqa: A001 - the name in the file
    """Return numbers from ``start`` (0) up to and without ``stop``, by ``step`` (1), exact in decimal.

    Takes one to three arguments as Python's own ``range``, floats allowed; ``when`` and ``was`` are as for `values`.
    """
    return Form("range", list(arguments), when, was)


def seeds(
    count: int,
    *,
    until: str | None = None,
    max: int | None = None,  # noqa: A002 - the name in the file
    when: str | None = None,
    was: object = _UNSET,
) -> Form:
    """Return ``count`` seeds in [0, 2^31), the same for every combination of the other parameters.

    They follow from the definition's ``seed``; more seeds begin with the same ones.

    Parameters
    ----------
    count : int
        How many.
    until : str, optional
        Add replicates, combination by combination, until this holds, such as ``"se(error) < 0.01"``.
    max : int, optional
        With ``until``: how many replicates a combination may have at most.
    when, was
        As for `values`.
    """
    return Form("seeds", count, when, was, until, max)


# Distributions, of which ``sample`` draws.


def uniform(
    low: float, high: float, step: float | None = None, *, when: str | None = None, was: object = _UNSET
) -> Form:
    """Draw numbers between ``low`` and ``high``, all as likely; with ``step`` only ``low + k * step``.

    They are whole numbers if ``low`` and ``step`` are. ``when`` and ``was`` are as for `values`.
    """
    return Form("uniform", [low, high], when, was, step=step)


def loguniform(
    low: float, high: float, step: float | None = None, *, when: str | None = None, was: object = _UNSET
) -> Form:
    """Draw numbers between ``low`` and ``high``, of which all logarithms are as likely; ``step`` rounds to its multiples.

    They are whole numbers if ``step`` is. ``when`` and ``was`` are as for `values`.
    """
    return Form("loguniform", [low, high], when, was, step=step)


def normal(
    mean: float, sd: float, step: float | None = None, *, when: str | None = None, was: object = _UNSET
) -> Form:
    """Draw normally distributed numbers, with this standard deviation; ``step`` rounds to its multiples.

    ``when`` and ``was`` are as for `values`.
    """
    return Form("normal", [mean, sd], when, was, step=step)


def lognormal(
    mean: float, sd: float, step: float | None = None, *, when: str | None = None, was: object = _UNSET
) -> Form:
    """Draw numbers whose natural logarithm is normally distributed, with this mean and standard deviation.

    ``step`` rounds the numbers themselves to its multiples. ``when`` and ``was`` are as for `values`.
    """
    return Form("lognormal", [mean, sd], when, was, step=step)


def integers(
    low: int, high: int, step: int | None = None, *, when: str | None = None, was: object = _UNSET
) -> Form:
    """Draw whole numbers from ``low`` to ``high``, both included; with ``step`` only ``low + k * step``.

    ``when`` and ``was`` are as for `values`.
    """
    return Form("integers", [low, high], when, was, step=step)


def choice(values: object, *, when: str | None = None, was: object = _UNSET) -> Form:
    """Draw some of these values, of any type, all as likely; ``when`` and ``was`` are as for `values`."""
    return Form("choice", values, when, was)


@dataclass(frozen=True, slots=True)
class Plain:
    """A definition as plain data.

    Attributes
    ----------
    mapping : dict
        What a file would hold.
    constants : dict of str to object
        The objects behind ``{opaque: [digest, type]}``, by digest.
    problems : list of Problem
        Values that have no plain form.
    """

    mapping: dict[str, object] = field(default_factory=dict)
    constants: dict[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def plain(mapping: Mapping[str, object], table: Callable[[Any], object]) -> Plain:
    """Turn a definition written in Python into plain data; keys whose value is None are left out.

    Parameters
    ----------
    mapping : mapping
        Keys as in a file.
    table : callable
        Turns a DataFrame into a mapping of columns to lists; may raise `Wrong`.
    """
    made = Plain()
    for key, value in mapping.items():
        if value is None:
            continue
        if key == "parameters":
            made.mapping[key] = _blocks(value, made)
        elif key == "table" and _is_pandas(value, "DataFrame"):
            made.mapping[key] = _noted(made, (key,), table, value)
        else:
            made.mapping[key] = _noted(made, (key,), data, value)
    return made


def _blocks(value: object, made: Plain) -> object:
    if isinstance(value, list | tuple):
        return [_parameters(block, made, ("parameters", i)) for i, block in enumerate(value)]
    return _parameters(value, made, ("parameters",))


def _parameters(block: object, made: Plain, path: Path) -> object:
    if not isinstance(block, Mapping):
        return block if type(block) in _PLAIN else repr(block)
    return {
        name: _noted(made, (*path, name), lambda v: _parameter(v, made), value)
        for name, value in block.items()
    }


def _noted(made: Plain, path: Path, convert: Callable[[Any], object], value: object) -> object:
    """Return the converted value; None, and a problem beside it, if there is no plain form."""
    try:
        return convert(value)
    except Wrong as wrong:
        made.problems.append(Problem((*path, *wrong.path), wrong.text, wrong.hint))
    except RecursionError:
        made.problems.append(Problem(path, "nested without end, or too deep"))
    return None


def _parameter(value: object, made: Plain) -> object:
    if isinstance(value, Form):
        return data(value.mapping())
    if isinstance(value, builtins.range):
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, AbstractSet | Iterator):
        kind = type(value).__name__
        raise Wrong(
            f"a {kind} has no lasting order, so its points would have no index",
            f"write sorted(...) or list(...), got {kind}",
        )
    try:
        return data(value)
    except Wrong:
        if isinstance(value, list | tuple | Mapping | np.ndarray):
            raise
        return _opaque(value, made)


def _opaque(value: object, made: Plain) -> object:
    import cloudpickle  # noqa: PLC0415 - 20 ms that only definitions with such a constant pay

    try:
        pickled = cloudpickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - pickling runs code of the object's class
        kind = type(value).__name__
        raise Wrong(
            f"this {kind} cannot travel to other processes: {error}",
            "pass what it is made of, and make it in the objective",
        ) from None
    digest = hashlib.blake2b(pickled, digest_size=16).hexdigest()
    made.constants[digest] = value
    return {"opaque": [digest, f"{type(value).__module__}.{type(value).__qualname__}"]}


def data(value: object) -> object:
    """Return a value as plain data: dict, list, str, int, float, bool, None.

    Raises
    ------
    Wrong
        For a value that has no such form.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return _listed(value)
    if isinstance(value, Mapping):
        return {_text(key): _inner(inner, key) for key, inner in value.items()}
    if isinstance(value, builtins.range):
        return list(value)
    if isinstance(value, np.ndarray | np.generic) or _is_pandas(value, "Series", "Index"):
        return _unwrapped(value)
    return _base(value)


def _listed(value: list[object] | tuple[object, ...]) -> list[object]:
    if set(map(type, value)) <= _PLAIN:
        return list(value)
    return [_inner(item, i) for i, item in enumerate(value)]


def _inner(value: object, key: str | int) -> object:
    try:
        return data(value)
    except Wrong as wrong:
        raise Wrong(wrong.text, wrong.hint, (key, *wrong.path)) from None


def _text(key: object) -> str:
    if not isinstance(key, str):
        raise Wrong(f"a key must be text, got {key!r}")
    return str.__str__(key)


def _unwrapped(value: Any) -> object:
    unwrapped = value.tolist()
    if isinstance(unwrapped, np.generic):  # a longdouble unwraps to itself
        return float(unwrapped) if isinstance(unwrapped, np.floating) else _base(unwrapped)
    return data(unwrapped)


def _base(value: object) -> object:
    """Strip a subclass (an enum's member, say) down to the plain type that it is."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    raise Wrong(f"a value of type {type(value).__name__}", _EXPECTED)


def _is_pandas(value: object, *names: str) -> bool:
    pandas = sys.modules.get("pandas")  # who has such a value has imported it
    return pandas is not None and isinstance(value, tuple(getattr(pandas, name) for name in names))
