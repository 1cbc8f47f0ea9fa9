"""What passes between driver, engine, slot and store: frozen messages, no behaviour.

Positions are places in the order of a sweep, half-open ranges of them are offered; the driver knows
nothing else about points. Times are seconds: ``now`` on a monotonic clock, ``budget`` a duration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swath.ranges import RangeSet

STATUSES = ("ok", "error", "crash", "timeout", "oom", "invalid", "pruned")
"""What can become of a point; a row stores the place in this tuple."""

MOST_COMPLAINTS = 5
"""Different first lines of failures of which a reply tells; what else failed is only counted."""

LONGEST_COMPLAINT = 200
"""Characters of each."""

Ranges = tuple[tuple[int, int], ...]
"""Disjoint half-open ranges of positions, ascending."""


@dataclass(frozen=True, slots=True)
class Batch:
    """An offer: evaluate from the front of [start, stop) until the budget is spent, at least one point.

    Attributes
    ----------
    id : int
        Unique within one start of the driver.
    worker : str
        The worker whose slots may take it.
    start, stop : int
        Half-open range of positions.
    attempt : int
        Counted from 1; the number that its rows will bear.
    budget : float
        Seconds of evaluation after which the slot gives the rest back.
    limit : int or None
        At most so many rows, if given.
    points : str
        Where the space does not know its points beforehand, because a search proposes them: what
        `swath.space.proposals` says of those in the range, as JSON. Empty otherwise.
    """

    id: int
    worker: str
    start: int
    stop: int
    attempt: int
    budget: float
    limit: int | None = None
    points: str = field(default="", compare=False)  # whoever recalls a batch has it without them


@dataclass(frozen=True, slots=True)
class Step:
    """What a point has recorded on its way.

    Attributes
    ----------
    position : int
        The point's.
    step : int
        Its number; those of one evaluation ascend. A number that comes again takes back all from there on.
    seconds : float
        Since the evaluation began.
    metrics : mapping of str to float
        By name; NaN is possible.
    """

    position: int
    step: int
    seconds: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Log:
    """What some points have printed.

    Attributes
    ----------
    first, last : int
        The positions between which the point lies that printed it, both included; equal where it is known. -1 and -1
        if no point was running.
    text : str
        What was kept of it; bytes that are no UTF-8 are spelt out.
    size : int
        Bytes printed in all.
    """

    first: int
    last: int
    text: str
    size: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a slot did with a batch.

    Attributes
    ----------
    done : Ranges
        Positions that are decided: evaluated, or excluded by ``where``. The rest was not touched.
    rows : int
        How many of them were evaluated; ``payload`` holds exactly so many rows.
    failed : tuple of (str, Ranges)
        Positions by status, for every status but ``ok``.
    seconds : float
        Time that the slot spent on the batch.
    payload : tuple of bytes
        Arrow IPC streams: ``point`` (int64 index), ``status`` (uint8, place in `STATUSES`), ``seconds``
        (float64), ``started`` (timestamp[us, UTC]), ``failure`` (string, absent where nothing failed),
        then the metrics. A metric may have several fields of one name, one for each type that came.
    best : tuple of (float, int) or None
        The best value of the metric that the definition optimises, and its point.
    fatal : str
        Not empty: why no further point can be of use; the sweep must stop.
    slot : str
        Which slot it was, for people.
    logs : tuple of Log
        What the points have printed, in that order.
    complaint : str
        First line of the text that all failures here share; empty if nothing failed, or not all alike.
    complaints : tuple of (str, str, int, int)
        Status, first line, how many failures say it, and the position of one of them; `MOST_COMPLAINTS` of them, the
        most frequent ones, each cut at `LONGEST_COMPLAINT`.
    slowest : tuple of (float, int) or None
        Seconds and index of the point that took longest, where something was evaluated.
    steps : tuple of Step
        All that the points have recorded, in that order, also what was reported while they ran.
    kept : Ranges
        Positions of points that have asked for a folder for checkpoints, so that another attempt need not begin anew.
    returned : tuple of str
        The metrics by which the sweep goes, if it goes by any, that points which are ok have returned; and all others that
        these have returned, if one of those is missing.
    """

    done: Ranges
    rows: int
    failed: tuple[tuple[str, Ranges], ...] = ()
    seconds: float = 0.0
    payload: tuple[bytes | memoryview, ...] = ()
    best: tuple[float, int] | None = None
    fatal: str = ""
    slot: str = ""
    complaint: str = ""
    logs: tuple[Log, ...] = ()
    complaints: tuple[tuple[str, str, int, int], ...] = ()
    slowest: tuple[float, int] | None = None
    steps: tuple[Step, ...] = ()
    kept: Ranges = ()
    returned: tuple[str, ...] = ()


