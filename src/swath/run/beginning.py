"""What is settled before a run begins: its engine, what slots are told, whether the code is the one of the saved rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np

from swath.cluster.handshake import cores
from swath.driver import Policy
from swath.driver.policy import PATIENCE
from swath.errors import CodeChangedError, UsageError
from swath.inside.columns import there
from swath.messages import STATUSES
from swath.preflight import check_files
from swath.progress import Progress
from swath.ranges import RangeSet
from swath.store.folders import CHECKPOINTS
from swath.store.segments import numpy_column
from swath.task import Task
from swath.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from swath.definition import Definition
    from swath.engines import Engine
    from swath.objective import Code, Signature
    from swath.run.options import Options
    from swath.store import Previous
    from swath.store.history import Past


def make_task(definition: Definition, code: Code, folder: Path | None = None) -> Task:
    """Put together what slots need to know; points may keep checkpoints in the run folder, if there is one."""
    constants: dict[str, bytes] = {}
    if definition.constants:
        import cloudpickle  # noqa: PLC0415  # few sweeps have constants that only Python can hold

        constants = {digest: cloudpickle.dumps(value) for digest, value in definition.constants.items()}
    return Task(
        run=uuid4().hex[:12],
        space=definition.space.spec(),
        size=definition.space.size,
        code=code,
        constants=constants,
        timeout=definition.point.timeout,
        memory=definition.point.memory,
        cores=definition.point.cores,
        isolated=definition.isolation == "process",
        fresh=definition.point.fresh,
        folder=str(Path.cwd()),
        goal=definition.goal,
        stepped=definition.stop.metric if definition.stop else "",
        wanted=_wanted(definition),
        checkpoints=str(folder.resolve() / CHECKPOINTS) if folder else "",
    )


def _wanted(definition: Definition) -> tuple[str, ...]:
    """Name the metrics that a search learns from, or that decide about replicates."""
    if definition.until:
        return definition.until.condition.metrics
    if definition.search is None:
        return ()
    space = definition.space
    read = {name for expression in definition.search.subject_to for name in expression.names}
    metrics = read.difference(space.names, space.derived)
    return tuple(sorted(metrics.union(name for name, _ in definition.goals)))


def still_wanted(wanted: Sequence[str], saved: Iterable[tuple[object, pa.Table]]) -> Wanted | None:
    """Leave out the wanted metrics that saved rows have; None if nothing is left. Reads no more rows than it takes."""
    missing = set(wanted)
    if not missing:
        return None
    for _, table in saved:
        sound = numpy_column(table, "status") == STATUSES.index("ok")
        for name, column in zip(table.column_names, table.columns, strict=True):
            if name in missing and np.concatenate([there(chunk) for chunk in column.chunks])[sound].any():
                missing.remove(name)
        if not missing:
            return None
    return Wanted(missing)


def choose_engine(definition: Definition, options: Options) -> Engine:
    """Make the engine that was asked for; see `swath.run.start` for what is refused."""
    if definition.point.fresh and (options.engine == "inline" or definition.isolation == "none"):
        raise UsageError(
            "point.fresh gives every point a process of its own, which the inline engine and isolation: none do not; leave it out, or them"
        )
    if options.engine == "inline":
        from swath.engines.inline import Inline  # noqa: PLC0415  # only the engine that is used

        if definition.point.timeout is not None or definition.point.memory is not None:
            raise UsageError(
                "the inline engine cannot end a point: it runs in this process; leave out its timeout and memory, or use --engine dask"
            )
        return Inline()
    if options.engine != "dask":
        raise UsageError(f"there is no engine {options.engine!r}; there are dask and inline")
    from swath.engines.dask import Dask  # noqa: PLC0415  # only the engine that is used

    scheduler = options.scheduler or (None if options.workers else definition.cluster.scheduler)
    if scheduler is not None:
        _check_address(scheduler, insecure=options.insecure or definition.cluster.insecure)
    workers = options.workers or definition.cluster.workers
    if scheduler is None and options.client is None:
        check_files(workers or cores())
    return Dask(workers=workers, scheduler=scheduler, client=options.client, wait=options.wait)


def _check_address(address: str, *, insecure: bool) -> None:
    """Refuse to send code over a network that anybody may listen to."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    host = parts.hostname or ""
    local = host in ("localhost", "::1") or host.startswith("127.")
    if parts.scheme in ("tcp", "ws") and not local and not insecure:
        raise UsageError(
            f"{address} is off this machine and not encrypted: whoever reaches it can run code as you. "
            "Use tls://, or say --insecure (cluster: {insecure: true}) if the network is yours alone"
        )


