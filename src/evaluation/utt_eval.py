"""``python -m evaluation.utt_eval``: see `evaluation.score.cli`."""

from __future__ import annotations

import sys

from evaluation.score.cli import main

if __name__ == "__main__":
    sys.exit(main())
