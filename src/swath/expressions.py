"""A small language for `where`, `derive` and `when`: safe, vectorised, and row by row what Python says.

Theory of operation
-------------------
The text is parsed by Python's own `ast` and translated, node by node, into closures over numpy arrays;
what has no translation is refused, so nothing is ever executed that is not written below. A closure gets the
columns and the rows it is asked for: ``and``, ``or``, ``if`` and chained comparisons ask their right side
only for the rows that Python would ask for, so an error or an absent name there is none.

A value is an array or a plain scalar, with a mask where some rows are absent: a row is absent if it reads an
absent name. Integers that would leave 64 bits go on as Python's own up to 1e300. Division by zero and the like
give inf and nan, as in numpy.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import ExpressionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CHARACTERS, MOST_NODES, MOST_DEPTH = 10_000, 500, 60
LARGEST = 10**300
ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**")
EXACT = 2**53
"""Integers up to here are floats without loss."""

_TOKENS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`""")


@dataclass(frozen=True, slots=True)
class Column:
    """Values of n rows, and which of them are present (None: all)."""

    values: NDArray[Any]
    present: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class _Value:
    """An array of values, or one scalar for all rows; absent rows hold anything."""

    held: Any
    present: NDArray[np.bool_] | None = None


Rows = Any  # an index array, or slice(None) for all rows
_Run = Callable[[Mapping[str, Column], Rows, int], _Value]


