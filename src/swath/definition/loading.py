"""From a file and the command line to a `Definition`: read, override, define.

The file is read whole, up to `LARGEST`, and never executed. An override such as ``beta=0.1,0.2`` replaces the values
of one parameter before anything is checked, so a mistake in it is found like any other; it is located by its own text.
"""

from __future__ import annotations

import copy
import difflib
import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swath.definition import Definition, define
from swath.definition.checks import Wrong, unknown_name
from swath.definition.documents import Marks, dump, located, no_mapping, parse, read_yaml
from swath.definition.places import Path as KeyPath
from swath.definition.places import Place, Problem
from swath.errors import DefinitionError, Mistake

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dump", "load", "read_yaml"]

LARGEST: Final = 2**20
"""Bytes that a definition file may have; long lists belong into a table."""

_SUFFIXES: Final = (".yaml", ".yml", ".json")

# JSON writes what is beyond 16 bits as two escapes, which YAML does not join.
_SURROGATES: Final = re.compile(
    r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Definition:
    """Read a definition file.

    Parameters
    ----------
    path : str or Path
        A YAML or JSON file; messages show it as it is given here.
    overrides : sequence of str
        ``NAME=VALUES``: values of a parameter, as the file would say them or as a comma list.
        What the file says about ``when`` and ``was`` of that parameter stays.

    Returns
    -------
    Definition
        Its folder is the file's, as an absolute path.

    Raises
    ------
    DefinitionError
        With every mistake, in the order of the file; overrides first.
    """
    file = str(path)
    document = parse(_text(Path(path), file), file)
    problems = [*document.problems]
    if not document.whole or not isinstance(document.value, dict):
        raise DefinitionError(located(problems or no_mapping(document.value), document.marks))
    mapping, replaced, wrong = _overridden(document.value, overrides)
    marks = Marks(document.marks.text, file, replaced)
    return define(
        mapping, file=file, marks=marks, folder=Path(path).absolute().parent, found=[*wrong, *problems]
    )


def placed(definition: Definition, mistakes: Sequence[Mistake]) -> list[Mistake]:
    """Give mistakes that were found after loading, as keys, their places in the file, in its order."""
    if definition.file is None:
        return list(mistakes)
    file = str(definition.file)
    problems = [Problem(_path(definition, wrong.key), wrong.text, wrong.hint) for wrong in mistakes]
    return located(problems, Marks(_text(definition.file, file), file))


def _path(definition: Definition, key: str) -> KeyPath:
    """Return where a key such as ``parameters.beta`` stands; in a union, where it stands first."""
    top, *name = key.split(".", 1)
    blocks = definition.source.get(top)
    if not name or not isinstance(blocks, list):
        return (top, *name)
    return next(((top, i, *name) for i, block in enumerate(blocks) if name[0] in block), (top, *name))


def _text(path: Path, file: str) -> str:
    """Return the file's text, without a byte order mark."""
    content = _content(path, file)
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        what = f"not UTF-8: the byte 0x{content[error.start]:02x} at offset {error.start}"
        raise _refused(file, what, "save it as UTF-8") from None
    return _SURROGATES.sub(_joined, text) if path.suffix == ".json" else text


def _joined(escapes: re.Match[str]) -> str:
    character = json.loads(f'"{escapes[2]}"')
    return f"{escapes[1]}\\U{ord(character):08x}"


def _content(path: Path, file: str) -> bytes:
    try:
        # A pipe that nobody writes to would keep us waiting, and cannot be read a second time for places.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise _refused(file, "is not a regular file", "save the definition to one")
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        raise _refused(file, _reason(error), _hint(path)) from None
    if len(content) > LARGEST:
        hint = "put long lists into a table: `table: cases.csv`"
        raise _refused(file, f"larger than {LARGEST:,} bytes", hint)
    return content


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return f"cannot be read: {error}"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _hint(path: Path) -> str:
    """Name a file nearby that may have been meant."""
    try:
        if path.is_dir():
            beside = sorted(inner.name for inner in path.iterdir() if inner.suffix in _SUFFIXES)
            return f"it holds {', '.join(beside[:3])}" if beside else ""
        siblings = [inner for inner in path.parent.iterdir() if inner.suffix in _SUFFIXES]
        stems = {inner.stem: inner.name for inner in siblings if inner.name != path.name}
        near = difflib.get_close_matches(path.stem[:100], stems, n=1, cutoff=0.65)
        return f"did you mean {stems[near[0]]!r}?" if near else ""
    except (OSError, ValueError):
        return ""


def _refused(file: str, text: str, hint: str = "") -> DefinitionError:
    return DefinitionError([Mistake("", text, hint, file)])


def _overridden(
    mapping: dict[str, object], overrides: Sequence[str]
) -> tuple[dict[str, object], dict[KeyPath, str], list[Problem]]:
    """Return a copy with overrides applied, the paths they replaced with their texts, and what is wrong with them."""
    made = copy.deepcopy(mapping) if overrides else mapping
    replaced: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for override in overrides:
        try:
            paths = _apply(made, override)
            if before := next((replaced[path] for path in paths if path in replaced), None):
                raise Wrong(f"the values were given already, as {before!r}", "write them in one: NAME=1,2")
            replaced |= dict.fromkeys(paths, override)
        except Wrong as wrong:
            problems.append(Problem((), wrong.text, wrong.hint, Place(override, 0, 0)))
    return made, replaced, problems


def _apply(mapping: dict[str, object], override: str) -> list[KeyPath]:
    """Replace the values of a parameter in every block that has it; return where."""
    blocks = _blocks(mapping)
    known = list(dict.fromkeys(name for block in blocks.values() for name in block))
    name, text = _split(override, known)
    values = _parsed(text)
    paths: list[KeyPath] = []
    for path, block in blocks.items():
        if name in block:
            block[name] = _modified(values, block[name])
            paths.append((*path, name))
    return paths


def _blocks(mapping: dict[str, object]) -> dict[KeyPath, dict[str, object]]:
    parameters = mapping.get("parameters")
    if isinstance(parameters, list):
        return {("parameters", i): block for i, block in enumerate(parameters) if isinstance(block, dict)}
    return {("parameters",): parameters} if isinstance(parameters, dict) else {}


def _split(override: str, known: Sequence[str]) -> tuple[str, str]:
    """Split at the equals sign that ends a known name; names may contain such signs themselves."""
    name = max((name for name in known if override.startswith(f"{name}=")), key=len, default=None)
    if name is not None:
        return name, override[len(name) + 1 :]
    unknown, sign, _ = override.partition("=")
    if not sign:
        raise Wrong("an override is NAME=VALUES", "such as gamma=0.1,0.2 or 'beta={linspace: [0.1, 1, 5]}'")
    raise Wrong(f"there is no parameter {unknown!r}", unknown_name(unknown, known))


def _parsed(text: str) -> object:
    document = parse(f"[{text}]")
    if document.problems:
        problem = document.problems[0]
        syntax = problem.text.startswith("not YAML")
        raise Wrong(problem.text, "quote the whole argument for the shell" if syntax else problem.hint)
    values = document.value
    if not isinstance(values, list) or not values:
        raise Wrong("there are no values behind the equals sign")
    return values[0] if len(values) == 1 else values


def _modified(values: object, before: object) -> object:
    """Return the new values with the conditions that stood beside the old ones."""
    modifiers = (
        {key: before[key] for key in ("when", "was") if key in before} if isinstance(before, dict) else {}
    )
    if not modifiers:
        return values
    if not isinstance(values, dict):
        values = {"values": values if isinstance(values, list) else [values]}
    return modifiers | values
