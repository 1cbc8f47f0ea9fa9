"""What a child process does: import the objective, say hello, evaluate until the channel closes.

See `swath.slot.child` for who starts it and watches over it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import mmap
import os
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from swath.errors import ObjectiveError
from swath.inside.crumb import WORN
from swath.inside.keeper import SHOW
from swath.inside.output import Output
from swath.inside.surroundings import Surroundings, generators
from swath.inside.wear import Wear
from swath.task import Task, pack

if TYPE_CHECKING:
    from collections.abc import MutableSequence


def live(channel_descriptor: int, memory: int, evidence: int) -> None:
    """Run a child: import the objective, say hello, evaluate until the channel closes.

    Parameters
    ----------
    channel_descriptor, memory, evidence : int
        Descriptors: of the channel to the slot, of the crumb's memory, and of a file for the places in the code
        where this process was when it crashed or hung.
    """
    channel = Connection(channel_descriptor)
    faulthandler.enable(evidence)
    faulthandler.register(SHOW, evidence)
    _offer_to_the_kernel()
    crumb: MutableSequence[int] = memoryview(mmap.mmap(memory, mmap.PAGESIZE)).cast("q")  # type: ignore[assignment]
    os.close(memory)
    task = Task.decode(channel.recv_bytes())
    output = Output(crumb)
    from swath.inside.evaluate import Evaluator  # noqa: PLC0415  # only once the task is here: meanwhile the parent goes on

    unseeded = generators()
    try:
        evaluator = Evaluator(task, crumb)
    except ObjectiveError as error:
        channel.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    surroundings, wear = Surroundings(unseeded), Wear(tempfile.gettempdir(), task.memory)
    evaluator.between = wear.must_end
    evaluator.has_printed = output.look
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
        surroundings.restore()
        output.begin(start)
        reply = evaluator.evaluate(start, stop, budget, limit)
        crumb[WORN] = wear.is_worn()
        channel.send_bytes(pack(reply))


def _offer_to_the_kernel() -> None:
    """When the machine runs out of memory, this process and its children are the ones to kill."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
