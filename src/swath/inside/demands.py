"""What a definition needs of its points' metrics: steps of each of them, and values of some.

A stop that waits for steps that a point does not record would wait until the point's end, and the next point is no
better: so that ends the sweep. A metric that points return at their end may be missing here and come elsewhere; whoever hears
all replies judges that (`swath.wanted`), and needs to know what came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.inside.columns import there
from swath.wanted import instead

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from swath.inside.metrics import Field
    from swath.inside.steps import Recorder


def unrecorded(metric: str, positions: Iterable[int], recorder: Recorder) -> str:
    """Say so if one of these points, which are ok, has not recorded a metric; else an empty text."""
    told = {step.position for step in recorder.steps if metric in step.metrics}
    # One that goes on from a checkpoint may have nothing left to do.
    silent = set(positions).difference(told, recorder.resumed)
    if not silent:
        return ""
    others = {name for step in recorder.steps if step.position in silent for name in step.metrics}
    return (
        f"stop decides by steps of the metric {metric!r}, but a point returned without having recorded it"
        f"{instead('it recorded', metric, others)}: "
        f"yield it at every step, or call {_call(metric)}, or name another one (stop: metric)"
    )


def returned(wanted: Collection[str], sound: NDArray[np.bool_], fields: Sequence[Field]) -> tuple[str, ...]:
    """Name the wanted metrics that a batch's ``sound`` rows have; all that they have if one is missing."""
    came = {name for name, column in fields if name in wanted and there(column)[sound].any()}
    if len(came) < len(wanted):
        came = {name for name, column in fields if there(column)[sound].any()}
    return tuple(sorted(came))


def _call(name: str) -> str:
    return f"swath.record({name}=...)" if name.isidentifier() else f"swath.record(**{{{name!r}: ...}})"
