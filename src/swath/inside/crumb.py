"""The crumb: a few words of memory that a slot and its child share, and read without a message.

The child notes in it what its slot must know even if the child dies in the next moment; the slot tells it by the same way
how far it may go, which reaches a child that does not listen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence

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

ENDING = 10
"""One more than the position that is to end at its next step; 0: none."""

ENDING_TURN = 11
"""What `TURN` was when that was said: it is not meant for the same position begun again."""

READING = 2

NOWHERE, AFTER = -1, -2

EVERYTHING = 2**63 - 1
"""A limit that is none."""


def blank() -> list[int]:
    """Return a crumb that nobody shares."""
    return [NOWHERE, EVERYTHING, *[0] * 10]


def end(crumb: MutableSequence[int], position: int) -> None:
    """Let a position end at its next step, if it is still the one that is being evaluated then."""
    crumb[ENDING_TURN] = crumb[TURN]
    crumb[ENDING] = position + 1


def is_to_end(crumb: MutableSequence[int], position: int) -> bool:
    """Tell whether a position is to end."""
    return crumb[ENDING] == position + 1 and crumb[ENDING_TURN] == crumb[TURN]
