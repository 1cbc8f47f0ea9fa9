"""Failures of a sweep by what became of the points and what they say, the most frequent first."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bokeh.models import Div

from swath.views.figures.canvas import sheet
from swath.views.palette import FAILED, LIGHT, STATUS, TITLE, Look
from swath.views.text import count, cut, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.snapshot import Complaint

STYLE = """
:host { background: var(--swath-surface, SURFACE); border-radius: 4px; padding: 8px 14px; box-sizing: border-box; }
:host .bk-clearfix { color: var(--swath-ink, INK); display: block; width: 100%; }
.title { font-size: TITLE; font-weight: 700; margin-bottom: 6px; }
.none { color: var(--swath-muted, MUTED); }
table { border-collapse: collapse; width: 100%; font-size: 12px; }
th { text-align: left; font-weight: 500; font-size: 11px; color: var(--swath-muted, MUTED); padding: 0 8px 4px 0;
  border-bottom: 1px solid var(--swath-line, LINE); }
td { padding: 4px 8px 4px 0; vertical-align: top; border-bottom: 1px solid var(--swath-grid, GRID); }
td:first-child { white-space: nowrap; }
td.text { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 11px;
  overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.key { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px; }
.share { height: 3px; border-radius: 2px; margin-top: 3px; background: FAILED; opacity: 0.6; }
"""

WIDEST = 160
"""Columns of a text."""


class Failures:
    """A table in HTML in which everything that came from elsewhere is escaped.

    Attributes
    ----------
    root : Div
    """

    def __init__(self, look: Look = LIGHT, *, height: int = 260) -> None:
        style = STYLE.replace("TITLE", TITLE).replace("FAILED", FAILED)
        for name in ("surface", "ink", "muted", "line", "grid"):
            style = style.replace(name.upper(), getattr(look, name))
        self.root = Div(
            text="",
            height=height,
            sizing_mode="stretch_width",
            disable_math=True,
            margin=0,
            styles={"overflow-y": "auto"},
            stylesheets=[sheet(look, style)],
        )
        self.update(())

    def update(self, complaints: Sequence[Complaint]) -> None:
        """Show failures by kind."""
        text = page(complaints)
        if text != self.root.text:
            self.root.text = text


def page(complaints: Sequence[Complaint]) -> str:
    """Return the HTML of the table."""
    every = sum(each.count for each in complaints)
    head = f'<div class="title">Failures{f", {count(every)}" if every else ""}</div>'
    if not complaints:
        return f'{head}<div class="none">None in this session.</div>'
    most = max(each.count for each in complaints)
    rows = "".join(_row(each, most) for each in complaints)
    return (
        f'{head}<table><tr><th>status</th><th>first line</th><th class="number">points</th>'
        f'<th class="number">for example</th></tr>{rows}</table>'
    )


def _row(complaint: Complaint, most: int) -> str:
    colour = STATUS.get(complaint.status, FAILED)
    text = cut(plain(complaint.text), WIDEST) or "others"
    point = "" if complaint.point is None else count(complaint.point)
    return (
        f'<tr><td><span class="key" style="background:{colour}"></span>{escape(complaint.status)}</td>'
        f'<td class="text">{escape(text)}</td><td class="number">{count(complaint.count)}'
        f'<div class="share" style="width:{100 * complaint.count / most:.0f}%"></div></td>'
        f'<td class="number">{point}</td></tr>'
    )
