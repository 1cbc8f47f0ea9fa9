"""Pages of text about what is on disk: a checked definition, runs, one run, one point, the doctor's findings.

Each takes plain mappings, the same that ``--json`` prints, and returns text without a final line break.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from swath.definition.composer import resolve
from swath.snapshot import GOOD, Snapshot
from swath.transcript import mapping_of
from swath.views.phrases import (
    best,
    complaint,
    effort,
    idle,
    machines,
    pace,
    pruned,
    sampling,
    setting,
    straggler,
)
from swath.views.text import NUMERIC, TEXT, count, duration, listed, plain, plural, size, table, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.commands.doctor import Finding
    from swath.commands.lookup import Shown
    from swath.commands.preview import Preview
    from swath.commands.runs import Listed, Looked
    from swath.commands.verify import Verified
    from swath.outline import Sample
    from swath.store.decisions import Decision
    from swath.store.logbook import Line


BRAILLE = "\u28ff\u2502\u2514\u2500\u2022\u2501"
"""What sketches are made of."""


def as_json(content: Any) -> str:
    """Write anything JSON-able, indented; a snapshot becomes a mapping, what JSON has no word for becomes text."""
    return json.dumps(content, indent=2, default=_data)


def _data(item: Any) -> Any:
    return mapping_of(item) if isinstance(item, Snapshot) else str(item)


def _facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Lay out pairs of a word and what there is to say, leaving out empty ones; whatever it is, it prints."""
    said = [(plain(word), plain(text)) for word, text in facts if text]
    room = max((len(word) for word, _ in said), default=0)
    return [f"{word:<{room}}  {text}".rstrip() for word, text in said]


def preview(report: Preview) -> str:
    """Show a definition: how many points, the axes with types, the first and last points, what would be written."""
    about = "" if report["exact"] else "about "
    facts = [
        ("name", plain(report["name"])),
        ("objective", plain(report["objective"])),
        ("points", f"{about}{_least(report)}{count(report['points'])}{_product(report)}"),
        ("until", plain(report["until"])),
        ("sample", report["sample"]["text"] if report["sample"] else ""),
        ("search", plain(report["search"]["text"] if report["search"] else "")),
        ("stop", plain(report["stop"])),
        ("where", plain(report["where"])),
        *((plain(metric), plain(direction)) for direction, metric in report["optimise"].items()),
        ("results", plain(report["folder"]) + _there(report)),
    ]
    return "\n\n".join(
        "\n".join(part) for part in (_facts(facts), _axes(report["axes"]), _points(report)) if part
    )


def _least(report: Preview) -> str:
    return f"{count(report['least'])} to " if report["least"] < report["points"] else ""


def _product(report: Preview) -> str:
    if not report["product"]:
        return ""
    product = " + ".join(" x ".join(factors) for factors in _factors(report["product"], report["sample"]))
    single = len(report["product"]) == 1 and len(report["product"][0]) < 2
    if report["candidates"] == report["points"]:
        return "" if single else f" = {product}"
    return f" of {count(report['candidates'])}" + ("" if single else f" = {product}")


def _factors(product: Sequence[Sequence[int]], sample: Sample | None) -> list[list[str]]:
    """Write the factors of each block, and which of them are draws."""
    places = sample["places"] if sample else [-1] * len(product)
    return [
        [plural(n, "draw") if i == place else count(n) for i, n in enumerate(block)]
        for block, place in zip(product, places, strict=True)
    ]


def _there(report: Preview) -> str:
    rows = report["rows"]
    return f" (there already, with {count(rows)} rows)" if rows else ""


def _axes(axes: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            ", ".join(axis["names"]),
            count(axis["values"]) if axis["values"] else "any",
            ", ".join(axis["types"]),
            _range(axis),
            axis["when"],
        ]
        for axis in axes
    ]
    heads = ["parameter", "values", "type", "from - to", "when"]
    keep = heads if any(row[-1] for row in rows) else heads[:-1]
    return table(keep, [row[: len(keep)] for row in rows], TEXT + NUMERIC)


def _range(axis: Mapping[str, Any]) -> str:
    if axis["drawn"]:
        return plain(axis["drawn"])
    first, last = (", ".join(map(_said, end)) for end in (axis["first"], axis["last"]))
    return first if axis["values"] == 1 else f"{first} - {last}"


def _said(content: Any) -> str:
    """Write a value so that text, null and the empty text can be told apart."""
    if content is None:
        return "null"
    if isinstance(content, str):
        return plain(content) if _is_unmistakable(content) else json.dumps(content)
    return json.dumps(content) if isinstance(content, list | dict) else value(content)


