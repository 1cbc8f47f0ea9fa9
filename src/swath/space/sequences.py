"""Sequences of points in the unit cube, from which designs are made; any coordinate of any point, by itself.

Theory of operation
-------------------
A coordinate is a number of 52 bits plus one half, as a fraction: in (0, 1), exact as a float, and as likely as any other.
It is computed from the number of its row and its dimension alone, in integers, so that nothing depends on the rows
beside it, and billions of rows cost nothing until they are asked for:

* `Random`: the row is the counter of a SplitMix64 generator (Steele et al. 2014, doi:10.1145/2660193.2660195);
* `Sobol`: the bits of the row's Gray code select direction numbers (S. Joe and F. Y. Kuo 2008,
  doi:10.1137/070709359), scrambled by a random linear map and a shift (J. Matousek 1998, doi:10.1006/jcom.1998.0489);
* `Halton`: the row's digits in the base of a prime, each place permuted by itself (A. B. Owen 2017, arXiv:1706.02808);
* `Latin`: a keyed permutation of the rows' strata for each dimension, and a random place in the stratum (M. D. McKay
  et al. 1979, doi:10.2307/1268522).

The direction numbers are shipped for 512 dimensions, so that a slot needs no scipy, whose table they equal. Rows of the
first three do not depend on how many there are; those of a Latin hypercube do, as its strata are so many.
"""

from __future__ import annotations

from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from swath.space.ordering import Permutation, mixed, subkey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Floats = NDArray[np.float64]

_BITS: Final = 52
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment
_GREATEST: Final = 1 - 2.0**-53
_TABLE: Final = 1024  # entries of a table of digits, about: it stays in the processor's cache
MOST_DIMENSIONS: Final = {"sobol": 512, "halton": 4096}
"""Dimensions that a method has, where it is not any number."""


def _fractions(words: Words) -> Floats:
    """Return numbers of 52 bits as the middles of as many equal parts of (0, 1)."""
    return (words.astype(np.float64) + 0.5) * 2.0**-_BITS


def _random(rows: Integers, key: int) -> Words:
    """Return 64 random bits for each row."""
    return mixed((rows.astype(np.uint64) + np.uint64(1)) * _GOLDEN, np.uint64(key))


class Random:
    """Independent points.

    Parameters
    ----------
    names : sequence of str
        The dimensions; a name's coordinates do not depend on what else is drawn.
    draws : int
        Number of points.
    root : int
        The root of all randomness.
    """

    def __init__(self, names: Sequence[str], draws: int, root: int) -> None:  # noqa: ARG002  # as the others
        self._keys = [subkey(f"random {name}", root) for name in names]

    def fractions(self, rows: Integers, dimension: int) -> Floats:
        """Return one coordinate of the points with these numbers, shape (n,), in (0, 1)."""
        return _fractions(_random(rows, self._keys[dimension]) >> np.uint64(64 - _BITS))


class Latin:
    """A Latin hypercube: of n equal parts of every dimension each has one point. Parameters as for `Random`."""

    def __init__(self, names: Sequence[str], draws: int, root: int) -> None:
        self._draws = draws
        self._strata = [Permutation(draws, subkey(f"lhs {name}", root)) for name in names]
        self._within = Random([f"within {name}" for name in names], draws, root)

    def fractions(self, rows: Integers, dimension: int) -> Floats:
        """Return one coordinate of the points with these numbers, shape (n,), in (0, 1)."""
        strata = self._strata[dimension].forward(rows)
        found: Floats = (strata + self._within.fractions(rows, dimension)) / self._draws
        return np.minimum(found, _GREATEST)


