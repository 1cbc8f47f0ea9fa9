"""Whether a sweep has positions that open later, and who opens them; what such a batch must bring along."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from swath.run.planning import Planner
from swath.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swath.definition import Definition
    from swath.engines import Engine
    from swath.messages import Batch
    from swath.ranges import RangeSet
    from swath.run.options import Options
    from swath.run.replicating import Replicating
    from swath.run.searching import Searching
    from swath.search import Proposer
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
    return Replicating(definition.space, definition.until, saved=store.saved.rows(), done=done)


def _searching(
    definition: Definition, options: Options, store: Store, past: Past, done: RangeSet
) -> Searching:
    from swath.run.searching import Searching  # noqa: PLC0415  # ordinary sweeps need none of it

    assert definition.search is not None  # noqa: S101  # the space has a book
    search = definition.search
    return Searching(
        definition.space,
        method=search.method,
        metrics=search.metrics,
        make=lambda: _proposer(definition),
        saved=store.saved.rows,
        steps=store.saved.steps,
        propose=store.propose,
        stored=past.proposals,
        done=done,
        startup=search.startup,
        limit=options.limit,
    )


def _proposer(definition: Definition) -> Proposer:
    """Make the optimiser, and let it learn from another run."""
    from swath.search import Proposer  # noqa: PLC0415  # in the thread that waits for it: a second of imports

    made = Proposer(definition)
    if definition.search is not None and definition.search.earlier is not None:
        from swath.run.adopting import finished  # noqa: PLC0415  # few searches do

        for row, outcome in finished(definition.search.earlier, definition, made):
            made.learn(row, outcome)
    return made


def with_new_book(definition: Definition) -> Definition:
    """Return a definition whose search has proposed nothing yet: the same object may have been run before, elsewhere."""
    if definition.space.proposals is None:
        return definition
    return replace(definition, space=Space.from_spec(definition.space.spec()))


def check_search(definition: Definition) -> None:
    """Make sure that a search can be begun.

    Raises
    ------
    UsageError
        Something that its method needs is not installed, or the run is not there from which it is to learn.
    """
    search = definition.search
    if search is None:
        return
    from swath.run.adopting import check_earlier  # noqa: PLC0415
    from swath.search.study import demand  # noqa: PLC0415

    demand(search.method)
    if search.earlier is not None:
        check_earlier(search.earlier)


def take_over(definition: Definition, store: Store, past: Past) -> Past:
    """Make what earlier definitions of the run evaluated the first proposals of a search that has none yet.

    Parameters
    ----------
    past : Past
        What has been done for the definition without that.

    Returns
    -------
    Past
        What has been done with it.
    """
    book = definition.space.proposals
    earlier = store.saved.earlier() if book is not None and not book.known else []
    if book is None or not earlier:
        return past
    from swath.run.adopting import adopted  # noqa: PLC0415  # an unchanged definition needs none of it
    from swath.search import Proposer  # noqa: PLC0415

    rows = adopted(earlier, definition, Proposer(definition))
    book.put(0, rows)
    store.propose(0, rows)
    return store.survey()


def filler(space: Space) -> Callable[[Batch], Batch]:
    """Return what puts into a batch what its slot does not know: the proposals in its range."""
    book = space.proposals
    if book is None:
        return lambda batch: batch
    return lambda batch: replace(batch, points=book.encode(space.proposed(batch.start, batch.stop)))
