"""The report in a browser: brushing filters every view, a click shows a point, and text stays text."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pyarrow as pa
import pytest

from saving import Session, stream, study
from swath.results import Results
from swath.store import commits
from swath.views.figures.study import RAIL
from swath.views.report import report

HOSTILE = "<img src=x onerror=alert(1)>"
FAILURE = 'ValueError: </script><script>alert(2)</script>\nTraceback (most recent call last):\n  File "a.py"'
FIGURES = """() => {
  const found = []
  const walk = view => {
    if (view.model?.type == "Figure") {
      const box = view.el.getBoundingClientRect(), frame = view.frame.bbox, {x_range, y_range} = view.model
      found.push({
        title: view.model.title?.text?.text ?? "", below: view.model.below[0]?.axis_label?.text ?? "",
        left: box.x + scrollX + frame.x0, top: box.y + scrollY + frame.y0, width: frame.width, height: frame.height,
        x: [x_range.start, x_range.end], y: [y_range.start, y_range.end],
      })
    }
    for (const child of view.child_views ?? []) walk(child)
  }
  for (const root of Bokeh.index.roots) walk(root)
  return found
}"""


class Page:
    """A report that somebody looks at."""

    def __init__(self, viewer, path):
        self.viewer = viewer
        self.page = viewer.open(f"file://{path}")
        self.page.wait_for_function(
            "window.Bokeh?.documents?.[0]?.is_idle && document.readyState == 'complete'"
        )
        self.figures = self.page.evaluate(FIGURES)

    def figure(self, title="", below=""):
        found = [each for each in self.figures if title in each["title"] and below in each["below"]]
        return next(each for each in found if title or not each["title"])

    def at(self, figure, x, y):
        """Pixels of a place in a figure, after scrolling to it."""
        across = (x - figure["x"][0]) / (figure["x"][1] - figure["x"][0])
        up = (y - figure["y"][0]) / (figure["y"][1] - figure["y"][0])
        self.page.evaluate("top => scrollTo(0, top)", figure["top"] - 100)
        scrolled = self.page.evaluate("scrollY")
        return figure["left"] + across * figure["width"], figure["top"] - scrolled + (1 - up) * figure[
            "height"
        ]

    def drag(self, figure, x0, y0, x1, y1):
        (left, top), (right, bottom) = self.at(figure, x0, y0), self.at(figure, x1, y1)
        mouse = self.page.mouse
        mouse.move(left, top)
        mouse.down()
        mouse.move((left + right) / 2, (top + bottom) / 2, steps=3)
        mouse.move(right, bottom, steps=3)
        mouse.up()

    def read(self, script):
        return self.page.evaluate(
            f"() => {{ const all = [...Bokeh.documents[0].all_models]; const named = (kind, column) => "
            f"all.filter(m => m.type == kind && column in (m.data ?? {{}})); {script} }}"
        )

    def selected(self):
        """Points that are selected."""
        return self.read(
            "const s = named('ColumnDataSource', 'uorder').find(s => 'failure' in s.data);"
            "return Array.from(s.selected.indices, i => s.data.point[i])"
        )

    def selects(self, points):
        self.viewer.until(lambda: self.selected() == points)

    def table(self):
        return self.read(
            "return Array.from(named('ColumnDataSource', 'row').find(s => s.name == 'rows').data.point)"
        )

    def told(self, text):
        self.viewer.until(lambda: self.page.get_by_text(text, exact=True).count())

    def clear(self):
        self.page.get_by_role("button", name="Clear").click()
        self.selects([])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 18 points; the last one failed with a hostile text."""
    definition = study(parameters={"a": [1, 2, 3], HOSTILE: ["=x", "<b>", "-1"], "k": [-1, 5]})
    statuses = ["ok"] * 17 + ["error"]
    error = [float(i) for i in range(17)] + [None]
    folder = tmp_path_factory.mktemp("run") / "study"
    with pytest.MonkeyPatch.context() as patch, Session(folder, definition) as session:
        patch.setattr(commits, "PAUSE", 0.0)
        reply = session.reply(0, 18, statuses=statuses, error=error, note=["@SUM(1)"] * 18)
        session.save(0, 18, reply=explained(reply))
    return folder


def explained(reply):
    """Give failures a hostile text."""
    table = pa.ipc.open_stream(reply.payload[0]).read_all()
    texts = [text and FAILURE for text in table.column("failure").to_pylist()]
    place = table.column_names.index("failure")
    return replace(reply, payload=(stream(table.set_column(place, "failure", pa.array(texts, pa.string()))),))


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    """Its report."""
    found = tmp_path_factory.mktemp("report") / "report.html"
    found.write_text(report(Results(run).study, shares={"a": 0.9, HOSTILE: 0.1}))
    return found


@pytest.fixture
def shown(path, viewer):
    return Page(viewer, path)


def test_the_best_point_is_shown_first(shown, run):
    best = Results(run).best().index[0]
    shown.viewer.until(lambda: shown.page.get_by_role("heading", name=f"Point {best} ok").count())
    assert shown.page.get_by_text("swath show", exact=False).inner_text().endswith(f"study {best}")


