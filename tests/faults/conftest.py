"""A fixture for faults of objectives: slots, opened on points and closed at the end."""

from __future__ import annotations

import pytest

from swath.slot import Slot
from tasks import task


@pytest.fixture
def opened(tmp_path):
    """Open slots whose objective, the function ``f`` of a source, is given each point in turn as ``do``."""
    kept = []

    def make(source, *points, **more):
        made = Slot(task(tmp_path, source, {"do": points}, **more), "w/0")
        kept.append(made)
        made.open()
        return made

    yield make
    for made in kept:
        made.close()
