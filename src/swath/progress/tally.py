"""What a reply adds to the counts of a sweep, as far as it was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from swath.messages import Ranges, Reply
    from swath.ranges import RangeSet


class Tally(NamedTuple):
    """What one write adds.

    Attributes
    ----------
    positions, rows : int
        Positions decided, and how many of them were evaluated.
    failed : dict of str to int
        Rows by status, for every status but ok.
    """

    positions: int
    rows: int
    failed: dict[str, int]

    @classmethod
    def of(cls, reply: Reply, accepted: RangeSet, *, whole: bool) -> Tally:
        """Count the part of a reply that was accepted; ``whole`` if that is all of it."""
        if whole:
            failed = {status: sum(b - a for a, b in ranges) for status, ranges in reply.failed}
            return cls(len(accepted), reply.rows, failed)
        failed = {status: _common(ranges, accepted) for status, ranges in reply.failed}
        return cls(len(accepted), _rows(reply, accepted, sum(failed.values())), failed)

    @property
    def statuses(self) -> dict[str, int]:
        """Rows by status."""
        return {"ok": self.rows - sum(self.failed.values()), **self.failed}


def _common(ranges: Ranges, accepted: RangeSet) -> int:
    return sum(len(accepted.intersection(start, stop)) for start, stop in ranges)


def _rows(reply: Reply, accepted: RangeSet, failed: int) -> int:
    """Rows among the accepted positions of a reply.

    A reply does not say which positions ``where`` excluded. If it mixes them with late duplicates, the rest
    is shared out in proportion, which is exact wherever nothing was excluded; the store counts for good.
    """
    every_failed = sum(b - a for _, ranges in reply.failed for a, b in ranges)
    sound = sum(b - a for a, b in reply.done) - every_failed  # ok or excluded
    ok = reply.rows - every_failed
    taken = len(accepted) - failed
    return failed + (round(taken * ok / sound) if sound else 0)
