"""A sweep in a process of its own whose points wait until they may go, so that it can be looked at in a known state.

Its names, values and error texts are hostile: whoever shows them must show text.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Self

from running import ENVIRONMENT, PATIENCE, command, until

if TYPE_CHECKING:
    from pathlib import Path

NAME = "<b>bold</b>"
MODE = "<img src=x onerror=alert(1)>"
TROUBLE = "<script>alert('trouble')</script>"
POINTS, FAILING = 24, 4
"""Points in all, and how many of them fail; those of the first half are 2."""

STUDY = f"""
objective: model:steered
parameters:
  "{NAME}": {{range: [12]}}
  mode: [plain, "{MODE}"]
minimize: "<i>loss</i>"
"""
MODEL = f"""
import time
from pathlib import Path

HERE = Path(__file__).parent

def steered(mode, **others):
    (x,) = others.values()
    while x >= int((HERE / "allowed").read_text()):
        time.sleep(0.005)
    if x in (1, 8):
        raise ValueError("{TROUBLE} with " + mode)
    return {{"<i>loss</i>": (x - 4) ** 2 + len(mode)}}
"""


class Steered:
    """``swath run`` of that sweep.

    Parameters
    ----------
    folder : Path
        Where it is made, and runs.
    *options
        More words for the command.
    allowed : int
        Values of the first parameter whose points may go at once; each has two points.
    """

    def __init__(self, folder: Path, *options: str, allowed: int = 6) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "study.yaml").write_text(STUDY)
        (folder / "model.py").write_text(MODEL)
        self.allow(allowed)
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            command("run", "study.yaml", "--progress", "json", *options),
            cwd=folder,
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))

    def allow(self, number: int = POINTS) -> None:
        """Let the points of more values go; all of them if not told how many."""
        beside = self.folder / "allowed.new"
        beside.write_text(str(number))
        beside.rename(self.folder / "allowed")

    @property
    def page(self) -> str:
        """The address of its page, once it has told: until the scheduler has it, it tells that of Dask's own."""

        def told() -> str:
            links = [line.get("dashboard") or "" for line in self.lines]
            return next((link for link in links if link.rpartition("/")[2].startswith("sweep")), "")

        return until(told)

    @property
    def store(self) -> dict[str, Any]:
        """What the store knows of it, by ``swath status --json``."""
        asked = subprocess.run(
            command("status", "study", "--json"),
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            check=True,
        )
        return json.loads(asked.stdout)

    def wait(self) -> int:
        """Wait until it has ended, and return the exit code."""
        self._reader.join(PATIENCE)
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.allow()
        try:
            self.wait()
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(PATIENCE)
            self.process.stderr.close()
