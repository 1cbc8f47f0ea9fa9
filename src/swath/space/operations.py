"""What the operators and functions of expressions do to values, row by row as Python does it.

Theory of operation
-------------------
Every operation has two faces. Its *scalar* is the truth: a function of plain Python values that says what
a row is worth. Its *kernel* works on whole arrays and may decline (None) where it is not certain to agree
with the scalar; then the scalar is mapped over the rows. Types are kept exactly: an array is bool, int64
or float64 only if every row is of that type, so what a row is worth never depends on the rows beside it.

The kernels are those operations of numpy that IEEE 754 fixes to the last bit, guarded against integers
that leave 64 bits. The transcendental functions are Python's: numpy's differ in the last digit from one
processor to the next, and a derived value is part of a point's identity. Where Python raises for a number
(division by zero, ``log(-1)``, overflow), a row becomes the inf or nan that numpy gives.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.space.grammar import MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Scalar = Callable[..., Any]
    Kernel = Callable[..., Array | None]

_EXACT = 2**53
"""Integers up to here are floats without loss."""
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator or function.

    Attributes
    ----------
    symbol : str
        As it is written.
    scalar : callable
        What it does to the values of one row.
    kernel : callable or None
        What it does to arrays; None where there is no faster way than row by row.
    objects : bool
        Whether the kernel takes arrays of objects as well.
    """

    symbol: str
    scalar: Scalar
    kernel: Kernel | None = None
    objects: bool = False

    def __call__(self, *operands: Array) -> Array:
        """Apply to arrays of equal length.

        Raises
        ------
        TypeError
            A row holds values that do not go together; the message shows them.
        OverflowError
            An integer leaves the range that is allowed.
        """
        result = self._whole(operands)
        return exactly(self._rows([operand.tolist() for operand in operands])) if result is None else result

    def _whole(self, operands: Sequence[Array]) -> Array | None:
        if self.kernel is None or (not self.objects and any(operand.dtype == object for operand in operands)):
            return None
        try:
            return self.kernel(*operands)
        except (TypeError, ValueError):  # of objects; row by row it will be known which
            return None

    def _rows(self, lists: Sequence[list[Any]]) -> list[Any]:
        try:
            return list(map(self.scalar, *lists))
        except (TypeError, ValueError):
            for row in zip(*lists, strict=True):
                self._try(row)
            raise

    def _try(self, row: tuple[Any, ...]) -> None:
        try:
            self.scalar(*row)
        except (TypeError, ValueError):
            shown = [text if len(text := repr(value)) <= 40 else text[:37] + "..." for value in row]
            called = self.symbol.isalnum() or len(row) == 1
            text = f"{self.symbol}({', '.join(shown)})" if called else f" {self.symbol} ".join(shown)
            raise TypeError(f"{text} cannot be computed") from None


def column(values: Sequence[object]) -> Array:
    """Return values as an array of the best type: bool, int64, float64 (of integers too, if exact), else object.

    Parameters
    ----------
    values : sequence
        Plain values of any type; n of them.

    Returns
    -------
    ndarray, shape (n,)
    """
    if isinstance(values, range) and values and max(abs(values[0]), abs(values[-1])) < _INT64:
        return np.arange(values.start, values.stop, values.step, dtype=np.int64)
    if set(map(type, values)) == {int, float} and all(type(v) is float or abs(v) <= _EXACT for v in values):  # type: ignore[arg-type]
        return np.array(values, dtype=np.float64)
    return exactly(values)


def exactly(values: Sequence[object]) -> Array:
    """Return values as an array that keeps the type of each: object, unless all are of one type with an array type."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    if kinds == {int}:
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:
            pass
    return np.fromiter(values, dtype=object, count=len(values))


def truth(values: Array) -> NDArray[np.bool_]:
    """Return which values count as true, as a new array; nan does, as in Python."""
    if values.dtype == object:
        return np.fromiter(map(bool, values.tolist()), dtype=np.bool_, count=len(values))
    return values.astype(np.bool_)


# Scalars.


def _numbers(symbol: str, values: Iterable[object]) -> None:
    if not all(isinstance(value, int | float) for value in values):
        raise TypeError(f"{symbol} needs numbers")


def _bounded(value: Any) -> Any:
    if type(value) is int and abs(value) > MAX_INTEGER:
        raise OverflowError("an integer grows beyond 1e300")
    return value


def _real(symbol: str, python: Scalar, numpy: Callable[..., Any]) -> Scalar:
    """Return a function of numbers that gives numpy's inf or nan where Python raises."""

    def scalar(*values: Any) -> Any:
        _numbers(symbol, values)
        try:
            result = python(*values)
        except (ValueError, ArithmeticError):
            result = float(numpy(*map(float, values)))
        return math.nan if isinstance(result, complex) else _bounded(result)

    return scalar


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > 1000:
        raise OverflowError(f"{base} ** {exponent} grows beyond 1e300")
    return _real_power(base, exponent)


