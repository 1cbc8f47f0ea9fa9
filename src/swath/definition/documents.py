"""YAML text to plain data, with the place of every key; and plain data back to text.

Places are needed only when there is a mistake. Keeping them would cost several times the memory of the
data, therefore `Marks` keeps the text and reads it a second time, looking for the paths it is asked for.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swath.definition.composer import CONSTANTS, Composer
from swath.definition.places import Path, Place, Problem
from swath.errors import DefinitionError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# What YAML 1.2 calls printable; anything else stops libyaml with a message that gives no line. Three line breaks of
# Unicode are left out: libyaml would fold them, and a text that is valid JSON would mean something else here.
_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LONGEST_KEY: Final = 1000  # characters; beyond 1024 YAML wants a question mark before a key
_BARE_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Marks:
    """Places of keys and list items in one text, found on demand.

    Parameters
    ----------
    text : str
        What was read.
    file : str
        Its name as the user wrote it.
    overrides : mapping of Path to str
        Paths whose values did not come from the text but from the command line, and what was written there.
    """

    def __init__(self, text: str, file: str = "", overrides: Mapping[Path, str] | None = None) -> None:
        self.text = text
        self.file = file
        self.overrides = dict(overrides or {})

    def find(self, paths: Iterable[Path]) -> dict[Path, Place]:
        """Return the place of each path, or of what is nearest above it."""
        asked = set(paths)
        wanted = {path[:n] for path in asked for n in range(1, len(path) + 1)}
        found = Composer(self.text, self.file, wanted).compose().places if wanted else {}
        return {path: self._nearest(path, found) for path in asked}

    def _nearest(self, path: Path, found: Mapping[Path, Place]) -> Place:
        for n in range(len(path), 0, -1):
            if path[:n] in self.overrides:
                return Place(self.overrides[path[:n]], 0, 0)
            if path[:n] in found:
                return found[path[:n]]
        return Place(self.file, 0, 0)


@dataclass(frozen=True, slots=True)
class Document:
    """What a text holds.

    Attributes
    ----------
    value : object
        Plain data; None for an empty text.
    marks : Marks
        Where its keys stand.
    problems : tuple of Problem
        What was refused.
    whole : bool
        Whether the text was read to its end.
    """

    value: object
    marks: Marks
    problems: tuple[Problem, ...]
    whole: bool


def parse(text: str, file: str = "") -> Document:
    """Read one YAML document; never raises, what is wrong is among the problems."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        return Document(None, Marks("", file), (_unprintable(text, file, unprintable.start()),), whole=False)
    composer = Composer(text, file).compose()
    return Document(composer.value, Marks(text, file), tuple(composer.problems), composer.whole)


def read_yaml(text: str, file: str = "") -> tuple[dict[str, object], Marks]:
    """Read a YAML document that is a mapping.

    Returns
    -------
    mapping : dict
        Plain data: dicts with text keys, lists, text, int, float, bool, None.
    marks : Marks
        Where its keys stand.

    Raises
    ------
    DefinitionError
        With everything that was refused, or because there is no mapping.
    """
    document = parse(text, file)
    problems = document.problems or no_mapping(document.value)
    if problems or not isinstance(document.value, dict):
        raise DefinitionError(located(problems, document.marks))
    return document.value, document.marks


def no_mapping(value: object) -> tuple[Problem, ...]:
    """Return what is wrong with a document that is not a mapping; nothing if it is one."""
    if isinstance(value, dict):
        return ()
    if value is None:
        return (Problem((), "there is nothing in it", "`swath init` writes an example"),)
    kind = "a list" if isinstance(value, list) else "a single value"
    return (
        Problem(
            (),
            f"a definition is a mapping of keys to values, got {kind}",
            "begin with `objective: module:function`",
        ),
    )


def located(problems: Sequence[Problem], marks: Marks) -> list[Mistake]:
    """Turn problems into mistakes with places, in the order of the file."""
    places = marks.find(problem.path for problem in problems if problem.place is None)
    pairs = [(problem.place or places[problem.path], problem) for problem in problems]
    return [problem.mistake(place) for place, problem in sorted(pairs, key=lambda pair: pair[0][1:])]


def _unprintable(text: str, file: str, offset: int) -> Problem:
    lines = text[:offset].split("\n")
    what = "NUL" if text[offset] == "\0" else f"the control character U+{ord(text[offset]):04X}"
    place = Place(file, len(lines), len(lines[-1]) + 1)
    return Problem(
        (),
        f"{what} at character {offset}",
        "a definition is plain text; remove it, or write it escaped in double quotes",
        place,
    )


def dump(mapping: Mapping[str, object]) -> str:
    """Write plain data as YAML that `read_yaml` reads back equal: two levels of lines, the rest in JSON's style."""
    return "".join(_lines(mapping))


def _lines(mapping: Mapping[str, object]) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            yield f"{_key(key)}:\n"
            yield from (f"  {_key(name, indent='  ')}: {_flow(inner)}\n" for name, inner in value.items())
        else:
            yield f"{_key(key)}: {_flow(value)}\n"


def _key(text: str, indent: str = "") -> str:
    if _BARE_KEY.fullmatch(text) and text not in CONSTANTS:
        return text
    quoted = _quoted(text)
    return f"? {quoted}\n{indent}" if len(quoted) > _LONGEST_KEY else quoted


def _flow(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_key(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)


def _flow_key(text: str) -> str:
    quoted = _quoted(text)
    return f"? {quoted} " if len(quoted) > _LONGEST_KEY else quoted


def _quoted(text: str) -> str:
    """Write text in double quotes, as both JSON and YAML read it; what YAML cannot hold bare is escaped."""
    written = json.dumps(text, ensure_ascii=False)
    if written.isprintable():
        return written
    return "".join(c if c.isprintable() else _escaped(c) for c in written)


def _escaped(character: str) -> str:
    # YAML joins no surrogate pairs, so the longer escape, which JSON lacks, is needed.
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
