"""Evaluate one batch in this process: the loop around the user's function.

Theory of operation
-------------------
A batch is worked through from the front, in chunks that grow: columns of the space are made for a chunk,
``where`` is applied to them, and the rows left are handed to the function one by one. The loop writes the
position it is at into shared memory before each point (the *crumb*), so that whoever watches knows which
point was running when this process died; then it reads there how far it may go, so that the rest of a batch
can be taken back without a word being exchanged, and nothing of it is begun.

A microsecond matters in `_loop` and nowhere else: one clock reading a point, arguments by position where
the function allows it, plain results kept as they are until the batch is over. What the objective could
change afterwards is settled at once, within the point's own time.

Steps are no business of the loop: `swath.inside.steps` takes them, from functions that record and from generators, which
are called in another way, chosen once. What was told to end comes out of the loop like any exception.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swath.errors import ExpressionError, ObjectiveError
from swath.inside.columns import numbers
from swath.inside.crumb import AFTER, EVERYTHING, HERE, LIMIT, NOWHERE
from swath.inside.demands import returned, unrecorded
from swath.inside.metrics import MISSING, MOST_METRICS, PLAIN, TooManyError, settle, to_columns
from swath.inside.own import own
from swath.inside.rows import COLUMNS, encode, first_lines, shared_line
from swath.inside.steps import Follower, Recorder, is_stepwise
from swath.inside.tracebacks import describe
from swath.messages import STATUSES, Reply
from swath.objective import signature_of
from swath.ranges import RangeSet
from swath.recording import Pruned, evaluating
from swath.space import ABSENT, Opaque, Space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableSequence, Sequence

    from numpy.typing import NDArray

    from swath.inside.metrics import Field
    from swath.messages import Ranges
    from swath.objective import Signature
    from swath.task import Task

FIRST_CHUNK, LARGEST_CHUNK = 64, 65_536
"""Points whose columns are made at a time: few before anything is known, then enough to be cheap."""

LOOK = 0.005
"""Seconds between two looks at the clock's verdict; points longer than this look every time."""

MOST_HELD = 64 * 2**20
"""About how many bytes of results a batch holds before it ends, whatever its budget."""

ENTRY = 128
"""About how many bytes a plain value in a mapping takes."""


@dataclass(slots=True)
class _Rows:
    """What the loop gathers, a place for each row evaluated."""

    positions: list[NDArray[np.int64]] = field(default_factory=list)
    indices: list[NDArray[np.int64]] = field(default_factory=list)
    seconds: list[NDArray[np.float64]] = field(default_factory=list)
    starts: list[NDArray[np.float64]] = field(default_factory=list)
    results: list[object] = field(default_factory=list)
    failures: dict[int, tuple[str, str]] = field(default_factory=dict)
    pruned: set[int] = field(default_factory=set)
    held: int = 0


