"""The report of a mistake of ours: what whoever mends it needs to know, in a file of the run folder."""

from __future__ import annotations

import platform
import sys
import traceback
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from swath.errors import SwathError
from swath.store.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swath.driver import Driver


def reported(
    error: BaseException, folder: Path, driver: Driver, rows: int, events: Sequence[str]
) -> SwathError:
    """Write a report and return the error for the user, which names it.

    Parameters
    ----------
    error : BaseException
        What went wrong.
    folder : Path
        Where reports go.
    driver : Driver
        As it was then.
    rows : int
        Rows that are saved.
    events : sequence of str
        The last lines of the journal.
    """
    place = ""
    try:
        place = f" with {_write(error, folder, driver, events)}"
    except Exception as second:  # noqa: BLE001  # memory or disk may be what is wrong; the first error counts
        error.add_note(f"(no report could be written: {second!r})")
    told = SwathError(
        f"swath failed by a mistake of its own: {type(error).__name__}: {error}; the {rows:,} rows saved so far are "
        f"safe, and the same command goes on. Please report it{place}"
    )
    told.__cause__ = error
    return told


def _write(error: BaseException, folder: Path, driver: Driver, events: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    path = next(path for n in count(1) if not (path := folder / f"report-{n}.txt").exists())
    with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(
            f"{line}\n"
            for line in [
                f"swath failed at {datetime.now(UTC).isoformat(timespec='seconds')}",
                "",
                "".join(traceback.format_exception(error)),
                *(f"{name} {version}" for name, version in versions().items()),
                f"{sys.version}\n{platform.platform()}",
                "",
                *_state(driver),
                "",
                *events,
            ]
        )
    return path


def _state(driver: Driver) -> list[str]:
    places = driver.places
    waiting, done = places.waiting_count, len(places.done)
    writing = sum(len(written.positions) for written in places.writing.values())
    return [
        f"{driver.total} positions: {waiting} wait, {writing} are being written, {done} are done",
        f"{len(places.flights)} batches are with {len(driver.workers)} workers",
        f"{driver.rows} rows, {driver.failures} failures, {driver.duplicates} duplicates in this session",
    ]
