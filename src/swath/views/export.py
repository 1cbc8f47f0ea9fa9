"""Rows for standard output: a table for people, CSV and JSON for programs, Parquet for frames.

CSV goes to spreadsheets, which run what begins with ``= + - @``, and to terminals, which obey control
characters: such texts get an apostrophe in front, what does not print is spelt out, numbers are written in full (``repr``, so that they read back the
same). JSON and Parquet carry text as it is. JSON has no word for what floats hold besides numbers: nan and
missing are null, infinities the texts "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import sys
from math import isinf, isnan
from typing import TYPE_CHECKING, Any

from swath.errors import UsageError
from swath.views.ansi import size_of, speaks
from swath.views.tables import Column, fitting
from swath.views.text import DECIMAL, NUMERIC, TEXT, plain, table, value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    import pandas as pd

    from swath.analysis.comparing import Comparison
    from swath.analysis.failing import Failures

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula, also as the wide characters of East Asia."""

CHEATS = ("\t", "\r")
"""What some drop before they look for one."""

BACKSTAGE = ("attempts", "worker", "started")  # columns that a table leaves to the other formats
WIDE, NARROW = 100, 48  # columns of the text of a failure, and of others
SHOWN = 60  # rows that a table has at most on a terminal
FEWEST = 10  # rows of a long table on a terminal, however low that is


def write(
    frame: pd.DataFrame, form: str, stream: TextIO, keep: Sequence[str] = (), limit: int = NARROW
) -> None:
    """Write rows in one of the formats ``table``, ``csv``, ``json``, ``parquet``.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        As `Results.frame` gives it, the index being the point or a plain count.
    form : str
        The format.
    stream : text file
        Where to; Parquet goes to the bytes below it.
    keep : sequence of str
        Columns that matter most, the first of them above all: a table has them even where others have no room.
    limit : int
        Characters of a cell of a table at most.

    Raises
    ------
    UsageError
        If Parquet would go to a terminal.
    """
    if form == "parquet":
        _parquet(frame, stream)
    elif form == "csv":
        _harmless(frame).to_csv(stream, index=bool(frame.index.name))
    elif form == "json":
        stream.writelines(_records(frame))
    else:
        _table(frame, stream, keep, limit)


def write_failures(found: Failures, form: str, stream: TextIO) -> None:
    """Write rows of points that failed, and how often points failed; CSV and Parquet have room for the rows only.

    Parameters
    ----------
    found : Failures
        The rows, with their rates.
    form, stream : str, text file
        As for `write`.
    """
    if form == "json":
        rows, rates = ("".join(_records(frame)).rstrip() for frame in (found, found.rates))
        stream.write(f'{{"failures": {rows},\n"rates": {rates}}}\n')
    elif form == "table":
        if len(found):
            names = list(map(str, found.columns))
            _table(found, stream, ("failure", *names[: names.index("status")]), limit=WIDE)
        telling = _telling(found.rates)
        if len(telling):
            stream.write("\n")
            _table(telling, stream)
    else:
        write(found, form, stream)


def write_comparison(found: Comparison, form: str, stream: TextIO) -> None:
    """Write what two runs have in common.

    Parameters
    ----------
    found : Comparison
        What there is to say.
    form : str
        ``table``: in words, with the points that have changed; or ``json``.
    stream : text file
        Where to.
    """
    if form == "json":
        about = {
            "both": len(found.frame),
            "only_here": len(found.only_here),
            "only_there": len(found.only_there),
            "metrics_here": found.metrics_here,
            "metrics_there": found.metrics_there,
            "changes": {
                name: {"points": count, "largest": _jsonable(most)}
                for name, (count, most) in found.changes.items()
            },
        }
        rows = "".join(_records(found.changed)).rstrip()
        stream.write(f'{json.dumps(about, indent=2)[:-2]},\n  "changed": {rows}\n}}\n')
        return
    stream.write(f"{plain(found.summary, lines=True)}\n")
    if len(found.changed):
        stream.write("\n")
        _table(found.changed, stream)


