"""Steps on their way out of a point: gathered for the reply, told at once to whoever listens, and met by the word to end.

Theory of operation
-------------------
A recorder is there for a whole batch and costs an ordinary point nothing: only when something is recorded it looks where the
evaluation is, and begins to count anew where that is another position.

In a child every step is written into a pipe at once (`Wire`), so it outlives the child. The slot reads the pipe at most every
few milliseconds (`swath.slot.steps`): a step after a pause wakes it, those that follow quickly it finds together. Where a slot
falls behind, the pipe is full, and what does not fit waits here, up to `ROOM`; the reply has everything anyway.

An objective that is a generator is followed from yield to yield by `Follower`. What is wrong with a value that it yields is
raised where it was yielded; when the point is to end, the generator is closed, so that its ``finally`` runs.

A point that has asked for its folder may go on where an earlier attempt was ended. What that one had recorded
(`swath.inside.trail`) is told before its own first step, or at its end if it records none.
"""

from __future__ import annotations

import inspect
import json
import os
from dataclasses import replace
from time import perf_counter
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Protocol

from swath.errors import CannotWriteError
from swath.inside.crumb import HERE, is_to_end
from swath.inside.trail import Kept, Trail
from swath.messages import Step
from swath.recording import SCALAR, Pruned, checked_metrics, checked_step, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableSequence, Sequence
    from pathlib import Path

    from swath.messages import Reply

MOST_STEPS = 100_000
"""Steps of one evaluation of a point."""

STEP, NUMBER = 200, 64
"""About how many bytes a step takes, and each of its metrics."""

ROOM = 2**20
"""Bytes of steps that wait for a pipe that is full; what comes later in the batch goes with the reply only."""

Said = tuple[int, int | None, float, "Mapping[str, float]"]
"""A step as it is written: position, number, seconds, metrics. Without a number: the position has asked for its folder."""


class Sink(Protocol):
    """Whoever listens to steps while their points run."""

    def begin(self) -> None:
        """Prepare for a batch."""

    def put(self, said: Said) -> None:
        """Take a step; never raises, and holds nobody up who need not be."""


class Nobody:
    """Listens to no step."""

    def begin(self) -> None:
        """Do nothing."""

    def put(self, said: Said) -> None:
        """Do nothing."""


class Wire:
    """The child's end of the pipe for steps: a line of JSON each.

    Parameters
    ----------
    descriptor : int
        Of the pipe.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._behind = False

    def begin(self) -> None:
        """Prepare for a batch; whatever was left of a line has ended."""
        self._waiting[:] = b"\n"
        self._behind = False

    def put(self, said: Said) -> None:
        """Write a step, as far as there is room."""
        if self._behind:
            return
        self._waiting += line(said)
        try:
            del self._waiting[: os.write(self._descriptor, self._waiting)]
        except OSError:  # full, or closed by the point
            self._behind = len(self._waiting) > ROOM


def line(said: Said) -> bytes:
    """Write a step as a line."""
    return json.dumps(said).encode() + b"\n"


def read_lines(lines: Sequence[bytes]) -> list[Said]:
    """Read what `line` wrote; what was torn by somebody's death is left out."""
    found = []
    for text in filter(None, lines):
        try:
            position, step, seconds, metrics = json.loads(text)
        except ValueError:
            continue
        found.append((position, step, seconds, metrics))
    return found


def steps_of(heard: Sequence[Said]) -> tuple[Step, ...]:
    """Return the steps among what was heard."""
    return tuple(Step(place, step, seconds, told) for place, step, seconds, told in heard if step is not None)


def with_steps(reply: Reply, heard: Sequence[Said]) -> Reply:
    """Add to the row of a point that cannot speak for itself any more what was heard of it."""
    steps = steps_of(heard)
    return replace(reply, steps=steps, kept=() if len(steps) == len(heard) else reply.done)


