"""Where something is wrong: a path of keys within a definition, and a place in its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from swath.errors import Mistake

Path = tuple[str | int, ...]
"""Keys and list places (from 0) that lead to a value: ``("parameters", "beta", "linspace", 1)``."""


class Place(NamedTuple):
    """A place in a file: its name, and line and column counted from 1 (0 where there is none)."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake whose place is known only as a path, or, where the reader saw it, exactly.

    Attributes
    ----------
    path : Path
        Where in the definition.
    text, hint : str
        What is wrong with the value received; the way out, which may be empty.
    place : Place or None
        Where in the file, if that is known better than by the path.
    """

    path: Path
    text: str
    hint: str = ""
    place: Place | None = None

    def mistake(self, place: Place) -> Mistake:
        """Return it as users see it."""
        return Mistake(dotted(self.path), self.text, self.hint, *place)


def dotted(path: Path) -> str:
    """Write a path for people: ``parameters.beta.linspace[1]``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
