"""Plain data to a valid `Shape`, and everything that is wrong with the data, in our words.

A definition may be wrong in one place and checkable in all others. So `shaped` takes out what is wrong and tries the
rest again: the shape that it returns is always valid, and the problems say what was left out of it.

pydantic reports a place as a path into which the tags of its unions are mixed; those of `schema` begin with a NUL, which
no key in a file has any use for, and are dropped again here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from swath.definition.checks import Wrong, shown, suggestion
from swath.definition.drawing import SampleShape
from swath.definition.leaves import MODIFIERS
from swath.definition.places import Path, Problem
from swath.definition.schema import FORMS, TAKEN, ClusterShape, PointShape, Shape, misfit
from swath.definition.searching import SearchShape
from swath.definition.stopping import StopShape

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

_ABOVE: Final[Path] = ("\0above",)
"""Stands for: the mistake is of what holds the value, because an argument is missing."""

_DIVISIBLE: Final = ("parameters", "derive", "point", "cluster", "stop", "search", "sample")
"""Keys whose entries do not depend on each other's shape."""

_SHAPES: Final[Mapping[str, type[BaseModel]]] = {
    "point": PointShape,
    "cluster": ClusterShape,
    "search": SearchShape,
    "stop": StopShape,
    "sample": SampleShape,
}


def shaped(mapping: Mapping[str, object]) -> tuple[Shape, list[Problem]]:
    """Check the shape of plain data.

    Returns
    -------
    shape : Shape
        What is right, typed.
    problems : list of Problem
        What is wrong and therefore left out.
    """
    data = dict(mapping)
    problems: list[Problem] = []
    while True:
        try:
            return Shape.model_validate(data), problems
        except ValidationError as error:
            found = [_problem(details) for details in error.errors(include_url=False)]
            problems += dict.fromkeys(
                found
            )  # a short list of arguments is reported once for each that is missing
            data = _without(data, [problem.path for problem in found])


def _without(data: Mapping[str, object], paths: Iterable[Path]) -> dict[str, Any]:
    """Return a copy in which the smallest independent pieces that hold the paths are missing."""
    left: dict[str, Any] = dict(data)
    pieces: dict[str, list[Path]] = {}
    for top, *below in paths:
        pieces.setdefault(str(top), []).append(tuple(below))
    for top, inner in pieces.items():
        if top == "parameters" and isinstance(left.get(top), list) and all(inner):
            left[top] = _lessened(left[top], inner)
        elif top in _DIVISIBLE and isinstance(left.get(top), dict) and all(inner):
            left[top] = _dropped(left[top], {below[0] for below in inner})
        else:
            left.pop(top, None)
    return left


def _lessened(blocks: list[Any], paths: Iterable[Path]) -> list[Any]:
    """Return blocks without some parameters; one that is wrong as a whole is left empty: the others keep their places."""
    wrong: dict[int, list[Path]] = {}
    for i, *below in paths:
        wrong.setdefault(int(i), []).append(tuple(below))
    left = list(blocks)
    for i, inner in wrong.items():
        sound = isinstance(blocks[i], dict) and all(inner)
        left[i] = _dropped(blocks[i], {below[0] for below in inner}) if sound else {}
    return left


def _dropped(mapping: dict[Any, Any], keys: Collection[object]) -> dict[Any, Any]:
    return {name: value for name, value in mapping.items() if name not in keys}


def _problem(error: ErrorDetails) -> Problem:
    path = tuple(key for key in error["loc"] if not str(key).startswith("\0") and key != "[key]")
    wrong = _wrong(error, path)
    return Problem((*path, *wrong.path) if wrong.path != _ABOVE else path[:-1], wrong.text, wrong.hint)


def _wrong(error: ErrorDetails, path: Path) -> Wrong:
    kind, value = error["type"], error["input"]
    if kind == "value_error":
        wrong: Wrong = error["ctx"][
            "error"
        ]  # every check of ours raises it, and pydantic's own have other types
        return wrong
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return _missing_argument(path, value)
    if kind.startswith("union_tag"):
        return _no_form(value)
    return _wrong_type(kind, path, value)


def _wrong_type(kind: str, path: Path, value: object) -> Wrong:
    if kind in {"tuple_type", "too_long"} and path[-1] in TAKEN:
        return misfit(str(path[-1]), value)
    if kind == "too_short":
        return Wrong(f"a group needs two names or more, got {shown(value)}")
    expected = "a list" if kind == "list_type" else "a mapping"
    return Wrong(f"must be {expected}, got {shown(value)}", _LOOKS.get(str(path[0]), "") if path else "")


_LOOKS: Final[Mapping[str, str]] = {
    "parameters": "write `parameters: {name: [values]}`",
    "zip": "write groups of names: `zip: [[a, b]]`",
    "derive": "write `derive: {name: expression}`",
    "point": "write `point: {timeout: 60s}`",
    "cluster": "write `cluster: {workers: 4}`",
    "stop": "write `stop: {method: asha}`",
    "search": "write `search: {method: tpe, points: 200}`",
    "sample": "write `sample: {method: sobol, draws: 1000}`",
}
"""How the keys look that hold more than one value."""


def _missing_argument(path: Path, value: object) -> Wrong:
    wrong = misfit(str(path[-2]), value)
    return Wrong(wrong.text, wrong.hint, _ABOVE)


def _unknown_key(path: Path) -> Wrong:
    known = _keys_beside(path)
    if len(path) == 1:
        place = next((top for top in _SHAPES if path[0] in _SHAPES[top].model_fields), None)
        if place:
            return Wrong("unknown key", f"it belongs under `{place}:`")
    elif path[0] in _SHAPES and not suggestion(str(path[-1]), known):
        top = "" if path[-1] in Shape.model_fields else suggestion(str(path[-1]), Shape.model_fields)
        if top or path[-1] in Shape.model_fields:
            return Wrong("unknown key", f"{top} it belongs beside `{path[0]}:`, not under it".strip())
    if path[-1] == "step":
        return Wrong(
            "unknown key", "a step stands beside a distribution of numbers, such as `uniform: [0, 1]`"
        )
    return Wrong("unknown key", suggestion(str(path[-1]), known) or f"there are: {', '.join(known)}")


def _keys_beside(path: Path) -> list[str]:
    if len(path) == 1:
        return list(Shape.model_fields)
    if path[0] in _SHAPES:
        fields = _SHAPES[str(path[0])].model_fields
        return [field.alias or name for name, field in fields.items()]
    return [*FORMS, *MODIFIERS]


def _no_form(value: object) -> Wrong:
    """Say why a mapping is no form: none or several of the known keys are in it."""
    keys = list(value) if isinstance(value, dict) else []
    kinds = [key for key in keys if key in FORMS]
    if len(kinds) > 1:
        return Wrong(f"has both {kinds[0]} and {kinds[1]}", "keep one")
    foreign = next((key for key in keys if key not in MODIFIERS), None)
    if foreign is None:
        return Wrong(f"has no values, got {shown(value)}", "add `values: [...]`")
    near = suggestion(str(foreign), FORMS)
    return Wrong(
        "unknown form",
        near or f"forms are {', '.join(FORMS)}; a constant mapping is written as a list of one",
        (foreign,),
    )