def _is_unmistakable(text: str) -> bool:
    """Tell whether a text needs no quotes to be seen as one: `1, 2` and `range(3)` may have been meant otherwise."""
    if not text or text.strip() != text or set(text) & set(",()[]{}"):
        return False
    try:
        return isinstance(resolve(text), str)
    except ValueError:
        return False


def _points(report: Preview) -> list[str]:
    ends = [*report["first"], *report["last"]]
    if not ends:
        return [] if report["points"] else ["None of the candidates that were looked at satisfies where."]
    names = list(dict.fromkeys(name for point in ends for name in point["values"]))
    cells = [
        [
            str(point["point"]),
            *(_said(point["values"][name]) if name in point["values"] else "" for name in names),
        ]
        for point in ends
    ]
    if report["last"] and report["points"] > len(ends):
        cells.insert(len(report["first"]), ["..."] * len(cells[0]))
    return table(["point", *names], cells, NUMERIC * (len(names) + 1))


def runs(found: Sequence[Listed]) -> str:
    """Show runs as a table."""
    if not found:
        return ""
    early = any(run["pruned"] for run in found)
    columns = [
        ("run", TEXT, [run["name"] for run in found]),
        ("state", TEXT, [run["state"] for run in found]),
        ("rows", NUMERIC, [count(run["rows"]) for run in found]),
        ("stopped early", NUMERIC, [count(run["pruned"]) for run in found] if early else []),
        ("failed", NUMERIC, [count(run["failed"]) for run in found]),
        ("size", NUMERIC, [size(run["bytes"]) for run in found]),
        ("updated (UTC)", TEXT, [_when(run["updated"]) for run in found]),
        ("", TEXT, [_remark(run) for run in found]),
    ]
    heads, sides, cells = zip(*(column for column in columns if any(column[2])), strict=True)
    return "\n".join(table(heads, list(zip(*cells, strict=True)), "".join(sides)))


def _remark(run: Listed) -> str:
    """Say what is wrong with a run, or how one in progress goes."""
    if run["note"] or run["live"] is None:
        return run["note"]
    return ", ".join(pace(run["live"]))


def _when(iso: str) -> str:
    return iso[:19].replace("T", " ")


def status(run: Looked) -> str:
    """Show how one run goes."""
    failed = {status: n for status, n in run["statuses"].items() if n and status not in GOOD}
    failures = f", {count(sum(failed.values()))} failed ({listed(failed.items())})" if failed else ""
    stopped = f", {early}" if (early := pruned(run["statuses"])) else ""
    excluded = f", {count(run['excluded'])} excluded" if run["excluded"] else ""
    share = f" ({100 * run['done'] // run['total']} %)" if run["total"] else ""
    facts = [
        ("run", plain(run["name"])),
        ("folder", plain(run["folder"])),
        ("objective", plain(run["objective"])),
        ("state", run["state"] + (f", written by {plain(run['writer'])}" if run["writer"] else "")),
        ("done", f"{count(run['done'])} of {count(run['total'])}{share}{stopped}{failures}{excluded}"),
        *_live(run),
        ("updated", f"{_when(run['updated'])} UTC" if run["updated"] else ""),
        ("sessions", count(run["sessions"])),
        ("on disk", f"{_held(run)} in {count(run['segments'])} segments, {size(run['bytes'])}"),
        *(("damage", plain(damage)) for damage in run["damage"]),
    ]
    return "\n".join(_facts(facts))


def _held(run: Looked) -> str:
    steps = f" and {count(run['steps'])} steps" if run["steps"] else ""
    return f"{count(run['rows'])} rows{steps}"


def _live(run: Looked) -> list[tuple[str, str]]:
    """Say what a run in progress tells of itself, or that it tells nothing."""
    live = run["live"]
    if live is None:
        silent = run["silent"] is not None and run["writer"]
        return (
            [("silent", f"for {duration(run['silent'] or 0.0)}: its process is suspended, or cannot write")]
            if silent
            else []
        )
    return [
        ("pace", ", ".join([*pace(live), *effort(live)])),
        ("best", ", ".join([best(live), *setting(live.parameters)]).rstrip(", ")),
        ("search", sampling(live)),
        ("load", ", ".join(machines(live))),
        ("slow", straggler(live)),
        ("unused", idle(live)),
        *(
            ("failures" if i == 0 else "", " ".join(complaint(found)))
            for i, found in enumerate(live.complaints[:3])
        ),
        ("page", plain(live.dashboard)),
    ]


