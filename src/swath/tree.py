"""One block of a space as a tree: from index to codes and back, in as many steps as there are axes.

Theory of operation
-------------------
A *code* is the place of a value on its axis, -1 where the axis is inactive. A block's points in order are the
leaves of a tree whose levels are its axes. Almost all of such a tree repeats itself, so equal subtrees are
one node:

* `Product`: every value of the axis is followed by the same subtree, so the code is a division;
* `Sum`: the subtree depends on the value, so running totals are searched;
* `Skip`: the axis is inactive here;
* `Leaf`: a point, or nothing (size 0) if an earlier block of the union contains the point already.

What makes subtrees differ are *conditions*: that an axis is active (its ``when``), or that the point is in an
earlier block. Each is a truth table over the few axes it depends on, with one more place, at the end, for
"inactive". While the tree is built, a state carries only the codes that a pending condition still needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import ExpressionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_STATES = 10**6
LARGEST = 2**63 - 1


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """The end of a path."""

    size: int


@dataclass(frozen=True, eq=False, slots=True)
class Skip:
    """An axis that is inactive on this path."""

    axis: int
    child: Node
    size: int


@dataclass(frozen=True, eq=False, slots=True)
class Product:
    """An axis whose every value is followed by the same subtree."""

    axis: int
    length: int
    child: Node
    size: int


@dataclass(frozen=True, eq=False, slots=True)
class Sum:
    """An axis whose value decides which subtree follows.

    Attributes
    ----------
    which : ndarray[length] of int
        The subtree of each value, as a place in ``children``.
    totals : ndarray[length + 1] of int
        Points before each value.
    """

    axis: int
    children: tuple[Node, ...]
    which: NDArray[np.intp]
    totals: NDArray[np.int64]
    size: int


Node = Leaf | Skip | Product | Sum


@dataclass(frozen=True, eq=False, slots=True)
class Condition:
    """A truth table over axes, in ascending order; the last place along each is for "inactive"."""

    axes: tuple[int, ...]
    table: NDArray[np.bool_]


@dataclass(slots=True)
class Builder:
    """Builds the tree of a block.

    Attributes
    ----------
    lengths : sequence of int
        Values on each axis.
    active : mapping of int to Condition
        When an axis is active; without an entry it always is.
    contained : sequence of sequences of Condition
        For every earlier block, what must all hold if that block contains the point.
    """

    lengths: Sequence[int]
    active: dict[int, Condition] = field(default_factory=dict)
    contained: Sequence[Sequence[Condition]] = ()
    _memo: dict[Any, Node] = field(default_factory=dict)
    _nodes: dict[Any, Node] = field(default_factory=dict)
    _steps: int = 0

    def build(self) -> Node:
        """Build it.

        Raises
        ------
        ExpressionError
            If conditions combine in too many ways, or the points cannot be counted in 63 bits.
        """
        alive = [block for block, conditions in enumerate(self.contained) if all(map(_possible, conditions))]
        return self._node(0, {}, frozenset(alive))

    def _node(self, depth: int, known: dict[int, int], alive: frozenset[int]) -> Node:
        key = (depth, tuple(sorted(known.items())), alive)
        if key not in self._memo:
            self._memo[key] = self._make(depth, known, alive)
        return self._memo[key]

    def _make(self, depth: int, known: dict[int, int], alive: frozenset[int]) -> Node:
        if depth == len(self.lengths):
            return self._shared(Leaf(0 if alive else 1), (not alive,))
        condition = self.active.get(depth)
        if condition is not None and not condition.table[tuple(known[axis] for axis in condition.axes)]:
            child = self._after(depth, -1, known, alive)
            return self._shared(Skip(depth, child, child.size), (depth, id(child)))
        return self._branch(depth, known, alive)

    def _branch(self, depth: int, known: dict[int, int], alive: frozenset[int]) -> Node:
        """Follow every value of an axis, those with the same consequences together."""
        length = self.lengths[depth]
        groups = np.arange(length)
        if not self._pending(depth, alive, depth):
            signature = np.zeros(length, dtype=np.int64)
            for block in sorted(alive):
                for condition in self.contained[block]:
                    if condition.axes and condition.axes[-1] == depth:
                        signature = signature * 2 + condition.table[tuple(known[axis] for axis in condition.axes[:-1])][:length]
            groups = np.unique(signature, return_inverse=True)[1].reshape(-1)
        count = int(groups.max()) + 1
        self._steps += count
        if self._steps > MOST_STATES:
            raise ExpressionError(f"the conditions combine in more than {MOST_STATES:,} ways; split the sweep, or use where")
        firsts = np.unique(groups, return_index=True)[1]
        children = [self._after(depth, int(first), known, alive) for first in firsts]
        return self._joined(depth, children, groups)

    def _joined(self, depth: int, children: list[Node], groups: NDArray[np.intp]) -> Node:
        distinct = list({id(child): child for child in children}.values())
        length = len(groups)
        if len(distinct) == 1:
            child = distinct[0]
            node: Node = Product(depth, length, child, _counted(length * child.size))
            return self._shared(node, (depth, length, id(child)))
        place = {id(child): i for i, child in enumerate(distinct)}
        which = np.array([place[id(child)] for child in children], dtype=np.intp)[groups]
        counts = np.bincount(which, minlength=len(distinct)).tolist()
        size = _counted(sum(n * child.size for n, child in zip(counts, distinct, strict=True)))
        totals = np.zeros(length + 1, dtype=np.int64)
        np.cumsum(np.array([child.size for child in distinct], dtype=np.int64)[which], out=totals[1:])
        key = (depth, which.tobytes(), tuple(map(id, distinct)))
        return self._shared(Sum(depth, tuple(distinct), which, totals, size), key)

    def _after(self, depth: int, code: int, known: dict[int, int], alive: frozenset[int]) -> Node:
        """Take one step: settle the conditions that this axis was the last to decide, and go on."""
        extended = {**known, depth: code}
        for block in alive:
            for condition in self.contained[block]:
                if condition.axes and condition.axes[-1] == depth:
                    if not condition.table[tuple(extended[axis] for axis in condition.axes)]:
                        alive = alive - {block}
                        break
        needed = {axis for axis in extended if self._pending(depth, alive, axis)}
        return self._node(depth + 1, {axis: extended[axis] for axis in needed}, alive)

    def _pending(self, depth: int, alive: frozenset[int], axis: int) -> bool:
        """Tell whether a condition that is settled after ``depth`` reads an axis."""
        if any(axis in condition.axes for of, condition in self.active.items() if of > depth):
            return True
        return any(
            axis in condition.axes and condition.axes[-1] > depth
            for block in alive
            for condition in self.contained[block]
        )

    def _shared(self, node: Node, key: tuple[Any, ...]) -> Node:
        return self._nodes.setdefault((type(node), *key), node)


def _possible(condition: Condition) -> bool:
    return bool(condition.table.any())


def _counted(size: int) -> int:
    if size > LARGEST:
        raise ExpressionError(f"{size:,} points; an index goes up to {LARGEST:,}")
    return size


def decode(root: Node, indices: NDArray[np.int64], axes: int) -> NDArray[np.int64]:
    """Turn indices into codes.

    Parameters
    ----------
    root : Node
        Of a block.
    indices : ndarray[n]
        In [0, root.size).
    axes : int
        Number of axes of the block.

    Returns
    -------
    ndarray[axes, n]
        Codes, -1 where an axis is inactive.
    """
    codes = np.full((axes, len(indices)), -1, dtype=np.int64)
    pending: list[tuple[Node, Any, NDArray[np.int64]]] = [(root, slice(None), indices)]
    while pending:
        node, rows, rest = pending.pop()
        while not isinstance(node, Leaf):
            if isinstance(node, Product):
                if node.child.size == 1:
                    codes[node.axis, rows] = rest
                    rest = np.zeros_like(rest)
                else:
                    code = rest // node.child.size
                    rest = rest - code * node.child.size
                    codes[node.axis, rows] = code
                node = node.child
            elif isinstance(node, Skip):
                node = node.child
            else:
                code = np.searchsorted(node.totals, rest, side="right") - 1
                codes[node.axis, rows] = code
                rest = rest - node.totals[code]
                parts = _split(node.which[code], rows)
                pending += [(node.children[child], chosen, rest[inside]) for child, chosen, inside in parts[1:]]
                child, rows, inside = parts[0]
                node, rest = node.children[child], rest[inside]
    return codes


def encode(root: Node, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn codes, as `decode` gives them, into indices; -1 for what is no point of this block."""
    indices = np.zeros(codes.shape[1], dtype=np.int64)
    pending: list[tuple[Node, NDArray[np.intp]]] = [(root, np.arange(codes.shape[1]))]
    while pending:
        node, rows = pending.pop()
        while len(rows) and not isinstance(node, Leaf):
            code = codes[node.axis, rows]
            sound = code == -1 if isinstance(node, Skip) else code >= 0
            indices[rows[~sound]] = -1
            rows, code = rows[sound], code[sound]
            if isinstance(node, Product):
                indices[rows] += code * node.child.size
            if not isinstance(node, Sum):
                node = node.child
                continue
            indices[rows] += node.totals[code]
            parts = _split(node.which[code], rows) if len(rows) else []
            pending += [(node.children[child], chosen) for child, chosen, _ in parts]
            rows = rows[:0]
        if isinstance(node, Leaf) and node.size == 0:
            indices[rows] = -1
    return indices


def _split(which: NDArray[np.intp], rows: Any) -> list[tuple[int, Any, Any]]:
    """Group rows by subtree: its place, its rows, and where these are among those given."""
    if len(which) == 0 or (which == which[0]).all():
        return [(int(which[0]) if len(which) else 0, rows, slice(None))]
    parts = []
    for child in np.unique(which).tolist():
        inside = np.flatnonzero(which == child)
        parts.append((child, inside if isinstance(rows, slice) else rows[inside], inside))
    return parts
