"""``python -m evaluation.recognise``: see `evaluation.words.cli`."""

from __future__ import annotations

import sys

from evaluation.words.cli import main

if __name__ == "__main__":
    sys.exit(main())
