"""Is a reply an answer to its batch? What can be told without looking at its rows; the store looks at those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.messages import STATUSES

if TYPE_CHECKING:
    from swath.messages import Batch, Reply


def fault(batch: Batch, reply: Reply) -> str:
    """Say what is wrong with a reply; empty if it may be an answer to the batch."""
    return _fault_of_ranges(batch, reply) or _fault_of_failures(batch, reply)


def _fault_of_ranges(batch: Batch, reply: Reply) -> str:
    here, decided = batch.start, 0
    for start, stop in reply.done:
        if not here <= start <= stop <= batch.stop:
            return f"it decides [{start}, {stop}) after {here}, of [{batch.start}, {batch.stop})"
        here, decided = stop, decided + stop - start
    if not 0 <= reply.rows <= decided:
        return f"it announces {reply.rows} rows of {decided} points"
    if batch.limit is not None and reply.rows > batch.limit:
        return f"it announces {reply.rows} rows, and {batch.limit} were asked for"
    if not 0 <= reply.seconds < float("inf"):
        return f"it took {reply.seconds} s"
    return ""


def _fault_of_failures(batch: Batch, reply: Reply) -> str:
    failed = 0
    for status, ranges in reply.failed:
        if status not in STATUSES[1:]:
            return f"it holds the status {status!r:.40}, which does not exist"
        for start, stop in ranges:
            if not batch.start <= start < stop <= batch.stop:
                return f"[{start}, {stop}) failed, of [{batch.start}, {batch.stop})"
            failed += stop - start
    return "" if failed <= reply.rows else f"{failed} points failed, of {reply.rows} that ran"
