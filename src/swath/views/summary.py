"""A run in words: what was swept, how long it took, what was best, what failed and why most often."""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from swath.snapshot import GOOD
from swath.views.figures.axes import number
from swath.views.text import count, cut, plain, plural, spent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swath.views.figures.study import Study

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
"""Failures whose texts differ in numbers only are of one kind."""
REASONS = 3
"""Kinds of failure that are told."""
VALUES = 4
"""Values of a parameter that are listed."""
WORKERS = 4
FRONT = 6
"""Points on the Pareto front that are named."""


def paragraphs(study: Study) -> Iterator[str]:
    """Yield what is to be said, as HTML without any of the run's own."""
    yield _swept(study)
    if len(study):
        yield _spent(study)
        yield from _best(study)
        yield from _failed(study)
        yield from _stopped(study)


def _code(text: object, room: int = 160) -> str:
    return f"<code>{escape(cut(plain(text), room))}</code>"


def _swept(study: Study) -> str:
    done = len(study)
    what = (
        f"{plural(done, 'point')} evaluated"
        if not study.left
        else f"{count(done)} of {plural(study.total, 'point')} evaluated"
    )
    text = f"<b>{what}.</b>"
    if study.left:
        text += f" {count(study.left)} have no row yet."
    if study.parameters:
        text += f" Varied: {'; '.join(_axis(study, name) for name in study.parameters)}."
    else:
        text += " No parameter varies."
    if study.constants:
        fixed = ", ".join(
            f"{_code(name, 40)} = {_code(value, 60)}" for name, value in list(study.constants.items())[:12]
        )
        text += f" Constant: {fixed}."
    return text


def _axis(study: Study, name: str) -> str:
    axis = study.axes[name]
    if name in study.replicates:
        return f"{_code(name, 40)} ({plural(len(axis.values), 'replicate')})"
    if not axis.is_numeric or 0 < len(axis.values) <= VALUES:
        places = [float(place) for place in (axis.values if axis.is_numeric else range(len(axis.values)))]
        listed = ", ".join(_code(axis.label(place), 40) for place in places[:VALUES])
        more = f" and {count(len(places) - VALUES)} more" if len(places) > VALUES else ""
        return f"{_code(name, 40)} ({listed}{more})"
    many = f"{count(len(axis.values))} values " if axis.values else ""
    return f"{_code(name, 40)} ({many}from {_code(axis.label(axis.low))} to {_code(axis.label(axis.high))})"


def _spent(study: Study) -> str:
    ends = study.started + study.seconds
    span = float(ends.max() - study.started.min())
    slowest = int(np.argmax(study.seconds))
    text = f"From the first start to the last end it took {spent(span)}, on {plural(len(np.unique(study.worker)), 'worker')}"
    if len(study) > 1:
        text += (
            f", which spent {spent(float(study.seconds.sum()))} on points: half of them took up to "
            f"{spent(float(np.median(study.seconds)))}, the slowest, point {study.points[slowest]}, "
            f"{spent(float(study.seconds[slowest]))}"
        )
    again = int((study.attempts > 1).sum())
    return text + (f"; {count(again)} ran more than once." if again else ".")


def _best(study: Study) -> Iterator[str]:
    if len(study.front):
        yield _front(study)
    if study.best is None:
        return
    row = study.best
    value = number(float(study.columns[study.metric][row]))
    text = f"<b>Best:</b> {_code(study.metric, 40)} = <b>{escape(value)}</b> at point {study.points[row]}"
    where = [
        f"{_code(name, 40)} = {_code(study.axes[name].label(float(study.columns[name][row])), 60)}"
        for name in study.parameters
        if not np.isnan(study.columns[name][row])
    ]
    yield text + (f", with {', '.join(where)}." if where else ".")


def _front(study: Study) -> str:
    """Say between what the points lie that no other one beats."""
    ends = []
    for name, sign in study.goals:
        values = np.sort(study.columns[name][study.front] * sign) * sign
        low, high = (escape(number(float(value))) for value in (values[0], values[-1]))
        ends.append(f"{_code(name, 40)} from <b>{low}</b> to {high}")
    few = ", ".join(map(str, study.points[study.front[:FRONT]].tolist())) + (
        ", …" if len(study.front) > FRONT else ""
    )
    on = plural(len(study.front), "point")
    return f"<b>Pareto front:</b> {on} that no other one beats ({few}): {'; '.join(ends)}."


def _failed(study: Study) -> Iterator[str]:
    bad = np.flatnonzero(study.failed).tolist()
    if not bad:
        yield "No point failed."
        return
    share = 100 * len(bad) / len(study)
    ways = ", ".join(f"{count(n)} {status}" for status, n in study.statuses.items() if status not in GOOD)
    yield f"<b>{plural(len(bad), 'point')} failed</b> ({share:.2g} %: {ways}). Most often: {_reasons(study, bad)}."


def _stopped(study: Study) -> Iterator[str]:
    short = np.flatnonzero(~study.ok & ~study.failed)
    if not len(short):
        return
    share = 100 * len(short) / len(study)
    far = np.empty(0) if study.curves is None else study.curves.reached(study.points[short])
    far = far[~np.isnan(far)]
    steps = f", half of them by step {int(np.median(far))}" if len(far) else ""
    why = (
        f" Most often: {_reasons(study, short.tolist())}."
        if any(study.failure[row] for row in short.tolist())
        else ""
    )
    yield f"<b>{plural(len(short), 'point')} stopped early</b> ({share:.2g} %){steps}.{why}"


def _reasons(study: Study, rows: Sequence[int]) -> str:
    """Say what the texts of rows say most often; those that differ in numbers only are of one kind."""
    kinds: Counter[str] = Counter()
    example: dict[str, tuple[int, str]] = {}
    various: set[str] = set()
    for row in rows:
        head = (study.failure[row] or "").partition("\n")[0]
        kind = NUMBER.sub("#", head)
        kinds[kind] += 1
        if example.setdefault(kind, (int(study.points[row]), head))[1] != head:
            various.add(kind)
    reasons = "; ".join(
        f"{count(n)} {'time' if n == 1 else 'times'} {_code(example[kind][1] or 'without a text')}"
        f"{' and the like' if kind in various else ''}, "
        f"such as point {example[kind][0]}"
        for kind, n in kinds.most_common(REASONS)
    )
    more = f"; {plural(len(kinds) - REASONS, 'other reason')}" if len(kinds) > REASONS else ""
    return reasons + more
