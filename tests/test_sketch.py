"""Plots in characters: what they show of which numbers, in the room there is."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import click.testing
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swath
from swath import cli
from swath.commands import foreground
from swath.commands.picture import picture
from swath.definition.loading import load
from swath.errors import UsageError
from swath.views import palette
from swath.views.ansi import COLOURLESS, EIGHT, PLAIN, TRUE, XTERM, Pen
from swath.views.figures.axes import Axis
from swath.views.sketch.curves import history, slices
from swath.views.sketch.heatmap import heatmap
from swath.views.sketch.paper import Room
from swath.views.text import cells

HOSTILE = "\x1b[2J\u202e\x9b31m\n=1+1"


def numeric(name, *values, **how):
    return Axis.numeric(name, np.array(values, dtype=float), **how)


def flat(lines):
    return ["".join(text for text, _ in line).rstrip() for line in lines]


GRID = tuple(np.array(column, dtype=float) for column in zip(
    *((x, y, x * y) for x in (1, 2, 3, 4) for y in (0, 1, 2)), strict=True
))  # fmt: skip
X, Y = numeric("width", 1, 2, 3, 4, whole=True), numeric("depth", 0, 1, 2, whole=True)


def test_a_heat_map_has_a_cell_for_each_pair_of_values():
    xs, ys, values = (column.copy() for column in GRID)
    values[(xs == 4) & (ys == 2)] = np.nan  # it failed
    here = ~((xs == 1) & (ys == 2))  # and this one was not run
    rows = (xs[here], ys[here], values[here])
    assert flat(heatmap(X, Y, rows, Room(60, 20, depth=PLAIN), title="cost", direction="minimize")) == [
        "cost",
        "depth",
        "2   ·   ▓▓▓▓▓▓██████  ×",  # noqa: RUF001
        "1 ░░░░░░▒▒▒▒▒▒▓▓▓▓▓▓▓▓▓▓▓▓",
        "0 ░░◆░░░░░░░░░░░░░░░░░░░░░",
        "  1     2     3     4",
        "           width",
        "  0 ░░▒▒▓▓██ 6   ◆ best   × failed   · nothing",  # noqa: RUF001
    ]
    assert flat(heatmap(X, Y, rows, Room(60, 20, unicode=False, depth=PLAIN), title="cost"))[2:5] == [
        "2   ?   ******@@@@@@  x",
        "1 ::::::------++++++******",
        "0 ........................",
    ]


def test_a_heat_map_is_coloured_where_there_are_colours():
    lines = heatmap(X, Y, GRID, Room(60, 20, depth=TRUE), title="cost", direction="maximize")
    (best,) = [piece for line in lines for piece in line if "◆" in piece[0] and piece[1] != "dim"]
    assert best[1].endswith(f"on{palette.sequential(64)[-1]}")
    assert "\x1b[38;2;0;0;0;48;2;" in Pen(TRUE).line([best])
    for depth in (XTERM, TRUE):
        assert not any("█" in text for text in flat(heatmap(X, Y, GRID, Room(depth=depth), title="")))
    for depth in (PLAIN, COLOURLESS, EIGHT):
        assert any("█" in text for text in flat(heatmap(X, Y, GRID, Room(depth=depth), title="")))


def test_cells_are_means_and_a_wide_axis_is_put_together():
    xs = np.repeat(np.arange(100.0), 10)
    ys = np.tile(np.arange(10.0), 100)
    shown = flat(
        heatmap(numeric("x", *xs), numeric("y", *ys), (xs, ys, xs), Room(30, 10, depth=PLAIN), title="t")
    )
    assert len(shown) <= 10
    assert all(len(line) <= 30 for line in shown)
    rows = shown[2:-3]
    assert len({line.partition(" ")[2] for line in rows}) == 1  # y does not matter
    assert "░▒" in rows[0]
    assert "▓█" in rows[0]


def test_a_heat_map_of_one_value_says_so():
    shown = flat(
        heatmap(X, Y, (*GRID[:2], np.full(12, 3.0)), Room(depth=PLAIN), title="t", direction="minimize")
    )
    assert "all are 3" in shown[-1]
    nothing = flat(
        heatmap(X, Y, (*GRID[:2], np.full(12, np.nan)), Room(depth=PLAIN), title="t", direction="minimize")
    )
    assert nothing[-1].strip() == "× failed"  # noqa: RUF001


def test_a_history_is_a_line_that_only_improves():
    values = np.array([5.0, 3.0, np.nan, 4.0, 1.0, 2.0])
    metric = Axis.numeric("cost", values)
    room = Room(40, 12, unicode=False)
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        lines = flat(history(metric, values, room, title="cost", direction=direction))
        heights = [
            next(i for i, line in enumerate(lines[1:-3]) if line[column : column + 1] == "#")
            for column in range(4, len(lines[1]))
            if any(line[column : column + 1] == "#" for line in lines[1:-3])
        ]
        assert heights == sorted(heights, reverse=sign < 0)
    assert lines[0] == "cost   . points   # best so far"
    assert lines[1].startswith("5 |")
    assert lines[-4].startswith("1 |")
    assert lines[-2].split() == ["1", "6"]  # 3.5 lies between two points
    assert lines[-1].strip() == "points finished"
    assert "best" not in flat(history(metric, values, room, title="cost", direction=""))[0]


def test_a_slice_shows_all_points_and_the_mean_at_each_value():
    xs, ys = np.repeat([0.0, 1.0, 2.0], 3), np.array([0.0, 1, 2, 1, 2, 3, 2, 3, 4])
    shown = flat(
        slices(numeric("x", *xs), numeric("y", *ys), (xs, ys), Room(40, 12, unicode=False), title="y")
    )
    body = "\n".join(shown[1:-3])
    assert body.count("#") >= 3
    assert body.count(".") >= 6
    assert shown[-2].split() == ["0", "1", "2"]
    alone = flat(
        slices(numeric("x", *xs[::3]), numeric("y", *ys[::3]), (xs[::3], ys[::3]), Room(40, 12), title="y")
    )
    assert "mean" not in alone[0]  # each value has one point
    assert sum(0x2800 < ord(c) <= 0x28FF for line in alone for c in line) == 3


def test_logarithmic_axes_have_logarithmic_middles():
    xs = np.geomspace(0.01, 100, 9)
    shown = flat(slices(Axis.numeric("x", xs), Axis.numeric("y", xs), (xs, xs), Room(60, 12), title="y"))
    assert shown[-2].split() == ["0.01", "1", "100"]


LAYOUT = (st.integers(20, 120), st.integers(8, 40), st.booleans(), st.sampled_from([PLAIN, EIGHT, XTERM]))
NUMBERS = st.lists(
    st.tuples(*(st.floats(-1e300, 1e300) | st.just(float("nan")),) * 3), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.builds(Room, *LAYOUT), st.text(max_size=30), st.sampled_from(["", "minimize", "maximize"]))
def test_whatever_is_drawn_fits_and_prints(numbers, room, name, direction):
    xs, ys, values = (np.array(column) for column in zip(*numbers, strict=True))
    x, y, metric = (Axis.numeric(name, column) for column in (xs, ys, values))
    words = Axis.categories(name, [name, HOSTILE, None])
    for lines in (
        heatmap(x, y, (xs, ys, values), room, title=name, direction=direction),
        heatmap(words, y, (np.zeros(len(ys)), ys, values), room, title=name),
        slices(x, metric, (xs, values), room, title=name),
        history(metric, values, room, title=name, direction=direction),
    ):
        for line in lines:
            shown = "".join(text for text, _ in line).rstrip()
            assert shown.isprintable()
            assert cells(shown) <= room.columns
            assert room.unicode or shown.isascii()


def test_a_million_points_are_drawn_at_once():
    n = 1_000_000
    generator = np.random.default_rng(0)
    xs, ys = generator.integers(50, size=n) / 50, generator.normal(size=n)
    x, y = Axis.numeric("x", xs), Axis.numeric("y", ys)
    begun = time.process_time()
    heatmap(x, x, (xs, xs[::-1], ys), Room(), title="")
    slices(x, y, (xs, ys), Room(), title="")
    history(y, ys, Room(), title="", direction="minimize")
    assert time.process_time() - begun < 10


# Of a run.


def cost(width, depth, kind, seed):
    if width == 4 and depth == 2:
        raise ValueError("too large")
    return {"cost": (width - 2) ** 2 + depth + seed % 7 / 100, "text": kind}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    axes = {"width": [1, 2, 3, 4], "depth": [0, 1, 2], "kind": ["a", "b"], "seed": swath.seeds(3)}
    swath.Sweep(cost, axes, name="sized", minimize="cost").run(out=out, engine="inline")
    return out / "sized"


ROOM = Room(60, 20, depth=PLAIN)


def test_by_default_the_two_parameters_that_explain_most_are_drawn(run):
    shown = flat(picture(run, "auto", ROOM))
    assert shown[0] == "mean cost over width and depth, 66 points"
    assert shown[1] == "depth"
    assert "×" in shown[2]  # noqa: RUF001
    assert "◆" in shown[4]
    assert shown[-2].strip() == "width"


@pytest.mark.parametrize(
    ("wish", "title", "bottom"),
    [
        ("width", "cost over width, 66 points", "width"),
        ("kind", "cost over kind, 66 points", "kind"),
        ("kind,depth", "mean cost over kind and depth, 66 points", "kind"),
        ("history", "cost of 72 points", "points finished"),
    ],
)
def test_what_is_asked_for_is_drawn(run, wish, title, bottom):
    shown = flat(picture(run, wish, ROOM))
    assert shown[0].partition("   ")[0] == title
    assert bottom in {line.strip() for line in shown[-2:]}


def test_rows_and_metric_can_be_chosen(run):
    shown = flat(picture(run, "auto", ROOM, where="width < 3 and kind == 'a'"))
    assert shown[0].endswith("18 points")
    with pytest.raises(UsageError, match="no metric named 'text' that is a number, there is cost"):
        picture(run, "auto", ROOM, by="text")
    with pytest.raises(UsageError, match="none of 6 rows has a number 'cost'"):
        picture(run, "auto", ROOM, where="width == 4 and depth == 2")
    with pytest.raises(UsageError, match="--plot wide: there is no parameter 'wide', there is width, depth"):
        picture(run, "wide", ROOM)
    with pytest.raises(UsageError, match="name one parameter, or two different ones"):
        picture(run, "width,width", ROOM)


def ask(*words):
    return click.testing.CliRunner().invoke(cli.sweep, [str(word) for word in words])


def test_the_command_draws_plainly_into_a_pipe(run):
    result = ask("results", run, "--plot")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("mean cost over width and depth, 66 points\n")
    assert "\x1b" not in result.stdout
    assert ask("results", run, "--plot", "width").stdout.startswith("cost over width")
    wrong = ask("results", run, "--plot", "--best", "3")
    assert (wrong.exit_code, wrong.stderr) == (2, "--plot cannot be combined with --best; leave one out\n")
    wrong = ask("results", run, "--plot", "--format", "csv")
    assert (wrong.exit_code, wrong.stderr) == (2, "--plot cannot be combined with --format; leave one out\n")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("long", "mode", "drawn"), [(0.0, "auto", True), (1e9, "auto", False), (0.0, "log", False)]
)
def test_after_a_sweep_that_took_a_while_its_terminal_shows_a_picture(
    long, mode, drawn, tmp_path, monkeypatch
):
    (tmp_path / "sized.py").write_text("def f(a, b):\n    return {'cost': a * b}\n")
    (tmp_path / "sized.yaml").write_text(
        "objective: sized:f\nparameters: {a: [1, 2, 3], b: [1, 2]}\nminimize: cost\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(foreground, "LONG", long)
    stream = Terminal()
    options = {"engine": "inline", "out": tmp_path}
    code = foreground.run(load(Path("sized.yaml")), options, mode, stream, ["sized.yaml"], as_json=False)
    sys.modules.pop("sized", None)
    assert code == 0
    assert ("cost over a and b, 6 points" in stream.getvalue()) == drawn
