"""A snapshot as JSON, and back: for lines for machines, and for other processes.

What comes back may have been written by anybody, and by another version of swath: `decode` builds a snapshot of exactly the
types that `Snapshot` declares or refuses, leaves out what it does not know, and takes defaults for what is not there.
(`Snapshot.from_json` does the same between ends that trust each other, and believes what it is given.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite, nan
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from swath.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable


def mapping_of(content: Any) -> Any:
    """Turn a snapshot, or a part of one, into what JSON can say; numbers without a name there (nan, inf) become null."""
    if isinstance(content, float):
        return content if isfinite(content) else None
    if is_dataclass(content):
        return {item.name: mapping_of(getattr(content, item.name)) for item in fields(content)}
    if isinstance(content, Mapping):
        return {str(key): mapping_of(item) for key, item in content.items()}
    if isinstance(content, list | tuple):
        return [mapping_of(item) for item in content]
    return mapping_of(content.tolist()) if hasattr(content, "tolist") else content  # numpy's


def decode(content: Any) -> Snapshot:
    """Build a snapshot from what `mapping_of` made; fields that are not known here are left out.

    Raises
    ------
    ValueError
        Something has another type than `Snapshot` declares, or is missing.
    """
    made = _fitted(Snapshot, content)
    assert isinstance(made, Snapshot)  # noqa: S101  for the type checker
    return made


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, localns={"Mapping": Mapping})


def _fitted(hint: Any, content: Any) -> Any:
    """Return content as the type that a hint declares."""
    if hint in (Any, object):
        return content
    if fit := _FITS.get(get_origin(hint)):
        return fit(get_args(hint), content)
    if is_dataclass(hint):
        return _rebuilt(hint, content)
    return _number(content) if hint is float else _checked(content, type(content) is hint)


def _rebuilt(kind: Any, content: Any) -> Any:
    _checked(content, isinstance(content, dict))
    try:
        return kind(
            **{name: _fitted(hint, content[name]) for name, hint in _hints(kind).items() if name in content}
        )
    except TypeError as error:  # a field without a default is missing
        raise ValueError(str(error)) from error


def _one_of(hints: tuple[Any, ...], content: Any) -> Any:
    if content is None and NoneType in hints:
        return None
    (hint,) = (hint for hint in hints if hint is not NoneType)
    return _fitted(hint, content)


def _tuple(hints: tuple[Any, ...], content: Any) -> tuple[Any, ...]:
    _checked(content, isinstance(content, list))
    if hints[1:] == (...,):
        return tuple(_fitted(hints[0], item) for item in content)
    return tuple(_fitted(hint, item) for hint, item in zip(hints, content, strict=True))


def _literal(allowed: tuple[Any, ...], content: Any) -> Any:
    return _checked(content, type(content) is str and content in allowed)


def _mapping(hints: tuple[Any, ...], content: Any) -> dict[str, Any]:
    _checked(content, isinstance(content, dict))
    return {key: _fitted(hints[1], item) for key, item in content.items()}


def _number(content: Any) -> float:
    if content is None:  # nan or inf, for which JSON has no word
        return nan
    return float(_checked(content, type(content) in (int, float)))


def _checked(content: Any, holds: bool) -> Any:
    if not holds:
        raise ValueError(f"unexpected {content!r:.40}")
    return content


_FITS: dict[Any, Callable[[tuple[Any, ...], Any], Any]] = {
    Union: _one_of,
    UnionType: _one_of,
    Literal: _literal,
    tuple: _tuple,
    Mapping: _mapping,
}
