"""JSON for people, with a checksum of itself for the day when a disk spoils it.

The checksum is over the canonical form of the content, so the layout may be what people like to read. Whatever is
changed in such a file either leaves its content as it was or is found.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from swath.errors import DamageError
from swath.store.disk import checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = 2
"""The newest of what is in a run folder; one beyond it is refused."""

ROWS_ONLY: Final = 1
"""The format before there were steps and proposals; what has none of them is still written in it."""


class NewerFormatError(DamageError):
    """The file is sound, but a newer swath wrote it; older files beside it must not be taken for the truth."""


def layout(mapping: Mapping[str, Any]) -> str:
    """Write a mapping as JSON (which is YAML too) with a line for each thing that people look for.

    Parameters
    ----------
    mapping : Mapping
        JSON-able. Entries of a list or mapping one level down get a line each.
    """
    return "{\n" + ",\n".join(f"{_text(key)}: {_inner(value)}" for key, value in mapping.items()) + "\n}\n"


def _inner(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f"  {_text(key)}: {_text(item)}" for key, item in value.items()) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"  {_text(item)}" for item in value) + "\n]"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def sealed(mapping: Mapping[str, Any]) -> bytes:
    """Write a mapping as JSON with a checksum of itself."""
    return layout({**mapping, "checksum": _checksum(mapping)}).encode(errors="surrogatepass")


def _checksum(mapping: Mapping[str, Any]) -> str:
    return checksum([json.dumps(mapping, sort_keys=True, separators=(",", ":")).encode()])


def unsealed(raw: bytes, file: str) -> dict[str, Any]:
    """Read what `sealed` wrote.

    Raises
    ------
    DamageError
        It is not JSON, or its checksum is another one.
    NewerFormatError
        A newer swath wrote it.
    """
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{file} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise DamageError(f"{file} is not a mapping")
    claimed = found.pop("checksum", None)
    if claimed != _checksum(found):
        raise DamageError(f"the checksum of {file} does not match its content")
    if found.get("format") not in range(ROWS_ONLY, FORMAT + 1):
        raise NewerFormatError(
            f"{file} has format {found.get('format')!r}, this swath reads formats up to {FORMAT}; use the swath that wrote it"
        )
    return found
