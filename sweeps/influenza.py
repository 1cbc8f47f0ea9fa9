"""An SIR model of the influenza in an English boarding school, January and February 1978.

763 boys, one of them ill on day 0, and no way in or out: the textbook case of a closed epidemic. The sweep
compares the number of boys in bed, day by day, with the model's, over a grid of its two rates.

Sources: Influenza in a boarding school, British Medical Journal 1 (4 March 1978), 587 (the data);
J. D. Murray, Mathematical Biology I, 3rd ed. (2002), 10.2, who finds 1.66 and 0.44 a day, R0 = 3.8.
"""

from __future__ import annotations

from math import sqrt

BOYS = 763
IN_BED = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)  # boys, on days 1 to 14
STEPS = 48  # a day; half an hour each, which leaves an error of 1e-5 boys


def fit(beta: float, gamma: float) -> dict[str, float]:
    """Compare the model with the boys in bed on days 1 to 14.

    As in the literature the epidemic starts on day 0 with one boy, the one who came back ill from
    the holidays; the data then decide both rates. "In bed" is taken to mean infectious.

    Parameters
    ----------
    beta : float
        Infections that one ill boy causes a day while all others are susceptible.
    gamma : float
        Recoveries per ill boy and day; ``1 / gamma`` is the mean time in bed, in days.

    Returns
    -------
    dict
        ``error``: root mean square difference, in boys; ``peak``: most boys in bed on one of the 14
        mornings; ``peak_day``: which; ``attack_rate``: share of the boys who caught it by day 14.
    """
    days = sir(beta, gamma, susceptible=BOYS - 1, infected=1, days=len(IN_BED))
    in_bed = [infected for _, infected in days[1:]]
    squares = [(model - data) ** 2 for model, data in zip(in_bed, IN_BED, strict=True)]
    peak = max(in_bed)
    return {
        "error": sqrt(sum(squares) / len(squares)),
        "peak": peak,
        "peak_day": in_bed.index(peak) + 1,
        "attack_rate": 1 - days[-1][0] / BOYS,
    }


def sir(
    beta: float, gamma: float, *, susceptible: float, infected: float, days: int
) -> list[tuple[float, float]]:
    """Integrate Kermack and McKendrick's equations with the classical Runge-Kutta method.

    Plain Python: numpy's cost per call is a multiple of the arithmetic on two numbers.

    Parameters
    ----------
    beta, gamma : float
        Rates of infection and recovery, per day.
    susceptible, infected : float
        Boys on day 0; the rest have recovered.
    days : int
        How long, in days.

    Returns
    -------
    list of (float, float)
        Susceptible and infected boys on days 0 to `days`, ``days + 1`` pairs.
    """

    def slope(s: float, i: float) -> tuple[float, float]:
        infections = beta * s * i / total
        return -infections, infections - gamma * i

    total, h = susceptible + infected, 1 / STEPS
    s, i = susceptible, infected
    course = [(s, i)]
    for _ in range(days):
        for _ in range(STEPS):
            s1, i1 = slope(s, i)
            s2, i2 = slope(s + h / 2 * s1, i + h / 2 * i1)
            s3, i3 = slope(s + h / 2 * s2, i + h / 2 * i2)
            s4, i4 = slope(s + h * s3, i + h * i3)
            s += h / 6 * (s1 + 2 * s2 + 2 * s3 + s4)
            i += h / 6 * (i1 + 2 * i2 + 2 * i3 + i4)
        course.append((s, i))
    return course
