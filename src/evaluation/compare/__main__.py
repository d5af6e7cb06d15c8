"""``python -m evaluation.compare``: see ``evaluation.compare.cli``."""

from evaluation.compare.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
