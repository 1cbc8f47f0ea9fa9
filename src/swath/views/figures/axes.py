"""Axes: what a parameter or a metric can be, where its values lie on a line, and into which cells it is divided.

Theory of operation. Everything that is drawn lies at a *coordinate*, a float: a number is its own coordinate, a value of
any other type (text, bool, None, list, or several types on one axis) has the place of its category, 0, 1, 2, ... A
missing value is NaN. So columns of coordinates are all that figures compute with, and an axis turns them into words.

A numeric axis is logarithmic where its values are spread so: evenly in their logarithms rather than in themselves.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from swath.views.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Kind = Literal["linear", "log", "category"]

MANY: Final = 60
"""Cells of an axis at most."""
FEWEST, STEPS = 6, 24
"""Cells of an axis whose numbers are scattered, not a grid's: of few, and of many numbers."""
KNOWN: Final = 4096
"""Distinct numbers that an axis remembers."""
RAIL: Final = -0.12
"""Where missing values stand below an axis of length 1."""
LABEL, CELL, LONG = 24, 60, 400
"""Columns of a label on an axis, of what a cell holds, of a value in a table."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Where the values of one name lie.

    Attributes
    ----------
    name : str
        A parameter, derived value or metric.
    kind : {"linear", "log", "category"}
        Numbers, or categories.
    values : tuple
        Of a category axis every value, in order: coordinate i is ``values[i]``. Of a numeric axis its distinct
        numbers, ascending, if they are few; otherwise empty.
    low, high : float
        Smallest and largest coordinate; NaN where there is none.
    whole : bool
        Whether all are integers.
    steps : int
        Into how many cells an axis is divided whose numbers are scattered.
    """

    name: str
    kind: Kind
    values: tuple[Any, ...]
    low: float
    high: float
    whole: bool = False
    steps: int = STEPS

    @classmethod
    def numeric(cls, name: str, numbers: Floats, *, whole: bool = False) -> Axis:
        """Make an axis that has all of these numbers; NaN and infinities do not count.

        Parameters
        ----------
        name : str
            The parameter or metric.
        numbers : ndarray of float, shape (n,)
            In any order, repeated or not.
        whole : bool
            Whether they are integers.
        """
        finite = numbers[np.isfinite(numbers)]
        if not len(finite):
            return cls(name, "linear", (), math.nan, math.nan, whole)
        low, high = float(finite.min()), float(finite.max())
        distinct = np.unique(finite)
        kind: Kind = "log" if _is_geometric(distinct) else "linear"
        known = tuple(distinct.tolist()) if len(distinct) <= KNOWN else ()
        return cls(name, kind, known, low, high, whole, _steps(len(finite)))

    @classmethod
    def scattered(
        cls,
        name: str,
        numbers: Floats,
        bounds: tuple[float, float] = (math.nan, math.nan),
        *,
        log: bool = False,
        whole: bool = False,
    ) -> Axis:
        """Make an axis of which any number may come, so that none of them is a value of its own.

        Parameters
        ----------
        name : str
            The parameter.
        numbers : ndarray of float, shape (n,)
            Those that came; NaN and infinities do not count.
        bounds : tuple of two floats
            What lies between them may come; NaN where there is no bound.
        log, whole : bool
            Whether their logarithms are spread evenly, and whether they are integers.
        """
        finite = numbers[np.isfinite(numbers)]
        ends = np.append(finite, [bound for bound in bounds if math.isfinite(bound)])
        low, high = (float(ends.min()), float(ends.max())) if len(ends) else (math.nan, math.nan)
        kind: Kind = "log" if log and low > 0 else "linear"
        return cls(name, kind, (), low, high, whole, _steps(len(finite)))

    @classmethod
    def categories(cls, name: str, values: Sequence[Any]) -> Axis:
        """Make an axis of distinct values of any type, in their order."""
        return cls(name, "category", tuple(values), 0.0 if values else math.nan, float(len(values) - 1))

    @property
    def is_numeric(self) -> bool:
        """Whether coordinates are the values themselves."""
        return self.kind != "category"

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return self.high > self.low

    def label(self, coordinate: float) -> str:
        """Write the value at a coordinate, in plain text of some digits."""
        if math.isnan(coordinate):
            return "none"
        if not self.is_numeric:
            return words(self.values[int(coordinate)])
        return number(coordinate, whole=self.whole)

    def unit(self, coordinates: Floats) -> Floats:
        """Map [low, high] to [0, 1], logarithmically where the axis is so; categories evenly, a single value to 0.5."""
        if not self.varies:
            return np.where(np.isnan(coordinates), np.nan, 0.5)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.log(coordinates) if self.kind == "log" else coordinates.astype(float)
        low, high = (math.log(self.low), math.log(self.high)) if self.kind == "log" else (self.low, self.high)
        return np.clip((scaled - low) / (high - low), 0, 1)

    def ticks(self, most: int = 7) -> dict[float, str]:
        """Choose what to write along the axis: labels by their place in [0, 1], ascending, at most ``most``."""
        if math.isnan(self.low):
            return {}
        if not self.is_numeric or 0 < len(self.values) <= most:
            every = self.values if self.is_numeric else range(len(self.values))
            places = list(every)[:: math.ceil(len(every) / most)]
        else:
            places = _nice(self.low, self.high, most, logarithmic=self.kind == "log")
            if self.whole:
                places = [place for place in places if place == round(place)]
        found = self.unit(np.array(places, dtype=float)).tolist()
        return {unit: cut(self.label(place), LABEL) for unit, place in zip(found, places, strict=True)}

    def cells(self) -> Cells:
        """Divide the axis: a cell for each value, or for some in a row of a fine grid, or steps of equal width."""
        if len(self.values) <= MANY and (self.values or not self.varies):
            return _cells_of_values(self, 1)
        if not self.is_numeric or (self.values and _is_grid(self)):
            return _cells_of_values(self, math.ceil(len(self.values) / MANY))
        spaced = np.geomspace if self.kind == "log" else np.linspace
        edges = spaced(self.low, self.high, self.steps + 1)
        labels = tuple(f"{number(a)} to {number(b)}" for a, b in pairwise(edges.tolist()))
        marks = {unit * self.steps: text for unit, text in self.ticks().items()}
        return Cells(edges, labels, tuple(f"{a:.2g}" for a in edges[:-1].tolist()), marks)


