"""The store keeps what it reported through any kill, any error of the disk and any power cut (simulated disk)."""

from __future__ import annotations

import errno
import os
import random
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from saving import STUDY, Session, error_of, study
from simdisk import HereCommits, SimDisk, clone, live_on
from swath.errors import CannotWriteError, UsageError
from swath.ranges import RangeSet
from swath.store import merging
from swath.store.assembly import Assembly, gone
from swath.store.history import Archive, latest
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swath.definition import Definition
    from swath.messages import Reply

RESULTS = Path("/home/results")
FOLDER = RESULTS / "study"
SMALL = study()
LARGE = study(parameters={**STUDY["parameters"], "a": [0, 1, 2, 3, 4]})
NAMES = tuple(STUDY["parameters"])
KNOWN: dict[Any, Definition] = {}
"""Definitions read before: reading one takes longer than all the rest of a session."""

Content = tuple[Any, ...]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Merge early, so that short sessions see it; no thread, and nothing read twice that takes long."""
    monkeypatch.setattr(merging, "MANY", 3)
    monkeypatch.setattr(merging, "LEAST", 3)
    monkeypatch.setattr(merging, "LEFT", 2)
    monkeypatch.setattr("swath.store.Commits", HereCommits)
    monkeypatch.setattr("swath.store.accepting.versions", dict)
    monkeypatch.setattr("swath.store.accepting.git_commit", lambda _: "")
    monkeypatch.setattr("swath.store.Archive", partial(Archive, definitions=KNOWN))


class QuickSession(Session):
    """A session that computes a reply once."""

    def reply(self, start: int, stop: int, **more: Any) -> Reply:
        return answer(self.definition is LARGE, start, stop, more.get("statuses", "ok"))


@cache
def answer(large: bool, start: int, stop: int, statuses: str) -> Reply:
    session = object.__new__(Session)
    session.definition = LARGE if large else SMALL
    return Session.reply(session, start, stop, statuses=statuses)


@cache
def contents(large: bool) -> list[tuple[Content, float]]:
    """Parameters and metric of each point, in order."""
    definition = LARGE if large else SMALL
    found = definition.space.columns(0, definition.space.size)
    columns = [found.column(name).values.tolist() for name in NAMES]
    return list(
        zip(zip(*columns, strict=True), error_of(definition, range(definition.space.size)), strict=True)
    )


TRUTH = dict(contents(True))


class History:
    """What was reported durable, by run."""

    def __init__(self, disk: SimDisk, durable: Mapping[str, set[Content]] | None = None) -> None:
        self.disk = disk
        self.durable = {run: set(known) for run, known in (durable or {}).items()}

    def play(self, dice: random.Random, *, large: bool, fresh: bool = False, batches: int = 4) -> None:
        """Play a session, whatever becomes of it."""
        try:
            session = QuickSession(FOLDER, LARGE if large else SMALL, disk=self.disk, fresh=fresh)
        except CannotWriteError:
            return
        try:
            self._save(session, dice, batches)
            if dice.random() < 0.3:
                session.store.export()
        except CannotWriteError:
            pass
        finally:
            session.store.close()

    def _save(self, session: Session, dice: random.Random, batches: int) -> None:
        todo = RangeSet([(0, session.definition.space.size)])
        todo.difference_update(session.past.done)
        while todo and batches:
            ((start, stop), *_) = todo
            stop = min(stop, start + dice.randint(1, 4))
            if session.save(start, stop) in session.durable:
                known = contents(session.definition is LARGE)[start:stop]
                reported = self.durable.setdefault(session.store.manifest.run, set())
                reported.update(key for key, _ in known)
            todo.discard(start, stop)
            batches -= 1

    def finish(self) -> None:
        """Run what is missing, undisturbed."""
        with QuickSession(FOLDER, LARGE, disk=self.disk) as session:
            assert session.past.damage == ()
            todo = RangeSet([(0, LARGE.space.size)])
            todo.difference_update(session.past.done)
            for start, stop in todo:
                session.save(start, stop)
            assert not session.failed

    def check(self) -> None:
        """Every row reported durable is there, and every row that is there is right and there once."""
        found = {}
        for name in self.disk.names(RESULTS):
            try:
                run = read_manifest(self.disk, RESULTS / name).run
            except UsageError:  # nothing was begun
                continue
            found[run] = rows_of(self.disk, RESULTS / name)
            assert found[run].items() <= TRUTH.items()
        for run, durable in self.durable.items():
            assert durable <= found.get(run, {}).keys(), f"lost of {run}"


def rows_of(disk: SimDisk, folder: Path) -> dict[Content, float]:
    """Read all rows of a run, as everybody does; there is neither damage nor a row twice."""

    def read(archive: Archive) -> list[Assembly]:
        assert archive.manifest.damage == ()
        found = [Assembly(archive), *(Assembly(archive, rows) for rows in gone(archive))]
        assert not archive.damage
        return found

    rows: dict[Content, float] = {}
    for assembly in latest(disk, folder, read, KNOWN):
        columns = [assembly.parameters[name].values.tolist() for name in NAMES]
        keys = list(zip(*columns, strict=True))
        if not keys:
            continue
        values = assembly.metrics["error"].to_pylist()
        assert not rows.keys() & set(keys)
        rows.update(zip(keys, values, strict=True))
        assert np.all(np.diff(assembly.rows.points) > 0)
    return rows


def new_disk(dice: random.Random, monkeypatch) -> SimDisk:
    disk = SimDisk(dice)
    disk.make_folder(RESULTS.parent)
    live_on(disk, monkeypatch)
    return disk


ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def arm(disk: SimDisk, dice: random.Random) -> None:
    """Choose what goes wrong in the next session, if anything."""
    step = dice.randrange(70)
    kind = dice.randrange(5)
    if kind < 2:
        disk.arm(doom=step)
    elif kind < 4:
        long = dice.choice((1, 3, 1000))
        disk.arm(errors=dict.fromkeys(range(step, step + long), dice.choice(ERRORS)))
    else:
        disk.arm()


def one_life(seed: int, monkeypatch) -> None:
    """Some sessions, each with its accident, then one without."""
    dice = random.Random(seed)
    history = History(new_disk(dice, monkeypatch))
    for turn in range(dice.randint(1, 3)):
        arm(history.disk, dice)
        history.play(dice, large=dice.random() < 0.5, fresh=turn > 0 and dice.random() < 0.15)
        history.disk.arm()
        if dice.random() < 0.7:
            history.disk.cut()
        history.check()
    history.finish()
    history.disk.cut()
    history.check()
    assert rows_of(history.disk, FOLDER) == TRUTH


@pytest.mark.timeout(3600)
def test_C05_power_cuts_lose_no_row_that_was_reported_saved(request, monkeypatch):
    first = request.config.getoption("--first-seed")
    for seed in range(first, first + request.config.getoption("--losses")):
        try:
            one_life(seed, monkeypatch)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


# Every step of a script.


def script(history: History) -> None:
    """Grow a study, merge, export, begin anew: each kind of change that the store makes, in five sessions."""
    dice = random.Random(3)
    history.play(dice, large=False, batches=7)
    history.play(dice, large=True, batches=3)
    history.play(dice, large=False, fresh=True, batches=2)
    history.play(dice, large=True, batches=5)
    history.play(dice, large=True, batches=0)


class Moment(NamedTuple):
    """What a process that is killed now leaves on the disk, and what it had reported durable."""

    step: str
    root: Any
    durable: dict[str, set[Content]]

    def come_back(self, *, power: bool, dice: random.Random, monkeypatch) -> History:
        disk = SimDisk(dice)
        disk.root = clone(self.root, {})
        live_on(disk, monkeypatch)
        if power:
            disk.cut()
        return History(disk, self.durable)


def moments(history: History, play: Callable[[History], object]) -> list[Moment]:
    """Play undisturbed, and keep the state before each step."""
    found: list[Moment] = []

    def keep(step: str) -> None:
        durable = {run: set(known) for run, known in history.durable.items()}
        found.append(Moment(step, clone(history.disk.root, {}), durable))

    history.disk.watch = keep
    play(history)
    history.disk.watch = None
    return found


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("power", [True, False], ids=["power cut", "kill"])
def test_C01_killed_at_every_step_of_the_store_and_again_while_it_recovers(power, request, monkeypatch):
    """Every step of the recovery, too, where many losses are asked for; else one of them."""
    all_of_them = request.config.getoption("--losses") >= 10_000
    dice = random.Random(11)
    first = moments(History(new_disk(dice, monkeypatch)), script)
    words = {moment.step.partition(" ")[0] for moment in first}
    assert words == {"mkdir", "open", "write", "fsync", "rename", "link", "unlink"}
    assert len(first) > 300
    for moment in first:
        history = moment.come_back(power=power, dice=dice, monkeypatch=monkeypatch)
        history.check()
        if all_of_them:
            for again in moments(history, lambda there: there.play(dice, large=True)):
                recover(again.come_back(power=power, dice=dice, monkeypatch=monkeypatch))
        else:
            history.disk.arm(doom=dice.randrange(30))
            history.play(dice, large=True)
            history.disk.arm()
            if power:
                history.disk.cut()
            recover(history)


def recover(history: History) -> None:
    history.finish()
    history.check()
    assert rows_of(history.disk, FOLDER) == TRUTH


def test_C22_merging_killed_at_each_step_keeps_every_row_once(monkeypatch):
    dice = random.Random(7)
    history = History(new_disk(dice, monkeypatch))
    monkeypatch.setattr(merging, "MANY", 100)
    with QuickSession(FOLDER, LARGE, disk=history.disk) as session:
        for start in range(8):
            session.save(start, start + 1)
        monkeypatch.setattr(merging, "MANY", 3)
        merged = moments(history, lambda _: session.store._writer.merge())
        merged += moments(history, lambda _: session.store._writer.publish())  # which removes the sources
    assert {moment.step for moment in merged} >= {
        "rename 000009.arrow",
        "rename manifest.json",
        "unlink 000008.arrow",
    }
    for moment in merged:
        for power in (False, True):
            there = moment.come_back(power=power, dice=dice, monkeypatch=monkeypatch)
            assert rows_of(there.disk, FOLDER) == dict(contents(large=True)[:8]), moment.step
            recover(there)


# Errors.


def steps_of_a_session(monkeypatch) -> int:
    disk = new_disk(random.Random(0), monkeypatch)
    disk.arm()
    History(disk).play(random.Random(3), large=True, batches=6)
    return disk.step


def fail(step: int, last: int, code: int, monkeypatch) -> History:
    """Play a session that is given an error at some steps; it stops at the first, and goes on when that is mended."""
    history = History(new_disk(random.Random(step), monkeypatch))
    history.disk.arm(errors=dict.fromkeys(range(step, last + 1), code))
    tried: list[str] = []
    history.disk.watch = tried.append
    try:
        session = QuickSession(FOLDER, LARGE, disk=history.disk)
    except CannotWriteError as error:
        assert os.strerror(code) in str(error)  # noqa: PT017  it may raise, or report
    else:
        for start in range(0, 12, 2):
            session.save(start, start + 2)
        reported = list(session.durable)
        session.store.close()
        assert session.durable == reported == list(range(len(reported)))  # in order, and none after the error
        if not session.failed:  # it was one that does no harm
            assert reported == list(range(6))
        for error in session.failed:
            assert os.strerror(code) in str(error)
            saved = session.store.rows  # one commit more than reported, where removing a merged file failed
            assert saved in {len(reported) * 2, len(reported) * 2 + 2}
            assert f"the {saved} rows saved so far are safe, and the same command goes on" in str(error)
        assert len(session.failed) <= 1
        history.durable[session.store.manifest.run] = {
            key for key, _ in contents(large=True)[: len(reported) * 2]
        }
    synced = [name for name in tried[step:] if name.startswith("fsync")]
    assert synced.count(tried[step]) <= 1, "a failed fsync was tried again"
    history.disk.watch = None
    history.disk.arm()
    return history


@pytest.mark.parametrize(
    ("codes", "lasting"),
    [
        ((errno.ENOSPC,), True),
        ((errno.EDQUOT, errno.EROFS), True),
        ((errno.EIO,), False),
        ((errno.EIO,), True),
    ],
    ids=["C07 full", "C08 quota and read-only", "C08 EIO once", "C08 EIO"],
)
def test_C07_C08_an_error_of_the_disk_at_any_step_stops_and_the_same_command_goes_on(
    codes, lasting, monkeypatch
):
    steps = steps_of_a_session(monkeypatch)
    for step in range(steps):
        last = steps + 1000 if lasting else step
        history = fail(step, last, codes[step % len(codes)], monkeypatch)
        if step % 2:
            history.disk.cut()
        history.check()
        recover(history)
