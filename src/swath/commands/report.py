"""A run as one HTML file: where it goes, and what is known about the run besides its rows."""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from swath.commands.again import beginning
from swath.errors import CannotWriteError, UsageError
from swath.results import Results
from swath.store.disk import Disk, publish
from swath.store.folders import OURS
from swath.views.report import GENERATOR, report
from swath.views.text import size

if TYPE_CHECKING:
    from swath.views.figures.study import Study

STDOUT = "-"


def write(folder: Path, output: str | None, title: str) -> str:
    """Write the report of a run, whole or not at all.

    Parameters
    ----------
    folder : Path
        The run folder.
    output : str or None
        A file, or ``-`` for standard output; None: a file of the sweep's name in the current folder.
    title : str
        Heading; empty: the sweep's name.

    Returns
    -------
    str
        The file and its size; empty for standard output.

    Raises
    ------
    UsageError
        The file is one of a run's own, or a folder; or it was not named and is there and no report.
    CannotWriteError
        It cannot be written.
    """
    results = Results(folder)
    path = Path(f"{results.name}.html" if output is None else output)
    if output != STDOUT:
        _permit(path, folder, named=output is not None)
    page = _page(results, title).encode()
    if output == STDOUT:
        sys.stdout.buffer.write(page)
        return ""
    try:
        publish(Disk(), path, [page], sync=False)
    except OSError as error:
        raise CannotWriteError(f"cannot write {path}: {error.strerror}") from error
    return f"{path} ({size(len(page))})"


def _permit(path: Path, folder: Path, *, named: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file: -o {path / 'report.html'}")
    try:
        inside = path.resolve().relative_to(folder.resolve())
    except ValueError:
        inside = None
    if inside is not None and inside.parts[0] in OURS:
        raise UsageError(f"{path} is a file of the run itself; choose another: -o report.html")
    if not named and path.exists() and not _is_report(path):
        raise UsageError(f"{path} is there already, and no report; choose another: -o report.html")


def _is_report(path: Path) -> bool:
    """Tell whether a file was written by this command."""
    with path.open("rb") as file:
        return f'content="{GENERATOR}'.encode() in file.read(4096)


def _page(results: Results, title: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damage is told on the page
        study = replace(results.study, again=beginning(results.definition))
    told = [f"{item}" for item in results.damage] + list(results.notes)
    shares, measure = _importance(results, study)
    now = time.strftime("%Y-%m-%d %H:%M %Z")
    when = f"{results.definition.objective} — run folder {results.folder} — report of {now}"
    return report(study, title=title, shares=shares, measure=measure, warnings=told, when=when)


def _importance(results: Results, study: Study) -> tuple[dict[str, float], str]:
    """Say how much each parameter matters for the metric that matters, if that can be said."""
    if not study.metric or len(study.parameters) < 2:
        return {}, ""
    try:
        found = results.importance(study.metric)
    except UsageError:  # too few rows
        return {}, ""
    shares = {
        name: float(share)
        for name, share in zip(found["parameter"], found["importance"], strict=True)
        if share == share  # noqa: PLR0124  NaN
    }
    return shares, str(found.attrs["label"])
