"""``python -m evaluation.noise_table``: see ``evaluation.compare.noise_table``."""

from evaluation.compare.noise_table import main

if __name__ == "__main__":
    raise SystemExit(main())
