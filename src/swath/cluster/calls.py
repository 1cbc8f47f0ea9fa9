"""Functions that Dask carries to a worker, where they reach `swath.cluster.worker`.

They are closures, which travel by value: a scheduler that unpickles them needs nothing of ours, and a worker that
has no swath, or another one, can say so.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from swath import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client


async def ask(client: Client, name: str, address: str, *arguments: object) -> str:
    """Call a function of `swath.cluster.worker` on a worker, beside whatever its threads are doing."""
    answers = await client._run(beside(name), *arguments, workers=[address])  # noqa: SLF001  # the public one blocks the loop it runs on
    answer: str = answers[address]
    return answer


class Parcel:
    """A function that travels by value, and is pickled once however often it travels: Dask would do so for every batch."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import cloudpickle  # noqa: PLC0415  # imported by now, with Dask

        self._unpack, self._pickled = cloudpickle.loads, cloudpickle.dumps(function)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        return self._unpack, (self._pickled,)


@cache
def task(name: str) -> Parcel:
    """Name a function for a task, which runs in one of a worker's threads."""

    def call(*arguments: Any) -> Any:
        try:
            import importlib  # noqa: PLC0415  # this runs on the worker

            from distributed import get_worker  # noqa: PLC0415

            return getattr(importlib.import_module("swath.cluster.worker"), name)(get_worker(), *arguments)
        except ImportError as error:
            return b"L" + f"swath cannot be imported on this worker: {error}".encode()

    return Parcel(call)


def beside(name: str) -> Callable[..., Any]:
    """Name a function for a call on a worker's loop, beside whatever its threads do."""
    ours = __version__

    async def call(*arguments: Any, dask_worker: Any) -> Any:
        import json  # noqa: PLC0415  # this runs on the worker

        try:
            import importlib  # noqa: PLC0415

            theirs = importlib.import_module("swath").__version__
            if theirs != ours:
                return json.dumps({"error": f"swath {theirs} there, {ours} here"})
            answer = getattr(importlib.import_module("swath.cluster.worker"), name)(dask_worker, *arguments)
            return await answer if hasattr(answer, "__await__") else answer
        except ImportError as error:
            return json.dumps({"error": f"swath cannot be imported there: {error}"})

    return call
