"""``python -m evaluation.ph_eval``: see `evaluation.phonemes.cli`."""

from __future__ import annotations

import sys

from evaluation.phonemes.cli import main

if __name__ == "__main__":
    sys.exit(main())
