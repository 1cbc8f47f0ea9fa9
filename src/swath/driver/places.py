"""Where positions are: every one that is open is in exactly one of four places, and `check` proves it.

==================  ==========================================================================
waiting             nobody holds it; kept by the number of its next attempt
in flight           a worker was offered it
awaiting durability its row (or its exclusion) is on the way to the disk
done                its row (or its exclusion) is on the disk
==================  ==========================================================================

Who moves is the driver's decision (its table of moves is in `swath.driver`). What has landed is for a moment
nowhere: whoever lands it says at once what of it waits, and what is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swath.driver.flights import Flight, Writing


class Places:
    """The places, and the moves between them.

    Parameters
    ----------
    total : int
        Number of positions.
    done : RangeSet or None
        Positions that need nothing any more.
    again : mapping of int to RangeSet, or None
        Positions that wait although they were done, by the number of their next attempt.
    opened : RangeSet or None
        The positions that may be offered, if others are to be opened later; None: all, for good.

    Attributes
    ----------
    opened : RangeSet
        The positions that are in one of the places.
    final : bool
        Whether nothing more will be opened.
    waiting : dict of int to RangeSet
        By the number of the next attempt.
    flights : dict of int to Flight
        By batch.
    writing : dict of int to Writing
        By batch.
    done : RangeSet
        Positions that need nothing any more.
    """

    def __init__(
        self,
        total: int,
        *,
        done: RangeSet | None = None,
        again: Mapping[int, RangeSet] | None = None,
        opened: RangeSet | None = None,
    ) -> None:
        self.opened = RangeSet([(0, total)]) if opened is None else opened.copy()
        self.final = opened is None
        self.waiting = {attempt: positions.copy() for attempt, positions in (again or {}).items()}
        self.flights: dict[int, Flight] = {}
        self.writing: dict[int, Writing] = {}
        self.done = done.copy() if done else RangeSet()
        for positions in self.waiting.values():
            self.done.difference_update(positions)
        first = self.waiting.setdefault(1, RangeSet())
        first.update(self.opened)
        first.difference_update(self.done)
        for attempt, positions in self.waiting.items():
            if attempt != 1:
                first.difference_update(positions)

    @property
    def waiting_count(self) -> int:
        """Positions that wait."""
        return sum(map(len, self.waiting.values()))

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to offer, and will not be unless something comes back."""
        return self.final and not self.waiting_count

    @property
    def unfinished(self) -> bool:
        """Whether there is anything still to be evaluated."""
        return bool(self.flights) or not self.exhausted

    def open(self, ranges: Iterable[tuple[int, int]], *, last: bool) -> None:
        """Let closed positions wait, except those that are done already."""
        fresh = RangeSet(ranges)
        fresh.difference_update(self.opened)
        self.opened.update(fresh)
        fresh.difference_update(self.done)
        self.wait(1, fresh)
        self.final = self.final or last

    def wait(self, attempt: int, positions: RangeSet) -> None:
        """Put what is nowhere else among what waits for its attempt of this number."""
        if positions:
            self.waiting.setdefault(attempt, RangeSet()).update(positions)

    def offer(self, flight: Flight) -> None:
        """Move a batch from what waits into flight."""
        self.waiting[flight.batch.attempt].discard(flight.batch.start, flight.stop)
        self.flights[flight.batch.id] = flight

    def land(self, batch_id: int) -> Flight | None:
        """Take a batch out of flight, if it is in flight; where its positions go is the caller's to say."""
        return self.flights.pop(batch_id, None)

    def shorten(self, flight: Flight, stop: int) -> None:
        """Let the end of a flight wait, from one position on."""
        self.wait(flight.batch.attempt, RangeSet([(stop, flight.stop)]))
        flight.stop = stop

    def write(self, batch_id: int, writing: Writing) -> None:
        """Take in that what has landed is on the way to the disk."""
        self.writing[batch_id] = writing

    def settle(self, batch_id: int) -> Writing | None:
        """Move what has become durable to what is done, if it was on the way; return it."""
        written = self.writing.pop(batch_id, None)
        if written is not None:
            self.done.update(written.positions)
        return written

    def refuse(self, batch_id: int) -> Writing | None:
        """Let wait again what the store refused, if it was on the way; return it."""
        refused = self.writing.pop(batch_id, None)
        if refused is not None:
            self.wait(refused.attempt, refused.positions)
        return refused

    def promote(self, position: int, attempt: int) -> None:
        """Let a position that is done wait once more."""
        self.done.discard(position, position + 1)
        self.wait(attempt, RangeSet([(position, position + 1)]))

    def check(self) -> None:
        """Prove that the places partition the open positions; for tests.

        Raises
        ------
        AssertionError
            If an open position is in two places, or in none; or a closed one in any.
        """
        places = [
            *self.waiting.values(),
            *(flight.positions for flight in self.flights.values()),
            *(written.positions for written in self.writing.values()),
            self.done,
        ]
        union = RangeSet()
        for place in places:
            union.update(place)
        assert sum(map(len, places)) == len(union)  # noqa: S101  # this is the proof
        assert union == self.opened  # noqa: S101
