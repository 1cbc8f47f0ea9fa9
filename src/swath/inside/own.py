"""Every point gets its own copy of what it could change, so that it cannot change what another point receives.

Copies cost time, which most values do not need: what cannot be changed is shared; a frame of pandas is copied when somebody
writes to it; a large array is shared too, but cannot be written to.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

LARGE = 2**20
"""Bytes beyond which an array is not copied for every point (some 50 microseconds)."""


def own(value: Any) -> Any:
    """Return a value that whoever receives it may change, or that cannot be changed.

    What cannot be copied at all, a lock for example, is returned itself.
    """
    if isinstance(value, np.ndarray) and value.nbytes > LARGE and not value.dtype.hasobject:
        shared = value.view()
        shared.flags.writeable = False
        return shared
    try:
        if type(value).__module__.partition(".")[0] == "pandas":
            return value.copy(deep=False)
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # any code may run in there
        return value
