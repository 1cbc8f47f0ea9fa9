"""Fresh points: each is evaluated in a copy of this process, made by ``fork`` when the objective had just been imported.

Nothing that a point does to its process reaches another one: module state, folder, environment, handlers, caches. Its
temporary files lie in a folder of its own and are removed with it, and so is every process that it has left.

This process never calls the objective, so it has started no threads that a fork would miss. It notes the position,
waits, and passes the copy's reply on. If a copy dies without one, the point runs again in another; a second death is the
verdict. Whoever watches over this process watches over the copies too: they share its crumb's position, its session's
keeper and its limits, and are shown or asked to end through it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from swath.inside.crumb import AFTER, EVERYTHING, HERE, LIMIT, NOWHERE, TURN, blank
from swath.inside.ends import cause, nameless_file, written
from swath.inside.keeper import DEATH_SIGNAL, SHOW, control, empty, kill_rest
from swath.inside.rows import verdict
from swath.inside.steps import line, read_lines, with_steps
from swath.messages import Reply, merge
from swath.task import REPLY, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swath.inside.evaluate import Evaluator
    from swath.inside.steps import Said, Sink
    from swath.inside.surroundings import Surroundings

CHUNK = 1024
"""Positions for which ``where`` is applied at a time."""


class Fresh:
    """Evaluates every point of a batch in a process of its own.

    Parameters
    ----------
    evaluator : Evaluator
        Has imported the objective.
    surroundings : Surroundings
        Knows how to seed the generators of random numbers.
    evidence : int
        Descriptor of the file in which a process writes down where it crashed.
    spared : frozenset of int
        Processes that the import of the objective has started.
    """

    def __init__(
        self, evaluator: Evaluator, surroundings: Surroundings, evidence: int, spared: frozenset[int]
    ) -> None:
        self._evaluator = evaluator
        self._surroundings = surroundings
        self._evidence = evidence
        self._spared = spared
        self._copy = 0
        faulthandler.unregister(SHOW)
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        for number in (SHOW, signal.SIGTERM):
            signal.signal(number, self._pass_on)

    def evaluate(self, start: int, stop: int, budget: float, limit: int | None = None) -> Reply:
        """Evaluate as `Evaluator.evaluate` does."""
        crumb, began = self._evaluator.crumb, time.monotonic()
        crumb[HERE], crumb[LIMIT] = NOWHERE, EVERYTHING
        replies: list[Reply] = []
        reached = start
        for position, wanted in self._positions(start, stop):
            if wanted:
                crumb[HERE] = position
                if position >= crumb[LIMIT]:
                    break
                replies.append(self._evaluate_one(position))
            reached = position + 1
            if len(replies) == limit or (replies and replies[-1].fatal):
                break
            if time.monotonic() - began > budget:
                break
        crumb[HERE] = AFTER
        merged = merge(replies, self._evaluator.task.goal)
        return merged if merged.fatal else replace(merged, done=((start, reached),))

    def _positions(self, start: int, stop: int) -> Iterator[tuple[int, bool]]:
        """Give every position, and whether ``where`` keeps it."""
        space = self._evaluator.space
        for first in range(start, stop, CHUNK):
            last = min(first + CHUNK, stop)
            keep = [True] * (last - first)
            if space.where is not None:
                keep = space.keep(space.take(space.indices(first, last))).tolist()
            yield from zip(range(first, last), keep, strict=True)

    def _evaluate_one(self, position: int) -> Reply:
        """Evaluate a point in a copy; after a death, once more."""
        for _ in range(2):
            began, clock, place = time.time(), time.monotonic(), os.fstat(self._evidence).st_size
            said, code = self._in_a_copy(position)
            if not code and said.startswith(REPLY):  # it may also end itself, well
                return unpack(said)
        text = cause(code) + written(self._evidence, place)
        reply = verdict(self._evaluator.task, position, "crash", text, began, time.monotonic() - clock)
        return with_steps(reply, read_lines(said.split(b"\n")))

    def _in_a_copy(self, position: int) -> tuple[bytes, int]:
        """Return how a copy of this process ended, and what it has said: its reply, or only steps if it died."""
        scratch = tempfile.mkdtemp(prefix="point-")
        said = nameless_file()
        sys.stdout.flush()
        sys.stderr.flush()
        self._evaluator.crumb[TURN] += 1
        copy = self._copy = os.fork()
        if not copy:
            self._live(position, scratch, said)
        code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        self._copy = 0
        with open(said, "rb") as file:  # noqa: PTH123  # a descriptor has no path
            file.seek(0)
            text = file.read()
        self._evaluator.has_printed()
        kill_rest(self._spared)
        empty(scratch)
        return text, code

    def _live(self, position: int, scratch: str, said: int) -> NoReturn:
        """Evaluate one point, in the copy, and end."""
        code = 1
        try:
            os.setpgid(0, 0)
            control(DEATH_SIGNAL, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            faulthandler.register(SHOW, self._evidence)
            os.environ["TMPDIR"] = tempfile.tempdir = scratch
            self._surroundings.reseed()
            self._evaluator.crumb = blank()
            recorder = self._evaluator.recorder
            recorder.sink = _Twice(recorder.sink, said)
            reply = self._evaluator.evaluate(position, position + 1, 0.0)
            os.ftruncate(said, 0)
            with open(said, "wb") as file:  # a descriptor has no path
                file.seek(0)
                file.write(pack(reply))
            sys.stdout.flush()
            sys.stderr.flush()
            code = 0
        finally:
            os._exit(code)

    def _pass_on(self, number: int, frame: object) -> None:
        """Give a signal to the copy that is at work."""
        del frame
        if self._copy:
            os.kill(self._copy, number)


class _Twice:
    """Passes steps on, and keeps them in a file, where they outlive this process.

    Parameters
    ----------
    sink : Sink
        Listens too.
    descriptor : int
        Of the file.
    """

    def __init__(self, sink: Sink, descriptor: int) -> None:
        self._sink = sink
        self._descriptor = descriptor

    def begin(self) -> None:
        """Prepare for a batch."""
        self._sink.begin()

    def put(self, said: Said) -> None:
        """Take a step."""
        self._sink.put(said)
        os.write(self._descriptor, line(said))
