"""What could keep swath from working: on this machine, or in a run folder.

Every finding is a small mapping, ``what`` was looked at, what was ``found``, whether that is ``ok``, and a
``hint`` if it is not.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from swath import __version__
from swath.errors import SwathError
from swath.views.text import plural, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swath.store.entries import Damage

LIBRARIES = (
    "dask",
    "distributed",
    "pandas",
    "numpy",
    "pyarrow",
    "bokeh",
    "click",
    "pydantic",
    "psutil",
    "cloudpickle",
)
FILES = 1024  # open files; each slot needs about ten, and a thousand slots are rare on one machine
SLOW = 0.1  # seconds for an fsync beyond which every commit is felt


class Finding(TypedDict):
    """One thing that was looked at."""

    what: str
    found: str
    ok: bool
    hint: str


def _finding(what: str, found: str, *, ok: bool = True, hint: str = "") -> Finding:
    return {"what": what, "found": found, "ok": ok, "hint": "" if ok else hint}


def examine_machine(out: Path) -> list[Finding]:
    """Look at versions, cores, memory, limits, the folder for results, and listeners."""
    return [
        _finding("python", f"{platform.python_version()} ({sys.executable})"),
        _finding("swath", f"{__version__} ({Path(__file__).parent})"),
        *(_version(name) for name in LIBRARIES),
        _platform(),
        _finding("cores", _cores()),
        _finding("memory", _memory()),
        _open_files(),
        *_folder(out),
        _checked(
            "loopback",
            _listen,
            "swath and Dask talk over 127.0.0.1; allow listeners there, or use --engine inline",
        ),
    ]


def _version(name: str) -> Finding:
    try:
        return _finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return _finding(name, "not installed", ok=False, hint=f"python -m pip install {name}")


def _platform() -> Finding:
    system = f"{platform.system()} {platform.release()}"
    if Path("/proc/self/stat").exists():
        return _finding("platform", system)
    return _finding(
        "platform", f"{system}; without /proc: no memory cap, no search for processes left behind"
    )


def _cores() -> str:
    every = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    quota = _cgroup("cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        return f"{usable} usable of {every}, limited to {int(quota[0]) / int(quota[1]):.3g} by the container"
    return f"{usable} usable of {every}"


def _memory() -> str:
    import psutil  # noqa: PLC0415  # 10 ms that only this page should pay

    memory = psutil.virtual_memory()
    limit = _cgroup("memory.max")
    capped = f", limited to {size(int(limit))} by the container" if limit.isdecimal() else ""
    return f"{size(memory.available)} free of {size(memory.total)}{capped}"


def _cgroup(name: str) -> str:
    try:
        return (Path("/sys/fs/cgroup") / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{_limit(soft)} (at most {_limit(hard)})"
    enough = soft == resource.RLIM_INFINITY or soft >= FILES
    return _finding("open files", found, ok=enough, hint=f"raise the limit: ulimit -n {FILES}")


def _limit(number: int) -> str:
    return "unlimited" if number == resource.RLIM_INFINITY else str(number)


def _folder(out: Path) -> Iterator[Finding]:
    elsewhere = "choose another folder: --out FOLDER"
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not there.is_dir():
        yield _finding("results", f"{there} is a file", ok=False, hint=elsewhere)
        return
    yield _finding("results", f"{out}, {size(shutil.disk_usage(there).free)} free")
    try:
        with tempfile.TemporaryDirectory(prefix=".swath-doctor-", dir=there) as made:
            yield _checked("locks", lambda: _lock(Path(made)), "choose a local folder: --out FOLDER")
            yield _checked("fsync", lambda: _sync(Path(made)), elsewhere)
    except OSError as error:
        yield _finding("writing", f"{error.filename}: {error.strerror}", ok=False, hint=elsewhere)


def _checked(what: str, look: Callable[[], str], hint: str) -> Finding:
    try:
        return _finding(what, look())
    except (OSError, SwathError) as error:
        return _finding(what, str(error), ok=False, hint=hint)


def _lock(folder: Path) -> str:
    from swath.store.lock import Lock, holder  # noqa: PLC0415  # the store's modules load numpy

    lock = Lock(folder)
    seen = holder(folder)
    lock.release()
    if seen is None or holder(folder) is not None:
        raise OSError("a lock is not seen by others")
    return "work"


def _sync(folder: Path) -> str:
    from swath.store.disk import Disk, publish  # noqa: PLC0415

    begun = time.perf_counter()
    publish(Disk(), folder / "probe", [b"x" * 4096])
    seconds = time.perf_counter() - begun
    return f"works, {1000 * seconds:.1f} ms" + (
        " (slow: every commit waits for it)" if seconds > SLOW else ""
    )


def _listen() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5):
            server.accept()[0].close()
        return "works"


def examine_run(folder: Path, *, mend: bool = False) -> list[Finding]:
    """Read every file of a run and check it; name whatever is damaged.

    Parameters
    ----------
    folder : Path
        The run folder.
    mend : bool
        First put aside what is damaged; what was done then comes first.
    """
    from swath.store.lock import holder  # noqa: PLC0415
    from swath.store.repair import examine, repair  # noqa: PLC0415

    mended = repair(folder) if mend else ()
    found = examine(folder)
    writer = holder(folder)
    octets = sum(entry.bytes for entry in found.manifest.files)
    verified = f"{found.sound} of {plural(found.files, 'file')} verified, {plural(found.manifest.rows, 'row')}, {size(octets)}"
    hint = f"the same command runs these points again; to put aside what is damaged: swath doctor {folder} --repair"
    return [
        *(_finding("mended", str(item)) for item in mended),
        _finding("format", str(found.manifest.format)),
        _finding("run", found.manifest.run),
        _finding("writer", str(writer) if writer else "none"),
        *(_finding(item.file, _without_file(item), ok=False, hint=hint) for item in found.damage),
        _finding("files", verified, ok=not found.damage, hint=hint),
    ]


def _without_file(item: Damage) -> str:
    return str(item).removeprefix(f"{item.file}: ")
