"""Whether a sweep has positions that open later, and who opens them; what such a batch must bring along."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swath.run.planning import Planner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swath.definition import Definition
    from swath.definition.searching import Search
    from swath.engines import Engine
    from swath.messages import Batch
    from swath.ranges import RangeSet
    from swath.run.options import Options
    from swath.run.replicating import Replicating
    from swath.run.searching import Searching
    from swath.search import Proposer
    from swath.space import Space
    from swath.store import Store
    from swath.store.history import Past


def make_planner(
    definition: Definition,
    options: Options,
    store: Store,
    past: Past,
    again: Mapping[int, RangeSet],
    engine: Engine,
) -> Planner | None:
    """Make who opens positions, unless all are known; what takes and raises what `swath.run.prepare` does."""
    book = definition.space.proposals
    done = past.done.copy()
    for positions in again.values():
        done.difference_update(positions)
    plan: Searching | Replicating
    if definition.until:
        plan = _replicating(definition, store, done)
        todo = len(plan.pending)
    elif book is not None and book.known < book.points:
        plan = _searching(definition, options, store, past, done)
        todo = definition.space.size - len(done)
    else:
        return None
    return Planner(
        plan, opened=plan.opened, pending=len(plan.pending), todo=todo, post=engine.post, now=engine.now
    )


def _replicating(definition: Definition, store: Store, done: RangeSet) -> Replicating:
    from swath.run.replicating import Replicating  # noqa: PLC0415  # as below

    assert definition.until is not None  # noqa: S101  # for the type checker
    return Replicating(definition.space, definition.until, saved=store.saved(), done=done)


def _searching(
    definition: Definition, options: Options, store: Store, past: Past, done: RangeSet
) -> Searching:
    from swath.run.searching import Searching  # noqa: PLC0415  # ordinary sweeps need none of it

    assert definition.search is not None  # noqa: S101  # the space has a book
    search = definition.search
    return Searching(
        definition.space,
        method=search.method,
        metrics=_learned(definition, search),
        make=lambda: _proposer(definition),
        saved=store.saved,
        propose=store.propose,
        stored=past.proposals,
        done=done,
        startup=search.startup,
        limit=options.limit,
    )


def _learned(definition: Definition, search: Search) -> list[str]:
    """Name the metrics that an optimiser learns from."""
    space = definition.space
    read = {name for bound in search.subject_to for name in bound.names}
    return [
        *dict(definition.goals),
        *sorted(read.difference(space.names, space.derived, dict(definition.goals))),
    ]


def _proposer(definition: Definition) -> Proposer:
    from swath.search import Proposer  # noqa: PLC0415  # in the thread that waits for it: a second of imports

    return Proposer(definition)


def filler(space: Space) -> Callable[[Batch], Batch]:
    """Return what puts into a batch what its slot does not know: the proposals in its range."""
    book = space.proposals
    if book is None:
        return lambda batch: batch
    return lambda batch: replace(batch, points=book.encode(space.proposed(batch.start, batch.stop)))
