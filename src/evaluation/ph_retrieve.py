"""``python -m evaluation.ph_retrieve``: see ``evaluation.phonemes.retrieve``."""

from evaluation.phonemes.retrieve import main

if __name__ == "__main__":
    raise SystemExit(main())
