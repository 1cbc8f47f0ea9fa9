"""What a viewer of the live page costs a sweep: stretches of one sweep with and without a viewer, in turns.

    python benchmarks/watched.py [--pairs 8] [--window 4] [--span 0.001]

The viewer is another process that has the page open and reads what the scheduler sends, as a browser does, but draws nothing: a
browser on the same machine would take its cores from the sweep, and people have theirs elsewhere. The sweep runs on the embedded
cluster, with a worker for each core; its points spin for ``--span`` seconds. Stretches last ``--window`` seconds and begin when the
page is open; Dask's pages have been imported before the first.

Printed are points per second of both, and their ratio: of each pair, then the median.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time

import swath


def spin(x: int, span: float) -> float:
    """Take some time."""
    end = time.perf_counter() + span
    while time.perf_counter() < end:
        pass
    return x * 0.5


async def watch(address: str) -> None:
    """Look at a page until its server is gone; prints a line when the first change has come."""
    from tornado.httpclient import AsyncHTTPClient, HTTPRequest  # noqa: PLC0415  # only the viewer's process
    from tornado.websocket import websocket_connect  # noqa: PLC0415

    page = await AsyncHTTPClient().fetch(address, request_timeout=60)
    (token,) = re.findall(r'"token":"([^"]+)"', page.body.decode())[:1]
    origin = address.rpartition("/")[0]
    request = HTTPRequest(address.replace("http", "ws", 1) + "/ws", headers={"Origin": origin})
    socket = await websocket_connect(request, subprotocols=["bokeh", token], max_message_size=1 << 28)
    await socket.read_message()
    print("sees it", flush=True)
    while await socket.read_message() is not None:
        pass


def pace(handle: swath.Handle, seconds: float) -> float:
    """Measure the points per second of a sweep over some time."""
    begun, done = time.perf_counter(), handle.snapshot.done
    time.sleep(seconds)
    return (handle.snapshot.done - done) / (time.perf_counter() - begun)


def watched(handle: swath.Handle, seconds: float) -> float:
    """Measure the same while somebody has the page open."""
    words = [sys.executable, __file__, "--watch", handle.snapshot.dashboard]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as viewer:
        assert viewer.stdout is not None
        if "sees it" not in viewer.stdout.readline():
            raise RuntimeError("the viewer saw nothing")
        found = pace(handle, seconds)
        viewer.terminate()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--window", type=float, default=4.0)
    parser.add_argument("--span", type=float, default=0.001)
    parser.add_argument("--watch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        asyncio.run(watch(options.watch))
        return
    values = {"x": swath.range(10**7), "span": options.span}
    sweep = swath.Sweep(spin, values, name="watched", minimize="value")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        handle = sweep.start(out=folder)
        watched(handle, 1.0)
        for pair in range(options.pairs):
            if pair % 2:
                alone, seen = pace(handle, options.window), watched(handle, options.window)
            else:
                seen, alone = watched(handle, options.window), pace(handle, options.window)
            ratios.append(seen / alone)
            print(f"alone {alone:9.0f}/s   watched {seen:9.0f}/s   ratio {ratios[-1]:.3f}", flush=True)
        handle.stop()
        handle.wait()
    print(f"median of {options.pairs}: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
