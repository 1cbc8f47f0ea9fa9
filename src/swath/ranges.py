"""RangeSet: a set of integers as disjoint half-open ranges, compact and ordered."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


class RangeSet:
    """A mutable set of integers in [0, 2^63), kept as sorted, disjoint, non-touching ranges [start, stop).

    A range costs 16 bytes, whatever its length; ``add``, ``discard`` and look-up are O(log n) plus a
    move of memory.

    Parameters
    ----------
    ranges : iterable of (int, int)
        Half-open ranges in any order; they may touch or overlap.
    """

    __slots__ = ("_count", "_starts", "_stops")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts = array("q")
        self._stops = array("q")
        self._count = 0
        for start, stop in ranges:
            self.add(start, stop)

    @classmethod
    def of(cls, integers: NDArray[np.int64]) -> RangeSet:
        """Gather an array of integers, in any order and with repetitions allowed."""
        made = cls()
        if len(integers):
            values = np.unique(integers).astype(np.int64)
            gaps = np.flatnonzero(np.diff(values) > 1)
            made._starts = array("q", values[np.concatenate(([0], gaps + 1))].tobytes())
            made._stops = array("q", (values[np.concatenate((gaps, [len(values) - 1]))] + 1).tobytes())
            made._count = len(values)
        return made

    @classmethod
    def parse(cls, text: str) -> RangeSet:
        """Read what ``str`` wrote: ``"0-99,120,130-140"``, both ends included; ValueError for anything else."""
        made = cls()
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            start, stop = int(first), int(last or first) + 1
            if not 0 <= start < stop:
                raise ValueError(f"{part!r} is not a range of integers")
            made.add(start, stop)
        return made

    def __str__(self) -> str:
        return ",".join(str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in self)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)!r})"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __len__(self) -> int:
        """Count the integers, not the ranges."""
        return self._count

    def __bool__(self) -> bool:
        return self._count > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __contains__(self, integer: int) -> bool:
        i = bisect_right(self._starts, integer) - 1
        return i >= 0 and integer < self._stops[i]

    def add(self, start: int, stop: int) -> None:
        """Add [start, stop); what is there already stays."""
        if start >= stop:
            return
        lo = bisect_left(self._stops, start)  # the first range that ends at or after start: touching counts
        hi = bisect_right(self._starts, stop)  # one past the last range that begins at or before stop
        if lo < hi:
            start = min(start, self._starts[lo])
            stop = max(stop, self._stops[hi - 1])
        self._replace(lo, hi, [(start, stop)])

    def discard(self, start: int, stop: int) -> None:
        """Remove [start, stop); what is not there is no error."""
        if start >= stop:
            return
        lo = bisect_right(self._stops, start)
        hi = bisect_left(self._starts, stop)
        if lo >= hi:
            return
        left = (self._starts[lo], start)
        right = (stop, self._stops[hi - 1])
        self._replace(lo, hi, [piece for piece in (left, right) if piece[0] < piece[1]])

    def _replace(self, lo: int, hi: int, pieces: list[tuple[int, int]]) -> None:
        self._count -= sum(self._stops[lo:hi]) - sum(self._starts[lo:hi])
        self._count += sum(stop - start for start, stop in pieces)
        self._starts[lo:hi] = array("q", [start for start, _ in pieces])
        self._stops[lo:hi] = array("q", [stop for _, stop in pieces])

    def update(self, other: Iterable[tuple[int, int]]) -> None:
        """Add every range of another set."""
        for start, stop in other:
            self.add(start, stop)

    def difference_update(self, other: Iterable[tuple[int, int]]) -> None:
        """Remove every range of another set."""
        for start, stop in other:
            self.discard(start, stop)

    def intersection(self, start: int, stop: int) -> RangeSet:
        """Return the part inside [start, stop)."""
        made = RangeSet()
        for i in range(bisect_right(self._stops, start), bisect_left(self._starts, stop)):
            made.add(max(start, self._starts[i]), min(stop, self._stops[i]))
        return made

    def copy(self) -> RangeSet:
        """Return an independent copy."""
        made = RangeSet()
        made._starts, made._stops, made._count = self._starts[:], self._stops[:], self._count
        return made

    def first(self, size: int) -> tuple[int, int]:
        """Return the first range, cut to at most ``size`` integers; the set must not be empty."""
        return self._starts[0], min(self._stops[0], self._starts[0] + size)

    def contains_array(self, integers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each integer whether it is in the set."""
        starts = np.frombuffer(self._starts, dtype=np.int64)
        stops = np.frombuffer(self._stops, dtype=np.int64)
        if not len(starts):
            return np.zeros(len(integers), dtype=bool)
        i = np.searchsorted(starts, integers, side="right") - 1
        inside: NDArray[np.bool_] = (i >= 0) & (integers < stops[i])
        return inside
