"""The crumb: a few words of memory that a slot and its child share, and read without a message.

The child notes in it what its slot must know even if the child dies in the next moment; the slot tells it by the same way
how far it may go, which reaches a child that does not listen.
"""

from __future__ import annotations

HERE = 0
"""The position being evaluated, `NOWHERE` before the first of a batch, `AFTER` all of them."""

LIMIT = 1
"""The position that is not to be begun any more."""

WORN = 2
"""Not zero: after this batch, the child is to be replaced."""

HEARD = 3
"""`READING` while the slot reads what points print, not zero since; see `swath.inside.output` for this and the next."""

SINCE = 4
"""The first position of which nothing in the output says that it has ended."""

NONCE = 5
"""This word and the next begin every mark in the output."""

TURN = 7
"""Changes whenever the same position is begun again without a word to the slot."""

TALKS = 8
"""Not zero: what the slot has read was not only marks."""

MARKED = 9
"""How many marks the slot has read."""

READING = 2

NOWHERE, AFTER = -1, -2

EVERYTHING = 2**63 - 1
"""A limit that is none."""


def blank() -> list[int]:
    """Return a crumb that nobody shares."""
    return [NOWHERE, EVERYTHING, *[0] * 8]