def merge(replies: Iterable[Reply], goal: tuple[str, int] | None = None) -> Reply:
    """Put the parts of a batch together, in the order of their positions; the goal is the task's."""
    parts = sorted(replies, key=lambda reply: reply.done)
    sign = goal[1] if goal else 1
    complaints = {part.complaint for part in parts if any(status != "pruned" for status, _ in part.failed)}
    failed: dict[str, list[tuple[int, int]]] = {}
    for part in parts:
        for status, ranges in part.failed:
            failed.setdefault(status, []).extend(ranges)
    return Reply(
        done=tuple(piece for part in parts for piece in part.done),
        rows=sum(part.rows for part in parts),
        failed=tuple((status, tuple(ranges)) for status, ranges in sorted(failed.items())),
        seconds=sum(part.seconds for part in parts),
        payload=tuple(piece for part in parts for piece in part.payload),
        best=min((part.best for part in parts if part.best), key=lambda best: best[0] * sign, default=None),
        fatal=next((part.fatal for part in parts if part.fatal), ""),
        complaint=complaints.pop() if len(complaints) == 1 else "",
        logs=tuple(log for part in parts for log in part.logs),
        complaints=most_frequent(each for part in parts for each in part.complaints),
        slowest=max((part.slowest for part in parts if part.slowest), default=None),
        steps=tuple(step for part in parts for step in part.steps),
        kept=tuple(piece for part in parts for piece in part.kept),
        returned=tuple(sorted({name for part in parts for name in part.returned})),
    )


def most_frequent(complaints: Iterable[tuple[str, str, int, int]]) -> tuple[tuple[str, str, int, int], ...]:
    """Put together those that say the same, and keep the few most frequent ones."""
    found: dict[tuple[str, str], list[int]] = {}
    for status, text, count, position in complaints:
        found.setdefault((status, text[:LONGEST_COMPLAINT]), [0, position])[0] += count
    most = sorted(found.items(), key=lambda item: -item[1][0])[:MOST_COMPLAINTS]
    return tuple((status, text, count, position) for (status, text), (count, position) in most)


# Events: what the driver is told.


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker is ready, with room for ``slots`` batches at a time.

    ``host`` is the name of its machine, ``memory`` how many bytes all its slots together may hold, where that is known.
    """

    now: float
    worker: str
    slots: int
    host: str = ""
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A worker is gone, and with it whatever it held; or it never joined, because it is of no use.

    ``reason`` says why, for people, where the engine knows: it fell silent, it has another version. It is empty
    where a worker simply vanished.
    """

    now: float
    worker: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A slot answered a batch; it may do so late, or twice."""

    now: float
    batch_id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Returned:
    """A slot gave back, at our request, the part [start, stop) of a batch that it had not begun.

    Every recall is answered; ``start == stop`` means that there was nothing to give back.
    """

    now: float
    batch_id: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A batch will never be answered, or its answer was none; no point is to blame."""

    now: float
    batch_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Durable:
    """What was to be written for these batches is on disk."""

    now: float
    batch_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Crowded:
    """So much waits for the disk that nothing more should be offered; or (``full`` is False) no longer."""

    now: float
    full: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened, but the driver had asked to be woken."""

    now: float


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about the cluster that people should know; it changes nothing."""

    now: float
    text: str


