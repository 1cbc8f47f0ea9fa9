"""The forms of drawn values, and the key ``sample``: shapes, and what can be wrong inside one of them.

A distribution stands beside a parameter as its values would. How many are drawn, and how, is said once, for all of them
together; `swath.definition.designs` puts them into one axis.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from swath.definition import checks
from swath.definition.checks import Wrong, shown
from swath.definition.leaves import Leaf, Number, Strict, ValueForm, Values, choice, whole
from swath.space.distributions import Distribution
from swath.space.sequences import METHODS

MOST_DRAWS: Final = 10**12
"""Rows of a design; more could not run, and fewer would not be told apart by the coarsest sequence."""
_LARGEST_WHOLE: Final = 2**53
_LARGEST: Final = 1e300
_LARGEST_BOUND: Final = 2**51  # a fraction has 52 bits, so every whole number between two bounds can be drawn

DISTRIBUTIONS: Final = {
    "uniform": "[low, high]",
    "loguniform": "[low, high]",
    "normal": "[mean, standard deviation]",
    "lognormal": "[mean, standard deviation] of the logarithm",
    "integers": "[low, high], both included",
    "choice": "a list of values",
}
"""What stands beside a distribution."""


def _step(value: object) -> int | float:
    step = checks.number(value)
    if step <= 0:
        raise Wrong(f"must be more than zero, got {shown(step)}", "leave it out for values of any size")
    return step


def _bounds(arguments: tuple[Any, Any]) -> tuple[Any, Any]:
    low, high = arguments
    if low > high:
        raise Wrong(f"the bounds are the wrong way round: from {low} to {high}", f"write [{high}, {low}]")
    if low == high:
        raise Wrong(f"nothing lies between {low} and {high}", f"write the constant {low}, or other bounds")
    return arguments


def _positive_bounds(arguments: tuple[Any, Any]) -> tuple[Any, Any]:
    if arguments[0] <= 0:
        text = f"must be more than zero, got {shown(arguments[0])}"
        raise Wrong(text, "zero has no logarithm; start above it, or use uniform", (0,))
    return _bounds(arguments)


def _deviation(arguments: tuple[Any, Any]) -> tuple[Any, Any]:
    if arguments[1] <= 0:
        text = f"a standard deviation must be more than zero, got {shown(arguments[1])}"
        raise Wrong(text, "write [mean, standard deviation]", (1,))
    return arguments


_Step = Annotated[int | float, Leaf(_step, {"type": "number", "exclusiveMinimum": 0})]
_Pair = tuple[Number, Number]
_Wholes = tuple[
    Annotated[int, whole(-_LARGEST_BOUND, _LARGEST_BOUND)],
    Annotated[int, whole(-_LARGEST_BOUND, _LARGEST_BOUND)],
]


class Drawn(ValueForm):
    """Values of a distribution."""

    @property
    def distribution(self) -> Distribution:
        """The distribution."""
        return Distribution(self.kind, tuple(self.arguments), getattr(self, "step", None))


class Stepped(Drawn):
    """Numbers, which may be multiples of something."""

    step: _Step | None = Field(
        default=None,
        description="Draw multiples of it: counted from low by uniform and integers, rounded to by the others.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Stepped:
        _check_reach(self.distribution)
        return self


def _check_reach(drawn: Distribution) -> None:
    """Refuse what has values that no float can hold, or that its steps cannot tell apart."""
    if drawn.kind == "lognormal" and not -690 <= drawn.reach[0] < drawn.reach[1] <= 690:
        text = f"reaches from e^{drawn.reach[0]:.0f} to e^{drawn.reach[1]:.0f}, which is no float"
        raise Wrong(text, "the mean and the deviation are those of the logarithm", ("lognormal",))
    least, greatest = drawn.extremes
    if max(abs(least), abs(greatest)) > _LARGEST:
        raise Wrong(f"reaches from {least:.3g} to {greatest:.3g}, which is too far", path=(drawn.kind,))
    if drawn.step is None:
        return
    first, last = drawn.multiples
    if drawn.kind not in {"normal", "lognormal"}:
        least, greatest = drawn.arguments
    reach = f"from {least:.6g} to {greatest:.6g}"
    if last - first + 1 < 2:
        text = f"there are fewer than two values {shown(drawn.step)} apart {reach}"
        raise Wrong(text, "use a smaller step, or wider bounds", ("step",))
    if max(abs(first), abs(last)) > _LARGEST_WHOLE // 2:
        raise Wrong(f"{shown(drawn.step)} is too small a step {reach}", path=("step",))


class Uniform(Stepped):
    """Numbers, all as likely."""

    uniform: Annotated[_Pair, AfterValidator(_bounds)] = Field(
        description="[low, high]: any number between them, all as likely."
    )


class LogUniform(Stepped):
    """Numbers, whose logarithms are all as likely."""

    loguniform: Annotated[_Pair, AfterValidator(_positive_bounds)] = Field(
        description="[low, high]: any number between them, every order of magnitude as likely."
    )


class Normal(Stepped):
    """Normally distributed numbers."""

    normal: Annotated[_Pair, AfterValidator(_deviation)] = Field(description="[mean, standard deviation].")


class LogNormal(Stepped):
    """Numbers whose logarithm is normally distributed."""

    lognormal: Annotated[_Pair, AfterValidator(_deviation)] = Field(
        description="[mean, standard deviation] of the natural logarithm."
    )


class Integers(Stepped):
    """Whole numbers, all as likely."""

    step: Annotated[int, whole(1, _LARGEST_WHOLE)] | None = Field(
        default=None, description="Draw low, low + step, and so on."
    )
    integers: Annotated[_Wholes, AfterValidator(_bounds)] = Field(
        description="[low, high]: whole numbers, all as likely, both ends included."
    )


class Choice(Drawn):
    """Values, all as likely."""

    choice: Values = Field(description="Values of any type, all as likely.")


class SampleShape(Strict):
    """How the parameters that have distributions are drawn, all together."""

    method: Annotated[Literal["random", "sobol", "halton", "lhs"], choice(*METHODS)] = Field(
        default="random",
        description="random: independently; sobol, halton: evenly in all dimensions; lhs: a Latin hypercube.",
    )
    draws: Annotated[int, whole(1, MOST_DRAWS)] | None = Field(
        default=None,
        description="How many combinations are drawn; each is crossed with the other parameters.",
    )
