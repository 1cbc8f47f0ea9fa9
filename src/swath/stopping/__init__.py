"""Rules that end a point before its end: pure, one a file, interchangeable.

Theory of operation
-------------------
A rule is told every step that a point records (`Rule.see`) and answers at once: an empty text, or the reason for which
that point should end now. It is told how points ended (`Rule.ended`), and may have some of those that it stopped go on
(`Rule.promoted`). It knows positions, numbers of steps and one metric: no clock, no file, no batch, and no position but
those that it was told of.

* A point is judged by what it has recorded itself, against what others have recorded so far; nobody is waited for.
* Steps of different points come in any order. What a point tells twice, or again after a worker died, changes nothing.
* Numbers of steps need not be consecutive, nor the same for all points.
* The state is a fold of what was told, so a run that goes on rebuilds it from the steps and statuses on disk.

Losses are values times the sign of the goal, so less is better everywhere inside; NaN counts as worse than everything.

==============  =========================================================  ====================================
method          stops a point whose ...                                    source
==============  =========================================================  ====================================
``asha``        value at a rung is not among the best 1/eta there          Li et al. 2020
``hyperband``   the same, in several brackets with different first rungs   Li et al. 2018
``median``      best value is worse than the median of running averages    Golovin et al. 2017
``percentile``  best value is worse than a percentile of others' values    Optuna's generalisation
``patience``    best value has not improved for so many steps              Prechelt 1998
``threshold``   value is out of bounds, or NaN                             -
==============  =========================================================  ====================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from swath.stopping.asha import Asha
from swath.stopping.hyperband import Hyperband
from swath.stopping.median import Median
from swath.stopping.patience import Patience
from swath.stopping.percentile import Percentile
from swath.stopping.threshold import Threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["METHODS", "Asha", "Hyperband", "Median", "Patience", "Percentile", "Rule", "Threshold"]


class Rule(Protocol):
    """Decides which points end early, and which of these go on after all; points are known by position."""

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; say why the point is to end, or nothing."""

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Take in that a point has ended, and whether another attempt need not begin anew."""

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return the pruned points that deserve to go on by now, and why; each only once until it has ended again."""


METHODS: Mapping[str, Callable[..., Rule]] = {
    "asha": Asha,
    "hyperband": Hyperband,
    "median": Median,
    "percentile": Percentile,
    "patience": Patience,
    "threshold": Threshold,
}
"""The rules by name; all take the metric, its sign (1 if less is better, -1 if more is) and their own keywords."""
