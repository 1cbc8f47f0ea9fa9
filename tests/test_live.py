"""The live page: what it knows, what it shows to whom, where it is put, and that it goes."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import AbstractButton, DataTable, Div, Select
from bokeh.plotting import figure
from distributed import Client

import swath
from running import ENVIRONMENT, HOLD, Cluster, begun, command, until
from swath.definition import define
from swath.messages import Batch, Reply, Urgency, Write
from swath.ranges import RangeSet
from swath.snapshot import Complaint, Snapshot
from swath.views.figures.header import page as header
from swath.views.live import feed as feeds
from swath.views.live import record as records
from swath.views.live import stage as stages
from swath.views.live.address import host_of, link, tunnel
from swath.views.live.feed import WAITING, Feed
from swath.views.live.page import PANELS, View, document
from swath.views.live.points import Reader, design, varying
from swath.views.live.publishing import rest
from swath.views.live.record import Loads, Record, Sample
from swath.views.live.shipping import MODULES, parcel
from swath.views.live.stage import Visitor
from swath.views.palette import LIGHT
from test_architecture import imports

HOSTILE = "<img src=x onerror=alert(1)>'\"&${a}<%= 1 %>\x1b[2J"
MIXED = """

def fail(x):
    if x % 5 == 0:
        raise ValueError("five <b>divides</b> it")
    return {"loss": x * x}
