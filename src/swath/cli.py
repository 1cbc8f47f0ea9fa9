# ruff: noqa: PLC0415 - a command imports what it needs when it runs; see below
"""The command line: arguments to calls, no logic.

Standard output carries data, standard error everything else. Nothing but click is imported until a command
runs, so that ``--help`` and completion answer at once. `sweep` is also an entry point of Dask's own
command line: ``dask sweep run FILE`` is ``swath run FILE``.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swath import __version__
from swath.errors import SwathError, UsageError

if TYPE_CHECKING:
    from typing import TextIO

    from swath.definition import Definition
    from swath.views.terminal import Mode

OUR_FAULT = 70
INTERRUPTED = 130
RETRIABLE = ("error", "crash", "timeout", "oom", "invalid")

OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of run folders.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Commands(click.Group):
    """A group whose commands end in the exit codes of swath, whoever calls them."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors become a message and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe is noticed here rather than at exit
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            said = io.StringIO()
            error.show(said)  # which quotes what was typed, or what the shell has found
            _say(said.getvalue().rstrip())
            ctx.exit(error.exit_code)
        except SwathError as error:
            _say("\n".join([str(error), *getattr(error, "__notes__", ())]))
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            _say("Interrupted.")
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the flush at exit complains
            ctx.exit(0)
        except Exception as error:  # noqa: BLE001  # the last line of defence: whatever it is, it is our fault
            _report(error)
            ctx.exit(OUR_FAULT)
        return result


def _say(text: str) -> None:
    from swath.views.text import plain

    click.echo(plain(text, lines=True), err=True)


