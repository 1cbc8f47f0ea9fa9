"""How a sweep goes: the block of a handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.views.notebook import Block, code, figures, framed, titled
from swath.views.notebook.markup import FAINT, Html, bar, dot, join, link, row, table, tag
from swath.views.palette import FAILED, IDLE, RUNNING, STATE, STATUS
from swath.views.text import count, cut, duration, guess, plain, plural, rate, size, value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swath.snapshot import Complaint, Snapshot, WorkerLoad

SHOWN = 8  # workers, and kinds of failures
LONGEST = 90  # characters of a failure
EXCLUDED = IDLE
WORDS = {"draining": "stopping"}


def progress(snapshot: Snapshot, folder: Path, error: str = "") -> Block:
    """Show how a sweep goes, or how it went.

    Parameters
    ----------
    snapshot : Snapshot
        How it goes.
    folder : Path
        Where its results are.
    error : str
        What stopped it, if that was an error.
    """
    return Block(_html(snapshot, folder, error), _text(snapshot, folder, error))


# What there is to say.


def _had_nothing_to_do(snapshot: Snapshot) -> bool:
    return snapshot.state == "complete" and snapshot.rows_before == sum(snapshot.statuses.values())


def _state(snapshot: Snapshot) -> str:
    if _had_nothing_to_do(snapshot):
        return "complete, nothing was left to do"
    return WORDS.get(snapshot.state, snapshot.state)


def _share(snapshot: Snapshot) -> str:
    percent = 100 * snapshot.saved // snapshot.total if snapshot.total else 100  # 100 only when it is true
    return f"{percent} %"


def _counts(snapshot: Snapshot) -> Iterator[tuple[str, int, str]]:
    """Name what became of the points: a word, how many, a colour."""
    known = [status for status in STATUS if snapshot.statuses.get(status)]
    for status in [*known, *(other for other in snapshot.statuses if other not in STATUS)]:
        yield status, snapshot.statuses[status], STATUS.get(status, FAILED)
    if snapshot.excluded:
        yield "excluded", snapshot.excluded, EXCLUDED
    if to_do := snapshot.total - snapshot.saved:
        yield "to do", to_do, FAINT


def _facts(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    if snapshot.best:
        yield f"best {snapshot.metric}", f"{snapshot.best[0]:.4g}"
    pace = snapshot.overall if snapshot.over else snapshot.rate
    if pace:
        yield "points per second" if pace >= 0.5 else "points", f"{pace:,.3g}" if pace >= 0.5 else rate(pace)
    if snapshot.eta and not snapshot.over:
        yield "left", guess(*snapshot.eta)
    if not _had_nothing_to_do(snapshot):
        yield "took" if snapshot.over else "so far", duration(snapshot.elapsed)
    if snapshot.slots and not snapshot.over:
        yield "slots busy", f"{count(snapshot.busy)} of {count(snapshot.slots)}"
    if snapshot.utilisation is not None:
        yield "utilisation", f"{100 * snapshot.utilisation:.0f} %"
    if snapshot.cost >= 0.01:
        yield "core-hours", f"{snapshot.cost:.3g}"
    if snapshot.retried:
        yield "retried", count(snapshot.retried)


def _best(snapshot: Snapshot) -> str:
    if not snapshot.best:
        return ""
    values = [f"{name}={value(content)}" for name, content in snapshot.parameters.items()]
    said = f": {', '.join(values)}" if values else ""
    return cut(plain(f"best: point {snapshot.best[1]}{said}"), 2 * LONGEST)


def _remark(snapshot: Snapshot, error: str) -> str:
    """Say what people should know about how it ends."""
    interrupted = snapshot.reason == "interrupted"
    if error:
        return error
    if snapshot.state == "draining":
        again = " Interrupt again to stop at once." if interrupted else ""
        return f"Stopping: the points that are running finish first.{again}"
    if snapshot.state == "stopped":
        why = "interrupted" if interrupted else snapshot.reason or "as asked"
        return f"Stopped: {why}. What is done is saved; run the same cell again to go on."
    return ""


def _ways(snapshot: Snapshot, folder: Path) -> Iterator[tuple[str, str]]:
    """Pair what people may want next with the call for it."""
    if snapshot.over and snapshot.statuses:
        yield "rows:", f'swath.open("{folder}")'
    if snapshot.over and snapshot.failed:
        yield "failed points again:", f'run(retry="{next(iter(snapshot.failures))}")'


def _complaint(complaint: Complaint) -> str:
    return cut(plain(complaint.text), LONGEST) if complaint.text else "others"


# HTML.


def _html(snapshot: Snapshot, folder: Path, error: str) -> Html:
    done = f"{count(snapshot.saved)} of {plural(snapshot.total, 'point')}"
    parts = [
        titled(snapshot.name, _state(snapshot), f"{done} · {_share(snapshot)}"),
        _bar(snapshot),
        _legend(snapshot),
        figures(list(_facts(snapshot))),
        row(_best(snapshot)) if snapshot.parameters else Html(),
        row(_remark(snapshot, error), style=f"border-left:3px solid {STATE['draining']};padding:0 0 0 8px")
        if _remark(snapshot, error)
        else Html(),
        _workers(snapshot) if snapshot.workers and not snapshot.over else Html(),
        _complaints(snapshot) if snapshot.complaints else Html(),
        join([row(notice, style="opacity:0.8") for notice in snapshot.notices[-3:]]),
        _foot(snapshot, folder),
    ]
    return framed(*(part for part in parts if part))


def _bar(snapshot: Snapshot) -> Html:
    total = max(1, snapshot.total)
    return bar([(number / total, colour) for word, number, colour in _counts(snapshot) if word != "to do"])


def _legend(snapshot: Snapshot) -> Html:
    return join(
        [
            tag("span", dot(colour), f"{count(number)} {word}", style="margin-right:16px;white-space:nowrap")
            for word, number, colour in _counts(snapshot)
        ]
    )


def _workers(snapshot: Snapshot) -> Html:
    present = [worker for worker in snapshot.workers if worker.slots]
    shown = present if len(present) <= SHOWN + 1 else present[:SHOWN]
    most = max((worker.memory or 0 for worker in present), default=0)
    heads = ["worker", "CPU (cores)", "memory", "points/s", "done", "failed", "at point", "for"]
    rows = [_worker(worker, most) for worker in shown]
    if rest := present[len(shown) :]:
        rows.append(_others(rest))
    return table(heads, rows, "<<<>>>>>")


def _worker(worker: WorkerLoad, most: int) -> list[str]:
    cpu = [(min(1.0, (worker.cpu or 0) / max(1, worker.slots)), RUNNING)]
    limit = worker.memory_limit or most
    memory = [(min(1.0, (worker.memory or 0) / max(1, limit)), RUNNING)]
    age = "" if worker.age is None else duration(worker.age)
    return [
        cut(plain(worker.name), 32),
        _gauge(cpu, "" if worker.cpu is None else f"{worker.cpu:.2f}"),
        _gauge(memory, "" if worker.memory is None else size(worker.memory)),
        "" if worker.rate is None else f"{worker.rate:,.3g}",
        count(worker.done),
        tag("span", count(worker.failed), style=f"color:{FAILED}") if worker.failed else "0",
        "" if worker.point is None else str(worker.point),
        tag("b", f"{age} !", title="much longer than points take elsewhere") if worker.straggler else age,
    ]


def _gauge(parts: list[tuple[float, str]], text: str) -> Html:
    if not text:
        return Html()
    return join(
        [
            row(
                bar(parts, 6), style="display:inline-block;width:70px;vertical-align:middle;margin-right:6px"
            ),
            tag("span", text),
        ]
    )


def _others(rest: list[WorkerLoad]) -> list[str]:
    """Sum up the workers that are not shown: what each has, from the least to the most."""
    return [
        f"and {count(len(rest))} more",
        _band(
            [
                f"{worker.cpu:.2f}"
                for worker in sorted(rest, key=lambda w: w.cpu or 0)
                if worker.cpu is not None
            ]
        ),
        _band(
            [
                size(worker.memory)
                for worker in sorted(rest, key=lambda w: w.memory or 0)
                if worker.memory is not None
            ]
        ),
        f"{sum(worker.rate or 0 for worker in rest):,.3g}",
        count(sum(worker.done for worker in rest)),
        count(sum(worker.failed for worker in rest)),
        "",
        "",
    ]


def _band(texts: list[str]) -> str:
    return " - ".join(dict.fromkeys([texts[0], texts[-1]])) if texts else ""


def _complaints(snapshot: Snapshot) -> Html:
    rows = [
        [
            count(complaint.count),
            join([dot(STATUS.get(complaint.status, FAILED)), complaint.status]),
            "" if complaint.point is None else str(complaint.point),
            _complaint(complaint),
        ]
        for complaint in snapshot.complaints[:SHOWN]
    ]
    return table(["points", "status", "such as", "what it says"], rows, "><><")


def _foot(snapshot: Snapshot, folder: Path) -> Html:
    parts = [join([f"{what} ", code(call)]) for what, call in _ways(snapshot, folder)]
    if not snapshot.over:
        parts.append(tag("span", f"saved in {folder}", style="opacity:0.7"))
        if snapshot.dashboard:
            parts.append(link("live page", snapshot.dashboard))
    return join([tag("span", part, style="margin-right:18px") for part in parts])


# Text.


def _text(snapshot: Snapshot, folder: Path, error: str) -> str:
    head = f"{plain(snapshot.name)}  {_state(snapshot)}  {count(snapshot.saved)}/{plural(snapshot.total, 'point')}  {_share(snapshot)}"
    lines = [
        ", ".join(f"{count(number)} {plain(word)}" for word, number, _ in _counts(snapshot)),
        ", ".join(f"{plain(label)} {said}" for label, said in _facts(snapshot)),
        _best(snapshot) if snapshot.parameters else "",
        plain(_remark(snapshot, error)),
        *(
            f"{count(each.count)} {plain(each.status)}: {_complaint(each)}"
            for each in snapshot.complaints[:SHOWN]
        ),
        *(plain(notice) for notice in snapshot.notices[-3:]),
        *(f"{what} {plain(call)}" for what, call in _ways(snapshot, folder)),
        "" if snapshot.over else f"saved in {plain(folder)}",
        "" if snapshot.over else plain(snapshot.dashboard),
    ]
    return "\n".join([head, *(f"  {line}" for line in lines if line)])
