"""Which input matters? First-order and total sensitivity indices of the Ishigami function, by Saltelli's design.

The function is the usual touchstone: its indices are known exactly, the third input alone does nothing and still matters,
through the first. Saltelli's estimators need the function at two independent samples A and B of the inputs, and at
A with one column at a time taken from B. That is a Sobol design of the numbers ``a1 a2 a3 b1 b2 b3``, crossed
with which columns are taken from B (`sweeps/ishigami.yaml`): more draws later keep the ones that are there.

Sources: T. Ishigami and T. Homma, An importance quantification technique in uncertainty analysis for computer models,
Proc. ISUMA'90 (1990), 398, doi 10.1109/ISUMA.1990.151285 (the function); A. Saltelli et al., Variance based sensitivity
analysis of model output, Computer Physics Communications 181 (2010), 259, doi 10.1016/j.cpc.2009.09.018 (the design and
the estimators); I. M. Sobol' and Y. L. Levitan, Computer Physics Communications 117 (1999), 52,
doi 10.1016/S0010-4655(98)00156-8 (the exact indices).

``python sweeps/ishigami.py results/ishigami`` prints the indices of a run (needs SALib: extra ``sensitivity``).
"""

from __future__ import annotations

import sys
from math import pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

INPUTS = ("x1", "x2", "x3")
A, B = 7.0, 0.1


def response(x1: float, x2: float, x3: float) -> float:
    """Evaluate the function; each input is uniform between -pi and pi."""
    return sin(x1) + A * sin(x2) ** 2 + B * x3**4 * sin(x1)


def exact() -> dict[str, list[float]]:
    """Give the exact indices of `INPUTS`.

    Returns
    -------
    dict
        ``first``: share of the variance that goes when this input is fixed; ``total``: share that stays when all
        others are fixed. Variances: of x1 alone (1 + b pi^4 / 5)^2 / 2, of x2 alone a^2 / 8, of x1 with x3
        b^2 pi^8 (1/18 - 1/50).
    """
    one, two, both = (1 + B * pi**4 / 5) ** 2 / 2, A**2 / 8, B**2 * pi**8 * (1 / 18 - 1 / 50)
    all_of_it = one + two + both
    return {
        "first": [one / all_of_it, two / all_of_it, 0.0],
        "total": [(one + both) / all_of_it, two / all_of_it, both / all_of_it],
    }


def indices(frame: pd.DataFrame) -> dict[str, list[float]]:
    """Estimate the indices of `INPUTS` from the rows of ``sweeps/ishigami.yaml``.

    Parameters
    ----------
    frame : DataFrame
        ``results.frame``: for each draw the five values of ``taken`` in a row, as the file lists them. SALib expects
        the values in this order.

    Returns
    -------
    dict
        ``first`` and ``total`` as of `exact`; ``first_within``, ``total_within``: half widths of their 95 % intervals.
    """
    from SALib.analyze import sobol  # noqa: PLC0415  (the sweep itself does without)

    problem = {"num_vars": len(INPUTS), "names": INPUTS, "bounds": [[-pi, pi]] * len(INPUTS)}
    found = sobol.analyze(problem, frame["value"].to_numpy(), calc_second_order=False, seed=0)
    kinds = {"first": "S1", "first_within": "S1_conf", "total": "ST", "total_within": "ST_conf"}
    return {kind: [float(value) for value in found[name]] for kind, name in kinds.items()}


def main(folder: str) -> None:
    """Print the indices of a run beside the exact ones."""
    import swath  # noqa: PLC0415  (the objective does without)

    found, known = indices(swath.open(folder).frame), exact()
    print("input  first-order     exact  total           exact")  # noqa: T201
    for i, name in enumerate(INPUTS):
        first, total = (f"{found[kind][i]:.3f} +- {found[f'{kind}_within'][i]:.3f}" for kind in known)
        print(f"{name:5}  {first}  {known['first'][i]:.3f}  {total}  {known['total'][i]:.3f}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
