"""``python -m evaluation.compare``: see `evaluation.compare.cli`."""

from __future__ import annotations

import sys

from evaluation.compare.cli import main

if __name__ == "__main__":
    sys.exit(main())
