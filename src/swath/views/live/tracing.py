"""What points record on their way, for the learning curves of the live page: read beside the sweep, out of what passes.

A page begins with what earlier sessions have saved: as many curves as it keeps, those of points that were left in the middle
first, then the best one and a sample of the others.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.messages import Write
from swath.ranges import RangeSet
from swath.store.segments import floats, numpy_column
from swath.store.steps import CORE
from swath.views.live.curves import CURVES, VERTICES, gathered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from swath.messages import Record, Step
    from swath.space import Space
    from swath.store.history import Past

MOST = 4000
"""Steps that are told at a time; what comes on top is left out, but for the last one of each point."""


class Tracer:
    """Tells which steps came, and how points ended that had any.

    Parameters
    ----------
    space : Space
        Of the points.
    metric : str
        The one to show; if empty, or if it is not recorded, the first that is.
    """

    def __init__(self, space: Space, metric: str) -> None:
        self._space, self._wanted = space, metric
        self.metric = ""
        self._open: dict[
            int, int
        ] = {}  # positions that have recorded something and not ended, with their points
        self._seen, self._stopped = RangeSet(), RangeSet()  # positions

    def saved(self, steps: pa.Table, past: Past, again: Sequence[str], sign: int) -> dict[str, Any]:
        """Return what earlier sessions have saved, in the form of `read`; to be called first.

        Parameters
        ----------
        steps : pa.Table
            See `swath.store.saved.Saved.newest_steps`.
        past : Past
            How their points ended.
        again : sequence of str
            Points with these statuses are left out, because they begin anew.
        sign : int
            1 where less of the metric is better, -1 where more is.
        """
        metrics = steps.column_names[len(CORE) :]
        self.metric = self._wanted if self._wanted in metrics else next(iter(metrics), "")
        every, numbers = numpy_column(steps, "point"), numpy_column(steps, "step")
        values = floats(steps.column(self.metric)) if self.metric else np.full(len(every), np.nan)
        bounds = np.append(np.flatnonzero(np.diff(every, prepend=-1)), len(every))
        points = every[bounds[:-1]]
        positions = self._space.positions(points)
        ends = _ends(positions, past)
        kept = ~np.isin(ends, again)
        self._seen = RangeSet.of(positions[kept])
        self._stopped = RangeSet.of(positions[kept & (ends == "pruned")])
        curves, ended = [], []
        for i in _chosen(np.flatnonzero(kept), ends, sign * values[bounds[1:] - 1]):
            first, last, point = bounds[i], bounds[i + 1] - 1, int(points[i])
            rows = np.linspace(first, last, min(VERTICES, last - first + 1)).round().astype(np.int64)
            curves.append([point, numbers[rows].tolist(), values[rows].tolist()])
            if ends[i]:
                ended.append([point, ends[i]])
            else:
                self._open[int(positions[i])] = point
        return {"curves": curves, "ended": ended, "traced": [len(self._seen), len(self._stopped)]}

    def read(self, messages: Sequence[Record | Write]) -> dict[str, Any]:
        """Return what is new, as `swath.views.live.curves.Curves.take` takes it; nothing where no point records anything."""
        steps: list[tuple[int, int, float | None]] = []
        ended: dict[int, str] = {}
        for message in messages:
            if isinstance(message, Write):
                ended.update(self._ended(message))
                continue
            for step in message.steps:
                point = self._point(step.position)
                ended.pop(point, None)  # it goes on after all
                steps.append((point, step.step, self._value(step)))
        if not steps and not ended:
            return {}
        curves = gathered(_fewer(steps), VERTICES)
        counted = [len(self._seen), len(self._stopped)]
        return {"curves": curves, "ended": [list(item) for item in ended.items()], "traced": counted}

    def _point(self, position: int) -> int:
        if position not in self._open:
            self._open[position] = int(self._space.indices(position, position + 1)[0])
            self._seen.add(position, position + 1)
            self._stopped.discard(position, position + 1)
        return self._open[position]

    def _value(self, step: Step) -> float | None:
        if not self.metric:
            self.metric = self._wanted if self._wanted in step.metrics else next(iter(step.metrics), "")
        value = step.metrics.get(self.metric)
        return None if value is None else float(value)

    def _ended(self, write: Write) -> Iterator[tuple[int, str]]:
        """Yield how those of the points ended whose rows are accepted."""
        if not self._open:
            return
        done = [p for p in self._open if any(start <= p < stop for start, stop in write.reply.done)]
        for position in done:
            if write.whole or position in write.accepted:
                status = _status(write, position)
                if status == "pruned":
                    self._stopped.add(position, position + 1)
                yield self._open.pop(position), status


def _status(write: Write, position: int) -> str:
    for status, ranges in write.reply.failed:
        if any(start <= position < stop for start, stop in ranges):
            return status
    return "ok"


def _fewer(steps: list[tuple[int, int, float | None]]) -> list[tuple[int, int, float | None]]:
    """Leave out some of very many steps, but not the last one of a point."""
    if len(steps) <= MOST:
        return steps
    last = {point: i for i, (point, _, _) in enumerate(steps)}
    every = -(-len(steps) // MOST)
    return [step for i, step in enumerate(steps) if i % every == 0 or last[step[0]] == i]


def _ends(positions: NDArray[np.int64], past: Past) -> NDArray[np.object_]:
    """Return the statuses of points; empty where there is no row."""
    ends = np.full(len(positions), "", object)
    ends[past.done.contains_array(positions)] = "ok"
    for status, attempts in past.failed.items():
        for failed in attempts.values():
            ends[failed.contains_array(positions)] = status
    return ends


def _chosen(rows: NDArray[np.int64], ends: NDArray[np.object_], losses: NDArray[np.float64]) -> Sequence[int]:
    """Choose `CURVES` of some rows; those without an end make no way for others, so they get half of the room at most."""
    over = rows[ends[rows] != ""]
    good = over[(ends[over] == "ok") & np.isfinite(losses[over])]
    best = good[np.argsort(losses[good], kind="stable")[:1]]
    lot = random.Random(4)  # noqa: S311  # no secret hangs on it
    some = lot.sample(over.tolist(), min(CURVES, len(over)))
    return list(dict.fromkeys([*rows[ends[rows] == ""][: CURVES // 2].tolist(), *best.tolist(), *some]))[
        :CURVES
    ]
