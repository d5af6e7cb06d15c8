"""``python -m evaluation.table``: see `evaluation.compare.means_table`."""

from __future__ import annotations

import sys

from evaluation.compare.means_table import main

if __name__ == "__main__":
    sys.exit(main())