"""


def workers_of(n, **columns):
    data = {
        "name": [f"worker-{i}" for i in range(n)],
        "slots": [1] * n,
        "busy": [1] * n,
        "done": [7] * n,
        "failed": [2] * n,
        "rate": [1.5] * n,
        "cpu": [0.5] * n,
        "memory": [2**28] * n,
        "memory_limit": [None] * n,
        "point": [11] * n,
        "age": [0.25] * n,
        "straggler": [False] * n,
        "utilisation": [0.9] * n,
        "host": ["here"] * n,
    }
    return {**data, **columns}


def increment(now=1000.0, n=2, **more):
    snapshot = Snapshot(name="study", state="running", total=100, statuses={"ok": 9, "error": 1}, slots=n)
    return {"now": now, "snapshot": asdict(snapshot), "workers": workers_of(n), **more}


ABOUT = {
    "started": 990.0,
    "host": "here",
    "folder": "results/study",
    "parameters": {"lr": [0.1, 0.2], "kind": ["a", "b"], "seed": [1, 2]},
    "replicates": ["seed"],
    "metric": "loss",
}
ROWS = {
    "sound": {"weight": 1.0, "rows": [[0, 0, 0.1, 5.0, 0.1, "a", 1], [1, 0, 0.1, 7.0, 0.1, "a", 2]]},
    "failed": {"weight": 1.0, "rows": [[2, 1, 0.1, None, 0.2, "b", 1]]},
}
BATCHES = [
    ["worker-0", "worker-0", 995.0, 996.0, "ok", 3, 0],
    ["worker-1", "worker-1", 995.0, 997.0, "error", 4, 1],
]


def told(*increments):
    record = Record()
    for each in increments:
        record.take(each)
    return record


class Stage:
    """What a document needs of a stage."""

    ended = False

    def __init__(self, record):
        self.record = record

    def join(self, _document, view):
        self.view = view


def shown(record, panels=()):
    doc = Document()
    stage = Stage(record)
    document(stage, panels, None, {"pages": ["sweep"], "plots": [], "jupyter": False}, doc)
    return doc, stage.view


# What is known.


def test_both_ends_know_the_same():
    driver, scheduler = Record(), Record()
    for second in range(5):
        part = increment(
            1000.0 + second, about=ABOUT, batches=BATCHES, steps=[[1000.0 + second, 5.0 - second, 3]], **ROWS
        )
        driver.take(part)
        scheduler.take(json.loads(json.dumps(part)))
    late = told(json.loads(json.dumps(driver.whole(asdict(driver.snapshot)))))
    for other in (scheduler, late):
        assert other.snapshot == driver.snapshot
        assert other.workers == driver.workers
        assert list(other.batches) == list(driver.batches)
        assert sorted(map(str, other.rows)) == sorted(map(str, driver.rows))
        assert other.steps == driver.steps
        assert other.loads.times == driver.loads.times
        assert other.loads.rows == driver.loads.rows


def test_loads_span_the_whole_sweep_however_long_it_is():
    loads = Loads()
    for second in range(5000):
        loads.add(float(second), workers_of(1, cpu=[float(second)]))
    assert len(loads.times) < records.MOMENTS
    assert loads.times[0] < 64
    assert loads.times[-1] > 4900
    assert np.diff(loads.times).max() <= 2 * np.diff(loads.times).min()
    assert [row[0] for row in loads.rows["cpu"]] == loads.times


def test_workers_that_come_later_have_columns_of_their_own():
    loads = Loads()
    loads.add(0.0, workers_of(1, cpu=[1.0]))
    loads.add(1.0, {**workers_of(1, cpu=[2.0]), "name": ["other"]})
    assert loads.names == ["worker-0", "other"]
    first, second = loads.rows["cpu"]
    assert list(first) == [1.0]
    assert np.isnan(second[0])
    assert second[1] == 2.0


def test_a_sample_is_uniform_and_counts_what_it_stands_for():
    sample = Sample(100, seed=0)
    for start in range(0, 10_000, 100):
        sample.add([(i,) for i in range(start, start + 100)], 3.0)
    values = [value for (value,) in sample.rows]
    assert len(values) == 100
    assert sample.seen == 30_000
    assert 4000 < np.mean(values) < 6000


def test_a_record_is_bounded():
    record = Record()
    for second in range(40):
        rows = [[i, 0, 0.1, 1.0] for i in range(1000)]
        record.take(
            increment(
                float(second),
                batches=BATCHES * 500,
                sound={"weight": 1.0, "rows": rows},
                steps=[[0.0, 1.0, 1]] * 100,
            )
        )
    assert len(record.batches) == records.BATCHES
    assert len(record.sound.rows) == records.POINTS
    assert len(record.steps) <= records.STEPS + 1
    assert record.began == 40_000


# Rows out of replies.


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.py").write_text(HOLD + MIXED)
    (tmp_path / "study.yaml").write_text(
        "objective: study:fail\nparameters: {x: {range: [60]}}\nminimize: loss\n"
    )
    return tmp_path


@pytest.fixture
def held(tmp_path):
    """A sweep whose first points wait until there is a file ``go``."""
    (tmp_path / "study.py").write_text(HOLD)
    (tmp_path / "study.yaml").write_text("objective: study:hold\nparameters: {x: {range: [30]}}\n")
    return tmp_path


def write_of(payload, rows=3, failed=()):
    reply = Reply(done=((0, rows),), rows=rows, failed=failed, payload=payload, seconds=0.5, slot="s")
    return Write(Batch(1, "worker-0", 0, rows, 1, 1.0), reply, RangeSet([(0, rows)]))


def test_what_cannot_be_read_is_left_out(study):
    space = swath.load(study / "study.yaml").definition.space
    reader = Reader(space, "loss", varying(space))
    found = reader.read([write_of((b"nonsense",)), None], 3)
    assert found["sound"]["rows"] == found["failed"]["rows"] == []


def test_a_feed_drops_what_it_cannot_hold(study):
    definition = swath.load(study / "study.yaml").definition
    feed = Feed(definition, lambda: Snapshot(name="study"), {}, pytest.fail)
    for _ in range(WAITING + 100):
        feed.see(write_of((bytes(1 << 16),)))
    assert len(feed._seen) == WAITING
    assert sum(len(piece) for _, write in feed._seen for piece in write.reply.payload) < 10 << 20
    feed.tick()
    assert feed.record.began == WAITING
    assert not feed._seen


def test_whoever_fetches_late_gets_all_and_then_what_is_new(study):
    definition = swath.load(study / "study.yaml").definition
    feed = Feed(definition, lambda: Snapshot(name="study"), {}, pytest.fail)
    assert feed.fetch() == []
    feed.tick()
    (whole,) = feed.fetch()
    assert json.loads(whole)["anew"]
    feed.tick()
    (new,) = feed.fetch()
    assert "anew" not in json.loads(new)
    for _ in range(20):  # nobody fetches
        feed.tick()
    assert json.loads(feed.fetch()[0])["anew"]


def test_the_end_makes_no_increment_beside_one_that_is_being_made(study, monkeypatch):
    monkeypatch.setattr(feeds, "LAST", 0.0)
    definition = swath.load(study / "study.yaml").definition
    asked, told = threading.Semaphore(0), threading.Event()

    def snapshot():
        asked.release()
        assert told.wait(60)
        return Snapshot(name="study", state="complete")

    feed = Feed(definition, snapshot, {}, pytest.fail)
    feed.begin()
    assert asked.acquire(timeout=60)
    feed.end()
    told.set()
    feed._thread.join(60)
    assert not asked.acquire(blocking=False)
    assert feed.record.snapshot.state == "complete"


def test_values_of_parameters_are_listed_where_they_are_few():
    values = {"a": swath.range(1000), "b": ["x", None, True], "c": 3}
    sweep = swath.Sweep(lambda **_: 0, values, name="s")
    assert varying(sweep.definition.space) == {"a": [], "b": ["x", None, "true"]}


# What is shown.


def test_two_viewers_have_models_and_cursors_of_their_own():
    record = told(*(increment(1000.0 + i, about=ABOUT, batches=BATCHES, **ROWS) for i in range(3)))
    first, view = shown(record)
    second, other = shown(record)  # a model of the first would raise here
    assert len(view.timeline.source.data["left"]) == len(other.timeline.source.data["left"]) == 9
    assert not {model.id for model in first.models} & {model.id for model in second.models}
    record.take(increment(1003.0, batches=BATCHES))
    view.update()
    view.update()
    assert len(view.timeline.source.data["left"]) == 12
    assert len(other.timeline.source.data["left"]) == 9
    other.update()
    other.update()
    assert len(other.timeline.source.data["left"]) == 12


def test_who_opens_the_page_sees_what_came_before():
    record = told(*(increment(1000.0 + i, about=ABOUT) for i in range(50)))
    _, view = shown(record)
    assert len(view.load.lines.data["x0"]) == 49 * 2
    record.take(increment(1050.0))
    view.update()
    assert len(view.load.lines.data["x0"]) == 50 * 2


def test_many_workers_are_a_spread_and_lines_for_those_selected():
    n = 40
    record = told(
        *(increment(1000.0 + i, n, about=ABOUT, workers=workers_of(n, cpu=list(range(n)))) for i in range(10))
    )
    _, view = shown(record)
    assert len(view.load.lines.data["x0"]) == 0
    assert view.load.spread.data["cpu_least"].tolist() == [0.0] * 10
    assert view.load.spread.data["cpu_most"].tolist() == [39.0] * 10
    view.workers.source.selected.indices = list(range(12))
    view.update()
    assert set(view.load.lines.data["name"]) == {f"worker-{i}" for i in range(8)}
    record.take(
        increment(1010.0, n - 1, workers=workers_of(n - 1, name=[f"worker-{i}" for i in range(1, n)]))
    )
    view.update()
    assert view.workers.selected == [f"worker-{i}" for i in range(1, 12)]  # by name, not by place


def test_axes_begin_at_zero_and_times_are_shared():
    _, view = shown(told(*(increment(1000.0 + i, about=ABOUT) for i in range(9))))
    figures = view.load.root.children
    assert [plot.y_range.start for plot in figures] == [0, 0, 0]
    assert len({plot.x_range.id for plot in figures}) == 1
    assert figures[1].y_range.end > 2**28


def test_failures_of_a_worker_are_those_that_the_driver_counted():
    _, view = shown(told(increment(about=ABOUT)))
    assert view.workers.source.data["failed"].tolist() == [2.0, 2.0]


def test_nothing_on_the_page_acts_on_the_sweep():
    doc, _ = shown(told(increment(about=ABOUT, **ROWS)))
    assert not list(doc.select({"type": AbstractButton}))
    assert {select.title for select in doc.select({"type": Select})} == {"across", "up"}
    (table,) = doc.select({"type": DataTable})
    assert not table.reorderable  # else the console asks for jquery-ui
    assert not table.editable


def test_cells_have_means_failures_and_what_is_to_come():
    record = told(increment(about=ABOUT, **ROWS))
    _, view = shown(record)
    cells = view.grid._source.data
    assert [select.value for select in view.grid._choice] == ["lr", "kind"]  # not the seed
    assert cells["value"][0] == 6.0
    assert np.isnan(cells["value"][1:]).all()
    assert cells["failed"].tolist() == [0, 0, 0, 1]
    assert cells["hatch"].tolist() == ["blank", "blank", "blank", "right_diagonal_line"]
    view.grid._choice[1].value = "seed"
    assert view.grid._source.data["value"][:3:2].tolist() == [5.0, 7.0]


def test_cells_that_where_leaves_empty_are_blank():
    space = define(
        {"objective": "m:f", "parameters": {"x": [1, 2, 3], "y": [1, 2, 3]}, "where": "x > y"}
    ).space
    found = design(space, ["x", "y"])
    about = {**ABOUT, "parameters": varying(space), "replicates": [], "design": found}
    _, view = shown(told(increment(about=about, sound={"weight": 1.0, "rows": [[3, 0, 0.1, 5.0, 2, 1]]})))
    colours = view.grid._source.data["colour"].tolist()  # row by row from below: y = 1, 2, 3
    pending, blank = LIGHT.pending, LIGHT.surface
    assert colours[0::4] == [blank] * 3
    assert [colours[2], colours[5]] == [pending] * 2
    assert colours[1] not in (pending, blank)
    assert [colours[3], colours[6], colours[7]] == [blank] * 3


def test_a_map_of_a_sample_says_so():
    rows = [[i, 0, 0.1, 1.0, 0.1, "a", 1] for i in range(2000)]
    _, view = shown(told(increment(about=ABOUT, sound={"weight": 500.0, "rows": rows})))
    assert "2000 of 1,000,000 points" in view.grid._figure.title.text.text


def test_a_batch_with_a_few_failures_shows_them():
    _, view = shown(told(increment(about=ABOUT, batches=BATCHES)))
    data = view.timeline.source.data
    assert view.timeline.lanes == ["worker-0", "worker-1"]
    assert len(data["left"]) == 3
    assert data["left"].tolist() == [5.0, 5.0, 5.0]
    assert len(set(data["colour"])) == 2


def test_points_that_were_stopped_early_are_counted_where_there_are_any():
    snapshot = Snapshot(name="epidemic", total=9, statuses={"ok": 1})
    assert "stopped early" not in header(snapshot, {}, 0)
    stopped = Snapshot(name="epidemic", total=9, statuses={"ok": 1, "pruned": 4})
    assert '>stopped early</div><div class="value">4<' in header(stopped, {}, 0)


def test_what_comes_from_elsewhere_is_text():
    hostile = Snapshot(
        name=HOSTILE,
        state="stopped",
        reason=HOSTILE,
        total=10,
        statuses={"ok": 1},
        best=(1.0, 2),
        metric=HOSTILE,
        direction="minimize",
        parameters={HOSTILE: HOSTILE},
        complaints=(Complaint("error", HOSTILE, 1, 1),),
    )
    assert "<img" not in header(hostile, {"folder": HOSTILE, "host": HOSTILE}, 0)
    assert "\x1b" not in header(hostile, {"folder": HOSTILE}, 0)
    part = increment(
        about={**ABOUT, "folder": HOSTILE, "metric": HOSTILE, "parameters": {HOSTILE: [HOSTILE, "b"]}},
        sound={"weight": 1.0, "rows": [[0, 0, 0.1, 1.0, HOSTILE]]},
        batches=[[HOSTILE, HOSTILE, 1.0, 2.0, HOSTILE, 1, 1]],
        workers=workers_of(1, name=[HOSTILE], host=[HOSTILE]),
    )
    doc, view = shown(told({**part, "snapshot": asdict(hostile)}))
    for text in (div.text for div in doc.select({"type": Div})):
        assert "<img" not in text
    assert "&lt;img" in view.failures.root.text
    for column in view.workers.root.columns:
        assert "<%= value %>" not in column.formatter.template  # which would not be escaped


def test_every_panel_stands_alone():
    record = told(increment(about=ABOUT, batches=BATCHES, **ROWS))
    for panel in PANELS:
        doc, view = shown(record, (panel,))
        assert len(doc.roots) == 1
        assert "navbar" not in doc.template.render(pages=["sweep"], plots=[], bokeh_css="", bokeh_js="")
        view.update()
    whole, _ = shown(record)
    assert list(whole.select({"type": figure}))


def test_a_mistake_of_ours_ends_the_page_and_not_the_scheduler(caplog):
    record = told(increment(about=ABOUT))
    view = View(Stage(record), PANELS)
    record.workers, record.serial = {"name": 3}, 9
    view.update()
    view.update()
    assert caplog.text.count("the page of a sweep failed") == 1


def test_the_page_of_a_sweep_whose_driver_is_gone_says_so():
    record = told(increment(about=ABOUT))
    _, view = shown(record)
    view._stage.ended = True
    view.update()
    assert "The driver of this sweep is gone" in view.header.root.text
    shown(record)  # and it can still be made


def test_a_driver_that_is_silent_counts_as_gone():
    scheduler = SimpleNamespace(handlers={"n": None, "other": None}, plugins={"n": None})
    visitor = Visitor("n", "client", silent=0.0)
    visitor.stage = stages.Stage(scheduler, Record())
    visitor._check = SimpleNamespace(stop=lambda: None)
    visitor._look()
    assert visitor.stage.ended
    assert scheduler.handlers == {"other": None}
    assert scheduler.plugins == {}


# Where it is.


def test_links_name_what_is_bound_and_honour_a_template(monkeypatch):
    import dask

    assert link("127.0.0.1", 8787, "/pre/sweep") == "http://127.0.0.1:8787/pre/sweep"
    assert link("::1", 8787, "/sweep") == "http://[::1]:8787/sweep"
    monkeypatch.setenv("USERPREFIX", "/user/ada")
    with dask.config.set({"distributed.dashboard.link": "{USERPREFIX}/proxy/{port}/status"}):
        assert link("10.0.0.1", 8787, "/sweep-2") == "/user/ada/proxy/8787/sweep-2"
    assert host_of("0.0.0.0", "tcp://10.1.2.3:8786") == "10.1.2.3"
    assert host_of("127.0.0.1", "inproc://10.1.2.3/17/1") == "127.0.0.1"
    assert host_of("0.0.0.0", "inproc://10.1.2.3/17/1") == "127.0.0.1"


def test_who_came_by_ssh_is_told_the_way():
    environment = {"SSH_CONNECTION": "10.0.0.9 51234 10.0.0.1 22", "USER": "ada"}
    assert tunnel("http://127.0.0.1:8787/sweep", environment) == "ssh -N -L 8787:127.0.0.1:8787 ada@10.0.0.1"
    assert tunnel("http://127.0.0.1:8787/sweep", {}) == ""
    assert tunnel("/user/ada/proxy/8787/sweep", environment) == ""


def test_all_that_the_page_imports_is_sent():
    sent = set(MODULES)
    for name in MODULES:
        for found in imports(name):
            if found.startswith("swath."):
                assert found.removeprefix("swath.") in sent, f"{name} imports {found}"
            assert found.partition(".")[0] not in ("pandas", "pyarrow"), name


def test_the_parcel_needs_nothing_of_ours():
    code = (
        "import sys, pickle; sys.modules['swath'] = None; plugin = pickle.loads(sys.stdin.buffer.read());"
        "print(type(plugin).__module__, plugin.name, 'bokeh' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=parcel(name="n", client="c"),
        capture_output=True,
        check=True,
        timeout=60,
    )
    module, name, bokeh = done.stdout.decode().split()
    assert module.startswith("_swath_")
    assert module.endswith(".views.live.stage")
    assert (name, bokeh) == ("n", "False")
    assert pickle.loads(parcel(name="n", client="c")).name == "n"


def get(address):
    """Return status and text of a page."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def plots(pages):
    return json.loads(get(f"{pages}/individual-plots.json")[1])


