"""The only loop: what happened goes to the driver, what the driver wants is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.messages import Batch, Command, Conclude, Event, Prune, Recall, Record, Submit, Tick, Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from swath.driver import Driver
    from swath.engines import Engine


def drive(
    driver: Driver,
    engine: Engine,
    append: Callable[[Write | Record], None],
    watch: Callable[[Event | Command], None] = lambda _: None,
    fill: Callable[[Batch], Batch] = lambda batch: batch,
) -> Conclude:
    """Carry a sweep to its conclusion.

    Parameters
    ----------
    driver : Driver
        Decides.
    engine : Engine
        Open; whatever else happens is posted to it.
    append : callable
        Takes what is to be made durable; `Durable` is posted to the engine once it is.
    watch : callable
        Is shown every event and every command, for the snapshot.
    fill : callable
        Adds the points of a batch that a search has proposed.
    """
    events: list[Event] = [Tick(engine.now())]
    while True:
        for event in events or [Tick(engine.now())]:
            watch(event)
            for command in driver.handle(event):
                watch(command)
                match command:
                    case Submit():
                        engine.submit(tuple(map(fill, command.batches)))
                    case Recall():
                        engine.recall(command.batch)
                    case Prune():
                        engine.prune(command.batch, command.position)
                    case Write() | Record():
                        append(command)
                    case Conclude():
                        return command
        wake = driver.wake
        events = engine.wait(None if wake is None else max(0.0, wake - engine.now()))
