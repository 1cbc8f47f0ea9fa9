"""What faults do to a sweep of 60 points under joblib, plain Dask, Optuna 5 and swath, side by side.

``python benchmarks/faults.py [-k WORDS] [--rivals NAMES]`` prints a table; it takes about five minutes. A fault is
either in the objective (point 30 does it), or done from outside to a worker, to the driver at half-way, or to what is
stored; after the latter two the same program runs again. Every cell is a process of its own with a deadline, and says
what the run showed: how many right values the user holds, whether the guilty point is named, how many points were
evaluated again, what was left running. `rivals` holds the code of each, and why it is as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

from rivals import POINTS, RIVALS, SAVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0  # seconds after which a run of about one second counts as hanging
GUILTY = POINTS // 2

STUDY = """
import os, sys, time, signal, subprocess, threading, ctypes
from pathlib import Path

class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__("said in one word")

def deep(n):
    if n == 0:
        raise ValueError("deep down")
    return deep(n - 1)

def fault():
    {fault}

def f(x):
    with open(Path(__file__).parent / "ran", "a") as file:
        file.write(f"{{x}} {{os.getpid()}}\\n")
    time.sleep({nap})
    if x == {guilty}:
        wrong = fault()
        if wrong is not None:
            return wrong
    return x * x
"""

OBJECTIVE = {
    "raises an exception that pickle cannot restore": "raise Unpicklable(1, 2)",
    "raises 900 calls deep": "deep(900)",
    "calls sys.exit": "sys.exit(3)",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt",
    "returns a lock": "return threading.Lock()",
    "calls os._exit": "os._exit(7)",
    "segfaults": "ctypes.string_at(0)",
    "kills its parent": "os.kill(os.getppid(), signal.SIGKILL); time.sleep(30)",
    "loops for ever": "while True: time.sleep(0.01)",
    "leaves a process behind": "subprocess.Popen(['sleep', '600'])",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is done from outside.

    Attributes
    ----------
    act : callable
        Does it to a running sweep, or to the folder of one that has ended.
    running : bool
        Which of both.
    again : bool
        The same program runs again afterwards.
    """

    act: Callable[[subprocess.Popen[bytes] | None, Path], None]
    running: bool
    again: bool


def kill_worker(_: object, folder: Path) -> None:
    """Kill the process that evaluates, whatever it is."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(_ran(folder)[-1].split()[1]), signal.SIGKILL)


def kill_driver(process: subprocess.Popen[bytes], _: Path) -> None:
    process.kill()


def interrupt(process: subprocess.Popen[bytes], _: Path) -> None:
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does


def second_driver(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Start the same program beside the one that runs."""
    os.environ["SAY"] = "second.json"
    try:
        with _started(process.args[2], folder) as second:
            _wait(second)
    finally:
        del os.environ["SAY"]


def tear(_: object, folder: Path) -> None:
    """Take the last five bytes of what was written last."""
    path = _stored(folder)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 5)


def flip(_: object, folder: Path) -> None:
    """Change one bit where the value 59 * 59 is stored."""
    for path in _files(folder):
        raw = bytearray(path.read_bytes())
        for pattern in (
            b"3481.0",
            b"\x99\x0d\x00\x00",
            b"M\x99\x0d",
        ):  # text, an integer of Arrow, one of pickle
            if (at := raw.find(pattern)) >= 0:
                raw[at + (0 if pattern[:1] != b"M" else 1)] ^= 1
                path.write_bytes(raw)
                return
    raise LookupError("the value is stored nowhere")


OUTSIDE = {
    "a worker is killed": Fault(kill_worker, running=True, again=False),
    "the driver is killed, and run again": Fault(kill_driver, running=True, again=True),
    "Ctrl-C, and run again": Fault(interrupt, running=True, again=True),
    "a second driver at the same time": Fault(second_driver, running=True, again=False),
    "the store loses its last 5 bytes, and it runs again": Fault(tear, running=False, again=True),
    "the store has a bit flipped, and it runs again": Fault(flip, running=False, again=True),
}


def cell(rival: str, fault: str) -> str:
    """Run one fault under one rival, and say what that showed."""
    mark = uuid4().hex
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        what = OBJECTIVE.get(fault, "pass")
        nap = 0.15 if "second" in fault else 0.03  # else the first has ended before the second is ready
        (folder / "study.py").write_text(STUDY.format(fault=what, guilty=GUILTY, nap=nap))
        os.environ["FAULTS_MARK"] = mark
        try:
            said = (
                _objective(rival, folder) if fault in OBJECTIVE else _outside(rival, folder, OUTSIDE[fault])
            )
        finally:
            left = _left(mark)
    return said + (f"; {len(left)} processes left" if left and "hangs" not in said else "")


