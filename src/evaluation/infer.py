"""``python -m evaluation.infer``: see `evaluation.enhance.infer`."""

from __future__ import annotations

import sys

from evaluation.enhance.infer import main

if __name__ == "__main__":
    sys.exit(main())
