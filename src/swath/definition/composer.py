"""Events of YAML to plain data: what a definition may hold, and nothing else.

A definition comes from people, and resuming a run reads files that somebody may have touched, so this reader is
stricter than YAML. It follows the events of libyaml one by one, without recursion:

* plain scalars mean what YAML 1.2's core schema says: ``1e-3`` is a number, ``no`` and ``12:30`` are text;
* tags, anchors, aliases, merge keys, keys that are not text and a key given twice are refused: each can
  make a reader see something else than what runs;
* nesting ends at `DEPTH`, so no text can exhaust the stack, and without aliases none can grow in memory.

What is refused is noted as a `Problem` and reading goes on, so that one pass finds every mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import yaml

from swath.definition.places import Path, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPTH: Final = 32
"""Levels of nesting that a definition may have."""

TOO_DEEP: Final = f"nested more than {DEPTH} deep"
FLATTER: Final = "a definition needs no more than 6 levels"

MOST_PROBLEMS: Final = 100
"""Mistakes that are noted in one definition; nobody reads more, and a file could hold a million."""

# libyaml is about ten times as fast; PyYAML can be built without it.
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

CONSTANTS: Final[Mapping[str, object]] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
"""Plain scalars that are neither text nor numbers."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN: Final = re.compile(r"\.(?:nan|NaN|NAN)")
_DIGITS: Final = 300  # more digits than any float has; Python itself stops at 4300


def resolve(text: str) -> object:
    """Return what a plain (unquoted) scalar means in YAML 1.2's core schema.

    Raises
    ------
    ValueError
        For a number that no float or sensible integer can hold.
    """
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _DIGITS:
            raise ValueError(f"a number of {len(text)} digits; write it in quotes if it is text")
        return int(text)
    return _resolve_rare(text)


def _resolve_rare(text: str) -> object:
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError(f"{text} is larger than any float; write .inf for infinity")
        return value
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return float("nan") if _NAN.fullmatch(text) else text


class _Mark(Protocol):
    """A place as PyYAML gives it, counted from 0."""

    line: int
    column: int


def _start(event: yaml.Event) -> _Mark:
    mark: _Mark | None = event.start_mark
    assert mark is not None  # noqa: S101 - only events that are made by hand have none
    return mark


class _Stop(Exception):  # noqa: N818 - not an error: reading further is of no use
    pass


