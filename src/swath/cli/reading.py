# ruff: noqa: PLC0415 - a command imports what it needs when it runs; see swath.cli
"""Commands that look at runs; they change nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from swath.cli.arguments import JSON, OUT, say, show_text

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("name", metavar="[RUN]", required=False)
@OUT
@click.option("--watch", is_flag=True, help="Follow it until it stops.")
@JSON
def status(name: str | None, out: Path, watch: bool, as_json: bool) -> None:
    """Show how RUN goes (default: the one written to last)."""
    from swath.commands import runs
    from swath.views import listings
    from swath.views.terminal import progress

    folder = runs.find(name, out) if name else runs.newest(out)
    if watch:
        runs.follow(folder, progress("auto", sys.stderr))
    looked = runs.look(folder)
    show_text(listings.as_json(looked) if as_json else listings.status(looked))


@click.command(name="ls")
@OUT
@JSON
def list_runs(out: Path, as_json: bool) -> None:
    """List the runs in a folder."""
    from swath.commands import runs
    from swath.views import listings

    found = runs.listing(out)
    if not found:
        say(f"no runs in {out}")
    show_text(listings.as_json(found) if as_json else listings.runs(found))


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("point", nargs=-1, required=True)
@OUT
@JSON
def show(name: str, point: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Show what became of one point.

    POINT is an index, the beginning of a content id, or parameters: beta=0.3 gamma=0.1
    """
    from swath.commands import lookup, runs
    from swath.views import listings
    from swath.views.ansi import speaks

    found = lookup.show(runs.find(name, out), point)
    if as_json:
        show_text(listings.as_json(found))
    else:
        show_text(listings.show(found, unicode=speaks(sys.stdout, listings.BRAILLE)))


@click.command()
@click.argument("name", metavar="RUN")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="How to print them. In csv, texts that a spreadsheet would take for a formula get an apostrophe in front; numbers stay numbers.",
)
@click.option(
    "--where", metavar="EXPR", help="Only rows for which this holds, as 'error < 0.1 and status == \"ok\"'."
)
@click.option("--best", type=click.IntRange(min=1), metavar="K", help="The K best points.")
@click.option(
    "--by",
    metavar="METRIC",
    help="What --best goes by; for --pareto several, as error,size:maximize.  [default: what the definition optimises]",
)
@click.option("--pareto", is_flag=True, help="The points that no other one beats in every goal at once.")
@click.option("--mean-over", metavar="NAME[,NAME]", help="Average over parameters, as seed.")
@click.option(
    "--pivot", metavar="ROWS,COLUMNS", help="A table of means over two parameters; --by says of what."
)
@click.option("--all", "every", is_flag=True, help="Also points that the definition no longer has.")
@click.option(
    "--failures", is_flag=True, help="The points that failed, and how often, by value and by worker."
)
@click.option("--stopped", is_flag=True, help="The points that were ended early, and why.")
@click.option(
    "--curves",
    is_flag=False,
    flag_value="all",
    metavar="[POINT]",
    help="What points recorded step by step, or one of them.",
)
@click.option(
    "--plot",
    is_flag=False,
    flag_value="auto",
    metavar="[NAME[,NAME]]",
    help="A picture of a metric over one or two parameters, or 'history', 'curves' or 'pareto'; default: whatever says most.",
)
@OUT
def results(
    name: str,
    out: Path,
    form: str,
    plot: str | None,
    failures: bool,
    stopped: bool,
    curves: str | None,
    **choice: Any,
) -> None:
    """Print the rows of RUN, or draw them."""
    from swath.commands import rows, runs
    from swath.views import export

    folder = runs.find(name, out)
    if plot is not None:
        from swath.commands.picture import draw

        others: dict[str, Any] = {"failures": failures, "stopped": stopped, "curves": curves}
        draw(folder, plot, sys.stdout, form=form, **others, **choice)
    elif curves is not None:
        found = rows.curves(folder, curves, failures=failures, stopped=stopped, **choice)
        export.write(found, form, sys.stdout)
    elif stopped:
        found = rows.stopped(folder, failures=failures, **choice)
        export.write(found, form, sys.stdout, ("reason", "step"), export.WIDE)
    elif failures:
        export.write_failures(rows.failures(folder, **choice), form, sys.stdout)
    else:
        vital = rows.vital(folder, choice["by"])
        export.write(rows.select(folder, **choice), form, sys.stdout, vital)


@click.command()
@click.argument("name", metavar="RUN")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write it; - is standard output.  [default: the sweep's name with .html, here]",
)
@click.option("--title", help="Heading of the page.  [default: the sweep's name]")
@OUT
def report(name: str, output: str | None, title: str | None, out: Path) -> None:
    """Write what RUN has given as one HTML file that opens without a network."""
    from swath.commands import report as reporting
    from swath.commands import runs

    written = reporting.write(runs.find(name, out), output, title or "")
    if written:
        say(f"Written: {written}")


@click.command()
@click.argument("here", metavar="RUN")
@click.argument("there", metavar="OTHER")
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Relative difference up to which numbers are equal.",
)
@OUT
@JSON
@click.pass_context
def compare(ctx: click.Context, here: str, there: str, rtol: float, out: Path, as_json: bool) -> None:
    """Say which points RUN and OTHER have in common, and which of these have changed.

    Exit code 3 if any has.
    """
    from swath.commands import runs
    from swath.results import Results
    from swath.views import export

    found = Results(runs.find(here, out)).compare(runs.find(there, out), rtol=rtol)
    export.write_comparison(found, "json" if as_json else "table", sys.stdout)
    ctx.exit(3 if len(found.changed) else 0)


@click.command()
@click.argument("name", metavar="[RUN]", required=False)
@OUT
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen.  [default: a free port]"
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Also answer a proxy of this name; repeatable.",
)
@click.option("--browser/--no-browser", default=True, help="Open a browser, if there is a display.")
@click.pass_context
def ui(
    ctx: click.Context, name: str | None, out: Path, port: int, hosts: tuple[str, ...], browser: bool
) -> None:
    """Serve pages about the runs in a folder, to your browser only; RUN is shown first.

    The address that is printed works once. Nothing can be changed on the pages.
    """
    from swath.commands import ui as pages

    ctx.exit(pages.serve(name, out, port=port, hosts=hosts, browse=browser, say=say))
