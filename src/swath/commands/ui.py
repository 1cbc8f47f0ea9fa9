"""``swath ui``: pages about the runs of a folder, served to the browsers of one person until Ctrl-C.

The address goes to the standard output, alone; everything else that a person should know goes to the standard error.
A browser that is opened here gets a link of its own, through a file that only its owner can read: the arguments of a
program can be seen by everybody on the machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import warnings
import webbrowser
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swath.commands import runs
from swath.commands.shelf import Shelf
from swath.views.ui.application import application
from swath.views.ui.guard import Guard
from swath.views.ui.pages import page, query
from swath.views.ui.server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swath.views.ui.server import Server

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(
    name: str | None, out: Path, *, port: int, hosts: Sequence[str], browse: bool, say: Callable[[str], None]
) -> int:
    """Serve pages until a signal comes; return the exit code.

    Parameters
    ----------
    name : str or None
        The run that is shown first, as in `runs.find`; the other runs are those beside it.
    out : Path
        The folder of runs, if no run is named.
    port : int
        Where to listen; 0: anywhere.
    hosts : sequence of str
        Names under which a proxy may ask.
    browse : bool
        Whether to open a browser, if this machine has a display.
    say : callable
        Takes what the user should know.

    Raises
    ------
    UsageError
        There is no such run, or the port cannot be had.
    """
    start = "./"
    if name is not None:
        folder = runs.find(name, out).resolve()
        out, start = folder.parent, f"run?{query({'name': folder.name})}"
    warnings.filterwarnings("ignore", ".* is damaged: ")  # the page says so
    return asyncio.run(_serve(Shelf(out), Guard(hosts), start, port, browse=browse, say=say))


async def _serve(
    shelf: Shelf, guard: Guard, start: str, port: int, *, browse: bool, say: Callable[[str], None]
) -> int:
    server = application(shelf, guard, start)
    server.open(port)
    ended = _signals()
    sys.stdout.write(f"{server.link()}\n")
    sys.stdout.flush()
    _explain(server, shelf.out, say)
    with _browser(server, wanted=browse):
        number = await ended
    await server.close()
    shelf.close()
    return 128 + number


def _signals() -> asyncio.Future[int]:
    """Return what the first signal sets; one that is ignored stays so."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(number: int) -> None:
        if not ended.done():
            ended.set_result(number)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, end, number)
    return ended


def _explain(server: Server, out: Path, say: Callable[[str], None]) -> None:
    say(
        f"Runs in {out}{'' if out.is_dir() else ', which does not exist yet'}. The address above lets one browser in, once; nothing can be changed there. Ctrl-C ends it."
    )
    if os.environ.get("SSH_CONNECTION"):
        say(f"From your own machine:  ssh -N -L {server.port}:{HOST}:{server.port} {socket.gethostname()}")
    if prefix := os.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        say(
            f"Through JupyterHub: {prefix.rstrip('/')}/proxy/{server.port}/ with the same ?token=..., "
            "and --allow-host NAME with the hub's name"
        )


@contextmanager
def _browser(server: Server, *, wanted: bool) -> Iterator[None]:
    if not wanted or not _has_display():
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="swath-ui-"))  # mode 0700
    try:
        file = folder / "open.html"
        file.write_text(page("enter.html", start=server.link()), encoding="utf-8")
        webbrowser.open(file.as_uri())
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_display() -> bool:
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
