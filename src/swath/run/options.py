"""How a run is to go, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.messages import Ending

if TYPE_CHECKING:
    from swath.messages import Example

EXIT_CODES = {Ending.COMPLETE: 0, Ending.LIMIT: 4, Ending.ASKED: 130, Ending.LOST: 75, Ending.FATAL: 2}
SOME_FAILED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run a definition; what is None is up to the definition, or has no limit.

    Attributes
    ----------
    engine : str
        ``dask`` or ``inline``.
    workers : int or None
        Slots on this machine.
    scheduler : str or None
        Address of a Dask scheduler to use instead.
    client : distributed.Client or None
        A client to use instead.
    insecure : bool
        Allow a scheduler off this machine without TLS.
    out : Path
        The folder of run folders.
    limit : int or None
        Run at most so many more points.
    time_limit : float or None
        Stop after so many seconds.
    wait : float or None
        End as lost after so many seconds without a worker.
    max_failures : int or None
        Stop after so many failed points.
    retry : tuple of str
        Statuses of finished points that are to run again.
    accept_code_change : bool
        Keep rows that older code made.
    fresh : bool
        Put the old run aside and begin anew.
    """

    engine: str = "dask"
    workers: int | None = None
    scheduler: str | None = None
    client: Any = None
    insecure: bool = False
    out: Path = Path("results")
    limit: int | None = None
    time_limit: float | None = None
    wait: float | None = None
    max_failures: int | None = None
    retry: tuple[str, ...] = ()
    accept_code_change: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sweep ended; ``reason`` is empty if it is complete.

    Attributes
    ----------
    reason : str
        For people.
    exit_code : int
        Of the command line.
    example : Example or None
        A failure like those that ended it.
    point : int
        The index of its point.
    """

    reason: str
    exit_code: int
    example: Example | None = None
    point: int = -1
