"""What is to happen to a simulated cluster, and how its points end: decided by a seed, whoever asks and when."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from swath.messages import STATUSES, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from swath.messages import Urgency

FAILED = STATUSES[1:5]
"""How planned attempts fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen; all chances are per batch, all times in seconds.

    Attributes
    ----------
    seed : int
        Decides every chance.
    workers : int
        They join within the first second, each with one to three slots.
    duration : float
        Median of a point's duration; durations are log-normal with shape ``spread``.
    spread : float
        Shape of the durations; 0 makes them equal.
    failing, excluded : float
        Chance that an attempt fails, or that a position is excluded.
    alike : bool
        Whether all failures say the same.
    deaths : float
        Rate of worker deaths per second; a dead worker is replaced after up to a second.
    preempted : float
        Part of the workers that is taken away at every full minute; each is replaced after up to five seconds.
    blackout : float or None
        When all workers leave at once; new ones come within a minute and a half.
    flapping : int
        Workers that leave and join again, under the same name, every 0.3 s.
    sick : int
        How many of the first workers answer nonsense, half of the time.
    lost, twice, late : float
        Chance that an answer is lost, comes twice, or comes up to ten seconds late.
    suspended : float
        Rate per second at which the driver itself is stopped, for up to an hour.
    stops : tuple of (float, Urgency, float or None)
        When somebody asks to stop, how, and with what grace.
    calm : float
        From when on no misfortune happens any more.
    measured : float
        Chance that somebody looks at a worker when a batch of its ends.
    steps : int
        How many steps a point records, evenly over its duration; an attempt that goes on records what is left.
    metric : str
        The metric that they record.
    curve : callable or None
        Its value, of a position and a step; without one, it falls towards a limit, each point's in its own way.
    keeping : bool
        Whether points keep checkpoints, so that an attempt after one that was answered goes on where that ended.
    returned : tuple of str
        The metrics that points which are ok return.
    steps_lost, steps_twice, steps_late : float
        Chance that the message of a step is lost, comes twice, or comes up to ten seconds late.
    """

    seed: int
    workers: int = 2
    duration: float = 0.1
    spread: float = 1.0
    failing: float = 0.0
    excluded: float = 0.0
    alike: bool = False
    deaths: float = 0.0
    preempted: float = 0.0
    blackout: float | None = None
    flapping: int = 0
    sick: int = 0
    lost: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    suspended: float = 0.0
    stops: tuple[tuple[float, Urgency, float | None], ...] = ()
    calm: float = float("inf")
    measured: float = 0.1
    steps: int = 0
    metric: str = "loss"
    curve: Callable[[int, int], float] | None = None
    keeping: bool = False
    returned: tuple[str, ...] = ()
    steps_lost: float = 0.0
    steps_twice: float = 0.0
    steps_late: float = 0.0

    def length(self, position: int, attempt: int) -> float:
        """Return how long an attempt takes, in seconds."""
        chance = Random(f"{self.seed} {position} {attempt} length")
        return self.duration * chance.lognormvariate(0.0, self.spread)

    def excluded_at(self, position: int) -> bool:
        """Tell whether ``where`` excludes a position."""
        return Random(f"{self.seed} {position} where").random() < self.excluded

    def status(self, position: int, attempt: int) -> str:
        """Tell how an attempt ends."""
        chance = Random(f"{self.seed} {position} {attempt} status")
        return chance.choice(FAILED) if chance.random() < self.failing else "ok"

    def step(self, position: int, step: int, since: float) -> Step:
        """Return what a point says of a step, so many seconds after it began."""
        return Step(position, step, since, {self.metric: self.value(position, step)})

    def value(self, position: int, step: int) -> float:
        """Return what a point records at a step."""
        if self.curve is not None:
            return self.curve(position, step)
        chance = Random(f"{self.seed} {position} curve")
        limit, rate = chance.random(), chance.uniform(0.3, 1.5)
        return float(limit + (1 - limit) * step**-rate)
