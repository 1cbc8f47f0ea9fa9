"""A run folder that somebody made to do harm: nothing runs, nothing outside is read or written, memory stays bounded.

Its checksums are all right: whoever makes such a folder can compute them.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from running import ENVIRONMENT, until
from saving import SIZE, Session, error_of, rows, study
from swath.commands import runs
from swath.errors import DamageError
from swath.results import Results
from swath.store import Store
from swath.store.disk import checksum
from swath.store.ipc import is_plain
from swath.store.logbook import logs_of
from swath.store.repair import examine
from swath.store.sealing import sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("manifest.json", "manifest.json.1")


@pytest.fixture
def folder(tmp_path):
    """A finished run in two segments."""
    made = tmp_path / "results" / "study"
    with Session(made, study()) as session:
        session.save(0, 10)
        session.save(10, SIZE)
    return made


def forge(folder: Path, change: Callable[[dict], object]) -> None:
    """Let both manifests say something, with a checksum that fits."""
    for name in NAMES:
        manifest = json.loads((folder / name).read_text())
        del manifest["checksum"]
        change(manifest)
        (folder / name).write_bytes(sealed(manifest))


def plant(folder: Path, raw: bytes) -> None:
    """Let the first segment be something else, with a checksum that fits."""
    (folder / "segments/000001.arrow").write_bytes(raw)
    forge(folder, lambda manifest: manifest["segments"][0].update(bytes=len(raw), crc=checksum([raw])))


def segment(folder: Path, table: pa.Table, **options: object) -> bytes:
    """The bytes of a segment that says it is of this run."""
    run = json.loads((folder / "run.json").read_text())["run"]
    about = json.dumps({"format": 1, "run": run, "definition": 1, "code": "code"})
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata({"swath": about})
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def core(n: int = 10) -> pa.Table:
    table = rows(range(n), error=error_of(study(), range(n)))
    table = table.add_column(1, "attempts", pa.array([1] * n, pa.uint16()))
    return table.append_column("worker", pa.array([0] * n, pa.int32()))


def refused(folder: Path, text: str) -> None:
    with pytest.warns(UserWarning, match=text):
        assert Results(folder).frame.index.tolist() == list(range(10, SIZE))


# Names and links.


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "000001.arrow/../x", "a.arrow", "000001.arrow\n"]
)
def test_F02_a_manifest_cannot_point_elsewhere(folder, name):
    for change in (
        lambda manifest: manifest["segments"][0].update(file=name),
        lambda manifest: manifest["definitions"][0].update(file=name),
    ):
        forge(folder, change)
        with pytest.raises(DamageError, match="no name that swath gives"):
            Results(folder)
        with pytest.raises(DamageError, match="no name that swath gives"):
            Store.open(folder)


def test_F02_links_and_pipes_are_not_followed(folder, tmp_path):
    path = folder / "segments/000001.arrow"
    path.rename(tmp_path / "elsewhere")
    for make in (lambda: path.symlink_to(tmp_path / "elsewhere"), lambda: os.mkfifo(path), path.mkdir):
        make()
        refused(folder, r"000001.arrow")
        path.rmdir() if path.is_dir() else path.unlink()
    for name in NAMES:
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(
        DamageError, match=r"manifest.json cannot be read \(Too many levels of symbolic links\)"
    ):
        Results(folder)


@pytest.mark.parametrize("name", ["segments", "definitions", "logs"])
def test_F02_nothing_is_written_through_a_link(folder, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    if (folder / name).exists():
        (folder / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (elsewhere / "precious.tmp").write_text("")
    (folder / name).symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    with pytest.raises(DamageError, match=f"{name} is a link"):
        Store.open(folder)
    assert sorted(elsewhere.iterdir()) == before


def test_F02_a_wish_to_stop_is_not_written_through_a_link(folder, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (folder / "stop").symlink_to(tmp_path / "precious")
    with Session(folder, study()):  # which removes a wish of before
        (folder / "stop").symlink_to(tmp_path / "precious")
        asking = threading.Thread(target=runs.stop, args=(folder,), kwargs={"now": True, "say": print})
        asking.start()
        until(lambda: not (folder / "stop").is_symlink())
        assert (folder / "stop").read_text() == "now"
    asking.join(60)
    assert (tmp_path / "precious").read_text() == "precious"


def test_F02_a_definition_cannot_point_elsewhere(folder, tmp_path):
    (tmp_path / "secret.csv").write_text("c\n1\n")
    definition = json.loads((folder / "definitions/0001.yaml").read_text())
    raw = json.dumps({**definition, "table": str(tmp_path / "secret.csv")}).encode()
    (folder / "definitions/0001.yaml").write_bytes(raw)
    forge(folder, lambda manifest: manifest["definitions"][0].update(bytes=len(raw), crc=checksum([raw])))
    with pytest.raises(DamageError, match=r"definitions/0001.yaml: it is not as swath writes it"):
        Results(folder).definition  # noqa: B018  reading it is the test


def test_F02_logs_that_are_links_or_pipes_are_passed_over(folder, tmp_path):
    (folder / "logs").mkdir()
    (tmp_path / "elsewhere").write_text("{}\n")
    (folder / "logs/0001.jsonl").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "logs/0002.jsonl")
    (folder / "logs/0003.jsonl").write_bytes(b"[" * 100_000 + b"\n\xff\n{}\n")
    assert logs_of(folder, "x", 0, 1) == []


# What takes room.


def test_F02_a_compressed_segment_is_not_unpacked(folder):
    """A kilobyte may hold a gigabyte."""
    bomb = core().append_column("bomb", pa.array([bytes(20_000_000)] * 10, pa.large_binary()))
    raw = segment(folder, bomb, compression="zstd")
    assert len(raw) < 200_000
    plant(folder, raw)
    before = pa.default_memory_pool().max_memory()
    refused(folder, "is not a segment of this run: it is compressed")
    assert pa.default_memory_pool().max_memory() <= before + 1_000_000


@pytest.mark.parametrize("kind", ["dictionary", "view", "run ends", "nulls", "union"])
def test_F02_columns_that_claim_more_than_their_bytes_are_refused(folder, kind):
    if kind == "dictionary":
        column, text = pa.array(["x"] * 10).dictionary_encode(), "it holds a dictionary"
    elif kind == "view":
        column, text = pa.array(["x" * 50] * 10, pa.string_view()), "metric bomb is string_view"
    elif kind == "run ends":
        column = pa.RunEndEncodedArray.from_arrays(pa.array([10], pa.int32()), pa.array([1]))
        text = "metric bomb is run_end_encoded"
    elif kind == "nulls":
        column = pa.FixedSizeListArray.from_arrays(pa.nulls(10 << 24), 1 << 24)
        text = "it claims too many nulls"
    else:
        column = pa.UnionArray.from_sparse(pa.array([0] * 10, pa.int8()), [pa.array(range(10))])
        text = "metric bomb is sparse_union"
    plant(folder, segment(folder, core().append_column("bomb", column)))
    refused(folder, text)


@pytest.mark.parametrize("place", ["segments", "definitions"])
def test_F02_a_file_of_terabytes_is_not_read(folder, place):
    forge(folder, lambda manifest: manifest[place][0].update(bytes=1 << 40))
    name = {"segments": "000001.arrow", "definitions": "0001.yaml"}[place]
    os.truncate(folder / place / name, 1 << 40)
    with pytest.raises(DamageError, match=f"bytes is {1 << 40} of .*, more than swath writes"):
        Results(folder)


def test_F02_a_manifest_of_gigabytes_is_not_read(folder):
    for name in NAMES:
        os.truncate(folder / name, 1 << 40)
    with pytest.raises(DamageError, match=r"manifest.json is longer than the \d+ bytes"):
        Results(folder)


def test_F02_deep_and_long_json_is_refused(folder):
    for raw in (
        b"[" * 200_000,
        b'{"format": 1, "serial": ' + b"9" * 10_000 + b"}",
        b'{"checksum": []}',
        b"\xff\xfe",
    ):
        for name in NAMES:
            (folder / name).write_bytes(raw)
        with pytest.raises(DamageError, match=r"manifest.json"):
            Results(folder)


def test_F02_plain_types_are_told_from_the_others():
    plain = [
        pa.int8(),
        pa.bool_(),
        pa.string(),
        pa.large_binary(),
        pa.timestamp("us"),
        pa.null(),
        pa.decimal128(5, 2),
    ]
    plain += [pa.list_(pa.struct([("a", pa.float32())])), pa.list_(pa.int8(), 3)]
    others = [
        pa.list_view(pa.int8()),
        pa.binary_view(),
        pa.map_(pa.string(), pa.int8()),
        pa.list_(pa.string_view()),
    ]
    others += [pa.dictionary(pa.int8(), pa.string()), pa.run_end_encoded(pa.int16(), pa.int8()), pa.uuid()]
    assert all(map(is_plain, plain))
    assert not any(map(is_plain, others))


# Code, and frames that are no frames.


CHILD = """
import json, pickle, random, resource, sys, warnings
from pathlib import Path
opened = []
forbidden = ("pickle.find_class", "os.system", "subprocess.Popen", "marshal.loads")
folder, secret, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