class Expression:
    """A parsed expression.

    Parameters
    ----------
    text : str
        As the user wrote it.

    Attributes
    ----------
    names : frozenset of str
        What it reads.

    Raises
    ------
    ExpressionError
        If it is no expression, or contains something that is not allowed.
    """

    __slots__ = ("_run", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        compiler = _Compiler(text)
        self._run = compiler.run
        self.names = frozenset(compiler.names)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def evaluate(self, columns: Mapping[str, Column], n: int) -> Column:
        """Evaluate for n rows.

        Raises
        ------
        ExpressionError
            If a row combines values that do not go together, or becomes too large.
        """
        try:
            with np.errstate(all="ignore"):
                value = self._run(columns, slice(None), n)
        except TypeError as error:
            raise ExpressionError(f"{self.text!r}: {error}") from error
        values = value.held if isinstance(value.held, np.ndarray) else column([value.held])[np.zeros(n, dtype=np.intp)]
        return Column(values, value.present)

    def holds(self, columns: Mapping[str, Column], n: int) -> NDArray[np.bool_]:
        """Tell for which of n rows it is true; an absent row is false."""
        result = self.evaluate(columns, n)
        truth = _truth(result.values)
        return truth if result.present is None else truth & result.present


def column(values: Sequence[object]) -> NDArray[Any]:
    """Make an array of the narrowest type that holds the values exactly: bool, int64, float64 or object."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):  # type: ignore[operator]
        return np.array(values, dtype=np.int64)
    if kinds == {int, float} and all(type(v) is float or abs(v) <= EXACT for v in values):  # type: ignore[arg-type]
        return np.array(values, dtype=np.float64)
    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # assigning them at once would unfold lists
        made[place] = value
    return made


# Arithmetic on values.


def _truth(held: Any) -> NDArray[np.bool_]:
    array = np.asarray(held)
    if array.dtype == object:
        return np.fromiter((bool(value) for value in array.ravel()), dtype=bool, count=array.size).reshape(array.shape)
    return array.astype(np.bool_)


def _is_number(held: Any) -> bool:
    if isinstance(held, np.ndarray):
        return held.dtype != object
    return isinstance(held, (bool, int, float)) and not (type(held) is int and not -(2**63) <= held < 2**63)


def _magnitude(held: Any) -> float:
    """Return the largest absolute value, as a float."""
    if isinstance(held, np.ndarray):
        return max(abs(float(held.max())), abs(float(held.min()))) if held.size else 0.0
    return abs(float(held))


def _is_integer(held: Any) -> bool:
    return held.dtype.kind in "bi" if isinstance(held, np.ndarray) else isinstance(held, int)


def _unbool(held: Any) -> Any:
    if isinstance(held, np.ndarray):
        return held.astype(np.int64) if held.dtype == np.bool_ else held
    return int(held) if isinstance(held, bool) else held


def _each(operation: Callable[..., Any], *operands: Any) -> Any:
    """Apply an operation of Python's row by row; scalars meet every row."""
    arrays = [operand for operand in operands if isinstance(operand, np.ndarray)]
    if not arrays:
        return _bounded(operation(*operands))
    n = len(arrays[0])
    lists = [operand.tolist() if isinstance(operand, np.ndarray) else [operand] * n for operand in operands]
    return column([_bounded(operation(*row)) for row in zip(*lists, strict=True)])


def _bounded(value: Any) -> Any:
    if type(value) is int and abs(value) > LARGEST:
        raise ExpressionError("an integer became larger than 1e300")
    return value


def _arithmetic(symbol: str, python: Callable[[Any, Any], Any], vector: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if not (_is_number(left) and _is_number(right)):
            return _each(_explained(symbol, python), left, right)
        left, right = _unbool(left), _unbool(right)
        if _is_integer(left) and _is_integer(right):
            return _integers(symbol, python, vector, left, right)
        return _plain(vector(left, right))

    return apply


def _integers(symbol: str, python: Callable[[Any, Any], Any], vector: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Stay exact: on int64 while that is certain to do, else on Python's integers."""
    a, b = _magnitude(left), _magnitude(right)
    if symbol in ("//", "%", "/") and np.any(np.asarray(right) == 0):
        return _plain(vector(np.asarray(left, dtype=np.float64), right))
    if symbol == "/":
        return _plain(vector(left, right)) if max(a, b) <= EXACT else _each(_explained(symbol, python), left, right)
    if symbol == "**":
        if np.any(np.asarray(right) < 0):
            return _plain(vector(np.asarray(left, dtype=np.float64), right))
        bound = b * math.log2(max(a, 2.0))
        if bound > math.log2(LARGEST):
            raise ExpressionError(f"{a:g} ** {b:g} is larger than 1e300")
        fits = bound < 62  # noqa: PLR2004  # bits, with one to spare
    else:
        fits = (a * b if symbol == "*" else a + b) < 2**62
    if fits:
        return _plain(vector(left, right))
    return _each(_explained(symbol, python), left, right)


def _plain(held: Any) -> Any:
    return held.item() if isinstance(held, np.generic) or (isinstance(held, np.ndarray) and held.ndim == 0) else held


def _explained(symbol: str, operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if symbol == "**" and isinstance(left, int) and isinstance(right, int):
            if right * math.log2(max(abs(left), 2)) > math.log2(LARGEST):
                raise ExpressionError(f"{left} ** {right} is larger than 1e300")
        if symbol in ARITHMETIC and not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
            raise TypeError(f"{left!r} {symbol} {right!r}: arithmetic needs numbers")
        try:
            result = operation(left, right)
        except ZeroDivisionError:
            return math.nan if symbol == "%" or left == 0 else math.copysign(math.inf, left)
        except OverflowError:
            return math.inf
        except TypeError:
            raise TypeError(f"{left!r} {symbol} {right!r} cannot be combined") from None
        return math.nan if isinstance(result, complex) else result

    return apply


def _comparison(symbol: str, python: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(left: Any, right: Any) -> Any:
        if _is_number(left) and _is_number(right):
            mixed = _is_integer(left) != _is_integer(right)
            if not mixed or max(_magnitude(x) for x in (left, right) if _is_integer(x)) <= EXACT:
                return _plain(python(left, right))
        return _each(_explained(symbol, python), left, right)

    return apply


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _arithmetic("+", operator.add, np.add),
    ast.Sub: _arithmetic("-", operator.sub, np.subtract),
    ast.Mult: _arithmetic("*", operator.mul, np.multiply),
    ast.Div: _arithmetic("/", operator.truediv, np.true_divide),
    ast.FloorDiv: _arithmetic("//", operator.floordiv, np.floor_divide),
    ast.Mod: _arithmetic("%", operator.mod, np.mod),
    ast.Pow: _arithmetic("**", operator.pow, np.power),
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: _comparison("==", operator.eq),
    ast.NotEq: _comparison("!=", operator.ne),
    ast.Lt: _comparison("<", operator.lt),
    ast.LtE: _comparison("<=", operator.le),
    ast.Gt: _comparison(">", operator.gt),
    ast.GtE: _comparison(">=", operator.ge),
}


# Functions.


def _real(vector: Callable[..., Any]) -> Callable[..., Any]:
    """Lift a function of real numbers; a value that is none of them is refused."""

    def one(*values: Any) -> float:
        if not all(isinstance(value, (int, float)) for value in values):
            raise TypeError(f"{vector.__name__}({', '.join(map(repr, values))}) needs numbers")
        return float(vector(*map(float, values)))

    def apply(*operands: Any) -> Any:
        if all(map(_is_number, operands)):
            return _plain(vector(*(np.asarray(_unbool(operand), dtype=np.float64) for operand in operands)))
        return _each(one, *operands)

    return apply


def _whole(vector: Callable[..., Any], python: Callable[[Any], int]) -> Callable[..., Any]:
    """Lift floor, ceil and round, which give integers; nan and inf stay what they are."""

    def one(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return value
        return python(value)

    def apply(operand: Any) -> Any:
        if _is_number(operand):
            if _is_integer(operand):
                return _unbool(operand)
            rounded = vector(operand)
            if np.all(np.abs(rounded) < EXACT):
                return _plain(np.asarray(rounded).astype(np.int64))
        return _each(one, operand)

    return apply


def _round(value: Any, digits: Any = None) -> Any:
    if digits is None:
        return _whole(np.rint, round)(value)
    return _each(lambda v, d: v if isinstance(v, float) and not math.isfinite(v) else round(v, d), value, digits)


def _absolute(value: Any) -> Any:
    if _is_number(value) and not (_is_integer(value) and _magnitude(value) >= 2**63):
        return _plain(np.abs(_unbool(value)))
    return _each(abs, value)


def _extreme(better: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def apply(first: Any, *others: Any) -> Any:
        for other in others:
            first = _each(lambda a, b: b if better(b, a) else a, first, other)
        return first

    return apply


_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (_absolute, 1, 1),
    "min": (_extreme(operator.lt), 2, 20),
    "max": (_extreme(operator.gt), 2, 20),
    "round": (_round, 1, 2),
    "floor": (_whole(np.floor, math.floor), 1, 1),
    "ceil": (_whole(np.ceil, math.ceil), 1, 1),
    "isnan": (lambda value: _each(lambda v: isinstance(v, float) and math.isnan(v), value), 1, 1),
    "atan2": (_real(np.arctan2), 2, 2),
    "hypot": (_real(np.hypot), 2, 2),
    **{
        name: (_real(function), 1, 1)
        for name, function in {
            "sqrt": np.sqrt,
            "exp": np.exp,
            "log": np.log,
            "log10": np.log10,
            "log2": np.log2,
            "sin": np.sin,
            "cos": np.cos,
            "tan": np.tan,
            "asin": np.arcsin,
            "acos": np.arccos,
            "atan": np.arctan,
        }.items()
    },
}
"""What may be called, with the least and the largest number of arguments."""


# From syntax to closures.


class _Compiler:
    """Translates one text; `run` is the result and `names` what it reads."""

    def __init__(self, text: str) -> None:
        self.names: set[str] = set()
        if not isinstance(text, str):
            raise ExpressionError(f"an expression is a text, got {text!r}")
        if len(text) > MOST_CHARACTERS:
            raise ExpressionError(f"an expression of {len(text):,} characters; at most {MOST_CHARACTERS:,} are read")
        self.text = text
        self._quoted: dict[str, str] = {}
        tree = self._parse()
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise ExpressionError(f"{text[:60]!r}... has more than {MOST_NODES} parts; derive some of them first")
        self.run = self._translate(tree.body, 0)

    def _parse(self) -> ast.Expression:
        prepared = _TOKENS.sub(self._unquote, self.text).strip()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(prepared, mode="eval")
        except SyntaxError as error:
            raise ExpressionError(f"{self._shown()} is no expression: {error.msg}") from error
        except (ValueError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"{self._shown()} is no expression: {error}") from error

    def _unquote(self, match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        placeholder = f"quoted_{len(self._quoted)}_"
        while placeholder in self.text:
            placeholder += "_"
        self._quoted[placeholder] = match[1]
        return f" {placeholder} "

    def _shown(self) -> str:
        return repr(self.text if len(self.text) <= 80 else self.text[:77] + "...")  # noqa: PLR2004  # of a line

    def _refuse(self, node: ast.AST, what: str) -> ExpressionError:
        try:
            piece = ast.unparse(node)[:60]
        except (ValueError, RecursionError):
            piece = self.text[:60]
        for placeholder, name in self._quoted.items():
            piece = piece.replace(placeholder, f"`{name}`")
        return ExpressionError(f"{self._shown()}: {piece!r} is not allowed: {what}")

    def _translate(self, node: ast.expr, depth: int) -> _Run:
        if depth > MOST_DEPTH:
            raise ExpressionError(f"{self._shown()} is nested more than {MOST_DEPTH} deep")
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise self._refuse(node, f"no {type(node).__name__.lower()} in expressions")
        run: _Run = method(node, depth + 1)
        return run

    def _constant(self, node: ast.Constant, _depth: int) -> _Run:
        value = node.value
        if not isinstance(value, (bool, int, float, str, type(None))):
            raise self._refuse(node, "constants are numbers, texts, True, False and None")
        _bounded(value)
        return lambda _columns, _rows, _n: _Value(value)

    def _name(self, node: ast.Name, _depth: int) -> _Run:
        name = self._quoted.get(node.id, node.id)
        self.names.add(name)

        def run(columns: Mapping[str, Column], rows: Rows, _n: int) -> _Value:
            found = columns[name]
            return _Value(found.values[rows], None if found.present is None else found.present[rows])

        return run

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> _Run:
        inner = self._translate(node.operand, depth)
        if isinstance(node.op, ast.Not):
            return _mapped(lambda held: ~_truth(held), [inner])
        if isinstance(node.op, ast.USub):
            return _mapped(lambda held: _BINARY[ast.Sub](0, held) if _is_integer(held) else _BINARY[ast.Mult](-1.0, held) if _is_number(held) else _each(operator.neg, held), [inner])
        if isinstance(node.op, ast.UAdd):
            return _mapped(lambda held: _unbool(held) if _is_number(held) else _each(operator.pos, held), [inner])
        raise self._refuse(node, "of the unary operators there are +, - and not")

    def _binop(self, node: ast.BinOp, depth: int) -> _Run:
        operation = _BINARY.get(type(node.op))
        if operation is None:
            raise self._refuse(node, "the operators are + - * / // % **; for conditions write and, or, not")
        return _mapped(operation, [self._translate(node.left, depth), self._translate(node.right, depth)])

    def _call(self, node: ast.Call, depth: int) -> _Run:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS:
            raise self._refuse(node, f"the functions are {', '.join(sorted(_FUNCTIONS))}")
        function, least, most = _FUNCTIONS[name]
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if node.keywords or starred or not least <= len(node.args) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise self._refuse(node, f"{name} takes {expected} arguments, by position")
        return _mapped(function, [self._translate(argument, depth) for argument in node.args])

    def _boolop(self, node: ast.BoolOp, depth: int) -> _Run:
        operands = [self._translate(value, depth) for value in node.values]
        return _short_circuit(operands, goes_on=isinstance(node.op, ast.And))

    def _ifexp(self, node: ast.IfExp, depth: int) -> _Run:
        test, body, other = (self._translate(part, depth) for part in (node.test, node.body, node.orelse))

        def run(columns: Mapping[str, Column], rows: Rows, n: int) -> _Value:
            chosen = test(columns, rows, n)
            truth = np.broadcast_to(_truth(chosen.held), (n,))
            known = np.ones(n, dtype=bool) if chosen.present is None else chosen.present
            values: list[object] = [None] * n
            present = np.zeros(n, dtype=bool)
            for branch, asked in ((body, known & truth), (other, known & ~truth)):
                where = np.flatnonzero(asked)
                if len(where):
                    part = branch(columns, _within(rows, where, n), len(where))
                    held = part.held.tolist() if isinstance(part.held, np.ndarray) else [part.held] * len(where)
                    for row, value in zip(where.tolist(), held, strict=True):
                        values[row] = value
                    present[where] = True if part.present is None else part.present
            if present.any():
                filler = values[int(np.flatnonzero(present)[0])]
                values = [value if there else filler for value, there in zip(values, present.tolist(), strict=True)]
            return _Value(column(values), None if present.all() else present)

        return run

    def _compare(self, node: ast.Compare, depth: int) -> _Run:
        left, steps = node.left, []
        for symbol, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(symbol, (ast.In, ast.NotIn)):
                steps.append(self._membership(left, symbol, right, depth))
            elif type(symbol) in _COMPARE:
                pair = [self._translate(left, depth), self._translate(right, depth)]
                steps.append(_mapped(_COMPARE[type(symbol)], pair))
            else:
                raise self._refuse(node, "compare with == and != instead of is")
            left = right
        return steps[0] if len(steps) == 1 else _short_circuit(steps, goes_on=True)

    def _membership(self, left: ast.expr, symbol: ast.cmpop, right: ast.expr, depth: int) -> _Run:
        if not isinstance(right, (ast.Tuple, ast.List)):
            raise self._refuse(right, "in wants a list of values, as in: x in (1, 2)")
        equal = _COMPARE[ast.Eq]
        inner = self._translate(left, depth)
        elements = [_mapped(equal, [inner, self._translate(element, depth)]) for element in right.elts]
        found = _short_circuit([_mapped(lambda _: False, [inner]), *elements], goes_on=False)
        return found if isinstance(symbol, ast.In) else _mapped(lambda held: ~_truth(held), [found])


def _within(rows: Rows, where: NDArray[np.intp], n: int) -> Rows:
    """Narrow a choice of rows; all of them stay the same choice, which costs nothing."""
    if len(where) == n:
        return rows
    return where if isinstance(rows, slice) else rows[where]


def _mapped(function: Callable[..., Any], operands: Sequence[_Run]) -> _Run:
    """Apply a function to operands; a row that lacks one of them is absent and never shown to it."""

    def run(columns: Mapping[str, Column], rows: Rows, n: int) -> _Value:
        values = [operand(columns, rows, n) for operand in operands]
        masks = [value.present for value in values if value.present is not None]
        if not masks:
            return _Value(function(*(value.held for value in values)))
        present = np.logical_and.reduce(masks)
        there = np.flatnonzero(present)
        held = function(*(v.held[there] if isinstance(v.held, np.ndarray) else v.held for v in values))
        if not isinstance(held, np.ndarray):
            return _Value(held, present)
        spread = np.zeros(n, dtype=held.dtype)
        spread[there] = held
        return _Value(spread, present)

    return run


def _short_circuit(operands: Sequence[_Run], *, goes_on: bool) -> _Run:
    """Ask operand after operand, each only for the rows that the ones before it left undecided.

    ``and`` goes on where a row is true, ``or`` where it is false.
    """

    def run(columns: Mapping[str, Column], rows: Rows, n: int) -> _Value:
        result = np.full(n, goes_on)
        present = np.ones(n, dtype=bool)
        open_rows = np.arange(n)
        for operand in operands:
            if not len(open_rows):
                break
            value = operand(columns, _within(rows, open_rows, n), len(open_rows))
            truth = np.broadcast_to(_truth(value.held), (len(open_rows),))
            known = np.ones(len(open_rows), dtype=bool) if value.present is None else value.present
            present[open_rows[~known]] = False
            result[open_rows] = truth
            open_rows = open_rows[known & (truth == goes_on)]
        return _Value(result, None if present.all() else present)

    return run