def _telling(rates: pd.DataFrame) -> pd.DataFrame:
    """Return the highest rates of failure, the highest first, in per cent."""
    found = rates[rates["failed"] > 0].sort_values(["rate", "failed"], ascending=False, kind="stable")
    shown = found.head(SHOWN // 3)
    return shown.assign(rate=[f"{100 * rate:.3g} %" for rate in shown["rate"]])


def _parquet(frame: pd.DataFrame, stream: TextIO) -> None:
    import pyarrow as pa  # noqa: PLC0415  # only this format needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    if stream.isatty():
        raise UsageError(
            "parquet is no text; send it to a file: swath results RUN --format parquet > results.parquet"
        )
    columns = _columns(frame)
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = pa.array(column, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types
            arrays[name] = pa.array([_text(item) for item in column.tolist()], pa.string())
    pq.write_table(pa.table(arrays), stream.buffer)


def _columns(frame: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the columns by name, a named index being the first."""
    named = frame.reset_index() if frame.index.name else frame
    return {str(name): named.iloc[:, i] for i, name in enumerate(named.columns)}


def _text(item: Any) -> str | None:
    return None if _missing(item) else item if isinstance(item, str) else json.dumps(_jsonable(item))


def _missing(item: Any) -> bool:
    return (
        item is None
        or (isinstance(item, float) and isnan(item))
        or type(item).__name__ in ("NAType", "NaTType")
    )


def _harmless(frame: pd.DataFrame) -> pd.DataFrame:
    made = frame.copy(deep=False)
    for i, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufcmM":
            made.isetitem(i, frame.iloc[:, i].astype(object).map(_cell).array)
    made.columns = [_cell(str(name)) for name in frame.columns]
    return made


def _cell(item: Any) -> Any:
    if isinstance(item, str):
        shown = plain(item, lines=True)
        return f"'{shown}" if shown.lstrip().startswith(FORMULA) or item.startswith(CHEATS) else shown
    if _missing(item):
        return None
    return item if isinstance(item, bool | int | float) else _text(item)


def _records(frame: pd.DataFrame) -> Iterator[str]:
    columns = _columns(frame)
    rows = zip(*(map(_jsonable, column.tolist()) for column in columns.values()), strict=True)
    between = "[\n"
    for row in rows:
        yield between + json.dumps(dict(zip(columns, row, strict=True)))
        between = ",\n"
    yield "\n]\n" if len(frame) else "[]\n"


def _jsonable(item: Any) -> Any:
    if _missing(item):
        return None
    if isinstance(item, float) and isinf(item):
        return "Infinity" if item > 0 else "-Infinity"
    if isinstance(item, str | int | float):
        return item
    if isinstance(item, dict):
        return {str(key): _jsonable(part) for key, part in item.items()}
    if isinstance(item, list | tuple):
        return [_jsonable(part) for part in item]
    return _jsonable(item.tolist()) if hasattr(item, "tolist") else str(item)  # numpy's, or a time


def _table(frame: pd.DataFrame, stream: TextIO, keep: Sequence[str] = (), limit: int = NARROW) -> None:
    """Write a table: all of it, or on a terminal what fits, with a word about the rest."""
    left_out = {name for name in BACKSTAGE if name in frame}
    if "failure" in frame and frame["failure"].isna().all():
        left_out.add("failure")
    elif "failure" in frame:  # its first line says what, the others say where
        frame = frame.assign(failure=frame["failure"].str.partition("\n")[0])
    frame = frame.drop(columns=sorted(left_out))
    if not stream.isatty():
        columns = [_column(name, column) for name, column in _columns(frame).items()]
        rows = zip(*(column.cells for column in columns), strict=True)
        sides = "".join(column.side for column in columns)
        stream.writelines(
            f"{line}\n" for line in table([column.name for column in columns], list(rows), sides, limit=limit)
        )
        return
    _fitted(frame, stream, keep, limit)


def _fitted(frame: pd.DataFrame, stream: TextIO, keep: Sequence[str], limit: int) -> None:
    """Write what fits on a terminal; it says to standard error what that was not."""
    width, height = size_of(stream)
    shown = _ends(frame, min(SHOWN, max(FEWEST, height - 6)))
    columns = [
        _column(name, column, _rank(name, column, keep, first=i == 0))
        for i, (name, column) in enumerate(_columns(shown).items())
    ]
    more = "…" if speaks(stream, "…") else "~"
    laid = fitting(columns, width - 1, limit=limit, hidden=len(frame) - len(shown), more=more)
    stream.writelines(f"{line}\n" for line in laid.lines)
    stream.flush()
    if laid.left_out:
        sys.stderr.write(f"Without {', '.join(map(plain, laid.left_out))}, for which there is no room.\n")
    if laid.left_out or len(shown) < len(frame):
        sys.stderr.write("All of it: the same command with | less -S, or with --format csv\n")


def _rank(name: str, column: pd.Series[Any], keep: Sequence[str], *, first: bool) -> int:
    """Say how little a column matters: what is the same in every row goes first."""
    if first:
        return 0
    if len({_brief(item) for item in column.tolist()}) < 2 and len(column) > 1:
        return 5
    if name in keep or name == "status":
        return min(1, keep.index(name)) if name in keep else 1
    return {"seconds": 4, "failure": 2}.get(name, 3)


def _column(name: str, column: pd.Series[Any], rank: int = 0) -> Column:
    kind = column.dtype.kind
    items = [_brief(item) if name != "seconds" else _short(item) for item in column.tolist()]
    return Column(name, items, DECIMAL if kind == "f" else NUMERIC if kind in "iub" else TEXT, rank)


def _short(seconds: Any) -> str:
    return f"{seconds:.3g}" if isinstance(seconds, float) and not isnan(seconds) else _brief(seconds)


def _ends(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return the first and the last rows of a long frame."""
    import pandas as pd  # noqa: PLC0415  # it is loaded already, whoever made the frame

    if len(frame) <= rows:
        return frame
    return pd.concat([frame.head((rows + 1) // 2), frame.tail(rows // 2)])


def _brief(item: Any) -> str:
    if _missing(item):
        return ""
    item = _jsonable(item)
    if isinstance(item, list):
        return f"[{', '.join(value(part) for part in item[:4])}{', ...' if len(item) > 4 else ''}]"
    return value(item)
