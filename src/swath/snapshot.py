"""A sweep at one moment: the frozen picture that views get to see, and nothing else.

A `Snapshot` is made by `swath.progress` and read by everything that shows how a sweep goes, in whatever process:
``dataclasses.asdict`` makes plain values of it, `Snapshot.from_json` a snapshot of those. This module needs the standard
library alone, because its text may run where nothing else of ours is installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["starting", "running", "draining", "complete", "stopped"]
Direction = Literal["minimize", "maximize", ""]

RECENT = 15.0
"""Seconds that "lately" means: long enough for a dozen batches of a second, short enough to feel current."""

GOOD = ("ok", "pruned")
"""Statuses that are no failure: a pruned point was stopped on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoad:
    """What one worker does, and has done in this session.

    Attributes
    ----------
    name : str
        As the engine names it.
    slots, busy : int
        Room for batches, and how much of it is taken; both 0 for a worker that left.
    done, failed : int
        Points.
    rate : float or None
        Points per second, lately; None before its first batch.
    batch : tuple of (int, float) or None
        Points and seconds of its last batch.
    cpu : float or None
        Cores that its slots' children, and all that these have started, keep busy; None if it is not known.
    memory : int or None
        Bytes that the same processes hold.
    memory_limit : int or None
        Bytes that all its slots together may hold.
    point : int or None
        Index of the point that it is at; of several slots, the one that has been at its point for longest.
    age : float or None
        Seconds for which it has been at that point.
    straggler : bool
        Whether that is much longer than points take elsewhere.
    utilisation : float or None
        Share of its slots' time that was spent on points, lately, from 0 to 1.
    host : str
        Name of its machine; empty if it is not known.
    """

    name: str
    slots: int
    busy: int
    done: int
    failed: int
    rate: float | None
    batch: tuple[int, float] | None
    cpu: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    point: int | None = None
    age: float | None = None
    straggler: bool = False
    utilisation: float | None = None
    host: str = ""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Failures of one kind.

    Attributes
    ----------
    status : str
        What became of the points.
    text : str
        First line of what the failures say; empty for those that are not told apart.
    count : int
        How many there are.
    point : int or None
        Index of one such point.
    """

    status: str
    text: str
    count: int
    point: int | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """A point that took long.

    Attributes
    ----------
    seconds : float
        How long.
    point : int
        Its index.
    """

    seconds: float
    point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """What proposes the points of a search.

    Attributes
    ----------
    method : str
        How.
    proposed, points : int
        Proposals so far, earlier sessions included, and how many there are to be.
    cost : float or None
        Seconds that a proposal took lately, what was told about results included; None before the first of this session.
    waited : float or None
        Share of their time in this session, from 0 to 1, for which slots had nothing to do because of it.
    ended : str
        Why there will be fewer proposals; empty if there will not.
    """

    method: str
    proposed: int = 0
    points: int = 0
    cost: float | None = None
    waited: float | None = None
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Replicates:
    """Replicates that are added until averages are precise.

    Attributes
    ----------
    until : str
        What must hold of every combination of the other parameters.
    most : int
        Replicates of a combination at most.
    combinations : int
        How many there are; those included that ``where`` leaves out.
    precise, imprecise : int
        Combinations for which it holds; and those for which it does not, although they have all the replicates that
        they may have, or none that ended well.
    """

    until: str
    most: int = 0
    combinations: int = 0
    precise: int = 0
    imprecise: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A sweep at one moment.

    Attributes
    ----------
    name : str
        The sweep's name.
    state : State
        ``starting`` until the first worker joins; ``complete`` and ``stopped`` are final.
    reason : str
        Why it stops or stopped; empty otherwise.
    total : int
        Positions of the space, those included that ``where`` will exclude.
    done, saved : int
        Positions that are decided, and those of them that are on disk; earlier sessions included.
    excluded : int
        How many of ``saved`` were excluded by ``where``.
    statuses : mapping of str to int
        Saved rows by status, of all sessions.
    rows_before : int
        Rows of earlier sessions.
    running : int
        Batches that an engine holds.
    slots : int
        Room for batches, over all workers.
    workers : tuple of WorkerLoad
        In the order in which they joined.
    rate, overall : float or None
        Points per second, lately and since the first worker joined; None before the first batch.
    eta : tuple of (float, float) or None
        Seconds that the rest will take, from a low to a high guess.
    elapsed : float
        Seconds of this session, up to its conclusion.
    utilisation : float or None
        Share of the slots' time in this session that was spent on points, from 0 to 1; None before there are slots.
    cost : float
        Core-hours for which slots were held in this session, whether they were busy or not.
    retried : int
        Rows of this session that are not of a first attempt.
    complaints : tuple of Complaint
        Failures of this session by what they say, the most frequent first; those that are too rare to be told
        apart are summed up by an entry without a text.
    slowest : tuple of Slow
        The slowest points of this session, slowest first.
    best : tuple of (float, int) or None
        Best value of ``metric`` and its point.
    metric, direction : str
        The metric that the definition optimises, and which way; empty if none.
    parameters : mapping of str to object
        Those of the best point; empty where they are not known.
    dashboard : str
        Address of a page that shows more; empty if none.
    notices : tuple of str
        What people should know about the cluster, in the order in which it happened; each is said once.
    sampler : Sampler or None
        What proposes the points, if they are not known beforehand.
    replicates : Replicates or None
        How precise the combinations are, if replicates are added until they are.
    """

    name: str
    state: State = "starting"
    reason: str = ""
    total: int = 0
    done: int = 0
    saved: int = 0
    excluded: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    rows_before: int = 0
    running: int = 0
    slots: int = 0
    workers: tuple[WorkerLoad, ...] = ()
    rate: float | None = None
    overall: float | None = None
    eta: tuple[float, float] | None = None
    elapsed: float = 0.0
    utilisation: float | None = None
    cost: float = 0.0
    retried: int = 0
    complaints: tuple[Complaint, ...] = ()
    slowest: tuple[Slow, ...] = ()
    best: tuple[float, int] | None = None
    metric: str = ""
    direction: Direction = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    dashboard: str = ""
    notices: tuple[str, ...] = ()
    sampler: Sampler | None = None
    replicates: Replicates | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Snapshot:
        """Rebuild a snapshot from what ``dataclasses.asdict`` made of it, whether or not that went through JSON.

        Names that are not known are left out, so that a newer side may tell more.
        """
        known = _known(cls, values)
        known["workers"] = tuple(
            WorkerLoad(**{**_known(WorkerLoad, worker), "batch": _pair(worker["batch"])})
            for worker in values.get("workers", ())
        )
        known["complaints"] = tuple(
            Complaint(**_known(Complaint, each)) for each in values.get("complaints", ())
        )
        known["slowest"] = tuple(Slow(**_known(Slow, each)) for each in values.get("slowest", ()))
        known["eta"], known["best"] = _pair(values.get("eta")), _pair(values.get("best"))
        known["notices"] = tuple(values.get("notices", ()))
        sampler = values.get("sampler")
        known["sampler"] = sampler and Sampler(**_known(Sampler, sampler))
        replicates = values.get("replicates")
        known["replicates"] = replicates and Replicates(**_known(Replicates, replicates))
        return cls(**known)

    @property
    def ok(self) -> int:
        """Rows with status ok."""
        return self.statuses.get("ok", 0)

    @property
    def failures(self) -> dict[str, int]:
        """Rows by status, without the statuses that are no failure."""
        return {status: n for status, n in self.statuses.items() if n and status not in GOOD}

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return sum(self.failures.values())

    @property
    def busy(self) -> int:
        """Slots that hold a batch."""
        return sum(worker.busy for worker in self.workers)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("complete", "stopped")


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: values[each.name] for each in fields(kind) if each.name in values}


def _pair(values: Any) -> Any:
    return None if values is None else tuple(values)
