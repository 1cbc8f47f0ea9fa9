"""``swath ui`` in a browser: brushing, the filter, a failed point, permalinks, a run in progress, prefixes; all text stays text."""

from __future__ import annotations

import io
import math
import shutil
from urllib.parse import quote, urljoin

import pandas as pd
import pytest

import swath
from running import until
from serving import serving
from steering import FAILING, POINTS, Steered

NAME = "<b>x</b>"
MODE = "<img src=x onerror=alert(1)>"
TROUBLE = "<script>alert('trouble')</script>"
MANY = 4500


def parabola(mode, seed, **others):
    (x,) = others.values()
    if x == 7:
        raise ValueError(f"{TROUBLE} at {x}")
    return {"loss": (x - 3) ** 2 + len(mode) / 10 + seed / 2**40}


def cheap(a, b):
    return {"value": math.sin(a) + b}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    space = {NAME: list(range(10)), "mode": ["plain", MODE], "seed": swath.seeds(3)}
    swath.Sweep(parabola, space, minimize="loss", name="study").run(engine="inline", out=folder / "results")
    space = {"a": swath.linspace(0, 6, MANY // 10), "b": swath.linspace(0, 1, 10)}
    swath.Sweep(cheap, space, name="many").run(engine="inline", out=folder / "results")
    return folder


@pytest.fixture(scope="module")
def site(folder):
    with serving(folder=folder) as site:
        site.enter()
        yield site


@pytest.fixture
def frame(folder):
    return swath.open(folder / "results/study").frame


def cells(frame):
    """How many cells a heat map over the first two parameters has that are no failures."""
    return len(frame.loc[frame["status"] == "ok", [NAME, "mode"]].drop_duplicates())


class Shown:
    """A run's page in a viewer that was let in."""

    def __init__(self, viewer, site, query, base="", *, figures=True):
        name, _, value = site.cookie.partition("=")
        self.viewer = viewer
        self.base = base or f"http://127.0.0.1:{site.port}/"
        viewer.context.add_cookies([{"name": name, "value": value, "url": self.base}])
        self.tab = viewer.open(f"{self.base}run?{query}")
        if figures:
            self.ready()

    def ready(self):
        self.viewer.until(lambda: "rows" in self.tab.inner_text("#count"))
        self.viewer.until(lambda: self.tab.locator(".bk-DataTable").count())

    def models(self, code):
        """Evaluate JavaScript that sees all models of the page."""
        return self.tab.evaluate(f"() => {{ const models = [...Bokeh.documents[0].all_models]; {code} }}")

    @property
    def marks(self):
        """Points that are drawn and selected."""
        return self.models(
            "const source = models.findLast(m => m.type == 'ColumnDataSource' && m.data.failure);"
            "return source.selected.indices.map(i => source.data.point[i])"
        )

    @property
    def drawn(self):
        return self.models(
            "return models.findLast(m => m.type == 'ColumnDataSource' && m.data.failure).data.point.length"
        )

    @property
    def listed(self):
        """Points in the table."""
        return self.models("return Array.from(models.findLast(m => m.name == 'rows').data.point)")

    @property
    def cells(self):
        """How many cells of the heat map have a value."""
        return self.models(
            "return Array.from(models.findLast(m => m.name == 'cells').data.value).filter(Number.isFinite).length"
        )

    def place(self, title, x, y):
        """Where on the page something is, given in a figure's own coordinates."""
        plot = self.tab.evaluate_handle(
            "title => [...Bokeh.documents[0].all_models].findLast(m => m.type == 'Figure' && m.title.text.text.startsWith(title))",
            title,
        )
        self.viewer.until(
            lambda: plot.evaluate("plot => Bokeh.index.find_one(plot)?.frame?.bbox?.width > 50")
        )
        self.tab.evaluate("plot => Bokeh.index.find_one(plot).el.scrollIntoView({block: 'center'})", plot)
        return plot.evaluate(
            """(plot, [x, y]) => {
              const view = Bokeh.index.find_one(plot), box = view.canvas_view.el.getBoundingClientRect()
              return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
            }""",
            [x, y],
        )

    def drag(self, title, start, end):
        """Drag a box in a figure."""
        at, to = self.place(title, *start), self.place(title, *end)
        mouse = self.tab.mouse
        mouse.move(*at)
        mouse.down()
        mouse.move((at[0] + to[0]) / 2, (at[1] + to[1]) / 2)
        mouse.move(*to)
        mouse.up()

    def filter(self, text):
        self.tab.fill("#where", text)
        self.tab.press("#where", "Enter")

    def downloaded(self, form="csv"):
        """What the page's link gives."""
        answer = self.viewer.context.request.get(
            urljoin(self.tab.url, self.tab.get_attribute(f"#{form}", "href"))
        )
        assert answer.status == 200, answer.text()
        return pd.read_csv(io.BytesIO(answer.body()))

    def until(self, found):
        return self.viewer.until(found)


def test_numbers_on_the_page_are_those_of_the_store(viewer, site, frame):
    page = Shown(viewer, site, "name=study")
    assert page.tab.inner_text("#done") == page.tab.inner_text("#total") == str(len(frame))
    for status, number in frame["status"].value_counts().items():
        if number:
            assert f"{number} {status}" in page.tab.inner_text("#head")
    assert page.drawn == len(frame)
    assert sorted(page.listed) == sorted(frame.index)
    assert page.listed[0] == frame["loss"].idxmin()
    assert page.cells == cells(frame)
    assert f"{frame['loss'].min():.4g}" in page.tab.inner_text("#head")


def test_brushing_filters_every_view_and_the_download(viewer, site, frame):
    page = Shown(viewer, site, "name=study")
    page.drag("Parallel", (-0.08, 0.15), (0.08, 0.62))  # the first axis is 0 to 9: 2 to 5 are within
    within = frame.index[frame[NAME].between(2, 5)]
    page.until(lambda: sorted(page.marks) == sorted(within))
    assert sorted(page.listed) == sorted(within)
    page.until(lambda: page.cells == cells(frame.loc[within]))
    page.until(lambda: f"{len(within)} of {len(frame)} rows" in page.tab.inner_text("#count"))
    assert sorted(page.downloaded()["point"]) == sorted(within)
    page.drag("Parallel", (0.92, -0.1), (1.08, 0.5))  # and of a second axis the lower half
    both = within[frame.loc[within, "mode"] == "plain"]
    page.until(lambda: sorted(page.marks) == sorted(both))
    assert sorted(page.listed) == sorted(both)
    page.until(lambda: f"{len(both)} of {len(frame)} rows" in page.tab.inner_text("#count"))
    assert sorted(page.downloaded()["point"]) == sorted(both)
    page.until(lambda: page.tab.url.count("between=") == 2)
    page.tab.reload()  # the address remembers it
    page.ready()
    page.until(lambda: sorted(page.marks) == sorted(both))
    assert sorted(page.downloaded()["point"]) == sorted(both)
    page.tab.click("#clear")
    page.until(lambda: page.marks == [] and page.cells == cells(frame))
    page.until(lambda: "between=" not in page.tab.url)


def test_a_click_on_a_failed_point_shows_its_traceback_as_text(viewer, site, frame):
    page = Shown(viewer, site, "name=study")
    page.filter('status != "ok"')
    bad = list(frame.index[frame["status"] != "ok"])
    page.until(lambda: sorted(page.listed) == bad)
    page.until(lambda: f"{len(bad)} rows" in page.tab.inner_text("#count"))
    page.tab.locator(".bk-DataTable .slick-row").first.click()
    page.until(lambda: "Traceback" in page.tab.inner_text("#point"))
    told = page.tab.inner_text("#point")
    assert f"ValueError: {TROUBLE} at 7" in told
    assert NAME in told
    assert "swath run" in told
    assert "&point=" in page.tab.url
    page.tab.reload()
    page.ready()
    page.until(lambda: f"ValueError: {TROUBLE} at 7" in page.tab.inner_text("#point"))
    assert page.tab.locator("img, b > b").count() == 0
    assert sorted(page.downloaded()["point"]) == bad
    page.tab.click("#close")
    assert "point=" not in page.tab.url


def test_a_click_on_a_mark_shows_its_point(viewer, site, frame):
    page = Shown(viewer, site, "name=study")
    best = frame["loss"].idxmin()
    x, y = page.models(
        f"const s = models.findLast(m => m.type == 'ColumnDataSource' && m.data.failure).data, i = s.point.indexOf({best});"
        "return [s.order[i], Object.entries(s).find(([k, v]) => k == 'uorder')[1][i]]"
    )
    assert (x, y) > (0, 0)
    page.tab.locator(".bk-DataTable .slick-row").first.click()
    page.until(lambda: f"Point {best}" in page.tab.inner_text("#point"))
    assert "ok" in page.tab.inner_text("#point h2")


def test_a_filter_that_cannot_be_read_says_so_in_place(viewer, site, frame):
    page = Shown(viewer, site, "name=study")
    page.filter("loss <")
    page.until(lambda: "at its end" in page.tab.inner_text("#wrong"))
    assert page.drawn == len(frame)
    page.filter("nothing > 1")
    page.until(lambda: "'nothing'" in page.tab.inner_text("#wrong"))
    assert len(page.downloaded()) == len(frame)  # the filter before it still holds
    page.filter("loss < 1.5")
    some = frame.index[frame["loss"] < 1.5]
    page.until(lambda: sorted(page.listed) == sorted(some))
    assert not page.tab.is_visible("#wrong")
    page.filter("")
    page.until(lambda: page.drawn == len(frame))


def test_a_heat_map_of_other_parameters_can_be_asked_for(viewer, site):
    page = Shown(viewer, site, f"name=study&x=seed&y=mode&facet={quote(NAME)}&statistic=count")
    titles = "return models.filter(m => m.type == 'Figure').map(m => m.title.text.text)"
    page.until(lambda: sum(f"{NAME} = " in title for title in page.models(titles)) > 1)
    page.models("models.findLast(m => m.type == 'Select' && m.title == 'cell').value = 'best'; return 0")
    page.until(lambda: "statistic=best" in page.tab.url)
    bars = "return models.filter(m => m.type == 'ColorBar').map(m => m.title.text)"
    page.until(lambda: any("best" in title for title in page.models(bars)))


def test_the_page_says_that_it_draws_a_sample_and_downloads_all(viewer, site):
    page = Shown(viewer, site, "name=many")
    assert "figures draw 4,000 of 4500 points" in page.tab.inner_text("#count").replace("4,500", "4500")
    assert page.drawn == 4000
    assert len(page.downloaded()) == MANY
    page.drag("Parallel", (-0.08, 0.5), (0.08, 1.05))
    page.until(lambda: 0 < len(page.marks) < 4000)
    page.until(lambda: " of " in page.tab.inner_text("#count").partition(" rows")[0])
    within = page.downloaded()
    assert len(within) == MANY // 2
    assert within["a"].min() >= 3


def test_the_list_leads_to_a_run_and_keeps_names_as_text(viewer, folder):
    viewer.expect(r"/rows: net::ERR_ABORTED")  # it was just looking when the page was left
    with serving(folder=folder) as site:
        tab = viewer.open(site.address)
        viewer.until(lambda: "study" in tab.inner_text("body"))
        assert "token" not in tab.url
        assert tab.evaluate("document.cookie") == ""
        viewer.until(lambda: "loss = " in tab.inner_text("#rows"))
        tab.click("text=study")
        viewer.until(lambda: tab.locator("#done").count())
        assert tab.title() == "study - swath"
        tab.close()


def test_a_link_that_another_site_has_opened_works(viewer, folder, tmp_path):
    viewer.expect(r"/rows: net::ERR_ABORTED")
    with serving(folder=folder) as site:
        (tmp_path / "open.html").write_text(f'<a href="{site.address}">open</a>')
        tab = viewer.open((tmp_path / "open.html").as_uri())
        tab.click("a")
        viewer.until(lambda: tab.locator("#rows").count() and "study" in tab.inner_text("#rows"))
        tab.close()


def test_a_run_in_progress_is_followed_to_its_end(viewer, tmp_path):
    with Steered(tmp_path / "work", "-n", "2") as sweep:
        until((tmp_path / "work/results/study/manifest.json").is_file)
        until(lambda: sweep.store["done"] == POINTS // 2)
        with serving(folder=tmp_path / "work") as site:
            site.enter()
            page = Shown(viewer, site, "name=study")
            assert page.tab.inner_text("#done") == str(POINTS // 2)
            assert "running" in page.tab.inner_text("#head .state")
            assert page.drawn == POINTS // 2
            sweep.allow()
            page.until(lambda: page.tab.inner_text("#head .state") == "complete")
            assert page.tab.inner_text("#done") == str(POINTS)
            assert f"{FAILING} error" in page.tab.inner_text("#head")
            page.until(lambda: page.drawn == POINTS)
            page.tab.close()


def test_the_pages_work_behind_jupyters_proxy(viewer, site, jupyter, frame):
    viewer.open(jupyter.entrance)
    page = Shown(viewer, site, "name=study", jupyter.proxied(f"http://127.0.0.1:{site.port}/"))
    assert page.drawn == len(frame)
    page.filter(f"`{NAME}` == 3")
    page.until(lambda: len(page.listed) == 6)
    page.tab.locator(".bk-DataTable .slick-row").first.click()
    page.until(lambda: "Point" in page.tab.inner_text("#point"))
    assert len(page.downloaded()) == 6


def test_a_run_that_vanishes_is_a_sentence(viewer, tmp_path):
    swath.Sweep(cheap, {"a": [1, 2], "b": [1]}, name="gone").run(engine="inline", out=tmp_path / "results")
    with serving(folder=tmp_path) as site:
        site.enter()
        page = Shown(viewer, site, "name=gone")
        (tmp_path / "results/gone").rename(tmp_path / "away")
        page.until(lambda: "there is no run 'gone'" in page.tab.inner_text("#sorry"))
        assert page.drawn == 2
        (tmp_path / "away").rename(tmp_path / "results/gone")
        page.until(lambda: not page.tab.is_visible("#sorry"))
        page.tab.close()


def test_damage_is_told(viewer, site, folder):
    hurt = shutil.copytree(folder / "results/study", folder / "results/hurt")
    for segment in (hurt / "segments").iterdir():
        segment.write_bytes(b"not arrow")
    page = Shown(viewer, site, "name=hurt", figures=False)
    page.until(lambda: "damaged: segments/" in page.tab.inner_text("#head"))
    assert "rows are missing" in page.tab.inner_text("#head")
    page.tab.close()


def test_the_end_of_the_server_is_told(viewer, folder):
    viewer.expect(r"ws://|Bokeh server|WebSocket|ERR_CONNECTION_REFUSED")
    with serving(folder=folder) as site:
        site.enter()
        page = Shown(viewer, site, "name=study")
    page.until(lambda: "swath ui has ended" in page.tab.inner_text("#sorry"))
