"""``python -m evaluation.listening_results``: see `evaluation.report.listening_results`."""

from __future__ import annotations

import sys

from evaluation.report.listening_results import main

if __name__ == "__main__":
    sys.exit(main())
