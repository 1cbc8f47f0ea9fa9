"""RangeSet: a set of integers as disjoint half-open ranges, compact and ordered."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

FEW = 8  # ranges; as many are added one by one faster than through numpy


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
            values = np.asarray(integers, dtype=np.int64)
            if (values[1:] < values[:-1]).any():
                values = np.sort(values)  # np.unique is ten times slower
            gaps = np.flatnonzero(np.diff(values) > 1)
            made._set(values[np.append(0, gaps + 1)], values[np.append(gaps, len(values) - 1)] + 1)
        return made

    @classmethod
    def parse(cls, text: str) -> RangeSet:
        """Read what ``str`` wrote: ``"0-99,120,130-140"``, both ends included; ValueError for anything else."""
        parts = [part.partition("-") for part in text.split(",")] if text else []
        read = cls()
        read._starts = array("q", [int(first) for first, _, _ in parts])
        read._stops = array("q", [int(last or first) + 1 for first, _, last in parts])
        if any(not 0 <= start < stop for start, stop in read):
            raise ValueError(f"not ranges of integers: {text:.60}")
        made = cls()
        made.update(read)  # in whatever order they were
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
        if isinstance(other, RangeSet):
            self._merge(other)
        else:
            for start, stop in other:
                self.add(start, stop)

    def _merge(self, other: RangeSet) -> None:
        """Add many ranges at once: inserted one by one, each moves the memory behind it."""
        if len(other._starts) <= FEW:
            for start, stop in other:
                self.add(start, stop)
            return
        starts = np.frombuffer(self._starts + other._starts, np.int64)
        stops = np.frombuffer(self._stops + other._stops, np.int64)
        order = np.argsort(starts, kind="stable")
        starts, stops = starts[order], np.maximum.accumulate(stops[order])
        gaps = np.flatnonzero(starts[1:] > stops[:-1])  # touching ranges become one
        self._set(starts[np.append(0, gaps + 1)], stops[np.append(gaps, len(stops) - 1)])

    def _set(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        self._starts, self._stops = array("q", starts.tobytes()), array("q", stops.tobytes())
        self._count = int((stops - starts).sum())

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
