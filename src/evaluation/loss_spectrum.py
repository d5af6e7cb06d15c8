"""``python -m evaluation.loss_spectrum``: see `evaluation.lossview.spectrum`."""

from __future__ import annotations

import sys

from evaluation.lossview.spectrum import main

if __name__ == "__main__":
    sys.exit(main())
