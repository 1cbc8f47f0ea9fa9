"""What a run has given so far: a frame, and the usual questions to it.

Everything is read from the run folder when asked for, and again when the folder has changed, so a `Results` also
serves a run in progress, from any process. pandas is imported when the first frame is made.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.analysis import Analysis
from swath.errors import DamageError
from swath.store.disk import Disk

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from swath.definition import Definition
    from swath.store.assembly import Assembly
    from swath.store.curves import Curves
    from swath.store.entries import Damage
    from swath.store.history import Archive, Past
    from swath.store.manifest import Manifest
    from swath.views.figures.study import Study


class Results(Analysis):
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

    def _table(self) -> _View:
        return self._look()

    def _other(self, folder: Path) -> Results:
        return Results(folder)

    @property
    def all(self) -> pd.DataFrame:
        """As ``frame``, with the rows of points that the definition no longer has.

        A column ``definition`` tells which definition ``point`` is an index of; it is the current one for the
        rows of ``frame``.
        """
        return self._look().all

    @property
    def fingerprints(self) -> frozenset[str]:
        """Those of the code that made the rows; more than one where a change of code was accepted."""
        return frozenset(entry.code for entry in self._look().manifest.segments)

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
        """Points of the definition, as far as is known: without those that ``where`` is known to leave out.

        Where replicates are added until precise, as many as every combination begins with, or as have a row.
        """
        return self._look().total

    @property
    def excluded(self) -> int:
        """How many points ``where`` is known to leave out."""
        return self._look().past.excluded

    @property
    def complete(self) -> bool:
        """Whether every point has a row; or, of points that are opened as a run goes on, every one that is needed."""
        view = self._look()
        if view.definition.search or view.definition.until:
            return view.manifest.state == "complete" and not view.past.damage
        return len(view.past.done) == view.definition.space.size

    def __len__(self) -> int:
        """Count the rows of the current definition."""
        return sum(self.statuses.values())

    @property
    def study(self) -> Study:
        """Columns and their description, as figures take them."""
        return self._look().study

    def __repr__(self) -> str:
        said = ", ".join(f"{count:,} {status}" for status, count in self.statuses.items()) or "no rows yet"
        missing = self.total - len(self)
        rest = "complete" if self.complete else f"{missing:,} to do"
        return f"<Results {self.name}: {said}; {rest}; in {self.folder}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from swath.views.notebook.results import results  # noqa: PLC0415  # only who looks at it needs it

        return results(self).bundle

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]


@dataclass(eq=False)
class _View:
    """A run folder at one instant, and what was computed from it."""

    disk: Disk
    folder: Path
    manifest: Manifest
    definitions: dict[tuple[str, ...], Definition] = field(default_factory=dict)

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
    def total(self) -> int:
        """Points of the definition, as far as is known; see `Results.total`."""
        until, size = self.definition.until, self.definition.space.size
        if until is None:
            return size - self.past.excluded
        rows = sum(self.past.statuses.values())
        return max(rows, size // until.most * until.first - self.past.excluded)

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
    def arrow(self) -> pa.Table:
        """The rows, with NaN and missing values kept apart."""
        return self.assembly.arrow

    @cached_property
    def _steps(self) -> tuple[Curves, tuple[Damage, ...]]:
        from swath.store.curves import curves_of  # noqa: PLC0415

        def read(archive: Archive) -> tuple[Curves, tuple[Damage, ...]]:
            made = curves_of(archive)
            return made, tuple(archive.damage.values())

        found, damage = self._work(read)
        for item in damage:
            warnings.warn(f"{self.folder / item.file} is damaged: {item}", stacklevel=2)
        return found, damage

    @cached_property
    def curves(self) -> pd.DataFrame:
        """What the points of the current definition recorded."""
        return self._steps[0].frame()

    @property
    def reasons(self) -> dict[int, str]:
        """Why points ended early; read again each time, for nothing here says that the journal has changed."""
        from swath.store.decisions import stopped  # noqa: PLC0415

        noted = stopped(self.folder)
        if (
            len(self.manifest.definitions) == 1 or not noted
        ):  # then a point has always had the index that it has now
            return {point: reason for point, _, reason in noted}
        known = {content_id: reason for _, content_id, reason in noted}
        space = self.definition.space
        receives = frozenset(self.manifest.definition(self.manifest.current).receives)
        points = self.frame.index[(self.frame["status"] == "pruned").to_numpy()].tolist()
        ids = {point: space.content_id(point, receives) for point in points}
        return {point: known[content_id] for point, content_id in ids.items() if content_id in known}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self.assembly.metrics)

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What could not be read."""
        return tuple({item.file: item for item in (*self._read[1], *self._steps[1])}.values())

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

        past = self.past
        return study(
            self.frame,
            self.definition,
            self.metrics,
            total=self.total,
            excluded=past.excluded,
            folder=self.folder,
            curves=self.curves,
            reasons=self.reasons if "pruned" in past.statuses else {},
        )
