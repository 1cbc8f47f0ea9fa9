"""The fingerprint of code: what it does, comments, docstrings and formatting aside.

It is of syntax trees, written as Python writes nested tuples and lists: ``('Name', [('id', "'x'")])``. Run folders keep
fingerprints, so what the same code is written as never changes.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swath.sources import Source

_IGNORED: Final = {"type_ignores", "type_comment", "kind", "ctx"}
"""Fields of nodes that say nothing about what the code does."""


def fingerprint(parts: Sequence[str], sources: Mapping[str, Source]) -> str:
    """Return 32 hexadecimal digits for some texts and for the code of files, by path."""
    shapes = [f"{path} {shape(source.tree)}" for path, source in sorted(sources.items())]
    return hashlib.blake2b(repr([*parts, *shapes]).encode(), digest_size=16).hexdigest()


def shape(tree: ast.Module) -> str:
    """Write what the code does; the same in every Python that can parse it.

    There is no recursion: a chain of ``elif`` or ``+`` is as deep as it is long.
    """
    written: list[str] = []
    begun = [_pieces(tree)]
    while begun:
        for piece in begun[-1]:
            if not isinstance(piece, str):
                begun.append(_pieces(piece))
                break
            written.append(piece)
        else:
            begun.pop()
    return "".join(written)


def _pieces(thing: ast.AST | list[object]) -> Iterator[str | ast.AST | list[object]]:
    """Give the text of a node or a list, except that the nodes and lists in it come as they are."""
    comma = ""
    if isinstance(thing, list):
        yield "["
        for item in thing:
            yield comma
            yield item if isinstance(item, ast.AST) else repr(repr(item))
            comma = ", "
        yield "]"
        return
    yield f"('{type(thing).__name__}', ["
    for name in thing._fields:
        content = getattr(thing, name, None)
        if name == "body" and isinstance(
            thing, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ):
            content = _without_docstring(thing.body)
        if name not in _IGNORED and content not in (None, []):
            yield f"{comma}('{name}', "
            yield content if isinstance(content, (ast.AST, list)) else repr(repr(content))
            yield ")"
            comma = ", "
    yield "])"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(ast.Constant(str())), *rest]:
            return rest
    return body
