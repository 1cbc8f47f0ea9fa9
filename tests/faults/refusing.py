"""Words for tests of what is refused: the command line called in this process, and a folder that must not change."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click.testing

from swath import cli
from swath.store.lock import NAME as LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

OBJECTIVE = "def f(**values):\n    return len(values)\n"
"""A module that takes everything."""

GOOD = "objective: model:f\n"
"""The beginning of a definition for it."""


def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an empty folder the current one; the module that is imported from it is forgotten afterwards."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield folder
    sys.modules.pop("model", None)


def called(*words: object) -> click.testing.Result:
    """Call ``swath`` in this process."""
    return click.testing.CliRunner().invoke(cli.sweep, [str(word) for word in words], prog_name="swath")


def study(folder: Path, text: str | bytes, name: str = "study.yaml", objective: str = OBJECTIVE) -> Path:
    """Write a definition, and an objective beside it."""
    (folder / "model.py").write_text(objective)
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def tree(folder: Path) -> dict[str, object]:
    """Return everything below a folder: files by content, links by target; compiled code and locks left out."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts or path.name == LOCK:  # which says who held it last
            continue
        name = path.relative_to(folder).as_posix()
        found[name] = str(path.readlink()) if path.is_symlink() else path.is_file() and path.read_bytes()
    return found


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Make sure that nothing below a folder changes."""
    before = tree(folder)
    yield
    after = tree(folder)
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    assert not changed


def refused(*words: object, code: int = 2, commands: tuple[str, ...] = ("check", "run")) -> list[str]:
    """Have commands refuse, and say the same, with nothing on the standard output; return the lines."""
    said = []
    with untouched(Path.cwd()):
        for command in commands:
            result = called(command, *words)
            assert result.exit_code == code, (command, result.output, result.exception)
            assert not result.stdout
            assert "Traceback (most recent call last)" not in result.stderr
            said.append(result.stderr.splitlines())
    assert all(lines == said[0] for lines in said)
    return said[0]
