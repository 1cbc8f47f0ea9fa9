"""Points that were ended early: how far they came, and why no further."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from swath.analysis.levels import free

if TYPE_CHECKING:
    import pandas as pd

    from swath.analysis.tables import Table


def stopped(table: Table) -> pd.DataFrame:
    """Tell which points were ended early; see `Optima.stopped`."""
    frame, space = table.frame, table.definition.space
    chosen = frame.loc[(frame["status"] == "pruned").to_numpy()]
    reasons = table.reasons if len(chosen) else {}
    names = [*space.names, *table.metrics]
    columns: dict[str, Any] = {name: chosen[name] for name in names}
    columns[free("step", names)] = _last_steps(table.curves).reindex(chosen.index)
    columns["seconds"] = chosen["seconds"]
    columns[free("reason", columns)] = np.array(
        [reasons.get(each, "") for each in chosen.index.tolist()], object
    )
    return chosen[[]].assign(**columns)


def _last_steps(curves: pd.DataFrame) -> pd.Series[Any]:
    """Return the number of the last step of each point, as integers that may be missing."""
    last = curves.drop_duplicates("point", keep="last").set_index("point")["step"]
    return last.astype("Int64")
