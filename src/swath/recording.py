"""What an objective may say while it runs: steps, by `record`, and where it keeps what it goes on from, by `checkpoint`.

Theory of operation
-------------------
Whoever evaluates a point says so here, by thread, for as long as it does. So the same objective can be called by hand:
where nothing is evaluated, `record` checks its arguments and `checkpoint` gives a temporary folder. A point can be ended only
in the thread in which its function was called, so nothing may be recorded in another one; and not in a process
that the objective has started, from which nothing would arrive.
"""

from __future__ import annotations

import operator
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCALAR = "value"
"""Name of the metric of a step, or of a result, that is a bare number."""

TAKEN = ("point", "attempts", "step", "seconds")
"""Columns of what is kept of steps that are no metrics."""


class Pruned(BaseException):  # no error: the point ends because it was decided so
    """The point is to end here; whoever catches it to tidy up raises it again."""


class Recorder(Protocol):
    """Whoever evaluates a point."""

    def take(self, step: int | None, metrics: Mapping[str, float], given: Mapping[str, Any]) -> None:
        """Take in a step; raises `Pruned` if the point is to end."""

    def folder(self) -> Path:
        """Return the folder of the point that is running, which is there."""


_evaluating: dict[int, tuple[int, Recorder]] = {}  # process and recorder, by thread
_folders: list[tempfile.TemporaryDirectory[str]] = []  # removed when this process ends


def record(step: int | None = None, **metrics: float) -> None:
    """Record a step of the point that is being evaluated: it is kept, shown, and may decide that the point ends.

    Outside of a sweep, only the arguments are checked.

    Parameters
    ----------
    step : int, optional
        Its number; the one after the last step by default, from 1 on. The numbers of an evaluation ascend.
    **metrics : float
        Numbers by name; numpy's scalars are numbers too.

    Raises
    ------
    Pruned
        If the point is to end here, having been ended early by ``stop``.
    TypeError, ValueError
        If a metric is no number, its name is taken, or the step is not above the last one.
    RuntimeError
        If it is called in another thread or process than the objective was, or too often.
    """
    number, checked = checked_step(step), checked_metrics(metrics)
    if recorder := _recorder("record"):
        recorder.take(number, checked, metrics)


def checkpoint() -> Path:
    """Return a folder in which the point that is being evaluated may keep what it goes on from; it is there.

    The folder is the same for every attempt of a point, after a kill and when a point that was ended early is to go on; it is
    in the run folder, under ``checkpoints``. A file ``.steps`` in it holds what the point has recorded since it asked for the
    folder. Outside of a sweep it is a temporary one, removed when Python ends.

    Raises
    ------
    CannotWriteError
        If it cannot be made.
    RuntimeError
        If it is called in another thread or process than the objective was.
    """
    if recorder := _recorder("checkpoint"):
        return recorder.folder()
    return temporary_folder()


def temporary_folder() -> Path:
    """Make a folder that is removed when this process ends."""
    _folders.append(tempfile.TemporaryDirectory(prefix="swath-checkpoint-", ignore_cleanup_errors=True))
    return Path(_folders[-1].name)


@contextmanager
def evaluating(recorder: Recorder) -> Iterator[None]:
    """Let this thread's `record` and `checkpoint` reach a recorder."""
    thread = get_ident()
    _evaluating[thread] = os.getpid(), recorder
    try:
        yield
    finally:
        _evaluating.pop(thread, None)


def _recorder(what: str) -> Recorder | None:
    """Return who evaluates in this thread; None where nobody evaluates at all."""
    if not _evaluating:
        return None
    process, recorder = _evaluating.get(get_ident(), (0, None))
    if recorder is None:
        raise RuntimeError(f"swath.{what} was called in another thread than the objective; call it there")
    if process != os.getpid():
        raise RuntimeError(
            f"swath.{what} was called in a process that the objective has started; call it where the objective was called"
        )
    return recorder


# What counts as a step.


def checked_step(step: object) -> int | None:
    """Return the number of a step, or None where none is given.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if step is None:
        return None
    try:
        number = operator.index(step)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise TypeError(f"step must be a whole number, got {step!r:.80}") from None
    if not 0 <= number < 2**63:
        raise ValueError(f"step must be 0 or more, got {number}")
    return number


def checked_metrics(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """Return the metrics of a step as floats.

    Raises
    ------
    TypeError, ValueError
        If there is none, one is no number, or a name cannot be used.
    """
    if not metrics:
        raise TypeError("a step needs a metric: swath.record(loss=0.3)")
    return {_checked_name(name): _checked_number(name, value) for name, value in metrics.items()}


def _checked_name(name: object) -> str:
    if type(name) is not str or not name:
        raise TypeError(f"a metric's name must be a text that is not empty, got {name!r:.80}")
    if name in TAKEN:
        raise ValueError(f"a step has a {name} already; give the metric {name!r} another name")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(f"a metric's name must be valid Unicode, got {name!r:.80}") from None
    return name


def _checked_number(name: object, value: object) -> float:
    if type(value) is float:
        return value
    if not isinstance(value, int | float) and not _is_scalar(value):
        raise TypeError(
            f"the metrics of a step are numbers, but {name} is {type(value).__name__}; convert it: float({name})"
        )
    try:
        return float(value)  # type: ignore[arg-type]  # a number
    except OverflowError:
        raise ValueError(f"{name} is an integer beyond what a float can hold") from None


def _is_scalar(value: object) -> bool:
    """Tell whether a value is a real number of numpy's."""
    numpy = sys.modules.get("numpy")  # a value of its can only be there if it is
    return numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biuf"
