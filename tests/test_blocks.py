"""What notebooks show of sweeps, handles and results: the same in HTML and in text, and nothing but what we made."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import swath
from saving import Session, rows, stream, study
from swath.messages import Reply
from swath.snapshot import Complaint, Snapshot, WorkerLoad
from swath.views.notebook.cell import show
from swath.views.notebook.markup import bar, link, tag
from swath.views.notebook.progress import progress

FOLDER = Path("results/epidemic")
WORKERS = tuple(
    WorkerLoad(
        name=f"w{i}",
        slots=1,
        busy=1,
        done=10 * i,
        failed=i % 2,
        rate=1.5,
        batch=None,
        cpu=0.9,
        memory=(100 + i) << 20,
        memory_limit=1 << 30,
        point=i,
        age=float(i),
        straggler=i == 3,
    )
    for i in range(20)
)
RUNNING = Snapshot(
    name="epidemic",
    state="running",
    total=1000,
    done=420,
    saved=412,
    excluded=12,
    statuses={"ok": 395, "error": 4, "timeout": 1},
    slots=4,
    workers=WORKERS[:4],
    rate=1.07,
    overall=0.98,
    eta=(540.0, 660.0),
    elapsed=400.0,
    utilisation=0.97,
    cost=0.81,
    best=(17.263, 4722),
    metric="error",
    direction="minimize",
    parameters={"beta": 1.66, "gamma": 0.44},
    dashboard="http://127.0.0.1:8787/sweep",
    complaints=(Complaint("error", "ValueError: beta is negative", 4, 17),),
)
ALLOWED = {"div", "span", "b", "a", "code", "table", "thead", "tbody", "tr", "th", "td"}
HOSTILE = "<script>alert('x')</script>\x1b[2J\u202e\"><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """The elements, attributes and texts of a page; unclosed elements are an error."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words, self._open = [], [], [], []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def assert_inert(page):
    """Nothing that runs, nothing that is fetched, and no colour of its own for text."""
    found = Page(page)
    assert set(found.tags) <= ALLOWED
    assert {name for name, _ in found.attributes} <= {"style", "href", "target", "rel", "title"}
    styles = [value for name, value in found.attributes if name == "style"]
    assert not [style for style in styles if "url(" in style or "position" in style]
    inked = {ink for style in styles for ink in re.findall(r"(?<![-\w])color:([^;]+)", style)}
    assert inked <= {"inherit", "#d1495b"}  # failures are red, on white and on black
    return found


def test_a_running_sweep():
    block = progress(RUNNING, FOLDER)
    page = assert_inert(block.html)
    for said in (
        *("epidemic", "running", "395 ok", "4 error", "1 timeout", "12 excluded", "588 to do"),
        *("17.26", "1.07", "9m-11m", "6m40s", "4 of 4", "97 %", "0.81", "beta=1.66, gamma=0.44"),
        *("101.0 MiB", "0.90", "3.0s !", "ValueError: beta is negative", "results/epidemic"),
    ):
        assert said in page.text, said
    assert ("href", "http://127.0.0.1:8787/sweep") in page.attributes
    for said in ("395 ok", "9m-11m", "beta=1.66, gamma=0.44", "4 error: ValueError", "http://127.0.0.1:8787"):
        assert said in block.text, said


def test_many_workers_are_summed_up():
    page = assert_inert(progress(replace(RUNNING, workers=WORKERS, slots=20), FOLDER).html)
    assert "w7" in page.words
    assert "w8" not in page.words
    assert "and 12 more" in page.words
    assert "108.0 MiB - 119.0 MiB" in page.words
    assert "18" in page.words  # points per second of all of them
    assert "and" not in " ".join(
        assert_inert(progress(replace(RUNNING, workers=WORKERS[:9]), FOLDER).html).words
    )


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"state": "draining"}, "", "Stopping: the points that are running finish first."),
        ({"state": "draining", "reason": "interrupted"}, "", "Interrupt again to stop at once."),
        ({"state": "stopped", "reason": "limit"}, "", "Stopped: limit. What is done is saved"),
        ({"state": "stopped", "reason": "x"}, "the disk is full", "the disk is full"),
        ({"state": "complete", "saved": 1000}, "", 'run(retry="error")'),
        ({"state": "complete", "rows_before": 400}, "", "complete, nothing was left to do"),
    ],
)
def test_how_a_sweep_ends(changed, error, said):
    block = progress(replace(RUNNING, **changed), FOLDER, error)
    assert said in assert_inert(block.html).text
    assert said in block.text
    over = changed["state"] != "draining"
    assert ("w1" in block.html) is not over
    assert ("swath.open(" in block.text) is over


def test_a_sweep_shows_its_axes_and_first_points():
    sweep = swath.Sweep(
        "math:sqrt",
        {"beta": swath.linspace(0, 1, 101), "seed": swath.seeds(3), "kind": ["a", None], "gamma": 2.5},
        where="beta > 0.015",
        derive={"r0": "beta / gamma"},
        minimize="error",
        name="epidemic",
    )
    bundle = sweep._repr_mimebundle_()
    page = assert_inert(bundle["text/html"])
    assert sweep._repr_html_() == bundle["text/html"]
    for text in (page.text, bundle["text/plain"]):
        for said in (
            *("epidemic", "math:sqrt", "594 points of 606 = 101 x 3 x 2", "0, 0.01, 0.02, … 1"),
            *("a, null", "beta > 0.015", "r0 = beta / gamma", "error", "0.008"),
        ):
            assert said in text, said


