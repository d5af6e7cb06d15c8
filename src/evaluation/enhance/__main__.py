"""``python -m evaluation.enhance``: see `evaluation.enhance.cli`."""

from __future__ import annotations

import sys

from evaluation.enhance.cli import main

if __name__ == "__main__":
    sys.exit(main())
