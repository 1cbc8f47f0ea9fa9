"""The points of one block as a tree: from index to codes and back, in as many steps as there are axes.

Theory of operation
-------------------
A *code* is the place of a value on its axis; an inactive axis has the code one past the last. The points of a
block, in order, are the leaves of a tree with one level for each axis. Nearly all of such a tree repeats
itself, so equal subtrees are one *state*, and each level is a few arrays over its states:

* `Product`: whatever the value, the same subtree follows, so the code is a quotient;
* `Sum`: the value decides what follows, so running totals are searched.

What makes subtrees differ are *conditions*: that an axis is active, or that the point is in an earlier block
of the union and counts there. A condition is a truth table over a few axes. Read axis by axis, a truth table
is a small automaton: its state is what remains of the table, and equal remainders are one state. A state of the
tree is what the automata of all open conditions have come to, and no more: an axis of a million values
that decides one yes or no leads to two states. At the end, a point that an earlier block contains has size 0.

Every state is on some path from the root, and no two share a path, so the sizes of one level add up to at
most the size of the tree, and running totals over all states of a level fit wherever that fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from swath.errors import ExpressionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    States = dict[object, Integers]  # what each open condition has come to, state by state

LARGEST = 2**63 - 1
"""Points that an index can count."""
MOST_BRANCHES = 10**6
"""Branches of one level that conditions may bring about; more would cost seconds and hundreds of megabytes."""


@dataclass(frozen=True, eq=False, slots=True)
class Condition:
    """A truth table.

    Attributes
    ----------
    axes : tuple of int
        What it depends on, ascending.
    table : ndarray of bool
        One dimension for each of these axes, with a place for every code, the inactive one too.
    """

    axes: tuple[int, ...]
    table: NDArray[np.bool_]


class _Automaton:
    """A condition, read axis by axis: state 0 can never hold, the first is 1, and in the end 1 holds.

    ``steps[axis][state, code]`` is the state that follows.
    """

    def __init__(self, condition: Condition) -> None:
        self.last = max(condition.axes, default=-1)
        self.possible = bool(condition.table.any())
        self.steps: dict[int, Integers] = {}
        rows = np.stack([np.zeros(condition.table.size, np.bool_), condition.table.ravel()])
        for axis, width in zip(condition.axes, condition.table.shape, strict=True):
            rows = rows.reshape(len(rows) * width, -1)
            nothing = np.zeros((1, rows.shape[1]), np.bool_)  # sorts first, and so becomes state 0
            rows, into = _distinct_rows(np.concatenate([nothing, rows]))
            self.steps[axis] = into[1:].reshape(-1, width)


def _distinct_rows(rows: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Integers]:
    """Return the distinct rows, ascending, and for each row which it is."""
    _, first, into = np.unique(np.packbits(rows, axis=1), axis=0, return_index=True, return_inverse=True)
    return rows[first], into.reshape(-1)


@dataclass(eq=False, slots=True)
class Product:
    """An axis whose value does not decide what follows.

    Attributes
    ----------
    width : int
        Number of values.
    active : ndarray of bool, shape (states,), or None
        In which states the axis is active; None: in all.
    child : ndarray of int, shape (states,)
        The state that follows.
    inner : ndarray of int, shape (states,)
        Points below that.
    """

    width: int
    active: NDArray[np.bool_] | None
    child: Integers
    inner: Any = None

    def measure(self, sizes: NDArray[Any]) -> NDArray[Any]:
        """Take the sizes of the next level's states; return those of its own."""
        self.inner = sizes[self.child]
        times = self.width if self.active is None else np.where(self.active, self.width, 1)
        return cast("NDArray[Any]", self.inner * times)

    def decode(self, state: Integers, rest: Integers) -> tuple[Integers, Integers, Integers]:
        """Return codes, the states that follow, and what remains of the indices."""
        if self.width == 1 and self.active is None:  # a constant costs nothing
            return np.broadcast_to(np.int64(0), rest.shape), _follow(self.child, state), rest
        code, rest = _divided(rest, self.inner[0] if len(self.inner) == 1 else self.inner[state])
        if self.active is not None:
            code = np.where(self.active[state], code, self.width)
        return code, _follow(self.child, state), rest

    def encode(self, state: Integers, code: Integers) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """Return how many points come before, the states that follow, and which codes are possible."""
        branch, possible = _branch(code, self.width, None if self.active is None else self.active[state])
        return branch * self.inner[state], _follow(self.child, state), possible


