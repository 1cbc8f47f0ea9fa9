"""Axes: values that are tried one after the other, and where among them the values of others are.

Theory of operation
-------------------
Values are compared by *place*: every value of one axis has a place among the values of the other, or none.
Where values vary together, places are put together name by name into the place of a row (`Rows`).

The values of an axis are listed, or computed from their place: the rows of a design, of a search
(`swath.space.computed`). Nothing of a *lazy* axis is ever held for all of its rows, but where rows are looked for by
their content. Its names may be conditional one by one: whether a point has them depends on its row and on other axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.space.computed import Computed
from swath.space.expressions import Expression, column
from swath.space.ordering import seeds
from swath.space.proposals import proposed_columns
from swath.space.sampling import drawn_columns
from swath.space.values import ABSENT, Opaque, Value, arange, canonical, geomspace, key, linspace, logspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_EXACT = 2**53
"""Integers up to here are floats without loss."""

_FORMS: dict[str, Callable[..., Sequence[Value]]] = {
    "linspace": linspace,
    "geomspace": geomspace,
    "logspace": logspace,
    "range": arange,
    "seeds": seeds,
}


def _search(names: Sequence[str], told: Mapping[str, Any]) -> tuple[Computed, ...]:
    return proposed_columns(names, told["points"], told["kinds"])


def _continued(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a design from others that do not continue it: how many draws there are decides nothing but for LHS."""
    return {key: value for key, value in told.items() if key != "draws" or told["method"] == "lhs"}


_LAZY_FORMS: dict[str, Callable[[Sequence[str], Mapping[str, Any]], tuple[Computed, ...]]] = {
    "sample": drawn_columns,
    "search": _search,
}


class Series:
    """The values of one name on an axis, in the forms in which they are needed, each made at first use.

    Parameters
    ----------
    items : sequence
        n values.
    """

    def __init__(self, items: Sequence[Value]) -> None:
        self.items = items
        self.computed = items if isinstance(items, Computed) else None

    @classmethod
    def of(cls, array: NDArray[Any]) -> Series:
        """Return a series of the values of an array."""
        made = cls(array.tolist())
        made.__dict__["array"] = array
        return made

    def __len__(self) -> int:
        return len(self.items)

    @property
    def kind(self) -> np.dtype[Any]:
        """The type of `array`."""
        return self.array.dtype if self.computed is None else self.computed.kind

    @property
    def types(self) -> tuple[type, ...]:
        """The types of the values in Python."""
        return tuple(dict.fromkeys(map(type, self.items))) if self.computed is None else self.computed.types

    @cached_property
    def array(self) -> NDArray[Any]:
        """The values as expressions read them, shape (n,); of listed values only."""
        if self.computed is not None:
            raise TypeError("computed values are not listed")
        return column(self.items)

    @cached_property
    def objects(self) -> NDArray[Any]:
        """The values themselves and `ABSENT` after them, shape (n + 1,), so that every code is a place."""
        return np.fromiter((*self.items, ABSENT), dtype=object, count=len(self.items) + 1)

    def at(self, codes: Integers) -> NDArray[Any]:
        """Return the values of codes as expressions read them; any value for "inactive"."""
        codes = np.minimum(codes, len(self) - 1)
        return self.array[codes] if self.computed is None else self.computed.at(codes)

    @cached_property
    def _first(self) -> dict[Any, int]:
        """The first place of each content."""
        found: dict[Any, int] = {}
        for place, value in enumerate(self.items):
            found.setdefault(key(value), place)
        return found

    @cached_property
    def _sorted(self) -> tuple[NDArray[Any], Integers]:
        """The distinct values, ascending, and the first place of each; for numbers only."""
        return np.unique(self.array, return_index=True)

    def places_of(self, other: Series) -> Integers:
        """Return for every value of another series the place of its equal here, -1 where there is none."""
        if not _comparable(self.array, other.array):
            return np.fromiter((self._first.get(key(v), -1) for v in other.items), np.int64, len(other))
        distinct, first = self._sorted
        place = _search_for(distinct, other.array)
        return np.where(place >= 0, first[place], -1)

    def own_places(self) -> Integers:
        """Return for every value the place of its first equal."""
        return self.places_of(self)


