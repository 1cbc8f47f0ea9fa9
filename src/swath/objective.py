"""Find the objective, and ship it as our own bytes.

Theory of operation
-------------------
A definition names ``module:function``. The module is looked for as text, beside the definition first,
and never imported here: its source and that of every module it imports *from the same folder* is read
(`swath.sources`). These texts are what travels to the slots, and what the fingerprint is of (`swath.fingerprint`).

A slot that finds the same texts at the same place (the machine is the same) imports from there, so that
``__file__`` and tracebacks are the user's own. Elsewhere they are unpacked into a folder named by their
hash. An installed module is not shipped: the worker must have it.

A function made in a script or a notebook travels by value (cloudpickle); modules it uses from the
script's folder travel beside it. Those bytes are never stored.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from swath.errors import Mistake, ObjectiveError
from swath.fingerprint import fingerprint
from swath.sources import closure, is_pythons, module_file, ships
from swath.unpacking import admit, folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Signature:
    """How the objective may be called, always with keywords.

    Attributes
    ----------
    required, optional : tuple of str
        Argument names without and with a default.
    anything : bool
        Whether it takes any other keyword as well.
    place : str
        Where it is defined, as ``file:line``; empty if unknown.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    anything: bool
    place: str

    def receives(self, names: Collection[str]) -> tuple[str, ...]:
        """Return those of the names that the objective is called with."""
        known = {*self.required, *self.optional}
        return tuple(name for name in names if self.anything or name in known)

    def mistakes(
        self,
        objective: str,
        *,
        parameters: Mapping[str, str],
        derived: Collection[str],
        read: Collection[str],
    ) -> list[Mistake]:
        """Compare the arguments with what a definition provides.

        Parameters
        ----------
        objective : str
            Its name, for the messages.
        parameters : mapping of str to str
            The parameters, each with where it is absent (empty: nowhere).
        derived, read : collection of str
            Derived columns; names that some ``derive`` reads.
        """
        place = f" ({self.place})" if self.place else ""
        provided = {*parameters, *derived}
        found = [
            Mistake(
                f"parameters.{name}",
                f"neither {objective}{place} nor a derive reads it",
                f"its arguments are {', '.join((*self.required, *self.optional)) or 'none'}",
            )
            for name in parameters
            if name not in read and not self.receives((name,))
        ]
        found += [
            Mistake(
                "objective",
                f"{objective}{place} requires {name}, which nothing provides",
                f"add it to parameters, or give it a default: {name}=None",
            )
            for name in self.required
            if name not in provided
        ]
        found += [
            Mistake(
                f"parameters.{name}",
                f"absent {when}, but {objective} requires it{place}",
                f"give it a default: {name}=None",
            )
            for name, when in parameters.items()
            if when and name in self.required
        ]
        return found


@dataclass(frozen=True, slots=True)
class Code:
    """The objective, ready to travel.

    Attributes
    ----------
    objective : str
        ``module:function``; for a function by value, a name for people.
    root : str
        The folder that is put on ``sys.path``; empty if nothing is shipped.
    files : mapping of str to str
        Source texts by path relative to ``root``.
    function : bytes
        The function by value, if it is not to be imported.
    fingerprint : str
        Of the code, comments, docstrings and formatting aside: 32 hexadecimal digits.
    """

    objective: str
    root: str
    files: Mapping[str, str]
    function: bytes
    fingerprint: str
    signature: Signature | None = field(default=None, compare=False)

    def load(self) -> Callable[..., object]:
        """Import the objective in this process; whatever its module raises comes out."""
        folder = folder_of(self.files, Path(self.root)) if self.files else None
        if folder is not None:
            admit(folder)
        if self.function:
            import cloudpickle  # noqa: PLC0415  # 35 ms that only functions by value need

            loaded: Callable[..., object] = cloudpickle.loads(self.function)
            return loaded
        module, _, path = self.objective.partition(":")
        target = functools.reduce(getattr, path.split("."), importlib.import_module(module))
        if folder is not None:
            self._check_imported(folder)
        if not callable(target):
            raise ObjectiveError(f"{self.objective} is {type(target).__name__}, not a function")
        return target

    def verify(self) -> None:
        """Make sure that a module that does not travel is the same here as where the sweep was started.

        Raises
        ------
        ObjectiveError
            If it is not here, or its code is other code.
        """
        if self.files or self.function:
            return
        module, _, path = self.objective.partition(":")
        for root in map(Path, filter(None, sys.path)):
            if module_file(root, module) is not None:
                if fingerprint([path], closure(root, module, follow=False)) != self.fingerprint:
                    raise ObjectiveError(
                        f"{module_file(root, module)} is not the {module} that the sweep was started with; "
                        "install the same there, or put it beside the definition, so that it travels"
                    )
                return
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise ObjectiveError(
                f"there is no module {module}; install it there, or put it beside the definition, so that it travels"
            )

    def _check_imported(self, folder: Path) -> None:
        """Make sure that what was imported is what was shipped, not a namesake from elsewhere."""
        for path in self.files:
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            file = getattr(sys.modules.get(name), "__file__", None)
            if file is not None and Path(file).resolve() != (folder / path).resolve():
                raise ObjectiveError(
                    f"{self.objective}: module {name} was imported from {file} instead of the folder of the sweep; "
                    "rename one of them"
                )


