"""Quantiles of Student's t, for intervals of a mean.

For a whole number of degrees of freedom the distribution is a finite sum of powers of a cosine (Abramowitz and Stegun,
Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4), which is solved by bisection; beyond `MANY` degrees its expansion
around the normal distribution (26.7.5) takes its place.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

MANY: Final = 1000
"""Degrees of freedom. What the expansion leaves out is of the order of 10^-15 x^11, x being the normal quantile."""


@lru_cache(maxsize=4096)
def quantile(probability: float, degrees: int) -> float:
    """Return the t below which a share of the distribution lies.

    Parameters
    ----------
    probability : float
        In [0.5, 1).
    degrees : int
        Degrees of freedom, at least 1.
    """
    if degrees > MANY:
        return _expansion(NormalDist().inv_cdf(probability), degrees)
    low, high = 0.0, math.pi / 2  # of the angle whose tangent is t / sqrt(degrees)
    while low < (middle := (low + high) / 2) < high:
        if 0.5 + _between(middle, degrees) / 2 < probability:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(middle)


def _between(angle: float, degrees: int) -> float:
    """Return the share of the distribution within -t and t, t being sqrt(degrees) tan(angle)."""
    square, odd = math.cos(angle) ** 2, degrees % 2
    # factors from term to term: 2/3, 4/5, ... where the degrees are odd, 1/2, 3/4, ... where they are even
    first = np.arange(1 + odd, degrees - 2, 2)
    terms = 1 + float(np.cumprod(first / (first + 1) * square).sum())
    if not odd:
        return math.sin(angle) * terms
    if degrees == 1:
        return 2 * angle / math.pi
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * terms)


def _expansion(x: float, degrees: int) -> float:
    """Return the quantile where the normal one is x."""
    polynomials = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + math.fsum(part / float(degrees) ** power for power, part in enumerate(polynomials, 1))
