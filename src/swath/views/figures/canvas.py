"""An empty figure in our style, and the small things that every figure has.

Figures are drawn on axes of length 1 (`swath.views.figures.axes.Axis.unit`) with ticks of our own, so that numbers on any
scale and categories are treated alike. Their colours are set one by one rather than by a theme, because they also stand on
pages whose theme is another's. All text is plain: a title or a label is never taken for a formula or for HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.models import Axis as BokehAxis
from bokeh.models import Div, FixedTicker, HoverTool, InlineStyleSheet, NoOverlap, PlainText, Title
from bokeh.plotting import figure

from swath.views.figures.axes import RAIL, harmless
from swath.views.palette import BODY, FONT, LIGHT, MONO, SMALL, TITLE, Look
from swath.views.text import cut, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.views.figures.axes import Axis

ROOM = 44
"""Columns of all labels along an axis together."""
NAME = 40
"""Columns of a name in a title or a label."""


def said(text: object, room: int = NAME) -> str:
    """Return a name as it may be written in a figure: on one line, short, no formula."""
    return harmless(cut(plain(text), room))


def canvas(title: str, look: Look = LIGHT, *, height: int = 260, **options: Any) -> figure:
    """Make an empty figure, as wide as there is room.

    Parameters
    ----------
    title : str
        What it shows; hostile names have passed `said`.
    look : Look
        Colours of the background, of text and lines.
    height : int
        Pixels.
    **options
        Of `bokeh.plotting.figure`.
    """
    made = figure(
        **{
            "height": height,
            "sizing_mode": "stretch_width",
            "min_width": 220,
            "toolbar_location": None,
            "tools": "",
            "background_fill_color": None,  # CSS does it, so that a page can change its look
            "border_fill_color": None,
            "outline_line_color": None,
            "styles": {"background-color": variable("surface", look)},
            "min_border_left": 56,
            "min_border_right": 16,
            "min_border_bottom": 44,
            "output_backend": "canvas",
            **options,
        }
    )
    made.title = Title(
        text=PlainText(text=title),
        text_color=look.ink,
        text_font=FONT,
        text_font_size=TITLE,
        text_font_style="bold",
        standoff=8,
    )
    for axis in made.axis:
        style(axis, look)
    made.grid.grid_line_color = look.grid
    return made


def style(axis: Any, look: Look) -> None:
    """Give an axis, or a colour bar, quiet lines and small text."""
    title = "axis_label" if isinstance(axis, BokehAxis) else "title"
    setattr(axis, f"{title}_text_font_style", "normal")
    for part in ("major_label", title):
        setattr(axis, f"{part}_text_color", look.muted)
        setattr(axis, f"{part}_text_font", FONT)
        setattr(axis, f"{part}_text_font_size", SMALL if part == "major_label" else "12px")
    if title == "axis_label":
        axis.axis_line_color = axis.major_tick_line_color = look.line
        axis.minor_tick_line_color = None
        axis.major_tick_in, axis.major_tick_out = 0, 4
        axis.axis_label_standoff = 6


def label(axis: Any, text: str) -> None:
    """Write under an axis what it is."""
    axis.axis_label = PlainText(text=said(text))


def ticks(axis: Any, labels: Mapping[float, str]) -> None:
    """Write labels at places of an axis."""
    axis.ticker = FixedTicker(ticks=list(labels), minor_ticks=[])
    axis.major_label_overrides = dict(labels)


def scale(axis: Any, of: Axis, most: int = 7, missing: str = "") -> None:
    """Write the name and the values of one of our axes along one of Bokeh's that goes from 0 to 1; and what is not on it."""
    label(axis, of.name)
    found = of.ticks(most)
    room = max(5, ROOM // max(1, len(found)))
    rail = {RAIL: missing} if missing else {}
    ticks(axis, rail | {place: cut(text, room) for place, text in found.items()})
    axis.major_label_policy = NoOverlap()  # the rail is close to the first value


def tooltips(rows: Sequence[tuple[str, str]], **options: Any) -> HoverTool:
    """Make a tool that tells about the mark under the mouse.

    Parameters
    ----------
    rows : sequence of (str, str)
        A name, which may be hostile, and a field of the source as Bokeh writes it: ``@c0``.
    **options
        Of `bokeh.models.HoverTool`.
    """
    named = [(said(name).replace("@", "@\u200b").replace("$", "$\u200b"), field) for name, field in rows]
    return HoverTool(tooltips=named, limit=1, **options)


def note(text: str, look: Look = LIGHT) -> Div:
    """Make a line of small text; it is text, whatever it holds."""
    return Div(text=text, render_as_text=True, sizing_mode="stretch_width", stylesheets=[sheet(look)])


def sheet(look: Look, more: str = "") -> InlineStyleSheet:
    """Return the style of widgets: a page's own look where it has one, otherwise the one given."""
    ink, muted, line = _variables(look, "ink", "muted", "line")
    surface, accent = _variables(look, "surface", "accent")
    return InlineStyleSheet(
        css=f"""
:host {{ color: {ink}; font: {BODY}/1.45 {FONT}; }}
:host .bk-clearfix {{ color: {muted}; }}
.bk-input, .bk-btn {{ color: {ink} !important; background: {surface} !important; border: 1px solid {line} !important;
  border-radius: 6px !important; font: {BODY} {FONT} !important; }}
.bk-btn:hover {{ border-color: {accent} !important; }}
.bk-input:focus {{ border-color: {accent} !important; box-shadow: none !important; }}
label {{ color: {muted}; font-size: {SMALL}; }}
code, pre {{ font: 12px/1.5 {MONO}; }}
{more}"""
    )


def _variables(look: Look, *names: str) -> list[str]:
    return [variable(name, look) for name in names]


def variable(name: str, look: Look) -> str:
    """Return the CSS value of a colour of the page's look."""
    return f"var(--swath-{name}, {getattr(look, name)})"
