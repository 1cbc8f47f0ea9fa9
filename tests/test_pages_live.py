"""The live page in a browser, during a real sweep: on the embedded cluster, and on a scheduler that cannot import swath."""

from __future__ import annotations

import json
import re
from urllib.request import urlopen

import pytest

from running import Cluster, until
from steering import NAME, POINTS, TROUBLE, Steered

INJECTED = "img[src=x], main b, .tile b, td b, i:text('loss'), script:text('trouble')"
"""What there would be if names, values or texts of errors were taken for HTML."""

DASKS = "could not set initial ranges|jquery-ui"
"""What the browser warns of on Dask's own pages."""

SEVERED = "Lost websocket|WebSocket connection|not open websocket|not connected"
"""What the browser says of a page whose server is gone."""


class Page:
    """The live page, as somebody reads it."""

    def __init__(self, viewer, address):
        self.viewer = viewer
        self.tab = viewer.open(address)
        self.tab.wait_for_selector(".tile")

    def tile(self, what):
        """What stands under one of the words of the header."""
        return self.tab.locator(f".tile:has(.what:text-is('{what}')) .value").inner_text()

    def number(self, what):
        """The first number that stands there."""
        return int(re.match(r"[\d,]+", self.tile(what))[0].replace(",", ""))

    def shows(self, **numbers):
        """Wait until the header shows some numbers."""
        self.viewer.until(lambda: {what: self.number(what) for what in numbers} == numbers)

    def column(self, title):
        """What the table of workers has in a column."""
        titles = self.tab.locator(".slick-header-column").all_inner_texts()
        place = [text.strip() for text in titles].index(title)
        return self.tab.locator(f".slick-row .slick-cell.l{place}").all_inner_texts()

    def figures(self, ask):
        """What Bokeh knows of each figure with a title, by a piece of JavaScript about ``figure``."""
        return self.tab.evaluate(
            f"""() => {{
                const found = {{}};
                for (const root of Bokeh.documents[0].roots())
                    for (const figure of root.select({{type: "Figure"}}))
                        if (figure.title) found[figure.title.text.text ?? figure.title.text] = {ask};
                return found;
            }}"""
        )


def near(address, path):
    """The address of another page of the same server, under the same prefix."""
    return address.rpartition("/")[0] + "/" + path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"), pages=()).hire("a", "b")
    yield started
    started.close()


def words(kind, request):
    """What ``swath run`` is told."""
    if kind == "remote":
        return "--scheduler", request.getfixturevalue("cluster").address
    return "-n", "2"


@pytest.fixture(params=["embedded", "remote"], scope="module")
def held(request, tmp_path_factory):
    """A sweep of which half is done, 2 points failed, and the others wait."""
    with Steered(tmp_path_factory.mktemp(request.param), *words(request.param, request)) as sweep:
        until(lambda: sweep.page and sweep.store["done"] == 12)
        yield sweep


def only(kind):
    """What is the same for all kinds, or harder for one, is looked at once."""
    return pytest.mark.parametrize("held", [kind], indirect=True, scope="module")


@pytest.fixture
def page(held, viewer):
    shown = Page(viewer, held.page)
    shown.shows(done=12, failed=2, running=2)
    return shown


def test_numbers_agree_with_the_store(page, held):
    store = held.store
    assert page.tile("done").split() == [f"{store['done']}", "/", f"{store['total']}"]
    assert page.number("failed") == store["statuses"]["error"]
    for column, number in (("done", store["done"]), ("failed", store["statuses"]["error"])):
        page.viewer.until(lambda column=column, number=number: sum(map(int, page.column(column))) == number)
    page.viewer.until(lambda: page.column("state") == ["busy", "busy"])
    page.viewer.until(lambda: min(int(point or -1) for point in page.column("at point")) >= 12)
    page.viewer.shot(page.tab, "live")


def test_hostile_names_values_and_errors_are_text(page):
    page.viewer.until(lambda: page.tab.locator(f"td:has-text({json.dumps(TROUBLE)})").count())
    best = page.tab.locator(".tile.best").inner_text()
    assert "lowest <i>loss</i>" in best
    assert f"{NAME} = 4" in best
    assert page.tab.locator(INJECTED).count() == 0


def test_a_second_viewer_sees_the_same_and_what_came_before(page, held, viewers):
    other = Page(viewers(viewport={"width": 1920, "height": 1080}), held.page)
    other.shows(done=12, failed=2)
    began = "figure.renderers[0]?.data_source?.data?.x0?.[0] ?? null"
    assert all(start is None or start < 5 for start in other.figures(began).values())
    assert other.column("worker") == page.column("worker")
    other.viewer.shot(other.tab, "live-1920")


