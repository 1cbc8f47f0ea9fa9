"""``python -m swath`` is ``swath``.

``-m`` lets Python look into the current folder first, where a file called ``json.py`` would be taken for the
standard library's. The ``swath`` script does not look there, and neither does this, from here on.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from swath.cli import main  # only now

if __name__ == "__main__":
    main()
