"""Steps of a point beside its checkpoint, so that an attempt which goes on knows what the one before has recorded.

Theory of operation
-------------------
A checkpoint is there as soon as the point has written it; a step is durable only when the driver has committed it. A driver that
is killed in between would leave a checkpoint of step 40 and a curve that ends at step 30, or a training that is
finished and has no row. So, once a point has asked for its folder, each of its steps is also written into a file there. The
next attempt tells these steps again, up to the first one that it records itself: it decides from where on things are
done anew. A step that is told twice counts once.

This is a second net under what the driver keeps, never worth a point: what cannot be written or read is left out.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swath.recording import checked_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME: Final = ".steps"
"""The file in a point's folder."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A step as an earlier attempt has recorded it; `swath.messages.Step` says what the numbers mean."""

    step: int
    seconds: float
    given: Mapping[str, Any]


def last_step(folder: Path) -> int:
    """Return the last step that a point has kept in its folder; 0 if it has kept none."""
    return max((kept.step for kept in Trail(folder).earlier), default=0)


class Trail:
    """The steps of one point.

    Parameters
    ----------
    folder : Path
        The point's.

    Attributes
    ----------
    earlier : list of Kept
        What attempts before this one have recorded, as long as it was not told again.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self.earlier = self._read()

    def until(self, step: int | None) -> Sequence[Kept]:
        """Hand over the earlier steps below one that is recorded now (None: all), and forget the others."""
        found = [kept for kept in self.earlier if step is None or kept.step < step]
        if len(found) < len(self.earlier):
            self._rewrite(found)
        self.earlier = []
        return found

    def add(self, kept: Kept) -> None:
        """Write down a step."""
        with contextlib.suppress(OSError, TypeError, ValueError):
            file = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.write(file, _line(kept))
            finally:
                os.close(file)

    def _read(self) -> list[Kept]:
        """Read up to the first line that is torn, or not above the one before; what follows is taken out."""
        found: list[Kept] = []
        lines: list[bytes] = []
        with contextlib.suppress(OSError, ValueError, TypeError):
            lines = self._file.read_bytes().splitlines()
            for text in lines:
                kept = Kept(*json.loads(text))
                checked_metrics(kept.given)
                if found and kept.step <= found[-1].step:
                    break
                found.append(kept)
        if len(found) < len(lines):
            self._rewrite(found)
        return found

    def _rewrite(self, steps: Sequence[Kept]) -> None:
        beside = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            beside.write_bytes(b"".join(map(_line, steps)))
            beside.replace(self._file)


def _line(kept: Kept) -> bytes:
    plain = {
        name: value.item() if hasattr(value, "item") else value  # numpy's scalars
        for name, value in kept.given.items()
    }
    return json.dumps((kept.step, kept.seconds, plain)).encode() + b"\n"
