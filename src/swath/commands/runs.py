"""Run folders from outside: find them, list them, see how they go, ask one to stop.

Everything here only reads, except `stop`, which leaves a wish in the folder; who writes to a run is known by its
lock, and how fast it goes by its bulletin (`swath.bulletin`). Whatever a folder contains is data from anybody, and may be damaged: then it is named, not hidden.
"""

from __future__ import annotations

import difflib
import socket
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from swath import bulletin
from swath.errors import SwathError, UsageError
from swath.rates import History
from swath.results import Results
from swath.snapshot import GOOD, RECENT, Snapshot
from swath.store.disk import Disk, publish
from swath.store.entries import MANIFEST, SEGMENTS
from swath.store.lock import holder
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swath.store.lock import Holder
    from swath.store.manifest import Manifest
    from swath.views.terminal import View

PAUSE = 0.2  # seconds between looks at a lock; a person who waits does not notice
LOOK = 0.5  # seconds between looks at a run that is followed; it tells how it goes about once a second
SHARE = 5  # a look that takes long is taken at most this part of the time
STOP = "stop"


class Listed(TypedDict):
    """A run in a list; ``rows`` are those on disk, of a point that ran again several; ``pruned`` and ``failed`` count points."""

    name: str
    state: str
    rows: int
    pruned: int
    failed: int
    updated: str
    bytes: int
    note: str
    live: Snapshot | None


class Looked(TypedDict):
    """How one run goes; ``live`` is what a run in progress tells of itself, ``silent`` the seconds since it did."""

    name: str
    folder: str
    objective: str
    state: str
    writer: str
    total: int
    done: int
    excluded: int
    statuses: dict[str, int]
    updated: str
    sessions: int
    rows: int
    steps: int
    segments: int
    bytes: int
    damage: list[str]
    live: Snapshot | None
    silent: float | None


def find(name: str, out: Path) -> Path:
    """Return the folder of a run.

    Parameters
    ----------
    name : str
        A path to a run folder, or the name of one in ``out``. A folder that is no run gives way to a run of
        that name: a project is often called like its sweep.

    Raises
    ------
    UsageError
        There is none; the text suggests what may have been meant.
    """
    for folder in (Path(name), out / name):
        if is_run(folder):
            return folder
    known = [folder.name for folder in folders(out)]
    near = difflib.get_close_matches(name, known, n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are: {', '.join(known[:10])}"
        if known
        else "there is none yet"
    )
    raise UsageError(f"no run {name!r}, neither as a path nor in {out}; {hint}")


def is_run(folder: Path) -> bool:
    """Tell whether a folder holds a run, sound or not."""
    return (folder / MANIFEST).is_file() or (folder / SEGMENTS).is_dir()


