"""``python -m KneeSegLib`` is ``kneeseg``."""

from __future__ import annotations

import sys

from KneeSegLib.cli import main

if __name__ == "__main__":
    sys.exit(main())