_real_power = _real("**", operator.pow, np.power)


def _plus(left: Any, right: Any) -> Any:
    return left + right if isinstance(left, str) and isinstance(right, str) else _add(left, right)


_add = _real("+", operator.add, np.add)


def _whole(python: Scalar) -> Scalar:
    """Return a rounding to an integer that leaves nan and inf as they are."""

    def scalar(value: Any) -> Any:
        _numbers("rounding", (value,))
        return value if isinstance(value, float) and not math.isfinite(value) else python(value)

    return scalar


def _round(value: Any, digits: Any) -> Any:
    _numbers("round", (value, digits))
    if abs(digits) > 400:  # more than a float has; 10 ** digits must stay small
        raise OverflowError(f"round to {digits} digits")
    return value if isinstance(value, float) and not math.isfinite(value) else round(value, digits)


def _isnan(value: Any) -> bool:
    _numbers("isnan", (value,))
    return isinstance(value, float) and math.isnan(value)


# Kernels.


def _whole_numbers(*arrays: Array) -> bool:
    return all(array.dtype.kind in "bi" for array in arrays)


def _plain(array: Array) -> Array:
    """Return booleans as the integers that they are in arithmetic."""
    return array.astype(np.int64) if array.dtype == np.bool_ else array


def _floats(array: Array) -> NDArray[np.float64]:
    return array.astype(np.float64, copy=False)


def _magnitude(array: Array) -> int:
    """Return the greatest absolute value of integers."""
    return max(abs(int(array.max())), abs(int(array.min()))) if len(array) else 0


def _guarded(kernel: Callable[[Array, Array], Array], bound: Callable[[int, int], int]) -> Kernel:
    """Return a kernel for + - *: integers only while ``bound``, in absolute values, is inside 64 bits."""

    def apply(left: Array, right: Array) -> Array | None:
        left, right = _plain(left), _plain(right)
        if _whole_numbers(left, right) and bound(_magnitude(left), _magnitude(right)) >= _INT64:
            return None
        return kernel(left, right)

    return apply


def _divide(left: Array, right: Array) -> Array | None:
    left, right = _plain(left), _plain(right)
    if _whole_numbers(left, right) and max(_magnitude(left), _magnitude(right)) > _EXACT:
        return None
    return np.true_divide(left, right)


def _euclid(kernel: Callable[[Array, Array], Array]) -> Kernel:
    """Return a kernel for // and %, which by zero are numbers only as floats."""

    def apply(left: Array, right: Array) -> Array | None:
        left, right = _plain(left), _plain(right)
        if _whole_numbers(left, right) and (not right.all() or _magnitude(left) >= _INT64):
            return None
        return kernel(left, right)

    return apply


def _powers(base: Array, exponent: Array) -> Array | None:
    base, exponent = _plain(base), _plain(exponent)
    if not _whole_numbers(base, exponent):
        return None if _whole_numbers(base) else _mapped(math.pow)(base, exponent)
    if len(exponent) and exponent.min() < 0:
        return None
    fits = _magnitude(exponent) * _magnitude(base).bit_length() < 63
    return np.power(base, exponent) if fits else None


def _mapped(python: Scalar) -> Kernel:
    """Return a kernel that maps a function of floats, unless it raises for one of them."""

    def apply(*operands: Array) -> Array | None:
        lists = [_floats(operand).tolist() for operand in operands]
        try:
            return np.array(list(map(python, *lists)), dtype=np.float64)
        except (ValueError, OverflowError):
            return None

    return apply


def _compared(kernel: Callable[[Array, Array], Array]) -> Kernel:
    """Return a kernel for comparisons: an integer beside a float must be exact as a float; objects compare as in Python."""

    def apply(left: Array, right: Array) -> Array | None:
        return None if _inexact(left, right) else kernel(left, right)

    return apply


