"""``python -m evaluation.listening_results``: see ``evaluation.report.listening_results``."""

from evaluation.report.listening_results import main

if __name__ == "__main__":
    raise SystemExit(main())