@dataclass(frozen=True, eq=False)
class Cells:
    """An axis in m cells, in the order of their values.

    Attributes
    ----------
    edges : ndarray of float, shape (m + 1,)
        Coordinates; cell i is [edges[i], edges[i + 1]), the last one closed.
    labels : tuple of str
        What each holds, in full.
    ticks : tuple of str
        The same in short, for the axis.
    marks : mapping of float to str
        If cells are steps between scattered numbers: round numbers, by their place among the cells, in [0, m].
    """

    edges: Floats
    labels: tuple[str, ...]
    ticks: tuple[str, ...]
    marks: Mapping[float, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def codes(self, coordinates: Floats) -> NDArray[np.int64]:
        """Return the cell of each coordinate, -1 where it is missing."""
        found = np.searchsorted(self.edges[1:-1], coordinates, side="right")
        return np.where(np.isnan(coordinates), -1, found)


def _cells_of_values(axis: Axis, size: int) -> Cells:
    """Make a cell of every ``size`` values."""
    places = np.asarray(axis.values if axis.is_numeric else range(len(axis.values)), dtype=float)
    labels = [cut(axis.label(place), CELL) for place in places.tolist()]
    between = np.sqrt(places[1:] * places[:-1]) if axis.kind == "log" else (places[1:] + places[:-1]) / 2
    edges = np.concatenate(([-np.inf], between[size - 1 :: size], [np.inf])) if labels else np.empty(0)
    groups = [labels[i : i + size] for i in range(0, len(labels), size)]
    told = tuple(group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups)
    return Cells(edges, told, tuple(cut(group[0], LABEL) for group in groups))


def _steps(n: int) -> int:
    """Return so many steps that two such axes have some numbers in most of their cells."""
    return min(STEPS, max(FEWEST, round(0.4 * math.sqrt(n))))


def _is_grid(axis: Axis) -> bool:
    """Tell whether the numbers of an axis are evenly spaced on its scale."""
    places = np.asarray(axis.values, dtype=float)
    return _unevenness(np.diff(np.log(places) if axis.kind == "log" else places)) < 0.05


def _is_geometric(distinct: Floats) -> bool:
    """Tell whether ascending numbers are spread evenly on a logarithmic scale rather than on a linear one."""
    low, high = distinct[0], distinct[-1]
    if len(distinct) < 3 or low <= 0 or high < 4 * low:
        return False
    if len(distinct) <= MANY:
        plain_steps, log_steps = np.diff(distinct), np.diff(np.log(distinct))
        return bool(_unevenness(log_steps) < 0.5 * _unevenness(plain_steps))
    middle = float(np.median(distinct))
    return bool(high >= 30 * low and (middle - low) < 0.2 * (high - low))


def _unevenness(steps: Floats) -> float:
    part = steps / np.max(steps)  # squares of large numbers are infinite
    return float(np.std(part) / np.mean(part))


def _nice(low: float, high: float, most: int, *, logarithmic: bool) -> list[float]:
    """Return round numbers in [low, high], about as many as asked for."""
    if logarithmic:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0**decade for decade in decades for digit in digits]
            found = [place for place in found if low * 0.999 <= place <= high * 1.001]
            if 2 <= len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)] or [low, high]
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)] or [low, high]


