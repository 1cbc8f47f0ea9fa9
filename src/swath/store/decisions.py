"""What was decided about points while they ran, as the journal of a run tells (`swath.run.journal`): for people, who ask why."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "events.jsonl"

DECIDED: Final = ("prune", "promote")
"""Events that are about one point."""


class Decision(TypedDict):
    """Why a point ended early, or went on after all."""

    time: str
    event: str
    reason: str


def decisions_of(folder: Path, content_id: str) -> list[Decision]:
    """Return what was decided about a point, in that order, as far as the journal can be read."""
    return [decision for _, found, decision in _decisions(folder, content_id) if found == content_id]


class Stopped(NamedTuple):
    """Why a point ended early.

    Attributes
    ----------
    point : int
        Its index in the definition of that session.
    content_id : str
        What names it in every definition.
    reason : str
        In words.
    """

    point: int
    content_id: str
    reason: str


def stopped(folder: Path) -> list[Stopped]:
    """Return why points ended early, in that order, as far as the journal can be read."""
    return [
        Stopped(point, found, decision["reason"])
        for point, found, decision in _decisions(folder)
        if decision["event"] == "prune"
    ]


def _decisions(folder: Path, content_id: str = "") -> Iterator[tuple[int, str, Decision]]:
    """Yield points, content ids and decisions; only lines that hold a given text are looked at."""
    mark = json.dumps(content_id).encode() if content_id else b""
    with suppress(OSError), (folder / NAME).open("rb") as file:
        for line in file:
            read = _read(line) if mark in line else {}
            if read.get("event") in DECIDED:
                decision = Decision(
                    time=str(read.get("time")), event=str(read["event"]), reason=str(read.get("reason"))
                )
                point = read.get("point")
                yield point if isinstance(point, int) else -1, str(read.get("id")), decision


def _read(line: bytes) -> dict[str, object]:
    with suppress(ValueError):
        read = json.loads(line)
        if isinstance(read, dict):
            return read
    return {}
