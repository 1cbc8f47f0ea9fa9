"""What failures say, counted: the frequent first lines by name, everything else in one sum.

However many different lines come, few are kept: when there are too many, the rarer half is no longer told apart. A line
that comes often comes again, so what is lost of its count is what it had while it was rare.
"""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING

from swath.snapshot import GOOD, Complaint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swath.messages import Reply
    from swath.progress.tally import Tally

KEPT = 200
"""Different lines that are counted at a time."""

SHOWN = 20
"""Complaints of a snapshot."""

Share = tuple[tuple[str, str, int, int], ...]
"""Status, first line, count and the position of one of them; the line is empty where failures are not told apart."""


def share_of(reply: Reply, tally: Tally) -> Share:
    """Tell what the failures of a reply say, as far as they were accepted."""
    left = {status: n for status, n in tally.failed.items() if n and status not in GOOD}
    if not left:
        return ()
    said = reply.complaints or tuple(
        (status, reply.complaint, sum(b - a for a, b in ranges), ranges[0][0])
        for status, ranges in reply.failed
        if ranges and reply.complaint and status not in GOOD
    )
    shares = []
    for status, text, count, position in said:
        if n := min(count, left.get(status, 0)):
            shares.append((status, text, n, position))
            left[status] -= n
    return (*shares, *((status, "", n, -1) for status, n in left.items() if n))


class Complaints:
    """Counts what failures say."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = {}  # count and the position of one
        self._rest: Counter[str] = Counter()  # by status

    def add(self, said: Iterable[tuple[str, str, int, int]]) -> None:
        """Count what `share_of` told."""
        for status, text, count, position in said:
            known = self._counts.get((status, text))
            if known is not None:
                known[0] += count
            elif text:
                self._counts[status, text] = [count, position]
            else:
                self._rest[status] += count
        if len(self._counts) > KEPT:
            self._forget()

    def _forget(self) -> None:
        """Tell the rarer half apart no longer."""
        ranked = sorted(self._counts.items(), key=lambda item: -item[1][0])
        self._counts = dict(ranked[: KEPT // 2])
        for (status, _), (count, _) in ranked[KEPT // 2 :]:
            self._rest[status] += count

    def most(self) -> list[tuple[Complaint, int]]:
        """Return the complaints to show, most frequent first, each with the position of an example (-1: none)."""
        known = [(count, key, position) for key, (count, position) in self._counts.items() if count > 0]
        rest = Counter({status: n for status, n in self._rest.items() if n > 0})
        few = nlargest(SHOWN, known, key=lambda each: each[0])
        if rest or len(known) > SHOWN:
            few = few[: SHOWN - 1]
            for count, (status, _), _ in known:
                rest[status] += count
            for count, (status, _), _ in few:
                rest[status] -= count
        made = [(Complaint(status, text, count), position) for count, (status, text), position in few]
        rest = +rest
        if rest:
            status = next(iter(rest)) if len(rest) == 1 else ""
            made.append((Complaint(status, "", rest.total()), -1))
        return made
