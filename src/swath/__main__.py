"""``python -m swath`` is ``swath``."""

from __future__ import annotations

from swath.cli import main

if __name__ == "__main__":
    main()
