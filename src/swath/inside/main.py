"""What a child process does: import the objective, say hello, evaluate until the channel closes.

See `swath.slot.child` for who starts it and watches over it.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from swath.errors import ObjectiveError
from swath.task import Task, pack

if TYPE_CHECKING:
    from collections.abc import MutableSequence


def main() -> None:
    """Run a child: import the objective, say hello, evaluate until the channel closes."""
    channel, memory = Connection(int(sys.argv[1])), int(sys.argv[2])
    del sys.argv[1:]
    parent = os.getppid()
    _die_with_parent(parent)
    crumb: MutableSequence[int] = memoryview(mmap.mmap(memory, mmap.PAGESIZE)).cast("q")  # type: ignore[assignment]
    os.close(memory)
    task = Task.decode(channel.recv_bytes())
    from swath.inside.evaluate import Evaluator  # noqa: PLC0415  # only once the task is here: meanwhile the parent goes on

    try:
        evaluator = Evaluator(task, crumb)
    except ObjectiveError as error:
        channel.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    known = evaluator.signature
    hello = {
        "required": known.required,
        "optional": known.optional,
        "anything": known.anything,
        "place": known.place,
    }
    channel.send_bytes(json.dumps(hello).encode())
    while True:
        try:
            start, stop, budget, limit = json.loads(channel.recv_bytes())
        except (EOFError, OSError):
            return
        channel.send_bytes(pack(evaluator.evaluate(start, stop, budget, limit)))


def _die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, even while it hangs in C code."""
    import ctypes  # noqa: PLC0415  # only a child needs it

    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        return  # not Linux: the closed channel ends it after the point
    if os.getppid() != parent:
        os._exit(1)
