#!/usr/bin/env python3
"""Turn folders of noisy and clean recordings into a manifest.

The folders and the rule that pairs their files stand in a YAML file (see configs/pairs): a name, as
in "rule: voicebank", or a pattern for either side. Files at another rate are resampled into the
output folder, the others stay where they are. A training run can also read the YAML file itself,
where no resampling is needed. Started again, it does what is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seloss.data.formats.preparation import claim_folder
from seloss.data.load.open_dataset import read_pairs_file
from seloss.data.mixing.make_pairs import convert_pairs, pair_settings
from seloss.program import run_command


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("pairs", type=Path, help="YAML file with noisy, clean and rule")
    add("--out", type=Path, required=True, help="folder of the manifest and of resampled files")
    add("--name", help="of the manifest, without .json (default: that of the YAML file)")
    add("--sample_rate", type=int, default=16000, help="Hz (default: %(default)s)")
    add("--jobs", type=int, help="threads (default: one per core)")
    add("--overwrite", action="store_true", help="replace what was made of other pairs")
    add("--dry-run", action="store_true", help="say what would be paired, write nothing")
    return options


def work(options: argparse.Namespace) -> None:
    """Write the manifest, or say what it would hold."""
    pairs = read_pairs_file(options.pairs)
    name = options.name or options.pairs.stem
    for pair in pairs[:3]:
        print(f"{pair.id}: {pair.mixture[0]} with {pair.speech[0]}")
    print(f"{len(pairs)} pairs")
    if not options.dry_run:
        settings = pair_settings({name: pairs}, sample_rate=options.sample_rate)
        writes = [name, f"{name}.json"]
        with claim_folder(options.out, settings, writes, overwrite=options.overwrite) as claim:
            manifests = convert_pairs(
                claim, {name: pairs}, sample_rate=options.sample_rate, jobs=options.jobs
            )
        print(manifests[name])


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
