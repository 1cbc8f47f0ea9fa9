"""Take the pictures of the README again: ``python docs/pictures.py`` (needs the test group, and Debian's chromium).

A real sweep runs on four workers: the support vector machine of ``sweeps/digits.yaml``, with prices from C = 0, which the library
refuses, so that something fails. The live page is taken when `HALF` of it is done, the page of the finished run after
somebody has brushed two axes, and a saved notebook as it is in this folder. All are as wide as a window of 1280 pixels, and
have a palette of at most 256 colours, which what is flat survives, and a third of the bytes. What the browser complains about
ends the script.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from browsing import Chromium, Viewer, missing  # noqa: E402  # found by the line above
from running import begun, command  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

STUDY = ROOT / "sweeps/digits.yaml"
VALUES = ("model=svm", "C={linspace: [0, 5, 6]}", "gamma={logspace: [-3, 0, 13]}", "seed={seeds: 4}")
HALF = 0.35
"""Of the sweep, after which the live page is taken."""

HEAVY = 120_000
"""Bytes that a picture may have."""

BRUSHES = ((1, 0.45, 0.72), (4, 0.93, 1.05))
"""Axes of the parallel coordinates, counted from the left, and the stretches of them that are brushed."""

PLACE = """([title, x, y]) => {
    const all = [...Bokeh.documents[0].all_models]
    const view = Bokeh.index.find_one(all.find(m => m.type == "Figure" && m.title?.text?.text?.startsWith(title)))
    const box = view.canvas_view.el.getBoundingClientRect()
    return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
}"""
"""Where in the window something is that a figure has at (x, y)."""


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--to", type=Path, default=ROOT / "docs/pictures", help="folder [docs/pictures]")
    options = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    options.to.mkdir(exist_ok=True, parents=True)
    with looking(options.to) as viewer, tempfile.TemporaryDirectory() as folder:
        take_sweep(viewer, Path(folder))
        take_notebook(viewer, Path(folder))
    for path in sorted(options.to.glob("*.png")):
        print(f"{path}: {shrink(path):,} bytes")


@contextmanager
def looking(folder: Path) -> Iterator[Viewer]:
    """Start a browser whose pictures go to a folder.

    Raises
    ------
    SystemExit
        The browser complains about what it has seen.
    """
    chromium = Chromium()
    try:
        with chromium.attended():
            viewer = Viewer(chromium, folder)
            yield viewer
            viewer.leave()
    finally:
        chromium.close()
    if complaints := viewer.complaints():
        raise SystemExit("the browser complains:\n  " + "\n  ".join(complaints))


def take_sweep(viewer: Viewer, folder: Path) -> None:
    """Run the sweep; take its live page, and its page in ``swath ui`` when it is done."""
    run = command("run", STUDY, *VALUES, "-n", 4, "--out", "results", "--progress", "json")
    with begun(*run, folder=folder) as process:
        for line in process.stderr or ():
            told = json.loads(line)
            if told.get("done", 0) >= HALF * told.get("total", 1):
                break
        page = viewer.open(told["dashboard"])
        page.wait_for_selector(".tile")
        page.wait_for_timeout(3000)  # until all figures are drawn, and a tick has passed
        viewer.shot(page, "live", clip=top(page, 1100), full_page=True)
        page.close()
        process.communicate()
    with begun(*command("ui", "digits", "--no-browser"), folder=folder) as server:
        page = viewer.open((server.stdout or sys.stdin).readline().strip())
        page.wait_for_url("**/run?*")
        page.wait_for_selector(".bk-DataTable")
        page.wait_for_timeout(2000)
        for axis, low, high in BRUSHES:
            drag(page, "Parallel", (axis - 0.08, low), (axis + 0.08, high))
            page.wait_for_timeout(1500)
        page.mouse.click(640, 20)  # on nothing, so that no figure has the focus
        viewer.shot(page, "run", clip=top(page, 990), full_page=True)
        page.close()


def take_notebook(viewer: Viewer, folder: Path) -> None:
    """Take a stretch of the notebook about hyperparameters, as Jupyter exports it."""
    notebook = ROOT / "docs/hyperparameters.ipynb"
    export = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--output-dir", str(folder)]
    subprocess.run([*export, str(notebook)], check=True, capture_output=True)
    viewer.expect("cdn|mathjax|srcdoc")  # what the exporter, and figures further down, would fetch
    page = viewer.open((folder / "hyperparameters.html").as_uri())
    page.wait_for_timeout(4000)
    cells = page.locator(".jp-Cell")
    first = cells.filter(has_text="sweep = swath.Sweep(").first.bounding_box()
    last = cells.filter(has_text="results = sweep.run(").first.bounding_box()
    if first is None or last is None:
        raise SystemExit("the notebook has no sweep, or does not run it")
    height = last["y"] + last["height"] - first["y"]
    viewer.shot(page, "notebook", full_page=True, clip={**first, "x": 0, "width": 1000, "height": height + 8})
    page.close()


def top(page: Page, height: int) -> dict[str, int]:
    """Return the part of a page that is in the picture: its upper end."""
    whole = page.evaluate("document.documentElement.scrollHeight")
    return {"x": 0, "y": 0, "width": 1280, "height": min(height, whole)}


def drag(page: Page, title: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag a box in a figure, from corner to corner in its own coordinates."""
    page.mouse.move(*page.evaluate(PLACE, [title, *start]))
    page.mouse.down()
    page.mouse.move(*page.evaluate(PLACE, [title, *end]), steps=5)
    page.mouse.up()


def shrink(path: Path) -> int:
    """Take colours from a picture until it is light enough; return its bytes.

    Raises
    ------
    SystemExit
        It is not, with as few as 64.
    """
    whole = Image.open(path).convert("RGB")
    for colours in (256, 192, 128, 96, 64):
        whole.quantize(colours, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)
        if (size := path.stat().st_size) <= HEAVY:
            return size
    raise SystemExit(f"{path} has more than {HEAVY:,} bytes")


if __name__ == "__main__":
    main()
