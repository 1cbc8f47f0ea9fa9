# ruff: noqa: PLC0415 - a command imports what it needs when it runs; see swath.cli
"""What commands have in common: how words become values, and where text goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from swath.definition import Definition

RETRIABLE = ("error", "crash", "timeout", "oom", "invalid")
"""What ``--retry`` runs again where nothing else is said."""

CHOSEN = (*RETRIABLE, "pruned")
"""What it may be asked for."""

OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of run folders.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


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
            while rest and set(rest[0].split(",")) <= set(CHOSEN):
                statuses.append(rest.pop(0))
            word = f"--retry={','.join(statuses or RETRIABLE)}"
        done.append(word)
    return done


def statuses(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split a list of statuses, and refuse what is none."""
    chosen = tuple(value.split(",")) if value else ()
    for status in chosen:
        if status not in CHOSEN:
            raise click.BadParameter(f"{status!r} is not one of {', '.join(CHOSEN)}")
    return chosen


def load(file: Path, overrides: tuple[str, ...], point_timeout: float | None = None) -> Definition:
    """Read a definition as the command line changes it."""
    from dataclasses import replace

    from swath.definition.loading import load

    definition = load(file, overrides)
    if point_timeout is None:
        return definition
    return replace(definition, point=replace(definition.point, timeout=point_timeout))


def say(text: str) -> None:
    """Tell people something, on standard error."""
    from swath.views.text import plain

    click.echo(plain(text, lines=True), err=True)


def show_text(text: str) -> None:
    """Give what was asked for, on standard output."""
    if text:
        click.echo(text)
