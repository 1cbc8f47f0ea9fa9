"""Curves: what points recorded step by step, out of all that was ever recorded.

Theory of operation. Files hold steps as they came. A step number that comes again for a point takes back all of that point
from there on: it was evaluated again, from the beginning or from a checkpoint. So a step counts if, of the same point,
none that came later has the same number or a lower one. For all points at once: put the steps in the order of their
points, each in order of arrival, lift the numbers of each point above those of all points before it, and take the running
minimum from the end; a step counts if its number is below the minimum of what follows.

Points are matched across definitions as rows are, by content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from swath.messages import Step
from swath.store.segments import array, ascending, first_there, numpy_column, take
from swath.store.steps import CORE, join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from swath.store.entries import StepsEntry
    from swath.store.history import Archive, Target

    Integers = NDArray[np.int64]

CHUNK = 1 << 14  # steps that become objects at a time


@dataclass(frozen=True, slots=True)
class Curves:
    """The steps that count, of the points of one definition.

    Attributes
    ----------
    table : pa.Table
        As in a file of steps, in the order of points and of steps, with ``point`` an index in that definition.
    arrived : NDArray[int64]
        For each row its place in the order of arrival.
    """

    table: pa.Table
    arrived: Integers

    def frame(self) -> pd.DataFrame:
        """Make a frame of them; a metric that a step lacks is NaN."""
        import pandas as pd  # noqa: PLC0415  whoever resumes a run needs no frame

        names = [name for name in self.table.column_names if name != "attempts"]
        columns = {name: self.table.column(name).to_pandas().array for name in names}
        return pd.DataFrame(columns, copy=False)

    def steps(self, target: Target) -> Iterator[Step]:
        """Yield them in the order in which they came, with positions."""
        table = self.table.take(array(np.argsort(self.arrived), pa.int64()))
        for start in range(0, table.num_rows, CHUNK):
            part = table.slice(start, CHUNK)
            positions = target.space.positions(numpy_column(part, "point")).tolist()
            numbers, seconds = (numpy_column(part, name).tolist() for name in ("step", "seconds"))
            values = (
                part.drop_columns(list(CORE)).to_pylist()
                if part.num_columns > len(CORE)
                else [{}] * len(part)
            )
            for position, number, took, metrics in zip(positions, numbers, seconds, values, strict=True):
                there = {name: value for name, value in metrics.items() if value is not None}
                yield Step(position, number, took, there)

    def attempts(self, target: Target) -> dict[int, int]:
        """Return, by position, in which attempt a point has recorded its last step."""
        positions = target.space.positions(numpy_column(self.table, "point")).tolist()
        return dict(zip(positions, numpy_column(self.table, "attempts").tolist(), strict=True))


def curves_of(archive: Archive, most: int | None = None) -> Curves:
    """Gather the steps that count of the current definition's points.

    Parameters
    ----------
    archive : Archive
        The run.
    most : int or None
        Bytes of files to read, the newest ones, but at least one; so the oldest curves may lack their beginnings, or be missing.
    """
    number = archive.manifest.current
    entries = archive.manifest.steps if most is None else _newest(archive.manifest.steps, most)
    target = archive.target(number) if number and entries else None
    tables = []
    for entry in entries if target else ():
        table = archive.steps(entry)
        if table is not None and target is not None:
            tables.append(_matched(archive, entry.definition, table, target))
    table = join(tables or [_nothing()]).combine_chunks()
    places = counting(numpy_column(table, "point"), numpy_column(table, "step"))
    if places is None:
        return Curves(_ordered(table), np.arange(len(table)))
    return Curves(_ordered(take(table, places)), places)


def _newest(entries: Sequence[StepsEntry], most: int) -> Sequence[StepsEntry]:
    """Return the last files that together have at most so many bytes, at least one, in their order."""
    sizes = np.cumsum([entry.bytes for entry in reversed(entries)])
    return entries[-max(1, int((sizes <= most).sum())) :]


def _nothing() -> pa.Table:
    empty = [pa.nulls(0, kind) for kind in CORE.values()]
    return pa.Table.from_arrays(empty, names=list(CORE))


def _matched(archive: Archive, definition: int, table: pa.Table, target: Target) -> pa.Table:
    """Give steps the indices of another definition; those of points that it lacks are left out."""
    points = numpy_column(table, "point")
    indices = archive.indices(definition, points, target)
    if (indices != points).any():
        table = table.set_column(0, "point", array(indices, pa.int64()))
    return table if (indices >= 0).all() else take(table, np.flatnonzero(indices >= 0))


def counting(points: Integers, steps: Integers) -> Integers | None:
    """Return the places of the steps that count, in the order of points and of steps; None: all, as they are.

    Parameters
    ----------
    points, steps : NDArray[int64], shape (n,)
        Not negative, in the order of arrival.
    """
    if not len(points):
        return None
    order = np.argsort(points, kind="stable")
    points, steps = points[order], steps[order]
    first = np.concatenate(([True], points[1:] != points[:-1]))
    if (first[1:] | (steps[1:] > steps[:-1])).all():  # nothing was evaluated again
        return None if ascending(order) else order
    span = int(steps.max()) + 1
    if span > (1 << 62) // len(points):
        steps = np.unique(steps, return_inverse=True)[1]
        span = len(steps)
    lifted = steps + (np.cumsum(first) - 1) * span
    least = np.minimum.accumulate(lifted[::-1])[::-1]
    counts = np.concatenate((lifted[:-1] < least[1:], [True]))
    found: Integers = order[counts]
    return found


def _ordered(table: pa.Table) -> pa.Table:
    """Put metrics in the order of their first appearance; those that nothing has any more are left out."""
    places: dict[str, int] = {}
    for name in table.column_names[len(CORE) :]:
        column = table.column(name)
        if column.null_count < len(column):
            places[name] = first_there(column)
    return table.select([*CORE, *sorted(places, key=places.__getitem__)])
