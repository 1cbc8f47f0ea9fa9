"""Power cuts, kills and damage with steps and proposals: neither lost nor doubled, and no row without its proposal."""

from __future__ import annotations

import random
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from proposing import POINTS, SEEDS, Content, Recorded, Search, define, searched, value_of
from simdisk import HereCommits, SimDisk, clone, live_on
from swath.errors import CannotWriteError
from swath.ranges import RangeSet
from swath.store import merging
from swath.store.assembly import Assembly
from swath.store.curves import curves_of
from swath.store.history import Archive, latest
from swath.store.manifest import read_manifest
from swath.store.repair import examine, repair
from swath.store.segments import numpy_column
from test_c_store_damage import WAYS, flip, spoil
from test_c_store_power import FOLDER, RESULTS, arm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SIZE = POINTS * SEEDS
LONG = 1000  # losses, from which on nothing is skipped
KINDS = ("arrow", "steps.arrow", "proposals.arrow")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name, value in (("MANY", 3), ("LEAST", 3), ("LEFT", 2)):
        monkeypatch.setattr(merging, name, value)
    monkeypatch.setattr("swath.store.Commits", HereCommits)
    monkeypatch.setattr("swath.store.accepting.versions", dict)
    monkeypatch.setattr("swath.store.accepting.git_commit", lambda _: "")
    monkeypatch.setattr("swath.definition.define", define)


def folded(recorded: Sequence[Recorded]) -> dict[Content, list[tuple[int, float]]]:
    """The curves of what was recorded, in the order in which it came."""
    curves: dict[Content, list[tuple[int, float]]] = {}
    for content, number, value in recorded:
        own = curves.setdefault(content, [])
        while own and own[-1][0] >= number:
            own.pop()
        own.append((number, value))
    return curves


class Seen:
    """A run as everybody reads it; whatever is not as it must be fails."""

    def __init__(self, disk: SimDisk) -> None:
        self.rows: dict[Content, float] = {}
        self.curves: dict[Content, list[tuple[int, float]]] = {}
        self.proposed: list[int] = []
        self.damage: tuple[str, ...] = ()
        latest(disk, FOLDER, self._read)

    def _read(self, archive: Archive) -> None:
        assembly, curves = Assembly(archive), curves_of(archive)
        self.damage = tuple(archive.damage)
        space = assembly.definition.space
        self.proposed = [row["x"] for row in space.proposals.rows(0, space.proposals.known)]
        names = ("x", "seed")
        columns = [assembly.parameters[name].values.tolist() for name in names]
        values = assembly.metrics["error"].to_pylist() if len(assembly.rows.points) else []
        self.rows = dict(zip(zip(*columns, strict=True), values, strict=True))
        assert len(self.rows) == len(assembly.rows.points) == len(set(assembly.rows.points.tolist()))
        points = numpy_column(curves.table, "point")
        found = space.take(points)
        contents = zip(*(found.column(name).values.tolist() for name in names), strict=True)
        told = curves.table.column("error").to_pylist() if len(points) else []
        numbers = numpy_column(curves.table, "step").tolist()
        self.curves = {}
        for content, number, value in zip(contents, numbers, told, strict=True):
            self.curves.setdefault(content, []).append((number, value))
        for entry in archive.manifest.segments if not self.damage else ():
            assert numpy_column(archive.table(entry), "point").max(initial=0) < space.known

    def check(self) -> None:
        for content, value in self.rows.items():
            assert value == value_of(*content)
        for content, curve in self.curves.items():
            assert [number for number, _ in curve] == sorted({number for number, _ in curve})
            assert all(value == value_of(*content) + number for number, value in curve)


