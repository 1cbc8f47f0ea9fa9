"""The language of ``where``, ``derive`` and ``when``: safe, vectorised, and row by row what Python says.

Theory of operation
-------------------
`swath.space.grammar` makes a tree of the text, `swath.space.operations` knows what each operator does to arrays; this
file walks the tree. Every node is evaluated for a set of rows. As in Python, ``and``, ``or``, ``a if c
else b`` and chains of comparisons evaluate their later parts only for the rows that need them, so an error
there, or an absent name, is none for the other rows. A row that does read an absent name is absent itself,
and goes no further: every node returns its values and, beside them, which rows are present.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import ExpressionError
from swath.space import grammar, operations
from swath.space.grammar import Arithmetic, Call, Choice, Comparison, Literal, Logic, Members, Name, Unary
from swath.space.operations import column, truth
from swath.space.violations import violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.space.grammar import Node

__all__ = ["Column", "Expression", "column"]


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one name, row by row.

    Attributes
    ----------
    values : ndarray, shape (n,)
        bool, int64, float64 or object; what stands in an absent row has no meaning.
    present : ndarray of bool, shape (n,), or None
        Which rows have a value; None: all.
    """

    values: NDArray[Any]
    present: NDArray[np.bool_] | None = None


class Expression:
    """An expression that was read and found allowed.

    Parameters
    ----------
    text : str
        A part of Python's expressions; see `swath.space.grammar`.

    Attributes
    ----------
    text : str
        As given.
    names : frozenset of str
        The names that it reads, without backticks.

    Raises
    ------
    ExpressionError
        The text is not part of the language, or too large; the message quotes the piece.
    """

    __slots__ = ("_tree", "names", "text")

    def __init__(self, text: str) -> None:
        self._tree = grammar.parse(text)
        self.text = text
        self.names = grammar.names(self._tree)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def violation(self) -> Expression:
        """Return an expression that is at most 0 where this condition holds, and more the further it is from that."""
        made = Expression.__new__(Expression)
        made._tree = violation(self._tree)  # noqa: SLF001  # it is one of ours
        made.text, made.names = self.text, self.names
        return made

    def evaluate(self, columns: Mapping[str, Column], n: int) -> Column:
        """Evaluate for n rows.

        Parameters
        ----------
        columns : mapping of str to Column
            At least every name in ``names``, each with n rows.
        n : int
            Number of rows.

        Returns
        -------
        Column
            Its array may be read-only.

        Raises
        ------
        ExpressionError
            A name has no column, or a row combines values that do not go together or grow too large.
        """
        missing = self.names - columns.keys()
        if missing:
            raise ExpressionError(f"expression {self._shown()}: there is no column {min(missing)!r}")
        try:
            with np.errstate(all="ignore"):
                return _Evaluation(columns).of(self._tree, _Rows(n))
        except (TypeError, ValueError, OverflowError) as error:
            raise ExpressionError(f"expression {self._shown()}: {error}") from error

    def _shown(self) -> str:
        return repr(self.text if len(self.text) <= 80 else f"{self.text[:77]}...")

    def holds(self, columns: Mapping[str, Column], n: int) -> NDArray[np.bool_]:
        """Return for which of n rows it is true; an absent row is false. Raises as `evaluate` does."""
        result = self.evaluate(columns, n)
        true = truth(result.values)
        return true if result.present is None else true & result.present


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows are asked for: ``places`` in the columns, or all; n of them."""

    n: int
    places: NDArray[np.intp] | None = None

    def take(self, some: NDArray[np.intp] | None) -> _Rows:
        """Choose among these rows; None chooses all."""
        if some is None or len(some) == self.n:
            return self
        return _Rows(len(some), some if self.places is None else self.places[some])


class _Evaluation:
    """One walk; ``of`` evaluates a node for some rows."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns

    def of(self, node: Node, rows: _Rows) -> Column:
        match node:
            case Literal(constant):
                found = Column(np.broadcast_to(column([constant]), rows.n))
            case Name(name):
                found = self._name(name, rows)
            case Unary(symbol, operand):
                found = self._unary(symbol, operand, rows)
            case Arithmetic(first, rest):
                found = self._arithmetic(first, rest, rows)
            case Comparison(first, rest):
                found = self._comparison(first, rest, rows)
            case Logic(symbol, parts):
                found = self._logic(parts, rows, goes_on=symbol == "and")
            case Choice(condition, yes, no):
                found = self._choice(condition, yes, no, rows)
            case Call(function, arguments):
                found = self._call(function, arguments, rows)
            case Members():
                raise AssertionError(node)  # they stand only inside a Comparison
        return found

    def _name(self, name: str, rows: _Rows) -> Column:
        found = self._columns[name]
        values, present = _usual(found.values), found.present
        if rows.places is not None:
            values = values[rows.places]
            present = None if present is None else present[rows.places]
        return Column(values, present)

    def _unary(self, symbol: str, operand: Node, rows: _Rows) -> Column:
        value = self.of(operand, rows)
        if symbol == "not":
            return Column(~truth(value.values), value.present)
        return self._fold(value, operations.UNARY[symbol], (), rows)

    def _arithmetic(self, first: Node, rest: Sequence[tuple[str, Node]], rows: _Rows) -> Column:
        value = self.of(first, rows)
        for symbol, node in rest:
            value = self._fold(value, operations.ARITHMETIC[symbol], (node,), rows)
        return value

    def _call(self, function: str, arguments: Sequence[Node], rows: _Rows) -> Column:
        first, *others = arguments
        value = self.of(first, rows)
        if not others:
            return self._fold(value, operations.FUNCTIONS[function], (), rows)
        operation = operations.ROUND_TO if function == "round" else operations.FUNCTIONS[function]
        # Only min and max take more than two; Python, too, compares them one by one.
        return self._fold(value, lambda *operands: reduce(operation, operands), others, rows)

    def _fold(
        self, value: Column, operation: Callable[..., NDArray[Any]], others: Sequence[Node], rows: _Rows
    ) -> Column:
        """Combine a value with others, on the rows where all of them are present."""
        open_, held = _there(value)
        operands = [held]
        for node in others:
            some, held = _there(self.of(node, rows.take(open_)))
            if some is not None:
                operands = [operand[some] for operand in operands]
                open_ = some if open_ is None else open_[some]
            operands.append(held)
        return _spread(operation(*operands), open_, rows.n)

    def _comparison(self, first: Node, rest: Sequence[tuple[str, Node]], rows: _Rows) -> Column:
        """Go from link to link, with the rows for which all so far held; the others are decided."""
        result = np.zeros(rows.n, dtype=np.bool_)
        present = np.ones(rows.n, dtype=np.bool_)
        open_ = np.arange(rows.n)
        left = self.of(first, rows)
        for symbol, node in rest:
            some, held = _there(left)
            open_ = _drop(open_, some, present)
            if isinstance(node, Members):
                right = held
                holds = operations.contains(node.values, held) == (symbol == "in")
            else:
                some, right = _there(self.of(node, rows.take(open_)))
                open_ = _drop(open_, some, present)
                held = held if some is None else held[some]
                holds = truth(operations.COMPARISONS[symbol](held, right))
            open_ = open_[holds]
            left = Column(right[holds])
        result[open_] = True
        return Column(result, _mask(present))

    def _logic(self, parts: Sequence[Node], rows: _Rows, *, goes_on: bool) -> Column:
        """Evaluate part after part, each for the rows undecided so far: ``and`` goes on where true."""
        result = np.full(rows.n, goes_on)
        present = np.ones(rows.n, dtype=np.bool_)
        open_ = np.arange(rows.n)
        for node in parts:
            some, held = _there(self.of(node, rows.take(open_)))
            open_ = _drop(open_, some, present)
            going = truth(held) == goes_on
            result[open_[~going]] = not goes_on
            open_ = open_[going]
            if not len(open_):
                break
        return Column(result, _mask(present))

    def _choice(self, condition: Node, yes: Node, no: Node, rows: _Rows) -> Column:
        open_, held = _there(self.of(condition, rows))
        chosen = truth(held)
        pieces = []
        for node, picked in ((yes, chosen), (no, ~chosen)):
            places = np.flatnonzero(picked) if open_ is None else open_[picked]
            if len(places):
                some, held = _there(self.of(node, rows.take(places)))
                pieces.append((places if some is None else places[some], held))
        return _merged([piece for piece in pieces if len(piece[0])], rows.n)


