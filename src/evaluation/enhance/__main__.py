"""``python -m evaluation.enhance``: see ``evaluation.enhance.cli``."""

from evaluation.enhance.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
