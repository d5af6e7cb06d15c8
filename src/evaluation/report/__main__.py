"""``python -m evaluation.report``: see `evaluation.report.cli`."""

from __future__ import annotations

import sys

from evaluation.report.cli import main

if __name__ == "__main__":
    sys.exit(main())
