"""What the searches evaluate: a module of its own, as objectives are, so that whoever evaluates imports nothing else."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BUSY = 0.1  # seconds of one evaluation, where it is not for nothing


def nothing(rate: float, depth: int, leaf: int, share: float, kind: str) -> float:
    """A bowl, shallow in one direction, with a step: like a validation error over five hyperparameters."""
    bowl = math.log10(rate / 0.03) ** 2 + ((depth - 6) / 8) ** 2 + (math.log10(leaf) - 1) ** 2 / 4
    return bowl + (share - 0.7) ** 2 + (0.1 if kind == "gini" else 0.0)


def asleep(rate: float, depth: int, leaf: int, share: float, kind: str) -> float:
    """The same, as if a program elsewhere took its time: no core is needed."""
    time.sleep(BUSY)
    return nothing(rate, depth, leaf, share, kind)


def at_work(rate: float, depth: int, leaf: int, share: float, kind: str) -> float:
    """The same, and Python computes for that long (CPU time of its thread)."""
    end = time.thread_time() + BUSY
    while time.thread_time() < end:
        pass
    return nothing(rate, depth, leaf, share, kind)


WORKS: dict[str, Callable[..., float]] = {"nothing": nothing, "sleep": asleep, "cpu": at_work}
