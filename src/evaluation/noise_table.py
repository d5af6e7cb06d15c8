"""``python -m evaluation.noise_table``: see `evaluation.compare.noise_table`."""

from __future__ import annotations

import sys

from evaluation.compare.noise_table import main

if __name__ == "__main__":
    sys.exit(main())
