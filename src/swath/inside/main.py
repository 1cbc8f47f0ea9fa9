"""What a child process does: import the objective, say hello, evaluate until the channel closes.

See `swath.slot.child` for who starts it and watches over it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import mmap
import os
import random
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from swath.errors import ObjectiveError
from swath.inside.crumb import WORN
from swath.inside.keeper import SHOW
from swath.inside.output import Output, moved
from swath.inside.surroundings import Surroundings
from swath.inside.wear import Wear
from swath.task import Task, pack

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from swath.inside.evaluate import Evaluator
    from swath.messages import Reply


def live(channel_descriptor: int, memory: int, steps: int, evidence: int) -> None:
    """Run a child: import the objective, say hello, evaluate until the channel closes.

    Parameters
    ----------
    channel_descriptor, memory, steps, evidence : int
        Descriptors: of the channel to the slot, of the crumb's memory, of the pipe for what points record, and of a
        file for the places in the code where this process was when it crashed or hung.
    """
    channel = Connection(channel_descriptor)
    faulthandler.enable(evidence)
    faulthandler.register(SHOW, evidence)
    _offer_to_the_kernel()
    crumb: MutableSequence[int] = memoryview(mmap.mmap(memory, mmap.PAGESIZE)).cast("q")  # type: ignore[assignment]
    os.close(memory)
    task = Task.decode(channel.recv_bytes())
    output = Output(crumb)
    wire = moved(steps)
    if wire != steps:
        os.close(steps)
    from swath.inside.evaluate import Evaluator  # noqa: PLC0415  # only once the task is here: meanwhile the parent goes on
    from swath.inside.steps import Wire  # noqa: PLC0415

    unseeded = random.getstate()
    try:
        evaluator = Evaluator(task, crumb)
    except ObjectiveError as error:
        channel.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    surroundings = Surroundings(unseeded)
    evaluate = _way_to_evaluate(evaluator, surroundings, evidence)
    evaluator.has_printed = output.look
    evaluator.recorder.sink = Wire(wire)
    known = evaluator.signature
    hello = {
        "required": known.required,
        "optional": known.optional,
        "anything": known.anything,
        "place": known.place,
    }
    channel.send_bytes(json.dumps(hello).encode())
    while True:
        if not task.fresh:  # copies leave this process as it is
            surroundings.restore()  # now, while the slot is busy with the reply before
        try:
            start, stop, budget, limit, points = json.loads(channel.recv_bytes())
        except (EOFError, OSError):
            return
        evaluator.learn(points)
        output.begin(start)
        channel.send_bytes(pack(evaluate(start, stop, budget, limit)))


def _way_to_evaluate(
    evaluator: Evaluator, surroundings: Surroundings, evidence: int
) -> Callable[[int, int, float, int | None], Reply]:
    """Choose between points in this process and points in copies of it."""
    wear = Wear(tempfile.gettempdir(), evaluator.task.memory)
    if evaluator.task.fresh:
        from swath.inside.fresh import Fresh  # noqa: PLC0415  # few sweeps ask for it

        return Fresh(evaluator, surroundings, evidence, wear.spared).evaluate
    evaluator.between = wear.must_end

    def evaluate(start: int, stop: int, budget: float, limit: int | None) -> Reply:
        reply = evaluator.evaluate(start, stop, budget, limit)
        evaluator.crumb[WORN] = wear.is_worn()
        return reply

    return evaluate


def _offer_to_the_kernel() -> None:
    """When the machine runs out of memory, this process and its children are the ones to kill."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
