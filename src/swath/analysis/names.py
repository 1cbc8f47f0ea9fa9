"""Names that a user gives, checked against those that there are."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def demand(name: str, there: Sequence[str], what: str) -> None:
    """Raise UsageError unless a name is among those that are there."""
    if name not in there:
        close = difflib.get_close_matches(name, there, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"there is no {what} named {name!r}, there is {enumerated(there)}{hint}")


def enumerated(names: Sequence[str]) -> str:
    """List names in a sentence."""
    return ", ".join(names) or "none"
