"""What the manifest lists: definitions, sessions, and the files of rows, steps and proposals; and how each is read.

Everything here is data from a folder that anybody may have written. Each field is checked as it is read, and
names of files must match a pattern without a separator. The name tells the kind of a file, so that none can stand in
the list of another kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from swath.errors import DamageError
from swath.messages import STATUSES
from swath.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MANIFEST = "manifest.json"
SEGMENTS = "segments"
LARGEST = 1 << 28  # bytes; a file of a run beyond this is not ours
MAX_ATTEMPTS = 65535  # of a point; segments keep it in 16 bits
SEGMENT_NAME = re.compile(r"[0-9]{6,9}(\.steps|\.proposals)?\.arrow", re.ASCII)
DEFINITION_NAME = re.compile(r"[0-9]{4,9}\.yaml", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a run folder that cannot be read.

    Attributes
    ----------
    file : str
        Relative to the run folder.
    text : str
        What is wrong with it.
    rows : int
        How many rows are missing because of it; 0 where that is not known.
    what : str
        What they are instead: "steps", "proposals".
    """

    file: str
    text: str
    rows: int = 0
    what: str = "rows"

    def __str__(self) -> str:
        missing = f"; {self.rows:,} {self.what} are missing" if self.rows else ""
        more = ", and with them the rows of these and of all that follow" if self.what == "proposals" else ""
        return f"{self.file}: {self.text}{missing}{more}"


@dataclass(frozen=True, slots=True)
class DefinitionEntry:
    """An accepted definition: its file, and what to compare with when the run goes on.

    Attributes
    ----------
    receives : tuple of str
        What the objective took of parameters and derived values.
    code : str
        Fingerprint of the objective's code when the definition was used last.
    """

    number: int
    file: str
    bytes: int
    crc: str
    name: str
    objective: str
    receives: tuple[str, ...]
    code: str


