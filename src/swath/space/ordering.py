"""Computed orders: one-to-one maps of [0, n) that need no table, and the seeds drawn from one.

Theory of operation
-------------------
A number below 2^b is cut into a high and a low half. A round adds (xor) to one half a keyed hash of the
other, which can be undone by doing it again; ten rounds, alternating, make a keyed permutation of
[0, 2^b) (M. Luby and C. Rackoff 1988, doi:10.1137/0217022). With the smallest b that covers n, a result
outside [0, n) is put in again until it falls inside: that walks along the cycle of the permutation, so
it ends, and it stays one to one (J. Black and P. Rogaway 2002, doi:10.1007/3-540-45760-7_9). On average
fewer than two walks are needed. Any range of positions is mapped on its own, in numpy, with no memory.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 10
_SEEDS = 2**31
"""Seeds are below it: what numpy's, scikit-learn's and C's generators all accept."""


def subkey(purpose: str, root: int) -> int:
    """Derive a key of 64 bits from the root of all randomness; purposes do not resemble each other."""
    return int.from_bytes(blake2b(f"swath {purpose} {root}".encode(), digest_size=8).digest(), "little")


class Permutation:
    """A keyed one-to-one map of [0, n) onto itself.

    Parameters
    ----------
    n : int
        Size, 0 to 2^63.
    key : int
        Any integer; another key gives another map.
    """

    def __init__(self, n: int, key: int) -> None:
        if not 0 <= n <= 2**63:
            raise ValueError(f"a permutation has a size from 0 to 2^63, not {n}")
        self._n = n
        bits = max(n - 1, 0).bit_length()
        self._low = np.uint64((bits + 1) // 2)
        self._low_mask = np.uint64((1 << int(self._low)) - 1)
        self._high_mask = np.uint64((1 << (bits // 2)) - 1)
        digest = blake2b(f"swath permutation {key}".encode(), digest_size=64).digest()
        digest += blake2b(digest, digest_size=8 * _ROUNDS - 64).digest()
        self._keys = np.frombuffer(digest, dtype="<u8")

    def forward(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Map positions in [0, n), of any shape, to indices in [0, n)."""
        return self._walk(positions, range(_ROUNDS))

    def inverse(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Map indices back to positions."""
        return self._walk(indices, range(_ROUNDS)[::-1])

    def _walk(self, numbers: NDArray[np.int64], rounds: range) -> NDArray[np.int64]:
        shape = np.shape(numbers)
        out = self._scramble(np.ravel(numbers).astype(np.uint64), rounds)
        outside = np.flatnonzero(out >= np.uint64(self._n))
        while len(outside):
            out[outside] = self._scramble(out[outside], rounds)
            outside = outside[out[outside] >= np.uint64(self._n)]
        return out.astype(np.int64).reshape(shape)

    def _scramble(self, numbers: NDArray[np.uint64], rounds: range) -> NDArray[np.uint64]:
        high, low = numbers >> self._low, numbers & self._low_mask
        for i in rounds:
            if i % 2:
                high ^= mixed(low, self._keys[i]) & self._high_mask
            else:
                low ^= mixed(high, self._keys[i]) & self._low_mask
        return (high << self._low) | low


def arrangement(order: str, size: int, root: int) -> Permutation | None:
    """Return the map from positions to indices of a space of this size; None if they are the same."""
    return Permutation(size, subkey("order", root)) if order == "shuffle" else None


def mixed(numbers: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """Mix 64 bits: the finaliser of splitmix64 (Steele et al. 2014, doi:10.1145/2660193.2660195)."""
    x = numbers + key
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def seeds(count: int, root: int) -> list[int]:
    """Return distinct integers in [0, 2^31); fewer of the same root are a prefix of more.

    Raises
    ------
    ValueError
        ``count`` is negative or beyond 2^31.
    """
    if not 0 <= count <= _SEEDS:
        raise ValueError(f"there are 0 to 2^31 different seeds, not {count}")
    permutation = Permutation(_SEEDS, subkey("seeds", root))
    drawn: list[int] = permutation.forward(np.arange(count, dtype=np.int64)).tolist()
    return drawn
