"""The pages as HTML: templates that escape whatever they are given, and the files beside them.

A text that was written by a definition, an objective or another machine goes through the filter ``plain`` too, which spells
out what does not print or reorders a line, as on a terminal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from swath.views import palette
from swath.views.text import count, duration, plain, size, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template

LONG = 5  # values of a list that are written

HERE = Path(__file__).parent


def _assets() -> dict[str, str]:
    """Return style sheets and scripts by name."""
    found = {file.name: file.read_text(encoding="utf-8") for file in (HERE / "assets").iterdir()}
    colours = [f"[data-state={state}] {{ --own: {colour}; }}" for state, colour in palette.STATE.items()]
    colours += [f"[data-status={status}] {{ --own: {colour}; }}" for status, colour in palette.STATUS.items()]
    colours.append(f":root {{ --swath-failed: {palette.FAILED}; --swath-running: {palette.RUNNING}; }}")
    return {**found, "palette.css": "\n".join([palette.css(dark=False), *colours])}


ASSETS = _assets()


def when(iso: str) -> str:
    """Write an ISO time to the second, without what everybody knows."""
    return iso[:19].replace("T", " ")


def full(content: object) -> str:
    """Write a value with all its digits; text as it is, mappings and lists as JSON, long lists by their beginning."""
    if isinstance(content, str):
        return plain(content)
    if isinstance(content, list) and len(content) > LONG:
        return f"[{', '.join(map(value, content[:LONG]))}, ...] ({count(len(content))} values)"
    return plain(json.dumps(content, default=str))


def query(words: Sequence[tuple[str, object]] | Mapping[str, object]) -> str:
    """Write the query of an address."""
    return urlencode(words)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {"count": count, "duration": duration, "plain": plain, "size": size, "when": when, "value": value}
    made.filters.update(words)
    made.filters["full"] = full
    made.filters["lines"] = lambda text: plain(text, lines=True)
    made.globals["query"] = query
    return made


ENVIRONMENT = _environment()


def template(name: str) -> Template:
    """Return a template, for Bokeh to fill."""
    return ENVIRONMENT.get_template(name)


def page(name: str, /, **content: Any) -> str:
    """Fill a template."""
    return template(name).render(**content)
