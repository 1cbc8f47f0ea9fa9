"""Questions to the results of a sweep of a million points, and the same done by hand in pandas.

The sweep is run first, in a temporary folder. Then every question is put to its `Results` some times, in turns with what an
expert would write on the frame that pandas reads from ``results.parquet``; the two need not give the same (pandas has no
intervals, and does not know the sweep), but they answer the same question. Printed are medians of seconds.

    python benchmarks/analysis.py [--rows 1000000] [--times 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div, LinearColorMapper
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from bokeh.resources import INLINE

import swath
from measure import markdown
from swath.commands import report

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = ["beta", "gamma", "seed", "mode"]
METRICS = ["error", "cost", "steps"]


def simulate(beta: float, gamma: float, seed: int, mode: str) -> dict[str, float]:
    if seed % 1000 == 1 and mode == "fast":
        raise ArithmeticError("no solution")
    noise = (seed * 2654435761 % 1000) / 1000
    return {
        "error": (beta - 0.3) ** 2 + 0.1 * gamma + noise * (mode == "fast"),
        "cost": beta * gamma,
        "steps": int(beta * 100),
    }


def sweep(rows: int, folder: Path) -> swath.Results:
    parameters = {
        "beta": swath.linspace(0, 1, 100),
        "gamma": swath.linspace(1, 2, 100),
        "seed": swath.range(rows // 20_000),
        "mode": ["exact", "fast"],
    }
    return swath.Sweep(simulate, parameters, minimize="error", name="million").run(out=folder)


def heatmap(frame: pd.DataFrame) -> figure:
    cells = frame.groupby(["beta", "gamma"], as_index=False)["error"].mean()
    plot = figure(title="mean error")
    colour = LinearColorMapper(Viridis256, low=cells["error"].min(), high=cells["error"].max())
    source = ColumnDataSource(cells)
    plot.rect("beta", "gamma", 0.01, 0.01, source=source, color={"field": "error", "transform": colour})
    return plot


def page(frame: pd.DataFrame) -> str:
    """What one would write: a heat map, some points against each parameter, the best rows, what failed."""
    sound, sample = frame[frame["status"] == "ok"], ColumnDataSource(frame.sample(3000, random_state=0))
    slices = [figure(title=name) for name in ("beta", "gamma", "seed")]
    for name, plot in zip(("beta", "gamma", "seed"), slices, strict=True):
        plot.scatter(name, "error", source=sample)
    best, failed = (
        sound.nsmallest(20, "error"),
        frame.loc[frame["status"] != "ok", "failure"].str.partition("\n")[0],
    )
    texts = [Div(text=best.to_html()), Div(text=failed.value_counts().head(10).to_frame().to_html())]
    return file_html(column(heatmap(sound), *slices, *texts), INLINE, "million")


def staircase(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the front of two goals, without points that are equal in both."""
    ordered = rows.sort_values(["error", "cost"])
    return ordered[ordered["cost"] < ordered["cost"].cummin().shift(fill_value=float("inf"))]


