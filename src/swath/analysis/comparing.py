"""Two sets of rows, point by point: what is only in one, and what has changed in those that are in both.

Theory of operation. Points are the same if their parameters have the same content, whatever their indices are; the parameters of
both are put below each other and grouped together. A parameter that only one of them has must be constant there. Metrics are then
compared column by column: NaN equals NaN, and the integer 1 the float 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from swath.analysis.levels import coded, floats, free, groups, is_list, is_nan, is_number
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from swath.analysis.tables import Table

    Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two sets of rows have in common and what not.

    Attributes
    ----------
    frame : DataFrame
        A row for each point in both, in the order here: the parameters of both, ``point_here`` and ``point_there``,
        for each metric of both and for the status ``<name>_here`` and ``<name>_there``, and whether any of these
        ``changed``.
    changed : DataFrame
        Those rows that have.
    only_here, only_there : DataFrame
        The other rows of each.
    changes : mapping of str to (int, float)
        For each metric that has changed and for ``status``: how many points, and the largest difference as a part of the
        larger value; NaN where that is no number.
    metrics_here, metrics_there : tuple of str
        Metrics that only one of them has.
    parameters : tuple of str
        By which points were matched.
    names : (str, str)
        Of the two sweeps.
    """

    frame: pd.DataFrame
    changed: pd.DataFrame
    only_here: pd.DataFrame
    only_there: pd.DataFrame
    changes: Mapping[str, tuple[int, float]]
    metrics_here: tuple[str, ...]
    metrics_there: tuple[str, ...]
    parameters: tuple[str, ...]
    names: tuple[str, str]

    @property
    def summary(self) -> str:
        """What there is to say, in a few lines."""
        here, there = self.names
        changed = len(self.changed)
        lines = [
            f"{here} (here) and {there} (there): {_points(len(self.frame))} in both, "
            + (
                f"{changed:,} changed"
                if changed
                else "all equal"
                if len(self.frame)
                else "nothing to compare"
            )
        ]
        for name, (count, most) in self.changes.items():
            by = "" if np.isnan(most) else f", by up to {100 * most:.3g} %"
            lines.append(f"  {name}: {count:,} changed{by}")
        for side, rows, metrics in (
            ("here", self.only_here, self.metrics_here),
            ("there", self.only_there, self.metrics_there),
        ):
            said = [_points(len(rows))] if len(rows) else []
            said += [f"metric {', '.join(metrics)}"] if metrics else []
            lines += [f"  only {side}: {'; '.join(said)}"] if said else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Comparison of {self.summary}>"

    def _repr_html_(self) -> str:
        from swath.views.notebook.comparison import comparison  # noqa: PLC0415  only who looks at it needs it

        return str(comparison(self).html)


def _points(count: int) -> str:
    return f"{count:,} point{'' if count == 1 else 's'}"


def compare(here: Table, there: Table, rtol: float) -> Comparison:
    """Compare rows; see `Analysis.compare`.

    Raises
    ------
    UsageError
        A parameter that only one of them has varies there.
    """
    by = _common(here, there)
    left, right = _matched(here.frame, there.frame, by)
    common = [name for name in here.metrics if name in there.metrics]
    first, second = here.frame.iloc[left], there.frame.iloc[right]
    columns: dict[str, Any] = {name: first[name].array for name in by}
    columns[free("point_here", columns)] = first.index.to_numpy()
    columns[free("point_there", columns)] = second.index.to_numpy()
    changed = np.zeros(len(left), bool)
    changes: dict[str, tuple[int, float]] = {}
    for name in (*common, "status"):
        columns[free(f"{name}_here", columns)] = first[name].array
        columns[free(f"{name}_there", columns)] = second[name].array
        differs = ~_same_metric(name, here, left, there, right, rtol)
        changed |= differs
        if differs.any():
            changes[name] = int(differs.sum()), _largest(first[name], second[name], differs)
    columns[free("changed", columns)] = changed
    frame = pd.DataFrame(columns)
    return Comparison(
        frame,
        frame[changed],
        here.frame.drop(first.index),
        there.frame.drop(second.index),
        changes,
        tuple(name for name in here.metrics if name not in there.metrics),
        tuple(name for name in there.metrics if name not in here.metrics),
        tuple(by),
        (here.definition.name, there.definition.name),
    )


def _common(here: Table, there: Table) -> list[str]:
    """Return the parameters of both; one that only one of them has must not vary there."""
    mine, theirs = here.definition.space.names, there.definition.space.names
    for table, names, others, side in ((here, mine, theirs, "here"), (there, theirs, mine, "there")):
        for name in names:
            if name not in others and (count := len(coded(table.frame[name])[1])) > 1:
                raise UsageError(
                    f"only the run {side} has a parameter {name}, with {count:,} values, so points cannot be told "
                    f"apart by what both have; choose one with where({name}=...)"
                )
    return [name for name in mine if name in theirs]


