"""Modules as texts: found in a folder, read with what they import from it, never imported."""

from __future__ import annotations

import ast
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from swath.errors import ObjectiveError
from swath.unpacking import text_at

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source(NamedTuple):
    """A Python file, read and parsed."""

    text: str
    tree: ast.Module


def is_pythons(module: str) -> bool:
    """Tell whether a module is of the standard library."""
    return module.partition(".")[0] in sys.stdlib_module_names


def module_file(root: Path, module: str) -> Path | None:
    """Return the file of a module or package below a folder, if there is one."""
    stem = root.joinpath(*module.split("."))
    for file in (stem.with_name(stem.name + ".py"), stem / "__init__.py"):
        if file.is_file():
            return file
    return None


def ships(root: Path) -> bool:
    """Tell whether a folder holds the user's own code rather than installed packages."""
    installed = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    return not any(root == path or path in root.parents for path in installed if path.name != "bin")


def closure(root: Path, module: str, *, follow: bool = True) -> dict[str, Source]:
    """Read a module, its packages, and, if asked to follow, whatever these import from the same folder.

    Returns
    -------
    dict of str to Source
        By path relative to ``root``, in order.

    Raises
    ------
    ObjectiveError
        One of the files is no text, or not Python.
    """
    sources: dict[str, Source] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        parents = [name.rsplit(".", k)[0] for k in range(name.count(".") + 1)]
        for wanted in parents:
            file = module_file(root, wanted)
            if file is None or (relative := file.relative_to(root).as_posix()) in sources:
                continue
            source = sources[relative] = _read(file)
            package = wanted if file.name == "__init__.py" else wanted.rpartition(".")[0]
            if follow:
                pending += [name for name in _imports(source.tree, package) if not is_pythons(name)]
    return dict(sorted(sources.items()))


def _read(file: Path) -> Source:
    text = text_at(file)
    if text is None:
        raise ObjectiveError(f"{file} cannot be read as Python source")
    try:
        return Source(text, ast.parse(text, str(file)))
    except (SyntaxError, ValueError, RecursionError) as error:
        line, column = (getattr(error, name, None) or 0 for name in ("lineno", "offset"))
        raise ObjectiveError(f"{file.name}:{line}:{column}: error: not Python: {error.args[0]}") from error


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = f"{above}.{base}".strip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Give a tree, its statements, and what holds some of them; expressions hold none, and are most of it."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            pending += getattr(node, field, ())
