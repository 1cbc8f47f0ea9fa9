"""What a slot needs to know before its first batch, as bytes that any machine can read."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from itertools import groupby
from struct import Struct
from typing import TYPE_CHECKING, Any

from swath.messages import Log, Reply, Step
from swath.objective import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


REPLY = b"R"
"""First byte of a packed reply."""

PREFIX = 11
"""Bytes before the header: `REPLY` and the header's length in decimal."""

ALIGNMENT = 64
"""Bytes; Arrow wants its columns to begin at multiples of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A sweep as its slots see it.

    Attributes
    ----------
    run : str
        The run's id.
    space : mapping
        What `Space.spec` gave.
    size : int
        How many candidates the space has.
    code : Code
        The objective.
    constants : mapping of str to bytes
        Python objects that the definition holds as constants, pickled, by digest.
    timeout : float or None
        Seconds that one point may take.
    memory : int or None
        Bytes that a slot's child and its children may hold.
    cores : int
        Threads that numerical libraries may use in one slot.
    isolated : bool
        Whether points run in a child process.
    fresh : bool
        Whether every point runs in a copy of the child as it was after the import.
    folder : str
        Where the objective runs, if that folder exists on the machine.
    goal : (str, int) or None
        The metric that is optimised, and 1 to minimise it or -1 to maximise it.
    stepped : str
        The metric that points must record step by step, because steps decide whether they go on; empty where none does.
    wanted : tuple of str
        The metrics by which the sweep goes, because a search learns from them, or replicates depend on them: replies tell
        whether they came.
    checkpoints : str
        The folder in which points may keep folders of their own.
    """

    run: str
    space: Mapping[str, Any]
    code: Code
    constants: Mapping[str, bytes]
    timeout: float | None = None
    memory: int | None = None
    cores: int = 1
    isolated: bool = True
    fresh: bool = False
    folder: str = ""
    goal: tuple[str, int] | None = None
    size: int = 0
    stepped: str = ""
    wanted: tuple[str, ...] = ()
    checkpoints: str = ""

    def encode(self) -> bytes:
        """Write the task as JSON; pickles are in it as text."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["code"] = {
            "objective": self.code.objective,
            "root": self.code.root,
            "files": dict(self.code.files),
            "function": _text(self.code.function),
            "fingerprint": self.code.fingerprint,
        }
        fields["constants"] = {digest: _text(pickled) for digest, pickled in self.constants.items()}
        return json.dumps(fields).encode()

    @classmethod
    def decode(cls, data: bytes) -> Task:
        """Read what `encode` wrote."""
        fields = json.loads(data)
        code = fields.pop("code")
        code["function"] = base64.b64decode(code["function"])
        constants = {digest: base64.b64decode(text) for digest, text in fields.pop("constants").items()}
        goal, wanted = fields.pop("goal"), tuple(fields.pop("wanted"))
        return cls(**fields, code=Code(**code), constants=constants, goal=goal and tuple(goal), wanted=wanted)

    def load_constants(self) -> dict[str, Any]:
        """Make the Python objects among the constants, once for each process."""
        if not self.constants:
            return {}
        import cloudpickle  # noqa: PLC0415  # 35 ms that few sweeps need

        return {digest: cloudpickle.loads(pickled) for digest, pickled in self.constants.items()}


def pack(reply: Reply) -> bytes:
    """Write a reply: `REPLY`, the header's length, the header as JSON, and the payload, which stays aligned."""
    header = {name: getattr(reply, name) for name in reply.__dataclass_fields__}
    header["payload"] = [len(part) for part in reply.payload]
    header["logs"] = [(log.first, log.last, log.text, log.size) for log in reply.logs]
    header["steps"] = pack_steps(reply.steps)
    text = json.dumps(header).encode()
    text += b" " * (-(PREFIX + len(text)) % ALIGNMENT)
    return b"".join((REPLY, f"{len(text):0{PREFIX - 1}}".encode(), text, *reply.payload))


def unpack(data: bytes) -> Reply:
    """Read what `pack` wrote; the payload shares its memory.

    Raises
    ------
    ValueError
        If the bytes are not a whole reply.
    """
    if data[:1] != REPLY:
        raise ValueError("the bytes are no reply")
    offset = PREFIX + int(data[1:PREFIX])
    header = json.loads(data[PREFIX:offset])
    payload, view = [], memoryview(data)
    for length in header["payload"]:
        payload.append(view[offset : offset + length])
        offset += length
    if offset != len(data):
        raise ValueError(f"a reply of {len(data)} bytes, {offset} announced")
    header["payload"] = tuple(payload)
    header["done"] = _ranges(header["done"])
    header["failed"] = tuple((status, _ranges(ranges)) for status, ranges in header["failed"])
    header["best"] = header["best"] and tuple(header["best"])
    header["logs"] = tuple(Log(*log) for log in header["logs"])
    header["complaints"] = tuple(map(tuple, header["complaints"]))
    header["slowest"] = header["slowest"] and tuple(header["slowest"])
    header["steps"] = unpack_steps(header["steps"])
    header["kept"] = _ranges(header["kept"])
    header["returned"] = tuple(header["returned"])
    return Reply(**header)


PackedSteps = list[tuple[list[str], str]]
"""Runs of steps with the same names: these, and the numbers of each step, little-endian, as text."""


def pack_steps(steps: Iterable[Step]) -> PackedSteps:
    """Write steps as JSON can hold them, exactly; a hundred thousand of them may come in one reply."""
    packed: PackedSteps = []
    for names, run in groupby(steps, lambda step: tuple(step.metrics)):
        row = _row(len(names))
        numbers = b"".join(
            [row.pack(step.position, step.step, step.seconds, *step.metrics.values()) for step in run]
        )
        packed.append((list(names), _text(numbers)))
    return packed


def unpack_steps(packed: Iterable[tuple[list[str], str]]) -> tuple[Step, ...]:
    """Read what `pack_steps` wrote.

    Raises
    ------
    ValueError
        If it is not that.
    """
    steps: list[Step] = []
    for names, text in packed:
        numbers, row = base64.b64decode(text, validate=True), _row(len(names))
        if len(numbers) % row.size:
            raise ValueError(f"{len(numbers)} bytes of steps, in rows of {row.size}")
        steps += [
            Step(position, step, seconds, dict(zip(names, values, strict=True)))
            for position, step, seconds, *values in row.iter_unpack(numbers)
        ]
    return tuple(steps)


def _row(metrics: int) -> Struct:
    return Struct(f"<qqd{metrics}d")


def _ranges(pairs: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, stop) for start, stop in pairs)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
