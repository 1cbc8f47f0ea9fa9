"""What the user asked of a sweep, as far as it bears on what happens next."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE = 300.0
"""Seconds without any worker after which a sweep ends as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user asked of a sweep.

    Attributes
    ----------
    retries : int
        How often a point that ended in one of ``retry_on`` is tried again.
    retry_on : frozenset of str
        Statuses worth another attempt.
    limit : int or None
        Rows after which to stop.
    deadline : float or None
        Time (of the events' clock) at which to stop.
    max_failures : int or None
        Failed rows after which to stop; it takes the place of the brake (`swath.driver.brake`).
    patience : float
        Seconds to wait for a worker while there is none.
    """

    retries: int = 0
    retry_on: frozenset[str] = frozenset({"error", "crash", "timeout", "oom"})
    limit: int | None = None
    deadline: float | None = None
    max_failures: int | None = None
    patience: float = PATIENCE
