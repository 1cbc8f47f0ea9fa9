"""Exponential, logarithm and the quantiles of the normal distribution, the same to the last bit on every machine.

Theory of operation
-------------------
A drawn value is part of a point's identity, so it must not depend on the processor. numpy's and the C library's
transcendental functions do: they have variants for different instruction sets, which differ in the last digit. What IEEE
754 fixes is ``+ - * /``, the square root, and scaling by powers of two; these functions consist of nothing else, one
operation of numpy at a time, so that nothing can be contracted. They follow fdlibm (Sun Microsystems 1993: e_exp.c, e_log.c;
errors below one unit in the last place) and AS 241 (M. J. Wichura 1988, doi:10.2307/2347330; a relative error of
10^-16 in exact arithmetic). `swath.space.operations` maps Python's functions instead, because expressions may use any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LN2_HIGH: Final = 6.93147180369123816490e-01  # its last 20 bits are zero: products with exponents are exact
_LN2_LOW: Final = 1.90821492927058770002e-10
_INVERSE_LN2: Final = 1.44269504088896338700e00
_SQRT_HALF: Final = 0.7071067811865476

_LOG_EVEN: Final = (0.0, 3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
_LOG_ODD: Final = (
    0.0,
    6.666666666666735130e-01,
    2.857142874366239149e-01,
    1.818357216161805012e-01,
    1.479819860511658591e-01,
)
_EXP: Final = (
    0.0,
    1.66666666666666019037e-01,
    -2.77777777770155933842e-03,
    6.61375632143793436117e-05,
    -1.65339022054652515390e-06,
    4.13813679705723846039e-08,
)


def _polynomial(x: Floats, coefficients: Sequence[float]) -> Floats:
    """Evaluate by Horner's scheme; the constant comes first."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def log(x: Floats) -> Floats:
    """Return the natural logarithm of positive finite numbers, shape (n,)."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < _SQRT_HALF
    mantissa = np.where(small, mantissa + mantissa, mantissa)
    k = (exponent - small).astype(np.float64)
    f = mantissa - 1.0
    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    rest = _polynomial(w, _LOG_EVEN) + z * _polynomial(w, _LOG_ODD[1:])
    return s * (half + rest) + k * _LN2_LOW - half + f + k * _LN2_HIGH


def exp(x: Floats) -> Floats:
    """Return e to the power of numbers between -700 and 700, shape (n,)."""
    k = np.rint(x * _INVERSE_LN2)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    square = r * r
    c = r - _polynomial(square, _EXP)
    y = 1.0 - ((low - r * c / (2.0 - c)) - high)
    return np.ldexp(y, k.astype(np.int32))


_CENTRAL: Final = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_TAIL: Final = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_FAR: Final = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


def normal_quantile(p: Floats) -> Floats:
    """Return where the standard normal distribution function reaches probabilities in (0, 1), shape (n,)."""
    q = p - 0.5
    found = q * _ratio(0.180625 - q * q, _CENTRAL)
    outer = np.flatnonzero(np.abs(q) > 0.425)
    tail = np.minimum(p[outer], 1.0 - p[outer])
    r = np.sqrt(-log(tail))
    value = np.where(r <= 5.0, _ratio(r - 1.6, _TAIL), _ratio(r - 5.0, _FAR))
    found[outer] = np.where(q[outer] < 0, -value, value)
    return found


def _ratio(r: Floats, polynomials: tuple[Sequence[float], Sequence[float]]) -> Floats:
    return _polynomial(r, polynomials[0]) / _polynomial(r, polynomials[1])
