"""The key `stop`: which points end before their end.

What a method takes, and with which defaults, is what its rule takes (`swath.stopping`); here stands what an editor is told
of it, what each setting may be, and which of them belong together.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import ConfigDict, Field

from swath.definition import checks
from swath.definition.leaves import Leaf, Number, Strict, Text, choice, whole
from swath.definition.places import Problem
from swath.stopping import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_STEPS: Final = 10**15
_Steps = Annotated[int, whole(1, _MOST_STEPS)]


class StopShape(Strict):
    """Which points end before their end."""

    model_config = ConfigDict(json_schema_extra={"required": ["method"]})

    method: Annotated[str, choice(*METHODS)] | None = Field(
        default=None, description="The rule: asha, hyperband, median, percentile, patience or threshold."
    )
    metric: Text | None = Field(
        default=None,
        description="What is judged, of what a point records; default: the metric that is minimized or maximized.",
    )
    min_steps: _Steps | None = Field(
        default=None, description="No point ends before this step; with asha and hyperband: the first rung."
    )
    max_steps: _Steps | None = Field(
        default=None, description="Steps that a whole point takes: asha and hyperband have no rung there."
    )
    reduction: Annotated[int, whole(2, 1000)] | None = Field(
        default=None, description="One point in so many goes on beyond a rung of asha or hyperband."
    )
    startup: Annotated[int, whole(1, 10**9)] | None = Field(
        default=None, description="Points that must have finished before median or percentile end any."
    )
    percentile: (
        Annotated[float, Leaf(checks.between(0, 100), {"type": "number", "minimum": 0, "maximum": 100})]
        | None
    ) = Field(default=None, description="A point goes on while it is among the best so many per cent.")
    patience: _Steps | None = Field(
        default=None, description="Steps without an improvement after which a point ends."
    )
    min_delta: Annotated[float, Leaf(checks.not_negative, {"type": "number", "minimum": 0})] | None = Field(
        default=None, description="What patience takes for an improvement is larger than this."
    )
    lower: Number | None = Field(default=None, description="Threshold: a point ends with a value below.")
    upper: Number | None = Field(default=None, description="Threshold: a point ends with a value above.")


SETTINGS: Final = tuple(key for key in StopShape.model_fields if key not in ("method", "metric"))
"""Keys that some methods take and others do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Which points end before their end.

    Attributes
    ----------
    method : str
        Name of the rule.
    metric : str
        What is judged, of what a point records.
    sign : int
        1 if less is better, -1 if more is.
    settings : mapping of str to number
        Other keywords of the rule.
    """

    method: str
    metric: str
    sign: int
    settings: Mapping[str, float]


Goals = tuple[tuple[str, int], ...]


def stop_of(shape: StopShape | None, goals: Goals, root: int) -> Stop | None:
    """Return the key of a valid definition; ``root`` is the root of all randomness."""
    if shape is None:
        return None
    method = str(shape.method)
    metric, sign = _judged(shape, goals)
    settings = _given(shape) | ({"root": root} if method == "hyperband" else {})
    return Stop(method=method, metric=metric, sign=sign, settings=settings)


def problems_of(shape: StopShape, goals: Goals) -> list[Problem]:
    """Say what is wrong with the key, all of it at once, although every setting on its own is right."""
    if shape.method is None:
        return [Problem(("stop", "method"), "is missing", f"there are {', '.join(METHODS)}")]
    return [*_foreign(shape), *_missing(shape), *_contrary(shape), *_aimless(shape, goals)]


def _given(shape: StopShape) -> dict[str, float]:
    return {key: value for key in SETTINGS if (value := getattr(shape, key)) is not None}


def takes(method: str) -> Sequence[str]:
    """Return the settings of a method."""
    parameters = inspect.signature(METHODS[method]).parameters
    return [key for key in SETTINGS if key in parameters]


def _foreign(shape: StopShape) -> list[Problem]:
    method, known = str(shape.method), takes(str(shape.method))
    hint = f"it takes {', '.join(known)}"
    return [
        Problem(("stop", key), f"{method} has no such setting", hint)
        for key in _given(shape)
        if key not in known
    ]


def _missing(shape: StopShape) -> list[Problem]:
    if shape.method == "hyperband" and shape.max_steps is None:
        hint = "write how many steps a whole point takes: `max_steps: 81`"
        return [Problem(("stop", "max_steps"), "is missing, and hyperband makes its brackets of it", hint)]
    if shape.method == "threshold" and shape.lower is None and shape.upper is None:
        return [
            Problem(("stop",), "threshold has no bound", "add `upper: number` or `lower: number`, or both")
        ]
    return []


def _contrary(shape: StopShape) -> list[Problem]:
    found = []
    if shape.max_steps is not None and shape.max_steps <= (least := shape.min_steps or 1):
        text = f"must be more than min_steps, which is {least}, got {shape.max_steps}"
        found += [Problem(("stop", "max_steps"), text, "no rung would lie between them")]
    if shape.lower is not None and shape.upper is not None and shape.lower > shape.upper:
        text = f"must be at least lower, which is {shape.lower}, got {shape.upper}"
        found += [Problem(("stop", "upper"), text, "no value lies between them")]
    return found


def _aimless(shape: StopShape, goals: Goals) -> list[Problem]:
    """Refuse a rule of which nobody knows what it judges, or which values are better."""
    named = ", ".join(metric for metric, _ in goals)
    if shape.metric is None and len(goals) > 1:
        hint = f"add `metric: {goals[0][0]}`, say"
        return [Problem(("stop", "metric"), f"is missing, and there are several goals: {named}", hint)]
    if shape.method == "threshold":
        if shape.metric or goals:
            return []
        hint = "add `metric: name`, the name of a value that the objective records"
        return [Problem(("stop", "metric"), "is missing", hint)]
    if not goals:
        text = f"{shape.method} compares values, and nothing says which are better"
        return [Problem(("stop",), text, "add `minimize: metric` or `maximize: metric` to the definition")]
    if _judged(shape, goals)[1] == 0:
        text = f"{shape.metric!r} is no goal, and of the goals some should be small and some large: {named}"
        return [Problem(("stop", "metric"), text, "name one of the goals")]
    return []


def _judged(shape: StopShape, goals: Goals) -> tuple[str, int]:
    """Return the metric and its sign, which is that of the goals if it is none of them; 0 if they differ."""
    metric = shape.metric or (goals[0][0] if goals else "")
    signs = {sign for _, sign in goals}
    return metric, dict(goals).get(metric, signs.pop() if len(signs) == 1 else 0)