@dataclass(eq=False, slots=True)
class Sum:
    """An axis whose value decides what follows: a branch for every state and value, state by state.

    Attributes
    ----------
    width : int
        Number of values.
    active : ndarray of bool, shape (states,), or None
        In which states the axis is active; the others have one branch.
    first : ndarray of int, shape (states + 1,)
        Where the branches of each state begin.
    code, child : ndarray of int, shape (branches,)
        The code of each branch, and the state that follows.
    below : ndarray of int, shape (branches + 1,)
        Points before each branch, counted over all states of this level.
    """

    width: int
    active: NDArray[np.bool_] | None
    first: Integers
    code: Integers
    child: Integers
    below: Any = None

    def measure(self, sizes: NDArray[Any]) -> NDArray[Any]:
        """Take the sizes of the next level's states; return those of its own."""
        inner = sizes[self.child]
        self.below = np.concatenate([np.zeros(1, inner.dtype), np.cumsum(inner)])
        return cast("NDArray[Any]", np.diff(self.below[self.first]))

    def decode(self, state: Integers, rest: Integers) -> tuple[Integers, Integers, Integers]:
        """Return codes, the states that follow, and what remains of the indices."""
        place = rest + self.below[self.first[state]]
        branch = np.searchsorted(self.below, place, side="right") - 1
        return self.code[branch], _follow(self.child, branch), place - self.below[branch]

    def encode(self, state: Integers, code: Integers) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """Return how many points come before, the states that follow, and which codes are possible."""
        branch, possible = _branch(code, self.width, None if self.active is None else self.active[state])
        begin = self.first[state]
        branch += begin
        return self.below[branch] - self.below[begin], _follow(self.child, branch), possible


def _branch(
    code: Integers, width: int, active: NDArray[np.bool_] | None
) -> tuple[Integers, NDArray[np.bool_]]:
    """Return which of its state's branches a code is, and whether it can be; see `Tree.encode` for codes."""
    optional = code > width
    code = np.where(optional, code - width - 1, code)
    possible = (code >= 0) & (code < width)
    if active is not None:
        possible = np.where(active, possible, optional | (code == width))
        code = np.where(active, code, 0)
    return np.where(possible, code, 0), possible


def _divided(number: Integers, by: Any) -> tuple[Integers, Integers]:
    """Return quotient and remainder; numpy's own divmod takes four times as long where ``by`` is one number."""
    if np.ndim(by) == 0 and by == 1:
        return number, np.broadcast_to(np.int64(0), number.shape)
    quotient = number // by
    product = quotient * by
    return quotient, np.subtract(number, product, out=product)


def _follow(child: Integers, place: Integers) -> Integers:
    """Look children up; a lone child costs nothing."""
    return np.broadcast_to(child, place.shape) if len(child) == 1 else child[place]


class Tree:
    """All points of a block.

    Parameters
    ----------
    widths : sequence of int
        Number of values on each axis.
    active : mapping of int to Condition
        When an axis is active; depends on axes before it. Without an entry it always is.
    contained : sequence of sequences of Condition
        For each earlier block, what all holds of the points that it contains as well.

    Attributes
    ----------
    size : int
        Number of points.

    Raises
    ------
    ExpressionError
        The conditions combine in too many ways.
    UsageError
        There are more than 2^63 - 1 points.
    """

    def __init__(
        self,
        widths: Sequence[int],
        active: Mapping[int, Condition] | None = None,
        contained: Sequence[Sequence[Condition]] = (),
    ) -> None:
        growth = _Growth(widths, active or {}, contained)
        grown = [growth.level(axis) for axis in range(len(widths))]
        self._leaf = ~growth.contained()
        self.size = _measured(grown, self._leaf)
        self._levels: list[Product | Sum] = grown

    def decode(self, indices: Integers) -> list[Integers]:
        """Turn indices in [0, size), of shape (n,), into the codes of each axis, of shape (n,) each."""
        codes = []
        state, rest = np.broadcast_to(np.int64(0), indices.shape), indices
        for level in self._levels:
            code, state, rest = level.decode(state, rest)
            codes.append(code)
        return codes

    def encode(self, codes: Sequence[Integers], n: int) -> Integers:
        """Turn codes into indices.

        Parameters
        ----------
        codes : sequence of ndarray of int, shape (n,)
            For each axis. Past the code for inactive, ``width``, come ``width + 1 + c``: c if the axis is active.
        n : int
            Number of rows.

        Returns
        -------
        ndarray of int, shape (n,)
            -1 where the codes are no point of the block.
        """
        index, state = np.zeros(n, np.int64), np.zeros(n, np.int64)
        if not self.size:
            return index - 1
        possible = np.ones(n, np.bool_)
        for level, code in zip(self._levels, codes, strict=True):
            before, state, fits = level.encode(state, code)
            index += before
            possible &= fits
        return np.where(possible & self._leaf[state], index, -1)