class Evaluator:
    """Holds an imported objective and evaluates batches with it.

    Parameters
    ----------
    task : Task
        What to evaluate.
    crumb : mutable sequence of int
        Shared with whoever watches: see `swath.inside.crumb`.

    Attributes
    ----------
    between : callable
        Asked from time to time, between two points, whether the batch is to end there.
    has_printed : callable
        Asked at the same time whether that shall be after every point, because points print.
    recorder : Recorder
        Takes what points record.

    Raises
    ------
    ObjectiveError
        If the objective cannot be imported, or not be called with keywords.
    """

    def __init__(self, task: Task, crumb: MutableSequence[int]) -> None:
        self.task = task
        self.crumb = crumb
        self.between: Callable[[], bool] = bool  # which says no
        self.has_printed: Callable[[], bool] = bool
        self.space = Space.from_spec(task.space)
        self.function = _load(task)
        self.signature: Signature = signature_of(self.function)
        self.recorder = Recorder(crumb, self._folder_of)
        if is_stepwise(self.function):
            self.function = Follower(self.function, self.recorder)
        self._constants = task.load_constants()
        self._taken = {*self.space.names, *self.space.derived, *COLUMNS}
        self._names = self.signature.receives((*self.space.names, *self.space.derived))
        self._met: set[str] = set()
        self._plain = _plain_names(self.space)
        self._order = _positional(self.function, self._names)

    def learn(self, points: str) -> None:
        """Take in the points of a batch that a search has proposed; see `Batch.points`."""
        if points:
            assert self.space.proposals is not None  # noqa: S101
            self.space.proposals.decode(points)

    def evaluate(self, start: int, stop: int, budget: float, limit: int | None = None) -> Reply:
        """Evaluate from the front of [start, stop) until the budget (seconds) or the limit (rows) is spent."""
        rows = _Rows()
        began, wall = time.perf_counter(), time.time()
        deadline = began + budget
        self.crumb[HERE] = NOWHERE
        self.crumb[LIMIT] = EVERYTHING
        self.recorder.begin()
        reached, chunk = start, FIRST_CHUNK
        while reached < stop:
            upto = min(reached + chunk, stop)
            left = EVERYTHING if limit is None else limit - len(rows.results)
            try:
                with evaluating(self.recorder):
                    reached, ended = self._chunk(reached, upto, deadline, left, rows)
            except ExpressionError as error:
                if reached == start:
                    return Reply((), 0, seconds=time.perf_counter() - began, fatal=str(error))
                break  # what is done is done; the next batch begins with the point that fails
            if ended or time.perf_counter() > deadline or reached >= self.crumb[LIMIT]:
                break
            chunk = min(chunk * 4, LARGEST_CHUNK)
        self.recorder.finish()
        self.crumb[HERE] = AFTER
        return self._reply(start, reached, rows, began, wall)

    def _chunk(self, start: int, stop: int, deadline: float, left: int, rows: _Rows) -> tuple[int, bool]:
        """Evaluate positions [start, stop); return where it got to, and whether the batch is to end."""
        indices = self.space.indices(start, stop)
        points = self.space.take(indices)
        positions = np.arange(start, stop)
        if self.space.where is not None:
            keep = self.space.keep(points)
            if not keep.all():
                indices, positions = indices[keep], positions[keep]
                points = self.space.take(indices)
        count = min(left, len(indices))
        ends = [time.perf_counter()]
        self.recorder.follow(ends)
        done = self._loop(points.arguments(self._names), positions[:count], ends, deadline, rows)
        if done:
            self.has_printed()
        times = np.array(ends)
        rows.positions.append(positions[:done])
        rows.indices.append(indices[:done])
        rows.starts.append(times[:-1])
        rows.seconds.append(np.diff(times))
        if done == len(indices):
            return stop, False
        return (int(positions[done - 1]) + 1 if done else start), True

    def _loop(
        self,
        columns: Sequence[list[Any]],
        positions: NDArray[np.int64],
        ends: list[float],
        deadline: float,
        rows: _Rows,
    ) -> int:
        """Call the function point by point; return how many points were evaluated."""
        call, arguments = self._calls(columns)
        crumb, clock, note, keep = self.crumb, time.perf_counter, ends.append, rows.results.append
        look, seldom, usual = 0.0, 0.0, None
        for position, values in zip(positions.tolist(), arguments, strict=False):
            crumb[HERE] = position
            if position >= crumb[LIMIT]:  # asked after it was said where this is: see `cut_short`
                crumb[HERE] = position - 1
                break
            try:
                result = call(*values)
            except BaseException as error:  # noqa: BLE001  # one point can fail only itself
                result = self._raised(error, position, rows)
            else:
                if (kind := type(result)) is not usual:
                    if kind in PLAIN and kind is not str:
                        usual = kind  # the next result is likely to be of this type too
                    else:
                        result = settle(result)
                        rows.held += ENTRY * len(result) if type(result) is dict else len(result)  # type: ignore[arg-type]
            note(now := clock())
            keep(result)
            if now > look:
                prints = self.has_printed()
                full = rows.held + self.recorder.held > MOST_HELD
                if full or now > deadline or (now > seldom and self.between()):
                    break
                if now > seldom:
                    seldom = now + LOOK
                look = now if prints else min(deadline, now + LOOK)
        return len(ends) - 1

    def _raised(self, error: BaseException, position: int, rows: _Rows) -> object:
        """Take in what came out of a point instead of a result; return the result that it has anyway."""
        row = len(rows.results)
        if issubclass(type(error), Pruned):  # asking the exception itself may raise another
            rows.pruned.add(row)
            return settle(dict(self.recorder.last_given(position)))
        rows.failures[row] = ("error", text := describe(error))
        rows.held += len(text)
        return MISSING

    def _folder_of(self, position: int) -> Path | None:
        """Return where a position may keep checkpoints, by its content; None if nowhere."""
        if not self.task.checkpoints:
            return None
        (point,) = self.space.indices(position, position + 1).tolist()
        return Path(self.task.checkpoints) / self.space.content_id(point, self._names)

    def _calls(self, columns: Sequence[list[Any]]) -> tuple[Callable[..., object], Iterable[Sequence[Any]]]:
        """Choose how to call: by position where that means the same and nothing is absent, else by keyword."""
        names, function = self._names, self.function
        held = [
            column if name in self._plain else map(self._fresh, column)  # one by one: copies may be large
            for name, column in zip(names, columns, strict=True)
        ]
        if not held:
            return function, repeat(())
        if not self._plain.issuperset(names):
            return lambda *values: function(
                **{name: value for name, value in zip(names, values, strict=True) if value is not ABSENT}
            ), zip(*held, strict=True)
        if self._order is not None:
            return function, zip(*(held[i] for i in self._order), strict=True)
        return lambda *values: function(**dict(zip(names, values, strict=True))), zip(*held, strict=True)

    def _reply(self, start: int, reached: int, rows: _Rows, began: float, wall: float) -> Reply:
        positions = _joined(rows.positions, np.int64)
        self._mark_pruned(positions, rows)
        fields, fatal = self._fields(rows)
        if fatal or not len(positions):
            return Reply(
                () if fatal else ((start, reached),), 0, seconds=time.perf_counter() - began, fatal=fatal
            )
        indices = _joined(rows.indices, np.int64)
        started = ((_joined(rows.starts, np.float64) - began + wall) * 1e6).astype(np.int64)
        statuses = np.zeros(len(positions), dtype=np.uint8)
        for row, (status, _) in rows.failures.items():
            statuses[row] = STATUSES.index(status)
        statuses[list(rows.pruned)] = STATUSES.index("pruned")
        sound, task = statuses == 0, self.task
        if task.stepped and (fatal := unrecorded(task.stepped, positions[sound].tolist(), self.recorder)):
            return Reply((), 0, seconds=time.perf_counter() - began, fatal=fatal)
        seconds = _joined(rows.seconds, np.float64)
        slowest = int(seconds.argmax())
        payload = encode(indices, statuses, seconds, started, rows.failures, fields)
        return Reply(
            done=((start, reached),),
            rows=len(positions),
            failed=_failed(positions, rows),
            seconds=time.perf_counter() - began,
            payload=(payload,),
            best=self._best(fields, indices, sound),
            complaint=shared_line(text for _, text in rows.failures.values()),
            complaints=first_lines(rows.failures, positions) if rows.failures else (),
            slowest=(float(seconds[slowest]), int(indices[slowest])),
            steps=tuple(self.recorder.steps),
            kept=tuple(RangeSet.of(np.array(self.recorder.kept))) if self.recorder.kept else (),
            returned=returned(task.wanted, sound, fields) if task.wanted else (),
        )

    def _mark_pruned(self, positions: NDArray[np.int64], rows: _Rows) -> None:
        """Take in which points were told to end and returned a result all the same: it is not that of the whole way."""
        for position, given in self.recorder.pruned.items():
            row = int(np.searchsorted(positions, position))
            if row not in rows.failures:
                rows.pruned.add(row)
                rows.results[row] = settle(dict(given))

    def _fields(self, rows: _Rows) -> tuple[list[Field], str]:
        """Make columns of the results, and note which rows cannot be held; or say why no row ever can."""
        try:
            fields, unfit = to_columns(rows.results)
        except TooManyError as error:
            return [], str(error)
        for row, text in unfit.items():
            rows.failures[row] = ("invalid", text)
            rows.pruned.discard(row)
        for name in dict.fromkeys(name for name, _ in fields):
            if name in self._taken:
                return [], f"the metric {name!r} has the name of another column; rename it in the objective"
            self._met.add(name)
        if len(self._met) > MOST_METRICS:
            return (
                [],
                f"points returned {len(self._met):,} different metrics; at most {MOST_METRICS:,} make a table",
            )
        return fields, ""

    def _best(
        self, fields: Sequence[Field], indices: NDArray[np.int64], sound: NDArray[np.bool_]
    ) -> tuple[float, int] | None:
        if self.task.goal is None:
            return None
        metric, sign = self.task.goal
        found: tuple[float, int] | None = None
        for name, column in fields:
            if name != metric or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
                continue
            values = numbers(column) * sign
            values[~sound] = np.nan
            if not np.isnan(values).all():
                row = int(np.nanargmin(values))
                if found is None or values[row] < found[0] * sign:
                    found = (float(values[row]) * sign, int(indices[row]))
        return found

    def _fresh(self, value: Any) -> Any:
        """Give every point its own copy of what it could change, and the constants their real values."""
        return own(self._constants.get(value.digest, value) if isinstance(value, Opaque) else value)


