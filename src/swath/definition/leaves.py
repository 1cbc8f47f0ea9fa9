"""The leaves of a definition's shape: types of fields, each with our own check and with what an editor is told.

The models of `schema` are made of these, and those of keys that have a file of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import core_schema

from swath.definition import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_AXIS: Final = 10_000_000
"""Values that one parameter may have: an axis may have to be held, at 8 to 60 bytes a value."""

MODIFIERS: Final = ("when", "was")
"""What may stand beside a form; beside a distribution of numbers also ``step``."""

PRECISION: Final = ("until", "max")
"""What may stand beside ``seeds`` as well."""


@dataclass(frozen=True, eq=False)  # typing compares annotations by hash, and `told` has none
class Leaf:
    """Annotates a field with our own check, and with what an editor is told."""

    check: Callable[[object], object]
    told: Mapping[str, object]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: object, handler: object) -> dict[str, object]:
        return dict(self.told)


def whole(least: int, most: int) -> Leaf:
    """Accept whole numbers from ``least`` to ``most``, both included."""
    return Leaf(checks.whole(least, most), {"type": "integer", "minimum": least, "maximum": most})


def choice(*words: str) -> Leaf:
    """Accept one of a few words."""
    return Leaf(checks.choice(*words), {"enum": list(words)})


def quantity(check: Callable[[object], object], units: str) -> Leaf:
    """Accept a positive number, or text of a number and one of some units (alternatives of a regular expression)."""
    written = {"type": "string", "pattern": rf"^ *[0-9.]+ *({units})? *$"}
    return Leaf(check, {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, written]})


Text = Annotated[str, Leaf(checks.text, {"type": "string", "minLength": 1})]
ExpressionText = Annotated[str, Leaf(checks.expression, {"type": "string", "minLength": 1})]
Number = Annotated[int | float, Leaf(checks.number, {"type": "number"})]
Metrics = Annotated[
    str | list[str],
    Leaf(
        checks.metrics,
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
            ]
        },
    ),
]
Flag = Annotated[bool, Leaf(checks.flag, {"type": "boolean"})]
Count = Annotated[int, whole(1, LONGEST_AXIS)]
Name = Annotated[str, Leaf(checks.column_name, {"type": "string"})]
Constant = Annotated[Any, Leaf(checks.scalar, {"type": ["string", "number", "boolean", "null"]})]
Value = Annotated[Any, Leaf(checks.scalar, {})]
Values = Annotated[list[Any], Leaf(checks.values, {"type": "array", "minItems": 1})]


class Strict(BaseModel):
    """A mapping that knows its keys and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ValueForm(Strict):
    """Beside a form."""

    when: ExpressionText | None = Field(
        default=None, description="Condition over earlier parameters; where it is false, this one is absent."
    )
    was: Value = Field(
        default=None, description="What rows saved before this parameter existed count as having had."
    )

    @property
    def kind(self) -> str:
        """The name of the form."""
        return next(iter(type(self).model_fields.keys() - {*MODIFIERS, *PRECISION, "step"}))

    @property
    def arguments(self) -> Any:
        """What stands beside the name of the form."""
        return getattr(self, self.kind)