import pandas, pyarrow
from swath.errors import DamageError
from swath.results import Results
from swath.store.disk import checksum
from swath.store.repair import examine
from swath.store.sealing import sealed
Results(folder).all  # loads what reading needs

def hook(event, args):
    if event in forbidden or (event == "open" and secret in str(args[0])):
        opened.append((event, str(args[0])))

manifest = json.loads((folder / "manifest.json").read_text())
del manifest["checksum"]
files = [folder / "segments" / manifest["segments"][0]["file"], folder / "definitions/0001.yaml"]
sound = {file: file.read_bytes() for file in files}
dice = random.Random(count)
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
sys.addaudithook(hook)
outcomes = {"read": 0, "refused": 0}
for number in range(count):
    file = files[number % 8 == 0]
    raw = bytearray(sound[file])
    for _ in range(dice.choice((1, 1, 2, 5))):
        place, size = dice.randrange(len(raw)), dice.choice((1, 2, 4, 8))
        piece = dice.choice((b"\\xff" * size, b"\\0" * size, dice.randbytes(size), (1 << 62).to_bytes(8, "little")))
        raw[place : place + len(piece)] = piece
    key = "definitions" if file.suffix == ".yaml" else "segments"
    manifest[key][0].update(bytes=len(raw), crc=checksum([raw]))
    file.write_bytes(raw)
    (folder / "manifest.json").write_bytes(sealed(manifest))
    try:
        results = Results(folder)
        results.frame, results.all
        outcomes["read" if not results.damage else "refused"] += 1
        examine(folder)
    except DamageError:
        outcomes["refused"] += 1
    manifest[key][0].update(bytes=len(sound[file]), crc=checksum([sound[file]]))
    file.write_bytes(sound[file])