def _objective(rival: str, folder: Path) -> str:
    with _started(rival, folder) as process:
        hung = _wait(process)
    if (folder / "kept.json").exists() or rival not in SAVED:
        return _shown(folder, hung=hung, guilty=True)
    with _started(f"{rival}-saved", folder) as process:
        _wait(process)
    words = "on disk, and it ended without a word" if not hung else "on disk"
    return _shown(folder, hung=hung, guilty=True).replace("held", words)


def _outside(rival: str, folder: Path, fault: Fault) -> str:
    hung = False
    with _started(rival, folder) as process:
        if fault.running:
            deadline = time.monotonic() + DEADLINE
            while (
                len(_ran(folder)) < (1 if fault.act is second_driver else GUILTY)
                and time.monotonic() < deadline
            ):
                time.sleep(0.005)
            fault.act(process, folder)
        hung = _wait(process)
    if not fault.running:
        try:
            fault.act(None, folder)
        except LookupError:
            return "keeps nothing on disk"
    if fault.again and not hung:
        before = len(_ran(folder))
        (folder / "kept.json").unlink(missing_ok=True)
        with _started(rival, folder) as process:
            hung = _wait(process)
        repeated = len(_ran(folder)) - (0 if fault.running else before) - (POINTS if fault.running else 0)
    else:
        repeated = len(_ran(folder)) - POINTS
    return _shown(folder, hung=hung, repeated=max(0, repeated))


@contextlib.contextmanager
def _started(rival: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("ab") as log:
        words = [sys.executable, str(Path(__file__).with_name("rivals.py")), rival, str(folder)]
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end; tell whether it did not come."""
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        return True
    return False


def _shown(folder: Path, *, hung: bool, guilty: bool = False, repeated: int = 0) -> str:
    """Put into words what the user holds."""
    try:
        held = json.loads((folder / "kept.json").read_text())
    except FileNotFoundError:
        return f"hangs > {DEADLINE:g} s" if hung else "ends without a word; nothing held"
    expected = {str(x): x * x for x in range(POINTS) if not (guilty and x == GUILTY)}
    right = sum(held["kept"].get(x) == value for x, value in expected.items())
    wrong = len(held["kept"]) - right - (guilty and str(GUILTY) in held["kept"])
    parts = [f"{right}/{len(expected)} held"]
    if wrong:
        parts.append(f"{wrong} wrong without a word")
    if guilty and str(GUILTY) in held["named"]:
        parts.append(f"guilty named ({held['named'][str(GUILTY)][:24]})")
    if others := set(held["named"]) - ({str(GUILTY)} if guilty else set()):
        parts.append(f"{len(others)} others blamed")
    if repeated:
        parts.append(f"{repeated} evaluated again")
    if held["error"]:
        parts.append(held["error"].split(":")[0])
    if (folder / "second.json").exists():
        second = json.loads((folder / "second.json").read_text())
        said = second["error"].split(":")[0] or f"{len(second['kept'])}/{POINTS}"
        parts.append(f"the second: {said}")
    if held["warned"]:
        parts.append("damage named")
    if hung:
        parts.append(f"hangs > {DEADLINE:g} s")
    return "; ".join(parts)


def _ran(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return (folder / "ran").read_text().splitlines()
    return []


def _files(folder: Path) -> list[Path]:
    """What a rival stores, newest first."""
    kept = [
        *folder.glob("journal"),
        *folder.glob("cache/**/output.pkl"),
        *folder.glob("results/sweep/segments/*.arrow"),
    ]
    return sorted(kept, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _stored(folder: Path) -> Path:
    for path in _files(folder):
        return path
    raise LookupError("nothing is stored")


def _left(mark: str) -> list[int]:
    """Processes of a cell that are still there two seconds after its end; they are ended."""
    deadline = time.monotonic() + 2
    while (found := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def _marked(mark: str) -> list[int]:
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if pid != os.getpid() and process.environ().get("FAULTS_MARK") == mark:
                found.append(pid)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What faults do to a sweep, side by side.")
    parser.add_argument("-k", default="", help="only faults whose name has this in it")
    parser.add_argument("--rivals", default=",".join(RIVALS))
    options = parser.parse_args()
    rivals = options.rivals.split(",")
    print(f"| fault | {' | '.join(rivals)} |\n|{'---|' * (len(rivals) + 1)}", flush=True)
    for fault in [*OBJECTIVE, *OUTSIDE]:
        if options.k in fault:
            print(f"| {fault} | {' | '.join(cell(rival, fault) for rival in rivals)} |", flush=True)


if __name__ == "__main__":
    main()
