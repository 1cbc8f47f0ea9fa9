"""Hyperband: several brackets of ASHA, from those that stop early to one that does not stop at all.

Theory of operation
-------------------
How early a value tells anything is not known beforehand. So the points are dealt to brackets s = s_max, ..., 0, where
s_max = floor(log_eta(R / r)): bracket s has its first rung at R eta^-s, and points stop only in comparison with others of
their bracket. In the original a bracket gets n_s = ceil((s_max + 1) / (s + 1) eta^s) points of equal cost; here each
point falls to bracket s with a chance in proportion to n_s. Its bracket follows from its position and the root of all
randomness, so neither order nor the number of workers changes it.

References
----------
L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar: Hyperband: a novel bandit-based approach to
hyperparameter optimization. Journal of Machine Learning Research 18 (2018), 1-52; Algorithm 1 and Section 3.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING

from swath.stopping.asha import Asha

if TYPE_CHECKING:
    from collections.abc import Mapping


class Hyperband:
    """Brackets of asynchronous successive halving.

    Parameters
    ----------
    metric : str
        What is judged.
    sign : int
        1 if less is better, -1 if more is.
    max_steps : int
        R, the most that a point may need.
    min_steps : int
        r, the first rung of the bracket that stops earliest.
    reduction : int
        eta, the reduction factor: one in so many goes on.
    root : int
        The root of all randomness.
    """

    def __init__(
        self, metric: str, sign: int, *, max_steps: int, min_steps: int = 1, reduction: int = 3, root: int = 0
    ) -> None:
        rungs = [min_steps]
        while rungs[-1] * reduction <= max_steps:
            rungs.append(rungs[-1] * reduction)
        s_max = len(rungs) - 1
        shares = [-(-(s_max + 1) * reduction**s // (s + 1)) for s in range(s_max, -1, -1)]
        self._bounds = list(accumulate(shares))
        self._brackets = [
            Asha(metric, sign, min_steps=r, max_steps=max_steps, reduction=reduction) for r in rungs
        ]
        self._root = root

    def bracket(self, position: int) -> int:
        """Return the bracket of a position, counted from 0, the one that stops earliest."""
        digest = blake2b(f"swath bracket {self._root} {position}".encode(), digest_size=8).digest()
        ticket = int.from_bytes(digest, "little") % self._bounds[-1]
        return next(number for number, bound in enumerate(self._bounds) if ticket < bound)

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; return why the point should end, or an empty text."""
        number = self.bracket(position)
        reason = self._brackets[number].see(position, step, metrics)
        return reason and f"{reason} of bracket {number}"

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Take in that a point has ended, and whether it has a checkpoint."""
        self._brackets[self.bracket(position)].ended(position, status, resumable=resumable)

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return the stopped positions that are among the best of their rung by now, with reasons."""
        return tuple(
            (position, f"{reason} of bracket {number}")
            for number, bracket in enumerate(self._brackets)
            for position, reason in bracket.promoted()
        )
