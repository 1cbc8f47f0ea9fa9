"""A clock for Dask that does not jump.

Dask decides by the wall clock when its next messages may leave (``distributed.batched``), and tornado by the wall
clock whether a timer is due. When that is set back by an hour, nothing is sent for an hour. Both only compare their
clock with itself, so one that began with the wall clock and then runs evenly serves them as well.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.ioloop import IOLoop

_ZERO = time.time() - time.monotonic()


def steady() -> float:
    """Seconds since about 1970, as the wall clock was when this process began."""
    return _ZERO + time.monotonic()


def keep_steady(loop: IOLoop) -> None:
    """Let what Dask does on a loop of this process go by the steady clock."""
    from distributed import batched  # noqa: PLC0415  # Dask is imported when a cluster is made

    batched.time = steady
    loop.time = steady  # type: ignore[method-assign]
