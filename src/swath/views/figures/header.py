"""The head of a live page: how far a sweep is, how fast it goes, what it has found."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from bokeh.models import Div

from swath.views.figures.axes import words
from swath.views.figures.canvas import sheet
from swath.views.palette import FAILED, LIGHT, STATE, STATUS, Look
from swath.views.text import count, cut, duration, guess, plain, rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from swath.snapshot import Snapshot

NONE = "\N{EN DASH}"

MANY = 6
"""Parameters of the best point that are written out."""

STYLE = """
:host .bk-clearfix { color: var(--swath-ink, INK); display: block; width: 100%; }
.top { display: flex; align-items: baseline; gap: 10px; flex-wrap: wrap; }
.name { font-size: 18px; font-weight: 650; overflow-wrap: anywhere; }
.state { color: #fff; border-radius: 9px; padding: 1px 9px; font-size: 11px; font-weight: 600; }
.where { color: var(--swath-muted, MUTED); font-size: 12px; overflow-wrap: anywhere; }
.bar { display: flex; height: 8px; border-radius: 4px; overflow: hidden; margin: 8px 0 10px;
  background: var(--swath-pending, PENDING); }
.tiles { display: flex; flex-wrap: wrap; gap: 8px 30px; }
.tile { min-width: 64px; }
.what { color: var(--swath-muted, MUTED); font-size: 11px; white-space: nowrap; }
.value { font-size: 19px; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; white-space: nowrap; }
.more { color: var(--swath-muted, MUTED); font-size: 11px; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.lost { margin-top: 8px; color: FAILED; font-weight: 600; }
.best { flex: 1 1 220px; }
"""


class Header:
    """Text and a bar, as wide as there is room.

    Attributes
    ----------
    root : Div
        Everything that came from elsewhere is escaped in it.
    """

    def __init__(self, look: Look = LIGHT) -> None:
        style = (
            STYLE.replace("MUTED", look.muted)
            .replace("INK", look.ink)
            .replace("FAILED", FAILED)
            .replace("PENDING", look.pending)
        )
        self.root = Div(
            text="",
            margin=0,
            sizing_mode="stretch_width",
            disable_math=True,
            stylesheets=[sheet(look, style)],
        )

    def update(self, snapshot: Snapshot, about: Mapping[str, Any], busy: int, notice: str = "") -> None:
        """Show a snapshot.

        Parameters
        ----------
        snapshot : Snapshot
            How it goes.
        about : mapping
            ``folder`` and ``host`` of the run.
        busy : int
            Slots that hold a batch.
        notice : str
            What else is to be said, in plain text.
        """
        text = page(snapshot, about, busy, notice)
        if text != self.root.text:
            self.root.text = text


def page(snapshot: Snapshot, about: Mapping[str, Any], busy: int, notice: str = "") -> str:
    """Return the HTML of a header."""
    where = " · ".join(str(about[key]) for key in ("host", "folder") if about.get(key))
    said = f"{snapshot.state}: {snapshot.reason}" if snapshot.reason else snapshot.state
    tiles = "".join(_tile(*tile) for tile in _tiles(snapshot, busy))
    return (
        f'<div class="top"><span class="name">{_safe(snapshot.name, 80)}</span>'
        f'<span class="state" style="background:{STATE[snapshot.state]}">{_safe(said, 80)}</span>'
        f'<span class="where">{_safe(notice or where, 200)}</span></div>'
        f'<div class="bar">{_bar(snapshot)}</div><div class="tiles">{tiles}{_best(snapshot)}</div>'
    )


def _safe(text: object, room: int) -> str:
    return escape(cut(plain(text), room))


def _bar(snapshot: Snapshot) -> str:
    total = max(1, snapshot.total - snapshot.excluded)
    parts = [
        (STATUS["ok"], "ok", snapshot.ok),
        (STATUS["pruned"], "pruned", snapshot.statuses.get("pruned", 0)),
    ]
    parts += [(STATUS.get(status, FAILED), status, n) for status, n in snapshot.failures.items()]
    return "".join(
        f'<div title="{_safe(status, 20)}: {count(n)}" style="background:{colour};width:{100 * n / total:.3f}%"></div>'
        for colour, status, n in parts
        if n
    )


def _tile(what: str, value: str, more: str = "", colour: str = "") -> str:
    style = f' style="color:{colour}"' if colour else ""
    return (
        f'<div class="tile"><div class="what">{escape(what)}</div><div class="value"{style}>{escape(value)}</div>'
        f'<div class="more">{escape(more) or "&nbsp;"}</div></div>'
    )


def _tiles(snapshot: Snapshot, busy: int) -> Iterator[tuple[str, ...]]:
    total = snapshot.total - snapshot.excluded
    done = sum(snapshot.statuses.values())
    share = f"{100 * done / total:.1f} %" if total else ""
    yield "done", f"{count(done)} / {count(total)}", share
    if early := snapshot.statuses.get("pruned"):
        yield "stopped early", count(early)
    failures = ", ".join(f"{count(n)} {status}" for status, n in snapshot.failures.items())
    yield "failed", count(snapshot.failed), cut(failures, 36), FAILED if snapshot.failed else ""
    yield "running", count(0 if snapshot.over else busy), f"of {count(snapshot.slots)} slots"
    if snapshot.retried:
        yield "tried again", count(snapshot.retried), "attempts"
    now = rate(snapshot.rate) if snapshot.rate is not None and not snapshot.over else NONE
    yield "points", now, f"{rate(snapshot.overall)} overall" if snapshot.overall is not None else ""
    left = guess(*snapshot.eta) if snapshot.eta and not snapshot.over else NONE
    yield "time left", left.replace("-", NONE), f"{duration(snapshot.elapsed)} so far"
    if snapshot.utilisation is not None:
        yield "utilisation", f"{100 * snapshot.utilisation:.0f} %", "of the slots' time"
    yield "cost", _hours(snapshot.cost), "core-hours"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _best(snapshot: Snapshot) -> str:
    if snapshot.best is None:
        return ""
    value, point = snapshot.best
    way = {"minimize": "lowest", "maximize": "highest"}.get(snapshot.direction, "best")
    shown = list(snapshot.parameters.items())
    given = ", ".join(f"{cut(plain(name), 24)} = {words(content)}" for name, content in shown[:MANY])
    more = f" and {len(shown) - MANY} more" if len(shown) > MANY else ""
    return (
        f'<div class="tile best"><div class="what">{way} {_safe(snapshot.metric, 40)}</div>'
        f'<div class="value">{value:.6g}</div>'
        f'<div class="more">point {count(point)}{": " if given else ""}{_safe(given, 240)}{more}</div></div>'
    )
