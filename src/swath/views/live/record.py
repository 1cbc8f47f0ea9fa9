"""What a live page knows of a sweep: bounded however long it is, and the same at the driver's and at the scheduler's end.

Theory of operation
-------------------
A `Record` takes *increments*: mappings of plain values (text, numbers, None, lists, mappings), which can be JSON. The
driver makes one a second and takes it itself; the same increment, sent on, brings a record on another machine to the
same state. `Record.whole` is the increment from nothing to here, for a scheduler that comes late or has been restarted.

Whoever opens the page sees what came before. What grows is kept like this: loads in a ring that is thinned out when it
is full, so that it always spans the whole sweep; batches in a ring of the latest; points in a uniform sample (reservoir
sampling: Vitter, 1985, algorithm R), of those that failed and of the others apart; learning curves in a sample
(`swath.views.live.curves`). Each tells a viewer what is new since
the viewer's *cursor*, so that two viewers do not take from each other.

This module and that one need the standard library alone, because its text runs where nothing else of ours is installed.
"""

from __future__ import annotations

import random
import threading
import time
from array import array
from collections import deque
from itertools import islice
from math import nan
from typing import TYPE_CHECKING, Any, NamedTuple

from swath.snapshot import Snapshot
from swath.views.live.curves import Curves

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MOMENTS = 300
"""Samples of the loads; when there are so many, every other one is dropped and they come half as often from then on."""

EVERY = 1.0
"""Seconds between two samples at the beginning."""

BATCHES = 10_000
"""Batches that are kept."""

POINTS, FAILED = 3000, 1000
"""Points that are kept of those that did not fail, and of those that did."""

STEPS = 2000
"""Improvements of the best value that are kept."""

NUMBERS = 100_000
"""Numbers of each quantity that the loads in `Record.whole` may have; they are thinned until they fit."""

QUANTITIES = ("cpu", "memory", "rate")
"""What is sampled of every worker: cores, bytes, points per second."""


class Stretch(NamedTuple):
    """A batch, as a stretch of time on a slot.

    Attributes
    ----------
    slot, worker : str
        Where.
    start, stop : float
        Seconds since 1970.
    status : str
        Of its points; of several that failed, the most frequent; ``retried`` if they are to be tried again.
    points, failed : int
        How many it had, and how many of these failed.
    """

    slot: str
    worker: str
    start: float
    stop: float
    status: str
    points: int
    failed: int


