"""``python -m evaluation.infer``: see ``evaluation.enhance.infer``."""

from evaluation.enhance.infer import main

if __name__ == "__main__":
    raise SystemExit(main())
