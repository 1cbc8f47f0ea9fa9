"""Columns of points: what an index stands for, made when it is asked for.

Theory of operation
-------------------
Points come from blocks: a `Part` is the points of one block among them, with a code for each axis. A column is put together
from the parts, and kept. Which of a lazy axis' names a point has is found for all names together (`Block.presence`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from swath.errors import ExpressionError
from swath.space.expressions import Column, Expression
from swath.space.values import ABSENT, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swath.space.blocks import Block
    from swath.space.candidates import Candidates

    Integers = NDArray[np.int64]

_MOST_SHOWN = 5
"""Values of a point that a message repeats."""


def _shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


@dataclass(eq=False)
class Part:
    """The points of one block among some points.

    Attributes
    ----------
    number, block : int, Block
        The block.
    rows : ndarray of int, shape (n,), or None
        Their rows; None: all rows.
    local : ndarray of int, shape (n,)
        Their indices in the block.
    n : int
        How many.
    """

    number: int
    block: Block
    rows: Integers | None
    local: Integers
    n: int

    presences: dict[int, tuple[NDArray[np.bool_] | None, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def codes(self) -> list[Integers]:
        """For each axis the codes, shape (n,); one past the last value: inactive."""
        return self.block.tree.decode(self.local)

    def code(self, name: str) -> Integers:
        """Return the codes of a parameter of this block."""
        return self.codes[self.block.place[name][0]]

    def present(self, name: str) -> NDArray[np.bool_] | None:
        """Return where a parameter of this block is active; None: everywhere."""
        if not self.block.conditional(name):
            return None
        i, place = self.block.place[name]
        axis = self.block.axes[i]
        present = self.codes[i] < len(axis)
        if axis.lazy:
            if i not in self.presences:
                self.presences[i] = self.block.presence(i, dict(enumerate(self.codes)))
            own = self.presences[i][place]
            present = present if own is None else present & own
        return None if present.all() else present

    def column(self, name: str) -> Column:
        """Return a parameter of this block as it is here; in other blocks it may have another type."""
        return Column(self.block.series(name).at(self.code(name)), self.present(name))

    def objects(self, name: str) -> NDArray[Any]:
        """Return the values of a parameter of this block in an array whose ``tolist`` gives Python's, or `ABSENT`."""
        series, code = self.block.series(name), self.code(name)
        if series.computed is not None:
            values, there = series.computed.objects(np.minimum(code, len(series) - 1)), self.present(name)
            if there is not None:
                values = values.astype(object)
                values[~there] = ABSENT
            return values
        if isinstance(series.items, range) and self.present(name) is None:  # stays lazy: a million integers
            return series.array[code]
        return series.objects[code]


class Points:
    """Columns of n points; made by `Candidates.take`.

    Attributes
    ----------
    indices : ndarray of int, shape (n,)
        Which points, in this order.
    n : int
        How many.
    parts : tuple of Part
        The same by block.
    """

    def __init__(self, candidates: Candidates, indices: Integers, parts: tuple[Part, ...]) -> None:
        self.indices = indices
        self.n = len(indices)
        self.parts = parts
        self._candidates = candidates
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        """Return a parameter or derived column as expressions read it; it is not to be changed.

        Raises
        ------
        KeyError
            The space has neither.
        ExpressionError
            A derived column cannot be evaluated.
        """
        found = self._columns.get(name)
        if found is None:
            expression = self._candidates.derive.get(name)
            found = self._parameter(name) if expression is None else self.evaluate(expression)
            self._columns[name] = found
        return found

    def evaluate(self, expression: Expression) -> Column:
        """Evaluate an expression over parameters and derived columns.

        Raises
        ------
        ExpressionError
            It cannot be evaluated; the text names the first of these points for which that is so.
        """
        columns = {name: self.column(name) for name in expression.names}
        try:
            return expression.evaluate(columns, self.n)
        except ExpressionError as error:
            raise ExpressionError(f"{error}, at {self._blame(expression)}") from error

    def _blame(self, expression: Expression) -> str:
        """Find the first point for which an expression cannot be evaluated, by halves: no row depends on another."""
        first, last = 0, self.n
        while last - first > 1:
            middle = (first + last) // 2
            half = self._candidates.take(self.indices[first:middle])
            try:
                expression.evaluate({name: half.column(name) for name in expression.names}, half.n)
            except ExpressionError:
                last = middle
            else:
                first = middle
        index = self.indices[first : first + 1]
        read = sorted(expression.names)[:_MOST_SHOWN]
        values = self._candidates.take(index).arguments(read)
        shown = ", ".join(f"{name}={_shown(value)}" for name, (value,) in zip(read, values, strict=True))
        return f"point {index[0]:,}" + (f" ({shown})" if shown else "")

    def _parameter(self, name: str) -> Column:
        pieces = [
            (part, self._candidates.values(part, name)) for part in self.parts if name in part.block.place
        ]
        if len(pieces) == 1 and pieces[0][0].rows is None:
            return Column(pieces[0][1], pieces[0][0].present(name))
        values = np.zeros(self.n, pieces[0][1].dtype if pieces else self._nothing(name))
        present = np.zeros(self.n, np.bool_)
        for part, piece in pieces:
            there = part.present(name)
            values[part.rows] = piece
            present[part.rows] = True if there is None else there
        return Column(values, None if present.all() else present)

    def _nothing(self, name: str) -> np.dtype[Any]:
        """Return the type of a parameter that none of the points has."""
        if not any(name in block.place for block in self._candidates.blocks):
            raise KeyError(f"the space has no parameter or derived column {name!r}")
        return self._candidates.kind(name)

    def arguments(self, names: Sequence[str]) -> list[list[Any]]:
        """Return Python values, one list of n for each name; `ABSENT` where a parameter is inactive.

        Lists and mappings are those of the axis, the same for many points: copy them before they can be changed.
        Raises as `column` does.
        """
        return [
            self._derived(name) if name in self._candidates.derive else self._values(name) for name in names
        ]

    def _derived(self, name: str) -> list[Any]:
        found = self.column(name)
        values = cast("list[Any]", found.values.tolist())
        if found.present is None:
            return values
        return [
            value if there else ABSENT for value, there in zip(values, found.present.tolist(), strict=True)
        ]

    def _values(self, name: str) -> list[Any]:
        whole = [part for part in self.parts if part.rows is None and name in part.block.place]
        if whole:
            return cast("list[Any]", whole[0].objects(name).tolist())
        self._nothing(name)
        values = np.full(self.n, ABSENT, dtype=object)
        for part in self.parts:
            if name in part.block.place:
                values[part.rows] = part.objects(name)
        return values.tolist()