class Loads:
    """Samples of what workers take up, from the first minute to now.

    Attributes
    ----------
    names : list of str
        Of all workers that ever were, in the order in which they came; the columns of `rows`.
    times : list of float
        Seconds since 1970.
    rows : mapping of str to list of array, each of shape (workers at that time,)
        By quantity; NaN where nothing is known.
    thinned : int
        How often; a cursor from before is worth nothing.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.times: list[float] = []
        self.rows: dict[str, list[array[float]]] = {name: [] for name in QUANTITIES}
        self.thinned = 0
        self._places: dict[str, int] = {}
        self._every = EVERY

    def add(self, now: float, workers: Mapping[str, Sequence[Any]]) -> None:
        """Take a sample, unless the last one is recent."""
        if self.times and now - self.times[-1] < 0.9 * self._every:  # the clock of whoever asks is not exact
            return
        for name in workers.get("name", ()):
            if name not in self._places:
                self._places[name] = len(self.names)
                self.names.append(name)
        places = [self._places[name] for name in workers.get("name", ())]
        self.times.append(now)
        for quantity in QUANTITIES:
            row = array("f", [nan]) * len(self.names)
            for place, value in zip(places, workers.get(quantity, ()), strict=False):
                row[place] = nan if value is None else value
            self.rows[quantity].append(row)
        if len(self.times) >= MOMENTS:
            self.thin()

    def thin(self) -> None:
        """Keep every other sample, the last one among them."""
        self._every *= 2
        self.thinned += 1
        first = (len(self.times) + 1) % 2
        self.times = self.times[first::2]
        self.rows = {quantity: rows[first::2] for quantity, rows in self.rows.items()}

    def since(self, cursor: tuple[int, int]) -> tuple[tuple[int, int], int]:
        """Return the next cursor, and the number of the first sample that is new to whoever has this one."""
        thinned, seen = cursor
        return (self.thinned, len(self.times)), seen if thinned == self.thinned else 0

    def whole(self) -> dict[str, Any]:
        """Return all of it as plain values, thinned out if it is much."""
        step = max(1, -(-len(self.times) * len(self.names) // NUMBERS))
        first = (len(self.times) + step - 1) % step if self.times else 0
        return {
            "names": list(self.names),
            "times": self.times[first::step],
            "every": self._every * step,
            "rows": {
                quantity: [[None if x != x else round(x, 3) for x in row] for row in rows[first::step]]  # noqa: PLR0124  NaN
                for quantity, rows in self.rows.items()
            },
        }

    @classmethod
    def rebuilt(cls, values: Mapping[str, Any]) -> Loads:
        """Rebuild it from `whole`."""
        self = cls()
        self.names, self.times, self._every = list(values["names"]), list(values["times"]), values["every"]
        self._places = {name: place for place, name in enumerate(self.names)}
        for quantity in QUANTITIES:
            self.rows[quantity] = [
                array("f", [nan if x is None else x for x in row]) for row in values["rows"][quantity]
            ]
        return self


class Sample:
    """Points of a sweep, all of them or a uniform sample.

    Attributes
    ----------
    rows : list of tuple
        In no particular order.
    seen : float
        Points that it stands for.
    """

    def __init__(self, room: int, seed: int) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.seen = 0.0
        self._room = room
        self._random = random.Random(seed)  # noqa: S311  # no secret hangs on it

    def add(self, rows: Sequence[tuple[Any, ...]], weight: float) -> None:
        """Take points, each of which stands for ``weight`` that came with it."""
        for row in rows:
            self.seen += weight
            if len(self.rows) < self._room:
                self.rows.append(row)
            elif self._random.random() * self.seen < self._room * weight:
                self.rows[self._random.randrange(self._room)] = row


class Record:
    """What is known of one sweep.

    Attributes
    ----------
    lock : RLock
        To be held while more than one attribute is read.
    serial : int
        Number of increments that were taken.
    about : mapping
        What does not change: ``host``, ``folder``, ``started`` (seconds since 1970), ``parameters``, those that
        vary, with their values where these are few, and ``design``: points that ``where`` keeps and leaves out.
    snapshot : Snapshot
        The newest; its workers are in ``workers``.
    workers : mapping of str to list
        Columns named like the fields of `swath.snapshot.WorkerLoad`.
    loads : Loads
    batches : deque of Stretch
    began : int
        Number of batches that were ever taken.
    sound, failed : Sample
        Rows of points: index, status, seconds, value of the metric or None, and the values of ``about["parameters"]``.
    version : int
        Changes when points came.
    steps : list of (float, float, int)
        When the best value became what, at which point.
    curves : Curves
        Learning curves, where points record what they do.
    now : float
        Seconds since 1970 of the newest increment, by the driver's clock, which does not jump.
    heard : float
        When it came, by the monotonic clock of this process.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.serial = 0
        self._clear()

    def _clear(self) -> None:
        self.about: dict[str, Any] = {}
        self.snapshot = Snapshot(name="")
        self.workers: dict[str, list[Any]] = {}
        self.loads = Loads()
        self.batches: deque[Stretch] = deque(maxlen=BATCHES)
        self.began = 0
        self._slots: dict[str, str] = {}  # with their workers
        self.sound, self.failed = Sample(POINTS, 1), Sample(FAILED, 2)
        self.version = 0
        self.steps: list[tuple[float, float, int]] = []
        self.curves = Curves()
        self.now = self.heard = 0.0

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All points that are kept."""
        return self.sound.rows + self.failed.rows

    def take(self, increment: Mapping[str, Any]) -> None:
        """Take an increment in."""
        with self.lock:
            self.serial += 1
            if increment.get("anew"):
                self._clear()
            self.about.update(increment.get("about", {}))
            self.now, self.heard = increment["now"], time.monotonic()
            if "snapshot" in increment:
                self.snapshot = Snapshot.from_json(increment["snapshot"])
                self.workers = dict(increment["workers"])
            if "loads" in increment:
                self.loads = Loads.rebuilt(increment["loads"])
            elif self.workers:
                self.loads.add(self.now, self.workers)
            batches = increment.get("batches", ())
            self.began += len(batches)
            self.batches.extend(Stretch(*batch) for batch in batches)
            self._slots.update((batch[0], batch[1]) for batch in batches)
            for kind, sample in (("sound", self.sound), ("failed", self.failed)):
                if points := increment.get(kind):
                    sample.add([tuple(row) for row in points["rows"]], points["weight"])
                    self.version += 1
            if "lines" in increment:
                self.curves = Curves.rebuilt(increment["lines"])
            self.curves.take(increment, self.sign)
            self.steps.extend((time, value, point) for time, value, point in increment.get("steps", ()))
            del self.steps[1 : len(self.steps) - STEPS]  # the first tells where it began

    def whole(self, snapshot: Mapping[str, Any]) -> dict[str, Any]:
        """Return the increment from nothing to here; ``snapshot`` as it came with the newest increment."""
        with self.lock:
            return {
                "anew": True,
                "now": self.now,
                "about": dict(self.about),
                "snapshot": snapshot,
                "workers": dict(self.workers),
                "loads": self.loads.whole(),
                "batches": [list(batch) for batch in self.batches],
                "sound": _points(self.sound),
                "failed": _points(self.failed),
                "steps": [list(step) for step in self.steps],
                "lines": self.curves.whole(),
            }

    @property
    def sign(self) -> int:
        """1 where less of the metric is better, or nothing is known; -1 where more is."""
        return -1 if self.snapshot.direction == "maximize" else 1

    @property
    def slot_count(self) -> int:
        """How many slots had batches."""
        return len(self._slots)

    def slots(self, workers: Collection[str] = ()) -> list[str]:
        """Return the slots that had batches; with workers, only theirs."""
        return [slot for slot, worker in self._slots.items() if not workers or worker in workers]

    def stretches(self, cursor: int, most: int) -> tuple[int, list[Stretch]]:
        """Return the next cursor, and the batches that are new to whoever has this one, at most so many."""
        new = min(self.began - cursor, len(self.batches), most)
        return self.began, list(islice(self.batches, len(self.batches) - new, None))


def _points(sample: Sample) -> dict[str, Any]:
    weight = sample.seen / len(sample.rows) if sample.rows else 1.0
    return {"weight": weight, "rows": [list(row) for row in sample.rows]}
