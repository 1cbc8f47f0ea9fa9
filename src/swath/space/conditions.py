"""What expressions say of a single row: which parameters are active, whether it counts, how far it misses a bound.

Rows of a search come one by one, so each name is a column of one value. A value's column is made once for a row and
serves all expressions that read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.space.expressions import Column, column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from swath.space.expressions import Expression
    from swath.space.values import Value

_ABSENT: Final = Column(np.zeros(1), np.zeros(1, np.bool_))


class Conditions:
    """The expressions of a definition, for one row at a time.

    Parameters
    ----------
    constants : mapping of str to value
        What every row has.
    derive : mapping of str to Expression
        Derived columns, in order.
    where : Expression or None
        What a row must satisfy.
    """

    def __init__(
        self, constants: Mapping[str, Value], derive: Mapping[str, Expression], where: Expression | None
    ) -> None:
        self._constants = {name: _single(value) for name, value in constants.items()}
        self._derive = dict(derive)
        self._where = where

    def active(self, when: Expression | None, row: Mapping[str, Value]) -> bool:
        """Tell whether a condition over constants and what was chosen so far holds."""
        return when is None or self._holds(when, self._columns(row, when.names))

    def keeps(self, row: Mapping[str, Value]) -> bool:
        """Tell whether a whole row satisfies ``where``.

        Raises
        ------
        ExpressionError
            It cannot be evaluated for this row.
        """
        return self._where is None or self._holds(self._where, self._columns(row, self._where.names))

    def violation(self, bound: Expression, row: Mapping[str, Value], metrics: Mapping[str, Any]) -> float:
        """Return by how much a row misses a bound: at most 0 if it satisfies it.

        Parameters
        ----------
        bound : Expression
            A condition over metrics, parameters and derived columns.
        row : mapping of str to value
            The parameters.
        metrics : mapping of str to value
            What the objective returned.

        Returns
        -------
        float
            NaN if it reads something that is not there, or not a number.

        Raises
        ------
        ExpressionError
            It cannot be evaluated for this row.
        """
        columns = self._columns({**row, **metrics}, bound.names)
        missed = bound.violation().evaluate(columns, 1)
        if missed.present is not None:
            return float("nan")
        distance = float(missed.values[0])
        if self._holds(bound, columns):
            return min(distance, 0.0)
        return max(distance, float(np.finfo(float).tiny)) if distance == distance else distance  # noqa: PLR0124  # nan

    def _columns(self, row: Mapping[str, Value], names: Collection[str]) -> dict[str, Column]:
        columns = {name: _single(row[name]) for name in names if name in row}
        columns |= {name: self._constants[name] for name in names if name in self._constants}
        for name in names:
            if name not in columns:
                inner = self._derive.get(name)
                columns[name] = (
                    _ABSENT if inner is None else inner.evaluate(self._columns(row, inner.names), 1)
                )
        return columns

    @staticmethod
    def _holds(condition: Expression, columns: Mapping[str, Column]) -> bool:
        return bool(condition.holds(columns, 1)[0])


def _single(value: Value) -> Column:
    return Column(column([value]))


def names_read(expressions: Iterable[Expression]) -> set[str]:
    """Return all names that some expressions read."""
    return set().union(*(expression.names for expression in expressions))