def _report(error: Exception) -> None:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    trail = "".join(f"\n  at {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames)
    _say(
        f"swath failed by a mistake of its own: {type(error).__name__}: {error}{trail}\n"
        "Rows saved so far are safe. Please report this with the lines above; SWATH_TRACEBACK=1 shows all of it."
    )
    if os.environ.get("SWATH_TRACEBACK"):
        _say("".join(traceback.format_exception(error)))


class Seconds(click.ParamType[float]):
    """A duration as a definition writes it: ``60s``, ``2h``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        from swath.definition.checks import Wrong, duration

        try:
            return duration(value)
        except Wrong as wrong:
            self.fail(f"{wrong.text}; {wrong.hint}", param, ctx)


class Run(click.Command):
    """``swath run``, whose ``--retry`` takes any number of statuses, and none for all of them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gather the statuses behind ``--retry`` into one value, and remember what was typed."""
        gathered = _gathered(args)
        ctx.meta["swath.arguments"] = tuple(gathered)  # click empties the list as it reads
        return super().parse_args(ctx, gathered)


def _gathered(args: list[str]) -> list[str]:
    done: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*done, word, *rest]
        if word == "--retry":
            statuses = []
            while rest and set(rest[0].split(",")) <= set(RETRIABLE):
                statuses.append(rest.pop(0))
            word = f"--retry={','.join(statuses or RETRIABLE)}"
        done.append(word)
    return done


def _statuses(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    chosen = tuple(value.split(",")) if value else ()
    for status in chosen:
        if status not in RETRIABLE:
            raise click.BadParameter(f"{status!r} is not one of {', '.join(RETRIABLE)}")
    return chosen


@click.group(name="sweep", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="swath")
def sweep() -> None:
    """Run parameter sweeps that lose nothing.

    \b
    swath init              write a small example
    swath check FILE        count its points, find its mistakes
    swath run FILE          run it, or go on where it stopped
    swath results RUN       get a table
    """  # noqa: D301 - click wants the character itself


@sweep.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a small working example into FOLDER (default: here)."""
    from swath.commands import starter
    from swath.definition.schema import schema

    files = starter.write(folder, schema())
    _say(f"Written: {', '.join(map(str, files))}\nNow:  swath run {files[0]}")


@sweep.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[NAME=VALUES]...")
@OUT
@JSON
def check(file: Path, overrides: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Count the points of FILE, show its axes and the first and last points; run nothing."""
    from swath.commands.preview import preview
    from swath.views import listings

    report = preview(_load(file, overrides), out)
    _print(listings.as_json(report) if as_json else listings.preview(report))


@sweep.command(cls=Run)
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
    callback=_statuses,
    metavar="[STATUS]...",
    help=f"Run failed points again, all or those that ended as {', '.join(RETRIABLE)}.",
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
    definition = _load(file, overrides, point_timeout)
    if point is not None:
        ctx.exit(_single(definition, point, as_json=as_json))
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


def _single(definition: Definition, point: int, *, as_json: bool) -> int:
    from swath.commands.single import evaluate
    from swath.views import listings

    shown = evaluate(definition, point)
    _print(listings.as_json(shown) if as_json else listings.show(shown))
    return 0 if shown["status"] == "ok" else 3


@sweep.command()
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
    _print(listings.as_json(looked) if as_json else listings.status(looked))


@sweep.command(name="ls")
@OUT
@JSON
def list_runs(out: Path, as_json: bool) -> None:
    """List the runs in a folder."""
    from swath.commands import runs
    from swath.views import listings

    found = runs.listing(out)
    _print(listings.as_json(found) if as_json else listings.runs(found))


@sweep.command()
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

    found = lookup.show(runs.find(name, out), point)
    _print(listings.as_json(found) if as_json else listings.show(found))


@sweep.command()
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
@click.option("--by", metavar="METRIC", help="What --best goes by.  [default: what the definition optimises]")
@click.option("--mean-over", metavar="NAME[,NAME]", help="Average over parameters, as seed.")
@click.option(
    "--pivot", metavar="ROWS,COLUMNS", help="A table of means over two parameters; --by says of what."
)
@click.option("--all", "every", is_flag=True, help="Also points that the definition no longer has.")
@click.option(
    "--failures", is_flag=True, help="The points that failed, and how often, by value and by worker."
)
@click.option(
    "--plot",
    is_flag=False,
    flag_value="auto",
    metavar="[NAME[,NAME]]",
    help="A picture of a metric over one or two parameters, or 'history'; default: whatever says most.",
)
@OUT
def results(name: str, out: Path, form: str, failures: bool, plot: str | None, **choice: Any) -> None:
    """Print the rows of RUN, or draw them."""
    from swath.commands import lookup, runs
    from swath.views import export

    folder = runs.find(name, out)
    if plot is not None:
        from swath.commands.picture import draw

        draw(folder, plot, sys.stdout, form=form, failures=failures, **choice)
    elif failures:
        export.write_failures(lookup.failures(folder, **choice), form, sys.stdout)
    else:
        vital = lookup.vital(folder, choice["by"])
        export.write(lookup.rows(folder, **choice), form, sys.stdout, vital)


@sweep.command()
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
        _say(f"Written: {written}")


@sweep.command()
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


@sweep.command()
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
    _print(listings.as_json(found) if as_json else listings.verified(found))
    ctx.exit(3 if found["changed"] else 0)


@sweep.command()
@click.argument("name", metavar="RUN")
@click.option("--now", is_flag=True, help="Do not wait for the points that are running.")
@OUT
def stop(name: str, now: bool, out: Path) -> None:
    """Stop RUN, wherever it was started; it can be resumed."""
    from swath.commands import runs

    runs.stop(runs.find(name, out), now=now, say=_say)


@sweep.command()
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

    ctx.exit(pages.serve(name, out, port=port, hosts=hosts, browse=browser, say=_say))


@sweep.command()
def schema() -> None:
    """Print the JSON schema of a sweep's definition."""
    from swath.definition.schema import schema as made
    from swath.views import listings

    _print(listings.as_json(made()))


@sweep.command()
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
    _print(listings.as_json(findings) if as_json else listings.findings(findings))
    ctx.exit(0 if all(finding["ok"] for finding in findings) else 2)


def _load(file: Path, overrides: tuple[str, ...], point_timeout: float | None = None) -> Definition:
    from dataclasses import replace

    from swath.definition.loading import load

    definition = load(file, overrides)
    if point_timeout is None:
        return definition
    return replace(definition, point=replace(definition.point, timeout=point_timeout))


def _print(text: str) -> None:
    if text:
        click.echo(text)


def _log(verbose: bool) -> None:
    if verbose:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)


def main() -> None:
    """Run ``swath``."""
    _fill_standard_descriptors()
    sweep.main(prog_name="swath")


def _fill_standard_descriptors() -> None:
    """Open what the caller had closed (``>&-``), or a file of a run would get its number and our words."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")  # what cannot be written is spelt out
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # until the process ends
