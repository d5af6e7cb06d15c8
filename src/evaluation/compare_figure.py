"""``python -m evaluation.compare_figure``: see `evaluation.plots.cli`."""

from __future__ import annotations

import sys

from evaluation.plots.cli import main

if __name__ == "__main__":
    sys.exit(main())
