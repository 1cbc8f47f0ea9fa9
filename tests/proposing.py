"""Words for tests of searches in the store: a search, who proposes for it, and what its points record and return."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saving import Session, study
from swath.messages import Batch, Record, Step
from swath.space import Axis, Space

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swath.definition import Definition

POINTS, SEEDS = 12, 2

Content = tuple[int, int]
Recorded = tuple[Content, int, float]


def searched(points: int = POINTS, seeds: int = SEEDS) -> Definition:
    """A search over x, with replicates, which its definition's file describes as it stands here."""
    made = Axis.made(("x",), ("search", {"points": points, "kinds": ["int64"]}), whens=(None,))
    space = Space([[made, Axis.made(("seed",), ("seeds", seeds, 0))]])
    return replace(study(), space=space, source={"points": points, "seeds": seeds})


def define(mapping: dict[str, Any], **_: Any) -> Definition:
    """Read the file of such a definition."""
    return searched(**mapping)


def value_of(x: int, seed: int) -> float:
    """What a point returns, from its content."""
    return x * 1000.0 + seed


class Search(Session):
    """A session that searches."""

    def propose(self, xs: Iterable[int]) -> None:
        rows = [{"x": x} for x in xs]
        book = self.definition.space.proposals
        first = book.known
        book.put(first, rows)
        self.store.propose(first, rows)
        self.store._commits.drain()

    def contents(self, start: int, stop: int) -> list[Content]:
        """What the points at some positions are."""
        found = self.definition.space.columns(start, stop)
        return list(zip(*(found.column(name).values.tolist() for name in ("x", "seed")), strict=True))

    def evaluate(self, start: int, stop: int, **more: Any) -> int:
        return self.save(
            start, stop, error=[value_of(*content) for content in self.contents(start, stop)], **more
        )

    def told(self, start: int, stop: int, numbers: Iterable[int]) -> list[Recorded]:
        """What some points record: content, number and value of each step."""
        contents = self.contents(start, stop)
        return [(content, number, value_of(*content) + number) for number in numbers for content in contents]

    def record(self, start: int, stop: int, recorded: Iterable[Recorded], *, attempt: int = 1) -> None:
        """Have steps written of which `told` told."""
        positions = dict(zip(self.contents(start, stop), range(start, stop), strict=True))
        steps = [Step(positions[at], number, 0.0, {"error": value}) for at, number, value in recorded]
        self.store.append(Record(Batch(10**6, "w0", start, stop, attempt, 1.0), tuple(steps)))
        self.store._commits.drain()