def number(value: float, *, whole: bool = False) -> str:
    """Write a number for people: four digits, integers in full."""
    if whole and math.isfinite(value) and abs(value) < 1e15:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.4g}"


def words(value: Any) -> str:
    """Write a value of any type on one line, printable, of at most `LONG` columns."""
    if value is None:
        return "null"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float):
        return number(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        shown = ", ".join(words(part) for part in value[:6])
        return cut(f"[{shown}{', …' if len(value) > 6 else ''}]", 80)
    return harmless(cut(plain(json.dumps(value, default=str) if isinstance(value, dict) else value), LONG))


def harmless(text: str) -> str:
    r"""Part what Bokeh takes for the beginning of a formula (``$$``, ``\(``, ``\[``) by a character without width.

    A formula would have it load a typesetter from the net.
    """
    for begin in ("$$", "\\(", "\\["):
        text = text.replace(begin, f"{begin[0]}\u200b{begin[1]}")
    return text


def coded(values: Iterable[Any], known: Sequence[Any] = ()) -> tuple[Floats, tuple[Any, ...]]:
    """Turn values of any type into coordinates of categories.

    Parameters
    ----------
    values : iterable, n of them
        NaN is a missing value; None is a value like others.
    known : sequence
        Categories that come first, in this order.

    Returns
    -------
    coordinates : ndarray of float, shape (n,)
        NaN where missing.
    categories : tuple
        The known ones, and the others in the order in which they appear.
    """
    places: dict[str, int] = {}
    quick: dict[Any, int] = {}  # by type and value, for what can be hashed
    categories: list[Any] = []

    def place(value: Any) -> float:
        if isinstance(value, float) and math.isnan(value):
            return math.nan
        try:
            return quick[type(value), value]
        except (KeyError, TypeError):
            return compared(value)

    def compared(value: Any) -> int:
        found = places.setdefault(_content(value), len(categories))
        if found == len(categories):
            categories.append(value)
        if isinstance(value, str | int | float | None):
            quick[type(value), value] = found
        return found

    for value in known:
        place(value)
    coordinates = np.fromiter(map(place, values), dtype=float)
    return coordinates, tuple(categories)


def _content(value: Any) -> str:
    """Return a text that is equal for equal content: 1 is 1.0, and not true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    return json.dumps(value, sort_keys=True, default=str)