@only("embedded")
def test_axes_of_load_begin_at_zero_and_share_their_time(page):
    ranges = page.figures("[figure.y_range.start, figure.x_range.id]")
    load = [ranges[title] for title in ("CPU, cores", "Memory", "Points per second")]
    assert {start for start, _ in load} == {0}
    assert len({time for _, time in load}) == 1


def test_it_is_a_tab_of_every_page_and_cannot_be_pressed(page, held):
    assert page.tab.locator("button, input[type=button], .bk-btn").count() == 0
    page.viewer.expect(DASKS)
    other = page.viewer.open(near(held.page, "workers"))
    other.wait_for_selector(
        ".slick-header-column:has-text('swath_points')"
    )  # our columns in Dask's own table
    other.get_by_role("link", name="Sweep", exact=True).click()
    other.wait_for_selector(".tile")
    assert other.url == held.page


@only("embedded")
def test_nothing_hides_behind_the_navigation_or_beyond_the_window(page):
    for width in (800, 960, 1280, 1920):
        page.tab.set_viewport_size({"width": width, "height": 800})
        page.viewer.until(
            lambda: (
                # None while it is being written anew
                (head := page.tab.locator(".top").bounding_box())
                and (bars := page.tab.locator("nav, .navbar").first.bounding_box())
                and head["y"] >= bars["y"] + bars["height"]
            )
        )
        page.viewer.until(
            lambda width=width: page.tab.evaluate("document.documentElement.scrollWidth") <= width
        )


@only("remote")
def test_single_pages_are_listed_and_carry_no_navigation(page, held):
    with urlopen(near(held.page, "individual-plots.json")) as answer:
        listed = json.load(answer)
    ours = {name: path for name, path in listed.items() if "sweep" in path}
    assert len(listed) > len(ours) > 1
    for name, path in ours.items():
        single = page.viewer.open(near(held.page, path.lstrip("/")))
        single.wait_for_function("Bokeh.documents.length && Bokeh.documents[0].is_idle")
        assert single.locator("nav, .navbar").count() == 0, name


@only("remote")
def test_through_the_proxy_of_jupyter(held, viewer, jupyter):
    viewer.open(jupyter.entrance)
    page = Page(viewer, jupyter.proxied(held.page))
    page.shows(done=12, failed=2)
    so_far = ".tile:has(.what:text-is('time left')) .more"  # moves through a websocket
    before = page.tab.locator(so_far).inner_text()
    viewer.until(lambda: page.tab.locator(so_far).inner_text() != before)


@pytest.fixture
def prefixed(tmp_path):
    """A cluster whose scheduler has its pages below ``/pre``, and all to itself: nobody else's sweep holds its worker."""
    (tmp_path / "cluster").mkdir()
    started = Cluster(tmp_path / "cluster", pages=("--dashboard-prefix", "/pre")).hire("a")
    yield started
    started.close()


def test_under_a_prefix_it_moves_and_says_how_it_ended_and_is_gone(prefixed, tmp_path, viewer):
    with Steered(tmp_path / "study", "--scheduler", prefixed.address) as sweep:
        assert sweep.page == f"{prefixed.pages}/pre/sweep"
        page = Page(viewer, sweep.page)
        page.shows(done=12, failed=2)
        sweep.allow()
        page.shows(done=POINTS, failed=4)
        page.tab.wait_for_selector(".state:text-is('complete')")
        assert sweep.wait() == 3
        assert_gone(viewer, sweep.page)


def assert_gone(viewer, address):
    """There is neither page nor tab, and the scheduler's other pages are well."""
    viewer.expect(f"answer 404|{DASKS}")
    assert viewer.context.new_page().goto(address).status == 404
    there = viewer.open(near(address, "workers"))
    assert there.get_by_role("link", name="Workers", exact=True).count() == 1
    assert there.get_by_role("link", name="Sweep", exact=True).count() == 0


def test_the_embedded_cluster_ends_although_somebody_looks(tmp_path, viewer):
    viewer.expect(SEVERED)
    with Steered(tmp_path / "study", "-n", "2") as sweep:
        page = Page(viewer, sweep.page)
        page.shows(done=12)
        sweep.allow()
        assert sweep.wait() == 3
        page.tab.wait_for_selector(".lost")
        page.viewer.until(lambda: "complete" in page.tab.locator(".state").inner_text())