_NO_KEY: Final = object()  # a mapping waits for its next key
_DROPPED: Final = object()  # the value that comes next belongs to a key that was refused


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being filled."""

    container: list[object] | dict[str, object]
    path: Path
    key: object = _NO_KEY
    lines: dict[str, int] = field(default_factory=dict)

    def expects_key(self) -> bool:
        return self.key is _NO_KEY and isinstance(self.container, dict)

    def next_path(self) -> Path:
        if isinstance(self.container, list):
            return (*self.path, len(self.container))
        return (*self.path, self.key) if isinstance(self.key, str) else self.path

    def put(self, value: object) -> None:
        if isinstance(self.container, list):
            self.container.append(value)
        else:
            if isinstance(self.key, str):
                self.container[self.key] = value
            self.key = _NO_KEY


class Composer:
    """One pass over the events of a text.

    Parameters
    ----------
    text : str
        Printable text; libyaml refuses anything else without saying where.
    file : str
        Its name, for places.
    wanted : set of Path, optional
        Keys and list items whose places are to be noted; reading ends when all are found.

    Attributes
    ----------
    value : object
        The plain data; None if there is none.
    whole : bool
        Whether all of it was read; if not, what is missing from the data may still be in the text.
    problems : list of Problem
        What was refused.
    places : dict of Path to Place
        Where the wanted ones stand.
    """

    def __init__(self, text: str, file: str, wanted: set[Path] | None = None) -> None:
        self.value: object = None
        self.whole = True
        self.problems: list[Problem] = []
        self.places: dict[Path, Place] = {}
        self._text = text
        self._file = file
        self._wanted = wanted or set()
        self._frames: list[_Frame] = []
        self._documents = 0

    def compose(self) -> Composer:
        """Read everything; never raises."""
        loader = _Loader(self._text)
        try:
            while (event := loader.get_event()) is not None:
                self._take(event)
        except _Stop:
            pass
        except yaml.MarkedYAMLError as error:
            self.whole = False
            self.problems.append(self._syntax(error))
        finally:
            loader.dispose()
        return self

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._frames.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"the alias *{event.anchor}", "write the value out")
            self._put(event, None)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: yaml.Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._note(event, "a second document begins here", "one file holds one definition", ())
            raise _Stop

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        try:
            value = event.value if event.style else resolve(event.value)
        except ValueError as error:
            self._note(event, str(error))
            value = None
        if self._frames and self._frames[-1].expects_key():
            self._key(event, value)
        else:
            self._put(event, value)

    def _key(self, event: yaml.ScalarEvent, value: object) -> None:
        frame = self._frames[-1]
        name = event.value
        line = _start(event).line + 1
        if not event.style and name == "<<":
            self._refuse(event, "the merge key <<", "write the keys out")
            frame.key = _DROPPED
        elif name in frame.lines:
            self._note(
                event,
                f"written twice, in lines {frame.lines[name]} and {line}",
                "keep one of them",
                (*frame.path, name),
            )
            frame.key = _DROPPED
        else:
            frame.key = name
            frame.lines[name] = line
            self._mark(event, (*frame.path, name))
            if not isinstance(value, str):
                self._note(
                    event,
                    f"a key must be text, got {name or 'nothing'}",
                    f'write it in quotes: "{name}"',
                    frame.next_path(),
                )

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_properties(event)
        if len(self._frames) == DEPTH:
            self._note(event, TOO_DEEP, FLATTER, ())
            self.whole = False
            raise _Stop
        container: list[object] | dict[str, object] = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        if self._frames and self._frames[-1].expects_key():
            self._note(event, "a key must be text, got a list or a mapping", "write text before the colon")
            self._frames[-1].key = _DROPPED
            self._frames.append(_Frame(container, self._frames[-1].path))
            return
        path = self._frames[-1].next_path() if self._frames else ()
        self._put(event, container)
        self._frames.append(_Frame(container, path))

    def _put(self, event: yaml.Event, value: object) -> None:
        if not self._frames:
            self.value = value
            return
        frame = self._frames[-1]
        if self._wanted and isinstance(frame.container, list):
            self._mark(event, frame.next_path())
        frame.put(value)

    def _mark(self, event: yaml.Event, path: Path) -> None:
        if path in self._wanted:
            self.places.setdefault(path, self._place(_start(event)))
            if len(self.places) == len(self._wanted):
                raise _Stop

    def _place(self, mark: _Mark) -> Place:
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _refuse_properties(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            hint = "write the value out where it is needed"
            self._refuse(event, f"the anchor &{event.anchor}", hint)
        if event.tag is not None:
            short = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = "a definition is data; put text in quotes, leave numbers bare"
            self._refuse(event, f"the tag {short}", hint)

    def _refuse(self, event: yaml.Event, what: str, hint: str) -> None:
        self._note(event, f"{what} is not allowed here", hint)

    def _note(self, event: yaml.Event, text: str, hint: str = "", path: Path | None = None) -> None:
        if path is None:
            path = self._frames[-1].next_path() if self._frames else ()
        self.problems.append(Problem(path, text, hint, self._place(_start(event))))
        if len(self.problems) == MOST_PROBLEMS:
            self.whole = False
            raise _Stop

    def _syntax(self, error: yaml.MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            return Problem((), f"not YAML: {error.problem}", place=Place(self._file, 1, 1))
        if "nesting depth" in (error.problem or ""):  # libyaml has a bound of its own, and scans ahead of us
            return Problem((), TOO_DEEP, FLATTER, self._place(mark))
        context = f"{error.context}, " if error.context else ""
        lines = self._text.splitlines()
        # At the end of the file the mark stands behind the last line.
        line = lines[mark.line] if mark.line < len(lines) else ""
        shown = f", in the line {line.strip()[:80]!r}" if line.strip() else ", at the end"
        text = f"not YAML: {context}{error.problem}{shown}"
        return Problem((), text, _way_out(str(error.problem), line[mark.column :]), self._place(mark))


_WAYS_OUT: Final = {
    "mapping values are not allowed": "put a text that holds a colon in quotes, or indent it",
    "expected ',' or": "a bracket or quote is not closed, or a comma is missing",
    "did not find expected key": "indent the keys of one level alike",
    "unexpected end of stream": "a quote is not closed",
    "could not find expected ':'": "write `key: value`, with a blank behind the colon",
    "cannot start any token": "put it in quotes",
}
"""What to do about libyaml's complaints, by a part of their text."""


def _way_out(problem: str, rest: str) -> str:
    if rest.startswith("\t"):
        return "indent with blanks, YAML knows no tabs there"
    return next((hint for part, hint in _WAYS_OUT.items() if part in problem), "")
