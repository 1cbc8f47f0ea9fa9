"""The key ``search``: how points are chosen by what is known of the points before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swath.definition.domains import Chosen
    from swath.space.expressions import Expression
    from swath.space.values import Value

METHODS: Final = ("tpe", "gp", "cma-es", "nsga-ii", "random")
"""The methods; ``random`` needs no results, so it is a design like those of ``sample``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """An adaptive search: every point is proposed by a method that was told the results of earlier ones.

    Attributes
    ----------
    method : str
        ``tpe``, ``gp``, ``cma-es`` or ``nsga-ii``.
    points : int
        How many points are evaluated in all, replicates not counted.
    chosen : tuple of Chosen
        What a proposal consists of, in the order of the definition.
    startup : int
        Points with a result before the method is asked; until then they are drawn at random.
    population : int or None
        Points of a generation, for methods that have generations; None: as Optuna has it.
    subject_to : tuple of Expression
        What a good point must satisfy; each reads metrics, parameters and derived columns.
    known : tuple of mapping of str to value
        Points to try first, complete: the active ones of ``chosen``, and nothing else.
    earlier : Path or None
        The folder of another run whose finished points are told before anything is asked.
    """

    method: str
    points: int
    chosen: tuple[Chosen, ...]
    startup: int = 10
    population: int | None = None
    subject_to: tuple[Expression, ...] = ()
    known: tuple[Mapping[str, Value], ...] = ()
    earlier: Path | None = None
