"""``python -m evaluation.loss_check``: see `evaluation.lossview.cli`."""

from __future__ import annotations

import sys

from evaluation.lossview.cli import main

if __name__ == "__main__":
    sys.exit(main())
