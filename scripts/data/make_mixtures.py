#!/usr/bin/env python3
"""Mix any folder of speech with any folder of noise in simulated or measured rooms.

Writes one folder per mixture and the manifests train.json, valid.json and test.json. Splits share
no speaker, no noise recording (whose channels and copies count as one) and no room, and the test
has noise types that training has not. A listing (speech.csv, noise.csv, rir.csv or manifest.csv) or
folders named train, valid and test (or dev, val, eval, TRAIN, tr, cv, tt) decide the splits; else
they are drawn. A LibriSpeech tree works as it is. Started again, it makes what is missing; mixtures
never change when more are requested.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seloss.data.corpus.splits import SPLITS
from seloss.data.mixing.make_mixtures import describe, make_mixtures, plan_mixtures, read_corpora
from seloss.data.mixing.room_options import add_room_options, read_mixing_config
from seloss.data.mixing.room_plan import MixingConfig
from seloss.program import run_command


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    default = MixingConfig()
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--speech", type=Path, required=True, help="folder of speech, any nesting")
    add("--noise", type=Path, required=True, help="folder of noise, any nesting")
    add(
        "--rir",
        type=Path,
        help="folder of measured multichannel responses, a sub-folder for each room, in place of "
        "simulated rooms",
    )
    add("--out", type=Path, required=True, help="folder of the mixtures")
    for split, count in zip(SPLITS, (1000, 100, 100), strict=True):
        add(
            f"--n_{split}", type=int, default=count, help=f"{split} mixtures (default: %(default)s)"
        )
    add_room_options(options)
    add(
        "--seconds",
        type=float,
        default=default.seconds,
        help="of training mixtures (default: %(default)s)",
    )
    longest = (
        "of the longest validation and test mixtures, one utterance each (default: %(default)s)"
    )
    add("--max_seconds", type=float, default=default.max_seconds, help=longest)
    add("--jobs", type=int, help="processes (default: one per core)")
    shared = "let given splits share recordings under two names, with a warning"
    add("--allow_shared", action="store_true", help=shared)
    add("--overwrite", action="store_true", help="replace mixtures made with other settings")
    add("--dry-run", action="store_true", help="say what would be mixed, write nothing")
    return options


def work(options: argparse.Namespace) -> None:
    """Make the mixtures, or say what would be made."""
    config = read_mixing_config(options)
    sizes = {split: getattr(options, f"n_{split}") for split in SPLITS}
    if min(sizes.values()) < 0 or (options.jobs is not None and options.jobs < 1):
        raise ValueError("--n_train, --n_valid, --n_test must be 0 or more and --jobs 1 or more")
    corpora = read_corpora(options.speech, options.noise, options.rir)
    allowed = {"allow_shared": options.allow_shared}
    print(describe(*plan_mixtures(config, sizes, corpora, **allowed)))
    if not options.dry_run:
        manifests = make_mixtures(
            options.out,
            config,
            sizes,
            corpora,
            jobs=options.jobs,
            overwrite=options.overwrite,
            **allowed,
        )
        print("\n".join(str(path) for path in manifests.values()))


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