class Sobol:
    """Scrambled Sobol points. Parameters as for `Random`."""

    def __init__(self, names: Sequence[str], draws: int, root: int) -> None:  # noqa: ARG002  # as the others
        self._root = root
        self._bytes = max(1, -(-(draws - 1).bit_length() // 8))
        self._tables: dict[int, tuple[np.uint64, list[Words]]] = {}

    def fractions(self, rows: Integers, dimension: int) -> Floats:
        """Return one coordinate of the points with these numbers, shape (n,), in (0, 1)."""
        shift, tables = self._table(dimension)
        gray = rows.astype(np.uint64)
        gray ^= gray >> np.uint64(1)
        found = np.full(len(rows), shift)
        for place, table in enumerate(tables):
            found ^= table[(gray >> np.uint64(8 * place)).astype(np.uint8)]
        return _fractions(found)

    def _table(self, dimension: int) -> tuple[np.uint64, list[Words]]:
        """Return the shift, and for each byte of a Gray code what its bits add up to."""
        found = self._tables.get(dimension)
        if found is None:
            bits = mixed(
                np.arange(_BITS + 1, dtype=np.uint64), np.uint64(subkey(f"sobol {dimension}", self._root))
            )
            numbers = _scrambled(direction_numbers(dimension), bits[:_BITS])
            tables = [_sums(numbers[8 * place : 8 * place + 8]) for place in range(self._bytes)]
            found = self._tables[dimension] = bits[_BITS] >> np.uint64(64 - _BITS), tables
        return found


def _sums(numbers: Words) -> Words:
    """Return what numbers add up to (xor), for every set of them."""
    table = np.zeros(256, np.uint64)
    for bit, number in enumerate(numbers):
        table[1 << bit : 2 << bit] = table[: 1 << bit] ^ number
    return table


def _scrambled(numbers: Words, bits: Words) -> Words:
    """Multiply by a random lower triangular matrix over GF(2) with ones on its diagonal; the first bit is the highest."""
    found = np.zeros(len(numbers), np.uint64)
    for row, random in enumerate(bits):
        diagonal = np.uint64(1 << (_BITS - 1 - row))
        above = np.uint64((1 << _BITS) - 1) ^ (diagonal | (diagonal - np.uint64(1)))
        parity = np.bitwise_count(numbers & ((random & above) | diagonal)) & np.uint8(1)
        found |= parity * diagonal
    return found


def direction_numbers(dimension: int) -> Words:
    """Return the direction numbers of a dimension, the first from 0 on: shape (52,), of 52 bits each."""
    first = _primitive()[dimension - 1] if dimension else [0, 0, *[1] * _BITS]
    degree, coefficients, *numbers = first
    for k in range(len(numbers), _BITS):
        number = numbers[k - degree] ^ numbers[k - degree] << degree
        for i in range(1, degree):
            if coefficients >> (degree - 1 - i) & 1:
                number ^= numbers[k - i] << i
        numbers.append(number)
    return np.array([number << (_BITS - 1 - k) for k, number in enumerate(numbers)], np.uint64)


@cache
def _primitive() -> list[list[int]]:
    """Return degree, coefficients and first numbers of the second and further dimensions."""
    text = (Path(__file__).parent / "joe-kuo.txt").read_text(encoding="ascii")
    return [
        [int(word) for word in line.split()[1:]] for line in text.splitlines() if not line.startswith("#")
    ]


class Halton:
    """Scrambled Halton points. Parameters as for `Random`."""

    def __init__(self, names: Sequence[str], draws: int, root: int) -> None:
        self._draws = draws
        self._root = root
        self._bases = list(islice(_primes(), len(names)))
        self._tables: dict[int, tuple[int, int, int, list[Integers]]] = {}

    def fractions(self, rows: Integers, dimension: int) -> Floats:
        """Return one coordinate of the points with these numbers, shape (n,), in (0, 1)."""
        total, width, rest, tables = self._table(dimension)
        found = np.full(len(rows), rest)
        for table in tables:
            quotient = rows // width
            found += table[rows - quotient * width]
            rows = quotient
        return (found + 0.5) / total

    def _table(self, dimension: int) -> tuple[int, int, int, list[Integers]]:
        """Return the whole, how many numbers some digits make, what zeros before a row add, and what digits add."""
        found = self._tables.get(dimension)
        if found is None:
            base = self._bases[dimension]
            digits = next(n for n in count(1) if base ** (n + 1) > 2**_BITS)
            together = next(n for n in count(1) if base ** (n + 1) > _TABLE)
            weights = [base ** (digits - 1 - place) for place in range(digits)]
            parts = [
                weight * _shuffled(base, subkey(f"halton {dimension} {place}", self._root))
                for place, weight in enumerate(weights)
            ]
            needed = next(n for n in count(1) if base ** (n * together) >= self._draws)
            tables = [
                _digit_sums(parts[place * together : (place + 1) * together]) for place in range(needed)
            ]
            rest = sum(int(part[0]) for part in parts[needed * together :])
            found = self._tables[dimension] = base**digits, base**together, rest, tables
        return found


def _digit_sums(parts: list[Integers]) -> Integers:
    """Return for every number what its digits add, the lowest digit first."""
    table = np.zeros(1, np.int64)
    for part in parts:
        table = (part[:, np.newaxis] + table).ravel()
    return table


def _shuffled(n: int, key: int) -> Integers:
    """Return a random permutation of the numbers below n."""
    return np.argsort(mixed(np.arange(n, dtype=np.uint64), np.uint64(key)), kind="stable")


def _primes() -> Iterator[int]:
    known: list[int] = []
    for n in count(2):
        if all(n % prime for prime in known if prime * prime <= n):
            known.append(n)
            yield n


METHODS: Final[Mapping[str, type[Random | Sobol | Halton | Latin]]] = {
    "random": Random,
    "sobol": Sobol,
    "halton": Halton,
    "lhs": Latin,
}
"""The methods of a design, by name."""
