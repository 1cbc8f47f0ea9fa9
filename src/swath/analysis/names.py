"""Names that a user gives, checked against those that there are, and packages that there may be."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def needed(package: str, what: str, extra: str) -> Any:
    """Import a package of an extra.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UsageError(
            f"{what} needs {package}, which is not installed: pip install 'swath[{extra}]'"
        ) from error