def _inexact(left: Array, right: Array) -> bool:
    if "O" in left.dtype.kind + right.dtype.kind or _whole_numbers(left) == _whole_numbers(right):
        return False
    return _magnitude(left if _whole_numbers(left) else right) > _EXACT


def _extreme(replaces: Callable[[Array, Array], Array]) -> Kernel:
    """Return a kernel for min and max, which keep the first of equals, and the first if one is nan."""

    def apply(left: Array, right: Array) -> Array | None:
        return np.where(replaces(right, left), right, left) if left.dtype == right.dtype else None

    return apply


def _rounded(kernel: Callable[[Array], Array]) -> Kernel:
    def apply(values: Array) -> Array | None:
        if _whole_numbers(values):
            return _plain(values)
        result = kernel(values)
        return result.astype(np.int64) if (np.abs(result) < 2**62).all() else None

    return apply


def _sign_free(kernel: Callable[[Array], Array]) -> Kernel:
    """Return a kernel for negation and abs, which the least integer of 64 bits does not survive."""

    def apply(values: Array) -> Array | None:
        values = _plain(values)
        return None if _whole_numbers(values) and _magnitude(values) >= _INT64 else kernel(values)

    return apply


# The tables.

UNARY = {
    "+": Operation("+", _real("+", operator.pos, np.positive), _plain),
    "-": Operation("-", _real("-", operator.neg, np.negative), _sign_free(np.negative)),
}
ARITHMETIC = {
    "+": Operation("+", _plus, _guarded(np.add, operator.add)),
    "-": Operation("-", _real("-", operator.sub, np.subtract), _guarded(np.subtract, operator.add)),
    "*": Operation("*", _real("*", operator.mul, np.multiply), _guarded(np.multiply, operator.mul)),
    "/": Operation("/", _real("/", operator.truediv, np.true_divide), _divide),
    "//": Operation("//", _real("//", operator.floordiv, np.floor_divide), _euclid(np.floor_divide)),
    "%": Operation("%", _real("%", operator.mod, np.remainder), _euclid(np.remainder)),
    "**": Operation("**", _power, _powers),
}
COMPARISONS = {
    "==": Operation("==", operator.eq, _compared(np.equal), objects=True),
    "!=": Operation("!=", operator.ne, _compared(np.not_equal), objects=True),
    "<": Operation("<", operator.lt, _compared(np.less), objects=True),
    "<=": Operation("<=", operator.le, _compared(np.less_equal), objects=True),
    ">": Operation(">", operator.gt, _compared(np.greater), objects=True),
    ">=": Operation(">=", operator.ge, _compared(np.greater_equal), objects=True),
}


def _transcendental(name: str, numpy: Callable[..., Any]) -> Operation:
    python = getattr(math, name)
    return Operation(name, _real(name, python, numpy), _mapped(python))


_FUNCTIONS = [
    Operation("abs", _real("abs", abs, np.abs), _sign_free(np.abs)),
    Operation("min", min, _extreme(np.less)),
    Operation("max", max, _extreme(np.greater)),
    Operation("round", _whole(round), _rounded(np.rint)),
    Operation("floor", _whole(math.floor), _rounded(np.floor)),
    Operation("ceil", _whole(math.ceil), _rounded(np.ceil)),
    Operation("isnan", _isnan, np.isnan),
    Operation("sqrt", _real("sqrt", math.sqrt, np.sqrt), lambda values: np.sqrt(_floats(values))),
    _transcendental("exp", np.exp),
    _transcendental("log", np.log),
    _transcendental("log10", np.log10),
    _transcendental("log2", np.log2),
    _transcendental("sin", np.sin),
    _transcendental("cos", np.cos),
    _transcendental("tan", np.tan),
    _transcendental("asin", np.arcsin),
    _transcendental("acos", np.arccos),
    _transcendental("atan", np.arctan),
    _transcendental("atan2", np.arctan2),
    _transcendental("hypot", np.hypot),
]
FUNCTIONS = {operation.symbol: operation for operation in _FUNCTIONS}
ROUND_TO = Operation("round", _round)
"""``round`` with a number of decimal digits."""


def contains(members: Sequence[Any], values: Array) -> NDArray[np.bool_]:
    """Tell which values are among constants, by equality: ``x in (1, 2)``."""
    return np.fromiter((value in members for value in values.tolist()), dtype=np.bool_, count=len(values))
