"""Adaptive search: which points are worth evaluating, given what the earlier ones gave.

Theory of operation
-------------------
A `Proposer` is asked for rows and told their outcomes, in any order and with any number of rows open; the methods
themselves are Optuna's (`swath.search.study`). It knows nothing of positions, slots and files, has no thread and no
clock: whoever holds it decides when to ask.

Proposals are numbered from 0 on. First come those that are adopted, which is how a search is taken up again: adopt the
rows that were proposed before, tell what came of them, in the order in which it came, and go on. Then come the rows
that are ``known`` to be worth trying. For every other proposal the method is asked, again if ``where`` excludes
what it says or if it was proposed before (an objective is taken to give the same for the same point), a few times;
then rows are drawn at random, then, where the values can be counted, every row is looked at in turn. So a finite space
ends when it is used up, not before, and one that ``where`` leaves nearly empty ends in a sentence.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.definition.checks import Wrong, shown
from swath.definition.choosing import DRAWN, conditions_of, constants_of, drawn
from swath.errors import ExpressionError, UsageError
from swath.search.study import Study, demand
from swath.space.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from optuna import Trial

    from swath.definition import Definition
    from swath.definition.domains import Chosen
    from swath.space.values import Value

    Row = dict[str, Value]

__all__ = ["Outcome", "Proposer", "demand"]

ASKED: Final = 16
"""How often the method is asked for one proposal: where a tenth of what it says counts, five of six times that is enough."""
LOOKED_AT: Final = 10**6
"""Rows of a finite space that are looked at in turn for one proposal, where drawing finds no new one: some 20 s."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a proposal.

    Attributes
    ----------
    status : str
        As in a row: ``ok``, ``pruned``, or that of a failure.
    metrics : mapping of str to object
        What the objective returned; of a point that was pruned, what it had recorded last.
    step : int or None
        Of a point that was pruned, the step of these metrics.
    """

    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None


class Proposer:
    """Proposes the rows of a search.

    Parameters
    ----------
    definition : Definition
        With a ``search`` whose method is not ``random``.

    Attributes
    ----------
    proposed : int
        How many proposals there are; the next one has this number.
    exhausted : str
        Why there will be no more although ``points`` is not reached; empty otherwise.

    Raises
    ------
    UsageError
        Something that the method needs is not installed; the text says how to get it.

    Examples
    --------
    The whole of a search, without slots:

    >>> proposer = Proposer(definition)  # doctest: +SKIP
    >>> while rows := proposer.ask(1):  # doctest: +SKIP
    ...     proposer.tell(proposer.proposed - 1, Outcome("ok", objective(**rows[0])))
    """

    def __init__(self, definition: Definition) -> None:
        assert definition.search is not None  # noqa: S101  # whoever makes one has looked
        self._search = definition.search
        self._goals = definition.goals
        self._root = definition.seed
        self._constants = constants_of(definition.space, self._search.chosen)
        self._conditions = conditions_of(definition.space, self._search.chosen)
        self._study = Study(self._search, [sign for _, sign in self._goals], self._root)
        self._known = iter(self._search.known)
        self._trials: dict[int, Trial | None] = {}  # of open proposals; None: not in the study yet
        self._rows: list[Row] = []
        self._seen: set[str] = set()
        self._all = self._every_row()
        self.exhausted = ""

    @property
    def proposed(self) -> int:
        """How many proposals there are."""
        return len(self._rows)

    @property
    def open(self) -> int:
        """How many proposals have no outcome yet."""
        return len(self._trials)

    # Proposals.

    def ask(self, n: int) -> list[Row]:
        """Propose up to n more rows.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        list of dict of str to value
            The active parameters of each, in the order of their numbers, the first of which is ``proposed`` as it was
            before the call. There are fewer than n when ``points`` is reached or the space ``exhausted``.

        Raises
        ------
        UsageError
            ``where`` excludes all that the method proposes and all that is drawn.
        ExpressionError
            ``where`` or a ``when`` cannot be evaluated for a row, which the text names.
        """
        first = self.proposed
        while self.proposed < min(first + n, self._search.points) and not self.exhausted:
            found = self._next()
            if found is not None:
                self._add(*found)
        return self._rows[first:]

    # Methods with generations place a trial by the results before it, so what they adopt is put before them with its result.
    # They do not look at trials without one.

    def adopt(self, rows: Iterable[Mapping[str, Value]]) -> None:
        """Take rows as the next proposals: those of a run that is taken up again, or of an earlier definition of it.

        Parameters
        ----------
        rows : iterable of mapping of str to value
            The active parameters of each, as `ask` or `fitting` returned them. They need not satisfy ``where``.

        Raises
        ------
        UsageError
            A row is not of this space.
        """
        for row in rows:
            self._check(row)
            self._add(None if self._study.generational else self._study.adopt(self.proposed, row), dict(row))

    def _check(self, row: Mapping[str, Value]) -> None:
        try:
            self._study.codes(row)
        except Wrong as wrong:
            text = f"{canonical(row)} cannot be a proposal of this search: {wrong.text}"
            raise UsageError(text) from None

    def fitting(self, point: Mapping[str, Value]) -> Row | None:
        """Return what of a point this search would have proposed.

        Parameters
        ----------
        point : mapping of str to value
            The active parameters of a point, of any definition; seeds left out.

        Returns
        -------
        dict of str to value, or None
            The row; None if the point is none of this space's: it has another constant, lacks an active parameter or
            has another one, has a value that cannot be chosen, or ``where`` excludes it.
        """
        row: Row = {}
        try:
            for each in self._search.chosen:
                if self._active(each, row) != (each.name in point):
                    return None
                if each.name in point:
                    each.domain.code(point[each.name])
                    row[each.name] = point[each.name]
            rest = {name: value for name, value in point.items() if name not in row}
            same = all(
                canonical(value) == canonical(rest.get(name)) for name, value in self._constants.items()
            )
            return row if same and len(rest) == len(self._constants) and self._conditions.keeps(row) else None
        except (Wrong, ExpressionError):
            return None

    # Outcomes.

    def tell(self, number: int, outcome: Outcome) -> str:
        """Tell what came of a proposal.

        Parameters
        ----------
        number : int
            Of the proposal. If it was told before, this replaces that (a failed point that was tried again, or a
            pruned one that went on): the method hears of both.
        outcome : Outcome
            What came of it.

        Returns
        -------
        str
            Why the method was told that it failed; empty if it was told values, or what a pruned point had.
        """
        trial = self._trials.pop(number, None)
        row = self._rows[number]
        return self._tell(trial or self._study.adopt(number, row), row, outcome)

    def learn(self, row: Mapping[str, Value], outcome: Outcome) -> str:
        """Tell of a point that is no proposal of this search; see `adopt` for the row and `tell` for the rest."""
        self._check(row)
        return self._tell(self._study.adopt(self.proposed, row), row, outcome)

    def _tell(self, trial: Trial, row: Mapping[str, Value], outcome: Outcome) -> str:
        if outcome.status not in {"ok", "pruned"}:
            self._study.fail(trial)
            return outcome.status
        try:
            values = [_number(name, outcome.metrics) for name, _ in self._goals]
            if outcome.status == "pruned":
                self._study.prune(trial, *_last(values, outcome))
            else:
                self._study.succeed(trial, values, self._violations(row, outcome))
        except (Wrong, ExpressionError) as error:
            self._study.fail(trial)
            return error.text if isinstance(error, Wrong) else str(error)
        return ""

    def _violations(self, row: Mapping[str, Value], outcome: Outcome) -> dict[str, float]:
        missed = {}
        for bound in self._search.subject_to:
            missed[bound.text] = self._conditions.violation(bound, row, outcome.metrics)
            if math.isnan(missed[bound.text]):
                raise Wrong(f"`{bound.text}` reads something that is missing or not a number")
        return missed

    # Finding the next row.

    def _add(self, trial: Trial | None, row: Row) -> None:
        self._trials[self.proposed] = trial
        self._rows.append(row)
        self._seen.add(canonical(row))

    def _next(self) -> tuple[Trial, Row] | None:
        """Return a row that is worth proposing; None, and a reason in `exhausted`, if there is none."""
        number = self.proposed
        for row in self._known:
            if self._is_new(row):
                return self._study.adopt(number, row), dict(row)
        for attempt in range(ASKED):
            trial, asked = self._study.ask(number, attempt, self._active)
            if self._is_new(asked):
                return trial, asked
            self._study.fail(trial)
        found = self._drawn(number) or self._looked_up()
        if found is not None:
            return self._study.adopt(number, found), found
        if not self.exhausted:
            raise UsageError(
                f"search: where excludes all that was tried for point {number:,}: {ASKED} proposals of "
                f"{self._search.method} and {DRAWN:,} drawn at random; loosen it, or narrow the parameters"
            )
        return None

    def _is_new(self, row: Mapping[str, Value]) -> bool:
        return canonical(row) not in self._seen and self._conditions.keeps(row)

    def _active(self, each: Chosen, row: Mapping[str, Value]) -> bool:
        return self._conditions.active(each.when, row)

    def _drawn(self, number: int) -> Row | None:
        """Draw rows at random until one is new."""
        generator = np.random.default_rng([self._root, number])
        for _ in range(DRAWN):
            shares = generator.random(len(self._search.chosen)).tolist()
            row = drawn(self._search.chosen, self._conditions, shares)
            if self._is_new(row):
                return row
        return None

    def _looked_up(self) -> Row | None:
        """Look at rows in turn until one is new; None if there is none, or if it would take too long."""
        return next(filter(self._is_new, itertools.islice(self._all, LOOKED_AT)), None)

    def _every_row(self) -> Iterator[Row]:
        """Yield every row of a finite space, and say so at the end."""
        if any(each.domain.size is None for each in self._search.chosen):
            return
        yield from self._rows_from(0, {})
        self.exhausted = f"the space has no more points: all {self.proposed:,} of it were proposed"

    def _rows_from(self, place: int, row: Row) -> Iterator[Row]:
        if place == len(self._search.chosen):
            yield row
            return
        each = self._search.chosen[place]
        if not self._active(each, row):
            yield from self._rows_from(place + 1, row)
            return
        for nth in range(each.domain.size or 0):
            yield from self._rows_from(place + 1, {**row, each.name: each.domain.value(each.domain.nth(nth))})


def _number(name: str, metrics: Mapping[str, Any]) -> float:
    """Return a metric as a float. Raises `Wrong` if there is none."""
    if name not in metrics:
        there = f", there is {', '.join(map(str, metrics))}" if metrics else ""
        raise Wrong(f"there is no metric {name!r}{there}")
    try:
        value = float(metrics[name])
    except (TypeError, ValueError):
        raise Wrong(f"the metric {name!r} is no number: {shown(metrics[name])}") from None
    if math.isnan(value):
        raise Wrong(f"the metric {name!r} is NaN")
    return value


def _last(values: Sequence[float], outcome: Outcome) -> tuple[int, float]:
    """Return the last step of a pruned point and its value. Raises `Wrong` where a method could not use them."""
    if len(values) > 1 or outcome.step is None:
        raise Wrong("pruned")
    return outcome.step, values[0]
