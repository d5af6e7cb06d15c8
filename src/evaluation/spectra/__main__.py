"""``python -m evaluation.spectra``: see ``evaluation.spectra.cli``."""

from __future__ import annotations

import sys

from evaluation.spectra.cli import main

if __name__ == "__main__":
    sys.exit(main())
