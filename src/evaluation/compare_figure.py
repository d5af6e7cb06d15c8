"""``python -m evaluation.compare_figure``: see ``evaluation.plots.cli``."""

from evaluation.plots.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
