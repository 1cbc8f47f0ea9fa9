"""What is handed to the store, checked, and made into what a commit writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swath.messages import Record, Write
from swath.store.proposals import Proposed, tables
from swath.store.segments import Part, RejectedError, accept
from swath.store.steps import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from swath.space import Space

Item = Write | Record | Proposed
"""What waits to be written."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a commit is to write.

    Attributes
    ----------
    parts : list of Part
        Rows.
    workers : tuple of str
        The manifest's list, with those that are new.
    recorded, proposed : list of pa.Table
        Steps and proposals.
    """

    parts: list[Part]
    workers: tuple[str, ...]
    recorded: list[pa.Table]
    proposed: list[pa.Table]

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.parts or self.recorded or self.proposed)


class Intake:
    """Takes what comes in one session.

    Parameters
    ----------
    space : Space
        Of the definition.
    rejected : callable
        Is told the id of a batch whose reply is none, and why.
    noted : callable
        Is told, once, that steps had to be dropped.
    """

    def __init__(
        self, space: Space, rejected: Callable[[int, str], None], noted: Callable[[str], None]
    ) -> None:
        self._space, self._rejected, self._noted = space, rejected, noted
        self._recording = Recording()

    def take(self, items: Sequence[Item], workers: Sequence[str]) -> Taken:
        """Check what has come, in its order; ``workers`` is the manifest's list."""
        names = list(workers)
        parts = self._parts([item for item in items if isinstance(item, Write)], names)
        recorded = self._steps([item for item in items if isinstance(item, Record)])
        proposed = list(tables([item for item in items if isinstance(item, Proposed)]))
        return Taken(parts, tuple(names), recorded, proposed)

    def _parts(self, writes: Sequence[Write], names: list[str]) -> list[Part]:
        parts: list[Part] = []
        for write in writes:
            if write.batch.worker not in names:
                names.append(write.batch.worker)
            try:
                parts.append(accept(write, names.index(write.batch.worker), self._space.positions))
            except RejectedError as error:
                self._rejected(write.batch.id, str(error))
        return parts

    def _steps(self, records: Sequence[Record]) -> list[pa.Table]:
        dropped = self._recording.dropped
        made = list(self._recording.tables(records, self._space.at)) if records else []
        if self._recording.dropped and not dropped:
            self._noted(f"steps that cannot be kept are dropped: {self._recording.reason}")
        return made