def _matched(
    here: pd.DataFrame, there: pd.DataFrame, by: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the points that are in both, in the order of the first."""
    both = pd.DataFrame({name: pd.concat([here[name], there[name]], ignore_index=True) for name in by})
    group, first = groups(both, by) if by else (np.zeros(len(here) + len(there), np.int64), np.zeros(1))
    place = np.full(len(first), -1, np.int64)
    place[group[len(here) :]] = np.arange(len(there))
    found = place[group[: len(here)]]
    return np.flatnonzero(found >= 0), found[found >= 0]


def _same_metric(
    name: str,
    here: Table,
    left: NDArray[np.int64],
    there: Table,
    right: NDArray[np.int64],
    rtol: float,
) -> Flags:
    """Tell where two tables have the same value of a metric, in some rows of each."""
    first, second = here.frame[name], there.frame[name]
    if first.dtype == second.dtype == object:
        columns = here.arrow.column(name), there.arrow.column(name)
        if all(is_list(column.type) for column in columns):
            a, b = (
                column.combine_chunks().take(pa.array(rows))
                for column, rows in zip(columns, (left, right), strict=True)
            )
            return _same_lists(a, b, rtol)
    return _same(first.iloc[left], second.iloc[right], rtol)


def _same_lists(left: pa.Array, right: pa.Array, rtol: float) -> Flags:
    """Tell where two columns of lists have the same: both none, or the same number of the same values."""
    if not (is_list(left.type) and is_list(right.type)):
        return _same(left.to_pandas(), right.to_pandas(), rtol)
    lengths = [pc.fill_null(pc.list_value_length(side), -1).to_numpy() for side in (left, right)]
    same: Flags = lengths[0] == lengths[1]
    rows = pa.array(np.flatnonzero(same))
    inner = _same_lists(left.take(rows).flatten(), right.take(rows).flatten(), rtol)
    ends = np.concatenate([[0], np.cumsum(np.maximum(lengths[0][same], 0))])
    bad = np.concatenate([[0], np.cumsum(~inner)])
    same[same] = bad[ends[1:]] == bad[ends[:-1]]
    return same


def _same(left: pd.Series[Any], right: pd.Series[Any], rtol: float) -> Flags:
    """Tell where two columns have the same value, or both none."""
    if is_number(left) and is_number(right):
        return _near(left, right, rtol)
    if isinstance(left.dtype, pd.CategoricalDtype) and left.dtype == right.dtype:
        return np.asarray(left.cat.codes.to_numpy() == right.cat.codes.to_numpy(), bool)
    if left.dtype == right.dtype == "str":
        equal = left.fillna("").array == right.fillna("").array
        return np.asarray(equal & (left.isna().array == right.isna().array), bool)
    pairs = zip(left.astype(object).tolist(), right.astype(object).tolist(), strict=True)
    return np.fromiter((_is_same(a, b, rtol) for a, b in pairs), bool, len(left))


def _near(left: pd.Series[Any], right: pd.Series[Any], rtol: float) -> Flags:
    if left.dtype.kind in "iu" and right.dtype.kind in "iu" and not rtol:
        missing = left.isna().to_numpy(), right.isna().to_numpy()
        a, b = (item.fillna(0).to_numpy() for item in (left, right))
        return np.asarray((a == b) & (missing[0] == missing[1]), bool)
    return np.asarray(_close(floats(left), floats(right), rtol), bool)


def _close(a: Any, b: Any, rtol: float) -> Any:
    """Tell where numbers are equal, both NaN, or differ by at most a part of the larger."""
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= rtol * np.maximum(np.abs(a), np.abs(b))
    return (a == b) | (np.isnan(a) & np.isnan(b)) | (near & np.isfinite(a) & np.isfinite(b))


def _is_same(a: Any, b: Any, rtol: float) -> bool:
    """Tell whether two values of any type are the same."""
    a, b = (item.tolist() if hasattr(item, "tolist") else item for item in (a, b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_is_same(*pair, rtol) for pair in zip(a, b, strict=True))
    if _is_none(a) or _is_none(b):
        return _is_none(a) and _is_none(b)
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b or bool(_close(float(a), float(b), rtol))
    if isinstance(a, str) != isinstance(b, str):
        return str(a) == str(b)  # one of the columns became text
    return bool(a == b)


def _is_none(item: Any) -> bool:
    return item is None or is_nan(item)


def _largest(left: pd.Series[Any], right: pd.Series[Any], chosen: Flags) -> float:
    """Return the largest difference as a part of the larger value; NaN where there is none to speak of."""
    if not (is_number(left) and is_number(right)):
        return np.nan
    a, b = floats(left)[chosen], floats(right)[chosen]
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
    parts = parts[np.isfinite(parts)]
    return float(parts.max()) if len(parts) else np.nan
