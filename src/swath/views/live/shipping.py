"""The page's code for a scheduler that has nothing of ours: as text, under names of its own.

Theory of operation
-------------------
Functions that travel by value are byte code, which another version of Python does not understand; text is understood
by all. So the sources of the few modules that a page needs are sent, and executed there as modules of a package whose name
is made of their digest: whatever version of swath the scheduler may have is neither used nor disturbed, and drivers of
different versions do not meet. A scheduler keeps the modules, so that the next sweep finds them.

Pickle can rebuild an object by calling a function that both sides have. For us that is Python's ``eval``, and what it
evaluates is a short text that executes the sources and makes the plugin. A scheduler unpickles whatever a client sends, so
this asks for no trust that Dask does not give.
"""

from __future__ import annotations

import builtins
import hashlib
import pickle
import re
import zlib
from functools import cache
from importlib import resources
from typing import Any

MODULES = (
    "snapshot",
    "views",
    "views.text",
    "views.palette",
    "views.figures",
    "views.figures.axes",
    "views.figures.study",
    "views.figures.canvas",
    "views.figures.marks",
    "views.figures.brushing",
    "views.figures.counting",
    "views.figures.heatmap",
    "views.figures.clock",
    "views.figures.traces",
    "views.figures.curves",
    "views.figures.grid",
    "views.figures.best",
    "views.figures.header",
    "views.figures.workers",
    "views.figures.load",
    "views.figures.timeline",
    "views.figures.failures",
    "views.live",
    "views.live.curves",
    "views.live.record",
    "views.live.page",
    "views.live.stage",
)
"""What is sent."""

UNPACK = """
def made(root, sources, make, arguments):
    import importlib.util, sys, zlib

    class Shipped:
        def find_spec(name, path=None, target=None):
            if name in sources:
                return importlib.util.spec_from_loader(name, Shipped, is_package=sources[name][1])

        def create_module(spec):
            return None

        def get_source(name):
            return zlib.decompress(sources[name][0]).decode()

        def exec_module(module):
            name = module.__name__
            exec(compile(Shipped.get_source(name), "<%s>" % name, "exec", dont_inherit=True), module.__dict__)

    if root not in sys.modules:
        sys.meta_path.append(Shipped)
    return importlib.import_module(root + "." + make).visitor(arguments)
"""
"""Executed on the scheduler; modules are imported when they are asked for, some of them need Bokeh."""

CALL = "(lambda space: (exec(text, space), space['made'])[1])({})(root, sources, make, arguments)"


@cache
def _sources() -> tuple[str, dict[str, tuple[bytes, bool]]]:
    """Return a name for the package, and the text of its modules, compressed."""
    texts = {}
    for name in MODULES:
        package, _, last = f"swath.{name}".rpartition(".")
        folder = resources.files(package)
        is_package = (folder / last).is_dir()
        file = folder / last / "__init__.py" if is_package else folder / f"{last}.py"
        texts[name] = (file.read_text(encoding="utf-8"), is_package)
    digest = hashlib.sha256("\0".join(text for text, _ in texts.values()).encode()).hexdigest()
    root = f"_swath_{digest[:16]}"
    moved = re.compile(r"^(\s*(?:from|import)\s+)swath\b", re.MULTILINE)
    return root, {
        root: (zlib.compress(b""), True),
        **{
            f"{root}.{name}": (zlib.compress(moved.sub(rf"\1{root}", text).encode()), is_package)
            for name, (text, is_package) in texts.items()
        },
    }


class _Parcel:
    """Unpickles to the plugin of a scheduler that has nothing of ours."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        root, sources = _sources()
        about = {
            "text": UNPACK,
            "root": root,
            "sources": sources,
            "make": "views.live.stage",
            "arguments": self._arguments,
        }
        return builtins.eval, (CALL, about)


def parcel(**arguments: Any) -> bytes:
    """Pickle a plugin by its source; see `swath.views.live.stage.Visitor` for the arguments."""
    return pickle.dumps(_Parcel(arguments), protocol=4)
