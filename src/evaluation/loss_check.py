"""``python -m evaluation.loss_check``: see ``evaluation.lossview.cli``."""

from evaluation.lossview.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
