"""The runs of a folder, for pages that many may look at: read in threads, kept while they do not change.

Theory of operation. A server answers in one thread, which must not wait for a disk, so runs are read in a few others. A
`Shelf` stands for the folder, a `Reader` for one run, which is asked by handing it a function of its `Results`. What
a reader has computed stays until the run changes, or until others were asked. Only folders that the shelf finds are opened,
so no name leads out of it. Everything here only reads.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import numpy as np

from swath.analysis.selecting import holds
from swath.commands import lookup, runs
from swath.errors import ExpressionError, SwathError, UsageError
from swath.results import Results
from swath.store.disk import Disk
from swath.store.manifest import read_manifest
from swath.views.summary import paragraphs
from swath.views.ui.choice import part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from swath.analysis import Analysis
    from swath.analysis.comparing import Comparison
    from swath.commands.lookup import Shown
    from swath.commands.runs import Listed, Looked
    from swath.views.figures.study import Study
    from swath.views.ui.choice import Choice

T = TypeVar("T")

THREADS = 4
KEPT = 3  # runs whose rows stay in memory; 10^6 rows take some hundred megabytes


class Entry(TypedDict):
    """A run in the list; what is not known yet, or cannot be, is None or empty."""

    name: str
    state: str
    done: int
    total: int | None
    pruned: int
    failed: int
    metric: str
    best: float | None
    started: str
    updated: str
    bytes: int
    note: str
    sound: bool


class Detail(TypedDict):
    """What a manifest does not say about a run, or not at a glance."""

    done: int
    total: int
    metric: str
    best: float | None
    started: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at one instant, through a filter.

    Attributes
    ----------
    looked : Looked
        How it goes.
    study : Study
        The rows that passed.
    rows : int
        How many there are without the filter.
    words : tuple of str
        What is to be said about all rows, as HTML.
    damage : tuple of str
        What cannot be read.
    shares : mapping of str to float
        How much each parameter matters to the rows that passed; empty where that is not known.
    measure : str
        By which measure.
    where, wrong : str
        The filter, and why it could not be evaluated.
    version : object
        Equal if the study is.
    """

    looked: Looked
    study: Study
    rows: int
    words: tuple[str, ...]
    damage: tuple[str, ...]
    shares: Mapping[str, float]
    measure: str
    where: str
    wrong: str
    version: object

    @property
    def running(self) -> bool:
        """Whether somebody writes to it."""
        return self.looked["state"] == "running"


class Reader:
    """One run, read by one thread at a time.

    Parameters
    ----------
    folder : Path
        The run folder.
    pool : Executor
        Whose threads read.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.folder, self._pool = folder, pool
        self._lock = threading.Lock()
        self._results: Results | None = None

    async def ask(self, question: Callable[[Results], T]) -> T:
        """Answer a question about the results, in a thread; it sees the run as it is now.

        Raises
        ------
        SwathError, OSError
            Nothing can be read, or whatever the question raises.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, question)

    def _answer(self, question: Callable[[Results], T]) -> T:
        with self._lock:
            if self._results is None:
                self._results = Results(self.folder)
            return question(self._results)


