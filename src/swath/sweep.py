"""The Python face: a sweep is a function, its parameters and whatever a definition file may say."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.capture import capture
from swath.definition import define
from swath.errors import RunInUseError
from swath.run import Handle, Options, prepare
from swath.store.lock import held_here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swath.objective import Code
    from swath.results import Results
    from swath.verification import Verification


class Sweep:
    """A definition with its objective, ready to run.

    Parameters
    ----------
    objective : callable or str
        A function, called with keywords, or ``module:function``.
    parameters : mapping of str to values
        Lists, ranges, arrays, scalars, or the forms of this package: ``swath.linspace(0, 1, 11)``. A list of
        mappings is a union.
    **keys
        Every other key of a definition file, with the same content: ``where``, ``derive``, ``zip``, ``table``,
        ``sample``, ``search``, ``minimize``, ``maximize``, ``stop``, ``seed``, ``order``, ``point``, ``cluster``, ``isolation``,
        ``name``.

    Raises
    ------
    DefinitionError
        With every mistake.
    ObjectiveError
        If the objective is no function, or cannot travel.

    Examples
    --------
    >>> sweep = Sweep(simulate, {"beta": [0.1, 0.2], "seed": swath.seeds(10)}, minimize="error")  # doctest: +SKIP
    >>> sweep.run().best(3)  # doctest: +SKIP
    """

    def __init__(
        self,
        objective: Callable[..., object] | str,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        **keys: Any,
    ) -> None:
        self._code: Code | None = None
        if not isinstance(objective, str):
            self._code = capture(objective)
            objective = self._code.objective
            if ":" not in objective:
                objective = f"__main__:{objective}"
            keys.setdefault("name", _folder_name(objective))
        mapping = {"objective": objective, "parameters": parameters, **keys}
        self.definition = define(mapping, folder=Path.cwd())

    def __len__(self) -> int:
        """Count the candidates, before ``where``."""
        return self.definition.space.size

    def __repr__(self) -> str:
        space = self.definition.space
        return f"Sweep({self.definition.name!r}, {space.size:,} points, {', '.join(space.names)})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from swath.views.notebook.sweep import sweep  # noqa: PLC0415  # only who looks at it needs it

        return sweep(self.definition).bundle

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def start(self, **options: Any) -> Handle:
        """Start and return at once; in a notebook, a block below the cell shows how it goes.

        Parameters
        ----------
        **options
            The attributes of `swath.run.Options`: ``workers``, ``scheduler``, ``client``, ``engine``, ``out``,
            ``retry``, ``fresh``, ``accept_code_change``, ``limit``, ``time_limit``, ``max_failures``.

        Raises
        ------
        SwathError
            Whatever keeps it from starting.
        """
        if "out" in options:
            options["out"] = Path(options["out"])
        if isinstance(options.get("retry"), str):
            options["retry"] = (options["retry"],)
        handle = self._prepared(Options(**options))
        try:
            _show(handle)
        finally:  # interrupted here, it must not hold its folder and do nothing
            handle.go()
        return handle

    def _prepared(self, options: Options) -> Handle:
        """Prepare a run; where this very process holds its folder, say which handle does."""
        try:
            return prepare(self.definition, options, code=self._code)
        except RunInUseError:
            folder = options.out / self.definition.name
            if not held_here(folder):
                raise
            raise RunInUseError(_in_use_here(folder)) from None

    def run(self, **options: Any) -> Results:
        """Run to the end and return the results, whether or not points failed; takes what `start` takes.

        Ctrl-C, or interrupting the cell, once lets the points that are running finish, twice stops at once; the same
        call goes on later. In a notebook, a block below the cell shows how it goes.

        Raises
        ------
        SwathError
            Whatever stopped it.
        KeyboardInterrupt
            If it was interrupted; what is finished is saved.
        """
        handle = self.start(**options)
        interrupts = 0
        while True:
            try:
                if handle.wait(1.0):
                    break
            except KeyboardInterrupt:
                interrupts += 1
                handle.interrupt(interrupts)
        if interrupts and not handle.complete and handle.error is None:
            seen = handle.snapshot
            raise KeyboardInterrupt(
                f"{seen.name}: {seen.saved:,} of {seen.total:,} points are done and saved; the same call goes on"
            )
        return handle.finished()

    def verify(self, *, points: int = 50, rtol: float = 0.0, out: str | Path = "results") -> Verification:
        """Run random finished points of the run again, keeping nothing, and compare with what is saved.

        Parameters
        ----------
        points : int
            At most so many.
        rtol : float
            Relative difference up to which floats count as equal.
        out : path-like
            The folder that holds the run's folder.

        Returns
        -------
        Verification
            Its ``changes`` say which points gave something else.

        Raises
        ------
        SwathError
            There is no run, nothing to compare with, or the objective cannot be called.
        """
        from swath.results import Results  # noqa: PLC0415  # what a sweep that only runs does without
        from swath.verification import verify  # noqa: PLC0415

        results = Results(Path(out) / self.definition.name)
        return verify(results, self.definition, self._code, points=points, rtol=rtol)


def load(path: str | Path, *overrides: str) -> Sweep:
    """Read a definition file.

    Parameters
    ----------
    path : path-like
        A YAML file.
    *overrides : str
        ``"beta=0.1,0.2"``, as on the command line.

    Raises
    ------
    DefinitionError
        With every mistake, each with its place in the file.
    """
    from swath.definition.loading import load as read  # noqa: PLC0415  # YAML, which a sweep made in Python does without

    sweep = Sweep.__new__(Sweep)
    sweep._code, sweep.definition = None, read(path, overrides)  # noqa: SLF001  # the other way to make one
    return sweep


def _show(handle: Handle) -> None:
    """Show a sweep in the notebook that starts it, if it is one."""
    if "IPython" in sys.modules:
        with suppress(Exception):  # a notebook that cannot show it must not keep it from running
            from swath.views.notebook.cell import show  # noqa: PLC0415  # nothing else draws

            show(handle)


def _in_use_here(folder: Path) -> str:
    """Say who in this process writes to a folder, by the name under which a script or notebook knows it."""
    names = [
        name
        for name, thing in vars(sys.modules["__main__"]).items()
        if isinstance(thing, Handle) and thing.folder.resolve() == folder.resolve() and not thing.wait(0)
    ]
    handles = [name for name in names if not name.startswith("_")]  # a notebook's last outputs are no names
    if handles:
        return (
            f"{folder} is in use by this process: the sweep of `{handles[0]}` is still running; wait for it with "
            f"{handles[0]}.wait(), or stop it with {handles[0]}.stop()"
        )
    return (
        f"{folder} is in use by this process: a sweep that was started here is still running; "
        f"wait for it, or stop it: swath stop {folder}"
    )


def _folder_name(objective: str) -> str:
    name = objective.rpartition(":")[2].rpartition(".")[2]
    return "".join(c for c in name if c.isalnum() or c in "_-") or "sweep"
