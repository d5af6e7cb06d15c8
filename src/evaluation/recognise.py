"""``python -m evaluation.recognise``: see ``evaluation.words.cli``."""

from evaluation.words.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
