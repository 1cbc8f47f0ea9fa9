"""Whatever is done to the files of a run: what is read is right, and what is missing is named (simulated disk)."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from running import HOLD, ask, ran
from saving import SIZE, STUDY, Session, study
from simdisk import HereCommits, SimDisk, clone, live_on
from swath.errors import CannotWriteError, DamageError
from swath.ranges import RangeSet
from swath.store.assembly import Assembly
from swath.store.history import Archive, latest
from swath.store.manifest import read_manifest
from swath.store.repair import examine, repair
from swath.store.sealing import sealed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from swath.definition import Definition
    from swath.store.manifest import Damage

FOLDER = Path("/results/study")
OLD = study(parameters={**STUDY["parameters"], "a": [1, 2, 3]})
NOW = study()
KNOWN: dict[Any, Definition] = {}
UNREAD = {"events.jsonl", "logs", "results.parquet", "lock"}
"""What nobody reads."""


class Read(NamedTuple):
    table: pa.Table
    damage: tuple[Damage, ...]


def read(disk: SimDisk, definitions: dict[Any, Definition] | None = None) -> Read:
    """Read a run as everybody does."""

    def work(archive: Archive) -> Read:
        made = Assembly(archive).arrow.combine_chunks()
        return Read(made, tuple(archive.damage.values()))

    return latest(disk, FOLDER, work, definitions)


@pytest.fixture
def disk(monkeypatch) -> SimDisk:
    """A finished run: two definitions, four segments, a failure, a retry, everything that may lie about."""
    monkeypatch.setattr("swath.store.Commits", HereCommits)
    made = SimDisk(random.Random(0))
    live_on(made, monkeypatch)
    with Session(FOLDER, OLD, disk=made) as session:
        session.save(0, 5, statuses=["ok", "error", "ok", "ok", "ok"])
        session.save(5, OLD.space.size)
    with Session(FOLDER, NOW, disk=made) as session:
        session.save(1, 2, attempt=2)
        session.save(OLD.space.size, SIZE)
        session.store.export()
    made.write_file(FOLDER / "events.jsonl", [b"{}\n" * 20])
    assert all(not item.damage for item in (read(made), examine(FOLDER, made)))
    return made


def files(disk: SimDisk) -> list[str]:
    """Every file that is read, relative to the run."""
    found = []
    for name in disk.names(FOLDER):
        inside = disk.names(FOLDER / name) if disk.is_folder(FOLDER / name) else []
        found += [f"{name}/{item}" for item in inside] or [name]
    return [name for name in found if name not in UNREAD]


# What may happen to the bytes of a file.


def flip(raw: bytes, dice: random.Random) -> bytes:
    spoilt = bytearray(raw)
    spoilt[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


def cut(raw: bytes, dice: random.Random) -> bytes:
    return raw[: dice.randrange(len(raw))]


def lengthen(raw: bytes, dice: random.Random) -> bytes:
    return raw + dice.choice((b"\0", b" ", b"\n", b"}", raw, dice.randbytes(8)))


def blot(raw: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(raw))
    length = min(dice.choice((4, 64, 512)), len(raw) - start)
    return raw[:start] + dice.choice((bytes(length), dice.randbytes(length))) + raw[start + length :]


WAYS = (flip, flip, flip, flip, cut, cut, lengthen, blot)


def spoil(
    disk: SimDisk,
    name: str,
    change: Callable[[bytes, random.Random], bytes],
    dice: random.Random,
    folder: Path = FOLDER,
) -> bool:
    file = disk._file(folder / name)
    sound, file.data = file.data, change(file.data, dice)
    return file.data != sound


def check_reading(disk: SimDisk, name: str, sound: pa.Table) -> None:
    """What is read is right, and what is missing is told, with the name of the file."""
    try:
        table, damage = read(disk, {} if name.startswith("definitions") else KNOWN)
    except DamageError as error:
        assert name in str(error)  # noqa: PT017  it may raise, or tell
        return
    points = sound.column("point").to_pylist()
    there = table.column("point").to_pylist()
    if len(there) < len(points) or not table.equals(sound):
        assert name in {item.file for item in damage}
    right = sound.to_pylist()
    for row in table.to_pylist():
        # an earlier attempt stands in for one that is damaged
        earlier = row["point"] == 1 and (row["status"], row["attempts"]) == ("error", 1)
        assert earlier or row == right[row["point"]]


@pytest.mark.timeout(3600)
def test_C12_no_flipped_bit_cut_or_blot_gives_a_wrong_value(disk, request, monkeypatch):
    dice = random.Random(request.config.getoption("--first-seed"))
    sound = read(disk, KNOWN).table
    names = files(disk)
    assert {name.partition("/")[0] for name in names} == {
        *("run.json", "manifest.json", "manifest.json.1", "definitions", "segments")
    }
    for number in range(request.config.getoption("--flips")):
        there = SimDisk(dice)
        there.root = clone(disk.root, {})
        live_on(there, monkeypatch)
        name = names[number % len(names)]
        if not spoil(there, name, dice.choice(WAYS), dice):
            continue
        check_reading(there, name, sound)
        if dice.random() < (0.5 if ".json" in name else 0.1):
            check_doctor(there, name, disk._file(FOLDER / name).data)
            check_going_on(there, sound)


def check_doctor(disk: SimDisk, name: str, sound: bytes) -> None:
    """The doctor names the file, unless only the layout of its JSON changed; once mended, all is well."""
    damage = examine(FOLDER, disk).damage
    if not damage:
        assert json.loads(disk._file(FOLDER / name).data) == json.loads(sound)
        return
    assert name in {item.file for item in damage}
    mended = repair(FOLDER, disk)
    assert {item.file for item in mended} == {item.file for item in damage}
    left = {item.file for item in examine(FOLDER, disk).damage}
    assert left == {item for item in {name} if item.startswith("definitions")}


def check_going_on(disk: SimDisk, sound: pa.Table) -> None:
    """The same command runs what is missing."""
    with Session(FOLDER, NOW, disk=disk) as session:
        todo = RangeSet([(0, SIZE)])
        todo.difference_update(session.past.done)
        for start, stop in todo:
            session.save(start, stop)
    table, damage = read(disk)
    assert all(
        item.file == "definitions/0001.yaml" for item in damage
    )  # its rows wait for it, or have run again
    keys = ["point", "a", "b", "seed", "error"]
    assert table.select(keys).equals(sound.select(keys))


# What is damaged is mended.


def test_C12_repair_puts_damage_aside_and_the_same_command_runs_it_again(disk):
    sound = read(disk).table
    segments = [entry for entry in read_manifest(disk, FOLDER).segments if entry.definition == 2]
    spoil(disk, segments[0].path, flip, random.Random(1))
    spoil(disk, "run.json", cut, random.Random(1))
    spoil(disk, "manifest.json.1", cut, random.Random(1))
    damage = {item.file: item for item in examine(FOLDER, disk).damage}
    assert set(damage) == {segments[0].path, "run.json", "manifest.json.1"}
    assert damage[segments[0].path].rows == segments[0].rows
    told = {item.file: item.text for item in repair(FOLDER, disk)}
    assert told[segments[0].path].endswith(f"kept as {segments[0].file}.damaged, its points will run again")
    assert told["run.json"].endswith("written anew, the old one kept as run.json.damaged")
    assert examine(FOLDER, disk).damage == ()
    assert repair(FOLDER, disk) == ()
    assert f"{segments[0].file}.damaged" in disk.names(FOLDER / "segments")
    assert read(disk).damage == ()
    assert read_manifest(disk, FOLDER).state == "stopped"
    check_going_on(disk, sound)


def test_C12_the_manifest_before_never_lists_what_was_merged_away(disk, monkeypatch):
    """So a spoilt manifest costs the rows of the last commit at most."""
    monkeypatch.setattr("swath.store.merging.LEFT", 1)
    with Session(FOLDER, NOW, disk=disk):
        pass
    sound = read(disk).table
    spoil(disk, "manifest.json", cut, random.Random(1))
    table, damage = read(disk)
    assert [item.file for item in damage] == ["manifest.json"]
    assert table.equals(sound)


def test_C12_an_error_of_reading_that_is_none_of_the_file_sets_nothing_aside(disk, monkeypatch):
    enough = SimDisk.checksum

    def starved(self, folder, name):
        if name.startswith("segments/"):
            raise OSError(24, "Too many open files")
        return enough(self, folder, name)

    before = disk.names(FOLDER / "segments")
    with monkeypatch.context() as patch:
        patch.setattr(SimDisk, "checksum", starved)
        for attempt in (lambda: Session(FOLDER, NOW, disk=disk), lambda: repair(FOLDER, disk)):
            with pytest.raises(CannotWriteError, match="Too many open files"):
                attempt()
    assert disk.names(FOLDER / "segments") == before
    with Session(FOLDER, NOW, disk=disk) as session:
        assert session.past.damage == ()


def forge(disk: SimDisk, name: str, **changes: Any) -> None:
    """Let a sealed file say something else."""
    file = disk._file(FOLDER / name)
    found = json.loads(file.data)
    del found["checksum"]
    file.data = sealed({**found, **changes})


def test_C13_a_newer_format_is_refused_even_if_the_manifest_before_can_be_read(disk):
    forge(disk, "manifest.json", format=3)
    expected = re.escape(
        f"{FOLDER}: manifest.json has format 3, this swath reads formats up to 2; use the swath that wrote it"
    )
    for attempt in (
        lambda: read(disk),
        lambda: Session(FOLDER, NOW, disk=disk),
        lambda: repair(FOLDER, disk),
    ):
        before = clone(disk.root, {})
        with pytest.raises(DamageError, match=expected):
            attempt()
        assert before.names.keys() == disk.root.names.keys()


def test_C13_files_of_another_run_are_refused_and_named(disk):
    """Also where each file for itself is sound."""
    here = clone(disk.root, {})
    with Session(FOLDER, NOW, disk=disk, fresh=True) as session:
        session.save(0, SIZE)
    other = disk._node(FOLDER)
    for name in ("run.json", "manifest.json.1"):
        disk.root = clone(here, {})
        disk._node(FOLDER).names[name] = other.names[name]
        assert [item.file for item in examine(FOLDER, disk).damage] == [name]
        assert read(disk).damage == ()
    disk.root = clone(here, {})
    sound = read(disk).table
    theirs = disk._node(FOLDER / "segments").names
    names = sorted(theirs)
    theirs[names[0]], theirs[names[1]] = theirs[names[1]], theirs[names[0]]
    assert {item.file for item in read(disk).damage} == {f"segments/{name}" for name in names[:2]}
    check_going_on(disk, sound)


def test_C12_what_is_for_people_is_not_read(disk):
    sound = read(disk).table
    for name in ("events.jsonl", "results.parquet"):
        disk._file(FOLDER / name).data = b"\0" * 100
        assert read(disk).table.equals(sound)
        assert read(disk).damage == examine(FOLDER, disk).damage == ()


def test_C12_the_commands_name_damage_mend_it_and_go_on(tmp_path):
    (tmp_path / "task.py").write_text(HOLD)
    (tmp_path / "nap.yaml").write_text("objective: task:nap\nparameters: {x: {range: [6]}}\n")
    run = ("run", "nap.yaml", "--engine", "inline")
    ask(*run, "--limit", "2", folder=tmp_path, code=4)
    ask(*run, folder=tmp_path)
    expected = ask("results", "nap", "--format", "csv", folder=tmp_path).stdout.splitlines()
    segment = tmp_path / "results/nap/segments/000001.arrow"
    segment.write_bytes(flip(segment.read_bytes(), random.Random(5)))
    found = ask("doctor", "nap", folder=tmp_path, code=2).stdout
    assert re.search(
        r"^BAD segments/000001.arrow +its checksum does not match; 2 rows are missing$", found, re.MULTILINE
    )
    assert "to put aside what is damaged: swath doctor results/nap --repair" in found
    shown = ask("results", "nap", "--format", "csv", folder=tmp_path)
    assert shown.stdout.splitlines() == [expected[0], *expected[3:]]
    assert "segments/000001.arrow: its checksum does not match; 2 rows are missing" in shown.stderr
    mended = ask("doctor", "nap", "--repair", folder=tmp_path).stdout
    assert "kept as 000001.arrow.damaged, its points will run again; 2 rows are missing" in mended
    ask(*run, folder=tmp_path)
    assert ran(tmp_path) == [*"012345", *"01"]
    assert len(ask("results", "nap", "--format", "csv", folder=tmp_path).stdout.splitlines()) == 7
    assert "--repair needs a run" in ask("doctor", "--repair", folder=tmp_path, code=2).stderr
