"""``python -m evaluation.report``: see ``evaluation.report.cli``."""

from evaluation.report.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
