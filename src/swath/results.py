"""What a run has given so far: a frame, and the usual questions to it.

Everything is read from the run folder when asked for, and again when the folder has changed, so a `Results` also
serves a run in progress, from any process. pandas is imported when the first frame is made.
"""

from __future__ import annotations

import difflib
import html
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.errors import DamageError, UsageError
from swath.store.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa

    from swath.definition import Definition
    from swath.store.assembly import Assembly
    from swath.store.history import Archive, Past
    from swath.store.manifest import Damage, Manifest
    from swath.summaries import Failures
    from swath.views.figures.study import Study


class Results:
    """The rows of a run.

    Parameters
    ----------
    folder : path
        A run folder.

    Raises
    ------
    UsageError
        There is no run in it.
    DamageError
        Its manifest cannot be read, or a newer swath wrote it.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._disk = Disk()
        self._view: _View | None = None
        self._look()

    def _look(self) -> _View:
        """Return what the folder holds now; what was computed before is kept if nothing has changed."""
        from swath.store.manifest import read_manifest  # noqa: PLC0415  start-up: as for all below, until it is needed

        manifest = read_manifest(self._disk, self.folder)
        if self._view is None or self._view.manifest != manifest:
            self._view = _View(self._disk, self.folder, manifest)
        return self._view

    @property
    def definition(self) -> Definition:
        """The newest definition of the run."""
        return self._look().definition

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.definition.name

    @property
    def frame(self) -> pd.DataFrame:
        """One row a point of the current definition, in the order of the points.

        The index is ``point``; the columns are the parameters, derived values, metrics, then ``status``,
        ``seconds``, ``attempts``, ``worker``, ``started`` (UTC) and ``failure``.
        """
        return self._look().frame

    @property
    def all(self) -> pd.DataFrame:
        """As ``frame``, with the rows of points that the definition no longer has.

        A column ``definition`` tells which definition ``point`` is an index of; it is the current one for the
        rows of ``frame``.
        """
        return self._look().all

    @property
    def arrow(self) -> pa.Table:
        """As ``frame``, with ``point`` as a column, and with NaN and missing values kept apart."""
        return self._look().assembly.arrow

    @property
    def fingerprints(self) -> frozenset[str]:
        """Those of the code that made the rows; more than one where a change of code was accepted."""
        return frozenset(entry.code for entry in self._look().manifest.segments)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self._look().assembly.metrics)

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be changed to make columns, such as a metric that became text."""
        return self._look().assembly.notes

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What cannot be read, after a look at every file; empty is good news."""
        return self._look().damage

    @property
    def statuses(self) -> dict[str, int]:
        """How many points ended how; statuses that do not occur are left out."""
        return dict(self._look().past.statuses)

    @property
    def total(self) -> int:
        """Points of the definition, as far as is known: without those that ``where`` is known to leave out."""
        view = self._look()
        return view.definition.space.size - view.past.excluded

    @property
    def complete(self) -> bool:
        """Whether every point has a row."""
        view = self._look()
        return len(view.past.done) == view.definition.space.size

    def __len__(self) -> int:
        """Count the rows of the current definition."""
        return sum(self.statuses.values())

    @property
    def failures(self) -> Failures:
        """One row a point that failed: parameters, ``status``, ``failure``, ``seconds``, ``worker``, ``attempts``.

        It is a frame; its ``rates`` are another, which tells how often points failed by the value of each parameter and
        by worker.
        """
        from swath.summaries import failures  # noqa: PLC0415

        return failures(self.frame, self._parameters)

    @property
    def study(self) -> Study:
        """Columns and their description, as figures take them."""
        return self._look().study

    @property
    def _parameters(self) -> tuple[str, ...]:
        return self.definition.space.names

    def best(self, n: int = 1, by: str | None = None) -> pd.DataFrame:
        """Return the best points.

        Parameters
        ----------
        n : int
            At most so many rows.
        by : str, optional
            A metric. Default: the one that the definition minimizes or maximizes. Any other metric counts as to be
            minimized.

        Returns
        -------
        DataFrame
            Rows of ``frame``, the best first, equals in the order of their points. Points that failed, or have no
            value or NaN, are left out.

        Raises
        ------
        UsageError
            There is no such metric, or it is not a number.
        """
        view = self._look()
        definition = view.definition
        name = by or definition.minimize or definition.maximize
        if name is None:
            raise UsageError(
                "the definition has neither minimize nor maximize, so best needs a metric: "
                f"best(by=...), one of {_listed(view.numeric)}"
            )
        _demand(name, view.numeric, "metric that is a number")
        rows = view.frame[(view.frame["status"] == "ok") & view.frame[name].notna()]
        return rows.sort_values(name, ascending=name != definition.maximize, kind="stable").head(n)

    def mean(self, over: str | Sequence[str] = "seed") -> pd.DataFrame:
        """Average over replicates.

        Parameters
        ----------
        over : str or sequence of str
            The parameters that tell replicates apart.

        Returns
        -------
        DataFrame
            A row for each combination of the other parameters, in the order of their first points: those parameters,
            then for each metric that is a number the mean and, as ``<metric>_se``, its standard error (sample standard
            deviation, ddof=1, over the root of the number of values; NaN for a single one), and at last ``n``, the
            number of ``ok`` points. Missing values and NaN do not count.

        Raises
        ------
        UsageError
            There is no such parameter.
        """
        view = self._look()
        over = (over,) if isinstance(over, str) else tuple(over)
        for name in over:
            _demand(name, self._parameters, "parameter")
        from swath.summaries import mean  # noqa: PLC0415

        return mean(view.frame, [name for name in self._parameters if name not in over], view.numeric)

    def __repr__(self) -> str:
        said = ", ".join(f"{count:,} {status}" for status, count in self.statuses.items()) or "no rows yet"
        missing = self.total - len(self)
        rest = "complete" if self.complete else f"{missing:,} to do"
        return f"<Results {self.name}: {said}; {rest}; in {self.folder}>"

    def _repr_html_(self) -> str:
        head = f"<p>{html.escape(repr(self)[1:-1])}</p>"
        if not len(self):
            return head
        definition = self.definition
        metric = definition.minimize or definition.maximize
        if metric in self._look().numeric:
            return f"{head}<p>Best by {html.escape(str(metric))}:</p>{self.best(5).to_html(notebook=True)}"
        return head + self.frame.head().to_html(notebook=True)


@dataclass(eq=False)
class _View:
    """A run folder at one instant, and what was computed from it."""

    disk: Disk
    folder: Path
    manifest: Manifest
    definitions: dict[tuple[str, str], Definition] = field(default_factory=dict)

    def _work(self, work: Any) -> Any:
        """Read the folder; where files that the manifest lists are merged meanwhile, as it is a moment later."""
        from swath.store.history import latest  # noqa: PLC0415

        return latest(self.disk, self.folder, work, self.definitions)

    @cached_property
    def definition(self) -> Definition:
        """The current definition."""

        def read(archive: Archive) -> Definition:
            found = archive.definition(archive.manifest.current) if archive.manifest.current else None
            if found is None:
                told = "; ".join(map(str, archive.damage.values())) or "no definition was accepted yet"
                raise DamageError(f"{self.folder}: its definition cannot be read: {told}")
            return found

        made: Definition = self._work(read)
        return made

    @cached_property
    def past(self) -> Past:
        """How far the run is; cheap as long as nothing failed."""
        from swath.store.history import survey  # noqa: PLC0415

        definition = self.definition

        def look(archive: Archive) -> Past:
            target = archive.target(archive.manifest.current)
            if target is None:
                raise DamageError(f"{self.folder}: the definition {definition.name} cannot be read")
            return survey(archive, target)

        found: Past = self._work(look)
        return found

    @cached_property
    def _read(self) -> tuple[Assembly, tuple[Damage, ...]]:
        from swath.store.assembly import Assembly  # noqa: PLC0415

        def read(archive: Archive) -> tuple[Assembly, tuple[Damage, ...]]:
            made = Assembly(archive)
            return made, tuple(archive.damage.values())

        assembly, damage = self._work(read)
        for item in damage:
            warnings.warn(
                f"{self.folder / item.file} is damaged: {item}; run again to compute them", stacklevel=2
            )
        return assembly, damage

    @property
    def assembly(self) -> Assembly:
        """The rows and columns of the current definition."""
        return self._read[0]

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What could not be read."""
        return self._read[1]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows of the current definition."""
        from swath.store.frames import to_frame  # noqa: PLC0415

        return to_frame(self.assembly)

    @cached_property
    def all(self) -> pd.DataFrame:
        """The rows of all definitions."""
        import pandas as pd  # noqa: PLC0415

        from swath.store.assembly import Assembly, gone  # noqa: PLC0415
        from swath.store.frames import to_frame  # noqa: PLC0415

        def read(archive: Archive) -> list[Assembly]:
            return [Assembly(archive, rows) for rows in gone(archive)]

        frames = [self.frame.assign(definition=self.assembly.rows.definition)]
        frames += [to_frame(item).assign(definition=item.rows.definition) for item in self._work(read)]
        return pd.concat([frame for frame in frames if len(frame)] or frames[:1])

    @cached_property
    def study(self) -> Study:
        """What figures draw."""
        from swath.views.studies import study  # noqa: PLC0415  Bokeh

        space, past = self.definition.space, self.past
        return study(
            self.frame,
            self.definition,
            tuple(self.assembly.metrics),
            total=space.size - past.excluded,
            excluded=past.excluded,
            folder=self.folder,
        )

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """The metrics that are numbers."""
        from pandas.api.types import is_numeric_dtype  # noqa: PLC0415

        return tuple(name for name in self.assembly.metrics if is_numeric_dtype(self.frame[name].dtype))


def _demand(name: str, there: Sequence[str], what: str) -> None:
    """Raise UsageError unless a name is among those that are there."""
    if name not in there:
        close = difflib.get_close_matches(name, there, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"there is no {what} named {name!r}, there is {_listed(there)}{hint}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
