"""The exceptions a user may catch; each carries the exit code of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class SwathError(Exception):
    """Base of everything swath raises on purpose.

    Attributes
    ----------
    exit_code : int
        What ``swath`` exits with when the error reaches the command line.
    """

    exit_code: ClassVar[int] = 70


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a definition.

    Attributes
    ----------
    key : str
        Where in the definition, as a dotted path: ``parameters.beta.linspace``.
    text : str
        What is wrong, with the value received.
    hint : str
        The way out; may be empty.
    file : str
        The file's name as the user wrote it; empty for a definition made in Python.
    line, column : int
        Place in the file, counted from 1; 0 where there is none.
    """

    key: str
    text: str
    hint: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = (
            f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        )
        key = f"{self.key}: " if self.key else ""
        hint = f"; {self.hint}" if self.hint else ""
        line = f"{place}error: {key}{self.text}{hint}"
        if line.isprintable():
            return line
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class DefinitionError(SwathError):
    """A definition has mistakes; nothing was started.

    Attributes
    ----------
    mistakes : tuple of Mistake
        All of them, in the order of the file.
    """

    exit_code = 2

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(*mistakes)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.mistakes)


class ExpressionError(SwathError):
    """An expression (``where``, ``derive``, ``when``) is not allowed or cannot be evaluated."""

    exit_code = 2


class UsageError(SwathError):
    """A call or a command line that cannot be carried out as it stands."""

    exit_code = 2


class ObjectiveError(SwathError):
    """The objective cannot be found, imported, or called with these parameters."""

    exit_code = 2


class CodeChangedError(SwathError):
    """The objective is not the one that the saved rows came from."""

    exit_code = 2


class RunInUseError(SwathError):
    """Another process writes to this run folder."""

    exit_code = 73


class CannotWriteError(SwathError):
    """The run folder cannot be written; rows saved so far are safe."""

    exit_code = 74


class ClusterLostError(SwathError):
    """The scheduler or all of its workers are gone; the run can be resumed."""

    exit_code = 75


class DamageError(SwathError):
    """A run folder cannot be read: a file is missing, torn, altered or of a newer format."""

    exit_code = 2
