"""``python -m evaluation.table``: see ``evaluation.compare.means_table``."""

from evaluation.compare.means_table import main

if __name__ == "__main__":
    raise SystemExit(main())
