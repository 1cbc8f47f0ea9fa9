"""What questions are about: the rows of a run at one instant, or a part of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from swath.analysis.names import demand, enumerated
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.definition import Definition

Goal = tuple[str, int]
"""A metric, and 1 where less of it is better, -1 where more is."""

WAYS: Final = {"minimize": 1, "maximize": -1}


class Table(Protocol):
    """Rows at one instant."""

    @property
    def definition(self) -> Definition:
        """What the points are indices of."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row a point."""

    @property
    def arrow(self) -> pa.Table:
        """The same rows, with NaN and missing values kept apart."""

    @property
    def metrics(self) -> Sequence[str]:
        """Names of the metrics."""

    @property
    def curves(self) -> pd.DataFrame:
        """What the points recorded, a row a step."""

    @property
    def reasons(self) -> Mapping[int, str]:
        """Why points ended early, as far as that was noted."""


@dataclass(eq=False)
class Part:
    """Some rows of a table.

    Attributes
    ----------
    whole : Table
        Those that there were.
    places : NDArray[int64]
        Which rows of it, ascending.
    """

    whole: Table
    places: NDArray[np.intp]

    @property
    def definition(self) -> Definition:
        """What the points are indices of."""
        return self.whole.definition

    @property
    def metrics(self) -> Sequence[str]:
        """Names of the metrics."""
        return self.whole.metrics

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a point."""
        return self.whole.frame.iloc[self.places]

    @cached_property
    def arrow(self) -> pa.Table:
        """The same rows, with NaN and missing values kept apart."""
        return self.whole.arrow.take(self.places)

    @property
    def reasons(self) -> Mapping[int, str]:
        """Why points ended early, as far as that was noted."""
        return self.whole.reasons

    @cached_property
    def curves(self) -> pd.DataFrame:
        """What the points recorded, a row a step."""
        whole = self.whole.curves
        return whole[whole["point"].isin(self.frame.index)].reset_index(drop=True)


def numeric(table: Table) -> tuple[str, ...]:
    """Return the metrics that are numbers."""
    from pandas.api.types import is_numeric_dtype  # noqa: PLC0415

    return tuple(name for name in table.metrics if is_numeric_dtype(table.frame[name].dtype))


def undecided(definition: Definition) -> str:
    """Say why a definition alone does not tell by which metric points are better or worse."""
    if definition.goals:
        return f"the definition has several goals ({', '.join(name for name, _ in definition.goals)})"
    return "the definition has neither minimize nor maximize"


def several(
    by: Sequence[str | tuple[str, str]] | None, declared: Sequence[Goal], there: Sequence[str]
) -> tuple[Goal, ...]:
    """Return two or more goals: as given, or as the definition declares them, of the columns that there are.

    Raises
    ------
    UsageError
        A metric is unknown, a direction is none, or there are fewer than two.
    """
    known = dict(declared)
    found: dict[str, int] = {} if by else known
    for each in by or ():
        name, way = (each, "") if isinstance(each, str) else each
        if way not in ("", *WAYS):
            raise UsageError(f"{name}: a direction is minimize or maximize, not {way!r}")
        found[name] = WAYS[way] if way else known.get(name, 1)
    for name in found:
        demand(name, there, "metric that is a number")
    if len(found) < 2:
        what = f"the only goal is {next(iter(found))}" if found else "the definition has no goal"
        raise UsageError(
            f"{what}, and a Pareto front is between two or more: "
            f"pareto(by=[(metric, direction), ...]), of {enumerated(there)}"
        )
    return tuple(found.items())


def eligible(table: Table) -> NDArray[np.bool_]:
    """Tell which rows may be called the best: those of points that are ``ok`` and keep the constraints of a search."""
    found: NDArray[np.bool_] = (table.frame["status"] == "ok").to_numpy()
    kept = feasible(table.frame, table.definition)
    return found if kept is None else found & kept


def feasible(frame: pd.DataFrame, definition: Definition) -> NDArray[np.bool_] | None:
    """Tell which rows keep all constraints of a search; None where there is no constraint.

    A row that lacks a value that one of them reads does not keep it.
    """
    if definition.search is None or not definition.search.subject_to:
        return None
    import numpy as np  # noqa: PLC0415  start-up, as pandas

    from swath.analysis.selecting import holds  # noqa: PLC0415

    kept = [
        holds(frame, constraint.text, definition.space)
        if constraint.names <= set(frame.columns)
        else np.zeros(len(frame), bool)
        for constraint in definition.search.subject_to
    ]
    found: NDArray[np.bool_] = np.logical_and.reduce(kept)
    return found


def target(table: Table, metric: str | None) -> str:
    """Return the metric that is meant: as given, or what the definition optimises, or the only one there is.

    Raises
    ------
    UsageError
        There is no such metric, or it is not a number, or several might be meant.
    """
    definition, there = table.definition, numeric(table)
    only = there[0] if len(there) == 1 else None
    name = metric or (definition.goal[0] if definition.goal else only)
    if name is None:
        raise UsageError(f"{undecided(definition)}, so say which metric: {enumerated(there)}")
    demand(name, (*there, "seconds"), "metric that is a number")
    return name


def varying(table: Table) -> list[str]:
    """Return the parameters that vary, without those that only tell replicates apart."""
    from swath.analysis.levels import coded  # noqa: PLC0415  start-up: pandas

    space = table.definition.space
    others = [name for name in space.names if name not in space.replicates]
    return [name for name in others if len(coded(table.frame[name])[1]) > 1]


def parameters(table: Table, over: str | Sequence[str]) -> tuple[str, ...]:
    """Return names of parameters, which there must be."""
    over = (over,) if isinstance(over, str) else tuple(over)
    for name in over:
        demand(name, table.definition.space.names, "parameter")
    return over
