# ruff: noqa: PLC0415 - a command imports what it needs when it runs; see swath.cli
"""The group of all commands: every error becomes a message and an exit code."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from swath import __version__
from swath.cli.arguments import say
from swath.errors import SwathError

OUR_FAULT = 70
INTERRUPTED = 130


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
            say(said.getvalue().rstrip())
            ctx.exit(error.exit_code)
        except SwathError as error:
            say("\n".join([str(error), *getattr(error, "__notes__", ())]))
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            say("Interrupted.")
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the flush at exit complains
            ctx.exit(0)
        except Exception as error:  # noqa: BLE001  # the last line of defence: whatever it is, it is our fault
            _report(error)
            ctx.exit(OUR_FAULT)
        return result


def _report(error: Exception) -> None:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-3:]
    trail = "".join(f"\n  at {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames)
    say(
        f"swath failed by a mistake of its own: {type(error).__name__}: {error}{trail}\n"
        "Rows saved so far are safe. Please report this with the lines above; SWATH_TRACEBACK=1 shows all of it."
    )
    if os.environ.get("SWATH_TRACEBACK"):
        say("".join(traceback.format_exception(error)))


@click.group(name="sweep", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="swath")
def sweep() -> None:
    """Run parameter sweeps that lose nothing.

    \b
    swath init              write a small example
    swath check FILE        count its points, find its mistakes
    swath run FILE          run it, or go on where it stopped
    swath results RUN       get a table
    swath ui                look at runs in a browser
    """  # noqa: D301 - click wants the character itself
