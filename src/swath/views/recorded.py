"""From a frame of steps to the columns that figures and sketches draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from swath.views.figures.traces import Curves

if TYPE_CHECKING:
    import pandas as pd

CORE: Final = ("point", "step", "seconds")


def recorded(frame: pd.DataFrame) -> Curves | None:
    """Return what points recorded on their way, of a frame as `swath.results.Results.curves`; None where that is no metric."""
    names = [name for name in frame.columns if name not in CORE]
    if not len(frame) or not names:
        return None
    metrics = {str(name): frame[name].to_numpy(np.float64, na_value=np.nan) for name in names}
    return Curves(frame["point"].to_numpy(np.int64), frame["step"].to_numpy(np.int64), metrics)
