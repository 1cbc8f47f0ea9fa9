"""The space of a sweep: lazy, addressed by index, vectorised both ways.

Theory of operation
-------------------
An index counts *candidates* (`swath.space.candidates`): the points of a union of products, before ``where``. They are
computed, never listed: 10^12 of them cost what their axes cost. A ``where`` is applied to columns of points
by whoever holds them, so nobody scans a product beforehand. *Positions* are the order of the sweep: a
computed one-to-one map of the indices.

Points are the same if the same parameters are active with the same content. An index is a place in one
space; `match` finds the points of an earlier definition in this one (`swath.space.matching`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swath.errors import UsageError
from swath.space import counting
from swath.space.axes import Axis
from swath.space.candidates import Candidates
from swath.space.expressions import Expression
from swath.space.matching import Matching
from swath.space.operations import truth
from swath.space.ordering import Permutation, arrangement
from swath.space.points import Points
from swath.space.proposals import Proposals, Proposed
from swath.space.values import (
    ABSENT,
    Opaque,
    Value,
    arange,
    canonical,
    content_id,
    geomspace,
    linspace,
    logspace,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = [
    "ABSENT",
    "Axis",
    "Opaque",
    "Points",
    "Proposals",
    "Space",
    "arange",
    "canonical",
    "geomspace",
    "linspace",
    "logspace",
]


class Space:
    """A union of blocks of axes.

    Parameters
    ----------
    blocks : sequence of sequences of Axis
        In order. A point that an earlier block contains is left out.
    where : Expression, optional
        What points must satisfy; may read parameters and derived columns. Absent parameters make it false.
    derive : mapping of str to Expression, optional
        More columns; each may read parameters and the derived columns before it.
    order : {"grid", "shuffle"}
        As written, the last axis fastest; or a permutation that follows from ``root``.
    root : int
        The root of all randomness.
    names : sequence of str
        The parameters in the order in which people see them, where that is not the order of the axes.

    Attributes
    ----------
    size : int
        Number of candidates; ``len`` is the same.
    names : tuple of str
        All parameters, in order of first appearance if no other was given.
    derived : tuple of str
        The derived columns.
    proposals : Proposals or None
        What has been proposed so far, if points are proposed by a search.

    Raises
    ------
    ExpressionError
        An expression reads what there is not, or conditions combine in too many ways.
    UsageError
        There are more than 2^63 - 1 candidates, or a name stands twice.
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[Axis]],
        *,
        where: Expression | None = None,
        derive: Mapping[str, Expression] | None = None,
        order: Literal["grid", "shuffle"] = "grid",
        root: int = 0,
        names: Sequence[str] = (),
    ) -> None:
        self.blocks = tuple(tuple(axes) for axes in blocks)
        self.where = where
        self.derive = dict(derive or {})
        self.order = order
        self.root = root
        self.candidates = Candidates(self.blocks, self.derive, names)
        if where is not None:
            self.candidates.check("`where`", where)
        self.size = self.candidates.size
        self.names = self.candidates.names
        self.derived = tuple(self.derive)
        self.proposals = _book(self)
        self._matching: Matching | None = None

    @property
    def seeds(self) -> frozenset[str]:
        """Parameters made by ``seeds``: their numbers mean nothing."""
        axes = (axis for block in self.blocks for axis in block)
        return frozenset(
            name for axis in axes if axis.form and axis.form[0] == "seeds" for name in axis.names
        )

    @property
    def replicates(self) -> tuple[str, ...]:
        """Parameters that only tell repetitions apart: those made by ``seeds``, and one named ``seed``."""
        seeds = self.seeds
        return tuple(name for name in self.names if name in seeds or name == "seed")

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"<Space of {self.size:,} points: {', '.join(self.names)}>"

    # Order.

    @cached_property
    def _permutation(self) -> Permutation | None:
        return arrangement(self.order, self.size, self.root)

    def indices(self, start: int, stop: int) -> Integers:
        """Return the indices at positions [start, stop)."""
        return self.at(np.arange(start, stop, dtype=np.int64))

    def at(self, positions: Integers) -> Integers:
        """Return the indices at some positions."""
        positions = np.asarray(positions, dtype=np.int64)
        return positions if self._permutation is None else self._permutation.forward(positions)

    def positions(self, indices: Integers) -> Integers:
        """Return the positions of indices."""
        indices = np.asarray(indices, dtype=np.int64)
        return indices if self._permutation is None else self._permutation.inverse(indices)

    @property
    def known(self) -> int:
        """How many points, from the first on, are known: all, or as many as a search has proposed."""
        book = self.proposals
        return self.size if book is None else self.size // book.points * book.known

    def proposed(self, start: int, stop: int) -> range:
        """Return the numbers of the proposals that the points at positions [start, stop) are made of."""
        if self.proposals is None or start >= stop:
            return range(0)
        each = self.size // self.proposals.points  # replicates of a proposal stand together
        return range(start // each, (stop - 1) // each + 1)

    # Points.

    def columns(self, start: int, stop: int) -> Points:
        """Return the points with the indices [start, stop).

        Raises
        ------
        IndexError
            The range leaves [0, size).
        """
        return self.candidates.take(np.arange(start, stop, dtype=np.int64))

    def take(self, indices: Integers) -> Points:
        """Return the points with these indices, shape (n,), in any order.

        Raises
        ------
        IndexError
            An index is outside [0, size).
        """
        return self.candidates.take(np.asarray(indices, dtype=np.int64))

    def __getitem__(self, i: int) -> dict[str, Value]:
        """Return the active parameters of one point."""
        index = i + self.size if i < 0 else i
        if not 0 <= index < self.size:
            raise IndexError(f"there is no point {i}: the space has {self.size:,}")
        values = self.columns(index, index + 1).arguments(self.names)
        return {name: value for name, (value,) in zip(self.names, values, strict=True) if value is not ABSENT}

    def index(self, point: Mapping[str, Value]) -> int:
        """Return the index of the candidate that has exactly these active parameters, by content.

        Raises
        ------
        KeyError
            There is none.
        UsageError
            More rows are drawn than can be looked through.
        """
        return self.candidates.index(point)

    def __contains__(self, point: Mapping[str, Value]) -> bool:
        """Tell whether a point is a candidate; ``where`` is not asked."""
        try:
            self.index(point)
        except KeyError:
            return False
        return True

    def match(
        self, old: Space, indices: Integers, *, was: Mapping[str, Value], receives: Collection[str]
    ) -> Integers:
        """Find points of an earlier definition's space in this one, by content.

        Parameters
        ----------
        old : Space
            The earlier space.
        indices : ndarray of int, shape (n,)
            Points of it.
        was : mapping of str to value
            What its points count as having had, for parameters that it does not have at all, where these are active.
        receives : collection of str
            What the objective receives; derived values among it belong to the content.

        Returns
        -------
        ndarray of int, shape (n,)
            Indices in this space; -1 where it has no such point, or ``where`` excludes it.
        """
        if self._matching is None or not self._matching.serves(old.candidates, was, receives):
            self._matching = Matching(self.candidates, old.candidates, was, receives)
        found = self._matching(np.asarray(indices, dtype=np.int64))
        hits = np.flatnonzero(found >= 0)
        found[hits[~self.keep(self.take(found[hits]))]] = -1
        return found

    def content_id(self, i: int, receives: Collection[str]) -> str:
        """Return what names a point in every definition: of its parameters and the derived values received."""
        wanted = [name for name in self.derived if name in receives]
        values = self.columns(i, i + 1).arguments(wanted)
        derived = {name: value for name, (value,) in zip(wanted, values, strict=True) if value is not ABSENT}
        return content_id({**self[i], **derived})

    # Which points count.

    def keep(self, points: Points) -> NDArray[np.bool_]:
        """Return which points satisfy ``where``, shape (n,).

        Raises
        ------
        ExpressionError
            It cannot be evaluated for one of them, which the text names.
        """
        if self.where is None:
            return np.ones(points.n, np.bool_)
        found = points.evaluate(self.where)
        true = truth(found.values)
        return true if found.present is None else true & found.present

    def is_empty(self, limit: int = 2**18) -> bool | None:
        """Tell whether ``where`` excludes every point; None if that takes looking at more than ``limit`` candidates."""
        if self.where is None or self.proposals is not None:
            return None if self.where else self.size == 0
        return counting.is_empty(self, limit)

    def count(self, limit: int = 10**8) -> tuple[int, bool]:
        """Count the points that satisfy ``where``.

        Parameters
        ----------
        limit : int
            Candidates to look at, at most, for an exact answer; 10^8 take some seconds. A tenth where values are drawn.

        Returns
        -------
        points : int
            How many.
        exact : bool
            False: estimated, from a sample that is always the same.
        """
        if self.where is None or self.proposals is not None:  # what is not proposed yet cannot be counted
            return self.size, self.where is None
        return counting.count(self, limit)

    # To other processes, and back.

    def spec(self) -> dict[str, Any]:
        """Describe the space in JSON, briefly; `from_spec` makes it again."""
        return {
            "blocks": [[axis.spec() for axis in axes] for axes in self.blocks],
            "where": self.where.text if self.where else None,
            "derive": {name: expression.text for name, expression in self.derive.items()},
            "order": self.order,
            "root": self.root,
            "names": list(self.names),
        }

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Space:
        """Make the space that `spec` described."""
        return cls(
            [[Axis.from_spec(axis) for axis in axes] for axes in spec["blocks"]],
            where=Expression(spec["where"]) if spec["where"] else None,
            derive={name: Expression(text) for name, text in spec["derive"].items()},
            order=spec["order"],
            root=spec["root"],
            names=spec["names"],
        )


def _book(space: Space) -> Proposals | None:
    """Return the book of a search's axis, if there is one; its points must stand in the order of its proposals."""
    axes = [
        (block, i)
        for block in space.blocks
        for i, axis in enumerate(block)
        if isinstance(axis.values[0], Proposed)
    ]
    if not axes:
        return None
    block, i = axes[0]
    if len(space.blocks) > 1 or len(axes) > 1:
        raise UsageError("a search proposes the points of one block of parameters; leave the others out")
    if space.order != "grid" or any(len(axis) > 1 for axis in block[:i]) or all(block[i].conditions):
        raise UsageError(
            "points of a search stand in the order of its proposals: leave out `order`, and what varies before it"
        )
    values = block[i].values[0]
    assert isinstance(values, Proposed)  # noqa: S101  # for the type checker
    return values.book
