"""The stop: why a sweep ends before everything is done. The first reason counts.

Theory of operation
-------------------
Somebody asks for it; a limit of time, rows or failures is reached; points all fail alike (`swath.driver.brake`); batches
are lost `LOSSES` times in a row; nobody has been there to work for too long, or everybody is left out; or an objective
does what no further point could put right. A limit that is reached with the last point stops nothing.

A sweep that goes by metrics ends if no point returns one of them (`swath.wanted`): that is judged by the first point that ends well
and those that ran beside it, wherever they ran, so that it matters neither which slot was faster nor how often children are replaced.

From then on nothing is offered. What runs is waited for, until the grace is over, if there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.driver.brake import Brake
from swath.messages import Conclude, Ending, Example, Urgency

if TYPE_CHECKING:
    from swath.driver.crew import Crew
    from swath.driver.places import Places
    from swath.driver.policy import Policy
    from swath.messages import Batch, Reply, StopAsked
    from swath.wanted import Wanted

LOSSES = 20
"""Falls and refusals in a row, with nothing saved between them, after which a sweep ends as lost."""


class Stop:
    """Knows whether the sweep is to stop, why, and how long it waits for what runs; times are of the events' clock.

    Parameters
    ----------
    policy : Policy
        The limits.
    places : Places
        Whether there is anything left to stop.
    crew : Crew
        Whether there is anybody.
    wanted : Wanted or None
        Metrics of which some point must return each.

    Attributes
    ----------
    ending : Conclude or None
        How the sweep is to end; None while it goes on.
    brake : Brake
        Whether points have all failed alike.
    """

    def __init__(self, policy: Policy, places: Places, crew: Crew, wanted: Wanted | None = None) -> None:
        self.ending: Conclude | None = None
        self.brake = Brake(on=policy.max_failures is None)
        self._policy, self._places, self._crew = policy, places, crew
        self._wanted = wanted  # None once every metric has come
        self._grace_ends: float | None = None
        self._losses = 0
        self._lost_at = -1  # the event of the last loss

    def because(self, ending: Ending, reason: str, example: Example | None = None) -> None:
        """Stop for this reason, if it is the first one."""
        self.ending = self.ending or Conclude(ending, reason, example)

    def ask(self, event: StopAsked, now: float) -> None:
        """Stop because somebody asked for it; the shortest grace counts."""
        self.because(Ending.ASKED, event.reason)
        if event.urgency is not Urgency.NOW and event.grace is not None:
            self._grace_ends = min(now + event.grace, self._grace_ends or float("inf"))

    def grace_is_over(self, now: float) -> bool:
        """Tell whether what still runs is not to be waited for any more."""
        return self._grace_ends is not None and now >= self._grace_ends

    def set_back(self, begun: int, event: int, why: str) -> None:
        """Count a loss, unless it may share the cause of the one before.

        Parameters
        ----------
        begun, event : int
            Numbers of the events with which that which was lost had begun, and with which it was lost.
        why : str
            For people.
        """
        if begun < self._lost_at:
            return
        self._lost_at = event
        self._losses += 1
        if self._losses >= LOSSES:
            self.because(Ending.LOST, f"{self._losses} times in a row a batch was lost; the last time: {why}")

    def saved(self) -> None:
        """Take in that something was saved: losses are in a row no more."""
        self._losses = 0

    def mind_failures(self, batch: Batch, reply: Reply, *, ok: int, failed: int, failures: int) -> None:
        """Stop when there are as many failures as were allowed, or nothing but the same failure.

        Parameters
        ----------
        batch, reply : Batch, Reply
            What has come in.
        ok, failed : int
            Points of it that ended well, and that failed for good.
        failures : int
            Points that failed so far, these included.
        """
        alike = self.brake.observe(ok, failed, reply.complaint)
        most = self._policy.max_failures
        if alike and self._places.unfinished:
            reason = f"the first {self.brake.failed:,} points all failed alike"
            self.because(Ending.LIMIT, reason, _example(batch, reply))
        elif most is not None and failed and failures >= most and self._places.unfinished:
            self.because(Ending.LIMIT, f"{failures:,} points failed", _example(batch, reply))

    def mind_metrics(self, reply: Reply, now: float) -> None:
        """Take in which metrics have come."""
        if self._wanted:
            self._wanted.observe(reply, now)

    def lacks_metrics(self) -> bool:
        """Stop if a metric is missing, and whoever ran when that was found has been heard; tell whether it is so."""
        if self._wanted is None or self.ending:
            return False
        if not self._wanted.missing:
            self._wanted = None
            return False
        since, flights = self._wanted.since, self._places.flights.values()
        if since is None or any(flight.started is not None and flight.started < since for flight in flights):
            return False
        self.because(Ending.FATAL, self._wanted.complaint)
        return True

    def mind_limits(self, now: float, rows: int) -> None:
        """Stop when the time is over, there are as many rows as were asked for, or nobody comes."""
        policy = self._policy
        if policy.deadline is not None and now >= policy.deadline and self._places.unfinished:
            self.because(Ending.LIMIT, "the time limit is reached")
        if policy.limit is not None and rows >= policy.limit and self._places.unfinished:
            self.because(Ending.LIMIT, f"{rows} points were run, as asked")
        if self._crew.has_been_alone(policy.patience):
            self.because(Ending.LOST, f"there was no worker for {policy.patience:g} s")

    def wakes(self) -> list[float]:
        """Say when to look again."""
        times = []
        if self._policy.deadline is not None and self.ending is None:
            times.append(self._policy.deadline)
        if self._grace_ends is not None and self._places.flights:
            times.append(self._grace_ends)
        return times

    def conclusion(self) -> Conclude:
        """Say how the sweep has ended, now that nothing is in flight or on the way to the disk."""
        if self.ending is None:
            return Conclude(Ending.COMPLETE)
        if self.ending.example is None:
            return self.ending
        left = f"{self._places.waiting_count:,} not started"
        return Conclude(self.ending.ending, f"{self.ending.reason}; {left}", self.ending.example)


def _example(batch: Batch, reply: Reply) -> Example:
    """Pick the first failure of a reply that has one."""
    position, status = min((ranges[0][0], status) for status, ranges in reply.failed if ranges)
    return Example(position, status, reply.complaint, batch.worker)
