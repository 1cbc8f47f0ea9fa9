"""What a search has proposed so far: the rows of its axis, put in as they come.

Theory of operation
-------------------
A search's axis has as many rows as the search may have points. A row is known once it was put in; it holds the
parameters that are active, so presence needs no condition. The driver's book grows row by row. A slot's book gets the
rows that its batches need, with gaps between them, from the text that `Proposals.encode` made; the same text is what
the store keeps. One thread writes while others read: a row is whole before it is seen, and never changes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.errors import UsageError
from swath.space.computed import Computed
from swath.space.values import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from swath.space.values import Value

    Integers = NDArray[np.int64]

    Row = Mapping[str, Value]

TYPES: Final[Mapping[str, type]] = {"float64": float, "int64": int, "bool": bool, "object": object}
"""Types of columns that a search can propose, and of their values."""


class Proposals:
    """The rows that a search has proposed.

    Parameters
    ----------
    names : sequence of str
        The parameters that it proposes.
    points : int
        How many rows there may be.

    Attributes
    ----------
    names : tuple of str
        As given.
    points : int
        As given.
    known : int
        How many rows there are, from the first on without a gap.
    """

    def __init__(self, names: Sequence[str], points: int) -> None:
        self.names = tuple(names)
        self.points = points
        self.known = 0
        self._rows: dict[int, Row] = {}

    def put(self, first: int, rows: Sequence[Row]) -> None:
        """Put in rows, the first of them with this number; a row that is there already must be equal.

        Parameters
        ----------
        first : int
            Number of the first.
        rows : sequence of mapping of str to value
            The active parameters of each.

        Raises
        ------
        UsageError
            There is no such row, it has a parameter that the search does not propose, or it was another one before.
        """
        if not 0 <= first <= first + len(rows) <= self.points:
            raise UsageError(f"the search has {self.points:,} points, not {first + len(rows):,}")
        for number, row in enumerate(rows, first):
            self._check(number, row)
            self._rows.setdefault(number, dict(row))
        while self.known in self._rows:
            self.known += 1

    def _check(self, number: int, row: Row) -> None:
        foreign = row.keys() - set(self.names)
        if foreign:
            raise UsageError(f"proposal {number:,} has {min(foreign)!r}, which the search does not propose")
        there = self._rows.get(number)
        if there is not None and canonical(there) != canonical(row):
            raise UsageError(f"proposal {number:,} is {canonical(there)} already, not {canonical(row)}")

    def row(self, number: int) -> Row:
        """Return one row.

        Raises
        ------
        IndexError
            It is not known yet.
        """
        found = self._rows.get(number)
        if found is None:
            raise IndexError(
                f"proposal {number:,} is not known yet: the search has proposed {self.known:,} of {self.points:,} points"
            )
        return found

    def rows(self, start: int, stop: int) -> list[Row]:
        """Return the rows [start, stop). Raises as `row` does."""
        return [self.row(number) for number in range(start, stop)]

    # To other processes and to disk, and back.

    def encode(self, numbers: range) -> str:
        """Return rows as a JSON text for `decode`. Raises as `row` does."""
        return json.dumps({"first": numbers.start, "rows": self.rows(numbers.start, numbers.stop)})

    def decode(self, text: str) -> range:
        """Put in what `encode` returned, and tell which rows that are. Raises as `put` does."""
        told = json.loads(text)
        self.put(told["first"], told["rows"])
        return range(told["first"], told["first"] + len(told["rows"]))


class Proposed(Computed):
    """The values of one name among the proposals.

    Parameters
    ----------
    book : Proposals
        Where they are.
    name : str
        Which.
    kind : dtype
        As for `Computed`.
    """

    text = "chosen by the search"

    def __init__(self, book: Proposals, name: str, kind: np.dtype[Any]) -> None:
        super().__init__(book.points, kind, (TYPES[kind.name],))
        self.book = book
        self.name = name

    @property
    def known(self) -> int:
        """How many rows, from the first on, can be asked for."""
        return self.book.known

    def at(self, rows: Integers) -> NDArray[Any]:
        """Return values; of a row that has none, something of the same type."""
        nothing = None if self.kind.kind == "O" else self.kind.type()
        values = [self.book.row(row).get(self.name, nothing) for row in rows.tolist()]
        return np.fromiter(values, self.kind, len(values))

    def present(self, rows: Integers) -> NDArray[np.bool_]:
        """Return which rows have a value."""
        there = [self.name in self.book.row(row) for row in rows.tolist()]
        return np.fromiter(there, np.bool_, len(there))


def proposed_columns(names: Sequence[str], points: int, kinds: Sequence[str]) -> tuple[Proposed, ...]:
    """Return the columns of a search's axis, over one new book."""
    book = Proposals(names, points)
    return tuple(Proposed(book, name, np.dtype(kind)) for name, kind in zip(names, kinds, strict=True))
