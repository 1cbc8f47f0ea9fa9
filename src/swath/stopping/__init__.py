"""Which points are to end early: rules that judge by recorded steps alone.

A rule is pure: no clock, no randomness, no knowledge of workers. It is told what was recorded, in the order in which
that came, and judges a point only by steps that the point itself has reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rule(Protocol):
    """Decides which points end early, and which of these go on after all; points are known by position."""

    def see(self, position: int, step: int, metrics: Mapping[str, float]) -> str:
        """Take in a step; say why the point is to end, or nothing."""

    def ended(self, position: int, status: str, *, resumable: bool) -> None:
        """Take in that a point has ended, and whether another attempt need not begin anew."""

    def promoted(self) -> tuple[tuple[int, str], ...]:
        """Return the pruned points that deserve to go on by now, and why; each only once until it has ended again."""