def tabs(pages):
    return [name for name in ("sweep", "sweep-2") if f'href="{name}"' in get(f"{pages}/status")[1]]


def journal(handle):
    lines = (handle.folder / "events.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == "trouble"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"), pages=()).hire("a", "b")
    yield started
    started.close()


def test_a_slow_scheduler_is_told_less_but_told():
    assert [rest(took) for took in (0.001, 0.5, 7.0)] == [1.0, 5.0, 15.0]


@contextlib.contextmanager
def running(folder, **options):
    """A sweep that waits; it has ended when this is left."""
    handle = swath.load(folder / "study.yaml").start(out=folder / "results", **options)
    try:
        page_of(handle)
        yield handle
    finally:
        (folder / "go").touch()
        assert handle.wait(60)


def page_of(handle):
    """Wait for the link to our page."""
    return until(lambda: "/sweep" in handle.snapshot.dashboard and handle.snapshot.dashboard)


def test_the_page_is_put_on_a_scheduler_without_swath_and_goes(cluster, held):
    before = plots(cluster.pages)
    with running(held, scheduler=cluster.address) as handle:
        address = page_of(handle)
        assert address == f"{cluster.pages}/sweep"
        status, text = get(address)
        assert (status, "navbar" in text, "--swath-ink" in text) == (200, True, True)
        assert get(address)[0] == 200
        assert tabs(cluster.pages) == ["sweep"]
        listed = plots(cluster.pages)
        assert len(before) > 30
        assert {name for name in listed if name not in before} == {
            "Individual Sweep",
            *(f"Individual Sweep {panel.title()}" for panel in PANELS),
        }
        status, text = get(cluster.pages + listed["Individual Sweep Workers"])
        assert (status, "navbar" in text) == (200, False)
    assert get(address)[0] == 404
    assert tabs(cluster.pages) == []
    assert plots(cluster.pages) == before
    assert journal(handle) == []
    with Client(cluster.address, set_as_default=False) as client:
        left = client.run_on_scheduler(
            lambda dask_scheduler: [
                name
                for name in (*dask_scheduler.plugins, *dask_scheduler.handlers)
                if name.startswith("swath")
            ]
        )
        assert left == []