def test_a_sweep_that_searches_shows_what_it_chooses_from_and_how():
    text = swath.Sweep(
        "math:sqrt",
        {
            "model": ["a", None],
            "rate": swath.loguniform(1e-4, 1),
            "depth": swath.integers(1, 9, when='model == "a"'),
            "shift": swath.normal(0, 2, step=0.5),
        },
        search={"method": "tpe", "points": 30, "subject_to": "cost < 2"},
        stop={"method": "asha", "min_steps": 3},
        minimize="loss",
    )._repr_mimebundle_()["text/plain"]
    for said in (
        *("2  a, null", "any  loguniform from 0.0001 to 1", "any  normal, mean 0, deviation 2, by 0.5"),
        *(
            "9  from 1 to 9, by 1",
            'model == "a"',
            "search tpe, 30 points, the first 10 at random, subject to cost < 2",
        ),
        "stop asha by loss, min_steps 3",
    ):
        assert said in text, said


def test_results_show_counts_the_best_and_what_failed(tmp_path):
    definition = study(parameters={"text": ["a", "b", "c", "d"]}, minimize="error", name="study")
    found = rows([0, 1, 2, 3], ["ok", "error", "error", "ok"], error=[2.0, None, None, 1.0])
    with Session(tmp_path / "study", definition) as session:
        session.save(0, 4, reply=Reply(((0, 4),), 4, payload=(stream(found),)))
    bundle = swath.Results(tmp_path / "study")._repr_mimebundle_()
    page = assert_inert(bundle["text/html"])
    for text in (page.text, bundle["text/plain"]):
        for said in ("study", "complete", "4 of 4 points", "2 ok", "2 error", "best by error", ".failures"):
            assert said in text, said
    assert page.words.index("d") < page.words.index("a")


def test_what_others_wrote_stays_text():
    seen = replace(
        RUNNING,
        name=HOSTILE,
        metric=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        complaints=(Complaint(HOSTILE, HOSTILE, 1, 2),),
        statuses={HOSTILE: 3},
        workers=(replace(WORKERS[0], name=HOSTILE),),
        notices=(HOSTILE,),
        dashboard="javascript:alert(1)",
    )
    block = progress(seen, Path(HOSTILE), HOSTILE)
    page = assert_inert(block.html)
    assert not [value for name, value in page.attributes if name == "href"]
    assert "\x1b" not in block.html + block.text
    assert "\u202e" not in block.html + block.text
    assert all(line == line.rstrip() for line in block.text.splitlines())
    sweep = swath.Sweep("math:sqrt", {"<b>": [HOSTILE, 1]}, name="hostile")._repr_mimebundle_()
    assert_inert(sweep["text/html"])
    assert "\x1b" not in sweep["text/html"] + sweep["text/plain"]


def test_markup_escapes_what_it_has_not_made():
    assert tag("b", "<i>", tag("i", "&")) == "<b>&lt;i&gt;<i>&amp;</i></b>"
    assert tag("b", title='"><i>') == '<b title="&quot;&gt;&lt;i&gt;"></b>'
    assert link("x", "https://a/?b=1&c").startswith('<a href="https://a/?b=1&amp;c" ')
    assert link("x", "javascript:alert(1)") == "<span>x</span>"


@pytest.mark.parametrize("shares", [[0.5, 1e-9, 0.5], [0.92308, 0.03846, 0.03846], [1.0], [1e-6] * 9, []])
def test_a_bar_is_never_wider_than_its_place_and_shows_every_part(shares):
    widths = [
        float(width) for width in re.findall(r"float:left;width:([\d.]+)%", bar([(x, "red") for x in shares]))
    ]
    assert len(widths) == len(shares)
    assert all(width > 0.3 for width in widths)
    assert sum(widths) <= 100


def test_without_a_kernel_nothing_is_drawn(capsys):
    pytest.importorskip("IPython")
    assert not show(None)
    assert capsys.readouterr().out == ""


def test_a_figure_is_a_page_in_a_frame_with_words_for_where_frames_are_not_shown(monkeypatch):
    from bokeh.plotting import figure

    from swath.views.notebook.figure import shown as showing

    drawn = figure(title="<b>")
    drawn.line([1, 2], [3, 4])
    assert showing(drawn, "the error <of> beta") is drawn
    sizes = {}
    for resources in ("cdn", "inline"):
        monkeypatch.setenv("BOKEH_RESOURCES", resources)
        bundle = drawn._repr_mimebundle_(include=None)
        assert bundle["text/plain"] == "the error <of> beta"
        page = Page(bundle["text/html"])
        assert page.tags == ["iframe"]  # what is in it is an attribute of it
        assert "the error <of> beta" in page.text
        sizes[resources] = len(bundle["text/html"])
    assert sizes["cdn"] < 20_000
    assert sizes["inline"] > 500_000
