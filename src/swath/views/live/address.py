"""Where a page can be reached, as people need it: a link, and the line for who sits at another machine."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = "{scheme}://{host}:{port}/status"
"""Dask's own form of a link; another one was set by somebody who knows better, behind JupyterHub for example."""

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # compared, not bound


def link(host: str, port: int, path: str) -> str:
    """Make the link to a page of a scheduler's dashboard.

    Parameters
    ----------
    host : str
        Where its server listens.
    port : int
        On which port.
    path : str
        Of the page, ``/sweep``.

    Returns
    -------
    str
        In the form of ``distributed.dashboard.link`` where that was set.
    """
    import dask  # noqa: PLC0415  # a sweep without Dask has no such page
    from distributed.utils import format_dashboard_link  # noqa: PLC0415

    if dask.config.get("distributed.dashboard.link") == PLAIN:
        scheme = "https" if dask.config.get("distributed.scheduler.dashboard.tls.cert") else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"
    theirs = str(format_dashboard_link(host, port))  # raises KeyError if it names a variable that is not set
    return theirs.removesuffix("/").removesuffix("status").rstrip("/") + "/" + path.rpartition("/")[2]


def host_of(bound: str, scheduler: str) -> str:
    """Return the host under which a server can be reached that is bound to an address.

    Parameters
    ----------
    bound : str
        What the server listens on.
    scheduler : str
        Dask's address of the scheduler that it belongs to, for a server that listens on all of its host's.
    """
    if bound not in EVERYWHERE:
        return bound
    if scheduler.startswith("inproc:"):
        return "127.0.0.1"
    return urlsplit(scheduler).hostname or "127.0.0.1"


def tunnel(address: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the command that makes a page reachable from where this person sits; empty if they sit here.

    Parameters
    ----------
    address : str
        The page's link.
    environment : mapping
        Of this process: whoever came by ssh has ``SSH_CONNECTION``.
    """
    parts = urlsplit(address)
    words = environment.get("SSH_CONNECTION", "").split()
    if len(words) < 4 or not parts.port or not parts.hostname:
        return ""
    here = words[2]  # the address at which they reached this machine
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user = environment.get("USER") or environment.get("LOGNAME")
    login = f"{user}@{here}" if user else here or socket.gethostname()
    return f"ssh -N -L {parts.port}:{host}:{parts.port} {login}"
