"""Rows for the live page, read out of replies beside the sweep: as many as a budget allows, the others are counted.

Nothing here changes what is saved, and nothing that a reply holds can harm more than its place on the page.
"""

from __future__ import annotations

import random
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swath.errors import ExpressionError
from swath.messages import STATUSES
from swath.snapshot import GOOD
from swath.space.computed import Computed
from swath.space.values import ABSENT
from swath.store.ipc import WRONG, read_stream
from swath.store.segments import OURS, floats, numpy_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from swath.messages import Write
    from swath.space import Points, Space

BUDGET = 2000
"""Rows that are read at a time."""

SAVED = 64 << 20
"""Bytes of rows of earlier sessions that are read."""

Rows = dict[str, dict[str, Any]]
"""``sound`` and ``failed``: rows as `swath.views.live.record.Record` keeps them, and how many each stands for."""

DESIGN = 20_000
"""Points of the space that are looked at, to know which of them ``where`` keeps."""

SENT = 4000
"""Of those that it keeps, and of those that it leaves out, so many are told."""

SHOWN = 12
"""Parameters that the page may choose from."""

LISTED = 100
"""Values of a parameter beyond which they are not listed."""

LONGEST = 40
"""Characters of a value that is no number."""

SOUND = tuple(map(STATUSES.index, GOOD))
"""Places of the statuses that are no failure."""


def varying(space: Space) -> dict[str, list[Any]]:
    """Return the parameters that vary, with their values where these are few; the first `SHOWN` of them."""
    found: dict[str, dict[Any, None]] = {}
    many: set[str] = set()
    constant: dict[str, Any] = {}
    for axis in (axis for block in space.blocks for axis in block):
        for name, values in zip(axis.names, axis.values, strict=True):
            listed = values.choices if isinstance(values, Computed) else values
            few = 0 < len(listed) <= LISTED
            shown = found.setdefault(name, {})
            shown.update(dict.fromkeys(map(plain_value, listed if few else (*listed[:1], *listed[-1:]))))
            if not few or len(shown) > LISTED:
                many.add(name)
            constant[name] = len(shown) < 2 and name not in many
    names = [name for name in space.names if not constant[name]][:SHOWN]
    return {name: [] if name in many else list(found[name]) for name in names}


