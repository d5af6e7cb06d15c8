"""``python -m evaluation.ph_eval``: see ``evaluation.phonemes.cli``."""

from evaluation.phonemes.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
