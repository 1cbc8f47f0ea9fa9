"""Patterns of the Gray-Scott model: two substances that diffuse, and one that feeds on the other.

U is fed in; V turns U into more V (U + 2V -> 3V) and is removed. Depending on the two rates the dish turns
uniform, or fills with spots, stripes or cells.

Sources: J. E. Pearson, Complex patterns in a simple system, Science 261 (1993), 189,
doi 10.1126/science.261.5118.189 (equations, initial state, map of the patterns); P. Gray and S. K. Scott,
Chemical Engineering Science 39 (1984), 1087.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIFFUSION = np.array([0.16, 0.08]).reshape(2, 1, 1)  # of U and V, cells squared per time; Pearson's 2:1
BLOCK = 4  # cells; what one value of the thumbnail averages over, along each side


def pattern(
    feed: float, kill: float, size: int = 80, steps: int = 6000, seed: int = 1
) -> dict[str, float | NDArray[np.float64]]:
    """Let the dish react and describe what V looks like at the end.

    Parameters
    ----------
    feed, kill : float
        Rates at which U is replenished and V is removed, per time.
    size : int
        Cells along each side of the square, periodic dish; a multiple of 4.
    steps : int
        Time steps, of length 1 each.
    seed : int
        Decides the noise of the initial state.

    Returns
    -------
    dict
        ``u``, ``v``: means over the dish, as shares of the feed's concentration; ``contrast``: standard
        deviation of V; ``wavelength``: of the strongest wave, in cells, NaN where V is uniform;
        ``spectrum``: float64 (size // 2,), `radial_spectrum` of V; ``thumbnail``: float64
        (size // 4, size // 4), V averaged over blocks of 4 by 4 cells.
    """
    dish = initial(size, seed)
    for _ in range(steps):
        dish = advance(dish, feed, kill)
    u, v = dish
    spectrum = radial_spectrum(v)
    return {
        "u": u.mean(),
        "v": v.mean(),
        "contrast": v.std(),
        "wavelength": size / (1 + spectrum.argmax()) if v.std() > 1e-4 else np.nan,
        "spectrum": spectrum,
        "thumbnail": v.reshape(size // BLOCK, BLOCK, size // BLOCK, BLOCK).mean(axis=(1, 3)),
    }


def initial(size: int, seed: int) -> NDArray[np.float64]:
    """Give Pearson's initial state: pure U, and amid it a square of half U and quarter V; up to 1 % of noise.

    Returns
    -------
    float64 (2, size, size)
        U and V, as shares of the feed's concentration; the square is about ``size / 5`` cells wide.
    """
    dish = np.zeros((2, size, size))
    dish[0] = 1
    middle = slice(size // 2 - size // 10, size // 2 + size // 10)
    dish[:, middle, middle] = [[[0.50]], [[0.25]]]
    return dish * np.random.default_rng(seed).uniform(0.99, 1, dish.shape)


def advance(dish: NDArray[np.float64], feed: float, kill: float) -> NDArray[np.float64]:
    """Give the `dish` (2, size, size) one time unit later (explicit Euler, as Pearson)."""
    u, v = dish
    reaction = u * v * v
    after = dish + DIFFUSION * laplacian(dish)
    after[0] += feed * (1 - u) - reaction
    after[1] += reaction - (feed + kill) * v
    return after


def laplacian(fields: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the five-point Laplacian of periodic `fields` (n, size, size), per cell squared.

    A border of one cell, filled from the opposite side, costs a third of what four `numpy.roll` cost.
    """
    n, size, _ = fields.shape
    wide = np.empty((n, size + 2, size + 2))
    wide[:, 1:-1, 1:-1] = fields
    wide[:, 0, 1:-1], wide[:, -1, 1:-1] = fields[:, -1], fields[:, 0]
    wide[:, 1:-1, 0], wide[:, 1:-1, -1] = fields[:, :, -1], fields[:, :, 0]
    neighbours = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    return neighbours - 4 * fields


def radial_spectrum(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the power of `field` (size, size) over rings of equal wave number.

    Returns
    -------
    float64 (size // 2,)
        Variance carried by 1, 2, ..., size // 2 waves per side, rounded to the nearest; the sum is the
        variance of `field`, less what lies in the corners beyond.
    """
    size = len(field)
    power = abs(np.fft.fft2(field - field.mean()) / field.size) ** 2
    waves = np.fft.fftfreq(size, 1 / size)
    rings = np.hypot(*np.meshgrid(waves, waves)).round().astype(int)
    return np.bincount(rings.ravel(), power.ravel())[1 : size // 2 + 1]
