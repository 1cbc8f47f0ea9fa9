"""What ``swath init`` writes: a function, its eight-line definition, and the schema that editors use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from swath.errors import CannotWriteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = "swath.definition.schema.json"

DEFINITION = f"""\
# yaml-language-server: $schema={SCHEMA}
name: throw
objective: throw:fly
parameters:
  angle: {{range: [5, 90, 5]}}
  speed: [10, 20, 30]
  drag: {{linspace: [0, 0.1, 5]}}
maximize: distance
"""

FUNCTION = '''\
"""How far does a ball fly?"""

from math import cos, hypot, radians, sin


def fly(angle, speed, drag, step=0.001):
    """Throw at an angle (degrees) and a speed (m/s); drag in 1/m, step in s. Gives metres and seconds."""
    x = y = t = 0.0
    vx, vy = speed * cos(radians(angle)), speed * sin(radians(angle))
    while y >= 0.0:
        v = hypot(vx, vy)
        vx -= step * drag * v * vx
        vy -= step * (9.81 + drag * v * vy)
        x, y, t = x + step * vx, y + step * vy, t + step
    return {"distance": x, "time": t}
'''


def write(folder: Path, schema: Mapping[str, object]) -> list[Path]:
    """Write the example into a folder, which is made if need be.

    Parameters
    ----------
    folder : Path
        Where to.
    schema : mapping
        The JSON schema of definitions.

    Returns
    -------
    list of Path
        The files, the definition first.

    Raises
    ------
    UsageError
        If one of the files is there already; nothing is written then.
    CannotWriteError
        If the folder cannot be written.
    """
    texts = {
        "throw.yaml": DEFINITION,
        "throw.py": FUNCTION,
        SCHEMA: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
    }
    files = [folder / name for name in texts]
    there = [str(file) for file in files if file.exists() or file.is_symlink()]
    if there:
        raise UsageError(
            f"{', '.join(there)}: already there, so nothing was written; name another folder: swath init FOLDER"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in zip(files, texts.values(), strict=True):
            with file.open("x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise CannotWriteError(f"{error.filename}: {error.strerror}") from error
    return files
