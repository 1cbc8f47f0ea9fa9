"""What a worker's heartbeats say of its slots.

Theory of operation
-------------------
Dask lets a worker add numbers to its heartbeats, and the scheduler shows those that are plain in a table of its Workers
page: these are for people, one column each, over all sweeps that the worker serves. Beside them goes one entry that is
not plain, which Dask shows nowhere: the loads of the slots, by run. The driver finds it in the list of workers that
it asks the scheduler for anyway, so that nothing more is sent. Nothing is computed for a heartbeat but sums over what
the last look at the slots has found.

Whatever a metric raises, Dask swallows, and shows nothing; what is not known is therefore said, as nan or an empty text.
"""

from __future__ import annotations

import contextlib
from functools import partial
from math import nan
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from swath.messages import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swath.slot.pool import Pool

    Pools = Callable[[], Mapping[str, Pool]]

OURS = "swath"
"""The name of every metric of ours begins with this."""

STEPS = "swath_steps"
"""How many steps points have recorded, by run; not plain either."""


def metrics_of(pools: Pools) -> dict[str, Callable[[Any], Any]]:
    """Return the metrics of a worker, by name; ``pools`` tells what pools it has, by run."""
    columns: dict[str, Callable[[list[Pool]], object]] = {
        "swath_points": lambda found: sum(pool.done for pool in found),
        "swath_failed": lambda found: sum(pool.failed for pool in found),
        "swath_points_per_s": lambda found: round(sum(pool.rate or 0.0 for pool in found), 2),
        "swath_point": lambda found: _oldest(found)[0],
        "swath_point_seconds": lambda found: round(_oldest(found)[1], 1),
        "swath_cpu": lambda found: _sum([load.cpu for load in _loads(found)], 1.0, 2),
        "swath_memory_mb": lambda found: _sum([load.memory for load in _loads(found)], 1e-6, None),
    }
    told = {name: partial(_tell, pools, column) for name, column in columns.items()}
    return {**told, OURS: partial(_tell_all, pools), STEPS: partial(_tell_steps, pools)}


def _tell(pools: Pools, column: Callable[[list[Pool]], object], worker: object) -> object:
    del worker
    return column(list(pools().values()))


def _tell_all(pools: Pools, worker: object) -> dict[str, list[list[object]]]:
    del worker
    return {
        run: [[load.slot, load.cpu, load.memory, load.position, load.age] for load in pool.loads]
        for run, pool in pools().items()
    }


def _tell_steps(pools: Pools, worker: object) -> dict[str, int]:
    del worker
    return {run: pool.steps for run, pool in pools().items() if pool.steps}


def has_steps(metrics: Mapping[str, Any], run: str) -> bool:
    """Tell from a worker's metrics whether points of a run have recorded any step there."""
    with contextlib.suppress(AttributeError, TypeError):  # somebody else's metric of that name
        return bool(metrics.get(STEPS, {}).get(run))
    return False


def loads_in(metrics: Mapping[str, Any], run: str) -> tuple[Load, ...]:
    """Find the loads of a run in a worker's metrics; there may be none."""
    with contextlib.suppress(AttributeError, TypeError):  # somebody else's metric of that name
        return tuple(Load(*fields) for fields in metrics.get(OURS, {}).get(run, ()))
    return ()


def _loads(pools: list[Pool]) -> list[Load]:
    return [load for pool in pools for load in pool.loads]


def _sum(values: list[Any], scale: float, digits: int | None) -> float:
    known = [value for value in values if value is not None]
    return round(sum(known) * scale, digits) if known else nan


def _oldest(pools: list[Pool]) -> tuple[str, float]:
    """Return the index of the point that has been evaluated for longest, and for how many seconds; an empty text if none is."""
    point, age = max((pool.at for pool in pools if pool.at), key=itemgetter(1), default=("", 0.0))
    return str(point), age
