"""What there is to say about a snapshot, in a few words each; the same words in lines, in the live block and on pages of text.

Everything that a definition, an objective or another machine could have written is made printable here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.views.text import count, cut, duration, guess, listed, plain, plural, rate, size, spent, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swath.snapshot import Complaint, Replicates, Snapshot, WorkerLoad

WIDEST = 24  # columns of a name or a value
NAMED = 3  # workers that are named; more are counted
IDLE = 0.05  # share of its slots' time below which a worker is unused
NOTABLE = 0.02  # share of the slots' time that is worth a word
SETTLED = 5.0  # seconds after which every worker should have had something


def pieces(snapshot: Snapshot) -> list[str]:
    """Say how a sweep goes, the most important first."""
    said = [f"{count(snapshot.saved)}/{count(snapshot.total)} done"]
    if snapshot.failed:
        said.append(f"{count(snapshot.failed)} failed")
    if stopped := pruned(snapshot.statuses):
        said.append(stopped)
    if snapshot.excluded:
        said.append(f"{count(snapshot.excluded)} excluded")
    said += pace(snapshot)
    if snapshot.best:
        said.append(f"best {best(snapshot)}")
    if laggard := straggler(snapshot):
        said.append(laggard)
    return said


def pruned(statuses: Mapping[str, int]) -> str:
    """Say how many points were stopped early, out of how many ended how; empty if none were."""
    number = statuses.get("pruned", 0)
    return f"{count(number)} stopped early" if number else ""


def pace(snapshot: Snapshot) -> list[str]:
    """Say how fast it goes and how long it will take, or how it ended."""
    if snapshot.over:
        return [f"{snapshot.state} after {duration(snapshot.elapsed)}"]
    said = [rate(snapshot.rate)] if snapshot.rate else []
    if snapshot.eta and snapshot.saved < snapshot.total:
        said.append(f"ETA {guess(*snapshot.eta)}")
    if snapshot.state != "running":
        said.append("stopping" if snapshot.state == "draining" else snapshot.state)
    return said


def effort(snapshot: Snapshot) -> list[str]:
    """Say what it took so far."""
    said = [f"{duration(snapshot.elapsed)} so far"] if snapshot.elapsed and not snapshot.over else []
    if snapshot.utilisation is not None:
        said.append(f"{100 * snapshot.utilisation:.0f} % utilised")
    if snapshot.retried:
        said.append(f"{count(snapshot.retried)} retried")
    return said


def sampling(snapshot: Snapshot) -> str:
    """Say how the search goes, and what it costs; empty if the points are known."""
    sampler = snapshot.sampler
    if sampler is None:
        return _replicating(snapshot.replicates)
    said = [plain(sampler.method), f"{count(sampler.proposed)} of {count(sampler.points)} proposed"]
    if sampler.cost is not None:
        said.append(f"{spent(sampler.cost)} each")
    if sampler.waited is not None and sampler.waited >= NOTABLE:
        said.append(f"slots waited for it {100 * sampler.waited:.0f} % of the time")
    if sampler.ended:
        said.append(plain(sampler.ended))
    return ", ".join(said)


def _replicating(replicates: Replicates | None) -> str:
    if replicates is None:
        return ""
    said = [
        plain(replicates.until),
        f"{count(replicates.precise)} of {count(replicates.combinations)} combinations",
    ]
    if replicates.imprecise:
        said.append(f"{count(replicates.imprecise)} not, at {count(replicates.most)} replicates")
    return ", ".join(said)


def best(snapshot: Snapshot) -> str:
    """Say what is best so far; empty if nothing is."""
    if snapshot.best is None:
        return ""
    number, point = snapshot.best
    return f"{plain(snapshot.metric)} {number:.4g} (point {point})"


def setting(parameters: Mapping[str, object]) -> list[str]:
    """Say which values parameters have: ``beta=0.3``."""
    return [
        f"{cut(plain(name), WIDEST)}={cut(value(content), WIDEST) or 'null'}"
        for name, content in parameters.items()
    ]


def failures(snapshot: Snapshot) -> str:
    """Say how many points failed, and how; empty if none did."""
    if not snapshot.failed:
        return ""
    return f"{count(snapshot.failed)} ({listed(snapshot.failures.items())})"


def complaint(found: Complaint) -> tuple[str, str]:
    """Say how often something failed, and what it said."""
    status, text = plain(found.status), plain(found.text) if found.text else "others"
    told = status == "error" or text.lower().startswith(status)
    return f"{count(found.count)} x", text if told else f"{status}: {text}"


def machines(snapshot: Snapshot) -> list[str]:
    """Say what there is to work with, and how busy it is."""
    here = [worker for worker in snapshot.workers if worker.slots]
    if not here or snapshot.over:
        return []
    hosts = {worker.host for worker in here if worker.host}
    slots = f"{snapshot.busy}/{plural(snapshot.slots, 'slot')} busy"
    if len(here) > 1:
        slots += f" on {plural(len(here), 'worker')}"
    said = [slots + (f" on {len(hosts)} hosts" if len(hosts) > 1 else "")]
    cores = [worker.cpu for worker in here if worker.cpu is not None]
    if cores:
        said.append(f"{sum(cores):.1f} cores")
    if memory := _memory(here):
        said.append(memory)
    return said


def _memory(workers: Sequence[WorkerLoad]) -> str:
    held = [worker.memory for worker in workers if worker.memory is not None]
    if not held:
        return ""
    limits = [worker.memory_limit for worker in workers if worker.memory_limit]
    return share(sum(held), sum(limits) if len(limits) == len(workers) else None)


def share(amount: int, limit: int | None) -> str:
    """Write a size as a part of another, both in the unit of the whole: ``3.2 of 16 GiB``."""
    if not limit:
        return size(amount)
    whole, unit = size(limit).split()
    part = amount / limit * float(whole)
    return f"{part:.{0 if part >= 10 or not amount else 1 if part >= 1 else 2}f} of {whole.removesuffix('.0')} {unit}"


def straggler(snapshot: Snapshot) -> str:
    """Say who is at a point for much longer than others; empty if nobody is."""
    slow = [worker for worker in snapshot.workers if worker.straggler and worker.age is not None]
    if not slow or snapshot.over:
        return ""
    worst = max(slow, key=lambda worker: worker.age or 0.0)
    more = f", and {len(slow) - 1} more" if len(slow) > 1 else ""
    return f"{at(worst)} on {named(worst)}{more}"


def slowest(snapshot: Snapshot) -> str:
    """Say which finished point took longest; empty if none took a second."""
    if not snapshot.slowest or snapshot.slowest[0].seconds < 1:
        return ""
    found = snapshot.slowest[0]
    return f"slowest {duration(found.seconds)} (point {found.point})"


def at(worker: WorkerLoad) -> str:
    """Say which point a worker is at; empty if none is known."""
    if worker.point is None or worker.age is None:
        return ""
    return f"point {worker.point} for {duration(worker.age)}"


def idle(snapshot: Snapshot) -> str:
    """Name the workers that have had nothing to do lately although there is something; empty if there is none."""
    if snapshot.state != "running" or snapshot.done >= snapshot.total or snapshot.elapsed < SETTLED:
        return ""
    unused = [named(worker) for worker in snapshot.workers if _is_idle(worker)]
    if not unused:
        return ""
    more = f" and {count(len(unused) - NAMED)} more" if len(unused) > NAMED else ""
    return f"{', '.join(unused[:NAMED])}{more}"


def _is_idle(worker: WorkerLoad) -> bool:
    """Tell whether a worker is not just between two batches."""
    return bool(worker.slots) and not worker.busy and (worker.utilisation or 0.0) < IDLE


def named(worker: WorkerLoad) -> str:
    """Return the name of a worker, short enough for a line with others."""
    return cut(plain(worker.name).removeprefix("tcp://").removeprefix("tls://"), WIDEST)