def locate(objective: str, folder: Path) -> Code:
    """Find ``module:function`` beside a definition, or else where Python would; import nothing.

    Parameters
    ----------
    objective : str
        As the definition gives it.
    folder : pathlib.Path
        Where the definition is.

    Raises
    ------
    ObjectiveError
        If there is no such module, it is not valid Python, or it visibly lacks the function.
    """
    module, _, path = objective.partition(":")
    if module == "__main__":
        raise ObjectiveError(
            f"objective {objective}: a slot has a __main__ of its own; name the file that {path} is in"
        )
    beside = module_file(folder, module.partition(".")[0])
    if beside is not None and is_pythons(module):
        raise ObjectiveError(
            f"objective {objective}: {beside} has the name of a module of Python's own; rename it"
        )
    for root in [folder, *map(Path, filter(None, sys.path)), Path.cwd()]:
        if (file := module_file(root, module)) is not None:
            return _read(objective, root.resolve(), file.relative_to(root).as_posix())
    if _is_findable(module):  # a builtin, an extension, or a module in a zip
        return Code(objective, "", {}, b"", fingerprint([objective], {}))
    raise ObjectiveError(
        f"objective {objective}: there is no {module.replace('.', '/')}.py in {folder}, "
        "and Python finds no such module; looked beside the definition first"
    )


def _is_findable(module: str) -> bool:
    """Tell whether Python would find a module; not even its packages are imported."""
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
        for name in below:
            top = f"{top}.{name}"
            folders = spec.submodule_search_locations if spec else None
            spec = PathFinder.find_spec(top, folders) if folders else None
    except (ImportError, ValueError):  # __main__, or a module that somebody put there by hand
        return False
    return spec is not None


def _read(objective: str, root: Path, file: str) -> Code:
    module, _, path = objective.partition(":")
    travels = ships(root)
    sources = closure(root, module, follow=travels)  # what an installed module imports is not ours to watch
    return Code(
        objective,
        str(root) if travels else "",
        {name: source.text for name, source in sources.items()} if travels else {},
        b"",
        fingerprint([path], sources),
        _static_signature(objective, file, sources[file].tree, path),
    )


def signature_of(function: Callable[..., object]) -> Signature:
    """Ask a function how it may be called.

    Raises
    ------
    ObjectiveError
        If it has a parameter that cannot be given by keyword, or tells nothing.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Signature((), (), anything=True, place="")
    kinds = inspect.Parameter
    for parameter in parameters:
        if parameter.kind is kinds.POSITIONAL_ONLY and parameter.default is kinds.empty:
            raise ObjectiveError(
                f"the objective's argument {parameter.name} is positional-only; swath calls with keywords"
            )
    named = [p for p in parameters if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Signature(
        tuple(p.name for p in named if p.default is kinds.empty),
        tuple(p.name for p in named if p.default is not kinds.empty),
        any(p.kind is kinds.VAR_KEYWORD for p in parameters),
        f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else "",
    )


def _static_signature(objective: str, file: str, tree: ast.Module, path: str) -> Signature | None:
    """Read the signature off the text where it is plain: a function at the top, not decorated."""
    defined = {name: node for node in tree.body for name in _bound_names(node)}
    found = defined.get(path.partition(".")[0])
    dynamic = any(
        isinstance(node, (ast.ImportFrom, ast.If, ast.Try, ast.With, ast.For)) for node in tree.body
    )
    if found is None and not dynamic and "__getattr__" not in defined:
        known = ", ".join(name for name, node in defined.items() if isinstance(node, ast.FunctionDef))
        raise ObjectiveError(
            f"objective {objective}: {file} defines no {path}; its functions are {known or 'none'}"
        )
    if (
        not isinstance(found, ast.FunctionDef)
        or found.decorator_list
        or found.args.posonlyargs
        or "." in path
    ):
        return None
    arguments = found.args
    first_default = len(arguments.args) - len(arguments.defaults)
    keyword = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    required = [a.arg for a in arguments.args[:first_default]] + [a.arg for a, d in keyword if d is None]
    optional = [a.arg for a in arguments.args[first_default:]] + [a.arg for a, d in keyword if d is not None]
    return Signature(tuple(required), tuple(optional), arguments.kwarg is not None, f"{file}:{found.lineno}")


def _bound_names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
