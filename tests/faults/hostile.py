"""Hostile points among a hundred times as many innocent ones: who gets which status.

``python tests/faults/hostile.py --hostile 1000`` prints a table; `test_b_hostile.py` runs few of them.

Theory of operation. One sweep, whose objective does at chosen points, in an order that a seed mixes, whatever a
kind of hostility is, and otherwise returns a square. The status and the value of every point is then compared with
what its kind must get. Kinds that cost seconds each (`SLOW`) are rarer than the others.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import swath

if TYPE_CHECKING:
    from collections.abc import Sequence

INNOCENT = 99
"""Innocent points for each hostile one."""

KINDS = {
    "raises": ("error", "raise ValueError('no')"),
    "returns an object": ("invalid", "return object()"),
    "os._exit": ("crash", "os._exit(7)"),
    "unprintable": ("error", "raise Unprintable"),
    "segfault": ("crash", "ctypes.string_at(0)"),
    "sys.exit": ("error", "sys.exit(3)"),
    "SIGKILL": ("crash", "os.kill(os.getpid(), signal.SIGKILL)"),
    "KeyboardInterrupt": ("error", "raise KeyboardInterrupt"),
    "kills its parent": ("crash", "os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"),
    "endless recursion": ("error", "return forever(0)"),
    "abort": ("crash", "os.abort()"),
    "unpicklable": ("error", "raise Unpicklable(lambda: 0)"),
    "kills its group": ("crash", "os.killpg(0, signal.SIGKILL); time.sleep(60)"),
    "2**64": ("invalid", "return 2**64"),
    "hangs": ("timeout", "time.sleep(1e6)"),
    "hangs in C": ("timeout", "sum(itertools.repeat(0))"),
    "swallows everything": ("timeout", "swallow()"),
    "memory hog": ("oom", "hog()"),
}
SLOW = ("hangs", "hangs in C", "swallows everything", "memory hog")

OBJECTIVE = """
import ctypes, itertools, os, signal, sys, time

KINDS = {kinds!r}

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")
    __repr__ = __str__

class Unpicklable(Exception):
    def __reduce__(self):
        raise RuntimeError("no bytes")

def forever(n):
    return forever(n + 1)

def swallow():
    while True:
        try:
            time.sleep(0.001)
        except BaseException:
            pass

def hog():
    held = []
    while True:
        held.append(b"x" * (32 << 20))
        time.sleep(0.01)

def act(i):
    if kind := KINDS.get(i):
        return FUNCTIONS[kind](i)
    return i * i

FUNCTIONS = {{}}
"""
DEFINITION = """
objective: hostile_objective:act
point: {{timeout: {timeout}s, memory: 600MiB}}
parameters:
  i: {{range: [{points}]}}
"""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of everybody.

    Attributes
    ----------
    right : Counter
        Hostile points with the right status, by kind.
    wrong : list
        Hostile points with another one: their kind and what they got.
    harmed : list
        Innocent points that are not ok, or have a wrong value, or no row: what they got.
    """

    right: Counter[str]
    wrong: list[str]
    harmed: list[str]

    def __str__(self) -> str:
        guilty = self.right.total() + len(self.wrong)
        lines = [
            (
                f"hostile {guilty}   right status {self.right.total()}   wrong {len(self.wrong)}   "
                f"innocents harmed {len(self.harmed)} of {INNOCENT * guilty:,}"
            ),
            *(f"  {KINDS[kind][0]:8} {kind:20} {self.right[kind]}" for kind in KINDS),
            *self.wrong[:20],
            *self.harmed[:20],
        ]
        return "\n".join(lines)


def run(folder: Path, hostile: int, seed: int, *, timeout: float = 3.0, workers: int = 2) -> Verdicts:
    """Run so many hostile points among a hundred times as many, in a folder; return what became of them."""
    random = Random(seed)
    points = (INNOCENT + 1) * hostile
    kinds = dict(zip(random.sample(range(points), hostile), _chosen(hostile), strict=True))
    functions = "".join(
        f"def _{n}(i):\n    {code}\nFUNCTIONS[{kind!r}] = _{n}\n"
        for n, (kind, (_, code)) in enumerate(KINDS.items())
    )
    (folder / "hostile_objective.py").write_text(OBJECTIVE.format(kinds=kinds) + functions)
    (folder / "hostile.yaml").write_text(DEFINITION.format(timeout=timeout, points=points))
    results = swath.load(folder / "hostile.yaml").run(out=folder / "results", workers=workers)
    return _judged(results, kinds, points)


def _chosen(hostile: int) -> list[str]:
    """As many kinds as asked for, each in turn; slow ones at first, then no more than one in two hundred of each."""
    slow = [kind for kind in SLOW for _ in range(max(1, hostile // 200))]
    quick = [kind for kind in KINDS if kind not in SLOW]
    if hostile < len(KINDS):
        return list(KINDS)[:hostile]
    return [*slow, *islice(cycle(quick), hostile - len(slow))]


def _judged(results: swath.Results, kinds: dict[int, str], points: int) -> Verdicts:
    frame = results.frame
    right: Counter[str] = Counter()
    wrong, harmed = [], []
    statuses, values, texts = (
        dict(zip(frame.index, frame[name], strict=True)) for name in ("status", "value", "failure")
    )
    for point in range(points):
        status, kind = str(statuses.get(point, "missing")), kinds.get(point)
        if kind is None:
            if status != "ok" or values[point] != point * point:
                harmed.append(f"innocent {point}: {status}, {values.get(point)}: {texts.get(point)}")
        elif status == KINDS[kind][0]:
            right[kind] += 1
        else:
            wrong.append(f"{kind} at {point}: {status}: {texts.get(point)}")
    return Verdicts(right, wrong, harmed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run hostile points and print their table; the exit code is 0 if everybody got what was due."""
    parser = argparse.ArgumentParser(description="Hostile points among a hundred times as many.")
    parser.add_argument("--hostile", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1))
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = run(Path(folder), options.hostile, options.seed, workers=options.workers)
    print(f"{verdicts}\n{time.monotonic() - begun:.1f} s")
    return int(bool(verdicts.wrong or verdicts.harmed))


if __name__ == "__main__":
    sys.exit(main())
