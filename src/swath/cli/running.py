# ruff: noqa: PLC0415 - a command imports what it needs when it runs; see swath.cli
"""Commands that make, check, run and stop sweeps."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swath.cli.arguments import JSON, OUT, RETRIABLE, Run, Seconds, load, say, show_text, statuses
from swath.errors import UsageError

if TYPE_CHECKING:
    from typing import TextIO

    from swath.definition import Definition
    from swath.views.terminal import Mode


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a small working example into FOLDER (default: here)."""
    from swath.commands import starter
    from swath.definition.schema import schema

    files = starter.write(folder, schema())
    say(f"Written: {', '.join(map(str, files))}\nNow:  swath run {files[0]}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[NAME=VALUES]...")
@OUT
@JSON
def check(file: Path, overrides: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Count the points of FILE, show its axes and the first and last points; run nothing."""
    from swath.commands.preview import preview
    from swath.views import listings

    report = preview(load(file, overrides), out)
    show_text(listings.as_json(report) if as_json else listings.preview(report))


@click.command(cls=Run)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[NAME=VALUES]...")
@click.option(
    "-n", "--workers", type=click.IntRange(min=1), help="Workers on this machine.  [default: one a core]"
)
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use instead of this machine.")
@click.option("--insecure", is_flag=True, help="Allow a scheduler off this machine without TLS.")
@click.option("--engine", default="dask", show_default=True, help="What carries the work: dask or inline.")
@click.option("--limit", type=click.IntRange(min=1), metavar="K", help="Run at most K more points.")
@click.option("--point", type=click.IntRange(min=0), metavar="N", help="Run point N here, keeping nothing.")
@click.option("--point-timeout", type=Seconds(), help="What one point may take, as 60s.")
@click.option("--time-limit", type=Seconds(), help="Stop after so long, as 2h.")
@click.option("--wait", type=Seconds(), help="Give up after so long without a worker, as 5m.")
@click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Stop after N failed points.")
@click.option(
    "--retry",
    callback=statuses,
    metavar="[STATUS]...",
    help=f"Run failed points again, all or those that ended as {', '.join(RETRIABLE)}; or pruned ones.",
)
@click.option("--accept-code-change", is_flag=True, help="Keep the rows that older code made.")
@click.option("--fresh", is_flag=True, help="Run everything; the old run is kept as NAME.1.")
@OUT
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "log", "json", "none"]),
    default="auto",
    show_default=True,
    help="How to show progress: a live block on a terminal and lines elsewhere; block; lines; snapshots as JSON; not.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON at the end.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Show what Dask and swath log.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    file: Path,
    overrides: tuple[str, ...],
    *,
    point: int | None,
    point_timeout: float | None,
    progress: Mode,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Run the sweep in FILE on every core, or go on where it stopped.

    NAME=VALUES replaces the values of a parameter: gamma=0.1,0.2 or 'beta={linspace: [0, 1, 5]}'.
    """
    from swath.preflight import check_threads

    _log(verbose)
    check_threads(options["workers"] or 1)
    definition = load(file, overrides, point_timeout)
    if point is not None:
        ctx.exit(_single(definition, point, options["out"], as_json=as_json))
    gc.disable()  # until the sweep begins: what a start imports is no garbage, and looking for some takes 40 ms
    ctx.call_on_close(gc.enable)
    from swath.commands import foreground

    if options["scheduler"] and options["workers"]:
        raise UsageError(
            "--workers starts workers on this machine, --scheduler uses those of another: give one of them"
        )
    stream: TextIO = sys.stderr
    if quiet:
        stream = ctx.with_resource(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - the context closes it
    ctx.exit(
        foreground.run(definition, options, progress, stream, ctx.meta["swath.arguments"], as_json=as_json)
    )


def _single(definition: Definition, point: int, out: Path, *, as_json: bool) -> int:
    from swath.commands.single import evaluate
    from swath.views import listings

    shown = evaluate(definition, point, out / definition.name)
    show_text(listings.as_json(shown) if as_json else listings.show(shown))
    return 0 if shown["status"] == "ok" else 3


def _log(verbose: bool) -> None:
    if verbose:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--now", is_flag=True, help="Do not wait for the points that are running.")
@OUT
def stop(name: str, now: bool, out: Path) -> None:
    """Stop RUN, wherever it was started; it can be resumed."""
    from swath.commands import runs

    runs.stop(runs.find(name, out), now=now, say=say)


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--points", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Relative difference up to which floats are equal.",
)
@OUT
@JSON
@click.pass_context
def verify(ctx: click.Context, name: str, out: Path, points: int, rtol: float, as_json: bool) -> None:
    """Run random finished points of RUN again, keeping nothing, and compare with what is saved.

    Exit code 3 if any gave something else.
    """
    from swath.commands import runs
    from swath.commands import verify as verifying
    from swath.views import listings

    found = verifying.compare(runs.find(name, out), points, rtol)
    show_text(listings.as_json(found) if as_json else listings.verified(found))
    ctx.exit(3 if found["changed"] else 0)


@click.command()
@click.argument("name", metavar="[RUN]", required=False)
@click.option(
    "--repair", is_flag=True, help="Put aside what is damaged in RUN, so that its points run again."
)
@OUT
@JSON
@click.pass_context
def doctor(ctx: click.Context, name: str | None, out: Path, as_json: bool, repair: bool) -> None:
    """Examine this machine, or with RUN a run folder."""
    from swath.commands import doctor as surgery
    from swath.commands import runs
    from swath.views import listings

    if repair and not name:
        raise UsageError("--repair needs a run: swath doctor RUN --repair")
    findings = (
        surgery.examine_run(runs.find(name, out), mend=repair) if name else surgery.examine_machine(out)
    )
    show_text(listings.as_json(findings) if as_json else listings.findings(findings))
    ctx.exit(0 if all(finding["ok"] for finding in findings) else 2)


@click.command()
def schema() -> None:
    """Print the JSON schema of a sweep's definition."""
    from swath.definition.schema import schema as made
    from swath.views import listings

    show_text(listings.as_json(made()))
