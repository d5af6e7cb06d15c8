"""``python -m evaluation.loss_spectrum``: see ``evaluation.lossview.spectrum``."""

from evaluation.lossview.spectrum import main

if __name__ == "__main__":
    raise SystemExit(main())
