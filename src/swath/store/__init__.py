"""The store: the only writer of a run folder, with a thread of its own for the disk.

Theory of operation. `Store.open` takes the lock and changes nothing else; `Store.begin` accepts a definition, says
what has been done for it, and starts the commit thread. `Store.append` hands a reply over and returns. The
thread (`swath.store.commits`) writes whatever is waiting as one commit (`swath.store.writer`) and reports the batches durable,
so that a row is on disk within a second of its arrival, however many replies come.

Steps (`swath.store.steps`) and proposals of a search (`swath.store.proposals`) go through the same queue. What was handed
over first is durable no later than what came after it.

A reply that is not an answer to its batch is reported as rejected and does not reach the disk; steps that cannot be kept
are dropped, which is noted once. An error of the disk is final: it is reported once, nothing more is written or called durable, and what was durable stays so.

The callbacks run in the commit thread.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from swath.errors import CannotWriteError, DamageError, SwathError
from swath.ranges import RangeSet
from swath.store.accepting import Previous, admit, create, newest, with_entry
from swath.store.commits import Commits
from swath.store.disk import Disk, publish
from swath.store.entries import Session
from swath.store.exports import parquet
from swath.store.folders import PARQUET, STOP, enter, furnish, leave_nothing, move_aside, resume
from swath.store.history import Archive, Past, Target, survey
from swath.store.intake import Intake, Item
from swath.store.lock import Lock
from swath.store.manifest import Manifest
from swath.store.proposals import proposed
from swath.store.recovery import listed, sound
from swath.store.saved import Saved
from swath.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from swath.definition import Definition
    from swath.messages import Record, Write
    from swath.space.values import Value

__all__ = ["Previous", "Store"]


@dataclass(frozen=True, slots=True)
class _Session:
    """What `begin` was told."""

    definition: Definition
    fingerprint: str
    receives: Sequence[str]
    durable: Callable[[tuple[int, ...]], None]
    failed: Callable[[SwathError], None]
    intake: Intake


class Store:
    """A run folder that this process may write; made by `open`.

    Attributes
    ----------
    folder : Path
        The run folder.
    saved : Saved
        The rows and steps that are on the disk, to be read at any time.
    """

    def __init__(self, folder: Path, disk: Disk, lock: Lock, manifest: Manifest, *, fresh: bool) -> None:
        self.folder = folder
        self._disk, self._lock, self._fresh = disk, lock, fresh
        self._writer = Writer(disk, folder, manifest)
        self._session: _Session | None = None
        self._done = RangeSet()
        self._commits: Commits | None = None
        self._writing = threading.Lock()  # held while the folder changes, or must not
        self.saved = Saved(self._archive, self._writing)
        self._failed = self._closed = False
        self._settled: bool | None = None
        self._proposed = 0

    @classmethod
    def open(cls, folder: Path, *, fresh: bool = False, disk: Disk | None = None) -> Store:
        """Take the lock of a run folder; nothing else is changed before `begin`.

        Parameters
        ----------
        folder : Path
            Made if it is not there.
        fresh : bool
            Begin anew: `begin` will move the folder to ``<name>.1``, or the first number that is free.
        disk : Disk
            Another disk, for tests.

        Raises
        ------
        UsageError
            It is a file, or holds something that is no run.
        RunInUseError
            Another process writes there.
        CannotWriteError
            It cannot be written, or locks do not work there.
        DamageError
            It holds a run that cannot be read.
        """
        disk = disk or Disk()
        lock = enter(folder, disk)
        try:
            manifest = Manifest() if fresh else resume(disk, folder)
            used = len(disk.names(folder)) > 1  # more than the lock
            return cls(folder, disk, lock, manifest, fresh=fresh and used)
        except BaseException as error:
            lock.release()
            if isinstance(error, OSError):
                raise CannotWriteError(f"cannot open {folder}: {error.strerror or error}") from error
            raise

    @property
    def manifest(self) -> Manifest:
        """The newest durable state; empty for a new run."""
        return self._writer.manifest

    @property
    def rows(self) -> int:
        """Rows saved, by all definitions."""
        return self.manifest.rows

    def previous(self) -> Previous | None:
        """Return what the run's newest definition was; None for a new run."""
        return newest(self.manifest)

    def begin(
        self,
        definition: Definition,
        *,
        fingerprint: str,
        receives: Sequence[str],
        durable: Callable[[tuple[int, ...]], None],
        rejected: Callable[[int, str], None],
        failed: Callable[[SwathError], None],
        crowded: Callable[[bool], None] = lambda _: None,
        noted: Callable[[str], None] = lambda _: None,
    ) -> Past:
        """Accept a definition and start the commit thread.

        Parameters
        ----------
        definition : Definition
            What the rows to come are of.
        fingerprint : str
            Of the objective's code.
        receives : sequence of str
            What the objective takes of parameters and derived values.
        durable, rejected, failed : callable
            Called from the commit thread: with the ids of batches that are on disk; with the id of a batch whose
            reply is none, and why; with the error after which nothing more is written.
        crowded : callable
            Called, also from `append`, with True when so much waits for the disk that the sweep should hold back, and
            with False when that is over.
        noted : callable
            Called from the commit thread with what people should know, such as steps that are none.

        Returns
        -------
        Past
            What has been done for this definition. What its search has proposed is in the book of its space.
        """
        if self._session is not None:
            raise RuntimeError("begin was called before")
        intake = Intake(definition.space, rejected, noted)
        self._session = _Session(definition, fingerprint, receives, durable, failed, intake)
        try:
            past = self._begin(self._session)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._commits = Commits(self._commit, self._fail, crowded)
        return past

    def _begin(self, session: _Session) -> Past:
        definition = session.definition
        if self._fresh:
            self._move()
        furnish(self.folder, self._disk)
        if not self.manifest.run:
            run = create(self._disk, self.folder, definition)
            self._writer = Writer(self._disk, self.folder, Manifest(run=run))
        writer = self._writer
        writer.remove_left()
        self._disk.remove(self.folder / STOP)
        entry = admit(
            self._disk,
            self.folder,
            self.manifest,
            definition,
            fingerprint=session.fingerprint,
            receives=session.receives,
        )
        definitions = with_entry(self.manifest.definitions, entry)
        bad = (*self.manifest.damage, *writer.damaged())
        left = listed(self.manifest, [item.file for item in bad])
        manifest = replace(self.manifest, definitions=definitions, damage=bad, **left)
        archive = Archive(self._disk, self.folder, manifest, forgiving=True)
        archive.fill(definition.space, entry.number)
        past = self._survey(session, archive, entry.number)
        self._proposed = past.proposals
        now = datetime.now(UTC).isoformat(timespec="seconds")
        here = Session(now, sum(past.statuses.values()), os.getpid(), socket.gethostname())
        before = self.manifest.names
        writer.publish(
            current=entry.number,
            definitions=definitions,
            sessions=(*self.manifest.sessions, here),
            state=self._state("running"),
            **sound(writer, archive),
        )
        writer.set_aside(before - self.manifest.names)
        return past

    def _survey(self, session: _Session, archive: Archive, number: int) -> Past:
        definition = session.definition
        past = survey(archive, Target(number, definition.space, definition.was, session.receives))
        self._done = past.done.copy()
        return past

    def _state(self, otherwise: str) -> str:
        """Return "complete" if the run said so, or if every position of the definition is decided."""
        assert self._session is not None  # noqa: S101  begin set it
        complete = self._settled
        if complete is None:
            complete = len(self._done) == self._session.definition.space.size
        return "complete" if complete else otherwise

    def _move(self) -> None:
        """Put the old run aside and begin in an empty folder of the same name."""
        move_aside(self.folder, self._disk)
        old, self._lock = self._lock, Lock(self.folder)
        old.release()
        self._fresh = False

    def append(self, item: Write | Record) -> None:
        """Hand a reply, or steps, over; returns at once.

        After an error of the disk, which was reported, they are dropped.
        """
        self._append(item)

    def propose(self, first: int, rows: Sequence[Mapping[str, Value]]) -> None:
        """Hand over what the search has proposed; durable no later than any row that is appended after it.

        Parameters
        ----------
        first : int
            The number of the first of them; numbers go on where those known end, without a gap.
        rows : sequence of mapping of str to value
            The active parameters of each.
        """
        if first != self._proposed:
            raise ValueError(f"the next proposal is {self._proposed}, not {first}")
        self._append(proposed(first, rows))
        self._proposed += len(rows)

    def _append(self, item: Item) -> None:
        if self._commits is None:
            raise RuntimeError("the store takes rows between begin and close")
        self._commits.append(item)

    def settle(self, complete: bool) -> None:
        """Tell whether all is done, where the positions that have rows do not say so.

        A search may end before its last position, and so do replicates that are precise enough.
        """
        self._settled = complete

    def flush(self) -> None:
        """Ask that what is waiting be written at once."""
        if self._commits is not None:
            self._commits.flush()

    def _commit(self, items: Sequence[Item]) -> None:
        """Make replies, steps and proposals durable and say so."""
        session = self._session
        assert session is not None  # noqa: S101  begin set it before the thread
        taken = session.intake.take(items, self.manifest.workers)
        if not taken:
            return
        with self._writing:
            for part in taken.parts:
                self._done.update(part.done)
            positions_of = session.definition.space.positions
            self._writer.commit(taken, positions_of, session.fingerprint, state=self._state("running"))
        if taken.parts:
            session.durable(tuple(part.batch_id for part in taken.parts))
        with self._writing:
            self._writer.merge()

    def _fail(self, error: Exception) -> None:
        """Report the error after which nothing more is written."""
        self._failed = True
        if isinstance(error, SwathError):
            told = error
        elif isinstance(error, OSError):
            told = self._cannot_write(error)
        else:  # a mistake of ours
            told = SwathError(f"the store of {self.folder} failed: {type(error).__name__}: {error}")
        if self._session is not None:
            self._session.failed(told)

    def _cannot_write(self, error: OSError) -> CannotWriteError:
        place = error.filename or self.folder
        return CannotWriteError(
            f"cannot write {place}: {error.strerror or error}; the {self.rows:,} rows saved so far are safe, "
            "and the same command goes on once that is mended"
        )

    def export(self) -> None:
        """Write ``results.parquet`` of everything appended so far; before `close`.

        Raises
        ------
        CannotWriteError
            It could not be written; what was there before is as it was.
        """
        if self._commits is not None:
            self._commits.drain()
        try:
            with self._writing:
                publish(self._disk, self.folder / PARQUET, parquet(self._archive()))
        except OSError as error:
            raise self._cannot_write(error) from error

    def survey(self) -> Past:
        """Tell again what has been done for this definition; rows of others count for what was proposed meanwhile."""
        if self._session is None or self._commits is None:
            raise RuntimeError("the store knows its definition between begin and close")
        self._commits.drain()
        with self._writing:
            return self._survey(self._session, self._archive(), self.manifest.current)

    def _archive(self) -> Archive:
        return Archive(self._disk, self.folder, self.manifest, forgiving=True)

    def stop_request(self) -> str | None:
        """Tell whether somebody asked for this run to stop: "drain", "now", or None."""
        try:
            asked = self._disk.read_file(self.folder, STOP, 64)
        except FileNotFoundError:
            return None
        except (OSError, DamageError):
            asked = b""
        return "now" if asked.strip() == b"now" else "drain"

    def close(self) -> None:
        """Commit what is here, tidy up, end the thread and give the lock back; again, it does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._commits is not None:
                self._commits.close()
                self._end()
            elif not self.manifest.run and not self._fresh:
                leave_nothing(self.folder, self._disk)
        finally:
            self._lock.release()

    def _end(self) -> None:
        """Leave the folder as it is to be found."""
        if self._failed:
            return
        try:
            merged = self._writer.merge(ending=True)
            state = self._state("stopped")
            if (
                merged or self.manifest.state != state
            ):  # else the manifest kept would list what is removed now
                self._writer.publish(state=state)
            self._writer.remove_left()
            self._disk.remove(self.folder / STOP)
        except (OSError, SwathError) as error:
            self._fail(error)