def peeled(costs: np.ndarray, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the front of several goals as one finds it on the net: what a point dominates is taken away, point by point."""
    left, i = np.arange(len(costs)), 0
    while i < len(costs):
        kept = (costs < costs[i]).any(axis=1)
        kept[i] = True
        left, costs = left[kept], costs[kept]
        i = int(kept[:i].sum()) + 1
    return rows.iloc[left]


def questions(folder: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    results = swath.open(folder / "million")
    frame = pd.read_parquet(folder / "million" / "results.parquet").set_index("point")
    part, chosen = results.where("beta > gamma - 1"), frame.query("beta > gamma - 1")
    results.frame, part.frame  # noqa: B018  (made once, as a person would have it)

    def sound() -> pd.DataFrame:
        return frame[frame["status"] == "ok"]

    def differences() -> pd.DataFrame:
        wide = sound().set_index(GRID)["error"].unstack("mode")
        return (wide["fast"] - wide["exact"]).groupby(["beta", "gamma"]).agg(["mean", "sem", "count"])

    def labelled(rows: pd.DataFrame) -> object:
        return rows.set_index(GRID)[[*METRICS, "status", "seconds"]].to_xarray()

    def merged() -> pd.DataFrame:
        both = frame.merge(frame, on=GRID, how="outer", suffixes=("_here", "_there"), indicator=True)
        return both[(both["error_here"] - both["error_there"]).abs() > 0]

    return {
        "frame, of files": (
            lambda: swath.open(folder / "million").frame,
            lambda: pd.read_parquet(folder / "million" / "results.parquet"),
        ),
        "best(5)": (lambda: results.best(5), lambda: sound().nsmallest(5, "error")),
        'pareto(by=["error", "cost"])': (
            lambda: results.pareto(by=["error", "cost"]),
            lambda: staircase(sound()),
        ),
        'pareto(by=["error", "cost", ("steps", "maximize")])': (
            lambda: results.pareto(by=["error", "cost", ("steps", "maximize")]),
            lambda: peeled(sound().assign(steps=lambda rows: -rows["steps"])[METRICS].to_numpy(), sound()),
        ),
        "history()": (
            results.history,
            lambda: (
                frame.assign(finished=frame["started"] + pd.to_timedelta(frame["seconds"], unit="s"))
                .sort_values("finished")
                .assign(best=lambda rows: rows["error"].where(rows["status"] == "ok").cummin().ffill())
            ),
        ),
        'mean(over="seed")': (
            results.mean,
            lambda: sound().groupby(["beta", "gamma", "mode"])[METRICS].agg(["mean", "sem", "size"]),
        ),
        'mean(over=["seed", "mode"])': (
            lambda: results.mean(over=["seed", "mode"]),
            lambda: sound().groupby(["beta", "gamma"])[METRICS].agg(["mean", "sem", "size"]),
        ),
        'pivot("beta", "gamma")': (
            lambda: results.pivot("beta", "gamma"),
            lambda: sound().pivot_table(index="beta", columns="gamma", values="error"),
        ),
        "where(\"beta > gamma - 1 and status == 'ok'\").frame": (
            lambda: results.where("beta > gamma - 1 and status == 'ok'").frame,
            lambda: frame.query("beta > gamma - 1 and status == 'ok'"),
        ),
        'where(mode="fast", seed=[1, 2]).frame': (
            lambda: results.where(mode="fast", seed=[1, 2]).frame,
            lambda: frame[(frame["mode"] == "fast") & frame["seed"].isin([1, 2])],
        ),
        'difference("mode")': (lambda: results.difference("mode"), differences),
        "importance()": (
            results.importance,
            lambda: sound()[["beta", "gamma"]].corrwith(sound()["error"], method="spearman"),
        ),
        "failures.rates": (
            lambda: results.failures.rates,
            lambda: [
                frame.assign(failed=frame["status"] != "ok").groupby(name)["failed"].mean() for name in GRID
            ],
        ),
        "to_xarray()": (
            results.to_xarray,
            lambda: labelled(frame),
        ),
        'where("beta > gamma - 1").to_xarray()': (
            part.to_xarray,
            lambda: labelled(chosen),
        ),
        "to_parquet(path)": (
            lambda: results.to_parquet(folder / "ours.parquet"),
            lambda: frame.to_parquet(folder / "theirs.parquet", compression="zstd"),
        ),
        "compare(itself)": (lambda: results.compare(results), merged),
        'plot.heatmap("beta", "gamma")': (
            lambda: results.plot.heatmap("beta", "gamma"),
            lambda: heatmap(sound()),
        ),
        "swath report million": (
            lambda: report.write(folder / "million", str(folder / "ours.html"), ""),
            lambda: (folder / "theirs.html").write_text(
                page(pd.read_parquet(folder / "million" / "results.parquet"))
            ),
        ),
    }


def seconds(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="a multiple of 20,000 [1000000]")
    parser.add_argument("--times", type=int, default=5, help="how often each question is put [5]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = sweep(options.rows, folder)
        print(f"{results!r}\n")
        table = []
        for question, (ours, theirs) in questions(folder).items():
            ours(), theirs()
            pairs = [(seconds(ours), seconds(theirs)) for _ in range(options.times)]
            mine, hand = (statistics.median(side) for side in zip(*pairs, strict=True))
            table.append([f"`{question}`", f"{mine:.3f}", f"{hand:.3f}"])
        print(markdown(["question", "swath, s", "pandas by hand, s"], table))


if __name__ == "__main__":
    main()
