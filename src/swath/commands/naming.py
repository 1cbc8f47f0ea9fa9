"""Which point somebody means who names one.

A point is named by its index, by the beginning of its content id, or by parameters, as many as it takes: constants
and whatever else leaves only one point need not be written.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.definition.documents import parse
from swath.errors import UsageError
from swath.space import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from swath.space import Space

SHORTEST = 4  # digits of a content id; fewer name too many points
MOST = 1_000_000  # points whose content ids are computed to find one, about 10 s


def find(space: Space, frame: pd.DataFrame, words: Sequence[str], receives: Collection[str]) -> int:
    """Return the index of the point that is named.

    Parameters
    ----------
    space : Space
        The points of the run.
    frame : DataFrame
        Its rows, by index.
    words : sequence of str
        An index; or the beginning of a content id; or ``NAME=VALUE``, once or more.
    receives : collection of str
        What the objective is called with, on which content ids depend.

    Raises
    ------
    UsageError
        There is no such point, or several.
    """
    if all("=" in word for word in words):
        return _by_parameters(space, frame, words)
    if len(words) > 1:
        raise UsageError(
            f"{' '.join(words)!r}: a point is an index, a content id, or NAME=VALUE once or more"
        )
    word = words[0]
    if word.isdecimal() and int(word) < space.known:
        return int(word)
    if len(word) >= SHORTEST and set(word.lower()) <= set("0123456789abcdef"):
        return _by_content(space, frame, word.lower(), receives)
    if word.isdecimal():
        raise UsageError(f"there is no point {word}: {range_of(space)}")
    raise UsageError(
        f"{word!r} names no point; give an index, at least {SHORTEST} digits of a content id, or NAME=VALUE once or more"
    )


def range_of(space: Space) -> str:
    """Say which points there are."""
    if space.proposals is None:
        return f"the space has points 0 to {space.size - 1:,}"
    asked = f"the search has proposed {space.proposals.known:,} of {space.proposals.points:,} so far"
    return f"{asked}, points 0 to {space.known - 1:,}" if space.known else asked


def _by_content(space: Space, frame: pd.DataFrame, prefix: str, receives: Collection[str]) -> int:
    """Search the points that have rows first, then all, if these are not too many to compute."""
    everything = range(space.known) if space.known <= MOST else range(0)
    for points in (frame.index.tolist(), everything):
        found = [point for point in points if space.content_id(point, receives).startswith(prefix)]
        if found:
            return _only(found, f"the content id {prefix}")
    raise UsageError(f"no point has a content id that begins with {prefix}")


def _by_parameters(space: Space, frame: pd.DataFrame, words: Sequence[str]) -> int:
    wanted = dict(_assignment(word, space.names) for word in words)
    with suppress(
        KeyError, UsageError
    ):  # too many rows are drawn to look through; those that were run are few
        return space.index({**_constants(space), **wanted})
    holds = np.ones(len(frame), dtype=bool)
    for name, content in wanted.items():
        holds &= _equal(frame[name], content)
    found = frame.index[holds].tolist()
    if not found:
        raise UsageError(f"no point that was run has {' '.join(words)}")
    return _only(found, " ".join(words))


def _assignment(word: str, names: Sequence[str]) -> tuple[str, Any]:
    """Split at the equals sign behind a known name, and read the value as a definition would."""
    name = max((name for name in names if word.startswith(f"{name}=")), key=len, default=None)
    if name is None:
        raise UsageError(f"there is no parameter {word.partition('=')[0]!r}, there is {', '.join(names)}")
    document = parse(f"[{word[len(name) + 1 :]}]")
    if document.problems or not isinstance(document.value, list) or len(document.value) != 1:
        raise UsageError(f"{word!r}: expected one value behind {name}=")
    return name, document.value[0]


def _constants(space: Space) -> Mapping[str, Any]:
    """Return the parameters that have one value only."""
    if len(space.blocks) > 1:
        return {}
    axes = [axis for axis in space.blocks[0] if len(axis) == 1 and not any(axis.conditions)]
    return {name: values[0] for axis in axes for name, values in zip(axis.names, axis.values, strict=True)}


def _equal(series: pd.Series[Any], wanted: Any) -> NDArray[np.bool_]:
    if series.dtype.kind in "iuf" and isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return (series == wanted).to_numpy()
    text = canonical(wanted)
    items = zip(series.notna(), series.astype(object), strict=True)
    return np.array([there and canonical(item) == text for there, item in items], dtype=bool)


def _only(found: Sequence[int], what: str) -> int:
    if len(found) > 1:
        some = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise UsageError(f"{what} names {len(found):,} points ({some}); say more, or give an index")
    return int(found[0])
