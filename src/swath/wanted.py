"""Metrics that a sweep goes by, until a point has returned each; and what to say if none does.

A search that waits for a metric that no point returns, or replicates that are repeated until it is precise, would go on to
the end and be worth nothing. Some points may well lack it. So one point of the run that has returned it is enough; and
if the first point to end has not, those that ran beside it may yet.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from swath.messages import Reply

MOST_NAMES = 8
"""Names that a sentence lists."""


class Wanted:
    """Metrics of which some point must return each.

    Parameters
    ----------
    metrics : iterable of str
        Those that no point has returned so far.

    Attributes
    ----------
    missing : set of str
        Those that still none has.
    since : float or None
        The time, in seconds, at which the first points had ended well and something was missing.
    """

    def __init__(self, metrics: Iterable[str]) -> None:
        self.missing = set(metrics)
        self.since: float | None = None
        self._points = 0
        self._returned: set[str] = set()

    def observe(self, reply: Reply, now: float) -> None:
        """Take in what points have returned."""
        good = reply.rows - sum(stop - start for _, ranges in reply.failed for start, stop in ranges)
        if good <= 0:
            return
        self._points += good
        self._returned.update(reply.returned)
        self.missing.difference_update(reply.returned)
        if self.missing and self.since is None:
            self.since = now

    @property
    def complaint(self) -> str:
        """What is missing, what came instead, and the way out."""
        name = min(self.missing)
        first = f"the first {self._points:,} points" if self._points > 1 else "the first point"
        return (
            f"the sweep goes by the metric {name!r}, which {first} did not return{instead('they returned', name, self._returned)}; "
            "correct minimize, maximize, subject_to or until, or the objective"
        )


def instead(verb: str, name: str, others: Collection[str]) -> str:
    """Say what there is instead of a name, and which of it may have been meant; nothing if there is nothing."""
    if not others:
        return ""
    names = sorted(others)
    close = difflib.get_close_matches(name, names, n=1)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f" ({verb} {', '.join(map(repr, names[:MOST_NAMES]))}{more}{hint})"
