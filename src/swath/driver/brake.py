"""The brake: a sweep whose first points all fail alike is stopped before all of its points have.

Theory of operation
-------------------
A file that is missing on the workers, or a mistake in the objective's first line, fails every point in the
same way. So while no point of this session has ended well, the driver counts the points that failed for
good, and whether they share the first line of their failure. `ENOUGH` of them, and nothing else: stop. The first
point that ends well, or fails in another way, releases the brake until the session ends.

An attempt that is to be repeated does not count, its last one does; while the brake is on, the driver
offers repetitions first, so that retries do not postpone it until every point has failed once.
"""

from __future__ import annotations

ENOUGH = 20
"""Points that fail alike before anything else has happened."""


class Brake:
    """Counts what failed alike.

    Parameters
    ----------
    on : bool
        Whether it may stop anything.

    Attributes
    ----------
    on : bool
        False once it is released.
    failed : int
        Points that failed so far, while it is on.
    """

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self.failed = 0
        self._complaint = ""

    def observe(self, ok: int, failed: int, complaint: str) -> bool:
        """Take in one reply; tell whether to stop.

        Parameters
        ----------
        ok, failed : int
            Points that ended well, and that failed for good.
        complaint : str
            The first line that all of its failures share; empty if there is none.
        """
        if not self.on:
            return False
        self._complaint = self._complaint or complaint
        if ok or (failed and (not complaint or complaint != self._complaint)):
            self.on = False
            return False
        self.failed += failed
        return failed > 0 and self.failed >= ENOUGH
