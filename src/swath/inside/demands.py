"""What a definition needs of its points' metrics, and what to say when it does not get it.

A search that waits for a metric that no point returns, or a stop that waits for steps that no point records, would
go on to the end and be worth nothing. So the first points that show it end the sweep, with a sentence.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from swath.inside.columns import there

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from swath.inside.metrics import Field
    from swath.inside.steps import Recorder

MOST_NAMES = 8
"""Names that a sentence lists."""


class Demands:
    """Metrics that points must record or return.

    Parameters
    ----------
    stepped : str
        The metric that every point must record; empty if none.
    wanted : iterable of str
        Metrics of which the first points must return each at least once.
    """

    def __init__(self, stepped: str, wanted: Iterable[str]) -> None:
        self._stepped = stepped
        self._wanted = set(wanted)

    def unmet(
        self,
        positions: NDArray[np.int64],
        sound: NDArray[np.bool_],
        fields: Sequence[Field],
        recorder: Recorder,
    ) -> str:
        """Say what is missing in the points of a batch that are ok; an empty text if nothing is."""
        if not (self._stepped or self._wanted) or not sound.any():
            return ""
        return self._unrecorded(positions[sound].tolist(), recorder) or self._unreturned(sound, fields)

    def met(self) -> None:
        """Take in that points, evaluated elsewhere, have returned what is wanted."""
        self._wanted.clear()

    def _unrecorded(self, positions: Iterable[int], recorder: Recorder) -> str:
        if not self._stepped:
            return ""
        told = {step.position for step in recorder.steps if self._stepped in step.metrics}
        # One that goes on from a checkpoint may have nothing left to do.
        silent = set(positions).difference(told, recorder.resumed)
        if not silent:
            return ""
        others = {name for step in recorder.steps if step.position in silent for name in step.metrics}
        return (
            f"stop decides by steps of the metric {self._stepped!r}, but a point returned without having recorded it"
            f"{_instead('it recorded', self._stepped, others)}: "
            f"yield it at every step, or call {_call(self._stepped)}, or name another one (stop: metric)"
        )

    def _unreturned(self, sound: NDArray[np.bool_], fields: Sequence[Field]) -> str:
        if not self._wanted:
            return ""
        returned = {name for name, column in fields if there(column)[sound].any()}
        if missing := sorted(self._wanted - returned):
            return (
                f"the sweep goes by the metric {missing[0]!r}, which the first {int(sound.sum()):,} points did not return"
                f"{_instead('they returned', missing[0], returned)}; correct minimize, maximize, subject_to or until, or the objective"
            )
        self._wanted.clear()
        return ""


def _instead(verb: str, name: str, others: Collection[str]) -> str:
    """Say what there is instead of a name, and which of it may have been meant."""
    if not others:
        return ""
    names = sorted(others)
    close = difflib.get_close_matches(name, names, n=1)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f" ({verb} {', '.join(map(repr, names[:MOST_NAMES]))}{more}{hint})"


def _call(name: str) -> str:
    return f"swath.record({name}=...)" if name.isidentifier() else f"swath.record(**{{{name!r}: ...}})"
