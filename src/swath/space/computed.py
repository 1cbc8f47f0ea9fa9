"""Values that are computed from their place on an axis, and never listed.

Theory of operation
-------------------
An axis usually lists its values. The rows of a design or of a search are too many, or not known yet: each of its names
has a `Computed` instead, which is asked for the values at some rows, in any order, and makes those only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swath.space.values import Value

    Integers = NDArray[np.int64]

MOST_LISTED = 10**7
"""Rows that are looked through to find one by its content: some seconds, and some hundred megabytes."""


class Computed(Sequence["Value"], ABC):
    """The values of one name at all rows of an axis.

    Parameters
    ----------
    length : int
        Number of rows.
    kind : dtype
        Of what `at` returns: bool, int64, float64 or object.
    types : tuple of type
        The types that values have in Python.

    Attributes
    ----------
    choices : sequence
        The values that there are, in their order, if a person listed them; else empty.
    text : str
        Where values come from, for people.
    """

    choices: Sequence[Value] = ()
    text: str = ""

    def __init__(self, length: int, kind: np.dtype[Any], types: tuple[type, ...]) -> None:
        self.length = length
        self.kind = kind
        self.types = types

    @abstractmethod
    def at(self, rows: Integers) -> NDArray[Any]:
        """Return the values at rows in [0, length), in any order, as expressions read them.

        Raises
        ------
        IndexError
            A row is not known yet.
        """

    def objects(self, rows: Integers) -> NDArray[Any]:
        """Return the values at some rows, of a type whose ``tolist`` gives them as they were given."""
        return self.at(rows)

    def present(self, rows: Integers) -> NDArray[np.bool_] | None:  # noqa: ARG002  # for those who know it
        """Return which rows have a value, where that is no matter of conditions; None: the conditions decide."""
        return None

    @property
    def known(self) -> int:
        """How many rows, from the first on, can be asked for."""
        return self.length

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, i: int) -> Value: ...
    @overload
    def __getitem__(self, i: slice) -> list[Value]: ...
    def __getitem__(self, i: int | slice) -> Value | list[Value]:
        if isinstance(i, slice):
            return self.objects(np.arange(*i.indices(self.length), dtype=np.int64)).tolist()
        row = i + self.length if i < 0 else i
        if not 0 <= row < self.length:
            raise IndexError(f"there is no row {i}: the axis has {self.length:,}")
        return self.objects(np.array([row], np.int64)).tolist()[0]
