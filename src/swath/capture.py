"""Functions made in Python: by their module's name where that works, else by value.

A function of a script or a notebook has no module that a slot could import, so it travels pickled, with the modules
beside it that it uses. Its fingerprint is of everything it reaches: its own source, that of functions it calls,
values of globals, defaults and closures. The pickle itself is no fingerprint: it differs between processes.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
import textwrap
from collections import deque
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any

from swath.errors import ObjectiveError
from swath.fingerprint import fingerprint, shape
from swath.objective import Code, locate, signature_of
from swath.sources import closure, is_pythons, module_file, ships

if TYPE_CHECKING:
    from collections.abc import Callable

    from swath.sources import Source


def capture(function: Callable[..., object]) -> Code:
    """Make a Python function ready to travel: by its module's name where that works, else by value.

    Raises
    ------
    ObjectiveError
        If it is no function, or cannot be pickled.
    """
    if not callable(function):
        raise ObjectiveError(f"the objective must be a function, got {function!r}")
    module = sys.modules.get(getattr(function, "__module__", "") or "")
    name = getattr(function, "__qualname__", "")
    if module is not None and module.__name__ != "__main__" and _reaches(module, name) is function:
        file = getattr(module, "__file__", None)
        root = Path(file).resolve().parents[_depth(module)] if file else Path.cwd()
        return locate(f"{module.__name__}:{name}", root)
    import cloudpickle  # noqa: PLC0415  # 35 ms that only functions by value need

    try:
        pickled = cloudpickle.dumps(function)
    except Exception as error:
        raise ObjectiveError(
            f"the objective {name or function!r} cannot be sent to a slot: {error}"
        ) from error
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    root = Path(file).resolve().parent if file else Path.cwd()
    parts, modules = _reachable(function)
    sources: dict[str, Source] = {}
    for used in modules:
        if module_file(root, used) is not None and ships(root) and not is_pythons(used):
            sources |= closure(root, used)
    files = {path: source.text for path, source in sources.items()}
    shown = getattr(function, "__name__", type(function).__name__)
    return Code(shown, str(root), files, pickled, fingerprint(parts, sources), signature_of(function))


def _reaches(module: ModuleType | None, path: str) -> object:
    try:
        return functools.reduce(getattr, path.split("."), module)
    except AttributeError:
        return None


def _depth(module: ModuleType) -> int:
    """Count the folders between a module's file and the folder on ``sys.path``."""
    return module.__name__.count(".") + (1 if hasattr(module, "__path__") else 0)


def _reachable(function: Callable[..., object]) -> tuple[list[str], list[str]]:
    """Describe everything a function by value consists of, and name the modules it uses.

    The description follows from the code and the values alone: not from addresses, nor from the order of
    sets, nor from how a pickle happens to share its parts.
    """
    parts: list[str] = []
    modules: list[str] = []
    seen: dict[int, object] = {}  # holds on to what it has seen, so that no id comes twice
    pending: deque[object] = deque([function])
    while pending:
        thing = pending.popleft()
        if id(thing) in seen and not isinstance(thing, _PLAIN):
            continue
        seen[id(thing)] = thing
        text, module, inside = _described(thing)
        parts.append(text)
        modules += [module] if module else []
        pending += inside
    return parts, modules


_PLAIN = (str, int, float, complex, bytes, NoneType)

_CONTENTS: tuple[tuple[type | tuple[type, ...], Callable[[Any], list[object]]], ...] = (
    ((list, tuple), list),
    (dict, lambda thing: [part for item in thing.items() for part in item]),
    (functools.partial, lambda thing: [thing.func, thing.args, thing.keywords]),
    (MethodType, lambda thing: [thing.__func__, thing.__self__]),
    ((staticmethod, classmethod), lambda thing: [thing.__func__]),
    (property, lambda thing: [thing.fget, thing.fset, thing.fdel]),
)

_INCIDENTAL = {
    *("__annotations__", "__dataclass_fields__", "__dataclass_params__", "__dict__", "__doc__"),
    *("__firstlineno__", "__module__", "__qualname__", "__static_attributes__", "__weakref__"),
}
"""Attributes of a class that say nothing about what it does, or that follow from the others."""


def _described(thing: Any) -> tuple[str, str, list[object]]:
    """Return a text for a thing, the module that it needs (may be empty), and what is inside."""
    kind = type(thing).__qualname__
    if isinstance(thing, _PLAIN):
        return f"{kind} {thing!r}", "", []
    if isinstance(thing, (set, frozenset)):
        return f"{kind} {sorted(map(repr, thing))}", "", []
    for kinds, contents in _CONTENTS:
        if isinstance(thing, kinds):
            inside = contents(thing)
            return f"{kind} {len(inside)}", "", inside
    if isinstance(thing, (ModuleType, FunctionType, type)):
        return _described_code(thing)
    module = type(thing).__module__
    if module == "__main__" and hasattr(thing, "__dict__"):
        return f"a {kind}", "", [type(thing), vars(thing)]
    return _value_digest(thing), getattr(thing, "__module__", None) or module, []


def _described_code(thing: ModuleType | FunctionType | type) -> tuple[str, str, list[object]]:
    if isinstance(thing, ModuleType):
        return f"module {thing.__name__}", thing.__name__, []
    module = "" if thing.__module__ in (None, "__main__") else thing.__module__
    by_name = module and _reaches(sys.modules.get(module), thing.__qualname__) is thing
    if isinstance(thing, FunctionType) and not by_name:
        return (
            _source_or_bytecode(thing),
            module,
            [thing.__defaults__, thing.__kwdefaults__, *_referenced(thing)],
        )
    if isinstance(thing, type) and not by_name:
        members = {name: value for name, value in vars(thing).items() if name not in _INCIDENTAL}
        return f"class {thing.__qualname__} {list(members)}", module, [*thing.__bases__, *members.values()]
    return f"{module}.{thing.__qualname__}", module, []


def _referenced(function: FunctionType) -> list[object]:
    names: list[str] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names += code.co_names
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [function.__globals__[name] for name in names if name in function.__globals__] + cells


def _source_or_bytecode(function: FunctionType) -> str:
    """Prefer the source, which formatting and Python's version do not change; a lambda's line holds too much."""
    if function.__name__ != "<lambda>":
        try:  # the source of the code: that of a function is of what it wraps
            return shape(ast.parse(textwrap.dedent(inspect.getsource(function.__code__))))
        except (OSError, TypeError, SyntaxError):
            pass
    return _code_text(function.__code__)


def _code_text(code: CodeType) -> str:
    constants = [_constant_text(constant) for constant in code.co_consts]
    return repr((code.co_code, constants, code.co_names, code.co_varnames))


def _constant_text(constant: object) -> str:
    if isinstance(constant, CodeType):
        return _code_text(constant)
    return repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def _value_digest(value: object) -> str:
    import cloudpickle  # noqa: PLC0415  # 35 ms that only functions by value need

    try:
        return hashlib.blake2b(cloudpickle.dumps(value), digest_size=16).hexdigest()
    except Exception:  # noqa: BLE001  # a value that cannot be pickled identifies itself by its type
        return type(value).__qualname__
