"""One check for each kind of leaf in a definition: given a plain value, return it as swath uses it or raise `Wrong`.

A `Wrong` holds the value received and the way out; where it happened is added by the caller, who knows the path.
The checks import nothing heavy, so the command line uses those for durations and sizes too.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

RESERVED: Final = ("point", "status", "seconds", "attempts", "worker", "started", "failure", "definition")
"""Columns of the results frame that are not the user's to name."""

_SECONDS: Final = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_BYTES: Final = (
    {"B": 1}
    | {
        prefix + unit: base**power
        for power, prefix in enumerate("kMGT", start=1)
        for unit, base in (("B", 1000), ("iB", 1024))
    }
    | {"KB": 1000, "KiB": 1024}
)
_QUANTITY: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
_RUN_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_DEVICE_NAME: Final = re.compile(r"(?i:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\..*)?")
_OBJECTIVE: Final = re.compile(
    r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:(?:[^\W\d]\w*|<locals>|<lambda>)(?:\.(?:[^\W\d]\w*|<locals>|<lambda>))*"
)
_LARGEST: Final = 1e300  # of a form's argument: differences and sums of two must not overflow either
_DEEPEST: Final = 24  # levels within one value; whole files may have 32
_LONGEST_SHOWN: Final = 60  # characters of a value that a message repeats


class Wrong(ValueError):  # noqa: N818 - reads as the sentence it makes: raise Wrong("must be ...")
    """A value that cannot stand where it does.

    Parameters
    ----------
    text, hint : str
        What is wrong, and the way out, which may be empty.
    path : tuple
        Where inside the value; empty for the value itself.
    """

    def __init__(self, text: str, hint: str = "", path: tuple[str | int, ...] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.path = path


def shown(value: object) -> str:
    """Write a received value for a message, as it looks in a file."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "an empty list" if not value else f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for a near miss, else an empty text."""
    near = difflib.get_close_matches(word[:100], [name for name in known if name != word], n=1, cutoff=0.65)
    return f"did you mean {near[0]!r}?" if near else ""


def text(value: object) -> str:
    """Accept text that is not empty."""
    if not isinstance(value, str):
        hint = "put it in quotes" if isinstance(value, int | float) else ""
        raise Wrong(f"must be text, got {shown(value)}", hint)
    if not value.strip():
        raise Wrong("must not be empty")
    return value


def expression(value: object) -> str:
    """Accept the text of an expression; what it says is judged where names are known."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"must be an expression, got {shown(value)}", "write text such as `beta > gamma`")
    return value


def metrics(value: object) -> str | list[str]:
    """Accept the name of a metric, or a list of different ones."""
    if not isinstance(value, list):
        return text(value)
    if not value:
        raise Wrong("an empty list names no metric", "name what the objective returns")
    for i, name in enumerate(value):
        try:
            text(name)
        except Wrong as wrong:
            raise Wrong(wrong.text, wrong.hint, (i,)) from None
        if name in value[:i]:
            raise Wrong(f"{name!r} is named twice", "leave one out", (i,))
    return value


def flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, got {shown(value)}")
    return value


def number(value: object) -> int | float:
    """Accept a finite number; an int stays one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"must be a number, got {shown(value)}")
    if not (_is_finite(value) and abs(value) <= _LARGEST):
        raise Wrong(f"must be a number of at most {_LARGEST:g}, got {shown(value)}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def between(least: float, most: float) -> Callable[[object], int | float]:
    """Return a check that accepts numbers from ``least`` to ``most``, both included."""

    def check(value: object) -> int | float:
        if not least <= (accepted := number(value)) <= most:
            raise Wrong(f"must be from {least:g} to {most:g}, got {shown(value)}")
        return accepted

    return check


def not_negative(value: object) -> int | float:
    """Accept zero and more."""
    if (accepted := number(value)) < 0:
        raise Wrong(f"must be at least 0, got {shown(value)}")
    return accepted


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return a check that accepts whole numbers from ``least`` to ``most``, both included."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"must be a whole number, got {shown(value)}")
        if value < least:
            raise Wrong(f"must be at least {least}, got {shown(value)}")
        if value > most:
            raise Wrong(f"must be at most {most}, got {shown(value)}")
        return value

    return check


def choice(*words: str) -> Callable[[object], str]:
    """Return a check that accepts one of a few words."""
    allowed = " or ".join(repr(word) for word in words)

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            near = suggestion(value, words) if isinstance(value, str) else ""
            raise Wrong(f"must be {allowed}, got {shown(value)}", near)
        return value

    return check


def duration(value: object) -> float:
    """Accept a positive duration: seconds, or text such as ``500ms``, ``60s``, ``5min``, ``2h``, ``1d``.

    Returns
    -------
    float
        Seconds.
    """
    return float(
        _quantity(value, _SECONDS, "a duration", "write seconds, or '500ms', '60s', '5min', '2h', '1d'")
    )


def size(value: object) -> int:
    """Accept a positive amount of memory: bytes, or text such as ``500MB`` (10^6) or ``2GiB`` (2^30).

    Returns
    -------
    int
        Bytes.
    """
    return math.ceil(_quantity(value, _BYTES, "an amount of memory", "write bytes, or '500MB', '2GiB'"))


def _quantity(value: object, units: dict[str, int] | dict[str, float], what: str, hint: str) -> float:
    amount: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        amount = value
    elif isinstance(value, str):
        amount = _parsed(value, units)
    if amount is None:
        raise Wrong(f"must be {what}, got {shown(value)}", hint)
    if not (_is_finite(amount) and amount > 0):
        raise Wrong(f"must be more than zero and finite, got {shown(value)}", hint)
    return amount


def _parsed(value: str, units: dict[str, int] | dict[str, float]) -> float | None:
    match = _QUANTITY.fullmatch(value)
    if not match or (match[2] and match[2] not in units):
        return None
    return float(match[1]) * units.get(match[2], 1)


def run_name(value: object) -> str:
    """Accept a name that can be a folder anywhere."""
    name = text(value)
    if not _RUN_NAME.fullmatch(name) or _DEVICE_NAME.fullmatch(name):
        hint = "use up to 100 of A-Z a-z 0-9 . _ -, the first a letter or digit, the last no dot"
        raise Wrong(f"cannot name a folder everywhere, got {shown(name)}", hint)
    return name


def fitting_run_name(value: str) -> str:
    """Return the run name nearest to some text, such as a file's stem; ``sweep`` if nothing of it fits."""
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    fitting = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-")[:100].rstrip(".")
    return fitting if _RUN_NAME.fullmatch(fitting) and not _DEVICE_NAME.fullmatch(fitting) else "sweep"


def objective(value: object) -> str:
    """Accept ``module:function``; dots are allowed on both sides."""
    name = text(value)
    if not _OBJECTIVE.fullmatch(name) or ".py:" in name:
        raise Wrong(f"must be module:function, got {shown(name)}", _objective_hint(name))
    return name


def _objective_hint(name: str) -> str:
    guess = re.sub(r"\.py(?=:|$)", "", name).replace("/", ".").strip(". ")
    if ":" not in guess and "." in guess:
        guess = ":".join(guess.rsplit(".", 1))
    if guess != name and _OBJECTIVE.fullmatch(guess):
        return f"write {guess}"
    return "for a function `train` in digits.py write digits:train"


def column_name(value: object) -> str:
    """Accept the name of a parameter or derived column."""
    if not isinstance(value, str):
        raise Wrong(f"a name must be text, got {shown(value)}", "put it in quotes")
    if not value.strip():
        raise Wrong("a name must not be empty")
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in value):
        raise Wrong("a name must not contain line breaks or control characters")
    if value in RESERVED:
        raise Wrong(
            f"{value!r} is a column that swath itself adds to the results",
            f"rename it, to {value}_ for example",
        )
    return value


