"""Colours, fonts and sizes of everything that swath draws, in a browser, a notebook or a terminal.

Theory of operation. A status has one colour everywhere, on light and on dark backgrounds. All colours of statuses were
chosen to differ for people with any of the usual colour deficiencies, and none of them occurs in the sequential map,
so that a failed cell cannot be taken for a value. A `Look` holds what depends on the background. Web pages take it as
CSS variables, which also reach into the shadow trees of Bokeh's widgets.

Nothing but the standard library is imported: a terminal needs the colours and has no Bokeh.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS: Final[Mapping[str, str]] = {
    "ok": "#2a9d8f",
    "error": "#d1495b",
    "crash": "#9b2f7f",
    "timeout": "#e08e1b",
    "oom": "#7a5cc4",
    "invalid": "#b5651d",
    "pruned": "#8795a8",
}
"""By status, in the order of `swath.messages.STATUSES`."""

FAILED: Final = STATUS["error"]
"""For failures of any status together."""

RUNNING: Final = "#3a7bd5"
IDLE: Final = "#b8c0cc"

STATE: Final[Mapping[str, str]] = {
    "starting": IDLE,
    "running": RUNNING,
    "draining": STATUS["timeout"],
    "complete": STATUS["ok"],
    "stopped": STATUS["error"],
}
"""By the state of a sweep."""

ACCENT: Final = "#3a7bd5"
"""What a person has chosen: a brush, a selected point."""

SERIES: Final = (
    "#3a7bd5",
    "#e08e1b",
    "#2a9d8f",
    "#9b2f7f",
    "#7a5cc4",
    "#b5651d",
    "#4ba3c7",
    "#6b7c93",
)
"""For lines that are told apart by nothing but their name, such as workers."""

_VIRIDIS = ("#471365", "#443a83", "#38588c", "#2c728e", "#21908d", "#27ad81", "#5cc863", "#addc30")
"""Anchors of viridis (van der Walt and Smith, 2015) without its ends, which vanish on dark and on light pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What depends on the background.

    Attributes
    ----------
    page, surface : str
        Behind everything; behind a figure.
    ink, muted : str
        Text; text that stands back, such as the numbers on an axis.
    line, grid : str
        Borders and axes; the lines within a figure.
    pending, stripe : str
        A cell that has no row yet; every other row of a table.
    accent : str
        Links, brushes.
    """

    page: str
    surface: str
    ink: str
    muted: str
    line: str
    grid: str
    pending: str
    stripe: str
    accent: str = ACCENT

    @property
    def is_dark(self) -> bool:
        """Whether text is lighter than what it stands on."""
        return int(self.ink[1:3], 16) > int(self.page[1:3], 16)

    @property
    def variables(self) -> str:
        """CSS declarations, ``--swath-ink: #...;`` and so on."""
        return " ".join(f"--swath-{name}: {colour};" for name, colour in asdict(self).items())


LIGHT: Final = Look(
    page="#f7f8fa",
    surface="#ffffff",
    ink="#1f2933",
    muted="#5f6c7b",
    line="#cfd6de",
    grid="#edf0f3",
    pending="#e3e7ec",
    stripe="#f6f8fa",
)
DARK: Final = Look(
    page="#14171c",
    surface="#1c2027",
    ink="#e4e8ed",
    muted="#9aa6b4",
    line="#3d4652",
    grid="#282e37",
    pending="#333a45",
    stripe="#20252d",
    accent="#6aa2ea",
)

FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
MONO: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SMALL, BODY, TITLE = "11px", "13px", "14px"
GAP: Final = 12
"""Pixels between things that stand beside each other."""


def sequential(n: int = 256, *, reverse: bool = False) -> list[str]:
    """Return ``n`` colours from dark to bright for values from low to high; other way round with ``reverse``."""
    anchors = [_channels(colour) for colour in (reversed(_VIRIDIS) if reverse else _VIRIDIS)]
    steps = len(anchors) - 1
    colours = []
    for i in range(n):
        at = i * steps / max(1, n - 1)
        low = min(int(at), steps - 1)
        mixed = (a + (b - a) * (at - low) for a, b in zip(anchors[low], anchors[low + 1], strict=True))
        colours.append("#" + "".join(f"{round(channel):02x}" for channel in mixed))
    return colours


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def css(*, dark: bool | None = None) -> str:
    """Return the style of a page: the variables of a look, fonts and sizes.

    Parameters
    ----------
    dark : bool, optional
        Which look; default: as the person's system prefers.
    """
    chosen = DARK if dark else LIGHT
    root = f":root {{ {chosen.variables} }}"
    if dark is None:
        root += f" @media (prefers-color-scheme: dark) {{ :root {{ {DARK.variables} color-scheme: dark; }} }}"
    return (
        f"{root} body {{ margin: 0; background: var(--swath-page); color: var(--swath-ink); "
        f"font: {BODY}/1.5 {FONT}; }} code, pre {{ font-family: {MONO}; font-size: {BODY}; }}"
    )