def folders(out: Path) -> list[Path]:
    """Return the run folders in a folder, by name."""
    try:
        return sorted(folder for folder in out.iterdir() if is_run(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def newest(out: Path) -> Path:
    """Return the run that was written to last.

    Raises
    ------
    UsageError
        There is none.
    """
    found = folders(out)
    if not found:
        raise UsageError(f"no runs in {out}; name a run, or the folder that holds them: --out FOLDER")
    return max(found, key=_written)


def _written(folder: Path) -> float:
    manifest = folder / MANIFEST
    return manifest.stat().st_mtime if manifest.exists() else 0.0


def listing(out: Path) -> list[Listed]:
    """Describe every run in a folder, from its manifest, if need be its rows, and what it tells while it is under way."""
    return [_listed(folder) for folder in folders(out)]


def _listed(folder: Path) -> Listed:
    try:
        manifest = read_manifest(Disk(), folder)
    except SwathError as error:
        return Listed(
            name=folder.name,
            state="damaged",
            rows=0,
            pruned=0,
            failed=0,
            updated="",
            bytes=0,
            note=str(error),
            live=None,
        )
    statuses = _statuses(folder, manifest)
    told = bulletin.read(folder)
    return Listed(
        name=folder.name,
        state=state_of(manifest, holder(folder)),
        rows=manifest.rows,
        pruned=statuses.get("pruned", 0),
        failed=sum(n for status, n in statuses.items() if status not in GOOD),
        updated=manifest.updated,
        bytes=sum(entry.bytes for entry in manifest.files),
        note="; ".join(map(str, manifest.damage)),
        live=told.snapshot if told and not told.late else None,
    )


def look(folder: Path) -> Looked:
    """Say how a run goes; ``done`` counts points with a row, ``total`` those of the newest definition.

    Raises
    ------
    DamageError
        The manifest or the newest definition cannot be read.
    """
    told = bulletin.read(folder)
    results = Results(folder)
    writer = holder(folder)
    manifest = read_manifest(Disk(), folder)
    return Looked(
        name=results.name,
        folder=str(folder),
        objective=results.definition.objective,
        state=state_of(manifest, writer),
        writer=str(writer or ""),
        total=results.total,
        done=len(results),
        excluded=results.excluded,
        statuses=results.statuses,
        updated=manifest.updated,
        sessions=len(manifest.sessions),
        rows=manifest.rows,
        steps=sum(entry.rows for entry in manifest.steps),
        segments=len(manifest.files),
        bytes=sum(entry.bytes for entry in manifest.files),
        damage=[str(damage) for damage in manifest.damage],
        live=told.snapshot if told and not told.late else None,
        silent=round(told.age, 1) if told else None,
    )


def follow(folder: Path, view: View) -> None:
    """Show how a run goes until nobody writes to it any more.

    Parameters
    ----------
    folder : Path
        The run folder.
    view : View
        What shows it; it is closed however this ends.
    """
    guess, noticed = _Guess(folder), 0
    try:
        while holder(folder) is not None:
            now = time.monotonic()
            told = bulletin.read(folder)
            snapshot = told.snapshot if told and not told.late else guess.snapshot(now)
            for notice in snapshot.notices[noticed:]:
                view.note(notice)
            noticed = max(noticed, len(snapshot.notices))
            view.show(snapshot)
            time.sleep(max(LOOK, SHARE * (time.monotonic() - now)))
    finally:
        view.close()


class _Guess:
    """How a run that tells nothing goes, from two looks at its manifest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun = time.monotonic()
        self._history: History | None = None
        self._last: Looked | None = None

    def snapshot(self, now: float) -> Snapshot:
        looked, last = look(self._folder), self._last
        if self._history is None or last is None:
            self._history = History(now)
        elif looked["done"] > last["done"]:
            new = looked["done"] - last["done"]
            self._history.add(now, 1, new + looked["excluded"] - last["excluded"], new)
        self._last = looked
        slope = self._history.slope(now, RECENT)
        left = looked["total"] - looked["done"]
        return Snapshot(
            name=looked["name"],
            state="running",
            total=looked["total"],
            done=looked["done"],
            saved=looked["done"],
            excluded=looked["excluded"],
            statuses=looked["statuses"],
            rate=slope and slope[1],
            eta=(0.8 * left / slope[1], 1.25 * left / slope[1]) if slope and slope[1] > 0 else None,
            elapsed=now - self._begun,
        )


def _statuses(folder: Path, manifest: Manifest) -> Mapping[str, int]:
    """Tell how many points ended how; where points ran again, their rows say more than the manifest's sums of rows do."""
    if any(entry.attempts_max > 1 for entry in manifest.segments):
        with suppress(SwathError, OSError):  # what cannot be read is named when the run is looked at
            return Results(folder).statuses
    return sum((Counter(entry.statuses) for entry in manifest.segments), Counter())


def state_of(manifest: Manifest, writer: Holder | None) -> str:
    """Name the state of a run; a manifest alone cannot tell a run in progress from one that was killed."""
    if writer is not None:
        return "running"
    return "interrupted" if manifest.state == "running" else manifest.state


def stop(folder: Path, *, now: bool, say: Callable[[str], None]) -> None:
    """Ask whoever writes to a run to stop, and wait until they did.

    Parameters
    ----------
    folder : Path
        The run folder.
    now : bool
        Whether not to wait for the points that are running.
    say : callable
        Takes what the user should know.
    """
    writer = holder(folder)
    if writer is None:
        say(f"{folder} is not running.")
        return
    publish(Disk(), folder / STOP, [b"now" if now else b"drain"], sync=False)
    wait = "it saves what is finished" if now else "the points that are running finish first"
    say(f"Asked {writer} to stop {folder}; {wait}.")
    told = False
    while holder(folder) is not None:
        time.sleep(PAUSE)
        if not told and _suspended(writer):
            told = True
            say(f"{writer} is suspended and stops as soon as it wakes up: kill -CONT {writer.pid}")
    say(f"{folder} has stopped; the command that started it goes on with it.")


def _suspended(writer: Holder) -> bool:
    """Tell whether a process of this machine was stopped with Ctrl-Z or SIGSTOP."""
    import psutil  # noqa: PLC0415  # only who waits asks

    if writer.host != socket.gethostname():
        return False
    try:
        return psutil.Process(writer.pid).status() == psutil.STATUS_STOPPED
    except (psutil.Error, ValueError):
        return False
