"""Steps that points recorded: kept in order, folded to curves, matched to the definition that is asked about."""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from running import until
from saving import SIZE, STUDY, Session, study
from swath.messages import Batch, Record, Step
from swath.results import Results
from swath.store import merging, steps
from swath.store.curves import counting
from swath.store.disk import Disk
from swath.store.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def folder():
    """In memory where there is some: hundreds of files are written, and no power fails."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name) / "results" / "study"


def record(
    session: Session, *told: tuple[int, int, dict[str, Any]], attempt: int = 1, stop: int = SIZE
) -> None:
    """Have steps written: position, number and metrics of each."""
    batch = Batch(1000 + len(session.writes), "w0", 0, stop, attempt, 1.0)
    session.store.append(
        Record(batch, tuple(Step(at, step, step / 4, metrics) for at, step, metrics in told))
    )
    session.store._commits.drain()


def loss(*told: tuple[int, int, float]) -> list[tuple[int, int, dict[str, float]]]:
    return [(at, step, {"loss": value}) for at, step, value in told]


def told(folder: Path) -> list[tuple[int, int, float]]:
    frame = Results(folder).curves
    return list(zip(frame["point"], frame["step"], frame["loss"], strict=True)) if len(frame) else []


# Which steps count.


def plainly(points: Sequence[int], numbers: Sequence[int]) -> list[int]:
    """Fold step by step, as a person would; return places in the order of points and steps."""
    kept: dict[int, list[int]] = {}
    for place, (point, number) in enumerate(zip(points, numbers, strict=True)):
        own = kept.setdefault(point, [])
        while own and numbers[own[-1]] >= number:
            own.pop()
        own.append(place)
    return [place for point in sorted(kept) for place in kept[point]]


RECORDED = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(RECORDED, st.sampled_from([1, 10**6, 2**60]), st.integers(1, 2**40))
def test_a_step_counts_unless_it_was_taken_back(recorded, factor, stride):
    points = np.array([point * stride for point, _ in recorded], np.int64)
    numbers = np.array([number * factor for _, number in recorded], np.int64)
    places = counting(points, numbers)
    found = list(range(len(points))) if places is None else places.tolist()
    assert found == plainly(points.tolist(), numbers.tolist())


def test_a_million_steps_are_folded_in_well_under_a_second():
    dice = np.random.default_rng(5)
    points, numbers = dice.integers(0, 10_000, 10**6), dice.integers(0, 100, 10**6)
    begun = time.process_time()
    counting(points, numbers)
    assert time.process_time() - begun < 1


# From the slot to the frame.


def test_steps_are_kept_in_order_and_read_as_curves(folder):
    with Session(folder, study()) as session:
        record(session, (0, 1, {"loss": 1.0}), (2, 1, {"loss": math.nan, "acc": 0.5}), (0, 2, {"loss": 0.5}))
        assert Results(folder).curves["step"].tolist() == [1, 2, 1]  # while it runs, before any row
        session.save(0, 4)
        record(session, (2, 2, {"acc": 1}), (5, 7, {}))
        assert [(step.position, step.step) for step in session.store.saved.steps()] == [
            *[(0, 1), (2, 1), (0, 2), (2, 2), (5, 7)]
        ]
        assert session.store.saved.recorded()[1] == {0: 1, 2: 1, 5: 1}
        kept = list(session.store.saved.steps())
    assert kept[1].metrics.keys() == {"loss", "acc"}
    assert math.isnan(kept[1].metrics["loss"])
    assert kept[3] == Step(2, 2, 0.5, {"acc": 1.0})
    assert kept[4].metrics == {}
    frame = Results(folder).curves
    assert frame.columns.tolist() == ["point", "step", "seconds", "loss", "acc"]
    assert frame["point"].tolist() == [0, 0, 2, 2, 5]
    assert frame["seconds"].tolist() == [0.25, 0.5, 0.25, 0.5, 1.75]
    (entry, _) = read_manifest(Disk(), folder).steps
    table = steps.decode(Disk(), folder, read_manifest(Disk(), folder), entry)
    assert table.column("loss").null_count == 0  # NaN was said, and is no missing value
    assert table.column("acc").null_count == 2
    assert table.schema.field("attempts").type == pa.uint16()


def test_a_step_that_comes_again_takes_back_all_from_there_on(folder):
    with Session(folder, study()) as session:
        record(session, *loss((0, 1, 9.0), (0, 2, 8.0), (0, 3, 7.0), (1, 1, 5.0)))
    with Session(folder, study()) as session:
        record(session, *loss((0, 2, 6.0)), attempt=2)
        assert [(step.position, step.step, step.metrics["loss"]) for step in session.store.saved.steps()] == [
            *[(0, 1, 9.0), (1, 1, 5.0), (0, 2, 6.0)]
        ]
    assert told(folder) == [(0, 1, 9.0), (0, 2, 6.0), (1, 1, 5.0)]


def test_of_many_files_the_newest_can_be_read_alone(folder):
    with Session(folder, study()) as session:
        assert session.store.saved.newest_steps(1 << 20).num_rows == 0
        record(session, *loss((0, 1, 9.0), (3, 1, 8.0)))
        record(session, *loss((1, 1, 7.0)))
        record(session, *loss((0, 2, 6.0)))
        sizes = [entry.bytes for entry in session.store.manifest.steps]
        read = [session.store.saved.newest_steps(most) for most in (1, sum(sizes[1:]), sum(sizes))]
    assert [(table["point"].to_pylist(), table["step"].to_pylist()) for table in read] == [
        ([0], [2]),
        ([0, 1], [2, 1]),
        ([0, 0, 1, 3], [1, 2, 1, 1]),
    ]


def test_curves_follow_points_into_another_definition_and_into_a_selection(folder):
    first, later = study(), study(parameters={**STUDY["parameters"], "a": [0, 2, 3, 1]})
    with Session(folder, first) as session:
        record(session, *loss((0, 1, 1.0), (6, 1, 2.0), (23, 1, 3.0)))
        session.save(0, SIZE)
    with Session(folder, later) as session:
        record(session, *loss((0, 1, 0.0), (6, 2, 4.0)))
        session.save(0, 2)
    # a=1 moves from the first place to the last, a=2 from the second to the second, a=4 is gone
    assert told(folder) == [(0, 1, 0.0), (6, 1, 2.0), (6, 2, 4.0), (18, 1, 1.0)]
    chosen = Results(folder).where("a <= 1").curves
    assert chosen[["point", "loss"]].values.tolist() == [[0, 0.0], [18, 1.0]]
    assert len(Results(folder).where(a=3).curves) == 0


def test_positions_are_not_points_where_the_order_is_shuffled(folder):
    definition = study(order="shuffle")
    with Session(folder, definition) as session:
        record(session, *loss((0, 1, 1.0), (5, 1, 2.0)))
        assert [step.position for step in session.store.saved.steps()] == [0, 5]
    points = definition.space.at(np.array([0, 5])).tolist()
    assert sorted(told(folder)) == sorted([(points[0], 1, 1.0), (points[1], 1, 2.0)])


def test_a_run_without_steps_has_empty_curves_and_the_format_that_it_always_had(folder):
    with Session(folder, study()) as session:
        session.save(0, 4)
    assert Results(folder).curves.columns.tolist() == ["point", "step", "seconds"]
    assert len(Results(folder).curves) == 0
    text = (folder / "manifest.json").read_text()
    assert text.startswith('{\n"format": 1,\n')
    assert '"steps"' not in text
    assert '"proposals"' not in text
    with Session(folder, study()) as session:
        record(session, *loss((0, 1, 1.0)))
    assert (folder / "manifest.json").read_text().startswith('{\n"format": 2,\n')


# What is none.


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step(SIZE, 1, 0.0, {}), f"position {SIZE} is outside [0, {SIZE})"),
        (Step(-1, 1, 0.0, {}), "position -1 is outside"),
        (Step("0", 1, 0.0, {}), "position '0' is outside"),
        (Step(0, -1, 0.0, {}), "-1 is no number of a step"),
        (Step(0, math.inf, 0.0, {}), "inf is no number of a step"),
        (Step(0, 1 << 63, 0.0, {}), "is no number of a step"),
        (Step(0, True, 0.0, {}), "True is no number of a step"),
        (Step(0, 1, "soon", {}), "'soon' is no float"),
        (Step(0, 1, 0.0, {"loss": "low"}), "'low' is no float"),
        (Step(0, 1, 0.0, {"loss": 10**400}), "is no float"),
        (Step(0, 1, 0.0, {"step": 1.0}), "a metric cannot be named 'step'"),
        (Step(0, 1, 0.0, {"\ud800": 1.0}), "a metric cannot be named"),
        (Step(0, 1, 0.0, {1: 1.0}), "a metric cannot be named 1"),
        (Step(0, 1, 0.0, {f"m{i}": 1.0 for i in range(steps.METRICS + 1)}), "more than 10,000 metrics"),
    ],
)
def test_steps_that_are_none_are_dropped_and_noted_once_and_harm_no_row(folder, step, reason):
    noted: list[str] = []
    with Session(folder, study(), noted=noted.append) as session:
        batch = Batch(7, "w0", 0, SIZE, 1, 1.0)
        for _ in range(2):
            session.store.append(Record(batch, (Step(0, 1, 0.0, {"loss": 1.0}), step)))
        session.save(0, 4)
        assert session.durable == [0]
        assert not session.failed
    (text,) = noted
    assert text.startswith("steps that cannot be kept are dropped: batch 7: ")
    assert reason in text
    assert told(folder) == [(0, 1, 1.0)]
    assert Results(folder).statuses == {"ok": 4}


# Files.


def test_the_number_of_files_stays_bounded_and_their_order_what_it_was(folder, monkeypatch):
    for name, value in (("MANY", 3), ("LEAST", 3), ("LEFT", 2)):
        monkeypatch.setattr(merging, name, value)
    with Session(folder, study()) as session:
        counts = []
        for step in range(200):
            record(session, *loss((step % 3, step // 7, float(step))))
            counts.append(len(session.store.manifest.steps))
        before = list(session.store.saved.steps())
    assert max(counts) <= 4 * merging.MANY
    assert len(read_manifest(Disk(), folder).steps) <= merging.LEFT
    with Session(folder, study()) as session:
        assert list(session.store.saved.steps()) == before
    assert len(list((folder / "segments").iterdir())) <= merging.LEFT


def test_metrics_that_have_nothing_in_common_do_not_make_files_grow(folder, monkeypatch):
    for name, value in (("MANY", 3), ("LEAST", 3), ("LEFT", 2), ("LIMIT", 40_000)):
        monkeypatch.setattr(merging, name, value)
    monkeypatch.setattr(steps, "ROOM", 20_000)
    with Session(folder, study()) as session:
        for step in range(40):
            record(session, (0, step, {f"m{step}_{i}": 1.0 for i in range(40)}))
        sizes = [entry.bytes for entry in session.store.manifest.steps]
    assert max(sizes) < 400_000  # a column's head takes more than its few values
    assert len(Results(folder).curves) == 40


def test_steps_are_durable_no_later_than_what_comes_after_them(folder, monkeypatch):
    seen = []
    with Session(folder, study()) as session:
        publish = session.store._writer.publish

        def look(**changes):
            seen.append((len(changes.get("steps", ())), len(changes.get("segments", ()))))
            return publish(**changes)

        monkeypatch.setattr(session.store._writer, "publish", look)
        with session.store._commits._changed:  # so that both wait
            session.store._commits._waiting.append(
                Record(Batch(0, "w0", 0, 4, 1, 1.0), (Step(0, 1, 0.0, {}),))
            )
            session.store._commits._busy += 1
        session.save(0, 4)
    assert seen[0] == (1, 1)


def test_a_reader_at_any_instant_sees_what_was_recorded_first(folder, monkeypatch):
    """While files are written, merged and removed beside it."""
    for name, value in (("MANY", 3), ("LEAST", 3), ("LEFT", 2)):
        monkeypatch.setattr(merging, name, value)
    wrong: list[Any] = []
    looks: list[int] = []
    with Session(folder, study()) as session:
        ended = threading.Event()

        def look() -> None:
            try:
                while not ended.is_set():
                    frame = Results(folder).curves
                    assert frame["step"].tolist() == list(range(1, len(frame) + 1))
                    assert not looks or len(frame) >= looks[-1]
                    looks.append(len(frame))
            except BaseException as error:  # noqa: BLE001  another thread must tell
                wrong.append(error)

        reader = threading.Thread(target=look)
        reader.start()
        until(lambda: looks or wrong)
        for step in range(1, 151):
            record(session, *loss((0, step, float(step))))
        ended.set()
        reader.join()
    assert not wrong
    assert looks
    assert len(Results(folder).curves) == 150


def test_ended_by_a_full_disk_steps_say_so_as_rows_do(folder, monkeypatch):
    with Session(folder, study()) as session:

        def full(*_: object, **__: object) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(session.store._writer, "_write", full)
        record(session, *loss((0, 1, 1.0)))
        assert "No space left on device; the 0 rows saved so far are safe" in str(session.failed[0])