def show(point: Shown, *, unicode: bool = False) -> str:
    """Show one point: its parameters, what became of it, what it has recorded and printed, and how to run it again.

    Parameters
    ----------
    point : Shown
        The point.
    unicode : bool
        Whether a sketch may have more than ASCII.
    """
    facts = [
        ("point", str(point["point"])),
        ("content id", point["content_id"]),
        ("status", point["status"] or "not run yet"),
        ("seconds", "" if point["seconds"] is None else f"{point['seconds']:.3g}"),
        ("attempts", str(point["attempts"] or "")),
        ("worker", plain(point["worker"] or "")),
        ("started", f"{_when(point['started'])} UTC" if point["started"] else ""),
        ("run again", plain(point["again"])),
    ]
    parts = [
        _facts(facts),
        _values("parameters", point["parameters"]),
        _values("derived", point["derived"]),
        _values("metrics", point["metrics"]),
    ]
    if point["failure"]:
        parts.append(["failure", *_indented(point["failure"])])
    parts.append(_curve(point["curve"], unicode=unicode))
    parts.append(_decisions(point["decisions"]))
    parts += [[_head(log), *_indented(log["text"])] for log in point["logs"]]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _curve(recorded: Mapping[str, Sequence[Any]], *, unicode: bool) -> list[str]:
    """Sketch the first metric that a point recorded, from step to step."""
    steps = recorded.get("step", ())
    metric = next((name for name in recorded if name not in ("step", "seconds")), "")
    if not metric:
        return []
    from swath.views.sketch.learning import learning  # noqa: PLC0415  numpy; few points have steps

    return [
        "steps",
        *(f"  {line}".rstrip() for line in learning(metric, steps, recorded[metric], unicode=unicode)),
    ]


def _decisions(made: Sequence[Decision]) -> list[str]:
    """Say why a point ended early, and why it went on after all."""
    words = {"prune": "stopped early", "promote": "went on"}
    said = [f"  {_when(each['time'])} UTC  {words[each['event']]}: {plain(each['reason'])}" for each in made]
    return ["decisions", *said] if said else []


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in plain(text, lines=True).splitlines()]


def _head(log: Line) -> str:
    """Say where a log comes from, and whether it is known to be of this point."""
    first, last = log["positions"]
    others = f", by this point or another of {count(last - first + 1)}" if last > first else ""
    return plain(
        f"printed{others} (attempt {log['attempt']}, {log['worker']}, {plural(log['size'], 'byte')})"
    )


def _values(title: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    return [
        title,
        *(f"  {line}" for line in _facts([(plain(name), _full(item)) for name, item in values.items()])),
    ]


def _full(item: Any) -> str:
    return repr(item) if isinstance(item, float) else _said(item)


def verified(found: Verified) -> str:
    """Show what running points again has shown: the counts, then every metric that changed."""
    facts = [
        ("run", plain(found["name"])),
        ("run again", f"{count(found['points'])} of {plural(found['of'], 'point')} that ended ok"),
        (
            "code",
            "not that which made all of these rows"
            if found["code_changed"]
            else "that which made these rows",
        ),
        ("equal", count(found["equal"]) + (f", up to {found['rtol']:g} of a float" if found["rtol"] else "")),
        ("changed", count(len(found["changed"]))),
    ]
    rows = [
        [str(change["point"]), metric, _full(values["old"]), _full(values["new"]), _apart(**values)]
        for change in found["changed"]
        for metric, values in change["metrics"].items()
    ]
    rows += [
        [str(change["point"]), "", "", "", change["failure"]]
        for change in found["changed"]
        if change["failure"]
    ]
    heads = ["point", "metric", "saved", "now", ""]
    return "\n\n".join("\n".join(part) for part in (_facts(facts), rows and table(heads, rows, ">")) if part)


def _apart(old: Any, new: Any) -> str:
    """Say by which part of the saved value a number has changed."""
    if not all(type(item) in (int, float) for item in (old, new)) or not old or not isfinite(old - new):
        return ""
    return f"{abs(new / old - 1):.2g} of it"


def findings(found: Sequence[Finding]) -> str:
    """Show what the doctor found, a line each, with a way out below what is wrong."""
    lines = []
    room = max(len(finding["what"]) for finding in found)
    for finding in found:
        mark = "ok " if finding["ok"] else "BAD"
        lines.append(f"{mark} {plain(finding['what']):<{room}}  {plain(finding['found'])}".rstrip())
        if finding["hint"]:
            lines.append(f"    {'':<{room}}  {plain(finding['hint'])}")
    return "\n".join(lines)
