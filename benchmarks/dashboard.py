"""What the live page costs the scheduler's loop: to open it, and a tick of it.

    python benchmarks/dashboard.py [--workers 500] [--points 100000] [--ticks 20]

A sweep is made up: so many workers with two slots each, of which one batch ends in every second; so many points over two parameters
of 32 values, of which one in a hundred failed; loads of five minutes. Opening is what the page's document takes to be made and to
be written as JSON, as Bokeh's server does for each viewer. A tick takes in one second of the sweep, brings the
document up to date and writes what changed, all of which happens on the scheduler's loop. An idle tick finds nothing new.

Times are milliseconds of a core: the median, and the longest.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from typing import Any

from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.protocol import Protocol

from swath.views.live.page import document
from swath.views.live.record import Record


class Stage:
    """What a page needs of `swath.views.live.stage.Stage`."""

    ended = False

    def __init__(self, record: Record) -> None:
        self.record = record
        self.views: list[Any] = []

    def join(self, document: Any, view: Any) -> None:
        """Remember the view."""
        del document
        self.views.append(view)


class Invention:
    """Makes up increments.

    Parameters
    ----------
    workers, points : int
        How many there are.
    """

    def __init__(self, workers: int, points: int) -> None:
        self._random = random.Random(0)
        self._workers, self._points = workers, points
        self._begun = 1.7e9
        self.now = self._begun

    def second(self, rows: int, batches: int) -> dict[str, Any]:
        """Return one second of the sweep, with so many new rows and batches."""
        self.now += 1
        return {"now": self.now, **self._loads(), **self._rows(rows), "batches": self._batches(batches)}

    def about(self) -> dict[str, Any]:
        """Return what does not change."""
        values = [i / 32 for i in range(32)]
        return {
            "host": "login",
            "folder": "results/invented",
            "started": self._begun,
            "parameters": {"beta": values, "gamma": values},
            "metric": "error",
        }

    def _loads(self) -> dict[str, Any]:
        n, draw = self._workers, self._random.random
        done = int(self.now - self._begun)
        names = [f"tcp://10.0.{i // 250}.{i % 250}:40000" for i in range(n)]
        workers = {
            "name": names,
            "host": [f"node{i // 8:03d}" for i in range(n)],
            "slots": [2] * n,
            "busy": [2] * n,
            "done": [done + i for i in range(n)],
            "failed": [i % 7 for i in range(n)],
            "rate": [draw() for _ in range(n)],
            "cpu": [2 * draw() for _ in range(n)],
            "memory": [int(1e9 * draw()) for _ in range(n)],
            "memory_limit": [4 << 30] * n,
            "point": [int(1e5 * draw()) for _ in range(n)],
            "age": [3 * draw() for _ in range(n)],
            "straggler": [False] * n,
            "utilisation": [draw() for _ in range(n)],
        }
        complaints = [
            {"status": "error", "text": f"ValueError: {i}", "count": 20 - i, "point": i} for i in range(20)
        ]
        snapshot = {
            "name": "invented",
            "state": "running",
            "total": self._points,
            "done": self._points // 2 + done,
            "statuses": {"ok": self._points // 2 + done, "error": 100},
            "slots": 2 * n,
            "rate": 500.0,
            "overall": 490.0,
            "eta": (100.0, 120.0),
            "elapsed": self.now - self._begun,
            "best": (0.1, 7),
            "metric": "error",
            "direction": "minimize",
            "complaints": complaints,
        }
        return {"snapshot": snapshot, "workers": workers}

    def _rows(self, n: int) -> dict[str, Any]:
        draw = self._random.random
        rows = [
            (i, 0, draw(), draw(), int(32 * draw()) / 32, int(32 * draw()) / 32)
            if i % 100
            else (i, 1, draw(), None, int(32 * draw()) / 32, int(32 * draw()) / 32)
            for i in range(n)
        ]
        return {
            "sound": {"weight": 1.0, "rows": [row for row in rows if row[1] == 0]},
            "failed": {"weight": 1.0, "rows": [row for row in rows if row[1]]},
        }

    def _batches(self, n: int) -> list[list[Any]]:
        found = []
        for _ in range(n):
            worker = self._random.randrange(self._workers)
            name = f"tcp://10.0.{worker // 250}.{worker % 250}:40000"
            slot = f"{name}/{self._random.randrange(2)}"
            found.append([slot, name, self.now - 1, self.now, "ok", 10, 0])
        return found


def encoded(events: list[Any]) -> int:
    """Write changes as Bokeh's server does; return the bytes."""
    message = Protocol().create("PATCH-DOC", events)
    size = len(message.content_json)
    return size + sum(len(buffer.to_bytes()) for buffer in message.buffers)


def measured(ticks: list[float]) -> str:
    """Write the median and the longest."""
    return f"{1000 * statistics.median(ticks):6.1f}  {1000 * max(ticks):6.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--ticks", type=int, default=20)
    options = parser.parse_args()
    made_up = Invention(options.workers, options.points)
    record = Record()
    record.take({"anew": True, "now": made_up.now, "about": made_up.about()})
    for _ in range(290):
        record.take(made_up.second(options.points // 290, options.workers // 2))
    stage = Stage(record)

    opening, sizes = [], []
    for _ in range(5):
        doc = Document()
        begun = time.process_time()
        document(stage, (), None, {}, doc)
        text = serialize_json(doc.to_json())
        opening.append(time.process_time() - begun)
        sizes.append(len(text))

    events: list[Any] = []
    view = stage.views[-1]
    doc.on_change(events.append)
    taking, ticking, sent = [], [], []
    for _ in range(options.ticks):
        increment = json.dumps(made_up.second(2000, options.workers))
        begun = time.process_time()
        record.take(json.loads(increment))
        middle = time.process_time()
        view.update()
        sent.append(encoded(events))
        taking.append(middle - begun)
        ticking.append(time.process_time() - middle)
        events.clear()
    idle = []
    for _ in range(options.ticks):
        begun = time.process_time()
        view.update()
        if events:
            encoded(events)
        idle.append(time.process_time() - begun)
        events.clear()

    print(f"{options.workers} workers, {options.points:,} points              median    most  ms")
    print(f"open the page                               {measured(opening)}  {max(sizes) / 1e6:.2f} MB")
    print(
        f"tick                                        {measured(ticking)}  {statistics.median(sent) / 1e3:.0f} kB"
    )
    print(f"tick with nothing new                       {measured(idle)}")
    print(f"take in one second of the driver's          {measured(taking)}")


if __name__ == "__main__":
    main()
