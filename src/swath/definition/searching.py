"""The key ``search``: points are chosen by a method that is told what became of earlier ones.

Here stands what an editor is told of the key, what each setting may be, and which of them belong together; what a search
chooses among is for `swath.definition.choosing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from swath.definition.checks import Wrong, expression, mapping_of_values, shown
from swath.definition.drawing import MOST_DRAWS
from swath.definition.leaves import Leaf, Strict, Text, choice, whole
from swath.definition.places import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from swath.definition.domains import Chosen
    from swath.space.expressions import Expression
    from swath.space.values import Value

METHODS: Final = ("tpe", "gp", "cma-es", "nsga-ii", "random")
"""The methods; ``random`` is told nothing, so it is a design, as those of ``sample``."""

TAKES: Final[Mapping[str, Sequence[str]]] = {
    "tpe": ("startup", "subject_to", "known", "from"),
    "gp": ("startup", "subject_to", "known", "from"),
    "cma-es": ("startup", "population", "known", "from"),
    "nsga-ii": ("population", "subject_to", "known", "from"),
    "random": (),
}
"""What each method takes besides ``points``."""

STARTUP: Final[Mapping[str, int]] = {"tpe": 10, "gp": 10, "cma-es": 1, "nsga-ii": 0, "random": 0}
"""Points that are drawn at random first, as Optuna has it."""

POPULATION: Final = 50
"""Points of a generation of ``nsga-ii``, as Optuna has it."""

MOST_POINTS: Final = 10**7
"""Far more than any method has time for that is told results."""

_Count = Annotated[int, whole(1, MOST_POINTS)]


def _bounds(value: object) -> list[str]:
    bounds = []
    for i, text in enumerate(value if isinstance(value, list) else [value]):
        try:
            bounds.append(expression(text))
        except Wrong as wrong:
            hint = "write a condition over metrics such as `latency < 0.1`"
            raise Wrong(wrong.text, hint, (i,) if isinstance(value, list) else ()) from None
    return bounds


def _known(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list) or not value:
        raise Wrong(f"must be a list of points, got {shown(value)}", "write `known: [{x: 1, y: 2}]`")
    for i, row in enumerate(value):
        mapping_of_values(row, (i,))
    return value


class SearchShape(Strict):
    """Points are chosen by what is known of earlier ones."""

    method: Annotated[str, choice(*METHODS)] = Field(
        default="tpe", description="How: tpe (the default), gp, cma-es, nsga-ii or random."
    )
    points: Annotated[int, whole(1, MOST_DRAWS)] | None = Field(
        default=None, description="How many points are evaluated in all, replicates not counted."
    )
    startup: _Count | None = Field(
        default=None, description="Points that tpe, gp and cma-es draw at random first; default: 10, 10, 1."
    )
    population: Annotated[int, whole(2, MOST_POINTS)] | None = Field(
        default=None, description="Points of a generation, for nsga-ii (default: 50) and cma-es."
    )
    subject_to: (
        Annotated[
            list[str],
            Leaf(_bounds, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
        ]
        | None
    ) = Field(
        default=None,
        description="What a good point must satisfy: conditions over metrics, such as `latency < 0.1`.",
    )
    known: (
        Annotated[
            list[dict[str, object]],
            Leaf(_known, {"type": "array", "items": {"type": "object"}, "minItems": 1}),
        ]
        | None
    ) = Field(default=None, description="Points to try first, with every parameter that is chosen.")
    earlier: Text | None = Field(
        default=None,
        alias="from",
        description="Folder of another run, whose finished points are told to the method and not run again.",
    )

    def given(self) -> dict[str, object]:
        """Return the settings that were given, as a file would say them."""
        return self.model_dump(by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """An adaptive search: every point is proposed by a method that was told the results of earlier ones.

    Attributes
    ----------
    method : str
        ``tpe``, ``gp``, ``cma-es`` or ``nsga-ii``.
    points : int
        How many points are evaluated in all, replicates not counted.
    chosen : tuple of Chosen
        What a proposal consists of, in the order of the definition.
    metrics : tuple of str
        What an outcome must tell: the goals, then what ``subject_to`` reads besides them.
    startup : int
        Points with a result before the method is asked; until then they are drawn at random.
    population : int or None
        Points of a generation, for methods that have generations; None: as Optuna has it.
    subject_to : tuple of Expression
        What a good point must satisfy; each reads metrics, parameters and derived columns.
    known : tuple of mapping of str to value
        Points to try first, complete: the active ones of ``chosen``, and nothing else.
    earlier : Path or None
        The folder of another run whose finished points are told before anything is asked.
    """

    method: str
    points: int
    chosen: tuple[Chosen, ...]
    metrics: tuple[str, ...] = ()
    startup: int = 10
    population: int | None = None
    subject_to: tuple[Expression, ...] = ()
    known: tuple[Mapping[str, Value], ...] = ()
    earlier: Path | None = None


def problems_of(shape: SearchShape, goals: Sequence[str]) -> Iterator[Problem]:
    """Say what is wrong with the key, all of it at once, although every setting on its own is right."""
    if shape.points is None:
        yield Problem(
            ("search", "points"), "is missing", "write how many points are evaluated: `points: 200`"
        )
    yield from _foreign(shape)
    if shape.points is not None:
        yield from _too_few(shape, shape.points)
    if not goals and shape.method != "random":
        hint = "write `minimize: metric` or `maximize: metric`"
        yield Problem(("minimize",), f"is missing, so {shape.method} cannot tell which points are good", hint)
    if len(goals) > 1 and shape.method == "cma-es":
        text = f"cma-es has one goal, got {len(goals)}: {', '.join(goals)}"
        yield Problem(("search", "method"), text, "use nsga-ii, tpe or gp, or leave out goals")


def _foreign(shape: SearchShape) -> Iterator[Problem]:
    takes = TAKES[shape.method]
    for key in sorted(shape.given().keys() - {"method", "points", *takes}):
        hint = f"it takes {', '.join(('points', *takes))}"
        yield Problem(("search", key), f"{shape.method} has no such setting", hint)


def _too_few(shape: SearchShape, points: int) -> Iterator[Problem]:
    if shape.startup is not None and shape.startup > points:
        text = f"{shape.startup:,} points at random, of {points:,} in all, so {shape.method} would never be asked"
        yield Problem(("search", "startup"), text, "give it fewer, or more points")
    if shape.method == "nsga-ii" and points <= (shape.population or POPULATION):
        text = f"{points:,} points are no more than one generation of {shape.population or POPULATION:,}"
        yield Problem(("search", "points"), text, "give it more, or a smaller `population`")
    if points > MOST_POINTS and shape.method != "random":
        text = f"{points:,} points, more than {shape.method} can propose ({MOST_POINTS:,})"
        yield Problem(("search", "points"), text, "give it fewer, or use random")
    if shape.known and len(shape.known) > points:
        text = f"{len(shape.known):,} points, of {points:,} in all"
        yield Problem(("search", "known"), text, "leave some out, or give it more points")
