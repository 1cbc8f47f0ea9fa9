"""What expressions say of a single row: which parameters are active, whether it counts, how far it misses a bound.

Rows of a search come one by one, so each name is a column of one value. A value's column is made once for a row and
serves all expressions that read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.errors import ExpressionError
from swath.space.expressions import Column, column
from swath.space.operations import truth

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

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
        return when is None or self._holds(when, row)

    def keeps(self, row: Mapping[str, Value]) -> bool:
        """Tell whether a whole row satisfies ``where``.

        Raises
        ------
        ExpressionError
            It cannot be evaluated for this row.
        """
        return self._where is None or self._holds(self._where, row)

    def derived(self, row: Mapping[str, Value]) -> Iterator[tuple[str, ExpressionError | None]]:
        """Evaluate each derived column for a row, and yield its name and what went wrong."""
        for name, expression in self._derive.items():
            try:
                self._evaluated(expression, row)
            except ExpressionError as error:
                yield name, error
            else:
                yield name, None

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
        missed = self._evaluated(bound.violation(), {**row, **metrics})
        if missed.present is not None:
            return float("nan")
        distance = float(missed.values[0])
        if self._holds(bound, {**row, **metrics}):
            return min(distance, 0.0)
        return max(distance, float(np.finfo(float).tiny)) if distance == distance else distance  # noqa: PLR0124  # nan

    def _columns(self, row: Mapping[str, Value], names: Collection[str]) -> dict[str, Column]:
        columns = {name: _single(row[name]) for name in names if name in row}
        columns |= {name: self._constants[name] for name in names if name in self._constants}
        for name in names:
            if name not in columns:
                inner = self._derive.get(name)
                columns[name] = _ABSENT if inner is None else self._evaluated(inner, row)
        return columns

    def _holds(self, condition: Expression, row: Mapping[str, Value]) -> bool:
        found = self._evaluated(condition, row)
        return bool(truth(found.values)[0] and (found.present is None or found.present[0]))

    def _evaluated(self, expression: Expression, row: Mapping[str, Value]) -> Column:
        columns = self._columns(row, expression.names)
        try:
            return expression.evaluate(columns, 1)
        except ExpressionError as error:
            point = ", ".join(f"{name}={row[name]!r}" for name in row)
            raise ExpressionError(f"{error}, at {point}") from error


def _single(value: Value) -> Column:
    return Column(column([value]))