class History:
    """What was reported, and what may be there because nobody knows."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk: Any = disk
        self.rows: set[Content] = set()
        self.proposed: list[list[int]] = [[]]
        self.recorded: list[list[Recorded]] = [[]]

    def play(self, dice: random.Random, *, moves: int = 6) -> None:
        """Play a session, whatever becomes of it."""
        try:
            session = Search(FOLDER, searched(), disk=self.disk)
        except CannotWriteError:
            return
        try:
            self.settle()  # what a session has begun with is durable
            for _ in range(moves):
                if session.failed:
                    break
                self._move(session, dice)
        finally:
            session.store.close()

    def _move(self, session: Search, dice: random.Random) -> None:
        book = session.definition.space.proposals
        todo = RangeSet([(0, book.known * SEEDS)])
        todo.difference_update(session.past.done)
        for write in session.writes.values():
            todo.difference_update(write.accepted)
        if not todo or (book.known < POINTS and dice.random() < 0.3):
            if book.known < POINTS:
                xs = [dice.randrange(10**12) for _ in range(min(dice.randint(1, 3), POINTS - book.known))]
                with self._uncertain(session, self.proposed, xs):
                    session.propose(xs)
            return
        start, stop = todo.first(dice.randint(1, 3))
        if dice.random() < 0.7:
            first = dice.randint(1, 4)
            made = session.told(start, stop, range(first, first + dice.randint(1, 3)))
            with self._uncertain(session, self.recorded, made):
                session.record(start, stop, made)
        if dice.random() < 0.6 and not session.failed:
            contents = session.contents(start, stop)
            if session.evaluate(start, stop) in session.durable:
                self.rows.update(contents)

    @contextmanager
    def _uncertain(self, session: Search, histories: list[list[Any]], made: list[Any]) -> Iterator[None]:
        """Something may be there or not, until it is known to be durable."""
        (known,) = histories
        histories[:] = known, known + made
        yield
        if not session.failed:
            histories[:] = [known + made]

    def settle(self) -> None:
        """Take what is there now for what is known."""
        seen = self.check()
        self.rows.update(seen.rows)
        self.proposed = [seen.proposed]
        self.recorded = [next(known for known in self.recorded if folded(known) == seen.curves)]

    def check(self) -> Seen:
        seen = Seen(self.disk)
        assert not seen.damage
        seen.check()
        assert self.rows <= seen.rows.keys()
        assert seen.proposed in self.proposed
        assert seen.curves in [folded(known) for known in self.recorded]
        return seen

    def finish(self, dice: random.Random) -> None:
        """Search to the end, undisturbed."""
        for _ in range(100):
            self.play(dice, moves=20)
            if len(self.rows) == SIZE:
                return
        pytest.fail("it does not come to an end")


def begun(disk: SimDisk) -> bool:
    return "manifest.json" in disk.names(FOLDER)


def one_life(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    disk = SimDisk(dice)
    disk.make_folder(RESULTS.parent)
    live_on(disk, monkeypatch)
    history = History(disk)
    for _ in range(dice.randint(1, 4)):
        arm(disk, dice)
        history.play(dice, moves=dice.randint(1, 12))
        disk.arm()
        if dice.random() < 0.7:
            disk.cut()
        if begun(disk):
            history.check()
    history.finish(dice)
    disk.cut()
    seen = history.check()
    assert len(seen.proposed) == POINTS
    assert len(seen.rows) == SIZE


@pytest.mark.timeout(36_000)
def test_C05_power_cuts_neither_lose_nor_double_a_step_and_leave_no_row_without_its_proposal(
    request, monkeypatch
):
    first = request.config.getoption("--first-seed")
    losses = request.config.getoption("--losses")
    for seed in range(first, first + (losses if losses >= LONG else losses // 6)):
        try:
            one_life(seed, monkeypatch)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


class Moment(NamedTuple):
    """What a process that is killed now leaves on the disk, and what is known of it."""

    step: str
    root: Any
    known: History

    def come_back(self, dice: random.Random, monkeypatch: pytest.MonkeyPatch, *, power: bool) -> History:
        history = deepcopy(self.known)
        history.disk = SimDisk(dice)
        history.disk.root = clone(self.root, {})
        live_on(history.disk, monkeypatch)
        if power:
            history.disk.cut()
        return history


def moments(history: History, play: Callable[[], object]) -> list[Moment]:
    """Play undisturbed, and keep the state before each step."""
    found: list[Moment] = []
    disk = history.disk

    def keep(step: str) -> None:
        root, history.disk = clone(disk.root, {}), None
        found.append(Moment(step, root, deepcopy(history)))
        history.disk = disk

    disk.watch = keep
    play()
    disk.watch = None
    return found


@pytest.mark.parametrize("power", [True, False], ids=["power cut", "kill"])
def test_C01_a_search_is_killed_at_every_step_of_the_store_and_goes_on(power, request, monkeypatch):
    dice = random.Random(4)
    disk = SimDisk(dice)
    disk.make_folder(RESULTS.parent)
    live_on(disk, monkeypatch)
    history = History(disk)

    def play() -> None:
        for _ in range(3):
            history.play(dice, moves=9)

    found = moments(history, play)
    kinds = {(moment.step.partition(" ")[0], kind_of(moment.step)) for moment in found}
    assert {(word, kind) for word in ("rename", "unlink") for kind in KINDS} <= kinds
    every = 1 if request.config.getoption("--losses") >= LONG else 9
    for number, moment in enumerate(found[::every]):
        there = moment.come_back(random.Random(number), monkeypatch, power=power)
        if begun(there.disk):
            there.check()
        there.finish(random.Random(number))


# Damage.


@pytest.fixture
def disk(monkeypatch) -> SimDisk:
    """A search under way: proposals, steps and rows in two files each."""
    made = SimDisk(random.Random(0))
    live_on(made, monkeypatch)
    with Search(FOLDER, searched(), disk=made) as session:
        session.propose([10, 11, 12])
        session.record(0, 6, session.told(0, 6, [1, 2]))
        session.evaluate(0, 5)
        session.propose([13, 14])
        session.record(5, 10, session.told(5, 10, [1]))
        session.evaluate(5, 9)
    seen = Seen(made)
    assert (len(seen.rows), len(seen.curves), seen.damage) == (9, 10, ())
    return made


def kind_of(name: str) -> str:
    return name.partition(".")[2]


def check_damage(disk: SimDisk, name: str, sound: Seen) -> None:
    """What is read is right, what is missing is told with the name of the file, and it is what must be missing."""
    seen = Seen(disk)
    seen.check()
    assert seen.rows.items() <= sound.rows.items()
    assert seen.curves.items() <= sound.curves.items() or kind_of(name) == "steps.arrow"
    assert seen.damage == (name,)
    kept = len(seen.proposed)
    assert seen.proposed == sound.proposed[:kept]
    if kind_of(name) == "proposals.arrow":
        assert kept in (0, 3)
        known = {content for content in sound.rows if content[0] in seen.proposed}
        assert seen.rows.keys() == known
    elif kind_of(name) == "steps.arrow":
        assert seen.rows == sound.rows
        assert seen.curves != sound.curves
    else:
        assert seen.curves == sound.curves
        assert seen.rows != sound.rows


def check_mending(disk: SimDisk, name: str, *, by_doctor: bool) -> None:
    """Put aside by the doctor or by who goes on: then all is sound, and new points come in the places of lost ones."""
    before = Seen(disk)
    there = name.rpartition("/")[2] in disk.names(FOLDER / "segments")
    if by_doctor:
        assert [item.file for item in repair(FOLDER, disk)] == [name]
        assert examine(FOLDER, disk).damage == ()
        assert read_manifest(disk, FOLDER).state == "stopped"
    with Search(FOLDER, searched(), disk=disk) as session:
        assert [item.file for item in session.past.damage] == ([] if by_doctor else [name])
        assert session.past.proposals == len(before.proposed)
        assert (f"{name.rpartition('/')[2]}.damaged" in disk.names(FOLDER / "segments")) == there
        after = Seen(disk)
        assert (after.rows, after.curves, after.damage) == (before.rows, before.curves, ())
        book = session.definition.space.proposals
        session.propose(range(100, 100 + POINTS - book.known))
        todo = RangeSet([(0, SIZE)])
        todo.difference_update(session.past.done)
        assert len(todo) == SIZE - len(before.rows)
        for start, stop in todo:
            session.evaluate(start, stop)
            session.record(start, stop, session.told(start, stop, [1]))
        assert session.store.manifest.state == "complete"
        assert not session.failed
    seen = Seen(disk)
    seen.check()
    assert seen.damage == ()
    assert len(seen.rows) == SIZE
    assert seen.rows.items() >= before.rows.items()


@pytest.mark.timeout(3600)
def test_C12_damage_of_rows_steps_or_proposals_is_named_and_never_returned(disk, request, monkeypatch):
    dice = random.Random(request.config.getoption("--first-seed"))
    sound = Seen(disk)
    names = [entry.path for entry in read_manifest(disk, FOLDER).files]
    assert {kind_of(name) for name in names} == set(KINDS)
    for number in range(request.config.getoption("--flips") // 2):
        there = SimDisk(dice)
        there.root = clone(disk.root, {})
        live_on(there, monkeypatch)
        name = names[number % len(names)]
        if dice.random() < 0.1:
            there.remove(FOLDER / name)
        elif not spoil(there, name, dice.choice(WAYS), dice, folder=FOLDER):
            continue
        check_damage(there, name, sound)
        assert [item.file for item in examine(FOLDER, there).damage] == [name]
        if dice.random() < 0.4:
            check_mending(there, name, by_doctor=dice.random() < 0.5)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"x": "far"}, "invalid literal"),
        ({"x": [1]}, "int() argument"),
        ({"x": 1 << 70}, "too large"),
        ({"y": 1}, "proposal 5 has 'y', which the search does not propose"),
    ],
)
def test_F02_proposals_that_no_search_has_made_are_named_and_not_used(disk, row, said, monkeypatch):
    """Whoever makes such a folder can compute checksums."""
    monkeypatch.setattr(merging, "LEFT", 8)
    sound = Seen(disk)
    with Search(FOLDER, searched(), disk=disk) as session:
        session.store.propose(5, [row])
        (*_, entry) = session.store.manifest.proposals
    seen = Seen(disk)
    assert (seen.rows, seen.curves, seen.proposed) == (sound.rows, sound.curves, sound.proposed)
    assert seen.damage == (entry.path,)
    (item,) = examine(FOLDER, disk).damage
    assert item.text.startswith("does not fit its definition: ")
    assert said in item.text
    check_mending(disk, entry.path, by_doctor=False)


def test_C12_the_doctor_says_what_is_missing_and_what_became_of_it(disk):
    told = {}
    for kind in ("steps.arrow", "proposals.arrow"):
        (name, *_) = [e.path for e in read_manifest(disk, FOLDER).files if kind_of(e.path) == kind]
        spoil(disk, name, flip, random.Random(1), folder=FOLDER)
        told[kind] = [str(item) for item in (*examine(FOLDER, disk).damage, *repair(FOLDER, disk))]
    assert told == {
        "steps.arrow": [
            "segments/000002.steps.arrow: its checksum does not match; 12 steps are missing",
            (
                "segments/000002.steps.arrow: its checksum does not match; kept as 000002.steps.arrow.damaged, "
                "its points keep their rows; 12 steps are missing"
            ),
        ],
        "proposals.arrow": [
            (
                "segments/000001.proposals.arrow: its checksum does not match; 3 proposals are missing, "
                "and with them the rows of these and of all that follow"
            ),
            (
                "segments/000001.proposals.arrow: its checksum does not match; kept as 000001.proposals.arrow.damaged, "
                "new points will be proposed; 3 proposals are missing, "
                "and with them the rows of these and of all that follow"
            ),
        ],
    }
    seen = Seen(disk)
    assert (seen.rows, seen.curves, seen.proposed, seen.damage) == ({}, {}, [], ())


def test_C12_rows_are_not_taken_for_others_whose_definition_cannot_be_read_either(disk):
    """Its file may come back, and by then other points may stand in the places of those that were proposed."""
    (name, *_) = [entry.path for entry in read_manifest(disk, FOLDER).proposals]
    definition = disk._file(FOLDER / "definitions/0001.yaml")
    sound, definition.data = definition.data, b"{}"
    spoil(disk, name, flip, random.Random(1), folder=FOLDER)
    assert {item.file for item in repair(FOLDER, disk)} == {name, "definitions/0001.yaml"}
    definition.data = sound
    seen = Seen(disk)
    assert (seen.rows, seen.curves, seen.proposed, seen.damage) == ({}, {}, [], ())
