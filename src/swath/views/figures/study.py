"""What figures are made of: columns of a sweep with a description, and the marks that stand for its points.

Theory of operation. A `Study` holds one entry a row in every column, as coordinates (`swath.views.figures.axes`), for as
many rows as there are; what is aggregated is aggregated over all of them. `Points` are the marks that one document
draws: all rows, or a sample of them, in one Bokeh source that its figures share, so that whatever is selected in one is
selected in all. Columns of the source have short names of our own (`Points.key`), because a parameter may have any name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.models import CDSView, ColumnDataSource, IndexFilter

from swath.snapshot import GOOD
from swath.views.figures.axes import RAIL, Axis, words
from swath.views.palette import STATUS
from swath.views.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from swath.snapshot import Direction
    from swath.views.figures.traces import Curves

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

MOST: Final = 4000
"""Marks that a document draws at most."""
FEW: Final = 12
"""Values of an axis up to which marks are spread around them, by at most `SPREAD`."""
SPREAD: Final = 0.025
STATUSES: Final = tuple(STATUS)
FAILURE, LONG, FIRST = 600, 8000, 120
"""Characters of a failure's text that travel with a mark: of most; of the first of each kind; once `ROOM` is used up."""
KINDS: Final = 20
ROOM: Final = 400_000
"""Characters of failures' texts in a document, about."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Study:
    """The rows of a sweep in columns of n, and what the columns are.

    Attributes
    ----------
    name : str
        The sweep's.
    axes : mapping of str to Axis
        For every name in ``columns``: parameters first, then derived values, then metrics.
    columns : mapping of str to ndarray of float, shape (n,)
        Coordinates on these axes; NaN where a row has no such value.
    parameters : tuple of str
        Those that vary, in the order of the definition.
    constants : mapping of str to str
        The others, and their value in words.
    replicates : tuple of str
        Those of ``parameters`` that tell repetitions apart, such as seeds.
    derived : tuple of str
        Derived values that are numbers and vary.
    metrics : tuple of str
        Metrics that are numbers.
    metric : str
        The one that matters: which the definition optimises, else the first; empty if there is none.
    direction : {"minimize", "maximize", ""}
        Whether less or more of it is better; empty where the definition does not say.
    goals : tuple of (str, int)
        All metrics that the definition optimises and that are numbers, each with 1 where less is better, -1 where more is.
    front : ndarray of int, shape (f,)
        Of several goals, the rows that no other one beats, in the order of the first goal.
    feasible : ndarray of bool, shape (n,), optional
        Which rows keep the constraints; all, if there is none.
    curves : Curves, optional
        What points recorded on their way, where they did; also of points that have no row yet.
    points : ndarray of int, shape (n,)
        Index of each row's point.
    status : ndarray of int, shape (n,)
        Place in `STATUSES`.
    seconds : ndarray of float, shape (n,)
        For which each was evaluated.
    started : ndarray of float, shape (n,)
        Seconds since 1970.
    attempts : ndarray of int, shape (n,)
        How often each was evaluated.
    worker : ndarray of int, shape (n,)
        Place in ``workers``.
    workers : tuple of str
        Names.
    failure : sequence of str or None, n of them
        Why it failed, or was stopped early.
    texts : mapping of str to sequence, n of them each
        Metrics that are no numbers.
    total, excluded : int
        Points of the definition without those known to be excluded by ``where``, and how many are.
    pending : mapping of str to ndarray of float, shape (k,)
        Coordinates of points that have no row yet, of the varying parameters; a sample where they are many.
    show, again : str
        Beginnings of the command lines that show a point and evaluate it again; its index follows. May be empty.
    """

    name: str
    axes: Mapping[str, Axis]
    columns: Mapping[str, Floats]
    parameters: tuple[str, ...]
    constants: Mapping[str, str] = field(default_factory=dict)
    replicates: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    metric: str = ""
    direction: Direction = ""
    goals: tuple[tuple[str, int], ...] = ()
    front: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    feasible: NDArray[np.bool_] | None = None
    curves: Curves | None = None
    points: Integers
    status: Integers
    seconds: Floats
    started: Floats
    attempts: Integers
    worker: Integers
    workers: tuple[str, ...] = ()
    failure: Sequence[str | None] = ()
    texts: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    total: int = 0
    excluded: int = 0
    pending: Mapping[str, Floats] = field(default_factory=dict)
    show: str = ""
    again: str = ""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.points)

    @cached_property
    def failed(self) -> NDArray[np.bool_]:
        """Which rows failed, shape (n,)."""
        bad = np.array([status not in GOOD for status in STATUSES])
        return np.take(bad, self.status)

    @cached_property
    def ok(self) -> NDArray[np.bool_]:
        """Which rows were evaluated to the end, shape (n,): those that did not fail and were not stopped early."""
        return np.asarray(self.status == STATUSES.index("ok"))

    @cached_property
    def sound(self) -> NDArray[np.bool_]:
        """Which rows may be called the best, shape (n,): those that are ``ok`` and keep the constraints."""
        return self.ok if self.feasible is None else self.ok & self.feasible

    @cached_property
    def statuses(self) -> dict[str, int]:
        """How many rows have which status, without those that do not occur."""
        counts = np.bincount(self.status, minlength=len(STATUSES)).tolist()
        return {status: n for status, n in zip(STATUSES, counts, strict=True) if n}

    @property
    def left(self) -> int:
        """How many points have no row yet."""
        return max(0, self.total - len(self))

    @property
    def sign(self) -> int:
        """1 where less of the metric is better, or nothing is known; -1 where more is."""
        return -1 if self.direction == "maximize" else 1

    def missing(self, name: str) -> str:
        """Say what rows are that have no value of a name, which stand on the `RAIL`; empty if there is none."""
        if not np.isnan(self.columns[name]).any():
            return ""
        return "failed" if name in self.metrics and self.failed.any() else "none"

    def way(self, metric: str) -> int:
        """Return 1 where less of a metric is better, or nothing is known; -1 where more is."""
        return dict(self.goals).get(metric, self.sign if metric == self.metric else 1)

    def ranked(self, metric: str = "") -> Integers:
        """Return rows from the best to the worst, without those that are not sound or have no value.

        Parameters
        ----------
        metric : str
            Default: the one that matters. One that is no goal counts as to be minimized.
        """
        name = metric or self.metric
        if not name:
            return np.empty(0, np.int64)
        values = self.columns[name] * self.way(name)
        rows = np.flatnonzero(np.isfinite(values) & self.sound)
        return rows[np.argsort(values[rows], kind="stable")]

    @cached_property
    def best(self) -> int | None:
        """The row of the best point; None where nothing says what is better, or several goals do, or no row has a value."""
        ranked = self.ranked()
        return int(ranked[0]) if len(ranked) and self.direction and len(self.goals) < 2 else None

    @cached_property
    def finished(self) -> Integers:
        """Rows in the order in which they finished, shape (n,)."""
        order: Integers = np.argsort(self.started + self.seconds, kind="stable")
        return order

    def sample(self, most: int = MOST) -> Integers:
        """Choose rows to draw: all, or a sample with the best, the front, and examples of failures among it.

        Returns
        -------
        ndarray of int, shape (at most ``most``,)
            Ascending; the same every time.
        """
        n = len(self)
        if n <= most:
            return np.arange(n)
        chosen = np.zeros(n, dtype=bool)
        chosen[self.ranked()[: most // 20]] = True
        chosen[self.front[:: -(-len(self.front) // (most // 4)) or 1]] = True
        bad = np.flatnonzero(self.failed)
        generator = np.random.default_rng(0)
        chosen[generator.choice(bad, min(len(bad), most // 20), replace=False)] = True
        free = most - int(chosen.sum())
        others = np.flatnonzero(~chosen)
        chosen[generator.choice(others, min(free, len(others)), replace=False)] = True
        return np.flatnonzero(chosen)


class Points:
    """The marks of one document.

    Parameters
    ----------
    study : Study
        Whose rows.
    rows : ndarray of int, shape (m,), optional
        Which of them; default: `Study.sample`.

    Attributes
    ----------
    source : ColumnDataSource
        For each of the study's columns one with coordinates (`key`), one with places on an axis of length 1, `RAIL`
        where the value is missing, slightly spread around values that many share (`unit`), and where coordinates are categories one with words (`wordy`); further
        ``point status seconds started attempts worker failure``, where there are curves ``step`` (the last one), ``order`` (the place among all finished rows, from
        1), ``uorder`` (the same in [0, 1]) and ``bad`` (1 where the row is not ``ok``).
    note : str
        ``4,000 of 1,000,000 points`` where it is a sample; otherwise empty.
    """

    def __init__(self, study: Study, rows: Integers | None = None) -> None:
        self.study = study
        self.rows = study.sample() if rows is None else rows
        self._keys = {name: f"c{i}" for i, name in enumerate((*study.columns, *study.texts))}
        self.source = ColumnDataSource(self._data())
        some, every = len(self.rows), len(study)
        self.note = f"{some:,} of {every:,} points" if some < every else ""

    @cached_property
    def fine(self) -> CDSView:
        """The view of marks of points that are ``ok`` and keep the constraints."""
        return CDSView(filter=IndexFilter(np.flatnonzero(self.study.sound[self.rows]).tolist()))

    @cached_property
    def unfit(self) -> CDSView | None:
        """The view of marks of points that are ``ok`` and break a constraint; None if there is none."""
        return self._view(self.study.ok & ~self.study.sound)

    @cached_property
    def stopped(self) -> CDSView | None:
        """The view of marks of points that were stopped early; None if there is none."""
        return self._view(~self.study.ok & ~self.study.failed)

    @cached_property
    def failed(self) -> CDSView | None:
        """The view of marks of points that failed; None if there is none."""
        return self._view(self.study.failed)

    def _view(self, chosen: NDArray[np.bool_]) -> CDSView | None:
        places = np.flatnonzero(chosen[self.rows]).tolist()
        return CDSView(filter=IndexFilter(places)) if places else None

    @property
    def size(self) -> int:
        """Pixels of a mark; the fewer there are, the larger."""
        return next((size for most, size in ((60, 9), (300, 7), (1000, 5)) if len(self.rows) <= most), 4)

    @property
    def alpha(self) -> float:
        """How opaque a mark is."""
        return 0.85 if len(self.rows) <= 300 else 0.55

    def key(self, name: str) -> str:
        """Return the column of the source that holds a parameter, derived value or metric."""
        return self._keys[name]

    def unit(self, name: str) -> str:
        """Return the column of the source that holds places on the axis of a name; `RAIL` where a value is missing."""
        return f"u{self._keys[name]}"

    def wordy(self, name: str) -> str:
        """Return the column of the source that people can read: of categories and texts, the words."""
        key = self._keys[name]
        return f"w{key}" if name in self.study.texts or not self.study.axes[name].is_numeric else key

    def _data(self) -> dict[str, Any]:
        study, rows = self.study, self.rows
        data: dict[str, Any] = {"point": study.points[rows]}
        for name, column in study.columns.items():
            axis, part = study.axes[name], np.asarray(column[rows], dtype=float)
            data[self.key(name)] = part
            data[self.unit(name)] = _spread(axis, part)
            if not axis.is_numeric:
                data[self.wordy(name)] = [axis.label(place) for place in part.tolist()]
        for name, contents in study.texts.items():
            data[self.wordy(name)] = [_said(contents[row]) for row in rows.tolist()]
        order = np.empty(len(study), np.int64)
        order[study.finished] = np.arange(1, len(study) + 1)
        workers = [plain(name) for name in study.workers]
        return {
            **data,
            "status": [STATUSES[code] for code in study.status[rows].tolist()],
            "bad": (~study.ok[rows]).astype(np.int8),
            "seconds": study.seconds[rows],
            "started": study.started[rows] * 1000,  # Bokeh's unit of time
            "attempts": study.attempts[rows],
            **({} if study.curves is None else {"step": study.curves.reached(study.points[rows])}),
            "worker": [workers[code] for code in study.worker[rows].tolist()],
            "failure": self._failures(),
            "order": order[rows],
            "uorder": (order[rows] / max(1, len(study))).astype(np.float32),
        }

    def _failures(self) -> list[str]:
        """Return the texts of failures, those of a kind that was there before shorter."""
        texts = []
        seen: set[str] = set()
        left = ROOM
        for row in self.rows.tolist():
            text = (self.study.failure[row] if len(self.study.failure) else None) or ""
            head = text.partition("\n")[0]
            room = FIRST if left <= 0 else FAILURE if head in seen or len(seen) >= KINDS else LONG
            seen.add(head)
            texts.append(_cut(plain(text, lines=True), room))
            left -= len(texts[-1])
        return texts


def _cut(text: str, room: int) -> str:
    """Shorten a text in the middle: its first line says what, its last ones where."""
    return text if len(text) <= room else f"{text[: room // 2]} … {text[-room // 2 :]}"


def _spread(axis: Axis, coordinates: Floats) -> NDArray[np.float32]:
    """Place coordinates on an axis of length 1, those of few values apart, so that marks do not hide each other.

    None comes nearer to another value than to its own: brushes, and cells of heat maps, go by these places.
    """
    places = axis.unit(coordinates)
    if 1 < len(axis.values) <= FEW and len(places) > len(axis.values):
        every = axis.values if axis.is_numeric else range(len(axis.values))
        width = min(SPREAD, 0.3 * float(np.diff(axis.unit(np.array(every, dtype=float))).min()))
        places = places + np.random.default_rng(len(places)).uniform(-width, width, len(places))
    return np.nan_to_num(places, nan=RAIL).astype(np.float32)


def _said(content: Any) -> str:
    """Write what a metric that is no number is; nothing where it is missing."""
    missing = content is None or (isinstance(content, float) and content != content)  # noqa: PLR0124  NaN
    return "" if missing else words(content)
