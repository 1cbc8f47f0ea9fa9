"""swath runs parameter sweeps: a definition describes a space of points, slots evaluate them, rows are kept.

Names are imported when they are first used: ``import swath`` alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swath.definition.forms import (
        choice,
        geomspace,
        integers,
        linspace,
        lognormal,
        logspace,
        loguniform,
        normal,
        range,  # noqa: A004  # the name in the file
        seeds,
        uniform,
        values,
    )
    from swath.errors import (
        CannotWriteError,
        ClusterLostError,
        CodeChangedError,
        DamageError,
        DefinitionError,
        ObjectiveError,
        RunInUseError,
        SwathError,
        UsageError,
    )
    from swath.recording import Pruned, checkpoint, record
    from swath.results import Results
    from swath.results import Results as open  # noqa: A004, N813  # swath.open(folder) reads as it works
    from swath.sweep import Sweep, load

__version__ = "0.1.0"

__all__ = [
    "CannotWriteError",
    "ClusterLostError",
    "CodeChangedError",
    "DamageError",
    "DefinitionError",
    "ObjectiveError",
    "Pruned",
    "Results",
    "RunInUseError",
    "SwathError",
    "Sweep",
    "UsageError",
    "checkpoint",
    "choice",
    "geomspace",
    "integers",
    "linspace",
    "load",
    "lognormal",
    "logspace",
    "loguniform",
    "normal",
    "open",
    "range",
    "record",
    "seeds",
    "uniform",
    "values",
]

_DISTRIBUTIONS = ("choice", "integers", "lognormal", "loguniform", "normal", "uniform")
_HOMES = {
    "sweep": ("Sweep", "load"),
    "results": ("Results",),
    "recording": ("Pruned", "checkpoint", "record"),
    "definition.forms": ("geomspace", "linspace", "logspace", "range", "seeds", "values", *_DISTRIBUTIONS),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
}


def __getattr__(name: str) -> Any:
    if name == "open":
        return import_module("swath.results").Results
    for module, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"swath.{module}"), name)
            return found
    raise AttributeError(f"module 'swath' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