def _comparable(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Tell whether two arrays are numbers that numpy compares as content does."""
    if not (len(left) and left.dtype.kind in "if" and right.dtype.kind in "if"):
        return False
    whole = [array for array in (left, right) if array.dtype.kind == "i"]
    if len(whole) == 1 and not (np.abs(whole[0]) <= _EXACT).all():
        return False
    return not any(np.isnan(array).any() for array in (left, right))


def _search_for(ascending: NDArray[Any], wanted: NDArray[Any]) -> Integers:
    """Return the places of numbers in an ascending array that is not empty, -1 for those not in it."""
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[place] == wanted, place, -1)


class Rows:
    """Rows of several names, found by the places of their values.

    Parameters
    ----------
    places : sequence of ndarray of int, shape (n,)
        For each name the places of the rows' values, as `Series.own_places` has them, less than ``span``.
    span : int
        Greater than every place.
    """

    def __init__(self, places: Sequence[Integers], span: int) -> None:
        self._span = span
        self._pairs: list[Integers] = []
        row = places[0]
        for place in places[1:]:
            pairs, row = np.unique(row * span + place, return_inverse=True)
            self._pairs.append(pairs)
            row = row.reshape(-1)
        self._distinct, self._first = np.unique(row, return_index=True)

    def find(self, places: Sequence[Integers]) -> Integers:
        """Return the first row that has these places, -1 where there is none; -1 among the places: no such value."""
        row = places[0]
        for pairs, place in zip(self._pairs, places[1:], strict=True):
            found = _search_for(pairs, row * self._span + place)
            row = np.where((row >= 0) & (place >= 0), found, -1)
        found = _search_for(self._distinct, row)
        return np.where((row >= 0) & (found >= 0), self._first[found], -1)


@dataclass(frozen=True)
class Axis:
    """Values that are tried one after the other; of several names where these vary together.

    Attributes
    ----------
    names : tuple of str
        Parameters, at least one.
    values : tuple of sequences
        For each name its values, all of one length. A constant is an axis of length 1. All or none are `Computed`.
    when : Expression or None
        When the axis is active; it reads parameters of axes before it. None if the values are computed.
    form : tuple or None
        How the values were made: ``("linspace", 0.1, 1.0, 50)``, ``("seeds", 10, root)``; of a design or
        search ``("sample", {...})``, ``("search", {...})``.
    whens : tuple of (Expression or None)
        If the values are computed: for each name, when a point has it. It reads names before it on this axis, and
        parameters of axes that are not computed. Where it has none of the names, the axis is inactive.
    """

    names: tuple[str, ...]
    values: tuple[Sequence[Value], ...]
    when: Expression | None = None
    form: tuple[Any, ...] | None = None
    whens: tuple[Expression | None, ...] = ()

    def __len__(self) -> int:
        return len(self.values[0])

    @property
    def lazy(self) -> bool:
        """Whether values are computed, never listed."""
        return isinstance(self.values[0], Computed)

    @property
    def known(self) -> int:
        """How many rows, from the first on, can be asked for."""
        first = self.values[0]
        return first.known if isinstance(first, Computed) else len(self)

    @cached_property
    def conditions(self) -> tuple[Expression | None, ...]:
        """For each name, when a point has it."""
        return self.whens or (self.when,) * len(self.names)

    @cached_property
    def reads(self) -> frozenset[str]:
        """What the conditions read of other axes."""
        read = frozenset(name for when in self.conditions if when for name in when.names)
        return read - frozenset(self.names)

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The values of each name."""
        return tuple(map(Series, self.values))

    @cached_property
    def design(self) -> str | None:
        """What is equal for designs of which one continues the other, row by row; None for other axes."""
        if not self.form or self.form[0] != "sample":
            return None
        conditions = [when.text if when else None for when in self.conditions]
        return canonical([list(self.names), conditions, _continued(self.form[1])])

    def repeated(self) -> tuple[int, int] | None:
        """Return the two places of the first combination that occurs again, if one does; all draws are meant."""
        if self.lazy:
            return None
        rows = self.find([series.own_places() for series in self.series])
        again = np.flatnonzero(rows != np.arange(len(self)))
        return (int(rows[again[0]]), int(again[0])) if len(again) else None

    @cached_property
    def _rows(self) -> Rows:
        return Rows([series.own_places() for series in self.series], len(self))

    def find(self, places: Sequence[Integers]) -> Integers:
        """Return the codes of combinations, the first of equal ones; -1 for what is no combination of this axis.

        Parameters
        ----------
        places : sequence of ndarray of int, shape (n,)
            For each name, places among its values; -1: none of them, ``len(axis)``: absent.
        """
        absent = np.logical_and.reduce([place == len(self) for place in places])
        found = [np.where(place == len(self), -1, place) for place in places]
        return np.where(absent, len(self), self._rows.find(found) if len(places) > 1 else found[0])

    def spec(self) -> dict[str, Any]:
        """Describe the axis in JSON, by its form if it has one."""
        made: dict[str, Any] = {"names": list(self.names)}
        if self.form is None:
            made["values"] = [[_to_json(value) for value in column_] for column_ in self.values]
        else:
            made["form"] = list(self.form)
        if any(self.whens):
            made["whens"] = [when.text if when else None for when in self.whens]
        return made if self.when is None else {**made, "when": self.when.text}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Axis:
        """Make the axis that `spec` described."""
        names, when = tuple(spec["names"]), Expression(spec["when"]) if "when" in spec else None
        if "form" not in spec:
            listed = tuple([_from_json(value) for value in column_] for column_ in spec["values"])
            return cls(names, listed, when)
        whens = tuple(Expression(text) if text else None for text in spec.get("whens", ()))
        return cls.made(names, tuple(spec["form"]), when, whens)

    @classmethod
    def made(
        cls,
        names: Sequence[str],
        form: tuple[Any, ...],
        when: Expression | None = None,
        whens: Sequence[Expression | None] = (),
    ) -> Axis:
        """Make the values of an axis from its form."""
        kind, *arguments = form
        lazy = _LAZY_FORMS.get(kind)
        values = (_FORMS[kind](*arguments),) if lazy is None else lazy(names, *arguments)
        return cls(tuple(names), values, when, form, tuple(whens))


def _to_json(value: Value) -> Any:
    """Write an opaque constant as a mapping of one key, and a mapping that looks like that inside another."""
    if isinstance(value, Opaque):
        return {"$opaque": [value.digest, value.type_name]}
    if isinstance(value, Mapping) and value.keys() & {"$opaque", "$mapping"}:
        return {"$mapping": value}
    return value


def _from_json(value: Any) -> Value:
    if isinstance(value, Mapping) and "$mapping" in value:
        return value["$mapping"]
    return Opaque(*value["$opaque"]) if isinstance(value, Mapping) and "$opaque" in value else value