class Shelf:
    """The runs of a folder.

    Parameters
    ----------
    out : Path
        The folder that holds run folders.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="swath-reader")
        self._readers: OrderedDict[str, Reader] = OrderedDict()
        self._details: dict[str, tuple[object, Detail | None]] = {}
        self._learning: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Begin nothing more."""
        if self._learning:
            self._learning.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def ask(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do something in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def reader(self, name: str) -> Reader:
        """Return who reads a run.

        Raises
        ------
        UsageError
            There is no such run in the folder.
        """
        folder = next((found for found in runs.folders(self.out) if found.name == name), None)
        if folder is None:
            raise UsageError(f"there is no run {name!r} in {self.out}")
        reader = self._readers.pop(name, None) or Reader(folder, self._pool)
        self._readers[name] = reader
        while len(self._readers) > KEPT:
            self._readers.popitem(last=False)
        return reader

    async def point(self, name: str, word: str) -> Shown:
        """Say what became of a point of a run; see `lookup.show`."""
        return await self.reader(name).ask(lambda results: lookup.shown(results, [word]))

    async def glance(self, name: str) -> Looked:
        """Say how a run goes, without a look at its rows."""
        return await self.ask(runs.look, self.reader(name).folder)

    async def look(self, name: str, where: str, before: Seen | None) -> Seen:
        """Say how a run goes, and gather what figures draw of the rows for which an expression holds.

        Parameters
        ----------
        name : str
            The run.
        where : str
            The expression; empty: all rows. One that cannot be evaluated counts as empty, and `Seen.wrong` says why.
        before : Seen or None
            What was seen last time; figures of a run that has not changed are taken from it.
        """
        return await self.reader(name).ask(lambda results: _look(results, where, before))

    async def compare(self, name: str, other: str) -> Comparison:
        """Compare a run with another of the folder; see `Analysis.compare`."""
        there = self.reader(other).folder
        return await self.reader(name).ask(lambda results: results.compare(there))

    async def rows(self, name: str, choice: Choice) -> pd.DataFrame:
        """Return the rows of a run that were chosen."""
        return await self.reader(name).ask(lambda results: _chosen(results, choice))

    async def entries(self) -> list[Entry]:
        """Describe every run; what takes long to find out is added by and by."""
        found = await self.ask(runs.listing, self.out)
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn(found))
        found.sort(key=lambda listed: listed["updated"], reverse=True)
        return [_entry(listed, self._details.get(listed["name"], (None, None))[1]) for listed in found]

    async def _learn(self, found: list[Listed]) -> None:
        for listed in found:
            name, version = listed["name"], (listed["updated"], listed["rows"])
            if listed["state"] != "damaged" and self._details.get(name, (None, None))[0] != version:
                self._details[name] = version, await self.ask(_detail, self.out / name)


def _look(results: Results, where: str, before: Seen | None) -> Seen:
    looked = runs.look(results.folder)
    version = looked["updated"], looked["rows"], where
    if before is not None and before.version == version:
        return replace(before, looked=looked)
    whole = results.study
    study, asked, wrong = whole, cast("Analysis", results), ""
    if where:
        try:
            asked = results.where(where)
            study = part(whole, np.flatnonzero(_held(results, where)))
        except (UsageError, ExpressionError) as error:
            wrong = str(error)
    shares, measure = _shares(asked, study)
    return Seen(
        looked=looked,
        study=study,
        rows=len(whole),
        words=tuple(paragraphs(whole)),
        damage=tuple(map(str, results.damage)),
        shares=shares,
        measure=measure,
        where=where,
        wrong=wrong,
        version=version,
    )


def _shares(asked: Analysis, study: Study) -> tuple[dict[str, float], str]:
    """Return how much each parameter matters to the metric that matters, and by which measure."""
    with suppress(UsageError):  # too few points, or nothing to explain
        found = asked.importance(study.metric) if study.metric else None
        if found is not None and len(found) > 1:
            shares = zip(found["parameter"], found["importance"], strict=True)
            return {str(name): float(share) for name, share in shares}, str(found.attrs["label"])
    return {}, ""


def _held(results: Results, where: str) -> NDArray[np.bool_]:
    return holds(results.frame, where, results.definition.space)


def _chosen(results: Results, choice: Choice) -> pd.DataFrame:
    frame, where = results.frame, choice.where
    rows = np.flatnonzero(_held(results, where)) if where else np.arange(len(frame))
    if choice.between or choice.points is not None:
        rows = rows[choice.within(part(results.study, rows))]
    return frame.iloc[rows] if len(rows) < len(frame) else frame


def _entry(listed: Listed, detail: Detail | None) -> Entry:
    known = detail or Detail(done=listed["rows"], total=0, metric="", best=None, started="")
    return Entry(
        name=listed["name"],
        state=listed["state"],
        done=known["done"],
        total=known["total"] or None,
        pruned=listed["pruned"],
        failed=listed["failed"],
        metric=known["metric"],
        best=known["best"],
        started=known["started"],
        updated=listed["updated"],
        bytes=listed["bytes"],
        note=listed["note"],
        sound=listed["state"] != "damaged",
    )


def _detail(folder: Path) -> Detail | None:
    """Find out more about a run; None if it cannot be read, which its own page explains."""
    with suppress(SwathError, OSError):
        results = Results(folder)
        definition = results.definition
        metric = definition.minimize or definition.maximize or ""
        return Detail(
            done=len(results),
            total=results.total,
            metric=metric,
            best=_best(results) if metric else None,
            started=next((s.started for s in read_manifest(Disk(), folder).sessions), ""),
        )
    return None


def _best(results: Results) -> float | None:
    with suppress(SwathError):
        best = results.best(1)
        return (
            float(best[results.definition.minimize or results.definition.maximize].iloc[0])
            if len(best)
            else None
        )
    return None
