"""``python -m evaluation.spectra``: see ``evaluation.spectra.cli``."""

from evaluation.spectra.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
