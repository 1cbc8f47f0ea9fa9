"""The report of a search in a browser: curves and the front share the selection, and a click on a curve shows its point."""

from __future__ import annotations

import pytest

from saving import Session, study
from swath.messages import Batch, Record, Step
from swath.results import Results
from swath.store import commits
from swath.views.report import report
from test_report_browser import Page

HOSTILE = "<img src=x onerror=alert(1)>$$x"
N = 8


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of 8 points: the error falls from point to point, what it costs rises; the last one was stopped."""
    folder = tmp_path_factory.mktemp("run") / "study"
    definition = study(parameters={"a": list(range(1, N + 1))}, minimize=["error", HOSTILE])
    with pytest.MonkeyPatch.context() as patch, Session(folder, definition) as session:
        patch.setattr(commits, "PAUSE", 0.0)
        for i in range(N):
            steps = tuple(
                Step(i, n, n / 4, {"error": N - i + 8 / n}) for n in range(1, 9 if i < N - 1 else 4)
            )
            session.store.append(Record(Batch(100 + i, "w0", i, i + 1, 1, 1.0), steps))
        error = [float(N - i) for i in range(N)]
        statuses = ["ok"] * (N - 1) + ["pruned"]
        session.save(0, N, statuses=statuses, error=error, **{HOSTILE: [float(i) for i in range(N)]})
    path = folder.parent / "report.html"
    path.write_text(report(Results(folder).study))
    return path


def lines(shown):
    return shown.read(
        "const s = all.find(m => m.name == 'curves'); return Array.from(s.selected.indices, i => s.data.point[i])"
    )


def test_curves_and_the_front_share_the_selection(viewer, page):
    shown = Page(viewer, page)
    front = shown.figure("Pareto front: 7 of 7 points")
    shown.drag(front, 0.7, -0.05, 1.04, 0.35)  # large errors, low costs
    shown.selects([0, 1, 2])
    viewer.until(lambda: lines(shown) == [0, 1, 2])
    shown.clear()
    viewer.until(lambda: lines(shown) == [])
    viewer.shot(shown.page, "report-search")


def test_a_click_on_a_curve_shows_its_point(viewer, page):
    shown = Page(viewer, page)
    curves = shown.figure("error, step by step: 8 points, × 1 stopped early")  # noqa: RUF001
    place = shown.read(
        "const s = all.find(m => m.name == 'curves'), i = Array.from(s.data.point).indexOf(4);"
        "return [s.data.xs[i][7], s.data.ys[i][7]]"
    )
    shown.page.mouse.click(*shown.at(curves, *place))
    viewer.until(lambda: shown.page.get_by_role("heading", name="Point 4").count())
    shown.page.mouse.click(*shown.at(curves, 0.5, 1.02))  # nothing is there
    assert shown.page.get_by_role("heading", name="Point 4").count()
