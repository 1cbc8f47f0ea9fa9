"""The command that runs one point of a run again, here, in the foreground.

A run folder does not know what its file is called now, nor what that says by now, so the command is tried before it is
given: the file is looked for by the run's name, and the point in what it defines. Where the file has another index for the
point, that is used; where it has the point no more, its values are given as overrides.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.errors import SwathError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.definition import Definition


def command(definition: Definition, point: int) -> str:
    """Return a command line that runs a point of a run's definition again.

    Parameters
    ----------
    definition : Definition
        The run's.
    point : int
        Its index there.
    """
    file = file_of(definition.name)
    if file is None:
        return f"swath run FILE --point {point}"
    parameters = dict(definition.space[point])
    for overrides in ((), _overrides(parameters)):
        index = _index(file, overrides, definition, parameters)
        if index is not None:
            return shlex.join(["swath", "run", str(file), *overrides, "--point", str(index)])
    return shlex.join(["swath", "run", str(file), "--point", str(point)])


def beginning(definition: Definition) -> str:
    """Return the command that runs any point of a run again, without the point's index; empty if no file has these points."""
    from swath.definition.loading import load  # noqa: PLC0415  # only once there is a file

    file = file_of(definition.name)
    try:
        found = load(file) if file else None
    except SwathError:
        return ""
    if (
        found is None
        or found.objective != definition.objective
        or found.space.spec() != definition.space.spec()
    ):
        return ""
    return shlex.join(["swath", "run", str(file), "--point"])


def file_of(name: str) -> Path | None:
    """Guess which file defines a sweep: the one of its name, here or in ``sweeps``; None if there is none."""
    folders, suffixes = (Path(), Path("sweeps")), (".yaml", ".yml", ".json")
    guesses = (folder / f"{name}{suffix}" for folder in folders for suffix in suffixes)
    return next((guess for guess in guesses if guess.is_file()), None)


def _overrides(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={json.dumps([value], ensure_ascii=False)}" for name, value in parameters.items())


def _index(
    file: Path, overrides: Sequence[str], definition: Definition, parameters: Mapping[str, Any]
) -> int | None:
    """Return the index of a point in what a file defines; None if it is another sweep, or has no such point."""
    from swath.definition.loading import load  # noqa: PLC0415  # only once there is a file

    try:
        found = load(file, overrides)
        if found.objective == definition.objective:
            return found.space.index(parameters)
    except (SwathError, KeyError, TypeError):
        pass
    return None
