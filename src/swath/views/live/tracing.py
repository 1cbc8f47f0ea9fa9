"""What points record on their way, for the learning curves of the live page: read out of what passes, beside the sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swath.messages import Write
from swath.ranges import RangeSet
from swath.views.live.curves import VERTICES, gathered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swath.messages import Record, Step
    from swath.space import Space

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
