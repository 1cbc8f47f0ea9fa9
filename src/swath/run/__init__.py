"""A run from its first check to its last commit: definition, objective, store, driver and engine tied together.

Theory of operation
-------------------
`start` does in this order what can fail, so that a mistake leaves nothing behind: it finds the objective as
text and compares its arguments, takes the lock, compares the code with that of the saved rows, lets a slot
import the objective, and only then writes. A run that has nothing left to do starts no engine.

Three threads then share the work: the loop (`swath.loop.drive`), the store's commit thread, and whoever
called, who may look at `Handle.snapshot` or ask to stop. A fourth looks every half second for the request
that ``swath stop`` leaves in the folder.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from swath.agreement import find_objective
from swath.definition.trial import try_out
from swath.preflight import check_folders
from swath.run.beginning import check_code, choose_engine, make_task
from swath.run.handle import Handle
from swath.run.openings import check_search, with_new_book
from swath.run.options import Options, Outcome
from swath.store import Store

if TYPE_CHECKING:
    from swath.definition import Definition
    from swath.objective import Code

__all__ = ["Handle", "Options", "Outcome", "make_task", "prepare", "start"]


def start(definition: Definition, options: Options | None = None, *, code: Code | None = None) -> Handle:
    """Start a sweep, or go on with it, and return at once; takes and raises what `prepare` does."""
    handle = prepare(definition, options, code=code)
    handle.go()
    return handle


def prepare(definition: Definition, options: Options | None = None, *, code: Code | None = None) -> Handle:
    """Do everything that may fail before a sweep begins; `Handle.go` begins it.

    Parameters
    ----------
    definition : Definition
        What to run.
    options : Options, optional
        How to run it.
    code : Code, optional
        The objective, if it is not to be found by its name.

    Raises
    ------
    SwathError
        Whatever keeps it from starting; the kind of error says what, and nothing was changed.
    """
    options = options or Options()
    definition = with_new_book(definition)
    check_folders()
    code = find_objective(definition, code)
    try_out(definition)
    check_search(definition)
    engine = choose_engine(definition, options)
    new = not options.out.exists()
    store = Store.open(options.out / definition.name, fresh=options.fresh)
    try:
        previous = None if options.fresh else store.previous()
        check_code(definition, code, previous, options)
        return Handle(definition, options, code, engine, store, previous)
    except BaseException:
        engine.close()
        store.close()
        if new:
            with suppress(OSError):  # not if something is in it
                options.out.rmdir()
        raise