print(json.dumps([outcomes, opened]))
"""


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.timeout(3600)
def test_F02_mutated_frames_and_pickles_do_no_harm(folder, tmp_path, request):
    """In a process with a bound on its memory, watched by an audit hook."""
    trap = pickle.dumps(Trap(str(tmp_path / "sprung")))
    for name in ("x.pkl", "segments/000003.arrow", "definitions/0002.yaml", "logs.pkl", "results.parquet"):
        (folder / name).write_bytes(trap)
    extension = pa.field(
        "error",
        pa.float64(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": trap,
        },
    )
    table = core()
    place = table.column_names.index("error")
    plant(folder, segment(folder, table.set_column(place, extension, table.column("error"))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Results(folder).frame  # noqa: B018  reading it is the test
        assert examine(folder).manifest.rows == SIZE
    (tmp_path / "secret").mkdir()
    (folder / "logs").symlink_to(tmp_path / "secret")
    count = max(100, request.config.getoption("--flips") // 2)
    words = [sys.executable, "-c", CHILD, str(folder), str(tmp_path / "secret"), str(count)]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes, opened = json.loads(done.stdout)
    assert opened == []
    assert not (tmp_path / "sprung").exists()
    assert sum(outcomes.values()) >= count
    assert outcomes["refused"] > count / 4