def _usual(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array of any type, such as a frame's column, as one of the four types."""
    match values.dtype.kind:
        case "b" | "O":
            return values
        case "f":
            return values.astype(np.float64, copy=False)
        case "i":
            return values.astype(np.int64, copy=False)
    return operations.exactly(values.tolist())


def _there(value: Column) -> tuple[NDArray[np.intp] | None, NDArray[Any]]:
    """Return the places of the rows that are present (None: all), and their values."""
    if value.present is None:
        return None, value.values
    places = np.flatnonzero(value.present)
    return places, value.values[places]


def _drop(
    open_: NDArray[np.intp], some: NDArray[np.intp] | None, present: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Keep only some of the open rows, and mark the others as absent."""
    if some is None:
        return open_
    present[open_] = False
    present[open_[some]] = True
    return open_[some]


def _mask(present: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return None if present.all() else present


def _spread(values: NDArray[Any], places: NDArray[np.intp] | None, n: int) -> Column:
    """Put values back to their places among n rows; the others are absent."""
    return Column(values) if places is None or len(places) == n else _merged([(places, values)], n)


def _merged(pieces: Sequence[tuple[NDArray[np.intp], NDArray[Any]]], n: int) -> Column:
    """Join pieces (places, values) of n rows without changing the type of any value."""
    types = {values.dtype for _, values in pieces}
    merged = np.zeros(n, dtype=types.pop() if len(types) == 1 else object)
    present = np.zeros(n, dtype=np.bool_)
    for places, values in pieces:
        merged[places] = values
        present[places] = True
    return Column(merged, _mask(present))
