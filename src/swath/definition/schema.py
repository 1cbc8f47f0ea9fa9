"""The shape of a definition: a pydantic model, and the JSON Schema for editors.

The model checks every key and leaf on its own; what concerns several keys together (names in expressions, zipped
lengths, sizes) is for `definition`. Checks sit with the fields, so a shape that exists is valid in this sense. The tags
of unions begin with a NUL, so that `shaping` can tell them from keys.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from swath.definition import checks
from swath.definition.checks import Wrong, shown
from swath.definition.drawing import (
    DISTRIBUTIONS,
    Choice,
    Integers,
    LogNormal,
    LogUniform,
    Normal,
    SampleShape,
    Uniform,
)
from swath.definition.leaves import (
    LONGEST_AXIS,
    Constant,
    Count,
    ExpressionText,
    Flag,
    Leaf,
    Metrics,
    Name,
    Number,
    Strict,
    Text,
    ValueForm,
    Values,
    choice,
    quantity,
    whole,
)
from swath.definition.searching import SearchShape  # noqa: TC001  # pydantic reads annotations
from swath.definition.stopping import StopShape  # noqa: TC001  # pydantic reads annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAKEN: Final[Mapping[str, str]] = {
    "linspace": "[start, stop, num]",
    "geomspace": "[start, stop, num]",
    "logspace": "[first exponent, last exponent, num]",
    "range": "[stop], [start, stop] or [start, stop, step]",
    "opaque": "[digest, type]",
} | DISTRIBUTIONS
"""What stands beside a form that takes several arguments."""

FORMS: Final = ("values", "linspace", "geomspace", "logspace", "range", "seeds", *DISTRIBUTIONS)
"""The forms of values."""

_LIST: Final = "\0list"
_MAPPING: Final = "\0mapping"
_SCALAR: Final = "\0scalar"


def _positive_bounds(arguments: tuple[float, float, int]) -> tuple[float, float, int]:
    for i in (0, 1):
        if arguments[i] <= 0:
            raise Wrong(
                f"must be more than zero, got {shown(arguments[i])}",
                "a geometric sequence has no logarithm there",
                (i,),
            )
    return arguments


def _exponents(arguments: tuple[float, float, int]) -> tuple[float, float, int]:
    for i in (0, 1):
        if not -307 <= arguments[i] <= 308:
            raise Wrong(
                f"10 to this power is no float, got {shown(arguments[i])}",
                "logspace takes exponents, geomspace the ends themselves",
                (i,),
            )
    return arguments


def _range_arguments(value: object) -> list[int | float]:
    if not isinstance(value, list) or not 1 <= len(value) <= 3:
        raise misfit("range", value)
    for i, argument in enumerate(value):
        try:
            checks.number(argument)
        except Wrong as wrong:
            raise Wrong(wrong.text, wrong.hint, (i,)) from None
    _check_range(value)
    return value


def _check_range(arguments: list[int | float]) -> None:
    start, stop, step = range_bounds(arguments)
    if step == 0:
        raise Wrong("the step must not be zero", path=(2,))
    if (stop - start) * step <= 0:
        hint = "the step leads away from the stop" if start != stop else "the stop itself is not included"
        raise Wrong(f"no value lies from {start} up to and without {stop} by {step}", hint)
    count = range_length(arguments)
    if count > LONGEST_AXIS:
        raise Wrong(f"{count:,} values, more than {LONGEST_AXIS:,}", "split it into two parameters")


def range_length(arguments: Sequence[int | float]) -> int:
    """Return how many values a range has whose step leads from start to stop."""
    start, stop, step = range_bounds(arguments)
    return math.ceil((stop - start) / step)


def range_bounds(arguments: Sequence[int | float]) -> tuple[Decimal, Decimal, Decimal]:
    """Return start, stop and step of a range, exactly."""
    exact = [Decimal(repr(argument)) for argument in arguments]
    if len(exact) == 1:
        return Decimal(0), exact[0], Decimal(1)
    return exact[0], exact[1], exact[2] if len(exact) > 2 else Decimal(1)


def misfit(kind: str, value: object) -> Wrong:
    """Say what a form takes instead of the given arguments."""
    if isinstance(value, list):
        values = "value" if len(value) == 1 else "values"
        return Wrong(f"takes {TAKEN[kind]}, got {len(value)} {values}")
    return Wrong(f"takes {TAKEN[kind]}, got {shown(value)}")


_Triple = tuple[Number, Number, Count]
_RANGE: Final = Leaf(
    _range_arguments, {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3}
)


class ListForm(ValueForm):
    """Values, one after the other."""

    values: Values = Field(description="The values, of any type.")


class Linspace(ValueForm):
    """Evenly spaced numbers."""

    linspace: _Triple = Field(description="[start, stop, num]: evenly spaced, both ends included.")


class Geomspace(ValueForm):
    """Numbers with a constant quotient."""

    geomspace: Annotated[_Triple, AfterValidator(_positive_bounds)] = Field(
        description="[start, stop, num]: each a constant multiple of the one before, both ends included."
    )


class Logspace(ValueForm):
    """Powers of ten."""

    logspace: Annotated[_Triple, AfterValidator(_exponents)] = Field(
        description="[first, last, num]: exponents of 10, evenly spaced, both ends included."
    )


class Range(ValueForm):
    """Numbers by a fixed step, exact in decimal."""

    range: Annotated[list[int | float], _RANGE] = Field(
        description="[stop], [start, stop] or [start, stop, step], as in Python: the stop is excluded."
    )


class Seeds(ValueForm):
    """Seeds of replicates."""

    seeds: Count = Field(description="How many; the same ones for every combination of the other parameters.")
    until: ExpressionText | None = Field(
        default=None,
        description="Add replicates, combination by combination, until this holds, such as `se(error) < 0.01`.",
    )
    max: Count | None = Field(default=None, description="With `until`: replicates of a combination at most.")


class OpaqueForm(ValueForm):
    """A constant that only Python can hold, by the digest of its pickled bytes."""

    opaque: tuple[Text, Text]


def _kind(value: object) -> str | None:
    if isinstance(value, list):
        return _LIST
    if not isinstance(value, dict):
        return _SCALAR
    kinds = [key for key in value if key in FORMS or key == "opaque"]
    return f"\0{kinds[0]}" if len(kinds) == 1 else None


def _list_or_mapping(value: object) -> str:
    return _LIST if isinstance(value, list) else _MAPPING


def _text_or_mapping(value: object) -> str:
    return _MAPPING if isinstance(value, dict) else _SCALAR


Parameter = Annotated[
    Annotated[Values, Tag(_LIST)]
    | Annotated[Constant, Tag(_SCALAR)]
    | Annotated[ListForm, Tag("\0values")]
    | Annotated[Linspace, Tag("\0linspace")]
    | Annotated[Geomspace, Tag("\0geomspace")]
    | Annotated[Logspace, Tag("\0logspace")]
    | Annotated[Range, Tag("\0range")]
    | Annotated[Seeds, Tag("\0seeds")]
    | Annotated[Uniform, Tag("\0uniform")]
    | Annotated[LogUniform, Tag("\0loguniform")]
    | Annotated[Normal, Tag("\0normal")]
    | Annotated[LogNormal, Tag("\0lognormal")]
    | Annotated[Integers, Tag("\0integers")]
    | Annotated[Choice, Tag("\0choice")]
    | Annotated[OpaqueForm, Tag("\0opaque")],
    Discriminator(_kind),
]
Block = dict[Name, Parameter]


class PointShape(Strict):
    """What one point may use."""

    timeout: Annotated[float, quantity(checks.duration, "ms|s|m|min|h|d")] | None = Field(
        default=None,
        description="Longest time that a point may take: seconds, or '500ms', '60s', '5min', '2h'.",
    )
    memory: Annotated[int, quantity(checks.size, "B|[kKMGT]i?B")] | None = Field(
        default=None, description="Most memory that a point may use: bytes, or '500MB', '2GiB'."
    )
    cores: Annotated[int, whole(1, 4096)] = Field(default=1, description="Cores that one point keeps busy.")
    retries: Annotated[int, whole(0, 1000)] = Field(
        default=0, description="How often a failed point is tried again."
    )
    fresh: Flag = Field(
        default=False,
        description="Run every point in a process of its own, as it is after the import, with a folder for its temporary files.",
    )


class ClusterShape(Strict):
    """Where the points run."""

    workers: Annotated[int, whole(1, 100_000)] | None = Field(
        default=None, description="Workers to start on this machine; default: one a core."
    )
    scheduler: Text | None = Field(
        default=None, description="Address of a running Dask scheduler, such as tls://host:8786."
    )
    insecure: Flag = Field(default=False, description="Allow a scheduler off this machine without TLS.")


class Shape(Strict):
    """A sweep definition."""

    name: (
        Annotated[
            str,
            Leaf(
                checks.run_name,
                {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?$"},
            ),
        ]
        | None
    ) = Field(default=None, description="The run's name, and its folder's; default: the file's stem.")
    objective: (
        Annotated[str, Leaf(checks.objective, {"type": "string", "pattern": "^[^:]+:[^:]+$"})] | None
    ) = Field(
        default=None, description="What is evaluated: module:function, looked up beside this file first."
    )
    parameters: Annotated[
        Annotated[Block, Tag(_MAPPING)] | Annotated[list[Block], Tag(_LIST)], Discriminator(_list_or_mapping)
    ] = Field(
        default_factory=dict,
        description="Values by parameter; their product is swept, last fastest. A list of such mappings is a union.",
    )
    table: (
        Annotated[
            Annotated[Text, Tag(_SCALAR)] | Annotated[dict[Name, Values], Tag(_MAPPING)],
            Discriminator(_text_or_mapping),
        ]
        | None
    ) = Field(
        default=None,
        description="A .csv or .parquet file, or lists by column: these vary together, crossed with the parameters.",
    )
    zip: list[Annotated[list[Text], Field(min_length=2)]] = Field(
        default_factory=list,
        description="Groups of parameters that vary together, at the place of the first.",
    )
    sample: SampleShape | None = Field(
        default=None, description="How values of distributions are drawn, all together."
    )
    where: ExpressionText | None = Field(
        default=None, description="Keep only points for which this holds, such as `beta > gamma`."
    )
    derive: dict[Name, ExpressionText] = Field(
        default_factory=dict, description="More columns, as expressions over parameters and earlier ones."
    )
    order: Annotated[Literal["grid", "shuffle"], choice("grid", "shuffle")] = Field(
        default="grid", description="In which order points run."
    )
    minimize: Metrics | None = Field(
        default=None,
        description="The metric that should be small; a list, or maximize beside it: several goals.",
    )
    maximize: Metrics | None = Field(
        default=None,
        description="The metric that should be large; a list, or minimize beside it: several goals.",
    )
    search: SearchShape | None = Field(
        default=None, description="Choose points by what is known of earlier ones; lists are choices then."
    )
    stop: StopShape | None = Field(default=None, description="Which points end before their end.")
    seed: Annotated[int, whole(0, 2**64 - 1)] = Field(default=0, description="The root of all randomness.")
    point: PointShape = Field(default=PointShape(), description="What one point may use.")
    cluster: ClusterShape = Field(default=ClusterShape(), description="Where the points run.")
    isolation: Annotated[str, choice("process", "none")] = Field(
        default="process", description="Evaluate in a supervised child process, or in the worker itself."
    )


def goals(shape: Shape) -> tuple[tuple[str, int], ...]:
    """Return the metrics that are optimised, each with 1 if it should be small and -1 if it should be large."""
    return tuple(
        (metric, sign)
        for named, sign in ((shape.minimize, 1), (shape.maximize, -1))
        for metric in ([named] if isinstance(named, str) else named or ())
    )


def schema() -> dict[str, object]:
    """Return the JSON Schema of a definition file, in the keywords of draft-07, which editors know best."""
    made: dict[str, Any] = _draft07(Shape.model_json_schema())
    definitions = made["$defs"]
    definitions.pop("OpaqueForm")
    _drop_references(made, "#/$defs/OpaqueForm")
    made["$schema"] = "http://json-schema.org/draft-07/schema#"
    made["title"] = "swath sweep definition"
    made["required"] = ["objective"]
    made["anyOf"] = [{"required": ["parameters"]}, {"required": ["table"]}]
    return made


def _draft07(node: Any) -> Any:
    if isinstance(node, list):
        return [_draft07(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _draft07(value) for key, value in node.items() if not _is_noise(key, value)}
    if "prefixItems" in kept:
        kept["items"] = kept.pop("prefixItems")
        kept["additionalItems"] = False
    if "$ref" in kept and len(kept) > 1:  # draft-07 ignores what stands beside a reference
        kept["allOf"] = [{"$ref": kept.pop("$ref")}]
    return kept


def _is_noise(key: str, value: object) -> bool:
    """Tell titles that pydantic invents, and defaults that say no more than "none"."""
    return (key == "title" and isinstance(value, str)) or (
        key == "default" and (value is None or isinstance(value, dict))
    )


def _drop_references(node: Any, reference: str) -> None:
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        if isinstance(inner, list):
            inner[:] = [item for item in inner if item != {"$ref": reference}]
        _drop_references(inner, reference)