class Recorder:
    """Takes what the points of a batch record.

    Parameters
    ----------
    crumb : mutable sequence of int
        Shared with whoever watches.
    folder_of : callable
        Gives the folder of a position; None where none is kept.

    Attributes
    ----------
    sink : Sink
        Listens meanwhile.
    steps : list of Step
        Of the batch, in the order in which they came.
    kept : list of int
        Positions that have asked for their folder.
    resumed : set of int
        Those of them that have found something in it.
    pruned : dict of int to mapping
        Positions that were told to end, and what they had recorded last.
    held : int
        About how many bytes the steps take.
    """

    def __init__(self, crumb: MutableSequence[int], folder_of: Callable[[int], Path | None]) -> None:
        self.sink: Sink = Nobody()
        self._crumb = crumb
        self._folder_of = folder_of
        self.begin()

    def begin(self) -> None:
        """Prepare for a batch."""
        self.steps: list[Step] = []
        self.kept: list[int] = []
        self.resumed: set[int] = set()
        self.pruned: dict[int, Mapping[str, Any]] = {}
        self.held = 0
        self._folders: dict[int, Path] = {}
        self._trail: Trail | None = None
        self._ends: Sequence[float] = ()
        self._position: int | None = None
        self._last = self._count = 0
        self.given: Mapping[str, Any] = {}
        self.sink.begin()

    def follow(self, ends: Sequence[float]) -> None:
        """Take from now on the last of these times as the beginning of the point that is running."""
        self._ends = ends

    def take(self, step: int | None, metrics: Mapping[str, float], given: Mapping[str, Any]) -> None:
        """Take in a step of the position that is being evaluated; see `swath.recording.record`."""
        position = self._here()
        if step is None:
            step = self._last + 1
        elif step <= self._last and self._count:
            raise ValueError(f"step {step} comes after step {self._last}; the steps of a point ascend")
        if self._count == MOST_STEPS:
            raise RuntimeError(f"a point may record {MOST_STEPS:,} steps, and this is one more; record fewer")
        self._last, self._count, self.given = step, self._count + 1, given
        seconds = perf_counter() - self._ends[-1]
        if self._trail:
            self._tell_earlier(position, step)
            self._trail.add(Kept(step, seconds, given))
        self._tell(Step(position, step, seconds, metrics))
        if is_to_end(self._crumb, position):
            self.pruned[position] = given
            raise Pruned(f"ended early, after step {step}")

    def finish(self) -> Mapping[str, Any]:
        """Tell what only earlier attempts of the last point have recorded; return what it has recorded last."""
        if self._position is not None and (told := self._tell_earlier(self._position, None)):
            self.given = told[-1].given
        return self.given

    def _tell_earlier(self, position: int, step: int | None) -> Sequence[Kept]:
        """Tell what earlier attempts have recorded before a step."""
        told = self._trail.until(step) if self._trail and self._trail.earlier else ()
        for kept in told:
            self._tell(Step(position, kept.step, kept.seconds, checked_metrics(kept.given)))
        return told

    def _tell(self, step: Step) -> None:
        self.steps.append(step)
        self.held += STEP + NUMBER * len(step.metrics)
        self.sink.put((step.position, step.step, step.seconds, step.metrics))

    def folder(self) -> Path:
        """Return the folder of the position that is being evaluated."""
        position = self._here()
        if position not in self._folders:
            self._folders[position] = self._make_folder(position)
        return self._folders[position]

    def last_given(self, position: int) -> Mapping[str, Any]:
        """Return what a position has recorded last, as it gave it; empty if nothing."""
        return self.given if position == self._position else {}

    def _make_folder(self, position: int) -> Path:
        folder = self._folder_of(position)
        if folder is None:
            return temporary_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                self.resumed.add(position)
        except OSError as error:
            raise CannotWriteError(
                f"no folder for checkpoints at {folder}: {error.strerror}; workers on other machines "
                "need the run folder too, at the same place: share it, or choose one that is shared with --out"
            ) from error
        self.kept.append(position)
        self.sink.put((position, None, 0.0, {}))
        self._trail = Trail(folder)
        return folder

    def _here(self) -> int:
        """Return where the evaluation is; begin to count anew where that has changed."""
        position = self._crumb[HERE]
        if position != self._position:
            self.finish()
            self._position, self._trail = position, None
            self._last = self._count = 0
            self.given = {}
        return position


class Follower:
    """Calls a generator function as if it returned: yields become steps.

    Parameters
    ----------
    function : callable
        Returns a generator; anything else that it returns is its result.
    recorder : Recorder
        Takes the steps.
    """

    def __init__(self, function: Callable[..., object], recorder: Recorder) -> None:
        self._function = function
        self._recorder = recorder

    def __call__(self, *values: object, **named: object) -> object:
        """Return what the generator returns, or else what it yielded last."""
        made = self._function(*values, **named)
        if type(made) is not GeneratorType:
            return made
        last: object = None
        wrong: Exception | None = None
        while True:
            try:
                item = next(made) if wrong is None else made.throw(wrong)
            except StopIteration as end:
                if end.value is None and last is None:  # an earlier attempt may have come to the end
                    return self._recorder.finish() or None
                return last if end.value is None else end.value
            wrong = None
            try:
                last = self._take(item)
            except Pruned:
                made.close()
                raise
            except Exception as error:  # noqa: BLE001  # the generator gets to see what is wrong with its value
                wrong = error

    def _take(self, item: object) -> object:
        """Record a yielded value; return it as a result."""
        if not isinstance(item, dict):
            self._recorder.take(None, checked_metrics({SCALAR: _number(item)}), {SCALAR: item})
            return item
        given = {name: value for name, value in item.items() if name != "step"}
        self._recorder.take(checked_step(item.get("step")), checked_metrics(given), given)
        return given


def _number(item: object) -> object:
    """Return a yielded value that is no mapping, unless it cannot be meant as a number."""
    if item is None or isinstance(item, str | tuple | list):
        raise TypeError(
            f"an objective yields numbers, or mappings of them, got {item!r:.80}; its result it returns"
        )
    return item


def is_stepwise(function: Callable[..., object]) -> bool:
    """Tell whether calling a function gives a generator, as far as can be told without calling it."""
    inner = inspect.unwrap(function)
    called = inner if inspect.isroutine(inner) else getattr(type(inner), "__call__", None)  # noqa: B004  # its function
    return inspect.isgeneratorfunction(inner) or inspect.isgeneratorfunction(called)
