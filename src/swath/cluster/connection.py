"""A client of ours for a scheduler that somebody else started."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from typing import TYPE_CHECKING

from swath.cluster.clock import keep_steady

if TYPE_CHECKING:
    from distributed import Client


async def reach(address: str, patience: float) -> Client:
    """Connect to a scheduler, within ``patience`` seconds; raises what Dask raises if there is none."""
    from distributed import Client  # noqa: PLC0415  # imported only where a sweep runs on Dask
    from distributed.versions import VersionMismatchWarning  # noqa: PLC0415
    from tornado.ioloop import IOLoop  # noqa: PLC0415

    # What a client meets, and who has other versions, we report ourselves.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", VersionMismatchWarning)
    keep_steady(IOLoop.current())
    client = Client(address, asynchronous=True, set_as_default=False, timeout=patience, name="swath")
    try:
        return await client
    except BaseException:
        await end(client)
        raise


async def end(client: Client) -> None:
    """End a client, whatever state it is in."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client._close(fast=True), 5)  # noqa: SLF001  # the public one may wait for ever
    client.status = "closed"  # else it would try again when it is garbage