def values(value: object) -> list[object]:
    """Accept a list of at least one value."""
    if not isinstance(value, list):
        raise Wrong(
            f"must be a list, got {shown(value)}",
            f"write [{shown(value)}]" if isinstance(value, str | int | float) else "",
        )
    if not value:
        raise Wrong("an empty list leaves no points", "give at least one value")
    for i, item in enumerate(value):
        if type(item) is not int:
            _check_item(item, (i,))
    return value


def scalar(value: object) -> object:
    """Accept a single value of any plain type, NaN excepted."""
    _check_item(value, ())
    return value


def _check_item(item: object, path: tuple[str | int, ...]) -> None:
    if len(path) > _DEEPEST:
        raise Wrong(f"nested more than {_DEEPEST} deep")
    if isinstance(item, float):
        if math.isnan(item):
            raise Wrong(
                "NaN equals nothing, not even itself, so no point could be found again",
                "use null for a missing value",
                path,
            )
    elif isinstance(item, str):
        if not item.isascii() and any(unicodedata.category(c) == "Cs" for c in item):
            raise Wrong("is not valid Unicode text: it holds half of a surrogate pair", path=path)
    elif isinstance(item, list):
        for i, inner in enumerate(item):
            _check_item(inner, (*path, i))
    elif isinstance(item, dict):
        for key, inner in item.items():
            _check_item(inner, (*path, key))


def mapping_of_values(value: object, path: tuple[str | int, ...]) -> None:
    """Make sure that this is a mapping of names to values."""
    if not isinstance(value, dict) or not value:
        raise Wrong(f"must be a mapping of parameters to values, got {shown(value)}", path=path)
    for name, item in value.items():
        _check_item(item, (*path, name))


def unknown_name(name: str, known: Collection[str]) -> str:
    """Return the way out for a name that nothing provides."""
    return suggestion(name, known) or (f"there are: {', '.join(list(known)[:8])}" if known else "")