def _measured(levels: Sequence[Product | Sum], leaf: NDArray[np.bool_]) -> int:
    """Count the points below every state: first roughly, then in integers that are wide enough."""
    rough = float(_measure(levels, leaf, np.float64))
    size = int(_measure(levels, leaf, np.int64 if rough < 2**62 else object))
    if size > LARGEST:
        raise UsageError(f"{size:,} points are more than an index can count ({LARGEST:,}); leave out values")
    if rough >= 2**62:  # it fits after all, but sums on the way to it were Python's integers
        _measure(levels, leaf, np.int64)
    return size


def _measure(levels: Sequence[Product | Sum], leaf: NDArray[np.bool_], kind: Any) -> Any:
    sizes: NDArray[Any] = leaf.astype(kind)
    for level in reversed(levels):
        sizes = level.measure(sizes)
    return sizes[0]


class _Growth:
    """Makes level after level, and knows what the open conditions have come to in each state of the next."""

    def __init__(
        self, widths: Sequence[int], active: Mapping[int, Condition], contained: Sequence[Sequence[Condition]]
    ) -> None:
        self._widths = widths
        self._active = {axis: _Automaton(condition) for axis, condition in active.items()}
        blocks = [[_Automaton(condition) for condition in conditions] for conditions in contained]
        self._blocks = [block for block in blocks if all(automaton.possible for automaton in block)]
        self._states: States = {i: np.ones(1, np.int64) for i in range(len(self._blocks))}
        self._states |= {
            automaton: np.array([automaton.possible], np.int64)
            for automaton in (*self._active.values(), *(a for block in self._blocks for a in block))
        }
        self._count = 1

    def contained(self) -> NDArray[np.bool_]:
        """Tell of the states of the last level whether an earlier block contains their points."""
        flags = [self._states[i].astype(np.bool_) for i in range(len(self._blocks))]
        return np.logical_or.reduce(flags) if flags else np.zeros(self._count, np.bool_)

    def level(self, axis: int) -> Product | Sum:
        automaton = self._active.get(axis)
        active = None if automaton is None else self._states.pop(automaton).astype(np.bool_)
        if active is not None and active.all():
            active = None
        readers = [a for a in self._states if isinstance(a, _Automaton) and axis in a.steps]
        if not readers:
            return Product(self._widths[axis], active, self._merge(self._states, self._count))
        return self._branch(axis, active, readers)

    def _branch(self, axis: int, active: NDArray[np.bool_] | None, readers: Sequence[_Automaton]) -> Sum:
        width = self._widths[axis]
        branches = np.full(self._count, width) if active is None else np.where(active, width, 1)
        if branches.sum() > MOST_BRANCHES:
            raise ExpressionError(
                f"too many combinations of conditions: {branches.sum():,} on one axis, at most "
                f"{MOST_BRANCHES:,} are possible; use `where` in place of `when`, or fewer values"
            )
        first = np.concatenate([[0], np.cumsum(branches)])
        parent = np.repeat(np.arange(self._count), branches)
        code = np.arange(len(parent)) - first[parent]
        if active is not None:
            code[~active[parent]] = width
        states = {which: state[parent] for which, state in self._states.items()}
        for automaton in readers:
            states[automaton] = automaton.steps[axis][states[automaton], code]
        self._settle(axis, states)
        return Sum(width, active, first, code, self._merge(states, len(parent)))

    def _settle(self, axis: int, states: States) -> None:
        """Give up a block as soon as one of its conditions cannot hold, and drop conditions that are decided."""
        for i, block in enumerate(self._blocks):
            open_ = [automaton for automaton in block if automaton in states]
            for automaton in open_:
                states[i] = states[i] * (states[automaton] != 0)
            for automaton in open_:
                if automaton.last <= axis:
                    del states[automaton]
                else:
                    states[automaton] = states[automaton] * states[i]

    def _merge(self, states: States, n: int) -> Integers:
        """Keep the distinct states; return for each of n which it is."""
        number, span = np.zeros(n, np.int64), 1
        for state in states.values():
            width = int(state.max(initial=0)) + 1
            if span * width >= 2**62:
                number = np.unique(number, return_inverse=True)[1].reshape(-1)
                span = n
            number, span = number * width + state, span * width
        _, chosen, into = np.unique(number, return_index=True, return_inverse=True)
        self._states = {which: state[chosen] for which, state in states.items()}
        self._count = len(chosen)
        return into.reshape(-1)
