"""What a notebook shows, live and saved, and what interrupting a cell does: one kernel for all of it."""

from __future__ import annotations

import pytest

from kernels import Kernel, printed, raised, shown
from running import HOLD, ran, until

SETUP = """
import swath, held
sweep = swath.Sweep(held.hold, {"x": [1, 2, 3, 4]}, name="NAME", minimize="value")
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    made = Kernel(tmp_path_factory.mktemp("notebook"))
    (made.folder / "held.py").write_text(HOLD)
    yield made
    made.close()


class Held:
    """A sweep of four points in a kernel, two at a time, that wait until they are let go."""

    def __init__(self, kernel, name):
        self.kernel, self.folder = kernel, kernel.folder
        for old in ("go", "ran"):
            (self.folder / old).unlink(missing_ok=True)
        self.run, self.interrupt, self._name = kernel.run, kernel.interrupt, name
        self.run(SETUP.replace("NAME", name))

    def began(self):
        until(lambda: len(ran(self.folder)) == 2)

    def go(self):
        (self.folder / "go").touch()

    def heard(self, event):
        """Wait until the run has noted an event."""
        until(lambda: f'"{event}"' in (self.folder / "results" / self._name / "events.jsonl").read_text())


@pytest.fixture
def held(kernel, request):
    made = Held(kernel, "".join(c for c in request.node.name if c.isalnum() or c == "_"))
    yield made
    made.go()
    made.run("if 'handle' in globals(): handle.wait(60)")


def test_a_started_sweep_shows_itself_and_ends_as_what_the_saved_file_shows(held):
    started = held.run("handle = sweep.start(workers=2)\nhandle")
    assert len(started.outputs) == 1  # the block, and not the value of the cell besides
    held.began()
    looked = held.run("handle")
    assert "  running  0/4 points  0 %" in shown(looked)[0]
    assert "running, 0 of 4 done" in printed(held.run("print(repr(handle))"))
    held.go()
    awaited = held.run("results = await handle\nresults")
    for cell in (started, looked):
        (text,), (page,) = shown(cell), shown(cell, "text/html")
        assert "  complete  4/4 points  100 %" in text
        assert "best value 1" in text
        assert not [word for word in ("<script", "<style", "<link", "<img", "http", "class=") if word in page]
    assert "  complete  4 of 4 points" in shown(awaited)[0]
    assert {output.output_type for output in awaited.outputs} == {"execute_result"}


def test_starting_it_twice_names_the_handle_of_the_first(held):
    held.run("handle = sweep.start(workers=2)")
    again = held.run("sweep.start(workers=2)")
    kind, text = raised(again)
    assert kind == "RunInUseError"
    assert text.endswith(
        "is in use by this process: the sweep of `handle` is still running; "
        "wait for it with handle.wait(), or stop it with handle.stop()"
    )


def test_interrupting_run_finishes_what_runs_and_the_same_cell_goes_on(held):
    def interrupt():
        held.began()
        held.interrupt()
        held.heard("stop")
        held.go()

    cell = held.run("results = sweep.run(workers=2)", meanwhile=interrupt)
    assert raised(cell) == (
        "KeyboardInterrupt",
        "test_interrupting_run_finishes_what_runs_and_the_same_cell_goes_on: 2 of 4 points are done and saved; the same call goes on",
    )
    (text,) = shown(cell)
    assert "Stopped: interrupted. What is done is saved; run the same cell again to go on." in text
    assert len(ran(held.folder)) == 2
    again = held.run("results = sweep.run(workers=2)\nresults")
    assert "  complete  4 of 4 points" in shown(again)[1]
    assert sorted(ran(held.folder)) == ["1", "2", "3", "4"]


def test_interrupting_twice_stops_at_once(held):
    def interrupt():
        held.began()
        held.interrupt()
        held.heard("stop")
        held.interrupt()

    cell = held.run("results = sweep.run(workers=2)", meanwhile=interrupt)
    assert raised(cell)[0] == "KeyboardInterrupt"
    assert "0 of 4 points are done" in raised(cell)[1]


@pytest.mark.parametrize("wait", ["handle.wait()", "await handle"])
def test_interrupting_who_waits_leaves_the_sweep_running(held, wait):
    waiting = held.folder / wait

    def interrupt():
        held.began()
        until(waiting.exists)  # a kernel that runs nothing ignores the signal
        held.interrupt()

    held.run("handle = sweep.start(workers=2)\nfrom pathlib import Path")
    cell = held.run(f"Path({wait!r}).touch()\n{wait}", meanwhile=interrupt)
    assert raised(cell)[0] in ("KeyboardInterrupt", "CancelledError")
    assert printed(held.run("print(handle.snapshot.state)")) == "running\n"
    held.go()
    assert "4 ok" in shown(held.run("await handle"))[0]
    assert sorted(ran(held.folder)) == ["1", "2", "3", "4"]


PLOTTED = """
import os
os.environ["BOKEH_RESOURCES"] = "inline"  # there is no network here
hostile = "</script><b>x"
results = swath.Sweep(held.nap, {"x": [1, 2, 3, 4], hostile: [1, 2]}, name="plotted", minimize="value").run(workers=2)
"""


@pytest.fixture
def pictures(kernel):
    """A page with the figures that cells show."""
    module = (kernel.folder / "held.py").read_text()
    (kernel.folder / "held.py").write_text(module.replace("def nap(x):", "def nap(x, **others):"))
    kernel.run("import swath, importlib, held\nimportlib.reload(held)" + PLOTTED)
    cells = [
        kernel.run(f"results.plot.{figure}") for figure in ("heatmap()", "parallel()", "slice(dark=True)")
    ]
    page = kernel.folder / "figures.html"
    page.write_text("<!doctype html>" + "".join(shown(cell, "text/html")[0] for cell in cells))
    assert [shown(cell)[0] for cell in cells] == [
        "plotted: value over x and </script><b>x",
        "plotted: points over parallel axes",
        "plotted: value against x, </script><b>x",
    ]
    return page


def test_figures_are_values_of_cells_and_as_high_as_they_are_drawn(pictures, viewer):
    page = viewer.open(pictures.as_uri())
    for place, height in enumerate((422, 422, 302)):
        frame = page.locator("iframe").nth(place)
        viewer.until(lambda frame=frame, height=height: frame.bounding_box()["height"] >= height)
        assert frame.content_frame.locator("canvas").first.is_visible()
    viewer.shot(page, "notebook-figures", full_page=True)