@dataclass(frozen=True, slots=True)
class Session:
    """One start of the driver on this run."""

    started: str
    rows_before: int
    pid: int
    host: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that is written as the run goes on.

    Attributes
    ----------
    file, bytes, crc
        A bare name, its length, and its CRC-32 in hex.
    definition : int
        The number of the definition that decodes its points.
    """

    what: ClassVar[str]
    suffix: ClassVar[str]

    file: str
    bytes: int
    crc: str
    definition: int

    @property
    def path(self) -> str:
        """Relative to the run folder."""
        return f"{SEGMENTS}/{self.file}"


@dataclass(frozen=True, slots=True)
class SegmentEntry(FileEntry):
    """A file of rows.

    Attributes
    ----------
    code : str
        Fingerprint of the code that made the rows.
    rows : int
        Rows in it. A point that was tried again may have several.
    excluded : int
        Positions in ``done`` that ``where`` left out.
    done : str
        Positions decided, as text of a RangeSet.
    statuses : mapping of str to int
        Rows by status; adds up to ``rows``.
    attempts_max : int
        The highest attempt of a row; 0 without rows.
    """

    what = "rows"
    suffix = ".arrow"

    code: str
    rows: int
    excluded: int
    done: str
    statuses: Mapping[str, int]
    attempts_max: int

    @property
    def positions(self) -> RangeSet:
        """Positions decided, in the order of the definition; DamageError where the text is none."""
        try:
            return RangeSet.parse(self.done)
        except (ValueError, OverflowError) as error:
            raise DamageError(f"{MANIFEST}: done of {self.file} is {self.done!r:.60}") from error


@dataclass(frozen=True, slots=True)
class StepsEntry(FileEntry):
    """A file of steps, in the order in which they came.

    Attributes
    ----------
    rows : int
        Steps in it.
    """

    what = "steps"
    suffix = ".steps.arrow"

    rows: int


@dataclass(frozen=True, slots=True)
class ProposalsEntry(FileEntry):
    """A file of points that a search has proposed.

    Attributes
    ----------
    first : int
        The number of the first of them in the search; the others follow.
    rows : int
        Proposals in it.
    """

    what = "proposals"
    suffix = ".proposals.arrow"

    first: int
    rows: int


Entry = SegmentEntry | StepsEntry | ProposalsEntry
"""A file in `SEGMENTS`."""


def damaged(entry: Entry, text: str) -> Damage:
    """Say that a file cannot be read, and what is missing because of it."""
    return Damage(entry.path, text, entry.rows, entry.what)


# Reading: each raises ValueError for what is not as it should be.


def definition_entry(entry: Any) -> DefinitionEntry:
    """Read the entry of a definition."""
    if read_count(entry, "bytes") > LARGEST:
        raise ValueError(f"bytes is {entry['bytes']} of a definition, more than swath writes")
    return DefinitionEntry(
        number=read_count(entry, "number"),
        file=_named(entry, DEFINITION_NAME),
        bytes=read_count(entry, "bytes"),
        crc=read_field(entry, "crc", str),
        name=read_field(entry, "name", str),
        objective=read_field(entry, "objective", str),
        receives=read_texts(entry, "receives"),
        code=read_field(entry, "code", str),
    )


def session_entry(entry: Any) -> Session:
    """Read what is known of a session."""
    return Session(
        started=read_field(entry, "started", str),
        rows_before=read_count(entry, "rows_before"),
        pid=read_count(entry, "pid"),
        host=read_field(entry, "host", str),
    )


def segment_entry(entry: Any) -> SegmentEntry:
    """Read the entry of a file of rows."""
    made = SegmentEntry(
        **_about_file(entry, SegmentEntry.suffix),
        code=read_field(entry, "code", str),
        rows=read_count(entry, "rows"),
        excluded=read_count(entry, "excluded"),
        done=read_field(entry, "done", str),
        statuses={
            status: read_count(entry["statuses"], status) for status in read_field(entry, "statuses", dict)
        },
        attempts_max=read_count(entry, "attempts_max"),
    )
    if set(made.statuses) - set(STATUSES) or sum(made.statuses.values()) != made.rows:
        raise ValueError(f"statuses {dict(made.statuses)} do not add up to {made.rows} rows in {made.file}")
    if made.attempts_max > MAX_ATTEMPTS:
        raise ValueError(f"attempts_max is {made.attempts_max} in {made.file}")
    return made


def steps_entry(entry: Any) -> StepsEntry:
    """Read the entry of a file of steps."""
    return StepsEntry(**_about_file(entry, StepsEntry.suffix), rows=read_count(entry, "rows"))


def proposals_entry(entry: Any) -> ProposalsEntry:
    """Read the entry of a file of proposals."""
    about = _about_file(entry, ProposalsEntry.suffix)
    return ProposalsEntry(**about, first=read_count(entry, "first"), rows=read_count(entry, "rows"))


def _about_file(entry: Any, suffix: str) -> dict[str, Any]:
    """Read what all files have in common."""
    file = _named(entry, SEGMENT_NAME)
    if file.lstrip("0123456789") != suffix:
        raise ValueError(f"file is {file!r}, which is no name of this kind")
    if (size := read_count(entry, "bytes")) > LARGEST:
        raise ValueError(f"bytes is {size} of {file}, more than swath writes")
    return {
        "file": file,
        "bytes": size,
        "crc": read_field(entry, "crc", str),
        "definition": read_count(entry, "definition"),
    }


def read_field(mapping: Any, key: str, kind: type[T]) -> T:
    """Return a field that must be of a kind."""
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{key} is {value!r:.60}, not {kind.__name__}")  # noqa: TRY004  one kind for the caller
    return value


def read_count(mapping: Any, key: str) -> int:
    """Return a field that must be a whole number, not negative."""
    value = read_field(mapping, key, int)
    if not 0 <= value < 1 << 63:
        raise ValueError(f"{key} is {value}")
    return value


def _named(mapping: Any, pattern: re.Pattern[str]) -> str:
    value = read_field(mapping, "file", str)
    if not pattern.fullmatch(value):
        raise ValueError(f"file is {value!r:.60}, which is no name that swath gives")
    return value


def read_texts(mapping: Any, key: str) -> tuple[str, ...]:
    """Return a field that must be a list of texts."""
    values: Sequence[Any] = read_field(mapping, key, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} is {values!r:.60}, not a list of texts")
    return tuple(values)
