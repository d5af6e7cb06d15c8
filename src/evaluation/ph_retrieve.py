"""``python -m evaluation.ph_retrieve``: see `evaluation.phonemes.retrieve`."""

from __future__ import annotations

import sys

from evaluation.phonemes.retrieve import main

if __name__ == "__main__":
    sys.exit(main())
