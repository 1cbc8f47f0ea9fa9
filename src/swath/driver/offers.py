"""Offers and recalls: how what waits gets to the slots, and what is asked back of them.

Theory of operation
-------------------
A worker is offered at most one batch for each of its slots, and one more for each to wait behind them.
When a slot idles and nothing waits, an offer that waits elsewhere is recalled, then the untouched rest
of a running one. So the first microsecond point and the first one-hour point obey the same rule.

While positions are still to be opened and too few are open for every slot, they are kept for whoever is free first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.batching import FLOOR, Pace, next_offer
from swath.driver.flights import Flight
from swath.messages import Batch, Recall, Submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.driver.crew import Crew
    from swath.driver.places import Places


class Offers:
    """Makes batches of what waits, and asks for them back.

    Parameters
    ----------
    places : Places
        Where positions are.
    crew : Crew
        Who may be given something.

    Attributes
    ----------
    pace : Pace
        How fast slots decide points; told by whoever sees replies.
    """

    def __init__(self, places: Places, crew: Crew) -> None:
        self.pace = Pace()
        self._places = places
        self._crew = crew
        self._next_id = 0

    def make(self, now: float, event: int, *, rows: int | None, again_first: bool) -> list[Submit]:
        """Fill idle slots first, then let one offer wait behind each running one.

        Parameters
        ----------
        now : float
            The time, in seconds.
        event : int
            Number of the event with which the offers are made.
        rows : int or None
            Rows that may still come, those of batches in flight included; None: as many as there are points.
        again_first : bool
            Whether later attempts are offered before first ones, or after them.
        """
        made: dict[str, list[Batch]] = {}
        usable = self._crew.usable
        slots = sum(worker.slots for worker in usable.values())
        for depth in (1, 2):
            for name, worker in usable.items():
                if depth > 1 and self._is_scarce(slots):
                    break
                while len(worker.queue) < depth * worker.slots and (
                    batch := self._next(name, slots, rows, again_first=again_first)
                ):
                    flight = Flight(batch, batch.stop, event)
                    self._places.offer(flight)
                    worker.take(flight, now)
                    made.setdefault(name, []).append(batch)
        return [Submit(tuple(batches)) for batches in made.values()]

    def _is_scarce(self, slots: int) -> bool:
        """Tell whether what opens one by one is better kept for whoever is free first than put behind somebody."""
        if self._places.final:
            return False
        workers = self._crew.workers.values()
        behind = sum(max(0, len(worker.queue) - worker.slots) for worker in workers)
        return self._places.waiting_count + behind < slots

    def _next(self, name: str, slots: int, rows: int | None, *, again_first: bool) -> Batch | None:
        """Choose the next batch out of what waits, if anything does and the limit allows it."""
        left = self._left(rows)
        attempts = [attempt for attempt, positions in self._places.waiting.items() if positions]
        if not attempts or left == 0:
            return None
        attempt = max(attempts) if again_first else min(attempts)
        positions = self._places.waiting[attempt]
        offer = next_offer(len(positions), slots, self.pace.rate)
        start, stop = positions.first(offer.size)
        limit = None if left is None else min(left, stop - start)
        batch = Batch(self._next_id, name, start, stop, attempt, offer.budget, limit)
        self._next_id += 1
        return batch

    def _left(self, rows: int | None) -> int | None:
        """Count the rows that nobody has been promised."""
        if rows is None:
            return None
        promised = sum(flight.batch.limit or 0 for flight in self._places.flights.values())
        return max(0, rows - promised)

    def recall_all(self) -> list[Recall]:
        """Ask for everything that has not begun."""
        return _recalled(self._unrecalled())

    def recall_for_idle(self, now: float) -> list[Recall]:
        """Ask for what has not begun, where slots idle."""
        hungry = self._hungry_slots()
        if not hungry:
            return []
        rich = [flight for flight in self._unrecalled() if flight.untouched(now, self.pace.rate) > FLOOR]
        rich.sort(key=lambda flight: flight.started is not None)  # an offer that waits is given up whole
        return _recalled(rich[:hungry])

    def wakes(self) -> list[float]:
        """Say when to look again for something to recall, in seconds: once a batch is behind its budget."""
        if not self._hungry_slots():
            return []
        return [
            flight.started + flight.batch.budget + 3 * FLOOR
            for flight in self._unrecalled()
            if flight.started is not None and flight.stop - flight.batch.start > 1
        ]

    def _unrecalled(self) -> list[Flight]:
        return [flight for flight in self._places.flights.values() if not flight.recalled]

    def _hungry_slots(self) -> int:
        """Count the idle slots for which there is no work, neither here nor on its way back."""
        if self._places.waiting_count:
            return 0
        awaited = sum(flight.open_recall for flight in self._places.flights.values())
        return max(0, self._crew.idle_slots - awaited)


def _recalled(flights: Sequence[Flight]) -> list[Recall]:
    for flight in flights:
        flight.recalled = True
    return [Recall(flight.batch) for flight in flights]