def test_brushing_several_axes_selects_what_is_within_all_of_them(shown, run):
    frame = Results(run).frame
    parallel = shown.figure("Parallel")
    shown.drag(parallel, -0.1, 0.8, 0.1, 1.05)  # a = 3
    shown.selects(frame.index[frame["a"] == 3].tolist())
    shown.told("6 of 18 selected")
    shown.drag(parallel, 1.9, 0.6, 2.1, 1.05)  # k = 5
    both = frame.index[(frame["a"] == 3) & (frame["k"] == 5)].tolist()
    shown.selects(both)
    shown.told("3 of 18 selected")
    assert sorted(shown.table()) == both
    means = shown.read(
        "const c = named('ColumnDataSource', 'cell')[0].data; return [Array.from(c.value), Array.from(c.x)]"
    )
    by_hand = frame[frame.index.isin(both)].groupby(HOSTILE, sort=False)["error"].mean()
    values = [
        value for value, a in zip(*means, strict=True) if a == "3" and not math.isnan(value or math.nan)
    ]
    assert values == by_hand.dropna().tolist()
    shown.clear()
    assert len(shown.table()) == 18


def test_every_figure_brushes(shown, run):
    frame = Results(run).frame
    shown.drag(shown.figure(below="a"), -0.05, 0.6, 0.2, -0.05)
    shown.selects(frame.index[(frame["a"] == 1)].tolist())
    shown.clear()
    shown.drag(shown.figure("Best so far"), 0.53, 1.05, 1.015, RAIL - 0.05)
    shown.selects(frame.index[9:].tolist())
    shown.clear()
    heat = shown.figure("Mean error")
    shown.page.mouse.click(*shown.at(heat, 1.5, 0.5))
    shown.selects(frame.index[(frame["a"] == 2) & (frame[HOSTILE] == "=x")].tolist())


def test_the_filter_reads_conditions_and_runs_nothing(shown, run):
    frame = Results(run).frame
    box = shown.page.get_by_role("textbox")
    for text, points in (
        ("a >= 2 and k == 5", frame.index[(frame["a"] >= 2) & (frame["k"] == 5)]),
        (f"`{HOSTILE}` == '<b>'", frame.index[frame[HOSTILE] == "<b>"]),
        ("status == error", [17]),
        ("failure ~ valueerror", [17]),
    ):
        box.fill(text)
        shown.selects(list(points))
    box.fill("a > 99")
    shown.told("0 of 18 selected")
    visible = shown.read(
        "return all.filter(m => m.type == 'GlyphRenderer' && 'failure' in m.data_source.data).map(m => m.visible)"
    )
    assert visible
    assert not any(visible)
    assert shown.table() == []
    box.fill("alert(1)")
    shown.told("cannot read “alert(1)”: write a < 3 and status == ok")
    shown.selects([])


def test_a_click_on_a_failed_point_shows_its_traceback_as_text(shown):
    failed = shown.figure(below="a")
    shown.page.mouse.click(*shown.at(failed, 1.0, RAIL))  # one mark, within the spread of its strip
    for shift in (0.0, 0.01, -0.01, 0.02, -0.02, 0.005, -0.005, 0.015, -0.015, 0.025, -0.025):
        shown.page.mouse.click(*shown.at(failed, 1.0 + shift, RAIL))
        if shown.page.get_by_role("heading", name="Point 17").count():
            break
    panel = shown.page.locator("pre").first
    assert panel.inner_text() == FAILURE
    assert shown.page.get_by_text("swath show", exact=False).inner_text().endswith("study 17")
    assert shown.page.locator("img").count() == 0


def test_what_the_mouse_is_on_is_told_as_text(shown):
    page, strip = shown.page, shown.figure(below="<img")
    tip = page.locator(".bk-Tooltip, .bk-tooltip").filter(has_text=HOSTILE)
    for i in range(40):
        page.mouse.move(*shown.at(strip, 0.5 + (i % 8 - 4) / 100, 0.1 + i / 50))
        if tip.count():
            break
    assert tip.count() == 1
    assert page.locator("img").count() == 0


def test_the_selection_as_csv_runs_nothing_in_a_spreadsheet(shown, run):
    shown.page.get_by_role("textbox").fill("a == 3 and k == -1")
    shown.told("3 of 18 selected")
    with shown.page.expect_download() as saved:
        shown.page.get_by_role("button", name="CSV of the selection").click()
    text = saved.value.path().read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert saved.value.suggested_filename == "study.csv"
    assert [int(row["point"]) for row in rows] == shown.selected() == [12, 14, 16]
    assert [row[HOSTILE] for row in rows] == ["'=x", "<b>", "'-1"]
    assert [row["k"] for row in rows] == ["-1"] * 3
    assert [row["note"] for row in rows] == ["'@SUM(1)"] * 3
    frame = Results(run).frame
    assert [float(row["error"]) for row in rows] == frame.loc[[12, 14, 16], "error"].tolist()


def test_it_is_dark_where_the_reader_likes_it_so(path, viewers):
    shown = Page(viewers(color_scheme="dark"), path)
    looks = "return [...new Set(all.filter(m => m.type == 'Title').map(m => m.text_color?.value ?? m.text_color))]"
    surface = shown.page.locator(".bk-Figure").first
    assert surface.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(28, 32, 39)"
    shown.viewer.until(lambda: shown.read(looks) == ["#e4e8ed"])
    shown.page.emulate_media(color_scheme="light")
    shown.viewer.until(lambda: shown.read(looks) == ["#1f2933"])
    assert surface.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