def design(space: Space, parameters: Sequence[str]) -> dict[str, list[list[Any]]]:
    """Return some points that ``where`` keeps, and some that it leaves out; nothing if it has nothing to say.

    Parameters
    ----------
    space : Space
        Of the points.
    parameters : sequence of str
        Whose values to give.

    Returns
    -------
    dict
        ``kept`` and ``left_out``: rows as those of a `Reader`, without a result.
    """
    if space.where is None or space.proposals is not None:
        return {}
    chosen = np.arange(min(space.size, DESIGN), dtype=np.int64)
    if space.size > DESIGN:
        lot = random.Random(0)  # noqa: S311  # no secret hangs on it
        chosen = np.sort(np.array(lot.sample(range(space.size), DESIGN), dtype=np.int64))
    try:
        keeps = space.keep(space.take(chosen))
    except ExpressionError:
        return {}  # whoever meets such a point says so
    told = {}
    for name, indices in (("kept", chosen[keeps]), ("left_out", chosen[~keeps])):
        indices = indices[:: max(1, -(-len(indices) // SENT))]  # noqa: PLW2901
        points = space.take(indices)
        values = [given(points, parameter) for parameter in parameters]
        told[name] = [
            [index, 0, 0.0, None, *row] for index, *row in zip(indices.tolist(), *values, strict=True)
        ]
    return told if told["left_out"] else {}


def plain_value(value: Any) -> Any:
    """Return a value that JSON can hold: numbers as they are, others as a short text, None where it is absent."""
    if value is ABSENT or value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | float) and (isinstance(value, float) or abs(value) < 2**53):
        return value
    return str(value)[:LONGEST]


def given(points: Points, name: str) -> list[Any]:
    """Return a parameter of some points, in values that JSON can hold.

    One by one: `Points.arguments` keeps all values of an axis at hand, which is right for who evaluates them, and
    hundreds of megabytes in the driver where there are millions.
    """
    values: list[Any] = [None] * points.n
    for part in points.parts:
        if name in part.block.place:
            series = part.block.series(name)
            rows = range(points.n) if part.rows is None else part.rows.tolist()
            if series.computed is not None:
                for row, value in zip(rows, part.objects(name).tolist(), strict=True):
                    values[row] = plain_value(value)
                continue
            items = series.items
            for row, code in zip(rows, part.code(name).tolist(), strict=True):
                values[row] = plain_value(items[code]) if code < len(items) else None  # absent there
    return values


class Reader:
    """Takes rows out of replies.

    Parameters
    ----------
    space : Space
        Of the points.
    metric : str
        The one to show; if empty, the first that is a number is taken.
    parameters : iterable of str
        Whose values to give.
    """

    def __init__(self, space: Space, metric: str, parameters: Iterable[str]) -> None:
        self._space, self._parameters = space, list(parameters)
        self.metric = metric
        self._random = random.Random(0)  # noqa: S311  # no secret hangs on it

    def read(self, writes: Sequence[Write | None], rows: int) -> Rows:
        """Read what the budget allows.

        Parameters
        ----------
        writes : sequence of Write or None
            None stands for what was dropped unread.
        rows : int
            Of all of these.
        """
        rows_read: list[tuple[Any, ...]] = []
        budget, bad = BUDGET, sum(_failed(write) for write in writes if write is not None)
        order = [write for write in writes if write is not None and write.reply.rows]
        self._random.shuffle(order)
        for place, write in enumerate(order):
            share = max(1, budget // (len(order) - place))
            found = self._rows(write, share)
            budget -= len(found)
            rows_read += found
            if budget <= 0:
                break
        return _shared(rows_read, rows, bad)

    def saved(self, segments: Iterable[tuple[NDArray[np.int64], pa.Table]], again: Sequence[str]) -> Rows:
        """Read rows of earlier sessions, a share of each segment.

        Parameters
        ----------
        segments : iterable of (ndarray of int, pa.Table)
            See `swath.store.saved.Saved.rows`; as much is read as `SAVED` allows.
        again : sequence of str
            Rows with these statuses are left out, because they are to be tried again.
        """
        found: list[tuple[Any, ...]] = []
        seen = size = bad = 0
        left_out = [STATUSES.index(status) for status in again]
        for points, table in segments:
            statuses = numpy_column(table, "status")
            kept = np.flatnonzero((points >= 0) & ~np.isin(statuses, left_out))
            chosen = kept[self._choose(np.take(statuses, kept), BUDGET)]
            found += self._taken(points, table, chosen)
            seen, bad = seen + len(kept), bad + int((~np.isin(statuses[kept], SOUND)).sum())
            size += table.nbytes
            if size > SAVED:
                break
        return _shared(found, seen, bad)

    def _rows(self, write: Write, most: int) -> list[tuple[Any, ...]]:
        try:
            tables = [read_stream(pa.py_buffer(piece)) for piece in write.reply.payload]
            pieces = [self._piece(write, table, max(1, most // len(tables))) for table in tables]
        except (*WRONG, IndexError):
            return []  # the store will say so
        return [row for rows in pieces for row in rows]

    def _piece(self, write: Write, table: pa.Table, most: int) -> list[tuple[Any, ...]]:
        points, statuses = numpy_column(table, "point"), numpy_column(table, "status")
        chosen = self._choose(statuses, most)
        if not write.whole:
            chosen = chosen[write.accepted.contains_array(self._space.positions(points[chosen]))]
        return self._taken(points, table, chosen)

    def _taken(
        self, points: NDArray[np.int64], table: pa.Table, chosen: NDArray[np.int64]
    ) -> list[tuple[Any, ...]]:
        """Return some rows of a table, whose points have these indices."""
        if not len(chosen):
            return []
        indices, statuses = np.take(points, chosen), numpy_column(table, "status")
        values = self._values(table, chosen)
        points_taken = self._space.take(indices)
        seconds = numpy_column(table, "seconds")[chosen].tolist()
        shown = [given(points_taken, name) for name in self._parameters]
        return list(zip(indices.tolist(), statuses[chosen].tolist(), seconds, values, *shown, strict=True))

    def _choose(self, statuses: NDArray[np.uint8], most: int) -> NDArray[np.int64]:
        """Choose rows: of those that failed up to a third of the room, the others at random."""
        if len(statuses) <= most:
            return np.arange(len(statuses))
        bad = np.flatnonzero(~np.isin(statuses, SOUND))
        good = np.flatnonzero(np.isin(statuses, SOUND))
        bad = self._some(bad, max(most // 3, most - len(good)))
        return np.sort(np.concatenate((bad, self._some(good, most - len(bad)))))

    def _some(self, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        if len(rows) <= most:
            return rows
        return np.take(rows, np.sort(self._random.sample(range(len(rows)), max(0, most))))

    def _values(self, table: pa.Table, chosen: NDArray[np.int64]) -> list[float | None]:
        """Return the metric of some rows; None where it is no finite number."""
        if not self.metric:
            self.metric = next(
                (item.name for item in table.schema if item.name not in OURS and _is_number(item.type)), ""
            )
        values: list[float | None] = [None] * len(chosen)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if name == self.metric and _is_number(column.type):
                for row, value in enumerate(np.take(floats(column), chosen).tolist()):
                    if isfinite(value):
                        values[row] = value
        return values


def _shared(rows: list[tuple[Any, ...]], every: int, bad: int) -> Rows:
    """Divide rows into those that failed and the others, of so many."""
    sound = [row for row in rows if row[1] in SOUND]
    failed = [row for row in rows if row[1] not in SOUND]
    return {
        "sound": {"rows": sound, "weight": max(1.0, (every - bad) / len(sound)) if sound else 1.0},
        "failed": {"rows": failed, "weight": max(1.0, bad / len(failed)) if failed else 1.0},
    }


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _failed(write: Write) -> int:
    return sum(b - a for status, ranges in write.reply.failed for a, b in ranges if status not in GOOD)


def parameters_of(space: Space, point: int) -> Mapping[str, Any]:
    """Return the parameters of one point, in values that JSON can hold."""
    taken = space.take(np.array([point]))
    values = {name: given(taken, name)[0] for name in space.names}
    return {name: value for name, value in values.items() if value is not None}
