"""Designs: rows of drawn values on a lazy axis.

Theory of operation
-------------------
A design is a sequence in the unit cube (`swath.space.sequences`) and a distribution for each of its dimensions
(`swath.space.distributions`). The value of a name at a row follows from both numbers and the root of all randomness, so a
design is described by a few numbers, and any process makes any of its points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swath.space.computed import Computed
from swath.space.distributions import Distribution
from swath.space.sequences import METHODS, Halton, Latin, Random, Sobol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


class Drawn(Computed):
    """The values of one name of a design.

    Parameters
    ----------
    sequence : Random, Sobol, Halton or Latin
        Where the coordinates come from.
    dimension : int
        Which coordinate is this name's.
    draws : int
        Number of rows.
    distribution : Distribution
        What coordinates become.
    """

    def __init__(
        self,
        sequence: Random | Sobol | Halton | Latin,
        dimension: int,
        draws: int,
        distribution: Distribution,
    ) -> None:
        super().__init__(draws, distribution.dtype, distribution.types)
        self.distribution = distribution
        self.choices = distribution.arguments if distribution.kind == "choice" else ()
        self.text = str(distribution)
        self._sequence = sequence
        self._dimension = dimension

    def at(self, rows: Integers) -> NDArray[Any]:
        """Return the values at rows, as expressions read them."""
        return self.distribution.at(self._sequence.fractions(rows, self._dimension))

    def objects(self, rows: Integers) -> NDArray[Any]:
        """Return the values as they were given."""
        return self.distribution.objects(self._sequence.fractions(rows, self._dimension))


def drawn_columns(names: Sequence[str], told: Mapping[str, Any]) -> tuple[Drawn, ...]:
    """Return the columns of a design.

    Parameters
    ----------
    names : sequence of str
        Its parameters.
    told : mapping
        ``method``, ``draws``, ``root``, and under ``distributions`` one for each name, as `Distribution.spec` has it.
    """
    sequence = METHODS[told["method"]](names, told["draws"], told["root"])
    return tuple(
        Drawn(sequence, dimension, told["draws"], Distribution.from_spec(spec))
        for dimension, spec in enumerate(told["distributions"])
    )