def test_two_sweeps_on_one_scheduler_have_a_page_each(cluster, held, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("study.py", "study.yaml"):
        (other / name).write_text((held / name).read_text())
    with running(held, scheduler=cluster.address) as first:
        assert page_of(first).endswith("/sweep")
        with running(other, scheduler=cluster.address) as second:
            assert page_of(second).endswith("/sweep-2")
            assert tabs(cluster.pages) == ["sweep", "sweep-2"]
            assert "Individual Sweep 2 Load" in plots(cluster.pages)
            first.stop(Urgency.NOW)  # the workers' threads are those of the second now
            assert first.wait(60)
            assert tabs(cluster.pages) == ["sweep-2"]
            assert get(f"{cluster.pages}/sweep")[0] == 404
            assert get(f"{cluster.pages}/sweep-2")[0] == 200
    assert tabs(cluster.pages) == []


def test_a_client_of_the_user_gets_the_page_too(cluster, held):
    with Client(cluster.address, set_as_default=False) as client:
        with running(held, client=client) as handle:
            assert get(page_of(handle))[0] == 200
        assert tabs(cluster.pages) == []
        assert client.submit(sum, [1, 2]).result() == 3


def test_a_killed_driver_leaves_no_page(cluster, held):
    words = command("run", "study.yaml", "--scheduler", cluster.address, "--progress", "none")
    with begun(*words, folder=held) as driver:
        until(lambda: tabs(cluster.pages) == ["sweep"])
        os.kill(driver.pid, signal.SIGKILL)
        until(lambda: tabs(cluster.pages) == [])
    (held / "go").touch()
    assert get(f"{cluster.pages}/sweep")[0] == 404


def test_the_page_is_there_under_a_prefix(tmp_path, held):
    under = Cluster(tmp_path, pages=("--dashboard-prefix", "/pre")).hire("a")
    try:
        with running(held, scheduler=under.address) as handle:
            assert page_of(handle) == f"{under.pages}/pre/sweep"
            status, text = get(page_of(handle))
            assert status == 200
            assert 'href="sweep"' in text
            assert "Individual Sweep" in plots(f"{under.pages}/pre")
    finally:
        under.close()


def test_a_scheduler_without_bokeh_shows_no_page_and_the_sweep_goes_on(tmp_path, held):
    bare = Cluster(tmp_path)
    try:
        bare.stop()
        block = tmp_path / "block/sitecustomize.py"
        block.write_text(block.read_text() + "sys.modules['bokeh'] = None\n")
        bare._pages = ()
        bare.start()
        bare.hire("a")
        handle = swath.load(held / "study.yaml").start(out=held / "results", scheduler=bare.address)
        try:
            (line,) = until(lambda: journal(handle))
        finally:
            (held / "go").touch()
            assert handle.wait(60)
        assert "the scheduler cannot show it" in line["error"]
        assert handle.finished().statuses == {"ok": 30}
    finally:
        bare.close()


LAZY = """
import sys, time, urllib.error, urllib.request, json, psutil
from pathlib import Path
import swath
handle = swath.load("study.yaml").start(out="results", workers=2)
address = handle.snapshot.dashboard
first = bool({"distributed.dashboard.scheduler", "jupyter_server_proxy"} & set(sys.modules))
bound = {c.laddr.ip for c in psutil.Process().net_connections() if c.status == "LISTEN"}
pages = address.removesuffix("/sweep")
text = urllib.request.urlopen(address).read().decode()
found = ["--swath-ink" in text, 'href="sweep"' in urllib.request.urlopen(pages + "/status").read().decode()]
found.append(urllib.request.urlopen(pages).url)
def refused(origin):
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers |= {"Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==", **({"Origin": origin} if origin else {})}
    try:
        urllib.request.urlopen(urllib.request.Request(address + "/ws", headers=headers))
    except urllib.error.HTTPError as error:
        return error.code
origins = {o: refused(o) for o in (pages, "http://evil.example", "null", "", pages + "0", "http://127.0.0.1")}
Path("go").touch()
handle.wait()
print(json.dumps([address, first, sorted(bound), found, origins]))
"""


def test_the_pages_of_our_own_cluster_are_there_at_once_and_imported_when_asked_for(held):
    done = subprocess.run(
        [sys.executable, "-c", LAZY],
        cwd=held,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    address, first, bound, found, origins = json.loads(done.stdout)
    assert address.startswith("http://127.0.0.1:")
    assert not first
    assert bound == ["127.0.0.1"]
    assert found[:2] == [True, True]
    assert found[2].endswith("/status")
    pages = address.removesuffix("/sweep")
    assert origins.pop(pages) != 403
    assert set(origins.values()) == {403}


def test_failures_of_a_real_sweep_reach_the_page(study):
    handle = swath.load(study / "study.yaml").start(out=study / "results", workers=2)
    record = handle._page._feed.record
    assert handle.wait(60)
    assert record.snapshot.state == "complete"
    assert record.snapshot.statuses == {"ok": 48, "error": 12}
    assert sum(record.workers["failed"]) == 12
    assert {row[0] for row in record.failed.rows} == set(range(0, 60, 5))
    assert {row[0]: row[3] for row in record.sound.rows} == {x: float(x * x) for x in range(60) if x % 5}
    assert record.snapshot.parameters == {"x": 1}
    assert record.steps[-1][1:] == (1.0, 1)
    assert sum(each.failed for each in record.batches) == 12
    _, view = shown(record)
    assert "five &lt;b&gt;divides" in view.failures.root.text


def test_a_sweep_that_is_over_puts_up_nothing(cluster, study):
    swath.load(study / "study.yaml").run(out=study / "results", engine="inline")
    handle = swath.load(study / "study.yaml").start(out=study / "results", scheduler=cluster.address)
    assert handle.wait(60)
    assert handle.snapshot.dashboard == ""
    assert tabs(cluster.pages) == []


def test_a_sweep_that_goes_on_shows_what_was_done_before(study):
    sweep = swath.load(study / "study.yaml")
    sweep.run(out=study / "results", workers=1, limit=40)
    handle = sweep.start(out=study / "results", workers=1, retry=["error"])
    assert handle.wait(60)
    record = handle._page._feed.record
    assert {row[0] for row in record.sound.rows} == {x for x in range(60) if x % 5}
    assert len(record.rows) >= 60


def test_a_sweep_that_goes_on_shows_the_curves_and_the_best_from_before(study):
    falling = "def fall(x):\n    x < 4 or hold(x)\n    for n in range(1, 4):\n        yield {'loss': x / n}\n"
    (study / "falling.py").write_text(HOLD + falling)  # imported here, so no other test may call one so
    (study / "study.yaml").write_text(
        "objective: falling:fall\nparameters: {x: {range: [6]}}\nminimize: loss\n"
    )
    sweep = swath.load(study / "study.yaml")
    sweep.run(out=study / "results", workers=1, limit=4)
    with running(study, workers=1) as handle:
        curves = handle._page._feed.record.curves
        until(lambda: len(curves.lines) == 4)
    assert [step[1:] for step in handle._page._feed.record.steps] == [
        (0.0, 0)
    ]  # and none of this session is better
    assert {point: curve.values for point, curve in curves.lines.items()} == {
        point: [point, point / 2, point / 3] for point in range(6)
    }
    assert {curve.status for curve in curves.lines.values()} == {"ok"}
    assert (curves.seen, curves.stopped) == (6, 0)
