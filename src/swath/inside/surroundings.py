"""The surroundings of the objective: state of the process that a point may change, put back before each batch.

What is put back is the state after the objective was imported: its folder, environment, locale, time zone, umask, signal handlers,
timers, limits, processors, and what Python and numpy keep for a whole process.

Generators of random numbers are the exception. Put back to one and the same state, they would give every batch the same
numbers, and a simulation that relies on them would silently repeat itself. So they are seeded anew from the system, as in
a process that has just started; unless the objective's module seeds them itself while it is imported, for then that
state is what it wants. (What must not depend on batches takes a seed as a parameter.)
"""

from __future__ import annotations

import contextlib
import decimal
import gc
import locale
import os
import random
import resource
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
LIMITS = tuple({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Surroundings:
    """The state of this process as it is now, the one to return to.

    Parameters
    ----------
    unseeded : tuple
        What `random.getstate` gave before the objective was imported.
    """

    def __init__(self, unseeded: tuple[Any, ...]) -> None:
        self._folder = os.getcwd()  # noqa: PTH109  # a batch pays for what is slow here
        self._environment = dict(os.environ)
        self._locale = locale.setlocale(locale.LC_ALL)
        self._umask = _umask()
        self._handlers = {number: signal.getsignal(number) for number in SIGNALS}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._limits = {number: resource.getrlimit(number) for number in LIMITS}
        self._processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._input = sys.stdin
        self._path, self._arguments = list(sys.path), list(sys.argv)
        self._recursion, self._switching = sys.getrecursionlimit(), sys.getswitchinterval()
        self._collects = gc.isenabled()
        self._warnings = list(warnings.filters)
        self._decimal = decimal.getcontext().copy()
        self._random = None if _same_seed(random.getstate(), unseeded) else random.getstate()
        self._numpy_random = _numpy_state()
        numpy = sys.modules.get("numpy")
        self._errors = numpy.geterr() if numpy else None

    def restore(self) -> None:
        """Put everything back that points may have changed."""
        for put_back in (self._restore_process, self._restore_signals, self._restore_python, self.reseed):
            _undisturbed(put_back)

    def _restore_process(self) -> None:
        if _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)
        if dict(os.environ) != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
            time.tzset()
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
        os.umask(self._umask)
        for number, limit in self._limits.items():
            if resource.getrlimit(number) != limit:
                with contextlib.suppress(OSError, ValueError):  # a hard limit cannot be raised again
                    resource.setrlimit(number, limit)
        if self._processors is not None and os.sched_getaffinity(0) != self._processors:
            os.sched_setaffinity(0, self._processors)

    def _restore_signals(self) -> None:
        for timer in TIMERS:
            signal.setitimer(timer, 0)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _restore_python(self) -> None:
        sys.stdin = self._input
        sys.path[:], sys.argv[:] = self._path, self._arguments
        sys.setrecursionlimit(self._recursion)
        sys.setswitchinterval(self._switching)
        sys.settrace(None)
        sys.setprofile(None)
        if gc.isenabled() != self._collects:
            (gc.enable if self._collects else gc.disable)()
        if warnings.filters != self._warnings:
            warnings.filters[:] = self._warnings  # type: ignore[index]
            with warnings.catch_warnings():  # leaving it makes Python look at the filters again
                pass
        decimal.setcontext(self._decimal.copy())
        if self._errors is not None:
            sys.modules["numpy"].seterr(**self._errors)

    def reseed(self) -> None:
        """Give the global generators the state that the objective's module gave them, else a new one."""
        if self._random is None:
            random.seed()
        else:
            random.setstate(self._random)
        if module := sys.modules.get("numpy.random"):
            if self._numpy_random is None:
                module.seed()
            else:
                module.set_state(self._numpy_random)


def _same_seed(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Tell whether two states come from the same seed; a few numbers may have been drawn between them."""
    return bool(one[1][:-1] == other[1][:-1])


def _numpy_state() -> tuple[Any, ...] | None:
    """Return the state of numpy's global generator if it was seeded by hand."""
    module = sys.modules.get("numpy.random")
    if module is None or module.get_bit_generator().seed_seq is not None:
        return None
    state: tuple[Any, ...] = module.get_state()
    return state


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return ""  # it was removed


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _undisturbed(put_back: Callable[[], None]) -> None:
    """Call something that a point may have made fail by what it has replaced."""
    with contextlib.suppress(Exception):
        put_back()