@dataclass(frozen=True, slots=True)
class Load:
    """What the processes of a slot's child take up; what is not known is None.

    Attributes
    ----------
    slot : str
        Which slot, for people.
    cpu : float or None
        Cores that the child, and all that it has started, keep busy, on average since the last look.
    memory : int or None
        Bytes that they hold.
    position : int or None
        The position that is being evaluated.
    age : float or None
        Seconds for which it has been.
    """

    slot: str
    cpu: float | None = None
    memory: int | None = None
    position: int | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Somebody has looked at the slots of a worker, about once a second; it changes nothing."""

    now: float
    worker: str
    loads: tuple[Load, ...]


@dataclass(frozen=True, slots=True)
class Stepped:
    """Points of a batch that is running have recorded something; it may come late, or never."""

    now: float
    batch_id: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """Positions may be offered from now on; ``last`` says that no others will follow."""

    now: float
    ranges: Ranges
    last: bool = False


class Urgency(Enum):
    """How a sweep is to be stopped."""

    DRAIN = "drain"
    """Begin nothing more; wait for the points that are running."""
    NOW = "now"
    """Wait for nothing but the disk."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the sweep to stop; ``reason`` is shown to people.

    After ``grace`` seconds, if given, whoever still runs is waited for no longer.
    """

    now: float
    urgency: Urgency
    reason: str
    grace: float | None = None


Event = (
    Joined
    | Left
    | Finished
    | Returned
    | Lost
    | Durable
    | Crowded
    | Tick
    | Noted
    | Measured
    | Stepped
    | Opened
    | StopAsked
)


# Commands: what the driver asks for.


@dataclass(frozen=True, slots=True)
class Submit:
    """Send batches, all to one worker, in this order."""

    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask for the part of a batch that has not begun; answered by `Returned` unless the batch is gone."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Write:
    """Make a reply durable.

    Attributes
    ----------
    batch : Batch
        As it was offered.
    reply : Reply
        Its rows; those outside ``accepted`` are to be dropped (late duplicates, points to be tried again).
    accepted : RangeSet
        The positions that are decided once this is durable.
    whole : bool
        Every row of the reply is accepted, so nothing needs to be filtered.
    """

    batch: Batch
    reply: Reply
    accepted: RangeSet = field(compare=False)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """Make steps durable: before, or together with, the rows of the same points."""

    batch: Batch
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Prune:
    """End a point of a running batch at its next step; ``reason`` is for people, ``at`` the step that led to it."""

    batch: Batch
    position: int
    reason: str
    at: Step | None = None


@dataclass(frozen=True, slots=True)
class Promote:
    """A point that was ended early goes on after all, as attempt ``attempt``; nobody has to do anything about it."""

    position: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Exclude:
    """A worker gets nothing more: for so many ``seconds``, or for good; nobody has to do anything about it."""

    worker: str
    reason: str
    seconds: float = float("inf")


class Ending(Enum):
    """Why a sweep is over."""

    COMPLETE = "complete"
    """Every point is done."""
    LIMIT = "limit"
    """As many points as were asked for, or as long, or as many failures as were allowed."""
    ASKED = "asked"
    """Somebody asked for it."""
    LOST = "lost"
    """There are no workers any more, or they lose every batch."""
    FATAL = "fatal"
    """The objective does what no further point could put right."""


@dataclass(frozen=True, slots=True)
class Example:
    """A failure that tells of many: what it says (a line, maybe empty), where, and who met it."""

    position: int
    status: str
    text: str
    worker: str


@dataclass(frozen=True, slots=True)
class Conclude:
    """Nothing more to do, and why; ``reason`` is for people, and so is the example of the failures that ended it."""

    ending: Ending
    reason: str = ""
    example: Example | None = None


Command = Submit | Recall | Write | Record | Prune | Promote | Exclude | Conclude
