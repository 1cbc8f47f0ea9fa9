"""The block that a person watches, as lines of text with styles: what a sweep does, in as much room as there is.

Theory of operation. The block is a column of words and beside each what there is to say about it. Every part has a rank; where the
terminal is low, the parts of least importance are left out, and where it is narrow, facts go to the next line or are cut.
The table of workers comes where all of them fit, below each other and beside their bars; otherwise a line says what they do together
and names those that are stuck or have nothing to do. A part that was there once tends to stay, so that the block does not jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from swath.messages import STATUSES
from swath.views import palette
from swath.views.phrases import (
    at,
    best,
    complaint,
    effort,
    failures,
    idle,
    machines,
    named,
    pace,
    pruned,
    sampling,
    setting,
    share,
    slowest,
    straggler,
)
from swath.views.text import cells, count, cut, plain, rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swath.snapshot import Snapshot, WorkerLoad
    from swath.views.ansi import Piece

    Line = list[Piece]

BAR = 60  # columns; a longer bar says no more
SMALL_BAR = 10  # columns, of a worker
LABEL = 8  # columns of the words at the left
NARROW = 40  # columns below which these words take no column of their own
WIDE = 96  # columns from which on workers have bars
COMPLAINTS = 3  # lines


class Glyphs(NamedTuple):
    """What a block is drawn with."""

    full: str
    failed: str
    excluded: str
    empty: str
    gauge: str
    rest: str
    between: str
    more: str

    def speak(self, text: str) -> str:
        """Spell out what cannot be shown."""
        return text if self is UNICODE else text.encode("ascii", "backslashreplace").decode("ascii")


UNICODE = Glyphs("█", "▓", "▒", "░", "━", "─", " · ", "…")
ASCII = Glyphs("#", "x", ".", "-", "=", "-", ", ", "~")


@dataclass(frozen=True, slots=True)
class _Part:
    """Lines that belong together; of a part that can be ``cut`` the first lines do too."""

    rank: int
    lines: list[Line]
    cut: bool = False


def block(snapshot: Snapshot, width: int = 80, height: int = 24, glyphs: Glyphs = UNICODE) -> list[Line]:
    """Lay the block out in lines of less than ``width`` columns, each a list of (text, style).

    Parameters
    ----------
    snapshot : Snapshot
        What to show.
    width, height : int
        Columns of the terminal, of which the last stays free, since some wrap after it; lines that the block may have.
    glyphs : Glyphs
        What to draw with.
    """
    page = _page(snapshot, max(1, width - 1), glyphs)
    parts = [
        _Part(0, [_bar(snapshot, page)]),
        _Part(
            1,
            page.facts(
                "",
                [(text, "") for text in [*pace(snapshot), pruned(snapshot.statuses), *_excluded(snapshot)]],
                [(text, "dim") for text in effort(snapshot)],
            ),
        ),
        _Part(3, page.facts("best", _best(snapshot), cut_off=True)),
        _Part(2, page.facts("failed", _failed(snapshot))),
        _Part(9, _complaints(snapshot, page), cut=True),
        _Part(6, page.facts("search", [(sampling(snapshot), "dim")])),
        _Part(4, page.facts("load", [(text, "") for text in machines(snapshot)])),
        _Part(10, _workers(snapshot, page, height)),
        _Part(
            7,
            page.facts(
                "slow", [(straggler(snapshot), palette.STATUS["timeout"]), (slowest(snapshot), "dim")]
            ),
        ),
        _Part(8, page.facts("unused", [(idle(snapshot), "")])),
        _Part(5, page.facts("page", [(plain(snapshot.dashboard), "")])),
    ]
    return _fitting(parts, height)


def _fitting(parts: Sequence[_Part], height: int) -> list[Line]:
    """Choose the most important parts that fit; they stay in their order."""
    left = max(1, height)
    chosen: dict[int, list[Line]] = {}
    for part in sorted(parts, key=lambda part: part.rank):
        if len(part.lines) <= left or part.cut or not chosen:
            chosen[part.rank] = part.lines[:left]
            left -= len(chosen[part.rank])
    return [line for part in parts for line in chosen.get(part.rank, [])]


def _page(snapshot: Snapshot, room: int, glyphs: Glyphs) -> _Page:
    """Let all that is said stand below the bar, which stands behind the sweep's name, if that is not too long."""
    name = cut(glyphs.speak(plain(snapshot.name)), max(8, room // 4), glyphs.more)
    indent = max(LABEL, cells(name) + 2)
    return _Page(room, glyphs, name, 0 if room < NARROW else indent if indent <= room // 4 else LABEL)


@dataclass(frozen=True, slots=True)
class _Page:
    """Room for lines."""

    room: int
    glyphs: Glyphs
    name: str
    indent: int  # columns of the words at the left

    def label(self, word: str) -> Piece:
        """Return a word at the left."""
        return (word.ljust(self.indent) if self.indent else f"{word} " if word else "", "dim")

    def facts(self, word: str, *groups: Sequence[Piece], cut_off: bool = False) -> list[Line]:
        """Distribute facts over lines behind a word, or over one only; one that is longer than a line is cut."""
        first = self.label(word)
        between = (self.glyphs.between, "dim")
        lines: list[Line] = []
        used = 0
        for text, style in (piece for group in groups for piece in group if piece[0]):
            room = self.room - cells((lines or [[first]])[-1][0][0])
            shown = cut(self.glyphs.speak(text), max(1, room), self.glyphs.more)
            if lines and used + len(between[0]) + cells(shown) <= self.room:
                lines[-1] += [between, (shown, style)]
                used += len(between[0]) + cells(shown)
            elif lines and cut_off:
                break
            else:
                begin = first if not lines else self.label("")
                lines.append([begin, (shown, style)] if begin[0] else [(shown, style)])
                used = cells(begin[0]) + cells(shown)
        return [self.cut(line) for line in lines]

    def row(self, *pieces: Piece) -> Line:
        """Return a line below a word, cut where the room ends."""
        return self.cut([self.label(""), *pieces])

    def cut(self, line: Iterable[Piece]) -> Line:
        """Spell out what cannot be shown, and cut a line where the room ends."""
        made: Line = []
        left = self.room
        for text, style in line:
            shown = cut(self.glyphs.speak(text), left, self.glyphs.more)
            left -= cells(shown)
            if shown:
                made.append((shown, style))
        return made


def _bar(snapshot: Snapshot, page: _Page) -> Line:
    """Draw what is saved, coloured by status, behind the sweep's name."""
    part = snapshot.saved / snapshot.total if snapshot.total else 1.0
    percent = int(100 * part)  # 100 % only when it is true
    tail = f" {percent:3d}% {count(snapshot.saved)}/{count(snapshot.total)}"
    name = page.name + " " * max(1, page.indent - cells(page.name))
    length = min(BAR, page.room - cells(name) - cells(tail))
    if length < 5:
        return [(cut(tail.strip(), page.room, page.glyphs.more), "")]
    return [(name, "bold"), *_segments(snapshot, length, page.glyphs), (tail, "")]


def _segments(snapshot: Snapshot, length: int, glyphs: Glyphs) -> list[Piece]:
    """Divide a bar by statuses, failures last; whatever occurs can be seen, and only what is finished is full."""
    total = max(1, snapshot.total)
    filled = length if snapshot.saved >= snapshot.total else int(length * snapshot.saved / total)
    kinds = [
        *((status, snapshot.statuses.get(status, 0)) for status in STATUSES if snapshot.statuses.get(status)),
        *([("excluded", snapshot.excluded)] if snapshot.excluded else []),
    ]
    widths = _shares([number for _, number in kinds], filled)
    looks = {
        "ok": (glyphs.full, palette.STATUS["ok"]),
        "pruned": (glyphs.full, palette.STATUS["pruned"]),
        "excluded": (glyphs.excluded, "dim"),
    }
    made = []
    for (kind, _), width in zip(kinds, widths, strict=True):
        glyph, style = looks.get(kind, (glyphs.failed, palette.STATUS.get(kind, palette.FAILED)))
        made.append((glyph * width, style))
    return [*(piece for piece in made if piece[0]), (glyphs.empty * (length - sum(widths)), "dim")]


def _shares(numbers: Sequence[int], length: int) -> list[int]:
    """Divide a length in proportion to numbers, at least 1 for each as long as there is room."""
    whole = sum(numbers)
    if not whole or not length:
        return [0] * len(numbers)
    made = [max(1, length * number // whole) for number in numbers]
    while sum(made) != length:  # the longest gives or takes
        longest = max(range(len(made)), key=made.__getitem__)
        if made[longest] <= 1 and sum(made) > length:
            made[made.index(1)] = 0
        else:
            made[longest] += 1 if sum(made) < length else -1
    return made


def _excluded(snapshot: Snapshot) -> list[str]:
    return [f"{count(snapshot.excluded)} excluded"] if snapshot.excluded else []


def _best(snapshot: Snapshot) -> list[Piece]:
    if snapshot.best is None:
        return []
    return [(best(snapshot), ""), *((text, "dim") for text in setting(snapshot.parameters))]


def _failed(snapshot: Snapshot) -> list[Piece]:
    return [(failures(snapshot), palette.FAILED)]


def _complaints(snapshot: Snapshot, page: _Page) -> list[Line]:
    return [
        page.row((f"{often} ", palette.STATUS.get(found.status, palette.FAILED)), (text, ""))
        for found in snapshot.complaints[:COMPLAINTS]
        for often, text in (complaint(found),)
    ]


# Workers.

HEADS = ("worker", "cores", "memory", "rate", "done", "failed", "now at")
CORES, MEMORY, FAILED, NOW = 1, 2, 5, 6
LEFT = (0, NOW)


def _workers(snapshot: Snapshot, page: _Page, height: int) -> list[Line]:
    """Draw a line for each worker, with bars of its processors and its memory; empty where that does not fit or says nothing."""
    here = [worker for worker in snapshot.workers if worker.slots]
    if page.room < WIDE or len(here) >= height or snapshot.over:
        return []
    if all(worker.cpu is None and worker.rate is None for worker in here):
        return []
    rows = [_cells(worker, page.glyphs) for worker in here]
    kept = [i for i in range(len(HEADS)) if any(row[i] for row in rows)]
    widths = [max(map(cells, column)) for column in zip(HEADS, *rows, strict=True)]
    lines = [page.row(*_head(kept, widths))]
    lines += [page.row(*_worker(*each, kept, widths, page.glyphs)) for each in zip(here, rows, strict=True)]
    return lines


def _head(kept: Sequence[int], widths: Sequence[int]) -> list[Piece]:
    room = {CORES: SMALL_BAR + 1, MEMORY: SMALL_BAR + 1}  # of the bars
    return [(" " * room.get(i, 0) + _padded(HEADS[i], widths[i], i), "dim") for i in kept]


def _cells(worker: WorkerLoad, glyphs: Glyphs) -> list[str]:
    return [
        glyphs.speak(named(worker)),
        "" if worker.cpu is None else f"{worker.cpu:.2f}",
        "" if worker.memory is None else share(worker.memory, worker.memory_limit),
        "" if worker.rate is None else rate(worker.rate),
        count(worker.done),
        count(worker.failed) if worker.failed else "",
        at(worker) or ("" if worker.busy else "nothing"),
    ]


def _worker(
    worker: WorkerLoad, row: Sequence[str], kept: Sequence[int], widths: Sequence[int], glyphs: Glyphs
) -> list[Piece]:
    busy = palette.RUNNING if worker.busy else "dim"
    gauges = {
        CORES: _gauge(worker.cpu, worker.slots, busy, glyphs),
        MEMORY: _gauge(worker.memory, worker.memory_limit, busy, glyphs),
    }
    styles = {FAILED: palette.FAILED, NOW: palette.STATUS["timeout"] if worker.straggler else "dim"}
    pieces: list[Piece] = []
    for i in kept:
        pieces += gauges.get(i, [])
        pieces.append((_padded(row[i], widths[i], i), styles.get(i, "")))
    return pieces


def _padded(text: str, width: int, column: int) -> str:
    """Fill a cell up, with the gap behind it where another may follow."""
    blanks = " " * (width - cells(text))
    if column == NOW:
        return text
    return (text + blanks if column in LEFT else blanks + text) + "  "


def _gauge(amount: float | None, limit: float | None, style: str, glyphs: Glyphs) -> list[Piece]:
    if amount is None or not limit:
        return [(" " * (SMALL_BAR + 1), "")]
    filled = max(0, min(SMALL_BAR, round(SMALL_BAR * amount / limit)))
    return [(glyphs.gauge * filled, style), (glyphs.rest * (SMALL_BAR - filled) + " ", "dim")]
