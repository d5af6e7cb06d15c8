"""``python -m evaluation.compare_figure``: see `evaluation.plots.experiments`."""

from __future__ import annotations

import sys

from evaluation.plots.experiments import main

if __name__ == "__main__":
    sys.exit(main())
