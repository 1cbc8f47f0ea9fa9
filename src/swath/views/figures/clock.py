"""Axes of time: seconds since a sweep began, written as people say them."""

from __future__ import annotations

from math import inf
from typing import Any

from bokeh.models import AdaptiveTicker, CustomJSTickFormatter, Range1d

LEAST = 10.0
"""Seconds that are in view at the beginning."""

SINCE = """
const s = Math.round(tick), pad = (n) => String(n).padStart(2, "0");
if (s < 0) return "";
if (s < 60) return s + " s";
if (s < 3600) return Math.floor(s / 60) + ":" + pad(s % 60);
if (s < 172800) return Math.floor(s / 3600) + ":" + pad(Math.floor(s % 3600 / 60)) + " h";
return (s / 86400).toFixed(1) + " d";
"""

BYTES = """
const units = ["B", "KiB", "MiB", "GiB", "TiB"];
let n = tick, i = 0;
while (n >= 1024 && i < 4) { n /= 1024; i += 1; }
return (n % 1 ? n.toFixed(1) : n.toFixed(0)) + " " + units[i];
"""


def clock(axis: Any) -> None:
    """Let an axis of seconds be read as a clock that was started with the sweep."""
    axis.ticker = AdaptiveTicker(
        mantissas=[1, 2, 5, 10, 15, 30], base=60, min_interval=1, desired_num_ticks=5, num_minor_ticks=0
    )
    axis.formatter = CustomJSTickFormatter(code=SINCE)


class Follower:
    """A range that goes with the time, until somebody pans or zooms; the reset tool lets it go on.

    Parameters
    ----------
    span : float
        Seconds that are in view; all of them if it is infinite.
    """

    def __init__(self, span: float = inf) -> None:
        self.range = Range1d(0.0, LEAST, reset_start=0.0, reset_end=LEAST)
        self._span = span
        self._set = (0.0, LEAST)

    def go(self, now: float) -> None:
        """Go on to ``now``, in seconds."""
        follows = (self.range.start, self.range.end) == self._set
        end = max(LEAST, now)
        start = max(0.0, end - self._span)
        self._set = start, end
        self.range.update(reset_start=start, reset_end=end)
        if follows:
            self.range.update(start=start, end=end)


def octets(axis: Any) -> None:
    """Let an axis of bytes have round numbers and units."""
    axis.ticker = AdaptiveTicker(
        mantissas=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512], base=1024, desired_num_ticks=4, num_minor_ticks=0
    )
    axis.formatter = CustomJSTickFormatter(code=BYTES)