def check_code(definition: Definition, code: Code, previous: Previous | None, options: Options) -> None:
    """Refuse to add rows of other code than that of the saved ones, and name both ways out."""
    if previous is None or not previous.rows or options.accept_code_change:
        return
    if (previous.objective, previous.fingerprint) == (definition.objective, code.fingerprint):
        return
    place = f" ({code.signature.place})" if code.signature and code.signature.place else ""
    what = f"{definition.objective}{place} changed"
    if previous.objective != definition.objective:
        what = f"the objective was {previous.objective} and is {definition.objective}{place}"
    folder = options.out / definition.name
    command = f"swath run {definition.file}" if definition.file else "run(...)"
    keep, anew = (
        ("--accept-code-change", "--fresh") if definition.file else ("accept_code_change=True", "fresh=True")
    )
    raise CodeChangedError(
        f"{folder}: {what} since {previous.rows:,} rows were saved. Nothing was run.\n"
        f"  keep them, run what is missing:  {command} {keep}\n"
        f"  run all again (old run kept as {definition.name}.1):  {command} {anew}"
    )


def known_signature(code: Code, previous: Previous | None) -> Signature | None:
    """Return how the objective is called if that is known without importing it."""
    if code.signature is None and previous is not None and previous.fingerprint == code.fingerprint:
        from swath.objective import Signature  # noqa: PLC0415

        return Signature((), previous.receives, anything=False, place="")
    return code.signature


def tried_again(past: Past, retry: Sequence[str]) -> dict[int, RangeSet]:
    """Gather the failed positions that are to run again, by their next attempt."""
    again: dict[int, RangeSet] = {}
    for status in retry:
        for attempt, positions in past.failed.get(status, {}).items():
            again.setdefault(attempt + 1, RangeSet()).update(positions)
    return again


def policy_of(definition: Definition, options: Options, now: float) -> Policy:
    """Put together what the driver needs to know."""
    return Policy(
        retries=definition.point.retries,
        limit=options.limit,
        deadline=None if options.time_limit is None else now + options.time_limit,
        max_failures=options.max_failures,
        patience=PATIENCE if options.wait is None else options.wait,
    )


def progress_of(
    definition: Definition,
    past: Past,
    again: Mapping[int, RangeSet],
    now: float,
    opened: int | None = None,
) -> Progress:
    """Begin the progress where earlier sessions left it; ``opened`` positions count, if there are to be more."""
    statuses = dict(past.statuses)
    for positions in again.values():
        for status, attempts in past.failed.items():
            for failed in attempts.values():
                common = sum(len(failed.intersection(start, stop)) for start, stop in positions)
                statuses[status] = statuses.get(status, 0) - common
    space = definition.space
    return Progress(
        definition.name,
        space.size if opened is None else opened,
        now=now,
        growing=opened is not None,
        done=len(past.done) - sum(map(len, again.values())),
        excluded=past.excluded,
        statuses={status: count for status, count in statuses.items() if count > 0},
        metric=definition.minimize or definition.maximize or "",
        direction="minimize" if definition.minimize else "maximize" if definition.maximize else "",
        cores=definition.point.cores,
        points=lambda positions: space.at(np.array(positions, dtype=np.int64)).tolist(),
        parameters=lambda point: {name: _plain(value) for name, value in space[point].items()},
    )


def _plain(value: object) -> object:
    """Return a value that JSON can hold as it is, others as text."""
    return value if value is None or isinstance(value, bool | int | float | str | list) else str(value)
