"""How many points a ``where`` leaves: counted where that is quick, else estimated.

Theory of operation
-------------------
A ``where`` reads few parameters. In a block that is a plain product, every combination of those stands for as many points
as the other axes have together, so only a *shadow* of the block is looked at: these combinations. What is drawn depends on what its
conditions read too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swath.space.ordering import Permutation, subkey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swath.space import Space

    Integers = NDArray[np.int64]

_SAMPLE = 10**6
"""Candidates that an estimate looks at: a share of one half is known to 0.05 %."""
_CHUNK = 2**16
"""Candidates that are looked at together: their columns stay in the processor's cache."""


def is_empty(space: Space, limit: int) -> bool | None:
    """Do as `Space.is_empty`."""
    left = limit
    for number in range(len(space.blocks)):
        shadow = _shadow(space, number)
        start, length = 0, 64
        while start < shadow.size:
            if left <= 0:
                return None
            stop = min(start + length, shadow.size, start + left)
            if space.keep(space.take(shadow.indices(start, stop))).any():
                return False
            left -= stop - start
            start, length = stop, min(4 * length, _CHUNK)  # usually the first few are enough
    return True


def count(space: Space, limit: int) -> tuple[int, bool]:
    """Do as `Space.count`."""
    if any(axis.lazy for block in space.blocks for axis in block):
        limit //= 10  # drawing costs more than looking values up
    shadows = [_shadow(space, number) for number in range(len(space.blocks))]
    if sum(shadow.size for shadow in shadows) > limit:
        return _estimate(space), False
    return sum(_kept(space, shadow) for shadow in shadows), True


def _reads(space: Space) -> set[str]:
    """Return the parameters that ``where`` depends on, through derived columns too."""
    read: set[str] = set()
    pending = set(space.where.names if space.where else ())
    while pending:
        name = pending.pop()
        if name in read:
            continue
        read.add(name)
        pending |= set(space.derive[name].names) if name in space.derive else _conditions(space, name)
    return read


def _conditions(space: Space, name: str) -> set[str]:
    """Return what decides whether a point has a parameter that is drawn."""
    axes = [axis for block in space.blocks for axis in block if axis.lazy and name in axis.names]
    return {read for axis in axes for when in axis.whens if when for read in when.names} - {name}


def _shadow(space: Space, number: int) -> _Shadow:
    """Return the least part of a block that tells how many of its points ``where`` keeps."""
    block, offset = space.candidates.blocks[number], space.candidates.offsets[number]
    if not block.plain:
        return _Shadow(block.size, 1, offset, (), ())
    read = _reads(space)
    widths = [len(axis) for axis in block.axes]
    decide = [i for i, axis in enumerate(block.axes) if read.intersection(axis.names)]
    strides = tuple(math.prod(widths[i + 1 :]) for i in decide)
    size = math.prod(widths[i] for i in decide)
    return _Shadow(size, block.size // size, offset, tuple(widths[i] for i in decide), strides)


def _kept(space: Space, shadow: _Shadow) -> int:
    found = 0
    for start in range(0, shadow.size, _CHUNK):
        points = space.take(shadow.indices(start, min(start + _CHUNK, shadow.size)))
        found += int(space.keep(points).sum())
    return found * shadow.weight


def _estimate(space: Space) -> int:
    drawn = min(_SAMPLE, space.size)
    sample = Permutation(space.size, subkey("estimate", 0)).forward(np.arange(drawn, dtype=np.int64))
    kept = sum(
        int(space.keep(space.take(chunk)).sum()) for chunk in np.array_split(sample, max(1, drawn // _CHUNK))
    )
    return kept * space.size // drawn


@dataclass(frozen=True, slots=True)
class _Shadow:
    """Some points of a block, each standing for ``weight`` that differ from it only where ``where`` does not look."""

    size: int
    weight: int
    offset: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]

    def indices(self, start: int, stop: int) -> Integers:
        """Return the indices of the shadow's points [start, stop)."""
        rest = np.arange(start, stop, dtype=np.int64)
        if not self.widths:
            return rest + self.offset
        indices = np.full(len(rest), self.offset)
        for code, stride in zip(np.unravel_index(rest, self.widths), self.strides, strict=True):
            indices += code * stride
        return indices