def _load(task: Task) -> Callable[..., object]:
    try:
        return task.code.load()
    except ObjectiveError:
        raise
    except BaseException as error:
        raise ObjectiveError(f"{task.code.objective} cannot be imported: {describe(error)}") from error


def _positional(function: Callable[..., object], names: Sequence[str]) -> list[int] | None:
    """Return the order in which the named values are the function's first arguments, if they are."""
    if type(function) is not FunctionType:
        return None
    code = function.__code__
    first = code.co_varnames[: code.co_argcount][: len(names)]
    if set(first) != set(names) or len(first) != len(names) or hasattr(function, "__wrapped__"):
        return None
    return [list(names).index(name) for name in first]


def _plain_names(space: Space) -> set[str]:
    """Name what every point has, as a value that it cannot change."""
    plain = set()
    for name in space.names:
        blocks = [block for block in space.candidates.blocks if name in block.place]
        if len(blocks) == len(space.blocks) and not any(block.conditional(name) for block in blocks):
            kinds = {kind for block in blocks for kind in block.series(name).types}
            if kinds <= {float, int, str, bool, type(None)}:
                plain.add(name)
    for name, expression in space.derive.items():
        if expression.names <= plain:
            plain.add(name)
    return plain


def _joined(parts: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.array([], dtype=kind)


def _failed(positions: NDArray[np.int64], rows: _Rows) -> tuple[tuple[str, Ranges], ...]:
    by_status: dict[str, list[int]] = {}
    for row, (status, _) in rows.failures.items():
        by_status.setdefault(status, []).append(row)
    if rows.pruned:
        by_status["pruned"] = sorted(rows.pruned)
    return tuple(
        (status, tuple(RangeSet.of(positions[found]))) for status, found in sorted(by_status.items())
    )
