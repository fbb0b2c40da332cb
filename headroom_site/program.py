"""What this program is called by whoever started it."""

from __future__ import annotations

import sys
from pathlib import Path


def name() -> str:
    """`python3 manage.py` in a checkout, where there may be no `headroom` to call; else `headroom`."""
    return "python3 manage.py" if Path(sys.argv[0]).name == "manage.py" else "headroom"
