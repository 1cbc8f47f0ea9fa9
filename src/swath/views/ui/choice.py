"""What a person has chosen of a run, as it stands in an address: a filter, ranges on axes, or points one by one.

A filter makes a smaller study, on the axes of the whole one. Ranges are places in [0, 1] on these axes, as figures draw
them; so the same range means the same rows in a browser, which has a sample, and here, where all of them are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.errors import UsageError
from swath.ranges import RangeSet
from swath.views.figures.axes import RAIL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from swath.views.figures.study import Study

CLOSE: Final = 1e-6
"""Part of an axis within which a browser, which has 32 bits for a place, may see a row on the other side of an end."""


@dataclass(frozen=True, slots=True)
class Between:
    """A range of one axis, in places on it; both ends belong to it. No name means the order in which points finished."""

    name: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low!r}:{self.high!r}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Between:
        """Read what `str` has written.

        Raises
        ------
        UsageError
            It is no range.
        """
        low, _, rest = text.partition(":")
        high, _, name = rest.partition(":")
        try:
            made = cls(name, float(low), float(high))
        except ValueError:
            made = cls(name, nan, nan)
        if isnan(made.low) or isnan(made.high):
            raise UsageError(f"{text[:80]!r} is no range of an axis; expected LOW:HIGH:NAME, as 0.2:0.5:beta")
        return made

    def within(self, study: Study) -> NDArray[np.bool_]:
        """Tell which rows of a study are in it.

        Raises
        ------
        UsageError
            The study has no such axis.
        """
        if self.name and self.name not in study.axes:
            raise UsageError(f"there is no axis {self.name[:80]!r}, there is {', '.join(study.axes)}")
        if self.name:
            places = np.nan_to_num(study.axes[self.name].unit(study.columns[self.name]), nan=RAIL)
        else:
            places = np.empty(len(study))
            places[study.finished] = np.arange(1, len(study) + 1) / max(1, len(study))
        inside: NDArray[np.bool_] = (places >= self.low - CLOSE) & (places <= self.high + CLOSE)
        return inside


@dataclass(frozen=True, slots=True)
class Map:
    """Which heat map is shown: two parameters, perhaps a third that tells maps apart, and what a cell says; empty: any."""

    x: str = ""
    y: str = ""
    facet: str = ""
    statistic: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen; everything must hold.

    Attributes
    ----------
    where : str
        An expression on the columns of the frame; empty: no filter.
    between : tuple of Between
        Ranges that were brushed.
    points : RangeSet or None
        Points that were chosen one by one; None: by nothing of that kind.
    map : Map
        What the heat map shows; it chooses no rows.
    """

    where: str = ""
    between: tuple[Between, ...] = ()
    points: RangeSet | None = None
    map: Map = Map()

    @classmethod
    def parse(cls, arguments: Mapping[str, Sequence[bytes]]) -> Choice:
        """Read the query of an address.

        Raises
        ------
        UsageError
            There is something in it that is no selection.
        """
        words = {
            name: [item.decode("utf-8", "replace") for item in items] for name, items in arguments.items()
        }
        points = "".join(words.get("points", []))
        try:
            ranges = RangeSet.parse(points) if points else None
        except (ValueError, OverflowError) as error:
            raise UsageError(f"points={points[:80]!r}: expected ranges of indices, as 0-4,7") from error
        return cls(
            where="".join(words.get("where", [])).strip(),
            between=tuple(map(Between.parse, words.get("between", []))),
            points=ranges,
            map=Map(**{item.name: "".join(words.get(item.name, [])) for item in fields(Map)}),
        )

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parts of an address that say the same."""
        parts = [("where", self.where)] if self.where else []
        parts += [("between", str(item)) for item in self.between]
        parts += [("points", str(self.points))] if self.points is not None else []
        return parts + [(name, text) for name, text in asdict(self.map).items() if text]

    def within(self, study: Study) -> NDArray[np.bool_]:
        """Tell which rows of a study are within all ranges, and among the points.

        Raises
        ------
        UsageError
            The study has no such axis.
        """
        held = np.ones(len(study), dtype=bool)
        for item in self.between:
            held &= item.within(study)
        if self.points is not None:
            held &= self.points.contains_array(study.points)
        return held


def part(study: Study, rows: NDArray[np.int64]) -> Study:
    """Return some rows of a study, on the same axes."""
    aligned = ("points", "status", "seconds", "started", "attempts", "worker")
    kept: dict[str, Any] = {name: getattr(study, name)[rows] for name in aligned}
    failure = np.asarray(study.failure, dtype=object)
    return replace(
        study,
        **kept,
        columns={name: column[rows] for name, column in study.columns.items()},
        texts={name: [texts[row] for row in rows.tolist()] for name, texts in study.texts.items()},
        failure=failure[rows].tolist() if len(failure) else (),
        pending={},
        total=len(rows),
        excluded=0,
    )
